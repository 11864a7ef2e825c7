#include "cluster/cluster.h"

#include <string.h>

#include "base/error.h"
#include "cluster/accounts.h"
#include "cluster/agents.h"
#include "cluster/apps.h"
#include "cluster/commands.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/load.h"
#include "cluster/networks.h"
#include "cluster/preempt.h"
#include "cluster/promises.h"
#include "cluster/queue.h"
#include "cluster/rescue.h"
#include "cluster/reservations.h"
#include "cluster/rules.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"

static const ClusterCommand commands[API_N_OPERATIONS] = {
    [API_OP_GET_CLUSTER] = get_cluster,
    [API_OP_GET_SNAPSHOT] = get_snapshot,
    [API_OP_GET_TOP] = get_top,
    [API_OP_LIST_JOIN_TOKENS] = list_join_tokens,
    [API_OP_CREATE_JOIN_TOKEN] = create_join_token,
    [API_OP_DELETE_JOIN_TOKEN] = delete_join_token,
    [API_OP_JOIN_HOST] = join_host,
    [API_OP_LIST_HOSTS] = list_hosts,
    [API_OP_GET_HOST] = get_host,
    [API_OP_UPDATE_HOST] = update_host,
    [API_OP_DELETE_HOST] = delete_host,
    [API_OP_DRAIN_HOST] = drain_host,
    [API_OP_LIST_SIZES] = list_sizes,
    [API_OP_CREATE_SIZE] = create_size,
    [API_OP_GET_SIZE] = get_size,
    [API_OP_DELETE_SIZE] = delete_size,
    [API_OP_GET_PLAN_FIT] = get_plan_fit,
    [API_OP_GET_PLAN_LOSE] = get_plan_lose,
    [API_OP_GET_PLAN_DRAIN] = get_plan_drain,
    [API_OP_LIST_QUEUE] = list_queue,
    [API_OP_GET_QUEUE_ENTRY] = get_queue_entry,
    [API_OP_DELETE_QUEUE_ENTRY] = delete_queue_entry,
    [API_OP_LIST_RULES] = list_rules,
    [API_OP_CREATE_RULE] = create_rule,
    [API_OP_GET_RULE] = get_rule,
    [API_OP_DELETE_RULE] = delete_rule,
    [API_OP_LIST_RESERVATIONS] = list_reservations,
    [API_OP_CREATE_RESERVATION] = create_reservation,
    [API_OP_GET_RESERVATION] = get_reservation,
    [API_OP_DELETE_RESERVATION] = delete_reservation,
    [API_OP_LIST_IMAGES] = list_images,
    [API_OP_CREATE_IMAGE] = create_image,
    [API_OP_GET_IMAGE] = get_image,
    [API_OP_DELETE_IMAGE] = delete_image,
    [API_OP_LIST_NETWORKS] = list_networks,
    [API_OP_CREATE_NETWORK] = create_network,
    [API_OP_GET_NETWORK] = get_network,
    [API_OP_DELETE_NETWORK] = delete_network,
    [API_OP_LIST_VMS] = list_vms,
    [API_OP_CREATE_VM] = create_vm,
    [API_OP_GET_VM] = get_vm,
    [API_OP_UPDATE_VM] = update_vm,
    [API_OP_DELETE_VM] = delete_vm,
    [API_OP_RESIZE_VM] = resize_vm,
    [API_OP_EXEC_VM] = exec_vm,
    [API_OP_EXPLAIN_VM] = explain_vm,
    [API_OP_ADOPT_VM] = adopt_vm,
    [API_OP_PURGE_VM] = purge_vm,
    [API_OP_LIST_APPS] = list_apps,
    [API_OP_CREATE_APP] = create_app,
    [API_OP_GET_APP] = get_app,
    [API_OP_UPDATE_APP] = update_app,
    [API_OP_DELETE_APP] = delete_app,
    [API_OP_LIST_OPERATIONS] = list_operations,
    [API_OP_GET_OPERATION] = get_operation,
    [API_OP_LIST_EVENTS] = list_events,
    [API_OP_LIST_TENANTS] = list_tenants,
    [API_OP_CREATE_TENANT] = create_tenant,
    [API_OP_GET_TENANT] = get_tenant,
    [API_OP_UPDATE_TENANT] = update_tenant,
    [API_OP_DELETE_TENANT] = delete_tenant,
    [API_OP_ADD_CREDITS] = add_credits,
    [API_OP_GET_STATEMENT] = get_statement,
    [API_OP_GET_LEVELS] = get_levels,
    [API_OP_SET_LEVELS] = set_levels,
    [API_OP_GET_RATES] = get_rates,
    [API_OP_SET_RATES] = set_rates,
    [API_OP_LIST_TOKENS] = list_tokens,
    [API_OP_CREATE_TOKEN] = create_token,
    [API_OP_DELETE_TOKEN] = delete_token,
};

ClusterCommand cluster_command(ApiOperation operation)
{
    return operation >= 0 && operation < API_N_OPERATIONS ? commands[operation] : NULL;
}

