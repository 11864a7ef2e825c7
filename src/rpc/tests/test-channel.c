#include "rpc/tests/peers.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "rpc/frame.h"

/* Plain, both open. */
static RpcConnection *open_pair(World *world, Side *client, const RpcOptions *server_options,
                                const RpcOptions *client_options)
{
    world_start(world, NULL, server_options, NULL);
    RpcConnection *connection = world_dial(world, NULL, client_options, client);
    RUN_UNTIL(client->opened == 1 && world->server.opened == 1);
    return connection;
}

static void close_pair(World *world, Side *client)
{
    world_stop(world);
    side_clear(client);
}

static void assert_result(Reply *reply, const char *expected)
{
    g_assert_no_error(reply->error);
    g_autofree char *text = json_dumps(reply->result, JSON_COMPACT | JSON_ENCODE_ANY);
    g_assert_cmpstr(text, ==, expected);
    reply_clear(reply);
}

static void test_both_sides_call(void)
{
    World world;
    Side client;
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    g_assert_true(rpc_hello_has(rpc_connection_peer(connection), "console"));
    g_assert_null(rpc_connection_peer_name(connection));
    Reply up = {0}, down = {0};
    json_t *params = json_pack("{s:i}", "n", 1);
    rpc_connection_call(connection, "count", params, 0, reply_answer, &up);
    rpc_connection_call(world.server.connection, "count", NULL, 0, reply_answer, &down);
    json_decref(params);
    RUN_UNTIL(up.n == 1 && down.n == 1);
    assert_result(&up, "{\"n\":1}");
    assert_result(&down, "{}");
    g_assert_cmpint(client.n_calls, ==, 1);
    close_pair(&world, &client);
}

static void test_notifications_keep_their_order(void)
{
    World world;
    Side client;
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    for (int i = 0; i < 1000; i++) {
        json_t *params = json_pack("{s:i}", "n", i);
        g_assert_true(rpc_connection_notify(connection, "tick", params, NULL));
        json_decref(params);
    }
    RUN_UNTIL(world.server.notified->len == 1000);
    for (int i = 0; i < 1000; i++) {
        g_autofree char *expected = g_strdup_printf("tick {\"n\":%d}", i);
        g_assert_cmpstr(world.server.notified->pdata[i], ==, expected);
    }
    close_pair(&world, &client);
}

static Reply ask(RpcConnection *connection, const char *method, json_t *params)
{
    Reply reply = {0};
    rpc_connection_call(connection, method, params, 0, reply_answer, &reply);
    json_decref(params);
    RUN_UNTIL(reply.n == 1);
    return reply;
}

/* An escape and a field that the type does not know keep a text from being ordinary. */
static void test_typed_methods_get_their_params_read(void)
{
    World world;
    Side client;
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    Reply plain =
        ask(connection, "typed.call", json_pack("{s:s, s:s}", "version", "1", "api", "a"));
    assert_result(&plain, "{\"method\":\"typed.call\",\"params\":\"{\\\"version\\\":\\\"1\\\","
                          "\\\"api\\\":\\\"a\\\"}\"}");
    Reply odd = ask(connection, "typed.call",
                    json_pack("{s:s, s:s, s:i}", "version", "\303\244", "api", "\n", "new", 1));
    const char *text = json_string_value(json_object_get(odd.result, "params"));
    g_assert_cmpstr(text, ==, "{\"version\":\"\303\244\",\"api\":\"\\n\",\"new\":1}");
    reply_clear(&odd);
    json_t *params = json_pack("{s:s, s:s}", "version", "2", "api", "b");
    rpc_connection_notify(connection, "typed.tell", params, NULL);
    json_decref(params);
    RUN_UNTIL(world.server.notified->len == 1);
    g_assert_cmpstr(world.server.notified->pdata[0], ==, "typed {\"version\":\"2\",\"api\":\"b\"}");
    close_pair(&world, &client);
}

static void test_typed_methods_refuse_other_types(void)
{
    World world;
    Side client;
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    rpc_connection_notify(connection, "typed.tell", NULL, NULL);
    Reply reply = ask(connection, "typed.call", json_pack("{s:s, s:i}", "version", "1", "api", 7));
    g_assert_error(reply.error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(reply.error), ==, "api");
    reply_clear(&reply);
    g_assert_cmpuint(world.server.notified->len, ==, 0);
    g_assert_cmpint(world.server.n_calls, ==, 0);
    close_pair(&world, &client);
}

