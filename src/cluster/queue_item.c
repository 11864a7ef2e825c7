#include "cluster/queue_item.h"

#include "base/error.h"
#include "base/timefmt.h"
#include "cluster/apps.h"
#include "cluster/devices.h"
#include "cluster/ends.h"
#include "cluster/preempt.h"
#include "cluster/promises.h"
#include "cluster/reservations.h"
#include "cluster/spec.h"

const char *queue_item_id(const QueueItem *item)
{
    return item->queued != NULL ? item->queued->id
           : item->app != NULL  ? item->app->id
                                : item->vm->id;
}

const char *queue_item_name(const QueueItem *item)
{
    return item->vm != NULL                   ? item->vm->spec->name
           : item->app != NULL                ? item->app->spec->name
           : item->queued->object->vm != NULL ? item->queued->object->vm->name
                                              : item->queued->object->app->name;
}

const char *queue_item_tenant(const QueueItem *item)
{
    return item->queued != NULL ? item->queued->object->tenant
           : item->app != NULL  ? item->app->tenant
                                : item->vm->tenant;
}

int64_t queue_item_priority(const QueueItem *item)
{
    return item->vm != NULL                   ? item->vm->spec->priority
           : item->app != NULL                ? item->app->spec->priority
           : item->queued->object->vm != NULL ? item->queued->object->vm->priority
                                              : item->queued->object->app->priority;
}

int64_t queue_item_since_ms(const QueueItem *item)
{
    return item->queued != NULL ? item->queued->object->since_ms
           : item->app != NULL  ? item->app->spec->created_ms
                                : item->vm->spec->preempted_ms;
}

/* What ends by itself has its time from when it is placed; with a reservation, it ends with that. */
static int64_t end_from_now(const ClusterCore *core, const QueuedRequest *object, int64_t ends_ms,
                            const char *reservation)
{
    return ends_ms == 0 || reservation != NULL ? ends_ms
                                               : ends_ms + core->now_ms - object->since_ms;
}

AppSpec *queue_item_app(const ClusterCore *core, const ClusterQueued *queued)
{
    AppSpec *app = app_spec_copy(queued->object->app);
    app->ends_ms = end_from_now(core, queued->object, app->ends_ms, app->reservation);
    return app;
}

VmSpec *queue_item_spec(ClusterCore *core, const QueueItem *item, GError **error)
{
    if (item->vm != NULL) {
        return vm_spec_copy(item->vm->spec);
    }
    if (item->app != NULL) {
        return spec_of_app_vm(core, item->app, 1, error);
    }
    const QueuedRequest *object = item->queued->object;
    ClusterApp app = {.spec = object->app, .id = object->id};
    VmSpec *spec =
        object->vm != NULL ? vm_spec_copy(object->vm) : spec_of_app_vm(core, &app, 1, error);
    if (spec != NULL) {
        spec->ends_ms = end_from_now(core, object, spec->ends_ms, spec->reservation);
    }
    return spec;
}

static bool same_map(const StringMap *a, const StringMap *b)
{
    size_t n = a != NULL ? string_map_size(a) : 0;
    bool same = n == (b != NULL ? string_map_size(b) : 0);
    for (size_t i = 0; same && i < n; i++) {
        same = g_str_equal(string_map_key(a, i), string_map_key(b, i)) &&
               g_str_equal(string_map_value(a, i), string_map_value(b, i));
    }
    return same;
}

static bool same_list(const GPtrArray *a, const GPtrArray *b)
{
    bool same = a->len == b->len;
    for (guint i = 0; same && i < a->len; i++) {
        same = g_str_equal(a->pdata[i], b->pdata[i]);
    }
    return same;
}

static int64_t lasts(const QueuedRequest *object, int64_t ends_ms)
{
    return ends_ms > 0 ? ends_ms - object->since_ms : 0;
}

static bool same_vm(const QueuedRequest *x, const QueuedRequest *y)
{
    const VmSpec *a = x->vm, *b = y->vm;
    return lasts(x, a->ends_ms) == lasts(y, b->ends_ms) && a->at_end == b->at_end &&
           a->grace_seconds == b->grace_seconds && a->priority == b->priority &&
           g_strcmp0(a->host, b->host) == 0 && g_strcmp0(a->reservation, b->reservation) == 0 &&
           resources_equal(a->resources, b->resources) && same_map(a->labels, b->labels) &&
           same_map(a->host_labels, b->host_labels) && same_list(a->networks, b->networks) &&
           g_strcmp0(a->trust_domain, b->trust_domain) == 0;
}

