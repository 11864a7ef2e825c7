/*
 * Quotas as the command line writes them.
 *
 * Threading: pure functions.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/* Changes `quota` by "cpu=16,memory=32GiB,vms=10,gpu/a100=2"; "disk=none" takes a limit away. Errors
 * name the field within `quota`. */
bool quota_parse(json_t *quota, const char *text, GError **error);
