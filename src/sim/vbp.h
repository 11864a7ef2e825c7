/*
 * `.vbp` files: instances of vector bin packing as text.
 *
 *     2                 dimensions
 *     100 50            capacity of each bin
 *     2                 kinds of items
 *     30 10 4           a size for each dimension, and how many are wanted
 *     60 -5 1           sizes may be negative
 *
 * A line holds no more and no less than its numbers; blanks around them, CRLF, empty lines and the
 * mark that some editors put first (U+FEFF) are of no account. What is wrong is told with file, line and column.
 *
 * Threading: pure functions.
 */
#pragma once

#include <glib.h>

#include "place/pack.h"

typedef struct {
    BerthPackProblem problem; /* refers to the arrays below */
    uint32_t n_items;         /* copies in all */
    int64_t *capacity;
    int64_t *sizes;
    uint32_t *demands;
} Vbp;

/* Reads the text of a file; `name` stands in errors. NULL and BERTH_ERROR_INVALID when it is no
 * instance, or when an item is larger than a bin and nothing in the file could make it room. */
Vbp *vbp_parse(const char *name, const char *text, size_t length, GError **error);
void vbp_free(Vbp *vbp); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Vbp, vbp_free)

/* The same instance as text again. */
char *vbp_format(const Vbp *vbp);
