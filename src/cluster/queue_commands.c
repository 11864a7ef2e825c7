#include <string.h>

#include "base/error.h"
#include "cluster/apps.h"
#include "cluster/commands.h"
#include "cluster/promises.h"
#include "cluster/queue.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"

static const char *size_of(const QueueItem *item)
{
    return item->vm != NULL                   ? item->vm->spec->size
           : item->app != NULL                ? item->app->spec->size
           : item->queued->object->vm != NULL ? item->queued->object->vm->size
                                              : item->queued->object->app->size;
}

static void describe_start(const ClusterCore *core, const QueueItem *item, QueueEntry *entry)
{
    const Promise *promise = promise_of(core, queue_item_id(item));
    if (promise != NULL) {
        entry->expected_ms = promise->start_ms;
        entry->expected = promise_text(core, promise);
    }
}

static QueueEntry *describe(ClusterCore *core, const QueueItem *item, guint place)
{
    QueueEntry *entry = queue_entry_new();
    const QueuedRequest *object = item->queued != NULL ? item->queued->object : NULL;
    bool is_app = item->app != NULL || (object != NULL && object->app != NULL);
    entry->id = g_strdup(queue_item_id(item));
    entry->kind = is_app ? SUBJECT_KIND_APP : SUBJECT_KIND_VM;
    entry->name = g_strdup(queue_item_name(item));
    entry->tenant = g_strdup(queue_item_tenant(item));
    entry->size = g_strdup(size_of(item));
    entry->priority = queue_item_priority(item);
    entry->count = queue_item_count(item);
    entry->since_ms = queue_item_since_ms(item);
    if (object != NULL) {
        entry->operation = g_strdup(object->operation);
        entry->until_ms = object->until_ms;
        entry->deadline_ms = object->deadline_ms;
    }
    describe_start(core, item, entry);
    entry->place = place + 1;
    entry->share = item->share;
    entry->reason = queue_reason(core, item);
    return entry;
}

/* The place behind that of `after`, which may have left meanwhile: then the list begins anew. */
static guint first_after(const GArray *order, const char *after)
{
    for (guint i = 0; after != NULL && i < order->len; i++) {
        if (strcmp(queue_item_id(&g_array_index(order, QueueItem, i)), after) == 0) {
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
    reply_object(core, request->id, 200, &queue_list_type, list, -1);
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
        if (strcmp(queue_item_id(item), key) == 0) {
            return (int)i;
        }
        if (named < 0 && strcmp(queue_item_name(item), key) == 0) {
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
    reply_object(core, request->id, 200, &queue_entry_type, entry, -1);
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
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "entry", queue_item_name(item),
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
