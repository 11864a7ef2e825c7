#include "rpc/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

#define PING "rpc.ping"
#define PONG "rpc.pong"
#define GOODBYE "rpc.goodbye"

#define DRAIN_US G_USEC_PER_SEC /* the peer has so long to take our last words */
#define LATE_US                                                                                    \
    G_USEC_PER_SEC      /* a deadline waits so long for what has come but is not yet served */
#define KEEP_BYTES 4096 /* an idle connection keeps an output buffer up to this size */
#define SHIFT_BYTES (64 << 10) /* what is sent is cut off the buffer in steps of this size */

RpcConfig *rpc_config_new(const RpcOptions *options)
{
    RpcConfig *config = g_new0(RpcConfig, 1);
    g_ref_count_init(&config->references);
    config->hello = rpc_hello_copy(options->hello);
    config->tls = options->tls != NULL ? rpc_tls_ref(options->tls) : NULL;
    config->ticket = options->tls != NULL ? rpc_ticket_new() : NULL;
    config->server_name = g_strdup(options->server_name);
    config->max_frame_bytes =
        options->max_frame_bytes > 0 ? options->max_frame_bytes : RPC_FRAME_MAX_BYTES;
    config->max_queued_bytes = options->max_queued_bytes > 0 ? options->max_queued_bytes : 32 << 20;
    config->max_unanswered = options->max_unanswered > 0 ? options->max_unanswered : 1024;
    config->connect_timeout_us =
        1000LL * (options->connect_timeout_ms > 0 ? options->connect_timeout_ms : 5000);
    config->open_timeout_us = 1000LL * MAX(options->open_timeout_ms, 0);
    config->ping_after_us = 1000LL * (options->ping_after_ms > 0 ? options->ping_after_ms : 10000);
    config->silence_us = 1000LL * (options->silence_ms > 0 ? options->silence_ms : 30000);
    return config;
}

RpcConfig *rpc_config_with_tls(const RpcConfig *config, RpcTls *tls)
{
    RpcOptions options = {
        .hello = config->hello,
        .tls = tls,
        .server_name = config->server_name,
        .max_frame_bytes = config->max_frame_bytes,
        .max_queued_bytes = config->max_queued_bytes,
        .max_unanswered = config->max_unanswered,
        .connect_timeout_ms = (int)(config->connect_timeout_us / 1000),
        .open_timeout_ms = (int)(config->open_timeout_us / 1000),
        .ping_after_ms = (int)(config->ping_after_us / 1000),
        .silence_ms = (int)(config->silence_us / 1000),
    };
    return rpc_config_new(&options);
}

RpcConfig *rpc_config_ref(RpcConfig *config)
{
    g_ref_count_inc(&config->references);
    return config;
}

void rpc_config_unref(RpcConfig *config)
{
    if (g_ref_count_dec(&config->references)) {
        rpc_hello_free(config->hello);
        rpc_tls_unref(config->tls);
        rpc_ticket_unref(config->ticket);
        g_free(config->server_name);
        g_free(config);
    }
}

static int64_t opening_us(const RpcConnection *conn)
{
    if (conn->state == RPC_CONNECTING) {
        return conn->config->connect_timeout_us;
    }
    if (conn->config->open_timeout_us > 0) {
        return conn->config->open_timeout_us;
    }
    return (conn->server ? 10 : 30) * G_USEC_PER_SEC;
}

static void start_deadline(RpcConnection *conn)
{
    rpc_timer_arm(conn->loop, &conn->timer, rpc_now_us() + opening_us(conn));
}

