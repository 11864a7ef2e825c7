#include "place/pack_problem.h"

#include <string.h>

#include "place/fleet.h"

struct PackBlock {
    PackBlock *next;
    max_align_t bytes[];
};

void *pack_zone_get(PackZone *zone, size_t count, size_t size)
{
    size_t bytes;
    PackBlock *block = NULL;

    if (!__builtin_mul_overflow(count, size, &bytes) &&
        !__builtin_add_overflow(bytes, sizeof *block, &bytes)) {
        block = calloc(1, bytes);
    }
    if (block == NULL) {
        zone->failed = true;
        return NULL;
    }
    block->next = zone->blocks;
    zone->blocks = block;
    return block->bytes;
}

void pack_zone_free(PackZone *zone)
{
    while (zone->blocks != NULL) {
        PackBlock *block = zone->blocks;

        zone->blocks = block->next;
        free(block);
    }
}

static uint32_t demand_of(const BerthPackProblem *given, uint32_t kind)
{
    return given->demands == NULL ? 1 : given->demands[kind];
}

BerthPlaceResult berth_pack_n_items(const BerthPackProblem *problem, uint32_t *ret_n_items)
{
    uint64_t n = 0;

    if (problem->struct_size < sizeof *problem || problem->n_dims < 1 ||
        problem->n_dims > BERTH_PLACE_MAX_DIMS || problem->n_kinds > BERTH_PACK_MAX_ITEMS) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (fleet_is_newer(problem, problem->struct_size, sizeof *problem)) {
        return BERTH_PLACE_ERROR_UNSUPPORTED;
    }
    for (uint32_t i = 0; i < problem->n_kinds; i++) {
        n += demand_of(problem, i);
        if (n > BERTH_PACK_MAX_ITEMS) {
            return BERTH_PLACE_ERROR_ARGUMENT;
        }
    }
    *ret_n_items = (uint32_t)n;
    return BERTH_PLACE_OK;
}

static BerthPlaceResult check_amounts(const BerthPackProblem *given)
{
    for (uint32_t k = 0; k < given->n_dims; k++) {
        if (given->capacity[k] < 0 || given->capacity[k] > BERTH_PLACE_MAX_AMOUNT) {
            return BERTH_PLACE_ERROR_AMOUNT;
        }
    }
    for (size_t i = 0; i < (size_t)given->n_kinds * given->n_dims; i++) {
        if (given->sizes[i] < -BERTH_PLACE_MAX_AMOUNT || given->sizes[i] > BERTH_PLACE_MAX_AMOUNT) {
            return BERTH_PLACE_ERROR_AMOUNT;
        }
    }
    return BERTH_PLACE_OK;
}

/* The width of a dimension's lane: room and sizes, and what differs between them on the way, stay
 * below 2^(width - 1) in magnitude. 0: the dimension never binds. 65: too wide. */
static unsigned lane_width(PackProblem *problem, uint32_t dim)
{
    int64_t positive = 0, negative = 0, largest = 0;

    for (uint32_t i = 0; i < problem->n_items; i++) {
        int64_t size = pack_size(problem, i)[dim];

        positive += size > 0 ? size : 0; /* 2^20 times less than 2^43 */
        negative -= size < 0 ? size : 0;
        largest = size > largest ? size : largest;
        largest = -size > largest ? -size : largest;
    }
    problem->has_negative |= negative > 0;
    if (positive <= problem->capacity[dim]) {
        return 0;
    }
    uint64_t reach = (uint64_t)problem->capacity[dim];

    if (negative > 0 || largest > problem->capacity[dim]) {
        reach += (uint64_t)negative + (uint64_t)largest;
    }
    unsigned width = 1;
    while (width < 64 && (reach >> (width - 1)) != 0) {
        width++;
    }
    return (reach >> (width - 1)) != 0 ? 65 : width;
}

/* Gives each dimension that can bind a lane: first word with room, in the order of dimensions. */
static bool lay_lanes(PackProblem *problem, unsigned *word, int *shift)
{
    unsigned used[PACK_MAX_WORDS] = {0};

    problem->n_words = 1;
    for (uint32_t k = 0; k < problem->n_dims; k++) {
        unsigned width = lane_width(problem, k), w = 0;

        shift[k] = -1;
        if (width > 64) {
            return false;
        }
        if (width == 0) {
            continue;
        }
        while (used[w] + width > 64) {
            w++;
        }
        word[k] = w;
        shift[k] = (int)used[w];
        used[w] += width;
        problem->n_words = w + 1 > problem->n_words ? w + 1 : problem->n_words;
        problem->guard[w] += UINT64_C(1) << (shift[k] + (int)width - 1);
        problem->empty[w] += (uint64_t)problem->capacity[k] << shift[k];
    }
    for (uint32_t w = 0; w < problem->n_words; w++) {
        problem->empty[w] += problem->guard[w];
    }
    return true;
}

