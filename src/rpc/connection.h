/*
 * The inside of a connection, shared by channel.c (its life and its bytes) and calls.c (calls and
 * answers); private to src/rpc.
 */
#pragma once

#include "rpc/channel_private.h"
#include "rpc/frame.h"
#include "rpc/loop_private.h"
#include "rpc/stream.h"

typedef enum {
    RPC_CONNECTING, /* the socket */
    RPC_SECURING,   /* the TLS handshake */
    RPC_GREETING,   /* our hello is out, the peer's is awaited */
    RPC_OPEN,
    RPC_CLOSING,  /* decided, not yet done: that takes a task */
    RPC_DRAINING, /* told everybody; the peer may still take our last words */
    RPC_CLOSED,
} RpcState;

struct RpcConnection {
    grefcount references;
    RpcState state;
    RpcLoop *loop; /* NULL after rpc_loop_free() */
    RpcConfig *config;
    RpcHandlers handlers;
    void *data;
    RpcSponsor sponsor; /* settled: NULL once it is */
    RpcPlace place;
    bool server, was_open, orderly, resumed;
    bool admitted, parked; /* by the sponsor */
    GError *reason;

    int fd;
    RpcStream *stream;
    RpcFrames *frames;
    GByteArray *out;
    guint sent; /* of out */
    RpcMember member;
    RpcWatch watch;
    RpcTimer timer; /* opening, keepalive or draining, by state */
    RpcTask task;
    int64_t received_us, pinged_us;

    RpcHello *peer;
    char *peer_name, *peer_fingerprint, *peer_address;

    GHashTable *calls; /* ours, by id; NULL: none yet */
    GQueue failed;     /* ours whose answer is an error of our own, to be given in a task */
    int64_t next_id;
    unsigned unanswered; /* of the peer's calls */
};

/* Queues a message for the peer. A message over the frame's limit is the only error; on a
 * connection that is not open it is silently dropped. */
bool rpc_connection_send(RpcConnection *connection, json_t *message, GError **error);

/* The same for the result {} of a call. */
void rpc_connection_send_nothing(RpcConnection *connection, int64_t id);

/* Decides the end; takes `reason`. Orderly: our last words are delivered, `tell` makes the reason
 * one of them. */
void rpc_connection_end(RpcConnection *connection, GError *reason, bool orderly, bool tell);

/* calls.c. A message of an open connection, other than the channel's own. */
void rpc_calls_receive(RpcConnection *connection, RpcMessage *message);
/* The frame of a call or notification whose method has a type, if it can be read without a tree;
 * false: untouched. */
bool rpc_calls_receive_text(RpcConnection *connection, const char *data, size_t size);
/* Every call that waits fails, because of `reason`. */
void rpc_calls_fail_all(RpcConnection *connection, const GError *reason);
/* Runs the callbacks of those that failed. */
void rpc_calls_tell_failed(RpcConnection *connection);
void rpc_calls_free(RpcConnection *connection);
