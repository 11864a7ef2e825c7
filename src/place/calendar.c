#include "place/calendar_state.h"

#include <stdlib.h>
#include <string.h>

#include "place/fleet.h"

BerthPlaceResult berth_calendar_new(BerthPlace *place, BerthCalendar **ret_calendar)
{
    BerthCalendar *calendar = calloc(1, sizeof *calendar);

    if (calendar == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    calendar->place = place;
    calendar->n_dims = berth_place_n_dims(place);
    calendar->now = INT64_MIN;
    *ret_calendar = calendar;
    return BERTH_PLACE_OK;
}

/* Adds to what the fleet has available on a host, which the arithmetic of the peaks keeps within
 * its capacity. */
static BerthPlaceResult give(const BerthCalendar *calendar, uint32_t host, const int64_t *more)
{
    int64_t available[BERTH_PLACE_MAX_DIMS];
    int64_t any = 0;
    BerthPlaceResult result = berth_place_get(calendar->place, host, NULL, available, NULL);

    for (uint32_t d = 0; result == BERTH_PLACE_OK && d < calendar->n_dims; d++) {
        available[d] += more[d];
        any |= more[d];
    }
    return result != BERTH_PLACE_OK || any == 0
               ? result
               : berth_place_set(calendar->place, host, NULL, available);
}

void berth_calendar_move(BerthCalendar *calendar, BerthPlace *place)
{
    calendar->place = place;
}

void berth_calendar_free(BerthCalendar *calendar)
{
    if (calendar == NULL) {
        return;
    }
    berth_calendar_close(calendar);
    for (uint32_t host = 0; host < calendar->n_by_host; host++) {
        if (calendar->by_host[host] != NULL) {
            give(calendar, host, calendar->by_host[host]->peak);
            timeline_free(calendar->by_host[host]);
        }
    }
    free(calendar->by_host);
    free(calendar->entries);
    free(calendar->vectors);
    free(calendar);
}

static Timeline *timeline_of(const BerthCalendar *calendar, uint32_t host)
{
    return host < calendar->n_by_host ? calendar->by_host[host] : NULL;
}

static BerthPlaceResult reserve_host(BerthCalendar *calendar, uint32_t host)
{
    if (host >= calendar->n_by_host) {
        uint32_t n = host + 1 + host / 2;
        Timeline **by_host = realloc(calendar->by_host, n * sizeof *by_host);
        if (by_host == NULL) {
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
        memset(by_host + calendar->n_by_host, 0, (n - calendar->n_by_host) * sizeof *by_host);
        calendar->by_host = by_host;
        calendar->n_by_host = n;
    }
    if (calendar->by_host[host] == NULL) {
        calendar->by_host[host] = timeline_new(calendar->n_dims, host, calendar->now);
        calendar->n_timelines += calendar->by_host[host] != NULL;
    }
    return calendar->by_host[host] != NULL &&
                   timeline_reserve(calendar->by_host[host], calendar->n_dims)
               ? BERTH_PLACE_OK
               : BERTH_PLACE_ERROR_NO_MEMORY;
}

static void drop_if_empty(BerthCalendar *calendar, uint32_t host)
{
    Timeline *timeline = timeline_of(calendar, host);

    if (timeline != NULL && timeline_is_empty(timeline, calendar->n_dims)) {
        timeline_free(timeline);
        calendar->by_host[host] = NULL;
        calendar->n_timelines--;
    }
}

static BerthPlaceResult reserve_number(BerthCalendar *calendar, uint32_t number)
{
    if (number >= BERTH_CALENDAR_MAX_NUMBER) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (number < calendar->n_entries) {
        return BERTH_PLACE_OK;
    }
    uint32_t n = number + 1 + number / 2;
    Entry *entries = realloc(calendar->entries, n * sizeof *entries);
    calendar->entries = entries != NULL ? entries : calendar->entries;
    int64_t *vectors =
        realloc(calendar->vectors, (size_t)n * calendar->n_dims * sizeof *calendar->vectors);
    calendar->vectors = vectors != NULL ? vectors : calendar->vectors;
    if (entries == NULL || vectors == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t i = calendar->n_entries; i < n; i++) {
        entries[i].host = BERTH_PLACE_NONE;
    }
    calendar->n_entries = n;
    return BERTH_PLACE_OK;
}

/* What ends and what lasts, each over its own span. */
static void add(const BerthCalendar *calendar, Timeline *timeline, const Entry *entry,
                const int64_t *vector, int sign)
{
    int64_t parts[2][BERTH_PLACE_MAX_DIMS] = {{0}};
    bool lasts = false;

    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        bool here = (entry->lasting >> d & 1) != 0;

        parts[0][d] = here ? 0 : vector[d];
        parts[1][d] = here ? vector[d] : 0;
        lasts = lasts || parts[1][d] != 0;
    }
    timeline_add(timeline, calendar->n_dims, entry->start, entry->end, parts[0], sign);
    if (lasts) {
        timeline_add(timeline, calendar->n_dims, entry->start, BERTH_CALENDAR_NEVER, parts[1],
                     sign);
    }
}

/* Changes a host's timeline from one entry to another (either may be NULL), and the fleet by the
 * difference of the peaks; all or nothing. */
static BerthPlaceResult change(BerthCalendar *calendar, uint32_t host, const Entry *old,
                               const int64_t *old_vector, const Entry *new,
                               const int64_t *new_vector)
{
    int64_t more[BERTH_PLACE_MAX_DIMS];
    Timeline *timeline = timeline_of(calendar, host);

    memcpy(more, timeline->peak, sizeof more);
    if (old != NULL) {
        add(calendar, timeline, old, old_vector, -1);
    }
    if (new != NULL) {
        add(calendar, timeline, new, new_vector, 1);
    }
    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        more[d] -= timeline->peak[d];
    }
    BerthPlaceResult result = give(calendar, host, more);
    if (result != BERTH_PLACE_OK) {
        if (new != NULL) {
            add(calendar, timeline, new, new_vector, -1);
        }
        if (old != NULL) {
            add(calendar, timeline, old, old_vector, 1);
        }
    }
    drop_if_empty(calendar, host);
    return result;
}

