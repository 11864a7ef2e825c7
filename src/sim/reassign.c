#include "sim/reassign.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "sim/output.h"
#include "sim/reassign_model.h"

#define DEFAULT_SECONDS 300
#define MAX_SECONDS 1e6

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BerthReassign, berth_reassign_free)

typedef struct {
    char *model, *initial, *out;
    double seconds, cpu_seconds;
    int64_t iterations, seed;
    int threads;
    gboolean json;
} Arguments;

static volatile int stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void catch_signals(bool catch)
{
    struct sigaction action = {.sa_handler = catch ? on_signal : SIG_DFL};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* A search that is limited otherwise has all the time that it takes. */
static bool set_limits(Arguments *arguments, GError **error)
{
    if (isnan(arguments->seconds)) {
        arguments->seconds = arguments->cpu_seconds > 0 ? 0 : DEFAULT_SECONDS;
    }
    if (!(arguments->seconds >= 0 && arguments->seconds <= MAX_SECONDS) ||
        !(arguments->cpu_seconds >= 0 && arguments->cpu_seconds <= MAX_SECONDS) ||
        arguments->iterations < 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--seconds, --cpu-seconds, --iterations",
                               NULL, "seconds up to 1000000, moves from 0",
                               "no limit for a search");
    }
    return true;
}

static bool parse_arguments(int argc, char **argv, Arguments *arguments, GError **error)
{
    const GOptionEntry entries[] = {
        {"model", 0, 0, G_OPTION_ARG_FILENAME, &arguments->model, "Machines and processes", "FILE"},
        {"initial", 0, 0, G_OPTION_ARG_FILENAME, &arguments->initial, "Where processes run",
         "FILE"},
        {"out", 0, 0, G_OPTION_ARG_FILENAME, &arguments->out, "Where to write the best", "FILE"},
        {"seconds", 0, 0, G_OPTION_ARG_DOUBLE, &arguments->seconds,
         "How long to search (default 300); 0: only judge, or as the other limits say", "S"},
        {"cpu-seconds", 0, 0, G_OPTION_ARG_DOUBLE, &arguments->cpu_seconds,
         "Processor time of each thread, instead of time that passes; 0: no limit", "S"},
        {"iterations", 0, 0, G_OPTION_ARG_INT64, &arguments->iterations,
         "Moves to look at, each thread; 0: no limit", "N"},
        {"seed", 0, 0, G_OPTION_ARG_INT64, &arguments->seed, "Reproduces a run of N moves", "S"},
        {"threads", 0, 0, G_OPTION_ARG_INT, &arguments->threads, "Searches at a time", "N"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &arguments->json, "Figures as JSON", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- moves between hosts, optimised");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error)) {
        return false;
    }
    if (argc > 1) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "arguments", argv[1],
                               "name files with --model, --initial and --out", "not an option");
    }
    if (arguments->model == NULL || arguments->initial == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID,
                               arguments->model == NULL ? "--model" : "--initial", NULL,
                               "give --model FILE and --initial FILE", "a file is missing");
    }
    if (arguments->threads < 1 || arguments->threads > BERTH_REASSIGN_MAX_THREADS) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--threads", NULL, "give 1 to 64",
                               "no number of threads");
    }
    return (arguments->out == NULL || output_check("--out", arguments->out, error)) &&
           set_limits(arguments, error);
}

static ReassignModel *read_model(const Arguments *arguments, GError **error)
{
    g_autofree char *text = NULL;
    gsize size;

    if (!g_file_get_contents(arguments->model, &text, &size, error)) {
        return NULL;
    }
    g_autoptr(ReassignModel) model = reassign_model_parse(arguments->model, text, size, error);
    if (model == NULL) {
        return NULL;
    }
    g_autofree char *initial = NULL;
    if (!g_file_get_contents(arguments->initial, &initial, &size, error)) {
        return NULL;
    }
    uint32_t *assignment =
        reassign_assignment_parse(model, arguments->initial, initial, size, error);
    if (assignment == NULL) {
        return NULL;
    }
    model->model.initial = assignment;
    g_ptr_array_add(model->owned, assignment);
    return g_steal_pointer(&model);
}

static bool on_progress(const BerthReassignProgress *progress, void *user_data)
{
    (void)user_data;
    fprintf(stderr, "\r%8.1f s  %12" G_GUINT64_FORMAT " moves  cost %" G_GINT64_FORMAT "\033[K",
            progress->seconds, progress->iterations, progress->cost);
    return true;
}

static char *describe_violation(const BerthReassignViolation *violation)
{
    const char *name = berth_reassign_constraint_name(violation->constraint);
    switch (violation->constraint) {
    case BERTH_REASSIGN_CAPACITY:
    case BERTH_REASSIGN_TRANSIENT:
        return g_strdup_printf("%s: machine %u holds %" G_GINT64_FORMAT
                               " of resource %u more than it has",
                               name, violation->machine, violation->amount, violation->resource);
    case BERTH_REASSIGN_CONFLICT:
        return g_strdup_printf("%s: process %u shares machine %u with another of service %u", name,
                               violation->process, violation->machine, violation->service);
    case BERTH_REASSIGN_SPREAD:
        return g_strdup_printf("%s: service %u is in %" G_GINT64_FORMAT " locations too few", name,
                               violation->service, violation->amount);
    case BERTH_REASSIGN_DEPENDENCY:
        return g_strdup_printf(
            "%s: process %u on machine %u has no service %u in its neighbourhood", name,
            violation->process, violation->machine, violation->needs);
    }
    return g_strdup(name);
}

