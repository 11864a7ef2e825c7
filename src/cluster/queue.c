#include "cluster/queue.h"

#include <string.h>

#include "base/error.h"
#include "base/units.h"
#include "cluster/apps.h"
#include "cluster/commands.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/keys.h"
#include "cluster/preempt.h"
#include "cluster/reservations.h"
#include "cluster/spec.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"
#include "cluster/vms.h"
#include "place/fairness.h"

/* Between two rounds. */
#define PAUSE_MS 1000

/* Of one tenant, so that none fills the store. */
#define MOST_WAITING 1000

static const char *name_of(const ClusterQueued *queued)
{
    return queued->object->vm != NULL ? queued->object->vm->name : queued->object->app->name;
}

static int64_t priority_of(const ClusterQueued *queued)
{
    return queued->object->vm != NULL ? queued->object->vm->priority
                                      : queued->object->app->priority;
}

/* What keeps the name of its VM or app. */
static char *kept_name(const ClusterQueued *queued)
{
    return g_strconcat(queued->object->vm != NULL ? "vm:" : "app:", name_of(queued), NULL);
}

static Subject subject_of(const ClusterQueued *queued)
{
    return (Subject){.kind = queued->object->vm != NULL ? SUBJECT_KIND_VM : SUBJECT_KIND_APP,
                     .id = queued->id,
                     .name = (char *)name_of(queued)};
}

/* Only what has no room now can wait for it; all else is wrong in itself. */
static bool is_for_want_of_room(const GError *error)
{
    return g_error_matches(error, BERTH_ERROR, BERTH_ERROR_NO_CAPACITY) ||
           g_error_matches(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
}

/* All who wait, with what the engine needs to put them into order. */
typedef struct {
    BerthFair *fair;
    GArray *items;       /* of QueueItem, by number of the request */
    GHashTable *tenants; /* name → number + 1 */
} Round;

static void round_clear(Round *round)
{
    berth_fair_free(round->fair);
    g_array_unref(round->items);
    g_hash_table_unref(round->tenants);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Round, round_clear)

static void round_begin(ClusterCore *core, Round *round)
{
    *round = (Round){NULL, g_array_new(FALSE, TRUE, sizeof(QueueItem)),
                     g_hash_table_new(g_str_hash, g_str_equal)};
    g_autoptr(GArray) tenants = g_array_new(FALSE, FALSE, sizeof(BerthFairTenant));
    for (GTreeNode *n = g_tree_node_first(core->tenants); n != NULL; n = g_tree_node_next(n)) {
        const ClusterTenant *tenant = g_tree_node_value(n);
        BerthFairTenant row = {tenant->usage.amount, (uint32_t)MAX(tenant->spec->weight, 1)};
        g_array_append_val(tenants, row);
        g_hash_table_insert(round->tenants, tenant->name, GUINT_TO_POINTER(tenants->len));
    }
    Vector total = fleet_total(core);
    BerthPlaceResult result = berth_fair_new(MAX_DIMENSIONS, total.amount, tenants->len,
                                             (const BerthFairTenant *)tenants->data, &round->fair);
    g_assert(result == BERTH_PLACE_OK);
}

static uint32_t tenant_number(const Round *round, const char *name)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(round->tenants, name)) - 1;
}

static void round_add(Round *round, QueueItem item, int64_t priority, int64_t since_ms)
{
    uint32_t tenant = tenant_number(round, queue_item_tenant(&item));
    berth_fair_add(round->fair, round->items->len, tenant, (int32_t)priority, since_ms);
    g_array_append_val(round->items, item);
}

static void round_fill(ClusterCore *core, Round *round)
{
    round_begin(core, round);
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        ClusterQueued *queued = g_tree_node_value(n);
        round_add(round, (QueueItem){.queued = queued}, priority_of(queued),
                  queued->object->since_ms);
    }
    for (GTreeNode *n = core->apps_short > 0 ? g_tree_node_first(core->apps) : NULL; n != NULL;
         n = g_tree_node_next(n)) {
        ClusterApp *app = g_tree_node_value(n);
        if (app->is_short) {
            round_add(round, (QueueItem){.app = app}, app->spec->priority, app->spec->created_ms);
        }
    }
    for (GTreeNode *n = g_tree_node_first(core->preempted); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        if (!vm->spec->removing) {
            round_add(round, (QueueItem){.vm = vm}, vm->spec->priority, vm->spec->preempted_ms);
        }
    }
}

