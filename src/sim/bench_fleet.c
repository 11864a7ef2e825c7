#include "sim/bench_fleet.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define SHAPES 10

static const int64_t shape_table[SHAPES][BENCH_DIMS] = {
    {32, 64, 2000, 2000, 10000},      {32, 128, 2000, 2000, 10000},
    {48, 192, 4000, 3000, 25000},     {64, 256, 4000, 4000, 25000},
    {64, 512, 8000, 4000, 25000},     {96, 384, 8000, 6000, 40000},
    {96, 768, 8000, 6000, 50000},     {128, 512, 8000, 8000, 50000},
    {192, 768, 16000, 12000, 100000}, {256, 2048, 32000, 16000, 100000},
};

static double uniform(BenchFleet *fleet)
{
    return g_rand_double(fleet->random);
}

uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void make_sizes(BenchFleet *fleet)
{
    static const int families[4][7] = {/* GiB a core, cores … */
                                       {4, 1, 2, 4, 8, 16, 32},
                                       {2, 2, 4, 8, 16, 32, 0},
                                       {8, 2, 4, 8, 16, 32, 0},
                                       {4, 2, 4, 8, 16, 0, 0}};
    double total = 0;
    int n = 0;

    for (int f = 0; f < 4; f++) {
        for (int i = 1; i < 7 && families[f][i] > 0; i++, n++) {
            int cores = families[f][i];
            memcpy(fleet->sizes[n],
                   ((const int64_t[]){cores * 1000, (int64_t)cores * families[f][0] * 1024,
                                      cores * (f == 3 ? 120 : 30), cores * (f == 3 ? 60 : 20),
                                      cores * 100}),
                   sizeof fleet->sizes[n]);
            total += (f == 3 ? 0.3 : 1) / sqrt(cores);
            fleet->shares[n] = total;
        }
    }
    for (int i = 0; i < BENCH_SIZES; i++) {
        fleet->shares[i] /= total;
    }
}

void bench_fleet_request(BenchFleet *fleet, int64_t *vector)
{
    if (!fleet->is_continuous) {
        double at = uniform(fleet);
        int i = 0;
        while (i < BENCH_SIZES - 1 && fleet->shares[i] < at) {
            i++;
        }
        memcpy(vector, fleet->sizes[i], sizeof fleet->sizes[i]);
        return;
    }
    double cpu = 500 * pow(64, uniform(fleet) * 0.9 + 0.1 * uniform(fleet)), cores = cpu / 1000;
    vector[0] = (int64_t)cpu;
    vector[1] = (int64_t)(1024 * cores * 1.5 * pow(6, uniform(fleet)));
    vector[2] = (int64_t)(1 + cores * 5 * pow(20, uniform(fleet)));
    vector[3] = (int64_t)(1 + cores * 4 * pow(8, uniform(fleet)));
    vector[4] = (int64_t)(1 + cores * 20 * pow(8, uniform(fleet)));
}

static void note(BenchFleet *fleet, uint32_t host, uint32_t group, const int64_t *vector)
{
    if (fleet->n_vms == fleet->vms_room) {
        g_error("more VMs than there is room for");
    }
    BenchVm *vm = &fleet->vms[fleet->n_vms++];
    fleet->most_vms = MAX(fleet->most_vms, fleet->n_vms);
    vm->host = host;
    vm->group = group;
    for (int d = 0; d < BENCH_DIMS; d++) {
        vm->vector[d] = (int32_t)vector[d];
    }
    fleet->cpu_taken += (double)vector[0];
}

static BenchVm depart(BenchFleet *fleet, int64_t *ret_vector)
{
    size_t i = (size_t)(uniform(fleet) * (double)fleet->n_vms);

    BenchVm vm = fleet->vms[i];

    for (int d = 0; d < BENCH_DIMS; d++) {
        ret_vector[d] = vm.vector[d];
    }
    fleet->cpu_taken -= (double)ret_vector[0];
    fleet->vms[i] = fleet->vms[--fleet->n_vms];
    return vm;
}

uint32_t bench_fleet_find(BenchFleet *fleet, const int64_t *vector, uint32_t group)
{
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = fleet->policy,
                                 .vector = vector,
                                 .n_groups = group != BERTH_PLACE_NONE,
                                 .groups = &group};
    BerthPlaceDecision decision = {.struct_size = sizeof decision};

    return berth_place_find(fleet->place, &request, &decision) == BERTH_PLACE_OK ? decision.host
                                                                                 : BERTH_PLACE_NONE;
}

void bench_host_capacity(uint32_t host, int64_t *ret_capacity)
{
    const int64_t *shape = shape_table[(host / BENCH_RACK * 2654435761U >> 16) % SHAPES];

    memcpy(ret_capacity, shape, sizeof *shape_table);
    ret_capacity[0] *= 1000;
    ret_capacity[1] *= 1024;
}

static void add_hosts(BenchFleet *fleet)
{
    for (uint32_t host = 0; host < fleet->n_hosts; host++) {
        int64_t capacity[BENCH_DIMS];
        bench_host_capacity(host, capacity);
        g_assert(berth_place_add(fleet->place, host, host, capacity, NULL) == BERTH_PLACE_OK);
        fleet->cpu += (double)capacity[0];
    }
}

