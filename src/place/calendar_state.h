/*
 * What a calendar keeps: commitments by number, and a timeline for each host that has any. Private
 * to src/place.
 */
#pragma once

#include "place/calendar.h"
#include "place/timeline.h"

typedef struct {
    uint32_t host; /* NONE: the number is free */
    uint32_t lasting;
    int64_t start, end;
} Entry;

struct BerthCalendar {
    BerthPlace *place;
    uint32_t n_dims;
    int64_t now;

    Entry *entries; /* by number */
    int64_t *vectors;
    uint32_t n_entries;

    Timeline **by_host; /* NULL: nothing committed there */
    uint32_t n_by_host;
    uint32_t n_timelines;

    bool open; /* a window */
    int64_t open_start, open_end;
    uint32_t open_lasting;
};
