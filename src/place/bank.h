/*
 * A tournament of classes: for one policy, a row of keys for each class (one key a size, see
 * kernels.h), and above each 16 rows the row of their maxima, up to the top. All sizes go through an
 * update side by side; a search follows one size down from the top to the classes that have its
 * best key.
 */
#pragma once

#include "place/kernels.h"

#define BANK_LEVELS 6

typedef struct {
    const Kernels *kernels;
    float *levels[BANK_LEVELS];
    uint32_t rows[BANK_LEVELS]; /* written so far, a multiple of 16 */
    uint32_t n_levels;
} Bank;

/* Room for `most` classes; memory is touched as classes come. */
bool bank_init(Bank *bank, uint32_t most);
void bank_clear(Bank *bank);

void bank_set(Bank *bank, uint32_t class, const float *row, uint32_t width);

/* Sets every key of a class to -INFINITY. */
void bank_unset(Bank *bank, uint32_t class, uint32_t width);

/* Whether each row above others is their maximum. */
bool bank_check(const Bank *bank, uint32_t width);

static inline const float *bank_row(const Bank *bank, uint32_t level, uint32_t row)
{
    return bank->levels[level] + (size_t)row * ROW;
}