const char *queue_item_tenant(const QueueItem *item)
{
    return item->queued != NULL ? item->queued->object->tenant
           : item->app != NULL  ? item->app->tenant
                                : item->vm->tenant;
}

GArray *queue_order(ClusterCore *core)
{
    g_auto(Round) round;
    round_fill(core, &round);
    GArray *order = g_array_new(FALSE, FALSE, sizeof(QueueItem));
    uint32_t number;
    while (berth_fair_next(round.fair, &number)) {
        QueueItem item = g_array_index(round.items, QueueItem, number);
        item.share = berth_fair_share(round.fair, tenant_number(&round, queue_item_tenant(&item)));
        g_array_append_val(order, item);
    }
    return order;
}

bool queue_may_ask(ClusterCore *core, const ClusterRequest *request, const char *tenant,
                   int64_t priority, bool preemptible, GError **error)
{
    if (request->principal.bound && !preemptible) {
        return berth_error_set(error, BERTH_ERROR_FORBIDDEN, "preemptible", "false",
                               "leave it out, or ask an operator for the VM",
                               "only operators spare VMs from preemption");
    }
    int64_t most = model_tenant(core, tenant)->spec->max_priority;
    if (!request->principal.bound || priority <= most) {
        return true;
    }
    g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, priority);
    g_autofree char *remedy = g_strdup_printf(
        "ask for %" G_GINT64_FORMAT " at most, or have the tenant's max-priority raised", most);
    return berth_error_set(error, BERTH_ERROR_FORBIDDEN, "priority", value, remedy,
                           "more than tenant '%s' may ask for", tenant);
}

static double share_of(ClusterCore *core, const char *name)
{
    const ClusterTenant *tenant = model_tenant(core, name);
    Vector total = fleet_total(core);
    return berth_dominant_share(MAX_DIMENSIONS, tenant->usage.amount, total.amount,
                                (uint32_t)MAX(tenant->spec->weight, 1), NULL);
}

/* Does one who waits come before a newcomer? */
static bool comes_before(ClusterCore *core, const ClusterQueued *queued, const char *tenant,
                         int64_t priority)
{
    return priority_of(queued) != priority
               ? priority_of(queued) > priority
               : share_of(core, queued->object->tenant) <= share_of(core, tenant);
}

bool queue_lets_pass(ClusterCore *core, const char *tenant, int64_t priority, GError **error)
{
    /* Ids rise with time, so that the first are the oldest. */
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        const ClusterQueued *queued = g_tree_node_value(n);
        if (queued->object->since_ms + core->config.starvation_ms > core->now_ms) {
            return true;
        }
        if (queued->starving && comes_before(core, queued, tenant, priority)) {
            return berth_error_set(
                error, BERTH_ERROR_NO_CAPACITY, NULL, NULL,
                "wait too (--queue), or ask with a higher priority; see 'berth queue list'",
                "others wait: the next room goes to a request that has waited for %" G_GINT64_FORMAT
                " s",
                (core->now_ms - queued->object->since_ms) / 1000);
        }
    }
    return true;
}

int64_t queue_count(const ClusterCore *core, const char *tenant)
{
    int64_t count = 0;
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        count += strcmp(((ClusterQueued *)g_tree_node_value(n))->object->tenant, tenant) == 0;
    }
    return count;
}

/* What each VM of it wants; NULL with NOT_FOUND when its size is gone. */
/* What ends by itself has its time from when it is placed; with a reservation, it ends with that. */
static int64_t end_from_now(const ClusterCore *core, const QueuedRequest *object, int64_t ends_ms,
                            const char *reservation)
{
    return ends_ms == 0 || reservation != NULL ? ends_ms
                                               : ends_ms + core->now_ms - object->since_ms;
}

static VmSpec *one_of(ClusterCore *core, const QueuedRequest *object, GError **error)
{
    ClusterApp app = {.spec = object->app, .id = object->id};
    VmSpec *spec =
        object->vm != NULL ? vm_spec_copy(object->vm) : spec_of_app_vm(core, &app, 1, error);
    if (spec != NULL) {
        spec->ends_ms = end_from_now(core, object, spec->ends_ms, spec->reservation);
    }
    return spec;
}

/* How many VMs there must be room for. */
static int64_t needed(const QueuedRequest *object)
{
    const AppSpec *app = object->app;
    return app == NULL ? 1 : app->partial > 0 ? app->partial : app->count;
}

