#include "rpc/client.h"

#include <gio/gunixsocketaddress.h>

#include "base/error.h"
#include "rpc/connection.h"

/* The addresses of one attempt. Outlives its client while a name is being resolved. */
typedef struct {
    RpcClient *client; /* NULL: gone, or no longer interested */
    GSocketAddressEnumerator *addresses;
    GCancellable *cancellable;
} Attempt;

/* A call that was made while the peer was away: its answer is a task of its own. */
typedef struct {
    RpcClient *client;
    GList link; /* in client->refused */
    RpcTask task;
    RpcAnswer answer;
    void *data;
    GError *error;
} Refused;

struct RpcClient {
    RpcLoop *loop; /* NULL after rpc_loop_free() */
    char *address;
    RpcConfig *config;
    RpcClientHandlers handlers;
    void *data;
    RpcReconnect reconnect;
    RpcTimer timer;
    RpcMember member;
    Attempt *attempt;          /* NULL unless trying */
    RpcConnection *connection; /* a reference: trying or up */
    GError *problem;
    GQueue refused;
};

static void attempt_clear(Attempt *attempt)
{
    g_clear_object(&attempt->addresses);
    g_clear_object(&attempt->cancellable);
}

static void attempt_release(Attempt *attempt)
{
    g_rc_box_release_full(attempt, (GDestroyNotify)attempt_clear);
}

static void end_attempt(RpcClient *client)
{
    Attempt *attempt = g_steal_pointer(&client->attempt);
    if (attempt != NULL) {
        attempt->client = NULL;
        g_cancellable_cancel(attempt->cancellable);
        attempt_release(attempt);
    }
}

static GSocketConnectable *parse(const char *address, GError **error)
{
    if (g_path_is_absolute(address)) {
        return G_SOCKET_CONNECTABLE(g_unix_socket_address_new(address));
    }
    g_autoptr(GError) problem = NULL;
    GSocketConnectable *parsed = g_network_address_parse(address, 0, &problem);
    if (parsed != NULL && g_network_address_get_port(G_NETWORK_ADDRESS(parsed)) != 0 &&
        *g_network_address_get_hostname(G_NETWORK_ADDRESS(parsed)) != '\0') {
        return parsed;
    }
    g_clear_object(&parsed);
    berth_error_set(error, BERTH_ERROR_INVALID, "address", address,
                    "write host:port, [IPv6 address]:port or the absolute path of a socket",
                    "not an address: %s",
                    problem != NULL ? problem->message : "host or port is missing");
    return NULL;
}

static int64_t now_ms(void)
{
    return rpc_now_us() / 1000;
}

static void wait_for_due(RpcClient *client)
{
    int64_t due_ms = rpc_reconnect_due_ms(&client->reconnect);
    if (due_ms >= 0) {
        rpc_timer_arm(client->loop, &client->timer, 1000 * due_ms);
    }
}

/* The whole attempt is lost, or the connection is. */
static void lost(RpcClient *client, const GError *reason)
{
    bool was_up = client->reconnect.state == RPC_RECONNECT_UP;
    end_attempt(client);
    g_clear_error(&client->problem);
    client->problem = g_error_copy(reason);
    int64_t wait_ms = rpc_reconnect_lost(&client->reconnect, now_ms());
    wait_for_due(client);
    if (was_up && client->handlers.down != NULL) {
        client->handlers.down(client, client->problem, client->data);
    } else if (!was_up && client->handlers.failed != NULL) {
        client->handlers.failed(client, client->problem, wait_ms, client->data);
    }
}

static void next_address(RpcClient *client);

static void on_opened(RpcConnection *connection, void *data)
{
    RpcClient *client = data;
    end_attempt(client);
    g_clear_error(&client->problem);
    rpc_reconnect_succeeded(&client->reconnect, now_ms());
    if (client->handlers.up != NULL) {
        client->handlers.up(client, client->data);
    }
}

