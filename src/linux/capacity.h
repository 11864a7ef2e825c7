/*
 * What this machine has, as far as the kernel knows: the discovered part of a host's capacity, and
 * the features that reclaiming may use. Bandwidths that the kernel doesn't know are declared or
 * measured.
 *
 * Reads /proc, /sys and statfs; starts nothing and changes nothing. KVM's device node says that the
 * module is loaded, not that guests run: qemu/ probes that by running one.
 *
 * Thread safety: any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t cpus;           /* logical CPUs that are online and allowed to this process */
    int64_t cpu_online;     /* logical CPUs that are online */
    int64_t sockets, cores; /* physical, of those online; 0: unknown */
    int64_t numa_nodes;
    char *cpu_model;    /* as /proc/cpuinfo names it; "unknown" */
    char *topology;     /* "2 sockets, 32 cores, 64 threads, 2 NUMA nodes" */
    int64_t memory_mib; /* MemTotal, rounded down */
    int64_t swap_mib;
    int64_t huge_page_kib;
    char *kernel; /* release, "6.1.0-28-amd64" */
    char *boot_id;
    bool kvm_device; /* /dev/kvm exists and can be opened */
    int cgroup;      /* 1, 2; 0: none that serves */
    bool ksm;
    bool zram;        /* can be made: the control file is there */
    bool psi;         /* pressure files are there and can be read */
    bool userfaultfd; /* /dev/userfaultfd, or the system call allowed to us */
} Capacity;

/* `root` is put before every path (tests), NULL: "". What the kernel doesn't say is 0, false or
 * "unknown"; only a machine without memory or CPUs is an error. */
Capacity *capacity_discover(const char *root, GError **error);
void capacity_free(Capacity *capacity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Capacity, capacity_free)

/* Of the file system that holds `directory`, in GiB, rounded down: its size and what an
 * unprivileged writer can still have. */
bool capacity_disk(const char *directory, int64_t *ret_size_gib, int64_t *ret_free_gib,
                   GError **error);

/* Link speed of a NIC in Mbit/s; 0 where the driver doesn't know (virtual, down). */
int64_t capacity_nic_mbit(const char *root, const char *interface);

/* Counts the CPUs of a list as the kernel writes it ("0-3,8,10-11"); -1: malformed. */
int64_t capacity_count_cpu_list(const char *text);
