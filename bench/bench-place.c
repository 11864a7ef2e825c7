/*
 * Placements at up to a million hosts, beside an exhaustive search with SIMD over the same fleet.
 *
 * Ten shapes of hosts in racks of 40, five dimensions, 70 % of the CPU taken, about ten VMs a host. A
 * pair is one placement with its booking plus one departure of a random VM; the times are of the
 * placement, the longest of either. Pairs in which the process was preempted are left out. In mode S
 * requests are of twenty sizes and the policy itself has filled the fleet; in mode R every request
 * has amounts of its own, so that no two hosts are alike, the fleet is filled at random and then
 * churned. After the measurement both searches answer the same requests, and a difference is an
 * error.
 *
 *     bench-place [--mode S|R] [--policy NAME] [--hosts N] [--pairs N] [--churn N] [--json]
 *
 * Without --hosts: 10,000, 100,000 and 1,000,000; without --mode or --policy: all.
 */
#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/simd-scan.h"
#include "place/place.h"

#define DIMS 5
#define SHAPES 10
#define SIZES 20
#define RACK 40
#define CHECKS 100
#define LONG_NS 300000 /* what takes longer may be a pause of the whole program */

static const int64_t shape_table[SHAPES][DIMS] = {
    {32, 64, 2000, 2000, 10000},      {32, 128, 2000, 2000, 10000},
    {48, 192, 4000, 3000, 25000},     {64, 256, 4000, 4000, 25000},
    {64, 512, 8000, 4000, 25000},     {96, 384, 8000, 6000, 40000},
    {96, 768, 8000, 6000, 50000},     {128, 512, 8000, 8000, 50000},
    {192, 768, 16000, 12000, 100000}, {256, 2048, 32000, 16000, 100000},
};

typedef struct {
    uint32_t host;
    int32_t vector[DIMS];
} Vm;

typedef struct {
    BerthPlacePolicy policy;
    bool is_continuous;
    uint32_t n_hosts;
    uint64_t pairs, churn;
    GRand *random;
    BerthPlace *place;
    int64_t sizes[SIZES][DIMS];
    double shares[SIZES]; /* cumulative */
    Vm *vms;
    size_t n_vms, most_vms, vms_room;
    double cpu, cpu_taken;
    uint64_t refused;
} Run;

typedef struct {
    double pairs_per_s, p50_us, p99_us, max_us, mean_us, scan_us, bytes_per_host, load;
    uint64_t checked, different;
} Result;

static double uniform(Run *run)
{
    return g_rand_double(run->random);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static size_t resident_bytes(void)
{
    g_autofree char *text = NULL;
    unsigned long size = 0, resident = 0;

    if (g_file_get_contents("/proc/self/statm", &text, NULL, NULL) &&
        sscanf(text, "%lu %lu", &size, &resident) == 2) {
        return resident * (size_t)sysconf(_SC_PAGESIZE);
    }
    return 0;
}

static void make_sizes(Run *run)
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
            memcpy(run->sizes[n],
                   ((const int64_t[]){cores * 1000, (int64_t)cores * families[f][0] * 1024,
                                      cores * (f == 3 ? 120 : 30), cores * (f == 3 ? 60 : 20),
                                      cores * 100}),
                   sizeof run->sizes[n]);
            total += (f == 3 ? 0.3 : 1) / sqrt(cores);
            run->shares[n] = total;
        }
    }
    for (int i = 0; i < SIZES; i++) {
        run->shares[i] /= total;
    }
}

static void make_request(Run *run, int64_t *vector)
{
    if (!run->is_continuous) {
        double at = uniform(run);
        int i = 0;
        while (i < SIZES - 1 && run->shares[i] < at) {
            i++;
        }
        memcpy(vector, run->sizes[i], sizeof run->sizes[i]);
        return;
    }
    double cpu = 500 * pow(64, uniform(run) * 0.9 + 0.1 * uniform(run)), cores = cpu / 1000;
    vector[0] = (int64_t)cpu;
    vector[1] = (int64_t)(1024 * cores * 1.5 * pow(6, uniform(run)));
    vector[2] = (int64_t)(1 + cores * 5 * pow(20, uniform(run)));
    vector[3] = (int64_t)(1 + cores * 4 * pow(8, uniform(run)));
    vector[4] = (int64_t)(1 + cores * 20 * pow(8, uniform(run)));
}

