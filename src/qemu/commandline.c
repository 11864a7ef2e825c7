#include "qemu/commandline.h"

#include <string.h>

#include "base/error.h"
#include "qemu/hardware.h"

#define FREE_RAM_SLOTS "2"

static void add_process(CommandLine *line, const QemuPlace *place)
{
    if (place->name != NULL) {
        command_line_option(line, "-name", NULL, "guest", place->name, "debug-threads", "on", NULL);
    }
    command_line_args(line, "-nodefaults", "-no-user-config", "-nographic", NULL);
    command_line_args(line, "-msg", "timestamp=on", NULL);
    command_line_option(line, "-sandbox", "on", "obsolete", "deny", "elevateprivileges", "deny",
                        "spawn", "deny", "resourcecontrol", "deny", NULL);
    if (place->firmware_dir != NULL) {
        command_line_args(line, "-L", place->firmware_dir, NULL);
    }
    command_line_option(line, "-action", NULL, "shutdown", "pause", "panic", "pause", NULL);
    if (!place->running) {
        command_line_args(line, "-S", NULL);
    }
}

static void add_machine(CommandLine *line, const Hardware *hw, const QemuPlace *place)
{
    const char *merge = hw->mem_merge ? "on" : "off";
    command_line_option(line, "-machine", hw->machine, "memory-backend", "pc.ram", "mem-merge",
                        merge, "dump-guest-core", "off", NULL);
    if (hw->accelerator == ACCELERATOR_KVM) {
        command_line_option(line, "-accel", "kvm", NULL);
    } else {
        gint64 mib = place->tcg_cache_mib > 0 ? place->tcg_cache_mib : QEMU_TCG_CACHE_MIB;
        command_line_option(line, "-accel", "tcg", NULL);
        command_line_suboption(line, "tb-size", "%" G_GINT64_FORMAT, mib);
    }
    command_line_args(line, "-cpu", hw->cpu_model, NULL);
    command_line_args(line, "-smp", NULL);
    command_line_arg_format(line, "%" G_GINT64_FORMAT ",maxcpus=%" G_GINT64_FORMAT,
                            (gint64)qemu_plugged_vcpus(hw), (gint64)hw->max_vcpus);
    command_line_args(line, "-uuid", hw->uuid, "-rtc", "base=utc", "-boot", "strict=on", NULL);
}

static void add_memory(CommandLine *line, const Hardware *hw, const QemuPlace *place)
{
    const char *merge = hw->mem_merge ? "on" : "off";
    bool shared = hw->ram_class == RAM_CLASS_SHARED;
    const char *driver = !shared                   ? "memory-backend-ram"
                         : place->ram_path != NULL ? "memory-backend-file"
                                                   : "memory-backend-memfd";
    command_line_args(line, "-m", NULL);
    if (hw->max_memory * 1024 > hw->ram_kib) {
        command_line_arg_format(line,
                                "size=%" G_GINT64_FORMAT "K,slots=" FREE_RAM_SLOTS
                                ",maxmem=%" G_GINT64_FORMAT "M",
                                (gint64)hw->ram_kib, (gint64)hw->max_memory);
    } else {
        command_line_arg_format(line, "size=%" G_GINT64_FORMAT "K", (gint64)hw->ram_kib);
    }
    command_line_option(line, "-object", driver, "id", "pc.ram", NULL);
    command_line_suboption(line, "size", "%" G_GINT64_FORMAT "K", (gint64)hw->ram_kib);
    if (shared && place->ram_path != NULL) {
        command_line_suboption(line, "mem-path", "%s", place->ram_path);
    }
    command_line_suboption(line, "share", "%s", shared ? "on" : "off");
    command_line_suboption(line, "merge", "%s", merge);
    command_line_suboption(line, "dump", "off");
}

static void add_boot(CommandLine *line, const Hardware *hw, const QemuPlace *place)
{
    if (hw->boot != IMAGE_KIND_KERNEL) {
        return;
    }
    if (place->kernel == NULL) {
        command_line_refuse(line, "kernel", NULL, "say where the kernel is on this host",
                            "the VM boots a kernel and there is none");
        return;
    }
    command_line_args(line, "-kernel", place->kernel, NULL);
    if (place->initrd != NULL) {
        command_line_args(line, "-initrd", place->initrd, NULL);
    }
    if (place->cmdline != NULL) {
        command_line_args(line, "-append", place->cmdline, NULL);
    }
}

