#include "rpc/message.h"

#include <string.h>

#include "base/codec.h"
#include "base/error.h"
#include "rpc/frame.h"

/* JSON-RPC leaves -32099 … -32000 to the implementation: ours is -32000 minus the BerthErrorCode.
 * The name in `data` is what counts; the number serves foreign tools. */
#define CODE_BASE (-32000)
#define CODE_PARSE (-32700)
#define CODE_REQUEST (-32600)
#define CODE_METHOD (-32601)
#define CODE_PARAMS (-32602)

#define VERSION "{\"jsonrpc\":\"2.0\"," /* as every message of ours begins */

static json_t *or_empty(json_t *json)
{
    return json != NULL ? json_incref(json) : json_object();
}

static json_t *envelope(int64_t id)
{
    json_t *message = json_object();
    json_object_set_new_nocheck(message, "jsonrpc", json_string_nocheck("2.0"));
    if (id >= 0) {
        json_object_set_new_nocheck(message, "id", json_integer(id));
    }
    return message;
}

json_t *rpc_message_call(int64_t id, const char *method, json_t *params)
{
    json_t *message = envelope(id);
    json_object_set_new(message, "method", json_string(method));
    json_object_set_new_nocheck(message, "params", or_empty(params));
    return message;
}

json_t *rpc_message_notify(const char *method, json_t *params)
{
    return rpc_message_call(-1, method, params);
}

json_t *rpc_message_result(int64_t id, json_t *result)
{
    json_t *message = envelope(id);
    json_object_set_new_nocheck(message, "result", or_empty(result));
    return message;
}

json_t *rpc_message_error(int64_t id, const GError *error)
{
    json_t *message = envelope(id);
    if (id < 0) {
        json_object_set_new_nocheck(message, "id", json_null());
    }
    json_object_set_new_nocheck(message, "error", rpc_error_to_json(error));
    return message;
}

/* Text of a leaf may stem from anywhere; JSON must be UTF-8. */
static void set_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL) {
        g_autofree char *valid = g_utf8_make_valid(text, -1);
        json_object_set_new_nocheck(object, key, json_string_nocheck(valid));
    }
}

json_t *rpc_error_to_json(const GError *error)
{
    json_t *data = json_object();
    set_text(data, "code", berth_error_code_name(error));
    set_text(data, "field", berth_error_field(error));
    set_text(data, "value", berth_error_value(error));
    set_text(data, "remedy", berth_error_remedy(error));
    int code = error->domain == BERTH_ERROR ? error->code : BERTH_ERROR_INTERNAL;
    json_t *json = json_object();
    json_object_set_new_nocheck(json, "code", json_integer(CODE_BASE - code));
    set_text(json, "message", error->message);
    json_object_set_new_nocheck(json, "data", data);
    return json;
}

static BerthErrorCode code_from_json(const json_t *json)
{
    BerthErrorCode code;
    const json_t *name = json_object_get(json_object_get(json, "data"), "code");
    if (json_is_string(name) && berth_error_code_from_name(json_string_value(name), &code)) {
        return code;
    }
    switch (json_integer_value(json_object_get(json, "code"))) {
    case CODE_PARSE:
    case CODE_REQUEST:
    case CODE_PARAMS:
        return BERTH_ERROR_INVALID;
    case CODE_METHOD:
        return BERTH_ERROR_NOT_FOUND;
    default:
        return BERTH_ERROR_INTERNAL;
    }
}

GError *rpc_error_from_json(const json_t *json)
{
    const json_t *data = json_object_get(json, "data");
    const char *message = json_string_value(json_object_get(json, "message"));
    GError *error = NULL;
    berth_error_set(&error, code_from_json(json), json_string_value(json_object_get(data, "field")),
                    json_string_value(json_object_get(data, "value")),
                    json_string_value(json_object_get(data, "remedy")), "%s",
                    message != NULL ? message : "the peer reports an error without a message");
    return error;
}

GError *rpc_error_no_method(const char *method)
{
    GError *error = NULL;
    berth_error_set(&error, BERTH_ERROR_NOT_FOUND, "method", method,
                    "the two programs may be of different releases: compare their versions",
                    "no such method");
    return error;
}

static int append(const char *data, size_t size, void *out)
{
    g_byte_array_append(out, (const guint8 *)data, (guint)size);
    return 0;
}

bool rpc_message_frame(GByteArray *out, const json_t *message, size_t max_frame_bytes,
                       GError **error)
{
    guint begin = rpc_frame_begin(out);
    if (json_dump_callback(message, append, out, JSON_COMPACT) != 0) {
        g_byte_array_set_size(out, begin);
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                               "a message cannot be written as JSON");
    }
    return rpc_frame_end(out, begin, max_frame_bytes, error);
}

void rpc_message_frame_nothing(GByteArray *out, int64_t id)
{
    char text[80];
    int size =
        g_snprintf(text, sizeof text, VERSION "\"id\":%" G_GINT64_FORMAT ",\"result\":{}}", id);
    rpc_frame_append(out, text, (size_t)size, 0, NULL);
}