static bool same_app(const QueuedRequest *x, const QueuedRequest *y)
{
    const AppSpec *a = x->app, *b = y->app;
    return lasts(x, a->ends_ms) == lasts(y, b->ends_ms) && a->at_end == b->at_end &&
           a->grace_seconds == b->grace_seconds && a->priority == b->priority &&
           a->count == b->count && a->partial == b->partial && g_strcmp0(a->size, b->size) == 0 &&
           g_strcmp0(a->reservation, b->reservation) == 0 && same_map(a->labels, b->labels) &&
           same_map(a->host_labels, b->host_labels) && same_list(a->networks, b->networks) &&
           g_strcmp0(a->trust_domain, b->trust_domain) == 0;
}

/* Rules that name the VM or the app are no matter here: they are held again when it is placed. */
bool queue_item_wants_same(const ClusterQueued *a, const ClusterQueued *b)
{
    const QueuedRequest *x = a->object, *y = b->object;
    return x->deadline_ms == 0 && y->deadline_ms == 0 && g_str_equal(x->tenant, y->tenant) &&
           ((x->vm != NULL && y->vm != NULL && same_vm(x, y)) ||
            (x->app != NULL && y->app != NULL && same_app(x, y)));
}

int64_t queue_item_needed(const QueueItem *item)
{
    const AppSpec *app = item->queued != NULL ? item->queued->object->app : NULL;
    return app == NULL ? 1 : app->partial > 0 ? app->partial : app->count;
}

int64_t queue_item_count(const QueueItem *item)
{
    return item->app != NULL ? app_missing(item->app)
           : item->queued != NULL && item->queued->object->app != NULL
               ? item->queued->object->app->count
               : 1;
}

/* The latest start that is of use. */
static int64_t latest_ms(const ClusterCore *core, const QueueItem *item, const VmSpec *spec)
{
    const QueuedRequest *object = item->queued != NULL ? item->queued->object : NULL;
    int64_t latest = INT64_MAX;
    if (object != NULL && object->deadline_ms > 0) {
        latest = object->deadline_ms - (spec->ends_ms - core->now_ms);
    }
    return object != NULL && object->until_ms > 0 ? MIN(latest, object->until_ms) : latest;
}

/* The question for a start. Its parts are borrowed; false: none can be promised to it. */
static bool ask_for(ClusterCore *core, const QueueItem *item, const VmSpec *spec,
                    EngineRequest *engine, PromiseAsked *ret_asked)
{
    const char *tenant = queue_item_tenant(item);
    int64_t needed = queue_item_needed(item);
    const ClusterHost *only = spec->host != NULL ? find_host(core, spec->host, NULL) : NULL;
    bool ends = ends_by_itself(core, spec);
    if (spec->reservation != NULL || needed < 1 || (spec->host != NULL && only == NULL)) {
        return false;
    }
    if (item->vm != NULL ? !preempt_request(core, item->vm, engine)
                         : !reservations_admit(core, tenant, spec, needed, NULL) ||
                               !fleet_request(core, tenant, spec, only, engine, NULL)) {
        return false;
    }
    devices_ask_cut(core, engine);
    *ret_asked = (PromiseAsked){
        .id = queue_item_id(item),
        .name = queue_item_name(item),
        .engine = engine,
        .priority = queue_item_priority(item),
        .count = (guint)needed,
        .lasts_ms = ends ? ends_release_ms(spec) - core->now_ms : BERTH_CALENDAR_NEVER,
        .lasting = ends ? ends_lasting(spec->at_end) : 0,
        .latest_ms = latest_ms(core, item, spec),
        .firm = item->queued != NULL && item->queued->object->deadline_ms > 0};
    return true;
}

/* A start that was promised may come late by what it waits for, and by what one before it waits for. */
int64_t queue_item_due_ms(const ClusterCore *core, const ClusterQueued *queued)
{
    const QueuedRequest *object = queued->object;
    int64_t ends = object->vm != NULL ? object->vm->ends_ms : object->app->ends_ms;
    int64_t until = object->until_ms > 0 ? object->until_ms : INT64_MAX;
    return object->deadline_ms > 0 ? MIN(until, object->deadline_ms - lasts(object, ends) +
                                                    2 * core->config.patience_ms)
                                   : until;
}

