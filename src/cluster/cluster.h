/*
 * What the manager decides: objects, placement, the ledger, operations, and what each host should
 * run.
 *
 * A ClusterCore is told what happens (ClusterEvent) and answers what to do (ClusterAction). It
 * performs nothing: no I/O, no clock; its only randomness is the seed it is made with. The manager
 * feeds it from HTTP, the store and the agents; berth-sim feeds it in virtual time.
 *
 * One way for data
 *
 *     request ─► model changes ─► COMMIT (a transaction for the store)        ┐
 *                              └► replies, events, agent calls: held back ────┴─► released by
 * COMMITTED
 *
 * The model is ahead of the store by the transactions in flight. Whatever leaves the core - an
 * answer to a read too - is held until every transaction that was in flight when it was made is
 * durable, so nobody ever sees what could still be lost. Transactions are numbered and committed in
 * order. One that fails ends the core's usefulness: it answers ABORT, and the manager starts again
 * from the store.
 *
 * Revisions. The store's revision rises by one with each transaction and the core is the only
 * writer, so the core knows the revision of a change when it makes it. An object's `revision` is
 * that of its spec.
 *
 * Agents say what is (reports); the core compares it with what should be and sends the difference:
 * each vm.apply, vm.remove and network.apply is whole and idempotent, and is sent again after each
 * connection until a report answers it. A VM that the store does not know is quarantined and shown,
 * never ended, unless a tombstone of its (id, epoch) says that it was deleted.
 *
 * The ledger is a fold over placements: a VM books on its host, in each dimension, the largest of
 * what is wanted, what its host last said is applied, and what the host was told since then and may
 * have done unheard (so that a shrink frees capacity only when it has happened, also the shrink
 * that undoes a growth) plus QEMU's measured overhead of memory.
 *
 * Threading: one thread owns a ClusterCore. Ownership: events are borrowed for the call; actions
 * and all that they point to belong to the ClusterActions array.
 */
#pragma once

#include <jansson.h>

#include "schema/agent.h"
#include "schema/objects.h"
#include "schema/routes.h"
#include "schema/types.h"

typedef struct ClusterCore ClusterCore;

/* Who may start before one that waits (cluster/promises.h). */
typedef enum {
    CLUSTER_BACKFILL_EASY = 0,     /* who does not delay the first that waits */
    CLUSTER_BACKFILL_CONSERVATIVE, /* who delays none of those before it */
    CLUSTER_BACKFILL_OFF,          /* who fits, until one has waited too long */
} ClusterBackfill;

/* Zeros take the default in brackets. */
typedef struct {
    uint64_t seed;
    int64_t events_kept;        /* [10000] */
    int64_t operations_kept;    /* finished ones [5000] */
    int64_t tombstones_kept;    /* [100000] */
    int64_t call_timeout_ms;    /* an agent's answer to a call that is no exec [30000] */
    int64_t retry_ms;           /* before a refused or unanswered call is sent again [2000] */
    int64_t charge_interval_ms; /* between two charges to accounts [60000] */
    int64_t charges_kept;       /* hourly ones, of a tenant [50000] */
    int64_t charges_kept_ms;    /* [62 days] */
    int64_t credits_kept;       /* notes of credits added, of a tenant [1000] */
    int64_t starvation_ms; /* a request that has waited so long is not passed any more [600000] */
    int64_t patience_ms;   /* what is promised waits so long for a host that is away, or for what
                                 should be gone from it, before another is sought [300000] */
    ClusterBackfill backfill; /* [easy] */
    int apply_window;         /* vm.apply calls under way at once for one host [64] */
} ClusterConfig;

/* Who asks. */
typedef struct {
    const char *subject; /* id of the token, for the audit */
    const char *tenant;  /* whose objects are asked for; `default` where none is named */
    bool bound;          /* the token is that tenant's, and knows of no other */
    bool all;            /* not bound and none named: lists show all, an id is good in any */
} ClusterPrincipal;

typedef struct {
    uint64_t id; /* the caller's; comes back in the reply */
    ApiOperation operation;
    const char *const *params; /* values of the path, in order */
    const void *query;         /* the generated struct of the operation's query, or NULL */
    const void *body;          /* the generated struct of the operation's body, or NULL */
    int64_t if_match;          /* -1: none */
    ClusterPrincipal principal;
    const char *
        secret; /* CREATE_JOIN_TOKEN, CREATE_TOKEN: 32 fresh random bytes in hex, from a secure source */
} ClusterRequest;

typedef enum {
    CLUSTER_EVENT_START, /* everything is loaded */
    CLUSTER_EVENT_REQUEST,
    CLUSTER_EVENT_CANCEL, /* the client of a request has gone; no reply is wanted any more */
    CLUSTER_EVENT_COMMITTED,
    CLUSTER_EVENT_COMMIT_FAILED,
    CLUSTER_EVENT_STORE_HEALTH,
    CLUSTER_EVENT_AGENT_UP,
    CLUSTER_EVENT_AGENT_DOWN,
    CLUSTER_EVENT_AGENT_REPORT,
    CLUSTER_EVENT_AGENT_MEASURE,
    CLUSTER_EVENT_AGENT_ANSWER,
    CLUSTER_EVENT_IMAGE_RECEIVED, /* a file's content is durable in the manager's image directory */
    CLUSTER_EVENT_TICK,
} ClusterEventKind;

