/* vm.exec: a program in a guest, run by the guest's agent. */
#include "agent/agent.h"
#include "base/error.h"

static void on_ended(const GaExecResult *result, const GError *error, gpointer data)
{
    RpcCall *call = data;
    if (error != NULL) {
        rpc_call_answer(call, NULL, error);
        return;
    }
    gsize n_out = 0, n_err = 0;
    const guchar *out = g_bytes_get_data(result->out, &n_out);
    const guchar *err = g_bytes_get_data(result->err, &n_err);
    g_autoptr(VmExecResult) answer = vm_exec_result_new();
    answer->exit_code = result->exit_code;
    answer->signal = result->signal;
    answer->out = g_base64_encode(out, n_out);
    answer->err = g_base64_encode(err, n_err);
    answer->truncated = result->truncated;
    json_t *json = vm_exec_result_encode(answer);
    rpc_call_answer(call, json, NULL);
    json_decref(json);
}

static AgentVm *running_vm(Agent *agent, const char *id, GError **error)
{
    AgentVm *vm = agent_vm_find(agent, id);
    const char *name = agent_vm_name(agent, id);
    if (vm == NULL || host_core_process(agent->core, id) != HOST_PROCESS_RUNNING) {
        berth_error_set(error, BERTH_ERROR_CONFLICT, "vm", name, "start it first",
                        "the VM does not run");
        return NULL;
    }
    if (vm->ga == NULL || !vm->ga_up) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "vm", name,
                        "wait until the guest has booted, or install qemu-guest-agent in it",
                        "the guest's agent has not answered yet");
        return NULL;
    }
    return vm;
}

void exec_begin(Agent *agent, RpcCall *call)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VmExec) exec = vm_exec_decode(rpc_call_params(call), CODEC_TOLERANT, &error);
    AgentVm *vm = exec != NULL ? running_vm(agent, exec->id, &error) : NULL;
    if (vm == NULL) {
        rpc_call_answer(call, NULL, error);
        return;
    }
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    for (guint i = 0; i < exec->argv->len; i++) {
        g_ptr_array_add(argv, exec->argv->pdata[i]);
    }
    g_ptr_array_add(argv, NULL);
    GaExec program = {.argv = (const char *const *)argv->pdata};
    ga_exec(vm->ga, &program, (guint)exec->timeout_ms, on_ended, call);
}
