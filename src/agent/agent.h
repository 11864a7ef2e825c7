/*
 * One host's agent: the host core with a kernel, QEMUs and a manager around it. Private to
 * src/agent.
 *
 *     uplink.c     the manager: calls become events, reports go out
 *     agent.c      feeds the core, begins its effects, keeps time
 *     vm.c         one VM's run-time handles: keeper, pidfd, QMP, guest agent
 *     restore.c    what runs and what is kept, at start; what is left over
 *     kept.c       PERSIST and CLEAN; FORGET and DROP
 *     prepare.c    PREPARE
 *     launch.c     LAUNCH
 *     attach.c     ATTACH
 *     tune.c       TUNE
 *     end.c        POWERDOWN, KILL, RELEASE, RESUME
 *     images.c     content of images
 *     networks.c   bridges, tunnels, DHCP
 *     facts.c      what the host is
 *     measure.c    what is used
 *     exec.c       programs in guests
 *     console.c    serial consoles
 *
 * An effect is begun by agent.c, carried out in steps that never block the main thread (work.h,
 * QMP), and ended exactly once by effect_end, from where the core learns of it in a later turn of
 * the main loop.
 *
 * Threading: everything in the main thread, but what work.h runs.
 */
#pragma once

#include <sys/types.h>

#include "agent/work.h"
#include "host/host.h"
#include "linux/cgroup.h"
#include "linux/net.h"
#include "linux/spoof.h"
#include "qemu/ga_commands.h"
#include "qemu/qmp_commands.h"
#include "rpc/channel.h"
#include "schema/agent.h"

typedef struct Agent Agent;
typedef struct Images Images;
typedef struct Networks Networks;
typedef struct Uplink Uplink;
typedef struct Measure Measure;
typedef struct Consoles Consoles;

/* A VM's handles while it has a process, and its uid. */
typedef struct {
    Agent *agent;
    char *id;
    char *directory; /* of its keeper */
    char *launch;    /* ULID of this start */
    bool fresh;      /* nothing was changed in this QEMU yet: all is as its command line said */
    uid_t uid;       /* 0: none */
    pid_t pid;       /* of QEMU; 0: none */
    uint64_t start_ticks;
    int pidfd; /* -1: none */
    GSource *watch;
    bool exit_told;
    guint exit_retry;
    unsigned exit_attempts;
    RpcConnection *keeper;
    Qmp *qmp;
    Ga *ga;
    guint ga_retry;
    unsigned ga_attempts;
    bool ga_up;
    CgroupVm *cgroup;
} AgentVm;

struct Agent {
    const char *state, *run;
    AgentConfig *config;
    GMainLoop *main;
    RpcLoop *loop;
    HostCore *core;
    GHashTable *vms; /* id → AgentVm */
    Work *files;     /* disks, images, records */
    Work *kernel;    /* one thread: taps, guards, groups */
    CgroupHost *cgroups;
    Net *net;        /* of the kernel thread */
    Spoof *spoof;    /* of the kernel thread */
    Net *net_reader; /* of the main thread */
    HostFacts *facts;
    char *boot_id;
    unsigned underlay_mtu;
    Images *images;
    Networks *networks;
    Uplink *uplink;
    Measure *measure;
    Consoles *consoles;
    guint tick;
    int64_t clock_offset_ms; /* the wall clock's at the start, over the monotonic one */
    int exit_status;
};

/* Tells the core; carries out what it answers. Not to be called from the core's own actions. */
void agent_step(Agent *agent, const HostEvent *event);

