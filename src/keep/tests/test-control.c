#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "keep/control.h"
#include "keep/inherit.h"
#include "peer.h"
#include "schema/keeper.h"

typedef struct {
    char *directory;
    char *path;
    KeepControl *control;
} Fixture;

static json_t *on_call(const char *method, const json_t *params, gpointer data, GError **error)
{
    if (strcmp(method, "echo") == 0) {
        return json_deep_copy(params);
    }
    berth_error_set(error, BERTH_ERROR_NOT_FOUND, "method", method, "ask for echo", "no such one");
    return NULL;
}

static void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    f->directory = g_dir_make_tmp("berth-control-XXXXXX", NULL);
    f->path = g_build_filename(f->directory, "keeper.sock", NULL);
    int listener = keep_listen(f->path, &error);
    g_assert_no_error(error);
    f->control = keep_control_new(listener, on_call, NULL);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    keep_control_free(f->control);
    g_unlink(f->path);
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->path);
    g_free(f->directory);
}

static void assert_dropped(Peer *peer)
{
    g_autoptr(RpcMessage) message = NULL;
    while ((message = peer_hear(peer)) != NULL) {
        g_assert_cmpint(message->kind, !=, RPC_MESSAGE_RESULT);
        g_clear_pointer(&message, rpc_message_free);
    }
}

static void assert_serves(Fixture *f)
{
    g_autoptr(Peer) peer = peer_greeted(f->path, turn);
    g_autoptr(RpcMessage) answer = peer_call(peer, "echo", json_pack("{si}", "n", 7));
    g_assert_cmpint(answer->kind, ==, RPC_MESSAGE_RESULT);
    g_assert_cmpint(json_integer_value(json_object_get(answer->result, "n")), ==, 7);
}

static void test_call_and_answer(Fixture *f, gconstpointer data)
{
    assert_serves(f);
    assert_serves(f); /* gone and back */
}

