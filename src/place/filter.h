/*
 * What a request forbids, host by host: everything except capacity and score. An index finds hosts
 * where a request fits, best first, and asks the filter about each that it would choose; the scan
 * asks it about every host.
 */
#pragma once

#include "place/fleet.h"

/* Made for one request, on the stack, by filter_begin; it refers to the fleet and the request. */
typedef struct {
    const BerthPlace *place;
    const BerthPlaceRequest *request;
} Filter;

/* Sets up a filter; false when everything is allowed, so that it need not be asked. */
bool filter_begin(Filter *filter, const BerthPlace *place, const BerthPlaceRequest *request);

bool filter_is_allowed(const Filter *filter, uint32_t host);
bool filter_is_banned(const Filter *filter, uint32_t host);

/* Whether the request may go to a host as far as its filter goes. */
bool filter_admits(const Filter *filter, uint32_t host);
