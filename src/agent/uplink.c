/*
 * The manager, as the agent sees it: its calls become events of the core, what the core reports
 * goes up.
 *
 * One report is under way at a time; what changes meanwhile is gathered, newest for each VM, and
 * goes with the next. The first of a connection is full.
 */
#include "agent/agent.h"
#include "base/error.h"
#include "base/order.h"
#include "rpc/client.h"

#define REPORT_TIMEOUT_MS 30000

struct Uplink {
    Agent *agent;
    RpcClient *client;
    RpcConnection *connection; /* NULL: down */
    int64_t sequence;
    bool full; /* the next report is */
    bool under_way;
    bool networks_changed;
    GTree *vms;         /* id → ReportedVm, to be reported */
    GPtrArray *notices; /* of HostNotice */
    guint flush;
    char *last_problem; /* told once, not at each attempt */
};

static void vm_value_free(gpointer vm)
{
    reported_vm_free(vm);
}

static void notice_free(gpointer notice)
{
    host_notice_free(notice);
}

static void schedule(Uplink *uplink);

typedef struct {
    Uplink *uplink;
    RpcConnection *connection;
} Sent;

static void on_taken(json_t *result, const GError *error, void *data)
{
    Sent *sent = data;
    Uplink *uplink = sent->uplink;
    if (uplink->connection == sent->connection) {
        uplink->under_way = false;
        if (error != NULL) {
            g_warning("the manager did not take a report: %s", error->message);
            rpc_connection_close(uplink->connection, error);
        } else {
            schedule(uplink);
        }
    }
    rpc_connection_unref(sent->connection);
    g_free(sent);
}

static gboolean move_vm(void *key, void *value, void *data)
{
    AgentReport *report = data;
    g_ptr_array_add(report->vms, reported_vm_copy(value));
    return FALSE;
}

static AgentReport *take_report(Uplink *uplink)
{
    AgentReport *report = agent_report_new();
    report->sequence = ++uplink->sequence;
    report->full = uplink->full;
    if (uplink->full) {
        report->facts = host_facts_copy(uplink->agent->facts);
    }
    if (uplink->full || uplink->networks_changed) {
        networks_report(uplink->agent->networks, report->networks);
    }
    g_tree_foreach(uplink->vms, move_vm, report);
    g_tree_remove_all(uplink->vms);
    for (guint i = 0; i < uplink->notices->len; i++) {
        g_ptr_array_add(report->notices, host_notice_copy(uplink->notices->pdata[i]));
    }
    g_ptr_array_set_size(uplink->notices, 0);
    uplink->full = uplink->networks_changed = false;
    return report;
}

static gboolean flush(gpointer data)
{
    Uplink *uplink = data;
    uplink->flush = 0;
    bool news = uplink->full || uplink->networks_changed || g_tree_nnodes(uplink->vms) > 0 ||
                uplink->notices->len > 0;
    if (uplink->connection == NULL || uplink->under_way || !news) {
        return G_SOURCE_REMOVE;
    }
    g_autoptr(AgentReport) report = take_report(uplink);
    json_t *params = agent_report_encode(report);
    Sent *sent = g_new(Sent, 1);
    *sent = (Sent){uplink, rpc_connection_ref(uplink->connection)};
    uplink->under_way = true;
    rpc_connection_call(uplink->connection, AGENT_METHOD_AGENT_REPORT, params, REPORT_TIMEOUT_MS,
                        on_taken, sent);
    json_decref(params);
    return G_SOURCE_REMOVE;
}

/* In the next turn, so that what one step of the core reports goes together. */
static void schedule(Uplink *uplink)
{
    if (uplink->flush == 0) {
        uplink->flush = g_idle_add_full(G_PRIORITY_DEFAULT, flush, uplink, NULL);
    }
}

void uplink_report(Uplink *uplink, ReportedVm *report)
{
    if (uplink->connection == NULL) {
        reported_vm_free(report);
        return;
    }
    g_tree_replace(uplink->vms, g_strdup(report->id), report);
    schedule(uplink);
}

void uplink_notice(Uplink *uplink, const char *kind, const char *vm, const char *message)
{
    HostNotice *notice = host_notice_new();
    notice->kind = g_strdup(kind);
    notice->vm = g_strdup(vm);
    notice->message = g_strdup(message);
    g_ptr_array_add(uplink->notices, notice);
    schedule(uplink);
}

void uplink_networks_changed(Uplink *uplink)
{
    uplink->networks_changed = true;
    schedule(uplink);
}

bool uplink_is_up(const Uplink *uplink)
{
    return uplink->connection != NULL;
}

