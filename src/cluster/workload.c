#include "cluster/workload.h"

#include "cluster/devices.h"
#include "cluster/fleet.h"
#include "place/devices.h"

/* Counted anew when so many per cent of the VMs have come since, since each count looks at all of them. */
#define GROWTH_PER_CENT 25

void workload_changed(ClusterCore *core)
{
    core->workload_vms = -1;
}

static bool is_stale(const ClusterCore *core)
{
    int64_t now = g_tree_nnodes(core->vms), then = core->workload_vms;
    return then < 0 || ABS(now - then) * 100 > MAX(then, 1) * GROWTH_PER_CENT;
}

/* The VMs of each size. */
static GHashTable *count_sizes(const ClusterCore *core)
{
    GHashTable *counts = g_hash_table_new(g_str_hash, g_str_equal);
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (vm->spec->size != NULL) {
            gint count = GPOINTER_TO_INT(g_hash_table_lookup(counts, vm->spec->size));
            g_hash_table_insert(counts, vm->spec->size, GINT_TO_POINTER(count + 1));
        }
    }
    return counts;
}

/* The engine takes one demand for devices; of a size that makes several the first is what is typical. False:
 * no host has, or could give, what the size asks for. */
static bool typical_of(ClusterCore *core, const Size *size, Vector *ret_vector,
                       BerthPlaceDevices *ret_devices)
{
    BerthPlaceDevices demands[MAX_DIMENSIONS - N_FIXED];
    uint32_t n = 0;
    if (!fleet_vector(core, size->resources, ret_vector, NULL) ||
        !devices_demands(core, ret_vector, demands, &n, NULL)) {
        return false;
    }
    *ret_devices = n > 0 ? demands[0] : (BerthPlaceDevices){.n = 0};
    return n > 0 || int_map_size(size->resources->accelerators) == 0;
}

bool workload_refresh(ClusterCore *core)
{
    if (!is_stale(core)) {
        return core->has_workload;
    }
    guint most = MIN(g_tree_nnodes(core->sizes), BERTH_PLACE_MAX_TYPICAL), n = 0;
    g_autofree Vector *vectors = g_new0(Vector, most);
    g_autofree BerthPlaceTypical *typical = g_new0(BerthPlaceTypical, most);
    g_autoptr(GHashTable) counts = count_sizes(core);
    for (GTreeNode *s = g_tree_node_first(core->sizes); s != NULL && n < most;
         s = g_tree_node_next(s)) {
        const Size *size = g_tree_node_value(s);
        if (typical_of(core, size, &vectors[n], &typical[n].devices)) {
            int64_t count = GPOINTER_TO_INT(g_hash_table_lookup(counts, size->name));
            typical[n].vector = vectors[n].amount;
            typical[n].weight = (uint32_t)MIN(count + 1, BERTH_PLACE_MAX_WEIGHT / most);
            n++;
        }
    }
    if (berth_place_set_workload(core->place, typical, n) == BERTH_PLACE_OK) {
        core->has_workload = n > 0;
        core->workload_vms = g_tree_nnodes(core->vms);
    }
    return core->has_workload;
}
