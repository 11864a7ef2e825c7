/* Hardware records for tests, in code that can be read at a glance. */
#pragma once

#include "schema/types.h"

/* 256 MiB under TCG, or the same under KVM; one vCPU, no devices but the fixed ones, boots a
 * kernel. */
Hardware *sample_hardware(Accelerator accelerator);
void sample_add_nic(Hardware *hardware);
void sample_add_disk(Hardware *hardware, ImageFormat format, bool read_only);
