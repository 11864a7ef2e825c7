/*
 * A client's connection as the HTTP server sees it: TLS, and a zero byte before the end.
 *
 * libsoup 3.2 (soup_server_message_io_http1_finished) forgets a keep-alive connection that ends
 * before a byte of its next request has come: descriptor and memory stay for ever. One that ends
 * within a request it cleans up. So the end looks like that: a zero byte comes before it, which no
 * request line, header, JSON text or chunk may hold, and which spoils the hash of a file.
 */
#pragma once

#include <gio/gio.h>

/* Reads and writes through `tls`, and closes it. */
GIOStream *client_stream_new(GIOStream *tls);