static void note(Run *run, uint32_t host, const int64_t *vector)
{
    if (run->n_vms == run->vms_room) {
        g_error("more VMs than there is room for");
    }
    Vm *vm = &run->vms[run->n_vms++];
    run->most_vms = MAX(run->most_vms, run->n_vms);
    vm->host = host;
    for (int d = 0; d < DIMS; d++) {
        vm->vector[d] = (int32_t)vector[d];
    }
    run->cpu_taken += (double)vector[0];
}

static void depart(Run *run, uint32_t *ret_host, int64_t *ret_vector)
{
    size_t i = (size_t)(uniform(run) * (double)run->n_vms);

    *ret_host = run->vms[i].host;
    for (int d = 0; d < DIMS; d++) {
        ret_vector[d] = run->vms[i].vector[d];
    }
    run->cpu_taken -= (double)ret_vector[0];
    run->vms[i] = run->vms[--run->n_vms];
}

static uint32_t find(Run *run, const int64_t *vector)
{
    BerthPlaceRequest request = {
        .struct_size = sizeof request, .policy = run->policy, .vector = vector};
    BerthPlaceDecision decision = {.struct_size = sizeof decision};

    return berth_place_find(run->place, &request, &decision) == BERTH_PLACE_OK ? decision.host
                                                                               : BERTH_PLACE_NONE;
}

static void add_hosts(Run *run)
{
    for (uint32_t host = 0; host < run->n_hosts; host++) {
        const int64_t *shape = shape_table[(host / RACK * 2654435761U >> 16) % SHAPES];
        int64_t capacity[DIMS] = {shape[0] * 1000, shape[1] * 1024, shape[2], shape[3], shape[4]};
        g_assert(berth_place_add(run->place, host, host, capacity, NULL) == BERTH_PLACE_OK);
        run->cpu += (double)capacity[0];
    }
}

static void fill_at_random(Run *run)
{
    int64_t vector[DIMS];

    for (uint64_t misses = 0; run->cpu_taken < 0.7 * run->cpu && misses < 100000;) {
        make_request(run, vector);
        bool is_placed = false;
        for (int tries = 0; tries < 200 && !is_placed; tries++) {
            uint32_t host = (uint32_t)(uniform(run) * run->n_hosts);
            is_placed = berth_place_take(run->place, host, vector) == BERTH_PLACE_OK;
            if (is_placed) {
                note(run, host, vector);
            }
        }
        misses += !is_placed;
    }
}

static void prepare(Run *run)
{
    for (int i = 0; i < SIZES; i++) {
        berth_place_prepare(run->place, run->policy, run->is_continuous ? NULL : run->sizes[i]);
    }
}

static void fill_by_policy(Run *run)
{
    int64_t vector[DIMS];

    for (uint64_t misses = 0; run->cpu_taken < 0.7 * run->cpu && misses < 100000;) {
        make_request(run, vector);
        uint32_t host = find(run, vector);
        if (host == BERTH_PLACE_NONE) {
            misses++;
            continue;
        }
        berth_place_take(run->place, host, vector);
        note(run, host, vector);
    }
}

static void pair(Run *run, uint64_t *ret_placing_ns, uint64_t *ret_leaving_ns)
{
    int64_t vector[DIMS];
    uint32_t host;

    depart(run, &host, vector);
    uint64_t start = now_ns();
    berth_place_give(run->place, host, vector);
    *ret_leaving_ns = now_ns() - start;

    make_request(run, vector);
    start = now_ns();
    host = find(run, vector);
    if (host != BERTH_PLACE_NONE) {
        berth_place_take(run->place, host, vector);
    }
    *ret_placing_ns = now_ns() - start;
    if (host != BERTH_PLACE_NONE) {
        note(run, host, vector);
    } else {
        run->refused++;
    }
}

