#include "cluster/promises.h"

#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "cluster/devices.h"
#include "cluster/ends.h"
#include "cluster/reservations.h"
#include "place/backfill.h"

/* A guest takes a while to power off, so that what stands on its end begins late. Room is held so much longer
 * than it is needed: what cannot move, such as a reservation, is not put right behind it. */
#define MARGIN_MS 60000

/* Starts are sought for so many in one round, since each is a question at every end to come. */
#define MOST_SOUGHT 100

/* Ends on its own hosts at which one is tried that has to start later. */
#define MOST_TRIED 100

static void promise_free(void *data)
{
    Promise *promise = data;
    g_free(promise->id);
    g_free(promise->name);
    g_free(promise->hosts);
    g_ptr_array_unref(promise->devices);
    g_free(promise->numbers);
    g_free(promise);
}

void promises_init(ClusterCore *core)
{
    core->promises = model_tree_new(promise_free);
}

void promises_clear(ClusterCore *core)
{
    g_tree_unref(core->promises);
}

static Promise *lookup(const ClusterCore *core, const char *id)
{
    return g_tree_lookup(core->promises, id);
}

const Promise *promise_of(const ClusterCore *core, const char *id)
{
    return lookup(core, id);
}

static int64_t end_of(int64_t start, int64_t lasts)
{
    return start > BERTH_CALENDAR_NEVER - lasts ? BERTH_CALENDAR_NEVER : start + lasts;
}

static int64_t with_margin(int64_t lasts)
{
    return end_of(lasts, MARGIN_MS);
}

static void drop_first(ClusterCore *core, Promise *promise, guint n)
{
    for (guint i = 0; i < n; i++) {
        berth_calendar_cancel(core->calendar, promise->numbers[i]);
        reservations_free_number(core, promise->numbers[i]);
    }
}

static void drop(ClusterCore *core, Promise *promise)
{
    drop_first(core, promise, promise->held ? promise->count : 0);
    promise->held = false;
}

static ClusterHost *host_of(const ClusterCore *core, const Promise *promise, guint i)
{
    return core->by_handle->pdata[promise->hosts[i]];
}

/* What should be gone is waited for, but not for ever. */
static bool has_patience(const ClusterCore *core, const Promise *promise)
{
    return core->now_ms < promise->start_ms + core->config.patience_ms;
}

/* Are its slices free once what should be gone from the host is? */
static bool devices_are_waited_for(const ClusterCore *core, const ClusterHost *host,
                                   const BerthCommitment *wanted)
{
    int64_t left[BERTH_PLACE_MAX_DEVICES] = {0};
    uint32_t n = 0;
    berth_calendar_devices_on(core->calendar, wanted->host, wanted->start, wanted->end, left, &n);
    reservations_overstay_devices(host, left);
    for (uint32_t i = 0; i < wanted->n_holdings; i++) {
        const BerthPlaceHolding *holding = &wanted->holdings[i];
        if (holding->slices > left[__builtin_ctzll(holding->devices)]) {
            return false;
        }
    }
    return true;
}

/* Is there room for it once what should be gone from the host is? */
static bool is_waited_for(const ClusterCore *core, const Promise *promise, guint i,
                          const BerthCommitment *wanted)
{
    Vector ending = {0}, lasting = {0};
    const ClusterHost *host = host_of(core, promise, i);
    if (!reservations_is_overstayed(core, host)) {
        return false;
    }
    Vector overstay = reservations_overstay(core, host);
    berth_calendar_free_on(core->calendar, wanted->host, wanted->start, wanted->end, ending.amount);
    berth_calendar_free_on(core->calendar, wanted->host, wanted->start, BERTH_CALENDAR_NEVER,
                           lasting.amount);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        int64_t room = (wanted->lasting >> d & 1) != 0 ? lasting.amount[d] : ending.amount[d];
        if (wanted->vector[d] > 0 && wanted->vector[d] > room + overstay.amount[d]) {
            return false;
        }
    }
    return devices_are_waited_for(core, host, wanted);
}