static void fill_at_random(BenchFleet *fleet)
{
    int64_t vector[BENCH_DIMS];

    for (uint64_t misses = 0; fleet->cpu_taken < 0.7 * fleet->cpu && misses < 100000;) {
        bench_fleet_request(fleet, vector);
        bool is_placed = false;
        for (int tries = 0; tries < 200 && !is_placed; tries++) {
            uint32_t host = (uint32_t)(uniform(fleet) * fleet->n_hosts);
            is_placed = berth_place_take(fleet->place, host, vector) == BERTH_PLACE_OK;
            if (is_placed) {
                note(fleet, host, BERTH_PLACE_NONE, vector);
            }
        }
        misses += !is_placed;
    }
}

void bench_fleet_prepare(BenchFleet *fleet)
{
    for (int i = 0; i < BENCH_SIZES; i++) {
        berth_place_prepare(fleet->place, fleet->policy,
                            fleet->is_continuous ? NULL : fleet->sizes[i]);
    }
}

static void fill_by_policy(BenchFleet *fleet)
{
    int64_t vector[BENCH_DIMS];

    for (uint64_t misses = 0; fleet->cpu_taken < 0.7 * fleet->cpu && misses < 100000;) {
        bench_fleet_request(fleet, vector);
        uint32_t host = bench_fleet_find(fleet, vector, BERTH_PLACE_NONE);
        if (host == BERTH_PLACE_NONE) {
            misses++;
            continue;
        }
        berth_place_take(fleet->place, host, vector);
        note(fleet, host, BERTH_PLACE_NONE, vector);
    }
}

void bench_fleet_pair(BenchFleet *fleet, uint64_t *ret_placing_ns, uint64_t *ret_leaving_ns)
{
    int64_t vector[BENCH_DIMS];
    BenchVm vm = depart(fleet, vector);

    uint64_t start = bench_now_ns();
    berth_place_give(fleet->place, vm.host, vector);
    if (vm.group != BERTH_PLACE_NONE) {
        berth_place_leave(fleet->place, vm.host, &vm.group, 1);
    }
    *ret_leaving_ns = bench_now_ns() - start;

    bench_fleet_request(fleet, vector);
    uint32_t group =
        fleet->has_groups ? (uint32_t)(uniform(fleet) * BENCH_GROUPS) : BERTH_PLACE_NONE;
    start = bench_now_ns();
    uint32_t host = bench_fleet_find(fleet, vector, group);
    if (host != BERTH_PLACE_NONE) {
        berth_place_take(fleet->place, host, vector);
        if (group != BERTH_PLACE_NONE) {
            berth_place_enter(fleet->place, host, &group, 1);
        }
    }
    *ret_placing_ns = bench_now_ns() - start;
    if (host != BERTH_PLACE_NONE) {
        note(fleet, host, group, vector);
    } else {
        fleet->refused++;
    }
}

void bench_fleet_init(BenchFleet *fleet, BerthPlacePolicy policy, bool is_continuous,
                      uint32_t n_hosts)
{
    *fleet = (BenchFleet){.policy = policy, .is_continuous = is_continuous, .n_hosts = n_hosts};
    fleet->random = g_rand_new_with_seed(1);
    fleet->vms_room = (size_t)n_hosts * 40 + 1000;
    fleet->vms = g_new(BenchVm, fleet->vms_room);
    make_sizes(fleet);
}

void bench_fleet_fill(BenchFleet *fleet)
{
    BerthPlaceOptions options = {
        .struct_size = sizeof options, .n_dims = BENCH_DIMS, .expected_hosts = fleet->n_hosts};

    g_assert(berth_place_new(&options, &fleet->place) == BERTH_PLACE_OK);
    add_hosts(fleet);
    if (fleet->is_continuous) {
        fill_at_random(fleet);
        bench_fleet_prepare(fleet);
    } else {
        bench_fleet_prepare(fleet);
        fill_by_policy(fleet);
    }
}

void bench_fleet_clear(BenchFleet *fleet)
{
    berth_place_free(fleet->place);
    g_rand_free(fleet->random);
    g_free(fleet->vms);
}

static void add_rule(BerthPlace *place, uint32_t number, BerthPlaceRule rule)
{
    rule.struct_size = sizeof rule;
    g_assert(berth_place_rule_add(place, number, &rule, NULL) == BERTH_PLACE_OK);
}

void bench_fleet_add_rules(BenchFleet *fleet)
{
    BerthPlaceOptions options = {
        .struct_size = sizeof options, .n_dims = BENCH_DIMS, .expected_hosts = fleet->n_hosts};
    int64_t capacity[BENCH_DIMS], available[BENCH_DIMS];
    BerthPlace *place;

    g_assert(berth_place_new(&options, &place) == BERTH_PLACE_OK);
    g_assert(berth_place_set_levels(place, 3) == BERTH_PLACE_OK);
    for (uint32_t host = 0; host < fleet->n_hosts; host++) {
        uint32_t rack = host / BENCH_RACK;
        berth_place_get(fleet->place, host, capacity, available, NULL);
        berth_place_add(place, host, host, capacity, available);
        berth_place_set_domains(place, host, (uint32_t[]){rack, rack / BENCH_RACKS_A_ZONE});
    }
    for (uint32_t group = 0; group < BENCH_GROUPS; group++) {
        add_rule(place, 2 * group,
                 (BerthPlaceRule){.kind = BERTH_PLACE_APART, .a = group, .b = group});
        add_rule(place, 2 * group + 1,
                 (BerthPlaceRule){.kind = BERTH_PLACE_SPREAD, .a = group, .level = 2, .skew = 5});
    }
    berth_place_free(fleet->place);
    fleet->place = place;
    bench_fleet_prepare(fleet);
}
