/*
 * One that waits: a request in the queue, an app that lacks VMs, or a VM that was preempted. Private to
 * src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* Borrowed until the next change. */
typedef struct {
    ClusterQueued *queued; /* one of these */
    ClusterApp *app;
    ClusterVm *vm;
    double share; /* of its tenant; where the order says so */
} QueueItem;

const char *queue_item_id(const QueueItem *item);
const char *queue_item_name(const QueueItem *item);
const char *queue_item_tenant(const QueueItem *item);
int64_t queue_item_priority(const QueueItem *item);
int64_t queue_item_since_ms(const QueueItem *item);

/* What each of its VMs wants if it is placed now: what ends has its time from then. NULL with NOT_FOUND
 * when its size is gone. */
VmSpec *queue_item_spec(ClusterCore *core, const QueueItem *item, GError **error);
/* The app that it becomes if it is placed now; of a request for one. */
AppSpec *queue_item_app(const ClusterCore *core, const ClusterQueued *queued);
/* Do these two of a tenant ask for the same, so that either may have what the other is promised? */
bool queue_item_wants_same(const ClusterQueued *a, const ClusterQueued *b);
/* For how many VMs there must be room at once. */
int64_t queue_item_needed(const QueueItem *item);
/* How many it waits for. */
int64_t queue_item_count(const QueueItem *item);

/* Tries to promise it a start (promises.h), or to keep and better the one that it has. False: it has none;
 * `ret_start` (may be NULL) is then the earliest that there is, INT64_MAX: none is known. */
bool queue_item_plan(ClusterCore *core, const QueueItem *item, int64_t *ret_start);
/* Is it too late to start it, for its deadline or the time that it may wait? */
bool queue_item_is_late(ClusterCore *core, const QueueItem *item);
/* When it is refused, whatever it waits for: its time is up, or its deadline is past hope. INT64_MAX: never. */
int64_t queue_item_due_ms(const ClusterCore *core, const ClusterQueued *queued);
/* Writes the promise, or that there is none, into the store if that is news. */
void queue_item_keep(ClusterCore *core, ClusterQueued *queued);
/* The promise that the store has of it. */
void queue_item_take_up(ClusterCore *core, ClusterQueued *queued);

/* DEADLINE cannot be met: `start` is the earliest there is, or INT64_MAX. */
void queue_item_refuse_deadline(ClusterCore *core, const QueueItem *item, int64_t start,
                                GError **error);