static void on_call(RpcConnection *connection, RpcCall *call, void *data)
{
    RpcClient *client = data;
    if (client->handlers.call != NULL) {
        client->handlers.call(client, call, client->data);
    } else {
        g_autoptr(GError) error = rpc_error_no_method(rpc_call_method(call));
        rpc_call_answer(call, NULL, error);
    }
}

static void on_notified(RpcConnection *connection, const char *method, json_t *params, void *data)
{
    RpcClient *client = data;
    if (client->handlers.notified != NULL) {
        client->handlers.notified(client, method, params, client->data);
    }
}

static void on_closed(RpcConnection *connection, const GError *reason, void *data)
{
    RpcClient *client = data;
    if (client == NULL) {
        return; /* it was freed */
    }
    g_clear_pointer(&client->connection, rpc_connection_unref);
    if (client->loop == NULL) {
        return;
    }
    if (client->attempt != NULL) {
        g_clear_error(&client->problem);
        client->problem = g_error_copy(reason);
        next_address(client);
    } else {
        lost(client, reason);
    }
}

static const RpcHandlers handlers = {
    .opened = on_opened, .call = on_call, .notified = on_notified, .closed = on_closed};

static void on_address(GObject *source, GAsyncResult *result, void *data)
{
    Attempt *attempt = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketAddress) address = g_socket_address_enumerator_next_finish(
        G_SOCKET_ADDRESS_ENUMERATOR(source), result, &error);
    RpcClient *client = attempt->client;
    attempt_release(attempt);
    if (client == NULL) {
        return;
    }
    if (address == NULL) {
        /* All were tried, or the name cannot be resolved. */
        g_autoptr(GError) reason = g_steal_pointer(&client->problem);
        if (error != NULL || reason == NULL) {
            g_clear_error(&reason);
            berth_error_set(&reason, BERTH_ERROR_UNAVAILABLE, "address", client->address,
                            "check the name and the resolver", "%s",
                            error != NULL ? error->message : "the name has no address");
        }
        lost(client, reason);
        return;
    }
    RpcConnection *connection =
        rpc_connection_dial_with(client->loop, address, client->config, &handlers, client, &error);
    if (connection == NULL) {
        g_clear_error(&client->problem);
        client->problem = g_steal_pointer(&error);
        next_address(client);
        return;
    }
    client->connection = rpc_connection_ref(connection);
}

static void next_address(RpcClient *client)
{
    Attempt *attempt = g_rc_box_acquire(client->attempt);
    GMainContext *context = rpc_loop_context(client->loop);
    g_main_context_push_thread_default(context);
    g_socket_address_enumerator_next_async(attempt->addresses, attempt->cancellable, on_address,
                                           attempt);
    g_main_context_pop_thread_default(context);
}

static void due(void *owner)
{
    RpcClient *client = owner;
    if (!rpc_reconnect_try(&client->reconnect, now_ms())) {
        wait_for_due(client);
        return;
    }
    /* A new object for each attempt: GNetworkAddress remembers what it has resolved. */
    g_autoptr(GSocketConnectable) connectable = parse(client->address, NULL);
    client->attempt = g_rc_box_new0(Attempt);
    client->attempt->client = client;
    client->attempt->cancellable = g_cancellable_new();
    client->attempt->addresses = g_socket_connectable_enumerate(connectable);
    g_clear_error(&client->problem);
    next_address(client);
}

static void tell_refused(void *owner)
{
    Refused *refused = owner;
    g_queue_unlink(&refused->client->refused, &refused->link);
    if (refused->answer != NULL) {
        refused->answer(NULL, refused->error, refused->data); /* may free the client */
    }
    g_error_free(refused->error);
    g_free(refused);
}

static void tell_all_refused(RpcClient *client)
{
    while (client->refused.head != NULL) {
        Refused *refused = client->refused.head->data;
        rpc_task_cancel(client->loop, &refused->task);
        tell_refused(refused);
    }
}

static void leave_loop(void *owner)
{
    RpcClient *client = owner;
    end_attempt(client);
    rpc_reconnect_stop(&client->reconnect, now_ms());
    rpc_timer_disarm(client->loop, &client->timer);
    tell_all_refused(client);
    rpc_member_remove(client->loop, &client->member);
    client->loop = NULL;
}

