#include "cli/quantities.h"

#include <string.h>

#include "base/error.h"
#include "base/units.h"

static const struct {
    const char *name;
    BerthQuantity quantity;
} dimensions[] = {
    {"cpu", BERTH_QUANTITY_CPU},       {"memory", BERTH_QUANTITY_MEMORY},
    {"disk", BERTH_QUANTITY_DISK},     {"disk-bw", BERTH_QUANTITY_DISK_BW},
    {"net-bw", BERTH_QUANTITY_NET_BW},
};

static bool add_accelerator(json_t *accelerators, const char *text, GError **error)
{
    const char *equals = strchr(text, '=');
    const char *slash = strchr(text, '/');
    gint64 count = 1;
    if (slash == NULL || slash == text || (equals != NULL && slash > equals) ||
        (equals != NULL && !g_ascii_string_to_signed(equals + 1, 10, 0, 1000000, &count, NULL))) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--accelerator", text,
                               "write it as gpu/a100=1", "not a name and a count of slices");
    }
    g_autofree char *name =
        equals != NULL ? g_strndup(text, (gsize)(equals - text)) : g_strdup(text);
    json_object_set_new(accelerators, name, json_integer(count));
    return true;
}

bool quantities_from_args(const CliArgs *args, json_t *resources, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(dimensions); i++) {
        const char *text = cli_args_get(args, dimensions[i].name);
        g_autofree char *field = g_strconcat("--", dimensions[i].name, NULL);
        int64_t amount;
        if (text == NULL) {
            continue;
        }
        if (!berth_quantity_parse(dimensions[i].quantity, field, text, &amount, error)) {
            return false;
        }
        json_object_set_new(resources, dimensions[i].name, json_integer(amount));
    }
    const GPtrArray *accelerators = cli_args_all(args, "accelerator");
    json_t *map = accelerators != NULL ? json_object() : NULL;
    for (guint i = 0; accelerators != NULL && i < accelerators->len; i++) {
        if (!add_accelerator(map, accelerators->pdata[i], error)) {
            json_decref(map);
            return false;
        }
    }
    if (map != NULL) {
        json_object_set_new(resources, "accelerators", map);
    }
    return true;
}

/* A number as a person wrote it: 15 digits give back every decimal fraction of so many. */
static char *amount_text(const json_t *value)
{
    if (json_is_string(value)) {
        return g_strdup(json_string_value(value));
    }
    if (json_is_integer(value)) {
        return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    }
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    return json_is_real(value)
               ? g_strdup(g_ascii_formatd(text, sizeof text, "%.15g", json_real_value(value)))
               : NULL;
}

json_t *quantities_from_manifest(const json_t *vector, GError **error)
{
    json_t *resources = json_deep_copy(vector);
    for (size_t i = 0; i < G_N_ELEMENTS(dimensions); i++) {
        const char *name = dimensions[i].name;
        g_autofree char *text = amount_text(json_object_get(vector, name));
        int64_t amount;
        if (text == NULL) {
            continue;
        }
        if (!berth_quantity_parse(dimensions[i].quantity, name, text, &amount, error)) {
            json_decref(resources);
            return NULL;
        }
        json_object_set_new(resources, name, json_integer(amount));
    }
    return resources;
}

char *quantities_readable(const char *field, const char *value)
{
    const char *dot = field != NULL ? strrchr(field, '.') : NULL;
    const char *name = dot != NULL ? dot + 1 : field;
    gint64 amount;
    if (name == NULL || value == NULL ||
        !g_ascii_string_to_signed(value, 10, 0, BERTH_QUANTITY_MAX, &amount, NULL)) {
        return NULL;
    }
    if (g_str_has_suffix(name, "-seconds") && amount <= G_MAXINT64 / 1000) {
        return berth_quantity_format(BERTH_QUANTITY_DURATION, amount * 1000);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(dimensions); i++) {
        if (strcmp(name, dimensions[i].name) == 0) {
            return berth_quantity_format(dimensions[i].quantity, amount);
        }
    }
    return NULL;
}
