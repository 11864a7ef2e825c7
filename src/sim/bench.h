/*
 * Placements at up to a million hosts, beside an exhaustive search with SIMD over the same fleet.
 *
 * Ten shapes of hosts in racks of 40, five dimensions, 70 % of the CPU taken, about ten VMs a host. A
 * pair is one placement with its booking plus one departure of a random VM; the times are of the
 * placement, the longest of either. Pairs in which the process was preempted are left out. In mode S
 * requests are of twenty sizes and the policy itself has filled the fleet; in mode R every request
 * has amounts of its own, so that no two hosts are alike, the fleet is filled at random and then
 * churned. After the measurement both searches answer the same requests, and a difference is an
 * error.
 *
 * The policy fragmentation is measured in mode S, with a device for each 16 cores, requests of which most
 * want a part of one, one or two, the twenty as what is typical, a hundredth of the pairs and, without
 * --hosts, a tenth of the hosts; its exhaustive search is the library's own.
 *
 * "rules us" is the mean of a placement when each VM that comes is of one of 5,000 groups whose VMs keep to
 * hosts of their own and are spread over zones of 16,000 hosts with a skew of 5, "times" that by
 * the mean in the same fleet without rules. "what if" is ten changes, each after a question, and
 * their undoing, in microseconds. "save ms" and "load ms" are of the fleet as a file, in memory.
 *
 *     [--mode S|R] [--policy NAME] [--hosts N] [--pairs N] [--churn N] [--json]
 *
 * Without --hosts: 10,000, 100,000 and 1,000,000; without --mode or --policy: all.
 */
#pragma once

/* argv[0] is not looked at. 0; 1: a decision differs; 2: wrong use. */
int bench_main(int argc, char **argv);
