#include <string.h>

#include "base/error.h"
#include "cluster/apps.h"
#include "cluster/commands.h"
#include "cluster/queue.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"

static void describe_queued(const ClusterQueued *queued, QueueEntry *entry)
{
    const QueuedRequest *object = queued->object;
    const VmSpec *vm = object->vm;
    entry->id = g_strdup(queued->id);
    entry->kind = vm != NULL ? SUBJECT_KIND_VM : SUBJECT_KIND_APP;
    entry->name = g_strdup(vm != NULL ? vm->name : object->app->name);
    entry->size = g_strdup(vm != NULL ? vm->size : object->app->size);
    entry->priority = vm != NULL ? vm->priority : object->app->priority;
    entry->count = vm != NULL ? 1 : object->app->count;
    entry->operation = g_strdup(object->operation);
    entry->since_ms = object->since_ms;
    entry->until_ms = object->until_ms;
}

static void describe_app(const ClusterApp *app, QueueEntry *entry)
{
    entry->id = g_strdup(app->id);
    entry->kind = SUBJECT_KIND_APP;
    entry->name = g_strdup(app->spec->name);
    entry->size = g_strdup(app->spec->size);
    entry->priority = app->spec->priority;
    entry->count = app_missing(app);
    entry->since_ms = app->spec->created_ms;
}

static void describe_vm(const ClusterVm *vm, QueueEntry *entry)
{
    entry->id = g_strdup(vm->id);
    entry->kind = SUBJECT_KIND_VM;
    entry->name = g_strdup(vm->spec->name);
    entry->size = g_strdup(vm->spec->size);
    entry->priority = vm->spec->priority;
    entry->since_ms = vm->spec->preempted_ms;
}

static QueueEntry *describe(ClusterCore *core, const QueueItem *item, guint place)
{
    QueueEntry *entry = queue_entry_new();
    if (item->queued != NULL) {
        describe_queued(item->queued, entry);
    } else if (item->app != NULL) {
        describe_app(item->app, entry);
    } else {
        describe_vm(item->vm, entry);
    }
    entry->tenant = g_strdup(queue_item_tenant(item));
    entry->place = place + 1;
    entry->share = item->share;
    entry->reason = queue_reason(core, item);
    return entry;
}

static const char *item_id(const QueueItem *item)
{
    return item->queued != NULL ? item->queued->id
           : item->app != NULL  ? item->app->id
                                : item->vm->id;
}

static const char *item_name(const QueueItem *item)
{
    return item->vm != NULL                   ? item->vm->spec->name
           : item->app != NULL                ? item->app->spec->name
           : item->queued->object->vm != NULL ? item->queued->object->vm->name
                                              : item->queued->object->app->name;
}

/* The place behind that of `after`, which may have left meanwhile: then the list begins anew. */
static guint first_after(const GArray *order, const char *after)
{
    for (guint i = 0; after != NULL && i < order->len; i++) {
        if (strcmp(item_id(&g_array_index(order, QueueItem, i)), after) == 0) {
            return i + 1;
        }
    }
    return 0;
}

bool list_queue(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListQueueQuery *query = request->query;
    const char *shown = tenant_shown(request);
    g_autoptr(GArray) order = queue_order(core);
    g_autoptr(QueueList) list = queue_list_new();
    for (guint i = first_after(order, query->after); i < order->len; i++) {
        const QueueItem *item = &g_array_index(order, QueueItem, i);
        if (!tenant_is_shown(shown, queue_item_tenant(item))) {
            continue;
        }
        if ((int64_t)list->items->len == query->limit) {
            const QueueEntry *last = list->items->pdata[list->items->len - 1];
            list->next = g_strdup(last->id);
            break;
        }
        g_ptr_array_add(list->items, describe(core, item, i));
    }
    reply_json(core, request->id, 200, queue_list_encode(list), -1);
    return true;
}

/* By id, or else by name, of the tenant's; -1 with NOT_FOUND. */
static int find(const GArray *order, const char *tenant, const char *key, GError **error)
{
    int named = -1;
    for (guint i = 0; i < order->len; i++) {
        const QueueItem *item = &g_array_index(order, QueueItem, i);
        if (strcmp(queue_item_tenant(item), tenant) != 0) {
            continue;
        }
        if (strcmp(item_id(item), key) == 0) {
            return (int)i;
        }
        if (named < 0 && strcmp(item_name(item), key) == 0) {
            named = (int)i;
        }
    }
    if (named < 0) {
        berth_error_set(error, BERTH_ERROR_NOT_FOUND, "entry", key, "see 'berth queue list'",
                        "nothing of this name or id waits");
    }
    return named;
}

bool get_queue_entry(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    g_autoptr(GArray) order = queue_order(core);
    int place = find(order, request->principal.tenant, request->params[0], error);
    if (place < 0) {
        return false;
    }
    g_autoptr(QueueEntry) entry =
        describe(core, &g_array_index(order, QueueItem, place), (guint)place);
    reply_json(core, request->id, 200, queue_entry_encode(entry), -1);
    return true;
}

bool delete_queue_entry(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    g_autoptr(GArray) order = queue_order(core);
    int place = find(order, request->principal.tenant, request->params[0], error);
    if (place < 0) {
        return false;
    }
    const QueueItem *item = &g_array_index(order, QueueItem, place);
    if (item->queued == NULL) {
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "entry", item_name(item),
                               item->app != NULL ? "change its count, or delete it"
                                                 : "delete the VM to give up its place",
                               item->app != NULL
                                   ? "the app is there; it waits for the VMs that it lacks"
                                   : "the VM is there; it was preempted and waits to go on");
    }
    GError *why = NULL;
    berth_error_set(&why, BERTH_ERROR_CONFLICT, NULL, NULL, NULL, "taken out of the queue");
    queue_drop(core, item->queued, why);
    reply_json(core, request->id, 200, json_object(), -1);
    return true;
}
