/*
 * The cluster core's model: what it knows, decoded and indexed. Private to src/cluster.
 *
 * Objects are owned by the trees of the ClusterCore, which are ordered by id, so that every walk
 * over them is the same in every run. References between objects are plain pointers, kept right by
 * the functions here; an object is never freed while another one points to it.
 *
 * Whoever changes an object that the store keeps calls the matching save_… function in the same
 * step.
 */
#pragma once

#include "base/ulid.h"
#include "cluster/cluster.h"
#include "place/calendar.h"
#include "place/place.h"

#define DEFAULT_TENANT "default"
#define MAX_DIMENSIONS 16

/* Those that every fleet has; accelerators follow. */
enum { DIM_CPU, DIM_MEMORY, DIM_DISK, DIM_DISK_BW, DIM_NET_BW, N_FIXED };

/* One amount for each dimension of the fleet; accelerators in the order in which the cluster has first
 * seen their names. */
typedef struct {
    int64_t amount[MAX_DIMENSIONS];
} Vector;

typedef struct ClusterHost ClusterHost;
typedef struct ClusterVm ClusterVm;
typedef struct ClusterApp ClusterApp;
typedef struct ClusterNetwork ClusterNetwork;
typedef struct ClusterImage ClusterImage;
typedef struct ClusterRule ClusterRule;
typedef struct ClusterOperation ClusterOperation;
typedef struct ClusterTenant ClusterTenant;
typedef struct ClusterQueued ClusterQueued;
typedef struct ClusterReservation ClusterReservation;

/* The VMs of one app of a tenant, or those without one, as its account sees them. */
typedef struct {
    char *app; /* name; "-" */
    Vector usage;
    int64_t vms;
    int64_t until_ms; /* charged up to here */
} Meter;

struct ClusterHost {
    char *id;
    HostSpec *spec;
    int64_t revision;
    HostFacts *facts; /* as last reported; NULL before the first report */
    GTree *vms;       /* id → ClusterVm, placed here */
    uint32_t place;   /* handle in the engine */
    Vector booked;
    Vector
        excess; /* what was promised beyond what it has, when it came to have less, as far as it still is */
    GArray *devices;      /* of ClusterDevice (devices.h), in the engine's order */
    bool devices_refused; /* some of its devices are cut otherwise than those of others */
    char *drain;          /* id of its newest drain's operation; NULL: none runs */
    Vector timed;         /* as much of it as ends by itself, and stands in the calendar */
    StringMap *labelled;  /* the labels that the engine knows; NULL: none told yet */

    /* Of the connection; none of it is stored. */
    uint64_t session; /* 0: not connected */
    bool reported;    /* the full report of this session has come */
    bool was_up;      /* since the manager started */
    int64_t since_ms;
    HostMeasure *measure;
    GTree *quarantined; /* id → ReportedVm */
    GHashTable *
        networks; /* id → generation that this session was sent; negative: it has some, which may be another */
    GQueue applies; /* of VM ids (own copies) that wait for a place in the window */
    int applies_under_way;
    bool networks_lag; /* some network that it has VMs in has changed since it was sent */
};

struct ClusterTenant {
    char *name;
    TenantSpec *spec;
    int64_t revision; /* 0: not in the store yet */
    Account *account;
    Vector usage; /* Σ of what its placed VMs want */
    int64_t vms;
    Vector usage_allowed; /* what it had when its quota was set: a quota may be below that */
    int64_t vms_allowed;
    GTree *meters;     /* app's name → Meter */
    GQueue charges;    /* of Charge *, by the time at which each was begun */
    GHashTable *lines; /* "hour/app" → Charge, borrowed */
    GQueue credits;    /* of Credit *, oldest first */
};

struct ClusterVm {
    char *id;
    char *tenant;
    ClusterTenant *owner; /* while it is counted there */
    Meter *meter;
    Vector counted; /* what stands in owner->usage for it */
    VmSpec *spec;
    int64_t revision;
    VmPlacement *placement;
    VmStatus *status; /* NULL before the first report */
    ClusterHost *host;
    ClusterApp *app;
    GBytes *rendered; /* as the API shows it; NULL: not since it last changed */
    Vector booked;    /* what stands in host->booked for it */
    Vector peak;  /* the most that its host was told and may have given it since it last said that
                      all is done */
    Vector timed; /* what stands in host->timed for it, and in the calendar under this number */
    uint32_t commitment;
    ClusterReservation *reservation;       /* whose slot it has; NULL: none */
    bool released;                         /* parked, and its host has said that it is off */
    GSequenceIter *end;                    /* in core->ends; NULL: nothing is due */
    bool counted_settled, counted_running; /* in app */
    GPtrArray *operations;                 /* running ones, borrowed */
    bool lifted;                           /* for a question: it holds no devices */
    bool lacks_devices;                    /* its host has lost some of them */
    bool entered;                          /* its host in the engine, with these groups */
    uint32_t groups[16], n_groups;

