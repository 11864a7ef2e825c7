#include "sim/bench.h"

#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "place/file.h"
#include "sim/bench_fleet.h"
#include "sim/simd_scan.h"

#define CHECKS 100
#define ALL_HOSTS (-1) /* of every fleet */
#define TRIES 20       /* what-ifs, of which the median is told */
#define CHANGES 10     /* of a what-if */
#define LONG_NS 300000 /* what takes longer may be a pause of the whole program */

typedef struct {
    BerthPlacePolicy policy;
    bool is_continuous;
    uint32_t n_hosts;
    uint64_t pairs, churn;
} Plan;

typedef struct {
    double pairs_per_s, p50_us, p99_us, max_us, mean_us, scan_us, bytes_per_host, load;
    double plain_us, ruled_us; /* mean of a placement in a tree, without rules and with them */
    double what_if_us, save_ms, load_ms, file_mb;
    uint64_t checked, different;
} Result;

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

typedef struct {
    double placing_us, both_us, p50_us, p99_us, max_us; /* means, quantiles of placing, longest */
} Times;

static Times measure(BenchFleet *fleet, uint64_t pairs)
{
    g_autofree uint32_t *placing = g_new(uint32_t, pairs);
    uint64_t total = 0, placing_ns, leaving_ns, placed = 0, n = 0;
    Times times = {0};

    was_preempted();
    for (uint64_t i = 0; i < pairs; i++) {
        bench_fleet_pair(fleet, &placing_ns, &leaving_ns);
        uint64_t longest = MAX(placing_ns, leaving_ns);
        if (longest > LONG_NS && was_preempted()) {
            continue;
        }
        total += placing_ns + leaving_ns;
        placed += placing_ns;
        placing[n++] = (uint32_t)placing_ns;
        times.max_us = MAX(times.max_us, (double)longest / 1e3);
    }
    qsort(placing, n, sizeof *placing, compare_u32);
    times.both_us = (double)total / (double)n / 1e3;
    times.placing_us = (double)placed / (double)n / 1e3;
    size_t p50 = n / 2, p99 = n * 99 / 100;
    times.p50_us = placing[p50] / 1e3;
    times.p99_us = placing[p99] / 1e3;
    return times;
}

static void churn(BenchFleet *fleet, uint64_t pairs)
{
    uint64_t placing_ns, leaving_ns;

    for (uint64_t i = 0; i < pairs; i++) {
        bench_fleet_pair(fleet, &placing_ns, &leaving_ns);
    }
}

/* The same requests to the exhaustive search. */
static void compare(BenchFleet *fleet, Result *result)
{
    SimdScan *scan = fleet->has_devices ? NULL : simd_scan_new(fleet->place, fleet->n_hosts);
    int64_t vector[BENCH_DIMS];
    uint64_t total = 0;

    for (uint64_t i = 0; i < CHECKS; i++) {
        uint64_t start, took_ns;
        uint32_t host;
        bench_fleet_request(fleet, vector);
        if (scan != NULL) {
            start = bench_now_ns();
            host = simd_scan_find(scan, fleet->policy, vector);
            took_ns = bench_now_ns() - start;
        } else {
            host = bench_fleet_scan(fleet, vector, &took_ns);
        }
        total += took_ns;
        result->different += host != bench_fleet_find(fleet, vector, BERTH_PLACE_NONE, NULL);
        result->checked++;
    }
    result->scan_us = (double)total / CHECKS / 1e3;
    if (scan != NULL) {
        simd_scan_free(scan);
    }
}

/* Hosts fail and VMs come, ten changes with a question after each, and all is undone. */
static double what_if_us(BenchFleet *fleet)
{
    uint32_t times[TRIES];
    int64_t vector[BENCH_DIMS];

    for (int i = 0; i < TRIES; i++) {
        bench_fleet_request(fleet, vector);
        uint64_t start = bench_now_ns();
        g_assert(berth_place_begin(fleet->place) == BERTH_PLACE_OK);
        for (int k = 0; k < CHANGES; k++) {
            uint32_t host = bench_fleet_find(fleet, vector, BERTH_PLACE_NONE, NULL);
            if (host == BERTH_PLACE_NONE) {
                break;
            }
            if (k % 2 == 0) {
                berth_place_set_enabled(fleet->place, host, false);
            } else {
                berth_place_take(fleet->place, host, vector);
            }
        }
        berth_place_rollback(fleet->place);
        times[i] = (uint32_t)(bench_now_ns() - start);
    }
    qsort(times, TRIES, sizeof *times, compare_u32);
    size_t median = TRIES / 2;
    return times[median] / 1e3;
}

static void save_and_load(BenchFleet *fleet, Result *result)
{
    BerthPlace *loaded = NULL;
    size_t length = 0;

    berth_place_save_bytes(fleet->place, NULL, 0, &length);
    g_autofree void *bytes = g_malloc(length);
    uint64_t start = bench_now_ns();
    g_assert(berth_place_save_bytes(fleet->place, bytes, length, &length) == BERTH_PLACE_OK);
    result->save_ms = (double)(bench_now_ns() - start) / 1e6;
    start = bench_now_ns();
    g_assert(berth_place_load(bytes, length, &loaded, NULL) == BERTH_PLACE_OK);
    result->load_ms = (double)(bench_now_ns() - start) / 1e6;
    result->file_mb = (double)length / 1e6;
    berth_place_free(loaded);
}

