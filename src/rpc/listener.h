/*
 * Accepts connections on a listening socket and hands over those that have proved who they are.
 *
 * Handlers see a connection from `opened` on: with TLS, its certificate is good by then, and the
 * hello fits. Whoever fails before is reported to `refused`, for the log, and never seen otherwise.
 *
 * Strangers are bounded. Whoever is connected and silent costs no more than a socket; at most
 * max_unauthenticated may be on the way to `opened`, and then the oldest silent one is dropped for
 * the next in line. A TLS handshake begins with the peer's first byte; at most max_handshakes are
 * under way, the others wait in turn, and one that does not come to its end within grace_ms loses
 * its place as soon as another waits for it. So half-open connections, however many, hardly delay
 * an honest peer, and a storm of honest peers (thousands that lost their manager at once) is served
 * in turn.
 *
 * Threading and callbacks: see rpc/loop.h.
 */
#pragma once

#include "rpc/channel.h"

typedef struct RpcListener RpcListener;

typedef struct {
    unsigned max_unauthenticated; /* [8,192] */
    unsigned max_handshakes;      /* [256] */
    int grace_ms;                 /* [3,000] */
    /* `address` may be NULL. */
    void (*refused)(RpcListener *listener, const char *address, const GError *reason, void *data);
} RpcListenerOptions;

/* Takes over `fd`, a listening stream socket (TCP or unix), even if it fails. `data` is that of the
 * handlers, until rpc_connection_set_data() gives a connection its own. `limits` may be NULL. */
RpcListener *rpc_listener_new(RpcLoop *loop, int fd, const RpcOptions *options,
                              const RpcListenerOptions *limits, const RpcHandlers *handlers,
                              void *data, GError **error);

/* Stops listening; drops who is not open yet. Open connections go on. */
void rpc_listener_free(RpcListener *listener); /* takes NULL */

/* For connections from now on: a new certificate, for example. */
void rpc_listener_set_tls(RpcListener *listener, RpcTls *tls);

/* Connections that are not open yet. */
unsigned rpc_listener_unauthenticated(const RpcListener *listener);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcListener, rpc_listener_free)
