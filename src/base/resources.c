#include "base/resources.h"

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
