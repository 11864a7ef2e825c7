/*
 * The end of a connection whose client is still sending what we do not want.
 *
 * Closed at once, the client's next byte would reset the connection, and the answer with it. So
 * what comes is read and thrown away for a while: a client that sends little more reads the answer,
 * and one that sends without end is cut off.
 */
#include "manager/manager.h"

#define MAX_DISCARDED_BYTES (8 * 1024 * 1024)
#define MAX_SECONDS 5
#define BUFFER_BYTES 65536

typedef struct {
    GIOStream *stream;
    GCancellable *cancel;
    guint timer;
    gsize discarded;
    char buffer[BUFFER_BYTES];
} Linger;

static void on_closed(GObject *source, GAsyncResult *result, gpointer data)
{
    g_io_stream_close_finish(G_IO_STREAM(source), result, NULL);
}

static void linger_end(Linger *linger)
{
    g_clear_handle_id(&linger->timer, g_source_remove);
    g_io_stream_close_async(linger->stream, G_PRIORITY_DEFAULT, NULL, on_closed, NULL);
    g_object_unref(linger->stream);
    g_object_unref(linger->cancel);
    g_free(linger);
}

static gboolean on_time(gpointer data)
{
    Linger *linger = data;
    linger->timer = 0;
    g_cancellable_cancel(linger->cancel);
    return G_SOURCE_REMOVE;
}

static void discard(Linger *linger);

static void on_read(GObject *source, GAsyncResult *result, gpointer data)
{
    Linger *linger = data;
    gssize n = g_input_stream_read_finish(G_INPUT_STREAM(source), result, NULL);
    linger->discarded += (gsize)MAX(n, 0);
    if (n > 0 && linger->discarded < MAX_DISCARDED_BYTES) {
        discard(linger);
    } else {
        linger_end(linger);
    }
}

static void discard(Linger *linger)
{
    g_input_stream_read_async(g_io_stream_get_input_stream(linger->stream), linger->buffer,
                              BUFFER_BYTES, G_PRIORITY_LOW, linger->cancel, on_read, linger);
}

void linger(GIOStream *stream)
{
    Linger *new = g_new(Linger, 1);
    new->stream = g_object_ref(stream);
    new->cancel = g_cancellable_new();
    new->timer = g_timeout_add_seconds(MAX_SECONDS, on_time, new);
    new->discarded = 0;
    discard(new);
}
