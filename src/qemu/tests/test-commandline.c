/* The golden files hold one argument a line. `BERTH_GOLDEN_WRITE=1` writes them anew: read the
 * diff. */
#include "qemu/commandline.h"

#include <string.h>

#include "base/error.h"
#include "qemu/tests/sample.h"

static const QemuPlaceDisk disks[] = {
    {.id = "disk0",
     .fd = 20,
     .base_fd = 22,
     .base_format = IMAGE_FORMAT_QCOW2,
     .bytes_per_second = 50000000},
    {.id = "disk1", .fd = 21},
};
static const QemuPlaceNic nics[] = {{"net0", 30}, {"net1", 31}};

static QemuPlace sample_place(void)
{
    return (QemuPlace){
        .qemu = "/usr/bin/qemu-system-x86_64",
        .name = "web-1",
        .kernel = "/proc/self/fd/40",
        .initrd = "/proc/self/fd/41",
        .cmdline = "console=ttyS0 quiet,x",
        .disks = disks,
        .n_disks = 2,
        .nics = nics,
        .n_nics = 2,
        .monitor_fds = {10, 11},
        .agent_fd = 12,
        .console_fd = 13,
    };
}

static void assert_golden(const char *name, const Hardware *hw, const QemuPlace *place)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Command) command = qemu_command_line(hw, place, &error);
    g_assert_no_error(error);
    g_autofree char *lines = g_strjoinv("\n", command->argv);
    g_autofree char *text = g_strconcat(lines, "\n", NULL);
    g_autofree char *file = g_strconcat(name, ".args", NULL);
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "golden", file, NULL);
    if (g_getenv("BERTH_GOLDEN_WRITE") != NULL) {
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
    }
    g_autofree char *expected = NULL;
    g_file_get_contents(path, &expected, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, expected);
}

static void test_kernel_under_tcg(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    QemuPlace place = sample_place();
    hw->max_vcpus = 4;
    hw->vcpus = 2;
    sample_add_nic(hw);
    assert_golden("kernel-tcg", hw, &place);
}

static void test_disk_under_kvm(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_KVM);
    QemuPlace place = sample_place();
    hw->boot = IMAGE_KIND_DISK;
    hw->vcpus = 2;
    hw->max_vcpus = 4;
    hw->max_memory = 1024;
    hw->mem_merge = true;
    sample_add_nic(hw);
    sample_add_disk(hw, IMAGE_FORMAT_QCOW2, false);
    assert_golden("disk-kvm", hw, &place);
}

static void test_two_disks_and_two_nics(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    QemuPlace place = sample_place();
    place.firmware_dir = "/usr/share/qemu,x";
    hw->boot = IMAGE_KIND_DISK;
    sample_add_nic(hw);
    sample_add_nic(hw);
    sample_add_disk(hw, IMAGE_FORMAT_QCOW2, false);
    sample_add_disk(hw, IMAGE_FORMAT_RAW, true);
    assert_golden("two-disks-two-nics", hw, &place);
}

static void test_shared_ram(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_KVM);
    QemuPlace place = sample_place();
    hw->ram_class = RAM_CLASS_SHARED;
    assert_golden("shared-ram", hw, &place);
    place.ram_path = "/dev/shm/berth-1";
    assert_golden("shared-ram-file", hw, &place);
}

static void test_bare(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    QemuPlace place = {
        .qemu = "qemu", .kernel = "/boot/vmlinuz", .running = true, .tcg_cache_mib = 32};
    assert_golden("bare", hw, &place);
}

static void test_descriptors_are_told(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    QemuPlace place = sample_place();
    sample_add_nic(hw);
    sample_add_disk(hw, IMAGE_FORMAT_QCOW2, false);
    g_autoptr(Command) command = qemu_command_line(hw, &place, NULL);
    gint64 sum = 0;
    for (size_t i = 0; i < command->n_fds; i++) {
        sum += command->fds[i];
    }
    g_assert_cmpuint(command->n_fds, ==, 7);
    g_assert_cmpint(sum, ==, 10 + 11 + 12 + 13 + 20 + 22 + 30);
}

static void assert_refused(const Hardware *hw, const QemuPlace *place, const char *field,
                           const char *value)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(qemu_command_line(hw, place, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, field);
    g_assert_cmpstr(berth_error_value(error), ==, value);
}

static void test_what_the_host_lacks(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    QemuPlace place = sample_place();
    sample_add_nic(hw);
    sample_add_disk(hw, IMAGE_FORMAT_RAW, false);
    assert_refused(hw, &place, "disks", "disk0");

    g_autoptr(Hardware) overlay = sample_hardware(ACCELERATOR_TCG);
    sample_add_disk(overlay, IMAGE_FORMAT_QCOW2, false);
    QemuPlaceDisk without_format = {.id = "disk0", .fd = 20, .base_fd = 21};
    place.disks = &without_format;
    place.n_disks = 1;
    assert_refused(overlay, &place, "disks", "disk0");
    place.n_disks = 0;
    assert_refused(overlay, &place, "disks", "disk0");

    place = sample_place();
    place.n_nics = 0;
    assert_refused(hw, &place, "nics", "net0");

    place = sample_place();
    place.kernel = NULL;
    assert_refused(hw, &place, "kernel", NULL);

    place = sample_place();
    place.qemu = NULL;
    assert_refused(hw, &place, "program", NULL);

    place = sample_place();
    place.agent_fd = 10;
    assert_refused(hw, &place, "agent", "10");
}

static void test_bad_records_are_refused(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    QemuPlace place = sample_place();
    hw->ram_kib = 262144;
    assert_refused(hw, &place, "hardware.ram-kib", "262144");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/commandline/kernel-under-tcg", test_kernel_under_tcg);
    g_test_add_func("/qemu/commandline/disk-under-kvm", test_disk_under_kvm);
    g_test_add_func("/qemu/commandline/two-disks-two-nics", test_two_disks_and_two_nics);
    g_test_add_func("/qemu/commandline/shared-ram", test_shared_ram);
    g_test_add_func("/qemu/commandline/bare", test_bare);
    g_test_add_func("/qemu/commandline/descriptors-are-told", test_descriptors_are_told);
    g_test_add_func("/qemu/commandline/what-the-host-lacks", test_what_the_host_lacks);
    g_test_add_func("/qemu/commandline/bad-records", test_bad_records_are_refused);
    return g_test_run();
}
