#include "place/reassign/state.h"

#include <string.h>

#include "place/tests/reassign-fixture.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReassignState, reassign_state_free)

enum { MACHINES = 12, RESOURCES = 3, SERVICES = 20, PROCESSES = 40, BALANCES = 2, NEEDS = 8 };

/* A random model of which the initial assignment keeps conflict, spread and dependency. */
typedef struct {
    uint8_t transient[RESOURCES];
    int64_t resource_weight[RESOURCES];
    uint32_t location[MACHINES], neighbourhood[MACHINES], route_cost[MACHINES * MACHINES];
    int64_t capacity[MACHINES * RESOURCES], safety[MACHINES * RESOURCES];
    uint32_t spread_min[SERVICES];
    BerthReassignDependency dependencies[NEEDS];
    uint32_t service[PROCESSES], initial[PROCESSES];
    int64_t requirement[PROCESSES * RESOURCES], process_cost[PROCESSES];
    BerthReassignBalance balances[BALANCES];
    BerthReassignModel model;
} Random;

static void fill_machines(Random *random, GRand *rand)
{
    for (int m = 0; m < MACHINES; m++) {
        random->location[m] = (uint32_t)g_rand_int_range(rand, 0, 5);
        random->neighbourhood[m] = (uint32_t)g_rand_int_range(rand, 0, 3);
        for (int r = 0; r < RESOURCES; r++) {
            random->capacity[m * RESOURCES + r] = g_rand_int_range(rand, 40, 120);
            random->safety[m * RESOURCES + r] = g_rand_int_range(rand, 10, 60);
        }
        for (int other = 0; other < MACHINES; other++) {
            random->route_cost[m * MACHINES + other] =
                other == m ? 0 : (uint32_t)g_rand_int_range(rand, 0, 20);
        }
    }
}

static void fill_processes(Random *random, GRand *rand)
{
    for (int p = 0; p < PROCESSES; p++) {
        /* Services of one to five processes. */
        random->service[p] = (uint32_t)(p % 3 == 0 ? p % 8 : p % SERVICES);
        random->process_cost[p] = g_rand_int_range(rand, 0, 9);
        for (int r = 0; r < RESOURCES; r++) {
            random->requirement[p * RESOURCES + r] = g_rand_int_range(rand, 0, 30);
        }
    }
    for (int p = 0; p < PROCESSES; p++) {
        bool clash = true;
        while (clash) {
            random->initial[p] = (uint32_t)g_rand_int_range(rand, 0, MACHINES);
            clash = false;
            for (int q = 0; q < p; q++) {
                clash |= random->service[p] == random->service[q] &&
                         random->initial[p] == random->initial[q];
            }
        }
    }
}

static bool is_near(const Random *random, const uint32_t *assignment, uint32_t service,
                    uint32_t neighbourhood)
{
    for (int p = 0; p < PROCESSES; p++) {
        if (random->service[p] == service &&
            random->neighbourhood[assignment[p]] == neighbourhood) {
            return true;
        }
    }
    return false;
}

/* Rules that hold at the beginning, and bind: dependencies met, spread at what it is. */
static void fill_rules(Random *random, GRand *rand)
{
    random->model.n_dependencies = 0;
    for (int i = 0; i < 200 && random->model.n_dependencies < NEEDS; i++) {
        uint32_t service = (uint32_t)g_rand_int_range(rand, 0, SERVICES);
        uint32_t needs = (uint32_t)g_rand_int_range(rand, 0, SERVICES);
        bool met = true;
        for (uint32_t n = 0; n < 3; n++) {
            met = met && (!is_near(random, random->initial, service, n) ||
                          is_near(random, random->initial, needs, n));
        }
        if (met) {
            random->dependencies[random->model.n_dependencies++] =
                (BerthReassignDependency){.service = service, .needs = needs};
        }
    }
    for (uint32_t s = 0; s < SERVICES; s++) {
        uint32_t locations = 0;
        for (int p = 0; p < PROCESSES; p++) {
            if (random->service[p] == s) {
                locations |= 1U << random->location[random->initial[p]];
            }
        }
        int most = __builtin_popcount(locations);
        random->spread_min[s] = (uint32_t)g_rand_int_range(rand, 0, most + 1);
    }
}

