/*
 * One peer that we stay connected to: it is dialled again whenever it is away, for ever.
 *
 *     RpcClient *client = rpc_client_new(loop, "manager.example:7643", &options, NULL, &handlers,
 *                                        agent, &error);
 *
 * The name is resolved anew for every attempt, and all of its addresses are tried in turn. What is
 * called while the peer is away fails: a client queues nothing, since what it would say then is
 * likely to be out of date by the time the peer is back. On `up`, say what is.
 *
 * Threading and callbacks: see rpc/loop.h. The one exception is rpc_client_free().
 */
#pragma once

#include "rpc/channel.h"
#include "rpc/reconnect.h"

typedef struct RpcClient RpcClient;

/* Each may be NULL. */
typedef struct {
    void (*up)(RpcClient *client, void *data);
    void (*down)(RpcClient *client, const GError *reason, void *data);
    /* An attempt failed, the next one comes in wait_ms. For the log; the same reason may repeat. */
    void (*failed)(RpcClient *client, const GError *reason, int64_t wait_ms, void *data);
    /* As RpcHandlers have it. */
    void (*call)(RpcClient *client, RpcCall *call, void *data);
    void (*notified)(RpcClient *client, const char *method, json_t *params, void *data);
} RpcClientHandlers;

/* `address`: "host:port", "[IPv6]:port", or an absolute path of a unix socket. With TLS and without
 * options->server_name, the certificate must name the host of the address. `limits` may be NULL.
 * BERTH_ERROR_INVALID for an address that is none. */
RpcClient *rpc_client_new(RpcLoop *loop, const char *address, const RpcOptions *options,
                          const RpcReconnectLimits *limits, const RpcClientHandlers *handlers,
                          void *data, GError **error);

/* Closes. Calls without an answer get BERTH_ERROR_UNAVAILABLE from inside this function, nothing
 * else runs any more. Takes NULL. */
void rpc_client_free(RpcClient *client);

/* From the next attempt on; a renewed certificate, for example. */
void rpc_client_set_tls(RpcClient *client, RpcTls *tls);

/* Dials now, if it waits to. */
void rpc_client_hurry(RpcClient *client);

bool rpc_client_is_up(const RpcClient *client);

/* While up, the connection, for rpc_connection_peer() and the like; otherwise NULL. Do not keep. */
RpcConnection *rpc_client_connection(const RpcClient *client);

/* Why it is not up; NULL before the first failure and while up. */
const GError *rpc_client_problem(const RpcClient *client);

/* As rpc_connection_call() and rpc_connection_notify(). */
void rpc_client_call(RpcClient *client, const char *method, json_t *params, int timeout_ms,
                     RpcAnswer answer, void *data);
bool rpc_client_notify(RpcClient *client, const char *method, json_t *params, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcClient, rpc_client_free)
