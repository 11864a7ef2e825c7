/*
 * What a calendar keeps: commitments by number, and a page for each host that has any. Private to
 * src/place.
 */
#pragma once

#include "place/calendar.h"
#include "place/timeline.h"

typedef struct {
    uint32_t host; /* NONE: the number is free */
    uint32_t lasting;
    uint32_t n_slices;
    int64_t start, end;
    int64_t *slices; /* by device of the host, the first n_slices of them; NULL: none. Owned */
} Entry;

/* A host's timelines of amounts and of its devices' slices, each NULL when nothing is committed. */
typedef struct {
    Timeline *amounts, *devices;
} Page;

struct BerthCalendar {
    BerthPlace *place;
    uint32_t n_dims;
    int64_t now;

    Entry *entries; /* by number */
    int64_t *vectors;
    uint32_t n_entries;

    Page *pages; /* by host */
    uint32_t n_pages;
    uint32_t n_used; /* pages with commitments */

    bool open; /* a window */
    int64_t open_start, open_end;
    uint32_t open_lasting;
};

/* NULL: nothing is committed there. */
static inline Page *calendar_page(const BerthCalendar *calendar, uint32_t host)
{
    return host < calendar->n_pages && calendar->pages[host].amounts != NULL
               ? &calendar->pages[host]
               : NULL;
}

/* What a commitment takes of each device, WHOLE resolved; ARGUMENT and AMOUNT when the host has not
 * such devices. `ret_slices` has room for BERTH_PLACE_MAX_DEVICES. */
BerthPlaceResult calendar_slices(const BerthCalendar *calendar, const BerthCommitment *commitment,
                                 int64_t *ret_slices, uint32_t *ret_n);

/* Room for a change of the slices of the first n devices, which cannot fail then. */
BerthPlaceResult calendar_reserve_devices(const BerthCalendar *calendar, uint32_t host, uint32_t n);
void calendar_drop_devices(Page *page);

/* On the timeline only. */
void calendar_add_slices(Page *page, const Entry *entry, int sign);
/* Adds to what the fleet shows free of each device; `more` is as long as the timeline is wide. */
void calendar_give_devices(const BerthCalendar *calendar, uint32_t host, const int64_t *more);
/* How much more than for good is free of each device over a span. */
void calendar_devices_slack(const Page *page, int64_t start, int64_t end, int64_t *ret_more);
/* Are all slices of the entry free over its span? */
bool calendar_devices_are_free(const BerthCalendar *calendar, const Entry *entry);
