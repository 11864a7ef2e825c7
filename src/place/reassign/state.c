#include "place/reassign/state.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PENALTY_COST 2e18

static const int64_t *row(const int64_t *matrix, const BerthReassign *problem, uint32_t i)
{
    return matrix + (size_t)i * problem->n_resources;
}

/* What a process adds to what its machine holds: at home only what is not held there anyway. */
static const int64_t *hold_of(const BerthReassign *problem, uint32_t process, uint32_t machine)
{
    bool home = machine == problem->initial[process];
    return row(home ? problem->home_requirement : problem->requirement, problem, process);
}

static const int64_t *need_of(const BerthReassign *problem, uint32_t process)
{
    return row(problem->requirement, problem, process);
}

static bool has_service(const ReassignState *state, uint32_t service, uint32_t machine)
{
    uint32_t conflict = state->problem->conflict_row[service];
    return conflict != BERTH_PLACE_NONE &&
           (state->on_machine[conflict * state->machine_words + machine / 64] >> machine % 64 & 1);
}

static void count_near(ReassignState *state, uint32_t service, uint32_t machine, uint32_t by)
{
    const BerthReassign *problem = state->problem;
    uint32_t near = problem->near_row[service];
    if (near != BERTH_PLACE_NONE) {
        state->nearby[(size_t)near * problem->n_neighbourhoods + problem->neighbourhood[machine]] +=
            by;
    }
}

static uint32_t near(const ReassignState *state, uint32_t service, uint32_t neighbourhood)
{
    const BerthReassign *problem = state->problem;
    return state
        ->nearby[(size_t)problem->near_row[service] * problem->n_neighbourhoods + neighbourhood];
}

/* How many dependencies more are missing once a service comes to a neighbourhood that it was not
 * in: what it needs and is not there, less what waited there for it. */
static int64_t arrival(const ReassignState *state, uint32_t service, uint32_t neighbourhood)
{
    const ReassignLists *needs = &state->problem->needs, *needed_by = &state->problem->needed_by;
    int64_t more = 0;

    for (uint32_t i = needs->first[service]; i < needs->first[service + 1]; i++) {
        more += near(state, needs->items[i], neighbourhood) == 0;
    }
    for (uint32_t i = needed_by->first[service]; i < needed_by->first[service + 1]; i++) {
        more -= near(state, needed_by->items[i], neighbourhood) > 0;
    }
    return more;
}

static void note_location(ReassignState *state, uint32_t service, uint32_t machine, bool comes)
{
    const BerthReassign *problem = state->problem;
    uint32_t spread = problem->spread_row[service];
    if (spread == BERTH_PLACE_NONE) {
        return;
    }
    uint32_t *here =
        &state->in_location[(size_t)spread * problem->n_locations + problem->location[machine]];
    if (comes) {
        state->n_locations[spread] += (*here)++ == 0;
    } else {
        state->n_locations[spread] -= --*here == 0;
    }
}

static void note_near(ReassignState *state, uint32_t service, uint32_t machine, bool comes)
{
    const BerthReassign *problem = state->problem;
    uint32_t neighbourhood = problem->neighbourhood[machine];
    if (problem->near_row[service] == BERTH_PLACE_NONE) {
        return;
    }
    uint32_t here = near(state, service, neighbourhood);
    if (here == (comes ? 0 : 1)) {
        int64_t more = arrival(state, service, neighbourhood);
        state->missing += comes ? more : -more;
    }
    count_near(state, service, machine, comes ? 1 : UINT32_MAX);
}

/* Keeps the tables of where a service is. */
static void note_service(ReassignState *state, uint32_t service, uint32_t machine, bool comes)
{
    uint32_t conflict = state->problem->conflict_row[service];

    if (conflict != BERTH_PLACE_NONE) {
        state->on_machine[conflict * state->machine_words + machine / 64] ^= UINT64_C(1)
                                                                             << machine % 64;
    }
    note_location(state, service, machine, comes);
    note_near(state, service, machine, comes);
}

