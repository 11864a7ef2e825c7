/*
 * The end of every search: a host that looks good by an index's rounded numbers is held against the
 * request in integers and doubles, and asked of the filter.
 */
#pragma once

#include "place/filter.h"

typedef struct {
    Filter *filter;
    bool is_filtered;
    bool prefers_high;
    BerthPlacePolicy policy;
    uint32_t refused; /* by the filter */
    uint32_t looks;   /* at rows of classes of which only some are in areas that are left */
    uint64_t areas;   /* in one of which what is taken is known to be; all bits: not known */
    BerthPlaceVerdict best;
    float threshold; /* no key below it can be as good as the best so far */
} Search;

/* Hosts that the filter may refuse before looking at all is as good. */
#define SEARCH_PATIENCE 20000

void search_begin(Search *search, Filter *filter);

/* The exact score of what fits; false when it does not, or when it is worse than the best. */
bool search_score(const Search *search, uint32_t host, double *ret_score);

/* Takes a host of this score when the filter admits it and no better one is known. Whether the filter
 * did: of equal hosts the first one that it admits is the only one of interest. */
bool search_take(Search *search, uint32_t host, double score);

/* Both of the above. */
void search_try(Search *search, uint32_t host);

/* Leaves the answer to the scan. */
static inline void search_give_up(Search *search)
{
    search->refused = SEARCH_PATIENCE + 1;
}

static inline bool search_is_over(const Search *search)
{
    return search->refused > SEARCH_PATIENCE;
}