static BerthPlaceResult check_commitment(const BerthCalendar *calendar,
                                         const BerthCommitment *commitment)
{
    int64_t any = 0;

    if (commitment->struct_size < sizeof *commitment) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (fleet_is_newer(commitment, commitment->struct_size, sizeof *commitment)) {
        return BERTH_PLACE_ERROR_UNSUPPORTED;
    }
    if (!fleet_has(calendar->place, commitment->host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        if (commitment->vector[d] < 0 || commitment->vector[d] > BERTH_PLACE_MAX_AMOUNT) {
            return BERTH_PLACE_ERROR_AMOUNT;
        }
        any |= commitment->vector[d];
    }
    return any == 0                               ? BERTH_PLACE_ERROR_AMOUNT
           : commitment->start >= commitment->end ? BERTH_PLACE_ERROR_TIME
           : commitment->end <= calendar->now     ? BERTH_PLACE_ERROR_TIME
                                                  : BERTH_PLACE_OK;
}

static int64_t *vector_of(const BerthCalendar *calendar, uint32_t number)
{
    return calendar->vectors + (size_t)number * calendar->n_dims;
}

static bool is_used(const BerthCalendar *calendar, uint32_t number)
{
    return number < calendar->n_entries && calendar->entries[number].host != BERTH_PLACE_NONE;
}

/* Is the vector free over the span, each dimension as long as it is held? */
static bool is_free(const BerthCalendar *calendar, const BerthCommitment *wanted)
{
    int64_t ending[BERTH_PLACE_MAX_DIMS] = {0}, lasting[BERTH_PLACE_MAX_DIMS] = {0};

    berth_calendar_free_on(calendar, wanted->host, wanted->start, wanted->end, ending);
    berth_calendar_free_on(calendar, wanted->host, wanted->start, BERTH_CALENDAR_NEVER, lasting);
    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        int64_t room = (wanted->lasting >> d & 1) != 0 ? lasting[d] : ending[d];

        if (wanted->vector[d] > 0 && wanted->vector[d] > room) {
            return false;
        }
    }
    return true;
}

