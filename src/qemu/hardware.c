#include "qemu/hardware.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define TCG_BAD_STEP_KIB 256
#define CHIPSET_SLOT 31
#define SLOTS 32

int64_t qemu_ram_kib(Accelerator accelerator, int64_t memory_mib)
{
    int64_t kib = memory_mib * 1024;
    return accelerator == ACCELERATOR_TCG ? kib + QEMU_RAM_GRANULE_KIB : kib;
}

int64_t qemu_plugged_vcpus(const Hardware *hardware)
{
    return hardware->accelerator == ACCELERATOR_TCG ? hardware->max_vcpus : hardware->vcpus;
}

static bool refuse(GError **error, const char *field, const char *value, const char *remedy,
                   const char *message)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, field, value, remedy, "%s", message);
}

static bool refuse_number(GError **error, const char *field, int64_t value, const char *remedy,
                          const char *message)
{
    g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, value);
    return refuse(error, field, text, remedy, message);
}

/* -cpu and -machine have their own syntax behind a comma, which no doubling escapes. */
static bool is_plain_name(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return name != NULL && g_ascii_isalnum(*name) && name[strspn(name, plain)] == '\0';
}

static bool check_machine(const Hardware *hw, GError **error)
{
    const char *dash = hw->machine != NULL ? strrchr(hw->machine, '-') : NULL;
    char *end = NULL;
    bool versioned = is_plain_name(hw->machine) && dash != NULL && g_ascii_isdigit(dash[1]) &&
                     strtoul(dash + 1, &end, 10) < 1000 && *end == '.' && g_ascii_isdigit(end[1]);
    return versioned || refuse(error, "machine", hw->machine, "use a versioned one: pc-q35-7.2",
                               "not a versioned machine type");
}

static bool check_cpu(const Hardware *hw, GError **error)
{
    if (hw->accelerator != ACCELERATOR_KVM && hw->accelerator != ACCELERATOR_TCG) {
        return refuse(error, "accelerator", NULL, "use kvm or tcg", "no accelerator");
    }
    if (!is_plain_name(hw->cpu_model)) {
        return refuse(error, "cpu-model", hw->cpu_model, "use the name of a model, such as Nehalem",
                      "not the name of a CPU model");
    }
    bool floating = strcmp(hw->cpu_model, "host") == 0 || strcmp(hw->cpu_model, "max") == 0;
    if (hw->accelerator == ACCELERATOR_KVM && floating) {
        return refuse(
            error, "cpu-model", hw->cpu_model, "use the name of a model, such as Nehalem",
            "under KVM this is another processor on each host, and the VM could not move");
    }
    if (hw->max_vcpus < 1 || hw->max_vcpus > QEMU_MAX_VCPUS) {
        return refuse_number(error, "max-vcpus", hw->max_vcpus, "use 1 to 255", "out of range");
    }
    if (hw->vcpus < 1 || hw->vcpus > hw->max_vcpus) {
        return refuse_number(error, "vcpus", hw->vcpus, "use 1 to max-vcpus", "out of range");
    }
    if (hw->replayable && (hw->accelerator != ACCELERATOR_TCG || hw->max_vcpus != 1)) {
        return refuse(error, "replayable", NULL, "use tcg and one vCPU",
                      "only a VM with one emulated vCPU can be recorded and replayed");
    }
    return true;
}

static bool check_memory(const Hardware *hw, GError **error)
{
    if (hw->ram_kib < 1024 || hw->ram_kib > (INT64_C(1) << 40) ||
        hw->ram_kib % QEMU_RAM_GRANULE_KIB != 0) {
        return refuse_number(error, "ram-kib", hw->ram_kib, "use a multiple of 8 from 1024",
                             "not a size of RAM");
    }
    if (hw->accelerator == ACCELERATOR_TCG && hw->ram_kib % TCG_BAD_STEP_KIB == 0) {
        return refuse_number(error, "ram-kib", hw->ram_kib, "add 8",
                             "under TCG QEMU loses dirty pages when this is a multiple of 256");
    }
    if (hw->max_memory < hw->ram_kib / 1024 || hw->max_memory > (INT64_C(1) << 30)) {
        return refuse_number(error, "max-memory", hw->max_memory,
                             "use at least the size of the RAM", "out of range");
    }
    if (hw->ram_class != RAM_CLASS_PRIVATE && hw->ram_class != RAM_CLASS_SHARED) {
        return refuse(error, "ram-class", NULL, "use private or shared", "no class of RAM");
    }
    if (hw->mem_merge && hw->ram_class == RAM_CLASS_SHARED) {
        return refuse(error, "mem-merge", NULL, "use ram-class private", "shared RAM cannot merge");
    }
    return true;
}

