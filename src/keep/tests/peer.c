#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "schema/keeper.h"

#define PATIENCE_US (30 * G_USEC_PER_SEC)
#define STEP_MS 5

struct Peer {
    int fd;
    RpcFrames *frames;
    void (*turn)(void);
    int64_t last_id;
};

Peer *peer_new(const char *path, void (*turn)(void))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    Peer *peer = g_new0(Peer, 1);
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    peer->frames = rpc_frames_new(0);
    peer->turn = turn;
    g_assert_cmpint(connect(peer->fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return peer;
}

void peer_free(Peer *peer)
{
    if (peer != NULL) {
        close(peer->fd);
        rpc_frames_free(peer->frames);
        g_free(peer);
    }
}

Peer *peer_greeted(const char *path, void (*turn)(void))
{
    Peer *peer = peer_new(path, turn);
    peer_greet(peer, KEEPER_PROTOCOL_NAME, KEEPER_PROTOCOL_MAJOR, KEEPER_PROTOCOL_MINOR);
    g_autoptr(RpcMessage) hello = peer_hear(peer);
    g_assert_nonnull(hello);
    g_assert_cmpstr(hello->method, ==, RPC_HELLO);
    return peer;
}

void peer_send_bytes(Peer *peer, const void *bytes, size_t n)
{
    (void)send(peer->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void peer_send(Peer *peer, json_t *message)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_assert_true(rpc_message_frame(out, message, 0, NULL));
    json_decref(message);
    peer_send_bytes(peer, out->data, out->len);
}

void peer_greet(Peer *peer, const char *protocol, int major, int minor)
{
    g_autoptr(RpcHello) hello = rpc_hello_new(protocol, major, minor, NULL, NULL);
    peer_send(peer, rpc_hello_message(hello));
}

/* False at the end of the stream. */
static bool receive(Peer *peer)
{
    gint64 end_us = g_get_monotonic_time() + PATIENCE_US;
    struct pollfd readable = {.fd = peer->fd, .events = POLLIN};
    while (poll(&readable, 1, STEP_MS) <= 0) {
        g_assert_cmpint(g_get_monotonic_time(), <, end_us);
        if (peer->turn != NULL) {
            peer->turn();
        }
    }
    char bytes[4096];
    ssize_t n = recv(peer->fd, bytes, sizeof bytes, 0);
    if (n > 0) {
        rpc_frames_push(peer->frames, bytes, (size_t)n);
    }
    return n > 0;
}

RpcMessage *peer_hear(Peer *peer)
{
    const char *data = NULL;
    size_t size = 0;
    while (rpc_frames_next(peer->frames, &data, &size, NULL) != RPC_FRAME_WHOLE) {
        if (!receive(peer)) {
            return NULL;
        }
    }
    g_autoptr(GError) error = NULL;
    RpcMessage *message = rpc_message_parse(data, size, &error);
    g_assert_no_error(error);
    return message;
}

RpcMessage *peer_call(Peer *peer, const char *method, json_t *params)
{
    peer_send(peer, rpc_message_call(++peer->last_id, method, params));
    json_decref(params);
    RpcMessage *answer = peer_hear(peer);
    g_assert_nonnull(answer);
    g_assert_cmpint(answer->id, ==, peer->last_id);
    return answer;
}
