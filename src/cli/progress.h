/*
 * What is going on, on standard error, once it takes longer than a second.
 *
 * On a terminal one line that is written over and goes away at the end; elsewhere a line whenever
 * the text changes, at most one in ten seconds. Quick commands print nothing.
 *
 * Times are microseconds of any clock that only rises, given by the caller.
 * Threading: none of its own.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct Progress Progress;

Progress *progress_new(FILE *out, bool terminal, gint64 now_us);
void progress_update(Progress *progress, gint64 now_us, const char *text);
void progress_free(Progress *progress); /* clears the line; takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Progress, progress_free)
