/*
 * The exhaustive reference: looks at every host. Slow, short and plainly right; it stays as the
 * oracle that every index is tested against.
 */
#pragma once

#include "place/find.h"

/* The first reason against a host that exists, or its score. */
void scan_examine(const Filter *filter, uint32_t host, BerthPlaceVerdict *ret_verdict);

/* Whether one candidate is better than another: by penalty, score, order. */
bool scan_is_better(const Filter *filter, const BerthPlaceVerdict *one,
                    const BerthPlaceVerdict *other);

/* The best candidate, its host BERTH_PLACE_NONE when there is none. */
BerthPlaceVerdict scan_find(const Filter *filter);
