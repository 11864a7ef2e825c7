#include "rpc/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "rpc/channel_private.h"
#include "rpc/loop_private.h"

#define ACCEPT_BATCH 512         /* at a turn: cheap, and the kernel's queue is short */
#define UNSERVED_US (50 * 1000)  /* until we look again at one whom we have not served yet */
#define SHORTAGE_US (500 * 1000) /* pause when the system has no descriptor or memory left */

struct RpcListener {
    RpcLoop *loop; /* NULL after rpc_loop_free() */
    int fd;
    RpcConfig *config;
    RpcListenerOptions limits;
    RpcHandlers handlers;
    void *data;
    /* Of RpcConnection, by their RpcPlace, oldest first: who is not open yet. */
    GQueue silent; /* has sent nothing */
    GQueue parked; /* wants a handshake */
    GQueue busy;   /* has one */
    RpcWatch watch;
    RpcTimer timer; /* a pause is over */
    RpcTask task;   /* places have become free */
    RpcMember member;
    bool ending;
};

static void pause_until(RpcListener *listener, int64_t due_us)
{
    rpc_watch_change(listener->loop, &listener->watch, 0);
    if (!listener->timer.armed || listener->timer.due_us > due_us) {
        rpc_timer_arm(listener->loop, &listener->timer, due_us);
    }
}

unsigned rpc_listener_unauthenticated(const RpcListener *listener)
{
    return listener->silent.length + listener->parked.length + listener->busy.length;
}

static void report(RpcListener *listener, const char *address, const GError *reason)
{
    if (listener->limits.refused != NULL && !listener->ending) {
        listener->limits.refused(listener, address, reason, listener->data);
    }
}

static void put(RpcConnection *conn, GQueue *queue)
{
    RpcPlace *place = rpc_connection_place(conn);
    if (place->queue != NULL) {
        g_queue_unlink(place->queue, &place->link);
    }
    place->queue = queue;
    place->since_us = rpc_now_us();
    if (queue != NULL) {
        g_queue_push_tail_link(queue, &place->link);
    }
}

/* A stranger has opened, or is gone. */
static void settled(void *owner, RpcConnection *conn, const GError *reason)
{
    RpcListener *listener = owner;
    put(conn, NULL);
    if (listener->ending) {
        return;
    }
    rpc_task_queue(listener->loop, &listener->task);
    if (reason != NULL) {
        report(listener, rpc_connection_peer_address(conn), reason);
    }
}

static bool admit(void *owner, RpcConnection *conn)
{
    RpcListener *listener = owner;
    bool now =
        listener->busy.length < listener->limits.max_handshakes && listener->parked.length == 0;
    put(conn, now ? &listener->busy : &listener->parked);
    if (!now) {
        rpc_task_queue(listener->loop, &listener->task);
    }
    return now;
}

/* Drops the oldest of a queue for the next in line, if it had its time; else says when it has. */
static bool make_place(RpcListener *listener, GQueue *queue, int64_t *ret_due_us)
{
    int64_t now_us = rpc_now_us(), grace_us = 1000LL * listener->limits.grace_ms;
    RpcConnection *oldest = g_queue_peek_head(queue);
    int64_t due_us = (oldest != NULL ? rpc_connection_place(oldest)->since_us : now_us) + grace_us;
    if (due_us <= now_us && rpc_connection_is_unserved(oldest)) {
        due_us = now_us + UNSERVED_US;
    }
    if (due_us > now_us) {
        *ret_due_us = due_us;
        return false;
    }
    g_autoptr(GError) reason = NULL;
    berth_error_set(&reason, BERTH_ERROR_TIMEOUT, NULL, NULL, NULL,
                    "it did not open within %d ms and others wait", listener->limits.grace_ms);
    rpc_connection_drop(oldest, reason);
    return true;
}

/* Places may have become free: for those who are parked, and to accept more. */
static void advance(void *owner)
{
    RpcListener *listener = owner;
    int64_t due_us;
    rpc_timer_disarm(listener->loop, &listener->timer);
    rpc_watch_change(listener->loop, &listener->watch, EPOLLIN);
    while (listener->parked.length > 0) {
        if (listener->busy.length >= listener->limits.max_handshakes &&
            !make_place(listener, &listener->busy, &due_us)) {
            rpc_timer_arm(listener->loop, &listener->timer, due_us);
            return;
        }
        RpcConnection *next = g_queue_peek_head(&listener->parked);
        put(next, &listener->busy);
        rpc_connection_unpark(next);
    }
}

