/*
 * A client's connection as the HTTP server sees it: TLS over a socket, never blocking.
 *
 * GnuTLS is used directly, not through GTlsConnection, which makes each read and write about twice
 * as dear and handshakes in a small pool of threads that half-open connections can fill
 * (docs/decisions/0007-https-by-gnutls.md).
 *
 * Two things that the HTTP server does not do by itself are done here, on the way:
 *
 * - libsoup 3.2 (soup_server_message_io_http1_finished) forgets a keep-alive connection that ends
 *   before a byte of its next request has come: descriptor and memory stay for ever. One that ends
 *   within a request it cleans up. So the end looks like that: a zero byte comes before it, which
 *   no request line, header, JSON text or chunk may hold, and which spoils the hash of a file.
 * - What it says itself of a request that cannot be parsed is replaced by what `refuse` says.
 *
 * Threading: the main thread. The socket is closed with the last reference to the stream and its
 * sources; closing the stream ends the connection.
 */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

typedef struct ClientTls ClientTls;

/* Our certificate with what it was issued by, and its key; PEM. */
ClientTls *client_tls_new(const char *chain_pem, const char *key_pem, GError **error);
void client_tls_free(ClientTls *tls); /* takes NULL; streams must be gone */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClientTls, client_tls_free)

/* What of a connection's life is under way. */
typedef enum {
    CLIENT_IDLE,      /* no byte of a request yet */
    CLIENT_HEADERS,   /* some */
    CLIENT_BODY,      /* all of the headers */
    CLIENT_ANSWER,    /* the whole request */
    CLIENT_TAKEN_OVER /* no longer the HTTP server's */
} ClientPhase;

#define CLIENT_TYPE_STREAM (client_stream_get_type())
G_DECLARE_FINAL_TYPE(ClientStream, client_stream, CLIENT, STREAM, GIOStream)

/* The whole answer to a request that the HTTP server refuses with `status`. */
typedef char *(*ClientRefuse)(int status);

/* On a connected socket, which it owns. */
ClientStream *client_stream_new(int fd, ClientTls *tls, ClientRefuse refuse);

typedef enum {
    CLIENT_SECURE,
    CLIENT_WANTS_READ,
    CLIENT_WANTS_WRITE,
    CLIENT_FAILED
} ClientHandshake;

/* A step of it. */
ClientHandshake client_stream_handshake(ClientStream *stream);

int client_stream_fd(ClientStream *stream);
ClientPhase client_stream_phase(ClientStream *stream);
void client_stream_set_phase(ClientStream *stream, ClientPhase phase);
/* How long it has been the client's turn, and nothing came or nothing was taken; from the start of
 * its headers on, however much of them came. 0: it is not. */
int64_t client_stream_waiting_ms(ClientStream *stream, int64_t now_ms);

/* Without the streams' ceremony. What was sent, which may be 0; -1: it has broken. After less than
 * `size`, the rest is to be given again. */
gssize client_stream_send(ClientStream *stream, const void *data, gsize size);
/* Reads and throws away; false: the client has left. */
bool client_stream_discard(ClientStream *stream);
