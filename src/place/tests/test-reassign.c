#include "place/reassign.h"

#include <math.h>
#include <string.h>

#include "place/tests/reassign-fixture.h"

#define ASSIGNMENT(...) ((const uint32_t[]){__VA_ARGS__})

static void assert_cost(const BerthReassign *problem, const uint32_t *assignment,
                        BerthReassignCost expected)
{
    BerthReassignCost cost = {.struct_size = sizeof cost};

    g_assert_cmpint(berth_reassign_cost(problem, assignment, &cost), ==, BERTH_REASSIGN_OK);
    g_assert_cmpint(cost.load, ==, expected.load);
    g_assert_cmpint(cost.balance, ==, expected.balance);
    g_assert_cmpint(cost.process_move, ==, expected.process_move);
    g_assert_cmpint(cost.service_move, ==, expected.service_move);
    g_assert_cmpint(cost.machine_move, ==, expected.machine_move);
    g_assert_cmpint(cost.total, ==,
                    expected.load + expected.balance + expected.process_move +
                        expected.service_move + expected.machine_move);
}

static void test_costs_by_hand(void)
{
    Page page;
    page_init(&page);
    g_autoptr(BerthReassign) problem = problem_of(&page.model);

    /* Machine 0 is 1 above its safe load of the first resource, machine 2 is 2 above that of the
     * second. Left are (4, 12), (7, 12), (9, 8): short by 0, 21 − 12 and 27 − 8. */
    assert_cost(problem, page.initial,
                (BerthReassignCost){.load = 10 + 2, .balance = 2 * (9 + 19)});

    /* Process 2 to machine 1. Left are (6, 14), (5, 10), (9, 8). */
    assert_cost(problem, ASSIGNMENT(0, 1, 1, 2),
                (BerthReassignCost){.load = 2,
                                    .balance = 2 * (4 + 5 + 19),
                                    .process_move = 3 * 5,
                                    .service_move = 4 * 1,
                                    .machine_move = 2 * 7});

    /* Processes 0 and 1, of one service, change places. Left are (5, 10), (6, 14), (9, 8). */
    assert_cost(problem, ASSIGNMENT(1, 0, 0, 2),
                (BerthReassignCost){.load = 2,
                                    .balance = 2 * (5 + 4 + 19),
                                    .process_move = 3 * (1 + 2),
                                    .service_move = 4 * 2,
                                    .machine_move = 2 * (7 + 7)});
}

static BerthReassignViolation violation_of(const BerthReassignModel *model,
                                           const uint32_t *assignment)
{
    g_autoptr(BerthReassign) problem = problem_of(model);
    BerthReassignViolation violation = {.struct_size = sizeof violation};

    g_assert_cmpint(berth_reassign_check(problem, assignment, &violation), ==,
                    BERTH_REASSIGN_VIOLATED);
    g_assert_cmpint(berth_reassign_check(problem, assignment, NULL), ==, BERTH_REASSIGN_VIOLATED);
    return violation;
}

static void test_capacity(void)
{
    Page page;
    page_init(&page);
    BerthReassignViolation v = violation_of(&page.model, ASSIGNMENT(1, 1, 1, 1));

    g_assert_cmpint(v.constraint, ==, BERTH_REASSIGN_CAPACITY);
    g_assert_cmpuint(v.machine, ==, 1);
    g_assert_cmpuint(v.resource, ==, 1);
    g_assert_cmpint(v.amount, ==, 6 + 8 + 2 + 12 - 20);
}

static void test_transient(void)
{
    Page page;
    page_init(&page);
    /* Machine 2 holds the 12 of process 3, which left, and the 8 + 2 that came. */
    BerthReassignViolation v = violation_of(&page.model, ASSIGNMENT(0, 2, 2, 0));

    g_assert_cmpint(v.constraint, ==, BERTH_REASSIGN_TRANSIENT);
    g_assert_cmpuint(v.machine, ==, 2);
    g_assert_cmpuint(v.resource, ==, 1);
    g_assert_cmpint(v.amount, ==, 2);

    page.transient[1] = 0;
    page.model.n_dependencies = 0;
    g_autoptr(BerthReassign) problem = problem_of(&page.model);
    g_assert_cmpint(berth_reassign_check(problem, ASSIGNMENT(0, 2, 2, 0), NULL), ==,
                    BERTH_REASSIGN_OK);
}