/* Could it be allowed if the tenant had nothing else? */
static bool may_enter(ClusterCore *core, const QueuedRequest *object, GError **error)
{
    g_autoptr(VmSpec) one = one_of(core, object, error);
    if (one == NULL) {
        return false;
    }
    if (queue_count(core, object->tenant) >= MOST_WAITING) {
        return berth_error_set(error, BERTH_ERROR_CONFLICT, NULL, NULL,
                               "take some out: 'berth queue remove'",
                               "%d requests of tenant '%s' wait already, the most that may",
                               MOST_WAITING, object->tenant);
    }
    return tenant_could_allow(core, object->tenant, one->resources, needed(object), error);
}

static QueuedRequest *request_of(ClusterCore *core, const char *tenant, QueueOffer *offer)
{
    QueuedRequest *object = queued_request_new();
    object->id = model_new_id(core);
    object->tenant = g_strdup(tenant);
    object->vm = g_steal_pointer(&offer->vm);
    object->app = g_steal_pointer(&offer->app);
    object->since_ms = core->now_ms;
    object->until_ms = offer->seconds > 0 ? core->now_ms + offer->seconds * 1000 : 0;
    return object;
}

static void enter(ClusterCore *core, const ClusterRequest *request, QueuedRequest *object,
                  int64_t wait, const GError *why)
{
    ClusterQueued *queued = model_add_queued(core, object);
    Subject subject = subject_of(queued);
    bool is_vm = object->vm != NULL;
    g_autofree char *message = g_strconcat("waits in the queue: ", why->message, NULL);
    queued->operation = operation_start(core, is_vm ? "vm.create" : "app.create", object->tenant,
                                        &subject, is_vm ? 1 : 0, message);
    object->operation = g_strdup(queued->operation->object->id);
    g_autofree char *name = kept_name(queued);
    name_take(core, "queue", object->tenant, name, queued->id, queued);
    save_queued(core, queued);
    if (object->until_ms > 0) {
        core->queue_due_ms = MIN(core->queue_due_ms, object->until_ms);
    }
    event_add(core, "queue.entered", &subject, NULL, queued->operation->object,
              "%s %s waits in the queue: %s", is_vm ? "VM" : "app", name_of(queued), why->message);
    operation_reply(core, request->id, queued->operation, wait);
}

void queue_or_refuse(ClusterCore *core, const ClusterRequest *request, const char *tenant,
                     QueueOffer *offer, GError *refusal)
{
    g_autoptr(GError) why = refusal;
    g_autoptr(QueuedRequest) object = request_of(core, tenant, offer);
    GError *never = NULL;
    bool waits = offer->asked && is_for_want_of_room(why);
    if (!waits || !may_enter(core, object, &never)) {
        reply_refusal(core, request->id, never != NULL ? never : g_steal_pointer(&why),
                      g_steal_pointer(&offer->verdicts));
    } else if (offer->dry_run) {
        g_autofree char *message = g_strconcat("would wait in the queue: ", why->message, NULL);
        reply_plan(core, request->id, object->vm != NULL ? "vm.create" : "app.create", message,
                   NULL, g_steal_pointer(&offer->verdicts));
    } else {
        enter(core, request, g_steal_pointer(&object), offer->wait, why);
    }
    g_clear_pointer(&offer->verdicts, explanation_free);
}

/* It waits no more; what it has become or has not is said by the caller. */
static void leave(ClusterCore *core, ClusterQueued *queued)
{
    g_autofree char *name = kept_name(queued);
    name_release(core, "queue", queued->object->tenant, name);
    txn_delete(core, key_of("queue", queued->object->tenant, queued->id));
    g_tree_remove(core->queue, queued->id);
}

void queue_drop(ClusterCore *core, ClusterQueued *queued, GError *error)
{
    Subject subject = subject_of(queued);
    event_add(core, "queue.left", &subject, NULL,
              queued->operation != NULL ? queued->operation->object : NULL,
              "%s %s waits no more: %s", queued->object->vm != NULL ? "VM" : "app", name_of(queued),
              error->message);
    if (queued->operation != NULL) {
        operation_finish(core, queued->operation, error, "left the queue");
    } else {
        g_error_free(error);
    }
    leave(core, queued);
}

