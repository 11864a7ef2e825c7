/*
 * Hosts that are alike, the first in the order on top; four children to a node. `at` tells for each
 * host where it is, so that any of them can be pulled out; it holds the place with the bits of `tag`.
 */
#pragma once

#include "place/search.h"

typedef struct {
    const BerthPlace *place;
    uint32_t *hosts;
    uint32_t *at;
    uint32_t tag;
} Heap;

/* Puts a host behind `count` others; there must be room. */
void heap_push(const Heap *heap, uint32_t count, uint32_t host);

/* Takes a host out of `count`. */
void heap_pull(const Heap *heap, uint32_t count, uint32_t host);

/* Offers hosts of this score in their order until one is taken. */
void heap_offer(const BerthPlace *place, const uint32_t *hosts, uint32_t count, double score,
                Search *search);
