/*
 * libberth-place: what is promised for a time, and when there is room.
 *
 * A calendar belongs to a fleet and holds commitments: a vector on a host over a span [start, end).
 * Times are whole numbers in the caller's unit; nothing here reads a clock. A host without
 * commitments costs nothing.
 *
 *             ┌──────────────┐
 *      ┌──────┤ batch (2)    ├────────┐        room of the host for what ends: 4
 *      │ web (1)                      │        peak: 3, so 1 is available for good;
 *      └──────┴──────────────┴────────┘        from 30 on 3 are free, from 40 on all 4
 *      10     20             30      40
 *
 * What is available in the fleet stays what can be promised for good. Committing takes the rise of
 * the host's peak from it, the most that is committed at any one time from now on, and cancelling
 * gives it back; so berth_place_find for a request without an end keeps clear of every commitment,
 * and berth_place_take and _give of what has no end go on as before. Who sets a host's availability
 * anew (berth_place_set) takes berth_calendar_peak off it.
 *
 * What has an end is placed through a window: while one is open, the fleet shows what is free over
 * all of a span, and every question of the engine (find, explain, examine, conflict) is answered for
 * it, with all policies and rules.
 *
 *     berth_calendar_earliest(calendar, &(BerthCalendarRequest){.struct_size = …, .request = &request,
 *                             .count = 3, .from = now, .duration = 3600, .deadline = evening},
 *                             &start, hosts);
 *     for (i = 0; i < 3; i++) {
 *         berth_calendar_commit(calendar, number[i], &(BerthCommitment){.struct_size = …,
 *                               .host = hosts[i], .vector = request.vector,
 *                               .start = start, .end = start + 3600});
 *     }
 *
 * Room can only grow where a commitment ends, so the earliest start is the time asked for or the end
 * of a commitment: only those are tried, in order.
 *
 * Some dimensions outlast the end: a VM that is stopped keeps its disk. Bit d of `lasting` says that
 * dimension d, once begun, is never given back; windows and commitments have both kinds.
 *
 * A commitment may name devices of its host, of which it holds slices from its start to its end, each
 * device counted by itself as devices.h has it: 3 + 3 + 3 of 7 free slices on three devices are no room
 * for 4. All of the above is true of them too. Who sets the devices of a host anew does it by
 * berth_calendar_set_devices and says there what would be free without any commitments; who
 * takes devices for good does it by berth_place_take_devices, as ever. Devices that no commitment
 * names are shown as they are, at any time. Where more is imposed on a device than it has left, the
 * fleet shows nothing of it free, and what is given back pays for that first.
 *
 * While changes are tried in the fleet (berth_place_begin) questions are answered, but time does not
 * go on, no window opens, and what would change the fleet is refused (ERROR_BUSY).
 *
 * Errors and threads as in place.h; a calendar changes its fleet, so the two count as one.
 */
#pragma once

#include "place/devices.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_CALENDAR_NEVER INT64_MAX                /* an end that does not come */
#define BERTH_CALENDAR_MAX_NUMBER (UINT32_C(1) << 24) /* numbers of commitments are smaller */

typedef struct BerthCalendar BerthCalendar;

/* An empty calendar of a fleet, which must outlive it. */
BERTH_PLACE_API BerthPlaceResult berth_calendar_new(BerthPlace *place,
                                                    BerthCalendar **ret_calendar);
/* From now on it is the calendar of another fleet, which has the same hosts with the same amounts, such as a
 * copy. */
BERTH_PLACE_API void berth_calendar_move(BerthCalendar *calendar, BerthPlace *place);
/* Gives the fleet back what commitments held. Takes NULL. */
BERTH_PLACE_API void berth_calendar_free(BerthCalendar *calendar);

/* What lies before `now` counts no more and cannot be committed. Time does not go back: an earlier
 * `now` does nothing. ERROR_BUSY while a window is open or changes are tried. */
BERTH_PLACE_API BerthPlaceResult berth_calendar_advance(BerthCalendar *calendar, int64_t now);
/* When advancing would next make room: the first end after now at which any dimension or device has less
 * committed than before; NEVER. */
BERTH_PLACE_API int64_t berth_calendar_next(const BerthCalendar *calendar);
/* The same on one host, the first after `after`; NEVER, also for a host without commitments. */
BERTH_PLACE_API int64_t berth_calendar_next_on(const BerthCalendar *calendar, uint32_t host,
                                               int64_t after);

typedef struct {
    uint32_t struct_size;
    uint32_t host;
    const int64_t *vector; /* 0 to BERTH_PLACE_MAX_AMOUNT, not all 0 */
    int64_t start, end;    /* start < end; end NEVER: without one */
    uint32_t lasting;      /* dimensions that go on after the end, by bit */
    uint32_t n_holdings;   /* slices of its host's devices, no device in two of them; 0: none */
    const BerthPlaceHolding *holdings; /* NULL: none */
} BerthCommitment;

/* Enters a commitment under a number of the caller's. ERROR_OVERDRAW when less is free over its
 * span; ERROR_EXISTS; ERROR_TIME when it would have ended already; ERROR_ARGUMENT when its host has no
 * such device, or one is named twice; ERROR_AMOUNT when that has fewer slices, or none are asked for.
 * BERTH_PLACE_WHOLE stands for all slices that the device has when it is committed. */
