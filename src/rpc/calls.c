#include "rpc/connection.h"

#include <string.h>

#include "base/error.h"

#define DEFAULT_TIMEOUT_MS 30000

/* One of our calls that waits for its answer. */
typedef struct {
    RpcConnection *connection;
    int64_t id;
    char *method;
    int timeout_ms;
    RpcTimer timer;
    RpcAnswer answer;
    void *data;
    GError *error; /* once it has failed */
} Pending;

struct RpcCall {
    RpcConnection *connection; /* a reference */
    int64_t id;
    const char *method;
    char *own_method;
    json_t *params; /* NULL: the method has a type */
};

static void pending_free(Pending *pending)
{
    g_free(pending->method);
    g_clear_error(&pending->error);
    g_free(pending);
}

/* Takes the call out of the table and stops its clock. */
static void settle(Pending *pending)
{
    g_hash_table_remove(pending->connection->calls, &pending->id);
    rpc_timer_disarm(pending->connection->loop, &pending->timer);
}

/* Takes `error`. The call keeps its connection alive until it is told. */
static void fail_later(Pending *pending, GError *error)
{
    pending->error = error;
    rpc_connection_ref(pending->connection);
    g_queue_push_tail(&pending->connection->failed, pending);
    rpc_task_queue(pending->connection->loop, &pending->connection->task);
}

static void time_out(void *owner)
{
    Pending *pending = owner;
    settle(pending);
    g_autoptr(GError) error = NULL;
    berth_error_set(&error, BERTH_ERROR_TIMEOUT, "method", pending->method,
                    "the peer may still act on it: look before you repeat it",
                    "no answer within %d ms", pending->timeout_ms);
    if (pending->answer != NULL) {
        pending->answer(NULL, error, pending->data);
    }
    pending_free(pending);
}

static GError *not_open(const GError *reason)
{
    GError *error = NULL;
    if (reason == NULL) {
        berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "try again soon",
                        "there is no connection to the peer yet");
    } else {
        berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "try again soon",
                        "the connection is lost: %s", reason->message);
    }
    return error;
}

void rpc_connection_call(RpcConnection *conn, const char *method, json_t *params, int timeout_ms,
                         RpcAnswer answer, void *data)
{
    g_return_if_fail(conn->loop != NULL);
    Pending *pending = g_new0(Pending, 1);
    pending->connection = conn;
    pending->id = conn->next_id++;
    pending->method = g_strdup(method);
    pending->timeout_ms = timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS;
    pending->timer = (RpcTimer){.owner = pending, .fire = time_out};
    pending->answer = answer;
    pending->data = data;
    if (conn->state != RPC_OPEN) {
        fail_later(pending, not_open(conn->reason));
        return;
    }
    GError *error = NULL;
    if (!rpc_connection_send(conn, rpc_message_call(pending->id, method, params), &error)) {
        fail_later(pending, error);
        return;
    }
    if (conn->calls == NULL) {
        conn->calls = g_hash_table_new(g_int64_hash, g_int64_equal);
    }
    g_hash_table_insert(conn->calls, &pending->id, pending);
    rpc_timer_arm(conn->loop, &pending->timer, rpc_now_us() + 1000LL * pending->timeout_ms);
}

bool rpc_connection_notify(RpcConnection *conn, const char *method, json_t *params, GError **error)
{
    if (conn->state != RPC_OPEN) {
        GError *problem = not_open(conn->reason);
        g_propagate_error(error, problem);
        return false;
    }
    return rpc_connection_send(conn, rpc_message_notify(method, params), error);
}

static const RpcMethod *find_method(const RpcConnection *conn, bool call, const char *name,
                                    size_t size)
{
    const RpcMethod *method = conn->handlers.methods;
    for (; method != NULL && method->name != NULL; method++) {
        if (strncmp(method->name, name, size) == 0 && method->name[size] == '\0' &&
            call == (method->called != NULL)) {
            return method;
        }
    }
    return NULL;
}

/* NULL, and answered: it has too many already. */
static RpcCall *call_new(RpcConnection *conn, int64_t id)
{
    if (conn->unanswered >= conn->config->max_unanswered) {
        g_autoptr(GError) error = NULL;
        berth_error_set(
            &error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "wait for answers before you call again",
            "%u calls of this connection wait for their answers already", conn->unanswered);
        rpc_connection_send(conn, rpc_message_error(id, error), NULL);
        return NULL;
    }
    RpcCall *call = g_new0(RpcCall, 1);
    call->connection = rpc_connection_ref(conn);
    call->id = id;
    conn->unanswered++;
    return call;
}

/* Takes `params`. */
static void give(RpcConnection *conn, const RpcMethod *method, int64_t id, void *params)
{
    if (method->notified != NULL) {
        method->notified(conn, params, conn->data);
        return;
    }
    RpcCall *call = call_new(conn, id);
    if (call == NULL) {
        codec_free(method->params, params);
        return;
    }
    call->method = method->name;
    method->called(conn, call, params, conn->data);
}