static void link_process(ReassignState *state, uint32_t process, uint32_t machine)
{
    uint32_t next = state->first_on[machine];

    state->machine_of[process] = machine;
    state->next_on[process] = next;
    state->previous_on[process] = BERTH_PLACE_NONE;
    if (next != BERTH_PLACE_NONE) {
        state->previous_on[next] = process;
    }
    state->first_on[machine] = process;
    state->n_on[machine]++;
}

static void unlink_process(ReassignState *state, uint32_t process)
{
    uint32_t next = state->next_on[process], previous = state->previous_on[process];

    if (next != BERTH_PLACE_NONE) {
        state->previous_on[next] = previous;
    }
    if (previous != BERTH_PLACE_NONE) {
        state->next_on[previous] = next;
    } else {
        state->first_on[state->machine_of[process]] = next;
    }
    state->n_on[state->machine_of[process]]--;
}

/* One more or one less process of a service away from home. */
static void count_moved(ReassignState *state, uint32_t service, bool away)
{
    state->moved_like[state->moved[service]]--;
    state->moved[service] += away ? 1 : UINT32_MAX;
    state->moved_like[state->moved[service]]++;
    if (state->moved[service] > state->most_moved) {
        state->most_moved = state->moved[service];
    } else if (state->moved_like[state->most_moved] == 0) {
        state->most_moved--;
    }
}

static void note_moved(ReassignState *state, uint32_t process, uint32_t from, uint32_t to)
{
    uint32_t home = state->problem->initial[process];
    if (from == home || to == home) {
        count_moved(state, state->problem->service[process], from == home);
    }
}

static bool allocate(ReassignState *state)
{
    const BerthReassign *problem = state->problem;
    size_t machines = problem->n_machines, processes = problem->n_processes;
    size_t cells = machines * problem->n_resources;

    state->machine_words = (machines + 63) / 64;
    state->machine_of = malloc(processes * sizeof(uint32_t) + 1);
    state->used = calloc(cells, sizeof(int64_t));
    state->held = calloc(cells, sizeof(int64_t));
    state->machine_cost = calloc(machines, sizeof(int64_t));
    state->machine_overdraft = calloc(machines, sizeof(int64_t));
    state->on_machine =
        calloc(problem->n_conflict_rows * state->machine_words + 1, sizeof(uint64_t));
    state->in_location =
        calloc((size_t)problem->n_spread_rows * problem->n_locations + 1, sizeof(uint32_t));
    state->n_locations = calloc((size_t)problem->n_spread_rows + 1, sizeof(uint32_t));
    state->nearby =
        calloc((size_t)problem->n_near_rows * problem->n_neighbourhoods + 1, sizeof(uint32_t));
    state->moved = calloc((size_t)problem->n_services + 1, sizeof(uint32_t));
    state->moved_like = calloc((size_t)problem->largest_service + 1, sizeof(uint32_t));
    state->first_on = malloc(machines * sizeof(uint32_t));
    state->next_on = malloc(processes * sizeof(uint32_t) + 1);
    state->previous_on = malloc(processes * sizeof(uint32_t) + 1);
    state->n_on = calloc(machines, sizeof(uint32_t));
    state->nothing = calloc(problem->n_resources, sizeof(int64_t));
    return state->machine_of != NULL && state->used != NULL && state->held != NULL &&
           state->machine_cost != NULL && state->machine_overdraft != NULL &&
           state->on_machine != NULL && state->in_location != NULL && state->n_locations != NULL &&
           state->nearby != NULL && state->moved != NULL && state->moved_like != NULL &&
           state->first_on != NULL && state->next_on != NULL && state->previous_on != NULL &&
           state->n_on != NULL && state->nothing != NULL;
}

static void add(int64_t *to, const int64_t *amounts, uint32_t n, int64_t sign)
{
    for (uint32_t r = 0; r < n; r++) {
        to[r] += sign * amounts[r];
    }
}

