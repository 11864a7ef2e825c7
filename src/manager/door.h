/*
 * The HTTPS port: makes TLS of who connects, so that those who stop in the middle keep nobody out,
 * and hands them to the HTTP server.
 *
 * Threading: the main thread. A door lives as long as the process; door_close() ends its work,
 * while handshakes may still be under way.
 */
#pragma once

#include <libsoup/soup.h>

typedef struct Door Door;

/* On a listening socket. */
Door *door_new(SoupServer *server, GSocket *socket, GTlsCertificate *certificate, GError **error);
void door_close(Door *door); /* takes NULL */
