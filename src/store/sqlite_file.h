/*
 * The store's file as a whole: its lock, its making and its copies. Private to src/store.
 *
 * A file appears under its name only when it is complete and durable: it is written under another
 * name and renamed. So a crash never leaves half a store or half a backup that looks like one.
 *
 * Threading: pure functions of the file system, any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The file's true name, past symbolic links, so that all who open it meet at one lock. */
char *sqlite_file_resolve(const char *path);

/* Takes `path`.lock, which is held until the descriptor returned is closed; the kernel lets go of
 * it too, whatever ends the process. -1 on failure: CONFLICT, and the pid of who holds it. */
int sqlite_file_lock(const char *path, GError **error);

/* UNAVAILABLE also where the file is empty, or only its log is left: that was a store. */
bool sqlite_file_create_if_absent(const char *path, GError **error);

/* See store_backup. */
bool sqlite_file_copy(const char *from, const char *to, GError **error);
