#include "sim/bench_fleet.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define SHAPES 10
#define DEVICE_CORES 16 /* that a host has for each device */
#define DEVICE_SLICES 1000

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

/* The devices that a request wants by its cores: none where it has much memory, a whole one where it has
 * much storage, else a sixteenth of one for each core; n = 0: none. */
static BerthPlaceDevices devices_for(const BenchFleet *fleet, const int64_t *vector)
{
    int64_t cores = vector[0] / 1000;
    BerthPlaceDevices devices = {
        .n = 1, .slices = BERTH_PLACE_WHOLE, .models = BERTH_PLACE_ANY_MODEL};

    if (!fleet->has_devices || cores == 0 || vector[1] / cores > 6 * 1024) {
        devices.n = 0;
    } else if (vector[2] / cores < 100 && cores < DEVICE_CORES) {
        devices.slices = (uint32_t)(cores * DEVICE_SLICES / DEVICE_CORES);
    } else if (cores >= DEVICE_CORES) {
        devices.n = (uint32_t)(cores / DEVICE_CORES);
    }
    return devices;
}

static void note(BenchFleet *fleet, uint32_t host, uint32_t group, const int64_t *vector,
                 uint64_t chosen)
{
    if (fleet->n_vms == fleet->vms_room) {
        g_error("more VMs than there is room for");
    }
    if (fleet->has_devices) {
        fleet->taken[fleet->n_vms] =
            (BenchTaken){.chosen = chosen, .slices = devices_for(fleet, vector).slices};
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

static BenchVm depart(BenchFleet *fleet, int64_t *ret_vector, BenchTaken *ret_taken)
{
    size_t i = (size_t)(uniform(fleet) * (double)fleet->n_vms);

    BenchVm vm = fleet->vms[i];

    for (int d = 0; d < BENCH_DIMS; d++) {
        ret_vector[d] = vm.vector[d];
    }
    fleet->cpu_taken -= (double)ret_vector[0];
    fleet->vms[i] = fleet->vms[--fleet->n_vms];
    *ret_taken = (BenchTaken){0};
    if (fleet->has_devices) {
        *ret_taken = fleet->taken[i];
        fleet->taken[i] = fleet->taken[fleet->n_vms];
    }
    return vm;
}

uint32_t bench_fleet_find(BenchFleet *fleet, const int64_t *vector, uint32_t group,
                          uint64_t *ret_chosen)
{
    BerthPlaceDevices devices = devices_for(fleet, vector);
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = fleet->policy,
                                 .vector = vector,
                                 .n_groups = group != BERTH_PLACE_NONE,
                                 .groups = &group,
                                 .devices = devices.n > 0 ? &devices : NULL};
    BerthPlaceDecision decision = {.struct_size = sizeof decision};

    if (berth_place_find(fleet->place, &request, &decision) != BERTH_PLACE_OK) {
        return BERTH_PLACE_NONE;
    }
    if (ret_chosen != NULL) {
        *ret_chosen = decision.devices;
    }
    return decision.host;
}

typedef struct {
    uint32_t host;
    uint64_t found_ns; /* when the first host was told of: by then all have been looked at */
} Told;

static bool hear(const BerthPlaceVerdict *verdict, void *user_data)
{
    Told *told = user_data;

    if (told->found_ns == 0) {
        told->found_ns = bench_now_ns();
    }
    if (verdict->reason == BERTH_PLACE_CHOSEN) {
        told->host = verdict->host;
    }
    return verdict->reason != BERTH_PLACE_CHOSEN;
}

uint32_t bench_fleet_scan(BenchFleet *fleet, const int64_t *vector, uint64_t *ret_ns)
{
    BerthPlaceDevices devices = devices_for(fleet, vector);
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = fleet->policy,
                                 .vector = vector,
                                 .devices = devices.n > 0 ? &devices : NULL};
    Told told = {.host = BERTH_PLACE_NONE};
    uint64_t start = bench_now_ns();

    berth_place_explain(fleet->place, &request, hear, &told);
    *ret_ns = told.found_ns - start;
    return told.host;
}

/* Books what was found, all but its groups. */
static void take(BenchFleet *fleet, uint32_t host, const int64_t *vector, uint64_t chosen)
{
    berth_place_take(fleet->place, host, vector);
    if (chosen != 0) {
        berth_place_take_devices(fleet->place, host, devices_for(fleet, vector).slices, chosen);
    }
}