static void fold(PackProblem *problem, const unsigned *word, const int *shift)
{
    for (uint32_t i = 0; i < problem->n_items; i++) {
        const int64_t *size = pack_size(problem, i);
        uint64_t *words = problem->words + (size_t)i * problem->n_words;

        for (uint32_t k = 0; k < problem->n_dims; k++) {
            if (shift[k] >= 0) {
                words[word[k]] += (uint64_t)size[k] << shift[k];
            }
        }
    }
}

static void weigh(PackProblem *problem)
{
    for (uint32_t i = 0; i < problem->n_items; i++) {
        const int64_t *size = pack_size(problem, i);
        float *share = problem->shares + (size_t)i * problem->n_dims;

        for (uint32_t k = 0; k < problem->n_dims; k++) {
            double of = (double)problem->capacity[k];

            share[k] = of > 0 ? (float)((double)size[k] / of) : 0;
            problem->mean[k] += (double)share[k] / problem->n_items;
        }
    }
    for (uint32_t k = 0; k < problem->n_dims; k++) {
        problem->mean[k] = problem->mean[k] > 0 ? problem->mean[k] : 0;
    }
    for (uint32_t i = 0; i < problem->n_items; i++) {
        for (uint32_t k = 0; k < problem->n_dims; k++) {
            problem->weights[i] +=
                problem->mean[k] * (double)problem->shares[(size_t)i * problem->n_dims + k];
        }
    }
}

static uint64_t hash_words(const uint64_t *words, uint32_t n)
{
    uint64_t hash = 0;

    for (uint32_t i = 0; i < n; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    return hash;
}

/* Numbers equal vectors alike: as their words are equal, by an open hash of them. */
static void find_kinds(PackProblem *problem, uint32_t *table, uint32_t mask)
{
    size_t bytes = problem->n_words * sizeof *problem->words;

    for (uint32_t i = 0; i < problem->n_items; i++) {
        const uint64_t *words = problem->words + (size_t)i * problem->n_words;
        uint32_t at = (uint32_t)(hash_words(words, problem->n_words) >> 20) & mask;

        while (table[at] != 0 &&
               memcmp(problem->words + (size_t)problem->example[table[at] - 1] * problem->n_words,
                      words, bytes) != 0) {
            at = (at + 1) & mask;
        }
        if (table[at] == 0) {
            problem->example[problem->n_kinds++] = i;
            table[at] = problem->n_kinds;
        }
        problem->kind[i] = table[at] - 1;
        problem->demand[table[at] - 1]++;
    }
}

static BerthPlaceResult allocate(PackProblem *problem, const BerthPackProblem *given)
{
    PackZone *zone = &problem->zone;
    uint32_t n = problem->n_items;

    problem->given = pack_zone_get(zone, n, sizeof *problem->given);
    problem->kind = pack_zone_get(zone, n, sizeof *problem->kind);
    problem->example = pack_zone_get(zone, n, sizeof *problem->example);
    problem->demand = pack_zone_get(zone, n, sizeof *problem->demand);
    problem->weights = pack_zone_get(zone, n, sizeof *problem->weights);
    problem->shares = pack_zone_get(zone, n, problem->n_dims * sizeof *problem->shares);
    if (zone->failed) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t kind = 0, at = 0; kind < given->n_kinds; kind++) {
        for (uint32_t copy = 0; copy < demand_of(given, kind); copy++) {
            problem->given[at++] = kind;
        }
    }
    return BERTH_PLACE_OK;
}

BerthPlaceResult pack_problem_init(PackProblem *problem, const BerthPackProblem *given)
{
    unsigned word[BERTH_PLACE_MAX_DIMS] = {0};
    int shift[BERTH_PLACE_MAX_DIMS];
    uint32_t size = 64;

    *problem = (PackProblem){0};
    BerthPlaceResult result = berth_pack_n_items(given, &problem->n_items);
    if (result == BERTH_PLACE_OK) {
        result = check_amounts(given);
    }
    if (result != BERTH_PLACE_OK) {
        return result;
    }
    problem->n_dims = given->n_dims;
    problem->capacity = given->capacity;
    problem->sizes = given->sizes;
    result = allocate(problem, given);
    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (!lay_lanes(problem, word, shift)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    while (size < 2 * problem->n_items) {
        size *= 2;
    }
    uint32_t *table = pack_zone_get(&problem->zone, size, sizeof *table);

    problem->words =
        pack_zone_get(&problem->zone, problem->n_items, problem->n_words * sizeof *problem->words);
    if (problem->zone.failed) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    fold(problem, word, shift);
    weigh(problem);
    find_kinds(problem, table, size - 1);
    return BERTH_PLACE_OK;
}

void pack_problem_free(PackProblem *problem)
{
    pack_zone_free(&problem->zone);
}
