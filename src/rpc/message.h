/*
 * Messages: JSON-RPC 2.0, one message a frame, both sides call.
 *
 *     {"jsonrpc":"2.0","id":7,"method":"vm.apply","params":{…}}      a call
 *     {"jsonrpc":"2.0","method":"agent.measure","params":{…}}        a notification: no answer
 *     {"jsonrpc":"2.0","id":7,"result":{…}}
 *     {"jsonrpc":"2.0","id":7,"error":{"code":-32001,"message":"…",
 *         "data":{"code":"invalid","field":"size.cpu","value":"4x","remedy":"…"}}}
 *
 * Narrower than the standard where our own peers need no more: an id is an integer from 0 up,
 * params are an object, there are no batches. Unknown members are ignored, so that a newer peer may
 * add some. An error is a GError of BERTH_ERROR on both sides, with all that it carries.
 *
 * The first message in each direction is `hello`, a notification; see RpcHello.
 *
 * Threading: any thread, no state. No I/O.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_MESSAGE_MAX_DEPTH 32 /* of brackets, the envelope's included */

typedef enum {
    RPC_MESSAGE_CALL,
    RPC_MESSAGE_NOTIFY,
    RPC_MESSAGE_RESULT,
    RPC_MESSAGE_ERROR,
} RpcMessageKind;

typedef struct {
    RpcMessageKind kind;
    int64_t id;     /* -1 where there is none: notifications, errors about what had none */
    char *method;   /* calls and notifications */
    json_t *params; /* calls and notifications: an object, never NULL */
    json_t *result; /* results: never NULL, may be null */
    GError *error;  /* errors: the peer's, of BERTH_ERROR */
} RpcMessage;

/* Making one; the caller owns what comes back. `params` and `result` stay the caller's and may be
 * NULL, which stands for {}. An id of -1 in an error: not known which call it answers. Errors of
 * other domains go out as BERTH_ERROR_INTERNAL. */
json_t *rpc_message_call(int64_t id, const char *method, json_t *params);
json_t *rpc_message_notify(const char *method, json_t *params);
json_t *rpc_message_result(int64_t id, json_t *result);
json_t *rpc_message_error(int64_t id, const GError *error);

/* Appends the message to `out` as one frame. max_frame_bytes as in rpc/frame.h; on failure `out` is
 * as before. */
bool rpc_message_frame(GByteArray *out, const json_t *message, size_t max_frame_bytes,
                       GError **error);

/* One frame's payload. BERTH_ERROR_INVALID if it is no message: the stream cannot be trusted any
 * more, close it. */
RpcMessage *rpc_message_parse(const char *data, size_t size, GError **error);

/* A call or notification as our own peers write it, seen without parsing: all points into the
 * frame. `params` is what stands in their place, unread, and may yet be no JSON at all. */
typedef struct {
    int64_t id; /* -1: a notification */
    const char *method, *params;
    size_t method_size, params_size;
} RpcEnvelope;

/* False: something else, or written in another way: rpc_message_parse() tells. */
bool rpc_message_peek(const char *data, size_t size, RpcEnvelope *ret_envelope);

/* The frame of a result of {}, which most answers are. */
void rpc_message_frame_nothing(GByteArray *out, int64_t id);
void rpc_message_free(RpcMessage *message); /* takes NULL */

/* The error object alone, where a protocol carries it elsewhere; from_json never fails: what it
 * cannot read becomes BERTH_ERROR_INTERNAL. */
json_t *rpc_error_to_json(const GError *error);
GError *rpc_error_from_json(const json_t *json);

/* The error for a method that a program does not have, with the remedy. */
GError *rpc_error_no_method(const char *method);

/*
 * What each side says first. Protocol and major must be equal, minors may differ by any number: a
 * minor only adds. Who wants to use an addition asks for its capability, not for the minor.
 */
#define RPC_HELLO "hello"

typedef struct {
    char *protocol; /* berth-agent, berth-keeper */
    int major, minor;
    char **capabilities; /* never NULL */
    json_t *identity;    /* an object that the protocol defines; never NULL */
} RpcHello;

/* Copies its arguments; `capabilities` and `identity` may be NULL for none. */
RpcHello *rpc_hello_new(const char *protocol, int major, int minor, const char *const *capabilities,
                        json_t *identity);
RpcHello *rpc_hello_copy(const RpcHello *hello);
void rpc_hello_free(RpcHello *hello); /* takes NULL */

bool rpc_hello_has(const RpcHello *hello, const char *capability);

/* The whole message, ready for rpc_message_frame(). */
json_t *rpc_hello_message(const RpcHello *hello);

/* From the peer's first message. Refused: another message than hello, another protocol, another
 * major (BERTH_ERROR_PRECONDITION, with both versions and which side to upgrade). */
RpcHello *rpc_hello_accept(const RpcHello *ours, const RpcMessage *first, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcMessage, rpc_message_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcHello, rpc_hello_free)
