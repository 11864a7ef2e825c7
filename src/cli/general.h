/*
 * Commands without an object, each in its own file (top.c).
 */
#pragma once

#include "cli/cli.h"

bool general_top(Cli *cli, GError **error);
