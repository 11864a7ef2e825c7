/*
 * Explanations that stay short however many hosts there are, and that tell of preemption. Private to
 * src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* An explanation of no more hosts tells of each. */
#define EXPLAIN_EACH_HOST 16

/* So many names of hosts that are alike are told beside the first. */
#define EXPLAIN_NAMES 16

/* As the one who asks now may see it. Where there are many hosts those of the same verdict and score become
 * one row: the first of them, how many they are, and the names of some; those that are chosen keep rows
 * of their own. For who is bound to a tenant, and so may not list hosts, the hosts are always counted
 * and never named. May be called again. */
void explanation_fold(const ClusterCore *core, Explanation *explanation);

/* The request can only run where others make room, by these steps (preempt_plan), which were not taken yet.
 * Adds to the verdicts whose place it takes and why theirs, as the decision sees it: how many, their
 * priority, their age; for one VM among few hosts also who it would be on each other host, and why they are
 * not taken. `explanation` may be NULL. */
void explanation_add_preemption(ClusterCore *core, const char *tenant, const VmSpec *spec,
                                const ClusterHost *only, const GPtrArray *steps,
                                Explanation *explanation);
