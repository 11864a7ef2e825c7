#include <unistd.h>

#include <gio/gunixsocketaddress.h>

#include "agent/agent.h"
#include "agent/paths.h"
#include "base/error.h"
#include "linux/process.h"

#define EXIT_RETRY_MS 5
#define EXIT_ATTEMPTS 60 /* what a keeper may take to write exit.json */

AgentVm *agent_vm_find(Agent *agent, const char *id)
{
    return g_hash_table_lookup(agent->vms, id);
}

const char *agent_vm_name(const Agent *agent, const char *id)
{
    const Assignment *assignment = host_core_assignment(agent->core, id);
    return assignment != NULL ? assignment->name : id;
}

AgentVm *agent_vm(Agent *agent, const char *id)
{
    AgentVm *vm = agent_vm_find(agent, id);
    if (vm == NULL) {
        vm = g_new0(AgentVm, 1);
        vm->agent = agent;
        vm->id = g_strdup(id);
        vm->directory = path_run_vm(agent->run, id);
        vm->pidfd = -1;
        g_hash_table_insert(agent->vms, vm->id, vm);
    }
    return vm;
}

void agent_vm_forget_process(AgentVm *vm)
{
    g_clear_handle_id(&vm->exit_retry, g_source_remove);
    g_clear_handle_id(&vm->ga_retry, g_source_remove);
    if (vm->watch != NULL) {
        g_source_destroy(vm->watch);
        g_clear_pointer(&vm->watch, g_source_unref);
    }
    if (vm->pidfd >= 0) {
        close(vm->pidfd);
        vm->pidfd = -1;
    }
    if (vm->keeper != NULL) {
        rpc_connection_set_data(vm->keeper, NULL);
        rpc_connection_close(vm->keeper, NULL);
        g_clear_pointer(&vm->keeper, rpc_connection_unref);
    }
    g_clear_pointer(&vm->qmp, qmp_free);
    g_clear_pointer(&vm->ga, ga_free);
    g_clear_pointer(&vm->cgroup, cgroup_vm_free);
    g_clear_pointer(&vm->launch, g_free);
    vm->ga_up = vm->fresh = false;
    vm->pid = 0;
    vm->exit_attempts = 0;
}

void agent_vm_free(AgentVm *vm)
{
    agent_vm_forget_process(vm);
    g_free(vm->directory);
    g_free(vm->id);
    g_free(vm);
}

void agent_vm_tell_exit(AgentVm *vm, const KeeperExit *exit)
{
    if (vm->exit_told) {
        return;
    }
    vm->exit_told = true;
    g_clear_handle_id(&vm->exit_retry, g_source_remove);
    g_autofree char *message =
        g_strdelimit(g_strdup(exit->message != NULL ? exit->message : ""), "\n", ' ');
    agent_log(vm->id, "QEMU has ended: %s, code %d, signal %d%s %s",
              keeper_exit_kind_to_string(exit->kind), (int)exit->code, (int)exit->signal,
              exit->oom_killed ? ", out of memory" : "", message);
    HostEvent event = {.kind = HOST_EVENT_EXITED, .vm = vm->id};
    event.exited = exit;
    agent_step(vm->agent, &event);
}

/* The exit as the keeper wrote it; NULL while it has not. */
static KeeperStatus *read_exit(const AgentVm *vm)
{
    g_autofree char *path = g_build_filename(vm->directory, "exit.json", NULL);
    json_t *json = json_file_read(path, NULL);
    KeeperStatus *status = json != NULL ? keeper_status_decode(json, CODEC_TOLERANT, NULL) : NULL;
    json_decref(json);
    if (status != NULL && (status->exit == NULL || g_strcmp0(status->launch, vm->launch) != 0)) {
        g_clear_pointer(&status, keeper_status_free);
    }
    return status;
}

