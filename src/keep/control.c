#include "keep/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/watch.h"
#include "rpc/frame.h"
#include "rpc/message.h"
#include "schema/keeper.h"

#define READ_BYTES 4096

typedef struct {
    KeepControl *control;
    KeepWatch watch;
    RpcFrames *frames;
    GByteArray *out;
    bool greeted; /* its hello has come, and fits */
    bool broken;  /* to be dropped */
} Client;

struct KeepControl {
    KeepWatch listener;
    RpcHello *hello;
    KeepControlCall call;
    gpointer data;
    GPtrArray *clients;
};

static void client_free(gpointer data)
{
    Client *client = data;
    keep_watch_stop(&client->watch);
    close(client->watch.fd);
    rpc_frames_free(client->frames);
    g_byte_array_unref(client->out);
    g_free(client);
}

/* Sends what the socket takes. */
static void flush(Client *client)
{
    while (client->out->len > 0) {
        ssize_t n = send(client->watch.fd, client->out->data, client->out->len,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            client->broken = client->broken || (errno != EAGAIN && errno != EINTR);
            return;
        }
        g_byte_array_remove_range(client->out, 0, (guint)n);
    }
}

/* Takes `message`. */
static void say(Client *client, json_t *message)
{
    bool framed = rpc_message_frame(client->out, message, KEEP_CONTROL_FRAME_BYTES, NULL);
    json_decref(message);
    flush(client);
    client->broken = client->broken || !framed || client->out->len > KEEP_CONTROL_QUEUE_BYTES;
}

static void answer(Client *client, const RpcMessage *message)
{
    const KeepControl *control = client->control;
    g_autoptr(GError) error = NULL;
    json_t *result = control->call(message->method, message->params, control->data, &error);
    if (result != NULL) {
        say(client, rpc_message_result(message->id, result));
        json_decref(result);
    } else {
        say(client, rpc_message_error(message->id, error));
    }
}

static void greet(Client *client, const RpcMessage *first)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(RpcHello) theirs = rpc_hello_accept(client->control->hello, first, &error);
    client->greeted = theirs != NULL;
    if (theirs == NULL) {
        say(client, rpc_message_error(-1, error));
        client->broken = true;
    }
}

/* Whoever breaks the protocol is dropped: it can connect again. */
static void take(Client *client, const char *data, size_t size)
{
    g_autoptr(RpcMessage) message = rpc_message_parse(data, size, NULL);
    if (message == NULL) {
        client->broken = true;
    } else if (!client->greeted) {
        greet(client, message);
    } else if (message->kind == RPC_MESSAGE_CALL) {
        answer(client, message);
    }
}

static void pull(Client *client)
{
    char bytes[READ_BYTES];
    ssize_t n = recv(client->watch.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0) {
        client->broken = n == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
    rpc_frames_push(client->frames, bytes, (size_t)n);
    RpcFrameResult result = RPC_FRAME_MORE;
    const char *data = NULL;
    size_t size = 0;
    while (!client->broken &&
           (result = rpc_frames_next(client->frames, &data, &size, NULL)) == RPC_FRAME_WHOLE) {
        take(client, data, size);
    }
    client->broken = client->broken || result == RPC_FRAME_BAD;
}

/* In line with the client's state, or gone. */
static void settle(Client *client)
{
    if (client->broken) {
        g_ptr_array_remove_fast(client->control->clients, client);
        return;
    }
    keep_watch_set(&client->watch, client->out->len > 0 ? G_IO_IN | G_IO_OUT : G_IO_IN);
}

static gboolean on_client(int fd, GIOCondition condition, gpointer data)
{
    Client *client = data;
    flush(client);
    if ((condition & ~G_IO_OUT) != 0) {
        pull(client);
    }
    settle(client);
    return G_SOURCE_CONTINUE;
}

static gboolean on_listener(int fd, GIOCondition condition, gpointer data)
{
    KeepControl *control = data;
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection < 0) {
        return G_SOURCE_CONTINUE;
    }
    if (control->clients->len >= KEEP_CONTROL_CLIENTS_MAX) {
        close(connection);
        return G_SOURCE_CONTINUE;
    }
    Client *client = g_new0(Client, 1);
    client->control = control;
    client->watch = (KeepWatch){.fd = connection, .ready = on_client, .data = client};
    client->frames = rpc_frames_new(KEEP_CONTROL_FRAME_BYTES);
    client->out = g_byte_array_new();
    g_ptr_array_add(control->clients, client);
    say(client, rpc_hello_message(control->hello));
    settle(client);
    return G_SOURCE_CONTINUE;
}

KeepControl *keep_control_new(int listener, KeepControlCall call, gpointer data)
{
    KeepControl *control = g_new0(KeepControl, 1);
    control->hello = rpc_hello_new(KEEPER_PROTOCOL_NAME, KEEPER_PROTOCOL_MAJOR,
                                   KEEPER_PROTOCOL_MINOR, NULL, NULL);
    control->call = call;
    control->data = data;
    control->clients = g_ptr_array_new_with_free_func(client_free);
    control->listener = (KeepWatch){.fd = listener, .ready = on_listener, .data = control};
    keep_watch_set(&control->listener, G_IO_IN);
    return control;
}

void keep_control_free(KeepControl *control)
{
    if (control != NULL) {
        for (guint i = 0; i < control->clients->len; i++) {
            flush(control->clients->pdata[i]);
        }
        g_ptr_array_unref(control->clients);
        keep_watch_stop(&control->listener);
        close(control->listener.fd);
        rpc_hello_free(control->hello);
        g_free(control);
    }
}

void keep_control_notify(KeepControl *control, const char *method, const json_t *params)
{
    for (guint i = control->clients->len; i > 0; i--) {
        Client *client = control->clients->pdata[i - 1];
        if (client->greeted) {
            say(client, rpc_message_notify(method, (json_t *)params));
            settle(client);
        }
    }
}
