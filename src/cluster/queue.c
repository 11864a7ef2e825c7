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
#include "cluster/promises.h"
#include "cluster/rescue.h"
#include "cluster/reservations.h"
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
    return queue_item_name(&(QueueItem){.queued = (ClusterQueued *)queued});
}

static int64_t priority_of(const ClusterQueued *queued)
{
    return queue_item_priority(&(QueueItem){.queued = (ClusterQueued *)queued});
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
    bool held_up;        /* by one that has waited too long */
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
    *round = (Round){.items = g_array_new(FALSE, TRUE, sizeof(QueueItem)),
                     .tenants = g_hash_table_new(g_str_hash, g_str_equal)};
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

static void round_add(Round *round, QueueItem item)
{
    uint32_t tenant = tenant_number(round, queue_item_tenant(&item));
    berth_fair_add(round->fair, round->items->len, tenant, (int32_t)queue_item_priority(&item),
                   queue_item_since_ms(&item));
    g_array_append_val(round->items, item);
}

static void round_fill(ClusterCore *core, Round *round)
{
    round_begin(core, round);
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        round_add(round, (QueueItem){.queued = g_tree_node_value(n)});
    }
    for (GTreeNode *n = core->apps_short > 0 ? g_tree_node_first(core->apps) : NULL; n != NULL;
         n = g_tree_node_next(n)) {
        ClusterApp *app = g_tree_node_value(n);
        if (app->is_short) {
            round_add(round, (QueueItem){.app = app});
        }
    }
    for (GTreeNode *n = g_tree_node_first(core->preempted); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        if (!vm->spec->removing) {
            round_add(round, (QueueItem){.vm = vm});
        }
    }
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

/* Could it be allowed if the tenant had nothing else? */
static bool may_enter(ClusterCore *core, QueuedRequest *object, GError **error)
{
    QueueItem item = {.queued = &(ClusterQueued){.id = object->id, .object = object}};
    g_autoptr(VmSpec) one = queue_item_spec(core, &item, error);
    if (one == NULL) {
        return false;
    }
    if (queue_count(core, object->tenant) >= MOST_WAITING) {
        return berth_error_set(error, BERTH_ERROR_CONFLICT, NULL, NULL,
                               "take some out: 'berth queue remove'",
                               "%d requests of tenant '%s' wait already, the most that may",
                               MOST_WAITING, object->tenant);
    }
    return tenant_could_allow(core, object->tenant, one->resources, queue_item_needed(&item),
                              error);
}

static QueuedRequest *request_of(ClusterCore *core, const char *tenant, QueueOffer *offer)
{
    QueuedRequest *object = queued_request_new();
    object->id = model_new_id(core);
    object->tenant = g_strdup(tenant);
    object->vm = g_steal_pointer(&offer->vm);
    object->app = g_steal_pointer(&offer->app);
    object->since_ms = core->now_ms;
    object->deadline_ms = offer->deadline_ms;
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
    queue_item_keep(core, queued);
    save_queued(core, queued);
    core->room_made = true; /* it may be given a start */
    core->queue_due_ms = MIN(core->queue_due_ms, queue_item_due_ms(core, queued));
    event_add(core, "queue.entered", &subject, NULL, queued->operation->object,
              "%s %s waits in the queue: %s", is_vm ? "VM" : "app", name_of(queued), why->message);
    operation_reply(core, request->id, queued->operation, wait);
}

/* A deadline is met from the start, by a promise, or refused. */
static bool promise_deadline(ClusterCore *core, QueuedRequest *object, bool only_ask,
                             GError **error)
{
    QueueItem item = {.queued = &(ClusterQueued){.id = object->id, .object = object}};
    bool room_made = core->room_made;
    int64_t start = INT64_MAX;
    if (object->deadline_ms == 0) {
        return true;
    }
    bool promised = queue_item_plan(core, &item, &start);
    if (!promised) {
        queue_item_refuse_deadline(core, &item, start, error);
    }
    if (only_ask) {
        promise_forget(core, object->id);
        core->room_made = room_made;
    }
    return promised;
}

static bool something_waits(const ClusterCore *core)
{
    return core->apps_short > 0 || g_tree_nnodes(core->queue) > 0 ||
           g_tree_nnodes(core->preempted) > 0 || rescue_is_due(core);
}

/* The next round may be a second away, and a newcomer could take the room until then. What comes before it has
 * been tried since room was made last, and has the start that it can have; behind one that has waited too
 * long nobody is given one. */
static void promise_at_once(ClusterCore *core, QueuedRequest *object)
{
    QueueItem item = {.queued = &(ClusterQueued){.id = object->id, .object = object}};
    bool all_tried = !core->room_made || !something_waits(core);
    if (object->deadline_ms == 0 && all_tried && promises_may_add(core) &&
        queue_lets_pass(core, object->tenant, queue_item_priority(&item), NULL)) {
        queue_item_plan(core, &item, NULL);
    }
}

void queue_or_refuse(ClusterCore *core, const ClusterRequest *request, const char *tenant,
                     QueueOffer *offer, GError *refusal)
{
    g_autoptr(GError) why = refusal;
    g_autoptr(QueuedRequest) object = request_of(core, tenant, offer);
    GError *never = NULL;
    bool waits = (offer->asked || offer->deadline_ms > 0) && is_for_want_of_room(why);
    if (!waits || !may_enter(core, object, &never) ||
        !promise_deadline(core, object, offer->dry_run, &never)) {
        reply_refusal(core, request->id, never != NULL ? never : g_steal_pointer(&why),
                      g_steal_pointer(&offer->verdicts));
    } else if (offer->dry_run) {
        g_autofree char *message = g_strconcat("would wait in the queue: ", why->message, NULL);
        reply_plan(core, request->id, object->vm != NULL ? "vm.create" : "app.create", message,
                   NULL, g_steal_pointer(&offer->verdicts));
    } else {
        promise_at_once(core, object);
        enter(core, request, g_steal_pointer(&object), offer->wait, why);
    }
    g_clear_pointer(&offer->verdicts, explanation_free);
}

/* It waits no more; what it has become or has not is said by the caller. */
static void leave(ClusterCore *core, ClusterQueued *queued)
{
    promise_forget(core, queued->id);
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
    VmSpec *copy = queue_item_spec(core, &(QueueItem){.queued = queued}, NULL);
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
    g_autoptr(AppSpec) app = queue_item_app(core, queued);
    if (!app_place(core, queued->object->tenant, queued->id, app, queued->operation, error)) {
        return false;
    }
    const Vector *after = &model_tenant(core, queued->object->tenant)->usage;
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        ret_got->amount[d] = after->amount[d] - before.amount[d];
    }
    return true;
}

