/*
 * What an agent decides: the life of each VM on this host.
 *
 * A HostCore is told what happens (HostEvent) and answers what to do (HostAction). It performs
 * nothing: no I/O, no clock, no randomness. The agent feeds it from the kernel, QEMU, the keepers
 * and the manager; berth-sim feeds it in virtual time. What the simulator tests is the code that
 * runs.
 *
 *     manager --vm.apply--> APPLY ----+                   +--> EFFECT persist, prepare, launch,
 *     keeper  --exited----> EXITED ---+-- host_step() ----+           attach, tune, resume, kill, …
 *     QMP     --SHUTDOWN--> GUEST ----+                   +--> REPLY to the manager's call
 *     effect  --done------> DONE -----+                   +--> REPORT what is
 *
 * A VM's state is orthogonal fields, not one enum: what is wanted (the Assignment), the process as
 * it is (HostProcess), the cause of its last end, and the one transition under way. From them
 * host_step derives the next effect, at most one at a time for each VM; only PERSIST runs beside
 * others, which begin when all that is known of the VM is on disk:
 *
 *     wanted on, no process      starting: persist → prepare → launch → attach → tune → resume
 *     wanted on, running, tuned
 *     to an older generation     resizing: tune
 *     wanted off, running        stopping: powerdown, after a grace kill; then release
 *     removed                    removing: kill → release → clean, then reported as gone
 *     ended against our will     record → release → by policy again at once, later (back-off),
 *                                or never
 *
 * A report's generation is that of the assignment on disk: what a crash could still undo counts for
 * nothing yet.
 *
 * Effects are idempotent: after a crash the agent restores what it persisted and what runs, and the
 * core derives the rest. Every effect has a serial; a DONE of another serial is ignored. An effect
 * that fails while a VM starts is a failed start, retried with back-off by policy; the message
 * reaches the manager.
 *
 * Epochs. A VM's identity is (id, epoch). APPLY with a lower epoch than the known one, or not above
 * the tombstone, is refused (BERTH_ERROR_PRECONDITION). A local restart happens only in the current
 * epoch. A REMOVE is a tombstone: persisted, kept, and answered before anything is ended. Of VMs of
 * which nothing else is left, the newest tombstones are kept one by one and the older ones by a mark
 * (id, epoch) for all of them: FORGET writes the mark, DROP removes the file of a tombstone that it
 * covers.
 *
 * What the core does not know it leaves alone: a VM that is restored as running but has no
 * assignment (HOST_EVENT_RESTORE without one) is reported with power running and never ended unless
 * removed.
 *
 * Threading: one thread owns a HostCore. Ownership: events are borrowed for the call; the actions
 * and all they point to belong to the HostActions array, and are valid until it is freed.
 */
#pragma once

#include <jansson.h>

#include "schema/agent.h"
#include "schema/keeper.h"
#include "schema/types.h"

typedef struct HostCore HostCore;

/* Times in milliseconds; a zero takes the default in brackets. */
typedef struct {
    int64_t powerdown_grace_ms;  /* from powerdown to kill [30000] */
    int64_t backoff_first_ms;    /* before the second restart; the first is at once [1000] */
    int64_t backoff_max_ms;      /* [300000] */
    int64_t backoff_forgive_ms;  /* a VM that ran this long starts with a clean record [600000] */
    int on_failure_max_restarts; /* in a row, under on-failure; then it is crashed [10] */
    int64_t effect_deadline_ms;  /* an effect unanswered so long counts as failed [600000] */
    int64_t tombstones_kept;     /* one by one [10000] */
    const char *forgotten_vm;    /* the mark that the last FORGET wrote; NULL: none; copied */
    int64_t forgotten_epoch;
    const char *boot_id; /* of the host now; copied */
} HostConfig;

typedef enum {
    HOST_EFFECT_PERSIST, /* write the assignment, tombstone and record of the VM; before all that
                            follows */
    HOST_EFFECT_PREPARE, /* image files, disks, cgroup, taps: all that exists before a process */
    HOST_EFFECT_LAUNCH,  /* start berth-keep and QEMU, paused */
    HOST_EFFECT_ATTACH, /* connect QMP, verify pid, start time and uuid, put threads in their groups
                         */
    HOST_EFFECT_TUNE,   /* make cpu, memory, disk-bw, net-bw and online vCPUs as assigned */
    HOST_EFFECT_RESUME, /* let the guest run */
    HOST_EFFECT_POWERDOWN, /* ask the guest to end */
    HOST_EFFECT_KILL,      /* end QEMU now */
    HOST_EFFECT_RELEASE,   /* QEMU has ended: dismiss the keeper, remove taps and cgroup; `again`
                              says that the next PREPARE needs the latter, so they may stay */
    HOST_EFFECT_CLEAN,     /* remove disks and everything persisted but the tombstone */
} HostEffectKind;

const char *host_effect_name(HostEffectKind kind);

/* The process of a VM, as it is. */
typedef enum {
    HOST_PROCESS_NONE,
    HOST_PROCESS_LAUNCHED, /* QEMU exists, paused or not, and we do not speak with it yet */
    HOST_PROCESS_PAUSED,   /* attached; the guest does not run */
    HOST_PROCESS_RUNNING,
    HOST_PROCESS_ENDED, /* an exit is recorded; the keeper still waits to be released */
} HostProcess;

