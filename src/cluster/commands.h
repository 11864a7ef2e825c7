/*
 * Requests of the HTTP API, each a function that checks, changes the model and answers. Private to
 * src/cluster.
 *
 * A command either fails, having changed nothing, or makes one consistent change. It answers
 * exactly once: with reply_json or operation_reply, or by returning false with an error, which the
 * dispatcher sends.
 */
#pragma once

#include "cluster/model.h"

typedef bool (*ClusterCommand)(ClusterCore *core, const ClusterRequest *request, GError **error);

/* NULL: not for the core (the edge answers it). */
ClusterCommand cluster_command(ApiOperation operation);
/* Does it change anything, so that it is refused while the store takes no writes? */
bool cluster_command_writes(ApiOperation operation);

bool list_hosts(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_host(ClusterCore *core, const ClusterRequest *request, GError **error);
bool update_host(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_host(ClusterCore *core, const ClusterRequest *request, GError **error);
bool drain_host(ClusterCore *core, const ClusterRequest *request, GError **error);
bool join_host(ClusterCore *core, const ClusterRequest *request, GError **error);
bool list_join_tokens(ClusterCore *core, const ClusterRequest *request, GError **error);
bool create_join_token(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_join_token(ClusterCore *core, const ClusterRequest *request, GError **error);

bool list_sizes(ClusterCore *core, const ClusterRequest *request, GError **error);
bool create_size(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_size(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_size(ClusterCore *core, const ClusterRequest *request, GError **error);

bool list_reservations(ClusterCore *core, const ClusterRequest *request, GError **error);
bool create_reservation(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_reservation(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_reservation(ClusterCore *core, const ClusterRequest *request, GError **error);

bool list_images(ClusterCore *core, const ClusterRequest *request, GError **error);
bool create_image(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_image(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_image(ClusterCore *core, const ClusterRequest *request, GError **error);
void image_received(ClusterCore *core, const char *image, const char *sha256, uint64_t request);

bool get_plan_fit(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_plan_lose(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_plan_drain(ClusterCore *core, const ClusterRequest *request, GError **error);

bool list_queue(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_queue_entry(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_queue_entry(ClusterCore *core, const ClusterRequest *request, GError **error);

bool list_rules(ClusterCore *core, const ClusterRequest *request, GError **error);
bool create_rule(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_rule(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_rule(ClusterCore *core, const ClusterRequest *request, GError **error);

bool list_networks(ClusterCore *core, const ClusterRequest *request, GError **error);
bool create_network(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_network(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_network(ClusterCore *core, const ClusterRequest *request, GError **error);

bool list_vms(ClusterCore *core, const ClusterRequest *request, GError **error);
bool create_vm(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_vm(ClusterCore *core, const ClusterRequest *request, GError **error);
bool update_vm(ClusterCore *core, const ClusterRequest *request, GError **error);
bool resize_vm(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_vm(ClusterCore *core, const ClusterRequest *request, GError **error);
bool exec_vm(ClusterCore *core, const ClusterRequest *request, GError **error);
bool explain_vm(ClusterCore *core, const ClusterRequest *request, GError **error);
bool adopt_vm(ClusterCore *core, const ClusterRequest *request, GError **error);
bool purge_vm(ClusterCore *core, const ClusterRequest *request, GError **error);

bool list_apps(ClusterCore *core, const ClusterRequest *request, GError **error);
bool create_app(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_app(ClusterCore *core, const ClusterRequest *request, GError **error);
bool update_app(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_app(ClusterCore *core, const ClusterRequest *request, GError **error);

bool list_tenants(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_tenant(ClusterCore *core, const ClusterRequest *request, GError **error);
bool create_tenant(ClusterCore *core, const ClusterRequest *request, GError **error);
bool update_tenant(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_tenant(ClusterCore *core, const ClusterRequest *request, GError **error);
bool add_credits(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_statement(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_levels(ClusterCore *core, const ClusterRequest *request, GError **error);
bool set_levels(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_rates(ClusterCore *core, const ClusterRequest *request, GError **error);
bool set_rates(ClusterCore *core, const ClusterRequest *request, GError **error);
bool list_tokens(ClusterCore *core, const ClusterRequest *request, GError **error); /* tokens.c */
bool create_token(ClusterCore *core, const ClusterRequest *request, GError **error);
bool delete_token(ClusterCore *core, const ClusterRequest *request, GError **error);

bool list_operations(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_operation(ClusterCore *core, const ClusterRequest *request, GError **error);
bool list_events(ClusterCore *core, const ClusterRequest *request, GError **error);

bool get_cluster(ClusterCore *core, const ClusterRequest *request, GError **error);
bool get_snapshot(ClusterCore *core, const ClusterRequest *request,
                  GError **error); /* snapshot.c */
bool get_top(ClusterCore *core, const ClusterRequest *request, GError **error);

/* If-Match: PRECONDITION unless it is absent or names this revision. */
bool check_if_match(const ClusterRequest *request, int64_t revision, GError **error);

/* Answers a list: `encode` makes the JSON of a tree's value, or NULL to leave it out. Ordered by
 * key; `after` is the last key of the page before. */
typedef json_t *(*EncodeFunc)(ClusterCore *core, const void *object, const void *filter);
void reply_list(ClusterCore *core, uint64_t request, GTree *tree, int64_t limit, const char *after,
                EncodeFunc encode, const void *filter);

/* Answers with a refusal and, unless it is NULL, each host's verdict. Takes both over. */
void reply_refusal(ClusterCore *core, uint64_t request, GError *refusal, Explanation *explanation);

/* Answers a dry run: an operation that never was. Takes over `plan` (of PlannedVm; NULL: empty) and
 * `explanation` (may be NULL). */
void reply_plan(ClusterCore *core, uint64_t request, const char *kind, const char *message,
                GPtrArray *plan, Explanation *explanation);
PlannedVm *planned_vm(const char *name, const ClusterHost *host, const char *why);

/* JSON of the API's objects. */
json_t *render_host(ClusterCore *core, const ClusterHost *host);
json_t *render_vm(const ClusterVm *vm);
json_t *render_app(const ClusterApp *app);
json_t *render_network(const ClusterNetwork *network);
json_t *render_tenant(ClusterCore *core, const ClusterTenant *tenant);
