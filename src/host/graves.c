/*
 * Tombstones of VMs of which nothing else is left: so many of them one by one, those before them by
 * one mark.
 *
 * A mark (id, epoch) says: every VM whose id is not above that id was removed here up to that
 * epoch, unless there is something of it here. Ids are ULIDs, which rise as VMs are made, so the
 * mark covers what was forgotten and, besides, only VMs that are older than all that are kept one by
 * one and have never been heard of. Such a one would have to be placed here with a higher epoch, as
 * after a tombstone of its own. Thus no apply, however stale and from whatever manager, starts a VM
 * again that was removed here.
 *
 * FORGET makes a mark durable; only then are the tombstones dropped that it covers. A crash between
 * the two leaves tombstones that the mark covers too; they are dropped at the next start.
 */
#include <string.h>

#include "host/vm.h"

#include "base/order.h"

/* Forgotten at once when there are too many, so that not every removal writes a mark. */
#define SHARE_FORGOTTEN 8

static bool covers(const Mark *mark, const char *id, int64_t epoch)
{
    return mark->vm != NULL && strcmp(id, mark->vm) <= 0 && epoch <= mark->epoch;
}

static void mark_set(Mark *mark, const char *vm, int64_t epoch)
{
    char *copy = g_strdup(vm);
    g_free(mark->vm);
    *mark = (Mark){copy, epoch};
}

void graves_init(HostCore *core, const char *vm, int64_t epoch)
{
    core->graves = g_tree_new_full(berth_order_keys, NULL, g_free, g_free);
    mark_set(&core->forgotten, vm, epoch);
}

void graves_clear(HostCore *core)
{
    g_tree_unref(core->graves);
    g_free(core->forgotten.vm);
    g_free(core->next_mark.vm);
}

/* Beginning with the oldest ids: the mark that covers what is too much. */
static void ask_for_mark(HostCore *core)
{
    int64_t n = g_tree_nnodes(core->graves);
    if (!core->ready || core->mark_under_way || n <= core->config.tombstones_kept) {
        return;
    }
    int64_t leave = core->config.tombstones_kept - core->config.tombstones_kept / SHARE_FORGOTTEN;
    mark_set(&core->next_mark, core->forgotten.vm, core->forgotten.epoch);
    for (GTreeNode *g = g_tree_node_first(core->graves); n > leave; g = g_tree_node_next(g), n--) {
        const char *id = g_tree_node_key(g);
        bool above = core->next_mark.vm == NULL || strcmp(id, core->next_mark.vm) > 0;
        const int64_t *epoch = g_tree_node_value(g);
        mark_set(&core->next_mark, above ? id : core->next_mark.vm,
                 MAX(core->next_mark.epoch, *epoch));
    }
    core->mark_under_way = true;
    HostAction *action = host_act_on(core, HOST_ACTION_FORGET, core->next_mark.vm);
    action->forget_epoch = core->next_mark.epoch;
}

static gboolean collect_covered(void *id, void *epoch, void *data)
{
    HostCore *core = data;
    if (covers(&core->forgotten, id, *(int64_t *)epoch)) {
        host_act_on(core, HOST_ACTION_DROP, id);
    }
    return FALSE;
}

/* What the mark covers is dropped, whenever it came. */
static void drop_covered(HostCore *core)
{
    guint first = core->actions->len;
    g_tree_foreach(core->graves, collect_covered, core);
    for (guint i = first; i < core->actions->len; i++) {
        const HostAction *action = core->actions->pdata[i];
        g_tree_remove(core->graves, action->vm);
    }
}

void graves_ready(HostCore *core)
{
    drop_covered(core);
    ask_for_mark(core);
}

void graves_add(HostCore *core, const char *id, int64_t tombstone)
{
    if (core->ready && covers(&core->forgotten, id, tombstone)) {
        host_act_on(core, HOST_ACTION_DROP, id);
        return;
    }
    g_tree_insert(core->graves, g_strdup(id), g_memdup2(&tombstone, sizeof tombstone));
    ask_for_mark(core);
}

void graves_marked(HostCore *core, const GError *error)
{
    core->mark_under_way = false;
    if (error == NULL) { /* else the next removal asks again */
        mark_set(&core->forgotten, core->next_mark.vm, core->next_mark.epoch);
        drop_covered(core);
    }
}

int64_t graves_take(HostCore *core, const char *id)
{
    const int64_t *own = g_tree_lookup(core->graves, id);
    int64_t tombstone = own != NULL ? *own : 0;
    g_tree_remove(core->graves, id);
    bool marked = core->forgotten.vm != NULL && strcmp(id, core->forgotten.vm) <= 0;
    return marked ? MAX(tombstone, core->forgotten.epoch) : tombstone;
}
