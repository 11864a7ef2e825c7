/*
 * The bytes of one connection, plain or through TLS, never blocking; private to src/rpc.
 *
 * Reading has two steps, so that a turn costs one system call: rpc_stream_fill() takes what the
 * socket has into a buffer that all connections share, then rpc_stream_handshake() and
 * rpc_stream_read() use it up. They must be called until they answer AGAIN (or the stream is
 * given up) before another stream uses the buffer.
 *
 * Errors are for a person: they say what is wrong with whose certificate.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "rpc/tls_private.h"

typedef struct RpcStream RpcStream;

typedef enum {
    RPC_STREAM_OK,
    RPC_STREAM_AGAIN,
    RPC_STREAM_END, /* the peer has closed */
    RPC_STREAM_FAILED,
} RpcStreamResult;

/* Does not own `fd`. `tls` NULL: plain. A client accepts only a server whose certificate has
 * `server_name` (DNS name or IP address). `ticket`, of a client, may be NULL: it is shown, and the
 * next one is kept there. */
RpcStream *rpc_stream_new(int fd, RpcTls *tls, bool server, const char *server_name,
                          RpcTicket *ticket);
void rpc_stream_free(RpcStream *stream); /* takes NULL */

RpcStreamResult rpc_stream_fill(RpcStream *stream, char *buffer, size_t size, GError **error);

/* OK: done, or nothing to do. Never END. */
RpcStreamResult rpc_stream_handshake(RpcStream *stream, GError **error);

RpcStreamResult rpc_stream_read(RpcStream *stream, char *data, size_t size, size_t *ret_size,
                                GError **error);

/* After AGAIN, write again from where *ret_size, summed up, says: the start of the rest may be
 * under way already and must not change. */
RpcStreamResult rpc_stream_write(RpcStream *stream, const void *data, size_t size, size_t *ret_size,
                                 GError **error);

/* The last write was AGAIN: the socket has to become writable. */
bool rpc_stream_wants_write(const RpcStream *stream);

/* Says goodbye and sends no more. */
void rpc_stream_shut(RpcStream *stream);

/* The peer proved itself by a ticket. */
bool rpc_stream_is_resumed(const RpcStream *stream);

/* From the peer's certificate, after the handshake; NULL for plain streams. */
char *rpc_stream_peer_name(const RpcStream *stream);
char *rpc_stream_peer_fingerprint(const RpcStream *stream);