static GError *new_error(BerthErrorCode code, const char *remedy, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static GError *new_error(BerthErrorCode code, const char *remedy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    GError *error = NULL;
    berth_error_set(&error, code, NULL, NULL, remedy, "%s", text);
    return error;
}

static void settle(RpcConnection *conn, const GError *reason)
{
    if (conn->sponsor.settled != NULL) {
        RpcSponsor sponsor = conn->sponsor;
        conn->sponsor.settled = NULL;
        sponsor.settled(sponsor.owner, conn, reason);
    }
}

/* The end of the loop's interest; its reference goes with it. */
static void close_socket(RpcConnection *conn)
{
    if (conn->state == RPC_CLOSED) {
        return;
    }
    conn->state = RPC_CLOSED;
    settle(conn, conn->reason);
    rpc_watch_remove(conn->loop, &conn->watch);
    rpc_timer_disarm(conn->loop, &conn->timer);
    g_clear_pointer(&conn->stream, rpc_stream_free);
    g_clear_pointer(&conn->frames, rpc_frames_free);
    g_clear_pointer(&conn->out, g_byte_array_unref);
    conn->sent = 0;
    close(conn->fd);
    conn->fd = -1;
    rpc_connection_unref(conn);
}

static void update_interest(RpcConnection *conn)
{
    if (conn->state == RPC_CONNECTING || conn->state == RPC_CLOSED) {
        return;
    }
    uint32_t events = conn->state == RPC_CLOSING ? 0 : EPOLLRDHUP | (conn->parked ? 0 : EPOLLIN);
    if (rpc_stream_wants_write(conn->stream)) {
        events |= EPOLLOUT;
    }
    rpc_watch_change(conn->loop, &conn->watch, events);
}

static void trim_output(RpcConnection *conn)
{
    if (conn->sent == conn->out->len) {
        if (conn->out->len > KEEP_BYTES) {
            g_clear_pointer(&conn->out, g_byte_array_unref);
        } else {
            g_byte_array_set_size(conn->out, 0);
        }
        conn->sent = 0;
    } else if (conn->sent >= SHIFT_BYTES && conn->sent >= conn->out->len / 2) {
        g_byte_array_remove_range(conn->out, 0, conn->sent);
        conn->sent = 0;
    }
}

static bool flush(RpcConnection *conn, GError **error)
{
    if (conn->out == NULL) {
        return true;
    }
    RpcStreamResult result = RPC_STREAM_OK;
    while (conn->sent < conn->out->len && result == RPC_STREAM_OK) {
        size_t n = 0;
        result = rpc_stream_write(conn->stream, conn->out->data + conn->sent,
                                  conn->out->len - conn->sent, &n, error);
        conn->sent += (guint)n;
    }
    trim_output(conn);
    return result != RPC_STREAM_FAILED;
}

static void flush_or_end(RpcConnection *conn)
{
    GError *error = NULL;
    if (!flush(conn, &error)) {
        rpc_connection_end(conn, error, false, false);
    }
}

size_t rpc_connection_queued_bytes(const RpcConnection *conn)
{
    return conn->out != NULL ? conn->out->len - conn->sent : 0;
}

/* Where the next frame goes; NULL: nobody wants it. */
static GByteArray *begin_frame(RpcConnection *conn)
{
    if (conn->state != RPC_OPEN && conn->state != RPC_GREETING) {
        return NULL;
    }
    if (conn->out == NULL) {
        conn->out = g_byte_array_sized_new(512);
    }
    return conn->out;
}

static void frame_queued(RpcConnection *conn)
{
    size_t queued = rpc_connection_queued_bytes(conn);
    if (queued > conn->config->max_queued_bytes) {
        rpc_connection_end(conn,
                           new_error(BERTH_ERROR_UNAVAILABLE,
                                     "find out why the peer, or the network to it, is so slow",
                                     "the peer does not read: %zu bytes wait for it, %zu may",
                                     queued, conn->config->max_queued_bytes),
                           false, false);
    } else if (!rpc_stream_wants_write(conn->stream)) {
        rpc_task_queue(conn->loop, &conn->task);
    }
}

bool rpc_connection_send(RpcConnection *conn, json_t *message, GError **error)
{
    GByteArray *out = begin_frame(conn);
    bool framed =
        out == NULL || rpc_message_frame(out, message, conn->config->max_frame_bytes, error);
    json_decref(message);
    if (out != NULL) {
        frame_queued(conn);
    }
    return framed;
}

void rpc_connection_send_nothing(RpcConnection *conn, int64_t id)
{
    GByteArray *out = begin_frame(conn);
    if (out != NULL) {
        rpc_message_frame_nothing(out, id);
        frame_queued(conn);
    }
}

static void notify(RpcConnection *conn, const char *method)
{
    rpc_connection_send(conn, rpc_message_notify(method, NULL), NULL);
}

void rpc_connection_end(RpcConnection *conn, GError *reason, bool orderly, bool tell)
{
    if (conn->state >= RPC_CLOSING) {
        g_error_free(reason);
        return;
    }
    if (tell) {
        json_t *params = json_object();
        json_object_set_new(params, "error", rpc_error_to_json(reason));
        rpc_connection_send(conn, rpc_message_notify(GOODBYE, params), NULL);
        json_decref(params);
        if (conn->state >= RPC_CLOSING) { /* the queue was full */
            g_error_free(reason);
            return;
        }
    }
    conn->reason = reason;
    conn->orderly = orderly && conn->state != RPC_CONNECTING;
    conn->state = RPC_CLOSING;
    rpc_task_queue(conn->loop, &conn->task);
}

void rpc_connection_close(RpcConnection *conn, const GError *reason)
{
    if (conn->state >= RPC_CLOSING) {
        return;
    }
    GError *why = reason != NULL
                      ? g_error_copy(reason)
                      : new_error(BERTH_ERROR_UNAVAILABLE, NULL, "the connection was closed");
    rpc_connection_end(conn, why, true, reason != NULL);
}

void rpc_connection_disown(RpcConnection *conn, const GError *reason)
{
    rpc_connection_close(conn, NULL);
    rpc_calls_fail_all(conn, reason);
    rpc_calls_tell_failed(conn);
}

/* Our last words go out and what the peer still says is read and thrown away: a socket that is
 * closed with unread input resets the connection, which would destroy them. */
static void drain(RpcConnection *conn)
{
    if (rpc_connection_queued_bytes(conn) > 0) {
        if (!flush(conn, NULL)) {
            close_socket(conn);
            return;
        }
        if (rpc_connection_queued_bytes(conn) == 0) {
            rpc_stream_shut(conn->stream);
        }
    }
    RpcStreamResult result =
        rpc_stream_fill(conn->stream, rpc_loop_raw(conn->loop), RPC_RAW_BYTES, NULL);
    if (result == RPC_STREAM_END || result == RPC_STREAM_FAILED) {
        close_socket(conn);
    }
}

static void tell_closed(RpcConnection *conn)
{
    rpc_calls_fail_all(conn, conn->reason);
    rpc_calls_tell_failed(conn);
    bool seen = conn->was_open || conn->sponsor.owner == NULL;
    if (seen && conn->handlers.closed != NULL) {
        conn->handlers.closed(conn, conn->reason, conn->data);
    }
}

static void finish(RpcConnection *conn)
{
    rpc_timer_disarm(conn->loop, &conn->timer);
    if (conn->orderly && flush(conn, NULL)) {
        conn->state = RPC_DRAINING;
        rpc_timer_arm(conn->loop, &conn->timer, rpc_now_us() + DRAIN_US);
        if (rpc_connection_queued_bytes(conn) == 0) {
            rpc_stream_shut(conn->stream);
        }
        update_interest(conn);
    } else {
        close_socket(conn);
    }
    tell_closed(conn);
}

static void secure(RpcConnection *conn)
{
    GError *error = NULL;
    switch (rpc_stream_handshake(conn->stream, &error)) {
    case RPC_STREAM_OK:
        conn->state = RPC_GREETING;
        if (!rpc_connection_send(conn, rpc_hello_message(conn->config->hello), &error)) {
            rpc_connection_end(conn, error, false, false);
        }
        break;
    case RPC_STREAM_FAILED:
        rpc_connection_end(conn, error, true, false);
        break;
    case RPC_STREAM_AGAIN:
    case RPC_STREAM_END:
        break;
    }
}

static void peer_said_goodbye(RpcConnection *conn, const json_t *params)
{
    GError *reason = rpc_error_from_json(json_object_get(params, "error"));
    g_prefix_error(&reason, "the peer closed the connection: ");
    rpc_connection_end(conn, reason, true, false);
}

static void greet(RpcConnection *conn, const RpcMessage *message)
{
    GError *error = NULL;
    conn->peer = rpc_hello_accept(conn->config->hello, message, &error);
    if (conn->peer == NULL) {
        rpc_connection_end(conn, error, true, true);
        return;
    }
    conn->state = RPC_OPEN;
    conn->was_open = true;
    conn->peer_name = rpc_stream_peer_name(conn->stream);
    conn->peer_fingerprint = rpc_stream_peer_fingerprint(conn->stream);
    conn->resumed = rpc_stream_is_resumed(conn->stream);
    rpc_timer_arm(conn->loop, &conn->timer, conn->received_us + conn->config->ping_after_us);
    settle(conn, NULL);
    if (conn->handlers.opened != NULL) {
        conn->handlers.opened(conn, conn->data);
    }
}

static void take_message(RpcConnection *conn, RpcMessage *message)
{
    if (message->kind == RPC_MESSAGE_NOTIFY && strcmp(message->method, GOODBYE) == 0) {
        peer_said_goodbye(conn, message->params);
    } else if (conn->state == RPC_GREETING) {
        greet(conn, message);
    } else if (message->kind == RPC_MESSAGE_NOTIFY && strcmp(message->method, PING) == 0) {
        notify(conn, PONG);
    } else if (message->kind != RPC_MESSAGE_NOTIFY || strcmp(message->method, PONG) != 0) {
        rpc_calls_receive(conn, message);
    }
}

static bool is_talking(const RpcConnection *conn)
{
    return conn->state == RPC_GREETING || conn->state == RPC_OPEN;
}

static void take_frames(RpcConnection *conn)
{
    while (is_talking(conn)) {
        const char *data;
        size_t size;
        GError *error = NULL;
        RpcFrameResult result = rpc_frames_next(conn->frames, &data, &size, &error);
        if (result == RPC_FRAME_MORE) {
            return;
        }
        if (result == RPC_FRAME_WHOLE && conn->state == RPC_OPEN &&
            rpc_calls_receive_text(conn, data, size)) {
            continue;
        }
        g_autoptr(RpcMessage) message =
            result == RPC_FRAME_WHOLE ? rpc_message_parse(data, size, &error) : NULL;
        if (message == NULL) {
            rpc_connection_end(conn, error, true, true);
            return;
        }
        take_message(conn, message);
    }
}

static void peer_left(RpcConnection *conn)
{
    bool cut = rpc_frames_pending(conn->frames) > 0;
    rpc_connection_end(conn,
                       new_error(BERTH_ERROR_UNAVAILABLE, NULL, "the peer closed the connection%s",
                                 cut ? " in the middle of a message" : ""),
                       false, false);
}

static void receive(RpcConnection *conn)
{
    GError *error = NULL;
    RpcStreamResult result =
        rpc_stream_fill(conn->stream, rpc_loop_raw(conn->loop), RPC_RAW_BYTES, &error);
    if (result == RPC_STREAM_FAILED) {
        rpc_connection_end(conn, error, false, false);
        return;
    }
    if (result == RPC_STREAM_AGAIN) {
        return;
    }
    if (conn->state == RPC_SECURING) {
        secure(conn);
    }
    char *plain = rpc_loop_plain(conn->loop);
    conn->received_us = rpc_now_us();
    while (is_talking(conn)) {
        size_t n;
        result = rpc_stream_read(conn->stream, plain, RPC_PLAIN_BYTES, &n, &error);
        if (result == RPC_STREAM_AGAIN) {
            return;
        }
        if (result == RPC_STREAM_END) {
            peer_left(conn);
            return;
        }
        if (result == RPC_STREAM_FAILED) {
            rpc_connection_end(conn, error, false, false);
            return;
        }
        rpc_frames_push(conn->frames, plain, n);
        take_frames(conn);
    }
}

static void connected(RpcConnection *conn)
{
    int problem = 0;
    socklen_t size = sizeof problem;
    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0) {
        rpc_connection_end(conn,
                           new_error(BERTH_ERROR_UNAVAILABLE,
                                     "check that the peer runs, and its address",
                                     "cannot connect: %s", g_strerror(problem)),
                           false, false);
        return;
    }
    conn->state = RPC_SECURING;
    start_deadline(conn);
    secure(conn);
}

