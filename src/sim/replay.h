/*
 * `berth-sim replay`: a trace of tasks on a list of hosts, under a policy.
 *
 *     berth-sim replay --hosts nodes.csv --trace pods.csv --policy fragmentation
 *     berth-sim replay … --arrival 100% --seeds 10       shuffled tasks that stay, ten times
 */
#pragma once

/* Exit code: 0 played; 2 wrong use or an unreadable file. */
int replay_command(int argc, char **argv);
