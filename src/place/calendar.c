#include "place/calendar_state.h"

#include <stdlib.h>
#include <string.h>

#include "place/fleet.h"
#include "place/inventory.h"
#include "place/journal.h"

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

/* Adds to it what it had before, or gives back what it lent: needs nothing and cannot fail, also while changes
 * are tried in the fleet. */
static void restore(const BerthCalendar *calendar, uint32_t host, const int64_t *amounts,
                    const int64_t *devices, bool gives)
{
    const Page *page = &calendar->pages[host];
    int64_t more[BERTH_PLACE_MAX_DEVICES];

    if (!fleet_has(calendar->place, host)) {
        return;
    }
    fleet_shift(calendar->place, host, amounts, gives);
    for (uint32_t i = 0; page->devices != NULL && i < page->devices->n_dims; i++) {
        more[i] = gives ? devices[i] : -devices[i];
    }
    if (page->devices != NULL) {
        calendar_give_devices(calendar, host, more);
    }
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
    for (uint32_t host = 0; host < calendar->n_pages; host++) {
        Page *page = calendar_page(calendar, host);

        if (page != NULL) {
            restore(calendar, host, page->amounts->peak,
                    page->devices != NULL ? page->devices->peak : NULL, true);
            timeline_free(page->amounts);
            calendar_drop_devices(page);
        }
    }
    for (uint32_t i = 0; i < calendar->n_entries; i++) {
        free(calendar->entries[i].slices);
    }
    free(calendar->pages);
    free(calendar->entries);
    free(calendar->vectors);
    free(calendar);
}

static BerthPlaceResult reserve_host(BerthCalendar *calendar, uint32_t host, uint32_t n_slices)
{
    if (host >= calendar->n_pages) {
        uint32_t n = host + 1 + host / 2;
        Page *pages = realloc(calendar->pages, n * sizeof *pages);
        if (pages == NULL) {
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
        memset(pages + calendar->n_pages, 0, (n - calendar->n_pages) * sizeof *pages);
        calendar->pages = pages;
        calendar->n_pages = n;
    }
    Page *page = &calendar->pages[host];
    if (page->amounts == NULL) {
        page->amounts = timeline_new(calendar->n_dims, calendar->now);
        calendar->n_used += page->amounts != NULL;
    }
    return page->amounts == NULL || !timeline_reserve(page->amounts)
               ? BERTH_PLACE_ERROR_NO_MEMORY
               : calendar_reserve_devices(calendar, host, n_slices);
}

static void drop_if_empty(BerthCalendar *calendar, uint32_t host)
{
    Page *page = calendar_page(calendar, host);

    if (page != NULL && timeline_is_empty(page->devices)) {
        calendar_drop_devices(page);
    }
    if (page != NULL && page->devices == NULL && timeline_is_empty(page->amounts)) {
        timeline_free(page->amounts);
        page->amounts = NULL;
        calendar->n_used--;
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
        entries[i] = (Entry){.host = BERTH_PLACE_NONE};
    }
    calendar->n_entries = n;
    return BERTH_PLACE_OK;
}

/* What ends and what lasts, each over its own span. */
static void add_amounts(const BerthCalendar *calendar, Timeline *timeline, const Entry *entry,
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
    timeline_add(timeline, entry->start, entry->end, parts[0], sign);
    if (lasts) {
        timeline_add(timeline, entry->start, BERTH_CALENDAR_NEVER, parts[1], sign);
    }
}

static void add(const BerthCalendar *calendar, Page *page, const Entry *entry,
                const int64_t *vector, int sign)
{
    if (entry != NULL) {
        add_amounts(calendar, page->amounts, entry, vector, sign);
        calendar_add_slices(page, entry, sign);
    }
}

/* By how much the peaks of a page's amounts and devices have fallen while it was changed. */
typedef struct {
    int64_t amounts[BERTH_PLACE_MAX_DIMS], devices[BERTH_PLACE_MAX_DEVICES];
} Fall;

static void note_peaks(const Page *page, Fall *fall)
{
    memcpy(fall->amounts, page->amounts->peak, page->amounts->n_dims * sizeof *fall->amounts);
    if (page->devices != NULL) {
        memcpy(fall->devices, page->devices->peak, page->devices->n_dims * sizeof *fall->devices);
    }
}

static BerthPlaceResult give_fall(const BerthCalendar *calendar, uint32_t host, Fall *fall)
{
    const Page *page = &calendar->pages[host];
    int64_t any = 0;

    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        fall->amounts[d] -= page->amounts->peak[d];
    }
    for (uint32_t i = 0; page->devices != NULL && i < page->devices->n_dims; i++) {
        fall->devices[i] -= page->devices->peak[i];
        any |= fall->devices[i];
    }
    BerthPlaceResult result = any != 0 && journal_is_open(calendar->place)
                                  ? BERTH_PLACE_ERROR_BUSY
                                  : give(calendar, host, fall->amounts);
    if (result == BERTH_PLACE_OK && any != 0) {
        calendar_give_devices(calendar, host, fall->devices);
    }
    return result;
}