/* On each host, as the store has them; empty when it needs none. */
static GPtrArray *promised_devices(const Promise *promise)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)devices_held_free);
    bool any = false;
    for (guint i = 0; promise != NULL && i < promise->count; i++) {
        const GPtrArray *its = promise->devices->pdata[i];
        DevicesHeld *held = devices_held_new();
        g_ptr_array_unref(held->devices);
        held->devices = devices_copy(its);
        g_ptr_array_add(all, held);
        any = any || its->len > 0;
    }
    if (!any) {
        g_ptr_array_set_size(all, 0);
    }
    return all;
}

static bool same_devices(const GPtrArray *a, const GPtrArray *b)
{
    bool same = a->len == b->len;
    for (guint i = 0; same && i < a->len; i++) {
        same = devices_equal(((const DevicesHeld *)a->pdata[i])->devices,
                             ((const DevicesHeld *)b->pdata[i])->devices);
    }
    return same;
}

void queue_item_keep(ClusterCore *core, ClusterQueued *queued)
{
    QueuedRequest *object = queued->object;
    const Promise *promise = promise_of(core, queued->id);
    g_autoptr(GPtrArray) hosts = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; promise != NULL && i < promise->count; i++) {
        const ClusterHost *host = core->by_handle->pdata[promise->hosts[i]];
        g_ptr_array_add(hosts, g_strdup(host->id));
    }
    g_autoptr(GPtrArray) devices = promised_devices(promise);
    int64_t start = promise != NULL ? promise->start_ms : 0;
    bool same = object->start_ms == start && same_list(object->hosts, hosts) &&
                same_devices(object->devices, devices);
    if (!same) {
        object->start_ms = start;
        g_ptr_array_unref(object->hosts);
        object->hosts = g_steal_pointer(&hosts);
        g_ptr_array_unref(object->devices);
        object->devices = g_steal_pointer(&devices);
        save_queued(core, queued);
    }
}

bool queue_item_plan(ClusterCore *core, const QueueItem *item, int64_t *ret_start)
{
    g_autoptr(VmSpec) spec = queue_item_spec(core, item, NULL);
    EngineRequest engine = {.allowed = NULL};
    PromiseAsked asked;
    int64_t start = INT64_MAX;
    bool promised = false;
    if (spec != NULL && ask_for(core, item, spec, &engine, &asked)) {
        promised = promise_plan(core, &asked, &start);
    } else {
        promise_forget(core, queue_item_id(item));
    }
    fleet_request_clear(&engine);
    if (ret_start != NULL) {
        *ret_start = start;
    }
    return promised;
}

bool queue_item_is_late(ClusterCore *core, const QueueItem *item)
{
    g_autoptr(VmSpec) spec = queue_item_spec(core, item, NULL);
    return spec == NULL || latest_ms(core, item, spec) < core->now_ms;
}

void queue_item_take_up(ClusterCore *core, ClusterQueued *queued)
{
    QueueItem item = {.queued = queued};
    g_autoptr(VmSpec) spec = queue_item_spec(core, &item, NULL);
    EngineRequest engine = {.allowed = NULL};
    PromiseAsked asked;
    if (queued->object->hosts->len > 0 && spec != NULL &&
        ask_for(core, &item, spec, &engine, &asked)) {
        promise_take_up(core, &asked, queued->object->start_ms, queued->object->hosts,
                        queued->object->devices);
    }
    fleet_request_clear(&engine);
}

void queue_item_refuse_deadline(ClusterCore *core, const QueueItem *item, int64_t start,
                                GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(VmSpec) spec = queue_item_spec(core, item, &why);
    int64_t deadline = item->queued->object->deadline_ms;
    g_autofree char *text = berth_time_format(deadline);
    if (spec != NULL && start != INT64_MAX) {
        ends_refuse_deadline(text, start, spec->ends_ms - core->now_ms, error);
        return;
    }
    if (spec == NULL ||
        reservations_admit(core, queue_item_tenant(item), spec, queue_item_needed(item), &why)) {
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "deadline", text,
                        "ask without a deadline, for less, or make room",
                        "the deadline cannot be promised: no time is known at which there is room");
        return;
    }
    berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "deadline", text, berth_error_remedy(why),
                    "the deadline cannot be promised: %s", why->message);
}