/* It has waited too long, and there is no time known at which its turn comes. */
static bool is_starving(ClusterCore *core, ClusterQueued *queued)
{
    const QueuedRequest *object = queued->object;
    QueueItem item = {.queued = queued};
    if (object->since_ms + core->config.starvation_ms > core->now_ms ||
        promise_of(core, queued->id) != NULL) {
        return false;
    }
    g_autoptr(VmSpec) one = queue_item_spec(core, &item, NULL);
    return one != NULL &&
           reservations_admit(core, object->tenant, one, queue_item_needed(&item), NULL) &&
           fleet_could_hold(core, object->tenant, one,
                            one->host != NULL ? find_host(core, one->host, NULL) : NULL);
}

/* Its start, as far as it is of use to one with that patience. */
static int64_t start_for(const Promise *promise, const ClusterQueued *queued)
{
    int64_t until = queued->object->until_ms;
    return promise != NULL && (until == 0 || promise->start_ms <= until) ? promise->start_ms
                                                                         : INT64_MAX;
}

/* One that has found a better start, in room that another has left in this round, passes it on to the oldest
 * that asks for the same and can use it, and has its start, until all are in order. */
static void pass_to_older(ClusterCore *core, ClusterQueued *queued)
{
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        ClusterQueued *other = g_tree_node_value(n);
        const Promise *own = promise_of(core, queued->id), *its = promise_of(core, other->id);
        bool older = other->object->since_ms < queued->object->since_ms;
        if (older && own != NULL && its != NULL && start_for(own, other) < its->start_ms &&
            start_for(its, queued) != INT64_MAX && queue_item_wants_same(queued, other)) {
            promise_exchange(core, queued->id, other->id, name_of(other));
        }
    }
}