static void test_conflict(void)
{
    Page page;
    page_init(&page);
    BerthReassignViolation v = violation_of(&page.model, ASSIGNMENT(0, 0, 0, 2));

    g_assert_cmpint(v.constraint, ==, BERTH_REASSIGN_CONFLICT);
    g_assert_cmpuint(v.machine, ==, 0);
    g_assert_cmpuint(v.process, ==, 1);
    g_assert_cmpuint(v.service, ==, 0);
}

static void test_spread(void)
{
    Page page;
    page_init(&page);
    page.spread_min[0] = 2; /* machines 0 and 1 are one location */
    BerthReassignViolation v = violation_of(&page.model, page.initial);

    g_assert_cmpint(v.constraint, ==, BERTH_REASSIGN_SPREAD);
    g_assert_cmpuint(v.service, ==, 0);
    g_assert_cmpint(v.amount, ==, 1);
    g_autoptr(BerthReassign) problem = problem_of(&page.model);
    g_assert_cmpint(berth_reassign_check(problem, ASSIGNMENT(0, 2, 0, 2), NULL), ==,
                    BERTH_REASSIGN_OK);
}

static void test_dependency(void)
{
    Page page;
    page_init(&page);
    BerthReassignViolation v = violation_of(&page.model, ASSIGNMENT(0, 1, 2, 2));

    g_assert_cmpint(v.constraint, ==, BERTH_REASSIGN_DEPENDENCY);
    g_assert_cmpuint(v.machine, ==, 2);
    g_assert_cmpuint(v.process, ==, 2);
    g_assert_cmpuint(v.service, ==, 1);
    g_assert_cmpuint(v.needs, ==, 0);
}

static int64_t cheapest(const BerthReassign *problem)
{
    int64_t best = INT64_MAX;
    for (uint32_t code = 0; code < 3 * 3 * 3 * 3; code++) {
        const uint32_t *assignment =
            ASSIGNMENT(code % 3, code / 3 % 3, code / 9 % 3, code / 27 % 3);
        BerthReassignCost cost = {.struct_size = sizeof cost};
        if (berth_reassign_check(problem, assignment, NULL) == BERTH_REASSIGN_OK) {
            berth_reassign_cost(problem, assignment, &cost);
            best = MIN(best, cost.total);
        }
    }
    return best;
}

static void test_solve_finds_the_optimum(void)
{
    for (int64_t scale = 1; scale <= 100; scale *= 10) {
        Page page;
        page_init(&page);
        page.resource_weight[0] *= scale;
        page.resource_weight[1] *= scale;
        g_autoptr(BerthReassign) problem = problem_of(&page.model);
        BerthReassignOptions options = {
            .struct_size = sizeof options, .iterations = 20000, .seed = 7};
        BerthReassignOutcome outcome = {.struct_size = sizeof outcome};
        BerthReassignCost cost = {.struct_size = sizeof cost};
        uint32_t assignment[4];

        memcpy(assignment, page.initial, sizeof assignment);
        g_assert_cmpint(berth_reassign_solve(problem, &options, assignment, &outcome), ==,
                        BERTH_REASSIGN_OK);
        g_assert_cmpint(berth_reassign_check(problem, assignment, NULL), ==, BERTH_REASSIGN_OK);
        berth_reassign_cost(problem, assignment, &cost);
        g_assert_cmpint(cost.total, ==, outcome.cost);
        g_assert_cmpint(cost.total, ==, cheapest(problem));
        g_assert_cmpint(outcome.initial_cost, ==, 12 * scale + 56);
        g_assert_cmpuint(outcome.iterations, ==, 20000);
    }
}