static void test_error_keeps_its_parts(Fixture *f, gconstpointer data)
{
    g_autoptr(Peer) peer = peer_greeted(f->path, turn);
    g_autoptr(RpcMessage) answer = peer_call(peer, "nonsense", NULL);
    g_assert_cmpint(answer->kind, ==, RPC_MESSAGE_ERROR);
    g_assert_error(answer->error, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
    g_assert_cmpstr(berth_error_value(answer->error), ==, "nonsense");
    g_assert_cmpstr(berth_error_remedy(answer->error), ==, "ask for echo");
}

static void test_newer_minor_is_served(Fixture *f, gconstpointer data)
{
    g_autoptr(Peer) peer = peer_new(f->path, turn);
    peer_greet(peer, KEEPER_PROTOCOL_NAME, KEEPER_PROTOCOL_MAJOR, KEEPER_PROTOCOL_MINOR + 5);
    g_autoptr(RpcMessage) hello = peer_hear(peer);
    g_assert_cmpstr(hello->method, ==, RPC_HELLO);
    g_autoptr(RpcMessage) answer = peer_call(peer, "echo", NULL);
    g_assert_cmpint(answer->kind, ==, RPC_MESSAGE_RESULT);
}

static void test_another_major_is_told_and_dropped(Fixture *f, gconstpointer data)
{
    g_autoptr(Peer) peer = peer_new(f->path, turn);
    peer_greet(peer, KEEPER_PROTOCOL_NAME, KEEPER_PROTOCOL_MAJOR + 1, 0);
    g_autoptr(RpcMessage) hello = peer_hear(peer);
    g_assert_cmpstr(hello->method, ==, RPC_HELLO);
    g_autoptr(RpcMessage) refusal = peer_hear(peer);
    g_assert_nonnull(refusal);
    g_assert_error(refusal->error, BERTH_ERROR, BERTH_ERROR_PRECONDITION);
    assert_dropped(peer);
    assert_serves(f);
}

static void test_call_before_hello_is_dropped(Fixture *f, gconstpointer data)
{
    g_autoptr(Peer) peer = peer_new(f->path, turn);
    peer_send(peer, rpc_message_call(1, "echo", NULL));
    assert_dropped(peer);
    assert_serves(f);
}

typedef struct {
    const char *name;
    const char *bytes;
    size_t n;
} Junk;

static const Junk junk[] = {
    {"length-of-all-ones", "\xff\xff\xff\xff", 4}, {"frame-above-the-limit", "\x00\x02\x00\x00", 4},
    {"not-json", "\x00\x00\x00\x05hello", 9},      {"empty-frame", "\x00\x00\x00\x00", 4},
    {"an-array", "\x00\x00\x00\x02[]", 6},         {"http", "GET / HTTP/1.1\r\n\r\n", 18},
};

static void test_junk_is_dropped(Fixture *f, gconstpointer data)
{
    const Junk *j = data;
    g_autoptr(Peer) first = peer_new(f->path, turn);
    peer_send_bytes(first, j->bytes, j->n);
    assert_dropped(first);
    g_autoptr(Peer) greeted = peer_greeted(f->path, turn);
    peer_send_bytes(greeted, j->bytes, j->n);
    assert_dropped(greeted);
    assert_serves(f);
}

static void test_nested_brackets_are_dropped(Fixture *f, gconstpointer data)
{
    g_autofree char *text = g_strnfill(60004, '[');
    memcpy(text, "\x00\x00\xea\x60", 4);
    g_autoptr(Peer) peer = peer_greeted(f->path, turn);
    peer_send_bytes(peer, text, 60004);
    assert_dropped(peer);
    assert_serves(f);
}

static void test_frame_that_comes_byte_by_byte(Fixture *f, gconstpointer data)
{
    g_autoptr(Peer) peer = peer_greeted(f->path, turn);
    g_autoptr(GByteArray) out = g_byte_array_new();
    json_t *call = rpc_message_call(9, "echo", NULL);
    g_assert_true(rpc_message_frame(out, call, 0, NULL));
    json_decref(call);
    for (guint i = 0; i < out->len; i++) {
        peer_send_bytes(peer, out->data + i, 1);
        turn();
    }
    g_autoptr(RpcMessage) answer = peer_hear(peer);
    g_assert_cmpint(answer->id, ==, 9);
    g_assert_cmpint(answer->kind, ==, RPC_MESSAGE_RESULT);
}

/* Two agents at once; one that has said no hello hears nothing. */
static void test_notification_goes_to_all_that_greeted(Fixture *f, gconstpointer data)
{
    g_autoptr(Peer) one = peer_greeted(f->path, turn);
    g_autoptr(Peer) two = peer_greeted(f->path, turn);
    g_autoptr(Peer) silent = peer_new(f->path, turn);
    g_autoptr(RpcMessage) hello = peer_hear(silent);
    g_assert_cmpstr(hello->method, ==, RPC_HELLO);
    Peer *const both[] = {one, two};
    for (size_t i = 0; i < 2; i++) { /* the hello has arrived */
        g_autoptr(RpcMessage) answer = peer_call(both[i], "echo", NULL);
    }
    json_t *params = json_pack("{ss}", "vm", "v");
    keep_control_notify(f->control, "keeper.exited", params);
    json_decref(params);
    for (size_t i = 0; i < 2; i++) {
        g_autoptr(RpcMessage) said = peer_hear(both[i]);
        g_assert_cmpint(said->kind, ==, RPC_MESSAGE_NOTIFY);
        g_assert_cmpstr(said->method, ==, "keeper.exited");
        g_assert_cmpstr(json_string_value(json_object_get(said->params, "vm")), ==, "v");
    }
    peer_greet(silent, KEEPER_PROTOCOL_NAME, KEEPER_PROTOCOL_MAJOR, 0);
    g_autoptr(RpcMessage) answer = peer_call(silent, "echo", NULL); /* and nothing before */
    g_assert_cmpint(answer->kind, ==, RPC_MESSAGE_RESULT);
}

/* It is dropped before it costs more than the bound, and may connect again. */
static void test_agent_that_does_not_read(Fixture *f, gconstpointer data)
{
    g_autoptr(Peer) deaf = peer_greeted(f->path, turn);
    g_autofree char *blob = g_strnfill(60000, 'x');
    for (int i = 0; i < 100; i++) {
        json_t *params = json_pack("{ss}", "x", blob);
        keep_control_notify(f->control, "blob", params);
        json_decref(params);
        turn();
    }
    size_t heard = 0;
    g_autoptr(RpcMessage) message = NULL;
    while ((message = peer_hear(deaf)) != NULL) {
        heard++;
        g_clear_pointer(&message, rpc_message_free);
    }
    g_assert_cmpuint(heard, <, 100);
    assert_serves(f);
}

static void test_too_many_agents(Fixture *f, gconstpointer data)
{
    Peer *peers[KEEP_CONTROL_CLIENTS_MAX];
    for (size_t i = 0; i < G_N_ELEMENTS(peers); i++) {
        peers[i] = peer_greeted(f->path, turn);
    }
    g_autoptr(Peer) more = peer_new(f->path, turn);
    g_assert_null(peer_hear(more));
    for (size_t i = 0; i < G_N_ELEMENTS(peers); i++) {
        peer_free(peers[i]);
    }
    turn();
    assert_serves(f);
}

static void add(const char *name, void (*test)(Fixture *, gconstpointer), gconstpointer data)
{
    g_autofree char *path = g_strconcat("/keep/control/", name, NULL);
    g_test_add(path, Fixture, data, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("call-and-answer", test_call_and_answer, NULL);
    add("error-keeps-its-parts", test_error_keeps_its_parts, NULL);
    add("newer-minor-is-served", test_newer_minor_is_served, NULL);
    add("another-major-is-told-and-dropped", test_another_major_is_told_and_dropped, NULL);
    add("call-before-hello-is-dropped", test_call_before_hello_is_dropped, NULL);
    add("nested-brackets-are-dropped", test_nested_brackets_are_dropped, NULL);
    add("frame-that-comes-byte-by-byte", test_frame_that_comes_byte_by_byte, NULL);
    add("notification-goes-to-all-that-greeted", test_notification_goes_to_all_that_greeted, NULL);
    add("agent-that-does-not-read", test_agent_that_does_not_read, NULL);
    add("too-many-agents", test_too_many_agents, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(junk); i++) {
        g_autofree char *name = g_strconcat("junk-is-dropped/", junk[i].name, NULL);
        add(name, test_junk_is_dropped, &junk[i]);
    }
    return g_test_run();
}