static gboolean look_for_exit(gpointer data)
{
    AgentVm *vm = data;
    g_autoptr(KeeperStatus) status = read_exit(vm);
    if (status == NULL && ++vm->exit_attempts < EXIT_ATTEMPTS) {
        return G_SOURCE_CONTINUE;
    }
    vm->exit_retry = 0;
    if (status != NULL) {
        agent_vm_tell_exit(vm, status->exit);
        return G_SOURCE_REMOVE;
    }
    KeeperExit unknown = {.kind = KEEPER_EXIT_KIND_SIGNALED,
                          .signal = 9,
                          .at_ms = g_get_real_time() / 1000,
                          .message = (char *)"its keeper has ended too; the cause is not known"};
    agent_vm_tell_exit(vm, &unknown);
    return G_SOURCE_REMOVE;
}

/* The keeper tells too, with the cause; whoever comes first. */
static void on_ended(int pidfd, gpointer data)
{
    AgentVm *vm = data;
    if (vm->exit_told || vm->exit_retry != 0) {
        return;
    }
    vm->exit_attempts = 0;
    vm->exit_retry = g_timeout_add(EXIT_RETRY_MS, look_for_exit, vm);
}

static void on_keeper_notified(RpcConnection *connection, const char *method, json_t *params,
                               void *data)
{
    AgentVm *vm = data;
    if (vm == NULL || g_strcmp0(method, KEEPER_METHOD_KEEPER_EXITED) != 0) {
        return;
    }
    g_autoptr(KeeperStatus) status = keeper_status_decode(params, CODEC_TOLERANT, NULL);
    if (status != NULL && status->exit != NULL && g_strcmp0(status->launch, vm->launch) == 0) {
        agent_vm_tell_exit(vm, status->exit);
    }
}

static void on_keeper_closed(RpcConnection *connection, const GError *reason, void *data)
{
    AgentVm *vm = data;
    if (vm != NULL && vm->keeper == connection) {
        agent_log(vm->id, "its keeper is gone (%s); QEMU is watched by its pidfd",
                  reason != NULL ? reason->message : "closed");
        g_clear_pointer(&vm->keeper, rpc_connection_unref);
    }
}

static RpcConnection *dial_keeper(AgentVm *vm, GError **error)
{
    static const RpcHandlers handlers = {.notified = on_keeper_notified,
                                         .closed = on_keeper_closed};
    g_autofree char *path = g_build_filename(vm->directory, "keeper.sock", NULL);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(RpcHello) hello = rpc_hello_new(KEEPER_PROTOCOL_NAME, KEEPER_PROTOCOL_MAJOR,
                                              KEEPER_PROTOCOL_MINOR, NULL, NULL);
    RpcOptions options = {.hello = hello, .ping_after_ms = 3600000, .silence_ms = 7200000};
    RpcConnection *connection =
        rpc_connection_dial(vm->agent->loop, address, &options, &handlers, vm, error);
    return connection != NULL ? rpc_connection_ref(connection) : NULL;
}

bool agent_vm_watch(AgentVm *vm, const KeeperStatus *status, GError **error)
{
    agent_vm_forget_process(vm);
    vm->exit_told = false;
    vm->launch = g_strdup(status->launch);
    vm->pid = (pid_t)status->pid;
    vm->start_ticks = (uint64_t)status->start_ticks;
    g_autoptr(GError) failed = NULL;
    vm->keeper = dial_keeper(vm, &failed);
    if (vm->keeper == NULL) {
        agent_log(vm->id, "its keeper does not answer: %s", failed->message);
    }
    g_autoptr(GError) gone = NULL;
    vm->pidfd = process_open(vm->pid, vm->start_ticks, &gone);
    if (vm->pidfd < 0 && g_error_matches(gone, BERTH_ERROR, BERTH_ERROR_NOT_FOUND)) {
        on_ended(-1, vm);
        return true;
    }
    if (vm->pidfd < 0) {
        g_propagate_error(error, g_steal_pointer(&gone));
        return false;
    }
    vm->watch = process_watch(vm->pidfd, on_ended, vm);
    return true;
}