/* A handshake costs us half a millisecond and some memory: the sponsor says when. False: not now.
 */
static bool may_handshake(RpcConnection *conn, uint32_t events)
{
    if (conn->admitted || conn->sponsor.admit == NULL || conn->config->tls == NULL) {
        return true;
    }
    if (events & EPOLLRDHUP) {
        rpc_connection_end(conn,
                           new_error(BERTH_ERROR_UNAVAILABLE, NULL,
                                     "the peer gave up before the TLS handshake began"),
                           false, false);
        return false;
    }
    conn->admitted = conn->sponsor.admit(conn->sponsor.owner, conn);
    conn->parked = !conn->admitted;
    if (conn->parked) {
        rpc_timer_disarm(conn->loop, &conn->timer);
    }
    return conn->admitted;
}

RpcPlace *rpc_connection_place(RpcConnection *conn)
{
    return &conn->place;
}

void rpc_connection_unpark(RpcConnection *conn)
{
    conn->admitted = true;
    conn->parked = false;
    start_deadline(conn);
    update_interest(conn);
}

static void ready(void *owner, uint32_t events)
{
    g_autoptr(RpcConnection) conn = rpc_connection_ref(owner);
    switch (conn->state) {
    case RPC_CONNECTING:
        connected(conn);
        break;
    case RPC_SECURING:
        if (!may_handshake(conn, events)) {
            break;
        }
        G_GNUC_FALLTHROUGH;
    case RPC_GREETING:
    case RPC_OPEN:
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            receive(conn);
        }
        if ((events & EPOLLOUT) && conn->state == RPC_SECURING) {
            secure(conn);
        } else if ((events & EPOLLOUT) && is_talking(conn)) {
            flush_or_end(conn);
        }
        break;
    case RPC_DRAINING:
        drain(conn);
        break;
    case RPC_CLOSING:
    case RPC_CLOSED:
        break;
    }
    update_interest(conn);
}

