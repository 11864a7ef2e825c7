/*
 * What the files of `berth vm` share.
 */
#pragma once

#include "cli/cli.h"

/* `berth vm exec` and `berth vm console` (vm_guest.c). */
bool vm_exec(Cli *cli, GError **error);
bool vm_console(Cli *cli, GError **error);
