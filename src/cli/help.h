/*
 * What --help prints, made of the command table.
 *
 * Threading: pure functions. Answers are the caller's to g_free.
 */
#pragma once

#include "cli/command.h"

/* What a status means: 0 ok, …; ends with a NULL meaning. */
typedef struct {
    int code;
    const char *meaning;
} CliExitCode;
extern const CliExitCode cli_exit_codes[];

char *help_program(const CliGroup *const *groups);
char *help_group(const CliGroup *group);
char *help_command(const CliGroup *group, const CliCommand *command);

/* "berth vm create NAME [OPTION…]" */
char *help_usage(const CliGroup *group, const CliCommand *command);
