/*
 * Reservations as `berth reservation` and `berth apply` make them.
 *
 * Threading: one thread.
 */
#pragma once

#include "cli/cli.h"

/* Makes what the body asks for, or with --dry-run asks when and where it would be, and tells a person of
 * it. The answer, to be unreferenced; NULL: refused. */
json_t *reservation_make(Cli *cli, json_t *body, GError **error);
