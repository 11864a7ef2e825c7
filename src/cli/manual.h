/*
 * The manual page and the shell completion of `berth`, made of the command table when Berth is
 * built (manual_main.c), so that they say what the program does.
 *
 * Threading: pure functions. Answers are the caller's to g_free.
 */
#pragma once

#include "cli/command.h"

/* berth(1), in man(7). */
char *manual_page(const CliGroup *const *groups);

/* A script that bash-completion loads: objects, verbs, options, and the values of those options
 * that take a file or a format. */
char *manual_completion(const CliGroup *const *groups);
