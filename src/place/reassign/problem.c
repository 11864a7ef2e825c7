#include "place/reassign/problem.h"

#include <stdlib.h>
#include <string.h>

#include "place/fleet.h"

/* So that an int64 holds the cost, a penalty on top, and their differences. */
#define MAX_COST 1e18

const char *berth_reassign_strerror(BerthReassignResult result)
{
    switch (result) {
    case BERTH_REASSIGN_OK:
        return "done";
    case BERTH_REASSIGN_VIOLATED:
        return "the assignment breaks a constraint";
    case BERTH_REASSIGN_ERROR_ARGUMENT:
        return "a count, a number or a limit is out of its range";
    case BERTH_REASSIGN_ERROR_AMOUNT:
        return "an amount is negative or too large, or the cost could pass 1e18";
    case BERTH_REASSIGN_ERROR_NO_MEMORY:
        return "out of memory";
    case BERTH_REASSIGN_ERROR_UNSUPPORTED:
        return "the request uses what this version of the library does not know";
    }
    return "unknown result";
}

static bool all_below(const uint32_t *numbers, size_t n, uint32_t end)
{
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] >= end) {
            return false;
        }
    }
    return true;
}

static bool counts_are_sound(const BerthReassignModel *model)
{
    if (model->n_machines < 1 || model->n_machines > BERTH_REASSIGN_MAX_MACHINES ||
        model->n_resources < 1 || model->n_resources > BERTH_REASSIGN_MAX_RESOURCES ||
        model->n_services > BERTH_REASSIGN_MAX_PROCESSES ||
        model->n_processes > BERTH_REASSIGN_MAX_PROCESSES ||
        model->n_dependencies > BERTH_REASSIGN_MAX_DEPENDENCIES ||
        model->n_balances > BERTH_REASSIGN_MAX_BALANCES) {
        return false;
    }
    bool machines = model->transient != NULL && model->resource_weight != NULL &&
                    model->location != NULL && model->neighbourhood != NULL &&
                    model->capacity != NULL && model->safety != NULL;
    bool services = model->n_services == 0 || model->spread_min != NULL;
    bool processes =
        model->n_processes == 0 || (model->service != NULL && model->requirement != NULL &&
                                    model->process_cost != NULL && model->initial != NULL);
    return machines && services && processes &&
           (model->n_dependencies == 0 || model->dependencies != NULL) &&
           (model->n_balances == 0 || model->balances != NULL);
}

static bool numbers_are_sound(const BerthReassignModel *model)
{
    for (uint32_t i = 0; i < model->n_resources; i++) {
        if (model->transient[i] > 1) {
            return false;
        }
    }
    for (uint32_t i = 0; i < model->n_dependencies; i++) {
        if (model->dependencies[i].service >= model->n_services ||
            model->dependencies[i].needs >= model->n_services) {
            return false;
        }
    }
    for (uint32_t i = 0; i < model->n_balances; i++) {
        if (model->balances[i].resource >= model->n_resources ||
            model->balances[i].other >= model->n_resources) {
            return false;
        }
    }
    return all_below(model->service, model->n_processes, model->n_services) &&
           all_below(model->initial, model->n_processes, model->n_machines);
}

static bool is_amount(int64_t amount)
{
    return amount >= 0 && amount <= BERTH_PLACE_MAX_AMOUNT;
}

static bool are_amounts(const int64_t *amounts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_amount(amounts[i])) {
            return false;
        }
    }
    return true;
}

static bool amounts_are_sound(const BerthReassignModel *model)
{
    size_t cells = (size_t)model->n_machines * model->n_resources;
    for (uint32_t i = 0; i < model->n_balances; i++) {
        if (!is_amount(model->balances[i].target) || !is_amount(model->balances[i].weight)) {
            return false;
        }
    }
    return are_amounts(model->resource_weight, model->n_resources) &&
           are_amounts(model->capacity, cells) && are_amounts(model->safety, cells) &&
           are_amounts(model->requirement, (size_t)model->n_processes * model->n_resources) &&
           are_amounts(model->process_cost, model->n_processes) &&
           is_amount(model->process_move_weight) && is_amount(model->service_move_weight) &&
           is_amount(model->machine_move_weight);
}