bool cluster_command_writes(ApiOperation operation)
{
    return strcmp(api_routes[operation].method, "GET") != 0 && operation != API_OP_EXEC_VM;
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

ClusterCore *cluster_core_new(const ClusterConfig *config)
{
    ClusterCore *core = g_new0(ClusterCore, 1);
    core->config = *config;
    core->config.events_kept = or_default(config->events_kept, 10000);
    core->config.operations_kept = or_default(config->operations_kept, 5000);
    core->config.tombstones_kept = or_default(config->tombstones_kept, 100000);
    core->config.call_timeout_ms = or_default(config->call_timeout_ms, 30000);
    core->config.retry_ms = or_default(config->retry_ms, 2000);
    core->config.charge_interval_ms = or_default(config->charge_interval_ms, 60000);
    core->config.charges_kept = or_default(config->charges_kept, 50000);
    core->config.charges_kept_ms =
        or_default(config->charges_kept_ms, INT64_C(62) * 24 * 3600 * 1000);
    core->config.credits_kept = or_default(config->credits_kept, 1000);
    core->config.starvation_ms = or_default(config->starvation_ms, 600000);
    core->config.patience_ms = or_default(config->patience_ms, 300000);
    core->config.apply_window = (int)or_default(config->apply_window, 64);
    core->writable = true;
    berth_ulid_generator_init(&core->ulids, config->seed);
    model_init(core);
    journal_init(core);
    txn_init(core);
    return core;
}

void cluster_core_free(ClusterCore *core)
{
    if (core != NULL) {
        txn_clear(core);
        journal_clear(core);
        model_clear(core);
        g_free(core->machine);
        g_free(core->unwritable_reason);
        g_free(core);
    }
}

/* What a start changes by itself; it waits for a store that takes it. */
static void resume(ClusterCore *core)
{
    core->resumed = true;
    core->resumed_ms = core->now_ms;
    rescue_want(core);
    if (core->meta == NULL) {
        core->meta = cluster_meta_new();
        core->meta->id = model_new_id(core);
        core->meta->created_ms = core->now_ms;
        save_meta(core);
    }
    tenants_resume(core);
    accounts_tick(core);
    reservations_tick(core);
    for (GTreeNode *n = g_tree_node_first(core->apps); n != NULL;) {
        ClusterApp *app = g_tree_node_value(n);
        n = g_tree_node_next(n);
        app_resume(core, app);
        app_vm_changed(core, app);
    }
}

static void start(ClusterCore *core)
{
    load_finish(core);
    core->started = true;
    if (core->writable) {
        resume(core);
    }
}

static void take_health(ClusterCore *core, bool writable, const char *reason)
{
    core->writable = writable;
    g_free(core->unwritable_reason);
    core->unwritable_reason = g_strdup(reason);
    if (writable && core->started && !core->resumed) {
        resume(core);
    } else if (writable) {
        reservations_tick(core); /* before anybody has the room of what is over */
    }
}

static bool refuse_unwritable(const ClusterCore *core, GError **error)
{
    return berth_error_set(
        error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "put the cause right; reads still work",
        "the manager takes no changes: %s",
        core->unwritable_reason != NULL ? core->unwritable_reason : "its store cannot write");
}

static void take_image(ClusterCore *core, const char *image, const char *sha256, uint64_t request)
{
    GError *error = NULL;
    if (core->writable) {
        image_received(core, image, sha256, request);
    } else if (!refuse_unwritable(core, &error)) {
        reply_error(core, request, error);
    }
}

/* Whose is what this id names? NULL: it is no id. */
static const char *owner_of(const ClusterCore *core, const char *id)
{
    const ClusterVm *vm = g_tree_lookup(core->vms, id);
    const ClusterApp *app = g_tree_lookup(core->apps, id);
    const ClusterNetwork *network = g_tree_lookup(core->networks, id);
    const ClusterRule *rule = g_tree_lookup(core->rules, id);
    const ClusterQueued *queued = g_tree_lookup(core->queue, id);
    const ClusterReservation *reservation = g_tree_lookup(core->reservations, id);
    return vm != NULL            ? vm->tenant
           : app != NULL         ? app->tenant
           : network != NULL     ? network->object->tenant
           : rule != NULL        ? rule->object->tenant
           : queued != NULL      ? queued->object->tenant
           : reservation != NULL ? reservation->object->tenant
                                 : NULL;
}

/* An id is good in any tenant for those who see all. */
static ClusterPrincipal principal_for(const ClusterCore *core, const ClusterPrincipal *principal,
                                      const char *const *params)
{
    ClusterPrincipal who = *principal;
    const char *owner =
        who.all && params != NULL && params[0] != NULL ? owner_of(core, params[0]) : NULL;
    who.tenant = owner != NULL ? owner : who.tenant;
    return who;
}

static void take_request(ClusterCore *core, const ClusterRequest *asked)
{
    g_autoptr(GError) error = NULL;
    ClusterRequest resolved = *asked;
    resolved.principal = principal_for(core, &asked->principal, asked->params);
    const ClusterRequest *request = &resolved;
    ClusterCommand command = cluster_command(request->operation);
    bool answered = find_tenant(core, request->principal.tenant, &error) != NULL;
    if (answered && command == NULL) {
        answered = berth_error_set(&error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                                   "%s is not for the core", api_routes[request->operation].name);
    } else if (answered && !core->writable && cluster_command_writes(request->operation)) {
        answered = refuse_unwritable(core, &error);
    } else if (answered) {
        core->asker = &request->principal;
        answered = command(core, request, &error);
        core->asker = NULL;
    }
    if (!answered) {
        reply_error(core, request->id, g_steal_pointer(&error));
    }
}

static void abort_core(ClusterCore *core, const char *reason)
{
    core->aborted = true;
    ClusterAction *action = cluster_action_new(CLUSTER_ACTION_ABORT);
    action->abort_reason = g_strdup(reason);
    core_emit(core, action);
}

static void dispatch(ClusterCore *core, const ClusterEvent *event)
{
    switch (event->kind) {
    case CLUSTER_EVENT_START:
        start(core);
        break;
    case CLUSTER_EVENT_REQUEST:
        take_request(core, event->request);
        break;
    case CLUSTER_EVENT_CANCEL:
        operation_cancel_wait(core, event->cancel);
        break;
    case CLUSTER_EVENT_COMMITTED:
        txn_committed(core, event->commit.revision);
        break;
    case CLUSTER_EVENT_COMMIT_FAILED:
        abort_core(core, event->commit.error != NULL ? event->commit.error->message
                                                     : "a transaction failed");
        break;
    case CLUSTER_EVENT_STORE_HEALTH:
        take_health(core, event->health.writable, event->health.reason);
        break;
    case CLUSTER_EVENT_AGENT_UP:
        agent_up(core, event->agent.host, event->agent.session);
        break;
    case CLUSTER_EVENT_AGENT_DOWN:
        agent_down(core, event->agent.host, event->agent.session, event->agent.reason);
        break;
    case CLUSTER_EVENT_AGENT_REPORT:
        agent_report(core, event->agent.host, event->agent.session, event->agent.report,
                     event->agent.call);
        break;
    case CLUSTER_EVENT_AGENT_MEASURE:
        agent_measure(core, event->agent.host, event->agent.session, event->agent.measure);
        break;
    case CLUSTER_EVENT_AGENT_ANSWER:
        agent_answer(core, event->answer.call, event->answer.result, event->answer.error);
        break;
    case CLUSTER_EVENT_IMAGE_RECEIVED:
        take_image(core, event->received.image, event->received.sha256, event->received.request);
        break;
    case CLUSTER_EVENT_TICK:
        operation_expire_waits(core);
        break;
    }
}

ClusterActions *cluster_step(ClusterCore *core, const ClusterEvent *event, int64_t now_ms)
{
    ClusterActions *actions = core->actions = cluster_actions_new();
    core->now_ms = MAX(core->now_ms, now_ms);
    if (!core->aborted) {
        accounts_tick(core);
        reservations_tick(core);
        dispatch(core, event);
    }
    if (!core->aborted) {
        promises_restore(core);
        queue_serve(core);
        preempt_finish(core);
        agents_flush(core);
        txn_finish_step(core);
    }
    core->actions = NULL;
    return actions;
}

int64_t cluster_next_deadline(const ClusterCore *core)
{
    int64_t next = MIN(agents_next_deadline(core), reservations_next_deadline(core));
    if (core->resumed && core->writable) {
        next = MIN(next, core->charge_due_ms);
    }
    next = MIN(next, queue_next_deadline(core));
    for (guint i = 0; i < core->waiters->len; i++) {
        next = MIN(next, g_array_index(core->waiters, Waiter, i).deadline_ms);
    }
    return next;
}

bool cluster_core_locate_vm(const ClusterCore *core, const ClusterPrincipal *principal,
                            const char *key, const char **ret_id, const char **ret_host,
                            GError **error)
{
    const char *const keys[] = {key, NULL};
    ClusterPrincipal who = principal_for(core, principal, keys);
    ClusterCore *served = (ClusterCore *)core;
    served->asker = &who;
    const ClusterVm *vm = find_vm(served, who.tenant, key, error);
    served->asker = NULL;
    if (vm == NULL) {
        return false;
    }
    *ret_id = vm->id;
    *ret_host = vm->host != NULL && vm->host->session != 0 ? vm->host->id : NULL;
    return true;
}

bool cluster_core_knows_host(const ClusterCore *core, const char *host)
{
    return g_tree_lookup(core->hosts, host) != NULL;
}

bool cluster_core_check(const ClusterCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (vm->placement == NULL || vm->host == NULL ||
            g_tree_lookup(vm->host->vms, vm->id) != vm) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, "vm", vm->id, NULL,
                                   "a VM is not tied to the host of its placement");
        }
    }
    return networks_check(core, error) && fleet_check((ClusterCore *)core, error) &&
           tenants_check((ClusterCore *)core, error) && queue_check(core, error) &&
           promises_check(core, error) && reservations_check((ClusterCore *)core, error) &&
           preempt_check(core, error) && rules_check(core, error);
}
