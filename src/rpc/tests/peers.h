/* Two peers in one process, for the tests of the channel: who they are, and what happened to them.
 */
#pragma once

#include "rpc/ca.h"
#include "rpc/channel.h"
#include "rpc/listener.h"

/* What one side has seen. Handlers and data of a connection. */
typedef struct {
    int opened, closed;
    GError *reason;            /* of closed */
    GPtrArray *notified;       /* of char *: "method params" */
    RpcConnection *connection; /* of opened */
    /* What to do with a call; NULL: echo the params. */
    void (*on_call)(RpcConnection *connection, RpcCall *call, void *data);
    int n_calls;
} Side;

extern const RpcHandlers side_handlers; /* data is a Side */
void side_init(Side *side);
void side_clear(Side *side);

/* What the answer of a call was. */
typedef struct {
    int n;
    json_t *result;
    GError *error;
} Reply;

void reply_answer(json_t *result, const GError *error, void *data); /* an RpcAnswer */
void reply_clear(Reply *reply);

/* Runs the default main context until the condition holds; fails the test after 30 s. */
#define RUN_UNTIL(condition)                                                                       \
    for (gint64 give_up_us = g_get_monotonic_time() + 30 * G_USEC_PER_SEC; !(condition);) {        \
        g_assert_cmpint(g_get_monotonic_time(), <, give_up_us);                                    \
        run_once();                                                                                \
    }

/* One turn of the main loop, which takes a second at most. */
void run_once(void);

/* Turns the main loop until it has nothing to do at present. */
void run_idle(void);

/* A cluster's certificates, made once. The server's names: "manager.test" and 127.0.0.1. */
RpcTls *tls_server(void);
RpcTls *tls_client(const char *id);
RpcCa *test_ca(void);
const char *test_ca_pem(void);
RpcTls *tls_of(const char *ca_pem, const RpcIdentity *identity);

RpcHello *hello_of(int major, int minor);

/* Listens on 127.0.0.1; the port is the kernel's. */
int listen_tcp(guint16 *ret_port);
GSocketAddress *loopback(guint16 port);
int connect_blocking(guint16 port);

/* A listener with defaults and its address. Takes `tls`, which may be NULL. */
typedef struct {
    Side server; /* of all connections that were accepted; first, since it is their data */
    RpcLoop *loop;
    RpcListener *listener;
    guint16 port;
    int n_refused;
    GError *refusal; /* the last */
} World;

void world_start(World *world, RpcTls *tls, const RpcOptions *options,
                 const RpcListenerOptions *limits);
void world_stop(World *world);

/* Dials the world; takes `tls`. `options` may be NULL; without a hello it gets one, and with TLS
 * the name "manager.test". */
RpcConnection *world_dial(World *world, RpcTls *tls, const RpcOptions *options, Side *side);
