/*
 * When VMs, apps and reservations end: the options and the lines that they share.
 *
 * Threading: pure functions.
 */
#pragma once

#include "cli/cli.h"
#include "schema/objects.h"

#define AT_END_OPTIONS                                                                             \
    {"at-end", 0, "WHAT", "stop (the default; the disk stays), delete, or warn: it goes on"},      \
    {                                                                                              \
        "grace", 0, "DURATION", "between the end, which is told, and that: 5m (the default), 0",   \
            "grace-seconds"                                                                        \
    }
/* Of what is created. */
#define END_OPTIONS                                                                                \
    {"for", 0, "DURATION", "it ends so long after now: 90m, 2h, 3d", "duration-seconds"},          \
        AT_END_OPTIONS,                                                                            \
    {                                                                                              \
        "reservation", 0, "NAME", "in the room that this holds, until it ends"                     \
    }

/* All of END_OPTIONS. */
bool ends_from_args(const Cli *cli, json_t *body, GError **error);

/* The lines of something that may end; `ends_ms` 0: it does not. */
void ends_details(Table *details, int64_t ends_ms, AtEnd at_end, int64_t grace_seconds);

/* "2026-11-25T20:00:00.000Z (in 2h)". g_free it. */
char *ends_time_text(int64_t time_ms);
/* "stop, 5m after it was told". g_free it. */
char *ends_policy_text(AtEnd at_end, int64_t grace_seconds);
