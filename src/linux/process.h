/*
 * Processes by pidfd, and what /proc says of them.
 *
 * A pid alone may name another process tomorrow. (pid, start time) is unique within a boot, and a
 * pidfd stays with its process: process_open verifies the first and gives the second.
 *
 * Thread safety: any thread; a watch belongs to the thread of its main context.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Start time in clock ticks since boot (field 22 of /proc/PID/stat). BERTH_ERROR_NOT_FOUND where
 * there is no such process. */
bool process_start_ticks(pid_t pid, uint64_t *ret_ticks, GError **error);

/* A pidfd (close-on-exec) of the process `pid` that started at `start_ticks`; 0: whoever has the
 * pid now. BERTH_ERROR_NOT_FOUND where it is gone or another. -1 on failure. */
int process_open(pid_t pid, uint64_t start_ticks, GError **error);

/* Sends a signal. True also when the process has ended: what was wanted of it cannot matter any
 * more. */
bool process_signal(int pidfd, int signal, GError **error);

/* Whether it has ended (a zombie has). */
bool process_has_ended(int pidfd);

/* Waits for its end; false: it still runs after `timeout_ms`. */
bool process_wait(int pidfd, int timeout_ms);

/* Calls `ended` once, in the thread-default main context, when the process ends. Returns a source
 * that the caller owns (g_source_destroy to stop watching); pidfd stays the caller's and open
 * meanwhile. */
typedef void (*ProcessEnded)(int pidfd, gpointer data);
GSource *process_watch(int pidfd, ProcessEnded ended, gpointer data);

/* How long a thread ran and waited to run, from /proc/PID/task/TID/schedstat. The wait is the
 * guest's steal time as the host sees it. */
typedef struct {
    uint64_t run_nsec;
    uint64_t wait_nsec;
    uint64_t slices;
} ProcessSched;

bool process_sched(pid_t pid, pid_t tid, ProcessSched *ret_sched, GError **error);

/* Memory from /proc/PID/smaps_rollup, bytes. Walks the page tables: milliseconds for a large guest.
 */
typedef struct {
    int64_t rss;
    int64_t pss; /* shared pages counted by their share */
    int64_t shared;
    int64_t swap;
} ProcessMemory;

bool process_memory(pid_t pid, ProcessMemory *ret_memory, GError **error);

/* Resident memory from /proc/PID/statm, bytes: quick, and exact enough for a measure each second.
 */
bool process_rss(pid_t pid, int64_t *ret_bytes, GError **error);

/* Its command line, NULL-terminated; NULL on failure. Free with g_strfreev. */
char **process_argv(pid_t pid, GError **error);
