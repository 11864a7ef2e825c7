/*
 * What QEMU finds open when it starts: files, taps, listening sockets, one end of the console, and
 * nothing else. Runs between fork and exec.
 *
 * Numbers: the launch names descriptors from 10 to 1000. keep_inherit_begin moves what the process
 * itself still needs above 1000 (close-on-exec) and closes all else but 0 to 2, so that a
 * descriptor that is opened here gets a number below 10 and can be placed without treading on
 * another.
 *
 * Only for a process with one thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The numbers that a launch may name. */
#define KEEP_INHERIT_FIRST 10
#define KEEP_INHERIT_LAST 1000

/* Keeps the `n` descriptors of `own`, writes their new numbers there, closes the rest. Needs root:
 * it raises RLIMIT_NOFILE. */
bool keep_inherit_begin(int *own, size_t n, GError **error);

/* Makes `fd` what QEMU finds at `number`. */
bool keep_inherit_place(int fd, int number, GError **error);

/* Opens a regular file, a block or a character device. What else the path leads to is refused. */
bool keep_inherit_file(const char *path, bool writable, int number, GError **error);

/* Opens the queue of a persistent tap in the current network namespace. */
bool keep_inherit_tap(const char *name, int number, GError **error);

/* Listens on the socket `path`, mode 0600. */
bool keep_inherit_listener(const char *path, int number, GError **error);

/* A listening unix socket at `path` of mode 0600, close-on-exec; -1 with an error. What lies there
 * is never replaced. */
int keep_listen(const char *path, GError **error);

/* Removes the socket at `path`; true when nothing lies there. What is no socket stays, as an error.
 */
bool keep_remove_socket(const char *path, GError **error);
