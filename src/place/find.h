/*
 * A question to the fleet: checked once, then answered step by step of the ladder of penalties.
 */
#pragma once

#include "place/filter.h"

/* Checks a request and sets up its filter. */
BerthPlaceResult find_begin(Filter *filter, const BerthPlace *place,
                            const BerthPlaceRequest *request);
