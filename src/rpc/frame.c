#include "rpc/frame.h"

#include <string.h>

#include "base/error.h"

/* An idle connection keeps at most this much; thousands of them are idle. */
#define KEEP_BYTES 1024

struct RpcFrames {
    char *data;
    size_t capacity;
    size_t start, end; /* what is not yet taken */
    size_t max_frame_bytes;
    size_t bad_length;
    bool bad;
};

static bool refuse(size_t length, size_t limit, GError **error)
{
    g_autofree char *value = g_strdup_printf("%zu bytes", length);
    g_autofree char *remedy = g_strdup_printf("send at most %zu bytes in one message", limit);
    return berth_error_set(error, BERTH_ERROR_TOO_LARGE, NULL, value, remedy,
                           "a frame of %zu bytes is over the limit of %zu bytes", length, limit);
}

RpcFrames *rpc_frames_new(size_t max_frame_bytes)
{
    RpcFrames *frames = g_new0(RpcFrames, 1);
    frames->max_frame_bytes = max_frame_bytes > 0 ? max_frame_bytes : RPC_FRAME_MAX_BYTES;
    return frames;
}

void rpc_frames_free(RpcFrames *frames)
{
    if (frames != NULL) {
        g_free(frames->data);
        g_free(frames);
    }
}

static void make_room(RpcFrames *frames, size_t size)
{
    size_t held = frames->end - frames->start;
    if (frames->capacity - frames->end >= size) {
        return;
    }
    if (frames->start > 0) {
        memmove(frames->data, frames->data + frames->start, held);
        frames->start = 0;
        frames->end = held;
    }
    if (frames->capacity - held < size) {
        frames->capacity = MAX(held + size, frames->capacity + frames->capacity / 2);
        frames->data = g_realloc(frames->data, frames->capacity);
    }
}

void rpc_frames_push(RpcFrames *frames, const void *data, size_t size)
{
    if (frames->bad || size == 0) {
        return;
    }
    make_room(frames, size);
    memcpy(frames->data + frames->end, data, size);
    frames->end += size;
}

static void drop_all(RpcFrames *frames)
{
    frames->start = frames->end = 0;
    if (frames->capacity > KEEP_BYTES) {
        g_clear_pointer(&frames->data, g_free);
        frames->capacity = 0;
    }
}

RpcFrameResult rpc_frames_next(RpcFrames *frames, const char **ret_data, size_t *ret_size,
                               GError **error)
{
    if (frames->bad) {
        refuse(frames->bad_length, frames->max_frame_bytes, error);
        return RPC_FRAME_BAD;
    }
    size_t held = frames->end - frames->start;
    if (held == 0) {
        drop_all(frames);
    }
    if (held < RPC_FRAME_HEADER_BYTES) {
        return RPC_FRAME_MORE;
    }
    uint32_t length_be;
    memcpy(&length_be, frames->data + frames->start, sizeof length_be);
    size_t length = GUINT32_FROM_BE(length_be);
    if (length > frames->max_frame_bytes) {
        frames->bad = true;
        frames->bad_length = length;
        drop_all(frames);
        refuse(length, frames->max_frame_bytes, error);
        return RPC_FRAME_BAD;
    }
    if (held - RPC_FRAME_HEADER_BYTES < length) {
        return RPC_FRAME_MORE;
    }
    *ret_data = frames->data + frames->start + RPC_FRAME_HEADER_BYTES;
    *ret_size = length;
    frames->start += RPC_FRAME_HEADER_BYTES + length;
    return RPC_FRAME_WHOLE;
}

size_t rpc_frames_pending(const RpcFrames *frames)
{
    return frames->end - frames->start;
}

guint rpc_frame_begin(GByteArray *out)
{
    guint begin = out->len;
    g_byte_array_set_size(out, begin + RPC_FRAME_HEADER_BYTES);
    return begin;
}

bool rpc_frame_end(GByteArray *out, guint begin, size_t max_frame_bytes, GError **error)
{
    size_t limit = max_frame_bytes > 0 ? max_frame_bytes : RPC_FRAME_MAX_BYTES;
    size_t length = out->len - begin - RPC_FRAME_HEADER_BYTES;
    if (length > MIN(limit, UINT32_MAX)) {
        g_byte_array_set_size(out, begin);
        return refuse(length, limit, error);
    }
    uint32_t length_be = GUINT32_TO_BE((uint32_t)length);
    memcpy(out->data + begin, &length_be, sizeof length_be);
    return true;
}

bool rpc_frame_append(GByteArray *out, const void *data, size_t size, size_t max_frame_bytes,
                      GError **error)
{
    size_t limit = max_frame_bytes > 0 ? max_frame_bytes : RPC_FRAME_MAX_BYTES;
    if (size > limit) {
        return refuse(size, limit, error);
    }
    guint begin = rpc_frame_begin(out);
    g_byte_array_append(out, data, (guint)size);
    return rpc_frame_end(out, begin, max_frame_bytes, error);
}
