/*
 * QEMU's command line: a pure function of a VM's hardware and of facts about its host.
 *
 * The record says what the guest sees (hardware.h), the place where it comes from on this host.
 * QEMU opens nothing that matters itself: disks, taps, console and monitors are descriptors that
 * its parent has opened, named here by the numbers that they will have in QEMU. Paths appear only
 * for QEMU's own program and firmware and for kernel and initrd, where /proc/self/fd/N does as
 * well.
 *
 * Ids: devices have the record's ids (disk0, net0, balloon0, serial0, agent0, panic0). Behind them,
 * for disk0: block nodes disk0-file, disk0-format, disk0-base and disk0-limit, throttle group
 * QEMU_LIMIT_PREFIX "disk0"; for net0: netdev net0-host; character devices qmp0, qmp1, console,
 * agent. qmp_commands.h speaks of them by these names.
 *
 * QEMU is started without -daemonize and -runas, which break the sandbox and userfaultfd: its
 * parent sets uid, cgroup and namespaces. A guest that ends or panics, and a disk that fails, pause
 * QEMU, so that the cause can be asked for later. RAM does not merge unless the record says so.
 *
 * Pure: no I/O. Golden files: tests/golden/.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "qemu/command.h"
#include "schema/types.h"

#define QEMU_LIMIT_PREFIX "limit-"

/* 0 means none for every descriptor: 0 to 2 are never QEMU's to be given. */
typedef struct {
    const char *id; /* as in the record */
    int fd;         /* the image, open as the record's read-only says */
    int base_fd; /* what a qcow2 overlay lies on, open read-only; its own header is not believed */
    ImageFormat base_format;
    int64_t bytes_per_second; /* reads and writes together; 0: no limit */
} QemuPlaceDisk;

typedef struct {
    const char *id;
    int tap_fd; /* opened with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR */
} QemuPlaceNic;

typedef struct {
    const char *qemu;         /* program */
    const char *firmware_dir; /* NULL: QEMU's own */
    const char *name;         /* shown in the process list; NULL: none */
    const char *kernel;       /* for a record that boots a kernel */
    const char *initrd;       /* or NULL */
    const char *cmdline;      /* or NULL */
    const QemuPlaceDisk *disks;
    size_t n_disks;
    const QemuPlaceNic *nics;
    size_t n_nics;
    int monitor_fds[2];    /* listening unix sockets: the agent's, and a spare one for people and
                              engines */
    int agent_fd;          /* listening unix socket of the guest's agent */
    int console_fd;        /* connected socket */
    const char *ram_path;  /* shared RAM: a file of the right size; NULL: a memfd of QEMU's own */
    int64_t tcg_cache_mib; /* bound on translated code, the greater part of QEMU's overhead under
                              TCG; 0: QEMU_TCG_CACHE_MIB */
    bool running;          /* begin at once instead of waiting for `cont` */
} QemuPlace;

#define QEMU_TCG_CACHE_MIB 64

/* A new command, or BERTH_ERROR_INVALID that names what is missing or does not fit. */
Command *qemu_command_line(const Hardware *hardware, const QemuPlace *place, GError **error);
