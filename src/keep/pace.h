/*
 * How fast the keeper reads what a guest can make it read, so that a guest that floods its console
 * (or makes QEMU flood standard error) costs its host a small, known share of a processor.
 *
 * Time is cut into windows of KEEP_PACE_WINDOW_US. Who has spent a window's reads or bytes pauses
 * until it is over; what a person types or a booting kernel prints never gets there. While the
 * keeper pauses, the console's socket fills and the guest's serial port says "busy", as a real one
 * does.
 *
 * Pure: the clock comes in. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define KEEP_PACE_WINDOW_US 20000
#define KEEP_PACE_READS 16
#define KEEP_PACE_BYTES (128 * 1024)

typedef struct {
    int64_t window_us; /* its start */
    unsigned reads;
    size_t bytes;
} KeepPace;

/* A read of `bytes` has been done at `now_us` (monotonic). Returns how long to pause before the
 * next one, in microseconds; 0: not at all. */
int64_t keep_pace_spend(KeepPace *pace, size_t bytes, int64_t now_us);
