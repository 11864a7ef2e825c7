/*
 * A simulated host below its agent: a disk that keeps what was written, QEMUs with their keepers
 * and guests, what was prepared for them, and a clock that is not quite right.
 *
 * What survives what is the design's: kept records survive everything; QEMUs, their keepers and
 * what was prepared in the kernel survive the agent; a crash of the machine leaves kept records and
 * disks, and a boot id that is new.
 *
 * The rules that concern what really runs are held here, where it changes: a VM never runs twice,
 * on one host or on two; what runs on a host never takes more than its capacity less its reserve; a
 * guest whose poweroff its agent has heard of is not started again until somebody asks; a VM that
 * was removed is not started again.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "host/host.h"
#include "sim/world.h"

typedef enum {
    SIM_GUEST_NEW, /* QEMU was started paused */
    SIM_GUEST_RUNNING,
    SIM_GUEST_STOPPED, /* by somebody else */
    SIM_GUEST_IO_ERROR,
    SIM_GUEST_POWEROFF,
    SIM_GUEST_PANIC,
} SimGuest;

typedef struct {
    char *vm;
    int64_t epoch;
    uint64_t instance; /* no other QEMU of the run has it */
    KeeperExit *exit;  /* NULL: lives */
    SimGuest guest;
    bool guest_agent;
    Resources *limits;  /* what its groups, balloon and shapers let it have */
    GPtrArray *devices; /* of DeviceHeld, as it was launched with */
    int64_t vcpus_online;
    bool tuned;         /* since it was launched */
    bool asked_off;     /* a power down was asked of it: its poweroff is not of its own accord */
    bool attached;      /* this agent has its monitor */
    int64_t monitor_ms; /* nothing overtakes what its monitor has said */
} SimQemu;

/* What was made for a VM outside QEMU. */
typedef struct {
    int64_t disk; /* GiB, 0: none */
    bool kernel;  /* taps and groups */
} SimPrepared;

/* What all hosts share: which VM runs where. */
typedef struct {
    GHashTable *running; /* VM id → SimMachine */
    uint64_t last_instance;
    uint64_t launches;
} SimFleet;

typedef struct SimMachine SimMachine;

/* To the agent, as it happens. */
typedef struct {
    void (*exited)(void *agent, const SimQemu *qemu);
    void (*guest)(void *agent, SimQemu *qemu, HostGuestEvent event);
} SimWatch;

struct SimMachine {
    SimWorld *world;
    SimFleet *fleet;
    char *name;
    char *id; /* of the host */
    Resources *capacity, *reserve;
    GPtrArray *devices; /* of HostDevice */
    int64_t overhead;   /* memory of a QEMU besides its guest's, MiB */
    int64_t guest_obeys_percent;

    bool up;
    uint64_t boots;
    char *boot_id;
    GTree *kept;     /* VM id → KeptVm */
    GTree *qemus;    /* VM id → SimQemu */
    GTree *prepared; /* VM id → SimPrepared */
    GTree *networks; /* id → NetworkAssignment, made anew after each boot */
    GHashTable *off; /* VM id → int64_t *: generation in which its guest has powered itself off */
    char *forgotten_vm; /* the mark that stands for old tombstones; NULL: none */
    int64_t forgotten_epoch;
    GHashTable *removed; /* VM id → int64_t *: epoch in which it was removed, from the beginning */
    GPtrArray *ghosts;   /* of Assignment: some of what VMs were told before */
    bool disk_full;

    /* Its clock shows the world's time plus an offset, and gains `drift_ppm`. */
    int64_t clock_offset_ms, clock_from_ms, drift_ppm;
    int64_t stepped_ms; /* by how much it was set, in all */

    SimWatch watch;
    void *agent;
};

SimFleet *sim_fleet_new(void);
void sim_fleet_free(SimFleet *fleet);

/* Takes over `capacity`, `reserve` and `devices`; the last two may be NULL. */
SimMachine *sim_machine_new(SimWorld *world, SimFleet *fleet, const char *name, const char *id,
                            Resources *capacity, Resources *reserve, GPtrArray *devices);
void sim_machine_free(SimMachine *machine);

int64_t sim_machine_clock(const SimMachine *machine);
/* How long until its clock shows `clock_ms`, as the world counts. */
int64_t sim_machine_wait(const SimMachine *machine, int64_t clock_ms);
void sim_machine_set_clock(SimMachine *machine, int64_t step_ms, int64_t drift_ppm);

SimQemu *sim_machine_qemu(const SimMachine *machine, const char *vm); /* NULL: none */

/* The address by which other hosts reach it. g_free it. */
char *sim_machine_address(const SimMachine *machine);

/* What is older than what it has of the network is ignored. */
void sim_machine_apply_network(SimMachine *machine, const NetworkAssignment *network);
void sim_machine_remove_network(SimMachine *machine, const NetworkRemove *removal);
void sim_machine_report_networks(const SimMachine *machine, GPtrArray *reported);

/* The effects, as of now, at once. */
bool sim_machine_persist(SimMachine *machine, const char *vm, const Assignment *assignment,
                         const VmRecord *record, int64_t tombstone, GError **error);
bool sim_machine_prepare(SimMachine *machine, const Assignment *assignment, GError **error);
bool sim_machine_launch(SimMachine *machine, const Assignment *assignment, GError **error);
bool sim_machine_tune(SimMachine *machine, const Assignment *assignment, GError **error);
bool sim_machine_resume(SimMachine *machine, const char *vm, GError **error);
bool sim_machine_powerdown(SimMachine *machine, const char *vm, GError **error);
bool sim_machine_kill(SimMachine *machine, const char *vm, GError **error);
bool sim_machine_release(SimMachine *machine, const char *vm, GError **error);
bool sim_machine_clean(SimMachine *machine, const char *vm, GError **error);

/* A mark that stands for old tombstones; and the end of what is kept of a VM that it covers. */
bool sim_machine_forget(SimMachine *machine, const char *vm, int64_t epoch, GError **error);
void sim_machine_drop(SimMachine *machine, const char *vm);

/* The agent hears that the guest has powered itself off. */
void sim_machine_heard_poweroff(SimMachine *machine, const char *vm);

/* What befalls it. */
void sim_machine_qemu_ends(SimMachine *machine, SimQemu *qemu, KeeperExitKind kind, int signal,
                           bool oom);
/* False where a guest in its state does no such thing. */
bool sim_machine_guest_does(SimMachine *machine, SimQemu *qemu, HostGuestEvent event);
void sim_machine_crash(SimMachine *machine);
void sim_machine_boot(SimMachine *machine);