/* NULL with the reason; the request is then as it was. */
static ClusterVm *place_vm(ClusterCore *core, ClusterQueued *queued, GError **error)
{
    const VmSpec *spec = queued->object->vm;
    const char *tenant = queued->object->tenant;
    ClusterHost *only = spec->host != NULL ? find_host(core, spec->host, error) : NULL;
    if ((spec->host != NULL && only == NULL) ||
        (spec->image != NULL && find_image(core, DEFAULT_TENANT, spec->image, error) == NULL)) {
        return NULL;
    }
    VmSpec *copy = one_of(core, queued->object, NULL);
    ClusterVm *vm = vm_place(core, tenant, queued->id, copy, only, error);
    if (vm == NULL && (vm = preempt_for_vm(core, tenant, queued->id, copy, only)) != NULL) {
        g_clear_error(error);
    }
    if (vm == NULL) {
        vm_spec_free(copy);
        return NULL;
    }
    Subject subject = subject_of_vm(vm);
    event_add(core, "vm.placed", &subject, vm->host->spec->name,
              queued->operation != NULL ? queued->operation->object : NULL,
              "VM %s goes to %s (%s) after %" G_GINT64_FORMAT " s in the queue", spec->name,
              vm->host->spec->name, vm->placement->why,
              (core->now_ms - queued->object->since_ms) / 1000);
    if (queued->operation != NULL) {
        operation_tell(core, queued->operation, "waits for the host");
        operation_wait_vm(queued->operation, vm);
    }
    return vm;
}

static bool place_queued(ClusterCore *core, ClusterQueued *queued, Vector *ret_got, GError **error)
{
    if (queued->object->vm != NULL) {
        const ClusterVm *vm = place_vm(core, queued, error);
        *ret_got = vm != NULL ? vm->counted : *ret_got;
        return vm != NULL;
    }
    Vector before = model_tenant(core, queued->object->tenant)->usage;
    g_autoptr(AppSpec) app = app_spec_copy(queued->object->app);
    app->ends_ms = end_from_now(core, queued->object, app->ends_ms, app->reservation);
    if (!app_place(core, queued->object->tenant, queued->id, app, queued->operation, error)) {
        return false;
    }
    const Vector *after = &model_tenant(core, queued->object->tenant)->usage;
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        ret_got->amount[d] = after->amount[d] - before.amount[d];
    }
    return true;
}

static bool has_waited_too_long(ClusterCore *core, const ClusterQueued *queued)
{
    const QueuedRequest *object = queued->object;
    if (object->since_ms + core->config.starvation_ms > core->now_ms) {
        return false;
    }
    g_autoptr(VmSpec) one = one_of(core, object, NULL);
    return one != NULL && reservations_admit(core, object->tenant, one, needed(object), NULL) &&
           fleet_could_hold(core, object->tenant, one,
                            one->host != NULL ? find_host(core, one->host, NULL) : NULL);
}

/* True: the round goes on. */
static bool serve_queued(ClusterCore *core, Round *round, uint32_t number, ClusterQueued *queued)
{
    GError *error = NULL;
    Vector got = {0};
    if (place_queued(core, queued, &got, &error)) {
        berth_fair_grant(round->fair, number, got.amount);
        leave(core, queued);
        return true;
    }
    if (!is_for_want_of_room(error)) {
        queue_drop(core, queued, error);
        return true;
    }
    g_error_free(error);
    queued->starving = has_waited_too_long(core, queued);
    return !queued->starving;
}

static void serve_app(ClusterCore *core, Round *round, uint32_t number, ClusterApp *app)
{
    ClusterTenant *tenant = model_tenant(core, app->tenant);
    Vector got = tenant->usage;
    app_resume(core, app);
    app_vm_changed(core, app);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        got.amount[d] = tenant->usage.amount[d] - got.amount[d];
    }
    berth_fair_grant(round->fair, number, got.amount);
}

static void serve_preempted(ClusterCore *core, Round *round, uint32_t number, ClusterVm *vm)
{
    Vector got = vm->counted;
    if (preempt_resume(core, vm, NULL)) {
        for (int d = 0; d < MAX_DIMENSIONS; d++) {
            got.amount[d] = vm->counted.amount[d] - got.amount[d];
        }
        berth_fair_grant(round->fair, number, got.amount);
    }
}

static void serve_round(ClusterCore *core)
{
    g_auto(Round) round;
    round_fill(core, &round);
    uint32_t number;
    bool goes_on = true;
    while (goes_on && berth_fair_next(round.fair, &number)) {
        QueueItem item = g_array_index(round.items, QueueItem, number);
        if (item.queued != NULL) {
            goes_on = serve_queued(core, &round, number, item.queued);
        } else if (item.app != NULL) {
            serve_app(core, &round, number, item.app);
        } else {
            serve_preempted(core, &round, number, item.vm);
        }
        txn_seal_if_large(core);
    }
}

