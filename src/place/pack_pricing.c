/*
 * Pricing: the bins worth most at the duals of the rows, by depth-first search.
 *
 * Rows are tried by falling worth for their size, the size being one weighted sum over the
 * dimensions (weights that add up to 1, so that no bin holds more than 1 of it): what is left of the
 * 1, at the next row's ratio, bounds what can still be gained. Sizes below 0 would break that, so
 * column generation leaves such problems alone.
 */
#include "place/pack_columns.h"

#include <math.h>
#include <string.h>

#define LEAST_SIZE 1e-7
#define ALL                                                                                        \
    (1 + PACK_BIN_MOST * LEAST_SIZE) /* sizes in a bin, none taken for less than the least */

typedef struct {
    uint32_t row;
    uint32_t copies;
    double worth, size, ratio;
    uint64_t words[PACK_MAX_WORDS];
} Entry;

typedef struct {
    const PackColumns *columns;
    Entry *entries; /* by falling ratio */
    uint32_t n;
    uint64_t nodes, limit;
    bool cut; /* the limit ended the search */
    uint32_t stack[PACK_BIN_MOST], depth;
    uint32_t best[PACK_BIN_MOST], n_best;
    double best_worth;
    uint32_t n_words;
} Pricing;

static int compare(const void *a, const void *b)
{
    const Entry *x = a, *y = b;

    if (x->ratio != y->ratio) {
        return x->ratio > y->ratio ? -1 : 1;
    }
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Dimensions weigh by the third power of the worth that they carry: mostly the scarce ones. */
static void weigh_dimensions(const PackColumns *columns, const double *dual, double *weight)
{
    const PackProblem *problem = columns->search->problem;
    uint32_t d = problem->n_dims;
    double sum = 0;

    for (uint32_t k = 0; k < d; k++) {
        weight[k] = 0;
        for (uint32_t r = 0; r < columns->n_rows; r++) {
            const float *share = problem->shares + (size_t)columns->example[r] * d;

            weight[k] += dual[r] > 0 ? dual[r] * columns->demand[r] * (double)share[k] : 0;
        }
        weight[k] = weight[k] * weight[k] * weight[k];
        sum += weight[k];
    }
    for (uint32_t k = 0; k < d; k++) {
        weight[k] = sum > 0 ? weight[k] / sum : 1.0 / d;
    }
}

static void list_entries(Pricing *pricing, const double *dual)
{
    const PackColumns *columns = pricing->columns;
    const PackProblem *problem = columns->search->problem;
    uint32_t d = problem->n_dims, w = problem->n_words;
    double weight[BERTH_PLACE_MAX_DIMS];

    weigh_dimensions(columns, dual, weight);
    for (uint32_t r = 0; r < columns->n_rows; r++) {
        const int64_t *size = pack_size(problem, columns->example[r]);
        Entry *entry = &pricing->entries[pricing->n];

        if (dual[r] <= 1e-9) {
            continue;
        }
        *entry = (Entry){.row = r, .copies = columns->demand[r], .worth = dual[r]};
        for (uint32_t k = 0; k < d; k++) {
            entry->size += problem->capacity[k] > 0
                               ? weight[k] * (double)size[k] / (double)problem->capacity[k]
                               : 0;
        }
        entry->size = entry->size > LEAST_SIZE ? entry->size : LEAST_SIZE;
        entry->ratio = entry->worth / entry->size;
        memcpy(entry->words, problem->words + (size_t)columns->example[r] * w,
               w * sizeof *entry->words);
        pricing->n++;
    }
    qsort(pricing->entries, pricing->n, sizeof *pricing->entries, compare);
}

/* Adds entries from `from` on, of which `used` copies are in the bin. */
static void descend(Pricing *pricing, uint32_t from, uint32_t used, const uint64_t *room,
                    double left, double worth)
{
    const uint64_t *guard = pricing->columns->search->problem->guard;
    uint32_t w = pricing->n_words;

    if (worth > pricing->best_worth) {
        pricing->best_worth = worth;
        pricing->n_best = pricing->depth;
        memcpy(pricing->best, pricing->stack, pricing->depth * sizeof *pricing->best);
    }
    if (pricing->depth == PACK_BIN_MOST) {
        pricing->cut = true;
        return;
    }
    for (uint32_t i = from; i < pricing->n; i++, used = 0) {
        const Entry *entry = &pricing->entries[i];
        uint64_t after[PACK_MAX_WORDS];

        if (worth + entry->ratio * left <= pricing->best_worth + 1e-9) {
            return;
        }
        if (++pricing->nodes > pricing->limit) {
            pricing->cut = true;
            return;
        }
        if (used >= entry->copies || !pack_fits(entry->words, room, guard, w)) {
            continue;
        }
        for (uint32_t k = 0; k < w; k++) {
            after[k] = room[k] - entry->words[k];
        }
        pricing->stack[pricing->depth++] = entry->row;
        descend(pricing, i, used + 1, after, left - entry->size, worth + entry->worth);
        pricing->depth--;
    }
}

/* The best bin of which entry `first` is the first; what it may be worth at most goes to `*most`. */
static bool price_from(Pricing *pricing, uint32_t first, uint64_t limit, double *most)
{
    const PackProblem *problem = pricing->columns->search->problem;
    const Entry *entry = &pricing->entries[first];
    uint64_t room[PACK_MAX_WORDS];

    pricing->limit = pricing->nodes + limit;
    pricing->best_worth = 1 + 1e-6;
    pricing->n_best = 0;
    pricing->cut = false;
    pricing->depth = 1;
    pricing->stack[0] = entry->row;
    for (uint32_t k = 0; k < problem->n_words; k++) {
        room[k] = problem->empty[k] - entry->words[k];
    }
    descend(pricing, first, 1, room, ALL - entry->size, entry->worth);
    double worth = pricing->cut ? entry->ratio * ALL : pricing->best_worth;
    *most = worth > *most ? worth : *most;
    return pricing->n_best > 0;
}

uint32_t pack_price(PackColumns *columns, PackMaster *master, uint64_t limit, double end_us,
                    bool *ret_exact, double *ret_most)
{
    PackZone zone = {0};
    Pricing pricing = {.columns = columns, .n_words = columns->search->problem->n_words};
    uint32_t added = 0;

    *ret_exact = false;
    *ret_most = INFINITY;
    pricing.entries = pack_zone_get(&zone, columns->n_rows, sizeof *pricing.entries);
    if (zone.failed) {
        columns->search->no_memory = true;
        return 0;
    }
    list_entries(&pricing, master->dual);
    double most = 1 + 1e-6;
    bool exact = true;
    for (uint32_t i = 0; i < pricing.n && pricing.entries[i].ratio * ALL > 1 + 1e-6; i++) {
        if (!pack_goes_on(columns->search, end_us)) {
            most = INFINITY;
            exact = false;
            break;
        }
        uint64_t nodes = pricing.nodes;
        if (price_from(&pricing, i, limit, &most) &&
            pack_master_add(master, pricing.best, pricing.n_best)) {
            added++;
        }
        exact &= !pricing.cut;
        pack_work(columns->search, (pricing.nodes - nodes) / 128);
    }
    pack_work(columns->search, 1 + pricing.n / 16);
    *ret_exact = exact;
    *ret_most = most + 1e-6;
    pack_zone_free(&zone);
    return added;
}
