/* The hosts' agents: who is connected, what the core says to them and they to it. */
#include "base/error.h"
#include "manager/manager.h"

struct Agents {
    Manager *manager;
    RpcListener *listener;
    GHashTable *connections; /* host id → Connected */
    GHashTable *reports;     /* of RpcCall, with the core and not answered yet */
    uint64_t last_session;
};

/* Data of an open connection. */
typedef struct {
    Agents *agents;
    RpcConnection *connection;
    char *host;
    uint64_t session;
} Connected;

static Connected *find(const Agents *agents, const char *host)
{
    return g_hash_table_lookup(agents->connections, host);
}

static void tell_up(Connected *connected)
{
    ClusterEvent event = {.kind = CLUSTER_EVENT_AGENT_UP};
    event.agent.host = connected->host;
    event.agent.session = connected->session;
    manager_step(connected->agents->manager, &event);
}

static void tell_down(const Connected *connected, const GError *reason)
{
    ClusterEvent event = {.kind = CLUSTER_EVENT_AGENT_DOWN};
    event.agent.host = connected->host;
    event.agent.session = connected->session;
    event.agent.reason = reason != NULL ? reason->message : NULL;
    manager_step(connected->agents->manager, &event);
}

/* A host that is back before we noticed that it had gone: the old connection is dead. */
static void replace(Agents *agents, const char *host)
{
    Connected *old = find(agents, host);
    if (old == NULL) {
        return;
    }
    g_hash_table_steal(agents->connections, host);
    g_autoptr(GError) reason = NULL;
    berth_error_set(&reason, BERTH_ERROR_CONFLICT, NULL, NULL, NULL, "the host has connected anew");
    tell_down(old, reason);
    rpc_connection_close(old->connection, reason);
}

static void on_opened(RpcConnection *connection, void *data)
{
    Agents *agents = data;
    const char *host = rpc_connection_peer_name(connection);
    Connected *connected = g_new0(Connected, 1);
    connected->agents = agents;
    connected->connection = rpc_connection_ref(connection);
    connected->host = g_strdup(host);
    connected->session = ++agents->last_session;
    rpc_connection_set_data(connection, connected);
    if (!cluster_core_knows_host(agents->manager->core, host)) {
        g_autoptr(GError) error = NULL;
        berth_error_set(&error, BERTH_ERROR_FORBIDDEN, "host", host, "let it join anew",
                        "this host is not, or no longer, one of the cluster");
        rpc_connection_close(connection, error);
        return;
    }
    if (!agents->manager->writable) {
        g_autoptr(GError) error = NULL;
        berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "try again later",
                        "the manager's store takes no changes");
        rpc_connection_close(connection, error);
        return;
    }
    replace(agents, host);
    g_hash_table_insert(agents->connections, connected->host, connected);
    tell_up(connected);
}

static void on_closed(RpcConnection *connection, const GError *reason, void *data)
{
    Connected *connected = data;
    if (find(connected->agents, connected->host) == connected) {
        g_hash_table_steal(connected->agents->connections, connected->host);
        tell_down(connected, reason);
    }
    rpc_connection_unref(connected->connection);
    g_free(connected->host);
    g_free(connected);
}

static void on_report(RpcConnection *connection, RpcCall *call, void *params, void *data)
{
    Connected *connected = data;
    g_autoptr(AgentReport) report = params;
    ClusterEvent event = {.kind = CLUSTER_EVENT_AGENT_REPORT};
    event.agent.host = connected->host;
    event.agent.session = connected->session;
    event.agent.report = report;
    event.agent.call = call;
    g_hash_table_add(connected->agents->reports, call);
    manager_step(connected->agents->manager, &event);
}

static void on_locate(RpcConnection *connection, RpcCall *call, void *params, void *data)
{
    const Connected *connected = data;
    g_autoptr(ImageLocate) ask = params;
    g_autoptr(GError) error = NULL;
    g_autoptr(ImageLocation) location =
        blobs_locate(connected->agents->manager->blobs, ask->sha256, &error);
    json_t *json = location != NULL ? image_location_encode(location) : NULL;
    rpc_call_answer(call, json, error);
    json_decref(json);
}

static void on_measure(RpcConnection *connection, void *params, void *data)
{
    Connected *connected = data;
    g_autoptr(HostMeasure) measure = params;
    ClusterEvent event = {.kind = CLUSTER_EVENT_AGENT_MEASURE};
    event.agent.host = connected->host;
    event.agent.session = connected->session;
    event.agent.measure = measure;
    manager_step(connected->agents->manager, &event);
}

static void on_console_data(RpcConnection *connection, void *params, void *data)
{
    const Connected *connected = data;
    g_autoptr(ConsoleData) output = params;
    consoles_data(connected->agents->manager->consoles, output);
}

static void on_console_closed(RpcConnection *connection, void *params, void *data)
{
    const Connected *connected = data;
    g_autoptr(ConsoleClose) close = params;
    consoles_closed(connected->agents->manager->consoles, close);
}

