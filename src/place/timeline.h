/*
 * What is committed on one host over time: a staircase. Level i holds from times[i] to times[i + 1],
 * the last one for ever; times[0] is the calendar's now, and neighbours differ. Private to
 * src/place.
 */
#pragma once

#include "place/place.h"

typedef struct {
    uint32_t n_dims;  /* amounts, or devices */
    uint32_t n, room; /* levels; room: allocated */
    int64_t *times;
    int64_t *levels; /* n × n_dims */
    int64_t *peak;
} Timeline;

Timeline *timeline_new(uint32_t n_dims, int64_t now);
void timeline_free(Timeline *timeline);

/* Room for one more change, so that the change itself cannot fail. */
bool timeline_reserve(Timeline *timeline);

/* More dimensions, in which nothing is committed. False without memory. */
bool timeline_widen(Timeline *timeline, uint32_t n_dims);

/* Adds `sign` times the vector over [start, end), as much of it as lies from times[0] on. */
void timeline_add(Timeline *timeline, int64_t start, int64_t end, const int64_t *vector, int sign);

/* The largest level of each dimension over [start, end). */
void timeline_most(const Timeline *timeline, int64_t start, int64_t end, int64_t *ret_most);

/* Drops what lies before `now`. */
void timeline_trim(Timeline *timeline, int64_t now);

/* Is nothing committed any more? NULL: so it is. */
bool timeline_is_empty(const Timeline *timeline);

/* Does any dimension fall at times[i]? */
bool timeline_falls(const Timeline *timeline, uint32_t i);
/* The first such time after `after`; INT64_MAX. NULL: none. */
int64_t timeline_next_fall(const Timeline *timeline, int64_t after);

/* Do two say the same? */
bool timeline_equal(const Timeline *one, const Timeline *other);
