/*
 * An HTTPS client for benchmarks: one connection, blocking, no more done than must be.
 *
 * Threading: a client is one thread's at a time.
 */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

typedef struct Https Https;

/* To 127.0.0.1, with the handshake made. */
Https *https_open(GTlsDatabase *trust, int port, GError **error);
void https_free(Https *client); /* takes NULL */

/* Sends and reads one whole answer; its status, 0 if the connection broke. `ret_body` may be NULL. */
int https_ask(Https *client, const char *request, char **ret_body);

/* The text of a request; `body` (JSON) may be NULL. */
char *https_request(const char *token, const char *method, const char *path, const char *body);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Https, https_free)
