/*
 * libberth-place: when the jobs of a queue start.
 *
 * A job is so many of one request, all at once, for a time that is estimated. The caller has put
 * the jobs in order (priority, fair share, arrival) and says what runs by commitments in the
 * calendar. Planning them
 *
 *     in order     nobody overtakes: the first that must wait keeps all others waiting
 *     easy         the first that must wait is given a start; others overtake where that does not
 *                  delay it (Lifka, The ANL/IBM SP scheduling system, 1995)
 *     conservative every job is given a start; others overtake where that delays none before them
 *                  (Mu'alem and Feitelson, IEEE TPDS 12(6), 2001)
 *
 * A start that was given is a promise: the plan of one round goes into the next, where it is kept or
 * becomes earlier, whatever has ended sooner or come anew since. That holds as long as what runs
 * ends by its estimate (the calendar's commitment says when that is; somebody must see to it).
 *
 *         hosts ▲  ┌─────────┐                running
 *               │  │ running │▒▒▒▒▒▒▒▒▒▒▒     ▒ the head: waits for all hosts
 *               │  ├───┬─────┤▒▒▒▒▒▒▒▒▒▒▒     a: overtakes, ends before the head starts
 *               │  │ a │     │▒▒▒▒▒▒▒▒▒▒▒     b: would not, and waits (easy) or
 *               └──┴───┴─────┴────────────▶     gets a start behind the head (conservative)
 *
 * Errors and threads as in calendar.h.
 */
#pragma once

#include "place/calendar.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    BERTH_BACKFILL_IN_ORDER = 0,
    BERTH_BACKFILL_EASY = 1,
    BERTH_BACKFILL_CONSERVATIVE = 2,
} BerthBackfillMode;

typedef struct {
    uint32_t struct_size;
    uint32_t count;                   /* at least 1 */
    const BerthPlaceRequest *request; /* with its policy and its rules */
    int64_t duration;                 /* estimated, more than 0; NEVER: without end */
    int64_t deadline;                 /* of the end; NEVER: none */
    uint32_t lasting;                 /* as in calendar.h */
} BerthJob;

typedef enum {
    BERTH_JOB_WAITS = 0,   /* no start is given to it */
    BERTH_JOB_STARTS = 1,  /* now */
    BERTH_JOB_PLANNED = 2, /* at `start`, or earlier in a later round */
    BERTH_JOB_LATE = 3,  /* not by its deadline; `start` is the earliest there is. Holds nothing */
    BERTH_JOB_NEVER = 4, /* at no time, as the fleet is. Holds nothing */
} BerthJobState;

/* What a round says of a job. Zeroed for a job that is new in the queue; for one that was there,
 * what the round before said. */
typedef struct {
    uint32_t struct_size;
    BerthJobState state;
    int64_t start;     /* of STARTS, PLANNED and LATE */
    uint32_t *hosts;   /* the caller's, `count` long: of STARTS and PLANNED */
    uint64_t *devices; /* likewise, bit by bit; NULL if the request asks for none */
} BerthJobPlan;

/* Plans the queue at the calendar's now. Afterwards the calendar is as before: the caller commits
 * what it starts. On an error the plans are as they were. Commitment numbers from `first_number`
 * on, one for each VM of all jobs, are used meanwhile and must be free. */
BERTH_PLACE_API BerthPlaceResult berth_backfill(BerthCalendar *calendar, int64_t now,
                                                BerthBackfillMode mode, const BerthJob *jobs,
                                                uint32_t n_jobs, uint32_t first_number,
                                                BerthJobPlan *plans);

#ifdef __cplusplus
}
#endif
