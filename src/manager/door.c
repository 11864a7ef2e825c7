/*
 * The HTTPS port: who comes in, and who has to wait outside.
 *
 * GLib makes TLS handshakes in a small pool of threads, and a client that stops in the middle of
 * its own keeps a thread for as long as it likes: a dozen of them would keep everybody out. So a
 * client gets no handshake before its whole first message is there to be read, which costs us a
 * socket and a source until then; few handshakes run at once; one that takes long loses its place
 * as soon as another waits. Whoever has made it through is handed to the HTTP server.
 */
#include "manager/door.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "manager/client_stream.h"

#define MAX_VISITORS 4096
#define MAX_HANDSHAKES 8 /* GLib's pool has ten threads, which others need too */
#define ACCEPTS_A_TURN 64
#define SWEEP_MS 200
#define GRACE_MS 3000     /* for a handshake that others wait for */
#define PATIENCE_MS 10000 /* for anything before the first request */
#define RECORD_HEADER_BYTES 5
#define RECORD_MAX_BYTES (RECORD_HEADER_BYTES + 16384)
#define RECORD_HANDSHAKE 22

struct Door {
    GSocket *socket;
    GSource *source;
    GTlsCertificate *certificate;
    SoupServer *server;
    GQueue silent;  /* of Visitor: their first message is not whole yet */
    GQueue ready;   /* it is, and they wait for a handshake */
    GQueue shaking; /* have one under way */
    guint sweep;
};

typedef struct {
    Door *door;
    GSocket *socket;
    GSource *source; /* NULL: not watched */
    int wanted;      /* bytes of the first record; 0: not known yet */
    GQueue *queue;
    GList link;
    gint64 since_ms; /* in this queue */
    GIOStream *stream;
    GCancellable *cancel;
} Visitor;

static gint64 now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

static void source_clear(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_clear_pointer(source, g_source_unref);
    }
}

static void visitor_free(Visitor *visitor)
{
    g_queue_unlink(visitor->queue, &visitor->link);
    source_clear(&visitor->source);
    g_clear_object(&visitor->stream);
    g_clear_object(&visitor->cancel);
    g_object_unref(visitor->socket);
    g_free(visitor);
}

static void move_to(Visitor *visitor, GQueue *queue)
{
    if (visitor->queue != NULL) {
        g_queue_unlink(visitor->queue, &visitor->link);
    }
    visitor->queue = queue;
    visitor->since_ms = now_ms();
    g_queue_push_tail_link(queue, &visitor->link);
}

static void start_handshakes(Door *door);

static void on_handshake(GObject *source, GAsyncResult *result, gpointer data)
{
    Visitor *visitor = data;
    Door *door = visitor->door;
    if (g_tls_connection_handshake_finish(G_TLS_CONNECTION(source), result, NULL)) {
        g_autoptr(GSocketAddress) local = g_socket_get_local_address(visitor->socket, NULL);
        g_autoptr(GSocketAddress) remote = g_socket_get_remote_address(visitor->socket, NULL);
        g_autoptr(GIOStream) stream = client_stream_new(visitor->stream);
        soup_server_accept_iostream(door->server, stream, local, remote, NULL);
    }
    visitor_free(visitor);
    start_handshakes(door);
}

static void start_handshake(Visitor *visitor)
{
    Door *door = visitor->door;
    g_autoptr(GSocketConnection) base =
        g_socket_connection_factory_create_connection(visitor->socket);
    /* Without a database from the start: the system's would be read for each connection. */
    visitor->stream =
        g_initable_new(g_tls_backend_get_server_connection_type(g_tls_backend_get_default()), NULL,
                       NULL, "base-io-stream", base, "certificate", door->certificate, "database",
                       NULL, "require-close-notify", FALSE, NULL);
    if (visitor->stream == NULL) {
        visitor_free(visitor);
        return;
    }
    move_to(visitor, &door->shaking);
    visitor->cancel = g_cancellable_new();
    g_tls_connection_handshake_async(G_TLS_CONNECTION(visitor->stream), G_PRIORITY_DEFAULT,
                                     visitor->cancel, on_handshake, visitor);
}

static void start_handshakes(Door *door)
{
    while (door->shaking.length < MAX_HANDSHAKES && door->ready.length > 0) {
        start_handshake(door->ready.head->data);
    }
}

/* Wakes the source only when so much is there. */
static void want_bytes(const Visitor *visitor, int bytes)
{
    g_socket_set_option(visitor->socket, SOL_SOCKET, SO_RCVLOWAT, bytes, NULL);
}

typedef enum { WHOLE, MORE, HOPELESS } First;

/* What of the first record is there. We are woken by as many bytes as we want, or by the end: fewer
 * mean that no more will come. */
