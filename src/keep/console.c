#include "keep/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keep/pace.h"
#include "keep/watch.h"

#define INPUT_BYTES 4096
/* Of an ended QEMU, more than a socket holds: a descendant that its sandbox should have forbidden
 * may write on for ever. */
#define LAST_READS 1024

typedef struct {
    KeepConsole *console;
    KeepWatch watch;
    uint64_t cursor;
    bool input_ended; /* it has shut down its writing side and still listens */
} Client;

struct KeepConsole {
    KeepRing *ring;
    KeepWatch guest; /* fd is -1 once the guest's end is closed */
    KeepPace pace;   /* of the guest's output */
    KeepWatch listener;
    GPtrArray *clients; /* of Client, owned */
    uint8_t input[INPUT_BYTES];
    size_t input_at;
    size_t input_end;
};

static void client_free(gpointer data)
{
    Client *client = data;
    keep_watch_stop(&client->watch);
    close(client->watch.fd);
    g_free(client);
}

static bool has_input(const KeepConsole *console)
{
    return console->input_at < console->input_end;
}

/* Sends until the client is up to date or its socket is full; false when it is gone. */
static bool client_send(Client *client)
{
    const void *data = NULL;
    size_t n = 0;
    while ((n = keep_ring_peek(client->console->ring, &client->cursor, &data)) > 0) {
        ssize_t sent = send(client->watch.fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        client->cursor += (uint64_t)sent;
    }
    return client->console->guest.fd >= 0; /* after the last byte of an ended guest: the end */
}

static void client_watch(Client *client)
{
    KeepConsole *console = client->console;
    GIOCondition condition = 0;
    if (client->cursor < keep_ring_written(console->ring)) {
        condition |= G_IO_OUT;
    }
    if (!client->input_ended && console->guest.fd >= 0 && !has_input(console)) {
        condition |= G_IO_IN;
    }
    keep_watch_set(&client->watch, condition);
}

/* Brings every client up to date as far as it goes, and each watch in line with the state. */
static void serve_clients(KeepConsole *console)
{
    for (guint i = console->clients->len; i-- > 0;) {
        Client *client = g_ptr_array_index(console->clients, i);
        if (client_send(client)) {
            client_watch(client);
        } else {
            g_ptr_array_remove_index_fast(console->clients, i);
        }
    }
}

static void close_guest(KeepConsole *console)
{
    keep_watch_stop(&console->guest);
    close(console->guest.fd);
    console->guest.fd = -1;
    console->input_at = console->input_end = 0;
}

static void push_input(KeepConsole *console)
{
    if (has_input(console)) {
        ssize_t sent = send(console->guest.fd, console->input + console->input_at,
                            console->input_end - console->input_at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            console->input_at += (size_t)sent;
        }
    }
    keep_watch_set(&console->guest, has_input(console) ? G_IO_IN | G_IO_OUT : G_IO_IN);
}

/* Reads one chunk of the guest's output. False when there is no more now; closes at the end. */
static bool pull_output(KeepConsole *console)
{
    struct iovec room[2];
    int pieces = keep_ring_room(console->ring, room);
    ssize_t n = readv(console->guest.fd, room, pieces);
    if (n > 0) {
        keep_ring_commit(console->ring, (size_t)n);
        keep_watch_pause(&console->guest,
                         keep_pace_spend(&console->pace, (size_t)n, g_get_monotonic_time()));
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_guest(console);
    }
    return false;
}

static gboolean on_guest(int fd, GIOCondition condition, gpointer data)
{
    KeepConsole *console = data;
    if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR)) {
        pull_output(console);
    }
    if (console->guest.fd >= 0) {
        push_input(console);
    }
    serve_clients(console);
    return G_SOURCE_CONTINUE;
}

/* Takes input from a client into the empty buffer; false when the client is gone. */
static bool client_receive(Client *client)
{
    KeepConsole *console = client->console;
    ssize_t n = recv(client->watch.fd, console->input, INPUT_BYTES, MSG_DONTWAIT);
    if (n > 0) {
        console->input_at = 0;
        console->input_end = (size_t)n;
        push_input(console);
    } else if (n == 0) {
        client->input_ended = true;
    }
    return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static gboolean on_client(int fd, GIOCondition condition, gpointer data)
{
    Client *client = data;
    KeepConsole *console = client->console;
    bool alive = true;
    if ((condition & G_IO_IN) && console->guest.fd >= 0 && !has_input(console)) {
        alive = client_receive(client);
    } else if (condition & (G_IO_HUP | G_IO_ERR)) {
        alive = false;
    }
    if (!alive) {
        g_ptr_array_remove_fast(console->clients, client);
    }
    serve_clients(console);
    return G_SOURCE_CONTINUE;
}

static gboolean on_connection(int listener, GIOCondition condition, gpointer data)
{
    KeepConsole *console = data;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return G_SOURCE_CONTINUE;
    }
    if (console->clients->len >= KEEP_CONSOLE_CLIENTS_MAX) {
        close(fd);
        return G_SOURCE_CONTINUE;
    }
    Client *client = g_new0(Client, 1);
    client->console = console;
    client->watch = (KeepWatch){.fd = fd, .ready = on_client, .data = client};
    client->cursor = keep_ring_oldest(console->ring);
    g_ptr_array_add(console->clients, client);
    serve_clients(console);
    return G_SOURCE_CONTINUE;
}

KeepConsole *keep_console_new(int guest, int listener, KeepRing *ring)
{
    KeepConsole *console = g_new0(KeepConsole, 1);
    console->ring = ring;
    console->clients = g_ptr_array_new_with_free_func(client_free);
    g_unix_set_fd_nonblocking(guest, TRUE, NULL);
    g_unix_set_fd_nonblocking(listener, TRUE, NULL);
    console->guest = (KeepWatch){.fd = guest, .ready = on_guest, .data = console};
    console->listener = (KeepWatch){.fd = listener, .ready = on_connection, .data = console};
    keep_watch_set(&console->guest, G_IO_IN);
    keep_watch_set(&console->listener, G_IO_IN);
    return console;
}

void keep_console_free(KeepConsole *console)
{
    if (console == NULL) {
        return;
    }
    g_ptr_array_unref(console->clients);
    if (console->guest.fd >= 0) {
        close_guest(console);
    }
    keep_watch_stop(&console->listener);
    close(console->listener.fd);
    keep_ring_free(console->ring);
    g_free(console);
}

void keep_console_finish(KeepConsole *console)
{
    for (int i = 0; i < LAST_READS && console->guest.fd >= 0 && pull_output(console); i++) {
        serve_clients(console);
    }
    if (console->guest.fd >= 0) {
        close_guest(console);
    }
    serve_clients(console);
}

uint64_t keep_console_bytes(const KeepConsole *console)
{
    return keep_ring_written(console->ring);
}