RpcClient *rpc_client_new(RpcLoop *loop, const char *address, const RpcOptions *options,
                          const RpcReconnectLimits *limits,
                          const RpcClientHandlers *client_handlers, void *data, GError **error)
{
    g_autoptr(GSocketConnectable) connectable = parse(address, error);
    if (connectable == NULL) {
        return NULL;
    }
    RpcOptions filled = *options;
    if (filled.tls != NULL && filled.server_name == NULL && G_IS_NETWORK_ADDRESS(connectable)) {
        filled.server_name = g_network_address_get_hostname(G_NETWORK_ADDRESS(connectable));
    }
    RpcClient *client = g_new0(RpcClient, 1);
    client->loop = loop;
    client->address = g_strdup(address);
    client->config = rpc_config_new(&filled);
    client->handlers = *client_handlers;
    client->data = data;
    client->timer = (RpcTimer){.owner = client, .fire = due};
    client->member = (RpcMember){.owner = client, .end = leave_loop};
    g_queue_init(&client->refused);
    uint64_t seed = (uint64_t)g_random_int() << 32 | g_random_int();
    rpc_reconnect_init(&client->reconnect, limits, seed, now_ms());
    rpc_member_add(loop, &client->member);
    wait_for_due(client);
    return client;
}

void rpc_client_free(RpcClient *client)
{
    if (client == NULL) {
        return;
    }
    if (client->loop != NULL) {
        leave_loop(client);
    }
    if (client->connection != NULL) {
        g_autoptr(GError) reason = NULL;
        berth_error_set(&reason, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                        "this program ends its connection");
        rpc_connection_set_data(client->connection, NULL);
        rpc_connection_disown(client->connection, reason);
        g_clear_pointer(&client->connection, rpc_connection_unref);
    }
    rpc_config_unref(client->config);
    g_clear_error(&client->problem);
    g_free(client->address);
    g_free(client);
}

void rpc_client_set_tls(RpcClient *client, RpcTls *tls)
{
    RpcConfig *next = rpc_config_with_tls(client->config, tls);
    rpc_config_unref(client->config);
    client->config = next;
}

void rpc_client_hurry(RpcClient *client)
{
    rpc_reconnect_hurry(&client->reconnect, now_ms());
    wait_for_due(client);
}

bool rpc_client_is_up(const RpcClient *client)
{
    return rpc_client_connection(client) != NULL;
}

RpcConnection *rpc_client_connection(const RpcClient *client)
{
    return client->connection != NULL && rpc_connection_is_open(client->connection)
               ? client->connection
               : NULL;
}

const GError *rpc_client_problem(const RpcClient *client)
{
    return client->problem;
}

static GError *away(const RpcClient *client)
{
    GError *error = NULL;
    const char *why =
        client->problem != NULL ? client->problem->message : "not connected to it yet";
    berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, "address", client->address, "try again soon",
                    "the peer is away: %s", why);
    return error;
}

void rpc_client_call(RpcClient *client, const char *method, json_t *params, int timeout_ms,
                     RpcAnswer answer, void *data)
{
    g_return_if_fail(client->reconnect.state != RPC_RECONNECT_STOPPED);
    RpcConnection *connection = rpc_client_connection(client);
    if (connection != NULL) {
        rpc_connection_call(connection, method, params, timeout_ms, answer, data);
        return;
    }
    Refused *refused = g_new0(Refused, 1);
    refused->client = client;
    refused->link.data = refused;
    refused->task = (RpcTask){.owner = refused, .run = tell_refused};
    refused->answer = answer;
    refused->data = data;
    refused->error = away(client);
    g_queue_push_tail_link(&client->refused, &refused->link);
    rpc_task_queue(client->loop, &refused->task);
}

bool rpc_client_notify(RpcClient *client, const char *method, json_t *params, GError **error)
{
    RpcConnection *connection = rpc_client_connection(client);
    if (connection == NULL) {
        g_propagate_error(error, away(client));
        return false;
    }
    return rpc_connection_notify(connection, method, params, error);
}
