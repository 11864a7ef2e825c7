#include "manager/client_stream.h"

#include <stdbool.h>

#define CLIENT_TYPE_INPUT (client_input_get_type())
G_DECLARE_FINAL_TYPE(ClientInput, client_input, CLIENT, INPUT, GFilterInputStream)

struct _ClientInput {
    GFilterInputStream parent;
    bool ended;
};

static void client_input_pollable_init(GPollableInputStreamInterface *interface);

G_DEFINE_FINAL_TYPE_WITH_CODE(ClientInput, client_input, G_TYPE_FILTER_INPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_INPUT_STREAM,
                                                    client_input_pollable_init))

static GInputStream *base_of(gpointer input)
{
    return g_filter_input_stream_get_base_stream(G_FILTER_INPUT_STREAM(input));
}

/* The end, or what ends it, is first a byte that no request can carry. */
static gssize mark_end(ClientInput *input, gssize n, void *buffer, gsize size, GError *error,
                       GError **ret_error)
{
    bool goes_on = n > 0 || g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK) ||
                   g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    if (goes_on || size == 0) {
        if (error != NULL) {
            g_propagate_error(ret_error, error);
        }
        return n;
    }
    g_clear_error(&error);
    input->ended = true;
    *(char *)buffer = '\0';
    return 1;
}

static gssize client_input_read(GInputStream *input, void *buffer, gsize size, GCancellable *cancel,
                                GError **error)
{
    if (CLIENT_INPUT(input)->ended) {
        return 0;
    }
    GError *problem = NULL;
    gssize n = g_input_stream_read(base_of(input), buffer, size, cancel, &problem);
    return mark_end(CLIENT_INPUT(input), n, buffer, size, problem, error);
}

static gssize client_input_read_nonblocking(GPollableInputStream *input, void *buffer, gsize size,
                                            GError **error)
{
    if (CLIENT_INPUT(input)->ended) {
        return 0;
    }
    GError *problem = NULL;
    gssize n = g_pollable_input_stream_read_nonblocking(G_POLLABLE_INPUT_STREAM(base_of(input)),
                                                        buffer, size, NULL, &problem);
    return mark_end(CLIENT_INPUT(input), n, buffer, size, problem, error);
}

static gboolean client_input_is_readable(GPollableInputStream *input)
{
    return g_pollable_input_stream_is_readable(G_POLLABLE_INPUT_STREAM(base_of(input)));
}

static GSource *client_input_create_source(GPollableInputStream *input, GCancellable *cancel)
{
    g_autoptr(GSource) base =
        g_pollable_input_stream_create_source(G_POLLABLE_INPUT_STREAM(base_of(input)), NULL);
    return g_pollable_source_new_full(input, base, cancel);
}

static void client_input_pollable_init(GPollableInputStreamInterface *interface)
{
    interface->is_readable = client_input_is_readable;
    interface->read_nonblocking = client_input_read_nonblocking;
    interface->create_source = client_input_create_source;
}

static void client_input_class_init(ClientInputClass *class)
{
    G_INPUT_STREAM_CLASS(class)->read_fn = client_input_read;
}

static void client_input_init(ClientInput *input)
{
}

#define CLIENT_TYPE_STREAM (client_stream_get_type())
G_DECLARE_FINAL_TYPE(ClientStream, client_stream, CLIENT, STREAM, GIOStream)

struct _ClientStream {
    GIOStream parent;
    GIOStream *tls;
    GInputStream *input;
};

G_DEFINE_FINAL_TYPE(ClientStream, client_stream, G_TYPE_IO_STREAM)

static GInputStream *client_stream_get_input(GIOStream *stream)
{
    return CLIENT_STREAM(stream)->input;
}

static GOutputStream *client_stream_get_output(GIOStream *stream)
{
    return g_io_stream_get_output_stream(CLIENT_STREAM(stream)->tls);
}

static gboolean client_stream_close(GIOStream *stream, GCancellable *cancel, GError **error)
{
    return g_io_stream_close(CLIENT_STREAM(stream)->tls, cancel, error);
}

static void client_stream_finalize(GObject *object)
{
    ClientStream *stream = CLIENT_STREAM(object);
    g_clear_object(&stream->input);
    g_clear_object(&stream->tls);
    G_OBJECT_CLASS(client_stream_parent_class)->finalize(object);
}

static void client_stream_class_init(ClientStreamClass *class)
{
    G_OBJECT_CLASS(class)->finalize = client_stream_finalize;
    G_IO_STREAM_CLASS(class)->get_input_stream = client_stream_get_input;
    G_IO_STREAM_CLASS(class)->get_output_stream = client_stream_get_output;
    G_IO_STREAM_CLASS(class)->close_fn = client_stream_close;
}

static void client_stream_init(ClientStream *stream)
{
}

GIOStream *client_stream_new(GIOStream *tls)
{
    ClientStream *stream = g_object_new(CLIENT_TYPE_STREAM, NULL);
    stream->tls = g_object_ref(tls);
    stream->input =
        g_object_new(CLIENT_TYPE_INPUT, "base-stream", g_io_stream_get_input_stream(tls),
                     "close-base-stream", FALSE, NULL);
    return G_IO_STREAM(stream);
}