bool rpc_connection_is_unserved(const RpcConnection *conn)
{
    struct pollfd poll_fd = {
        .fd = conn->fd,
        .events = conn->state == RPC_CONNECTING ? POLLOUT : POLLIN,
    };
    return poll(&poll_fd, 1, 0) > 0;
}

static void keep_alive(RpcConnection *conn)
{
    const RpcConfig *config = conn->config;
    int64_t now_us = rpc_now_us();
    if (now_us - conn->received_us < config->ping_after_us) {
        rpc_timer_arm(conn->loop, &conn->timer, conn->received_us + config->ping_after_us);
        return;
    }
    /* The peer is silent only if it had time to answer a ping: we may have been stopped. */
    if (conn->pinged_us <= conn->received_us) {
        conn->pinged_us = now_us;
        notify(conn, PING);
        int64_t patience_us = MAX(config->silence_us - config->ping_after_us, 1000);
        rpc_timer_arm(conn->loop, &conn->timer, now_us + patience_us);
        return;
    }
    if (rpc_connection_is_unserved(conn)) {
        rpc_timer_arm(conn->loop, &conn->timer, now_us + LATE_US);
        return;
    }
    rpc_connection_end(conn,
                       new_error(BERTH_ERROR_TIMEOUT,
                                 "check the network, and that the peer is not stopped",
                                 "nothing came from the peer for %" G_GINT64_FORMAT " ms",
                                 (now_us - conn->received_us) / 1000),
                       false, false);
}

