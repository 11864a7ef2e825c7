#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/report.h"

static bool check_words(int argc, char **argv, GError **error)
{
    for (int i = 0; i < argc; i++) {
        if (!g_utf8_validate(argv[i], -1, NULL)) {
            return berth_error_set(error, BERTH_ERROR_INVALID, NULL, argv[i],
                                   "see the locale of the terminal",
                                   "an argument that is no UTF-8");
        }
    }
    return true;
}

static bool parse_format(Cli *cli, GError **error)
{
    static const char *const names[] = {"table", "json", "yaml", NULL};
    const char *text = cli_args_get(cli->args, "output");
    for (int i = 0; text != NULL && names[i] != NULL; i++) {
        if (strcmp(text, names[i]) == 0) {
            cli->format = (CliFormat)i;
            return true;
        }
    }
    const char *near = text != NULL ? berth_nearest_name(text, names) : NULL;
    g_autofree char *remedy =
        near != NULL ? g_strdup_printf("did you mean %s?", near) : g_strdup("table, json or yaml");
    return text == NULL || berth_error_set(error, BERTH_ERROR_INVALID, "--output", text, remedy,
                                           "not a format of output");
}

static bool show_help(const Cli *cli)
{
    g_autofree char *text = cli->command != NULL ? help_command(cli->group, cli->command)
                            : cli->group != NULL ? help_group(cli->group)
                                                 : help_program(cli_groups);
    fputs(text, stdout);
    return true;
}

/* "help vm create" is "vm create --help". */
static bool is_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* "vm --help", "help vm"; and "host token --help", where one word of the verb is still missing. */
static bool asks_for_group(const CliGroup *group, int argc, char **argv, bool help)
{
    if (argc == 1 || is_help(argv[1])) {
        return argc > 1 || help;
    }
    bool part = false;
    size_t length = strlen(argv[1]);
    for (const CliCommand *c = group->commands; c->verb != NULL; c++) {
        part = part || (strncmp(c->verb, argv[1], length) == 0 && c->verb[length] == ' ');
    }
    return part && (argc == 2 ? help : is_help(argv[2]));
}

/* What follows the global options. */
static bool run_words(Cli *cli, int argc, char **argv, GError **error)
{
    bool help = cli_args_has(cli->args, "help");
    if (argc > 0 && is_help(argv[0])) {
        help = true;
        argv++;
        argc--;
    }
    if (argc == 0) {
        return help ? show_help(cli)
                    : berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                                      "'berth --help' lists the commands", "no command was given");
    }
    int used = 0;
    g_autoptr(GError) problem = NULL;
    if (!cli_find_command(cli_groups, argv, &cli->group, &cli->command, &used, &problem)) {
        bool group_help = cli->group != NULL && asks_for_group(cli->group, argc, argv, help);
        return group_help ? show_help(cli)
                          : (g_propagate_error(error, g_steal_pointer(&problem)), false);
    }
    if (help) {
        return show_help(cli);
    }
    if (!cli_parse_command(cli->command, argc - used + 1, argv + used - 1, cli->args, error)) {
        return false;
    }
    if (cli_args_has(cli->args, "help")) {
        return show_help(cli);
    }
    cli->parsed = true;
    return parse_format(cli, error) && cli->command->run(cli, error);
}

static bool run(Cli *cli, int argc, char **argv, GError **error)
{
    int used = 1;
    if (!check_words(argc, argv, error) ||
        !cli_parse_globals(argc, argv, cli->args, &used, error)) {
        return false;
    }
    if (cli_args_has(cli->args, "version")) {
        puts("berth " BERTH_VERSION);
        return true;
    }
    return run_words(cli, argc - used, argv + used, error);
}

/* Nobody reads from the pipe any more, as an earlier write has found that left no errno behind. */
static bool reader_has_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

/* `berth vm list | head` has said enough: it ends as every program does whose reader has gone, which GLib
 * has turned off for the sake of sockets. */
static void end_without_reader(void)
{
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
}

/* Output that did not reach its reader is an error too. */
static bool flush_output(GError **error)
{
    errno = 0;
    bool flushed = fflush(stdout) == 0 && !ferror(stdout);
    if (!flushed && (errno == EPIPE || reader_has_gone())) {
        end_without_reader();
    }
    return flushed || berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                                      "cannot write the output");
}

/* A line that does not parse is helped by how it should look; a value that is wrong has its remedy. */
static void hint_at_help(const Cli *cli)
{
    if (!cli->parsed && cli->command != NULL) {
        g_autofree char *usage = help_usage(cli->group, cli->command);
        cli_note(cli, "usage: %s (--help says more)", usage);
    }
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    const char *no_color = g_getenv("NO_COLOR");
    Cli cli = {
        .groups = cli_groups,
        .args = cli_args_new(),
        .color = isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0'),
        .terminal = isatty(STDERR_FILENO),
    };
    g_autoptr(GError) error = NULL;
    if (!run(&cli, argc, argv, &error) || !flush_output(&error)) {
        report_error(&cli, error);
        hint_at_help(&cli);
        cli.exit_code = cli_exit_code(error);
    }
    api_client_free(cli.client);
    cli_args_free(cli.args);
    g_clear_pointer(&cli.names, g_hash_table_unref);
    return cli.exit_code;
}