static double total_requirement(const BerthReassignModel *model, uint32_t resource)
{
    double total = 0;
    for (uint32_t p = 0; p < model->n_processes; p++) {
        total += (double)model->requirement[(size_t)p * model->n_resources + resource];
    }
    return total;
}

static double move_cost_bound(const BerthReassignModel *model)
{
    uint32_t longest = 0;
    size_t n_routes = (size_t)model->n_machines * model->n_machines;
    for (size_t i = 0; model->route_cost != NULL && i < n_routes; i++) {
        longest = model->route_cost[i] > longest ? model->route_cost[i] : longest;
    }
    double process_costs = 0;
    for (uint32_t p = 0; p < model->n_processes; p++) {
        process_costs += (double)model->process_cost[p];
    }
    return (double)model->process_move_weight * process_costs +
           (double)model->service_move_weight * model->n_processes +
           (double)model->machine_move_weight * longest * model->n_processes;
}

/* An upper bound of the cost of any assignment at all, and of each product on the way. */
static double cost_bound(const BerthReassignModel *model)
{
    double bound = move_cost_bound(model);
    for (uint32_t r = 0; r < model->n_resources; r++) {
        bound += ((double)model->resource_weight[r] + 1) * total_requirement(model, r);
    }
    for (uint32_t b = 0; b < model->n_balances; b++) {
        const BerthReassignBalance *balance = &model->balances[b];
        double target = (double)balance->target, weight = (double)balance->weight + 1;
        double capacity = 0;
        for (uint32_t m = 0; m < model->n_machines; m++) {
            capacity += (double)model->capacity[(size_t)m * model->n_resources + balance->resource];
        }
        bound += weight * (target * capacity + total_requirement(model, balance->other));
        bound += target * total_requirement(model, balance->resource);
    }
    return bound;
}

/* A copy of an array; of length 0 too, so that NULL says out of memory. */
static void *copy(const void *from, size_t n, size_t size)
{
    void *to = malloc(n * size + 1);
    if (to != NULL && n > 0) {
        memcpy(to, from, n * size);
    }
    return to;
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The numbers renamed 0, 1, … by rising size. */
static uint32_t *make_dense(const uint32_t *numbers, uint32_t n, uint32_t *ret_distinct)
{
    uint32_t *sorted = copy(numbers, n, sizeof *sorted);
    uint32_t *dense = malloc(n * sizeof *dense);
    if (sorted == NULL || dense == NULL) {
        free(sorted);
        free(dense);
        return NULL;
    }
    qsort(sorted, n, sizeof *sorted, compare_numbers);
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || sorted[i] != sorted[distinct - 1]) {
            sorted[distinct++] = sorted[i];
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *at =
            bsearch(&numbers[i], sorted, distinct, sizeof *sorted, compare_numbers);
        dense[i] = (uint32_t)(at - sorted);
    }
    free(sorted);
    *ret_distinct = distinct;
    return dense;
}

/* Lists of `values` by `keys`, each in the order given; pairs of two equal numbers are left out
 * when `skip_equal`. */
static bool make_lists(ReassignLists *lists, uint32_t n_lists, const uint32_t *keys,
                       const uint32_t *values, size_t stride, size_t n, bool skip_equal)
{
    lists->first = calloc((size_t)n_lists + 2, sizeof *lists->first);
    lists->items = malloc(n * sizeof *lists->items + 1);
    if (lists->first == NULL || lists->items == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        lists->first[keys[i * stride] + 2] += !skip_equal || keys[i * stride] != values[i * stride];
    }
    for (uint32_t i = 0; i < n_lists; i++) {
        lists->first[i + 2] += lists->first[i + 1];
    }
    for (size_t i = 0; i < n; i++) {
        if (!skip_equal || keys[i * stride] != values[i * stride]) {
            lists->items[lists->first[keys[i * stride] + 1]++] = values[i * stride];
        }
    }
    return true;
}

static uint32_t list_length(const ReassignLists *lists, uint32_t i)
{
    return lists->first[i + 1] - lists->first[i];
}