    /* Of the host's session. */
    int64_t sent_generation; /* 0: not sent */
    bool sent_remove;
    bool queued; /* in host->applies */
};

struct ClusterApp {
    char *id;
    char *tenant;
    AppSpec *spec;
    int64_t revision;
    GTree *vms; /* id → ClusterVm */
    int64_t settled, running;
    bool is_short; /* lacks VMs that found no place */
    GPtrArray *operations;
};

struct ClusterNetwork {
    char *id;
    Network *object;
    GTree *ports;             /* "vm id/nic index" → Nic, borrowed from the VM's placement */
    GHashTable *used;         /* IPv4 as host-order number, GUINT_TO_POINTER */
    uint32_t none_free_below; /* of them */
    GHashTable *macs;         /* borrowed from the ports */
    GTree *hosts;             /* id → count of cards there (GINT_TO_POINTER) */
    int64_t generation;       /* of the port list: the revision of its last change */
    bool changed;             /* since the hosts in it were looked up, to be told */
};

struct ClusterImage {
    char *id;
    Image *object;
    int64_t users; /* VMs made of it */
};

struct ClusterRule {
    Rule *object;
    uint32_t number, a, b; /* of it and its groups in the engine */
};

/* A request that waits for room; what it asks for is nowhere yet. */
struct ClusterQueued {
    char *id; /* of the VM or the app that it becomes */
    QueuedRequest *object;
    ClusterOperation *operation; /* running */
    bool starving;               /* has waited so long that those behind it get nothing before it */
};

struct ClusterOperation {
    Operation *object;
    ClusterVm *vm; /* waited for; NULL once it is over */
    ClusterApp *app;
    bool names_others; /* its explanation and plan are not for those who are bound to a tenant */
};

typedef struct {
    uint64_t request;
    int64_t deadline_ms;
    ClusterOperation *operation;
    int running_status; /* HTTP status of the answer if it is not over by then */
    bool bound;         /* core_asker_bound of who waits */
} Waiter;

typedef enum { CALL_APPLY, CALL_REMOVE, CALL_NETWORK, CALL_EXEC, CALL_OTHER } CallKind;

/* A call to an agent that is under way. */
typedef struct {
    CallKind kind;
    char *host;
    uint64_t session;
    char *subject; /* VM or network */
    int64_t generation;
    uint64_t request; /* CALL_EXEC */
} Call;

/* Something to be tried again. */
typedef struct {
    int64_t due_ms;
    char *vm;
} Retry;

struct ClusterCore {
    ClusterConfig config;
    BerthUlidGenerator ulids;
    int64_t now_ms;

    ClusterMeta *meta;
    GTree *hosts, *vms, *apps, *networks, *images, *rules, *operations; /* by id */
    GTree *sizes;                                                       /* by name → Size */
    GHashTable *hosts_by_id; /* the same, for what comes each second from each of them */
    GTree *join_tokens;      /* by id → JoinToken */
    GTree *tenants;          /* by name → ClusterTenant */
    GTree *tokens;           /* by id → Token */
    uint64_t revocations;    /* of tokens, since the start */
    Rates *rates;
    int64_t charge_due_ms;   /* when accounts are charged next; INT64_MAX: nothing is used */
    GHashTable *tombstones;  /* VM id → Tombstone */
    GQueue tombstone_order;  /* of Tombstone *, oldest first, borrowed */
    GHashTable *names;       /* "kind/tenant/name" → object, borrowed */
    GPtrArray *foreign_keys; /* keys of a newer release, kept untouched */