static bool something_waits(const ClusterCore *core)
{
    return core->apps_short > 0 || g_tree_nnodes(core->queue) > 0 ||
           g_tree_nnodes(core->preempted) > 0;
}

/* When the first of them is to be refused. */
static void find_due(ClusterCore *core)
{
    core->queue_due_ms = INT64_MAX;
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        int64_t until = ((ClusterQueued *)g_tree_node_value(n))->object->until_ms;
        core->queue_due_ms = until > 0 ? MIN(core->queue_due_ms, until) : core->queue_due_ms;
    }
}

static void refuse_late(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL;) {
        ClusterQueued *queued = g_tree_node_value(n);
        n = g_tree_node_next(n);
        if (queued->object->until_ms == 0 || queued->object->until_ms > core->now_ms) {
            continue;
        }
        QueueItem item = {.queued = queued};
        g_autofree char *reason = queue_reason(core, &item);
        GError *error = NULL;
        berth_error_set(&error, BERTH_ERROR_NO_CAPACITY, "queue-seconds", NULL,
                        "ask for less, or wait longer",
                        "there was no room in the time that it could wait: %s", reason);
        queue_drop(core, queued, error);
        txn_seal_if_large(core);
    }
}

void queue_serve(ClusterCore *core)
{
    if (!core->writable || !core->resumed) {
        return;
    }
    if (core->now_ms >= core->queue_due_ms) {
        refuse_late(core);
        find_due(core);
    }
    if (core->room_made && something_waits(core) && core->now_ms >= core->fill_due_ms) {
        core->room_made = false;
        core->fill_due_ms = core->now_ms + PAUSE_MS;
        serve_round(core);
    }
}

int64_t queue_next_deadline(const ClusterCore *core)
{
    if (!core->writable || !core->resumed) {
        return INT64_MAX;
    }
    bool round = core->room_made && something_waits(core);
    return round ? MIN(core->fill_due_ms, core->queue_due_ms) : core->queue_due_ms;
}

char *queue_reason(ClusterCore *core, const QueueItem *item)
{
    g_autoptr(GError) error = NULL;
    const char *tenant = queue_item_tenant(item);
    if (item->vm != NULL) {
        return g_strdup(preempt_can_resume(core, item->vm, &error) ? "its turn comes"
                                                                   : error->message);
    }
    g_autoptr(VmSpec) one = item->queued != NULL ? one_of(core, item->queued->object, &error)
                                                 : spec_of_app_vm(core, item->app, 1, &error);
    int64_t count = item->app != NULL                   ? app_missing(item->app)
                    : item->queued->object->app != NULL ? item->queued->object->app->count
                                                        : 1;
    ClusterHost *only = one != NULL && one->host != NULL ? find_host(core, one->host, NULL) : NULL;
    if (one != NULL && reservations_admit(core, tenant, one, count, &error)) {
        g_autoptr(GPtrArray) hosts = fleet_try(core, tenant, one, only, count, NULL, &error);
        if (hosts != NULL) {
            return g_strdup("its turn comes");
        }
    }
    return g_strdup(error->message);
}

void queue_load_finish(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        ClusterQueued *queued = g_tree_node_value(n);
        g_autofree char *name = kept_name(queued);
        name_index(core, "queue", queued->object->tenant, name, queued);
    }
    find_due(core);
}

bool queue_check(const ClusterCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        const ClusterQueued *queued = g_tree_node_value(n);
        g_autofree char *name = kept_name(queued);
        g_autofree char *key = g_strconcat("queue/", queued->object->tenant, "/", name, NULL);
        if (g_tree_lookup(core->vms, queued->id) != NULL ||
            g_tree_lookup(core->apps, queued->id) != NULL) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, "queue", queued->id, NULL,
                                   "what waits is placed already");
        }
        if (g_hash_table_lookup(core->names, key) != queued) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, "queue", queued->id, NULL,
                                   "its name is not kept for what waits");
        }
        if (queued->operation == NULL ||
            queued->operation->object->state != OPERATION_STATE_RUNNING) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, "queue", queued->id, NULL,
                                   "what waits has no operation that runs");
        }
    }
    return true;
}
