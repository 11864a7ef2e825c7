/*
 * Hosts that are alike, the first in the order on top; four children to a node. `at` tells for each
 * host where it is, so that any of them can be pulled out; it holds the place with the bits of `tag`.
 *
 * What is in the heap is a host with its area (areas.h) in the highest bits, where the owner wants to
 * know it: a search that is left with few areas need not look at each host to find one of them.
 */
#pragma once

#include "place/search.h"

#define HEAP_AREA_SHIFT 24

static inline uint32_t heap_entry(uint32_t host, uint32_t area)
{
    return host | (area + 1) << HEAP_AREA_SHIFT;
}

static inline uint32_t heap_host(uint32_t entry)
{
    return entry & ((UINT32_C(1) << HEAP_AREA_SHIFT) - 1);
}

/* A bit as of area_bit; none where the area is not known. */
static inline uint64_t heap_area_bit(uint32_t entry)
{
    uint32_t next = entry >> HEAP_AREA_SHIFT;

    return next > 0 ? area_bit(next - 1) : 0;
}

typedef struct {
    const BerthPlace *place;
    uint32_t *hosts;
    uint32_t *at;
    uint32_t tag;
} Heap;

/* Puts a host, or one with its area, behind `count` others; there must be room. */
void heap_push(const Heap *heap, uint32_t count, uint32_t entry);

/* Takes a host out of `count`. */
void heap_pull(const Heap *heap, uint32_t count, uint32_t host);

/* Offers hosts of this score in their order until one is taken. */
void heap_offer(const BerthPlace *place, const uint32_t *hosts, uint32_t count, double score,
                Search *search);