/* As a notification, what is to be called is another method, and so the other way round. */
static void test_typed_methods_keep_their_kind(void)
{
    World world;
    Side client;
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    json_t *params = json_pack("{s:s, s:s}", "version", "1", "api", "a");
    rpc_connection_notify(connection, "typed.call", params, NULL);
    Reply echoed = ask(connection, "typed.tell", params);
    assert_result(&echoed, "{\"version\":\"1\",\"api\":\"a\"}");
    g_assert_cmpstr(world.server.notified->pdata[0], ==,
                    "typed.call {\"version\":\"1\",\"api\":\"a\"}");
    close_pair(&world, &client);
}

static void answer_with_error(RpcConnection *connection, RpcCall *call, void *data)
{
    g_autoptr(GError) error = NULL;
    berth_error_set(&error, BERTH_ERROR_PRECONDITION, "epoch", "3", "read it again", "too old");
    g_assert_cmpstr(rpc_call_method(call), ==, "vm.apply");
    g_assert_true(rpc_call_connection(call) == connection);
    rpc_call_answer(call, NULL, error);
}

static void test_errors_arrive_whole(void)
{
    World world;
    Side client;
    Reply reply = {0};
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    world.server.on_call = answer_with_error;
    rpc_connection_call(connection, "vm.apply", NULL, 0, reply_answer, &reply);
    RUN_UNTIL(reply.n == 1);
    g_assert_error(reply.error, BERTH_ERROR, BERTH_ERROR_PRECONDITION);
    g_assert_cmpstr(berth_error_field(reply.error), ==, "epoch");
    g_assert_cmpstr(berth_error_value(reply.error), ==, "3");
    g_assert_cmpstr(berth_error_remedy(reply.error), ==, "read it again");
    reply_clear(&reply);
    close_pair(&world, &client);
}

static GQueue held = G_QUEUE_INIT;

static void hold(RpcConnection *connection, RpcCall *call, void *data)
{
    g_queue_push_tail(&held, call);
}

static void answer_held(void)
{
    RpcCall *call;
    while ((call = g_queue_pop_head(&held)) != NULL) {
        rpc_call_answer(call, rpc_call_params(call), NULL);
    }
}

static void test_call_times_out_and_the_late_answer_is_ignored(void)
{
    World world;
    Side client;
    Reply late = {0}, next = {0};
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    world.server.on_call = hold;
    rpc_connection_call(connection, "slow", NULL, 30, reply_answer, &late);
    RUN_UNTIL(late.n == 1);
    g_assert_error(late.error, BERTH_ERROR, BERTH_ERROR_TIMEOUT);
    g_assert_cmpstr(berth_error_value(late.error), ==, "slow");
    world.server.on_call = NULL;
    answer_held();
    rpc_connection_call(connection, "fast", NULL, 0, reply_answer, &next);
    RUN_UNTIL(next.n == 1);
    g_assert_no_error(next.error);
    g_assert_cmpint(late.n, ==, 1);
    reply_clear(&late);
    reply_clear(&next);
    close_pair(&world, &client);
}

static void test_answers_come_in_any_order(void)
{
    World world;
    Side client;
    Reply first = {0}, second = {0};
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    world.server.on_call = hold;
    rpc_connection_call(connection, "first", NULL, 0, reply_answer, &first);
    rpc_connection_call(connection, "second", NULL, 0, reply_answer, &second);
    RUN_UNTIL(held.length == 2);
    rpc_call_answer(g_queue_pop_tail(&held), NULL, NULL);
    RUN_UNTIL(second.n == 1);
    g_assert_cmpint(first.n, ==, 0);
    answer_held();
    RUN_UNTIL(first.n == 1);
    reply_clear(&first);
    reply_clear(&second);
    close_pair(&world, &client);
}

