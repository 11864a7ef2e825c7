#include "base/nearest.h"

#include <stdbool.h>
#include <string.h>

#define MAX_BYTES 64

typedef struct {
    char bytes[MAX_BYTES];
    size_t len;
} Folded;

static void fold(const char *name, Folded *ret)
{
    ret->len = strnlen(name, MAX_BYTES);
    for (size_t i = 0; i < ret->len; i++) {
        ret->bytes[i] = name[i] == '_' ? '-' : g_ascii_tolower(name[i]);
    }
}

static unsigned distance(const Folded *a, const Folded *b)
{
    unsigned rows[3][MAX_BYTES + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b->len; j++) {
        above[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a->len; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b->len; j++) {
            unsigned replaced = above[j - 1] + (a->bytes[i - 1] != b->bytes[j - 1]);
            unsigned best = MIN(replaced, MIN(above[j], row[j - 1]) + 1);

            if (i > 1 && j > 1 && a->bytes[i - 1] == b->bytes[j - 2] &&
                a->bytes[i - 2] == b->bytes[j - 1]) {
                best = MIN(best, before[j - 2] + 1);
            }
            row[j] = best;
        }
        unsigned *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b->len];
}

unsigned berth_nearest_distance(const char *a, const char *b)
{
    Folded folded_a, folded_b;

    fold(a, &folded_a);
    fold(b, &folded_b);
    return distance(&folded_a, &folded_b);
}

static bool is_prefix(const Folded *name, const Folded *of)
{
    return name->len >= 3 && name->len < of->len && memcmp(name->bytes, of->bytes, name->len) == 0;
}

const char *berth_nearest_name(const char *name, const char *const *candidates)
{
    Folded folded, candidate;
    const char *nearest = NULL, *begun = NULL;
    unsigned nearest_distance = 0;

    fold(name, &folded);
    for (size_t i = 0; candidates[i] != NULL; i++) {
        fold(candidates[i], &candidate);
        size_t longer = MAX(folded.len, candidate.len);
        unsigned d = distance(&folded, &candidate);

        if (d <= MAX(longer / 3, 1) && d < longer && (nearest == NULL || d < nearest_distance)) {
            nearest = candidates[i];
            nearest_distance = d;
        }
        if (begun == NULL && is_prefix(&folded, &candidate)) {
            begun = candidates[i];
        }
    }
    return nearest != NULL ? nearest : begun;
}
