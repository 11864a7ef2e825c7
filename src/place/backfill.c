#include "place/backfill.h"

#include <stdlib.h>
#include <string.h>

#include "place/calendar_state.h"
#include "place/fleet.h"
#include "place/inventory.h"

/* A round under way. The plans are copies until it has gone well. */
typedef struct {
    BerthCalendar *calendar;
    const BerthJob *jobs;
    BerthJobPlan *plans;
    uint32_t *hosts, *scratch; /* of all jobs one after another; of the largest job */
    uint64_t *devices, *scratch_devices;
    uint32_t *numbers; /* of a job's first commitment */
    bool *held;        /* has the job commitments now? */
    uint32_t n_jobs;
    int64_t now;
} Round;

static BerthPlaceResult check_jobs(const BerthJob *jobs, const BerthJobPlan *plans, uint32_t n_jobs)
{
    for (uint32_t i = 0; i < n_jobs; i++) {
        if (jobs[i].struct_size < sizeof jobs[i] || jobs[i].request == NULL || jobs[i].count == 0 ||
            plans[i].struct_size < sizeof plans[i] || plans[i].hosts == NULL ||
            (inventory_n_asked(jobs[i].request) > 0 && plans[i].devices == NULL)) {
            return BERTH_PLACE_ERROR_ARGUMENT;
        }
        if (fleet_is_newer(&jobs[i], jobs[i].struct_size, sizeof jobs[i])) {
            return BERTH_PLACE_ERROR_UNSUPPORTED;
        }
        if (jobs[i].duration <= 0) {
            return BERTH_PLACE_ERROR_TIME;
        }
    }
    return BERTH_PLACE_OK;
}

static int64_t end_of(int64_t start, int64_t duration)
{
    return start > BERTH_CALENDAR_NEVER - duration ? BERTH_CALENDAR_NEVER : start + duration;
}

static void release(Round *round, uint32_t job)
{
    for (uint32_t k = 0; round->held[job] && k < round->jobs[job].count; k++) {
        berth_calendar_cancel(round->calendar, round->numbers[job] + k);
    }
    round->held[job] = false;
}

/* Commits a job at its start and on its hosts; all or none. */
static BerthPlaceResult hold(Round *round, uint32_t job)
{
    const BerthJob *j = &round->jobs[job];
    const BerthJobPlan *plan = &round->plans[job];
    BerthPlaceResult result = BERTH_PLACE_OK;
    uint32_t n = 0;

    while (result == BERTH_PLACE_OK && n < j->count) {
        BerthPlaceHolding holdings[BERTH_PLACE_MAX_MODEL];
        BerthCommitment commitment = {.struct_size = sizeof commitment,
                                      .host = plan->hosts[n],
                                      .vector = j->request->vector,
                                      .start = plan->start,
                                      .end = end_of(plan->start, j->duration),
                                      .lasting = j->lasting,
                                      .n_holdings = inventory_n_asked(j->request),
                                      .holdings = holdings};

        bool fits = inventory_holdings(round->calendar->place, plan->hosts[n], j->request,
                                       plan->devices[n], holdings);
        result = fits ? berth_calendar_commit(round->calendar, round->numbers[job] + n, &commitment)
                      : BERTH_PLACE_ERROR_OVERDRAW;
        n += result == BERTH_PLACE_OK;
    }
    while (result != BERTH_PLACE_OK && n > 0) {
        berth_calendar_cancel(round->calendar, round->numbers[job] + --n);
    }
    round->held[job] = result == BERTH_PLACE_OK;
    return result;
}

/* With the hosts and devices of the search before, or without any. */
static void set_plan(Round *round, uint32_t job, BerthJobState state, int64_t start, bool found)
{
    uint32_t count = round->jobs[job].count;

    round->plans[job].state = state;
    round->plans[job].start = start;
    if (found) {
        memcpy(round->plans[job].hosts, round->scratch, count * sizeof *round->scratch);
        memcpy(round->plans[job].devices, round->scratch_devices,
               count * sizeof *round->scratch_devices);
    }
}

