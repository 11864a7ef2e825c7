/*
 * The channel's event loop: one GSource that owns an epoll set, so that thousands of connections
 * cost GLib's poll(2) a single file descriptor.
 *
 *     RpcLoop *loop = rpc_loop_new(g_main_context_get_thread_default());
 *     RpcListener *listener = rpc_listener_new(loop, fd, &options, …);     rpc/listener.h
 *     RpcClient *client = rpc_client_new(loop, "host:port", …);            rpc/client.h
 *
 * Threading: a loop and all that stands on it belong to the thread that runs its GMainContext.
 * Callbacks run in that thread, from the main loop's dispatch, never inside a call of this API; the
 * one exception is rpc_loop_free(). A callback that runs a main loop of its own on the same context
 * must not wait there for anything of this loop: nothing of it happens until the callback returns.
 */
#pragma once

#include <glib.h>

typedef struct RpcLoop RpcLoop;

/* Attached to `context` (NULL: the default one) at once. Aborts where the kernel has no file
 * descriptor left for an epoll set: nothing works then. */
RpcLoop *rpc_loop_new(GMainContext *context);

/* Ends every connection, listener and client that is left: calls without an answer get
 * BERTH_ERROR_UNAVAILABLE and `closed` runs, from inside this function. Listeners and clients are
 * to be freed before. */
void rpc_loop_free(RpcLoop *loop);

GMainContext *rpc_loop_context(RpcLoop *loop);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcLoop, rpc_loop_free)
