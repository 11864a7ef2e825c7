/* A model that fits on a page, with costs that its tests work out by hand; and random ones. */
#pragma once

#include <glib.h>

#include "place/reassign.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BerthReassign, berth_reassign_free)

/* Three machines of capacity (10, 20), safe up to (5, 10); the second resource is transient.
 *
 *     machine   location   neighbourhood   runs                      uses      left
 *     0         7          3               process 0 and 2           (6, 8)    (4, 12)
 *     1         7          3               process 1                 (3, 8)    (7, 12)
 *     2         9          4               process 3                 (1, 12)   (9, 8)
 *
 * Processes 0 and 1 are of service 0, process 2 of service 1, which needs service 0, process 3 of
 * service 2. */
typedef struct {
    uint8_t transient[2];
    int64_t resource_weight[2];
    uint32_t location[3], neighbourhood[3], route_cost[9];
    int64_t capacity[6], safety[6];
    uint32_t spread_min[3];
    BerthReassignDependency dependencies[1];
    uint32_t service[4], initial[4];
    int64_t requirement[8], process_cost[4];
    BerthReassignBalance balances[1];
    BerthReassignModel model;
} Page;

static inline void page_init(Page *page)
{
    *page = (Page){
        .transient = {0, 1},
        .resource_weight = {10, 1},
        .location = {7, 7, 9},
        .neighbourhood = {3, 3, 4},
        .route_cost = {0, 7, 8, 7, 0, 9, 8, 9, 0},
        .capacity = {10, 20, 10, 20, 10, 20},
        .safety = {5, 10, 5, 10, 5, 10},
        .spread_min = {1, 0, 0},
        .dependencies = {{.service = 1, .needs = 0}},
        .service = {0, 0, 1, 2},
        .initial = {0, 1, 0, 2},
        .requirement = {4, 6, 3, 8, 2, 2, 1, 12},
        .process_cost = {1, 2, 5, 1},
        .balances = {{.resource = 0, .other = 1, .target = 3, .weight = 2}},
    };
    page->model = (BerthReassignModel){
        .struct_size = sizeof page->model,
        .n_machines = 3,
        .n_resources = 2,
        .n_services = 3,
        .n_processes = 4,
        .n_dependencies = 1,
        .n_balances = 1,
        .transient = page->transient,
        .resource_weight = page->resource_weight,
        .location = page->location,
        .neighbourhood = page->neighbourhood,
        .capacity = page->capacity,
        .safety = page->safety,
        .route_cost = page->route_cost,
        .spread_min = page->spread_min,
        .dependencies = page->dependencies,
        .service = page->service,
        .requirement = page->requirement,
        .process_cost = page->process_cost,
        .initial = page->initial,
        .balances = page->balances,
        .process_move_weight = 3,
        .service_move_weight = 4,
        .machine_move_weight = 2,
    };
}

static inline BerthReassign *problem_of(const BerthReassignModel *model)
{
    BerthReassign *problem = NULL;
    g_assert_cmpint(berth_reassign_new(model, &problem), ==, BERTH_REASSIGN_OK);
    return problem;
}
