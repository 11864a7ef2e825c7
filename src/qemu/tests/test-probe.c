/* With the real QEMU: what the probe says is what QEMU does here. */
#include "qemu/probe.h"

#include <unistd.h>

#include "base/error.h"

#define QEMU "qemu-system-x86_64"

static bool no_qemu(void)
{
    g_autofree char *path = g_find_program_in_path(QEMU);
    if (path == NULL) {
        g_test_skip("no " QEMU);
    }
    return path == NULL;
}

static void test_auto(void)
{
    if (no_qemu()) {
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(QemuProbe) probe = qemu_probe(QEMU, QEMU_PROBE_AUTO, &error);
    g_assert_no_error(error);
    g_assert_true(g_str_has_prefix(probe->machine, "pc-q35-"));
    g_assert_cmpint(probe->overhead_mib, >, 16);
    g_assert_cmpint(probe->overhead_mib, <, 400);
    g_assert_true((probe->accelerator == ACCELERATOR_KVM) == (probe->reason == NULL));
    g_test_message("%s %s, %s: %s, %d MiB", probe->version, probe->machine,
                   accelerator_to_string(probe->accelerator),
                   probe->reason != NULL ? probe->reason : "it runs", (int)probe->overhead_mib);
}

static void test_kvm_or_why_not(void)
{
    if (no_qemu()) {
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(QemuProbe) probe = qemu_probe(QEMU, QEMU_PROBE_KVM, &error);
    if (probe == NULL) {
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
        g_assert_cmpstr(berth_error_field(error), ==, "accelerator");
        g_assert_nonnull(berth_error_remedy(error));
    }
    if (access("/dev/kvm", F_OK) != 0) {
        g_assert_null(probe);
    }
}

static bool may_open(mode_t mode, gid_t group)
{
    const struct stat device = {.st_mode = S_IFCHR | mode, .st_gid = group};
    g_autofree char *why = qemu_probe_device(&device, 104);
    g_assert_true(why == NULL || strstr(why, "chgrp kvm /dev/kvm") != NULL);
    return why == NULL;
}

static void test_device_that_only_root_may_open(void)
{
    g_assert_false(may_open(0600, 0));
    g_assert_false(may_open(0660, 0));
    g_assert_false(may_open(0640, 104));
    g_assert_false(may_open(0600, 104));
    g_assert_true(may_open(0660, 104));
    g_assert_true(may_open(0666, 0));
}

static void test_program_that_is_no_qemu(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(qemu_probe("/bin/true", QEMU_PROBE_AUTO, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_clear_error(&error);
    g_assert_null(qemu_probe("/nowhere/qemu", QEMU_PROBE_AUTO, &error));
    g_assert_nonnull(error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/probe/auto", test_auto);
    g_test_add_func("/qemu/probe/kvm-or-why-not", test_kvm_or_why_not);
    g_test_add_func("/qemu/probe/closed-device", test_device_that_only_root_may_open);
    g_test_add_func("/qemu/probe/no-qemu", test_program_that_is_no_qemu);
    return g_test_run();
}
