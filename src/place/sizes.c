#include "place/sizes.h"

#include <math.h>
#include <string.h>

#include "place/shapes.h"

#define SEEN_ENOUGH 8
#define HALVED_AFTER 65536

void sizes_init(Sizes *sizes, uint32_t n_dims)
{
    *sizes = (Sizes){.n_dims = n_dims};
    for (uint32_t d = 0; d < BERTH_PLACE_MAX_DIMS; d++) {
        for (uint32_t i = 0; i < ROW; i++) {
            sizes->needs[d][i] = INFINITY;
        }
    }
}

static uint32_t find(const Sizes *sizes, const int64_t *vector, uint64_t hash)
{
    for (uint32_t i = 0; i < sizes->n; i++) {
        if (sizes->hashes[i] == hash &&
            memcmp(sizes->vectors[i], vector, sizes->n_dims * sizeof *vector) == 0) {
            return i;
        }
    }
    return SIZES_NONE;
}

uint32_t sizes_find(const Sizes *sizes, const int64_t *vector)
{
    return find(sizes, vector, shapes_hash(vector, sizes->n_dims, 0));
}

static void halve(Sizes *sizes)
{
    sizes->booked = 0;
    for (uint32_t i = 0; i < sizes->n; i++) {
        sizes->uses[i] /= 2;
    }
    for (uint32_t i = 0; i < SIZES_SEEN; i++) {
        sizes->seen[i].count /= 2;
    }
}

static uint32_t admit(Sizes *sizes, const int64_t *vector, uint64_t hash)
{
    uint32_t number = 0;

    if (sizes->n < SIZES_MAX) {
        number = sizes->n++;
    } else {
        while (number < SIZES_MAX && sizes->uses[number] > 0) {
            number++;
        }
        if (number == SIZES_MAX) {
            return SIZES_NONE;
        }
    }
    memcpy(sizes->vectors[number], vector, sizes->n_dims * sizeof *vector);
    sizes->hashes[number] = hash;
    sizes->uses[number] = SEEN_ENOUGH;
    for (uint32_t d = 0; d < sizes->n_dims; d++) {
        sizes->needs[d][number] = (float)vector[d];
    }
    return number;
}

/* Finds a vector that is used once more. */
static uint32_t use(Sizes *sizes, const int64_t *vector, uint64_t hash)
{
    uint32_t number = find(sizes, vector, hash);

    if (++sizes->booked == HALVED_AFTER) {
        halve(sizes);
    }
    if (number != SIZES_NONE) {
        sizes->uses[number]++;
    }
    return number;
}

uint32_t sizes_admit(Sizes *sizes, const int64_t *vector)
{
    uint64_t hash = shapes_hash(vector, sizes->n_dims, 0);

    return use(sizes, vector, hash) == SIZES_NONE ? admit(sizes, vector, hash) : SIZES_NONE;
}

uint32_t sizes_count(Sizes *sizes, const int64_t *vector)
{
    uint64_t hash = shapes_hash(vector, sizes->n_dims, 0);
    uint32_t at = (uint32_t)(hash >> 40) % SIZES_SEEN;

    if (use(sizes, vector, hash) != SIZES_NONE) {
        return SIZES_NONE;
    }
    if (sizes->seen[at].hash != hash) {
        if (sizes->seen[at].count > 0) {
            sizes->seen[at].count--;
            return SIZES_NONE;
        }
        sizes->seen[at].hash = hash;
    }
    if (++sizes->seen[at].count < SEEN_ENOUGH) {
        return SIZES_NONE;
    }
    sizes->seen[at].count = 0;
    return admit(sizes, vector, hash);
}
