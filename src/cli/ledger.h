/*
 * A host's commitment ledger as text: amounts with the units of their dimension.
 *
 * Threading: one thread.
 */
#pragma once

#include "cli/cli.h"

/* Rows are LedgerRow *. */
void ledger_print(const Cli *cli, const GPtrArray *rows);

/* "1500m/4": committed of what is not reserved; "" without such a row. g_free it. */
char *ledger_share(const GPtrArray *rows, const char *dimension);

/* An amount of a dimension; a plain number for an accelerator. g_free it. */
char *ledger_amount(const char *dimension, int64_t amount);
