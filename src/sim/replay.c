#include "sim/replay.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "sim/output.h"
#include "sim/replay_chart.h"

#define MAX_SEEDS 1000

typedef struct {
    char *hosts, *trace, *policy, *arrival, *svg;
    double typical;
    gint64 seed, seeds;
    gboolean only_device_hosts, json;
    ReplayOptions options;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->hosts);
    g_free(arguments->trace);
    g_free(arguments->policy);
    g_free(arguments->arrival);
    g_free(arguments->svg);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

static bool choose_policy(Arguments *arguments, GError **error)
{
    ReplayOptions *options = &arguments->options;

    if (arguments->policy != NULL && strcmp(arguments->policy, "random") == 0) {
        options->random = true;
        return true;
    }
    if (arguments->policy == NULL ||
        !berth_place_policy_from_name(arguments->policy, &options->policy) ||
        options->policy == BERTH_PLACE_MIX) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--policy", arguments->policy,
                               "one of fragmentation, first-fit, most-free, least-free, cosine, "
                               "dot-product, l2-diff, l2-ratio, l2-ratio-spread, random",
                               arguments->policy == NULL ? "a policy is needed"
                                                         : "there is no such policy");
    }
    if (strcmp(arguments->policy, berth_place_policy_name(options->policy)) != 0) {
        fprintf(stderr, "berth-sim: %s is taken for %s (docs/placement.md)\n", arguments->policy,
                berth_place_policy_name(options->policy));
    }
    return true;
}

static bool choose_arrival(Arguments *arguments, GError **error)
{
    if (arguments->arrival == NULL) {
        return arguments->seeds == 1 ||
               berth_error_set(error, BERTH_ERROR_INVALID, "--seeds", NULL,
                               "add --arrival 100%, or leave --seeds out",
                               "a trace that is played as it is has no chance in it");
    }
    char *end;
    double percent = g_ascii_strtod(arguments->arrival, &end);
    if (end == arguments->arrival || (end[0] != '\0' && strcmp(end, "%") != 0) ||
        !(percent > 0 && percent <= 1000)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--arrival", arguments->arrival,
                               "write a percentage above 0, at most 1000%, such as 100%",
                               "not a share of the devices");
    }
    arguments->options.arrival_percent = percent;
    return true;
}

static bool check_arguments(Arguments *arguments, GError **error)
{
    if (arguments->hosts == NULL || arguments->trace == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID,
                               arguments->hosts == NULL ? "--hosts" : "--trace", NULL,
                               "give --hosts FILE and --trace FILE, both CSV", "a file is missing");
    }
    if (arguments->seeds < 1 || arguments->seeds > MAX_SEEDS) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--seeds", NULL, "1 to 1000",
                               "not a number of runs");
    }
    if (!(arguments->typical > 0 && arguments->typical <= 100)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--typical", NULL,
                               "a percentage above 0, at most 100", "not a share of the tasks");
    }
    arguments->options.typical_percent = arguments->typical;
    arguments->options.only_device_hosts = arguments->only_device_hosts;
    return (arguments->svg == NULL || output_check("--svg", arguments->svg, error)) &&
           choose_policy(arguments, error) && choose_arrival(arguments, error);
}

static bool parse_arguments(int argc, char **argv, Arguments *arguments, GError **error)
{
    const GOptionEntry entries[] = {
        {"hosts", 0, 0, G_OPTION_ARG_FILENAME, &arguments->hosts, "Hosts, as CSV", "FILE"},
        {"trace", 0, 0, G_OPTION_ARG_FILENAME, &arguments->trace, "Tasks, as CSV", "FILE"},
        {"policy", 0, 0, G_OPTION_ARG_STRING, &arguments->policy, "How to choose", "P"},
        {"arrival", 0, 0, G_OPTION_ARG_STRING, &arguments->arrival,
         "Shuffled tasks that stay, until they ask for so much of the devices", "PERCENT"},
        {"seed", 0, 0, G_OPTION_ARG_INT64, &arguments->seed, "Reproduces a shuffle", "S"},
        {"seeds", 0, 0, G_OPTION_ARG_INT64, &arguments->seeds, "Runs, with S and those after it",
         "N"},
        {"typical", 0, 0, G_OPTION_ARG_DOUBLE, &arguments->typical,
         "Of the tasks, that typical kinds cover [95]", "PERCENT"},
        {"only-device-hosts", 0, 0, G_OPTION_ARG_NONE, &arguments->only_device_hosts,
         "Leave out hosts without devices", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &arguments->json, "Everything as JSON", NULL},
        {"svg", 0, 0, G_OPTION_ARG_FILENAME, &arguments->svg, "A chart of the first run", "FILE"},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- a trace on a list of hosts");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error)) {
        return false;
    }
    if (argc > 1) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "arguments", argv[1],
                               "name files with --hosts and --trace", "not an option");
    }
    return check_arguments(arguments, error);
}