static BerthPlaceResult enter(BerthCalendar *calendar, uint32_t number,
                              const BerthCommitment *commitment)
{
    Entry entry = {.host = commitment->host,
                   .lasting = commitment->lasting,
                   .start = commitment->start,
                   .end = commitment->end};
    BerthPlaceResult result = reserve_number(calendar, number);

    if (result == BERTH_PLACE_OK) {
        result = reserve_host(calendar, commitment->host);
    }
    if (result == BERTH_PLACE_OK) {
        result = change(calendar, commitment->host, NULL, NULL, &entry, commitment->vector);
    }
    if (result == BERTH_PLACE_OK) {
        calendar->entries[number] = entry;
        memcpy(vector_of(calendar, number), commitment->vector,
               calendar->n_dims * sizeof *commitment->vector);
    }
    return result;
}

BerthPlaceResult berth_calendar_commit(BerthCalendar *calendar, uint32_t number,
                                       const BerthCommitment *commitment)
{
    BerthPlaceResult result = check_commitment(calendar, commitment);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    return calendar->open                   ? BERTH_PLACE_ERROR_BUSY
           : is_used(calendar, number)      ? BERTH_PLACE_ERROR_EXISTS
           : !is_free(calendar, commitment) ? BERTH_PLACE_ERROR_OVERDRAW
                                            : enter(calendar, number, commitment);
}

/* An entry's change in place: of its host, its vector or its times. */
static BerthPlaceResult replace(BerthCalendar *calendar, uint32_t number, const Entry *entry,
                                const int64_t *vector)
{
    BerthPlaceResult result = reserve_host(calendar, entry->host);

    if (result == BERTH_PLACE_OK) {
        result = change(calendar, entry->host, &calendar->entries[number],
                        vector_of(calendar, number), entry, vector);
    }
    if (result == BERTH_PLACE_OK) {
        calendar->entries[number] = *entry;
        memmove(vector_of(calendar, number), vector, calendar->n_dims * sizeof *vector);
    }
    return result;
}

BerthPlaceResult berth_calendar_impose(BerthCalendar *calendar, uint32_t number,
                                       const BerthCommitment *commitment)
{
    BerthPlaceResult result = check_commitment(calendar, commitment);

    if (result != BERTH_PLACE_OK || calendar->open) {
        return result != BERTH_PLACE_OK ? result : BERTH_PLACE_ERROR_BUSY;
    }
    if (!is_used(calendar, number)) {
        return enter(calendar, number, commitment);
    }
    if (calendar->entries[number].host == commitment->host) {
        Entry entry = {commitment->host, commitment->lasting, commitment->start, commitment->end};

        return replace(calendar, number, &entry, commitment->vector);
    }
    result = berth_calendar_cancel(calendar, number);
    return result == BERTH_PLACE_OK ? enter(calendar, number, commitment) : result;
}

BerthPlaceResult berth_calendar_cancel(BerthCalendar *calendar, uint32_t number)
{
    if (calendar->open) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (!is_used(calendar, number)) {
        return BERTH_PLACE_ERROR_UNKNOWN_COMMITMENT;
    }
    Entry *entry = &calendar->entries[number];
    BerthPlaceResult result = reserve_host(calendar, entry->host);
    if (result == BERTH_PLACE_OK) {
        result = change(calendar, entry->host, entry, vector_of(calendar, number), NULL, NULL);
    }
    if (result == BERTH_PLACE_OK) {
        entry->host = BERTH_PLACE_NONE;
    }
    return result;
}

BerthPlaceResult berth_calendar_set_end(BerthCalendar *calendar, uint32_t number, int64_t end)
{
    if (calendar->open) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (!is_used(calendar, number)) {
        return BERTH_PLACE_ERROR_UNKNOWN_COMMITMENT;
    }
    Entry entry = calendar->entries[number];
    int64_t *vector = vector_of(calendar, number);
    if (end <= entry.start || end <= calendar->now) {
        return BERTH_PLACE_ERROR_TIME;
    }
    if (end > entry.end) {
        int64_t ending[BERTH_PLACE_MAX_DIMS];
        bool fits = true;

        for (uint32_t d = 0; d < calendar->n_dims; d++) {
            ending[d] = (entry.lasting >> d & 1) != 0 ? 0 : vector[d];
        }
        BerthCommitment more = {.struct_size = sizeof more,
                                .host = entry.host,
                                .vector = ending,
                                .start = entry.end > calendar->now ? entry.end : calendar->now,
                                .end = end};
        fits = is_free(calendar, &more);
        if (!fits) {
            return BERTH_PLACE_ERROR_OVERDRAW;
        }
    }
    entry.end = end;
    return replace(calendar, number, &entry, vector);
}