static void opening_took_too_long(RpcConnection *conn)
{
    if (rpc_connection_is_unserved(conn)) {
        rpc_timer_arm(conn->loop, &conn->timer, rpc_now_us() + LATE_US);
        return;
    }
    static const char *const wanting[] = {"the connection", "the TLS handshake", "the hello"};
    rpc_connection_end(conn,
                       new_error(BERTH_ERROR_TIMEOUT, NULL,
                                 "%s did not come within %" G_GINT64_FORMAT " ms",
                                 wanting[conn->state], opening_us(conn) / 1000),
                       false, false);
}

static void time_out(void *owner)
{
    g_autoptr(RpcConnection) conn = rpc_connection_ref(owner);
    if (conn->state == RPC_DRAINING) {
        close_socket(conn);
    } else if (conn->state == RPC_OPEN) {
        keep_alive(conn);
    } else if (conn->state < RPC_OPEN) {
        opening_took_too_long(conn);
    }
}

static void serve(void *owner)
{
    g_autoptr(RpcConnection) conn = rpc_connection_ref(owner);
    rpc_calls_tell_failed(conn);
    if (conn->state == RPC_CLOSING) {
        finish(conn);
    } else if (conn->state == RPC_SECURING && (!conn->server || conn->config->tls == NULL)) {
        secure(conn); /* who dials speaks first; a server waits for the first byte */
    } else if (is_talking(conn)) {
        flush_or_end(conn);
    }
    update_interest(conn);
}

