#include "sim/question.h"

#include <string.h>

#include "base/error.h"

/* The first that a question has says what it asks; `fit` comes before `app`, of which it may be. */
static const struct {
    const char *name;
    const char *method, *path;
    const char *parameter; /* that takes the value; NULL: the value is the body */
    const char *others[5];
} kinds[] = {
    {"fit", "GET", "/v1/plans/fit?", "size", {"app", "policy", "survive", "tenant", NULL}},
    {"lose", "GET", "/v1/plans/lose?", "hosts", {NULL}},
    {"drain", "GET", "/v1/plans/drain?", "hosts", {NULL}},
    {"app", "POST", "/v1/apps?dry-run=true&explain=true", NULL, {"tenant", NULL}},
    {"vm", "POST", "/v1/vms?dry-run=true&explain=true", NULL, {"tenant", NULL}},
};

void question_clear(Question *question)
{
    g_clear_pointer(&question->path, g_free);
}

static bool invalid(const char *field, const char *remedy, const char *message, GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, field, NULL, remedy, "%s", message);
}

/* Adds NAME=VALUE to the query; the value is a text or a whole number. */
static bool append(GString *path, const char *name, const char *member, const json_t *value,
                   GError **error)
{
    if (!json_is_string(value) && !json_is_integer(value)) {
        return invalid(member, "write a text or a whole number", "not what a question asks with",
                       error);
    }
    g_autofree char *text =
        json_is_string(value) ? g_strdup(json_string_value(value))
                              : g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    bool first = g_str_has_suffix(path->str, "?");
    g_string_append_printf(path, "%s%s=", first ? "" : "&", name);
    g_string_append_uri_escaped(path, text, NULL, FALSE);
    return true;
}

static bool read_members(const json_t *value, guint kind, GString *path, GError **error)
{
    const char *key;
    json_t *member;
    json_object_foreach ((json_t *)value, key, member) {
        const char *parameter = strcmp(key, kinds[kind].name) == 0         ? kinds[kind].parameter
                                : g_strv_contains(kinds[kind].others, key) ? key
                                                                           : "";
        if (parameter == NULL) {
            if (!json_is_object(member)) {
                return invalid(key, "write the body of the request that makes it",
                               "not what is asked for", error);
            }
        } else if (*parameter == '\0') {
            g_autofree char *others = g_strjoinv(", ", (char **)kinds[kind].others);
            g_autofree char *remedy =
                g_strdup_printf("%s%s%s", kinds[kind].name, *others != '\0' ? ", " : "", others);
            return invalid(key, remedy, "unknown in such a question", error);
        } else if (!append(path, parameter, key, member, error)) {
            return false;
        }
    }
    return true;
}

bool question_read(const json_t *value, Question *ret_question, GError **error)
{
    guint kind = 0;
    while (kind < G_N_ELEMENTS(kinds) && json_object_get(value, kinds[kind].name) == NULL) {
        kind++;
    }
    if (kind == G_N_ELEMENTS(kinds)) {
        return invalid(NULL,
                       "write {fit: SIZE}, {lose: HOST}, {drain: HOST}, {app: {…}} or {vm: {…}}",
                       "not a question", error);
    }
    g_autoptr(GString) path = g_string_new(kinds[kind].path);
    if (!read_members(value, kind, path, error)) {
        return false;
    }
    ret_question->method = kinds[kind].method;
    ret_question->path = g_strdup(path->str);
    ret_question->body =
        kinds[kind].parameter == NULL ? json_object_get(value, kinds[kind].name) : NULL;
    return true;
}
