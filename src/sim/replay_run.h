/*
 * Plays a trace on its hosts, each task in turn, as the placement engine decides. A task that finds no
 * host has failed and does not come again.
 *
 * Threading: a run is pure but for its progress callback; several may share a trace.
 */
#pragma once

#include "sim/replay_trace.h"

typedef struct {
    BerthPlacePolicy policy;
    bool random;            /* any host where the task fits, instead of a policy */
    double arrival_percent; /* of the hosts' devices, asked for by shuffled tasks that stay, the
                             * order of hosts being drawn too; 0: the
                             * tasks come and go as the trace has them */
    double typical_percent; /* of the tasks, that typical kinds cover */
    bool only_device_hosts; /* leaves out hosts without devices */
    uint64_t seed;
    void (*progress)(double done, void *user_data); /* 0 to 1; NULL: none */
    void *user_data;
} ReplayOptions;

/* How things stand. */
typedef struct {
    double at; /* percent of the devices asked for, or seconds since the first task */
    double percent[REPLAY_N_DIMS]; /* of all capacity that is taken */
    double fragments; /* percent of the devices: free parts that a typical task cannot use */
    uint32_t arrived, running, failed;
} ReplaySample;

typedef struct {
    GArray *samples; /* of ReplaySample */
    ReplaySample last;
    double mean_gpu_percent; /* over time; in a run of arrivals, over what was asked for */
    double peak_gpu_percent;
    double seconds; /* that it took */
} ReplayResult;

void replay_result_free(ReplayResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReplayResult, replay_result_free)

/* NULL with BERTH_ERROR_INVALID when arrivals need devices and there are none, or millions of tasks. */
ReplayResult *replay_run(const ReplayTrace *trace, const ReplayOptions *options, GError **error);