/* Promises of the rounds before stand in the calendar before anything new is planned. One that
 * cannot be kept (what ran has overstayed, a host is gone) is forgotten. */
static BerthPlaceResult keep_promises(Round *round)
{
    for (uint32_t i = 0; i < round->n_jobs; i++) {
        BerthJobPlan *plan = &round->plans[i];
        bool promised = plan->state == BERTH_JOB_PLANNED || plan->state == BERTH_JOB_STARTS;

        if (!promised) {
            continue;
        }
        plan->start = plan->start > round->now ? plan->start : round->now;
        BerthPlaceResult result = hold(round, i);
        if (result == BERTH_PLACE_ERROR_NO_MEMORY || result == BERTH_PLACE_ERROR_EXISTS) {
            return result;
        }
        plan->state = result == BERTH_PLACE_OK ? BERTH_JOB_PLANNED : BERTH_JOB_WAITS;
    }
    return BERTH_PLACE_OK;
}

/* Looks for an earlier start than the job has, at `now` only or at any time, and holds what it then
 * has. */
static BerthPlaceResult plan_job(Round *round, uint32_t job, bool only_now)
{
    const BerthJob *j = &round->jobs[job];
    BerthJobPlan *plan = &round->plans[job];
    bool had = round->held[job];
    int64_t start = 0;
    BerthCalendarRequest request = {.struct_size = sizeof request,
                                    .count = j->count,
                                    .request = j->request,
                                    .from = round->now,
                                    .duration = j->duration,
                                    .deadline = j->deadline,
                                    .lasting = j->lasting,
                                    .fixed = only_now};

    release(round, job);
    BerthPlaceResult result = berth_calendar_earliest(round->calendar, &request, &start,
                                                      round->scratch, round->scratch_devices);
    if (result == BERTH_PLACE_OK && (!had || start < plan->start || start == round->now)) {
        set_plan(round, job, start == round->now ? BERTH_JOB_STARTS : BERTH_JOB_PLANNED, start,
                 true);
    } else if (result < 0) {
        return result;
    } else if (!had) {
        bool misses = end_of(start, j->duration) > j->deadline;

        set_plan(round, job,
                 result == BERTH_PLACE_NO_HOST ? BERTH_JOB_NEVER
                 : misses                      ? BERTH_JOB_LATE
                                               : BERTH_JOB_WAITS,
                 start, false);
        return BERTH_PLACE_OK;
    } else if (plan->start == round->now) {
        plan->state = BERTH_JOB_STARTS;
    }
    return hold(round, job);
}

static BerthPlaceResult plan_all(Round *round, BerthBackfillMode mode)
{
    bool head_waits = false;

    for (uint32_t i = 0; i < round->n_jobs; i++) {
        BerthJobPlan *plan = &round->plans[i];

        if (head_waits && mode == BERTH_BACKFILL_IN_ORDER) {
            set_plan(round, i, BERTH_JOB_WAITS, 0, false);
            continue;
        }
        bool only_now = head_waits && mode == BERTH_BACKFILL_EASY;
        BerthPlaceResult result = plan_job(round, i, only_now);
        if (result != BERTH_PLACE_OK) {
            return result;
        }
        head_waits = head_waits || plan->state == BERTH_JOB_PLANNED;
    }
    return BERTH_PLACE_OK;
}

/* Only the head of an easy queue has a promise, and none in a queue that goes in order. */
static void forget_promises(Round *round, BerthBackfillMode mode)
{
    uint32_t first = mode == BERTH_BACKFILL_EASY ? 1 : 0;

    for (uint32_t i = first; i < round->n_jobs && mode != BERTH_BACKFILL_CONSERVATIVE; i++) {
        round->plans[i].state = BERTH_JOB_WAITS;
    }
}

