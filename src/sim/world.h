/*
 * Virtual time: a clock, a queue of what will happen, one source of chance, and a memory of what
 * has happened.
 *
 * Events fire in the order of their times, and those of one time in the order in which they were
 * asked for. All chance of a run comes from one generator, so that the seed reproduces every run,
 * event by event; the digest of two runs is equal exactly if they went alike.
 *
 * A rule of the design that is found broken is told to sim_broken(); the run ends there, and the
 * last events tell how it came to it.
 *
 * Threading: one thread owns a SimWorld and everything in it. Ownership: an event's data belongs to
 * the queue and is freed after it has fired, or with the world.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

#define SIM_LOG_LINES 50
#define SIM_LOG_WIDTH 240

/* `owner` and `data` as they were given to sim_after. */
typedef void (*SimFunc)(void *owner, void *data);

typedef struct {
    int64_t at_ms;
    uint64_t sequence;
    SimFunc func;
    void *owner;
    void *data;
    GDestroyNotify free_data;
} SimEvent;

typedef struct {
    int64_t now_ms; /* of the world; each machine has a clock of its own (machine.h) */
    BerthRng rng;
    uint64_t fired; /* events so far */
    uint64_t digest;
    GError *broken; /* the first broken rule */
    bool trace;     /* to standard error, as it happens */

    void (*watch)(void *owner); /* called after each event that fires; NULL: nobody looks */
    void *watcher;

    GArray *queue; /* of SimEvent, a binary heap */
    uint64_t next_sequence;
    char log[SIM_LOG_LINES][SIM_LOG_WIDTH];
    uint64_t logged;
} SimWorld;

SimWorld *sim_world_new(uint64_t seed, int64_t start_ms);
void sim_world_free(SimWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SimWorld, sim_world_free)

/* `delay_ms` from now, at least 0. */
void sim_after(SimWorld *world, int64_t delay_ms, SimFunc func, void *owner, void *data,
               GDestroyNotify free_data);

/* Fires all that is due until `until_ms` and sets the clock there; ends early, with false, when a
 * rule is broken. */
bool sim_run_until(SimWorld *world, int64_t until_ms);

/* Something worth telling. */
void sim_log(SimWorld *world, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* A rule of the design does not hold. */
void sim_broken(SimWorld *world, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The last events, oldest first, one a line. g_free it. */
char *sim_recent(const SimWorld *world);

/* Chance. */
bool sim_chance(SimWorld *world, double probability);
/* A delay that is mostly near `typical_ms` and now and then many times as long: 1 in 50 takes up to
 * 20 times, as disks, networks and busy machines do. */
int64_t sim_delay(SimWorld *world, int64_t typical_ms);
int64_t sim_between(SimWorld *world, int64_t low, int64_t high);
