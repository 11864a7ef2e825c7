#include "cluster/agents.h"

#include <string.h>

#include "base/error.h"
#include "cluster/devices.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/networks.h"
#include "cluster/txn.h"
#include "cluster/vms.h"

void agent_call(ClusterCore *core, ClusterHost *host, CallKind kind, const char *subject,
                int64_t generation, const char *method, json_t *params, int64_t timeout_ms,
                uint64_t request)
{
    Call *call = g_new0(Call, 1);
    call->kind = kind;
    call->host = g_strdup(host->id);
    call->session = host->session;
    call->subject = g_strdup(subject);
    call->generation = generation;
    call->request = request;
    uint64_t id = ++core->next_call;
    g_hash_table_insert(core->calls, g_memdup2(&id, sizeof id), call);

    ClusterAction *action = cluster_action_new(CLUSTER_ACTION_CALL);
    action->call.host = g_strdup(host->id);
    action->call.call = id;
    action->call.method = method;
    action->call.params = params;
    action->call.timeout_ms = timeout_ms > 0 ? timeout_ms : core->config.call_timeout_ms;
    core_hold(core, action);
}

static void send_remove(ClusterCore *core, ClusterHost *host, const char *vm, int64_t epoch)
{
    g_autoptr(VmRemove) removal = vm_remove_new();
    removal->id = g_strdup(vm);
    removal->epoch = epoch;
    agent_call(core, host, CALL_REMOVE, vm, epoch, AGENT_METHOD_VM_REMOVE,
               vm_remove_encode(removal), 0, 0);
}

void agent_purge(ClusterCore *core, ClusterHost *host, const ReportedVm *reported)
{
    int64_t epoch = reported->status != NULL ? MAX(reported->status->epoch, 1) : 1;
    send_remove(core, host, reported->id, epoch);
}

void agent_mark_vm(ClusterCore *core, ClusterVm *vm)
{
    g_ptr_array_add(core->dirty_vms, g_strdup(vm->id));
}

/* Is there anything of this VM that its host has not been told in this session? */
static bool must_tell(const ClusterVm *vm)
{
    if (vm->host == NULL || !vm->host->reported ||
        (vm->placement->claiming && !vm->spec->removing)) {
        return false;
    }
    return vm->spec->removing ? !vm->sent_remove : vm->sent_generation < vm->spec->generation;
}

static void send_apply(ClusterCore *core, ClusterVm *vm)
{
    if (vm->host->networks_lag) {
        network_tell_host(core, vm->host);
    }
    vm->sent_generation = vm->spec->generation;
    vm->host->applies_under_way++;
    agent_call(core, vm->host, CALL_APPLY, vm->id, vm->spec->generation, AGENT_METHOD_VM_APPLY,
               vm_assignment(core, vm), 0, 0);
}

static void fill_window(ClusterCore *core, ClusterHost *host)
{
    while (host->applies_under_way < core->config.apply_window && host->applies.length > 0) {
        g_autofree char *id = g_queue_pop_head(&host->applies);
        ClusterVm *vm = g_tree_lookup(core->vms, id);
        if (vm == NULL) {
            continue;
        }
        vm->queued = false;
        if (vm->host == host && !vm->spec->removing && must_tell(vm)) {
            send_apply(core, vm);
        }
    }
}

static void tell_vm(ClusterCore *core, ClusterVm *vm)
{
    if (!must_tell(vm)) {
        return;
    }
    if (vm->spec->removing) {
        vm->sent_remove = true;
        send_remove(core, vm->host, vm->id, vm->placement->epoch);
    } else if (!vm->queued) {
        vm->queued = true;
        g_queue_push_tail(&vm->host->applies, g_strdup(vm->id));
        fill_window(core, vm->host);
    }
}

static void retry_later(ClusterCore *core, const char *vm)
{
    Retry *retry = g_new(Retry, 1);
    retry->due_ms = core->now_ms + core->config.retry_ms;
    retry->vm = g_strdup(vm);
    g_queue_push_tail(&core->retries, retry);
}

