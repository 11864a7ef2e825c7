/*
 * Column generation with diving (Gilmore and Gomory, "A linear programming approach to the
 * cutting-stock problem", 1961): solve the linear program over bins, pricing new ones until none
 * improves; fix the bins that it takes nearly whole, and begin again with what is left. The first
 * linear program gives the strongest bound here.
 *
 * Bins that any packing had before are the first columns (PackSeen), and what dives find goes back
 * there, so that each dive begins better than the one before.
 */
#include "place/pack_columns.h"

#include <math.h>
#include <string.h>

#define FIRST_LIMIT 200 /* nodes of pricing a row; five times more when nothing is found */
#define LAST_LIMIT 5000 /* of the first dive, five times more with each */
#define MOST_LIMIT UINT64_C(100000000)
#define ROOT_SHARE 0.5  /* of the time, for the root before a dive */
#define NOISE 0.2       /* in the amounts of columns, for all dives but the first */
#define MAX_SEEDS 40000 /* columns of the root */
#define CARRY_COST 0.15 /* columns of a reduced cost below this go on to the next round */
#define FIX_SHARE 0.15  /* of the bins left, fixed at most in a round below NEARLY */
#define NEARLY 0.98
#define FIX_ABOVE 0.6 /* in the first dive; later ones draw it */
#define MIN_COLUMNS 4000

typedef struct {
    PackColumns columns;
    uint32_t *left;   /* copies of each kind not packed */
    uint32_t *cursor; /* where the copies of each kind not packed begin in `copies` */
    uint32_t *copies; /* of each kind, one after the other */
    uint32_t *bins;   /* of each copy */
    uint32_t n_bins;
    PackSeen *seen, next; /* seeds; those of the next round */
    double fix_above, noise;
    bool hopeless;  /* no packing has a bin less than the best */
    uint64_t limit; /* nodes of pricing a row, at most */
    PackZone zone;
} Dive;

static bool dive_init(Dive *dive, PackSearch *search, PackSeen *seen)
{
    const PackProblem *problem = search->problem;
    PackZone *zone = &dive->zone;
    uint32_t kinds = problem->n_kinds, at = 0;

    dive->columns.search = search;
    dive->seen = seen;
    dive->left = pack_zone_get(zone, kinds, sizeof *dive->left);
    dive->cursor = pack_zone_get(zone, kinds, sizeof *dive->cursor);
    dive->copies = pack_zone_get(zone, problem->n_items, sizeof *dive->copies);
    dive->bins = pack_zone_get(zone, problem->n_items, sizeof *dive->bins);
    dive->columns.kind = pack_zone_get(zone, kinds, sizeof *dive->columns.kind);
    dive->columns.row = pack_zone_get(zone, kinds, sizeof *dive->columns.row);
    dive->columns.demand = pack_zone_get(zone, kinds, sizeof *dive->columns.demand);
    dive->columns.example = pack_zone_get(zone, kinds, sizeof *dive->columns.example);
    if (zone->failed) {
        return false;
    }
    for (uint32_t kind = 0; kind < kinds; kind++) {
        dive->cursor[kind] = at;
        at += dive->left[kind] = problem->demand[kind];
    }
    for (uint32_t i = 0; i < problem->n_items; i++) {
        dive->copies[dive->cursor[problem->kind[i]]++] = i;
        dive->bins[i] = PACK_NONE;
    }
    for (uint32_t kind = 0; kind < kinds; kind++) {
        dive->cursor[kind] -= problem->demand[kind];
    }
    return true;
}

/* Makes rows of the kinds of which copies are left. */
static void set_rows(Dive *dive)
{
    PackColumns *columns = &dive->columns;
    const PackProblem *problem = columns->search->problem;

    columns->n_rows = 0;
    for (uint32_t kind = 0; kind < problem->n_kinds; kind++) {
        columns->row[kind] = PACK_NONE;
        if (dive->left[kind] > 0) {
            uint32_t row = columns->n_rows++;

            columns->row[kind] = row;
            columns->kind[row] = kind;
            columns->demand[row] = dive->left[kind];
            columns->example[row] = problem->example[kind];
        }
    }
}

/* Columns from bins seen before, less what is packed by now. */
static void seed(const Dive *dive, PackMaster *master, const PackSeen *seen, uint32_t from)
{
    for (uint32_t b = from; b < seen->n; b++) {
        uint32_t rows[PACK_BIN_MOST], n = 0;

        for (uint32_t i = seen->bins[b]; i < seen->bins[b + 1] && n < PACK_BIN_MOST; i++) {
            uint32_t row = dive->columns.row[seen->items[i]];

            if (row != PACK_NONE) {
                rows[n++] = row;
            }
        }
        if (n > 1 && !pack_master_add(master, rows, n)) {
            return;
        }
    }
}

