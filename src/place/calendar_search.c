#include <stdlib.h>
#include <string.h>

#include "place/calendar_state.h"
#include "place/fleet.h"
#include "place/rules.h"

static BerthPlaceResult check_request(const BerthCalendar *calendar,
                                      const BerthCalendarRequest *request)
{
    if (request->struct_size < sizeof *request || request->request == NULL || request->count == 0) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (fleet_is_newer(request, request->struct_size, sizeof *request)) {
        return BERTH_PLACE_ERROR_UNSUPPORTED;
    }
    if (request->duration <= 0) {
        return BERTH_PLACE_ERROR_TIME;
    }
    return calendar->open ? BERTH_PLACE_ERROR_BUSY : BERTH_PLACE_OK;
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Every time after `from` at which anything is given back, once each and in order. */
static BerthPlaceResult list_falls(const BerthCalendar *calendar, int64_t from, int64_t **ret_times,
                                   size_t *ret_n)
{
    size_t room = 0, n = 0, kept = 0;

    for (uint32_t host = 0; host < calendar->n_by_host; host++) {
        room += calendar->by_host[host] != NULL ? calendar->by_host[host]->n : 0;
    }
    int64_t *times = malloc((room + 1) * sizeof *times);
    if (times == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t host = 0; host < calendar->n_by_host; host++) {
        const Timeline *timeline = calendar->by_host[host];

        for (uint32_t i = 1; timeline != NULL && i < timeline->n; i++) {
            if (timeline->times[i] > from && timeline_falls(timeline, calendar->n_dims, i)) {
                times[n++] = timeline->times[i];
            }
        }
    }
    qsort(times, n, sizeof *times, compare_times);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || times[kept - 1] != times[i]) {
            times[kept++] = times[i];
        }
    }
    *ret_times = times;
    *ret_n = kept;
    return BERTH_PLACE_OK;
}

/* Places all of the request in the fleet as it shows itself now, and takes them back. */
static BerthPlaceResult place_all(BerthPlace *place, const BerthPlaceRequest *request,
                                  uint32_t count, uint32_t *hosts)
{
    BerthPlaceResult result = BERTH_PLACE_OK;
    uint32_t placed = 0;

    while (result == BERTH_PLACE_OK && placed < count) {
        BerthPlaceDecision decision = {.struct_size = sizeof decision};

        result = berth_place_find(place, request, &decision);
        if (result == BERTH_PLACE_OK) {
            result = berth_place_enter(place, decision.host, request->groups, request->n_groups);
        }
        if (result == BERTH_PLACE_OK) {
            berth_place_take(place, decision.host, request->vector);
            hosts[placed++] = decision.host;
        }
    }
    for (uint32_t i = 0; i < placed; i++) {
        berth_place_give(place, hosts[i], request->vector);
        berth_place_leave(place, hosts[i], request->groups, request->n_groups);
    }
    return result;
}

static int64_t end_of(int64_t start, int64_t duration)
{
    return start > BERTH_CALENDAR_NEVER - duration ? BERTH_CALENDAR_NEVER : start + duration;
}

static BerthPlaceResult try_at(BerthCalendar *calendar, const BerthCalendarRequest *request,
                               int64_t start, uint32_t *hosts)
{
    BerthPlaceResult result =
        berth_calendar_open(calendar, start, end_of(start, request->duration), request->lasting);

    if (result == BERTH_PLACE_OK) {
        result = place_all(calendar->place, request->request, request->count, hosts);
        berth_calendar_close(calendar);
    }
    return result;
}

BerthPlaceResult berth_calendar_earliest(BerthCalendar *calendar,
                                         const BerthCalendarRequest *request, int64_t *ret_start,
                                         uint32_t *ret_hosts)
{
    BerthPlaceResult result = check_request(calendar, request);
    int64_t *times = NULL;
    size_t n = 0;

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    int64_t start = request->from > calendar->now ? request->from : calendar->now;
    uint32_t *hosts = malloc(request->count * sizeof *hosts);
    result = hosts != NULL ? list_falls(calendar, start, &times, &n) : BERTH_PLACE_ERROR_NO_MEMORY;
    if (result == BERTH_PLACE_OK) {
        result = try_at(calendar, request, start, hosts);
    }
    for (size_t i = 0; result == BERTH_PLACE_NO_HOST && i < n; i++) {
        result = try_at(calendar, request, times[i], hosts);
        start = times[i];
    }
    if (result == BERTH_PLACE_OK) {
        bool in_time = end_of(start, request->duration) <= request->deadline &&
                       (!request->fixed || start <= request->from);

        *ret_start = start;
        memcpy(ret_hosts, hosts, request->count * sizeof *hosts);
        result = in_time ? BERTH_PLACE_OK : BERTH_PLACE_LATE;
    }
    free(times);
    free(hosts);
    return result;
}