static bool link_services(BerthReassign *problem, const BerthReassignModel *model)
{
    uint32_t n = model->n_services;
    uint32_t *numbers = malloc((size_t)model->n_processes * sizeof *numbers + 1);
    if (numbers == NULL) {
        return false;
    }
    for (uint32_t p = 0; p < model->n_processes; p++) {
        numbers[p] = p;
    }
    bool linked =
        make_lists(&problem->members, n, problem->service, numbers, 1, model->n_processes, false);
    free(numbers);
    const BerthReassignDependency none = {0, 0};
    const uint32_t *pairs = &(model->n_dependencies > 0 ? model->dependencies : &none)->service;
    linked =
        linked && make_lists(&problem->needs, n, pairs, pairs + 1, 2, model->n_dependencies, true);
    linked = linked &&
             make_lists(&problem->needed_by, n, pairs + 1, pairs, 2, model->n_dependencies, true);
    problem->conflict_row = malloc((size_t)n * sizeof *problem->conflict_row + 1);
    problem->spread_row = malloc((size_t)n * sizeof *problem->spread_row + 1);
    problem->near_row = malloc((size_t)n * sizeof *problem->near_row + 1);
    return linked && problem->conflict_row != NULL && problem->spread_row != NULL &&
           problem->near_row != NULL;
}

static void number_rows(BerthReassign *problem)
{
    for (uint32_t s = 0; s < problem->n_services; s++) {
        uint32_t size = list_length(&problem->members, s);
        bool near = list_length(&problem->needs, s) + list_length(&problem->needed_by, s) > 0;
        problem->conflict_row[s] = size > 1 ? problem->n_conflict_rows++ : BERTH_PLACE_NONE;
        problem->spread_row[s] =
            problem->spread_min[s] > 1 ? problem->n_spread_rows++ : BERTH_PLACE_NONE;
        problem->near_row[s] = near ? problem->n_near_rows++ : BERTH_PLACE_NONE;
        problem->largest_service =
            size > problem->largest_service ? size : problem->largest_service;
    }
}

typedef struct {
    double size;
    uint32_t process;
} Sized;

static int compare_sizes(const void *a, const void *b)
{
    const Sized *x = a, *y = b;
    if (x->size != y->size) {
        return x->size > y->size ? -1 : 1;
    }
    return x->process < y->process ? -1 : 1;
}

static bool order_by_size(BerthReassign *problem, const BerthReassignModel *model)
{
    uint32_t n = problem->n_processes;
    Sized *sized = calloc((size_t)n + 1, sizeof *sized);
    problem->by_size = malloc(n * sizeof *problem->by_size + 1);
    if (sized == NULL || problem->by_size == NULL) {
        free(sized);
        return false;
    }
    for (uint32_t p = 0; p < n; p++) {
        sized[p].process = p;
    }
    for (uint32_t r = 0; r < problem->n_resources; r++) {
        double total = total_requirement(model, r);
        problem->total_requirement += total;
        for (uint32_t p = 0; p < n && total > 0; p++) {
            double amount = (double)model->requirement[(size_t)p * problem->n_resources + r];
            sized[p].size += amount / total;
        }
    }
    qsort(sized, n, sizeof *sized, compare_sizes);
    for (uint32_t i = 0; i < n; i++) {
        problem->by_size[i] = sized[i].process;
    }
    free(sized);
    return true;
}

static void derive_amounts(BerthReassign *problem, const BerthReassignModel *model)
{
    for (uint32_t p = 0; p < problem->n_processes; p++) {
        problem->process_cost[p] *= model->process_move_weight;
        for (uint32_t r = 0; r < problem->n_resources; r++) {
            if (problem->transient[r]) {
                problem->home_requirement[(size_t)p * problem->n_resources + r] = 0;
            }
        }
    }
}

