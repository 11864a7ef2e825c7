/*
 * What the agents report, and what they are told. Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* Sends a call to a connected host once the step is durable. `subject` and `generation` come back
 * with the answer; `timeout_ms` 0 takes the configured one; `request` is that of CALL_EXEC. Takes
 * `params` over. */
void agent_call(ClusterCore *core, ClusterHost *host, CallKind kind, const char *subject,
                int64_t generation, const char *method, json_t *params, int64_t timeout_ms,
                uint64_t request);

/* The VM's host must be told what is wanted of it, at the end of this step. */
void agent_mark_vm(ClusterCore *core, ClusterVm *vm);
/* At the end of each step: sends what was marked, and what is due to be sent again. */
void agents_flush(ClusterCore *core);
/* When agents_flush has something to send again. */
int64_t agents_next_deadline(const ClusterCore *core);

/* Ends a quarantined VM that `host` holds. */
void agent_purge(ClusterCore *core, ClusterHost *host, const ReportedVm *reported);

void agent_up(ClusterCore *core, const char *host, uint64_t session);
void agent_down(ClusterCore *core, const char *host, uint64_t session, const char *reason);
void agent_report(ClusterCore *core, const char *host, uint64_t session, const AgentReport *report,
                  void *call);
void agent_measure(ClusterCore *core, const char *host, uint64_t session, HostMeasure *measure);
void agent_answer(ClusterCore *core, uint64_t call, const json_t *result, const GError *error);