    /* The placement engine and the names of its dimensions. */
    BerthPlace *place;
    GPtrArray *dimensions; /* of char *, MAX_DIMENSIONS at most */
    int64_t
        device_slices[MAX_DIMENSIONS]; /* of each device of an accelerator; 0: no host has one */
    uint32_t device_count[MAX_DIMENSIONS];
    bool has_workload;    /* the engine knows what is typical (workload.h), */
    int64_t workload_vms; /* as it was with so many VMs; -1: sizes or devices are others since */
    GPtrArray *by_handle; /* engine's handle → ClusterHost; NULL: free */
    GArray *free_handles; /* of uint32_t */

    /* What is promised for a time (reservations.h, ends.h). */
    BerthCalendar *calendar;
    int64_t calendar_due_ms;  /* when advancing it makes room */
    GArray *free_commitments; /* of uint32_t: numbers below n_commitments that stand for nothing */
    uint32_t n_commitments;
    GTree *reservations;         /* by id → ClusterReservation */
    int64_t reservations_due_ms; /* when the next begins or ends */
    int64_t rescue_due_ms;       /* when slots are looked through for hosts that cannot keep them */
    int64_t slots_at_risk;       /* that have nowhere to go (rescue.h) */
    GSequence *ends;             /* of ClusterVm *, by what is due first */

    /* Its names for groups, labels and domains of hosts, and rules (rules.c). */
    GHashTable *groups, *host_labels, *domains;
    GPtrArray *levels; /* of char *, the host's own first */
    GPtrArray *host_label_names, *rule_numbers;
    GArray *free_groups;
    uint32_t idle_trusts; /* trust domains that no VM is in */
    int64_t overhead;     /* MiB booked for a QEMU: the largest that a host has measured */
    char *machine;        /* machine type for new VMs: the oldest that a connected host offers */

    /* Events, oldest first. */
    GQueue events;              /* of ClusterEventRecord * */
    int64_t events_dropped;     /* the highest revision that is no longer kept */
    GQueue finished_operations; /* of ClusterOperation *, oldest first, borrowed */

    /* Transactions, see txn.h. */
    GPtrArray *open_puts, *open_absent;
    size_t open_bytes;
    int64_t last_revision;      /* given to a transaction */
    int64_t committed_revision; /* durable */
    GQueue in_flight;           /* of int64_t * */
    GQueue held;                /* of Held * */
    ClusterActions *actions;    /* of the step under way */
    bool writable, aborted, started;
    bool resumed; /* what a start changes is done */
    int64_t resumed_ms;
    char *unwritable_reason;

    /* Agents. */
    GHashTable *calls; /* uint64_t * → Call */
    uint64_t next_call;
    GQueue retries;          /* of Retry *, by time: all wait equally long */
    GPtrArray *dirty_vms;    /* ids of VMs whose host must be told, in this step */
    GTree *lagging;          /* id → ClusterHost whose networks lag */
    int64_t networks_due_ms; /* when the lagging are told; INT64_MAX: nobody is */

    /* What waits is served when there is room again, not more often than the pause says (queue.c). */
    GTree *queue;         /* by id → ClusterQueued */
    int64_t queue_due_ms; /* when the first of them is refused; INT64_MAX: none is */
    GTree *promises;      /* by id of what waits → Promise (promises.h) */
    bool promises_aside;  /* some are not in the calendar, in this step */
    bool promises_moved;  /* since some were put aside */
    int starts_sought;    /* in the round under way */
    GTree *preempted;     /* by id → ClusterVm, borrowed: wait to start again */
    GTree *claims; /* by id → ClusterVm, borrowed: wait for those that make room for them */
    const ClusterPrincipal *asker; /* while a request is served */
    bool claims_rest;              /* while a question is asked with a VM lifted off its host */
    int64_t vms_by_priority[1001];
    bool room_made;
    int64_t fill_due_ms;
    int64_t apps_short;

    GArray *waiters; /* of Waiter */
    int64_t vms_running;
};

/* Is a request served of one who is bound to a tenant, and so is told of no host or VM of others by name? */
static inline bool core_asker_bound(const ClusterCore *core)
{
    return core->asker != NULL && core->asker->bound;
}

/* Lookup by id or, failing that, by name within the tenant; NULL with NOT_FOUND, offering the
 * nearest name or, to one who may see it, the tenant that has one of this name. */
ClusterHost *find_host(ClusterCore *core, const char *key, GError **error);
ClusterVm *find_vm(ClusterCore *core, const char *tenant, const char *key, GError **error);
ClusterApp *find_app(ClusterCore *core, const char *tenant, const char *key, GError **error);
ClusterNetwork *find_network(ClusterCore *core, const char *tenant, const char *key,
                             GError **error);
