#include "cli/help.h"

#include <string.h>

#define COLUMN 30

static void append_row(GString *text, const char *left, const char *right)
{
    glong width = g_utf8_strlen(left, -1);
    g_string_append_printf(text, "  %s", left);
    if (width + 3 > COLUMN) {
        g_string_append_printf(text, "\n%*s%s\n", COLUMN, "", right);
    } else {
        g_string_append_printf(text, "%*s%s\n", (int)(COLUMN - 2 - width), "", right);
    }
}

static void append_option(GString *text, const CliOption *option)
{
    GString *left = g_string_new(NULL);
    if (option->letter != 0) {
        g_string_append_printf(left, "-%c, ", option->letter);
    }
    g_string_append_printf(left, "--%s", option->name);
    if (option->value != NULL && option->value[0] == '[') {
        g_string_append_printf(left, "[=%s", option->value + 1);
    } else if (option->value != NULL) {
        g_string_append_printf(left, " %s", option->value);
    }
    append_row(text, left->str, option->help);
    g_string_free(left, TRUE);
}

char *help_usage(const CliGroup *group, const CliCommand *command)
{
    return g_strdup_printf("berth %s%s%s%s%s", group->name != NULL ? group->name : "",
                           group->name != NULL ? " " : "", command->verb,
                           command->arguments != NULL ? " " : "",
                           command->arguments != NULL ? command->arguments : "");
}

static void append_global_options(GString *text)
{
    g_string_append(text, "\nGlobal options:\n");
    for (const CliOption *o = cli_global_options; o->name != NULL; o++) {
        append_option(text, o);
    }
}

char *help_command(const CliGroup *group, const CliCommand *command)
{
    g_autofree char *usage = help_usage(group, command);
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "usage: %s\n\n%s.\n", usage, command->summary);
    if (command->details != NULL) {
        g_string_append_printf(text, "\n%s\n", command->details);
    }
    g_autoptr(GPtrArray) options = cli_command_options(command);
    for (guint i = 0; i < options->len; i++) {
        const CliOption *o = options->pdata[i];
        if (i == 0) {
            g_string_append(text, "\nOptions:\n");
        }
        append_option(text, o);
    }
    return g_string_free(text, FALSE);
}

static void append_commands(GString *text, const CliGroup *group)
{
    for (const CliCommand *c = group->commands; c->verb != NULL; c++) {
        g_autofree char *usage = help_usage(group, c);
        append_row(text, usage + strlen("berth "), c->summary);
    }
}

char *help_group(const CliGroup *group)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "usage: berth %s VERB\n\n%s.\n\nCommands:\n", group->name,
                           group->summary);
    append_commands(text, group);
    append_global_options(text);
    return g_string_free(text, FALSE);
}

char *help_program(const CliGroup *const *groups)
{
    GString *text = g_string_new("usage: berth COMMAND\n\n"
                                 "Runs virtual machines on a cluster of hosts.\n");
    for (const CliGroup *const *g = groups; *g != NULL; g++) {
        g_string_append_printf(text, "\n%s:\n", (*g)->summary);
        append_commands(text, *g);
    }
    append_global_options(text);
    g_string_append(text, "\nExit status:\n");
    for (const CliExitCode *e = cli_exit_codes; e->meaning != NULL; e++) {
        g_autofree char *code = g_strdup_printf("%d", e->code);
        append_row(text, code, e->meaning);
    }
    g_string_append(text, "\nEnvironment:\n");
    append_row(text, "BERTH_CONTEXT", "file that says where the manager is");
    append_row(text, "NO_COLOR", "if set, no colours");
    g_string_append(text, "\n'berth COMMAND --help' says more of each.\n");
    return g_string_free(text, FALSE);
}