/* What is going on, for the log. */
void agent_log(const char *vm, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* vm.c */
AgentVm *agent_vm(Agent *agent, const char *id); /* made if there is none */
AgentVm *agent_vm_find(Agent *agent, const char *id);
const char *agent_vm_name(const Agent *agent, const char *id); /* the id, where none is known */
void agent_vm_free(AgentVm *vm);
/* Watches QEMU's end and connects to its keeper. */
bool agent_vm_watch(AgentVm *vm, const KeeperStatus *status, GError **error);
void agent_vm_forget_process(AgentVm *vm);
/* QEMU's end, once. */
void agent_vm_tell_exit(AgentVm *vm, const KeeperExit *exit);

/* An effect under way. */
typedef struct {
    Agent *agent;
    char *vm;
    HostEffectKind kind;
    uint64_t serial;
    Assignment *assignment; /* NULL for a VM that has none */
    VmRecord *record;       /* PERSIST */
    int64_t tombstone;
    bool again; /* RELEASE: the VM is to be started again, here */
    int64_t begun_us;
    int64_t qemu_us; /* ATTACH: until QEMU answered; 0: it has not */
    /* What goes back with a success. */
    bool running;
    bool has_guest_event;
    int guest_event;
    int64_t vcpus_online;
    int64_t memory;
    GString *note;
    /* Of the steps; each effect says what they are. */
    gpointer state;
    GDestroyNotify free_state;
} Effect;

/* Ends and frees it; takes `error`. */
void effect_end(Effect *effect, GError *error);
/* Ends it by the error, if there is one. */
bool effect_ends_with(Effect *effect, const GError *error);
void effect_note(Effect *effect, const char *format, ...) G_GNUC_PRINTF(2, 3);

void effect_persist(Effect *effect);
void effect_prepare(Effect *effect);
void effect_launch(Effect *effect);
void effect_attach(Effect *effect);
void effect_tune(Effect *effect);
void effect_resume(Effect *effect);
void effect_powerdown(Effect *effect);
void effect_kill(Effect *effect);
void effect_release(Effect *effect);
void effect_clean(Effect *effect);

/* kept.c */
void kept_forget(Agent *agent, const char *vm, int64_t epoch);
void kept_drop(Agent *agent, const char *vm);
/* As the last FORGET wrote it; NULL without an error: there was none. */
ForgottenVms *kept_read_forgotten(const char *state, GError **error);

/* images.c */
Images *images_new(Agent *agent);
void images_free(Images *images);
typedef void (*ImagesDone)(const GError *error, gpointer data);
/* Brings every file of the image here; verified by its hash. */
void images_ensure(Images *images, const AssignedImage *image, ImagesDone done, gpointer data);
/* Removes content that no kept assignment names. */
void images_sweep(Images *images);

/* networks.c */
Networks *networks_new(Agent *agent);
void networks_free(Networks *networks);
void networks_restore(Networks *networks);
typedef void (*NetworksDone)(const GError *error, gpointer data);
void networks_apply(Networks *networks, const NetworkAssignment *assignment, NetworksDone done,
                    gpointer data);
void networks_remove(Networks *networks, const NetworkRemove *removal, NetworksDone done,
                     gpointer data);
/* Borrowed; NULL: the manager has not told of it. */
const NetworkAssignment *networks_find(Networks *networks, const char *id);
/* MTU for guests of it, and the bridge's name. */
unsigned networks_mtu(Networks *networks, const NetworkAssignment *network);
char *networks_bridge(const NetworkAssignment *network);
void networks_report(Networks *networks, GPtrArray *reported); /* of ReportedNetwork */

/* restore.c */
bool restore_all(Agent *agent, GError **error);
void restore_sweep(Agent *agent);
/* The VM's process as its keeper recorded it, if it lives. */
KeeperStatus *restore_running(const AgentVm *vm);
uid_t restore_uid_of(pid_t pid);
/* The uids that VMs hold. */
uid_t restore_free_uid(Agent *agent);

/* facts.c */
HostFacts *facts_gather(Agent *agent, GError **error);

/* uplink.c */
Uplink *uplink_new(Agent *agent, GError **error);
void uplink_free(Uplink *uplink);
void uplink_report(Uplink *uplink, ReportedVm *report); /* takes it */
void uplink_notice(Uplink *uplink, const char *kind, const char *vm, const char *message);
void uplink_networks_changed(Uplink *uplink);
void uplink_measure(Uplink *uplink, const HostMeasure *measure);
bool uplink_is_up(const Uplink *uplink);
/* BERTH_ERROR_UNAVAILABLE at once while there is no manager. */
void uplink_call(Uplink *uplink, const char *method, json_t *params, RpcAnswer answer, void *data);
void uplink_notify(Uplink *uplink, const char *method, json_t *params);

/* measure.c */
Measure *measure_new(Agent *agent);
void measure_free(Measure *measure);

/* exec.c */
void exec_begin(Agent *agent, RpcCall *call);

/* console.c */
Consoles *consoles_new(Agent *agent);
void consoles_free(Consoles *consoles);
void consoles_open(Consoles *consoles, RpcCall *call);
void consoles_input(Consoles *consoles, const ConsoleData *data);
void consoles_close(Consoles *consoles, const char *session);
void consoles_close_all(Consoles *consoles);
