/*
 * The queue: what waits for room, and in which order it is served. Private to src/cluster.
 *
 * Three things wait: requests that asked to (`queue`), which are objects of the store and become a VM or
 * an app of the same id when they are placed; apps that lack some of their VMs; and VMs that were
 * preempted (preempt.h). The latter two need no object of their own. All stand in one order (place/fairness.h): the highest priority; among equals
 * the tenant with the smallest dominant share; within a tenant the one that has waited longest.
 *
 * A round serves reservations first that have lost their host (rescue.h), and then tries each once, in this order, as soon as room was made somewhere, and not more often than
 * once a second. What does not fit changes nothing and is passed over by what does. Where it is known when
 * there will be room, that start is promised, and whatever would delay it waits too (promises.h).
 * Where it is not, small requests go on while a large one waits, until it has waited for
 * `starvation_ms`: then nothing behind it in the order is served, nor is a new request that would come
 * behind it, until it is placed or can no longer be (no host would hold it, or its tenant's quota or
 * credits forbid it).
 *
 * Quota and credits: what the whole quota does not allow is refused at once; otherwise they are checked
 * and taken when the request is placed, in the same transaction.
 */
#pragma once

#include "cluster/model.h"
#include "cluster/queue_item.h"

/* Whether what a request asks for goes before those that have waited too long; NO_CAPACITY names the
 * one that is served first. */
bool queue_lets_pass(ClusterCore *core, const char *tenant, int64_t priority, GError **error);

/* FORBIDDEN when a tenant's own token asks for more than its max-priority, or to be spared from
 * preemption. */
bool queue_may_ask(ClusterCore *core, const ClusterRequest *request, const char *tenant,
                   int64_t priority, bool preemptible, GError **error);

/* A creation for which there is no room now. */
typedef struct {
    VmSpec *vm; /* one of these two, taken over */
    AppSpec *app;
    bool asked;          /* to wait */
    int64_t seconds;     /* at most; 0: without end */
    int64_t deadline_ms; /* of its end; 0: none. It is promised, or refused */
    bool dry_run;
    int64_t wait;          /* of the answer, seconds */
    Explanation *verdicts; /* for a refusal; may be NULL; taken over */
} QueueOffer;

/* Answers it: it waits, if it asked to and could ever be allowed, or is refused. Takes `refusal` over. */
void queue_or_refuse(ClusterCore *core, const ClusterRequest *request, const char *tenant,
                     QueueOffer *offer, GError *refusal);

/* All that wait, in order: of QueueItem. */
GArray *queue_order(ClusterCore *core);
/* Why it waits, as it is now. g_free it. */
char *queue_reason(ClusterCore *core, const QueueItem *item);

/* Out of the queue, and its operation fails with `error` (taken over). */
void queue_drop(ClusterCore *core, ClusterQueued *queued, GError *error);

/* How many requests of a tenant wait. */
int64_t queue_count(const ClusterCore *core, const char *tenant);

/* At the end of a step: refuses those whose time is up, and serves if room was made. */
void queue_serve(ClusterCore *core);
int64_t queue_next_deadline(const ClusterCore *core);

void queue_load_finish(ClusterCore *core);

/* That nothing that waits is placed, and that its name is kept for it. */
bool queue_check(const ClusterCore *core, GError **error);
