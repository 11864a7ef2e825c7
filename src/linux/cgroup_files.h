/*
 * The files of a control group: one value or "key value" lines each, written in one write.
 *
 * Internal to src/linux (cgroup.c, cgroup_stats.c).
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Makes directories below an existing one; those that are there are fine. */
bool cgroup_make(const char *directory, GError **error);

/* Removes a group; true also when there is none. False without an error: it is still in use. */
bool cgroup_unmake(const char *directory, GError **error);

/* Writes `value`. `ret_errno` (may be NULL) is 0 or the errno. */
bool cgroup_write(const char *directory, const char *file, const char *value, int *ret_errno,
                  GError **error);

/* The content; NULL on failure. */
char *cgroup_read(const char *directory, const char *file, GError **error);

/* The single number of a file ("max" is INT64_MAX). */
bool cgroup_read_number(const char *directory, const char *file, int64_t *ret_number,
                        GError **error);

/* The number after "key " at the start of a line; `missing` where there is no such line. */
int64_t cgroup_number_of(const char *text, const char *key, int64_t missing);
