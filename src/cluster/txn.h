/*
 * Transactions in flight, and what waits for them. Private to src/cluster.
 *
 * During a step, txn_put and its sisters gather the open transaction, and core_hold gathers what
 * must not leave before it is durable. A step that changes more than one transaction may carry
 * calls txn_seal between groups that each make sense alone; what the step holds is released with
 * the last of them.
 */
#pragma once

#include "cluster/model.h"

void txn_init(ClusterCore *core);
void txn_clear(ClusterCore *core);

/* The revision that the open transaction will have. */
int64_t txn_revision(const ClusterCore *core);

void txn_put(ClusterCore *core, char *key, const CodecType *type,
             const void *object);                                /* takes the key over */
void txn_put_json(ClusterCore *core, char *key, json_t *value);  /* takes both over */
void txn_put_bytes(ClusterCore *core, char *key, GBytes *value); /* takes both over */
void txn_delete(ClusterCore *core, char *key);                   /* takes the key over */
void txn_absent(ClusterCore *core, const char *key);
/* Ends the open transaction if it has grown past half of what one may carry. */
void txn_seal_if_large(ClusterCore *core);

/* Takes the action over; it joins the step's actions as soon as all that is in flight is durable.
 */
void core_hold(ClusterCore *core, ClusterAction *action);
/* Without waiting. */
void core_emit(ClusterCore *core, ClusterAction *action);

/* At the end of each step: sends the open transaction and releases what waits for nothing. */
void txn_finish_step(ClusterCore *core);
void txn_committed(ClusterCore *core, int64_t revision);

ClusterAction *cluster_action_new(ClusterActionKind kind);
ClusterActions *cluster_actions_new(void);

/* JSON as text; takes `value` over. */
GBytes *json_take_bytes(json_t *value);

/* Shorthands for the answers to a request, each held. `body` is taken over. */
void reply_bytes(ClusterCore *core, uint64_t request, int status, GBytes *body, int64_t revision);
void reply_object(ClusterCore *core, uint64_t request, int status, const CodecType *type,
                  const void *object, int64_t revision);
void reply_json(ClusterCore *core, uint64_t request, int status, json_t *body, int64_t revision);
void reply_error(ClusterCore *core, uint64_t request, GError *error); /* takes the error over */