typedef struct {
    ClusterEventKind kind;
    union {
        const ClusterRequest *request;
        uint64_t cancel;
        struct {
            int64_t revision; /* of the store after it */
            const GError *error;
        } commit; /* the oldest transaction in flight */
        struct {
            bool writable;
            const char *reason;
        } health;
        struct {
            const char *host; /* id, as the certificate says */
            uint64_t session; /* rises with each connection */
            const char *reason;
            const AgentReport *report;
            HostMeasure *measure; /* the core keeps what is in it and leaves what it had */
            void *call;           /* AGENT_REPORT: comes back in ANSWER */
        } agent;
        struct {
            uint64_t call;
            const json_t *result;
            const GError *error;
        } answer;
        struct {
            const char *image; /* id */
            const char *sha256;
            uint64_t request; /* replied to with the Image */
        } received;
    };
} ClusterEvent;

typedef enum {
    CLUSTER_ACTION_COMMIT,
    CLUSTER_ACTION_REPLY,
    CLUSTER_ACTION_ANSWER,     /* to an agent's call */
    CLUSTER_ACTION_CALL,       /* an agent */
    CLUSTER_ACTION_PUBLISH,    /* an event to those who follow */
    CLUSTER_ACTION_DISCONNECT, /* this host's connection is no longer wanted */
    CLUSTER_ACTION_ABORT,      /* start again from the store */
} ClusterActionKind;

/* One operation of a transaction; a NULL value deletes. */
typedef struct {
    char *key;
    GBytes *value;
} ClusterPut;

typedef struct {
    ClusterActionKind kind;
    union {
        struct {
            int64_t revision;  /* that the store must have after it */
            GPtrArray *puts;   /* of ClusterPut *; at most 128 and 1 MiB */
            GPtrArray *absent; /* of char *: keys that must not exist before, for names */
        } commit;
        struct {
            uint64_t request;
            int status;       /* HTTP */
            GBytes *body;     /* JSON, or text for operations whose answer is text */
            int64_t revision; /* for the ETag; -1: none */
            GError *error;    /* instead of a body; the explanation, if any, is in `body` */
        } reply;
        struct {
            void *call;
            GError *error;
        } answer;
        struct {
            char *host;
            uint64_t call;
            const char *method;
            json_t *params;
            int64_t timeout_ms;
        } call;
        struct {
            int64_t revision;
            GBytes *event; /* JSON */
        } publish;
        struct {
            char *host;
            char *reason;
        } disconnect;
        char *abort_reason;
    };
} ClusterAction;

typedef GPtrArray ClusterActions; /* of ClusterAction * */

ClusterCore *cluster_core_new(const ClusterConfig *config);
void cluster_core_free(ClusterCore *core);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClusterCore, cluster_core_free)

/* Before CLUSTER_EVENT_START: one call for each key of the store, in any order. An unknown key is
 * kept aside untouched (a newer release wrote it); a value that cannot be read fails, naming the
 * key. */
bool cluster_core_load(ClusterCore *core, const char *key, GBytes *value, int64_t mod_revision,
                       GError **error);
/* The revision of the store when it was read. */
void cluster_core_loaded(ClusterCore *core, int64_t revision);

/* The one way in. Returns actions in the order in which they are to be carried out, never NULL. */
ClusterActions *cluster_step(ClusterCore *core, const ClusterEvent *event, int64_t now_ms);

/* When cluster_step wants a TICK at the latest; INT64_MAX: not at all. */
int64_t cluster_next_deadline(const ClusterCore *core);

/* Lookups for the edge, of what is durable or in flight; borrowed until the next step. */
/* By id or name; false with NOT_FOUND and the nearest name. `ret_host` is the id of its host if
 * connected. */
bool cluster_core_locate_vm(const ClusterCore *core, const ClusterPrincipal *principal,
                            const char *vm, const char **ret_id, const char **ret_host,
                            GError **error);
/* Whose is it ("ID.SECRET")? UNAUTHENTICATED if it is unknown, revoked or has expired. Borrowed until
 * the next step. */
bool cluster_core_check_token(const ClusterCore *core, const char *text, int64_t now_ms,
                              const Token **ret_token, GError **error);
/* Is the token of this id still good? */
bool cluster_core_has_token(const ClusterCore *core, const char *id, int64_t now_ms);
/* How many were revoked since the start: when it changes, streams are to be looked over. */
uint64_t cluster_core_revocations(const ClusterCore *core);
/* Is this host's certificate still good? */
bool cluster_core_knows_host(const ClusterCore *core, const char *host);
/* May this content be put (it is declared and not here), and as what? Both outputs are borrowed. */
bool cluster_core_expects_file(const ClusterCore *core, const char *tenant, const char *image,
                               const char *sha256, const char **ret_id, const ImageFile **ret_file,
                               GError **error);
/* Is this content part of an image that is ready? */
bool cluster_core_knows_file(const ClusterCore *core, const char *sha256, int64_t *ret_bytes);
/* Does one who asks for this kind of events want `kind`? `asked` is a kind or the first part of some:
 * `vm.running`, `vm`; NULL: all. */
bool cluster_event_kind_is(const char *kind, const char *asked);
/* Events after `revision`, oldest first, as JSON. Only durable ones. NOT_FOUND when they are no
 * longer kept, and for a revision that the store has not reached: who has one has followed a store
 * that this one, restored from a backup, is behind of. */
GPtrArray *cluster_core_events_since(const ClusterCore *core, int64_t revision, GError **error);

/* For tests and the simulator: the invariants of the design; false with the broken one in `error`.
 */
bool cluster_core_check(const ClusterCore *core, GError **error);
