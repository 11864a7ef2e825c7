/*
 * Commands without an object, each in its own file (apply.c, top.c).
 */
#pragma once

#include "cli/cli.h"

bool general_apply(Cli *cli, GError **error);
bool general_top(Cli *cli, GError **error);
bool general_dev(Cli *cli, GError **error); /* dev.c */