static void take_due_retries(ClusterCore *core)
{
    Retry *retry;
    while ((retry = g_queue_peek_head(&core->retries)) != NULL && retry->due_ms <= core->now_ms) {
        g_queue_pop_head(&core->retries);
        g_ptr_array_add(core->dirty_vms, retry->vm);
        g_free(retry);
    }
}

void agents_flush(ClusterCore *core)
{
    take_due_retries(core);
    network_tell_lagging(core);
    for (guint i = 0; i < core->dirty_vms->len; i++) {
        ClusterVm *vm = g_tree_lookup(core->vms, core->dirty_vms->pdata[i]);
        if (vm != NULL) {
            tell_vm(core, vm);
        }
    }
    g_ptr_array_set_size(core->dirty_vms, 0);
}

int64_t agents_next_deadline(const ClusterCore *core)
{
    const Retry *retry = g_queue_peek_head((GQueue *)&core->retries);
    return MIN(core->networks_due_ms, retry != NULL ? retry->due_ms : INT64_MAX);
}

/* A new session knows nothing: all that was sent counts as unsent. */
static void reset_session(ClusterHost *host)
{
    host->reported = false;
    host->applies_under_way = 0;
    g_queue_clear_full(&host->applies, g_free);
    g_hash_table_remove_all(host->networks);
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        vm->sent_generation = 0;
        vm->sent_remove = false;
        vm->queued = false;
    }
}

void agent_up(ClusterCore *core, const char *host_id, uint64_t session)
{
    ClusterHost *host = g_tree_lookup(core->hosts, host_id);
    if (host == NULL) {
        ClusterAction *action = cluster_action_new(CLUSTER_ACTION_DISCONNECT);
        action->disconnect.host = g_strdup(host_id);
        action->disconnect.reason = g_strdup("this host was removed from the cluster");
        core_hold(core, action);
        return;
    }
    reset_session(host);
    host->session = session;
    host->since_ms = core->now_ms;
}

static void fail_exec(ClusterCore *core, const Call *call, const GError *error)
{
    if (call->kind == CALL_EXEC) {
        reply_error(core, call->request, g_error_copy(error));
    }
}

/* Calls of a session that is over are answered by nobody. */
static void drop_calls(ClusterCore *core, const ClusterHost *host, const GError *error)
{
    GHashTableIter iter;
    void *value;
    g_hash_table_iter_init(&iter, core->calls);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Call *call = value;
        if (call->session == host->session && strcmp(call->host, host->id) == 0) {
            fail_exec(core, call, error);
            g_hash_table_iter_remove(&iter);
        }
    }
}

void agent_down(ClusterCore *core, const char *host_id, uint64_t session, const char *reason)
{
    ClusterHost *host = g_tree_lookup(core->hosts, host_id);
    if (host == NULL || host->session != session) {
        return;
    }
    g_autoptr(GError) error = NULL;
    berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, "host", host->spec->name,
                    "try again when it is back", "the host's agent is not connected");
    drop_calls(core, host, error);
    bool was_reported = host->reported;
    reset_session(host);
    host->session = 0;
    host->since_ms = core->now_ms;
    g_clear_pointer(&host->measure, host_measure_free);
    fleet_update_host(core, host);
    if (was_reported) {
        Subject subject = subject_of_host(host);
        event_add(core, "host.down", &subject, host->spec->name, NULL,
                  "host %s is no longer connected: %s; its VMs keep running", host->spec->name,
                  reason != NULL ? reason : "connection closed");
    }
}

static void take_facts(ClusterCore *core, ClusterHost *host, const HostFacts *facts)
{
    if (host->facts != NULL && host_facts_equal(host->facts, facts)) {
        return;
    }
    bool moved = host->facts != NULL && g_strcmp0(host->facts->address, facts->address) != 0;
    host_facts_free(host->facts);
    host->facts = host_facts_copy(facts);
    save_host_facts(core, host);
    devices_take_facts(core, host);
    fleet_update_host(core, host);
    fleet_tolerate_excess(core, host);
    for (GTreeNode *n = moved ? g_tree_node_first(host->vms) : NULL; n != NULL;
         n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        network_unlink_vm(core, vm);
        network_link_vm(core, vm);
    }
}

