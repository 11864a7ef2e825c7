/*
 * The HTTPS port: who comes in, and who has to wait outside.
 *
 * A client gets no TLS session before its whole first message is there to be read, which costs us a
 * socket and a source until then. Few handshakes are under way at once, and one that takes long
 * loses its place as soon as another waits; their steps, a third of a millisecond each, share the
 * thread with those who are in already. Whoever has made it through is handed to the HTTP server,
 * and watched by the sweep from then on.
 */
#include "manager/door.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_VISITORS 4096
#define MAX_HANDSHAKES 256
#define ACCEPTS_A_TURN 64
#define TURN_US 5000 /* of handshakes, before the others have theirs */
#define SWEEP_MS 200
#define GRACE_MS 3000     /* for a handshake that others wait for */
#define PATIENCE_MS 10000 /* for anything before the first request */
#define RECORD_HEADER_BYTES 5
#define RECORD_MAX_BYTES (RECORD_HEADER_BYTES + 16384)
#define RECORD_HANDSHAKE 22
#define STREAM_OF_ADDRESS "berth-stream"
#define CLIENT_OF_STREAM "berth-client"

struct Door {
    GSocket *socket;
    GSource *source;
    ClientTls *tls;
    ClientRefuse refuse;
    SoupServer *server;
    int64_t timeout_ms;
    GQueue silent;    /* of Visitor: their first message is not whole yet */
    GQueue ready;     /* they have something for the handshake */
    GQueue shaking;   /* have a handshake under way, and the next word */
    guint n_sessions; /* of visitors */
    GQueue clients;   /* of Client: are in */
    guint sweep, turn;
};

typedef struct {
    Door *door;
    int fd;          /* -1: the stream's */
    GSource *source; /* NULL: not watched */
    int wanted;      /* bytes of the first record; 0: not known yet */
    GQueue *queue;
    GList link;
    int64_t since_ms;     /* connected, or has begun its handshake */
    ClientStream *stream; /* NULL: no handshake yet */
} Visitor;

/* Data of a stream that the HTTP server has. */
typedef struct {
    Door *door;
    ClientStream *stream;
    GSocketAddress *remote;
    GList link;
} Client;

static int64_t now_ms(void)
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
    visitor->door->n_sessions -= visitor->stream != NULL;
    g_clear_object(&visitor->stream);
    if (visitor->fd >= 0) {
        close(visitor->fd);
    }
    g_free(visitor);
}

static void move_to(Visitor *visitor, GQueue *queue)
{
    if (visitor->queue != NULL) {
        g_queue_unlink(visitor->queue, &visitor->link);
    }
    visitor->queue = queue;
    g_queue_push_tail_link(queue, &visitor->link);
}

static void client_free(gpointer data)
{
    Client *client = data;
    g_queue_unlink(&client->door->clients, &client->link);
    g_object_set_data(G_OBJECT(client->remote), STREAM_OF_ADDRESS, NULL);
    g_object_unref(client->remote);
    g_free(client);
}

static GSocketAddress *address_of(int fd, bool remote)
{
    struct sockaddr_storage native;
    socklen_t size = sizeof native;
    int rc = remote ? getpeername(fd, (struct sockaddr *)&native, &size)
                    : getsockname(fd, (struct sockaddr *)&native, &size);
    return rc == 0 ? g_socket_address_new_from_native(&native, size) : NULL;
}

/* A message finds its connection by the address object that both have. */
static void hand_over(Door *door, ClientStream *stream)
{
    int fd = client_stream_fd(stream);
    g_autoptr(GSocketAddress) local = address_of(fd, false);
    g_autoptr(GSocketAddress) remote = address_of(fd, true);
    if (local == NULL || remote == NULL) {
        return; /* it has left */
    }
    Client *client = g_new0(Client, 1);
    *client = (Client){.door = door, .stream = stream, .remote = g_object_ref(remote)};
    client->link.data = client;
    g_queue_push_tail_link(&door->clients, &client->link);
    g_object_set_data_full(G_OBJECT(stream), CLIENT_OF_STREAM, client, client_free);
    g_object_set_data(G_OBJECT(remote), STREAM_OF_ADDRESS, stream);
    soup_server_accept_iostream(door->server, G_IO_STREAM(stream), local, remote, NULL);
}

