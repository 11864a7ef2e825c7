/*
 * The VM's directory below /run/berth: the lock that makes one keeper at a time, and the files by
 * which an agent finds a VM that it did not start, or whose keeper is dead.
 *
 *     keeper.sock   the protocol of schema/keeper.yaml
 *     console.sock  the console (console.h)
 *     console.ring  its last bytes (ring.h)
 *     launch.json   KeeperStatus as of the start: pid and start-ticks name QEMU's process. It exists
 *                   before QEMU executes and goes when the keeper is released.
 *     exit.json     KeeperStatus with the exit. Stays until the next start in this directory.
 *     qmp-0.sock…   what the launch lists
 *
 * The lock is flock(2) on the directory, held while the keeper lives: the kernel lets go of it,
 * whatever kills the keeper. JSON files appear whole, by rename.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#define KEEP_FILE_CONTROL "keeper.sock"
#define KEEP_FILE_CONSOLE "console.sock"
#define KEEP_FILE_RING "console.ring"
#define KEEP_FILE_LAUNCH "launch.json"
#define KEEP_FILE_EXIT "exit.json"

typedef struct KeepRunDir KeepRunDir;

/* Opens and locks the directory. Refuses one that others can write to, one that another keeper
 * holds (conflict) and one whose launch.json names a process that still lives (conflict). */
KeepRunDir *keep_run_dir_open(const char *path, GError **error);
void keep_run_dir_free(KeepRunDir *dir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeepRunDir, keep_run_dir_free)

/* The path of a file in it; free with g_free. */
char *keep_run_dir_path(const KeepRunDir *dir, const char *name);

/* Writes `value` as the file `name`, mode 0600, whole or not at all. */
bool keep_run_dir_write(const KeepRunDir *dir, const char *name, const json_t *value,
                        GError **error);

/* Removes the file if it is there. */
void keep_run_dir_remove(const KeepRunDir *dir, const char *name);