/* Whether the system gave the processor to somebody else since the last call. */
static bool was_preempted(void)
{
    static long last;
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    bool is_new = usage.ru_nivcsw != last;
    last = usage.ru_nivcsw;
    return is_new;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void measure(Run *run, Result *result)
{
    g_autofree uint32_t *placing = g_new(uint32_t, run->pairs);
    uint64_t total = 0, placing_ns, leaving_ns, placed = 0, n = 0;

    for (uint64_t i = 0; i < run->churn; i++) {
        pair(run, &placing_ns, &leaving_ns);
    }
    was_preempted();
    for (uint64_t i = 0; i < run->pairs; i++) {
        pair(run, &placing_ns, &leaving_ns);
        uint64_t longest = MAX(placing_ns, leaving_ns);
        if (longest > LONG_NS && was_preempted()) {
            continue;
        }
        total += placing_ns + leaving_ns;
        placed += placing_ns;
        placing[n++] = (uint32_t)placing_ns;
        result->max_us = MAX(result->max_us, (double)longest / 1e3);
    }
    qsort(placing, n, sizeof *placing, compare_u32);
    result->pairs_per_s = (double)n * 1e9 / (double)total;
    result->mean_us = (double)placed / (double)n / 1e3;
    result->p50_us = placing[n / 2] / 1e3;
    result->p99_us = placing[n * 99 / 100] / 1e3;
    result->load = run->cpu_taken / run->cpu;
}

/* The same requests to the exhaustive search. */
static void compare(Run *run, Result *result)
{
    SimdScan *scan = simd_scan_new(run->place, run->n_hosts);
    int64_t vector[DIMS];
    uint64_t total = 0;

    for (uint64_t i = 0; i < CHECKS; i++) {
        make_request(run, vector);
        uint64_t start = now_ns();
        uint32_t host = simd_scan_find(scan, run->policy, vector);
        total += now_ns() - start;
        result->different += host != find(run, vector);
        result->checked++;
    }
    result->scan_us = (double)total / CHECKS / 1e3;
    simd_scan_free(scan);
}

static Result run_one(BerthPlacePolicy policy, bool is_continuous, uint32_t n_hosts, uint64_t pairs,
                      uint64_t churn)
{
    Run run = {.policy = policy,
               .is_continuous = is_continuous,
               .n_hosts = n_hosts,
               .pairs = pairs,
               .churn = churn};
    BerthPlaceOptions options = {
        .struct_size = sizeof options, .n_dims = DIMS, .expected_hosts = n_hosts};
    Result result = {0};

    run.random = g_rand_new_with_seed(1);
    run.vms_room = (size_t)n_hosts * 40 + 1000;
    run.vms = g_new(Vm, run.vms_room);
    make_sizes(&run);
    size_t before = resident_bytes();
    g_assert(berth_place_new(&options, &run.place) == BERTH_PLACE_OK);
    add_hosts(&run);
    if (is_continuous) {
        fill_at_random(&run);
        prepare(&run);
    } else {
        prepare(&run);
        fill_by_policy(&run);
    }
    measure(&run, &result);
    size_t vm_bytes = run.most_vms * sizeof *run.vms; /* so much of the table was touched */
    result.bytes_per_host =
        ((double)resident_bytes() - (double)before - (double)vm_bytes) / n_hosts;
    compare(&run, &result);
    berth_place_free(run.place);
    g_rand_free(run.random);
    g_free(run.vms);
    return result;
}

/* In a process of its own, so that memory is counted from nothing. */
static Result run_apart(BerthPlacePolicy policy, bool is_continuous, uint32_t n_hosts,
                        uint64_t pairs, uint64_t churn)
{
    int ends[2], status = 0;
    Result result;

    g_assert(pipe(ends) == 0);
    pid_t child = fork();
    g_assert(child >= 0);
    if (child == 0) {
        result = run_one(policy, is_continuous, n_hosts, pairs, churn);
        _exit(write(ends[1], &result, sizeof result) != sizeof result);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], &result, sizeof result);
    close(ends[0]);
    waitpid(child, &status, 0);
    if (got != sizeof result || status != 0) {
        fprintf(stderr, "bench-place: a run of %s ended early\n", berth_place_policy_name(policy));
        exit(1);
    }
    return result;
}

