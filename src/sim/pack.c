#include "sim/pack.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "sim/vbp.h"

#define MAX_SECONDS 1e6

typedef struct {
    BerthPackOptions options;
    gboolean assignment;
    char **files;
} Command;

/* What the progress line needs. */
typedef struct {
    const char *file;
    bool terminal;
} Watch;

static uint64_t now_ns(void *user_data)
{
    return (uint64_t)g_get_monotonic_time() * 1000;
}

static void show(uint32_t n_bins, uint32_t lower_bound, void *user_data)
{
    const Watch *watch = user_data;

    if (watch->terminal) {
        fprintf(stderr, "\r\033[K%s: %u bins, at least %u", watch->file, n_bins, lower_bound);
        fflush(stderr);
    }
}

static bool choose_method(Command *command, const char *policy, double seconds, GError **error)
{
    BerthPackOptions *options = &command->options;

    if ((policy != NULL) == (seconds > 0 || options->max_iterations > 0)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                               "give --policy P, or --improve SECONDS",
                               "either a policy or a time to improve is needed");
    }
    if (policy == NULL) {
        options->method = BERTH_PACK_IMPROVE;
        options->budget_ns = seconds > 0 ? (uint64_t)(seconds * 1e9) : UINT64_MAX;
        return true;
    }
    if (!berth_pack_method_from_name(policy, &options->method) ||
        options->method == BERTH_PACK_IMPROVE) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--policy", policy,
                               "one of ffd-prod, ffd-sum, fill-dot, fill-dot-dynamic, fill-l2, "
                               "fill-l2-dynamic, first-fit, most-free, least-free, cosine, "
                               "dot-product, l2-diff, l2-ratio, l2-ratio-spread",
                               "there is no such policy");
    }
    if (strcmp(policy, berth_pack_method_name(options->method)) != 0) {
        fprintf(stderr, "berth-sim: %s is taken for %s (docs/placement.md)\n", policy,
                berth_pack_method_name(options->method));
    }
    return true;
}

static bool choose_order(Command *command, const char *order, GError **error)
{
    if (order == NULL || strcmp(order, "file") == 0) {
        command->options.order = BERTH_PACK_ORDER_GIVEN;
    } else if (strcmp(order, "decreasing") == 0) {
        command->options.order = BERTH_PACK_ORDER_DECREASING;
    } else {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--order", order, "file or decreasing",
                               "there is no such order");
    }
    return true;
}

static bool parse_command(int argc, char **argv, Command *command, GError **error)
{
    g_autofree char *policy = NULL, *order = NULL;
    double seconds = NAN;
    gint64 seed = 1, iterations = 0;
    const GOptionEntry entries[] = {
        {"policy", 0, 0, G_OPTION_ARG_STRING, &policy, "How to choose", "P"},
        {"improve", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "Search for so long", "SECONDS"},
        {"iterations", 0, 0, G_OPTION_ARG_INT64, &iterations, "Search so much", "N"},
        {"order", 0, 0, G_OPTION_ARG_STRING, &order, "file or decreasing", "ORDER"},
        {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "Reproduces a search", "S"},
        {"assignment", 0, 0, G_OPTION_ARG_NONE, &command->assignment, "Print the bins", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &command->files, NULL, "FILE.vbp…"},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- the fewest bins for vectors");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error)) {
        return false;
    }
    if (command->files == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                               "name one or more .vbp files", "there is nothing to pack");
    }
    if (!isnan(seconds) && !(seconds > 0 && seconds <= MAX_SECONDS)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--improve", NULL,
                               "seconds above 0, at most 1000000", "not a time to improve");
    }
    if (iterations < 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--iterations", NULL, "a number above 0",
                               "not a number of iterations");
    }
    command->options = (BerthPackOptions){.struct_size = sizeof command->options,
                                          .seed = (uint64_t)seed,
                                          .max_iterations = (uint64_t)iterations,
                                          .clock = now_ns};
    return choose_method(command, policy, isnan(seconds) ? 0 : seconds, error) &&
           choose_order(command, order, error);
}

static void print(const Command *command, const char *file, const Vbp *vbp, const uint32_t *bins,
                  const BerthPackAnswer *answer, double seconds)
{
    json_t *json = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:f}", "file", file, "policy",
                             berth_pack_method_name(command->options.method), "items",
                             (json_int_t)vbp->n_items, "bins", (json_int_t)answer->n_bins,
                             "lower_bound", (json_int_t)answer->lower_bound, "optimal",
                             answer->n_bins == answer->lower_bound, "seconds", seconds);

    if (command->options.method == BERTH_PACK_IMPROVE) {
        json_object_set_new(json, "iterations", json_integer((json_int_t)answer->iterations));
    }
    if (command->assignment) {
        json_t *assignment = json_array();

        for (uint32_t i = 0; i < vbp->n_items; i++) {
            json_array_append_new(assignment, json_integer(bins[i]));
        }
        json_object_set_new(json, "assignment", assignment);
    }
    json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    fflush(stdout);
    json_decref(json);
}

/* Packs, checks and prints. */
static bool pack(const Command *command, const char *file, const Vbp *vbp, GError **error)
{
    g_autofree uint32_t *bins = g_new0(uint32_t, (gsize)vbp->n_items + 1);
    BerthPackAnswer answer = {.struct_size = sizeof answer};
    BerthPackOptions options = command->options;
    Watch watch = {.file = file, .terminal = isatty(STDERR_FILENO)};

    options.progress = show;
    options.user_data = &watch;
    uint64_t begun = now_ns(NULL);
    BerthPlaceResult result = berth_pack(&vbp->problem, &options, bins, &answer);
    double seconds = (double)(now_ns(NULL) - begun) * 1e-9;

    if (watch.terminal) {
        fprintf(stderr, "\r\033[K");
    }
    if (result != BERTH_PLACE_OK) {
        return berth_error_set(error, BERTH_ERROR_NO_CAPACITY, NULL, NULL,
                               "look for items that no bin can hold, or for extreme sizes",
                               "%s cannot be packed: %s", file, berth_place_strerror(result));
    }
    const char *wrong = berth_pack_check(&vbp->problem, bins, answer.n_bins);
    if (wrong != NULL || answer.lower_bound > answer.n_bins) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL,
                               "please report it with the file",
                               "%s: the packing found is wrong: %s", file,
                               wrong != NULL ? wrong : "it has fewer bins than was proven needed");
    }
    print(command, file, vbp, bins, &answer, seconds);
    return true;
}

static int pack_file(const Command *command, const char *file, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;

    if (!g_file_get_contents(file, &text, &length, error)) {
        return 2;
    }
    g_autoptr(Vbp) vbp = vbp_parse(file, text, length, error);
    if (vbp == NULL) {
        return 2;
    }
    return pack(command, file, vbp, error) ? 0 : 1;
}

int pack_command(int argc, char **argv)
{
    Command command = {0};
    g_autoptr(GError) wrong = NULL;
    int worst = 0;

    if (!parse_command(argc, argv, &command, &wrong)) {
        g_autofree char *text = berth_error_describe(wrong);
        fprintf(stderr, "berth-sim: %s\n", text);
        g_strfreev(command.files);
        return 2;
    }
    for (char **file = command.files; *file != NULL; file++) {
        g_autoptr(GError) error = NULL;
        int status = pack_file(&command, *file, &error);

        if (status != 0) {
            g_autofree char *text = berth_error_describe(error);
            fprintf(stderr, "berth-sim: %s\n", text);
        }
        worst = MAX(worst, status);
    }
    g_strfreev(command.files);
    return worst;
}
