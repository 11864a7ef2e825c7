#include "place/reassign/walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_SIZE_DIVISOR 32
#define HOME_DIVISOR 4 /* one in so many shifts goes home: what comes back frees room elsewhere */
#define MAX_TEMPERATURE 1e17 /* times the largest of the logs it fits an int64 */

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* xoshiro256++ by Blackman and Vigna, seeded by splitmix64 as they advise. */
static uint64_t next_random(ReassignRandom *random)
{
    uint64_t *s = random->s, answer = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return answer;
}

static void seed_random(ReassignRandom *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        random->s[i] = z ^ z >> 31;
    }
}

static uint32_t below(ReassignRandom *random, uint32_t end)
{
    return (uint32_t)((next_random(random) >> 32) * end >> 32);
}

void reassign_walk_fill_logs(double *logs)
{
    for (int i = 0; i < REASSIGN_LOG_SIZE; i++) {
        logs[i] = -log((i + 0.5) / REASSIGN_LOG_SIZE);
    }
}

ReassignWalk *reassign_walk_new(ReassignState *state, const double *logs, uint64_t seed)
{
    size_t n = state->problem->n_processes;
    ReassignWalk *walk = calloc(1, sizeof *walk);
    if (walk == NULL) {
        return NULL;
    }
    walk->best = malloc(n * sizeof *walk->best + 1);
    walk->changed = malloc(n * sizeof *walk->changed + 1);
    walk->is_changed = calloc(n + 1, 1);
    if (walk->best == NULL || walk->changed == NULL || walk->is_changed == NULL) {
        reassign_walk_free(walk);
        return NULL;
    }
    walk->state = state;
    walk->logs = logs;
    walk->best_cost = state->cost;
    memcpy(walk->best, state->machine_of, n * sizeof *walk->best);
    seed_random(&walk->random, seed);
    return walk;
}

void reassign_walk_free(ReassignWalk *walk)
{
    if (walk == NULL) {
        return;
    }
    reassign_state_free(walk->state);
    free(walk->best);
    free(walk->changed);
    free(walk->is_changed);
    free(walk);
}

static void note_change(ReassignWalk *walk, uint32_t process)
{
    if (!walk->is_changed[process]) {
        walk->is_changed[process] = 1;
        walk->changed[walk->n_changed++] = process;
    }
}

void reassign_walk_keep(ReassignWalk *walk)
{
    if (walk->state->cost >= walk->best_cost || walk->state->overdraft > 0 ||
        walk->state->missing > 0) {
        return;
    }
    for (uint32_t i = 0; i < walk->n_changed; i++) {
        uint32_t process = walk->changed[i];
        walk->best[process] = walk->state->machine_of[process];
        walk->is_changed[process] = 0;
    }
    walk->n_changed = 0;
    walk->best_cost = walk->state->cost;
}

void reassign_walk_go_back(ReassignWalk *walk)
{
    for (uint32_t i = 0; i < walk->n_changed; i++) {
        uint32_t process = walk->changed[i];
        if (walk->best[process] != walk->state->machine_of[process]) {
            reassign_shift(walk->state, process, walk->best[process]);
        }
        walk->is_changed[process] = 0;
    }
    walk->n_changed = 0;
}

void reassign_walk_go_to(ReassignWalk *walk, const uint32_t *assignment)
{
    reassign_walk_keep(walk);
    for (uint32_t p = 0; p < walk->state->problem->n_processes; p++) {
        if (assignment[p] != walk->state->machine_of[p]) {
            reassign_shift(walk->state, p, assignment[p]);
            note_change(walk, p);
        }
    }
    reassign_walk_keep(walk);
}

/* How much worse a move may make it: annealing's chance, drawn before the move is looked at. */
static int64_t draw_limit(ReassignWalk *walk)
{
    double log = walk->logs[next_random(&walk->random) >> 32 & (REASSIGN_LOG_SIZE - 1)];
    double temperature = walk->temperature < MAX_TEMPERATURE ? walk->temperature : MAX_TEMPERATURE;
    return (int64_t)(temperature * log);
}