/* Into the calendar; all of it or nothing. Returns which of its hosts has no room, or how many there are. */
static guint stand(ClusterCore *core, Promise *promise, bool patient)
{
    int64_t start = MAX(promise->start_ms, core->now_ms);
    int64_t end = MAX(end_of(promise->start_ms, with_margin(promise->lasts_ms)),
                      end_of(start, promise->lasts_ms));
    guint n = 0;
    while (n < promise->count) {
        DevicesCommitted devices;
        bool has_devices = devices_committed(core, host_of(core, promise, n),
                                             promise->devices->pdata[n], NULL, &devices);
        BerthCommitment commitment = {.struct_size = sizeof commitment,
                                      .host = promise->hosts[n],
                                      .vector = promise->vector.amount,
                                      .start = start,
                                      .end = end,
                                      .lasting = promise->lasting,
                                      .n_holdings = devices.n,
                                      .holdings = devices.held};
        promise->numbers[n] = reservations_new_number(core);
        BerthPlaceResult result =
            has_devices ? berth_calendar_commit(core->calendar, promise->numbers[n], &commitment)
                        : BERTH_PLACE_ERROR_ARGUMENT;
        if (result == BERTH_PLACE_ERROR_OVERDRAW && patient &&
            is_waited_for(core, promise, n, &commitment)) {
            result = berth_calendar_impose(core->calendar, promise->numbers[n], &commitment);
        }
        if (result != BERTH_PLACE_OK) {
            drop_first(core, promise, n + 1);
            return n;
        }
        n++;
    }
    promise->held = true;
    core->calendar_due_ms = MIN(core->calendar_due_ms, berth_calendar_next(core->calendar));
    return n;
}

/* At the start that it has. */
static bool hold(ClusterCore *core, Promise *promise)
{
    return promise->held || stand(core, promise, has_patience(core, promise)) == promise->count;
}

/* What its room stands on ends later. It moves as little as it has to: to the first end on its own hosts at which
 * there is room, or will be once what overstays is gone. No more than the start that it had says what is to be moved:
 * so it is the same after the manager's death. A deadline is moved by no more than what overstays is waited for. */
static bool hold_later(ClusterCore *core, Promise *promise)
{
    bool patient = has_patience(core, promise);
    int64_t before = promise->start_ms, start = MAX(before, core->now_ms);
    int64_t latest = promise->latest_ms > INT64_MAX - core->config.patience_ms
                         ? INT64_MAX - 1
                         : promise->latest_ms + core->config.patience_ms;
    guint lacks = stand(core, promise, patient);
    for (int i = 0; i < MOST_TRIED && !promise->held; i++) {
        start = berth_calendar_next_on(core->calendar, promise->hosts[lacks], start);
        if (start > latest) {
            break;
        }
        promise->start_ms = start;
        lacks = stand(core, promise, patient);
    }
    promise->start_ms = promise->held ? promise->start_ms : before;
    core->promises_moved = core->promises_moved || promise->held;
    return promise->held;
}

static gint by_start(gconstpointer a, gconstpointer b)
{
    const Promise *x = *(Promise *const *)a, *y = *(Promise *const *)b;
    return x->start_ms != y->start_ms ? (x->start_ms < y->start_ms ? -1 : 1) : strcmp(x->id, y->id);
}

/* Who comes first: deadlines, then the higher priority, then the earlier start. */
static gint by_turn(gconstpointer a, gconstpointer b)
{
    const Promise *x = *(Promise *const *)a, *y = *(Promise *const *)b;
    if (x->firm != y->firm) {
        return x->firm ? -1 : 1;
    }
    if (!x->firm && x->priority != y->priority) {
        return x->priority > y->priority ? -1 : 1;
    }
    return by_start(a, b);
}

typedef bool (*PromiseTest)(const ClusterCore *core, const Promise *promise);

