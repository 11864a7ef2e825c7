/*
 * `berth-sim run`: a state, the events that hit it and the decisions expected, from one YAML file.
 * docs/scenarios.md describes the format.
 *
 * Threading: one at a time.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum {
    SCENARIO_HOLDS,
    SCENARIO_FAILS,      /* an expectation or a rule does not hold */
    SCENARIO_UNREADABLE, /* the file is not a scenario */
} ScenarioResult;

/* Plays every scenario (YAML document) of the file. What is wrong, with its line, is in `error`. */
ScenarioResult scenario_run(const char *path, bool trace, GError **error);
