#include "rpc/tests/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "schema/objects.h"

static void on_opened(RpcConnection *connection, void *data)
{
    Side *side = data;
    side->opened++;
    g_clear_pointer(&side->connection, rpc_connection_unref);
    side->connection = rpc_connection_ref(connection);
}

static void on_call(RpcConnection *connection, RpcCall *call, void *data)
{
    Side *side = data;
    side->n_calls++;
    if (side->on_call != NULL) {
        side->on_call(connection, call, data);
    } else {
        rpc_call_answer(call, rpc_call_params(call), NULL);
    }
}

static void on_notified(RpcConnection *connection, const char *method, json_t *params, void *data)
{
    Side *side = data;
    char *text = json_dumps(params, JSON_COMPACT);
    g_ptr_array_add(side->notified, g_strdup_printf("%s %s", method, text));
    free(text);
}

static void on_closed(RpcConnection *connection, const GError *reason, void *data)
{
    Side *side = data;
    side->closed++;
    g_assert_nonnull(reason);
    g_clear_error(&side->reason);
    side->reason = g_error_copy(reason);
}

/* The params as the channel has read them, written again. */
static char *read_again(void *params)
{
    json_t *json = version_encode(params);
    version_free(params);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void on_typed_call(RpcConnection *connection, RpcCall *call, void *params, void *data)
{
    Side *side = data;
    side->n_calls++;
    g_assert_null(rpc_call_params(call));
    char *text = read_again(params);
    json_t *result = json_pack("{s:s, s:s}", "method", rpc_call_method(call), "params", text);
    rpc_call_answer(call, result, NULL);
    json_decref(result);
    free(text);
}

static void on_typed_notification(RpcConnection *connection, void *params, void *data)
{
    Side *side = data;
    char *text = read_again(params);
    g_ptr_array_add(side->notified, g_strdup_printf("typed %s", text));
    free(text);
}

static const RpcMethod methods[] = {
    {"typed.call", &version_type, .called = on_typed_call},
    {"typed.tell", &version_type, .notified = on_typed_notification},
    {NULL},
};

const RpcHandlers side_handlers = {
    .opened = on_opened,
    .methods = methods,
    .call = on_call,
    .notified = on_notified,
    .closed = on_closed,
};

void side_init(Side *side)
{
    *side = (Side){.notified = g_ptr_array_new_with_free_func(g_free)};
}

void side_clear(Side *side)
{
    g_clear_error(&side->reason);
    g_ptr_array_unref(side->notified);
    rpc_connection_unref(side->connection);
}

void reply_answer(json_t *result, const GError *error, void *data)
{
    Reply *reply = data;
    g_assert_true((result == NULL) != (error == NULL));
    reply_clear(reply);
    reply->n++;
    reply->result = json_incref(result);
    reply->error = error != NULL ? g_error_copy(error) : NULL;
}

void reply_clear(Reply *reply)
{
    json_decref(reply->result);
    reply->result = NULL;
    g_clear_error(&reply->error);
}

static gboolean tick(gpointer data)
{
    return G_SOURCE_CONTINUE;
}

void run_once(void)
{
    static guint source;
    if (source == 0) {
        source = g_timeout_add_seconds(1, tick, NULL);
    }
    g_main_context_iteration(NULL, TRUE);
}

void run_idle(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static gint64 now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static RpcIdentity *ca_identity(void)
{
    static RpcIdentity *identity;
    if (identity == NULL) {
        identity = rpc_ca_make("test", now(), NULL);
        g_assert_nonnull(identity);
    }
    return identity;
}

const char *test_ca_pem(void)
{
    return ca_identity()->certificate;
}

RpcCa *test_ca(void)
{
    static RpcCa *ca;
    if (ca == NULL) {
        ca = rpc_ca_new(ca_identity(), NULL);
        g_assert_nonnull(ca);
    }
    return ca;
}

RpcTls *tls_of(const char *ca_pem, const RpcIdentity *identity)
{
    g_autoptr(GError) error = NULL;
    RpcTls *tls = rpc_tls_new(ca_pem, identity->certificate, identity->key, &error);
    g_assert_no_error(error);
    return tls;
}

RpcTls *tls_server(void)
{
    const char *const names[] = {"manager.test", "127.0.0.1", NULL};
    g_autoptr(RpcIdentity) identity = rpc_ca_issue_server(test_ca(), names, now(), 1, NULL);
    return tls_of(test_ca_pem(), identity);
}

RpcTls *tls_client(const char *id)
{
    g_autoptr(RpcIdentity) identity = rpc_ca_issue_client(test_ca(), id, now(), 1, NULL);
    return tls_of(test_ca_pem(), identity);
}

RpcHello *hello_of(int major, int minor)
{
    static const char *const capabilities[] = {"console", NULL};
    return rpc_hello_new("berth-test", major, minor, capabilities, NULL);
}

static struct sockaddr_in native_loopback(guint16 port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

int listen_tcp(guint16 *ret_port)
{
    struct sockaddr_in address = native_loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(fd, 4096), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &size), ==, 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

GSocketAddress *loopback(guint16 port)
{
    return g_inet_socket_address_new_from_string("127.0.0.1", port);
}

int connect_blocking(guint16 port)
{
    struct sockaddr_in address = native_loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

static void on_refused(RpcListener *listener, const char *address, const GError *reason, void *data)
{
    World *world = data;
    world->n_refused++;
    g_clear_error(&world->refusal);
    world->refusal = g_error_copy(reason);
}

void world_start(World *world, RpcTls *tls, const RpcOptions *options,
                 const RpcListenerOptions *limits)
{
    *world = (World){.loop = rpc_loop_new(NULL)};
    side_init(&world->server);
    g_autoptr(RpcHello) hello = hello_of(1, 0);
    RpcOptions filled = options != NULL ? *options : (RpcOptions){0};
    filled.hello = filled.hello != NULL ? filled.hello : hello;
    filled.tls = tls;
    RpcListenerOptions bounds = limits != NULL ? *limits : (RpcListenerOptions){0};
    bounds.refused = on_refused;
    g_autoptr(GError) error = NULL;
    world->listener = rpc_listener_new(world->loop, listen_tcp(&world->port), &filled, &bounds,
                                       &side_handlers, world, &error);
    g_assert_no_error(error);
    rpc_tls_unref(tls);
}

void world_stop(World *world)
{
    rpc_listener_free(world->listener);
    rpc_loop_free(world->loop);
    side_clear(&world->server);
    g_clear_error(&world->refusal);
}

RpcConnection *world_dial(World *world, RpcTls *tls, const RpcOptions *options, Side *side)
{
    g_autoptr(RpcHello) hello = hello_of(1, 0);
    RpcOptions filled = options != NULL ? *options : (RpcOptions){0};
    filled.hello = filled.hello != NULL ? filled.hello : hello;
    filled.tls = tls;
    if (tls != NULL && filled.server_name == NULL) {
        filled.server_name = "manager.test";
    }
    side_init(side);
    g_autoptr(GSocketAddress) address = loopback(world->port);
    g_autoptr(GError) error = NULL;
    RpcConnection *connection =
        rpc_connection_dial(world->loop, address, &filled, &side_handlers, side, &error);
    g_assert_no_error(error);
    rpc_tls_unref(tls);
    return connection;
}
