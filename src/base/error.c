#include "base/error.h"

#include <stdarg.h>
#include <string.h>

#undef berth_error_set /* the analyser's, which sees the function itself here */

#define VALUE_MAX_BYTES 100

typedef struct {
    char *field;
    char *value;
    char *remedy;
} BerthErrorPrivate;

static void berth_error_private_init(BerthErrorPrivate *priv)
{
    memset(priv, 0, sizeof *priv);
}

static void berth_error_private_copy(const BerthErrorPrivate *src, BerthErrorPrivate *dest)
{
    dest->field = g_strdup(src->field);
    dest->value = g_strdup(src->value);
    dest->remedy = g_strdup(src->remedy);
}

static void berth_error_private_clear(BerthErrorPrivate *priv)
{
    g_free(priv->field);
    g_free(priv->value);
    g_free(priv->remedy);
}

G_DEFINE_EXTENDED_ERROR(BerthError, berth_error)

static const struct {
    const char *name;
    int http_status;
} codes[] = {
    [BERTH_ERROR_INTERNAL] = {"internal", 500},
    [BERTH_ERROR_INVALID] = {"invalid", 400},
    [BERTH_ERROR_UNAUTHENTICATED] = {"unauthenticated", 401},
    [BERTH_ERROR_FORBIDDEN] = {"forbidden", 403},
    [BERTH_ERROR_NOT_FOUND] = {"not-found", 404},
    [BERTH_ERROR_EXISTS] = {"exists", 409},
    [BERTH_ERROR_CONFLICT] = {"conflict", 409},
    [BERTH_ERROR_PRECONDITION] = {"precondition", 412},
    [BERTH_ERROR_TOO_LARGE] = {"too-large", 413},
    [BERTH_ERROR_NO_CAPACITY] = {"no-capacity", 409},
    [BERTH_ERROR_UNAVAILABLE] = {"unavailable", 503},
    [BERTH_ERROR_TIMEOUT] = {"timeout", 504},
};

static const BerthErrorPrivate *private_of(const GError *error)
{
    return error != NULL && error->domain == BERTH_ERROR ? berth_error_get_private(error) : NULL;
}

static char *cut_value(const char *value)
{
    if (value == NULL) {
        return NULL;
    }
    g_autofree char *valid = g_utf8_make_valid(value, strnlen(value, VALUE_MAX_BYTES + 4));
    if (strlen(valid) <= VALUE_MAX_BYTES) {
        return g_steal_pointer(&valid);
    }
    const char *end = g_utf8_find_prev_char(valid, valid + VALUE_MAX_BYTES + 1);
    g_autofree char *head = g_strndup(valid, (gsize)(end - valid));
    return g_strconcat(head, "…", NULL);
}

bool berth_error_set(GError **error, BerthErrorCode code, const char *field, const char *value,
                     const char *remedy, const char *format, ...)
{
    if (error == NULL) {
        return false;
    }
    va_list args;
    va_start(args, format);
    *error = g_error_new_valist(BERTH_ERROR, (int)code, format, args);
    va_end(args);
    BerthErrorPrivate *priv = berth_error_get_private(*error);
    priv->field = g_strdup(field);
    priv->value = cut_value(value);
    priv->remedy = g_strdup(remedy);
    return false;
}

const char *berth_error_field(const GError *error)
{
    const BerthErrorPrivate *priv = private_of(error);
    return priv != NULL ? priv->field : NULL;
}

const char *berth_error_value(const GError *error)
{
    const BerthErrorPrivate *priv = private_of(error);
    return priv != NULL ? priv->value : NULL;
}

const char *berth_error_remedy(const GError *error)
{
    const BerthErrorPrivate *priv = private_of(error);
    return priv != NULL ? priv->remedy : NULL;
}

static int code_index(const GError *error)
{
    bool known = error != NULL && error->domain == BERTH_ERROR && error->code >= 0 &&
                 error->code < (int)G_N_ELEMENTS(codes);
    return known ? error->code : BERTH_ERROR_INTERNAL;
}

const char *berth_error_code_name(const GError *error)
{
    return codes[code_index(error)].name;
}

bool berth_error_code_from_name(const char *name, BerthErrorCode *ret_code)
{
    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        if (g_strcmp0(codes[i].name, name) == 0) {
            *ret_code = (BerthErrorCode)i;
            return true;
        }
    }
    return false;
}

int berth_error_http_status(const GError *error)
{
    return codes[code_index(error)].http_status;
}

void berth_error_prefix_field(GError **error, const char *prefix)
{
    if (error == NULL || *error == NULL || (*error)->domain != BERTH_ERROR) {
        return;
    }
    BerthErrorPrivate *priv = berth_error_get_private(*error);
    g_autofree char *field = g_steal_pointer(&priv->field);
    priv->field = field != NULL ? g_strconcat(prefix, ".", field, NULL) : g_strdup(prefix);
}

char *berth_error_describe(const GError *error)
{
    const char *field = berth_error_field(error);
    const char *value = berth_error_value(error);
    const char *remedy = berth_error_remedy(error);
    GString *text = g_string_new(error->message);
    if (field != NULL && value != NULL) {
        g_string_append_printf(text, " (%s: '%s')", field, value);
    } else if (field != NULL) {
        g_string_append_printf(text, " (%s)", field);
    } else if (value != NULL) {
        g_string_append_printf(text, " ('%s')", value);
    }
    if (remedy != NULL) {
        g_string_append_printf(text, "; %s", remedy);
    }
    return g_string_free(text, FALSE);
}