static ClientStream *stream_of(SoupServerMessage *message)
{
    GSocketAddress *remote = soup_server_message_get_remote_address(message);
    return remote != NULL ? g_object_get_data(G_OBJECT(remote), STREAM_OF_ADDRESS) : NULL;
}

void door_set_phase(SoupServerMessage *message, ClientPhase phase)
{
    ClientStream *stream = stream_of(message);
    if (stream != NULL) {
        client_stream_set_phase(stream, phase);
    }
}

GIOStream *door_take_over(SoupServerMessage *message, ClientStream **ret_client)
{
    ClientStream *client = stream_of(message);
    GIOStream *stream = soup_server_message_steal_connection(message);
    client_stream_set_phase(client, CLIENT_TAKEN_OVER);
    *ret_client = client;
    return stream;
}

static void schedule_turn(Door *door);

static gboolean on_word(int fd, GIOCondition condition, gpointer data)
{
    Visitor *visitor = data;
    source_clear(&visitor->source);
    move_to(visitor, &visitor->door->ready);
    schedule_turn(visitor->door);
    return G_SOURCE_REMOVE;
}

static void watch(Visitor *visitor, int fd, GIOCondition condition, GUnixFDSourceFunc function)
{
    visitor->source = g_unix_fd_source_new(fd, condition);
    g_source_set_callback(visitor->source, G_SOURCE_FUNC(function), visitor, NULL);
    g_source_attach(visitor->source, NULL);
}

static bool begin_handshake(Visitor *visitor)
{
    Door *door = visitor->door;
    visitor->since_ms = now_ms();
    visitor->stream = client_stream_new(visitor->fd, door->tls, door->refuse);
    visitor->fd = -1;
    door->n_sessions += visitor->stream != NULL;
    return visitor->stream != NULL;
}

static void step(Visitor *visitor)
{
    if (visitor->stream == NULL && !begin_handshake(visitor)) {
        visitor_free(visitor);
        return;
    }
    ClientHandshake result = client_stream_handshake(visitor->stream);
    if (result == CLIENT_WANTS_READ || result == CLIENT_WANTS_WRITE) {
        move_to(visitor, &visitor->door->shaking);
        watch(visitor, client_stream_fd(visitor->stream),
              result == CLIENT_WANTS_READ ? G_IO_IN : G_IO_OUT, on_word);
        return;
    }
    if (result == CLIENT_SECURE) {
        hand_over(visitor->door, visitor->stream);
    }
    visitor_free(visitor);
}

/* The next whose turn it is: those who have begun, then new ones as there are places. */
static Visitor *next_ready(const Door *door)
{
    for (GList *l = door->ready.head; l != NULL; l = l->next) {
        Visitor *visitor = l->data;
        if (visitor->stream != NULL || door->n_sessions < MAX_HANDSHAKES) {
            return visitor;
        }
    }
    return NULL;
}

static gboolean on_turn(gpointer data)
{
    Door *door = data;
    int64_t until_us = g_get_monotonic_time() + TURN_US;
    Visitor *visitor;
    while ((visitor = next_ready(door)) != NULL) {
        if (g_get_monotonic_time() >= until_us) {
            return G_SOURCE_CONTINUE;
        }
        step(visitor);
    }
    door->turn = 0;
    return G_SOURCE_REMOVE;
}

static void schedule_turn(Door *door)
{
    if (door->turn == 0) {
        door->turn = g_idle_add_full(G_PRIORITY_DEFAULT, on_turn, door, NULL);
    }
}

