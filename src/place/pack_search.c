#include "place/pack_search.h"

#include <math.h>
#include <string.h>

#define TELL_NS UINT64_C(100000000)

static uint64_t mix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

bool pack_search_init(PackSearch *search, const PackProblem *problem,
                      const BerthPackOptions *options)
{
    uint64_t seed = options->seed;

    *search = (PackSearch){.problem = problem, .options = options, .n_best = PACK_NONE};
    search->state[0] = mix(&seed);
    search->state[1] = mix(&seed);
    if (options->clock != NULL) {
        search->begun_ns = search->told_ns = options->clock(options->user_data);
    }
    search->total_us = options->max_iterations > 0 ? (double)options->max_iterations
                                                   : (double)options->budget_ns / 1000;
    search->best = pack_zone_get(&search->zone, problem->n_items, sizeof *search->best);
    search->lower_bound = pack_volume_bound(problem);
    return !search->zone.failed;
}

void pack_search_free(PackSearch *search)
{
    pack_zone_free(&search->zone);
}

static double clock_us(PackSearch *search)
{
    const BerthPackOptions *options = search->options;
    uint64_t now = options->clock(options->user_data);

    if (options->progress != NULL && now - search->told_ns >= TELL_NS) {
        search->told_ns = now;
        options->progress(search->n_best, search->lower_bound, options->user_data);
    }
    return (double)(now - search->begun_ns) / 1000;
}

double pack_now(PackSearch *search)
{
    const BerthPackOptions *options = search->options;

    if (options->max_iterations == 0) {
        return options->clock == NULL ? 0 : clock_us(search);
    }
    if (options->clock != NULL && clock_us(search) >= (double)options->budget_ns / 1000) {
        search->work =
            search->work > options->max_iterations ? search->work : options->max_iterations;
    }
    return (double)search->work;
}

bool pack_goes_on(PackSearch *search, double end_us)
{
    return search->n_best > search->lower_bound && !search->no_memory && pack_now(search) < end_us;
}

void pack_offer(PackSearch *search, const uint32_t *bins)
{
    uint32_t n = search->problem->n_items, count = 0;
    PackZone zone = {0};
    uint32_t *renamed = pack_zone_get(&zone, n, 2 * sizeof *renamed);

    if (renamed == NULL) {
        search->no_memory = true;
        return;
    }
    uint32_t *packing = renamed + n;

    for (uint32_t i = 0; i < n; i++) {
        if (renamed[bins[i]] == 0) {
            renamed[bins[i]] = ++count;
        }
        packing[i] = renamed[bins[i]] - 1;
    }
    if (count < search->n_best) {
        memcpy(search->best, packing, n * sizeof *packing);
        search->n_best = count;
        if (search->options->progress != NULL) {
            search->options->progress(count, search->lower_bound, search->options->user_data);
        }
    }
    pack_zone_free(&zone);
}

void pack_raise_bound(PackSearch *search, double bound)
{
    uint32_t whole = (uint32_t)ceil(bound - 1e-6);

    if (bound > 0 && whole > search->lower_bound) {
        search->lower_bound = whole;
    }
}

typedef struct {
    double key;
    uint32_t item;
} Keyed;

static int compare(const void *a, const void *b)
{
    const Keyed *x = a, *y = b;

    if (x->key != y->key) {
        return x->key > y->key ? -1 : 1;
    }
    return x->item < y->item ? -1 : x->item > y->item;
}

bool pack_sort_falling(uint32_t *order, uint32_t n, const double *keys)
{
    Keyed *keyed = calloc(n > 0 ? n : 1, sizeof *keyed);

    if (keyed == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        keyed[i] = (Keyed){keys[order[i]], order[i]};
    }
    qsort(keyed, n, sizeof *keyed, compare);
    for (uint32_t i = 0; i < n; i++) {
        order[i] = keyed[i].item;
    }
    free(keyed);
    return true;
}

bool pack_seen_init(PackSeen *seen, uint32_t most, uint32_t space)
{
    uint32_t size = 64;

    *seen = (PackSeen){.most = most, .space = space};
    while (size < 2 * most) {
        size *= 2;
    }
    seen->mask = size - 1;
    seen->hashes = pack_zone_get(&seen->zone, size, sizeof *seen->hashes);
    seen->bins = pack_zone_get(&seen->zone, most + 1, sizeof *seen->bins);
    seen->items = pack_zone_get(&seen->zone, space, sizeof *seen->items);
    return !seen->zone.failed;
}

void pack_seen_free(PackSeen *seen)
{
    pack_zone_free(&seen->zone);
}

void pack_seen_add(PackSeen *seen, const uint32_t *kinds, uint32_t n)
{
    uint64_t hash = 1;

    if (n < 2 || seen->n == seen->most || seen->space - seen->bins[seen->n] < n) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) { /* a sum: the order of the kinds is of no account */
        uint64_t state = kinds[i];

        hash += mix(&state);
    }
    hash += hash == 0;
    uint32_t at = (uint32_t)(hash >> 32) & seen->mask;

    while (seen->hashes[at] != 0) {
        if (seen->hashes[at] == hash) {
            return;
        }
        at = (at + 1) & seen->mask;
    }
    seen->hashes[at] = hash;
    memcpy(seen->items + seen->bins[seen->n], kinds, n * sizeof *kinds);
    seen->bins[seen->n + 1] = seen->bins[seen->n] + n;
    seen->n++;
}
