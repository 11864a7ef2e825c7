/*
 * In the place of the manager's agents.c: hosts without a network. They are up as soon as the manager
 * is, answer every call at once, and report of each VM that all is done, as an agent does that is
 * infinitely fast. The rest of the process is berth-manager.
 */
#include "bench/simulated-hosts.h"
#include "manager/manager.h"

#define HOSTS_A_TURN 500

typedef struct {
    uint64_t call;
    char *host;
    char *vm; /* that was applied; NULL: none */
    int64_t generation, epoch;
} Answer;

struct Agents {
    Manager *manager;
    uint32_t n_hosts, n_up;
    guint turn;
    GQueue answers;
};

static void tell(Manager *manager, ClusterEventKind kind, const char *host,
                 const AgentReport *report)
{
    ClusterEvent event = {.kind = kind};

    event.agent.host = host;
    event.agent.session = 1;
    event.agent.report = report;
    event.agent.call = &event; /* not NULL; agents_answer does not look at it */
    manager_step(manager, &event);
}

static void bring_up(Agents *agents)
{
    g_autofree char *host = simulated_host_id(agents->n_up);
    g_autoptr(AgentReport) report = agent_report_new();

    report->sequence = 1;
    report->full = true;
    report->facts = simulated_host_facts(agents->n_up);
    tell(agents->manager, CLUSTER_EVENT_AGENT_UP, host, NULL);
    tell(agents->manager, CLUSTER_EVENT_AGENT_REPORT, host, report);
    agents->n_up++;
}

static void report_done(Agents *agents, const Answer *answer)
{
    g_autoptr(AgentReport) report = agent_report_new();
    ReportedVm *vm = reported_vm_new();

    report->sequence = 2;
    report->vms = g_ptr_array_new_with_free_func((GDestroyNotify)reported_vm_free);
    g_ptr_array_add(report->vms, vm);
    vm->id = g_strdup(answer->vm);
    vm->status = vm_status_new();
    vm->status->power = POWER_IS_OFF;
    vm->status->epoch = answer->epoch;
    vm->status->generation = answer->generation;
    vm->status->settled = true;
    tell(agents->manager, CLUSTER_EVENT_AGENT_REPORT, answer->host, report);
}

static void answer_free(Answer *answer)
{
    g_free(answer->host);
    g_free(answer->vm);
    g_free(answer);
}

static gboolean on_turn(gpointer data)
{
    Agents *agents = data;

    for (uint32_t i = 0; i < HOSTS_A_TURN && agents->n_up < agents->n_hosts; i++) {
        bring_up(agents);
    }
    for (guint n = agents->answers.length; n > 0; n--) {
        Answer *answer = g_queue_pop_head(&agents->answers);
        ClusterEvent event = {.kind = CLUSTER_EVENT_AGENT_ANSWER};
        event.answer.call = answer->call;
        json_t *nothing = json_object();
        event.answer.result = nothing;
        manager_step(agents->manager, &event);
        json_decref(nothing);
        if (answer->vm != NULL) {
            report_done(agents, answer);
        }
        answer_free(answer);
    }
    bool is_done = agents->n_up == agents->n_hosts && agents->answers.length == 0;
    agents->turn = is_done ? 0 : agents->turn;
    return is_done ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void want_turn(Agents *agents)
{
    if (agents->turn == 0) {
        agents->turn = g_idle_add_full(G_PRIORITY_DEFAULT, on_turn, agents, NULL);
    }
}

Agents *agents_new(Manager *manager, int fd, GError **error)
{
    const char *hosts = g_getenv(SIMULATED_HOSTS_ENV);
    Agents *agents = g_new0(Agents, 1);

    agents->manager = manager;
    agents->n_hosts = hosts != NULL ? (uint32_t)g_ascii_strtoull(hosts, NULL, 10) : 0;
    g_queue_init(&agents->answers);
    want_turn(agents);
    return agents;
}

void agents_free(Agents *agents)
{
    g_clear_handle_id(&agents->turn, g_source_remove);
    g_queue_clear_full(&agents->answers, (GDestroyNotify)answer_free);
    g_free(agents);
}

void agents_send(Agents *agents, const ClusterAction *action)
{
    Answer *answer = g_new0(Answer, 1);

    answer->call = action->call.call;
    answer->host = g_strdup(action->call.host);
    if (strcmp(action->call.method, AGENT_METHOD_VM_APPLY) == 0) {
        const json_t *params = action->call.params;
        answer->vm = g_strdup(json_string_value(json_object_get(params, "id")));
        answer->generation = json_integer_value(json_object_get(params, "generation"));
        answer->epoch = json_integer_value(json_object_get(params, "epoch"));
    }
    g_queue_push_tail(&agents->answers, answer);
    want_turn(agents);
}

void agents_answer(Agents *agents, const ClusterAction *action)
{
}

void agents_let_go(Agents *agents, const GError *reason)
{
}

void agents_disconnect(Agents *agents, const char *host, const char *reason)
{
}

bool agents_notify(Agents *agents, const char *host, const char *method, json_t *params)
{
    return true;
}

bool agents_call(Agents *agents, const char *host, const char *method, json_t *params,
                 int64_t timeout_ms, RpcAnswer answer, void *data)
{
    return false;
}

guint agents_count(const Agents *agents)
{
    return agents->n_up;
}