static void print_json(BerthPlacePolicy policy, bool is_continuous, uint32_t n_hosts,
                       const Result *r)
{
    printf("{\"policy\":\"%s\",\"mode\":\"%s\",\"hosts\":%u,\"pairs_per_s\":%.0f,\"mean_us\":%.3f,"
           "\"p50_us\":%.3f,\"p99_us\":%.3f,\"max_us\":%.1f,\"scan_us\":%.1f,"
           "\"bytes_per_host\":%.1f,\"load\":%.3f,\"checked\":%" G_GUINT64_FORMAT
           ",\"different\":%" G_GUINT64_FORMAT "}\n",
           berth_place_policy_name(policy), is_continuous ? "R" : "S", n_hosts, r->pairs_per_s,
           r->mean_us, r->p50_us, r->p99_us, r->max_us, r->scan_us, r->bytes_per_host, r->load,
           r->checked, r->different);
}

static void print_row(BerthPlacePolicy policy, bool is_continuous, uint32_t n_hosts,
                      const Result *r)
{
    printf("%-16s %s %8u %10.0f %8.2f %8.2f %8.2f %9.1f %9.1f %7.1f\n",
           berth_place_policy_name(policy), is_continuous ? "R" : "S", n_hosts, r->pairs_per_s,
           r->mean_us, r->p50_us, r->p99_us, r->max_us, r->scan_us, r->bytes_per_host);
}

int main(int argc, char **argv)
{
    g_autofree char *mode = NULL, *policy_name = NULL;
    int only_hosts = 0, pairs = 200000, churn = 20000;
    gboolean is_json = FALSE;
    const GOptionEntry entries[] = {
        {"mode", 0, 0, G_OPTION_ARG_STRING, &mode, "S: twenty sizes, R: continuous", "S|R"},
        {"policy", 0, 0, G_OPTION_ARG_STRING, &policy_name, "only this policy", "NAME"},
        {"hosts", 0, 0, G_OPTION_ARG_INT, &only_hosts, "only so many hosts", "N"},
        {"pairs", 0, 0, G_OPTION_ARG_INT, &pairs, "pairs to measure", "N"},
        {"churn", 0, 0, G_OPTION_ARG_INT, &churn, "pairs before that", "N"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &is_json, "a line of JSON for each run", NULL},
        {0}};
    static const int all_hosts[] = {10000, 100000, 1000000};
    g_autoptr(GOptionContext) context = g_option_context_new("- placements and an exhaustive scan");
    g_autoptr(GError) error = NULL;
    BerthPlacePolicy only = BERTH_PLACE_MIX;
    bool is_wrong = false;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "bench-place: %s\n", error->message);
        return 2;
    }
    if (policy_name != NULL && !berth_place_policy_from_name(policy_name, &only)) {
        fprintf(stderr, "bench-place: there is no policy %s\n", policy_name);
        return 2;
    }
    if (only_hosts < 0 || only_hosts > (int)BERTH_PLACE_MAX_HOSTS || pairs < 1 || churn < 0) {
        fprintf(stderr, "bench-place: --hosts, --pairs or --churn is out of its range\n");
        return 2;
    }
    if (!is_json) {
        printf("%-16s %s %8s %10s %8s %8s %8s %9s %9s %7s\n", "policy", "m", "hosts", "pairs/s",
               "mean us", "p50 us", "p99 us", "max us", "scan us", "B/host");
    }
    for (int m = 0; m < 2; m++) {
        for (int p = 0; p < BERTH_PLACE_MIX && (mode == NULL || mode[0] == "SR"[m]); p++) {
            for (int h = 0; h < 3 && (policy_name == NULL || p == (int)only); h++) {
                uint32_t n_hosts = (uint32_t)(only_hosts > 0 ? only_hosts : all_hosts[h]);
                if (only_hosts > 0 && h > 0) {
                    break;
                }
                Result result = run_apart((BerthPlacePolicy)p, m == 1, n_hosts, (uint64_t)pairs,
                                          (uint64_t)churn);
                (is_json ? print_json : print_row)((BerthPlacePolicy)p, m == 1, n_hosts, &result);
                fflush(stdout);
                if (result.different > 0) {
                    fprintf(stderr,
                            "bench-place: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                            " decisions differ from the scan\n",
                            result.different, result.checked);
                    is_wrong = true;
                }
            }
        }
    }
    return is_wrong;
}
