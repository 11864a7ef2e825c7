/*
 * Guided ejection search: empty one bin into a pool and place its items one by one in the others.
 * An item that fits nowhere pushes out the one to three items of a bin whose penalties add up to
 * the least, and its own penalty rises: what is hard to place is soon not worth pushing out. Between
 * two placements the packing is shaken by random exchanges that keep it valid.
 *
 * Nagata and Bräysy, "A powerful route minimization heuristic for the vehicle routing problem with
 * time windows", 2009, whose scheme this is, with the sizes of the items in the penalties.
 */
#include <math.h>
#include <string.h>

#include "place/pack_search.h"

#define SHAKES 100        /* exchanges tried after each placement */
#define LEVEL_SHARE 0.3   /* of the exchanges that make loads more even, those that are done */
#define CHECK_EVERY 16    /* placements between two looks at the clock */
#define RECORD_EVERY 2048 /* placements between two records of all bins */
#define MAX_SLOTS (UINT32_C(1) << 26)

typedef struct {
    PackSearch *search;
    const uint64_t *words, *guard;
    const uint32_t *items; /* those that are packed here, n of them */
    uint32_t n, n_bins;

    /* of each copy */
    uint32_t *bin;  /* PACK_NONE: in the pool */
    float *penalty; /* what it costs to push it out */
    float *raise;   /* by how much the penalty rises */
    float *weight;

    /* of each bin */
    uint64_t *rooms; /* n_words a bin, with the guard */
    uint32_t *slots; /* `stride` a bin: its items */
    uint32_t *count;
    float *cheapest; /* the least penalty in it */
    float *load;     /* weights in it */
    uint32_t stride;

    uint32_t *pool;
    uint32_t n_pool;
    PackZone zone;
} Eject;

/* Up to three items of a bin to push out. */
typedef struct {
    float cost;
    uint32_t bin, ties;
    uint32_t out[3];
} Choice;

static void find_cheapest(Eject *e, uint32_t b)
{
    const uint32_t *slots = e->slots + (size_t)b * e->stride;
    float least = INFINITY;

    for (uint32_t i = 0; i < e->count[b]; i++) {
        float penalty = e->penalty[slots[i]];

        least = penalty < least ? penalty : least;
    }
    e->cheapest[b] = least;
}

static void insert(Eject *e, uint32_t item, uint32_t b, uint32_t w)
{
    e->slots[(size_t)b * e->stride + e->count[b]++] = item;
    e->bin[item] = b;
    e->load[b] += e->weight[item];
    for (uint32_t k = 0; k < w; k++) {
        e->rooms[(size_t)b * w + k] -= e->words[(size_t)item * w + k];
    }
    e->cheapest[b] = e->penalty[item] < e->cheapest[b] ? e->penalty[item] : e->cheapest[b];
}

static void take_out(Eject *e, uint32_t item, uint32_t w)
{
    uint32_t b = e->bin[item], i = 0;
    uint32_t *slots = e->slots + (size_t)b * e->stride;

    while (slots[i] != item) {
        i++;
    }
    slots[i] = slots[--e->count[b]];
    e->bin[item] = PACK_NONE;
    e->load[b] -= e->weight[item];
    for (uint32_t k = 0; k < w; k++) {
        e->rooms[(size_t)b * w + k] += e->words[(size_t)item * w + k];
    }
    find_cheapest(e, b);
}

static inline __attribute__((always_inline)) bool holds(const uint64_t *room, const uint64_t *guard,
                                                        uint32_t w)
{
    uint64_t missing = 0;

    for (uint32_t k = 0; k < w; k++) {
        missing |= ~room[k] & guard[k];
    }
    return missing == 0;
}

/* A bin with room for the item, the search beginning at a random one. */
static inline __attribute__((always_inline)) uint32_t find_room(const Eject *e, uint32_t item,
                                                                uint32_t from, uint32_t w)
{
    const uint64_t *words = e->words + (size_t)item * w;

    for (uint32_t turn = 0; turn < 2; turn++) {
        for (uint32_t b = turn == 0 ? from : 0; b < (turn == 0 ? e->n_bins : from); b++) {
            if (pack_fits(words, e->rooms + (size_t)b * w, e->guard, w) &&
                e->count[b] < e->stride) {
                return b;
            }
        }
    }
    return PACK_NONE;
}

static inline __attribute__((always_inline)) void consider(Eject *e, Choice *choice, float cost,
                                                           uint32_t b, uint32_t x, uint32_t y,
                                                           uint32_t z)
{
    if (cost < choice->cost) {
        choice->ties = 1;
    } else if (pack_below(e->search, ++choice->ties) != 0) {
        return;
    }
    choice->cost = cost;
    choice->bin = b;
    choice->out[0] = x;
    choice->out[1] = y;
    choice->out[2] = z;
}

