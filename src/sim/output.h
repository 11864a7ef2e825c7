/*
 * Files that are written when a long run is over.
 *
 * Threading: any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Can a file be made there? Asked before the run, so that its result is not lost. INVALID names `option`. */
bool output_check(const char *option, const char *path, GError **error);