/* rpc_loop_free() */
static void loop_ended(void *owner)
{
    g_autoptr(RpcConnection) conn = rpc_connection_ref(owner);
    if (conn->state < RPC_DRAINING) {
        if (conn->reason == NULL) {
            conn->reason =
                new_error(BERTH_ERROR_UNAVAILABLE, NULL, "this program ends its connections");
        }
        close_socket(conn);
        tell_closed(conn);
    }
    close_socket(conn);
    rpc_task_cancel(conn->loop, &conn->task);
    rpc_member_remove(conn->loop, &conn->member);
    conn->loop = NULL;
    rpc_calls_tell_failed(conn);
}

static void set_socket_options(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* fails on unix sockets: no matter */
}

RpcConnection *rpc_connection_start(RpcLoop *loop, int fd, bool server, bool connected_already,
                                    RpcConfig *config, const RpcHandlers *handlers, void *data,
                                    const RpcSponsor *sponsor, GError **error)
{
    RpcConnection *conn = g_new0(RpcConnection, 1);
    g_ref_count_init(&conn->references);
    conn->state = connected_already ? RPC_SECURING : RPC_CONNECTING;
    conn->loop = loop;
    conn->config = rpc_config_ref(config);
    conn->handlers = *handlers;
    conn->data = data;
    conn->server = server;
    conn->fd = fd;
    conn->stream = rpc_stream_new(fd, config->tls, server, config->server_name, config->ticket);
    conn->frames = rpc_frames_new(config->max_frame_bytes);
    conn->member = (RpcMember){.owner = conn, .end = loop_ended};
    conn->watch = (RpcWatch){.owner = conn, .ready = ready};
    conn->timer = (RpcTimer){.owner = conn, .fire = time_out};
    conn->task = (RpcTask){.owner = conn, .run = serve};
    conn->place.link.data = conn;
    g_queue_init(&conn->failed);
    conn->received_us = rpc_now_us();
    rpc_member_add(loop, &conn->member);
    set_socket_options(fd);
    uint32_t events = connected_already ? EPOLLIN | EPOLLRDHUP : EPOLLOUT;
    if (!rpc_watch_add(loop, &conn->watch, fd, events, error)) {
        close_socket(conn);
        return NULL;
    }
    if (sponsor != NULL) {
        conn->sponsor = *sponsor;
    }
    start_deadline(conn);
    rpc_task_queue(loop, &conn->task);
    return conn;
}