/* Third items of a bin whose first two, x and y, leave this room. */
static inline __attribute__((always_inline)) void third(Eject *e, Choice *choice, uint32_t b,
                                                        uint32_t i, uint32_t j,
                                                        const uint64_t *room, float cost,
                                                        uint32_t w)
{
    const uint32_t *slots = e->slots + (size_t)b * e->stride;

    for (uint32_t k = j + 1; k < e->count[b]; k++) {
        uint32_t z = slots[k];
        float sum = cost + e->penalty[z];
        uint64_t after[PACK_MAX_WORDS];

        if (sum >= choice->cost) {
            continue;
        }
        for (uint32_t word = 0; word < w; word++) {
            after[word] = room[word] + e->words[(size_t)z * w + word];
        }
        if (holds(after, e->guard, w)) {
            consider(e, choice, sum, b, slots[i], slots[j], z);
        }
    }
}

/* What to push out of one bin for an item; `room` is what the bin has less the item. */
static inline __attribute__((always_inline)) void look_into(Eject *e, Choice *choice, uint32_t b,
                                                            const uint64_t *room, uint32_t w)
{
    const uint32_t *slots = e->slots + (size_t)b * e->stride;
    uint32_t m = e->count[b];

    for (uint32_t i = 0; i < m; i++) {
        uint32_t x = slots[i];
        float cost = e->penalty[x];
        uint64_t one[PACK_MAX_WORDS], two[PACK_MAX_WORDS];

        if (cost > choice->cost) {
            continue;
        }
        for (uint32_t k = 0; k < w; k++) {
            one[k] = room[k] + e->words[(size_t)x * w + k];
        }
        if (holds(one, e->guard, w)) {
            consider(e, choice, cost, b, x, PACK_NONE, PACK_NONE);
            continue;
        }
        for (uint32_t j = i + 1; j < m; j++) {
            uint32_t y = slots[j];
            float sum = cost + e->penalty[y];

            if (sum > choice->cost) {
                continue;
            }
            for (uint32_t k = 0; k < w; k++) {
                two[k] = one[k] + e->words[(size_t)y * w + k];
            }
            if (holds(two, e->guard, w)) {
                consider(e, choice, sum, b, x, y, PACK_NONE);
            } else {
                third(e, choice, b, i, j, two, sum, w);
            }
        }
    }
}

/* Puts an item in by pushing out others; without a choice it goes back to the pool. */
static inline __attribute__((always_inline)) void push_in(Eject *e, uint32_t item, uint32_t from,
                                                          uint32_t w)
{
    const uint64_t *words = e->words + (size_t)item * w;
    Choice choice = {.cost = INFINITY, .bin = PACK_NONE};

    e->penalty[item] += e->raise[item];
    for (uint32_t turn = 0, b = from; turn < e->n_bins; turn++, b++) {
        uint64_t room[PACK_MAX_WORDS];

        b = b == e->n_bins ? 0 : b;
        if (e->cheapest[b] > choice.cost) {
            continue;
        }
        for (uint32_t k = 0; k < w; k++) {
            room[k] = e->rooms[(size_t)b * w + k] - words[k];
        }
        look_into(e, &choice, b, room, w);
    }
    if (choice.bin == PACK_NONE) {
        e->pool[e->n_pool++] = item;
        return;
    }
    for (unsigned i = 0; i < 3 && choice.out[i] != PACK_NONE; i++) {
        take_out(e, choice.out[i], w);
        e->pool[e->n_pool++] = choice.out[i];
    }
    insert(e, item, choice.bin, w);
}

/* Uneven loads leave room for large items: what evens them out is done only at times. */
static bool declines(Eject *e, float change_of_squares)
{
    return change_of_squares < 0 && pack_uniform(e->search) >= LEVEL_SHARE;
}

/* Moves an item to another bin where it fits. */
static inline __attribute__((always_inline)) void shift(Eject *e, uint32_t item, uint64_t random,
                                                        uint32_t w)
{
    uint32_t b = e->bin[item], c = pack_scale(random, e->n_bins);
    uint64_t left[PACK_MAX_WORDS];

    if (c == b || e->count[b] < 2 || e->count[c] == e->stride ||
        !pack_fits(e->words + (size_t)item * w, e->rooms + (size_t)c * w, e->guard, w)) {
        return;
    }
    for (uint32_t k = 0; k < w; k++) {
        left[k] = e->rooms[(size_t)b * w + k] + e->words[(size_t)item * w + k];
    }
    if (holds(left, e->guard, w) && !declines(e, e->load[c] + e->weight[item] - e->load[b])) {
        take_out(e, item, w);
        insert(e, item, c, w);
    }
}

