/*
 * What makes a search over many hosts quick. The fleet tells the index of each change; a question
 * that the index cannot answer yet goes to the scan, so it never changes an answer, only its time.
 */
#pragma once

#include "place/filter.h"

typedef struct Index Index;

/* For an empty fleet or a copy of one; NULL when memory runs out. */
Index *index_new(const BerthPlace *place);
void index_free(Index *index);

/* The arrays of the fleet have moved, grown or become wider: begins anew. */
void index_reset(BerthPlace *place);

/* A host came, went, or has another state, capacity or availability. */
void index_refresh(BerthPlace *place, uint32_t host);

/* A host has come, or has other domains. */
void index_host_moved(BerthPlace *place, uint32_t host);

/* A host has other devices, or others of them are free. */
void index_devices_changed(BerthPlace *place, uint32_t host);

/* Other requests are typical. */
void index_workload_changed(BerthPlace *place);

/* A vector was booked: what is asked for often is worth preparing for. */
void index_taken(BerthPlace *place, const int64_t *vector);

/* The best host that the filter admits, BERTH_PLACE_NONE when there is none. False: the index has no
 * answer, and the verdict is untouched. */
bool index_find(Filter *filter, BerthPlaceVerdict *ret_best);

/* Does now what changes would do step by step, for a policy, and for one size if it is not NULL. */
void index_prepare(BerthPlace *place, BerthPlacePolicy policy, const int64_t *vector);

/* NULL, or the first invariant that does not hold. */
const char *index_check(const BerthPlace *place);
