/*
 * The launch: what berth-keep reads on its standard input. Checked whole before anything is done.
 *
 * Pure but for the reading.
 */
#pragma once

#include <glib.h>

#include "schema/keeper.h"

#define KEEP_LAUNCH_MAX_BYTES (1024 * 1024)

/* Reads one JSON object to the end of `fd`. */
KeeperLaunch *keep_launch_read(int fd, GError **error);

/* What the schema cannot say: ids that would leave QEMU root, descriptors or names in run-dir that
 * are used twice, paths that are not absolute, names that no environment variable can have. */
bool keep_launch_check(const KeeperLaunch *launch, GError **error);
