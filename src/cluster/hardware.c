#include "cluster/hardware.h"

#include <string.h>

#define FIRST_NIC_SLOT 4
#define FIRST_DISK_SLOT 16
#define FALLBACK_MACHINE "pc-q35-7.2"

/* Under KVM a model by name that hosts of the last fifteen years share, so that VMs can move among
 * them. */
#define KVM_CPU_MODEL "Nehalem"
#define TCG_CPU_MODEL "max"

static char *uuid_of(const char *id)
{
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, id, -1);
    /* Version 8 (custom) and the variant bits of RFC 9562. */
    hash[12] = '8';
    hash[16] = "89ab"[g_ascii_xdigit_value(hash[16]) & 3];
    return g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%.12s", hash, hash + 8, hash + 12, hash + 16,
                           hash + 20);
}

char *hardware_mac(const char *id, guint nic, guint attempt)
{
    g_autofree char *seed = g_strdup_printf("%s/%u/%u", id, nic, attempt);
    g_autofree char *h = g_compute_checksum_for_string(G_CHECKSUM_SHA256, seed, -1);
    return g_strdup_printf("02:%.2s:%.2s:%.2s:%.2s:%.2s", h, h + 2, h + 4, h + 6, h + 8);
}

/* TCG before QEMU 9.0 loses dirty pages of a guest whose RAM is a multiple of 256 KiB. */
static int64_t ram_kib(int64_t memory_mib, Accelerator accelerator)
{
    int64_t kib = memory_mib * 1024;
    return accelerator == ACCELERATOR_TCG ? kib + 8 : kib;
}

Hardware *hardware_new_for(const char *id, const HostFacts *host, int64_t memory_mib, int64_t vcpus,
                           int64_t max_vcpus, ImageKind boot, guint nics, bool disk)
{
    Hardware *hw = hardware_new();
    hw->accelerator = host->accelerator != NULL && host->accelerator->kind == ACCELERATOR_KVM
                          ? ACCELERATOR_KVM
                          : ACCELERATOR_TCG;
    hw->machine = g_strdup(host->machine != NULL ? host->machine : FALLBACK_MACHINE);
    hw->cpu_model = g_strdup(hw->accelerator == ACCELERATOR_KVM ? KVM_CPU_MODEL : TCG_CPU_MODEL);
    hw->uuid = uuid_of(id);
    hw->ram_kib = ram_kib(memory_mib, hw->accelerator);
    hw->ram_class = RAM_CLASS_PRIVATE;
    hw->vcpus = vcpus;
    hw->max_vcpus = max_vcpus;
    hw->max_memory = memory_mib;
    hw->boot = boot;
    for (guint i = 0; i < nics; i++) {
        HardwareNic *nic = hardware_nic_new();
        nic->id = g_strdup_printf("net%u", i);
        nic->slot = FIRST_NIC_SLOT + i;
        nic->mac = hardware_mac(id, i, 0);
        g_ptr_array_add(hw->nics, nic);
    }
    if (disk) {
        HardwareDisk *d = hardware_disk_new();
        d->id = g_strdup("disk0");
        d->slot = FIRST_DISK_SLOT;
        d->format = IMAGE_FORMAT_QCOW2;
        g_ptr_array_add(hw->disks, d);
    }
    return hw;
}
