/*
 * `berth-sim pack`: packs the instances of .vbp files (sim/vbp.h) with the engine's batch methods
 * (place/pack.h) and prints a line of JSON for each: file, policy, items, bins, lower_bound,
 * optimal, seconds, and the assignment where it is asked for. Each packing is checked, apart from
 * what made it, before it is printed.
 */
#pragma once

/* Runs with the arguments after `berth-sim`; answers the exit status: 0, 1 when an instance cannot
 * be packed, 2 for wrong use or an unreadable file. */
int pack_command(int argc, char **argv);
