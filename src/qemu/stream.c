#include "qemu/stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

#define READ_BYTES (64 * 1024)

struct Stream {
    int fd;
    GMainContext *context;
    GSource *source;
    GIOCondition condition;
    GByteArray *out;
    StreamDataFunc data;
    StreamClosedFunc closed;
    gpointer user_data;
    bool is_closed;
};

static gboolean on_ready(int fd, GIOCondition condition, gpointer user_data);

/* A GUnixFDSource has its condition for life, so another condition is another source. */
static void watch(Stream *stream, GIOCondition condition)
{
    if (stream->condition == condition) {
        return;
    }
    if (stream->source != NULL) {
        g_source_destroy(stream->source);
        g_clear_pointer(&stream->source, g_source_unref);
    }
    stream->condition = condition;
    if (condition == 0) {
        return;
    }
    stream->source = g_unix_fd_source_new(stream->fd, condition);
    g_source_set_callback(stream->source, G_SOURCE_FUNC(on_ready), stream, NULL);
    g_source_attach(stream->source, stream->context);
}

Stream *stream_new(int fd, StreamDataFunc data, StreamClosedFunc closed, gpointer user_data)
{
    Stream *stream = g_new0(Stream, 1);
    stream->fd = fd;
    stream->context = g_main_context_ref_thread_default();
    stream->out = g_byte_array_new();
    stream->data = data;
    stream->closed = closed;
    stream->user_data = user_data;
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    watch(stream, G_IO_IN);
    return stream;
}

void stream_free(Stream *stream)
{
    if (stream == NULL) {
        return;
    }
    watch(stream, 0);
    close(stream->fd);
    g_main_context_unref(stream->context);
    g_byte_array_unref(stream->out);
    g_free(stream);
}

static gboolean close_now(Stream *stream, const char *what, int errsv)
{
    g_autoptr(GError) why = NULL;
    berth_error_set(&why, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL, "%s%s%s", what,
                    errsv != 0 ? ": " : "", errsv != 0 ? g_strerror(errsv) : "");
    stream->is_closed = true;
    watch(stream, 0);
    stream->closed(why, stream->user_data);
    return G_SOURCE_REMOVE;
}

/* 0, or the errno that ends the connection. */
static int flush(Stream *stream)
{
    while (stream->out->len > 0) {
        ssize_t sent = send(stream->fd, stream->out->data, stream->out->len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return errno == EAGAIN ? 0 : errno;
        }
        g_byte_array_remove_range(stream->out, 0, (guint)sent);
    }
    return 0;
}

static gboolean on_ready(int fd, GIOCondition condition, gpointer user_data)
{
    Stream *stream = user_data;
    if (condition & G_IO_OUT) {
        int errsv = flush(stream);
        if (errsv != 0) {
            return close_now(stream, "writing failed", errsv);
        }
        watch(stream, stream->out->len > 0 ? G_IO_IN | G_IO_OUT : G_IO_IN);
    }
    if (!(condition & (G_IO_IN | G_IO_HUP | G_IO_ERR))) {
        return G_SOURCE_CONTINUE;
    }
    char buffer[READ_BYTES];
    ssize_t size = read(fd, buffer, sizeof buffer);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    if (size < 0) {
        return close_now(stream, "reading failed", errno);
    }
    if (size == 0) {
        return close_now(stream, "the other side closed the connection", 0);
    }
    stream->data(buffer, (size_t)size, stream->user_data);
    return G_SOURCE_CONTINUE;
}

bool stream_write(Stream *stream, const void *data, size_t size, size_t max_queued_bytes)
{
    if (stream->is_closed || stream->out->len + size > max_queued_bytes) {
        return false;
    }
    g_byte_array_append(stream->out, data, (guint)size);
    /* A broken connection shows at the next turn of the loop, where the callback may run. */
    flush(stream);
    watch(stream, stream->out->len > 0 ? G_IO_IN | G_IO_OUT : G_IO_IN);
    return true;
}

size_t stream_queued(const Stream *stream)
{
    return stream->out->len;
}

int stream_connect_unix(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        berth_error_set(error, BERTH_ERROR_INVALID, "path", path, "use a shorter run directory",
                        "a path of a unix socket has at most %zu bytes",
                        sizeof address.sun_path - 1);
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        return fd;
    }
    berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path, NULL, "connecting failed: %s",
                    g_strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}