/* Those that are out of the calendar, in the order in which they come back. g_ptr_array_unref it. */
static GPtrArray *those_aside(ClusterCore *core, PromiseTest test, GCompareFunc order)
{
    GPtrArray *some = g_ptr_array_new();
    for (GTreeNode *n = g_tree_node_first(core->promises); n != NULL; n = g_tree_node_next(n)) {
        Promise *promise = g_tree_node_value(n);
        if (!promise->held && (test == NULL || test(core, promise))) {
            g_ptr_array_add(some, promise);
        }
    }
    g_ptr_array_sort(some, order);
    return some;
}

/* Back into the calendar, each at its start or as little later as can be, so that who was promised the
 * earlier start still has it. Returns how many could not; they are left out of it. */
static guint bring_back(ClusterCore *core, const GPtrArray *promises)
{
    guint lost = 0;
    for (guint i = 0; i < promises->len; i++) {
        Promise *promise = promises->pdata[i];
        lost += !hold(core, promise) && !hold_later(core, promise);
    }
    return lost;
}

void promise_lift(ClusterCore *core, const char *id)
{
    Promise *promise = lookup(core, id);
    if (promise != NULL) {
        drop(core, promise);
    }
}

static void erase(ClusterCore *core, Promise *promise)
{
    drop(core, promise);
    g_tree_remove(core->promises, promise->id);
}

void promise_forget(ClusterCore *core, const char *id)
{
    Promise *promise = lookup(core, id);
    if (promise != NULL) {
        core->room_made = core->room_made || promise->held || promise->start_ms > core->now_ms;
        erase(core, promise);
    }
}

static Promise *remember(ClusterCore *core, const PromiseAsked *asked)
{
    Promise *promise = lookup(core, asked->id);
    if (promise != NULL) {
        erase(core, promise);
    }
    promise = g_new0(Promise, 1);
    promise->id = g_strdup(asked->id);
    promise->name = g_strdup(asked->name);
    promise->priority = asked->priority;
    promise->firm = asked->firm;
    promise->lasts_ms = asked->lasts_ms;
    promise->lasting = asked->lasting;
    promise->latest_ms = asked->firm ? asked->latest_ms : INT64_MAX;
    promise->vector = asked->engine->vector;
    promise->count = asked->count;
    promise->hosts = g_new0(uint32_t, asked->count);
    promise->numbers = g_new0(uint32_t, asked->count);
    promise->devices = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
    g_tree_insert(core->promises, promise->id, promise);
    return promise;
}

static void rename_to(ClusterCore *core, Promise *promise, const char *id, const char *name)
{
    g_free(promise->id);
    g_free(promise->name);
    promise->id = g_strdup(id);
    promise->name = g_strdup(name);
    g_tree_insert(core->promises, promise->id, promise);
}

void promise_exchange(ClusterCore *core, const char *from, const char *to, const char *to_name)
{
    Promise *given = lookup(core, from), *own = lookup(core, to);
    if (given == NULL) {
        return;
    }
    g_autofree char *name = g_strdup(given->name);
    g_tree_steal(core->promises, from);
    g_tree_steal(core->promises, to);
    rename_to(core, given, to, to_name);
    if (own != NULL) {
        rename_to(core, own, from, name);
    }
}

static bool has_host_away(const ClusterCore *core, const Promise *promise)
{
    for (guint i = 0; i < promise->count; i++) {
        if (!host_of(core, promise, i)->reported) {
            return true;
        }
    }
    return false;
}

/* As the library was told them. False: a host has not all of the devices any more. */
static bool tell_places(const ClusterCore *core, const Promise *promise, BerthJobPlan *plan)
{
    bool all = true;
    for (guint i = 0; i < promise->count; i++) {
        const GPtrArray *devices = promise->devices->pdata[i];
        plan->hosts[i] = promise->hosts[i];
        plan->devices[i] = devices_chosen(core, host_of(core, promise, i), devices);
        all = all && (devices->len == 0 || plan->devices[i] != 0);
    }
    return all;
}

