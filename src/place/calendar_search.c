#include <stdlib.h>
#include <string.h>

#include "place/calendar_state.h"
#include "place/fleet.h"
#include "place/inventory.h"
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

/* Where each of a request is. */
typedef struct {
    uint32_t *hosts;
    uint64_t *devices;
} Found;

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static size_t list_those_of(const Timeline *timeline, int64_t from, int64_t *times)
{
    size_t n = 0;

    for (uint32_t i = 1; timeline != NULL && i < timeline->n; i++) {
        if (timeline->times[i] > from && timeline_falls(timeline, i)) {
            times[n++] = timeline->times[i];
        }
    }
    return n;
}

/* Every time after `from` at which anything is given back, once each and in order. */
static BerthPlaceResult list_falls(const BerthCalendar *calendar, int64_t from, int64_t **ret_times,
                                   size_t *ret_n)
{
    size_t room = 0, n = 0, kept = 0;

    for (uint32_t host = 0; host < calendar->n_pages; host++) {
        const Page *page = &calendar->pages[host];

        room += page->amounts != NULL ? page->amounts->n : 0;
        room += page->devices != NULL ? page->devices->n : 0;
    }
    int64_t *times = malloc((room + 1) * sizeof *times);
    if (times == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t host = 0; host < calendar->n_pages; host++) {
        n += list_those_of(calendar->pages[host].amounts, from, times + n);
        n += list_those_of(calendar->pages[host].devices, from, times + n);
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

/* Takes what a request gets on a host, or gives it back. */
static void move(BerthPlace *place, const BerthPlaceRequest *request, uint32_t host,
                 uint64_t chosen, bool gives)
{
    BerthPlaceHolding holdings[BERTH_PLACE_MAX_MODEL];
    uint32_t n = inventory_n_asked(request);

    inventory_holdings(place, host, request, chosen, holdings); /* as the engine chose them */
    if (gives) {
        berth_place_give(place, host, request->vector);
    } else {
        berth_place_take(place, host, request->vector);
    }
    for (uint32_t i = 0; i < n; i++) {
        inventory_shift(place, host, holdings[i].slices, holdings[i].devices, gives);
    }
}

/* Places all of the request in the fleet as it shows itself now, and takes them back. */
static BerthPlaceResult place_all(BerthPlace *place, const BerthPlaceRequest *request,
                                  uint32_t count, Found *found)
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
            move(place, request, decision.host, decision.devices, false);
            found->hosts[placed] = decision.host;
            found->devices[placed++] = decision.devices;
        }
    }
    for (uint32_t i = 0; i < placed; i++) {
        move(place, request, found->hosts[i], found->devices[i], true);
        berth_place_leave(place, found->hosts[i], request->groups, request->n_groups);
    }
    return result;
}

static int64_t end_of(int64_t start, int64_t duration)
{
    return start > BERTH_CALENDAR_NEVER - duration ? BERTH_CALENDAR_NEVER : start + duration;
}

static BerthPlaceResult try_at(BerthCalendar *calendar, const BerthCalendarRequest *request,
                               int64_t start, Found *found)
{
    BerthPlaceResult result =
        berth_calendar_open(calendar, start, end_of(start, request->duration), request->lasting);

    if (result == BERTH_PLACE_OK) {
        result = place_all(calendar->place, request->request, request->count, found);
        berth_calendar_close(calendar);
    }
    return result;
}

BerthPlaceResult berth_calendar_earliest(BerthCalendar *calendar,
                                         const BerthCalendarRequest *request, int64_t *ret_start,
                                         uint32_t *ret_hosts, uint64_t *ret_devices)
{
    BerthPlaceResult result = check_request(calendar, request);
    int64_t *times = NULL;
    size_t n = 0;

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    int64_t start = request->from > calendar->now ? request->from : calendar->now;
    Found found = {malloc(request->count * sizeof *found.hosts),
                   malloc(request->count * sizeof *found.devices)};
    result = found.hosts != NULL && found.devices != NULL ? list_falls(calendar, start, &times, &n)
                                                          : BERTH_PLACE_ERROR_NO_MEMORY;
    if (result == BERTH_PLACE_OK) {
        result = try_at(calendar, request, start, &found);
    }
    for (size_t i = 0; result == BERTH_PLACE_NO_HOST && i < n; i++) {
        result = try_at(calendar, request, times[i], &found);
        start = times[i];
    }
    if (result == BERTH_PLACE_OK) {
        bool in_time = end_of(start, request->duration) <= request->deadline &&
                       (!request->fixed || start <= request->from);

        *ret_start = start;
        memcpy(ret_hosts, found.hosts, request->count * sizeof *found.hosts);
        if (ret_devices != NULL) {
            memcpy(ret_devices, found.devices, request->count * sizeof *found.devices);
        }
        result = in_time ? BERTH_PLACE_OK : BERTH_PLACE_LATE;
    }
    free(times);
    free(found.hosts);
    free(found.devices);
    return result;
}