static void quarantine(ClusterCore *core, ClusterHost *host, const ReportedVm *reported)
{
    if (g_tree_lookup(host->quarantined, reported->id) == NULL) {
        Subject subject = {.kind = SUBJECT_KIND_VM, .id = reported->id, .name = reported->name};
        event_add(core, "vm.quarantined", &subject, host->spec->name, NULL,
                  "host %s holds VM %s, which the store does not know; it is left alone: "
                  "'berth vm adopt' or 'berth vm purge' it",
                  host->spec->name, reported->id);
    }
    g_tree_replace(host->quarantined, g_strdup(reported->id), reported_vm_copy(reported));
}

/* The host reports a VM that it should not have. */
static void take_stray(ClusterCore *core, ClusterHost *host, const ReportedVm *reported,
                       const ClusterVm *vm)
{
    if (reported->gone) {
        g_tree_remove(host->quarantined, reported->id);
        return;
    }
    int64_t epoch = reported->status != NULL ? MAX(reported->status->epoch, 1) : 1;
    const Tombstone *tombstone = g_hash_table_lookup(core->tombstones, reported->id);
    if (vm != NULL && vm->placement != NULL && vm->placement->epoch > epoch) {
        send_remove(core, host, reported->id, epoch);
    } else if (tombstone != NULL && tombstone->epoch >= epoch) {
        send_remove(core, host, reported->id, tombstone->epoch);
    } else {
        quarantine(core, host, reported);
    }
}

static void take_vm(ClusterCore *core, ClusterHost *host, const ReportedVm *reported)
{
    ClusterVm *vm = g_tree_lookup(core->vms, reported->id);
    if (vm == NULL || vm->host != host) {
        take_stray(core, host, reported, vm);
        return;
    }
    if (reported->gone) {
        if (vm->spec->removing) {
            vm_removed(core, vm);
        } else {
            vm->sent_generation = 0;
            agent_mark_vm(core, vm);
        }
        return;
    }
    if (reported->status != NULL) {
        vm_take_status(core, vm, reported->status);
    }
    if (reported->assignment != NULL && vm->placement->epoch == reported->assignment->epoch) {
        fleet_book_told(core, vm, reported->assignment->resources);
    }
    agent_mark_vm(core, vm);
}

/* What a full report does not list the host does not have. */
static void take_missing(ClusterCore *core, ClusterHost *host, const AgentReport *report)
{
    g_autoptr(GHashTable) listed = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < report->vms->len; i++) {
        g_hash_table_add(listed, ((ReportedVm *)report->vms->pdata[i])->id);
    }
    g_autoptr(GPtrArray) missing = g_ptr_array_new();
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        if (!g_hash_table_contains(listed, g_tree_node_key(n))) {
            g_ptr_array_add(missing, g_tree_node_value(n));
        }
    }
    for (guint i = 0; i < missing->len; i++) {
        ClusterVm *vm = missing->pdata[i];
        if (vm->spec->removing) {
            vm_removed(core, vm);
        } else {
            agent_mark_vm(core, vm);
        }
    }
}

static void first_report(ClusterCore *core, ClusterHost *host, const AgentReport *report)
{
    host->reported = true;
    g_tree_remove_all(host->quarantined);
    Subject subject = subject_of_host(host);
    const char *accelerator = host->facts != NULL && host->facts->accelerator != NULL
                                  ? accelerator_to_string(host->facts->accelerator->kind)
                                  : "tcg";
    event_add(core, "host.up", &subject, host->spec->name, NULL, "host %s is %s, with %s",
              host->spec->name, host->was_up ? "back" : "up", accelerator);
    host->was_up = true;
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        agent_mark_vm(core, g_tree_node_value(n));
    }
    for (guint i = 0; i < report->networks->len; i++) {
        const ReportedNetwork *network = report->networks->pdata[i];
        network_host_has(host, network->id, network->generation);
    }
    network_host_lags(core, host, 0);
}