/* The library's answer for this one, with the start that it had if `keep`. */
static BerthPlaceResult seek(ClusterCore *core, const PromiseAsked *asked, const Promise *old,
                             bool keep, BerthJobPlan *plan)
{
    BerthJob job = {.struct_size = sizeof job,
                    .count = asked->count,
                    .request = &asked->engine->request,
                    .duration = with_margin(asked->lasts_ms),
                    .deadline = BERTH_CALENDAR_NEVER,
                    .lasting = asked->lasting};
    plan->state = BERTH_JOB_WAITS;
    if (keep && old != NULL && tell_places(core, old, plan)) {
        plan->state = BERTH_JOB_PLANNED;
        plan->start = old->start_ms;
    }
    core->starts_sought++;
    return berth_backfill(core->calendar, core->now_ms, BERTH_BACKFILL_CONSERVATIVE, &job, 1,
                          core->n_commitments, plan);
}

static bool is_start(const BerthJobPlan *plan)
{
    return plan->state == BERTH_JOB_PLANNED || plan->state == BERTH_JOB_STARTS;
}

/* The promise that it has, for what it asks now; NULL: none, or for another number of VMs. */
static Promise *renew(ClusterCore *core, const PromiseAsked *asked)
{
    Promise *old = lookup(core, asked->id);
    if (old == NULL || old->count != asked->count) {
        return NULL;
    }
    old->vector = asked->engine->vector;
    old->lasts_ms = asked->lasts_ms;
    old->lasting = asked->lasting;
    old->priority = asked->priority;
    return old;
}

bool promise_plan(ClusterCore *core, const PromiseAsked *asked, int64_t *ret_start)
{
    g_autofree uint32_t *hosts = g_new0(uint32_t, asked->count);
    g_autofree uint64_t *devices = g_new0(uint64_t, asked->count);
    BerthJobPlan plan = {.struct_size = sizeof plan, .hosts = hosts, .devices = devices};
    promise_lift(core, asked->id);
    Promise *old = renew(core, asked);
    bool late = old != NULL && core->now_ms >= old->start_ms;
    if (late && has_patience(core, old) && hold(core, old)) {
        return true;
    }
    bool away = old != NULL && has_host_away(core, old);
    BerthPlaceResult result = seek(core, asked, old, !late && !away, &plan);
    bool found = result == BERTH_PLACE_OK && is_start(&plan);
    /* What it stands on is not what the calendar says: a host is away, or something overstays. */
    bool better = found && old != NULL && plan.start < old->start_ms + (away ? 1 : 0);
    if (old != NULL && !late && !better && hold(core, old)) {
        return true;
    }
    if (ret_start != NULL) {
        *ret_start = found ? plan.start : INT64_MAX;
    }
    int64_t latest = old != NULL && !late ? MAX(asked->latest_ms, old->start_ms) : asked->latest_ms;
    if (!found || plan.start > latest) {
        promise_forget(core, asked->id);
        return false;
    }
    Promise *promise = remember(core, asked);
    promise->start_ms = plan.start;
    memcpy(promise->hosts, plan.hosts, asked->count * sizeof *plan.hosts);
    for (guint i = 0; i < asked->count; i++) {
        g_ptr_array_add(promise->devices, devices_promised(core, host_of(core, promise, i),
                                                           &asked->engine->request, devices[i]));
    }
    if (!hold(core, promise)) {
        erase(core, promise);
        return false;
    }
    return true;
}

void promise_take_up(ClusterCore *core, const PromiseAsked *asked, int64_t start_ms,
                     const GPtrArray *hosts, const GPtrArray *devices)
{
    bool has_devices = devices->len > 0;
    if (hosts->len != asked->count || has_devices != (asked->engine->request.n_devices > 0) ||
        (has_devices && devices->len != hosts->len)) {
        return;
    }
    Promise *promise = remember(core, asked);
    promise->start_ms = start_ms;
    for (guint i = 0; i < hosts->len; i++) {
        const ClusterHost *host = g_tree_lookup(core->hosts, hosts->pdata[i]);
        if (host == NULL) {
            erase(core, promise);
            return;
        }
        promise->hosts[i] = host->place;
        const DevicesHeld *held = has_devices ? devices->pdata[i] : NULL;
        g_ptr_array_add(promise->devices,
                        held != NULL ? devices_copy(held->devices) : devices_none());
    }
    core->promises_aside = true;
}