BerthPlaceResult berth_calendar_advance(BerthCalendar *calendar, int64_t now)
{
    if (calendar->open) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (now <= calendar->now) {
        return BERTH_PLACE_OK;
    }
    calendar->now = now;
    for (uint32_t host = 0; calendar->n_timelines > 0 && host < calendar->n_by_host; host++) {
        Timeline *timeline = calendar->by_host[host];
        int64_t more[BERTH_PLACE_MAX_DIMS];

        if (timeline == NULL) {
            continue;
        }
        memcpy(more, timeline->peak, sizeof more);
        timeline_trim(timeline, calendar->n_dims, now);
        for (uint32_t d = 0; d < calendar->n_dims; d++) {
            more[d] -= timeline->peak[d];
        }
        give(calendar, host, more);
        drop_if_empty(calendar, host);
    }
    return BERTH_PLACE_OK;
}

int64_t berth_calendar_next_on(const BerthCalendar *calendar, uint32_t host, int64_t after)
{
    const Timeline *timeline = timeline_of(calendar, host);

    for (uint32_t i = 1; timeline != NULL && i < timeline->n; i++) {
        if (timeline->times[i] > after && timeline_falls(timeline, calendar->n_dims, i)) {
            return timeline->times[i];
        }
    }
    return BERTH_CALENDAR_NEVER;
}

int64_t berth_calendar_next(const BerthCalendar *calendar)
{
    int64_t next = BERTH_CALENDAR_NEVER;

    for (uint32_t host = 0; calendar->n_timelines > 0 && host < calendar->n_by_host; host++) {
        const Timeline *timeline = calendar->by_host[host];

        for (uint32_t i = 1; timeline != NULL && i < timeline->n && timeline->times[i] < next;
             i++) {
            if (timeline_falls(timeline, calendar->n_dims, i)) {
                next = timeline->times[i];
            }
        }
    }
    return next;
}

void berth_calendar_peak(const BerthCalendar *calendar, uint32_t host, int64_t *ret_peak)
{
    const Timeline *timeline = timeline_of(calendar, host);

    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        ret_peak[d] = timeline != NULL ? timeline->peak[d] : 0;
    }
}

BerthPlaceResult berth_calendar_committed(const BerthCalendar *calendar, uint32_t host,
                                          int64_t start, int64_t end, int64_t *ret_committed)
{
    const Timeline *timeline = timeline_of(calendar, host);

    if (!fleet_has(calendar->place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (start >= end) {
        return BERTH_PLACE_ERROR_TIME;
    }
    memset(ret_committed, 0, calendar->n_dims * sizeof *ret_committed);
    if (timeline != NULL) {
        timeline_most(timeline, calendar->n_dims, start, end, ret_committed);
    }
    return BERTH_PLACE_OK;
}

/* How much more than is available for good is free over a span. */
static void slack(const BerthCalendar *calendar, const Timeline *timeline, int64_t start,
                  int64_t end, uint32_t lasting, int64_t *ret_more)
{
    int64_t most[BERTH_PLACE_MAX_DIMS], most_ever[BERTH_PLACE_MAX_DIMS];

    timeline_most(timeline, calendar->n_dims, start, end, most);
    timeline_most(timeline, calendar->n_dims, start, BERTH_CALENDAR_NEVER, most_ever);
    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        ret_more[d] = timeline->peak[d] - ((lasting >> d & 1) != 0 ? most_ever[d] : most[d]);
    }
}

BerthPlaceResult berth_calendar_free_on(const BerthCalendar *calendar, uint32_t host, int64_t start,
                                        int64_t end, int64_t *ret_free)
{
    int64_t available[BERTH_PLACE_MAX_DIMS], more[BERTH_PLACE_MAX_DIMS] = {0};
    const Timeline *timeline = timeline_of(calendar, host);
    BerthPlaceResult result = berth_place_get(calendar->place, host, NULL, available, NULL);

    if (result != BERTH_PLACE_OK || start >= end || calendar->open) {
        return result != BERTH_PLACE_OK ? result
               : start >= end           ? BERTH_PLACE_ERROR_TIME
                                        : BERTH_PLACE_ERROR_BUSY;
    }
    if (timeline != NULL) {
        slack(calendar, timeline, start, end, 0, more);
    }
    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        ret_free[d] = available[d] + more[d];
    }
    return BERTH_PLACE_OK;
}

