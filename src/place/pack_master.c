#include "place/pack_master.h"

#include <math.h>
#include <string.h>

#define CANDIDATES 40
#define PIVOTS_PER_SCAN 60
#define EPSILON 1e-7
#define MEAN_ENTRIES 16

bool pack_master_init(PackMaster *master, PackSearch *search, const uint32_t *demand,
                      uint32_t n_rows, uint32_t most_columns)
{
    PackZone *zone = &master->zone;

    *master = (PackMaster){.search = search,
                           .n_rows = n_rows,
                           .demand = demand,
                           .most_columns = most_columns,
                           .space = most_columns * MEAN_ENTRIES};
    master->begin = pack_zone_get(zone, most_columns + 1, sizeof *master->begin);
    master->entries = pack_zone_get(zone, master->space, sizeof *master->entries);
    master->inverse = pack_zone_get(zone, (size_t)n_rows * n_rows, sizeof *master->inverse);
    master->basis = pack_zone_get(zone, n_rows, sizeof *master->basis);
    master->amount = pack_zone_get(zone, n_rows, sizeof *master->amount);
    master->dual = pack_zone_get(zone, n_rows, sizeof *master->dual);
    master->direction = pack_zone_get(zone, n_rows, sizeof *master->direction);
    if (zone->failed) {
        search->no_memory = true;
        return false;
    }
    for (uint32_t r = 0; r < n_rows; r++) {
        pack_master_add(master, &r, 1);
        master->inverse[(size_t)r * n_rows + r] = 1;
        master->basis[r] = (int32_t)r;
        master->amount[r] = demand[r] + 1e-5 * pack_uniform(search);
        master->dual[r] = 1;
    }
    return true;
}

void pack_master_free(PackMaster *master)
{
    pack_zone_free(&master->zone);
}

bool pack_master_add(PackMaster *master, const uint32_t *rows, uint32_t n)
{
    uint32_t at = master->begin[master->n_columns];

    if (master->n_columns == master->most_columns || master->space - at < n) {
        return false;
    }
    memcpy(master->entries + at, rows, n * sizeof *rows);
    master->begin[++master->n_columns] = at + n;
    return true;
}

double pack_master_reduced_cost(const PackMaster *master, uint32_t column)
{
    double cost = 1;

    for (uint32_t i = master->begin[column]; i < master->begin[column + 1]; i++) {
        cost -= master->dual[master->entries[i]];
    }
    return cost;
}

/* Of a column, or of -1 - r: to cover row r more than is asked for costs nothing itself. */
static double cost_of(const PackMaster *master, int32_t which)
{
    return which >= 0 ? pack_master_reduced_cost(master, (uint32_t)which)
                      : master->dual[-1 - which];
}

/* direction = inverse * column. */
static void set_direction(PackMaster *master, int32_t which)
{
    uint32_t m = master->n_rows;
    double *direction = master->direction;

    memset(direction, 0, m * sizeof *direction);
    if (which < 0) {
        const double *column = master->inverse + (size_t)(-1 - which) * m;

        for (uint32_t i = 0; i < m; i++) {
            direction[i] = -column[i];
        }
        return;
    }
    for (uint32_t e = master->begin[which]; e < master->begin[which + 1]; e++) {
        const double *column = master->inverse + (size_t)master->entries[e] * m;

        for (uint32_t i = 0; i < m; i++) {
            direction[i] += column[i];
        }
    }
}

/* The row that leaves: the smallest ratio, of equal ones the largest pivot; PACK_NONE if unbounded. */
static uint32_t leaving_row(const PackMaster *master, double *ret_step)
{
    uint32_t leaves = PACK_NONE;
    double step = INFINITY;

    for (uint32_t i = 0; i < master->n_rows; i++) {
        double by = master->direction[i];

        if (by > EPSILON) {
            double ratio = master->amount[i] / by;

            if (ratio < step - 1e-12 ||
                (ratio < step + 1e-12 && leaves != PACK_NONE && by > master->direction[leaves])) {
                step = ratio;
                leaves = i;
            }
        }
    }
    *ret_step = step;
    return leaves;
}

static inline __attribute__((always_inline)) void update_inverse_body(double *inverse, double *dual,
                                                                      const double *direction,
                                                                      uint32_t m, uint32_t row,
                                                                      double cost)
{
    for (uint32_t k = 0; k < m; k++) {
        double *column = inverse + (size_t)k * m;
        double by = column[row];

        if (by > -1e-12 && by < 1e-12) {
            column[row] = 0;
            continue;
        }
        by /= direction[row];
        for (uint32_t i = 0; i < m; i++) {
            column[i] -= by * direction[i];
        }
        column[row] = by;
        dual[k] += cost * by;
    }
}

