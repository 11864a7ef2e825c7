/*
 * A client's socket with TLS on it, under the streams that client_stream.c shows to GIO. Private to
 * the two.
 *
 * Threading: the main thread. The socket is closed with the last reference.
 */
#pragma once

#include "manager/client_stream.h"

typedef struct Link Link;

Link *link_new(int fd, ClientTls *tls, ClientRefuse refuse); /* NULL, the socket closed: no TLS */
Link *link_ref(Link *link);
void link_unref(Link *link);

ClientHandshake link_handshake(Link *link);

/* As the streams' non-blocking functions: G_IO_ERROR_WOULD_BLOCK, G_IO_ERROR_CLOSED. */
gssize link_read(Link *link, void *buffer, gsize size, GError **error);
gssize link_write(Link *link, const void *data, gsize size, GError **error);
/* Past the HTTP server, see client_stream_send(). */
gssize link_send(Link *link, const void *data, gsize size);
bool link_discard(Link *link);

/* There is something to read that is no longer in the socket. */
bool link_has_pending(const Link *link);

/* True if the client may not have read its refusal yet: it then stays open for reading. */
bool link_close(Link *link);

int link_fd(const Link *link);
ClientPhase link_phase(const Link *link);
void link_set_phase(Link *link, ClientPhase phase);
int64_t link_waiting_ms(const Link *link, int64_t now_ms);
