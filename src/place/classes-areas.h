/*
 * In which areas (areas.h) the hosts of classes are: a word for each class, and above each 16 classes,
 * 256 and so on, beside the tournaments, a row that tells for each size the areas of those below into
 * which it fits. Where rules leave a request only a few areas, a search so passes over whatever has no
 * host there, or none with room.
 *
 * A word has 32 bits: two areas may share one, and the highest is for hosts without an area. What it
 * says may be too much, when a host has left its class, and is never too little.
 *
 * Built step by step by changes of the fleet; a search only reads.
 */
#pragma once

#include "place/areas.h"
#include "place/bank.h"

typedef struct {
    const Kernels *kernels;
    uint32_t most;   /* classes that there is room for, a multiple of 16 */
    uint32_t *areas; /* of each class */
    uint32_t *fits;  /* sizes that fit each class, bit by bit */
    uint8_t
        *departed; /* of each 16 classes, how often one lost areas since their row was made anew */
    uint32_t n_levels;
    uint32_t (*rows[BANK_LEVELS])[ROW]; /* by level, from that above the classes on */
    uint32_t entered;                   /* hosts below are in */
    uint32_t swept;                     /* rows above classes below have all sizes */
    uint32_t ready;                     /* sizes, bit by bit, that all rows have */
} ClassAreas;

/* Of no host yet; NULL without memory. */
ClassAreas *class_areas_new(uint32_t most);
void class_areas_free(ClassAreas *areas);

/* What a class's word says of areas. */
static inline uint32_t class_areas_word(uint64_t areas)
{
    const uint32_t low = UINT32_MAX >> 1;

    return ((uint32_t)areas & low) | ((uint32_t)(areas >> 31) & low) | (uint32_t)(areas >> 62 & 1) |
           (uint32_t)(areas >> AREA_NONE) << 31;
}

/* Whether all is in, and for a size. */
static inline bool class_areas_know(const ClassAreas *areas, uint32_t size)
{
    return areas != NULL && (areas->ready >> size & 1) != 0;
}

/* Whether classes, 16^level of them from `first` * 16^level on, have a host in one of the areas of a
 * word, and for a size one where it fits. */
static inline bool class_areas_meet(const ClassAreas *areas, uint32_t level, uint32_t first,
                                    uint32_t size, uint32_t word)
{
    return ((level == 0 ? areas->areas[first] : areas->rows[level - 1][first][size]) & word) != 0;
}

/* A class came into being, or went. */
void class_areas_begin(ClassAreas *areas, uint32_t class, uint32_t fits);
void class_areas_end(ClassAreas *areas, uint32_t class, uint32_t width);

/* A class has a host in an area; it has none any more in the areas of a word. */
void class_areas_add(ClassAreas *areas, uint32_t class, uint32_t area, uint32_t width);
void class_areas_remove(ClassAreas *areas, uint32_t class, uint32_t word, uint32_t width);

/* Which sizes fit 16 classes has changed: makes the rows above them anew. */
void class_areas_refresh(ClassAreas *areas, uint32_t block, uint32_t width);

/* NULL, or what does not hold. */
const char *class_areas_check(const ClassAreas *areas, uint32_t width);
