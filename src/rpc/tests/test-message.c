#include "rpc/message.h"

#include <string.h>

#include "base/codec.h"
#include "base/error.h"
#include "rpc/frame.h"

/* Through the wire: written, framed, read. Takes `json`. */
static RpcMessage *carry(json_t *json)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_assert_true(rpc_message_frame(out, json, 0, &error));
    json_decref(json);
    g_autoptr(RpcFrames) frames = rpc_frames_new(0);
    rpc_frames_push(frames, out->data, out->len);
    const char *data;
    size_t size;
    g_assert_cmpint(rpc_frames_next(frames, &data, &size, NULL), ==, RPC_FRAME_WHOLE);
    RpcMessage *message = rpc_message_parse(data, size, &error);
    g_assert_no_error(error);
    return message;
}

static void assert_refused(const char *text, const char *field)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(rpc_message_parse(text, strlen(text), &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, field);
}

static void test_call_and_notification(void)
{
    json_t *params = json_pack("{s:s}", "id", "vm-1");
    g_autoptr(RpcMessage) call = carry(rpc_message_call(G_MAXINT64, "vm.apply", params));
    g_assert_cmpint(call->kind, ==, RPC_MESSAGE_CALL);
    g_assert_cmpint(call->id, ==, G_MAXINT64);
    g_assert_cmpstr(call->method, ==, "vm.apply");
    g_assert_true(json_equal(call->params, params));
    json_decref(params);

    g_autoptr(RpcMessage) notification = carry(rpc_message_notify("agent.measure", NULL));
    g_assert_cmpint(notification->kind, ==, RPC_MESSAGE_NOTIFY);
    g_assert_cmpint(notification->id, ==, -1);
    g_assert_true(json_is_object(notification->params));
}

static void test_peek_sees_what_our_own_peers_write(void)
{
    RpcEnvelope seen;
    json_t *params = json_pack("{s:i}", "n", 1);
    json_t *messages[] = {rpc_message_call(7, "vm.apply", params),
                          rpc_message_notify("agent.measure", params)};
    json_decref(params);
    for (guint i = 0; i < G_N_ELEMENTS(messages); i++) {
        g_autofree char *text = codec_dump(messages[i]);
        json_decref(messages[i]);
        g_assert_true(rpc_message_peek(text, strlen(text), &seen));
        g_assert_cmpint(seen.id, ==, i == 0 ? 7 : -1);
        g_assert_cmpmem(seen.params, seen.params_size, "{\"n\":1}", 7);
        const char *method = i == 0 ? "vm.apply" : "agent.measure";
        g_assert_cmpmem(seen.method, seen.method_size, method, strlen(method));
    }
}

static void test_peek_leaves_everything_else_alone(void)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"jsonrpc\":\"2.0\"",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":-1,\"method\":\"m\",\"params\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"m\",\"params\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1234567890123456789,\"method\":\"m\",\"params\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":,\"method\":\"m\",\"params\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\\u0061\",\"params\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m",
        "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"m\",\"params\":{}}",
    };
    RpcEnvelope seen;
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_assert_false(rpc_message_peek(texts[i], strlen(texts[i]), &seen));
    }
}

static void test_result(void)
{
    json_t *text = json_string("done");
    g_autoptr(RpcMessage) result = carry(rpc_message_result(0, text));
    json_decref(text);
    g_assert_cmpint(result->kind, ==, RPC_MESSAGE_RESULT);
    g_assert_cmpint(result->id, ==, 0);
    g_assert_cmpstr(json_string_value(result->result), ==, "done");

    g_autoptr(RpcMessage) empty = carry(rpc_message_result(3, NULL));
    g_assert_true(json_is_object(empty->result));
}

static void test_error_keeps_all_that_it_carries(void)
{
    static const BerthErrorCode codes[] = {
        BERTH_ERROR_INTERNAL,  BERTH_ERROR_INVALID,      BERTH_ERROR_UNAUTHENTICATED,
        BERTH_ERROR_FORBIDDEN, BERTH_ERROR_NOT_FOUND,    BERTH_ERROR_EXISTS,
        BERTH_ERROR_CONFLICT,  BERTH_ERROR_PRECONDITION, BERTH_ERROR_TOO_LARGE,
        BERTH_ERROR_TIMEOUT,   BERTH_ERROR_NO_CAPACITY,  BERTH_ERROR_UNAVAILABLE,
    };
    for (guint i = 0; i < G_N_ELEMENTS(codes); i++) {
        g_autoptr(GError) error = NULL;
        berth_error_set(&error, codes[i], "size.cpu", "4x", "write 4", "bad \xff number %d", 1);
        g_autoptr(RpcMessage) message = carry(rpc_message_error(9, error));
        g_assert_cmpint(message->kind, ==, RPC_MESSAGE_ERROR);
        g_assert_cmpint(message->id, ==, 9);
        g_assert_error(message->error, BERTH_ERROR, (int)codes[i]);
        g_assert_cmpstr(message->error->message, ==, "bad \xef\xbf\xbd number 1");
        g_assert_cmpstr(berth_error_field(message->error), ==, "size.cpu");
        g_assert_cmpstr(berth_error_value(message->error), ==, "4x");
        g_assert_cmpstr(berth_error_remedy(message->error), ==, "write 4");
    }
}