static const RpcMethod methods[] = {
    {AGENT_METHOD_AGENT_MEASURE, &host_measure_type, .notified = on_measure},
    {AGENT_METHOD_AGENT_REPORT, &agent_report_type, .called = on_report},
    {AGENT_METHOD_IMAGE_LOCATE, &image_locate_type, .called = on_locate},
    {AGENT_METHOD_CONSOLE_DATA, &console_data_type, .notified = on_console_data},
    {AGENT_METHOD_CONSOLE_CLOSED, &console_close_type, .notified = on_console_closed},
    {NULL},
};

static void on_refused(RpcListener *listener, const char *address, const GError *reason, void *data)
{
    g_info("no agent: %s: %s", address != NULL ? address : "?", reason->message);
}

Agents *agents_new(Manager *manager, int fd, GError **error)
{
    static const RpcHandlers handlers = {
        .opened = on_opened, .methods = methods, .closed = on_closed};
    static const RpcListenerOptions limits = {.refused = on_refused};
    g_autoptr(RpcHello) hello =
        rpc_hello_new(AGENT_PROTOCOL_NAME, AGENT_PROTOCOL_MAJOR, AGENT_PROTOCOL_MINOR, NULL, NULL);
    RpcOptions options = {.hello = hello, .tls = pki_agent_tls(manager->pki)};
    Agents *agents = g_new0(Agents, 1);
    agents->manager = manager;
    agents->connections = g_hash_table_new(g_str_hash, g_str_equal);
    agents->reports = g_hash_table_new(NULL, NULL);
    agents->listener =
        rpc_listener_new(manager->loop, fd, &options, &limits, &handlers, agents, error);
    if (agents->listener == NULL) {
        agents_free(agents);
        return NULL;
    }
    return agents;
}

void agents_free(Agents *agents)
{
    if (agents != NULL) {
        rpc_listener_free(agents->listener);
        g_hash_table_unref(agents->connections);
        g_hash_table_unref(agents->reports);
        g_free(agents);
    }
}

void agents_answer(Agents *agents, const ClusterAction *action)
{
    g_hash_table_remove(agents->reports, action->answer.call);
    rpc_call_answer(action->answer.call, NULL, action->answer.error);
}

void agents_let_go(Agents *agents, const GError *reason)
{
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, agents->reports);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        rpc_call_answer(key, NULL, reason);
    }
    g_hash_table_remove_all(agents->reports);
    g_hash_table_iter_init(&iter, agents->connections);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        rpc_connection_close(((const Connected *)value)->connection, reason);
    }
    g_hash_table_remove_all(agents->connections);
}

typedef struct {
    Manager *manager;
    uint64_t call;
    uint64_t generation; /* of the core that asks */
} Asked;

static void on_answer(json_t *result, const GError *error, void *data)
{
    g_autofree Asked *asked = data;
    if (asked->generation != asked->manager->generation) {
        return;
    }
    ClusterEvent event = {.kind = CLUSTER_EVENT_AGENT_ANSWER};
    event.answer.call = asked->call;
    event.answer.result = result;
    event.answer.error = error;
    manager_step(asked->manager, &event);
}

static gboolean on_nobody(gpointer data)
{
    g_autoptr(GError) error = NULL;
    berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "try again when it is back",
                    "the host's agent is not connected");
    on_answer(NULL, error, data);
    return G_SOURCE_REMOVE;
}

void agents_send(Agents *agents, const ClusterAction *action)
{
    Asked *asked = g_new(Asked, 1);
    *asked = (Asked){agents->manager, action->call.call, agents->manager->generation};
    if (!agents_call(agents, action->call.host, action->call.method, action->call.params,
                     action->call.timeout_ms, on_answer, asked)) {
        g_idle_add_full(G_PRIORITY_DEFAULT, on_nobody, asked, NULL);
    }
}

bool agents_call(Agents *agents, const char *host, const char *method, json_t *params,
                 int64_t timeout_ms, RpcAnswer answer, void *data)
{
    const Connected *connected = find(agents, host);
    if (connected != NULL) {
        rpc_connection_call(connected->connection, method, params, (int)MIN(timeout_ms, INT_MAX),
                            answer, data);
    }
    return connected != NULL;
}

bool agents_notify(Agents *agents, const char *host, const char *method, json_t *params)
{
    const Connected *connected = find(agents, host);
    return connected != NULL && rpc_connection_notify(connected->connection, method, params, NULL);
}

void agents_disconnect(Agents *agents, const char *host, const char *reason)
{
    Connected *connected = find(agents, host);
    if (connected != NULL) {
        g_autoptr(GError) error = NULL;
        berth_error_set(&error, BERTH_ERROR_FORBIDDEN, "host", host, NULL, "%s", reason);
        rpc_connection_close(connected->connection, error);
    }
}

guint agents_count(const Agents *agents)
{
    return g_hash_table_size(agents->connections);
}