/* Wakes the source only when so much is there. */
static void want_bytes(const Visitor *visitor, int bytes)
{
    setsockopt(visitor->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

typedef enum { WHOLE, MORE, HOPELESS } First;

/* What of the first record is there. We are woken by as many bytes as we want, or by the end: fewer
 * mean that no more will come. */
static First look(Visitor *visitor)
{
    int fd = visitor->fd, available = 0;
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

static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
    Visitor *visitor = data;
    switch (look(visitor)) {
    case WHOLE:
        want_bytes(visitor, 1);
        return on_word(fd, condition, visitor);
    case HOPELESS:
        visitor_free(visitor);
        return G_SOURCE_REMOVE;
    case MORE:
        break;
    }
    return G_SOURCE_CONTINUE;
}

static void let_in(Door *door, int fd)
{
    Visitor *visitor = g_new0(Visitor, 1);
    visitor->door = door;
    visitor->fd = fd;
    visitor->since_ms = now_ms();
    visitor->link.data = visitor;
    move_to(visitor, &door->silent);
    want_bytes(visitor, RECORD_HEADER_BYTES);
    watch(visitor, fd, G_IO_IN, on_readable);
    if (door->silent.length > MAX_VISITORS) {
        visitor_free(door->silent.head->data);
    }
}

/* The socket says that it has ended, and the HTTP server does the rest. */
static void cut(const Client *client)
{
    shutdown(client_stream_fd(client->stream), SHUT_RDWR);
}

/* No descriptor is left: who has done nothing for the longest time gives us one. */
static void make_room(Door *door)
{
    const Client *idle = NULL;
    int64_t now = now_ms(), longest = -1;
    for (GList *l = door->clients.head; l != NULL; l = l->next) {
        const Client *client = l->data;
        int64_t waiting = client_stream_waiting_ms(client->stream, now);
        if (client_stream_phase(client->stream) == CLIENT_IDLE && waiting > longest) {
            idle = client;
            longest = waiting;
        }
    }
    if (idle != NULL) {
        cut(idle);
    } else if (door->silent.length > 0) {
        visitor_free(door->silent.head->data);
    }
}

static gboolean on_connection(int listener, GIOCondition condition, gpointer data)
{
    Door *door = data;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) {
                make_room(door);
            }
            break;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        let_in(door, fd);
    }
    return G_SOURCE_CONTINUE;
}

static void drop_older(GQueue *queue, int64_t before_ms)
{
    for (GList *l = queue->head, *next; l != NULL; l = next) {
        Visitor *visitor = l->data;
        next = l->next;
        if (visitor->since_ms < before_ms) {
            visitor_free(visitor);
        }
    }
}

static void cut_who_keep_us_waiting(const Door *door, int64_t now)
{
    for (GList *l = door->clients.head; l != NULL; l = l->next) {
        const Client *client = l->data;
        if (client_stream_waiting_ms(client->stream, now) > door->timeout_ms) {
            cut(client);
        }
    }
}

static gboolean on_sweep(gpointer data)
{
    Door *door = data;
    int64_t now = now_ms();
    drop_older(&door->silent, now - PATIENCE_MS);
    drop_older(&door->ready, now - PATIENCE_MS);
    drop_older(&door->shaking, now - (door->ready.length > 0 ? GRACE_MS : PATIENCE_MS));
    if (door->ready.length > 0) {
        schedule_turn(door);
    }
    cut_who_keep_us_waiting(door, now);
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

Door *door_new(SoupServer *server, GSocket *socket, ClientTls *tls, ClientRefuse refuse,
               int64_t timeout_ms, GError **error)
{
    if (!listen_nowhere(server, error)) {
        return NULL;
    }
    Door *door = g_new0(Door, 1);
    door->server = g_object_ref(server);
    door->socket = g_object_ref(socket);
    door->tls = tls;
    door->refuse = refuse;
    door->timeout_ms = timeout_ms;
    g_socket_set_blocking(socket, FALSE);
    door->source = g_unix_fd_source_new(g_socket_get_fd(socket), G_IO_IN);
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
        g_clear_handle_id(&door->turn, g_source_remove);
        g_socket_close(door->socket, NULL);
    }
}