static bool begin(Round *round, uint32_t first_number, const BerthJobPlan *plans)
{
    uint64_t total = 0;
    uint32_t most = 1;

    for (uint32_t i = 0; i < round->n_jobs; i++) {
        total += round->jobs[i].count;
        most = round->jobs[i].count > most ? round->jobs[i].count : most;
    }
    if (total > BERTH_CALENDAR_MAX_NUMBER) {
        return false;
    }
    round->plans = malloc((round->n_jobs + 1) * sizeof *round->plans);
    round->hosts = malloc((total + 1) * sizeof *round->hosts);
    round->scratch = malloc(most * sizeof *round->scratch);
    round->devices = calloc(total + 1, sizeof *round->devices);
    round->scratch_devices = malloc(most * sizeof *round->scratch_devices);
    round->numbers = malloc((round->n_jobs + 1) * sizeof *round->numbers);
    round->held = calloc(round->n_jobs + 1, sizeof *round->held);
    if (round->plans == NULL || round->hosts == NULL || round->scratch == NULL ||
        round->devices == NULL || round->scratch_devices == NULL || round->numbers == NULL ||
        round->held == NULL) {
        return false;
    }
    uint32_t *hosts = round->hosts;
    uint64_t *devices = round->devices;
    for (uint32_t i = 0; i < round->n_jobs; i++) {
        round->plans[i] = plans[i];
        round->plans[i].hosts = hosts;
        round->plans[i].devices = devices;
        memcpy(hosts, plans[i].hosts, round->jobs[i].count * sizeof *hosts);
        if (plans[i].devices != NULL) {
            memcpy(devices, plans[i].devices, round->jobs[i].count * sizeof *devices);
        }
        round->numbers[i] = first_number;
        first_number += round->jobs[i].count;
        hosts += round->jobs[i].count;
        devices += round->jobs[i].count;
    }
    return true;
}

static void end(Round *round)
{
    for (uint32_t i = 0; round->held != NULL && i < round->n_jobs; i++) {
        release(round, i);
    }
    free(round->plans);
    free(round->hosts);
    free(round->scratch);
    free(round->devices);
    free(round->scratch_devices);
    free(round->numbers);
    free(round->held);
}

static void hand_out(const Round *round, BerthJobPlan *plans)
{
    for (uint32_t i = 0; i < round->n_jobs; i++) {
        const BerthJobPlan *plan = &round->plans[i];

        plans[i].state = plan->state;
        plans[i].start = plan->start;
        memcpy(plans[i].hosts, plan->hosts, round->jobs[i].count * sizeof *plan->hosts);
        if (plans[i].devices != NULL) {
            memcpy(plans[i].devices, plan->devices, round->jobs[i].count * sizeof *plan->devices);
        }
    }
}

BerthPlaceResult berth_backfill(BerthCalendar *calendar, int64_t now, BerthBackfillMode mode,
                                const BerthJob *jobs, uint32_t n_jobs, uint32_t first_number,
                                BerthJobPlan *plans)
{
    Round round = {.calendar = calendar, .jobs = jobs, .n_jobs = n_jobs, .now = now};
    BerthPlaceResult result = check_jobs(jobs, plans, n_jobs);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (mode < BERTH_BACKFILL_IN_ORDER || mode > BERTH_BACKFILL_CONSERVATIVE) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    result = berth_calendar_advance(calendar, now);
    if (result == BERTH_PLACE_OK && !begin(&round, first_number, plans)) {
        result = BERTH_PLACE_ERROR_NO_MEMORY;
    }
    if (result == BERTH_PLACE_OK) {
        forget_promises(&round, mode);
        result = keep_promises(&round);
    }
    if (result == BERTH_PLACE_OK) {
        result = plan_all(&round, mode);
    }
    if (result == BERTH_PLACE_OK) {
        hand_out(&round, plans);
    }
    end(&round);
    return result;
}