ClusterImage *find_image(ClusterCore *core, const char *tenant, const char *key, GError **error);
ClusterRule *find_rule(ClusterCore *core, const char *tenant, const char *key, GError **error);
ClusterReservation *find_reservation(ClusterCore *core, const char *tenant, const char *key,
                                     GError **error);
Size *find_size(ClusterCore *core, const char *name, GError **error);
ClusterOperation *find_operation(ClusterCore *core, const char *id, GError **error);
ClusterTenant *find_tenant(ClusterCore *core, const char *name, GError **error);

/* Names: one object a (kind, tenant, name). `kind` is "host", "vm", "app", "network", "image" or "rule",
 * or "queue": "vm:web" then keeps the VM's name for a request that waits. */
bool name_is_free(ClusterCore *core, const char *kind, const char *tenant, const char *name,
                  GError **error);
/* The object that has it, borrowed; NULL: none. */
void *name_owner(const ClusterCore *core, const char *kind, const char *tenant, const char *name);
void name_take(ClusterCore *core, const char *kind, const char *tenant, const char *name,
               const char *id, void *object);
void name_release(ClusterCore *core, const char *kind, const char *tenant, const char *name);
/* The same as name_take without a change to the store, while loading. */
void name_index(ClusterCore *core, const char *kind, const char *tenant, const char *name,
                void *object);

/* New objects, entered into the trees. They take `id` and the struct over. */
ClusterHost *model_add_host(ClusterCore *core, char *id, HostSpec *spec);
ClusterVm *model_add_vm(ClusterCore *core, char *id, const char *tenant, VmSpec *spec);
ClusterApp *model_add_app(ClusterCore *core, char *id, const char *tenant, AppSpec *spec);
ClusterNetwork *model_add_network(ClusterCore *core, Network *object);
ClusterImage *model_add_image(ClusterCore *core, Image *object);
ClusterRule *model_add_rule(ClusterCore *core, Rule *object);
ClusterQueued *model_add_queued(ClusterCore *core, QueuedRequest *object);
/* The tenant of this name; made, without limits and charges, where it is not known yet. */
ClusterTenant *model_tenant(ClusterCore *core, const char *name);

/* Out of the trees and freed; every reference must be gone before. */
void model_remove_host(ClusterCore *core, ClusterHost *host);
void model_remove_vm(ClusterCore *core, ClusterVm *vm);
void model_remove_app(ClusterCore *core, ClusterApp *app);

/* Ties a VM to the host, the networks and the image that its placement and spec name, or unties it.
 */
void model_link_vm(ClusterCore *core, ClusterVm *vm);
void model_unlink_vm(ClusterCore *core, ClusterVm *vm);

/* By id, or another text that the values own. NULL: the values are somebody else's. */
GTree *model_tree_new(GDestroyNotify free_value);

char *model_new_id(ClusterCore *core);

/* One of the numbers that are free again, out of `unused` (of uint32_t); false: there is none. */
bool model_reuse_number(GArray *unused, uint32_t *ret_number);

/* No QEMU runs for it. */
static inline bool status_is_off(const VmStatus *status)
{
    return status->power == POWER_IS_OFF || status->power == POWER_IS_CRASHED;
}

void model_init(ClusterCore *core);
void model_clear(ClusterCore *core);

/* To the store, as part of the step's transaction. */
void save_meta(ClusterCore *core);
void save_host_spec(ClusterCore *core, ClusterHost *host);
void save_host_facts(ClusterCore *core, ClusterHost *host);
void save_vm_spec(ClusterCore *core, ClusterVm *vm);
void save_vm_placement(ClusterCore *core, ClusterVm *vm);
void save_vm_status(ClusterCore *core, ClusterVm *vm);
void save_app(ClusterCore *core, ClusterApp *app);
void save_network(ClusterCore *core, ClusterNetwork *network);
void save_image(ClusterCore *core, ClusterImage *image);
void save_rule(ClusterCore *core, ClusterRule *rule);
void save_queued(ClusterCore *core, ClusterQueued *queued);
void save_size(ClusterCore *core, Size *size);
void save_tenant(ClusterCore *core, ClusterTenant *tenant);
void save_account(ClusterCore *core, const ClusterTenant *tenant);
