/*
 * Frames: a length of four bytes (unsigned, big-endian), then that many bytes. What turns a stream
 * of bytes into messages and back, on the agent's channel and on the keeper's socket.
 *
 * Bytes go in as they come, in any pieces; whole frames come out. Pull style, so that a caller who
 * is torn down while he handles one frame simply does not ask for the next:
 *
 *     rpc_frames_push(frames, buffer, n_read);
 *     while ((result = rpc_frames_next(frames, &data, &size, &error)) == RPC_FRAME_WHOLE) …
 *
 * A peer cannot make us hold more than it has sent: memory grows with the bytes that arrive, never
 * with the length that a header claims, and a length above the limit ends the stream at once.
 *
 * Threading: any thread; one decoder belongs to one caller at a time. No I/O.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_FRAME_HEADER_BYTES 4
#define RPC_FRAME_MAX_BYTES (8 << 20) /* limit where nobody sets another */

typedef struct RpcFrames RpcFrames;

typedef enum {
    RPC_FRAME_MORE,  /* no whole frame yet */
    RPC_FRAME_WHOLE, /* *ret_data and *ret_size are set */
    RPC_FRAME_BAD,   /* *error is BERTH_ERROR_TOO_LARGE with the length and the limit; for good */
} RpcFrameResult;

/* `max_frame_bytes` counts the payload; 0 means RPC_FRAME_MAX_BYTES. */
RpcFrames *rpc_frames_new(size_t max_frame_bytes);
void rpc_frames_free(RpcFrames *frames);

/* Copies. Ignored after RPC_FRAME_BAD. */
void rpc_frames_push(RpcFrames *frames, const void *data, size_t size);

/* The next frame's payload, which may be empty; it stays the decoder's and is valid until the next
 * push or free. */
RpcFrameResult rpc_frames_next(RpcFrames *frames, const char **ret_data, size_t *ret_size,
                               GError **error);

/* Bytes held of frames that are not yet taken. Not 0 at the end of a stream: it was cut. */
size_t rpc_frames_pending(const RpcFrames *frames);

/* Writing a frame in place: begin leaves room for the length and says where, the caller appends the
 * payload to `out`, end fills in the length. Over the limit, end takes the frame away again and
 * returns BERTH_ERROR_TOO_LARGE. */
guint rpc_frame_begin(GByteArray *out);
bool rpc_frame_end(GByteArray *out, guint begin, size_t max_frame_bytes, GError **error);

/* The same in one step. */
bool rpc_frame_append(GByteArray *out, const void *data, size_t size, size_t max_frame_bytes,
                      GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcFrames, rpc_frames_free)