/* Shows the open window (sign 1) or hides it; returns the first error. Hiding what was shown needs
 * nothing and cannot fail. */
static BerthPlaceResult show(BerthCalendar *calendar, uint32_t until_host, int sign)
{
    for (uint32_t host = 0; calendar->n_timelines > 0 && host < until_host; host++) {
        int64_t more[BERTH_PLACE_MAX_DIMS];

        if (calendar->by_host[host] == NULL) {
            continue;
        }
        slack(calendar, calendar->by_host[host], calendar->open_start, calendar->open_end,
              calendar->open_lasting, more);
        for (uint32_t d = 0; d < calendar->n_dims; d++) {
            more[d] *= sign;
        }
        BerthPlaceResult result = give(calendar, host, more);
        if (result != BERTH_PLACE_OK) {
            if (sign > 0) {
                show(calendar, host, -1);
            }
            return result;
        }
    }
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_calendar_open(BerthCalendar *calendar, int64_t start, int64_t end,
                                     uint32_t lasting)
{
    if (calendar->open) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (start >= end || end <= calendar->now) {
        return BERTH_PLACE_ERROR_TIME;
    }
    calendar->open_start = start;
    calendar->open_end = end;
    calendar->open_lasting = lasting;
    BerthPlaceResult result = show(calendar, calendar->n_by_host, 1);
    calendar->open = result == BERTH_PLACE_OK;
    return result;
}

void berth_calendar_close(BerthCalendar *calendar)
{
    if (calendar->open) {
        show(calendar, calendar->n_by_host, -1);
        calendar->open = false;
    }
}

/* Every timeline made anew from the commitments is the one that is kept. */
static const char *check_host(const BerthCalendar *calendar, uint32_t host)
{
    const Timeline *kept = calendar->by_host[host];
    Timeline *fresh = timeline_new(calendar->n_dims, host, calendar->now);
    const char *wrong = NULL;

    for (uint32_t i = 0; fresh != NULL && i < calendar->n_entries; i++) {
        if (calendar->entries[i].host == host && timeline_reserve(fresh, calendar->n_dims)) {
            int64_t vector[BERTH_PLACE_MAX_DIMS];

            memcpy(vector, vector_of(calendar, i), calendar->n_dims * sizeof *vector);
            add(calendar, fresh, &calendar->entries[i], vector, 1);
        }
    }
    if (fresh == NULL) {
        return "out of memory for a check";
    }
    if (fresh->n != kept->n ||
        memcmp(fresh->times, kept->times, kept->n * sizeof *kept->times) != 0 ||
        memcmp(fresh->levels, kept->levels,
               (size_t)kept->n * calendar->n_dims * sizeof *kept->levels) != 0) {
        wrong = "a host's timeline is not the sum of its commitments";
    } else if (memcmp(fresh->peak, kept->peak, calendar->n_dims * sizeof *kept->peak) != 0) {
        wrong = "a host's peak is not the highest of its timeline";
    }
    timeline_free(fresh);
    return wrong;
}

const char *berth_calendar_check(const BerthCalendar *calendar)
{
    uint32_t n_timelines = 0;

    for (uint32_t host = 0; host < calendar->n_by_host; host++) {
        if (calendar->by_host[host] != NULL) {
            const char *wrong = check_host(calendar, host);

            if (wrong != NULL) {
                return wrong;
            }
            n_timelines++;
        }
    }
    for (uint32_t i = 0; i < calendar->n_entries; i++) {
        const Entry *entry = &calendar->entries[i];

        if (entry->host != BERTH_PLACE_NONE && entry->end > calendar->now &&
            timeline_of(calendar, entry->host) == NULL) {
            return "a commitment is on no timeline";
        }
    }
    return n_timelines == calendar->n_timelines ? NULL : "timelines are miscounted";
}