static void show(double done, void *user_data)
{
    const ReplayOptions *options = user_data;

    fprintf(stderr, "\r\033[Kseed %" G_GUINT64_FORMAT ": %.0f %%", options->seed, 100 * done);
    fflush(stderr);
}

static json_t *json_sample(const ReplaySample *sample)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "at", sample->at, "cpu_percent",
                     sample->percent[REPLAY_CPU], "memory_percent", sample->percent[REPLAY_MEMORY],
                     "gpu_percent", sample->percent[REPLAY_GPU], "fragment_percent",
                     sample->fragments, "arrived", (json_int_t)sample->arrived, "running",
                     (json_int_t)sample->running, "failed", (json_int_t)sample->failed);
}

static json_t *json_result(const ReplayResult *result, uint64_t seed)
{
    json_t *json = json_sample(&result->last), *samples = json_array();

    for (guint i = 0; i < result->samples->len; i++) {
        json_array_append_new(samples,
                              json_sample(&g_array_index(result->samples, ReplaySample, i)));
    }
    json_object_set_new(json, "seed", json_integer((json_int_t)seed));
    json_object_set_new(json, "mean_gpu_percent", json_real(result->mean_gpu_percent));
    json_object_set_new(json, "peak_gpu_percent", json_real(result->peak_gpu_percent));
    json_object_set_new(json, "seconds", json_real(result->seconds));
    json_object_set_new(json, "samples", samples);
    return json;
}

static void print_result(const ReplayResult *result, uint64_t seed)
{
    const ReplaySample *last = &result->last;

    printf("%6" G_GUINT64_FORMAT "%9.2f%9.2f%9.2f%11.2f%9.2f%9.2f%9u%9u%8.1f\n", seed,
           last->percent[REPLAY_GPU], last->percent[REPLAY_CPU], last->percent[REPLAY_MEMORY],
           last->fragments, result->mean_gpu_percent, result->peak_gpu_percent, last->arrived,
           last->failed, result->seconds);
    fflush(stdout);
}

static bool write_chart(const Arguments *arguments, const ReplayResult *result, GError **error)
{
    bool is_arrival = arguments->options.arrival_percent > 0;
    g_autofree char *base = g_path_get_basename(arguments->trace);
    g_autofree char *title = g_strdup_printf("%s, %s", base, arguments->policy);
    g_autofree char *svg = replay_chart(result, title, is_arrival);

    return g_file_set_contents(arguments->svg, svg, -1, error);
}

static bool play(Arguments *arguments, const ReplayTrace *trace, GError **error)
{
    ReplayOptions *options = &arguments->options;
    bool shows = isatty(STDERR_FILENO);
    json_t *runs = json_array();
    double sum = 0;

    options->progress = shows ? show : NULL;
    options->user_data = options;
    if (!arguments->json) {
        printf("%6s%9s%9s%9s%11s%9s%9s%9s%9s%8s\n", "seed", "GPU %", "CPU %", "memory %",
               "fragments %", "mean GPU", "peak GPU", "arrived", "failed", "s");
    }
    for (gint64 i = 0; i < arguments->seeds; i++) {
        options->seed = (uint64_t)(arguments->seed + i);
        g_autoptr(ReplayResult) result = replay_run(trace, options, error);
        if (shows) {
            fprintf(stderr, "\r\033[K");
        }
        if (result == NULL ||
            (i == 0 && arguments->svg != NULL && !write_chart(arguments, result, error))) {
            json_decref(runs);
            return false;
        }
        sum += result->last.percent[REPLAY_GPU];
        if (arguments->json) {
            json_array_append_new(runs, json_result(result, options->seed));
        } else {
            print_result(result, options->seed);
        }
    }
    double mean = sum / (double)arguments->seeds;
    if (arguments->json) {
        json_t *json = json_pack("{s:s, s:I, s:I, s:f, s:o}", "policy", arguments->policy, "hosts",
                                 (json_int_t)trace->hosts->len, "tasks",
                                 (json_int_t)trace->tasks->len, "gpu_percent", mean, "runs", runs);
        json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(8));
        putchar('\n');
        json_decref(json);
        return true;
    }
    if (arguments->seeds > 1) {
        printf("%6s%9.2f\n", "mean", mean);
    }
    json_decref(runs);
    return true;
}

int replay_command(int argc, char **argv)
{
    g_auto(Arguments) arguments = {.seed = 1, .seeds = 1, .typical = 95};
    g_autoptr(GError) error = NULL;

    if (parse_arguments(argc, argv, &arguments, &error)) {
        g_autoptr(ReplayTrace) trace = replay_trace_read(
            arguments.hosts, arguments.trace, arguments.options.arrival_percent == 0, &error);
        if (trace != NULL && play(&arguments, trace, &error)) {
            return 0;
        }
    }
    g_autofree char *text = berth_error_describe(error);
    fprintf(stderr, "berth-sim: %s\n", text);
    return 2;
}
