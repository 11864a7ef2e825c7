/* Frames of the agent's channel, however they are cut, and the messages and params within. */
#include "fuzz.h"

#include "rpc/frame.h"
#include "rpc/message.h"
#include "schema/agent.h"

#define MAX_FRAME_BYTES 2048

static const struct {
    const char *method;
    const CodecType *params;
} methods[] = {
    {AGENT_METHOD_VM_APPLY, &assignment_type},
    {AGENT_METHOD_VM_REMOVE, &vm_remove_type},
    {AGENT_METHOD_VM_EXEC, &vm_exec_type},
    {AGENT_METHOD_NETWORK_APPLY, &network_assignment_type},
    {AGENT_METHOD_NETWORK_REMOVE, &network_remove_type},
    {AGENT_METHOD_IMAGE_REMOVE, &image_remove_type},
    {AGENT_METHOD_CONSOLE_OPEN, &console_open_type},
    {AGENT_METHOD_CONSOLE_INPUT, &console_data_type},
    {AGENT_METHOD_CONSOLE_CLOSE, &console_close_type},
    {AGENT_METHOD_AGENT_REPORT, &agent_report_type},
    {AGENT_METHOD_IMAGE_LOCATE, &image_locate_type},
};

static json_t *write_again(const RpcMessage *message)
{
    switch (message->kind) {
    case RPC_MESSAGE_CALL:
        return rpc_message_call(message->id, message->method, message->params);
    case RPC_MESSAGE_NOTIFY:
        return rpc_message_notify(message->method, message->params);
    case RPC_MESSAGE_RESULT:
        return rpc_message_result(message->id, message->result);
    case RPC_MESSAGE_ERROR:
        return rpc_message_error(message->id, message->error);
    }
    g_assert_not_reached();
}

static void check_message(const RpcMessage *message)
{
    json_t *json = write_again(message);
    g_autofree char *text = codec_dump(json);
    json_decref(json);
    g_autoptr(GError) error = NULL;
    g_autoptr(RpcMessage) again = rpc_message_parse(text, strlen(text), &error);
    g_assert_no_error(error);
    g_assert_cmpint(again->kind, ==, message->kind);
    g_assert_cmpint(again->id, ==, message->id);
    g_assert_cmpstr(again->method, ==, message->method);
    g_assert_true(message->params == NULL || json_equal(again->params, message->params));
    g_assert_true(message->result == NULL || json_equal(again->result, message->result));
    g_assert_true(message->error == NULL || again->error->code == message->error->code);
    for (size_t i = 0; message->params != NULL && i < G_N_ELEMENTS(methods); i++) {
        if (strcmp(methods[i].method, message->method) == 0) {
            fuzz_round_trip(methods[i].params, message->params, CODEC_TOLERANT);
        }
    }
}

static void read_in_pieces(const uint8_t *data, size_t size, size_t piece, GString *seen)
{
    g_autoptr(RpcFrames) frames = rpc_frames_new(MAX_FRAME_BYTES);
    RpcFrameResult result = RPC_FRAME_MORE;
    for (size_t i = 0; i < size && result != RPC_FRAME_BAD; i += piece) {
        rpc_frames_push(frames, data + i, MIN(piece, size - i));
        const char *frame;
        size_t frame_size;
        while ((result = rpc_frames_next(frames, &frame, &frame_size, NULL)) == RPC_FRAME_WHOLE) {
            g_assert_cmpuint(frame_size, <=, MAX_FRAME_BYTES);
            g_string_append_printf(seen, "%zu ", frame_size);
            g_autoptr(RpcMessage) message =
                piece > 1 ? rpc_message_parse(frame, frame_size, NULL) : NULL;
            if (message != NULL) {
                check_message(message);
            }
        }
    }
    g_string_append_printf(seen, "%s", result == RPC_FRAME_BAD ? "bad" : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GString) whole = g_string_new(NULL);
    g_autoptr(GString) bytes = g_string_new(NULL);
    read_in_pieces(data, size, size + 2, whole);
    read_in_pieces(data, size, 1, bytes);
    g_assert_cmpstr(whole->str, ==, bytes->str);
    return 0;
}
