#include "place/fairness.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t usage[BERTH_PLACE_MAX_DIMS];
    uint32_t weight;
    double share;
    size_t next, end; /* its requests, in order, among all */
} Tenant;

typedef struct {
    uint32_t number, tenant;
    int32_t priority;
    int64_t since;
} Request;

struct BerthFair {
    uint32_t n_dims, n_tenants;
    int64_t total[BERTH_PLACE_MAX_DIMS];
    Tenant *tenants;
    Request *requests;
    size_t n_requests, room;
    bool sorted;
    const Request *asked; /* given last and not granted yet */
};

double berth_dominant_share(uint32_t n_dims, const int64_t *usage, const int64_t *total,
                            uint32_t weight, uint32_t *ret_dim)
{
    double largest = 0;
    uint32_t dim = BERTH_PLACE_NONE;
    for (uint32_t d = 0; d < n_dims; d++) {
        if (total[d] > 0 && usage[d] > 0) {
            double share = (double)usage[d] / (double)total[d] / (double)weight;
            if (share > largest) {
                largest = share;
                dim = d;
            }
        }
    }
    if (ret_dim != NULL) {
        *ret_dim = dim;
    }
    return largest;
}

static void refresh_share(BerthFair *fair, Tenant *tenant)
{
    tenant->share =
        berth_dominant_share(fair->n_dims, tenant->usage, fair->total, tenant->weight, NULL);
}

static bool in_range(uint32_t n_dims, uint32_t n_tenants, const BerthFairTenant *tenants)
{
    for (uint32_t t = 0; t < n_tenants; t++) {
        if (tenants[t].weight == 0 || tenants[t].weight > BERTH_FAIR_MAX_WEIGHT) {
            return false;
        }
        for (uint32_t d = 0; d < n_dims; d++) {
            if (tenants[t].usage[d] < 0) {
                return false;
            }
        }
    }
    return true;
}

BerthPlaceResult berth_fair_new(uint32_t n_dims, const int64_t *total, uint32_t n_tenants,
                                const BerthFairTenant *tenants, BerthFair **ret_fair)
{
    if (n_dims == 0 || n_dims > BERTH_PLACE_MAX_DIMS || n_tenants > BERTH_FAIR_MAX_TENANTS ||
        !in_range(n_dims, n_tenants, tenants)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    BerthFair *fair = calloc(1, sizeof *fair);
    Tenant *own = calloc(n_tenants > 0 ? n_tenants : 1, sizeof *own);
    if (fair == NULL || own == NULL) {
        free(fair);
        free(own);
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    *fair = (BerthFair){.n_dims = n_dims, .n_tenants = n_tenants, .tenants = own};
    memcpy(fair->total, total, n_dims * sizeof *total);
    for (uint32_t t = 0; t < n_tenants; t++) {
        memcpy(own[t].usage, tenants[t].usage, n_dims * sizeof *own[t].usage);
        own[t].weight = tenants[t].weight;
        refresh_share(fair, &own[t]);
    }
    *ret_fair = fair;
    return BERTH_PLACE_OK;
}

void berth_fair_free(BerthFair *fair)
{
    if (fair != NULL) {
        free(fair->tenants);
        free(fair->requests);
        free(fair);
    }
}

BerthPlaceResult berth_fair_add(BerthFair *fair, uint32_t request, uint32_t tenant,
                                int32_t priority, int64_t since)
{
    if (fair->sorted) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (tenant >= fair->n_tenants) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (fair->n_requests == fair->room) {
        size_t room = fair->room > 0 ? 2 * fair->room : 16;
        Request *larger = realloc(fair->requests, room * sizeof *larger);
        if (larger == NULL) {
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
        fair->requests = larger;
        fair->room = room;
    }
    fair->requests[fair->n_requests++] = (Request){request, tenant, priority, since};
    return BERTH_PLACE_OK;
}

/* By tenant; within one by priority, age and number. */
static int compare(const void *a, const void *b)
{
    const Request *x = a, *y = b;
    if (x->tenant != y->tenant) {
        return x->tenant < y->tenant ? -1 : 1;
    }
    if (x->priority != y->priority) {
        return x->priority > y->priority ? -1 : 1;
    }
    if (x->since != y->since) {
        return x->since < y->since ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

static void sort(BerthFair *fair)
{
    fair->sorted = true;
    if (fair->n_requests > 0) {
        qsort(fair->requests, fair->n_requests, sizeof *fair->requests, compare);
    }
    for (size_t i = 0; i < fair->n_requests; i++) {
        Tenant *tenant = &fair->tenants[fair->requests[i].tenant];
        if (tenant->end == 0) {
            tenant->next = i;
        }
        tenant->end = i + 1;
    }
}

bool berth_fair_next(BerthFair *fair, uint32_t *ret_request)
{
    if (!fair->sorted) {
        sort(fair);
    }
    Tenant *best = NULL;
    for (uint32_t t = 0; t < fair->n_tenants; t++) {
        Tenant *tenant = &fair->tenants[t];
        if (tenant->next == tenant->end) {
            continue;
        }
        int32_t priority = fair->requests[tenant->next].priority;
        int32_t highest = best != NULL ? fair->requests[best->next].priority : priority;
        if (best == NULL || priority > highest ||
            (priority == highest && tenant->share < best->share)) {
            best = tenant;
        }
    }
    fair->asked = best != NULL ? &fair->requests[best->next++] : NULL;
    if (fair->asked != NULL) {
        *ret_request = fair->asked->number;
    }
    return fair->asked != NULL;
}

BerthPlaceResult berth_fair_grant(BerthFair *fair, uint32_t request, const int64_t *vector)
{
    if (fair->asked == NULL || fair->asked->number != request) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    Tenant *tenant = &fair->tenants[fair->asked->tenant];
    for (uint32_t d = 0; d < fair->n_dims; d++) {
        if (vector[d] < 0 || vector[d] > BERTH_PLACE_MAX_AMOUNT ||
            tenant->usage[d] > INT64_MAX - vector[d]) {
            return BERTH_PLACE_ERROR_AMOUNT;
        }
    }
    for (uint32_t d = 0; d < fair->n_dims; d++) {
        tenant->usage[d] += vector[d];
    }
    fair->asked = NULL;
    refresh_share(fair, tenant);
    return BERTH_PLACE_OK;
}

double berth_fair_share(const BerthFair *fair, uint32_t tenant)
{
    return tenant < fair->n_tenants ? fair->tenants[tenant].share : 0;
}
