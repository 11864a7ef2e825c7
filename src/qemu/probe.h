/*
 * What QEMU on this host really does, found by running it.
 *
 * /dev/kvm can exist and be useless (paravirtual modules, nested hosts without it), so the file
 * decides nothing: a guest of 512 bytes is booted under KVM, and says by its exit that it ran. Why
 * it did not is told in a sentence that the operator gets to see.
 *
 * QEMU's own memory, besides the guest's RAM, is measured on an idle one with the devices that
 * Berth uses; what TCG's cache of translated code may grow to is added.
 *
 * Blocks for a fraction of a second each; a minute at worst. Any thread, but not the main loop's.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "schema/types.h"

typedef struct {
    char *version; /* "7.2.22" */
    char *machine; /* newest versioned q35 that it offers, "pc-q35-7.2" */
    Accelerator accelerator;
    char *reason; /* why it is not KVM; NULL for KVM */
    int64_t overhead_mib;
} QemuProbe;

/* `choice` AUTO tries KVM and falls back to TCG; KVM fails where KVM does
 * (BERTH_ERROR_UNAVAILABLE); TCG doesn't try. */
typedef enum { QEMU_PROBE_AUTO, QEMU_PROBE_KVM, QEMU_PROBE_TCG } QemuProbeChoice;

QemuProbe *qemu_probe(const char *qemu, QemuProbeChoice choice, GError **error);
/* The group with which a QEMU that needs KVM runs: "kvm", if there is one. */
gid_t qemu_kvm_group(gid_t otherwise);
/* Why /dev/kvm, being so, is of no use to such a QEMU; NULL: it may open it. */
char *qemu_probe_device(const struct stat *device, gid_t kvm);
void qemu_probe_free(QemuProbe *probe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QemuProbe, qemu_probe_free)