static int64_t overdraft_of(const ReassignState *state, uint32_t machine)
{
    const BerthReassign *problem = state->problem;
    const int64_t *held = row(state->held, problem, machine);
    const int64_t *capacity = row(problem->capacity, problem, machine);
    int64_t overdraft = 0;

    for (uint32_t r = 0; r < problem->n_resources; r++) {
        int64_t beyond = held[r] - capacity[r];
        overdraft += beyond > 0 ? beyond : 0;
    }
    return overdraft;
}

static void fill(ReassignState *state, const uint32_t *assignment)
{
    const BerthReassign *problem = state->problem;
    uint32_t n = problem->n_resources;

    state->moved_like[0] = problem->n_services;
    memset(state->first_on, 0xff, problem->n_machines * sizeof *state->first_on);
    for (uint32_t p = 0; p < problem->n_processes; p++) {
        size_t at = (size_t)assignment[p] * n, home = (size_t)problem->initial[p] * n;
        link_process(state, p, assignment[p]);
        note_service(state, problem->service[p], assignment[p], true);
        add(state->used + at, need_of(problem, p), n, 1);
        add(state->held + at, hold_of(problem, p, assignment[p]), n, 1);
        for (uint32_t r = 0; r < n; r++) {
            state->held[home + r] += problem->transient[r] ? need_of(problem, p)[r] : 0;
        }
        if (assignment[p] != problem->initial[p]) {
            count_moved(state, problem->service[p], true);
        }
    }
    for (uint32_t m = 0; m < problem->n_machines; m++) {
        state->machine_cost[m] = reassign_machine_cost(problem, m, row(state->used, problem, m));
        state->machine_overdraft[m] = overdraft_of(state, m);
        state->overdraft += state->machine_overdraft[m];
    }
}

ReassignState *reassign_state_new(const BerthReassign *problem, const uint32_t *assignment)
{
    BerthReassignCost cost = {.struct_size = sizeof cost};
    ReassignState *state = calloc(1, sizeof *state);

    if (state == NULL) {
        return NULL;
    }
    state->problem = problem;
    if (!allocate(state) || berth_reassign_cost(problem, assignment, &cost) != BERTH_REASSIGN_OK) {
        reassign_state_free(state);
        return NULL;
    }
    state->cost = cost.total;
    fill(state, assignment);
    return state;
}

void reassign_state_free(ReassignState *state)
{
    if (state == NULL) {
        return;
    }
    free(state->machine_of);
    free(state->used);
    free(state->held);
    free(state->machine_cost);
    free(state->machine_overdraft);
    free(state->on_machine);
    free(state->in_location);
    free(state->n_locations);
    free(state->nearby);
    free(state->moved);
    free(state->moved_like);
    free(state->first_on);
    free(state->next_on);
    free(state->previous_on);
    free(state->n_on);
    free(state->nothing);
    free(state);
}

typedef struct {
    const int64_t *need; /* what it uses */
    const int64_t *hold; /* what it adds to what the machine holds */
} Vectors;

/* The cost of a machine's load after `in` comes and `out` goes, overdraft included. */
static int64_t load_after(const ReassignState *state, uint32_t machine, Vectors in, Vectors out)
{
    const BerthReassign *problem = state->problem;
    const int64_t *used = row(state->used, problem, machine);
    const int64_t *held = row(state->held, problem, machine);
    const int64_t *safety = row(problem->safety, problem, machine);
    const int64_t *capacity = row(problem->capacity, problem, machine);
    const int64_t *weight = problem->resource_weight;
    int64_t cost = 0, overdraft = 0;

    for (uint32_t r = 0; r < problem->n_resources; r++) {
        int64_t over = used[r] + in.need[r] - out.need[r] - safety[r];
        cost += weight[r] * (over > 0 ? over : 0);
        int64_t beyond = held[r] + in.hold[r] - out.hold[r] - capacity[r];
        overdraft += beyond > 0 ? beyond : 0;
    }
    for (uint32_t b = 0; b < problem->n_balances; b++) {
        const BerthReassignBalance *balance = &problem->balances[b];
        uint32_t a = balance->resource, o = balance->other;
        int64_t left = capacity[a] - used[a] - in.need[a] + out.need[a];
        int64_t short_by =
            balance->target * left - (capacity[o] - used[o] - in.need[o] + out.need[o]);
        cost += balance->weight * (short_by > 0 ? short_by : 0);
    }
    return cost + state->penalty * overdraft;
}