static void replace(Eject *e, uint32_t b, uint32_t item, uint32_t by)
{
    uint32_t *slots = e->slots + (size_t)b * e->stride;
    uint32_t i = 0;

    while (slots[i] != item) {
        i++;
    }
    slots[i] = by;
    e->bin[by] = b;
    find_cheapest(e, b);
}

/* Exchanges two items of different bins if both bins hold it. */
static inline __attribute__((always_inline)) void exchange(Eject *e, uint32_t x, uint32_t y,
                                                           uint32_t w)
{
    uint32_t b = e->bin[x], c = e->bin[y];
    uint64_t of_b[PACK_MAX_WORDS], of_c[PACK_MAX_WORDS];

    if (c == PACK_NONE || c == b) {
        return;
    }
    for (uint32_t k = 0; k < w; k++) {
        uint64_t size = e->words[(size_t)x * w + k] - e->words[(size_t)y * w + k];

        of_b[k] = e->rooms[(size_t)b * w + k] + size;
        of_c[k] = e->rooms[(size_t)c * w + k] - size;
    }
    float more = e->weight[x] - e->weight[y];
    if (!holds(of_b, e->guard, w) || !holds(of_c, e->guard, w) ||
        declines(e, more * (e->load[c] - e->load[b] + more))) {
        return;
    }
    for (uint32_t k = 0; k < w; k++) {
        e->rooms[(size_t)b * w + k] = of_b[k];
        e->rooms[(size_t)c * w + k] = of_c[k];
    }
    e->load[b] -= more;
    e->load[c] += more;
    replace(e, b, x, y);
    replace(e, c, y, x);
}

static inline __attribute__((always_inline)) void shake(Eject *e, uint32_t w)
{
    for (unsigned turn = 0; turn < SHAKES; turn++) {
        uint64_t random = pack_random(e->search);
        uint32_t x = e->items[pack_scale(random, e->n)];

        if (e->bin[x] == PACK_NONE) {
            continue;
        }
        if (turn % 4 == 0) {
            shift(e, x, random >> 32, w);
        } else {
            exchange(e, x, e->items[pack_scale(random >> 32, e->n)], w);
        }
    }
}

static void record(const Eject *e, PackSeen *seen)
{
    for (uint32_t b = 0; b < e->n_bins; b++) {
        uint32_t kinds[64];

        if (e->count[b] <= 64) {
            for (uint32_t i = 0; i < e->count[b]; i++) {
                kinds[i] = e->search->problem->kind[e->slots[(size_t)b * e->stride + i]];
            }
            pack_seen_add(seen, kinds, e->count[b]);
        }
    }
}

static inline __attribute__((always_inline)) bool run(Eject *e, double end_us, PackSeen *seen,
                                                      uint32_t w)
{
    for (uint64_t turn = 1; e->n_pool > 0; turn++) {
        uint32_t item = e->pool[--e->n_pool], from = pack_below(e->search, e->n_bins);
        uint32_t b = find_room(e, item, from, w);

        if (b != PACK_NONE) {
            insert(e, item, b, w);
        } else {
            push_in(e, item, from, w);
        }
        shake(e, w);
        pack_work(e->search, 2 + e->n_bins / 64);
        if (turn % CHECK_EVERY == 0 && !pack_goes_on(e->search, end_us)) {
            return false;
        }
        if (turn % RECORD_EVERY == 0 && seen != NULL) {
            record(e, seen);
        }
    }
    return true;
}

static bool run_words(Eject *e, double end_us, PackSeen *seen)
{
    switch (e->search->problem->n_words) {
    case 1:
        return run(e, end_us, seen, 1);
    case 2:
        return run(e, end_us, seen, 2);
    case 3:
        return run(e, end_us, seen, 3);
    default:
        return run(e, end_us, seen, e->search->problem->n_words);
    }
}

static bool allocate(Eject *e, uint32_t n_bins, const uint32_t *bins)
{
    const PackProblem *problem = e->search->problem;
    PackZone *zone = &e->zone;
    uint32_t most = 0;

    e->count = pack_zone_get(zone, n_bins, sizeof *e->count);
    if (zone->failed) {
        return false;
    }
    for (uint32_t i = 0; i < e->n; i++) {
        uint32_t count = ++e->count[bins[e->items[i]]];

        most = count > most ? count : most;
    }
    memset(e->count, 0, n_bins * sizeof *e->count);
    e->stride = 2 * most + 8;
    if ((uint64_t)e->stride * n_bins > MAX_SLOTS) {
        return false;
    }
    e->bin = pack_zone_get(zone, problem->n_items, sizeof *e->bin);
    e->penalty = pack_zone_get(zone, problem->n_items, sizeof *e->penalty);
    e->raise = pack_zone_get(zone, problem->n_items, sizeof *e->raise);
    e->weight = pack_zone_get(zone, problem->n_items, sizeof *e->weight);
    e->rooms = pack_zone_get(zone, n_bins, problem->n_words * sizeof *e->rooms);
    e->slots = pack_zone_get(zone, (size_t)n_bins * e->stride, sizeof *e->slots);
    e->cheapest = pack_zone_get(zone, n_bins, sizeof *e->cheapest);
    e->load = pack_zone_get(zone, n_bins, sizeof *e->load);
    e->pool = pack_zone_get(zone, e->n + 4, sizeof *e->pool);
    return !zone->failed;
}

