/*
 * --policy, and `policy` in manifests: the lecture's names of policies are taken for the plain ones,
 * and a line says so (docs/placement.md).
 *
 * Threading: one thread.
 */
#pragma once

#include "cli/cli.h"
#include "schema/types.h"

/* Gives the member `policy` its plain name. What a person is to be told of that, or NULL. */
char *policy_make_plain(json_t *body);

/* Sets `policy` to the option's value, if it was given, and says what it is taken for. */
void policy_name_from_args(const Cli *cli, json_t *body);

/* The same; and of POLICY=WEIGHT,... it makes a mix, with `policy-weights`. */
bool policy_from_args(const Cli *cli, json_t *body, GError **error);

/* As it is written on a command line. */
char *policy_text(PlacePolicy policy, const IntMap *weights);
