#include "rpc/reconnect.h"

#include <glib.h>

#define MAX_SHIFT 40 /* 2^40 ms are 34 years */

static void enter(RpcReconnect *reconnect, RpcReconnectState state, int64_t now_ms)
{
    reconnect->state = state;
    reconnect->since_ms = now_ms;
}

void rpc_reconnect_init(RpcReconnect *reconnect, const RpcReconnectLimits *limits, uint64_t seed,
                        int64_t now_ms)
{
    *reconnect = (RpcReconnect){.limits = limits != NULL ? *limits : (RpcReconnectLimits){0}};
    RpcReconnectLimits *filled = &reconnect->limits;
    filled->min_ms = filled->min_ms > 0 ? filled->min_ms : 250;
    filled->max_ms = filled->max_ms > 0 ? filled->max_ms : 10000;
    filled->max_ms = MAX(filled->max_ms, filled->min_ms);
    filled->stable_ms = filled->stable_ms > 0 ? filled->stable_ms : 10000;
    berth_rng_init(&reconnect->rng, seed);
    enter(reconnect, RPC_RECONNECT_WAITING, now_ms);
    reconnect->due_ms = now_ms;
}

int64_t rpc_reconnect_due_ms(const RpcReconnect *reconnect)
{
    return reconnect->state == RPC_RECONNECT_WAITING ? reconnect->due_ms : -1;
}

bool rpc_reconnect_try(RpcReconnect *reconnect, int64_t now_ms)
{
    if (reconnect->state != RPC_RECONNECT_WAITING || now_ms < reconnect->due_ms) {
        return false;
    }
    enter(reconnect, RPC_RECONNECT_TRYING, now_ms);
    return true;
}

void rpc_reconnect_succeeded(RpcReconnect *reconnect, int64_t now_ms)
{
    if (reconnect->state == RPC_RECONNECT_TRYING) {
        enter(reconnect, RPC_RECONNECT_UP, now_ms);
    }
}

static int64_t bound_ms(const RpcReconnect *reconnect)
{
    unsigned shift = MIN(reconnect->failures, MAX_SHIFT);
    int64_t min_ms = reconnect->limits.min_ms, max_ms = reconnect->limits.max_ms;
    return min_ms > max_ms >> shift ? max_ms : min_ms << shift;
}

int64_t rpc_reconnect_lost(RpcReconnect *reconnect, int64_t now_ms)
{
    if (reconnect->state != RPC_RECONNECT_TRYING && reconnect->state != RPC_RECONNECT_UP) {
        return 0;
    }
    if (reconnect->state == RPC_RECONNECT_UP &&
        now_ms - reconnect->since_ms >= reconnect->limits.stable_ms) {
        reconnect->failures = 0;
    } else if (reconnect->failures < G_MAXUINT) {
        reconnect->failures++;
    }
    int64_t wait_ms = berth_rng_between(&reconnect->rng, 0, bound_ms(reconnect));
    enter(reconnect, RPC_RECONNECT_WAITING, now_ms);
    reconnect->due_ms = now_ms + wait_ms;
    return wait_ms;
}

void rpc_reconnect_hurry(RpcReconnect *reconnect, int64_t now_ms)
{
    if (reconnect->state == RPC_RECONNECT_WAITING) {
        reconnect->due_ms = MIN(reconnect->due_ms, now_ms);
    }
}

void rpc_reconnect_stop(RpcReconnect *reconnect, int64_t now_ms)
{
    enter(reconnect, RPC_RECONNECT_STOPPED, now_ms);
}
