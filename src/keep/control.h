/*
 * keeper.sock: where agents ask and are told. JSON-RPC 2.0 in length-prefixed frames (rpc/frame.h,
 * rpc/message.h), `hello` first in both directions.
 *
 * Several connections at a time, so that an agent that starts again is not locked out by its
 * predecessor. A connection is dropped when it breaks the protocol, when it sends no hello, or when
 * it does not read and KEEP_CONTROL_QUEUE_BYTES wait for it: it can connect again and ask
 * keeper.status.
 *
 * Runs in the main loop's thread. Owns the listener.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

#define KEEP_CONTROL_CLIENTS_MAX 8
#define KEEP_CONTROL_FRAME_BYTES 65536
#define KEEP_CONTROL_QUEUE_BYTES 262144

typedef struct KeepControl KeepControl;

/* Carries out a call: a new reference to the result, or NULL with an error. */
typedef json_t *(*KeepControlCall)(const char *method, const json_t *params, gpointer data,
                                   GError **error);

KeepControl *keep_control_new(int listener, KeepControlCall call, gpointer data);

/* Closes all connections, after a last attempt to send what waits. */
void keep_control_free(KeepControl *control);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeepControl, keep_control_free)

/* Sends a notification to every connection that has said hello. */
void keep_control_notify(KeepControl *control, const char *method, const json_t *params);
