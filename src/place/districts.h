/*
 * Which stretches of an order of hosts lie within one domain: for each level above the hosts, and for
 * each 16 positions, each 256 and so on, the domain that all hosts there share; and the areas (areas.h)
 * that they are in. Where a rule refuses all of that, a search passes over such a stretch in one step.
 *
 * Built step by step by changes of the fleet; a search only reads.
 */
#pragma once

#include "place/filter.h"

#define DISTRICTS_FAN 16
#define DISTRICTS_LEVELS 6

typedef struct {
    const BerthPlace *place;
    const uint32_t *hosts; /* at each position, or NONE; NULL: positions are host numbers */
    uint32_t positions;
    uint32_t n_blocks; /* of 16 positions */
    uint32_t n_heights;
    uint32_t n_levels;                                          /* of the tree of domains */
    uint32_t swept;                                             /* blocks below are in */
    uint32_t *shared[BERTH_PLACE_MAX_LEVELS][DISTRICTS_LEVELS]; /* by level, height and stretch */
    uint64_t *areas[DISTRICTS_LEVELS];                          /* by height and stretch */
} Districts;

/* For a fleet with levels above the hosts; NULL without memory. */
Districts *districts_new(const BerthPlace *place, const uint32_t *hosts, uint32_t positions);
void districts_free(Districts *districts);

static inline bool districts_are_swept(const Districts *districts)
{
    return districts->swept >= districts->n_blocks;
}

/* Puts in up to so many blocks. */
void districts_sweep(Districts *districts, uint32_t steps);

/* A host has come to a position or has other domains. One that goes may be left in. */
void districts_refresh(Districts *districts, uint32_t position);

/* Whether a stretch of 16^(height + 1) positions lies in one domain that a hard rule refuses; asked at
 * the level of the domain that the filter has refused last. */
bool districts_shut(const Districts *districts, Filter *filter, uint32_t height, uint32_t stretch);

/* The same for a search: only where domains are refused at all. */
static inline bool districts_skip(const Districts *districts, Filter *filter, uint32_t height,
                                  uint32_t stretch)
{
    return filter->n_shut > 0 && districts != NULL && districts_are_swept(districts) &&
           ((districts->areas[height][stretch] & ~filter->shut_areas) == 0 ||
            districts_shut(districts, filter, height, stretch));
}

/* NULL, or what does not hold. */
const char *districts_check(const Districts *districts);