/* What a move adds of its own cost, the service's part left out. */
static int64_t move_delta(const BerthReassign *problem, uint32_t process, uint32_t from,
                          uint32_t to)
{
    uint32_t home = problem->initial[process];
    int64_t route =
        (int64_t)reassign_route(problem, home, to) - (int64_t)reassign_route(problem, home, from);
    int64_t moved = (int64_t)(to != home) - (int64_t)(from != home);

    return problem->machine_move_weight * route + moved * problem->process_cost[process];
}

static int64_t service_delta(const ReassignState *state, uint32_t process, uint32_t from,
                             uint32_t to)
{
    const BerthReassign *problem = state->problem;
    uint32_t home = problem->initial[process];
    uint32_t moved = state->moved[problem->service[process]];

    if (from == home) {
        return moved == state->most_moved ? problem->service_move_weight : 0;
    }
    bool alone = moved == state->most_moved && state->moved_like[moved] == 1;
    return to == home && alone ? -problem->service_move_weight : 0;
}

static bool keeps_spread(const ReassignState *state, uint32_t service, uint32_t from, uint32_t to)
{
    const BerthReassign *problem = state->problem;
    uint32_t spread = problem->spread_row[service];
    if (spread == BERTH_PLACE_NONE || problem->location[from] == problem->location[to]) {
        return true;
    }
    const uint32_t *in_location = state->in_location + (size_t)spread * problem->n_locations;
    uint32_t after = state->n_locations[spread];
    after += in_location[problem->location[to]] == 0;
    after -= in_location[problem->location[from]] == 1;
    return after >= problem->spread_min[service];
}

/* What a move costs in dependencies that are missing after it. */
static int64_t near_delta(const ReassignState *state, uint32_t service, uint32_t from, uint32_t to)
{
    const BerthReassign *problem = state->problem;
    uint32_t here = problem->neighbourhood[from], there = problem->neighbourhood[to];
    if (problem->near_row[service] == BERTH_PLACE_NONE || here == there) {
        return 0;
    }
    int64_t more = near(state, service, there) == 0 ? arrival(state, service, there) : 0;
    more -= near(state, service, here) == 1 ? arrival(state, service, here) : 0;
    return state->missing_penalty * more;
}

/* Where nothing is missing, dependencies only add to a move's cost: the few moves that pass all else
 * are held against them last. */
static bool may_mend(const ReassignState *state)
{
    return state->missing > 0;
}

bool reassign_shift_delta(const ReassignState *state, uint32_t process, uint32_t to, int64_t limit,
                          int64_t *ret_delta)
{
    const BerthReassign *problem = state->problem;
    uint32_t from = state->machine_of[process], service = problem->service[process];
    const int64_t *need = need_of(problem, process);
    const Vectors none = {state->nothing, state->nothing};

    if (has_service(state, service, to)) {
        return false;
    }
    bool early = may_mend(state);
    int64_t delta =
        move_delta(problem, process, from, to) + service_delta(state, process, from, to);
    delta += early ? near_delta(state, service, from, to) : 0;
    delta += load_after(state, to, (Vectors){need, hold_of(problem, process, to)}, none) -
             state->machine_cost[to] - state->machine_cost[from];
    if (delta > limit) {
        return false;
    }
    delta += load_after(state, from, none, (Vectors){need, hold_of(problem, process, from)});
    if (delta > limit || !keeps_spread(state, service, from, to)) {
        return false;
    }
    delta += early ? 0 : near_delta(state, service, from, to);
    if (delta > limit) {
        return false;
    }
    *ret_delta = delta;
    return true;
}

