/*
 * How an error looks on standard error: what went wrong, with field and value, and what to do; and
 * why each host was refused, if the manager said so.
 *
 * Threading: one thread.
 */
#pragma once

#include "cli/cli.h"

void report_error(Cli *cli, const GError *error);