static void random_init(Random *random, GRand *rand)
{
    *random = (Random){
        .transient = {0, 1, 0},
        .resource_weight = {10, 3, 0},
        .balances = {{0, 1, 2, 5}, {2, 0, 1, 1}},
        .model = {.struct_size = sizeof random->model,
                  .n_machines = MACHINES,
                  .n_resources = RESOURCES,
                  .n_services = SERVICES,
                  .n_processes = PROCESSES,
                  .n_balances = BALANCES,
                  .process_move_weight = 2,
                  .service_move_weight = 30,
                  .machine_move_weight = 3},
    };
    random->model.transient = random->transient;
    random->model.resource_weight = random->resource_weight;
    random->model.location = random->location;
    random->model.neighbourhood = random->neighbourhood;
    random->model.capacity = random->capacity;
    random->model.safety = random->safety;
    random->model.route_cost = random->route_cost;
    random->model.spread_min = random->spread_min;
    random->model.dependencies = random->dependencies;
    random->model.service = random->service;
    random->model.requirement = random->requirement;
    random->model.process_cost = random->process_cost;
    random->model.initial = random->initial;
    random->model.balances = random->balances;
    fill_machines(random, rand);
    fill_processes(random, rand);
    fill_rules(random, rand);
}

/* Units beyond capacities, those left behind included, as the definition reads. */
static int64_t overdraft_of(const Random *random, const uint32_t *assignment)
{
    int64_t overdraft = 0;
    for (uint32_t m = 0; m < MACHINES; m++) {
        for (uint32_t r = 0; r < RESOURCES; r++) {
            int64_t held = -random->capacity[m * RESOURCES + r];
            for (uint32_t p = 0; p < PROCESSES; p++) {
                bool holds =
                    assignment[p] == m || (random->transient[r] && random->initial[p] == m);
                held += holds ? random->requirement[p * RESOURCES + r] : 0;
            }
            overdraft += MAX(held, 0);
        }
    }
    return overdraft;
}

/* Dependencies that are missing in a neighbourhood, as the definition reads. */
static int64_t missing_of(const Random *random, const uint32_t *assignment)
{
    int64_t missing = 0;
    for (uint32_t i = 0; i < random->model.n_dependencies; i++) {
        const BerthReassignDependency *dependency = &random->dependencies[i];
        for (uint32_t n = 0; n < 3; n++) {
            missing += is_near(random, assignment, dependency->service, n) &&
                       !is_near(random, assignment, dependency->needs, n);
        }
    }
    return missing;
}

/* Whether conflict and spread hold, by a problem without the other constraints. */
static bool keeps_rules(const BerthReassign *roomy, const uint32_t *assignment)
{
    return berth_reassign_check(roomy, assignment, NULL) == BERTH_REASSIGN_OK;
}

static int64_t full_cost(const Random *random, const BerthReassign *problem,
                         const uint32_t *assignment, const ReassignState *state)
{
    BerthReassignCost cost = {.struct_size = sizeof cost};
    berth_reassign_cost(problem, assignment, &cost);
    return cost.total + state->penalty * overdraft_of(random, assignment) +
           state->missing_penalty * missing_of(random, assignment);
}

static BerthReassign *roomy_problem(const Random *random)
{
    int64_t capacity[MACHINES * RESOURCES];
    BerthReassignModel model = random->model;

    for (size_t i = 0; i < G_N_ELEMENTS(capacity); i++) {
        capacity[i] = 1000000;
    }
    model.capacity = capacity;
    model.n_dependencies = 0;
    return problem_of(&model);
}

/* Every possible shift of a state: allowed exactly if conflict and spread hold afterwards, and with
 * the difference of two full costs. */
static void assert_shifts(const Random *random, const BerthReassign *problem,
                          const BerthReassign *roomy, ReassignState *state)
{
    uint32_t after[PROCESSES];
    int64_t before = full_cost(random, problem, state->machine_of, state);

    g_assert_cmpint(state->cost, ==, before);
    g_assert_cmpint(state->overdraft, ==, overdraft_of(random, state->machine_of));
    g_assert_cmpint(state->missing, ==, missing_of(random, state->machine_of));
    memcpy(after, state->machine_of, sizeof after);
    for (uint32_t p = 0; p < PROCESSES; p++) {
        for (uint32_t m = 0; m < MACHINES; m++) {
            int64_t delta = 0;
            if (m == state->machine_of[p]) {
                continue;
            }
            bool may = reassign_shift_delta(state, p, m, INT64_MAX, &delta);
            after[p] = m;
            g_assert_true(may == keeps_rules(roomy, after));
            if (may) {
                int64_t full = full_cost(random, problem, after, state) - before;
                g_assert_cmpint(delta, ==, full);
                g_assert_true(reassign_shift_delta(state, p, m, full, &delta));
                g_assert_false(reassign_shift_delta(state, p, m, full - 1, &delta));
            }
            after[p] = state->machine_of[p];
        }
    }
}

