#include "cli/command.h"

#include <string.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/help.h"

static bool none(Cli *cli, GError **error)
{
    return true;
}

static const CliOption options[] = {
    {"size", 's', "NAME", "a size"},
    {"network", 0, "NAME", "a network", "networks"},
    {"force", 'f', NULL, "-"},
    {NULL},
};
static const CliCommand command = {.verb = "make",
                                   .arguments = "NAME",
                                   .min_arguments = 1,
                                   .max_arguments = 1,
                                   .options = options,
                                   .shared = CLI_WAIT,
                                   .run = none};
static const CliCommand verbatim = {.verb = "exec",
                                    .arguments = "NAME PROGRAM…",
                                    .min_arguments = 2,
                                    .max_arguments = -1,
                                    .verbatim = true,
                                    .options = options,
                                    .run = none};

static CliArgs *parse(const CliCommand *what, const char *line, GError **error)
{
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autoptr(CliArgs) args = cli_args_new();
    bool ok = cli_parse_command(what, (int)g_strv_length(argv), argv, args, error);
    return ok ? g_steal_pointer(&args) : NULL;
}

static void test_options_stand_anywhere(void)
{
    static const char *const lines[] = {
        "make a -s x --network=n --network m -f",
        "make -fsx --network n a --network=m",
        "make --force --network n --size=x --network m -- a",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(CliArgs) args = parse(&command, lines[i], &error);
        g_assert_no_error(error);
        g_assert_cmpuint(args->arguments->len, ==, 1);
        g_assert_cmpstr(args->arguments->pdata[0], ==, "a");
        g_assert_cmpstr(cli_args_get(args, "size"), ==, "x");
        g_assert_true(cli_args_has(args, "force"));
        const GPtrArray *networks = cli_args_all(args, "network");
        g_assert_cmpuint(networks->len, ==, 2);
        g_assert_cmpstr(networks->pdata[0], ==, "n");
        g_assert_cmpstr(cli_args_get(args, "network"), ==, "m");
    }
}

static void test_optional_value(void)
{
    g_autoptr(CliArgs) bare = parse(&command, "make --wait a", NULL);
    g_assert_cmpstr(cli_args_get(bare, "wait"), ==, "");
    g_autoptr(CliArgs) valued = parse(&command, "make --wait=5 a", NULL);
    g_assert_cmpstr(cli_args_get(valued, "wait"), ==, "5");
    g_autoptr(CliArgs) none_given = parse(&command, "make a", NULL);
    g_assert_null(cli_args_get(none_given, "wait"));
}

static void test_verbatim(void)
{
    static const char *const lines[] = {"exec -s x a ls --size y -- b",
                                        "exec --size=x a -- ls --size y -- b"};
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(CliArgs) args = parse(&verbatim, lines[i], NULL);
        g_assert_cmpstr(cli_args_get(args, "size"), ==, "x");
        g_ptr_array_add(args->arguments, NULL);
        g_autofree char *all = g_strjoinv(" ", (char **)args->arguments->pdata);
        g_assert_cmpstr(all, ==, "a ls --size y -- b");
    }
}

