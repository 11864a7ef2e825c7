/*
 * A process as the keeper and its agent name it: pid and start time, which together are unique
 * until the host boots again.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Field 22 of /proc/PID/stat, in clock ticks since boot; 0 when there is no such process or it is
 * only waiting to be reaped. */
int64_t keep_process_start_ticks(pid_t pid);
