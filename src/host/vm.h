/*
 * The host core's model of one VM. Private to src/host.
 *
 *     host.c      the core: events in, actions out
 *     graves.c    tombstones of VMs of which nothing else is left
 *     life.c      which effect comes next, and what the end of one means
 *     restart.c   what an unwanted end leads to
 *     status.c    a VM as the manager sees it
 *     check.c     what must hold after every step
 */
#pragma once

#include "host/host.h"

/* The one effect under way, or none; and PERSIST in a lane of its own. */
typedef struct {
    bool busy;
    HostEffectKind kind;
    uint64_t serial;
    int64_t epoch, generation; /* of the assignment that went with it */
    bool again;                /* RELEASE: what the next start needs may stay */
    int64_t deadline_ms;
} Lane;

typedef struct {
    char *id;
    Assignment *wanted; /* NULL: runs, and nobody knows what it should be */
    int64_t tombstone;  /* epoch; 0: none */
    VmRecord *record;

    bool dirty; /* something of the above is not on disk */
    Lane persist, effect;
    int64_t persist_retry_ms;
    int64_t durable_generation; /* of the assignment on disk, in its epoch; 0: none */
    GPtrArray *calls;           /* of void *: answered when what they brought is on disk */
    GPtrArray *persist_calls;   /* those that the PERSIST under way will answer */

    HostProcess process;
    int64_t process_epoch;
    KeeperExit *exit; /* for HOST_PROCESS_ENDED */
    bool restored;    /* the process was there before the agent: its guest may run already */
    bool begun;       /* the guest of this process has run */
    bool kill_wanted; /* this process must end: we are through with it */
    bool end_counted; /* its end is recorded already (the guest told before QEMU ended) */
    bool armed;       /* the record says that a start is under way */
    PowerCause restart_cause; /* of the end that the start under way follows */
    bool prepared;
    bool may_be_prepared; /* a PREPARE was begun and nothing was released since */
    bool guest_agent;
    bool held; /* paused by somebody else: leave it so */

    int64_t tuned_generation; /* 0: not in this process */
    Resources *tuning;        /* what the TUNE under way brings */
    Resources *applied;       /* NULL: none */
    int64_t vcpus_online;
    char *note; /* what the last TUNE could not do */
    int64_t retune_at_ms;

    int64_t start_at_ms;    /* no start before: back-off after an end */
    int64_t start_delay_ms; /* how long that back-off is */
    int64_t not_before_ms;  /* no effect before: back-off after one that failed */
    int64_t kill_at_ms;     /* after a powerdown; 0: none asked */
    int64_t effect_failures;
    char *message;

    bool gone; /* removed, all of it: only the tombstone is left */
    VmStatus *reported;
    PowerIs last_power;
    int64_t since_ms;
} HostVm;

/* See graves.c. */
typedef struct {
    char *vm; /* NULL: none */
    int64_t epoch;
} Mark;

struct HostCore {
    HostConfig config;
    char *boot_id;
    GTree *vms;     /* id → HostVm, owned */
    GTree *graves;  /* id → int64_t *: tombstones of VMs of which nothing else is left */
    Mark forgotten; /* durable */
    Mark next_mark; /* of the FORGET under way */
    bool mark_under_way;
    bool ready;
    int64_t now_ms;
    uint64_t last_serial;
    HostActions *actions; /* of the step under way */
};

/* host.c */
HostAction *host_act(HostCore *core, HostActionKind kind, const HostVm *vm);
HostAction *host_act_on(HostCore *core, HostActionKind kind, const char *vm);
bool host_is_removed(const HostVm *vm);
bool host_wants_on(const HostVm *vm);

/* graves.c */
void graves_init(HostCore *core, const char *vm, int64_t epoch);
void graves_clear(HostCore *core);
void graves_ready(HostCore *core);
void graves_add(HostCore *core, const char *id, int64_t tombstone);
void graves_marked(HostCore *core, const GError *error);
/* The tombstone of a VM of which there is something again; 0: none. */
int64_t graves_take(HostCore *core, const char *id);

/* life.c */
void life_next(HostCore *core, HostVm *vm);
void life_done(HostCore *core, HostVm *vm, const HostEvent *event);
void life_exited(HostCore *core, HostVm *vm, const KeeperExit *exit);
void life_guest(HostCore *core, HostVm *vm, HostGuestEvent guest);
void life_time(HostCore *core, HostVm *vm); /* effects that were never answered */
int64_t life_deadline(const HostVm *vm);

/* restart.c */
/* An end that nobody asked for: counts it, and decides whether and when there is another start. */
void restart_decide(HostCore *core, HostVm *vm, PowerCause cause, const char *message);
void restart_reset(HostVm *vm);
int64_t restart_delay_ms(const HostConfig *config, int64_t failures);
PowerCause restart_cause_of(const KeeperExit *exit);

/* status.c */
VmStatus *status_of(const HostVm *vm, int64_t now_ms);
void status_report(HostCore *core, HostVm *vm, bool always);
