/*
 * Control groups of a host and of its VMs, one interface over v1, v2 and the two together.
 *
 *     v2    <root>/<parent>/<host>/<vm>            memory, weight against other VMs
 *                                 /<vm>/vcpu       threaded: quota of the vCPU threads
 *                                 /<vm>/emulator   threaded: all other threads of QEMU
 *     v1    <root>/<controller>/<parent>/<host>/<vm>{,/vcpu,/emulator} for cpu and cpuacct;
 *           …/<vm> for memory; and <root>/unified/… where it is mounted, for pressure and kill
 *
 * The quota holds the vCPU threads only: with all of QEMU under it, its monitor answers in 30–59 ms
 * instead of 6 (measured). The emulator's threads have a quota of their own. The weight stands at
 * the VM: shares of the host among VMs, whatever the number of their threads.
 *
 * Each period begins with cold caches and overdue timers, so short ones waste what they give:
 * with 20 ms, 375 millicores did 1.69 times the work of 250, with 100 ms 1.54 times (measured in a
 * guest under TCG on a busy host). Long ones make the guest stand still for long. So a period is as
 * short as 20 ms of running allow: 20 ms from one CPU on, 40 at half of one, never above the
 * kernel's usual 100. A quota below 1 ms a period is impossible for the kernel, so below 10
 * millicores the period grows (cgroup_quota).
 *
 * Memory is only accounted, never limited: without swap a hard limit lets the kernel kill QEMU.
 * QEMU must start inside its group (v1 does not move what is already charged): berth-keep writes
 * its child's pid to cgroup_vm_procs_files before it executes.
 *
 * Everything is idempotent; after a crash of the agent the same calls lead to the same end. A
 * host's and a VM's group are directories, so nothing needs to be remembered: cgroup_vm_open finds
 * them again.
 *
 * On a systemd host give the agent's unit `Delegate=yes` and pass its slice as `parent`, or leave
 * the default, a group of its own below the root that systemd leaves alone.
 *
 * Threading: plain file operations, any thread, one at a time for each VM. Errors are BerthErrors.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct CgroupHost CgroupHost;
typedef struct CgroupVm CgroupVm;

typedef struct {
    const char *root;   /* NULL: /sys/fs/cgroup */
    const char *parent; /* NULL: "berth" */
} CgroupPlace;

/* Detects what is mounted, makes <parent>/<name> and enables the controllers along the way. `place`
 * NULL: all defaults. BERTH_ERROR_UNAVAILABLE where there is no cpu or memory controller at all. */
CgroupHost *cgroup_host_new(const char *name, const CgroupPlace *place, GError **error);
void cgroup_host_free(CgroupHost *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CgroupHost, cgroup_host_free)

/* 1 or 2: where cpu and memory are. */
int cgroup_host_version(const CgroupHost *host);

/* Which version a machine has, without making anything; 0: none that serves. */
int cgroup_detect(const char *root);

/* Ids of the VMs that have a group here (in any controller), sorted: for the left-over sweep. */
GPtrArray *cgroup_host_list(const CgroupHost *host, GError **error);

/* Removes the host's own group, when its VMs are gone; the parent too when it is empty. */
bool cgroup_host_remove(CgroupHost *host, GError **error);

/* Makes the groups of a VM, or finds those that are there. `host` must outlive the VM's handle. */
CgroupVm *cgroup_vm_create(CgroupHost *host, const char *vm_id, GError **error);

/* The handle of a group that should exist; no error when it does not: then every reading fails. */
CgroupVm *cgroup_vm_open(CgroupHost *host, const char *vm_id);
void cgroup_vm_free(CgroupVm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CgroupVm, cgroup_vm_free)

/* Files to which a pid is written to put that process, before exec, where QEMU belongs: memory of
 * the VM, emulator's cpu. NULL-terminated, free with g_strfreev. */
char **cgroup_vm_procs_files(const CgroupVm *vm);

/* Puts these threads into the vCPU group. All others stay where they started, in the emulator's. A
 * thread that has ended meanwhile is not an error. */
bool cgroup_vm_place_threads(CgroupVm *vm, const pid_t *vcpu_tids, size_t n_tids, GError **error);

/* Quota of all vCPU threads together (millicores, 0: none) and the VM's weight (1–10000, 100 as a
 * start; v1 shares are weight × 1024 / 100). */
bool cgroup_vm_set_cpu(CgroupVm *vm, int64_t quota_millicores, int weight, GError **error);

/* Quota of the emulator's threads (millicores, 0: none) and their weight against the vCPUs'. */
bool cgroup_vm_set_emulator(CgroupVm *vm, int64_t quota_millicores, int weight, GError **error);

typedef struct {
    int64_t some_usec; /* total time that at least one task waited */
    int64_t full_usec; /* that all did; -1 where the kernel has none */
    double some_avg10; /* per cent of the last ten seconds */
} CgroupPressure;

typedef struct {
    int64_t cpu_usec;          /* of all of QEMU */
    int64_t vcpu_usec;         /* of the vCPU threads */
    int64_t periods;           /* of the vCPU quota, while something ran */
    int64_t throttled_periods; /* in which it was used up */
    int64_t throttled_usec;
    int64_t memory_bytes;
    int64_t memory_peak_bytes; /* -1: this kernel has none (v2 before 5.19) */
    int64_t oom_kills;         /* since the group was made; -1: unknown */
    bool has_pressure;         /* PSI is there and on */
    CgroupPressure cpu, memory, io;
} CgroupStats;

bool cgroup_vm_stats(const CgroupVm *vm, CgroupStats *ret_stats, GError **error);

/* Processes in the VM's groups, sorted, each once; of pid_t. */
GArray *cgroup_vm_pids(const CgroupVm *vm, GError **error);

/* SIGKILL to every process in the groups (one write where cgroup.kill exists). Returns at once. */
bool cgroup_vm_kill(CgroupVm *vm, GError **error);

/* Removes the groups, waiting up to `timeout_ms` for processes that are ending (a killed process
 * leaves its group only when it is reaped or, at v2, has died). True also when there are none.
 * BERTH_ERROR_CONFLICT names the processes that stay. Blocks, polling each millisecond at first. */
bool cgroup_vm_remove(CgroupVm *vm, unsigned timeout_ms, GError **error);

/* The period and quota that the kernel is given for `millicores` > 0, in µs. */
void cgroup_quota(int64_t millicores, int64_t *ret_period_usec, int64_t *ret_quota_usec);