static void measure_rules(BenchFleet *fleet, uint64_t pairs, Result *result)
{
    bench_fleet_add_rules(fleet);
    churn(fleet, pairs / 10);
    result->plain_us = measure(fleet, pairs).placing_us;
    fleet->has_groups = true;
    churn(fleet, pairs / 10);
    result->ruled_us = measure(fleet, pairs).placing_us;
}

static Result run_one(const Plan *plan)
{
    BenchFleet fleet;
    Result result = {0};

    bench_fleet_init(&fleet, plan->policy, plan->is_continuous, plan->n_hosts);
    size_t before = resident_bytes();
    bench_fleet_fill(&fleet);
    churn(&fleet, plan->churn);
    Times times = measure(&fleet, plan->pairs);
    size_t vm_bytes = fleet.most_vms * sizeof *fleet.vms; /* so much of the table was touched */
    result.bytes_per_host =
        ((double)resident_bytes() - (double)before - (double)vm_bytes) / plan->n_hosts;
    result.pairs_per_s = 1e6 / times.both_us;
    result.mean_us = times.placing_us;
    result.p50_us = times.p50_us;
    result.p99_us = times.p99_us;
    result.max_us = times.max_us;
    result.load = fleet.cpu_taken / fleet.cpu;
    compare(&fleet, &result);
    result.what_if_us = what_if_us(&fleet);
    save_and_load(&fleet, &result);
    measure_rules(&fleet, plan->pairs, &result);
    bench_fleet_clear(&fleet);
    return result;
}

/* In a process of its own, so that memory is counted from nothing. */
static Result run_apart(const Plan *plan)
{
    int ends[2], status = 0;
    Result result;

    g_assert(pipe(ends) == 0);
    pid_t child = fork();
    g_assert(child >= 0);
    if (child == 0) {
        result = run_one(plan);
        _exit(write(ends[1], &result, sizeof result) != sizeof result);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], &result, sizeof result);
    close(ends[0]);
    waitpid(child, &status, 0);
    if (got != sizeof result || status != 0) {
        fprintf(stderr, "bench: a run of %s ended early\n", berth_place_policy_name(plan->policy));
        exit(1);
    }
    return result;
}

static void print_json(const Plan *plan, const Result *r)
{
    printf("{\"policy\":\"%s\",\"mode\":\"%s\",\"hosts\":%u,\"pairs_per_s\":%.0f,\"mean_us\":%.3f,"
           "\"p50_us\":%.3f,\"p99_us\":%.3f,\"max_us\":%.1f,\"scan_us\":%.1f,"
           "\"bytes_per_host\":%.1f,\"load\":%.3f,\"plain_us\":%.3f,\"ruled_us\":%.3f,"
           "\"what_if_us\":%.1f,\"save_ms\":%.1f,\"load_ms\":%.1f,\"file_mb\":%.1f,"
           "\"checked\":%" G_GUINT64_FORMAT ",\"different\":%" G_GUINT64_FORMAT "}\n",
           berth_place_policy_name(plan->policy), plan->is_continuous ? "R" : "S", plan->n_hosts,
           r->pairs_per_s, r->mean_us, r->p50_us, r->p99_us, r->max_us, r->scan_us,
           r->bytes_per_host, r->load, r->plain_us, r->ruled_us, r->what_if_us, r->save_ms,
           r->load_ms, r->file_mb, r->checked, r->different);
}

static void print_head(void)
{
    printf("%-16s %s %8s %10s %8s %8s %8s %9s %9s %7s %8s %6s %8s %7s %7s\n", "policy", "m",
           "hosts", "pairs/s", "mean us", "p50 us", "p99 us", "max us", "scan us", "B/host",
           "rules us", "times", "what if", "save ms", "load ms");
}

static void print_row(const Plan *plan, const Result *r)
{
    printf(
        "%-16s %s %8u %10.0f %8.2f %8.2f %8.2f %9.1f %9.1f %7.1f %8.2f %6.2f %8.1f %7.0f %7.0f\n",
        berth_place_policy_name(plan->policy), plan->is_continuous ? "R" : "S", plan->n_hosts,
        r->pairs_per_s, r->mean_us, r->p50_us, r->p99_us, r->max_us, r->scan_us, r->bytes_per_host,
        r->ruled_us, r->ruled_us / r->plain_us, r->what_if_us, r->save_ms, r->load_ms);
}

/* False: a decision was another than the scan's. */
static bool run_and_print(const Plan *plan, bool is_json)
{
    Result result = run_apart(plan);

    (is_json ? print_json : print_row)(plan, &result);
    fflush(stdout);
    if (result.different > 0) {
        fprintf(stderr,
                "bench: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                " decisions differ from the scan\n",
                result.different, result.checked);
    }
    return result.different == 0;
}