static void count_move(ReassignState *state, uint32_t service, uint32_t from, uint32_t to)
{
    count_near(state, service, from, UINT32_MAX);
    count_near(state, service, to, 1);
}

/* The same of two moves: of `a` to the machine of `b`, and of `b` to `to`. */
static int64_t two_near_delta(ReassignState *state, uint32_t a, uint32_t b, uint32_t to)
{
    const BerthReassign *problem = state->problem;
    uint32_t from = state->machine_of[a], place = state->machine_of[b];
    uint32_t s = problem->service[a], t = problem->service[b];

    if (s == t) {
        return near_delta(state, s, from, to);
    }
    int64_t delta = near_delta(state, s, from, place);
    if (problem->near_row[s] == BERTH_PLACE_NONE || problem->near_row[t] == BERTH_PLACE_NONE) {
        return delta + near_delta(state, t, place, to);
    }
    count_move(state, s, from, place);
    delta += near_delta(state, t, place, to);
    count_move(state, s, place, from);
    return delta;
}

/* Two processes of one service are to the rules a move from the first place to the last. */
static bool two_keep_spread(const ReassignState *state, uint32_t a, uint32_t b, uint32_t to)
{
    uint32_t from = state->machine_of[a], place = state->machine_of[b];
    uint32_t s = state->problem->service[a], t = state->problem->service[b];

    return s == t ? keeps_spread(state, s, from, to)
                  : keeps_spread(state, s, from, place) && keeps_spread(state, t, place, to);
}

static int64_t two_moves_delta(ReassignState *state, uint32_t a, uint32_t b, uint32_t to)
{
    const BerthReassign *problem = state->problem;
    uint32_t from = state->machine_of[a], place = state->machine_of[b];
    uint32_t before = state->most_moved;

    note_moved(state, a, from, place);
    note_moved(state, b, place, to);
    int64_t more = (int64_t)state->most_moved - (int64_t)before;
    note_moved(state, b, to, place);
    note_moved(state, a, place, from);
    return problem->service_move_weight * more + move_delta(problem, a, from, place) +
           move_delta(problem, b, place, to);
}

/* Adds the loads' part to `delta`; stops early, above `limit`, once the sum cannot be at most that. */
static int64_t add_two_loads(const ReassignState *state, uint32_t a, uint32_t b, uint32_t to,
                             int64_t limit, int64_t delta)
{
    const BerthReassign *problem = state->problem;
    uint32_t from = state->machine_of[a], place = state->machine_of[b];
    const Vectors none = {state->nothing, state->nothing};
    Vectors a_goes = {need_of(problem, a), hold_of(problem, a, from)};
    Vectors a_comes = {need_of(problem, a), hold_of(problem, a, place)};
    Vectors b_goes = {need_of(problem, b), hold_of(problem, b, place)};
    Vectors b_comes = {need_of(problem, b), hold_of(problem, b, to)};

    delta -= state->machine_cost[place] + state->machine_cost[from];
    delta -= to != from ? state->machine_cost[to] : 0;
    delta += load_after(state, place, a_comes, b_goes);
    if (delta > limit) {
        return delta;
    }
    delta += load_after(state, to, b_comes, to == from ? a_goes : none);
    if (to == from || delta > limit) {
        return delta;
    }
    return delta + load_after(state, from, none, a_goes);
}

bool reassign_replace_delta(ReassignState *state, uint32_t a, uint32_t b, uint32_t to,
                            int64_t limit, int64_t *ret_delta)
{
    const BerthReassign *problem = state->problem;
    uint32_t from = state->machine_of[a], place = state->machine_of[b];
    uint32_t s = problem->service[a], t = problem->service[b];

    if ((s != t && has_service(state, s, place)) ||
        (!(s == t && to == from) && has_service(state, t, to))) {
        return false;
    }
    bool early = may_mend(state);
    int64_t delta = two_moves_delta(state, a, b, to);
    delta += early ? two_near_delta(state, a, b, to) : 0;
    delta = add_two_loads(state, a, b, to, limit, delta);
    if (delta > limit || !two_keep_spread(state, a, b, to)) {
        return false;
    }
    delta += early ? 0 : two_near_delta(state, a, b, to);
    if (delta > limit) {
        return false;
    }
    *ret_delta = delta;
    return true;
}

