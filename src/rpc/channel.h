/*
 * A connection over which both sides call.
 *
 * Its life: connect, TLS handshake, hello in both directions - then `opened` runs, and from here on
 * calls, notifications and answers go both ways until `closed` runs with the reason. The opening
 * has deadlines. A connection that is not open costs little: the TLS session is made when the
 * peer's first byte arrives.
 *
 * Sending never blocks. What the peer does not read waits in a queue; a peer that lets it grow
 * over max_queued_bytes is dropped. Answers of one peer come in any order.
 *
 * A silent peer is pinged after ping_after_ms and dropped after silence_ms.
 *
 * Ownership: a connection lives until `closed` has returned; who needs its pointer longer holds a
 * reference, through which every function stays harmless. JSON and errors given to a function stay
 * the caller's, those given to a callback stay ours: json_incref() or copy what is to last.
 *
 * Threading and callbacks: see rpc/loop.h.
 */
#pragma once

#include <gio/gio.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/codec.h"
#include "rpc/loop.h"
#include "rpc/message.h"
#include "rpc/tls.h"

typedef struct RpcConnection RpcConnection;
typedef struct RpcCall RpcCall;

/* Zeros take the default in brackets. Everything is copied. */
typedef struct {
    const RpcHello *hello;   /* what we say; required */
    RpcTls *tls;             /* NULL: plain, for unix sockets */
    const char *server_name; /* who dials: what the server's certificate must name */
    size_t max_frame_bytes;  /* [8 MiB] of one message, in both directions */
    size_t max_queued_bytes; /* [32 MiB] of output that the peer has not taken */
    unsigned max_unanswered; /* [1,024] of the peer's calls; more are answered "unavailable" */
    int connect_timeout_ms;  /* [5,000] who dials: to reach the peer's socket */
    int open_timeout_ms;     /* [10,000; who dials 30,000] from there to both hellos */
    int ping_after_ms;       /* [10,000] */
    int silence_ms;          /* [30,000] */
} RpcOptions;

/*
 * A method whose params the channel reads as their type; without a tree, and so for a fraction of
 * the time, where the text is ordinary (base/codec.h). Exactly one of `called` and `notified` is
 * set; `params` are the handler's to free. What is not of the type never comes here: a call is
 * answered with what is wrong with it, a notification is dropped.
 */
typedef struct {
    const char *name;
    const CodecType *params;
    void (*called)(RpcConnection *connection, RpcCall *call, void *params, void *data);
    void (*notified)(RpcConnection *connection, void *params, void *data);
} RpcMethod;

/* Each may be NULL: calls are then answered "no such method". `data` is rpc_connection_data(). */
typedef struct {
    void (*opened)(RpcConnection *connection, void *data);
    /* Ended by one without a name; must stay. What is not among them goes to the next two. */
    const RpcMethod *methods;
    /* Answer it exactly once, at any time: rpc_call_answer(). */
    void (*call)(RpcConnection *connection, RpcCall *call, void *data);
    void (*notified)(RpcConnection *connection, const char *method, json_t *params, void *data);
    /* Once, whether it ever opened or not (but see rpc/listener.h). By now every call of ours has
     * its answer. */
    void (*closed)(RpcConnection *connection, const GError *reason, void *data);
} RpcHandlers;

/* Dials. Returns at once; NULL only if no socket can be had or the address refuses at once. */
RpcConnection *rpc_connection_dial(RpcLoop *loop, GSocketAddress *address,
                                   const RpcOptions *options, const RpcHandlers *handlers,
                                   void *data, GError **error);

/* On a connected stream socket, which it takes over even if it fails. */
RpcConnection *rpc_connection_adopt(RpcLoop *loop, int fd, bool server, const RpcOptions *options,
                                    const RpcHandlers *handlers, void *data, GError **error);

RpcConnection *rpc_connection_ref(RpcConnection *connection);
void rpc_connection_unref(RpcConnection *connection); /* takes NULL */

void rpc_connection_set_data(RpcConnection *connection, void *data);
void *rpc_connection_data(const RpcConnection *connection);

bool rpc_connection_is_open(const RpcConnection *connection);

/* The peer's hello; NULL before `opened`. */
const RpcHello *rpc_connection_peer(const RpcConnection *connection);
/* Common name and SHA-256 (hex) of the certificate that the peer has proved; NULL without TLS. */
const char *rpc_connection_peer_name(const RpcConnection *connection);
const char *rpc_connection_peer_fingerprint(const RpcConnection *connection);
/* By a ticket (rpc/tls.h); name and fingerprint are those of the certificate shown at first. */
bool rpc_connection_is_resumed(const RpcConnection *connection);
/* "10.0.0.7:43210", for logs; NULL if unknown. */
const char *rpc_connection_peer_address(RpcConnection *connection);

/* Bytes of output that the socket has not taken yet. */
size_t rpc_connection_queued_bytes(const RpcConnection *connection);

/* One of `result` and `error` is NULL. */
typedef void (*RpcAnswer)(json_t *result, const GError *error, void *data);

/* Calls; `answer` (may be NULL) runs exactly once, later: with the peer's answer, or
 * BERTH_ERROR_TIMEOUT after timeout_ms [0: 30,000], or BERTH_ERROR_UNAVAILABLE if the connection is
 * not open or closes meanwhile (whether the peer has acted is then unknown), or
 * BERTH_ERROR_TOO_LARGE. `params` may be NULL for {}. Not after rpc_loop_free(). */
void rpc_connection_call(RpcConnection *connection, const char *method, json_t *params,
                         int timeout_ms, RpcAnswer answer, void *data);

bool rpc_connection_notify(RpcConnection *connection, const char *method, json_t *params,
                           GError **error);

/* Ends it in order: what is queued is sent, then the peer is told the reason (NULL: none). `closed`
 * runs soon; nothing else does from now on, except the answers still due. */
void rpc_connection_close(RpcConnection *connection, const GError *reason);

/* A call of the peer. It keeps its connection's memory alive. */
const char *rpc_call_method(const RpcCall *call);
json_t *rpc_call_params(const RpcCall *call); /* an object, the call's; NULL: it had a type */
RpcConnection *rpc_call_connection(const RpcCall *call);

/* Frees the call. `error` set: that is the answer; otherwise `result`, where NULL means {}.
 * Harmless if the connection has died. */
void rpc_call_answer(RpcCall *call, json_t *result, const GError *error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcConnection, rpc_connection_unref)
