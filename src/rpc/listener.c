#include "rpc/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "rpc/channel_private.h"
#include "rpc/loop_private.h"

#define ACCEPT_BATCH 16          /* at a turn, so that those who are in are served too */
#define SHORTAGE_US (500 * 1000) /* pause when the system has no descriptor or memory left */

struct RpcListener {
    RpcLoop *loop; /* NULL after rpc_loop_free() */
    int fd;
    RpcConfig *config;
    RpcListenerOptions limits;
    RpcHandlers handlers;
    void *data;
    GQueue strangers; /* of RpcConnection, oldest first, by their sponsor_link */
    RpcWatch watch;
    RpcTimer timer; /* a pause is over */
    RpcMember member;
    bool ending;
};

static void resume(void *owner)
{
    RpcListener *listener = owner;
    rpc_timer_disarm(listener->loop, &listener->timer);
    rpc_watch_change(listener->loop, &listener->watch, EPOLLIN);
}

static void pause_until(RpcListener *listener, int64_t due_us)
{
    rpc_watch_change(listener->loop, &listener->watch, 0);
    rpc_timer_arm(listener->loop, &listener->timer, due_us);
}

static void report(RpcListener *listener, const char *address, const GError *reason)
{
    if (listener->limits.refused != NULL && !listener->ending) {
        listener->limits.refused(listener, address, reason, listener->data);
    }
}

/* A stranger has opened, or is gone. */
static void settled(void *owner, RpcConnection *conn, const GError *reason)
{
    RpcListener *listener = owner;
    g_queue_unlink(&listener->strangers, rpc_connection_sponsor_link(conn));
    if (listener->timer.armed && !listener->ending) {
        resume(listener);
    }
    if (reason != NULL) {
        report(listener, rpc_connection_peer_address(conn), reason);
    }
}

/* Gives the oldest stranger's place away, if it had its time. */
static bool make_place(RpcListener *listener)
{
    RpcConnection *oldest = g_queue_peek_head(&listener->strangers);
    int64_t due_us = rpc_connection_started_us(oldest) + 1000LL * listener->limits.grace_ms;
    if (rpc_now_us() < due_us) {
        pause_until(listener, due_us);
        return false;
    }
    g_autoptr(GError) reason = NULL;
    berth_error_set(&reason, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                    "it did not open in time and %u others wait", listener->strangers.length - 1);
    rpc_connection_drop(oldest, reason);
    return true;
}

static void admit(RpcListener *listener, int fd)
{
    RpcSponsor sponsor = {.owner = listener, .settled = settled};
    g_autoptr(GError) error = NULL;
    RpcConnection *conn =
        rpc_connection_start(listener->loop, fd, true, true, listener->config, &listener->handlers,
                             listener->data, &sponsor, &error);
    if (conn == NULL) {
        report(listener, NULL, error);
        return;
    }
    g_queue_push_tail_link(&listener->strangers, rpc_connection_sponsor_link(conn));
}

static void ready(void *owner, uint32_t events)
{
    RpcListener *listener = owner;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        if (listener->strangers.length >= listener->limits.max_unauthenticated &&
            !make_place(listener)) {
            return;
        }
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(listener, fd);
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
    rpc_member_remove(listener->loop, &listener->member);
    g_autoptr(GError) reason = NULL;
    berth_error_set(&reason, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL, "the listener ends");
    while (listener->strangers.length > 0) {
        rpc_connection_drop(g_queue_peek_head(&listener->strangers), reason);
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
        listener->limits.max_unauthenticated = 512;
    }
    if (listener->limits.grace_ms <= 0) {
        listener->limits.grace_ms = 1000;
    }
    listener->handlers = *handlers;
    listener->data = data;
    g_queue_init(&listener->strangers);
    listener->watch = (RpcWatch){.owner = listener, .ready = ready};
    listener->timer = (RpcTimer){.owner = listener, .fire = resume};
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

unsigned rpc_listener_unauthenticated(const RpcListener *listener)
{
    return listener->strangers.length;
}
