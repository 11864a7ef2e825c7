/*
 * Resource vectors for people: the struct itself (Resources) is made from the schema.
 *
 * Threading: pure functions, any thread.
 */
#pragma once

#include "schema/types.h"

/* "2 cpu, 512MiB memory, 1Gbit net-bw, 1 gpu/a100"; "nothing" for a vector of zeros. */
char *resources_format(const Resources *resources);

/* Reads "cpu=4,memory=8GiB,disk-bw=200,net-bw=1Gbit,gpu/a100=2": quantities as units.h takes them,
 * slices of accelerators as plain numbers. BERTH_ERROR_INVALID names `field`, a dot and the
 * amount's name. */
Resources *resources_parse(const char *field, const char *text, GError **error);

/* True when every amount, accelerators included, is zero. NULL counts as zero. */
bool resources_is_zero(const Resources *resources);