void rpc_connection_drop(RpcConnection *conn, const GError *reason)
{
    if (conn->reason == NULL) {
        conn->reason = g_error_copy(reason);
    }
    close_socket(conn);
}

RpcConnection *rpc_connection_adopt(RpcLoop *loop, int fd, bool server, const RpcOptions *options,
                                    const RpcHandlers *handlers, void *data, GError **error)
{
    RpcConfig *config = rpc_config_new(options);
    RpcConnection *conn =
        rpc_connection_start(loop, fd, server, true, config, handlers, data, NULL, error);
    rpc_config_unref(config);
    return conn;
}

static int dial(GSocketAddress *address, bool *ret_connected, GError **error)
{
    struct sockaddr_storage native;
    if (!g_socket_address_to_native(address, &native, sizeof native, error)) {
        return -1;
    }
    int fd = socket(native.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -1
                    : connect(fd, (struct sockaddr *)&native,
                              (socklen_t)g_socket_address_get_native_size(address));
    if (rc < 0 && (fd < 0 || errno != EINPROGRESS)) {
        g_autofree char *where = g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(address));
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, where,
                        "check that the peer runs, and its address", "cannot connect: %s",
                        g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    *ret_connected = rc == 0;
    return fd;
}

RpcConnection *rpc_connection_dial_with(RpcLoop *loop, GSocketAddress *address, RpcConfig *config,
                                        const RpcHandlers *handlers, void *data, GError **error)
{
    bool connected_already;
    int fd = dial(address, &connected_already, error);
    return fd < 0 ? NULL
                  : rpc_connection_start(loop, fd, false, connected_already, config, handlers, data,
                                         NULL, error);
}

RpcConnection *rpc_connection_dial(RpcLoop *loop, GSocketAddress *address,
                                   const RpcOptions *options, const RpcHandlers *handlers,
                                   void *data, GError **error)
{
    RpcConfig *config = rpc_config_new(options);
    RpcConnection *conn = rpc_connection_dial_with(loop, address, config, handlers, data, error);
    rpc_config_unref(config);
    return conn;
}

RpcConnection *rpc_connection_ref(RpcConnection *conn)
{
    g_ref_count_inc(&conn->references);
    return conn;
}

void rpc_connection_unref(RpcConnection *conn)
{
    if (conn == NULL || !g_ref_count_dec(&conn->references)) {
        return;
    }
    if (conn->loop != NULL) {
        rpc_task_cancel(conn->loop, &conn->task);
        rpc_member_remove(conn->loop, &conn->member);
    }
    rpc_calls_free(conn);
    rpc_config_unref(conn->config);
    rpc_hello_free(conn->peer);
    g_clear_error(&conn->reason);
    g_free(conn->peer_name);
    g_free(conn->peer_fingerprint);
    g_free(conn->peer_address);
    g_free(conn);
}

void rpc_connection_set_data(RpcConnection *conn, void *data)
{
    conn->data = data;
}

void *rpc_connection_data(const RpcConnection *conn)
{
    return conn->data;
}

bool rpc_connection_is_resumed(const RpcConnection *conn)
{
    return conn->resumed;
}

bool rpc_connection_is_open(const RpcConnection *conn)
{
    return conn->state == RPC_OPEN;
}

const RpcHello *rpc_connection_peer(const RpcConnection *conn)
{
    return conn->peer;
}

const char *rpc_connection_peer_name(const RpcConnection *conn)
{
    return conn->peer_name;
}

const char *rpc_connection_peer_fingerprint(const RpcConnection *conn)
{
    return conn->peer_fingerprint;
}

const char *rpc_connection_peer_address(RpcConnection *conn)
{
    struct sockaddr_storage native;
    socklen_t size = sizeof native;
    if (conn->peer_address == NULL && conn->fd >= 0 &&
        getpeername(conn->fd, (struct sockaddr *)&native, &size) == 0) {
        g_autoptr(GSocketAddress) address = g_socket_address_new_from_native(&native, size);
        if (address != NULL) {
            conn->peer_address = g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(address));
        }
    }
    return conn->peer_address;
}
