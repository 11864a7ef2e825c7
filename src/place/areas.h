/*
 * Areas: the domains of the highest level of the tree (zones, as a rule), a bit each, as long as there
 * are no more than 63 of them in use; later ones have none until they are used anew. A word so says
 * which areas a rule refuses, or in which of them hosts are, and a group's members in them fit a line
 * of memory, a byte each.
 */
#pragma once

#include <stdint.h>

#define AREAS 63
#define AREA_NONE AREAS /* where hosts without an area are; its bit is never among those refused */

#define AREA_BYTES 64
#define AREA_MANY UINT8_MAX /* what a byte stands for that counts so many or more */

static inline uint64_t area_bit(uint32_t area)
{
    return UINT64_C(1) << area;
}

/* The bytes of at least `least`, 1 to 255, a bit each. */
static inline uint64_t areas_reaching(const uint8_t counts[AREA_BYTES], uint32_t least)
{
    const uint64_t high = UINT64_C(0x8080808080808080), ones = UINT64_C(0x0101010101010101);
    uint64_t lower = ones * least, bits = 0;

    /* Eight bytes at a time: with the highest bits apart no byte borrows from the next, and the product
     * collects the eight verdicts in the highest byte. */
    for (uint32_t i = 0; i < AREA_BYTES / 8; i++) {
        uint64_t bytes;
        __builtin_memcpy(&bytes, counts + 8 * i, sizeof bytes);
        uint64_t rest = (bytes | high) - (lower & ~high);
        uint64_t reach = ((bytes & ~lower) | (~(bytes ^ lower) & rest)) & high;
        bits |= ((reach >> 7) * UINT64_C(0x0102040810204080) >> 56) << 8 * i;
    }
    return bits;
}