/* It found no room. False: its deadline cannot be met any more, and it is out of the queue. */
static bool wait_on(ClusterCore *core, const QueueItem *item)
{
    ClusterQueued *queued = item->queued;
    bool firm = queued != NULL && queued->object->deadline_ms > 0;
    int64_t start = INT64_MAX;
    if (!firm && !promises_may_add(core)) {
        promise_return(core, queue_item_id(item));
        return true;
    }
    bool promised = queue_item_plan(core, item, &start);
    if (queued != NULL) {
        pass_to_older(core, queued);
    }
    if (firm && !promised && (start != INT64_MAX || queue_item_is_late(core, item))) {
        GError *error = NULL;
        queue_item_refuse_deadline(core, item, start, &error);
        queue_drop(core, queued, error);
        return false;
    }
    return true;
}

/* The oldest that asks for the same; NULL: none is older. */
static ClusterQueued *oldest_of_same(ClusterCore *core, ClusterQueued *queued)
{
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        ClusterQueued *other = g_tree_node_value(n);
        bool patient = other->object->until_ms == 0 || promise_of(core, other->id) != NULL;
        if (other->object->since_ms < queued->object->since_ms && patient &&
            queue_item_wants_same(queued, other)) {
            return other;
        }
    }
    return NULL;
}

/* What holds room now for one that is promised a later start there would do as well for an older one that asks
 * for the same, and starts first: they exchange their promises. */
static void serve_older(ClusterCore *core, Round *round, uint32_t number, ClusterQueued *queued)
{
    ClusterQueued *older =
        promise_of(core, queued->id) != NULL ? oldest_of_same(core, queued) : NULL;
    Vector got = {0};
    if (older == NULL) {
        return;
    }
    promise_exchange(core, queued->id, older->id, name_of(older));
    promise_lift(core, older->id);
    if (place_queued(core, older, &got, NULL)) {
        berth_fair_grant(round->fair, number, got.amount);
        leave(core, older);
    } else {
        promise_return(core, older->id);
        promise_exchange(core, older->id, queued->id, name_of(queued));
    }
}

static void serve_queued(ClusterCore *core, Round *round, uint32_t number, ClusterQueued *queued)
{
    GError *error = NULL;
    Vector got = {0};
    QueueItem item = {.queued = queued};
    serve_older(core, round, number, queued);
    promise_lift(core, queued->id);
    if (place_queued(core, queued, &got, &error)) {
        berth_fair_grant(round->fair, number, got.amount);
        leave(core, queued);
    } else if (!is_for_want_of_room(error)) {
        queue_drop(core, queued, error);
    } else {
        g_error_free(error);
        if (wait_on(core, &item)) {
            queued->starving = is_starving(core, queued);
            round->held_up = round->held_up || queued->starving;
        }
    }
}

static void serve_app(ClusterCore *core, Round *round, uint32_t number, ClusterApp *app)
{
    ClusterTenant *tenant = model_tenant(core, app->tenant);
    Vector got = tenant->usage;
    QueueItem item = {.app = app};
    promise_lift(core, app->id);
    app_resume(core, app);
    if (app->is_short) {
        wait_on(core, &item);
    }
    app_vm_changed(core, app);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        got.amount[d] = tenant->usage.amount[d] - got.amount[d];
    }
    berth_fair_grant(round->fair, number, got.amount);
}

static void serve_preempted(ClusterCore *core, Round *round, uint32_t number, ClusterVm *vm)
{
    Vector got = vm->counted;
    promise_lift(core, vm->id);
    if (preempt_resume(core, vm, NULL)) {
        for (int d = 0; d < MAX_DIMENSIONS; d++) {
            got.amount[d] = vm->counted.amount[d] - got.amount[d];
        }
        berth_fair_grant(round->fair, number, got.amount);
    } else {
        wait_on(core, &(QueueItem){.vm = vm});
    }
}

/* What a round has promised, or taken back, is what is taken up after the manager's death. */
static void keep_promises(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        queue_item_keep(core, g_tree_node_value(n));
        txn_seal_if_large(core);
    }
}

/* What has lost its start, while somebody holds up those behind: a deadline needs another start or an end. */
static bool may_start_at_once(ClusterCore *core, const QueueItem *item)
{
    bool firm = item->queued != NULL && item->queued->object->deadline_ms > 0;
    if (!firm || !wait_on(core, item)) {
        return false;
    }
    const Promise *promise = promise_of(core, queue_item_id(item));
    return promise != NULL && promise->start_ms <= core->now_ms;
}