/* The best is written down when it is left, not whenever it is improved. */
static void before_move(ReassignWalk *walk, int64_t delta)
{
    if (delta > 0) {
        reassign_walk_keep(walk);
    }
}

/* A rank in the order of sizes, large processes more often: they decide, small ones fill. */
static uint32_t pick_rank(ReassignWalk *walk)
{
    double u = (double)(next_random(&walk->random) >> 11) * 0x1p-53;
    return (uint32_t)(u * u * walk->state->problem->n_processes);
}

/* Any rank, or, as often, one near another: an exchange of like sizes fits more often. */
static uint32_t pick_partner(ReassignWalk *walk, uint32_t rank)
{
    uint32_t n = walk->state->problem->n_processes, reach = n / NEAR_SIZE_DIVISOR + 1;
    if (next_random(&walk->random) >> 63) {
        return pick_rank(walk);
    }
    uint32_t first = rank > reach ? rank - reach : 0;
    uint32_t end = rank + reach < n ? rank + reach + 1 : n;
    return first + below(&walk->random, end - first);
}

static void try_shift(ReassignWalk *walk)
{
    const BerthReassign *problem = walk->state->problem;
    uint32_t process = problem->by_size[pick_rank(walk)];
    bool home = below(&walk->random, HOME_DIVISOR) == 0;
    uint32_t to = home ? problem->initial[process] : below(&walk->random, problem->n_machines);
    int64_t delta;

    if (to != walk->state->machine_of[process] &&
        reassign_shift_delta(walk->state, process, to, draw_limit(walk), &delta)) {
        before_move(walk, delta);
        reassign_shift(walk->state, process, to);
        note_change(walk, process);
    }
}

/* Where a process goes that another replaces: that one's machine, its own home (where nothing is
 * taken twice), or anywhere. */
static uint32_t pick_way_out(ReassignWalk *walk, uint32_t from, uint32_t replaced)
{
    const BerthReassign *problem = walk->state->problem;
    uint32_t dice = below(&walk->random, 3);

    if (dice == 0) {
        return problem->initial[replaced];
    }
    return dice == 1 ? below(&walk->random, problem->n_machines) : from;
}

static void try_replace(ReassignWalk *walk)
{
    const BerthReassign *problem = walk->state->problem;
    uint32_t rank = pick_rank(walk);
    uint32_t a = problem->by_size[rank], b = problem->by_size[pick_partner(walk, rank)];
    uint32_t from = walk->state->machine_of[a], place = walk->state->machine_of[b];
    uint32_t to = pick_way_out(walk, from, b);
    int64_t delta;

    if (from != place && to != place &&
        reassign_replace_delta(walk->state, a, b, to, draw_limit(walk), &delta)) {
        before_move(walk, delta);
        reassign_replace(walk->state, a, b, to);
        note_change(walk, a);
        note_change(walk, b);
    }
}

void reassign_walk_steps(ReassignWalk *walk, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        if (next_random(&walk->random) >> 63) {
            try_shift(walk);
        } else {
            try_replace(walk);
        }
    }
}

static int compare_losses(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

ReassignLosses reassign_walk_losses(ReassignWalk *walk)
{
    enum { WANTED = 512, TRIES = 64 * WANTED };
    const BerthReassign *problem = walk->state->problem;
    int64_t losses[WANTED], delta;
    size_t n = 0;

    for (int i = 0; i < TRIES && n < WANTED && problem->n_processes > 0; i++) {
        uint32_t process = below(&walk->random, problem->n_processes);
        uint32_t to = below(&walk->random, problem->n_machines);
        if (to != walk->state->machine_of[process] &&
            reassign_shift_delta(walk->state, process, to, INT64_MAX, &delta) && delta > 0) {
            losses[n++] = delta;
        }
    }
    if (n == 0) {
        return (ReassignLosses){1, 1, 1};
    }
    qsort(losses, n, sizeof *losses, compare_losses);
    size_t median = n / 2, small = n / 100, large = n * 3 / 4;
    return (ReassignLosses){
        .median = (double)losses[median],
        .small = (double)losses[small],
        .large = (double)losses[large],
    };
}
