/*
 * Vectors of amounts in rows, four bytes each as long as all fit, eight from the first that does
 * not: a million hosts are scanned and copied at half the cost. Floors and sums are exact either way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* One of the two is NULL. */
typedef struct {
    int32_t *narrow;
    int64_t *wide;
} Amounts;

static inline bool amounts_are_narrow(const int64_t *vector, uint32_t n_dims)
{
    for (uint32_t d = 0; d < n_dims; d++) {
        if (vector[d] != (int32_t)vector[d]) {
            return false;
        }
    }
    return true;
}

static inline size_t amounts_size(const Amounts *amounts)
{
    return amounts->wide != NULL ? sizeof *amounts->wide : sizeof *amounts->narrow;
}

static inline void amounts_read(const Amounts *amounts, size_t row, uint32_t n_dims,
                                int64_t *ret_vector)
{
    if (amounts->wide != NULL) {
        memcpy(ret_vector, amounts->wide + row * n_dims, n_dims * sizeof *ret_vector);
        return;
    }
    const int32_t *from = amounts->narrow + row * n_dims;
    for (uint32_t d = 0; d < n_dims; d++) {
        ret_vector[d] = from[d];
    }
}

static inline int64_t amounts_at(const Amounts *amounts, size_t row, uint32_t n_dims, uint32_t dim)
{
    return amounts->wide != NULL ? amounts->wide[row * n_dims + dim]
                                 : amounts->narrow[row * n_dims + dim];
}

/* The vector must fit: narrow amounts are widened before. */
static inline void amounts_write(Amounts *amounts, size_t row, uint32_t n_dims,
                                 const int64_t *vector)
{
    if (amounts->wide != NULL) {
        memcpy(amounts->wide + row * n_dims, vector, n_dims * sizeof *vector);
        return;
    }
    int32_t *to = amounts->narrow + row * n_dims;
    for (uint32_t d = 0; d < n_dims; d++) {
        to[d] = (int32_t)vector[d];
    }
}

static inline bool amounts_equal(const Amounts *amounts, size_t row, uint32_t n_dims,
                                 const int64_t *vector)
{
    if (amounts->wide != NULL) {
        return memcmp(amounts->wide + row * n_dims, vector, n_dims * sizeof *vector) == 0;
    }
    const int32_t *with = amounts->narrow + row * n_dims;
    for (uint32_t d = 0; d < n_dims; d++) {
        if (with[d] != vector[d]) {
            return false;
        }
    }
    return true;
}