static First look(Visitor *visitor)
{
    int fd = g_socket_get_fd(visitor->socket), available = 0;
    unsigned char header[RECORD_HEADER_BYTES];
    ssize_t n = recv(fd, header, sizeof header, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
        return MORE;
    }
    if (n < RECORD_HEADER_BYTES || header[0] != RECORD_HANDSHAKE ||
        ioctl(fd, FIONREAD, &available) != 0) {
        return HOPELESS;
    }
    int wanted = RECORD_HEADER_BYTES + header[3] * 256 + header[4];
    if (available >= wanted) {
        return WHOLE;
    }
    if (visitor->wanted == wanted || wanted > RECORD_MAX_BYTES) {
        return HOPELESS;
    }
    visitor->wanted = wanted;
    want_bytes(visitor, wanted);
    return MORE;
}

static gboolean on_readable(GSocket *socket, GIOCondition condition, gpointer data)
{
    Visitor *visitor = data;
    Door *door = visitor->door;
    switch (look(visitor)) {
    case WHOLE:
        source_clear(&visitor->source);
        want_bytes(visitor, 1);
        move_to(visitor, &door->ready);
        start_handshakes(door);
        return G_SOURCE_REMOVE;
    case HOPELESS:
        visitor_free(visitor);
        return G_SOURCE_REMOVE;
    case MORE:
        break;
    }
    return G_SOURCE_CONTINUE;
}

static void let_in(Door *door, GSocket *socket)
{
    Visitor *visitor = g_new0(Visitor, 1);
    visitor->door = door;
    visitor->socket = socket;
    visitor->link.data = visitor;
    move_to(visitor, &door->silent);
    want_bytes(visitor, RECORD_HEADER_BYTES);
    visitor->source = g_socket_create_source(socket, G_IO_IN, NULL);
    g_source_set_callback(visitor->source, G_SOURCE_FUNC(on_readable), visitor, NULL);
    g_source_attach(visitor->source, NULL);
    if (door->silent.length > MAX_VISITORS) {
        visitor_free(door->silent.head->data);
    }
}

static gboolean on_connection(GSocket *listener, GIOCondition condition, gpointer data)
{
    Door *door = data;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        GSocket *socket = g_socket_accept(listener, NULL, NULL);
        if (socket == NULL) {
            break;
        }
        g_socket_set_blocking(socket, FALSE);
        g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
        let_in(door, socket);
    }
    return G_SOURCE_CONTINUE;
}

static void drop_older(GQueue *queue, gint64 before_ms)
{
    while (queue->head != NULL && ((const Visitor *)queue->head->data)->since_ms < before_ms) {
        visitor_free(queue->head->data);
    }
}

static gboolean on_sweep(gpointer data)
{
    Door *door = data;
    gint64 now = now_ms();
    drop_older(&door->silent, now - PATIENCE_MS);
    drop_older(&door->ready, now - PATIENCE_MS);
    gint64 patience = door->ready.length > 0 ? GRACE_MS : PATIENCE_MS;
    for (GList *l = door->shaking.head; l != NULL; l = l->next) {
        const Visitor *visitor = l->data;
        if (visitor->since_ms < now - patience) {
            g_cancellable_cancel(visitor->cancel);
        }
    }
    return G_SOURCE_CONTINUE;
}

/* libsoup keeps a connection for a second request only while it listens somewhere itself: on a
 * socket that nobody can reach, since it has no name. */
static bool listen_nowhere(SoupServer *server, GError **error)
{
    g_autofree char *directory = g_dir_make_tmp("berth-XXXXXX", error);
    if (directory == NULL) {
        return false;
    }
    g_autofree char *path = g_build_filename(directory, "http", NULL);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocket) socket =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, error);
    bool listens = socket != NULL && g_socket_bind(socket, address, FALSE, error) &&
                   g_socket_listen(socket, error);
    g_unlink(path);
    g_rmdir(directory);
    return listens && soup_server_listen_socket(server, socket, 0, error);
}

Door *door_new(SoupServer *server, GSocket *socket, GTlsCertificate *certificate, GError **error)
{
    if (!listen_nowhere(server, error)) {
        return NULL;
    }
    Door *door = g_new0(Door, 1);
    door->server = g_object_ref(server);
    door->socket = g_object_ref(socket);
    door->certificate = g_object_ref(certificate);
    g_socket_set_blocking(socket, FALSE);
    door->source = g_socket_create_source(socket, G_IO_IN, NULL);
    g_source_set_callback(door->source, G_SOURCE_FUNC(on_connection), door, NULL);
    g_source_attach(door->source, NULL);
    door->sweep = g_timeout_add(SWEEP_MS, on_sweep, door);
    return door;
}

void door_close(Door *door)
{
    if (door != NULL) {
        source_clear(&door->source);
        g_clear_handle_id(&door->sweep, g_source_remove);
        g_socket_close(door->socket, NULL);
    }
}
