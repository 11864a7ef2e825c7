/*
 * berth-manager: HTTP, TLS, authentication, the store and the agents around the cluster core.
 * Private to src/manager.
 *
 *     manager.c   feeds the core, carries out its actions, keeps time
 *     begin.c     the core from the store, at start and anew
 *     door.c, client_stream.c, link.c  the HTTPS port
 *     http.c      requests in, answers out          events.c   those who follow events
 *     agents.c    the hosts' connections            console.c  WebSockets to serial consoles
 *     blobs.c     content of images in and out      auth.c     tokens
 *     linger.c    the end of a refused stream       spread.c   equal parts of work, on several cores
 *     pki.c       the CA, the manager's certificate metrics.c  Prometheus text
 *
 * Everything runs in one thread; the store has its own behind store.h, bulk writes to disk go to a
 * worker, and what an event costs for each of its followers is spread over threads that the main one
 * waits for.
 */
#pragma once

#include <libsoup/soup.h>

#include "cluster/cluster.h"
#include "manager/auth.h"
#include "manager/door.h"
#include "manager/pki.h"
#include "rpc/listener.h"
#include "store/store.h"

typedef struct Manager Manager;
typedef struct Http Http;
typedef struct Agents Agents;
typedef struct Events Events;
typedef struct Blobs Blobs;
typedef struct Consoles Consoles;

struct Manager {
    const char *state;
    GMainLoop *main;
    ClusterConfig config; /* its seed is each core's own */
    ClusterCore *core;
    Store *store;
    Pki *pki;
    Auth *auth;
    RpcLoop *loop;
    SoupServer *server;
    Door *door;
    Http *http;
    Agents *agents;
    Events *events;
    Blobs *blobs;
    Consoles *consoles;
    int api_port, agent_port;
    guint tick;
    int64_t tick_ms; /* when it is due; without one INT64_MAX */
    guint64 commits, requests;
    int64_t started_ms;
    int exit_status;
    bool writable;       /* the store */
    guint in_flight;     /* transactions */
    guint64 revocations; /* of tokens, when the streams were last looked over */
    guint streams;       /* the timer that looks them over for tokens that have expired */
    guint64 generation;  /* of the core: what an earlier one asked for is nothing to this one */
    bool anew;     /* the core is of no more use; the next one comes when nothing is in flight */
    bool stopping; /* what the store still says changes nothing any more */
};

/* Tells the core; carries out what it answers. */
void manager_step(Manager *manager, const ClusterEvent *event);
int64_t manager_now_ms(void);
/* Streams whose token has expired end from now on; those of a revoked one end with the step. */
void manager_watch_streams(Manager *manager);

/* begin.c */
/* A core from what the store holds, in place of the one that is there. */
bool manager_load(Manager *manager, GError **error);
/* It begins to work; the store's health is watched. */
void manager_begin(Manager *manager);
/* Soon: a new core, because the store has not taken what this one decided. */
void manager_begin_anew(Manager *manager);

/* http.c */
Http *http_new(Manager *manager);
void http_free(Http *http);
/* The core's answer to a request. */
void http_reply(Http *http, const ClusterAction *action);
/* What is said to a client whose request is none: the whole of an HTTP answer. */
char *http_refusal(int status);
/* All that wait for the core are answered with `reason`. */
void http_abandon(Http *http, const GError *reason);
/* An answer to a message that is not, or no longer, the core's. */
void http_answer_error(SoupServerMessage *message, const GError *error);
void http_answer_json(SoupServerMessage *message, unsigned status, json_t *json); /* takes it */
/* An answer in the middle of a body that is not wanted: nothing more of it is read. */
void http_refuse_stream(SoupServerMessage *message, const GError *error);

/* linger.c */
/* Ends a connection whose client still sends: when it has had time to read its answer. */
void linger(GIOStream *stream);

/* agents.c */
Agents *agents_new(Manager *manager, int fd, GError **error); /* takes fd, listening */
void agents_free(Agents *agents);
void agents_send(Agents *agents, const ClusterAction *action);   /* CALL */
void agents_answer(Agents *agents, const ClusterAction *action); /* ANSWER */
/* Ends every connection, and answers what agents have asked, with `reason`. */
void agents_let_go(Agents *agents, const GError *reason);
void agents_disconnect(Agents *agents, const char *host, const char *reason);
bool agents_notify(Agents *agents, const char *host, const char *method, json_t *params);
/* `timeout_ms` for the answer; 0: as long as for any call. */
bool agents_call(Agents *agents, const char *host, const char *method, json_t *params,
                 int64_t timeout_ms, RpcAnswer answer, void *data);
guint agents_count(const Agents *agents);

/* events.c */
Events *events_new(Manager *manager);
void events_free(Events *events);
/* Sends what is kept after `revision`, of what the query asks for, then goes on. `tenant`: whose, or NULL for
 * all. */
void events_follow(Events *events, SoupServerMessage *message, const AuthWho *who, int64_t revision,
                   const ListEventsQuery *query, const char *tenant);
/* Ends what streams to those whose token is no longer good. */
void events_look_over(Events *events);
/* Each event, then events_flush() when all of a revision are told. */
void events_publish(Events *events, GBytes *event);
void events_flush(Events *events);
guint events_count(const Events *events);

/* blobs.c */
Blobs *blobs_new(Manager *manager, GError **error);
void blobs_free(Blobs *blobs);
/* Takes the body of a PUT as it streams; false, answered, if it is not wanted. */
void blobs_receive(Blobs *blobs, SoupServerMessage *message, const char *tenant, const char *image,
                   const char *sha256);
/* The whole of it has come. */
void blobs_received(Blobs *blobs, SoupServerMessage *message, uint64_t request);
void blobs_send(Blobs *blobs, SoupServerMessage *message, const char *sha256);
/* A ticket to read this content, for a short time; NULL if it is not here. */
ImageLocation *blobs_locate(Blobs *blobs, const char *sha256, GError **error);

/* console.c */
Consoles *consoles_new(Manager *manager);
void consoles_free(Consoles *consoles);
void consoles_accept(Consoles *consoles, SoupWebsocketConnection *socket, const char *who,
                     const char *host, const char *vm);
/* Ends those whose token is no longer good. */
void consoles_look_over(Consoles *consoles);
void consoles_data(Consoles *consoles, const ConsoleData *data);
void consoles_closed(Consoles *consoles, const ConsoleClose *close);

/* metrics.c */
char *metrics_text(const Manager *manager);
