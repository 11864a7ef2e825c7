/*
 * Areas: the domains of the highest level of the tree (zones, as a rule), a bit each, as long as there
 * are no more than 63 of them in use; later ones have none until they are used anew. A word so says
 * which areas a rule refuses, or in which of them hosts are, and a group's members in them fit a line
 * of memory, a byte each.
 */
#pragma once

#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define AREAS 63
#define AREA_NONE AREAS /* where hosts without an area are; its bit is never among those refused */

#define AREA_BYTES 64
#define AREA_MANY UINT8_MAX /* what a byte stands for that counts so many or more */

static inline uint64_t area_bit(uint32_t area)
{
    return UINT64_C(1) << area;
}

/* The bytes that are `wanted`, a bit each. */
static inline uint64_t areas_equal(const uint8_t bytes[AREA_BYTES], uint8_t wanted)
{
    uint64_t bits = 0;

#if defined(__SSE2__)
    const __m128i same = _mm_set1_epi8((char)wanted);
    for (uint32_t i = 0; i < AREA_BYTES; i += 16) {
        __m128i next = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(next, same)) << i;
    }
#else
    for (uint32_t i = 0; i < AREA_BYTES; i++) {
        bits |= (uint64_t)(bytes[i] == wanted) << i;
    }
#endif
    return bits;
}

/* The bytes of at least `least`, 1 to 255, a bit each. */
static inline uint64_t areas_reaching(const uint8_t counts[AREA_BYTES], uint32_t least)
{
    uint64_t bits = 0;

#if defined(__SSE2__)
    const __m128i bound = _mm_set1_epi8((char)least);

    for (uint32_t i = 0; i < AREA_BYTES; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(counts + i));
        __m128i reach = _mm_cmpeq_epi8(_mm_max_epu8(bytes, bound), bytes);
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(reach) << i;
    }
#else
    for (uint32_t i = 0; i < AREA_BYTES; i++) {
        bits |= (uint64_t)(counts[i] >= least) << i;
    }
#endif
    return bits;
}