static gboolean drop_one(void *id, void *promise, void *core)
{
    drop(core, promise);
    return FALSE;
}

static bool is_firm(const ClusterCore *core, const Promise *promise)
{
    return promise->firm;
}

/* A deadline, or one whose turn has come and that waits for what overstays. */
static bool is_firm_or_due(const ClusterCore *core, const Promise *promise)
{
    return promise->firm || promise->start_ms <= core->now_ms;
}

static void forget_aside(ClusterCore *core, const GPtrArray *promises)
{
    for (guint i = 0; i < promises->len; i++) {
        const Promise *promise = promises->pdata[i];
        if (!promise->held) {
            promise_forget(core, promise->id);
            core->promises_moved = true;
        }
    }
}

/* Out of the calendar, as it was before it was brought back. */
static void put_back(ClusterCore *core, Promise *promise, const Promise *before)
{
    drop(core, promise);
    promise->start_ms = before->start_ms;
}

/* None stands in the calendar but deadlines. They leave room for what was promised an earlier start that is
 * due; where they cannot and still be met, that has to yield. */
static void keep_deadlines(ClusterCore *core)
{
    g_tree_foreach(core->promises, drop_one, core);
    g_autoptr(GPtrArray) both = those_aside(core, is_firm_or_due, by_start);
    g_autofree Promise *before = g_new(Promise, both->len);
    for (guint i = 0; i < both->len; i++) {
        before[i] = *(const Promise *)both->pdata[i];
    }
    bool all = bring_back(core, both) == 0;
    for (guint i = 0; i < both->len; i++) {
        if (!all || !before[i].firm) {
            put_back(core, both->pdata[i], &before[i]);
        }
    }
    g_autoptr(GPtrArray) firm = those_aside(core, is_firm, by_start);
    bring_back(core, firm);
    forget_aside(core, firm);
}

void promises_begin(ClusterCore *core)
{
    core->starts_sought = 0;
    keep_deadlines(core);
}

static bool any_held(const ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->promises); n != NULL; n = g_tree_node_next(n)) {
        const Promise *promise = g_tree_node_value(n);
        if (promise->held && !promise->firm) {
            return true;
        }
    }
    return false;
}

static bool may_hold(const ClusterCore *core)
{
    return core->config.backfill == CLUSTER_BACKFILL_CONSERVATIVE ||
           (core->config.backfill == CLUSTER_BACKFILL_EASY && !any_held(core));
}

bool promises_may_add(const ClusterCore *core)
{
    return core->starts_sought < MOST_SOUGHT && may_hold(core);
}

void promises_reach(ClusterCore *core, int64_t priority)
{
    g_autoptr(GPtrArray) all = those_aside(core, NULL, by_turn);
    g_autoptr(GPtrArray) reached = g_ptr_array_new();
    for (guint i = 0; i < all->len; i++) {
        Promise *promise = all->pdata[i];
        bool one = core->config.backfill != CLUSTER_BACKFILL_CONSERVATIVE && reached->len > 0;
        if (promise->priority == priority && may_hold(core) && !one) {
            g_ptr_array_add(reached, promise);
        } else if (promise->priority == priority) {
            promise_forget(core, promise->id);
        }
    }
    bring_back(core, reached);
    forget_aside(core, reached);
}

void promise_return(ClusterCore *core, const char *id)
{
    Promise *promise = lookup(core, id);
    if (promise != NULL && !hold(core, promise)) {
        promise_forget(core, id);
    }
}

void promises_end(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->promises); n != NULL;) {
        const Promise *promise = g_tree_node_value(n);
        n = g_tree_node_next(n);
        if (!promise->held) {
            promise_forget(core, promise->id);
        }
    }
}