/* What the guest or QEMU did, from QMP events or query-status. */
typedef enum {
    HOST_GUEST_POWEROFF, /* QEMU is paused (-action shutdown=pause) */
    HOST_GUEST_PANIC,
    HOST_GUEST_RESET,
    HOST_GUEST_STOPPED, /* paused by someone else */
    HOST_GUEST_RESUMED,
    HOST_GUEST_IO_ERROR, /* paused because its disk failed */
    HOST_GUEST_AGENT_UP, /* the guest's agent has answered for the first time since the start */
} HostGuestEvent;

typedef enum {
    HOST_EVENT_RESTORE, /* at start, once for each VM found on disk or running */
    HOST_EVENT_READY,   /* everything is restored; only now are effects asked for */
    HOST_EVENT_APPLY,   /* vm.apply */
    HOST_EVENT_REMOVE,  /* vm.remove */
    HOST_EVENT_DONE,    /* an effect has ended */
    HOST_EVENT_EXITED,  /* QEMU has ended, told by its keeper or its pidfd */
    HOST_EVENT_GUEST,
    HOST_EVENT_TICK,      /* at or after the time of host_next_deadline() */
    HOST_EVENT_FORGOTTEN, /* a mark is durable, or is not */
    HOST_EVENT_REPORT_ALL /* a new connection to the manager: report every VM */
} HostEventKind;

typedef struct {
    HostEventKind kind;
    const char *vm; /* id; all but READY, TICK, FORGOTTEN, REPORT_ALL */
    union {
        struct {
            const Assignment *assignment; /* NULL: runs, and nobody knows what it should be */
            int64_t tombstone;            /* epoch; 0: none */
            const VmRecord *record;       /* NULL: none */
            HostProcess process;          /* NONE, LAUNCHED or ENDED */
            int64_t epoch;                /* of the running process; 0: none */
            const KeeperExit *exit;       /* for ENDED */
        } restore;
        struct {
            const Assignment *assignment;
            void *call; /* comes back in HOST_ACTION_REPLY */
        } apply;
        struct {
            int64_t epoch;
            void *call;
        } remove;
        struct {
            uint64_t serial;
            const GError *error;    /* NULL: it worked */
            bool running;           /* ATTACH: the guest runs already (adoption) */
            const int *guest_event; /* ATTACH: a HostGuestEvent that happened while we were away, or
                                       NULL */
            int64_t vcpus_online;   /* TUNE, ATTACH: as the guest has it; 0: unknown */
            const char *note;       /* TUNE: what could not be done and why, though the rest was */
            int64_t memory; /* TUNE: MiB that the guest holds all the same; 0: what was assigned */
            bool guest_agent; /* ATTACH: it answers */
        } done;
        const KeeperExit *exited;
        HostGuestEvent guest;
        const GError *forgotten; /* NULL: durable */
    };
} HostEvent;

typedef enum {
    HOST_ACTION_EFFECT,
    HOST_ACTION_REPLY,
    HOST_ACTION_REPORT,
    HOST_ACTION_FORGET, /* write the mark (vm, forget_epoch), then tell FORGOTTEN */
    HOST_ACTION_DROP,   /* remove what is kept of the VM, before the next step; should that not
                           last, it is asked for again after the next start */
} HostActionKind;

typedef struct {
    HostActionKind kind;
    char *vm;
    union {
        struct {
            HostEffectKind kind;
            uint64_t serial;
            Assignment *assignment; /* as of now; NULL for a VM that has none */
            VmRecord *record;       /* PERSIST */
            int64_t tombstone;      /* PERSIST; 0: none */
            bool again;             /* RELEASE: the VM is to be started again, here */
            char *launch;           /* LAUNCH: nothing yet names it; the agent makes the ULID */
        } effect;
        struct {
            void *call;
            GError *error; /* NULL: accepted and durable */
        } reply;
        ReportedVm *report;
        int64_t forget_epoch;
    };
} HostAction;

typedef GPtrArray HostActions; /* of HostAction * */

HostCore *host_core_new(const HostConfig *config);
void host_core_free(HostCore *core);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostCore, host_core_free)

/* The one way in. `now_ms` is the wall clock as of the start and goes on steadily from there: a
 * clock that is set meanwhile must not end waits and deadlines. It never falls from call to call as
 * the core sees it (an earlier one is taken for the latest known). Returns the actions in the order
 * in which they are to be begun, never NULL. */
HostActions *host_step(HostCore *core, const HostEvent *event, int64_t now_ms);

/* When host_step wants a TICK at the latest; INT64_MAX: not at all. */
int64_t host_next_deadline(const HostCore *core);

/* Reading. Borrowed until the next step; NULL where there is no such VM. */
const Assignment *host_core_assignment(const HostCore *core, const char *vm);
VmStatus *host_core_status(const HostCore *core, const char *vm); /* a new one */
HostProcess host_core_process(const HostCore *core, const char *vm);
GPtrArray *host_core_vms(const HostCore *core); /* ids, sorted, new; free with g_ptr_array_unref */

/* For tests and the simulator: what must hold after every step; false with the broken rule in
 * `error`. */
bool host_core_check(const HostCore *core, GError **error);