static void add_socket(CommandLine *line, const char *id, int fd, bool listening)
{
    if (fd == 0) {
        command_line_option(line, "-chardev", "null", "id", id, NULL);
        return;
    }
    command_line_use_fd(line, fd, id);
    command_line_option(line, "-chardev", "socket", "id", id, NULL);
    command_line_suboption(line, "fd", "%d", fd);
    if (listening) {
        command_line_suboption(line, "server", "on");
        command_line_suboption(line, "wait", "off");
    }
}

static void add_monitors(CommandLine *line, const QemuPlace *place)
{
    for (size_t i = 0; i < G_N_ELEMENTS(place->monitor_fds); i++) {
        if (place->monitor_fds[i] != 0) {
            g_autofree char *id = g_strdup_printf("qmp%zu", i);
            add_socket(line, id, place->monitor_fds[i], true);
            command_line_option(line, "-mon", NULL, "chardev", id, "mode", "control", NULL);
        }
    }
}

static void add_slot(CommandLine *line, int64_t slot)
{
    command_line_suboption(line, "bus", "pcie.0");
    command_line_suboption(line, "addr", "0x%x", (unsigned)slot);
}

static void add_fixed_devices(CommandLine *line, const Hardware *hw, const QemuPlace *place)
{
    add_socket(line, "console", place->console_fd, false);
    command_line_args(line, "-serial", "chardev:console", NULL);
    command_line_option(line, "-device", "pvpanic", "id", "panic0", NULL);
    command_line_option(line, "-device", "virtio-balloon-pci", "id", "balloon0", NULL);
    add_slot(line, hw->balloon_slot);
    command_line_suboption(line, "free-page-reporting", "on");
    command_line_suboption(line, "deflate-on-oom", "on");
    command_line_option(line, "-device", "virtio-serial-pci", "id", "serial0", NULL);
    add_slot(line, hw->serial_slot);
    add_socket(line, "agent", place->agent_fd, true);
    command_line_option(line, "-device", "virtserialport", "id", "agent0", "bus", "serial0.0", "nr",
                        "1", "chardev", "agent", "name", "org.qemu.guest_agent.0", NULL);
}

static const QemuPlaceNic *find_nic(const QemuPlace *place, const char *id)
{
    for (size_t i = 0; i < place->n_nics; i++) {
        if (g_strcmp0(place->nics[i].id, id) == 0) {
            return &place->nics[i];
        }
    }
    return NULL;
}

static void add_nic(CommandLine *line, const HardwareNic *nic, const QemuPlace *place)
{
    const QemuPlaceNic *at = find_nic(place, nic->id);
    if (at == NULL) {
        command_line_refuse(line, "nics", nic->id, "open a tap for it",
                            "the VM has a network card that this host has no tap for");
        return;
    }
    g_autofree char *netdev = g_strdup_printf("%s-host", nic->id);
    command_line_use_fd(line, at->tap_fd, nic->id);
    command_line_option(line, "-netdev", "tap", "id", netdev, NULL);
    command_line_suboption(line, "fd", "%d", at->tap_fd);
    command_line_suboption(line, "vhost", "off");
    command_line_option(line, "-device", "virtio-net-pci", "id", nic->id, "netdev", netdev, "mac",
                        nic->mac, NULL);
    add_slot(line, nic->slot);
    /* Without it the option ROM takes RAM of its own, which must be alike on both ends of a move.
     */
    command_line_suboption(line, "romfile", "%s", "");
}

static const QemuPlaceDisk *find_disk(const QemuPlace *place, const char *id)
{
    for (size_t i = 0; i < place->n_disks; i++) {
        if (g_strcmp0(place->disks[i].id, id) == 0) {
            return &place->disks[i];
        }
    }
    return NULL;
}

/* A file that QEMU's parent has opened, by way of the descriptor set of the same number. */
static json_t *file_node(CommandLine *line, const char *id, const char *part, int fd)
{
    g_autofree char *node = g_strdup_printf("%s-%s", id, part);
    g_autofree char *path = g_strdup_printf("/dev/fdset/%d", fd);
    command_line_use_fd(line, fd, node);
    command_line_option(line, "-add-fd", NULL, NULL);
    command_line_suboption(line, "fd", "%d", fd);
    command_line_suboption(line, "set", "%d", fd);
    command_line_suboption(line, "opaque", "%s", node);
    return json_pack("{s:s, s:s, s:s}", "driver", "file", "node-name", node, "filename", path);
}

static const char *format_name(ImageFormat format)
{
    return format == IMAGE_FORMAT_QCOW2 ? "qcow2" : "raw";
}