void promises_yield(ClusterCore *core, int64_t priority)
{
    for (GTreeNode *n = g_tree_node_first(core->promises); n != NULL; n = g_tree_node_next(n)) {
        Promise *promise = g_tree_node_value(n);
        if (promise->held && !promise->firm && promise->priority < priority) {
            drop(core, promise);
            core->promises_aside = true;
        }
    }
}

void promises_yield_all(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->promises); n != NULL; n = g_tree_node_next(n)) {
        drop(core, g_tree_node_value(n));
    }
    core->promises_aside = true;
}

void promises_restore(ClusterCore *core)
{
    if (!core->promises_aside) {
        return;
    }
    core->promises_aside = core->promises_moved = false;
    keep_deadlines(core);
    g_autoptr(GPtrArray) aside = those_aside(core, NULL, by_turn);
    bring_back(core, aside);
    forget_aside(core, aside);
    if (core->promises_moved) {
        core->room_made = true; /* another host may serve it better, and the store must know */
        core->fill_due_ms = core->now_ms;
    }
}

void promises_leave_host(ClusterCore *core, const ClusterHost *host)
{
    for (GTreeNode *n = g_tree_node_first(core->promises); n != NULL;) {
        const Promise *promise = g_tree_node_value(n);
        n = g_tree_node_next(n);
        for (guint i = 0; i < promise->count; i++) {
            if (promise->hosts[i] == host->place) {
                promise_forget(core, promise->id);
                core->room_made = true;
                break;
            }
        }
    }
}

void promises_devices_changed(ClusterCore *core, const ClusterHost *host)
{
    for (GTreeNode *n = g_tree_node_first(core->promises); n != NULL; n = g_tree_node_next(n)) {
        Promise *promise = g_tree_node_value(n);
        for (guint i = 0; i < promise->count; i++) {
            if (promise->hosts[i] == host->place && promise->held) {
                drop(core, promise);
                core->promises_aside = true;
                break;
            }
        }
    }
}

const Promise *promises_first(const ClusterCore *core, const char *id)
{
    const Promise *first = NULL;
    for (GTreeNode *n = g_tree_node_first(core->promises); n != NULL; n = g_tree_node_next(n)) {
        const Promise *promise = g_tree_node_value(n);
        if (strcmp(promise->id, id) != 0 &&
            (first == NULL || promise->priority > first->priority)) {
            first = promise;
        }
    }
    return first;
}

/* Whose end makes its room: the last to end before it on its hosts. */
static const ClusterVm *who_ends(const ClusterCore *core, const Promise *promise)
{
    for (guint i = 0; i < promise->count; i++) {
        const ClusterHost *host = host_of(core, promise, i);
        for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
            const ClusterVm *vm = g_tree_node_value(n);
            if (vm->spec->ends_ms != 0 && vm->spec->at_end != AT_END_WARN &&
                ends_release_ms(vm->spec) == promise->start_ms) {
                return vm;
            }
        }
    }
    return NULL;
}

char *promise_text(const ClusterCore *core, const Promise *promise)
{
    g_autofree char *start = berth_time_format(promise->start_ms);
    const ClusterVm *vm = who_ends(core, promise);
    return vm != NULL ? g_strdup_printf("at %s, when VM %s has ended on %s", start, vm->spec->name,
                                        vm->host->spec->name)
                      : g_strdup_printf("at %s, when there is room on %s", start,
                                        host_of(core, promise, 0)->spec->name);
}

static bool waits(const ClusterCore *core, const char *id)
{
    const ClusterApp *app = g_tree_lookup(core->apps, id);
    return g_tree_lookup(core->queue, id) != NULL || g_tree_lookup(core->preempted, id) != NULL ||
           (app != NULL && app->is_short);
}

bool promises_check(const ClusterCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->promises); n != NULL; n = g_tree_node_next(n)) {
        const Promise *promise = g_tree_node_value(n);
        if (!promise->held || !waits(core, promise->id)) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, "promise", promise->id, NULL,
                                   promise->held ? "a start is promised to what does not wait"
                                                 : "what was promised is not in the calendar");
        }
    }
    return true;
}
