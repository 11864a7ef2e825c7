/*
 * A run of `berth-sim replay` as a picture: what is taken of processors, memory and devices, and what
 * of the devices is fragments; below it the failures. SVG without fonts, scripts or background of
 * its own, in colours that show on white and on black.
 *
 * Threading: pure.
 */
#pragma once

#include "sim/replay_run.h"

/* The text of the file; `title` stands above it. */
char *replay_chart(const ReplayResult *result, const char *title, bool is_arrival);