/* Changes a host's page from one entry to another (either may be NULL), and the fleet by the
 * difference of the peaks; all or nothing. */
static BerthPlaceResult change(BerthCalendar *calendar, uint32_t host, const Entry *old,
                               const int64_t *old_vector, const Entry *new,
                               const int64_t *new_vector)
{
    Page *page = &calendar->pages[host];
    Fall fall;

    note_peaks(page, &fall);
    add(calendar, page, old, old_vector, -1);
    add(calendar, page, new, new_vector, 1);
    BerthPlaceResult result = give_fall(calendar, host, &fall);
    if (result != BERTH_PLACE_OK) {
        add(calendar, page, new, new_vector, -1);
        add(calendar, page, old, old_vector, 1);
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

/* Is the vector free over the entry's span, each dimension as long as it is held, and are its
 * slices? */
static bool is_free(const BerthCalendar *calendar, const Entry *wanted, const int64_t *vector)
{
    int64_t ending[BERTH_PLACE_MAX_DIMS] = {0}, lasting[BERTH_PLACE_MAX_DIMS] = {0};

    berth_calendar_free_on(calendar, wanted->host, wanted->start, wanted->end, ending);
    berth_calendar_free_on(calendar, wanted->host, wanted->start, BERTH_CALENDAR_NEVER, lasting);
    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        int64_t room = (wanted->lasting >> d & 1) != 0 ? lasting[d] : ending[d];

        if (vector[d] > 0 && vector[d] > room) {
            return false;
        }
    }
    return calendar_devices_are_free(calendar, wanted);
}

/* An entry for a commitment that is in order; its slices point into `slices`. */
static BerthPlaceResult draft(const BerthCalendar *calendar, const BerthCommitment *commitment,
                              int64_t *slices, Entry *ret_entry)
{
    BerthPlaceResult result = check_commitment(calendar, commitment);
    Entry entry = {.slices = slices};

    if (result == BERTH_PLACE_OK) {
        result = calendar_slices(calendar, commitment, slices, &entry.n_slices);
    }
    if (result == BERTH_PLACE_OK) {
        entry.host = commitment->host;
        entry.lasting = commitment->lasting;
        entry.start = commitment->start;
        entry.end = commitment->end;
        *ret_entry = entry;
    }
    return result;
}

/* Puts a draft in the place of what the number stands for on the same host, or of nothing. */
static BerthPlaceResult put(BerthCalendar *calendar, uint32_t number, const Entry *entry,
                            const int64_t *vector)
{
    Entry kept = *entry, *old = &calendar->entries[number];
    bool used = is_used(calendar, number);
    BerthPlaceResult result = reserve_host(calendar, entry->host, entry->n_slices);

    kept.slices = NULL;
    if (result == BERTH_PLACE_OK && entry->n_slices > 0) {
        kept.slices = malloc(entry->n_slices * sizeof *kept.slices);
        result = kept.slices != NULL ? BERTH_PLACE_OK : BERTH_PLACE_ERROR_NO_MEMORY;
    }
    if (result == BERTH_PLACE_OK) {
        result = change(calendar, entry->host, used ? old : NULL, vector_of(calendar, number),
                        entry, vector);
    }
    if (result != BERTH_PLACE_OK) {
        free(kept.slices);
        return result;
    }
    if (kept.slices != NULL) {
        memcpy(kept.slices, entry->slices, entry->n_slices * sizeof *kept.slices);
    }
    free(old->slices);
    *old = kept;
    memmove(vector_of(calendar, number), vector, calendar->n_dims * sizeof *vector);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_calendar_commit(BerthCalendar *calendar, uint32_t number,
                                       const BerthCommitment *commitment)
{
    int64_t slices[BERTH_PLACE_MAX_DEVICES];
    Entry entry;
    BerthPlaceResult result = draft(calendar, commitment, slices, &entry);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    result = calendar->open                                   ? BERTH_PLACE_ERROR_BUSY
             : is_used(calendar, number)                      ? BERTH_PLACE_ERROR_EXISTS
             : !is_free(calendar, &entry, commitment->vector) ? BERTH_PLACE_ERROR_OVERDRAW
                                                              : reserve_number(calendar, number);
    return result == BERTH_PLACE_OK ? put(calendar, number, &entry, commitment->vector) : result;
}

BerthPlaceResult berth_calendar_impose(BerthCalendar *calendar, uint32_t number,
                                       const BerthCommitment *commitment)
{
    int64_t slices[BERTH_PLACE_MAX_DEVICES];
    Entry entry;
    BerthPlaceResult result = draft(calendar, commitment, slices, &entry);

    if (result != BERTH_PLACE_OK || calendar->open) {
        return result != BERTH_PLACE_OK ? result : BERTH_PLACE_ERROR_BUSY;
    }
    result = reserve_number(calendar, number);
    if (result == BERTH_PLACE_OK && is_used(calendar, number) &&
        calendar->entries[number].host != commitment->host) {
        result = berth_calendar_cancel(calendar, number);
    }
    return result == BERTH_PLACE_OK ? put(calendar, number, &entry, commitment->vector) : result;
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
    BerthPlaceResult result = reserve_host(calendar, entry->host, entry->n_slices);
    if (result == BERTH_PLACE_OK) {
        result = change(calendar, entry->host, entry, vector_of(calendar, number), NULL, NULL);
    }
    if (result == BERTH_PLACE_OK) {
        free(entry->slices);
        *entry = (Entry){.host = BERTH_PLACE_NONE};
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
        Entry more = entry;

        for (uint32_t d = 0; d < calendar->n_dims; d++) {
            ending[d] = (entry.lasting >> d & 1) != 0 ? 0 : vector[d];
        }
        more.lasting = 0;
        more.start = entry.end > calendar->now ? entry.end : calendar->now;
        more.end = end;
        if (!is_free(calendar, &more, ending)) {
            return BERTH_PLACE_ERROR_OVERDRAW;
        }
    }
    entry.end = end;
    return put(calendar, number, &entry, vector);
}

BerthPlaceResult berth_calendar_advance(BerthCalendar *calendar, int64_t now)
{
    if (calendar->open || journal_is_open(calendar->place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (now <= calendar->now) {
        return BERTH_PLACE_OK;
    }
    calendar->now = now;
    for (uint32_t host = 0; calendar->n_used > 0 && host < calendar->n_pages; host++) {
        Page *page = calendar_page(calendar, host);
        Fall fall;

        if (page == NULL) {
            continue;
        }
        note_peaks(page, &fall);
        timeline_trim(page->amounts, now);
        if (page->devices != NULL) {
            timeline_trim(page->devices, now);
        }
        give_fall(calendar, host, &fall);
        drop_if_empty(calendar, host);
    }
    return BERTH_PLACE_OK;
}

/* A device may come free where another commitment takes as much, so that no amount falls. */
static int64_t next_fall(const Page *page, int64_t after)
{
    int64_t amounts = timeline_next_fall(page->amounts, after);
    int64_t devices = timeline_next_fall(page->devices, after);

    return amounts < devices ? amounts : devices;
}

int64_t berth_calendar_next_on(const BerthCalendar *calendar, uint32_t host, int64_t after)
{
    const Page *page = calendar_page(calendar, host);

    return page != NULL ? next_fall(page, after) : BERTH_CALENDAR_NEVER;
}

int64_t berth_calendar_next(const BerthCalendar *calendar)
{
    int64_t next = BERTH_CALENDAR_NEVER;

    for (uint32_t host = 0; calendar->n_used > 0 && host < calendar->n_pages; host++) {
        int64_t here = berth_calendar_next_on(calendar, host, INT64_MIN);

        next = here < next ? here : next;
    }
    return next;
}

void berth_calendar_peak(const BerthCalendar *calendar, uint32_t host, int64_t *ret_peak)
{
    const Page *page = calendar_page(calendar, host);

    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        ret_peak[d] = page != NULL ? page->amounts->peak[d] : 0;
    }
}

BerthPlaceResult berth_calendar_committed(const BerthCalendar *calendar, uint32_t host,
                                          int64_t start, int64_t end, int64_t *ret_committed)
{
    const Page *page = calendar_page(calendar, host);

    if (!fleet_has(calendar->place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (start >= end) {
        return BERTH_PLACE_ERROR_TIME;
    }
    memset(ret_committed, 0, calendar->n_dims * sizeof *ret_committed);
    if (page != NULL) {
        timeline_most(page->amounts, start, end, ret_committed);
    }
    return BERTH_PLACE_OK;
}

/* How much more than is available for good is free over a span. */
static void slack(const BerthCalendar *calendar, const Timeline *timeline, int64_t start,
                  int64_t end, uint32_t lasting, int64_t *ret_more)
{
    int64_t most[BERTH_PLACE_MAX_DIMS], most_ever[BERTH_PLACE_MAX_DIMS];

    timeline_most(timeline, start, end, most);
    timeline_most(timeline, start, BERTH_CALENDAR_NEVER, most_ever);
    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        ret_more[d] = timeline->peak[d] - ((lasting >> d & 1) != 0 ? most_ever[d] : most[d]);
    }
}

BerthPlaceResult berth_calendar_free_on(const BerthCalendar *calendar, uint32_t host, int64_t start,
                                        int64_t end, int64_t *ret_free)
{
    int64_t available[BERTH_PLACE_MAX_DIMS], more[BERTH_PLACE_MAX_DIMS] = {0};
    const Page *page = calendar_page(calendar, host);
    BerthPlaceResult result = berth_place_get(calendar->place, host, NULL, available, NULL);

    if (result != BERTH_PLACE_OK || start >= end || calendar->open) {
        return result != BERTH_PLACE_OK ? result
               : start >= end           ? BERTH_PLACE_ERROR_TIME
                                        : BERTH_PLACE_ERROR_BUSY;
    }
    if (page != NULL) {
        slack(calendar, page->amounts, start, end, 0, more);
    }
    for (uint32_t d = 0; d < calendar->n_dims; d++) {
        ret_free[d] = available[d] + more[d];
    }
    return BERTH_PLACE_OK;
}

/* What the window shows more than is free for good. */
static void window_slack(const BerthCalendar *calendar, const Page *page, Fall *ret_slack)
{
    slack(calendar, page->amounts, calendar->open_start, calendar->open_end, calendar->open_lasting,
          ret_slack->amounts);
    if (page->devices != NULL) {
        calendar_devices_slack(page, calendar->open_start, calendar->open_end, ret_slack->devices);
    }
}

static void hide(BerthCalendar *calendar, uint32_t until_host)
{
    for (uint32_t host = 0; calendar->n_used > 0 && host < until_host; host++) {
        const Page *page = calendar_page(calendar, host);
        Fall shown;

        if (page != NULL) {
            window_slack(calendar, page, &shown);
            restore(calendar, host, shown.amounts, shown.devices, false);
        }
    }
}

/* All of the window or, with the first error, nothing. */
static BerthPlaceResult show(BerthCalendar *calendar)
{
    for (uint32_t host = 0; calendar->n_used > 0 && host < calendar->n_pages; host++) {
        const Page *page = calendar_page(calendar, host);
        Fall more;

        if (page == NULL) {
            continue;
        }
        window_slack(calendar, page, &more);
        BerthPlaceResult result = give(calendar, host, more.amounts);
        if (result != BERTH_PLACE_OK) {
            hide(calendar, host);
            return result;
        }
        if (page->devices != NULL) {
            calendar_give_devices(calendar, host, more.devices);
        }
    }
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_calendar_open(BerthCalendar *calendar, int64_t start, int64_t end,
                                     uint32_t lasting)
{
    if (calendar->open || journal_is_open(calendar->place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (start >= end || end <= calendar->now) {
        return BERTH_PLACE_ERROR_TIME;
    }
    calendar->open_start = start;
    calendar->open_end = end;
    calendar->open_lasting = lasting;
    BerthPlaceResult result = show(calendar);
    calendar->open = result == BERTH_PLACE_OK;
    return result;
}

void berth_calendar_close(BerthCalendar *calendar)
{
    if (calendar->open) {
        hide(calendar, calendar->n_pages);
        calendar->open = false;
    }
}

/* Timelines made anew from the commitments. False without memory. */
static bool make_anew(const BerthCalendar *calendar, uint32_t host, Page *ret_page)
{
    const Page *kept = &calendar->pages[host];

    ret_page->amounts = timeline_new(calendar->n_dims, calendar->now);
    if (kept->devices != NULL) {
        ret_page->devices = timeline_new(kept->devices->n_dims, calendar->now);
    }
    bool ok = ret_page->amounts != NULL && (kept->devices == NULL) == (ret_page->devices == NULL);
    for (uint32_t i = 0; ok && i < calendar->n_entries; i++) {
        const Entry *entry = &calendar->entries[i];

        if (entry->host == host) {
            ok = timeline_reserve(ret_page->amounts) &&
                 (ret_page->devices == NULL || timeline_reserve(ret_page->devices));
            if (ok) {
                add(calendar, ret_page, entry, vector_of(calendar, i), 1);
            }
        }
    }
    return ok;
}

static const char *compare(const Timeline *fresh, const Timeline *kept)
{
    return !timeline_equal(fresh, kept) ? "a host's timeline is not the sum of its commitments"
           : memcmp(fresh->peak, kept->peak, kept->n_dims * sizeof *kept->peak) != 0
               ? "a host's peak is not the highest of its timeline"
               : NULL;
}

static const char *check_host(const BerthCalendar *calendar, uint32_t host)
{
    const Page *kept = &calendar->pages[host];
    Page fresh = {0};
    const char *wrong = "out of memory for a check";

    if (make_anew(calendar, host, &fresh)) {
        wrong = compare(fresh.amounts, kept->amounts);
        if (wrong == NULL && kept->devices != NULL) {
            wrong = compare(fresh.devices, kept->devices);
        }
    }
    timeline_free(fresh.amounts);
    timeline_free(fresh.devices);
    return wrong;
}

const char *berth_calendar_check(const BerthCalendar *calendar)
{
    uint32_t n_used = 0;

    for (uint32_t host = 0; host < calendar->n_pages; host++) {
        if (calendar_page(calendar, host) != NULL) {
            const char *wrong = check_host(calendar, host);

            if (wrong != NULL) {
                return wrong;
            }
            n_used++;
        }
    }
    for (uint32_t i = 0; i < calendar->n_entries; i++) {
        const Entry *entry = &calendar->entries[i];
        bool counts = entry->host != BERTH_PLACE_NONE && entry->end > calendar->now;
        const Page *page = counts ? calendar_page(calendar, entry->host) : NULL;

        if (counts && (page == NULL || (entry->n_slices > 0 && page->devices == NULL))) {
            return "a commitment is on no timeline";
        }
    }
    return n_used == calendar->n_used ? NULL : "pages are miscounted";
}
