#include "place/bank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64

bool bank_init(Bank *bank, uint32_t most)
{
    *bank = (Bank){.kernels = kernels_get()};
    for (uint32_t rows = most; bank->n_levels < BANK_LEVELS; rows = (rows + 15) / 16) {
        size_t size = ((size_t)rows + 15) / 16 * 16 * ROW * sizeof(float);
        float *level = aligned_alloc(LINE, size);
        if (level == NULL) {
            bank_clear(bank);
            return false;
        }
        bank->levels[bank->n_levels++] = level;
        if (rows <= 16) {
            break;
        }
    }
    return true;
}

void bank_clear(Bank *bank)
{
    for (uint32_t i = 0; i < bank->n_levels; i++) {
        free(bank->levels[i]);
    }
    *bank = (Bank){0};
}

/* Rows up to that of a class, on each level, with no key in the new ones. */
static void extend(Bank *bank, uint32_t class)
{
    for (uint32_t level = 0; level < bank->n_levels && class >= bank->rows[level]; level++) {
        float *at = bank->levels[level] + (size_t)bank->rows[level] * ROW;
        float *end = bank->levels[level] + ((size_t) class / 16 * 16 + 16) * ROW;
        while (at < end) {
            *at++ = -INFINITY;
        }
        bank->rows[level] = class / 16 * 16 + 16;
        class /= 16;
    }
}

static float *row_at(Bank *bank, uint32_t level, uint32_t row)
{
    return bank->levels[level] + (size_t)row * ROW;
}

/* A row has lost keys that it had before: takes them out of the levels above. */
static void lower(Bank *bank, uint32_t row, const float *before, uint32_t width)
{
    float lost[ROW], old[ROW];

    memcpy(lost, before, width * sizeof *lost);
    for (uint32_t level = 1; level < bank->n_levels; level++) {
        float *above = row_at(bank, level, row / 16);
        if (!bank->kernels->meet(above, lost, width)) {
            return;
        }
        memcpy(old, above, width * sizeof *old);
        bank->kernels->maximum(row_at(bank, level - 1, row / 16 * 16), above, width);
        memcpy(lost, old, width * sizeof *lost);
        row /= 16;
    }
}

static void raise(Bank *bank, uint32_t row, const float *keys, uint32_t width)
{
    for (uint32_t level = 1; level < bank->n_levels; level++) {
        row /= 16;
        if (!bank->kernels->raise(row_at(bank, level, row), keys, width)) {
            return;
        }
    }
}

void bank_set(Bank *bank, uint32_t class, const float *row, uint32_t width)
{
    float before[ROW];
    float *keys = row_at(bank, 0, class);

    extend(bank, class);
    memcpy(before, keys, width * sizeof *before);
    memcpy(keys, row, width * sizeof *keys);
    /* In this order: what lower computes anew on one level is then known on all above it. */
    raise(bank, class, row, width);
    lower(bank, class, before, width);
}

void bank_unset(Bank *bank, uint32_t class, uint32_t width)
{
    float before[ROW];
    float *keys = row_at(bank, 0, class);

    if (class >= bank->rows[0]) {
        return;
    }
    memcpy(before, keys, width * sizeof *before);
    for (uint32_t i = 0; i < width; i++) {
        keys[i] = -INFINITY;
    }
    lower(bank, class, before, width);
}

bool bank_check(const Bank *bank, uint32_t width)
{
    float most[ROW];

    for (uint32_t level = 1; level < bank->n_levels; level++) {
        for (uint32_t row = 0; row * 16 < bank->rows[level - 1]; row++) {
            bank->kernels->maximum(bank_row(bank, level - 1, row * 16), most, width);
            if (memcmp(most, bank_row(bank, level, row), width * sizeof *most) != 0) {
                return false;
            }
        }
    }
    return true;
}