static void test_refusals(void)
{
    static const struct {
        const char *line, *part;
    } cases[] = {
        {"make", "give NAME"},
        {"make a b", "one argument too many for NAME ('b')"},
        {"make a --wait 30", "what --wait is to be stands apart from it ('30'); write --wait=30"},
        {"make --wait 30 a", "write --wait=30"},
        {"make a --sise x", "there is no option '--sise'; did you mean --size?"},
        {"make a --zzz=1", "there is no option '--zzz'; --help"},
        {"make a -q", "there is no option '-q'"},
        {"make a -fq", "there is no option '-q'"},
        {"make a --size", "--size needs a NAME; a size"},
        {"make a -s", "--size needs a NAME; a size"},
        {"make a --force=x", "--force takes no value"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(parse(&command, cases[i].line, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_autofree char *text = berth_error_describe(error);
        if (strstr(text, cases[i].part) == NULL) {
            g_error("'%s' gives '%s'", cases[i].line, text);
        }
    }
}

static void test_required_options(void)
{
    static const CliCommand sized = {.verb = "make",
                                     .arguments = "NAME --size NAME [--network NAME]",
                                     .min_arguments = 1,
                                     .max_arguments = 1,
                                     .options = options,
                                     .run = none};
    g_autoptr(GError) error = NULL;
    g_assert_null(parse(&sized, "make a --network n", &error));
    g_autofree char *text = berth_error_describe(error);
    g_assert_cmpstr(text, ==, "give --size NAME; a size");
    g_autoptr(CliArgs) args = parse(&sized, "make a -s x", NULL);
    g_assert_nonnull(args);
    g_autoptr(CliArgs) help = parse(&sized, "make --help", NULL);
    g_assert_nonnull(help);
}

static void test_find(void)
{
    static const struct {
        const char *words, *verb, *part;
        int used;
    } cases[] = {
        {"vm list x", "list", NULL, 2},
        {"host token create", "token create", NULL, 3},
        {"top", "top", NULL, 1},
        {"vm lits", NULL, "did you mean 'berth vm list'?", 0},
        {"vms list", NULL, "did you mean 'berth vm'?", 0},
        {"tob", NULL, "did you mean 'berth top'?", 0},
        {"host token", NULL, "needs one more word; create, list, revoke", 0},
        {"host token x", NULL, "has no verb 'x'; create, list, revoke", 0},
        {"size", NULL, "needs a verb; list, show, create, delete", 0},
        {"whatever", NULL, "'berth --help' lists the commands", 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(GStrv) words = g_strsplit(cases[i].words, " ", -1);
        const CliGroup *group = NULL;
        const CliCommand *found = NULL;
        int used = 0;
        bool ok = cli_find_command(cli_groups, words, &group, &found, &used, &error);
        g_assert_cmpint(ok, ==, cases[i].verb != NULL);
        if (ok) {
            g_assert_cmpstr(found->verb, ==, cases[i].verb);
            g_assert_cmpint(used, ==, cases[i].used);
        } else {
            g_autofree char *text = berth_error_describe(error);
            g_assert_nonnull(strstr(text, cases[i].part));
        }
    }
}

/* What the usage line asks for is among the options. */
static void check_required(const GPtrArray *all, const char *arguments)
{
    g_auto(GStrv) words = g_strsplit(arguments != NULL ? arguments : "", " ", -1);
    for (char **word = words; *word != NULL; word++) {
        bool found = !g_str_has_prefix(*word, "--");
        for (guint i = 0; i < all->len; i++) {
            found = found || strcmp(((const CliOption *)all->pdata[i])->name, *word + 2) == 0;
        }
        if (!found) {
            g_error("%s is no option", *word);
        }
    }
}

static void check_command(const CliGroup *group, const CliCommand *c)
{
    g_autofree char *usage = help_usage(group, c);
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) letters = g_hash_table_new(NULL, NULL);
    g_autoptr(GPtrArray) all = cli_command_options(c);
    for (guint i = 0; i < all->len; i++) {
        const CliOption *o = all->pdata[i];
        if (!g_hash_table_add(names, (gpointer)o->name) ||
            (o->letter != 0 && !g_hash_table_add(letters, GINT_TO_POINTER(o->letter)))) {
            g_error("%s has --%s twice", usage, o->name);
        }
        g_assert_nonnull(o->help);
    }
    g_assert_nonnull(c->run);
    bool words = c->arguments != NULL && !g_str_has_prefix(c->arguments, "--");
    g_assert_cmpint(c->min_arguments > 0 || c->max_arguments != 0, ==, words);
    check_required(all, c->arguments);
    if (c->summary == NULL || g_str_has_suffix(c->summary, ".")) {
        g_error("%s needs a summary without a full stop", usage);
    }
    g_autofree char *help = help_command(group, c);
    g_assert_true(g_str_has_prefix(help, "usage: berth "));
}

static void test_every_command_is_sound(void)
{
    for (size_t g = 0; cli_groups[g] != NULL; g++) {
        for (const CliCommand *c = cli_groups[g]->commands; c->verb != NULL; c++) {
            check_command(cli_groups[g], c);
        }
    }
}

static const char *setting(const CliArgs *args, const char *field)
{
    const CliOption *option = cli_args_setting(args, &command, field);
    return option != NULL ? option->name : NULL;
}

static void test_a_field_of_the_api_is_an_option_that_was_given(void)
{
    g_autoptr(CliArgs) args = parse(&command, "make a --size small --network b", NULL);

    g_assert_cmpstr(setting(args, "size"), ==, "size");
    g_assert_cmpstr(setting(args, "networks[1]"), ==, "network");
    g_assert_cmpstr(setting(args, "network"), ==, "network");
    g_assert_cmpstr(setting(args, "spec.networks"), ==, "network");
    g_assert_null(setting(args, "force"));
    g_assert_null(setting(args, "resources.cpu"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/command/options-stand-anywhere", test_options_stand_anywhere);
    g_test_add_func("/cli/command/optional-value", test_optional_value);
    g_test_add_func("/cli/command/verbatim", test_verbatim);
    g_test_add_func("/cli/command/refusals", test_refusals);
    g_test_add_func("/cli/command/required-options", test_required_options);
    g_test_add_func("/cli/command/find", test_find);
    g_test_add_func("/cli/command/every-command-is-sound", test_every_command_is_sound);
    g_test_add_func("/cli/command/field-of-the-api",
                    test_a_field_of_the_api_is_an_option_that_was_given);
    return g_test_run();
}
