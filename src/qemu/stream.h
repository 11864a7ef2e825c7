/*
 * A connected socket in a main loop: bytes come as they come, what is written leaves in order.
 *
 * The plumbing under qmp.h and ga.h. One thread: the one that runs the GMainContext that was the
 * thread's default at stream_new(). Callbacks run from that context, never from inside a call of
 * this module; a callback may free the stream.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct Stream Stream;

/* At most 64 KiB a time, so that one busy peer does not hold up the loop. */
typedef void (*StreamDataFunc)(const void *data, size_t size, gpointer user_data);
/* Once; nothing comes after it. `why` is BERTH_ERROR_UNAVAILABLE. */
typedef void (*StreamClosedFunc)(const GError *why, gpointer user_data);

/* Takes `fd`, a connected stream socket, and makes it non-blocking. */
Stream *stream_new(int fd, StreamDataFunc data, StreamClosedFunc closed, gpointer user_data);
void stream_free(Stream *stream);

/* Queues; false, with nothing queued, when more than `max_queued_bytes` would wait for the peer. */
bool stream_write(Stream *stream, const void *data, size_t size, size_t max_queued_bytes);
size_t stream_queued(const Stream *stream);

/* Connects to a unix socket without waiting: -1 with BERTH_ERROR_UNAVAILABLE when there is none, or
 * when its backlog is full. The descriptor is the caller's. */
int stream_connect_unix(const char *path, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stream, stream_free)
