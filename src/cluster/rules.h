/*
 * Rules of placement, and what the engine must know for them: the groups that rules speak of, who is in
 * which, and where hosts stand. Private to src/cluster.
 *
 * A subject ("app/web", "vm/db-1", "label/tier=front") becomes a group of the engine when a rule
 * names it first, and goes with the last one; so a cluster without rules carries none.
 *
 * A trust domain is VMs of a tenant whose memory may be merged. Its rule is nobody's: a host has merged
 * memory of one trust domain at most, beside any VMs that merge none.
 */
#pragma once

#include "cluster/model.h"

void rules_init(ClusterCore *core);
void rules_clear(ClusterCore *core);

/* After a host's labels may have changed: where it stands and what it has. */
void rules_host_changed(ClusterCore *core, ClusterHost *host);

/* A VM comes to the host that it is linked to, or goes. */
void rules_vm_enters(ClusterCore *core, ClusterVm *vm);
void rules_vm_leaves(ClusterCore *core, ClusterVm *vm);

/* The engine keeps the trust domain of a spec apart from others from now on; before anything is asked for the
 * spec. False when it cannot. */
bool rules_keep_trust(ClusterCore *core, const char *tenant, const VmSpec *spec, GError **error);

/* Whom rules take a VM for: the groups of a spec, RULES_MAX_GROUPS at most. */
#define RULES_MAX_GROUPS 16
bool rules_groups(ClusterCore *core, const char *tenant, const VmSpec *spec, uint32_t *ret_groups,
                  uint32_t *ret_n, GError **error);

/* Numbers of the host labels that a spec asks for; `ret_labels` has room for 16. */
uint32_t rules_host_labels(ClusterCore *core, const VmSpec *spec, uint32_t *ret_labels);

/* The rule or the label ("disk=nvme") behind a number of the engine. */
const Rule *rules_rule(const ClusterCore *core, uint32_t number);
const char *rules_label(const ClusterCore *core, uint32_t number);

/* "rule 'x' (app/web apart from app/db in each rack)" */
char *rules_text(const Rule *rule);

/* Tells the engine of a rule that is in core->rules. CONFLICT names the other rule. */
bool rules_enlist(ClusterCore *core, ClusterRule *rule, GError **error);
void rules_strike(ClusterCore *core, ClusterRule *rule);

/* The invariant: no host has merged memory of two trust domains. */
bool rules_check(const ClusterCore *core, GError **error);

/* Tells a new engine, which knows the hosts alone, where they stand, of rules and of VMs. False when rules
 * cannot hold together at the levels of now: then the engine is of no use. */
bool rules_tell_anew(ClusterCore *core, GError **error);