static void welcome(RpcListener *listener, int fd)
{
    RpcSponsor sponsor = {.owner = listener, .admit = admit, .settled = settled};
    g_autoptr(GError) error = NULL;
    RpcConnection *conn =
        rpc_connection_start(listener->loop, fd, true, true, listener->config, &listener->handlers,
                             listener->data, &sponsor, &error);
    if (conn == NULL) {
        report(listener, NULL, error);
        return;
    }
    put(conn, &listener->silent);
}

static void ready(void *owner, uint32_t events)
{
    RpcListener *listener = owner;
    int64_t due_us;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        if (rpc_listener_unauthenticated(listener) >= listener->limits.max_unauthenticated &&
            !make_place(listener, &listener->silent, &due_us)) {
            pause_until(listener, due_us);
            return;
        }
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            welcome(listener, fd);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            g_autoptr(GError) error = NULL;
            berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                            "raise the limit of open files (LimitNOFILE=)",
                            "cannot accept connections: %s", g_strerror(errno));
            pause_until(listener, rpc_now_us() + SHORTAGE_US);
            report(listener, NULL, error);
            return;
        }
        /* Anything else (ECONNABORTED, …) concerns only that one connection. */
    }
}

static void loop_ended(void *owner)
{
    RpcListener *listener = owner;
    listener->ending = true;
    rpc_watch_remove(listener->loop, &listener->watch);
    rpc_timer_disarm(listener->loop, &listener->timer);
    rpc_task_cancel(listener->loop, &listener->task);
    rpc_member_remove(listener->loop, &listener->member);
    g_autoptr(GError) reason = NULL;
    berth_error_set(&reason, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL, "the listener ends");
    GQueue *queues[] = {&listener->silent, &listener->parked, &listener->busy};
    for (guint i = 0; i < G_N_ELEMENTS(queues); i++) {
        while (queues[i]->length > 0) {
            rpc_connection_drop(g_queue_peek_head(queues[i]), reason);
        }
    }
    listener->loop = NULL;
}

RpcListener *rpc_listener_new(RpcLoop *loop, int fd, const RpcOptions *options,
                              const RpcListenerOptions *limits, const RpcHandlers *handlers,
                              void *data, GError **error)
{
    RpcListener *listener = g_new0(RpcListener, 1);
    listener->loop = loop;
    listener->fd = fd;
    listener->config = rpc_config_new(options);
    listener->limits = limits != NULL ? *limits : (RpcListenerOptions){0};
    if (listener->limits.max_unauthenticated == 0) {
        listener->limits.max_unauthenticated = 8192;
    }
    if (listener->limits.max_handshakes == 0) {
        listener->limits.max_handshakes = 256;
    }
    if (listener->limits.grace_ms <= 0) {
        listener->limits.grace_ms = 3000;
    }
    listener->handlers = *handlers;
    listener->data = data;
    g_queue_init(&listener->silent);
    g_queue_init(&listener->parked);
    g_queue_init(&listener->busy);
    listener->watch = (RpcWatch){.owner = listener, .ready = ready};
    listener->timer = (RpcTimer){.owner = listener, .fire = advance};
    listener->task = (RpcTask){.owner = listener, .run = advance};
    listener->member = (RpcMember){.owner = listener, .end = loop_ended};
    rpc_member_add(loop, &listener->member);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (!rpc_watch_add(loop, &listener->watch, fd, EPOLLIN, error)) {
        rpc_listener_free(listener);
        return NULL;
    }
    return listener;
}

void rpc_listener_free(RpcListener *listener)
{
    if (listener == NULL) {
        return;
    }
    if (listener->loop != NULL) {
        loop_ended(listener);
    }
    close(listener->fd);
    rpc_config_unref(listener->config);
    g_free(listener);
}

void rpc_listener_set_tls(RpcListener *listener, RpcTls *tls)
{
    RpcConfig *next = rpc_config_with_tls(listener->config, tls);
    rpc_config_unref(listener->config);
    listener->config = next;
}