/* Penalties begin and rise with the size: large items are those that must not be pushed out. */
static void set_penalties(Eject *e)
{
    const PackProblem *problem = e->search->problem;
    double mean = 0;

    for (uint32_t i = 0; i < e->n; i++) {
        mean += problem->weights[e->items[i]] / e->n;
    }
    for (uint32_t i = 0; i < e->n; i++) {
        uint32_t item = e->items[i];
        double share = mean > 0 ? problem->weights[item] / mean + 0.05 : 1;

        e->weight[item] = (float)problem->weights[item];
        e->raise[item] = share > 0.05 ? (float)share : 0.05F;
        e->penalty[item] = e->raise[item];
    }
}

static uint32_t lightest_bin(const Eject *e, uint32_t n_bins, const uint32_t *bins)
{
    uint32_t lightest = 0;

    for (uint32_t i = 0; i < e->n; i++) {
        e->load[bins[e->items[i]]] += e->weight[e->items[i]];
    }
    for (uint32_t b = 1; b < n_bins; b++) {
        lightest = e->load[b] < e->load[lightest] ? b : lightest;
    }
    memset(e->load, 0, n_bins * sizeof *e->load);
    return lightest;
}

/* The lightest bin goes to the pool, smallest items below; the last bin takes its number. */
static bool set_up(Eject *e, uint32_t n_bins, const uint32_t *bins)
{
    const PackProblem *problem = e->search->problem;
    uint32_t w = problem->n_words, empty = lightest_bin(e, n_bins, bins);

    for (uint32_t b = 0; b < n_bins; b++) {
        memcpy(e->rooms + (size_t)b * w, problem->empty, w * sizeof *e->rooms);
        e->cheapest[b] = INFINITY;
    }
    for (uint32_t i = 0; i < e->n; i++) {
        uint32_t item = e->items[i], b = bins[item];

        if (b == empty) {
            e->bin[item] = PACK_NONE;
            e->pool[e->n_pool++] = item;
        } else {
            insert(e, item, b == n_bins - 1 ? empty : b, w);
        }
    }
    e->n_bins = n_bins - 1;
    if (!pack_sort_falling(e->pool, e->n_pool, problem->weights)) {
        return false;
    }
    for (uint32_t i = 0; i < e->n_pool / 2; i++) {
        uint32_t item = e->pool[i];

        e->pool[i] = e->pool[e->n_pool - 1 - i];
        e->pool[e->n_pool - 1 - i] = item;
    }
    return true;
}

bool pack_eject(PackSearch *search, const uint32_t *items, uint32_t n, uint32_t *bins,
                uint32_t n_bins, double end_us, PackSeen *seen)
{
    Eject e = {.search = search,
               .words = search->problem->words,
               .guard = search->problem->guard,
               .items = items,
               .n = n};
    bool found = false;

    if (n_bins >= 2 && allocate(&e, n_bins, bins)) {
        set_penalties(&e);
        found = set_up(&e, n_bins, bins) && run_words(&e, end_us, seen);
    }
    for (uint32_t i = 0; found && i < n; i++) {
        bins[items[i]] = e.bin[items[i]];
    }
    search->no_memory |= e.zone.failed;
    pack_zone_free(&e.zone);
    return found;
}

bool pack_eject_best(PackSearch *search, double end_us, PackSeen *seen)
{
    uint32_t n = search->problem->n_items;
    PackZone zone = {0};
    uint32_t *items = pack_zone_get(&zone, n, sizeof *items);
    uint32_t *bins = pack_zone_get(&zone, n, sizeof *bins);
    bool found = false;

    if (zone.failed) {
        search->no_memory = true;
    } else {
        for (uint32_t i = 0; i < n; i++) {
            items[i] = i;
        }
        memcpy(bins, search->best, n * sizeof *bins);
        found = pack_eject(search, items, n, bins, search->n_best, end_us, seen);
        if (found) {
            pack_offer(search, bins);
        }
    }
    pack_zone_free(&zone);
    return found;
}
