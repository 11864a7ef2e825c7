/*
 * When to dial again: a state machine without I/O, clock or randomness of its own.
 *
 *              due                 succeeded
 *     WAITING ─────▶ TRYING ─────────────────▶ UP
 *        ▲              │ lost                  │ lost
 *        └──────────────┴───────────────────────┘
 *
 * The first attempt is due at once. After the n-th failure in a row the wait is drawn uniformly
 * from [0, min(max, min * 2^n)]: exponential back-off with full jitter (Brooker, "Exponential
 * Backoff And Jitter", 2015), so that thousands of peers that lost the same server at the same
 * moment do not come back at the same moment. A connection that was up for stable_ms counts as a
 * fresh start; a shorter one counts as a failure, so that a server which accepts and hangs up is
 * not dialled in a loop.
 *
 * `now_ms` is a monotonic clock in milliseconds. A plain value; one owner at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

typedef enum {
    RPC_RECONNECT_WAITING,
    RPC_RECONNECT_TRYING,
    RPC_RECONNECT_UP,
    RPC_RECONNECT_STOPPED,
} RpcReconnectState;

/* Zeros take the default in brackets. */
typedef struct {
    int64_t min_ms;    /* [250] */
    int64_t max_ms;    /* [10,000] */
    int64_t stable_ms; /* [10,000] */
} RpcReconnectLimits;

/* To be read, not written, by others. */
typedef struct {
    RpcReconnectState state;
    int64_t since_ms;  /* of the state */
    int64_t due_ms;    /* WAITING: when to try */
    unsigned failures; /* in a row */
    RpcReconnectLimits limits;
    BerthRng rng;
} RpcReconnect;

/* `limits` may be NULL. */
void rpc_reconnect_init(RpcReconnect *reconnect, const RpcReconnectLimits *limits, uint64_t seed,
                        int64_t now_ms);

/* When rpc_reconnect_try() is to be called next; -1: something else must happen first. */
int64_t rpc_reconnect_due_ms(const RpcReconnect *reconnect);

/* True: dial now, the state is TRYING. */
bool rpc_reconnect_try(RpcReconnect *reconnect, int64_t now_ms);

void rpc_reconnect_succeeded(RpcReconnect *reconnect, int64_t now_ms);

/* The attempt failed, or the connection is gone. Returns the wait in ms. */
int64_t rpc_reconnect_lost(RpcReconnect *reconnect, int64_t now_ms);

/* Something has changed (a network is up, a person asks): do not wait any longer. */
void rpc_reconnect_hurry(RpcReconnect *reconnect, int64_t now_ms);

/* For good. */
void rpc_reconnect_stop(RpcReconnect *reconnect, int64_t now_ms);
