/*
 * What a tenant pays: the statement of its account, and the rate card. Commands of `berth tenant`.
 */
#pragma once

#include "cli/cli.h"

bool statement_show(Cli *cli, GError **error);
bool rates_show(Cli *cli, GError **error);
bool rates_set(Cli *cli, GError **error);
