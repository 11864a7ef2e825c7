#include "base/resources.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/units.h"

bool resources_is_zero(const Resources *r)
{
    if (r == NULL) {
        return true;
    }
    for (size_t i = 0; i < int_map_size(r->accelerators); i++) {
        if (int_map_value(r->accelerators, i) != 0) {
            return false;
        }
    }
    return r->cpu == 0 && r->memory == 0 && r->disk == 0 && r->disk_bw == 0 && r->net_bw == 0;
}

static void append(GString *text, BerthQuantity quantity, int64_t amount, const char *name)
{
    if (amount != 0) {
        g_autofree char *shown = berth_quantity_format(quantity, amount);
        g_string_append_printf(text, "%s%s %s", text->len > 0 ? ", " : "", shown, name);
    }
}

char *resources_format(const Resources *r)
{
    if (resources_is_zero(r)) {
        return g_strdup("nothing");
    }
    GString *text = g_string_new(NULL);
    append(text, BERTH_QUANTITY_CPU, r->cpu, "cpu");
    append(text, BERTH_QUANTITY_MEMORY, r->memory, "memory");
    append(text, BERTH_QUANTITY_DISK, r->disk, "disk");
    append(text, BERTH_QUANTITY_DISK_BW, r->disk_bw, "disk-bw");
    append(text, BERTH_QUANTITY_NET_BW, r->net_bw, "net-bw");
    for (size_t i = 0; i < int_map_size(r->accelerators); i++) {
        g_string_append_printf(text, "%s%" G_GINT64_FORMAT " %s", text->len > 0 ? ", " : "",
                               int_map_value(r->accelerators, i), int_map_key(r->accelerators, i));
    }
    return g_string_free(text, FALSE);
}

static const struct {
    const char *name;
    BerthQuantity quantity;
    size_t offset;
} dimensions[] = {
    {"cpu", BERTH_QUANTITY_CPU, offsetof(Resources, cpu)},
    {"memory", BERTH_QUANTITY_MEMORY, offsetof(Resources, memory)},
    {"disk", BERTH_QUANTITY_DISK, offsetof(Resources, disk)},
    {"disk-bw", BERTH_QUANTITY_DISK_BW, offsetof(Resources, disk_bw)},
    {"net-bw", BERTH_QUANTITY_NET_BW, offsetof(Resources, net_bw)},
};

static bool set_accelerator(Resources *resources, const char *name, const char *text,
                            GError **error)
{
    guint64 amount = 0;
    if (strchr(name, '/') == NULL) {
        return berth_error_set(
            error, BERTH_ERROR_INVALID, name, text,
            "resources are cpu, memory, disk, disk-bw, net-bw and accelerators such "
            "as gpu/a100",
            "there is no resource of this name");
    }
    if (!g_ascii_string_to_unsigned(text, 10, 0, 1000000, &amount, NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, name, text,
                               "write a plain number of slices",
                               "not a number of slices from 0 to 1000000");
    }
    int_map_set(resources->accelerators, name, (int64_t)amount);
    return true;
}

static bool set_amount(Resources *resources, const char *name, const char *text, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(dimensions); i++) {
        if (strcmp(dimensions[i].name, name) == 0) {
            char *at = (char *)resources + dimensions[i].offset;
            return berth_quantity_parse(dimensions[i].quantity, name, text, (int64_t *)(void *)at,
                                        error);
        }
    }
    return set_accelerator(resources, name, text, error);
}

Resources *resources_parse(const char *field, const char *text, GError **error)
{
    g_autoptr(Resources) resources = resources_new();
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    for (guint i = 0; i == 0 || parts[i] != NULL; i++) {
        char *equals = parts[i] != NULL ? strchr(parts[i], '=') : NULL;
        if (equals == NULL) {
            berth_error_set(error, BERTH_ERROR_INVALID, field, parts[i] != NULL ? parts[i] : "",
                            "write cpu=4,memory=8GiB,disk=100GiB,disk-bw=200,net-bw=1Gbit",
                            "an amount has the form NAME=QUANTITY");
            return NULL;
        }
        *equals = '\0';
        if (!set_amount(resources, parts[i], equals + 1, error)) {
            berth_error_prefix_field(error, field);
            return NULL;
        }
    }
    return g_steal_pointer(&resources);
}