static void assert_replacements(const Random *random, const BerthReassign *problem,
                                const BerthReassign *roomy, ReassignState *state, GRand *rand)
{
    uint32_t after[PROCESSES];
    int64_t before = full_cost(random, problem, state->machine_of, state);

    memcpy(after, state->machine_of, sizeof after);
    for (uint32_t p = 0; p < PROCESSES; p++) {
        for (uint32_t q = 0; q < PROCESSES; q++) {
            int64_t delta = 0;
            uint32_t from = state->machine_of[p], place = state->machine_of[q];
            uint32_t to =
                g_rand_boolean(rand) ? from : (uint32_t)g_rand_int_range(rand, 0, MACHINES);
            if (from == place || to == place) {
                continue;
            }
            bool may = reassign_replace_delta(state, p, q, to, INT64_MAX, &delta);
            after[p] = place;
            after[q] = to;
            g_assert_true(may == keeps_rules(roomy, after));
            if (may) {
                int64_t full = full_cost(random, problem, after, state) - before;
                g_assert_cmpint(delta, ==, full);
                g_assert_true(reassign_replace_delta(state, p, q, to, full, &delta));
                g_assert_false(reassign_replace_delta(state, p, q, to, full - 1, &delta));
            }
            after[p] = from;
            after[q] = place;
        }
    }
}

/* Goes on by some random moves. */
static void wander(ReassignState *state, GRand *rand)
{
    for (int i = 0; i < 30; i++) {
        uint32_t p = (uint32_t)g_rand_int_range(rand, 0, PROCESSES);
        uint32_t q = (uint32_t)g_rand_int_range(rand, 0, PROCESSES);
        uint32_t m = (uint32_t)g_rand_int_range(rand, 0, MACHINES);
        int64_t delta;
        if (state->machine_of[p] != m && reassign_shift_delta(state, p, m, INT64_MAX, &delta)) {
            reassign_shift(state, p, m);
        }
        m = g_rand_boolean(rand) ? state->machine_of[p] : m;
        if (state->machine_of[p] != state->machine_of[q] && m != state->machine_of[q] &&
            reassign_replace_delta(state, p, q, m, INT64_MAX, &delta)) {
            reassign_replace(state, p, q, m);
        }
    }
}

static void test_deltas_are_differences(void)
{
    bool was_missing = false;

    for (uint32_t seed = 0; seed < 12; seed++) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
        Random random;

        random_init(&random, rand);
        g_autoptr(BerthReassign) problem = problem_of(&random.model);
        g_autoptr(BerthReassign) roomy = roomy_problem(&random);
        g_autoptr(ReassignState) state = reassign_state_new(problem, random.initial);
        g_assert_true(keeps_rules(roomy, random.initial));
        for (int64_t penalty = 0; penalty < 100; penalty = penalty * 5 + 2) {
            reassign_state_set_penalty(state, penalty);
            reassign_state_set_missing_penalty(state, 3 * penalty);
            assert_shifts(&random, problem, roomy, state);
            assert_replacements(&random, problem, roomy, state, rand);
            wander(state, rand);
            was_missing |= state->missing > 0;
        }
    }
    g_assert_true(was_missing);
}

static void test_begins_anywhere(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(99);
    Random random;

    random_init(&random, rand);
    g_autoptr(BerthReassign) problem = problem_of(&random.model);
    g_autoptr(BerthReassign) roomy = roomy_problem(&random);
    g_autoptr(ReassignState) first = reassign_state_new(problem, random.initial);
    wander(first, rand);
    g_autoptr(ReassignState) second = reassign_state_new(problem, first->machine_of);
    reassign_state_set_penalty(second, 3);
    assert_shifts(&random, problem, roomy, second);
    assert_replacements(&random, problem, roomy, second, rand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/reassign-state/deltas-are-differences", test_deltas_are_differences);
    g_test_add_func("/place/reassign-state/begins-anywhere", test_begins_anywhere);
    return g_test_run();
}
