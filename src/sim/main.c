/*
 * berth-sim: Berth's own cores in virtual time.
 *
 *     berth-sim run FILE.yaml…               plays scenario files (docs/scenarios.md)
 *     berth-sim faults --hours H --seed S    random use and random faults against the invariants
 *     berth-sim pack FILE.vbp…               the fewest bins for vectors (sim/pack.h)
 *     berth-sim reassign --model M --initial A   moves between hosts, optimised
 *     berth-sim replay --hosts H --trace T       a trace of tasks on a list of hosts (sim/replay.h)
 *     berth-sim bench                        placements at up to a million hosts (sim/bench.h)
 *
 * Exit codes: 0 all holds; 1 a rule or an expectation does not; 2 wrong use or an unreadable file.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "sim/bench.h"
#include "sim/faults.h"
#include "sim/pack.h"
#include "sim/reassign.h"
#include "sim/replay.h"
#include "sim/scenario.h"

static void print_usage(FILE *out)
{
    fprintf(out, "usage: berth-sim run [--trace] FILE.yaml...\n"
                 "       berth-sim faults --hours H --seed S [--hosts N] [--bursts B] "
                 "[--rest-every H]\n                      [--jobs SHARE] [--faults SHARE] "
                 "[--backfill MODE] [--json] [--trace]\n"
                 "       berth-sim pack (--policy P | --improve SECONDS) [--order "
                 "file|decreasing]\n"
                 "                      [--seed S] [--iterations N] [--assignment] "
                 "FILE.vbp...\n"
                 "       berth-sim reassign --model FILE --initial FILE [--out FILE] "
                 "[--seconds S] [--cpu-seconds S]\n                      [--iterations N] [--seed "
                 "S] [--threads N] [--json]\n"
                 "       berth-sim replay --hosts FILE.csv --trace FILE.csv --policy P "
                 "[--arrival PERCENT]\n"
                 "                      [--seed S] [--seeds N] [--typical PERCENT] "
                 "[--only-device-hosts] [--json] [--svg FILE]\n"
                 "       berth-sim bench [--mode S|R] [--policy NAME] [--hosts N] [--pairs N] "
                 "[--churn N] [--json]\n");
}

static int usage(void)
{
    print_usage(stderr);
    return 2;
}

static int faults(int argc, char **argv)
{
    FaultsOptions options = {.hours = 100,
                             .seed = 1,
                             .hosts = FAULTS_HOSTS,
                             .bursts_per_host_hour = FAULTS_BURSTS_PER_HOST_HOUR,
                             .rest_every_hours = FAULTS_REST_EVERY_HOURS,
                             .jobs = FAULTS_JOBS,
                             .faults = FAULTS_SHARE};
    int64_t seed = 1;
    g_autofree char *backfill = NULL;
    gboolean json = FALSE, trace = FALSE;
    const GOptionEntry entries[] = {
        {"hours", 0, 0, G_OPTION_ARG_INT64, &options.hours, "Virtual hours of the cluster", "H"},
        {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "Reproduces a run", "S"},
        {"hosts", 0, 0, G_OPTION_ARG_INT, &options.hosts, "Hosts of the cluster", "N"},
        {"bursts", 0, 0, G_OPTION_ARG_DOUBLE, &options.bursts_per_host_hour,
         "Bursts of requests and faults, for each host in an hour", "B"},
        {"rest-every", 0, 0, G_OPTION_ARG_INT64, &options.rest_every_hours,
         "Hours from rest to rest", "H"},
        {"jobs", 0, 0, G_OPTION_ARG_DOUBLE, &options.jobs,
         "Share of jobs for a time in what is asked for", "SHARE"},
        {"faults", 0, 0, G_OPTION_ARG_DOUBLE, &options.faults,
         "Share of faults in what happens; 0: nothing goes wrong", "SHARE"},
        {"backfill", 0, 0, G_OPTION_ARG_STRING, &backfill, "easy, conservative or off", "MODE"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Figures as JSON", NULL},
        {"trace", 0, 0, G_OPTION_ARG_NONE, &trace, "Every event to standard error", NULL},
        {NULL},
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = g_option_context_new("- random use and random faults");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "berth-sim: %s\n", error->message);
        return 2;
    }
    if (argc > 1 || options.hours < 1 || options.hosts < 1 || options.hosts > 1000 ||
        options.rest_every_hours < 2 ||
        !(options.bursts_per_host_hour > 0 && options.bursts_per_host_hour <= 1000) ||
        !(options.jobs >= 0 && options.jobs <= 1) ||
        !(options.faults >= 0 && options.faults <= 1)) {
        return usage();
    }
    guint mode = 0;
    while (backfill != NULL && faults_backfills[mode] != NULL &&
           strcmp(faults_backfills[mode], backfill) != 0) {
        mode++;
    }
    if (faults_backfills[mode] == NULL) {
        return usage();
    }
    options.backfill = (ClusterBackfill)mode;
    options.seed = (uint64_t)seed;
    options.json = json;
    options.trace = trace;
    return faults_run(&options) ? 0 : 1;
}

static int run(int argc, char **argv)
{
    bool trace = argc > 1 && strcmp(argv[1], "--trace") == 0;
    int first = trace ? 2 : 1, worst = 0;
    if (argc <= first) {
        return usage();
    }
    for (int i = first; i < argc; i++) {
        g_autoptr(GError) error = NULL;
        ScenarioResult result = scenario_run(argv[i], trace, &error);
        if (result == SCENARIO_HOLDS) {
            printf("ok      %s\n", argv[i]);
            continue;
        }
        g_autofree char *text = berth_error_describe(error);
        printf("%s %s\n%s\n", result == SCENARIO_FAILS ? "FAILS  " : "NO FILE", argv[i], text);
        worst = MAX(worst, result == SCENARIO_FAILS ? 1 : 2);
    }
    return worst;
}

int main(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_usage(stdout);
        return 0;
    }
    if (argc >= 2 && strcmp(argv[1], "faults") == 0) {
        return faults(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "pack") == 0) {
        return pack_command(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "reassign") == 0) {
        return reassign_main(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "replay") == 0) {
        return replay_command(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "bench") == 0) {
        return bench_main(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "run") == 0) {
        return run(argc - 1, argv + 1);
    }
    if (argc >= 2) {
        fprintf(stderr, "berth-sim: there is no command '%s'\n", argv[1]);
    }
    return usage();
}
