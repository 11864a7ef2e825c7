/*
 * Options of commands that create what may have to wait for room.
 *
 * Threading: one thread.
 */
#pragma once

#include "cli/cli.h"

#define QUEUE_OPTIONS                                                                              \
    {"priority", 0, "NUMBER", "0 to 1000, 500 unless told otherwise: the higher, the sooner"},     \
        {"no-preempt", 0, NULL, "it is never powered off for a request of a higher priority",      \
         "preemptible"},                                                                           \
        {"queue", 0, NULL, "if there is no room now, wait in the queue instead of being refused"}, \
        {"queue-for", 0, "DURATION", "the same, for so long at most: 10m, 2h", "queue-seconds"},   \
    {                                                                                              \
        "deadline", 0, "TIME",                                                                     \
            "its end (--for) comes by then, or it is refused now: +6h, RFC 3339"                   \
    }

/* Into the body of a creation. Errors name the option. */
bool queue_from_args(const Cli *cli, json_t *body, GError **error);