/* Solves with pricing, which searches further each time that it finds nothing; answers a bound. */
static double solve(Dive *dive, PackMaster *master, bool *ret_exact, double end_us)
{
    PackSearch *search = dive->columns.search;
    uint64_t limit = FIRST_LIMIT;
    double bound = 0;

    while (true) {
        double most;

        pack_master_solve(master, end_us);
        if (!pack_goes_on(search, end_us)) {
            return bound;
        }
        uint32_t added = pack_price(&dive->columns, master, limit, end_us, ret_exact, &most);
        bound = master->value / most > bound ? master->value / most : bound;
        if (ceil(bound - 1e-6) >= master->value - 1e-9 ||
            (added == 0 && (*ret_exact || limit >= dive->limit))) {
            return bound;
        }
        limit *= added == 0 ? 5 : 1;
    }
}

/* Packs a bin as a column has it, if there are copies left of all. */
static bool take(Dive *dive, const PackMaster *master, uint32_t column)
{
    uint32_t begin = master->begin[column], end = master->begin[column + 1], i;

    for (i = begin; i < end; i++) {
        uint32_t kind = dive->columns.kind[master->entries[i]];

        if (dive->left[kind] == 0) {
            break;
        }
        dive->left[kind]--;
    }
    if (i < end) {
        while (i-- > begin) {
            dive->left[dive->columns.kind[master->entries[i]]]++;
        }
        return false;
    }
    for (i = begin; i < end; i++) {
        uint32_t kind = dive->columns.kind[master->entries[i]];

        dive->bins[dive->copies[dive->cursor[kind]++]] = dive->n_bins;
    }
    dive->n_bins++;
    return true;
}

typedef struct {
    double amount;
    uint32_t column;
} Taken;

static int compare(const void *a, const void *b)
{
    const Taken *x = a, *y = b;

    if (x->amount != y->amount) {
        return x->amount > y->amount ? -1 : 1;
    }
    return x->column < y->column ? -1 : x->column > y->column;
}

/* Fixes what the linear program takes nearly whole, at least one bin; false without memory. */
static bool fix(Dive *dive, const PackMaster *master)
{
    PackZone zone = {0};
    Taken *taken = pack_zone_get(&zone, master->n_rows, sizeof *taken);
    uint32_t n = 0, fixed = 0;
    double most = master->value * FIX_SHARE > 1 ? master->value * FIX_SHARE : 1;

    for (uint32_t r = 0; taken != NULL && r < master->n_rows; r++) {
        if (master->basis[r] >= 0 && master->amount[r] > 1e-6) {
            double noise = dive->noise * pack_uniform(dive->columns.search);

            taken[n++] = (Taken){master->amount[r] - noise, (uint32_t)master->basis[r]};
        }
    }
    if (n > 0) {
        qsort(taken, n, sizeof *taken, compare);
    }
    for (uint32_t i = 0; i < n; i++) {
        double amount = taken[i].amount;

        if (fixed > 0 && amount < NEARLY && (amount < dive->fix_above || fixed >= most)) {
            break;
        }
        for (; (fixed == 0 || amount >= dive->fix_above) && take(dive, master, taken[i].column);
             amount -= 1) {
            fixed++;
        }
    }
    pack_zone_free(&zone);
    return taken != NULL && fixed > 0;
}

/* Good columns, for the next round and for the dives after this. */
static void carry(Dive *dive, const PackMaster *master, bool root)
{
    PackSeen *next = &dive->next;

    for (uint32_t c = master->n_rows; c < master->n_columns; c++) {
        uint32_t kinds[PACK_BIN_MOST], n = master->begin[c + 1] - master->begin[c];

        if (n > PACK_BIN_MOST || pack_master_reduced_cost(master, c) >= CARRY_COST) {
            continue;
        }
        for (uint32_t i = 0; i < n; i++) {
            kinds[i] = dive->columns.kind[master->entries[master->begin[c] + i]];
        }
        pack_seen_add(next, kinds, n);
        if (!root) {
            pack_seen_add(dive->seen, kinds, n);
        }
    }
}

/* Solves what is left, until `solve_us` at most, fixes some of it and carries columns on. False:
 * it cannot end with a bin less than the best, or the end came. */
static bool descend(Dive *dive, PackMaster *master, bool root, double solve_us, double end_us)
{
    PackSearch *search = dive->columns.search;
    bool exact = false;
    double bound = solve(dive, master, &exact, solve_us);

    if (root) {
        pack_raise_bound(search, bound);
    }
    if (!pack_goes_on(search, end_us)) {
        return false;
    }
    if (dive->n_bins + ceil(master->value - 1e-6) >= search->n_best &&
        pack_now(search) < solve_us) {
        dive->hopeless = exact;
        return false;
    }
    if (!fix(dive, master)) {
        return false;
    }
    carry(dive, master, root);
    return true;
}

/* A round below the root, with a linear program of its own. */
static bool descend_further(Dive *dive, double end_us)
{
    PackSearch *search = dive->columns.search;
    PackMaster master;
    PackSeen old = dive->next;
    bool goes_on = false;

    set_rows(dive);
    if (dive->columns.n_rows == 0) {
        return false;
    }
    uint32_t most = MIN_COLUMNS + 12 * dive->columns.n_rows + old.n;
    if (pack_master_init(&master, search, dive->columns.demand, dive->columns.n_rows, most) &&
        pack_seen_init(&dive->next, most, most * 16)) {
        seed(dive, &master, &old, 0);
        goes_on = descend(dive, &master, false, end_us, end_us);
    }
    search->no_memory |= master.zone.failed || dive->next.zone.failed;
    pack_master_free(&master);
    pack_seen_free(&old);
    return goes_on;
}

