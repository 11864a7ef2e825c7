#include "place/classes-areas.h"

#include <stdlib.h>
#include <string.h>

#define MANY_DEPARTED 4

ClassAreas *class_areas_new(uint32_t most)
{
    ClassAreas *areas = calloc(1, sizeof *areas);

    if (areas == NULL) {
        return NULL;
    }
    areas->kernels = kernels_get();
    areas->most = most;
    areas->areas = calloc(most, sizeof *areas->areas);
    areas->fits = calloc(most, sizeof *areas->fits);
    areas->departed = calloc(most / 16, 1);
    bool is_whole = areas->areas != NULL && areas->fits != NULL && areas->departed != NULL;
    for (uint32_t n = most; n > 16 && is_whole; n = (n + 15) / 16) {
        size_t rows = ((size_t)(n + 15) / 16 + 15) / 16 * 16;
        areas->rows[areas->n_levels] = calloc(rows, sizeof **areas->rows);
        is_whole = areas->rows[areas->n_levels] != NULL;
        areas->n_levels += is_whole;
    }
    if (!is_whole) {
        class_areas_free(areas);
        return NULL;
    }
    return areas;
}

void class_areas_free(ClassAreas *areas)
{
    if (areas == NULL) {
        return;
    }
    for (uint32_t level = 0; level < areas->n_levels; level++) {
        free(areas->rows[level]);
    }
    free(areas->areas);
    free(areas->fits);
    free(areas->departed);
    free(areas);
}

void class_areas_begin(ClassAreas *areas, uint32_t class, uint32_t fits)
{
    areas->fits[class] = fits;
    areas->areas[class] = 0;
}

void class_areas_remove(ClassAreas *areas, uint32_t class, uint32_t word, uint32_t width)
{
    areas->areas[class] &= ~word;
    if (++areas->departed[class / 16] >= MANY_DEPARTED) {
        class_areas_refresh(areas, class / 16, width);
    }
}

void class_areas_end(ClassAreas *areas, uint32_t class, uint32_t width)
{
    areas->fits[class] = 0;
    class_areas_remove(areas, class, UINT32_MAX, width);
}

void class_areas_add(ClassAreas *areas, uint32_t class, uint32_t area, uint32_t width)
{
    uint32_t word = class_areas_word(area_bit(area)), at = class;

    if ((areas->areas[class] & word) != 0) {
        return;
    }
    areas->areas[class] |= word;
    for (uint32_t level = 0; level < areas->n_levels; level++) {
        at /= 16;
        if (!areas->kernels->widen(areas->rows[level][at], areas->fits[class], word, width)) {
            return;
        }
    }
}

void class_areas_refresh(ClassAreas *areas, uint32_t block, uint32_t width)
{
    uint32_t row[ROW];

    areas->departed[block] = 0;
    for (uint32_t level = 0; level < areas->n_levels; level++, block /= 16) {
        uint32_t *above = areas->rows[level][block];
        if (level == 0) {
            areas->kernels->unite_words(areas->areas + block * 16, areas->fits + block * 16, row,
                                        width);
        } else {
            areas->kernels->unite_rows(areas->rows[level - 1] + block * 16, row, width);
        }
        if (memcmp(above, row, width * sizeof *row) == 0) {
            return;
        }
        memcpy(above, row, width * sizeof *row);
    }
}

const char *class_areas_check(const ClassAreas *areas, uint32_t width)
{
    for (uint32_t class = 0; class < areas->most; class ++) {
        for (uint32_t level = 0, at = class / 16; level < areas->n_levels; level++, at /= 16) {
            for (uint32_t i = 0; i < width; i++) {
                uint32_t fitting = areas->fits[class] >> i & 1 ? areas->areas[class] : 0;
                if ((areas->ready >> i & 1) != 0 && (fitting & ~areas->rows[level][at][i]) != 0) {
                    return "a row has the areas of all classes below it";
                }
            }
        }
    }
    return NULL;
}
