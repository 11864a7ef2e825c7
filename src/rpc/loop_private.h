/*
 * What the channel's own modules build on: watches, timers and tasks of an RpcLoop.
 *
 * All three are embedded in the struct that uses them (`owner`) and must be removed before it is
 * freed; removing is allowed from every callback, for others' too. A task is work that must not
 * happen inside the present call: it runs once, after the events and timers of the next dispatch.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/loop.h"

typedef struct RpcWatch {
    void *owner;
    void (*ready)(void *owner, uint32_t events); /* EPOLL… */
    int fd;
    uint32_t events;
    bool added;
} RpcWatch;

typedef struct RpcTimer {
    void *owner;
    void (*fire)(void *owner); /* disarmed before; may arm again */
    int64_t due_us;
    bool armed;
} RpcTimer;

typedef struct RpcTask {
    void *owner;
    void (*run)(void *owner);
    GList link;
    bool queued;
} RpcTask;

/* Who is told when the loop ends; removes itself. */
typedef struct RpcMember {
    void *owner;
    void (*end)(void *owner);
    GList link;
} RpcMember;

/* Level-triggered. */
bool rpc_watch_add(RpcLoop *loop, RpcWatch *watch, int fd, uint32_t events, GError **error);
void rpc_watch_change(RpcLoop *loop, RpcWatch *watch, uint32_t events);
void rpc_watch_remove(RpcLoop *loop, RpcWatch *watch);

int64_t rpc_now_us(void); /* monotonic */
void rpc_timer_arm(RpcLoop *loop, RpcTimer *timer, int64_t due_us);
void rpc_timer_disarm(RpcLoop *loop, RpcTimer *timer);

void rpc_task_queue(RpcLoop *loop, RpcTask *task);
void rpc_task_cancel(RpcLoop *loop, RpcTask *task);

void rpc_member_add(RpcLoop *loop, RpcMember *member);
void rpc_member_remove(RpcLoop *loop, RpcMember *member);

/* Scratch space that all connections share: valid until the callback that asked for it returns. */
#define RPC_RAW_BYTES (64 << 10)
#define RPC_PLAIN_BYTES (16 << 10)
char *rpc_loop_raw(RpcLoop *loop);
char *rpc_loop_plain(RpcLoop *loop);
