/*
 * Times as text. A time is an int64 of milliseconds since 1970-01-01T00:00:00Z, without leap
 * seconds; on paper it is RFC 3339 in UTC with three decimals, which sorts as text.
 *
 * Thread safety: pure functions, any thread. Nothing here reads a clock or a time zone.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define BERTH_TIME_MIN INT64_C(-62135596800000) /* 0001-01-01T00:00:00.000Z */
#define BERTH_TIME_MAX INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

/* `2026-11-25T06:58:47.123Z`; times beyond the two ends are shown as the end. g_free it. */
char *berth_time_format(int64_t time_ms);

/* Reads RFC 3339: any offset, any number of decimals (what is finer than a millisecond is cut off),
 * `t` and `z` in lower case. A date alone, a time without offset and a leap second are refused.
 * `field` (may be NULL) is named in the error. */
bool berth_time_parse(const char *field, const char *text, int64_t *ret_time_ms, GError **error);

/* A length of time in its largest whole unit, cut off: 0s, 59s, 3m, 23h, 2d, 3y (365 days). Hours
 * go on to 48, days to two years, so that a step down never loses half. Negative is shown as 0s.
 * g_free it. */
char *berth_age_format(int64_t age_ms);

/* `3m ago`, `in 2d`, or `now` within a second. What is ahead is rounded to the nearest unit, so that an
 * hour from now is `in 1h` also a moment later. g_free it. */
char *berth_time_ago_format(int64_t time_ms, int64_t now_ms);
