#include "manager/client_stream.h"

#include "manager/link.h"
#include "manager/manager.h"

/* Ready when the socket is, or when TLS has something left. */
typedef struct {
    GSource source;
    GObject *stream;
    Link *link;
    gpointer tag;
    bool reads;
} LinkSource;

static gboolean source_prepare(GSource *source, int *timeout)
{
    const LinkSource *own = (LinkSource *)source;
    *timeout = -1;
    return own->reads && link_has_pending(own->link);
}

static gboolean source_check(GSource *source)
{
    const LinkSource *own = (LinkSource *)source;
    return (own->reads && link_has_pending(own->link)) ||
           g_source_query_unix_fd(source, own->tag) != 0;
}

static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    return ((GPollableSourceFunc)G_CALLBACK(callback))(((LinkSource *)source)->stream, data);
}

/* libsoup gives its sources a closure that does nothing, and waits for their parent. */
static gboolean source_closure(GObject *stream, gpointer closure)
{
    GValue result = G_VALUE_INIT, argument = G_VALUE_INIT;
    g_value_init(&result, G_TYPE_BOOLEAN);
    g_value_init(&argument, G_TYPE_OBJECT);
    g_value_set_object(&argument, stream);
    g_closure_invoke(closure, &result, 1, &argument, NULL);
    gboolean goes_on = g_value_get_boolean(&result);
    g_value_unset(&argument);
    g_value_unset(&result);
    return goes_on;
}

static void source_finalize(GSource *source)
{
    LinkSource *own = (LinkSource *)source;
    g_object_unref(own->stream);
    link_unref(own->link);
}

static GSource *source_new(gpointer stream, Link *link, GIOCondition condition,
                           GCancellable *cancel)
{
    static GSourceFuncs functions = {.prepare = source_prepare,
                                     .check = source_check,
                                     .dispatch = source_dispatch,
                                     .finalize = source_finalize,
                                     .closure_callback = G_SOURCE_FUNC(source_closure)};
    GSource *source = g_source_new(&functions, sizeof(LinkSource));
    LinkSource *own = (LinkSource *)source;
    own->stream = g_object_ref(stream);
    own->link = link_ref(link);
    own->reads = condition == G_IO_IN;
    own->tag = g_source_add_unix_fd(source, link_fd(link), condition | G_IO_HUP | G_IO_ERR);
    if (cancel != NULL) {
        g_autoptr(GSource) child = g_cancellable_source_new(cancel);
        g_source_set_dummy_callback(child);
        g_source_add_child_source(source, child);
    }
    return source;
}

static bool await(Link *link, short events, GCancellable *cancel, GError **error)
{
    GPollFD fds[2] = {{.fd = link_fd(link), .events = (gushort)events}};
    bool cancels = g_cancellable_make_pollfd(cancel, &fds[1]);
    g_poll(fds, cancels ? 2 : 1, -1);
    if (cancels) {
        g_cancellable_release_fd(cancel);
    }
    return !g_cancellable_set_error_if_cancelled(cancel, error);
}

#define CLIENT_TYPE_INPUT (client_input_get_type())
G_DECLARE_FINAL_TYPE(ClientInput, client_input, CLIENT, INPUT, GInputStream)

struct _ClientInput {
    GInputStream parent;
    Link *link;
};

static void client_input_pollable_init(GPollableInputStreamInterface *interface);

G_DEFINE_FINAL_TYPE_WITH_CODE(ClientInput, client_input, G_TYPE_INPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_INPUT_STREAM,
                                                    client_input_pollable_init))

static gssize client_input_read(GInputStream *input, void *buffer, gsize size, GCancellable *cancel,
                                GError **error)
{
    Link *link = CLIENT_INPUT(input)->link;
    for (;;) {
        GError *problem = NULL;
        gssize n = link_read(link, buffer, size, &problem);
        if (!g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
            if (problem != NULL) {
                g_propagate_error(error, problem);
            }
            return n;
        }
        g_error_free(problem);
        if (!await(link, G_IO_IN, cancel, error)) {
            return -1;
        }
    }
}

static gssize client_input_read_nonblocking(GPollableInputStream *input, void *buffer, gsize size,
                                            GError **error)
{
    return link_read(CLIENT_INPUT(input)->link, buffer, size, error);
}

static bool is_ready(const Link *link, gushort events)
{
    GPollFD fd = {.fd = link_fd(link), .events = events};
    return g_poll(&fd, 1, 0) > 0;
}

static gboolean client_input_is_readable(GPollableInputStream *input)
{
    const Link *link = CLIENT_INPUT(input)->link;
    return link_has_pending(link) || is_ready(link, G_IO_IN);
}

static GSource *client_input_create_source(GPollableInputStream *input, GCancellable *cancel)
{
    return source_new(input, CLIENT_INPUT(input)->link, G_IO_IN, cancel);
}

static void client_input_pollable_init(GPollableInputStreamInterface *interface)
{
    interface->is_readable = client_input_is_readable;
    interface->read_nonblocking = client_input_read_nonblocking;
    interface->create_source = client_input_create_source;
}

static void client_input_finalize(GObject *object)
{
    link_unref(CLIENT_INPUT(object)->link);
    G_OBJECT_CLASS(client_input_parent_class)->finalize(object);
}

static void client_input_class_init(ClientInputClass *class)
{
    G_OBJECT_CLASS(class)->finalize = client_input_finalize;
    G_INPUT_STREAM_CLASS(class)->read_fn = client_input_read;
}

static void client_input_init(ClientInput *input)
{
}

#define CLIENT_TYPE_OUTPUT (client_output_get_type())
G_DECLARE_FINAL_TYPE(ClientOutput, client_output, CLIENT, OUTPUT, GOutputStream)

struct _ClientOutput {
    GOutputStream parent;
    Link *link;
};