static bool copy_model(BerthReassign *problem, const BerthReassignModel *model)
{
    size_t cells = (size_t)model->n_machines * model->n_resources;
    size_t needs = (size_t)model->n_processes * model->n_resources;

    problem->n_machines = model->n_machines;
    problem->n_resources = model->n_resources;
    problem->n_services = model->n_services;
    problem->n_processes = model->n_processes;
    problem->n_balances = model->n_balances;
    problem->service_move_weight = model->service_move_weight;
    problem->machine_move_weight = model->machine_move_weight;
    problem->transient = copy(model->transient, model->n_resources, 1);
    problem->resource_weight = copy(model->resource_weight, model->n_resources, sizeof(int64_t));
    problem->location = make_dense(model->location, model->n_machines, &problem->n_locations);
    problem->neighbourhood =
        make_dense(model->neighbourhood, model->n_machines, &problem->n_neighbourhoods);
    problem->capacity = copy(model->capacity, cells, sizeof(int64_t));
    problem->safety = copy(model->safety, cells, sizeof(int64_t));
    problem->spread_min = copy(model->spread_min, model->n_services, sizeof(uint32_t));
    problem->service = copy(model->service, model->n_processes, sizeof(uint32_t));
    problem->requirement = copy(model->requirement, needs, sizeof(int64_t));
    problem->home_requirement = copy(model->requirement, needs, sizeof(int64_t));
    problem->process_cost = copy(model->process_cost, model->n_processes, sizeof(int64_t));
    problem->initial = copy(model->initial, model->n_processes, sizeof(uint32_t));
    problem->balances = copy(model->balances, model->n_balances, sizeof *problem->balances);
    bool has_routes = model->route_cost != NULL && model->machine_move_weight > 0;
    if (has_routes) {
        problem->route_cost = copy(model->route_cost, (size_t)model->n_machines * model->n_machines,
                                   sizeof(uint32_t));
    }
    return problem->transient != NULL && problem->resource_weight != NULL &&
           problem->location != NULL && problem->neighbourhood != NULL &&
           problem->capacity != NULL && problem->safety != NULL && problem->spread_min != NULL &&
           problem->service != NULL && problem->requirement != NULL &&
           problem->home_requirement != NULL && problem->process_cost != NULL &&
           problem->initial != NULL && problem->balances != NULL &&
           has_routes == (problem->route_cost != NULL);
}

BerthReassignResult berth_reassign_new(const BerthReassignModel *model, BerthReassign **ret_problem)
{
    if (model->struct_size < sizeof *model) {
        return BERTH_REASSIGN_ERROR_ARGUMENT;
    }
    if (fleet_is_newer(model, model->struct_size, sizeof *model)) {
        return BERTH_REASSIGN_ERROR_UNSUPPORTED;
    }
    if (!counts_are_sound(model) || !numbers_are_sound(model)) {
        return BERTH_REASSIGN_ERROR_ARGUMENT;
    }
    if (!amounts_are_sound(model) || cost_bound(model) > MAX_COST) {
        return BERTH_REASSIGN_ERROR_AMOUNT;
    }
    BerthReassign *problem = calloc(1, sizeof *problem);
    if (problem == NULL || !copy_model(problem, model) || !link_services(problem, model) ||
        !order_by_size(problem, model)) {
        berth_reassign_free(problem);
        return BERTH_REASSIGN_ERROR_NO_MEMORY;
    }
    number_rows(problem);
    derive_amounts(problem, model);
    *ret_problem = problem;
    return BERTH_REASSIGN_OK;
}

static void free_lists(ReassignLists *lists)
{
    free(lists->first);
    free(lists->items);
}

void berth_reassign_free(BerthReassign *problem)
{
    if (problem == NULL) {
        return;
    }
    free(problem->transient);
    free(problem->resource_weight);
    free(problem->location);
    free(problem->neighbourhood);
    free(problem->capacity);
    free(problem->safety);
    free(problem->route_cost);
    free(problem->spread_min);
    free(problem->service);
    free(problem->requirement);
    free(problem->home_requirement);
    free(problem->process_cost);
    free(problem->initial);
    free(problem->balances);
    free(problem->by_size);
    free_lists(&problem->members);
    free_lists(&problem->needs);
    free_lists(&problem->needed_by);
    free(problem->conflict_row);
    free(problem->spread_row);
    free(problem->near_row);
    free(problem);
}