static void serve_round(ClusterCore *core)
{
    g_auto(Round) round;
    round_fill(core, &round);
    uint32_t number;
    rescue_serve(core); /* what was promised a place before all of them */
    promises_begin(core);
    while (berth_fair_next(round.fair, &number)) {
        QueueItem item = g_array_index(round.items, QueueItem, number);
        promises_reach(core, queue_item_priority(&item));
        const Promise *promise = promise_of(core, queue_item_id(&item));
        if (round.held_up && promise == NULL && !may_start_at_once(core, &item)) {
            continue;
        }
        if (item.queued != NULL) {
            serve_queued(core, &round, number, item.queued);
        } else if (item.app != NULL) {
            serve_app(core, &round, number, item.app);
        } else {
            serve_preempted(core, &round, number, item.vm);
        }
        txn_seal_if_large(core);
    }
    promises_end(core);
    keep_promises(core);
}

/* When the first of them is to be refused. */
static void find_due(ClusterCore *core)
{
    core->queue_due_ms = INT64_MAX;
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL; n = g_tree_node_next(n)) {
        core->queue_due_ms = MIN(core->queue_due_ms, queue_item_due_ms(core, g_tree_node_value(n)));
    }
}

static void refuse_one(ClusterCore *core, ClusterQueued *queued)
{
    const QueuedRequest *object = queued->object;
    QueueItem item = {.queued = queued};
    GError *error = NULL;
    if (object->until_ms > 0 && object->until_ms <= core->now_ms) {
        g_autofree char *reason = queue_reason(core, &item);
        berth_error_set(&error, BERTH_ERROR_NO_CAPACITY, "queue-seconds", NULL,
                        "ask for less, or wait longer",
                        "there was no room in the time that it could wait: %s", reason);
    } else {
        queue_item_refuse_deadline(core, &item, INT64_MAX, &error);
    }
    queue_drop(core, queued, error);
}

static void refuse_late(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->queue); n != NULL;) {
        ClusterQueued *queued = g_tree_node_value(n);
        n = g_tree_node_next(n);
        if (queue_item_due_ms(core, queued) <= core->now_ms) {
            refuse_one(core, queued);
        }
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
    core->room_made = core->room_made || core->now_ms >= core->rescue_due_ms;
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
    int64_t next = MIN(core->queue_due_ms, MAX(core->rescue_due_ms, core->fill_due_ms));
    return round ? MIN(core->fill_due_ms, next) : next;
}

/* There would be room, were it not promised to others; NULL: there would not. */
static char *who_is_delayed(ClusterCore *core, const QueueItem *item, const VmSpec *one,
                            int64_t count)
{
    const Promise *first = promises_first(core, queue_item_id(item));
    ClusterHost *only = one->host != NULL ? find_host(core, one->host, NULL) : NULL;
    if (first == NULL) {
        return NULL;
    }
    promises_yield_all(core);
    g_autoptr(GPtrArray) hosts =
        fleet_try(core, queue_item_tenant(item), one, only, count, NULL, NULL);
    g_autofree char *start = promise_text(core, first);
    return hosts != NULL ? g_strdup_printf("it would delay %s, which starts %s", first->name, start)
                         : NULL;
}

char *queue_reason(ClusterCore *core, const QueueItem *item)
{
    g_autoptr(GError) error = NULL;
    const char *tenant = queue_item_tenant(item);
    if (item->vm != NULL) {
        return g_strdup(preempt_can_resume(core, item->vm, &error) ? "its turn comes"
                                                                   : error->message);
    }
    g_autoptr(VmSpec) one = queue_item_spec(core, item, &error);
    int64_t count = queue_item_count(item);
    ClusterHost *only = one != NULL && one->host != NULL ? find_host(core, one->host, NULL) : NULL;
    if (one != NULL && reservations_admit(core, tenant, one, count, &error)) {
        promise_lift(core, queue_item_id(item));
        core->promises_aside = true;
        g_autoptr(GPtrArray) hosts = fleet_try(core, tenant, one, only, count, NULL, &error);
        g_autofree char *delayed = hosts == NULL ? who_is_delayed(core, item, one, count) : NULL;
        promises_restore(core);
        if (hosts != NULL) {
            return g_strdup("its turn comes");
        }
        if (delayed != NULL) {
            return g_steal_pointer(&delayed);
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
        queue_item_take_up(core, queued);
    }
    promises_restore(core);
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