void uplink_notify(Uplink *uplink, const char *method, json_t *params)
{
    if (uplink->connection != NULL) {
        rpc_connection_notify(uplink->connection, method, params, NULL);
    }
}

void uplink_measure(Uplink *uplink, const HostMeasure *measure)
{
    json_t *params = host_measure_encode(measure);
    uplink_notify(uplink, AGENT_METHOD_AGENT_MEASURE, params);
    json_decref(params);
}

typedef struct {
    RpcAnswer answer;
    void *data;
} Refused;

static gboolean refuse(gpointer data)
{
    Refused *refused = data;
    g_autoptr(GError) error = NULL;
    berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "it is tried again",
                    "this host has no connection to its manager");
    refused->answer(NULL, error, refused->data);
    g_free(refused);
    return G_SOURCE_REMOVE;
}

void uplink_call(Uplink *uplink, const char *method, json_t *params, RpcAnswer answer, void *data)
{
    if (uplink->connection != NULL) {
        rpc_connection_call(uplink->connection, method, params, 0, answer, data);
        return;
    }
    Refused *refused = g_new(Refused, 1);
    *refused = (Refused){answer, data};
    g_idle_add_full(G_PRIORITY_DEFAULT, refuse, refused, NULL);
}

static void answer_done(const GError *error, gpointer data)
{
    rpc_call_answer(data, NULL, error);
}

static void take_apply(Uplink *uplink, RpcCall *call, GError **error)
{
    g_autoptr(Assignment) assignment =
        assignment_decode(rpc_call_params(call), CODEC_TOLERANT, error);
    if (assignment != NULL) {
        HostEvent event = {.kind = HOST_EVENT_APPLY, .vm = assignment->id};
        event.apply.assignment = assignment;
        event.apply.call = call;
        agent_step(uplink->agent, &event);
    }
}

static void take_remove(Uplink *uplink, RpcCall *call, GError **error)
{
    g_autoptr(VmRemove) removal = vm_remove_decode(rpc_call_params(call), CODEC_TOLERANT, error);
    if (removal != NULL) {
        HostEvent event = {.kind = HOST_EVENT_REMOVE, .vm = removal->id};
        event.remove.epoch = removal->epoch;
        event.remove.call = call;
        agent_step(uplink->agent, &event);
    }
}

static void take_network(Uplink *uplink, RpcCall *call, GError **error)
{
    g_autoptr(NetworkAssignment) network =
        network_assignment_decode(rpc_call_params(call), CODEC_TOLERANT, error);
    if (network != NULL) {
        networks_apply(uplink->agent->networks, network, answer_done, call);
    }
}

static void take_network_removal(Uplink *uplink, RpcCall *call, GError **error)
{
    g_autoptr(NetworkRemove) removal =
        network_remove_decode(rpc_call_params(call), CODEC_TOLERANT, error);
    if (removal != NULL) {
        networks_remove(uplink->agent->networks, removal, answer_done, call);
    }
}

static void take_image_removal(Uplink *uplink, RpcCall *call, GError **error)
{
    images_sweep(uplink->agent->images);
    rpc_call_answer(call, NULL, NULL);
}

static void take_exec(Uplink *uplink, RpcCall *call, GError **error)
{
    exec_begin(uplink->agent, call);
}

static void take_console(Uplink *uplink, RpcCall *call, GError **error)
{
    consoles_open(uplink->agent->consoles, call);
}

static void on_call(RpcClient *client, RpcCall *call, void *data)
{
    static const struct {
        const char *method;
        void (*take)(Uplink *uplink, RpcCall *call, GError **error);
    } methods[] = {
        {AGENT_METHOD_VM_APPLY, take_apply},
        {AGENT_METHOD_VM_REMOVE, take_remove},
        {AGENT_METHOD_VM_EXEC, take_exec},
        {AGENT_METHOD_NETWORK_APPLY, take_network},
        {AGENT_METHOD_NETWORK_REMOVE, take_network_removal},
        {AGENT_METHOD_IMAGE_REMOVE, take_image_removal},
        {AGENT_METHOD_CONSOLE_OPEN, take_console},
    };
    for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
        if (strcmp(rpc_call_method(call), methods[i].method) == 0) {
            g_autoptr(GError) error = NULL;
            methods[i].take(data, call, &error);
            if (error != NULL) {
                rpc_call_answer(call, NULL, error);
            }
            return;
        }
    }
    g_autoptr(GError) unknown = rpc_error_no_method(rpc_call_method(call));
    rpc_call_answer(call, NULL, unknown);
}

