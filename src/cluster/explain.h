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

/* Hosts of the same verdict and score become one row: the first of them, how many they are, and the
 * names of some. Those that are chosen keep rows of their own. */
void explanation_fold(Explanation *explanation);

/* The request can only run where others make room, by these steps (preempt_plan), which were not taken yet.
 * Adds to the verdicts whose place it takes and why theirs, as the decision sees it: how many, their
 * priority, their age; for one VM among few hosts also who it would be on each other host, and why they are
 * not taken. `explanation` may be NULL. */
void explanation_add_preemption(ClusterCore *core, const char *tenant, const VmSpec *spec,
                                const ClusterHost *only, const GPtrArray *steps,
                                Explanation *explanation);