/* Fleets with devices are smaller, and a placement takes longer. False: not measured, as hosts that are all
 * unlike are scanned. */
static bool scale_for_devices(Plan *plan, bool has_hosts)
{
    if (plan->policy != BERTH_PLACE_FRAGMENTATION) {
        return true;
    }
    plan->n_hosts /= has_hosts ? 1 : 10;
    plan->pairs = MAX(plan->pairs / 100, 1);
    plan->churn /= 100;
    return !plan->is_continuous;
}

/* What was asked for on the command line. */
typedef struct {
    char *mode, *policy;
    int hosts, pairs, churn;
    gboolean json;
    BerthPlacePolicy only; /* of `policy` */
} Asked;

static void asked_clear(Asked *asked)
{
    g_free(asked->mode);
    g_free(asked->policy);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Asked, asked_clear)

static bool check_number(const char *option, int number, int least, int most, GError **error)
{
    g_autofree char *value = g_strdup_printf("%d", number);
    g_autofree char *remedy = g_strdup_printf("a whole number from %d to %d", least, most);
    return (number >= least && number <= most) ||
           berth_error_set(error, BERTH_ERROR_INVALID, option, value, remedy,
                           "the number is out of its range");
}

static bool check_asked(Asked *asked, GError **error)
{
    if (asked->mode != NULL && strcmp(asked->mode, "S") != 0 && strcmp(asked->mode, "R") != 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--mode", asked->mode, "S or R",
                               "there is no such mode");
    }
    if (asked->policy != NULL && (!berth_place_policy_from_name(asked->policy, &asked->only) ||
                                  asked->only == BERTH_PLACE_MIX)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--policy", asked->policy,
                               "one of most-free, least-free, first-fit, cosine, dot-product, "
                               "l2-diff, l2-ratio, l2-ratio-spread, fragmentation",
                               "there is no such policy");
    }
    return (asked->hosts == ALL_HOSTS ||
            check_number("--hosts", asked->hosts, 1, (int)BERTH_PLACE_MAX_HOSTS, error)) &&
           check_number("--pairs", asked->pairs, 1, INT_MAX, error) &&
           check_number("--churn", asked->churn, 0, INT_MAX, error);
}

static bool read_asked(int argc, char **argv, Asked *asked, GError **error)
{
    const GOptionEntry entries[] = {
        {"mode", 0, 0, G_OPTION_ARG_STRING, &asked->mode, "S: twenty sizes, R: continuous", "S|R"},
        {"policy", 0, 0, G_OPTION_ARG_STRING, &asked->policy, "only this policy", "NAME"},
        {"hosts", 0, 0, G_OPTION_ARG_INT, &asked->hosts, "only so many hosts", "N"},
        {"pairs", 0, 0, G_OPTION_ARG_INT, &asked->pairs, "pairs to measure", "N"},
        {"churn", 0, 0, G_OPTION_ARG_INT, &asked->churn, "pairs before that", "N"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &asked->json, "a line of JSON for each run", NULL},
        {0}};
    g_autoptr(GOptionContext) context = g_option_context_new("- placements and an exhaustive scan");

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error)) {
        return false;
    }
    if (argc > 1) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "arguments", argv[1],
                               "--help lists the options", "not an option");
    }
    return check_asked(asked, error);
}

static bool run_mode(const Asked *asked, bool is_continuous)
{
    static const uint32_t all_hosts[] = {10000, 100000, 1000000};
    bool one = asked->hosts != ALL_HOSTS, is_right = true;

    for (int p = 0; p < BERTH_PLACE_N_POLICIES; p++) {
        for (int h = 0; h < 3 && (asked->policy == NULL || p == (int)asked->only); h++) {
            Plan plan = {.policy = (BerthPlacePolicy)p,
                         .is_continuous = is_continuous,
                         .n_hosts = one ? (uint32_t)asked->hosts : all_hosts[h],
                         .pairs = (uint64_t)asked->pairs,
                         .churn = (uint64_t)asked->churn};
            if (p == BERTH_PLACE_MIX || (one && h > 0) || !scale_for_devices(&plan, one)) {
                break;
            }
            is_right = run_and_print(&plan, asked->json) && is_right;
        }
    }
    return is_right;
}

int bench_main(int argc, char **argv)
{
    g_auto(Asked) asked = {.hosts = ALL_HOSTS, .pairs = 200000, .churn = 20000};
    g_autoptr(GError) error = NULL;
    bool is_right = true;

    if (!read_asked(argc, argv, &asked, &error)) {
        g_autofree char *text = berth_error_describe(error);
        fprintf(stderr, "bench: %s\n", text);
        return 2;
    }
    if (!asked.json) {
        print_head();
    }
    for (int m = 0; m < 2; m++) {
        if (asked.mode == NULL || asked.mode[0] == "SR"[m]) {
            is_right = run_mode(&asked, m == 1) && is_right;
        }
    }
    return is_right ? 0 : 1;
}
