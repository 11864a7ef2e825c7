/*
 * The HTTPS port: makes TLS of who connects, so that those who stop in the middle keep nobody out,
 * hands them to the HTTP server, and ends the connections of those who keep us waiting.
 *
 * It is the client's turn from the end of a handshake or of an answer until a request's headers are
 * whole, between any two pieces of its body, and while its socket takes nothing of an answer. Who
 * lets `timeout_ms` pass loses the connection. A request under way, a console and those who follow
 * events have no such limit.
 *
 * Threading: the main thread. A door lives as long as the process; door_close() ends its work,
 * while handshakes may still be under way.
 */
#pragma once

#include <libsoup/soup.h>

#include "manager/client_stream.h"

typedef struct Door Door;

/* On a listening socket. */
Door *door_new(SoupServer *server, GSocket *socket, ClientTls *tls, ClientRefuse refuse,
               int64_t timeout_ms, GError **error);
void door_close(Door *door); /* takes NULL */

/* How far the message's connection is. */
void door_set_phase(SoupServerMessage *message, ClientPhase phase);

/* From now on it is the caller's, and the HTTP server is done with it and with the message. What is
 * answered is the HTTP server's wrapper, which may have read more than the request; `ret_client` is
 * what it wraps, and lives as long. */
GIOStream *door_take_over(SoupServerMessage *message, ClientStream **ret_client);