/* First fit, largest first, of what no column took. */
static bool finish(Dive *dive)
{
    PackSearch *search = dive->columns.search;
    const PackProblem *problem = search->problem;
    uint32_t w = problem->n_words, n = 0;
    uint64_t *rooms = pack_zone_get(&dive->zone, problem->n_items, w * sizeof *rooms);
    uint32_t *order = pack_zone_get(&dive->zone, problem->n_items, sizeof *order);

    if (dive->zone.failed) {
        return false;
    }
    for (uint32_t b = 0; b < dive->n_bins; b++) {
        memcpy(rooms + (size_t)b * w, problem->empty, w * sizeof *rooms);
    }
    for (uint32_t i = 0; i < problem->n_items; i++) {
        if (dive->bins[i] == PACK_NONE) {
            order[n++] = i;
        }
        for (uint32_t k = 0; dive->bins[i] != PACK_NONE && k < w; k++) {
            rooms[(size_t)dive->bins[i] * w + k] -= problem->words[(size_t)i * w + k];
        }
    }
    if (!pack_sort_falling(order, n, problem->weights)) {
        return false;
    }
    pack_first_fit(problem, order, n, rooms, dive->n_bins, dive->bins);
    pack_offer(search, dive->bins);
    return true;
}

/* One dive from the root, which is kept from dive to dive and learns the columns of each. */
static void dive_once(Dive *dive, PackMaster *root, uint32_t *seeded, double end_us)
{
    PackSearch *search = dive->columns.search;
    double now = pack_now(search);

    seed(dive, root, dive->seen, *seeded);
    *seeded = dive->seen->n;
    if (pack_seen_init(&dive->next, root->most_columns, root->most_columns * 8) &&
        descend(dive, root, true, now + ROOT_SHARE * (end_us - now), end_us)) {
        while (descend_further(dive, end_us)) {
        }
        if (search->n_best > search->lower_bound) {
            finish(dive);
        }
    }
    search->no_memory |= dive->next.zone.failed;
    pack_seen_free(&dive->next);
}

static void add_best(const PackSearch *search, PackSeen *seen)
{
    const PackProblem *problem = search->problem;
    PackZone zone = {0};
    uint32_t *count = pack_zone_get(&zone, search->n_best, sizeof *count);
    uint32_t *kinds = pack_zone_get(&zone, search->n_best, PACK_BIN_MOST * sizeof *kinds);

    for (uint32_t i = 0; !zone.failed && i < problem->n_items; i++) {
        uint32_t b = search->best[i];

        if (count[b] < PACK_BIN_MOST) {
            kinds[(size_t)b * PACK_BIN_MOST + count[b]++] = problem->kind[i];
        }
    }
    for (uint32_t b = 0; !zone.failed && b < search->n_best; b++) {
        pack_seen_add(seen, kinds + (size_t)b * PACK_BIN_MOST, count[b]);
    }
    pack_zone_free(&zone);
}

/* A dive with all copies; false if it fixed nothing. */
static bool dive_from(Dive *dive, PackSearch *search, PackMaster *root, uint32_t *seeded,
                      PackSeen *seen, double end_us)
{
    if (dive_init(dive, search, seen)) {
        set_rows(dive);
        dive_once(dive, root, seeded, end_us);
    }
    search->no_memory |= dive->zone.failed;
    pack_zone_free(&dive->zone);
    return dive->n_bins > 0;
}

/* Dives as long as there is time for another one. */
static void dive_again(PackSearch *search, PackMaster *root, PackSeen *seen, double end_us)
{
    Dive dive = {.fix_above = FIX_ABOVE, .limit = LAST_LIMIT};
    uint32_t seeded = 0;

    while (pack_goes_on(search, end_us)) {
        double begun = pack_now(search);
        bool dived = dive_from(&dive, search, root, &seeded, seen, end_us);
        double took = pack_now(search) - begun;
        uint64_t limit = dive.limit * 5;

        if (dive.hopeless || (dived && dive.noise > 0 && pack_now(search) + took > end_us)) {
            return;
        }
        if (dived) {
            pack_eject_best(search, pack_now(search) + 0.3 * took, seen);
        }
        dive = (Dive){.fix_above = 0.55 + 0.35 * pack_uniform(search),
                      .noise = NOISE,
                      .limit = limit < MOST_LIMIT ? limit : MOST_LIMIT};
    }
}

void pack_columns(PackSearch *search, double end_us, PackSeen *seen)
{
    const PackProblem *problem = search->problem;
    PackMaster root;

    add_best(search, seen);
    if (pack_master_init(&root, search, problem->demand, problem->n_kinds,
                         problem->n_kinds + MAX_SEEDS)) {
        dive_again(search, &root, seen, end_us);
    }
    pack_master_free(&root);
}