static json_t *cost_json(const BerthReassignCost *cost)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)cost->total, "load",
                     (json_int_t)cost->load, "balance", (json_int_t)cost->balance, "process_move",
                     (json_int_t)cost->process_move, "service_move", (json_int_t)cost->service_move,
                     "machine_move", (json_int_t)cost->machine_move);
}

static void print_json(const BerthReassignCost *initial, const BerthReassignCost *final,
                       const BerthReassignOutcome *outcome)
{
    json_t *json = json_pack("{s:o, s:o, s:I, s:f, s:f}", "initial", cost_json(initial), "cost",
                             cost_json(final), "moves", (json_int_t)outcome->iterations, "seconds",
                             outcome->seconds, "cpu_seconds", outcome->cpu_seconds);
    g_autofree char *text = json_dumps(json, JSON_INDENT(2));
    puts(text);
    json_decref(json);
}

static void print_part(const char *name, int64_t initial, int64_t final)
{
    printf("%-14s%20" G_GINT64_FORMAT "%20" G_GINT64_FORMAT "\n", name, initial, final);
}

static void print_text(const BerthReassignCost *initial, const BerthReassignCost *final,
                       const BerthReassignOutcome *outcome)
{
    printf("%-14s%20s%20s\n", "cost", "initial", "now");
    print_part("load", initial->load, final->load);
    print_part("balance", initial->balance, final->balance);
    print_part("process moves", initial->process_move, final->process_move);
    print_part("service moves", initial->service_move, final->service_move);
    print_part("machine moves", initial->machine_move, final->machine_move);
    print_part("total", initial->total, final->total);
    printf("%" G_GUINT64_FORMAT " moves looked at in %.1f s, %.1f s of processors%s\n",
           outcome->iterations, outcome->seconds, outcome->cpu_seconds, stop ? ", stopped" : "");
}

/* Searches, if it is asked to; `assignment` is the initial one. */
static bool search(const Arguments *arguments, const BerthReassign *problem, uint32_t *assignment,
                   BerthReassignOutcome *outcome, GError **error)
{
    if (arguments->seconds == 0 && arguments->cpu_seconds == 0 && arguments->iterations == 0) {
        return true;
    }
    bool shows = !arguments->json && isatty(STDERR_FILENO);
    BerthReassignOptions options = {
        .struct_size = sizeof options,
        .threads = (uint32_t)arguments->threads,
        .seconds = arguments->seconds,
        .cpu_seconds = arguments->cpu_seconds,
        .iterations = (uint64_t)arguments->iterations,
        .seed = (uint64_t)arguments->seed,
        .progress = shows ? on_progress : NULL,
        .stop = &stop,
    };
    catch_signals(true);
    BerthReassignResult result = berth_reassign_solve(problem, &options, assignment, outcome);
    catch_signals(false);
    if (shows) {
        fprintf(stderr, "\r\033[K");
    }
    return result == BERTH_REASSIGN_OK ||
           berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL, "search: %s",
                           berth_reassign_strerror(result));
}

static bool optimise(const Arguments *arguments, const ReassignModel *model,
                     const BerthReassign *problem, GError **error)
{
    BerthReassignCost initial = {.struct_size = sizeof initial}, final = initial;
    BerthReassignOutcome outcome = {.struct_size = sizeof outcome};
    uint32_t n = model->model.n_processes;
    g_autofree uint32_t *assignment = g_new0(uint32_t, MAX(n, 1));

    memcpy(assignment, model->model.initial, n * sizeof *assignment);
    if (!search(arguments, problem, assignment, &outcome, error)) {
        return false;
    }
    if (berth_reassign_cost(problem, model->model.initial, &initial) != BERTH_REASSIGN_OK ||
        berth_reassign_cost(problem, assignment, &final) != BERTH_REASSIGN_OK) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL, "out of memory");
    }
    if (arguments->out != NULL) {
        g_autofree char *text = reassign_assignment_dump(assignment, n);
        if (!g_file_set_contents(arguments->out, text, -1, error)) {
            return false;
        }
    }
    (arguments->json ? print_json : print_text)(&initial, &final, &outcome);
    return true;
}

static int complain(const GError *error, int code)
{
    g_autofree char *text = berth_error_describe(error);
    fprintf(stderr, "berth-sim: %s\n", text);
    return code;
}

static int reassign(const Arguments *arguments, GError **error)
{
    g_autoptr(ReassignModel) model = read_model(arguments, error);
    if (model == NULL) {
        return 2;
    }
    g_autoptr(BerthReassign) problem = NULL;
    BerthReassignResult made = berth_reassign_new(&model->model, &problem);
    if (made != BERTH_REASSIGN_OK) {
        berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, NULL, "%s: %s", arguments->model,
                        berth_reassign_strerror(made));
        return 2;
    }
    BerthReassignViolation violation = {.struct_size = sizeof violation};
    BerthReassignResult checked = berth_reassign_check(problem, model->model.initial, &violation);
    if (checked == BERTH_REASSIGN_VIOLATED) {
        g_autofree char *text = describe_violation(&violation);
        berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                        "start from an assignment that keeps all constraints", "%s breaks %s",
                        arguments->initial, text);
        return 1;
    }
    return optimise(arguments, model, problem, error) ? 0 : 2;
}

int reassign_main(int argc, char **argv)
{
    Arguments arguments = {.seconds = NAN, .seed = 1, .threads = 1};
    g_autoptr(GError) error = NULL;
    int code = 2;

    if (parse_arguments(argc, argv, &arguments, &error)) {
        code = reassign(&arguments, &error);
    }
    g_free(arguments.model);
    g_free(arguments.initial);
    g_free(arguments.out);
    return error != NULL ? complain(error, code) : code;
}
