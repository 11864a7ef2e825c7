/*
 * Names for the ids that objects refer to each other by (a VM's app, its networks), asked for once
 * a run and only when needed.
 *
 * Threading: one thread.
 */
#pragma once

#include "cli/cli.h"

/* The name of the object with this id, of what `list` lists (API_OP_LIST_APPS, …); the id itself
 * when there is none any more or it cannot be asked. Borrowed until the run ends. */
const char *name_of(Cli *cli, ApiOperation list, const char *id);
