/*
 * Events and operations: what happened, and what is under way. Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* An event that is kept: durable with the step's transaction. */
typedef struct {
    int64_t revision;
    char *id;
    GBytes *json;
    int64_t at_ms;
    char *kind, *subject_id, *subject_name, *tenant;
} ClusterEventRecord;

void journal_init(ClusterCore *core);
void journal_clear(ClusterCore *core);

/* Tells that something happened to `subject`. `host` and `operation` may be NULL. */
void event_add(ClusterCore *core, const char *kind, const Subject *subject, const char *host,
               const Operation *operation, const char *format, ...) G_GNUC_PRINTF(6, 7);
/* One that was read from the store, in any order. */
void event_load(ClusterCore *core, Event *event);

/* Subjects on the stack of the caller: borrow from the object. */
Subject subject_of_vm(const ClusterVm *vm);
Subject subject_of_app(const ClusterApp *app);
Subject subject_of_host(const ClusterHost *host);

/* A new operation, running, saved. `message` says what it waits for. */
ClusterOperation *operation_start(ClusterCore *core, const char *kind, const char *tenant,
                                  const Subject *subject, int64_t generation, const char *message);
ClusterOperation *operation_load(ClusterCore *core, Operation *object);
/* What it waits for now. */
void operation_tell(ClusterCore *core, ClusterOperation *operation, const char *message);
/* It waits for this VM's (or app's) status. */
void operation_wait_vm(ClusterOperation *operation, ClusterVm *vm);
void operation_wait_app(ClusterOperation *operation, ClusterApp *app);

/* Over: `error` (taken over, may be NULL for success). Waiting requests are answered. */
void operation_finish(ClusterCore *core, ClusterOperation *operation, GError *error,
                      const char *message);

/* Answers a request with an operation: at once (202) or, with `wait_s`, when it is over. */
void operation_reply(ClusterCore *core, uint64_t request, ClusterOperation *operation,
                     int64_t wait_s);
/* The same for a request that only looks: 200 in any case. */
void operation_show(ClusterCore *core, uint64_t request, ClusterOperation *operation,
                    int64_t wait_s);
/* A request that no longer waits. */
void operation_cancel_wait(ClusterCore *core, uint64_t request);
/* Answers those whose time to wait is up. Returns the next time at which one is. */
int64_t operation_expire_waits(ClusterCore *core);

/* As the API shows it: without plan and explanation to one who is bound to a tenant, if they were made for one
 * who is not. */
json_t *operation_render(const ClusterOperation *operation, bool bound);

Problem *problem_from_error(const GError *error);
