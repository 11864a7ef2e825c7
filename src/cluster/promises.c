#include "cluster/promises.h"

#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "cluster/ends.h"
#include "cluster/reservations.h"
#include "place/backfill.h"

/* Starts are sought for so many in one round, since each is a question at every end to come. */
#define MOST_SOUGHT 100

static void promise_free(void *data)
{
    Promise *promise = data;
    g_free(promise->id);
    g_free(promise->name);
    g_free(promise->hosts);
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

/* What should be gone from the host and is not, is waited for, but not for ever. */
static bool is_waited_for(const ClusterCore *core, const Promise *promise, guint i)
{
    return core->now_ms < promise->start_ms + core->config.patience_ms &&
           reservations_is_overstayed(core, host_of(core, promise, i));
}

/* Into the calendar; all of it or nothing. */
static bool hold(ClusterCore *core, Promise *promise)
{
    int64_t start = MAX(promise->start_ms, core->now_ms);
    guint n = 0;
    bool held = !promise->held;
    while (held && n < promise->count) {
        BerthCommitment commitment = {.struct_size = sizeof commitment,
                                      .host = promise->hosts[n],
                                      .vector = promise->vector.amount,
                                      .start = start,
                                      .end = end_of(start, promise->lasts_ms),
                                      .lasting = promise->lasting};
        promise->numbers[n] = reservations_new_number(core);
        BerthPlaceResult result =
            berth_calendar_commit(core->calendar, promise->numbers[n], &commitment);
        if (result == BERTH_PLACE_ERROR_OVERDRAW && is_waited_for(core, promise, n)) {
            result = berth_calendar_impose(core->calendar, promise->numbers[n], &commitment);
        }
        held = result == BERTH_PLACE_OK;
        n++;
    }
    if (!held && !promise->held) {
        drop_first(core, promise, n);
    }
    promise->held = promise->held || held;
    core->calendar_due_ms = MIN(core->calendar_due_ms, berth_calendar_next(core->calendar));
    return promise->held;
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
    promise->vector = asked->engine->vector;
    promise->count = asked->count;
    promise->hosts = g_new0(uint32_t, asked->count);
    promise->numbers = g_new0(uint32_t, asked->count);
    g_tree_insert(core->promises, promise->id, promise);
    return promise;
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

/* The library's answer for this one, with the start that it had if `keep`. */
static BerthPlaceResult seek(ClusterCore *core, const PromiseAsked *asked, const Promise *old,
                             bool keep, BerthJobPlan *plan)
{
    BerthJob job = {.struct_size = sizeof job,
                    .count = asked->count,
                    .request = &asked->engine->request,
                    .duration = asked->lasts_ms,
                    .deadline = BERTH_CALENDAR_NEVER,
                    .lasting = asked->lasting};
    plan->state = BERTH_JOB_WAITS;
    if (keep && old != NULL && old->count == asked->count) {
        plan->state = BERTH_JOB_PLANNED;
        plan->start = old->start_ms;
        memcpy(plan->hosts, old->hosts, asked->count * sizeof *plan->hosts);
    }
    core->starts_sought++;
    return berth_backfill(core->calendar, core->now_ms, BERTH_BACKFILL_CONSERVATIVE, &job, 1,
                          core->n_commitments, plan);
}

static bool is_start(const BerthJobPlan *plan)
{
    return plan->state == BERTH_JOB_PLANNED || plan->state == BERTH_JOB_STARTS;
}

bool promise_plan(ClusterCore *core, const PromiseAsked *asked, int64_t *ret_start)
{
    Promise *old = lookup(core, asked->id);
    g_autofree uint32_t *hosts = g_new0(uint32_t, asked->count);
    BerthJobPlan plan = {.struct_size = sizeof plan, .hosts = hosts};
    bool late = old != NULL && core->now_ms >= old->start_ms;
    promise_lift(core, asked->id);
    if (late && core->now_ms < old->start_ms + core->config.patience_ms && hold(core, old)) {
        return true;
    }
    bool away = old != NULL && has_host_away(core, old);
    BerthPlaceResult result = seek(core, asked, old, !late && !away, &plan);
    if (result == BERTH_PLACE_OK && away && !late &&
        (!is_start(&plan) || plan.start > old->start_ms)) {
        result = seek(core, asked, old, true, &plan);
    }
    bool found = result == BERTH_PLACE_OK && is_start(&plan);
    if (ret_start != NULL) {
        *ret_start = found ? plan.start : INT64_MAX;
    }
    if (!found || plan.start > asked->latest_ms) {
        promise_forget(core, asked->id);
        return false;
    }
    Promise *promise = remember(core, asked);
    promise->start_ms = plan.start;
    memcpy(promise->hosts, plan.hosts, asked->count * sizeof *plan.hosts);
    if (!hold(core, promise)) {
        erase(core, promise);
        return false;
    }
    return true;
}

void promise_take_up(ClusterCore *core, const PromiseAsked *asked, int64_t start_ms,
                     const GPtrArray *hosts)
{
    if (hosts->len != asked->count) {
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
    }
    if (!hold(core, promise)) {
        erase(core, promise);
    }
}

static gboolean lift_soft(void *id, void *data, void *owner)
{
    Promise *promise = data;
    if (!promise->firm) {
        drop(owner, promise);
    }
    return FALSE;
}

void promises_begin(ClusterCore *core)
{
    core->starts_sought = 0;
    g_tree_foreach(core->promises, lift_soft, core);
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

bool promises_may_add(const ClusterCore *core)
{
    return core->starts_sought < MOST_SOUGHT &&
           (core->config.backfill == CLUSTER_BACKFILL_CONSERVATIVE ||
            (core->config.backfill == CLUSTER_BACKFILL_EASY && !any_held(core)));
}

void promises_reach(ClusterCore *core, int64_t priority)
{
    for (GTreeNode *n = g_tree_node_first(core->promises); n != NULL;) {
        Promise *promise = g_tree_node_value(n);
        n = g_tree_node_next(n);
        bool returns = !promise->held && promise->priority == priority;
        if (returns && (!promises_may_add(core) || !hold(core, promise))) {
            promise_forget(core, promise->id);
        }
    }
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
    for (GTreeNode *n = core->promises_aside ? g_tree_node_first(core->promises) : NULL;
         n != NULL;) {
        Promise *promise = g_tree_node_value(n);
        n = g_tree_node_next(n);
        if (!promise->held && !hold(core, promise)) {
            promise_forget(core, promise->id);
            core->room_made = true;
            core->fill_due_ms = core->now_ms;
        }
    }
    core->promises_aside = false;
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