static void update_inverse(double *restrict inverse, double *restrict dual,
                           const double *restrict direction, uint32_t m, uint32_t row, double cost)
{
    update_inverse_body(inverse, dual, direction, m, row, cost);
}

#ifdef __x86_64__
/* The same operations four at a time; none is fused, so the result is the same. */
__attribute__((target("avx2"))) static void update_inverse_avx2(double *restrict inverse,
                                                                double *restrict dual,
                                                                const double *restrict direction,
                                                                uint32_t m, uint32_t row,
                                                                double cost)
{
    update_inverse_body(inverse, dual, direction, m, row, cost);
}
#endif

static bool pivot(PackMaster *master, int32_t which)
{
    double cost = cost_of(master, which), step;
    uint32_t m = master->n_rows;

    set_direction(master, which);
    uint32_t row = leaving_row(master, &step);
    if (row == PACK_NONE) {
        return false;
    }
    for (uint32_t i = 0; i < m; i++) {
        master->amount[i] -= step * master->direction[i];
    }
    master->amount[row] = step;
    master->basis[row] = which;
    pack_work(master->search, 1 + (uint64_t)m * m / 8192);
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        update_inverse_avx2(master->inverse, master->dual, master->direction, m, row, cost);
        return true;
    }
#endif
    update_inverse(master->inverse, master->dual, master->direction, m, row, cost);
    return true;
}

typedef struct {
    double cost;
    int32_t which;
} Candidate;

typedef struct {
    Candidate list[CANDIDATES];
    uint32_t n, worst;
} Candidates;

/* Keeps the most promising. */
static void consider(Candidates *candidates, double cost, int32_t which)
{
    if (cost >= -EPSILON) {
        return;
    }
    if (candidates->n < CANDIDATES) {
        candidates->list[candidates->n++] = (Candidate){cost, which};
    } else if (cost < candidates->list[candidates->worst].cost) {
        candidates->list[candidates->worst] = (Candidate){cost, which};
    } else {
        return;
    }
    if (candidates->n == CANDIDATES) {
        candidates->worst = 0;
        for (uint32_t i = 1; i < CANDIDATES; i++) {
            if (candidates->list[i].cost > candidates->list[candidates->worst].cost) {
                candidates->worst = i;
            }
        }
    }
}

static double find_candidates(const PackMaster *master, Candidates *candidates)
{
    double best = 0;

    candidates->n = 0;
    for (uint32_t c = 0; c < master->n_columns; c++) {
        consider(candidates, pack_master_reduced_cost(master, c), (int32_t)c);
    }
    for (uint32_t r = 0; r < master->n_rows; r++) {
        consider(candidates, master->dual[r], -1 - (int32_t)r);
    }
    for (uint32_t i = 0; i < candidates->n; i++) {
        best = candidates->list[i].cost < best ? candidates->list[i].cost : best;
    }
    pack_work(master->search, 1 + master->n_columns / 256);
    return best;
}

/* Pivots with the candidates while one is at least a fifth as good as the best was. */
static void use_candidates(PackMaster *master, Candidates *candidates, double best, double end_us)
{
    double enough = best * 0.2 < -EPSILON ? best * 0.2 : -EPSILON;

    for (uint32_t turn = 0; turn < PIVOTS_PER_SCAN && pack_goes_on(master->search, end_us);
         turn++) {
        uint32_t chosen = PACK_NONE;
        double least = enough;

        for (uint32_t i = 0; i < candidates->n; i++) {
            double cost = cost_of(master, candidates->list[i].which);

            if (cost < least) {
                least = cost;
                chosen = i;
            }
        }
        if (chosen == PACK_NONE) {
            return;
        }
        if (!pivot(master, candidates->list[chosen].which)) {
            candidates->list[chosen] = candidates->list[--candidates->n];
        }
    }
}

void pack_master_solve(PackMaster *master, double end_us)
{
    Candidates candidates = {.n = 0};
    double best;

    while (pack_goes_on(master->search, end_us) &&
           (best = find_candidates(master, &candidates)) < 0) {
        use_candidates(master, &candidates, best, end_us);
    }
    master->value = 0;
    for (uint32_t r = 0; r < master->n_rows; r++) {
        master->value += master->dual[r] > 0 ? master->dual[r] * master->demand[r] : 0;
    }
}
