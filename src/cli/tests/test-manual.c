#include "cli/manual.h"

#include <string.h>

#include "cli/commands.h"
#include "cli/help.h"

static bool run(Cli *cli, GError **error)
{
    return true;
}

static const CliOption odd_options[] = {
    {"path", 'p', "FILE", ".hidden and C:\\x"},
    {"wait", 0, "[SECONDS]", "'quoted'"},
    {NULL},
};
static const CliCommand odd_commands[] = {
    {.verb = "try hard",
     .arguments = "NAME…",
     .max_arguments = -1,
     .summary = "Tries",
     .details = "One line\nand the next.\n\n  as: it\n  stands",
     .options = odd_options,
     .run = run},
    {NULL},
};
static const CliGroup odd_group = {"odd", "Oddities", odd_commands};
static const CliGroup *const odd_groups[] = {&odd_group, NULL};

static void test_page_escapes_what_troff_would_take(void)
{
    g_autofree char *page = manual_page(odd_groups);
    g_assert_nonnull(strstr(page, "\n\\&.hidden and C:\\ex\n"));
    g_assert_nonnull(strstr(page, "\n\\&'quoted'\n"));
    g_assert_nonnull(strstr(page, "\\fB\\-p, \\-\\-path FILE\\fR"));
    g_assert_nonnull(strstr(page, "\\fB\\-\\-wait[=SECONDS]\\fR"));
    g_assert_nonnull(strstr(page, "and the next.\n.sp\n.nf\n  as: it\n  stands\n.fi\n"));
}

static void test_page_has_every_command_and_status(void)
{
    g_autofree char *page = manual_page(cli_groups);
    g_auto(GStrv) plain = g_strsplit(page, "\\-", -1);
    g_autofree char *text = g_strjoinv("-", plain);
    for (const CliGroup *const *g = cli_groups; *g != NULL; g++) {
        for (const CliCommand *c = (*g)->commands; c->verb != NULL; c++) {
            g_autofree char *usage = help_usage(*g, c);
            g_assert_nonnull(strstr(text, usage));
        }
    }
    for (const CliExitCode *e = cli_exit_codes; e->meaning != NULL; e++) {
        g_assert_nonnull(strstr(text, e->meaning));
    }
}

/* What bash offers for the last of the words, in one line. */
static char *complete(const CliGroup *const *groups, const char *words)
{
    g_autofree char *script = manual_completion(groups);
    g_autofree char *whole = g_strdup_printf("%s\nCOMP_WORDS=(%s)\n"
                                             "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
                                             "_berth\necho -n \"${COMPREPLY[@]}\"\n",
                                             script, words);
    char *argv[] = {"bash", "--norc", "-euc", whole, NULL};
    char *out = NULL;
    g_autofree char *err = NULL;
    int status = -1;
    g_autoptr(GError) error = NULL;
    g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(err, ==, "");
    g_assert_cmpint(status, ==, 0);
    return out;
}

static void assert_completes(const CliGroup *const *groups, const char *words, const char *expected)
{
    g_autofree char *out = complete(groups, words);
    g_assert_cmpstr(out, ==, expected);
}

static void test_completion_follows_the_table(void)
{
    assert_completes(odd_groups, "berth ''", "odd");
    assert_completes(odd_groups, "berth odd ''", "try");
    assert_completes(odd_groups, "berth odd try h", "hard");
    assert_completes(odd_groups, "berth odd try hard --w", "--wait");
    assert_completes(odd_groups, "berth odd try hard name --pa", "--path");
    assert_completes(odd_groups, "berth odd try hard --path /dev/nul", "/dev/null");
    assert_completes(odd_groups, "berth odd try hard ''", "");
    assert_completes(odd_groups, "berth odd --output j", "json");
    assert_completes(odd_groups, "berth -o json o", "odd");
    assert_completes(odd_groups, "berth --ver", "--version");
}

static void test_completion_knows_the_commands(void)
{
    assert_completes(cli_groups, "berth vm cre", "create");
    assert_completes(cli_groups, "berth vm create web --dry", "--dry-run");
    assert_completes(cli_groups, "berth host token cr", "create");
    assert_completes(cli_groups, "berth apply -f /dev/nul", "/dev/null");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/manual/page-escapes-what-troff-would-take",
                    test_page_escapes_what_troff_would_take);
    g_test_add_func("/cli/manual/page-has-every-command-and-status",
                    test_page_has_every_command_and_status);
    g_test_add_func("/cli/manual/completion-follows-the-table", test_completion_follows_the_table);
    g_test_add_func("/cli/manual/completion-knows-the-commands",
                    test_completion_knows_the_commands);
    return g_test_run();
}