static void test_error_of_another_domain(void)
{
    g_autoptr(GError) error = g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_NOENT, "no file");
    g_autoptr(RpcMessage) message = carry(rpc_message_error(-1, error));
    g_assert_cmpint(message->id, ==, -1);
    g_assert_error(message->error, BERTH_ERROR, BERTH_ERROR_INTERNAL);
    g_assert_cmpstr(message->error->message, ==, "no file");
    g_assert_null(berth_error_field(message->error));
}

static void test_errors_of_foreign_peers(void)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,\"message\":\"m\"}}",
         BERTH_ERROR_NOT_FOUND},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32602}}", BERTH_ERROR_INVALID},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"data\":[]}}",
         BERTH_ERROR_INVALID},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"data\":{\"code\":\"of-tomorrow\"}}}",
         BERTH_ERROR_INTERNAL},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"data\":{\"code\":7,\"field\":{}}}}",
         BERTH_ERROR_INTERNAL},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(RpcMessage) message =
            rpc_message_parse(cases[i].text, strlen(cases[i].text), NULL);
        g_assert_nonnull(message);
        g_assert_error(message->error, BERTH_ERROR, cases[i].code);
    }
}

static void test_no_such_method(void)
{
    g_autoptr(GError) error = rpc_error_no_method("vm.fly");
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
    g_assert_cmpstr(berth_error_value(error), ==, "vm.fly");
}

static void test_what_is_no_message_is_refused(void)
{
    assert_refused("", NULL);
    assert_refused("{", NULL);
    assert_refused("[]", NULL);
    assert_refused("7", NULL);
    assert_refused("{}", "jsonrpc");
    assert_refused("{\"jsonrpc\":\"1.0\",\"method\":\"m\"}", "jsonrpc");
    assert_refused("{\"jsonrpc\":2.0,\"method\":\"m\"}", "jsonrpc");
    assert_refused("{\"jsonrpc\":\"2.0\"}", NULL);
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1}", NULL);
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":-1,\"method\":\"m\"}", "id");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"m\"}", "id");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"m\"}", "id");
    assert_refused("{\"jsonrpc\":\"2.0\",\"method\":\"\"}", "method");
    assert_refused("{\"jsonrpc\":\"2.0\",\"method\":null}", "method");
    assert_refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[1]}", "params");
    assert_refused("{\"jsonrpc\":\"2.0\",\"result\":{}}", "id");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":\"no\"}", "error");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{},\"result\":{}}", "error");
    assert_refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"method\":\"n\"}", NULL);
    assert_refused("{\"jsonrpc\":\"2.0\",\"method\":\"\\u0000\"}", NULL);
}

static void test_deep_brackets_are_refused(void)
{
    g_autofree char *brackets = g_strnfill(200000, '[');
    assert_refused(brackets, NULL);
    g_autofree char *hidden =
        g_strdup_printf("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{\"a\":%s", brackets);
    assert_refused(hidden, NULL);
}

static void test_unknown_members_are_ignored(void)
{
    static const char text[] = "{\"jsonrpc\":\"2.0\",\"trace\":[1],\"method\":\"m\",\"id\":null}";
    g_autoptr(RpcMessage) message = rpc_message_parse(text, strlen(text), NULL);
    g_assert_nonnull(message);
    g_assert_cmpint(message->kind, ==, RPC_MESSAGE_NOTIFY);
}

