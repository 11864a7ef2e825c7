/*
 * An agent as a test needs it: speaks to keeper.sock, one thing at a time, and waits for the
 * answer.
 *
 * `turn`, where given, is called while it waits: a test that has the keeper in its own process
 * turns the loop there. Every wait ends with a failed assertion after half a minute.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "rpc/message.h"

typedef struct Peer Peer;

/* Connects; says nothing yet. */
Peer *peer_new(const char *path, void (*turn)(void));
void peer_free(Peer *peer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peer, peer_free)

/* Connects, greets and hears the keeper's hello. */
Peer *peer_greeted(const char *path, void (*turn)(void));

void peer_send_bytes(Peer *peer, const void *bytes, size_t n);
void peer_send(Peer *peer, json_t *message); /* takes `message` */
void peer_greet(Peer *peer, const char *protocol, int major, int minor);

/* The next message; NULL when the keeper has closed the connection. */
RpcMessage *peer_hear(Peer *peer);

/* Calls without params where `params` is NULL; takes `params`. What the answer is, the test
 * asserts. */
RpcMessage *peer_call(Peer *peer, const char *method, json_t *params);
