/*
 * Starts that are promised to what waits in the queue. Private to src/cluster.
 *
 * What finds no room now may have some at a time that is known, since VMs end. It is given that start, and
 * its room stands in the calendar from then on as a reservation's does; so nothing that is placed
 * meanwhile, out of the queue, at the door or by a VM that grows, can delay it. What ends before, or
 * fits beside it, goes ahead: backfilling (place/backfill.h, which also sees to it that a promise is kept or
 * becomes earlier).
 *
 *     easy          the first that must wait is promised its start
 *     conservative  each is, as far as starts are known
 *     off           nobody is, except for deadlines
 *
 * A request with a deadline has a promise of its own, a firm one: it is decided when it is asked for. A promise
 * that is not firm yields to what has a higher priority, and to nothing else. One whose host is gone is made anew
 * in the next round of the queue.
 *
 * What should have ended and has not is waited for, for `patience_ms`: all that was promised on its host stays,
 * and the first in turn starts as soon as it is gone. Each that stands on a late start moves by as little as
 * it must, in the order of the starts that were promised; a deadline that was promised later moves for one that is due,
 * by `patience_ms` at most.
 *
 *     round:  promises_begin · for each, in order: promises_reach, promise_lift, placed ? promise_forget
 *                                                                                       : promise_plan
 *     door:   promises_yield(priority) · place · promises_restore (at the end of the step)
 */
#pragma once

#include "cluster/fleet.h"
#include "cluster/model.h"

typedef struct {
    char *id; /* of what waits */
    char *name;
    int64_t priority;
    bool firm;
    bool held;        /* stands in the calendar */
    int64_t start_ms; /* a time that is past: as soon as what overstays has gone */
    int64_t lasts_ms; /* its grace included; BERTH_CALENDAR_NEVER */
    uint32_t lasting;
    int64_t latest_ms; /* of a firm one, the latest start that meets its deadline; INT64_MAX */
    Vector vector;
    guint count;
    uint32_t *hosts; /* handles in the engine */
    GPtrArray
        *devices; /* of GPtrArray of DeviceHeld, on each of them: slices of devices that are cut */
    uint32_t *numbers; /* in the calendar */
} Promise;

void promises_init(ClusterCore *core);
void promises_clear(ClusterCore *core);

/* NULL: none. Borrowed until the next change. */
const Promise *promise_of(const ClusterCore *core, const char *id);

/* What is to be promised a start; all borrowed. */
typedef struct {
    const char *id, *name;
    const EngineRequest *engine;
    int64_t priority;
    guint count;
    int64_t lasts_ms;
    uint32_t lasting;
    int64_t latest_ms; /* a later start is of no use; INT64_MAX */
    bool firm;
} PromiseAsked;

/* Gives it the earliest start there is, and keeps or betters the one that it had. False: it has none now;
 * `ret_start` (may be NULL) is then the earliest there is, or INT64_MAX when none is known. */
bool promise_plan(ClusterCore *core, const PromiseAsked *asked, int64_t *ret_start);
/* As it was stored: on these hosts with these devices (of DevicesHeld), if it can still be. */
void promise_take_up(ClusterCore *core, const PromiseAsked *asked, int64_t start_ms,
                     const GPtrArray *hosts, const GPtrArray *devices);
/* Out of the calendar, to see whether it can start now. */
void promise_lift(ClusterCore *core, const char *id);
/* Back, if there is still room for it; else forgotten. */
void promise_return(ClusterCore *core, const char *id);
/* The start of `from` is that of `to` from now on, who wants the same; and the other way round, if that has one. */
void promise_exchange(ClusterCore *core, const char *from, const char *to, const char *to_name);
/* It has started, or waits no more. Takes an id that has none. */
void promise_forget(ClusterCore *core, const char *id);

/* A round begins: promises that are not firm stand aside, until the order reaches their priority. */
void promises_begin(ClusterCore *core);
void promises_reach(ClusterCore *core, int64_t priority);
/* The round is over: what stands aside still is of nobody who waits. */
void promises_end(ClusterCore *core);
/* May another one be given a start? */
bool promises_may_add(const ClusterCore *core);

/* Those of a lower priority stand aside. */
void promises_yield(ClusterCore *core, int64_t priority);
/* All; for a question. */
void promises_yield_all(ClusterCore *core);
/* Those that stand aside are back if there is still room for them; the queue plans anew for the others. */
void promises_restore(ClusterCore *core);

/* A host takes no VMs any more, or goes: what is promised on it is planned anew. */
void promises_leave_host(ClusterCore *core, const ClusterHost *host);
/* The host's devices are others, or in another order. */
void promises_devices_changed(ClusterCore *core, const ClusterHost *host);

/* "at 2026-11-26T04:10:00.000Z, when batch-1 ends on host-2". g_free it. */
char *promise_text(const ClusterCore *core, const Promise *promise);
/* The first by priority of those that others than `id` have. NULL: none. */
const Promise *promises_first(const ClusterCore *core, const char *id);

/* That what is promised stands in the calendar for something that waits. */
bool promises_check(const ClusterCore *core, GError **error);