static void test_answer_after_the_connection_died_is_harmless(void)
{
    World world;
    Side client;
    Reply reply = {0};
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    world.server.on_call = hold;
    rpc_connection_call(connection, "slow", NULL, 0, reply_answer, &reply);
    RUN_UNTIL(held.length == 1);
    rpc_connection_close(connection, NULL);
    RUN_UNTIL(world.server.closed == 1);
    answer_held();
    g_assert_cmpint(reply.n, ==, 1);
    g_assert_error(reply.error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    reply_clear(&reply);

    world.server.on_call = hold;
    side_clear(&client);
    connection = world_dial(&world, NULL, NULL, &client);
    RUN_UNTIL(client.opened == 1);
    rpc_connection_call(connection, "slow", NULL, 0, reply_answer, &reply);
    RUN_UNTIL(held.length == 1);
    close_pair(&world, &client);
    g_assert_error(reply.error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    answer_held(); /* even the loop is gone */
    reply_clear(&reply);
}

static void test_calls_without_a_connection_fail_later_not_inside(void)
{
    World world;
    Side client;
    Reply early = {0}, late = {0};
    world_start(&world, NULL, NULL, NULL);
    RpcConnection *connection = world_dial(&world, NULL, NULL, &client);
    rpc_connection_call(connection, "early", NULL, 0, reply_answer, &early);
    g_assert_cmpint(early.n, ==, 0);
    g_assert_false(rpc_connection_notify(connection, "early", NULL, NULL));
    RUN_UNTIL(early.n == 1 && client.opened == 1);
    g_assert_error(early.error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);

    rpc_connection_close(connection, NULL);
    g_assert_cmpint(client.closed, ==, 0);
    RUN_UNTIL(client.closed == 1 && world.server.closed == 1);
    g_autoptr(GError) error = NULL;
    g_assert_false(rpc_connection_notify(client.connection, "late", NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    rpc_connection_call(client.connection, "late", NULL, 0, reply_answer, &late);
    g_clear_pointer(&client.connection, rpc_connection_unref);
    g_assert_cmpint(late.n, ==, 0);
    RUN_UNTIL(late.n == 1);
    g_assert_error(late.error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    reply_clear(&early);
    reply_clear(&late);
    close_pair(&world, &client);
}

static void answer_and_close(json_t *result, const GError *error, void *data)
{
    Side *side = data;
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_cmpint(side->closed, ==, 0); /* every answer comes before `closed` */
    side->n_calls++;
}

static void test_pending_calls_fail_before_closed(void)
{
    World world;
    Side client;
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    world.server.on_call = hold;
    for (int i = 0; i < 3; i++) {
        rpc_connection_call(connection, "slow", NULL, 0, answer_and_close, &client);
    }
    RUN_UNTIL(held.length == 3);
    rpc_connection_close(world.server.connection, NULL);
    RUN_UNTIL(client.closed == 1);
    g_assert_cmpint(client.n_calls, ==, 3);
    answer_held();
    close_pair(&world, &client);
}

static void test_reason_of_a_close_reaches_the_peer(void)
{
    World world;
    Side client;
    open_pair(&world, &client, NULL, NULL);
    g_autoptr(GError) reason = NULL;
    berth_error_set(&reason, BERTH_ERROR_FORBIDDEN, "host", "h1", "join again", "host is retired");
    rpc_connection_close(world.server.connection, reason);
    RUN_UNTIL(client.closed == 1 && world.server.closed == 1);
    g_assert_error(client.reason, BERTH_ERROR, BERTH_ERROR_FORBIDDEN);
    g_assert_nonnull(strstr(client.reason->message, "host is retired"));
    g_assert_cmpstr(berth_error_remedy(client.reason), ==, "join again");
    g_assert_error(world.server.reason, BERTH_ERROR, BERTH_ERROR_FORBIDDEN);
    close_pair(&world, &client);
}

static void test_what_is_queued_goes_out_before_a_close(void)
{
    World world;
    Side client;
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    g_autofree char *text = g_strnfill(1 << 20, 'x');
    json_t *params = json_pack("{s:s}", "text", text);
    for (int i = 0; i < 8; i++) {
        rpc_connection_notify(connection, "part", params, NULL);
    }
    rpc_connection_close(connection, NULL);
    RUN_UNTIL(world.server.closed == 1);
    g_assert_cmpuint(world.server.notified->len, ==, 8);
    json_decref(params);
    close_pair(&world, &client);
}

static void test_too_many_unanswered_calls_are_refused(void)
{
    World world;
    Side client;
    Reply replies[5] = {0};
    RpcOptions options = {.max_unanswered = 4};
    RpcConnection *connection = open_pair(&world, &client, &options, NULL);
    world.server.on_call = hold;
    for (int i = 0; i < 5; i++) {
        rpc_connection_call(connection, "slow", NULL, 0, reply_answer, &replies[i]);
    }
    RUN_UNTIL(replies[4].n == 1);
    g_assert_error(replies[4].error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_cmpuint(held.length, ==, 4);
    answer_held();
    RUN_UNTIL(replies[3].n == 1);
    g_assert_no_error(replies[3].error);
    world.server.on_call = NULL;
    rpc_connection_call(connection, "quick", NULL, 0, reply_answer, &replies[4]);
    RUN_UNTIL(replies[4].n == 2);
    g_assert_no_error(replies[4].error);
    for (int i = 0; i < 5; i++) {
        reply_clear(&replies[i]);
    }
    close_pair(&world, &client);
}

static void test_oversized_messages_stay_here(void)
{
    World world;
    Side client;
    Reply reply = {0}, next = {0};
    RpcOptions options = {.max_frame_bytes = 1000};
    RpcConnection *connection = open_pair(&world, &client, NULL, &options);
    g_autofree char *text = g_strnfill(1000, 'x');
    json_t *params = json_pack("{s:s}", "text", text);
    rpc_connection_call(connection, "big", params, 0, reply_answer, &reply);
    g_autoptr(GError) error = NULL;
    g_assert_false(rpc_connection_notify(connection, "big", params, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
    json_decref(params);
    RUN_UNTIL(reply.n == 1);
    g_assert_error(reply.error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
    rpc_connection_call(connection, "small", NULL, 0, reply_answer, &next);
    RUN_UNTIL(next.n == 1);
    g_assert_no_error(next.error);
    reply_clear(&reply);
    reply_clear(&next);
    close_pair(&world, &client);
}

static void answer_big(RpcConnection *connection, RpcCall *call, void *data)
{
    g_autofree char *text = g_strnfill(2000, 'x');
    json_t *result = json_string(text);
    rpc_call_answer(call, result, NULL);
    json_decref(result);
}

static void test_oversized_answer_becomes_an_error(void)
{
    World world;
    Side client;
    Reply reply = {0};
    RpcOptions options = {.max_frame_bytes = 1000};
    RpcConnection *connection = open_pair(&world, &client, &options, NULL);
    world.server.on_call = answer_big;
    rpc_connection_call(connection, "big", NULL, 0, reply_answer, &reply);
    RUN_UNTIL(reply.n == 1);
    g_assert_error(reply.error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
    reply_clear(&reply);
    close_pair(&world, &client);
}

static void test_slow_reader_is_dropped(void)
{
    World world;
    Side client, other;
    RpcOptions options = {.max_queued_bytes = 1 << 20};
    open_pair(&world, &client, &options, NULL);
    /* A stranger in another process would look the same: says hello, then never reads. */
    int fd = connect_blocking(world.port);
    g_autoptr(GByteArray) hello = g_byte_array_new();
    g_autoptr(RpcHello) ours = hello_of(1, 0);
    json_t *message = rpc_hello_message(ours);
    rpc_message_frame(hello, message, 0, NULL);
    json_decref(message);
    g_assert_cmpint(write(fd, hello->data, hello->len), ==, hello->len);
    RUN_UNTIL(world.server.opened == 2);
    g_autoptr(RpcConnection) slow = rpc_connection_ref(world.server.connection);
    g_autofree char *text = g_strnfill(100000, 'x');
    json_t *params = json_pack("{s:s}", "text", text);
    size_t most = 0;
    for (int i = 0; i < 1000 && rpc_connection_is_open(slow); i++) {
        rpc_connection_notify(slow, "news", params, NULL);
        most = MAX(most, rpc_connection_queued_bytes(slow));
        run_idle();
    }
    g_assert_false(rpc_connection_is_open(slow));
    g_assert_cmpuint(most, <=, (1 << 20) + 100100);
    RUN_UNTIL(world.server.closed == 1);
    g_assert_error(world.server.reason, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(world.server.reason->message, "does not read"));
    g_assert_cmpuint(rpc_connection_queued_bytes(slow), ==, 0);
    json_decref(params);
    close(fd);

    RpcConnection *honest = world_dial(&world, NULL, NULL, &other);
    RUN_UNTIL(other.opened == 1);
    Reply reply = {0};
    rpc_connection_call(honest, "echo", NULL, 0, reply_answer, &reply);
    RUN_UNTIL(reply.n == 1);
    g_assert_no_error(reply.error);
    reply_clear(&reply);
    side_clear(&other);
    close_pair(&world, &client);
}

static void test_idle_connection_is_kept_alive(void)
{
    World world;
    Side client;
    RpcOptions options = {.ping_after_ms = 10, .silence_ms = 300};
    open_pair(&world, &client, &options, NULL);
    for (gint64 until = g_get_monotonic_time() + 600000; g_get_monotonic_time() < until;) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpint(world.server.closed, ==, 0);
    g_assert_cmpint(client.closed, ==, 0);
    close_pair(&world, &client);
}

static void test_silent_peer_is_dropped(void)
{
    World world;
    RpcOptions options = {.ping_after_ms = 20, .silence_ms = 60};
    world_start(&world, NULL, &options, NULL);
    int fd = connect_blocking(world.port);
    g_autoptr(GByteArray) hello = g_byte_array_new();
    g_autoptr(RpcHello) ours = hello_of(1, 0);
    json_t *message = rpc_hello_message(ours);
    rpc_message_frame(hello, message, 0, NULL);
    json_decref(message);
    g_assert_cmpint(write(fd, hello->data, hello->len), ==, hello->len);
    RUN_UNTIL(world.server.closed == 1);
    g_assert_error(world.server.reason, BERTH_ERROR, BERTH_ERROR_TIMEOUT);
    close(fd);
    world_stop(&world);
}

/* Bytes of a stranger in place of a hello, or after one; how that ends. */
static void assert_stranger_ends(const void *bytes, size_t size, bool after_hello, int code,
                                 const char *message)
{
    World world;
    world_start(&world, NULL, NULL, NULL);
    int fd = connect_blocking(world.port);
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(RpcHello) ours = hello_of(1, 0);
    if (after_hello) {
        json_t *hello = rpc_hello_message(ours);
        rpc_message_frame(out, hello, 0, NULL);
        json_decref(hello);
    }
    g_byte_array_append(out, bytes, (guint)size);
    g_assert_cmpint(write(fd, out->data, out->len), ==, out->len);
    shutdown(fd, SHUT_WR);
    RUN_UNTIL(after_hello ? world.server.closed == 1 : world.n_refused == 1);
    const GError *reason = after_hello ? world.server.reason : world.refusal;
    g_assert_error(reason, BERTH_ERROR, code);
    if (strstr(reason->message, message) == NULL) {
        g_error("\"%s\" does not say \"%s\"", reason->message, message);
    }
    g_assert_cmpint(world.server.opened, ==, after_hello ? 1 : 0);
    close(fd);
    world_stop(&world);
}

static void test_peer_killed_in_mid_frame(void)
{
    assert_stranger_ends("\0\0\1\0{\"json", 10, true, BERTH_ERROR_UNAVAILABLE,
                         "in the middle of a message");
    assert_stranger_ends("\0", 1, false, BERTH_ERROR_UNAVAILABLE, "in the middle of a message");
    assert_stranger_ends("", 0, true, BERTH_ERROR_UNAVAILABLE, "the peer closed the connection");
}

static void test_highest_frame_length_is_refused(void)
{
    assert_stranger_ends("\xff\xff\xff\xff", 4, true, BERTH_ERROR_TOO_LARGE, "4294967295");
    assert_stranger_ends("\xff\xff\xff\xff", 4, false, BERTH_ERROR_TOO_LARGE, "4294967295");
}

static void test_two_hundred_thousand_brackets_are_refused(void)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    g_autofree char *brackets = g_strnfill(200000, '[');
    rpc_frame_append(frame, brackets, 200000, 0, NULL);
    assert_stranger_ends(frame->data, frame->len, true, BERTH_ERROR_INVALID, "too deeply");
}

static void test_first_message_must_be_hello(void)
{
    static const char text[] = "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"vm.apply\"}";
    g_autoptr(GByteArray) frame = g_byte_array_new();
    rpc_frame_append(frame, text, strlen(text), 0, NULL);
    assert_stranger_ends(frame->data, frame->len, false, BERTH_ERROR_INVALID, "not hello");
    assert_stranger_ends("GET / HTTP/1.1\r\n\r\n", 18, false, BERTH_ERROR_TOO_LARGE, "frame");
}

static void test_another_major_is_refused_on_both_sides(void)
{
    World world;
    Side client;
    g_autoptr(RpcHello) newer = hello_of(2, 0);
    RpcOptions options = {.hello = newer};
    world_start(&world, NULL, NULL, NULL);
    world_dial(&world, NULL, &options, &client);
    RUN_UNTIL(client.closed == 1 && world.n_refused == 1);
    g_assert_cmpint(client.opened, ==, 0);
    g_assert_cmpint(world.server.opened, ==, 0);
    g_assert_error(client.reason, BERTH_ERROR, BERTH_ERROR_PRECONDITION);
    g_assert_error(world.refusal, BERTH_ERROR, BERTH_ERROR_PRECONDITION);
    g_assert_nonnull(strstr(world.refusal->message, "2.0"));
    close_pair(&world, &client);
}

static void test_another_minor_works(void)
{
    World world;
    Side client;
    Reply reply = {0};
    g_autoptr(RpcHello) newer = hello_of(1, 1);
    RpcOptions options = {.hello = newer};
    RpcConnection *connection = open_pair(&world, &client, NULL, &options);
    rpc_connection_call(connection, "echo", NULL, 0, reply_answer, &reply);
    RUN_UNTIL(reply.n == 1);
    g_assert_no_error(reply.error);
    reply_clear(&reply);
    close_pair(&world, &client);
}

static void test_hello_has_a_deadline(void)
{
    World world;
    RpcOptions options = {.open_timeout_ms = 30};
    world_start(&world, NULL, &options, NULL);
    int fd = connect_blocking(world.port);
    RUN_UNTIL(world.n_refused == 1);
    g_assert_error(world.refusal, BERTH_ERROR, BERTH_ERROR_TIMEOUT);
    g_assert_nonnull(strstr(world.refusal->message, "hello"));
    char byte[1000];
    while (read(fd, byte, sizeof byte) > 0) {
    }
    close(fd);
    world_stop(&world);
}

static void test_nobody_listens(void)
{
    World world;
    Side client;
    world_start(&world, NULL, NULL, NULL);
    g_clear_pointer(&world.listener, rpc_listener_free);
    world_dial(&world, NULL, NULL, &client);
    RUN_UNTIL(client.closed == 1);
    g_assert_error(client.reason, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(client.reason->message, "cannot connect"));
    close_pair(&world, &client);
}

static void close_inside(RpcConnection *connection, RpcCall *call, void *data)
{
    Side *side = data;
    rpc_connection_close(connection, NULL);
    g_assert_cmpint(side->closed, ==, 0);
    rpc_call_answer(call, NULL, NULL);
}

static void test_close_from_inside_a_callback(void)
{
    World world;
    Side client;
    Reply replies[2] = {0};
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    world.server.on_call = close_inside;
    rpc_connection_call(connection, "a", NULL, 0, reply_answer, &replies[0]);
    rpc_connection_call(connection, "b", NULL, 0, reply_answer, &replies[1]);
    RUN_UNTIL(client.closed == 1 && world.server.closed == 1);
    g_assert_cmpint(world.server.n_calls, ==, 1);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(replies[i].n, ==, 1);
        g_assert_error(replies[i].error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
        reply_clear(&replies[i]);
    }
    close_pair(&world, &client);
}

static void test_end_of_the_loop_answers_everything(void)
{
    World world;
    Side client;
    Reply reply = {0};
    RpcConnection *connection = open_pair(&world, &client, NULL, NULL);
    rpc_connection_call(connection, "never", NULL, 0, reply_answer, &reply);
    world_stop(&world);
    g_assert_cmpint(reply.n, ==, 1);
    g_assert_error(reply.error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_cmpint(client.closed, ==, 1);
    reply_clear(&reply);
    side_clear(&client);
}

static void test_adopted_socket_pair(void)
{
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_autoptr(RpcHello) hello = hello_of(1, 0);
    RpcOptions options = {.hello = hello};
    RpcLoop *loop = rpc_loop_new(NULL);
    Side a, b;
    side_init(&a);
    side_init(&b);
    RpcConnection *left =
        rpc_connection_adopt(loop, fds[0], false, &options, &side_handlers, &a, NULL);
    rpc_connection_adopt(loop, fds[1], true, &options, &side_handlers, &b, NULL);
    RUN_UNTIL(a.opened == 1 && b.opened == 1);
    Reply reply = {0};
    rpc_connection_call(left, "echo", NULL, 0, reply_answer, &reply);
    RUN_UNTIL(reply.n == 1);
    g_assert_no_error(reply.error);
    reply_clear(&reply);
    rpc_loop_free(loop);
    side_clear(&a);
    side_clear(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/channel/both-sides-call", test_both_sides_call);
    g_test_add_func("/rpc/channel/notifications-keep-their-order",
                    test_notifications_keep_their_order);
    g_test_add_func("/rpc/channel/typed-methods-get-their-params-read",
                    test_typed_methods_get_their_params_read);
    g_test_add_func("/rpc/channel/typed-methods-refuse-other-types",
                    test_typed_methods_refuse_other_types);
    g_test_add_func("/rpc/channel/typed-methods-keep-their-kind",
                    test_typed_methods_keep_their_kind);
    g_test_add_func("/rpc/channel/errors-arrive-whole", test_errors_arrive_whole);
    g_test_add_func("/rpc/channel/call-times-out-and-the-late-answer-is-ignored",
                    test_call_times_out_and_the_late_answer_is_ignored);
    g_test_add_func("/rpc/channel/answers-come-in-any-order", test_answers_come_in_any_order);
    g_test_add_func("/rpc/channel/answer-after-the-connection-died-is-harmless",
                    test_answer_after_the_connection_died_is_harmless);
    g_test_add_func("/rpc/channel/calls-without-a-connection-fail-later",
                    test_calls_without_a_connection_fail_later_not_inside);
    g_test_add_func("/rpc/channel/pending-calls-fail-before-closed",
                    test_pending_calls_fail_before_closed);
    g_test_add_func("/rpc/channel/reason-of-a-close-reaches-the-peer",
                    test_reason_of_a_close_reaches_the_peer);
    g_test_add_func("/rpc/channel/what-is-queued-goes-out-before-a-close",
                    test_what_is_queued_goes_out_before_a_close);
    g_test_add_func("/rpc/channel/too-many-unanswered-calls-are-refused",
                    test_too_many_unanswered_calls_are_refused);
    g_test_add_func("/rpc/channel/oversized-messages-stay-here", test_oversized_messages_stay_here);
    g_test_add_func("/rpc/channel/oversized-answer-becomes-an-error",
                    test_oversized_answer_becomes_an_error);
    g_test_add_func("/rpc/channel/slow-reader-is-dropped", test_slow_reader_is_dropped);
    g_test_add_func("/rpc/channel/idle-connection-is-kept-alive",
                    test_idle_connection_is_kept_alive);
    g_test_add_func("/rpc/channel/silent-peer-is-dropped", test_silent_peer_is_dropped);
    g_test_add_func("/rpc/channel/peer-killed-in-mid-frame", test_peer_killed_in_mid_frame);
    g_test_add_func("/rpc/channel/highest-frame-length-is-refused",
                    test_highest_frame_length_is_refused);
    g_test_add_func("/rpc/channel/brackets-are-refused",
                    test_two_hundred_thousand_brackets_are_refused);
    g_test_add_func("/rpc/channel/first-message-must-be-hello", test_first_message_must_be_hello);
    g_test_add_func("/rpc/channel/another-major-is-refused-on-both-sides",
                    test_another_major_is_refused_on_both_sides);
    g_test_add_func("/rpc/channel/another-minor-works", test_another_minor_works);
    g_test_add_func("/rpc/channel/hello-has-a-deadline", test_hello_has_a_deadline);
    g_test_add_func("/rpc/channel/nobody-listens", test_nobody_listens);
    g_test_add_func("/rpc/channel/close-from-inside-a-callback", test_close_from_inside_a_callback);
    g_test_add_func("/rpc/channel/end-of-the-loop-answers-everything",
                    test_end_of_the_loop_answers_everything);
    g_test_add_func("/rpc/channel/adopted-socket-pair", test_adopted_socket_pair);
    return g_test_run();
}