static void take(ReassignState *state, uint32_t process)
{
    const BerthReassign *problem = state->problem;
    uint32_t from = state->machine_of[process];
    size_t at = (size_t)from * problem->n_resources;

    unlink_process(state, process);
    note_service(state, problem->service[process], from, false);
    add(state->used + at, need_of(problem, process), problem->n_resources, -1);
    add(state->held + at, hold_of(problem, process, from), problem->n_resources, -1);
}

static void put(ReassignState *state, uint32_t process, uint32_t to)
{
    const BerthReassign *problem = state->problem;
    size_t at = (size_t)to * problem->n_resources;

    link_process(state, process, to);
    note_service(state, problem->service[process], to, true);
    add(state->used + at, need_of(problem, process), problem->n_resources, 1);
    add(state->held + at, hold_of(problem, process, to), problem->n_resources, 1);
}

static void recount(ReassignState *state, uint32_t machine)
{
    const Vectors none = {state->nothing, state->nothing};
    int64_t cost = load_after(state, machine, none, none);
    int64_t overdraft = overdraft_of(state, machine);

    state->cost += cost - state->machine_cost[machine];
    state->machine_cost[machine] = cost;
    state->overdraft += overdraft - state->machine_overdraft[machine];
    state->machine_overdraft[machine] = overdraft;
}

int64_t reassign_state_max_penalty(const BerthReassign *problem)
{
    /* A move holds what it takes at both ends. */
    double largest = MAX_PENALTY_COST / (2 * problem->total_requirement + 1);
    return largest > 1 ? (int64_t)largest : 1;
}

void reassign_state_set_penalty(ReassignState *state, int64_t penalty)
{
    for (uint32_t m = 0; m < state->problem->n_machines; m++) {
        int64_t change = (penalty - state->penalty) * state->machine_overdraft[m];
        state->machine_cost[m] += change;
        state->cost += change;
    }
    state->penalty = penalty;
}

int64_t reassign_state_max_missing_penalty(const BerthReassign *problem)
{
    double pairs = (double)problem->needs.first[problem->n_services] * problem->n_neighbourhoods;
    double largest = MAX_PENALTY_COST / (2 * pairs + 1);
    return largest > 1 ? (int64_t)largest : 1;
}

void reassign_state_set_missing_penalty(ReassignState *state, int64_t penalty)
{
    state->cost += (penalty - state->missing_penalty) * state->missing;
    state->missing_penalty = penalty;
}

static void exchange(ReassignState *state, uint32_t process, uint32_t from, uint32_t to)
{
    uint32_t before = state->most_moved;

    note_moved(state, process, from, to);
    state->cost += move_delta(state->problem, process, from, to);
    state->cost +=
        state->problem->service_move_weight * ((int64_t)state->most_moved - (int64_t)before);
}

void reassign_shift(ReassignState *state, uint32_t process, uint32_t to)
{
    uint32_t from = state->machine_of[process];
    int64_t missing = state->missing;

    take(state, process);
    put(state, process, to);
    exchange(state, process, from, to);
    recount(state, from);
    recount(state, to);
    state->cost += state->missing_penalty * (state->missing - missing);
}

void reassign_replace(ReassignState *state, uint32_t a, uint32_t b, uint32_t to)
{
    uint32_t from = state->machine_of[a], place = state->machine_of[b];
    int64_t missing = state->missing;

    take(state, a);
    take(state, b);
    put(state, a, place);
    put(state, b, to);
    exchange(state, a, from, place);
    exchange(state, b, place, to);
    recount(state, from);
    recount(state, place);
    if (to != from) {
        recount(state, to);
    }
    state->cost += state->missing_penalty * (state->missing - missing);
}
