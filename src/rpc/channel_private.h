/* What the listener takes from the channel; private to src/rpc. */
#pragma once

#include "rpc/channel.h"
#include "rpc/tls_private.h"

/* RpcOptions with defaults filled in, shared by the connections of a listener. */
typedef struct {
    grefcount references;
    RpcHello *hello;
    RpcTls *tls;
    RpcTicket *ticket; /* of the server that is dialled */
    char *server_name;
    size_t max_frame_bytes, max_queued_bytes;
    unsigned max_unanswered;
    int64_t connect_timeout_us, open_timeout_us; /* open_timeout_us 0: by role */
    int64_t ping_after_us, silence_us;
} RpcConfig;

RpcConfig *rpc_config_new(const RpcOptions *options);
RpcConfig *rpc_config_with_tls(const RpcConfig *config, RpcTls *tls); /* a copy but for tls */
RpcConfig *rpc_config_ref(RpcConfig *config);
void rpc_config_unref(RpcConfig *config);

/*
 * Who accepted a connection. `settled` runs once: when it opens (reason NULL) or when its socket is
 * closed before that. `admit`, with TLS: the first byte has come and a handshake would begin; false
 * parks the connection until rpc_connection_unpark().
 */
typedef struct {
    void *owner;
    bool (*admit)(void *owner, RpcConnection *connection);
    void (*settled)(void *owner, RpcConnection *connection, const GError *reason);
} RpcSponsor;

/* Where the sponsor keeps it. */
typedef struct {
    GList link;
    GQueue *queue;
    int64_t since_us;
} RpcPlace;

RpcPlace *rpc_connection_place(RpcConnection *connection);
void rpc_connection_unpark(RpcConnection *connection);

RpcConnection *rpc_connection_start(RpcLoop *loop, int fd, bool server, bool connected,
                                    RpcConfig *config, const RpcHandlers *handlers, void *data,
                                    const RpcSponsor *sponsor, GError **error);

RpcConnection *rpc_connection_dial_with(RpcLoop *loop, GSocketAddress *address, RpcConfig *config,
                                        const RpcHandlers *handlers, void *data, GError **error);

/* Gives every call of ours its error now and closes in order; nothing of the owner's is called any
 * more except `closed`. */
void rpc_connection_disown(RpcConnection *connection, const GError *reason);

/* Something has come that we have not served yet: whoever waits is not to blame. */
bool rpc_connection_is_unserved(const RpcConnection *connection);

/* Closes the socket at once, with no callback but `settled`. */
void rpc_connection_drop(RpcConnection *connection, const GError *reason);