static void client_output_pollable_init(GPollableOutputStreamInterface *interface);

G_DEFINE_FINAL_TYPE_WITH_CODE(ClientOutput, client_output, G_TYPE_OUTPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_OUTPUT_STREAM,
                                                    client_output_pollable_init))

static gssize client_output_write(GOutputStream *output, const void *data, gsize size,
                                  GCancellable *cancel, GError **error)
{
    Link *link = CLIENT_OUTPUT(output)->link;
    for (;;) {
        GError *problem = NULL;
        gssize n = link_write(link, data, size, &problem);
        if (!g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
            if (problem != NULL) {
                g_propagate_error(error, problem);
            }
            return n;
        }
        g_error_free(problem);
        if (!await(link, G_IO_OUT, cancel, error)) {
            return -1;
        }
    }
}

static gssize client_output_write_nonblocking(GPollableOutputStream *output, const void *data,
                                              gsize size, GError **error)
{
    return link_write(CLIENT_OUTPUT(output)->link, data, size, error);
}

static gboolean client_output_is_writable(GPollableOutputStream *output)
{
    return is_ready(CLIENT_OUTPUT(output)->link, G_IO_OUT);
}

static GSource *client_output_create_source(GPollableOutputStream *output, GCancellable *cancel)
{
    return source_new(output, CLIENT_OUTPUT(output)->link, G_IO_OUT, cancel);
}

static void client_output_pollable_init(GPollableOutputStreamInterface *interface)
{
    interface->is_writable = client_output_is_writable;
    interface->write_nonblocking = client_output_write_nonblocking;
    interface->create_source = client_output_create_source;
}

static void client_output_finalize(GObject *object)
{
    link_unref(CLIENT_OUTPUT(object)->link);
    G_OBJECT_CLASS(client_output_parent_class)->finalize(object);
}

static void client_output_class_init(ClientOutputClass *class)
{
    G_OBJECT_CLASS(class)->finalize = client_output_finalize;
    G_OUTPUT_STREAM_CLASS(class)->write_fn = client_output_write;
}

static void client_output_init(ClientOutput *output)
{
}

struct _ClientStream {
    GIOStream parent;
    Link *link;
    ClientInput *input;
    ClientOutput *output;
};

G_DEFINE_FINAL_TYPE(ClientStream, client_stream, G_TYPE_IO_STREAM)

static GInputStream *client_stream_get_input(GIOStream *stream)
{
    return G_INPUT_STREAM(CLIENT_STREAM(stream)->input);
}

static GOutputStream *client_stream_get_output(GIOStream *stream)
{
    return G_OUTPUT_STREAM(CLIENT_STREAM(stream)->output);
}

/* Takes the link over. */
static ClientStream *stream_on(Link *link)
{
    ClientStream *stream = g_object_new(CLIENT_TYPE_STREAM, NULL);
    stream->link = link;
    stream->input = g_object_new(CLIENT_TYPE_INPUT, NULL);
    stream->input->link = link_ref(link);
    stream->output = g_object_new(CLIENT_TYPE_OUTPUT, NULL);
    stream->output->link = link_ref(link);
    return stream;
}

static gboolean client_stream_close(GIOStream *stream, GCancellable *cancel, GError **error)
{
    Link *link = CLIENT_STREAM(stream)->link;
    if (link_close(link)) {
        g_autoptr(ClientStream) rest = stream_on(link_ref(link));
        linger(G_IO_STREAM(rest));
    }
    return TRUE;
}

/* It never blocks: no thread is needed. */
static void client_stream_close_async(GIOStream *stream, int priority, GCancellable *cancel,
                                      GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(stream, cancel, callback, data);
    client_stream_close(stream, cancel, NULL);
    g_task_return_boolean(task, TRUE);
}

static gboolean client_stream_close_finish(GIOStream *stream, GAsyncResult *result, GError **error)
{
    return g_task_propagate_boolean(G_TASK(result), error);
}

static void client_stream_finalize(GObject *object)
{
    ClientStream *stream = CLIENT_STREAM(object);
    g_clear_object(&stream->input);
    g_clear_object(&stream->output);
    link_unref(stream->link);
    G_OBJECT_CLASS(client_stream_parent_class)->finalize(object);
}

static void client_stream_class_init(ClientStreamClass *class)
{
    GIOStreamClass *io = G_IO_STREAM_CLASS(class);
    G_OBJECT_CLASS(class)->finalize = client_stream_finalize;
    io->get_input_stream = client_stream_get_input;
    io->get_output_stream = client_stream_get_output;
    io->close_fn = client_stream_close;
    io->close_async = client_stream_close_async;
    io->close_finish = client_stream_close_finish;
}

static void client_stream_init(ClientStream *stream)
{
}

ClientStream *client_stream_new(int fd, ClientTls *tls, ClientRefuse refuse)
{
    Link *link = link_new(fd, tls, refuse);
    return link != NULL ? stream_on(link) : NULL;
}

ClientHandshake client_stream_handshake(ClientStream *stream)
{
    return link_handshake(stream->link);
}

int client_stream_fd(ClientStream *stream)
{
    return link_fd(stream->link);
}

ClientPhase client_stream_phase(ClientStream *stream)
{
    return link_phase(stream->link);
}

void client_stream_set_phase(ClientStream *stream, ClientPhase phase)
{
    link_set_phase(stream->link, phase);
}

int64_t client_stream_waiting_ms(ClientStream *stream, int64_t now_ms)
{
    return link_waiting_ms(stream->link, now_ms);
}

gssize client_stream_send(ClientStream *stream, const void *data, gsize size)
{
    return link_send(stream->link, data, size);
}

bool client_stream_discard(ClientStream *stream)
{
    return link_discard(stream->link);
}
