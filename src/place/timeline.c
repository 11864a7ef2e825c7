#include "place/timeline.h"

#include <stdlib.h>
#include <string.h>

Timeline *timeline_new(uint32_t n_dims, int64_t now)
{
    Timeline *timeline = calloc(1, sizeof *timeline);

    if (timeline == NULL) {
        return NULL;
    }
    timeline->n_dims = n_dims;
    timeline->peak = calloc(n_dims, sizeof *timeline->peak);
    if (timeline->peak == NULL || !timeline_reserve(timeline)) {
        timeline_free(timeline);
        return NULL;
    }
    timeline->n = 1;
    timeline->times[0] = now;
    memset(timeline->levels, 0, n_dims * sizeof *timeline->levels);
    return timeline;
}

void timeline_free(Timeline *timeline)
{
    if (timeline != NULL) {
        free(timeline->times);
        free(timeline->levels);
        free(timeline->peak);
        free(timeline);
    }
}

bool timeline_reserve(Timeline *timeline)
{
    /* One span taken out and another put in begin four new levels at most, at two starts and two
     * ends. */
    uint32_t needed = timeline->n + 5, room = needed + needed / 2;
    int64_t *times, *levels;

    if (needed <= timeline->room) {
        return true;
    }
    times = realloc(timeline->times, room * sizeof *times);
    timeline->times = times != NULL ? times : timeline->times;
    levels = realloc(timeline->levels, (size_t)room * timeline->n_dims * sizeof *levels);
    timeline->levels = levels != NULL ? levels : timeline->levels;
    if (times == NULL || levels == NULL) {
        return false;
    }
    timeline->room = room;
    return true;
}

static int64_t *level(const Timeline *timeline, uint32_t i)
{
    return timeline->levels + (size_t)i * timeline->n_dims;
}

bool timeline_widen(Timeline *timeline, uint32_t n_dims)
{
    uint32_t before = timeline->n_dims;
    int64_t *peak = calloc(n_dims, sizeof *peak);
    int64_t *levels = calloc((size_t)timeline->room * n_dims, sizeof *levels);

    if (peak == NULL || levels == NULL) {
        free(peak);
        free(levels);
        return false;
    }
    memcpy(peak, timeline->peak, before * sizeof *peak);
    for (uint32_t i = 0; i < timeline->n; i++) {
        memcpy(levels + (size_t)i * n_dims, level(timeline, i), before * sizeof *levels);
    }
    free(timeline->peak);
    free(timeline->levels);
    timeline->peak = peak;
    timeline->levels = levels;
    timeline->n_dims = n_dims;
    return true;
}

/* The level that holds at a time; the first for times before it. */
static uint32_t find(const Timeline *timeline, int64_t time)
{
    uint32_t low = 0, high = timeline->n;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (timeline->times[middle] <= time) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Makes a level begin at `time`; its number. */
static uint32_t split(Timeline *timeline, int64_t time)
{
    uint32_t at = find(timeline, time), behind = timeline->n - at;

    if (timeline->times[at] >= time) {
        return at;
    }
    memmove(timeline->times + at + 1, timeline->times + at, behind * sizeof *timeline->times);
    memmove(level(timeline, at + 1), level(timeline, at),
            (size_t)behind * timeline->n_dims * sizeof *timeline->levels);
    timeline->n++;
    timeline->times[at + 1] = time;
    return at + 1;
}

/* Drops the beginning of a level that is no change. */
static void join(Timeline *timeline, uint32_t at)
{
    size_t bytes = timeline->n_dims * sizeof *timeline->levels;

    if (at == 0 || at >= timeline->n ||
        memcmp(level(timeline, at - 1), level(timeline, at), bytes) != 0) {
        return;
    }
    uint32_t behind = timeline->n - at - 1;
    memmove(timeline->times + at, timeline->times + at + 1, behind * sizeof *timeline->times);
    memmove(level(timeline, at), level(timeline, at + 1), behind * bytes);
    timeline->n--;
}

static void set_peak(Timeline *timeline)
{
    timeline_most(timeline, timeline->times[0], INT64_MAX, timeline->peak);
}

void timeline_add(Timeline *timeline, int64_t start, int64_t end, const int64_t *vector, int sign)
{
    if (end <= timeline->times[0] || end <= start) {
        return;
    }
    uint32_t first = start > timeline->times[0] ? split(timeline, start) : 0;
    uint32_t last = end < INT64_MAX ? split(timeline, end) : timeline->n;

    for (uint32_t i = first; i < last; i++) {
        for (uint32_t d = 0; d < timeline->n_dims; d++) {
            level(timeline, i)[d] += sign * vector[d];
        }
    }
    join(timeline, last);
    join(timeline, first);
    set_peak(timeline);
}

void timeline_most(const Timeline *timeline, int64_t start, int64_t end, int64_t *ret_most)
{
    memset(ret_most, 0, timeline->n_dims * sizeof *ret_most);
    if (end <= timeline->times[0]) {
        return;
    }
    for (uint32_t i = find(timeline, start); i < timeline->n && timeline->times[i] < end; i++) {
        for (uint32_t d = 0; d < timeline->n_dims; d++) {
            int64_t here = level(timeline, i)[d];

            ret_most[d] = here > ret_most[d] ? here : ret_most[d];
        }
    }
}

void timeline_trim(Timeline *timeline, int64_t now)
{
    uint32_t gone = find(timeline, now);

    if (now <= timeline->times[0]) {
        return;
    }
    timeline->n -= gone;
    memmove(timeline->times, timeline->times + gone, timeline->n * sizeof *timeline->times);
    memmove(timeline->levels, level(timeline, gone),
            (size_t)timeline->n * timeline->n_dims * sizeof *timeline->levels);
    timeline->times[0] = now;
    set_peak(timeline);
}

bool timeline_is_empty(const Timeline *timeline)
{
    if (timeline == NULL) {
        return true;
    }
    for (uint32_t d = 0; d < timeline->n_dims; d++) {
        if (timeline->levels[d] != 0) {
            return false;
        }
    }
    return timeline->n == 1;
}

bool timeline_falls(const Timeline *timeline, uint32_t i)
{
    for (uint32_t d = 0; i > 0 && d < timeline->n_dims; d++) {
        if (level(timeline, i)[d] < level(timeline, i - 1)[d]) {
            return true;
        }
    }
    return false;
}

int64_t timeline_next_fall(const Timeline *timeline, int64_t after)
{
    for (uint32_t i = 1; timeline != NULL && i < timeline->n; i++) {
        if (timeline->times[i] > after && timeline_falls(timeline, i)) {
            return timeline->times[i];
        }
    }
    return INT64_MAX;
}

bool timeline_equal(const Timeline *one, const Timeline *other)
{
    return one->n == other->n && one->n_dims == other->n_dims &&
           memcmp(one->times, other->times, one->n * sizeof *one->times) == 0 &&
           memcmp(one->levels, other->levels, (size_t)one->n * one->n_dims * sizeof *one->levels) ==
               0;
}