static void test_solve_begins_from_what_holds(void)
{
    Page page;
    page_init(&page);
    g_autoptr(BerthReassign) problem = problem_of(&page.model);
    BerthReassignOptions options = {.struct_size = sizeof options, .iterations = 1000};
    uint32_t assignment[] = {0, 0, 0, 2};

    g_assert_cmpint(berth_reassign_solve(problem, &options, assignment, NULL), ==,
                    BERTH_REASSIGN_VIOLATED);
    g_assert_cmpmem(assignment, sizeof assignment, ASSIGNMENT(0, 0, 0, 2), sizeof assignment);
    assignment[1] = 3;
    g_assert_cmpint(berth_reassign_solve(problem, &options, assignment, NULL), ==,
                    BERTH_REASSIGN_ERROR_ARGUMENT);
}

static bool stop_at_once(const BerthReassignProgress *progress, void *user_data)
{
    g_assert_cmpint(progress->cost, >, 0);
    ++*(int *)user_data;
    return false;
}

static void test_solve_stops_when_told(void)
{
    Page page;
    page_init(&page);
    g_autoptr(BerthReassign) problem = problem_of(&page.model);
    int stop = 1, calls = 0;
    BerthReassignOptions options = {
        .struct_size = sizeof options, .seconds = 1000, .threads = 2, .stop = &stop};
    BerthReassignOutcome outcome = {.struct_size = sizeof outcome};
    uint32_t assignment[4];

    memcpy(assignment, page.initial, sizeof assignment);
    g_assert_cmpint(berth_reassign_solve(problem, &options, assignment, &outcome), ==,
                    BERTH_REASSIGN_OK);
    g_assert_cmpint(outcome.cost, <=, outcome.initial_cost);

    options.stop = NULL;
    options.progress = stop_at_once;
    options.user_data = &calls;
    g_assert_cmpint(berth_reassign_solve(problem, &options, assignment, &outcome), ==,
                    BERTH_REASSIGN_OK);
    g_assert_cmpint(calls, ==, 1);
}

/* Each thread has the whole budget. */
static void test_solve_counts_processor_time(void)
{
    Page page;
    page_init(&page);
    g_autoptr(BerthReassign) problem = problem_of(&page.model);
    BerthReassignOptions options = {
        .struct_size = sizeof options, .cpu_seconds = 0.05, .threads = 2};
    BerthReassignOutcome outcome = {.struct_size = sizeof outcome};
    uint32_t assignment[4];

    memcpy(assignment, page.initial, sizeof assignment);
    g_assert_cmpint(berth_reassign_solve(problem, &options, assignment, &outcome), ==,
                    BERTH_REASSIGN_OK);
    g_assert_cmpfloat(outcome.cpu_seconds, >=, 2 * options.cpu_seconds);
    g_assert_cmpuint(outcome.iterations, >, 0);
}

static void test_solve_refuses_options(void)
{
    static const BerthReassignOptions cases[] = {
        {.struct_size = 0, .seconds = 1},
        {.struct_size = sizeof(BerthReassignOptions)}, /* no limit */
        {.struct_size = sizeof(BerthReassignOptions), .seconds = -1},
        {.struct_size = sizeof(BerthReassignOptions), .seconds = (double)NAN},
        {.struct_size = sizeof(BerthReassignOptions), .seconds = 1, .threads = 65},
        {.struct_size = sizeof(BerthReassignOptions), .cpu_seconds = -1},
        {.struct_size = sizeof(BerthReassignOptions), .seconds = 1, .cpu_seconds = (double)NAN},
    };
    Page page;
    page_init(&page);
    g_autoptr(BerthReassign) problem = problem_of(&page.model);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint32_t assignment[4];
        memcpy(assignment, page.initial, sizeof assignment);
        g_assert_cmpint(berth_reassign_solve(problem, &cases[i], assignment, NULL), ==,
                        BERTH_REASSIGN_ERROR_ARGUMENT);
    }
    struct {
        BerthReassignOptions known;
        uint64_t unknown;
    } newer = {.known = {.struct_size = sizeof newer, .seconds = 1}, .unknown = 1};
    g_assert_cmpint(berth_reassign_solve(problem, &newer.known, page.initial, NULL), ==,
                    BERTH_REASSIGN_ERROR_UNSUPPORTED);
}