typedef struct {
    const char *at, *end;
} Peek;

static bool skip(Peek *peek, const char *wanted)
{
    size_t size = strlen(wanted);
    if ((size_t)(peek->end - peek->at) < size || memcmp(peek->at, wanted, size) != 0) {
        return false;
    }
    peek->at += size;
    return true;
}

static bool peek_id(Peek *peek, int64_t *ret_id)
{
    *ret_id = -1;
    if (!skip(peek, "\"id\":")) {
        return true;
    }
    const char *begin = peek->at;
    int64_t id = 0;
    for (; peek->at < peek->end && g_ascii_isdigit(*peek->at) && peek->at - begin < 18;
         peek->at++) {
        id = id * 10 + (*peek->at - '0');
    }
    *ret_id = id;
    bool leading_zero = *begin == '0' && peek->at - begin > 1;
    return peek->at > begin && !leading_zero && skip(peek, ",");
}

bool rpc_message_peek(const char *data, size_t size, RpcEnvelope *ret_envelope)
{
    Peek peek = {data, data + size};
    if (!skip(&peek, VERSION) || !peek_id(&peek, &ret_envelope->id) ||
        !skip(&peek, "\"method\":\"")) {
        return false;
    }
    ret_envelope->method = peek.at;
    while (peek.at < peek.end &&
           (g_ascii_isalnum(*peek.at) || *peek.at == '.' || *peek.at == '-')) {
        peek.at++;
    }
    ret_envelope->method_size = (size_t)(peek.at - ret_envelope->method);
    if (!skip(&peek, "\",\"params\":") || peek.at == peek.end || peek.end[-1] != '}') {
        return false;
    }
    ret_envelope->params = peek.at;
    ret_envelope->params_size = (size_t)(peek.end - 1 - peek.at);
    return true;
}

static bool refuse(GError **error, const char *field, const char *remedy)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, field, NULL, remedy,
                           "not a JSON-RPC 2.0 message");
}

static bool read_id(const json_t *json, RpcMessage *message, bool *ret_present, GError **error)
{
    const json_t *id = json_object_get(json, "id");
    *ret_present = id != NULL && !json_is_null(id);
    if (*ret_present) {
        if (!json_is_integer(id) || json_integer_value(id) < 0) {
            return refuse(error, "id", "send an integer from 0 up");
        }
        message->id = json_integer_value(id);
    }
    return true;
}

static bool read_request(const json_t *json, bool has_id, RpcMessage *message, GError **error)
{
    const json_t *method = json_object_get(json, "method");
    if (!json_is_string(method) || json_string_length(method) == 0) {
        return refuse(error, "method", "send the method's name");
    }
    json_t *params = json_object_get(json, "params");
    if (params != NULL && !json_is_object(params)) {
        return refuse(error, "params", "send an object");
    }
    message->kind = has_id ? RPC_MESSAGE_CALL : RPC_MESSAGE_NOTIFY;
    message->method = g_strdup(json_string_value(method));
    message->params = or_empty(params);
    return true;
}

static bool read_answer(const json_t *json, bool has_id, RpcMessage *message, GError **error)
{
    const json_t *problem = json_object_get(json, "error");
    json_t *result = json_object_get(json, "result");
    if (problem != NULL) {
        if (!json_is_object(problem) || result != NULL) {
            return refuse(error, "error", "send either an error object or a result");
        }
        message->kind = RPC_MESSAGE_ERROR;
        message->error = rpc_error_from_json(problem);
        return true;
    }
    if (result == NULL) {
        return refuse(error, NULL, "send a method, a result or an error");
    }
    if (!has_id) {
        return refuse(error, "id", "say which call the result answers");
    }
    message->kind = RPC_MESSAGE_RESULT;
    message->result = json_incref(result);
    return true;
}

static bool read_envelope(const json_t *json, RpcMessage *message, GError **error)
{
    if (!json_is_object(json)) {
        return refuse(error, NULL, "send one object: batches are not part of this protocol");
    }
    const char *version = json_string_value(json_object_get(json, "jsonrpc"));
    if (g_strcmp0(version, "2.0") != 0) {
        return refuse(error, "jsonrpc", "send \"jsonrpc\":\"2.0\"");
    }
    bool has_id;
    if (!read_id(json, message, &has_id, error)) {
        return false;
    }
    return json_object_get(json, "method") != NULL ? read_request(json, has_id, message, error)
                                                   : read_answer(json, has_id, message, error);
}

RpcMessage *rpc_message_parse(const char *data, size_t size, GError **error)
{
    CodecLimits limits = {.max_bytes = MAX(size, 1), .max_depth = RPC_MESSAGE_MAX_DEPTH};
    json_t *json = codec_parse(data, size, &limits, error);
    if (json == NULL) {
        return NULL;
    }
    g_autoptr(RpcMessage) message = g_new0(RpcMessage, 1);
    message->id = -1;
    bool sound = read_envelope(json, message, error);
    json_decref(json);
    return sound ? g_steal_pointer(&message) : NULL;
}

