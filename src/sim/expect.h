/*
 * What a scenario expects of an event (`expect:`): of its answer, of objects, of events, of where VMs
 * are. docs/scenarios.md has the members.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/steps.h"

/* Is `expect` made of what can be expected? The error's field is the path within it. */
bool expect_check(const json_t *expect, GError **error);

/* Does the answer of the step hold what a checked `expect` says of it? Asks nobody. */
bool expect_answer(const Stage *stage, const json_t *expect, GError **error);
/* Do objects, events and places hold now what it says of them? */
bool expect_now(const Stage *stage, const json_t *expect, GError **error);