static void test_oversized_message_leaves_the_buffer_alone(void)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    json_t *message = rpc_message_notify("a.rather.long.method", NULL);
    g_assert_false(rpc_message_frame(out, message, 20, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
    g_assert_cmpuint(out->len, ==, 0);
    json_decref(message);
}

static RpcHello *hello_of(const char *protocol, int major, int minor)
{
    static const char *const capabilities[] = {"console", "exec", NULL};
    json_t *identity = json_pack("{s:s}", "host", "h1");
    RpcHello *hello = rpc_hello_new(protocol, major, minor, capabilities, identity);
    json_decref(identity);
    return hello;
}

static RpcHello *meet(RpcHello *theirs, GError **error)
{
    g_autoptr(RpcHello) ours = hello_of("berth-agent", 1, 3);
    g_autoptr(RpcMessage) first = carry(rpc_hello_message(theirs));
    rpc_hello_free(theirs);
    return rpc_hello_accept(ours, first, error);
}

static void test_hello_carries_all(void)
{
    g_autoptr(RpcHello) hello = meet(hello_of("berth-agent", 1, 3), NULL);
    g_assert_nonnull(hello);
    g_assert_true(rpc_hello_has(hello, "console"));
    g_assert_false(rpc_hello_has(hello, "consol"));
    g_assert_cmpstr(json_string_value(json_object_get(hello->identity, "host")), ==, "h1");
}

static void test_hello_of_other_minors_is_accepted(void)
{
    static const int minors[] = {0, 2, 4, 1000};
    for (guint i = 0; i < G_N_ELEMENTS(minors); i++) {
        g_autoptr(RpcHello) hello = meet(hello_of("berth-agent", 1, minors[i]), NULL);
        g_assert_nonnull(hello);
        g_assert_cmpint(hello->minor, ==, minors[i]);
    }
}

static void test_hello_of_another_major_is_refused(void)
{
    g_autoptr(GError) newer = NULL;
    g_assert_null(meet(hello_of("berth-agent", 2, 0), &newer));
    g_assert_error(newer, BERTH_ERROR, BERTH_ERROR_PRECONDITION);
    g_assert_cmpstr(berth_error_value(newer), ==, "2.0");
    g_assert_cmpstr(berth_error_remedy(newer), ==, "upgrade this program");
    g_assert_nonnull(strstr(newer->message, "1.3"));
    g_autoptr(GError) older = NULL;
    g_assert_null(meet(hello_of("berth-agent", 0, 9), &older));
    g_assert_cmpstr(berth_error_remedy(older), ==, "upgrade the peer's program");
}

static void test_hello_of_another_protocol_is_refused(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(meet(hello_of("berth-keeper", 1, 3), &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_value(error), ==, "berth-keeper");
}

static void assert_hello_refused(const char *text, const char *field)
{
    g_autoptr(RpcHello) ours = hello_of("p", 1, 0);
    g_autoptr(RpcMessage) first = rpc_message_parse(text, strlen(text), NULL);
    g_autoptr(GError) error = NULL;
    g_assert_nonnull(first);
    g_assert_null(rpc_hello_accept(ours, first, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, field);
}

#define HELLO(params) "{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":{" params "}}"

static void test_hello_that_is_none_is_refused(void)
{
    assert_hello_refused("{\"jsonrpc\":\"2.0\",\"method\":\"vm.apply\"}", "method");
    assert_hello_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", "method");
    assert_hello_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\"}", "method");
    assert_hello_refused(HELLO(""), "protocol");
    assert_hello_refused(HELLO("\"protocol\":\"p\""), "major");
    assert_hello_refused(HELLO("\"protocol\":\"p\",\"major\":\"1\""), "major");
    assert_hello_refused(HELLO("\"protocol\":\"p\",\"major\":-1"), "major");
    assert_hello_refused(HELLO("\"protocol\":\"p\",\"major\":4294967297"), "major");
    assert_hello_refused(HELLO("\"protocol\":\"p\",\"major\":1"), "minor");
    assert_hello_refused(HELLO("\"protocol\":\"p\",\"major\":1,\"minor\":0,\"identity\":7"),
                         "identity");
}

static void test_least_hello_is_accepted(void)
{
    static const char text[] = HELLO("\"protocol\":\"p\",\"major\":1,\"minor\":0");
    g_autoptr(RpcHello) ours = hello_of("p", 1, 0);
    g_autoptr(RpcMessage) first = rpc_message_parse(text, strlen(text), NULL);
    g_autoptr(RpcHello) theirs = rpc_hello_accept(ours, first, NULL);
    g_assert_nonnull(theirs);
    g_assert_cmpuint(g_strv_length(theirs->capabilities), ==, 0);
    g_assert_true(json_is_object(theirs->identity));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/message/call-and-notification", test_call_and_notification);
    g_test_add_func("/rpc/message/peek-sees-what-our-own-peers-write",
                    test_peek_sees_what_our_own_peers_write);
    g_test_add_func("/rpc/message/peek-leaves-everything-else-alone",
                    test_peek_leaves_everything_else_alone);
    g_test_add_func("/rpc/message/result", test_result);
    g_test_add_func("/rpc/message/error-keeps-all-that-it-carries",
                    test_error_keeps_all_that_it_carries);
    g_test_add_func("/rpc/message/error-of-another-domain", test_error_of_another_domain);
    g_test_add_func("/rpc/message/errors-of-foreign-peers", test_errors_of_foreign_peers);
    g_test_add_func("/rpc/message/no-such-method", test_no_such_method);
    g_test_add_func("/rpc/message/what-is-no-message-is-refused",
                    test_what_is_no_message_is_refused);
    g_test_add_func("/rpc/message/deep-brackets-are-refused", test_deep_brackets_are_refused);
    g_test_add_func("/rpc/message/unknown-members-are-ignored", test_unknown_members_are_ignored);
    g_test_add_func("/rpc/message/oversized-message-leaves-the-buffer-alone",
                    test_oversized_message_leaves_the_buffer_alone);
    g_test_add_func("/rpc/hello/carries-all", test_hello_carries_all);
    g_test_add_func("/rpc/hello/other-minors-are-accepted", test_hello_of_other_minors_is_accepted);
    g_test_add_func("/rpc/hello/another-major-is-refused", test_hello_of_another_major_is_refused);
    g_test_add_func("/rpc/hello/another-protocol-is-refused",
                    test_hello_of_another_protocol_is_refused);
    g_test_add_func("/rpc/hello/none-is-refused", test_hello_that_is_none_is_refused);
    g_test_add_func("/rpc/hello/least-is-accepted", test_least_hello_is_accepted);
    return g_test_run();
}