static json_t *base_node(CommandLine *line, const QemuPlaceDisk *at)
{
    if (at->base_format != IMAGE_FORMAT_RAW && at->base_format != IMAGE_FORMAT_QCOW2) {
        command_line_refuse(line, "disks", at->id, "say raw or qcow2: formats are never probed",
                            "the overlay's base has no format");
        return json_null();
    }
    g_autofree char *node = g_strdup_printf("%s-base", at->id);
    json_t *file = file_node(line, at->id, "base-file", at->base_fd);
    json_object_set_new(file, "read-only", json_true());
    json_t *base = json_pack("{s:s, s:s, s:b, s:o}", "driver", format_name(at->base_format),
                             "node-name", node, "read-only", 1, "file", file);
    if (at->base_format == IMAGE_FORMAT_QCOW2) {
        json_object_set_new(base, "backing", json_null());
    }
    return base;
}

/* file → format → throttle. `backing` is always said, so that no path in an image's header is
 * opened. */
static json_t *disk_node(CommandLine *line, const HardwareDisk *disk, const QemuPlaceDisk *at)
{
    g_autofree char *format_id = g_strdup_printf("%s-format", disk->id);
    g_autofree char *limit_id = g_strdup_printf("%s-limit", disk->id);
    g_autofree char *group = g_strconcat(QEMU_LIMIT_PREFIX, disk->id, NULL);
    json_t *file = file_node(line, disk->id, "file", at->fd);
    json_object_set_new(file, "read-only", json_boolean(disk->read_only));
    json_t *format =
        json_pack("{s:s, s:s, s:b, s:s, s:o}", "driver", format_name(disk->format), "node-name",
                  format_id, "read-only", (int)disk->read_only, "discard", "unmap", "file", file);
    if (disk->format == IMAGE_FORMAT_QCOW2) {
        json_object_set_new(format, "backing",
                            at->base_fd != 0 ? base_node(line, at) : json_null());
    }
    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:o}", "driver", "throttle", "node-name", limit_id,
                     "throttle-group", group, "read-only", (int)disk->read_only, "discard", "unmap",
                     "file", format);
}

static void add_limit(CommandLine *line, const char *id, int64_t bytes_per_second)
{
    g_autofree char *group = g_strconcat(QEMU_LIMIT_PREFIX, id, NULL);
    command_line_option(line, "-object", "throttle-group", "id", group, NULL);
    if (bytes_per_second > 0) {
        command_line_suboption(line, "limits.bps-total", "%" G_GINT64_FORMAT,
                               (gint64)bytes_per_second);
    }
}

static void add_disk(CommandLine *line, const HardwareDisk *disk, const QemuPlace *place,
                     bool boots)
{
    const QemuPlaceDisk *at = find_disk(place, disk->id);
    if (at == NULL) {
        command_line_refuse(line, "disks", disk->id, "open its image",
                            "the VM has a disk that this host has no image for");
        return;
    }
    if (at->base_fd != 0 && disk->format != IMAGE_FORMAT_QCOW2) {
        command_line_refuse(line, "disks", disk->id, "use qcow2 for an overlay",
                            "a raw image cannot lie on another one");
        return;
    }
    add_limit(line, disk->id, at->bytes_per_second);
    command_line_json(line, "-blockdev", disk_node(line, disk, at));
    g_autofree char *drive = g_strdup_printf("%s-limit", disk->id);
    command_line_option(line, "-device", "virtio-blk-pci", "id", disk->id, "drive", drive, NULL);
    add_slot(line, disk->slot);
    command_line_suboption(line, "serial", "%s", disk->serial != NULL ? disk->serial : disk->id);
    command_line_suboption(line, "werror", "stop");
    command_line_suboption(line, "rerror", "stop");
    if (boots) {
        command_line_suboption(line, "bootindex", "1");
    }
}

Command *qemu_command_line(const Hardware *hw, const QemuPlace *place, GError **error)
{
    if (!qemu_hardware_check(hw, error)) {
        berth_error_prefix_field(error, "hardware");
        return NULL;
    }
    CommandLine *line = command_line_new(place->qemu);
    add_process(line, place);
    add_machine(line, hw, place);
    add_memory(line, hw, place);
    add_boot(line, hw, place);
    add_monitors(line, place);
    add_fixed_devices(line, hw, place);
    for (guint i = 0; i < hw->nics->len; i++) {
        add_nic(line, hw->nics->pdata[i], place);
    }
    for (guint i = 0; i < hw->disks->len; i++) {
        bool boots = i == 0 && hw->boot == IMAGE_KIND_DISK;
        add_disk(line, hw->disks->pdata[i], place, boots);
    }
    return command_line_take(line, error);
}
