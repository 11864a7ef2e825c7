#include "place/districts.h"

#include <stdlib.h>
#include <string.h>

/* Besides domains, and NONE for hosts that are in none. */
#define MIXED (BERTH_PLACE_NONE - 1)
#define EMPTY (BERTH_PLACE_NONE - 2)

Districts *districts_new(const BerthPlace *place, const uint32_t *hosts, uint32_t positions)
{
    Districts *districts = calloc(1, sizeof *districts);

    if (districts == NULL) {
        return NULL;
    }
    districts->place = place;
    districts->hosts = hosts;
    districts->positions = positions;
    districts->n_levels = place->relations->n_levels;
    districts->n_blocks = (positions + DISTRICTS_FAN - 1) / DISTRICTS_FAN;
    for (uint32_t n = districts->n_blocks; districts->n_heights < DISTRICTS_LEVELS && n > 0;
         n = n > 1 ? (n + DISTRICTS_FAN - 1) / DISTRICTS_FAN : 0) {
        size_t size = ((size_t)n + DISTRICTS_FAN - 1) / DISTRICTS_FAN * DISTRICTS_FAN;
        for (uint32_t l = 1; l < districts->n_levels; l++) {
            uint32_t *shared = malloc(size * sizeof *shared);
            if (shared == NULL) {
                districts_free(districts);
                return NULL;
            }
            for (size_t i = 0; i < size; i++) {
                shared[i] = EMPTY;
            }
            districts->shared[l][districts->n_heights] = shared;
        }
        districts->areas[districts->n_heights] = calloc(size, sizeof(uint64_t));
        if (districts->areas[districts->n_heights] == NULL) {
            districts_free(districts);
            return NULL;
        }
        districts->n_heights++;
    }
    return districts;
}

void districts_free(Districts *districts)
{
    if (districts == NULL) {
        return;
    }
    for (uint32_t height = 0; height < DISTRICTS_LEVELS; height++) {
        for (uint32_t l = 1; l < districts->n_levels; l++) {
            free(districts->shared[l][height]);
        }
        free(districts->areas[height]);
    }
    free(districts);
}

static uint32_t join(uint32_t one, uint32_t other)
{
    return one == EMPTY || one == other ? other : other == EMPTY ? one : MIXED;
}

/* What the hosts of a block share. */
static uint32_t shared_by_hosts(const Districts *districts, uint32_t level, uint32_t block)
{
    const BerthPlace *place = districts->place;
    uint32_t first = block * DISTRICTS_FAN, shared = EMPTY;

    for (uint32_t at = first; at < first + DISTRICTS_FAN && at < districts->positions; at++) {
        uint32_t host = districts->hosts != NULL ? districts->hosts[at] : at;
        if (host < place->slots && place->states[host] != FLEET_EMPTY) {
            shared = join(shared, relations_domain(place->relations, level, host));
        }
    }
    return shared;
}

/* The areas where the hosts of a block are. */
static uint64_t areas_of_hosts(const Districts *districts, uint32_t block)
{
    const BerthPlace *place = districts->place;
    uint32_t first = block * DISTRICTS_FAN;
    uint64_t areas = 0;

    for (uint32_t at = first; at < first + DISTRICTS_FAN && at < districts->positions; at++) {
        uint32_t host = districts->hosts != NULL ? districts->hosts[at] : at;
        if (host < place->slots && place->states[host] != FLEET_EMPTY) {
            areas |= area_bit(relations_area_of_host(place->relations, host));
        }
    }
    return areas;
}

static void refresh_areas(Districts *districts, uint32_t block)
{
    uint64_t areas = areas_of_hosts(districts, block);

    for (uint32_t height = 0, at = block;
         height < districts->n_heights && districts->areas[height][at] != areas; height++) {
        districts->areas[height][at] = areas;
        at /= DISTRICTS_FAN;
        const uint64_t *below = districts->areas[height] + at * DISTRICTS_FAN;
        areas = 0;
        for (uint32_t i = 0; i < DISTRICTS_FAN; i++) {
            areas |= below[i];
        }
    }
}

static void refresh_block(Districts *districts, uint32_t block)
{
    refresh_areas(districts, block);
    for (uint32_t l = 1; l < districts->n_levels; l++) {
        uint32_t shared = shared_by_hosts(districts, l, block), at = block;
        for (uint32_t height = 0;
             height < districts->n_heights && districts->shared[l][height][at] != shared;
             height++) {
            districts->shared[l][height][at] = shared;
            at /= DISTRICTS_FAN;
            const uint32_t *below = districts->shared[l][height] + at * DISTRICTS_FAN;
            shared = EMPTY;
            for (uint32_t i = 0; i < DISTRICTS_FAN; i++) {
                shared = join(shared, below[i]);
            }
        }
    }
}

void districts_sweep(Districts *districts, uint32_t steps)
{
    for (; !districts_are_swept(districts) && steps > 0; districts->swept++, steps--) {
        refresh_block(districts, districts->swept);
    }
}

void districts_refresh(Districts *districts, uint32_t position)
{
    if (position / DISTRICTS_FAN < districts->swept) {
        refresh_block(districts, position / DISTRICTS_FAN);
    }
}

bool districts_shut(const Districts *districts, Filter *filter, uint32_t height, uint32_t stretch)
{
    uint32_t shared = districts->shared[filter->shut_level][height][stretch];

    return shared != MIXED && shared != EMPTY && filter_shuts(filter, shared);
}

const char *districts_check(const Districts *districts)
{
    for (uint32_t block = 0; block < districts->swept; block++) {
        uint64_t areas = areas_of_hosts(districts, block);
        for (uint32_t height = 0, at = block; height < districts->n_heights;
             height++, at /= DISTRICTS_FAN) {
            if ((areas & ~districts->areas[height][at]) != 0) {
                return "a stretch has the areas of all its hosts";
            }
        }
    }
    for (uint32_t l = 1; l < districts->n_levels; l++) {
        for (uint32_t block = 0; block < districts->swept; block++) {
            uint32_t now = shared_by_hosts(districts, l, block);
            for (uint32_t height = 0, at = block; height < districts->n_heights;
                 height++, at /= DISTRICTS_FAN) {
                uint32_t shared = districts->shared[l][height][at];
                if (now != EMPTY && shared != MIXED && shared != now) {
                    return "a stretch is of one domain only where all its hosts are";
                }
            }
        }
    }
    return NULL;
}
