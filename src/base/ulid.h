/*
 * Ids of objects: ULIDs (github.com/ulid/spec). 48 bits of milliseconds since the epoch and 80
 * random bits, as 26 characters of Crockford's base 32, so that ids sort by the time they were made
 * and a range of keys is a span of time.
 *
 * Everything takes and gives text in the one canonical form (upper case):
 * ids are keys, and two spellings of one id would be two keys.
 *
 * Thread safety: pure functions; a generator belongs to one thread.
 */
#pragma once

#include "base/rng.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define BERTH_ULID_LENGTH 26
#define BERTH_ULID_SIZE (BERTH_ULID_LENGTH + 1) /* with the terminating NUL */
#define BERTH_ULID_RANDOM_BYTES 10
#define BERTH_ULID_MAX_MS ((INT64_C(1) << 48) - 1) /* in the year 10889 */

/* Writes the id of `now_ms`, held within 0 and BERTH_ULID_MAX_MS, and the 80 bits. */
void berth_ulid_make(int64_t now_ms, const uint8_t random[BERTH_ULID_RANDOM_BYTES],
                     char ret_ulid[BERTH_ULID_SIZE]);

/* Whether `text` is an id in canonical form. */
bool berth_ulid_is_valid(const char *text);

/* Reads what a person typed: lower case is taken, and I, L and O for 1, 1 and 0 (as Crockford
 * says). `field` (may be NULL) is named in the error. */
bool berth_ulid_parse(const char *field, const char *text, char ret_ulid[BERTH_ULID_SIZE],
                      GError **error);

/* When it was made, in ms since the epoch. `ulid` must be valid. */
int64_t berth_ulid_time(const char *ulid);

/* Order of making, as strcmp. Both must be valid. */
int berth_ulid_compare(const char *a, const char *b);

/* Makes ids that only ever rise: two of one millisecond, or of a clock that went back, differ by
 * one in the random part; when that is used up, time is taken one millisecond ahead. Two generators
 * with the same seed, asked at the same times, make the same ids (simulation); a daemon seeds it
 * from the kernel's random source. At the very end of time (BERTH_ULID_MAX_MS, all random bits set)
 * it repeats. */
typedef struct {
    BerthRng rng;
    int64_t last_ms; /* -1: none yet */
    uint8_t random[BERTH_ULID_RANDOM_BYTES];
} BerthUlidGenerator;

void berth_ulid_generator_init(BerthUlidGenerator *generator, uint64_t seed);
/* All that it makes from now on is above `ulid`, which must be valid: ids go on rising over a restart
 * with a clock that was set back. */
void berth_ulid_generator_follow(BerthUlidGenerator *generator, const char *ulid);
void berth_ulid_generator_next(BerthUlidGenerator *generator, int64_t now_ms,
                               char ret_ulid[BERTH_ULID_SIZE]);