static void on_notified(RpcClient *client, const char *method, json_t *params, void *data)
{
    Uplink *uplink = data;
    if (strcmp(method, AGENT_METHOD_CONSOLE_INPUT) == 0) {
        g_autoptr(ConsoleData) input = console_data_decode(params, CODEC_TOLERANT, NULL);
        if (input != NULL) {
            consoles_input(uplink->agent->consoles, input);
        }
    } else if (strcmp(method, AGENT_METHOD_CONSOLE_CLOSE) == 0) {
        g_autoptr(ConsoleClose) close = console_close_decode(params, CODEC_TOLERANT, NULL);
        if (close != NULL) {
            consoles_close(uplink->agent->consoles, close->session);
        }
    }
}

static void forget_session(Uplink *uplink)
{
    uplink->sequence = 0;
    uplink->under_way = false;
    g_tree_remove_all(uplink->vms);
}

static void on_up(RpcClient *client, void *data)
{
    Uplink *uplink = data;
    RpcConnection *connection = rpc_client_connection(client);
    agent_log(NULL, "connected to the manager at %s", rpc_connection_peer_address(connection));
    uplink->connection = rpc_connection_ref(connection);
    forget_session(uplink);
    g_clear_pointer(&uplink->last_problem, g_free);
    uplink->full = true;
    HostEvent event = {.kind = HOST_EVENT_REPORT_ALL};
    agent_step(uplink->agent, &event);
    schedule(uplink);
}

static void on_down(RpcClient *client, const GError *reason, void *data)
{
    Uplink *uplink = data;
    agent_log(NULL, "the connection to the manager ended: %s",
              reason != NULL ? reason->message : "closed");
    g_clear_pointer(&uplink->connection, rpc_connection_unref);
    consoles_close_all(uplink->agent->consoles);
    forget_session(uplink);
}

static void on_failed(RpcClient *client, const GError *reason, int64_t wait_ms, void *data)
{
    Uplink *uplink = data;
    if (g_strcmp0(uplink->last_problem, reason->message) != 0) {
        g_free(uplink->last_problem);
        uplink->last_problem = g_strdup(reason->message);
        g_warning("the manager is not reached: %s; tried again", reason->message);
    }
}

static RpcTls *load_tls(const Agent *agent, GError **error)
{
    g_autofree char *ca = g_build_filename(agent->state, "ca.pem", NULL);
    g_autofree char *certificate = g_build_filename(agent->state, "host.pem", NULL);
    g_autofree char *key = g_build_filename(agent->state, "host-key.pem", NULL);
    return rpc_tls_new_from_files(ca, certificate, key, error);
}

Uplink *uplink_new(Agent *agent, GError **error)
{
    const AgentConfig *config = agent->config;
    g_autoptr(RpcTls) tls = load_tls(agent, error);
    if (tls == NULL) {
        return NULL;
    }
    Uplink *uplink = g_new0(Uplink, 1);
    uplink->agent = agent;
    uplink->vms = g_tree_new_full(berth_order_keys, NULL, g_free, vm_value_free);
    uplink->notices = g_ptr_array_new_with_free_func(notice_free);
    AgentIdentity me = {
        .host = config->host, .name = config->name, .version = (char *)BERTH_VERSION};
    json_t *identity = agent_identity_encode(&me);
    g_autoptr(RpcHello) hello = rpc_hello_new(AGENT_PROTOCOL_NAME, AGENT_PROTOCOL_MAJOR,
                                              AGENT_PROTOCOL_MINOR, NULL, identity);
    json_decref(identity);
    static const RpcClientHandlers handlers = {.up = on_up,
                                               .down = on_down,
                                               .failed = on_failed,
                                               .call = on_call,
                                               .notified = on_notified};
    RpcOptions options = {.hello = hello, .tls = tls, .server_name = config->manager};
    g_autofree char *address =
        g_strdup_printf(strchr(config->manager, ':') != NULL ? "[%s]:%d" : "%s:%d", config->manager,
                        (int)config->agent_port);
    uplink->client = rpc_client_new(agent->loop, address, &options, NULL, &handlers, uplink, error);
    if (uplink->client == NULL) {
        uplink_free(uplink);
        return NULL;
    }
    return uplink;
}

void uplink_free(Uplink *uplink)
{
    if (uplink != NULL) {
        g_clear_handle_id(&uplink->flush, g_source_remove);
        g_clear_pointer(&uplink->client, rpc_client_free);
        g_clear_pointer(&uplink->connection, rpc_connection_unref);
        g_tree_unref(uplink->vms);
        g_ptr_array_unref(uplink->notices);
        g_free(uplink->last_problem);
        g_free(uplink);
    }
}