bool rpc_calls_receive_text(RpcConnection *conn, const char *data, size_t size)
{
    RpcEnvelope envelope;
    if (conn->handlers.methods == NULL || !rpc_message_peek(data, size, &envelope)) {
        return false;
    }
    const RpcMethod *method =
        find_method(conn, envelope.id >= 0, envelope.method, envelope.method_size);
    void *params =
        method != NULL ? codec_scan(method->params, envelope.params, envelope.params_size) : NULL;
    if (params != NULL) {
        give(conn, method, envelope.id, params);
    }
    return params != NULL;
}

/* The same, of what needed a tree. */
static void take_typed(RpcConnection *conn, const RpcMethod *method, const RpcMessage *message)
{
    g_autoptr(GError) error = NULL;
    void *params = codec_decode(method->params, message->params, CODEC_TOLERANT, &error);
    if (params != NULL) {
        give(conn, method, message->id, params);
    } else if (method->called != NULL) {
        rpc_connection_send(conn, rpc_message_error(message->id, error), NULL);
    }
}

static void take_call(RpcConnection *conn, RpcMessage *message)
{
    if (conn->handlers.call == NULL) {
        g_autoptr(GError) error = rpc_error_no_method(message->method);
        rpc_connection_send(conn, rpc_message_error(message->id, error), NULL);
        return;
    }
    RpcCall *call = call_new(conn, message->id);
    if (call != NULL) {
        call->method = call->own_method = g_steal_pointer(&message->method);
        call->params = g_steal_pointer(&message->params);
        conn->handlers.call(conn, call, conn->data);
    }
}

static void take_answer(RpcConnection *conn, RpcMessage *message)
{
    Pending *pending = conn->calls != NULL ? g_hash_table_lookup(conn->calls, &message->id) : NULL;
    if (pending == NULL) {
        return; /* it came after its deadline */
    }
    settle(pending);
    if (pending->answer != NULL) {
        pending->answer(message->result, message->error, pending->data);
    }
    pending_free(pending);
}

void rpc_calls_receive(RpcConnection *conn, RpcMessage *message)
{
    const RpcMethod *method = message->method != NULL
                                  ? find_method(conn, message->kind == RPC_MESSAGE_CALL,
                                                message->method, strlen(message->method))
                                  : NULL;
    if (method != NULL) {
        take_typed(conn, method, message);
        return;
    }
    switch (message->kind) {
    case RPC_MESSAGE_CALL:
        take_call(conn, message);
        break;
    case RPC_MESSAGE_NOTIFY:
        if (conn->handlers.notified != NULL) {
            conn->handlers.notified(conn, message->method, message->params, conn->data);
        }
        break;
    case RPC_MESSAGE_RESULT:
    case RPC_MESSAGE_ERROR:
        take_answer(conn, message);
        break;
    }
}

static int by_id(gconstpointer a, gconstpointer b)
{
    const Pending *x = a, *y = b;
    return x->id < y->id ? -1 : 1;
}

void rpc_calls_fail_all(RpcConnection *conn, const GError *reason)
{
    if (conn->calls == NULL) {
        return;
    }
    GList *waiting = g_list_sort(g_hash_table_get_values(conn->calls), by_id);
    for (GList *link = waiting; link != NULL; link = link->next) {
        Pending *pending = link->data;
        settle(pending);
        fail_later(pending, not_open(reason));
    }
    g_list_free(waiting);
}

void rpc_calls_tell_failed(RpcConnection *conn)
{
    /* Only those of now: an answer that makes the next call must not keep us here. */
    for (guint left = conn->failed.length; left > 0; left--) {
        Pending *pending = g_queue_pop_head(&conn->failed);
        if (pending->answer != NULL) {
            pending->answer(NULL, pending->error, pending->data);
        }
        pending_free(pending);
        rpc_connection_unref(conn);
    }
}

void rpc_calls_free(RpcConnection *conn)
{
    g_clear_pointer(&conn->calls, g_hash_table_destroy);
}

const char *rpc_call_method(const RpcCall *call)
{
    return call->method;
}

json_t *rpc_call_params(const RpcCall *call)
{
    return call->params;
}

RpcConnection *rpc_call_connection(const RpcCall *call)
{
    return call->connection;
}

/* Takes `message`. */
static void send_answer(RpcConnection *conn, json_t *message, int64_t id)
{
    g_autoptr(GError) problem = NULL;
    if (!rpc_connection_send(conn, message, &problem)) {
        rpc_connection_send(conn, rpc_message_error(id, problem), NULL);
    }
}

void rpc_call_answer(RpcCall *call, json_t *result, const GError *error)
{
    RpcConnection *conn = call->connection;
    conn->unanswered--;
    if (error == NULL && result == NULL) {
        rpc_connection_send_nothing(conn, call->id);
    } else {
        send_answer(conn,
                    error != NULL ? rpc_message_error(call->id, error)
                                  : rpc_message_result(call->id, result),
                    call->id);
    }
    g_free(call->own_method);
    json_decref(call->params);
    g_free(call);
    rpc_connection_unref(conn);
}