static void take_notice(ClusterCore *core, ClusterHost *host, const HostNotice *notice)
{
    const ClusterVm *vm = notice->vm != NULL ? g_tree_lookup(core->vms, notice->vm) : NULL;
    Subject subject = vm != NULL ? subject_of_vm(vm) : subject_of_host(host);
    event_add(core, notice->kind, &subject, host->spec->name, NULL, "%s", notice->message);
}

void agent_report(ClusterCore *core, const char *host_id, uint64_t session,
                  const AgentReport *report, void *call)
{
    ClusterHost *host = g_tree_lookup(core->hosts, host_id);
    if (host != NULL && host->session == session) {
        if (report->facts != NULL) {
            take_facts(core, host, report->facts);
        }
        if (report->full) {
            first_report(core, host, report);
        }
        fleet_update_host(core, host);
        for (guint i = 0; i < report->vms->len; i++) {
            take_vm(core, host, report->vms->pdata[i]);
            txn_seal_if_large(core);
        }
        if (report->full) {
            take_missing(core, host, report);
        }
        for (guint i = 0; i < report->notices->len; i++) {
            take_notice(core, host, report->notices->pdata[i]);
        }
    }
    ClusterAction *answer = cluster_action_new(CLUSTER_ACTION_ANSWER);
    answer->answer.call = call;
    core_hold(core, answer);
}

void agent_measure(ClusterCore *core, const char *host_id, uint64_t session, HostMeasure *measure)
{
    ClusterHost *host = g_hash_table_lookup(core->hosts_by_id, host_id);
    if (host != NULL && host->session == session) {
        host->measure = host->measure != NULL ? host->measure : host_measure_new();
        HostMeasure before = *host->measure;
        *host->measure = *measure;
        *measure = before;
    }
}

static void apply_answered(ClusterCore *core, ClusterHost *host, const Call *call,
                           const GError *error)
{
    host->applies_under_way--;
    fill_window(core, host);
    ClusterVm *vm = g_tree_lookup(core->vms, call->subject);
    if (error == NULL || vm == NULL || vm->host != host) {
        return;
    }
    if (vm->sent_generation == call->generation) {
        vm->sent_generation = 0;
    }
    retry_later(core, vm->id);
    if (vm->status == NULL || g_strcmp0(vm->status->message, error->message) != 0) {
        Subject subject = subject_of_vm(vm);
        event_add(core, "vm.refused", &subject, host->spec->name, NULL,
                  "host %s did not take the assignment of VM %s: %s; tried again", host->spec->name,
                  vm->spec->name, error->message);
    }
}

static void remove_answered(ClusterCore *core, const Call *call, const GError *error)
{
    ClusterVm *vm = g_tree_lookup(core->vms, call->subject);
    if (error != NULL && vm != NULL) {
        vm->sent_remove = false;
        retry_later(core, vm->id);
    }
}

static void exec_answered(ClusterCore *core, const Call *call, const json_t *result,
                          const GError *error)
{
    if (error != NULL) {
        fail_exec(core, call, error);
    } else {
        reply_json(core, call->request, 200, json_deep_copy(result), -1);
    }
}

void agent_answer(ClusterCore *core, uint64_t id, const json_t *result, const GError *error)
{
    Call *call = g_hash_table_lookup(core->calls, &id);
    if (call == NULL) {
        return;
    }
    ClusterHost *host = g_tree_lookup(core->hosts, call->host);
    bool current = host != NULL && host->session == call->session;
    if (call->kind == CALL_EXEC) {
        exec_answered(core, call, result, error);
    } else if (current && call->kind == CALL_APPLY) {
        apply_answered(core, host, call, error);
    } else if (current && call->kind == CALL_REMOVE) {
        remove_answered(core, call, error);
    } else if (current && call->kind == CALL_NETWORK && error != NULL) {
        network_host_has(host, call->subject, call->generation);
        network_host_lags(core, host, core->config.retry_ms);
    }
    g_hash_table_remove(core->calls, &id);
}