BERTH_PLACE_API BerthPlaceResult berth_calendar_commit(BerthCalendar *calendar, uint32_t number,
                                                       const BerthCommitment *commitment);
/* The same for what is a fact and cannot be refused: a host in debt, a VM that overstays. Replaces
 * what the number stood for. */
BERTH_PLACE_API BerthPlaceResult berth_calendar_impose(BerthCalendar *calendar, uint32_t number,
                                                       const BerthCommitment *commitment);
/* ERROR_UNKNOWN_COMMITMENT. */
BERTH_PLACE_API BerthPlaceResult berth_calendar_cancel(BerthCalendar *calendar, uint32_t number);

/* Moves a commitment's end: earlier always, later if there is room (ERROR_OVERDRAW). */
BERTH_PLACE_API BerthPlaceResult berth_calendar_set_end(BerthCalendar *calendar, uint32_t number,
                                                        int64_t end);

/* The most that is committed on a host at any one time of [start, end), all dimensions each by
 * itself; from now on with berth_calendar_peak. Zeros for a host without commitments. */
BERTH_PLACE_API void berth_calendar_peak(const BerthCalendar *calendar, uint32_t host,
                                         int64_t *ret_peak);
BERTH_PLACE_API BerthPlaceResult berth_calendar_committed(const BerthCalendar *calendar,
                                                          uint32_t host, int64_t start, int64_t end,
                                                          int64_t *ret_committed);

/* The same from now on of each of its devices, in slices, in the order of the host's list. `ret_peak` has
 * room for BERTH_PLACE_MAX_DEVICES; zeros where nothing is committed. */
BERTH_PLACE_API void berth_calendar_devices_peak(const BerthCalendar *calendar, uint32_t host,
                                                 int64_t *ret_peak);

/* What a host can still promise over all of [start, end). */
BERTH_PLACE_API BerthPlaceResult berth_calendar_free_on(const BerthCalendar *calendar,
                                                        uint32_t host, int64_t start, int64_t end,
                                                        int64_t *ret_free);

/* The same of each of the host's devices in slices, less than 0 where more is committed than there is.
 * `ret_free` has room for BERTH_PLACE_MAX_DEVICES, `*ret_n` is how many the host has. Both:
 * ERROR_UNKNOWN_HOST; ERROR_TIME when the span is empty; ERROR_BUSY while a window is open. */
BERTH_PLACE_API BerthPlaceResult berth_calendar_devices_on(const BerthCalendar *calendar,
                                                           uint32_t host, int64_t start,
                                                           int64_t end, int64_t *ret_free,
                                                           uint32_t *ret_n);

/* berth_place_set_devices in a fleet with a calendar: `free` is what would be free of each device if
 * nothing were committed. Commitments go on naming devices by their place in the list, with the slices
 * that they hold; those behind its end are held for when the list is longer again. ERROR_BUSY while a
 * window is open; errors of berth_place_set_devices. */
BERTH_PLACE_API BerthPlaceResult berth_calendar_set_devices(BerthCalendar *calendar, uint32_t host,
                                                            const BerthPlaceDevice *devices,
                                                            uint32_t n);

/* Shows in the fleet what is free over [start, end), in the lasting dimensions from `start` for
 * ever, until the window is closed. One at a time (ERROR_BUSY), not while changes are tried already
 * (ERROR_BUSY), and commitments do not change meanwhile (ERROR_BUSY); what is taken in the fleet and
 * given back again is the caller's affair. Closing cannot fail. */
BERTH_PLACE_API BerthPlaceResult berth_calendar_open(BerthCalendar *calendar, int64_t start,
                                                     int64_t end, uint32_t lasting);
BERTH_PLACE_API void berth_calendar_close(BerthCalendar *calendar);

typedef struct {
    uint32_t struct_size;
    uint32_t count;                   /* as many of the request, at least 1, all or none */
    const BerthPlaceRequest *request; /* with its policy and its rules */
    int64_t from;                     /* not before; a time that is past counts as now */
    int64_t duration;                 /* more than 0; NEVER: without end */
    int64_t deadline;                 /* the latest end; NEVER: none */
    uint32_t lasting;
    bool fixed; /* at `from` or not at all */
} BerthCalendarRequest;

/* The earliest start at which all of a request run to their end, a host for each in `ret_hosts` and
 * its devices there, bit by bit, in `ret_devices` (each `count` long; the latter may be NULL). Changes
 * nothing. BERTH_PLACE_LATE: they can, but not by the deadline (or not at `from`, if that is fixed);
 * `*ret_start` is then the earliest start there is, and hosts and devices those for it.
 * BERTH_PLACE_NO_HOST: at no time, as things are; nothing is set. */
BERTH_PLACE_API BerthPlaceResult berth_calendar_earliest(BerthCalendar *calendar,
                                                         const BerthCalendarRequest *request,
                                                         int64_t *ret_start, uint32_t *ret_hosts,
                                                         uint64_t *ret_devices);

/* NULL, or the first invariant that does not hold. For tests: it looks at everything. */
BERTH_PLACE_API const char *berth_calendar_check(const BerthCalendar *calendar);

#ifdef __cplusplus
}
#endif
