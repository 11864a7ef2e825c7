/*
 * Resource vectors for people: the struct itself (Resources) is made from the schema.
 *
 * Threading: pure functions, any thread.
 */
#pragma once

#include "schema/types.h"

/* "2 cpu, 512MiB memory, 1Gbit net-bw, 1 gpu/a100"; "nothing" for a vector of zeros. */
char *resources_format(const Resources *resources);

/* True when every amount, accelerators included, is zero. NULL counts as zero. */
bool resources_is_zero(const Resources *resources);
