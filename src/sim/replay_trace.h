/*
 * What `berth-sim replay` plays: hosts and tasks from two tables, with columns named as in the
 * traces of Alibaba's GPU cluster (openb):
 *
 *     hosts   cpu_milli, memory_mib, gpu (how many), model
 *     tasks   cpu_milli, memory_mib, num_gpu, gpu_milli (of each, 1000 being a whole one), gpu_spec
 *             (models that will do, between |; empty: any), creation_time, deletion_time (empty: never)
 *
 * Other columns are of no account. `model` and `gpu_spec` may be missing, and the times where only the
 * tasks count.
 *
 * Threading: pure functions. A ReplayTrace owns all that it points to.
 */
#pragma once

#include <glib.h>

#include "place/devices.h"

#define REPLAY_SLICES 1000 /* of a device */

typedef enum { REPLAY_CPU = 0, REPLAY_MEMORY, REPLAY_GPU, REPLAY_N_DIMS } ReplayDim;

typedef struct {
    int64_t capacity[REPLAY_N_DIMS]; /* millicores, MiB, thousandths of devices */
    uint32_t n_devices, model;
} ReplayHost;

typedef struct {
    int64_t vector[REPLAY_N_DIMS];
    int64_t kind[REPLAY_N_DIMS]; /* what of it makes the kind of a task: the processors */
    BerthPlaceDevices devices;   /* n = 0: none */
    int64_t created, deleted;    /* seconds; G_MAXINT64: never */
} ReplayTask;

typedef struct {
    GPtrArray *models; /* names by number */
    GArray *hosts;     /* of ReplayHost, in the order of the file */
    GArray *tasks;     /* of ReplayTask */
    int64_t total[REPLAY_N_DIMS];
} ReplayTrace;

/* Reads both files. NULL and BERTH_ERROR_INVALID, with line and column, when one is malformed. */
ReplayTrace *replay_trace_read(const char *hosts, const char *tasks, bool needs_times,
                               GError **error);
/* The same from text. */
ReplayTrace *replay_trace_parse(const char *hosts, const char *tasks, bool needs_times,
                                GError **error);
void replay_trace_free(ReplayTrace *trace); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReplayTrace, replay_trace_free)

/* The most popular kinds of tasks, as many as it takes to cover `percent` of all, with their counts
 * as weights: what FGD calls typical. Kinds differ in processors and devices, as published; memory
 * is not looked at. The vectors belong to the tasks. */
GArray *replay_trace_typical(const ReplayTrace *trace, double percent);
