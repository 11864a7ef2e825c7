/*
 * How an error looks on standard error: what went wrong, with field and value, and what to do; and
 * why each host was refused, if the manager said so.
 *
 * Threading: one thread.
 */
#pragma once

#include "cli/cli.h"

void report_error(Cli *cli, const GError *error);
/* One of several that went wrong: said now, remembered for the exit status. Takes the error. */
void report_failure(Cli *cli, GError *error);
