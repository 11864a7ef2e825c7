/*
 * Explanations that stay short however many hosts there are. Private to src/cluster.
 */
#pragma once

#include "schema/objects.h"

/* An explanation of no more hosts tells of each. */
#define EXPLAIN_EACH_HOST 16

/* So many names of hosts that are alike are told beside the first. */
#define EXPLAIN_NAMES 16

/* Hosts of the same verdict and score become one row: the first of them, how many they are, and the
 * names of some. Those that are chosen keep rows of their own. */
void explanation_fold(Explanation *explanation);
