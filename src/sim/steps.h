/*
 * The events of a scenario: what each does to a simulated cluster.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/sim.h"

typedef struct {
    Sim *sim;
    GPtrArray *events; /* of json_t, as they were published */
    guint first_event; /* of the step under way */
    int status;        /* of the last answer; 0: none */
    json_t *answer;    /* its body, or NULL */
    bool planned;      /* it tells what would be */
} Stage;

/* Is this the name of an event's kind? */
bool step_is_known(const char *name);
/* Carries the event out: `name` is the kind, `value` its own member of the step, `step` the whole
 * of it. The error's field is the path within the step. */
bool step_do(Stage *stage, const char *name, const json_t *value, const json_t *step,
             GError **error);

/* "30s", "5m", "2h", "100ms", or a number of milliseconds. */
bool step_duration(const json_t *value, int64_t *ret_ms, GError **error);