void rpc_message_free(RpcMessage *message)
{
    if (message != NULL) {
        g_free(message->method);
        json_decref(message->params);
        json_decref(message->result);
        g_clear_error(&message->error);
        g_free(message);
    }
}

RpcHello *rpc_hello_new(const char *protocol, int major, int minor, const char *const *capabilities,
                        json_t *identity)
{
    RpcHello *hello = g_new0(RpcHello, 1);
    hello->protocol = g_strdup(protocol);
    hello->major = major;
    hello->minor = minor;
    hello->capabilities =
        capabilities != NULL ? g_strdupv((char **)capabilities) : g_new0(char *, 1);
    hello->identity = or_empty(identity);
    return hello;
}

RpcHello *rpc_hello_copy(const RpcHello *hello)
{
    return rpc_hello_new(hello->protocol, hello->major, hello->minor,
                         (const char *const *)hello->capabilities, hello->identity);
}

void rpc_hello_free(RpcHello *hello)
{
    if (hello != NULL) {
        g_free(hello->protocol);
        g_strfreev(hello->capabilities);
        json_decref(hello->identity);
        g_free(hello);
    }
}

bool rpc_hello_has(const RpcHello *hello, const char *capability)
{
    return g_strv_contains((const char *const *)hello->capabilities, capability);
}

json_t *rpc_hello_message(const RpcHello *hello)
{
    json_t *capabilities = json_array();
    for (char **name = hello->capabilities; *name != NULL; name++) {
        json_array_append_new(capabilities, json_string(*name));
    }
    json_t *params = json_object();
    json_object_set_new(params, "protocol", json_string(hello->protocol));
    json_object_set_new(params, "major", json_integer(hello->major));
    json_object_set_new(params, "minor", json_integer(hello->minor));
    json_object_set_new(params, "capabilities", capabilities);
    json_object_set(params, "identity", hello->identity);
    json_t *message = rpc_message_notify(RPC_HELLO, params);
    json_decref(params);
    return message;
}

static bool read_version(const json_t *params, const char *key, int *ret_number, GError **error)
{
    const json_t *value = json_object_get(params, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > G_MAXINT) {
        return berth_error_set(error, BERTH_ERROR_INVALID, key, NULL, "send an integer from 0 up",
                               "the peer's hello has no sound version");
    }
    *ret_number = (int)json_integer_value(value);
    return true;
}

static RpcHello *read_hello(const json_t *params, GError **error)
{
    const json_t *protocol = json_object_get(params, "protocol");
    int major, minor;
    if (!json_is_string(protocol)) {
        berth_error_set(error, BERTH_ERROR_INVALID, "protocol", NULL, "send the protocol's name",
                        "the peer's hello names no protocol");
        return NULL;
    }
    if (!read_version(params, "major", &major, error) ||
        !read_version(params, "minor", &minor, error)) {
        return NULL;
    }
    json_t *identity = json_object_get(params, "identity");
    if (identity != NULL && !json_is_object(identity)) {
        berth_error_set(error, BERTH_ERROR_INVALID, "identity", NULL, "send an object",
                        "the peer's hello has no sound identity");
        return NULL;
    }
    const json_t *capabilities = json_object_get(params, "capabilities");
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    size_t index;
    json_t *name;
    json_array_foreach (capabilities, index, name) {
        if (json_is_string(name)) {
            g_strv_builder_add(names, json_string_value(name));
        }
    }
    g_auto(GStrv) list = g_strv_builder_end(names);
    return rpc_hello_new(json_string_value(protocol), major, minor, (const char *const *)list,
                         identity);
}

static bool versions_fit(const RpcHello *ours, const RpcHello *theirs, GError **error)
{
    if (strcmp(ours->protocol, theirs->protocol) != 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "protocol", theirs->protocol,
                               "check the address: another program listens there",
                               "the peer speaks another protocol than %s", ours->protocol);
    }
    if (ours->major != theirs->major) {
        g_autofree char *value = g_strdup_printf("%d.%d", theirs->major, theirs->minor);
        return berth_error_set(error, BERTH_ERROR_PRECONDITION, "major", value,
                               ours->major < theirs->major ? "upgrade this program"
                                                           : "upgrade the peer's program",
                               "the peer speaks %s %d.%d, this program %d.%d", ours->protocol,
                               theirs->major, theirs->minor, ours->major, ours->minor);
    }
    return true;
}

RpcHello *rpc_hello_accept(const RpcHello *ours, const RpcMessage *first, GError **error)
{
    if (first->kind != RPC_MESSAGE_NOTIFY || strcmp(first->method, RPC_HELLO) != 0) {
        berth_error_set(error, BERTH_ERROR_INVALID, "method", first->method, "send hello first",
                        "the peer's first message is not hello");
        return NULL;
    }
    g_autoptr(RpcHello) theirs = read_hello(first->params, error);
    if (theirs == NULL || !versions_fit(ours, theirs, error)) {
        return NULL;
    }
    return g_steal_pointer(&theirs);
}