static BerthReassignResult try_model(const BerthReassignModel *model)
{
    BerthReassign *problem = NULL;
    BerthReassignResult result = berth_reassign_new(model, &problem);

    g_assert_true((problem != NULL) == (result == BERTH_REASSIGN_OK));
    berth_reassign_free(problem);
    return result;
}

#define ASSERT_REFUSED(change, result)                                                             \
    do {                                                                                           \
        Page page;                                                                                 \
        page_init(&page);                                                                          \
        change;                                                                                    \
        g_assert_cmpint(try_model(&page.model), ==, result);                                       \
    } while (0)

static void test_new_refuses_models(void)
{
    ASSERT_REFUSED((void)0, BERTH_REASSIGN_OK);
    ASSERT_REFUSED(page.model.struct_size = 8, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.model.n_machines = 0, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.model.n_machines = UINT32_MAX, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.model.n_resources = 0, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.model.n_processes = UINT32_MAX, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.model.capacity = NULL, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.transient[0] = 2, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.service[3] = 3, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.initial[0] = 3, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.dependencies[0].needs = 3, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.balances[0].other = 2, BERTH_REASSIGN_ERROR_ARGUMENT);
    ASSERT_REFUSED(page.requirement[0] = -1, BERTH_REASSIGN_ERROR_AMOUNT);
    ASSERT_REFUSED(page.capacity[0] = BERTH_PLACE_MAX_AMOUNT + 1, BERTH_REASSIGN_ERROR_AMOUNT);
    ASSERT_REFUSED(page.balances[0].target = -1, BERTH_REASSIGN_ERROR_AMOUNT);
    /* Each is an amount, but their product is none. */
    ASSERT_REFUSED(page.resource_weight[0] = page.requirement[0] = BERTH_PLACE_MAX_AMOUNT,
                   BERTH_REASSIGN_ERROR_AMOUNT);
    ASSERT_REFUSED(page.balances[0].target = page.capacity[0] = BERTH_PLACE_MAX_AMOUNT,
                   BERTH_REASSIGN_ERROR_AMOUNT);
}

static void test_empty_model(void)
{
    Page page;
    page_init(&page);
    page.model.n_processes = page.model.n_services = page.model.n_dependencies = 0;
    g_autoptr(BerthReassign) problem = problem_of(&page.model);
    BerthReassignOptions options = {.struct_size = sizeof options, .iterations = 1000};
    uint32_t nothing[1] = {0};

    g_assert_cmpint(berth_reassign_solve(problem, &options, nothing, NULL), ==, BERTH_REASSIGN_OK);
    /* Left are (10, 20) three times: short by 30 − 20. */
    assert_cost(problem, nothing, (BerthReassignCost){.balance = 2 * 3 * 10});
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/reassign/costs-by-hand", test_costs_by_hand);
    g_test_add_func("/place/reassign/capacity", test_capacity);
    g_test_add_func("/place/reassign/transient", test_transient);
    g_test_add_func("/place/reassign/conflict", test_conflict);
    g_test_add_func("/place/reassign/spread", test_spread);
    g_test_add_func("/place/reassign/dependency", test_dependency);
    g_test_add_func("/place/reassign/solve-finds-the-optimum", test_solve_finds_the_optimum);
    g_test_add_func("/place/reassign/solve-begins-from-what-holds",
                    test_solve_begins_from_what_holds);
    g_test_add_func("/place/reassign/solve-stops-when-told", test_solve_stops_when_told);
    g_test_add_func("/place/reassign/solve-counts-processor-time",
                    test_solve_counts_processor_time);
    g_test_add_func("/place/reassign/solve-refuses-options", test_solve_refuses_options);
    g_test_add_func("/place/reassign/new-refuses-models", test_new_refuses_models);
    g_test_add_func("/place/reassign/empty-model", test_empty_model);
    return g_test_run();
}