static void set_devices(BerthPlace *place, uint32_t host, const int64_t *capacity)
{
    BerthPlaceDevice devices[BERTH_PLACE_MAX_DEVICES];
    uint32_t n = (uint32_t)(capacity[0] / 1000 / DEVICE_CORES);

    for (uint32_t i = 0; i < n; i++) {
        devices[i] = (BerthPlaceDevice){host / BENCH_RACK % 2, DEVICE_SLICES, DEVICE_SLICES};
    }
    g_assert(berth_place_set_devices(place, host, devices, n) == BERTH_PLACE_OK);
}

/* What comes is what is typical. */
static void set_workload(const BenchFleet *fleet, BerthPlace *place)
{
    BerthPlaceTypical typical[BENCH_SIZES];

    for (int i = 0; i < BENCH_SIZES; i++) {
        double share = fleet->shares[i] - (i > 0 ? fleet->shares[i - 1] : 0);
        typical[i] = (BerthPlaceTypical){.vector = fleet->sizes[i],
                                         .devices = devices_for(fleet, fleet->sizes[i]),
                                         .weight = 1 + (uint32_t)(share * 1000)};
    }
    g_assert(berth_place_set_workload(place, typical, BENCH_SIZES) == BERTH_PLACE_OK);
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
        if (fleet->has_devices) {
            set_devices(fleet->place, host, capacity);
        }
    }
    if (fleet->has_devices) {
        set_workload(fleet, fleet->place);
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
                note(fleet, host, BERTH_PLACE_NONE, vector, 0);
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
        uint64_t chosen;
        uint32_t host = bench_fleet_find(fleet, vector, BERTH_PLACE_NONE, &chosen);
        if (host == BERTH_PLACE_NONE) {
            misses++;
            continue;
        }
        take(fleet, host, vector, chosen);
        note(fleet, host, BERTH_PLACE_NONE, vector, chosen);
    }
}

void bench_fleet_pair(BenchFleet *fleet, uint64_t *ret_placing_ns, uint64_t *ret_leaving_ns)
{
    int64_t vector[BENCH_DIMS];
    BenchTaken taken;
    BenchVm vm = depart(fleet, vector, &taken);

    uint64_t start = bench_now_ns();
    berth_place_give(fleet->place, vm.host, vector);
    if (taken.chosen != 0) {
        berth_place_give_devices(fleet->place, vm.host, taken.slices, taken.chosen);
    }
    if (vm.group != BERTH_PLACE_NONE) {
        berth_place_leave(fleet->place, vm.host, &vm.group, 1);
    }
    *ret_leaving_ns = bench_now_ns() - start;

    bench_fleet_request(fleet, vector);
    uint32_t group =
        fleet->has_groups ? (uint32_t)(uniform(fleet) * BENCH_GROUPS) : BERTH_PLACE_NONE;
    uint64_t chosen;
    start = bench_now_ns();
    uint32_t host = bench_fleet_find(fleet, vector, group, &chosen);
    if (host != BERTH_PLACE_NONE) {
        take(fleet, host, vector, chosen);
        if (group != BERTH_PLACE_NONE) {
            berth_place_enter(fleet->place, host, &group, 1);
        }
    }
    *ret_placing_ns = bench_now_ns() - start;
    if (host != BERTH_PLACE_NONE) {
        note(fleet, host, group, vector, chosen);
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
    fleet->has_devices = policy == BERTH_PLACE_FRAGMENTATION;
    fleet->taken = fleet->has_devices ? g_new(BenchTaken, fleet->vms_room) : NULL;
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
    g_free(fleet->taken);
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
        if (fleet->has_devices) {
            BerthPlaceDevice devices[BERTH_PLACE_MAX_DEVICES];
            uint32_t n;
            berth_place_get_devices(fleet->place, host, devices, &n);
            berth_place_set_devices(place, host, devices, n);
        }
    }
    for (uint32_t group = 0; group < BENCH_GROUPS; group++) {
        add_rule(place, 2 * group,
                 (BerthPlaceRule){.kind = BERTH_PLACE_APART, .a = group, .b = group});
        add_rule(place, 2 * group + 1,
                 (BerthPlaceRule){.kind = BERTH_PLACE_SPREAD, .a = group, .level = 2, .skew = 5});
    }
    if (fleet->has_devices) {
        set_workload(fleet, place);
    }
    berth_place_free(fleet->place);
    fleet->place = place;
    bench_fleet_prepare(fleet);
}