typedef struct {
    const char *ids[SLOTS]; /* by slot */
} Bus;

/* Gives `id` its slot, unless the slot or the id is taken. */
static bool take_slot(Bus *bus, const char *id, int64_t slot, GError **error)
{
    if (!is_plain_name(id) || g_ascii_isdigit(*id)) {
        return refuse(error, "id", id, "use letters, digits, '-', '_' and '.', a letter first",
                      "not an id of QEMU's");
    }
    if (slot < 1 || slot >= CHIPSET_SLOT) {
        return refuse_number(error, "slot", slot, "use 1 to 30", "no free slot of the root bus");
    }
    for (int i = 0; i < SLOTS; i++) {
        if (g_strcmp0(bus->ids[i], id) == 0) {
            return refuse(error, "id", id, "give each device its own", "the id is there twice");
        }
    }
    if (bus->ids[slot] != NULL) {
        return refuse_number(error, "slot", slot, "give each device its own",
                             "the slot is there twice");
    }
    bus->ids[slot] = id;
    return true;
}

static bool check_disk(Bus *bus, const HardwareDisk *disk, GError **error)
{
    if (disk->format != IMAGE_FORMAT_RAW && disk->format != IMAGE_FORMAT_QCOW2) {
        return refuse(error, "format", NULL, "say raw or qcow2: formats are never probed",
                      "no image format");
    }
    if (disk->serial != NULL && strlen(disk->serial) > 20) {
        return refuse(error, "serial", disk->serial, "use 20 bytes at most",
                      "a guest would see it cut");
    }
    return take_slot(bus, disk->id, disk->slot, error);
}

static bool check_nic(Bus *bus, const HardwareNic *nic, GError **error)
{
    guint64 first = 0;
    static const char shape[] = "xx:xx:xx:xx:xx:xx";
    bool good = nic->mac != NULL && strlen(nic->mac) == strlen(shape);
    for (size_t i = 0; good && shape[i] != '\0'; i++) {
        good = shape[i] == ':' ? nic->mac[i] == ':' : g_ascii_isxdigit(nic->mac[i]);
    }
    first = good ? g_ascii_strtoull(nic->mac, NULL, 16) : 1;
    if (first % 2 != 0) {
        return refuse(error, "mac", nic->mac, "use a unicast address such as 52:54:00:12:34:56",
                      "not a MAC address of a card");
    }
    return take_slot(bus, nic->id, nic->slot, error);
}

static bool check_devices(const Hardware *hw, GError **error)
{
    Bus bus = {0};
    if (!take_slot(&bus, "balloon0", hw->balloon_slot, error)) {
        berth_error_prefix_field(error, "balloon");
        return false;
    }
    if (!take_slot(&bus, "serial0", hw->serial_slot, error)) {
        berth_error_prefix_field(error, "serial");
        return false;
    }
    for (guint i = 0; i < hw->nics->len; i++) {
        if (!check_nic(&bus, hw->nics->pdata[i], error)) {
            berth_error_prefix_field(error, "nics");
            return false;
        }
    }
    for (guint i = 0; i < hw->disks->len; i++) {
        if (!check_disk(&bus, hw->disks->pdata[i], error)) {
            berth_error_prefix_field(error, "disks");
            return false;
        }
    }
    return true;
}

bool qemu_hardware_check(const Hardware *hw, GError **error)
{
    if (hw->uuid == NULL || !g_uuid_string_is_valid(hw->uuid)) {
        return refuse(error, "uuid", hw->uuid, NULL, "not a UUID");
    }
    if (hw->boot != IMAGE_KIND_KERNEL && hw->boot != IMAGE_KIND_DISK) {
        return refuse(error, "boot", NULL, "use kernel or disk", "nothing to boot from");
    }
    if (hw->boot == IMAGE_KIND_DISK && hw->disks->len == 0) {
        return refuse(error, "boot", "disk", "give it a disk, or boot a kernel",
                      "boots from a disk and has none");
    }
    return check_machine(hw, error) && check_cpu(hw, error) && check_memory(hw, error) &&
           check_devices(hw, error);
}
