/* What a peer says first, and errors, which travel inside other protocols too. */
#include "fuzz.h"

#include "base/error.h"
#include "rpc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(RpcMessage) message = rpc_message_parse((const char *)data, size, NULL);
    if (message == NULL) {
        return 0;
    }
    g_autoptr(RpcHello) ours = rpc_hello_new("berth-agent", 1, 3, NULL, NULL);
    g_autoptr(RpcHello) theirs = rpc_hello_accept(ours, message, NULL);
    if (theirs != NULL) {
        g_assert_nonnull(theirs->capabilities);
        g_assert_true(json_is_object(theirs->identity));
        g_assert_cmpint(theirs->major, ==, ours->major);
    }
    if (message->error != NULL) {
        g_autofree char *text = berth_error_describe(message->error);
        g_assert_nonnull(text);
        json_t *json = rpc_error_to_json(message->error);
        g_autoptr(GError) again = rpc_error_from_json(json);
        g_assert_cmpint(again->code, ==, message->error->code);
        g_assert_cmpstr(again->message, ==, message->error->message);
        json_decref(json);
    }
    return 0;
}
