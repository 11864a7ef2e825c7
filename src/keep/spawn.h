/*
 * Starts QEMU in two steps, so that no QEMU ever runs that nobody can find.
 *
 *     keeper                          child (becomes QEMU)
 *       | keep_spawn_prepare ---fork---> session, signals, cgroups, network namespace, files, taps,
 *       |                                sockets, console, limits, uid
 *       | <------------- "R" ------------ ready
 *       | writes launch.json
 *       | keep_spawn_execute -- "G" ---> execve
 *       | <--- end of the channel ------ (close-on-exec)
 *
 * A step that fails in the child comes back as the error that it is; an end without a word means
 * that the child was killed. When the keeper dies before "G", the child reads the end of the
 * channel and ends.
 *
 * For the main thread of a program with one thread. The channel, the keeper's end of the console
 * and the reading end of QEMU's standard output and error belong to KeepSpawn.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "schema/keeper.h"

typedef struct {
    pid_t pid;
    int pidfd;
    int64_t start_ticks; /* see process.h; exec does not change it */
    int channel;
    int console; /* the keeper's end; -1 without a console */
    int output;  /* of QEMU's standard output and error */
} KeepSpawn;

/* Forks and prepares the child up to execve. On failure the child is reaped; sockets that it made
 * already are left to the caller. */
bool keep_spawn_prepare(const KeeperLaunch *launch, KeepSpawn *ret_spawn, GError **error);

/* Lets the child execute. False: it could not, or was killed before it did; it is reaped then. */
bool keep_spawn_execute(KeepSpawn *spawn, GError **error);

/* Kills and reaps the process. */
void keep_spawn_kill(KeepSpawn *spawn);

/* Closes what is still owned; the process is not touched. A descriptor that was handed on is set to
 * -1. */
void keep_spawn_clear(KeepSpawn *spawn);
