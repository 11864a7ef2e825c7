/*
 * Changes that answer with an operation: asked for, waited for, shown.
 *
 * Every asynchronous route of the API goes this way: --wait, --no-wait, --dry-run and --explain
 * become its query as far as the route takes them; the manager is asked again until the operation
 * is over, with what it says it waits for shown as progress. An operation that failed is the error
 * that it carries; one that is not over in time is TIMEOUT and goes on. A manager that is away
 * meanwhile is waited for as well.
 *
 * Threading: one thread.
 */
#pragma once

#include "cli/cli.h"

/* How long the command line says to wait, in seconds. */
bool change_wait_seconds(const Cli *cli, int64_t *ret_seconds, GError **error);

/* The operation as it is in the end; the caller's. call->query is ignored. */
json_t *change_run(Cli *cli, const ApiCall *call, GError **error);

/* Until it is over. Takes the operation, gives it in its last state. */
json_t *change_wait(Cli *cli, json_t *operation, int64_t seconds, GError **error);

/* The error of an operation that failed; true if it did not. */
bool change_check(const json_t *operation, GError **error);

/* What became of it, with plan and explanation. */
bool change_print(Cli *cli, const json_t *operation, GError **error);

/* change_run and change_print. */
bool change_one(Cli *cli, const ApiCall *call, GError **error);

/* For each argument as the first parameter of the path; `body` is borrowed. All are begun before
 * the first is waited for. What goes wrong with one is reported and does not stop the others. */
bool change_each(Cli *cli, ApiOperation operation, json_t *body, GError **error);

/* Tables of an Explanation: why each host. */
bool explanation_print(Cli *cli, const json_t *explanation, FILE *out, GError **error);
