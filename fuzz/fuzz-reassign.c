/*
 * Machine reassignment: a model, a line "--", an assignment. What is read and small is also priced,
 * and searched for a moment: the answer keeps the constraints, costs no more, and reads as it was
 * written.
 */
#include "fuzz.h"

#include "sim/reassign_model.h"

static void search(const BerthReassign *problem, uint32_t *assignment)
{
    BerthReassignOptions options = {.struct_size = sizeof options, .iterations = 500};
    BerthReassignOutcome outcome = {.struct_size = sizeof outcome};
    BerthReassignCost cost = {.struct_size = sizeof cost};
    bool holds = berth_reassign_check(problem, assignment, NULL) == BERTH_REASSIGN_OK;

    BerthReassignResult result = berth_reassign_solve(problem, &options, assignment, &outcome);
    g_assert_true((result == BERTH_REASSIGN_OK) == holds);
    if (holds) {
        g_assert_cmpint(berth_reassign_check(problem, assignment, NULL), ==, BERTH_REASSIGN_OK);
        g_assert_cmpint(berth_reassign_cost(problem, assignment, &cost), ==, BERTH_REASSIGN_OK);
        g_assert_cmpint(cost.total, ==, outcome.cost);
        g_assert_cmpint(cost.total, <=, outcome.initial_cost);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memmem(data, size, "--", 2) : NULL;
    size_t model_size = end != NULL ? (size_t)(end - data) : size;
    g_autoptr(ReassignModel) owner =
        reassign_model_parse("model", (const char *)data, model_size, NULL);
    if (owner == NULL || end == NULL) {
        return 0;
    }
    g_autofree uint32_t *assignment = reassign_assignment_parse(
        owner, "initial", (const char *)end + 2, size - model_size - 2, NULL);
    if (assignment == NULL) {
        return 0;
    }
    uint32_t n = owner->model.n_processes;
    g_autofree char *text = reassign_assignment_dump(assignment, n);
    g_autofree uint32_t *again =
        reassign_assignment_parse(owner, "again", text, strlen(text), NULL);
    g_assert_nonnull(again);
    g_assert_cmpmem(assignment, n * sizeof *assignment, again, n * sizeof *again);
    owner->model.initial = again;
    BerthReassign *problem;
    if (berth_reassign_new(&owner->model, &problem) == BERTH_REASSIGN_OK) {
        search(problem, assignment);
        berth_reassign_free(problem);
    }
    return 0;
}
