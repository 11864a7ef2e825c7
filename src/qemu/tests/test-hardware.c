#include "qemu/hardware.h"

#include <string.h>

#include "base/error.h"
#include "qemu/tests/sample.h"

static void assert_good(const Hardware *hw)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(qemu_hardware_check(hw, &error));
    g_assert_no_error(error);
}

static void assert_bad(const Hardware *hw, const char *field)
{
    g_autoptr(GError) error = NULL;
    g_assert_false(qemu_hardware_check(hw, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, field);
}

static void set(char **where, const char *value)
{
    g_free(*where);
    *where = g_strdup(value);
}

static void test_samples_are_good(void)
{
    g_autoptr(Hardware) tcg = sample_hardware(ACCELERATOR_TCG);
    assert_good(tcg);
    g_autoptr(Hardware) kvm = sample_hardware(ACCELERATOR_KVM);
    sample_add_nic(kvm);
    sample_add_disk(kvm, IMAGE_FORMAT_QCOW2, false);
    kvm->boot = IMAGE_KIND_DISK;
    assert_good(kvm);
}

static void test_ram_under_tcg_avoids_the_lost_pages(void)
{
    g_assert_cmpint(qemu_ram_kib(ACCELERATOR_TCG, 256), ==, 262152);
    g_assert_cmpint(qemu_ram_kib(ACCELERATOR_KVM, 256), ==, 262144);
    for (int64_t mib = 1; mib < 5000; mib++) {
        int64_t kib = qemu_ram_kib(ACCELERATOR_TCG, mib);
        g_assert_cmpint(kib % 256, !=, 0);
        g_assert_cmpint(kib % QEMU_RAM_GRANULE_KIB, ==, 0);
        g_assert_cmpint(kib, >=, mib * 1024);
    }
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    hw->ram_kib = 262144;
    assert_bad(hw, "ram-kib");
    hw->ram_kib = 262145;
    assert_bad(hw, "ram-kib");
    hw->ram_kib = 0;
    assert_bad(hw, "ram-kib");
}

static void test_max_memory_holds_the_ram(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    hw->max_memory = 255;
    assert_bad(hw, "max-memory");
    hw->max_memory = 4096;
    assert_good(hw);
    hw->max_memory = INT64_MAX;
    assert_bad(hw, "max-memory");
}

static void test_merging_needs_private_ram(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_KVM);
    hw->mem_merge = true;
    assert_good(hw);
    hw->ram_class = RAM_CLASS_SHARED;
    assert_bad(hw, "mem-merge");
}

static void test_cpu_models_that_do_not_move(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_KVM);
    static const char *const bad[] = {"host", "max", "", "EPYC,+svm", "-x", "a b"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        set(&hw->cpu_model, bad[i]);
        assert_bad(hw, "cpu-model");
    }
    set(&hw->cpu_model, "x86-64-v2-AES");
    assert_good(hw);
    set(&hw->cpu_model, NULL);
    assert_bad(hw, "cpu-model");
}

static void test_vcpus(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    hw->vcpus = 2;
    assert_bad(hw, "vcpus");
    hw->max_vcpus = 4;
    assert_good(hw);
    g_assert_cmpint(qemu_plugged_vcpus(hw), ==, 4);
    hw->accelerator = ACCELERATOR_KVM;
    set(&hw->cpu_model, "Nehalem");
    g_assert_cmpint(qemu_plugged_vcpus(hw), ==, 2);
    hw->max_vcpus = 256;
    assert_bad(hw, "max-vcpus");
    hw->vcpus = 0;
    hw->max_vcpus = 1;
    assert_bad(hw, "vcpus");
}

static void test_replay_needs_one_emulated_vcpu(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    hw->replayable = true;
    assert_good(hw);
    hw->max_vcpus = 2;
    assert_bad(hw, "replayable");
    g_autoptr(Hardware) kvm = sample_hardware(ACCELERATOR_KVM);
    kvm->replayable = true;
    assert_bad(kvm, "replayable");
}

static void test_machine_is_versioned(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    static const char *const bad[] = {"q35",       "pc", "pc-q35", "pc-q35-7",
                                      "pc-q35-7.", "",   "-7.2",   "pc-q35-7.2,accel=kvm"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        set(&hw->machine, bad[i]);
        assert_bad(hw, "machine");
    }
    set(&hw->machine, "pc-q35-10.0");
    assert_good(hw);
}

static void test_devices_have_their_own_ids_and_slots(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    sample_add_nic(hw);
    sample_add_nic(hw);
    sample_add_disk(hw, IMAGE_FORMAT_RAW, false);
    assert_good(hw);
    HardwareNic *nic = hw->nics->pdata[1];
    nic->slot = 4;
    assert_bad(hw, "nics.slot");
    nic->slot = 31;
    assert_bad(hw, "nics.slot");
    nic->slot = 2;
    assert_bad(hw, "nics.slot");
    nic->slot = 5;
    set(&nic->id, "net0");
    assert_bad(hw, "nics.id");
    set(&nic->id, "a,b");
    assert_bad(hw, "nics.id");
    set(&nic->id, "net1");
    HardwareDisk *disk = hw->disks->pdata[0];
    disk->format = (ImageFormat)0x77;
    assert_bad(hw, "disks.format");
    disk->format = IMAGE_FORMAT_RAW;
    set(&disk->serial, "123456789012345678901");
    assert_bad(hw, "disks.serial");
    set(&disk->serial, "12345678901234567890");
    assert_good(hw);
    hw->serial_slot = 2;
    assert_bad(hw, "serial.slot");
    hw->balloon_slot = 0;
    assert_bad(hw, "balloon.slot");
}

static void test_mac_is_one_of_a_card(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    sample_add_nic(hw);
    HardwareNic *nic = hw->nics->pdata[0];
    static const char *const bad[] = {"53:54:00:12:34:56",     "52:54:00:12:34",
                                      "52-54-00-12-34-56",     "52:54:00:12:34:5g",
                                      "52:54:00:12:34:56,x=y", NULL};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        set(&nic->mac, bad[i]);
        assert_bad(hw, "nics.mac");
    }
}

static void test_boot(void)
{
    g_autoptr(Hardware) hw = sample_hardware(ACCELERATOR_TCG);
    hw->boot = IMAGE_KIND_DISK;
    assert_bad(hw, "boot");
    sample_add_disk(hw, IMAGE_FORMAT_RAW, false);
    assert_good(hw);
    set(&hw->uuid, "not-a-uuid");
    assert_bad(hw, "uuid");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/hardware/samples-are-good", test_samples_are_good);
    g_test_add_func("/qemu/hardware/ram-under-tcg", test_ram_under_tcg_avoids_the_lost_pages);
    g_test_add_func("/qemu/hardware/max-memory-holds-the-ram", test_max_memory_holds_the_ram);
    g_test_add_func("/qemu/hardware/merging-needs-private-ram", test_merging_needs_private_ram);
    g_test_add_func("/qemu/hardware/cpu-models", test_cpu_models_that_do_not_move);
    g_test_add_func("/qemu/hardware/vcpus", test_vcpus);
    g_test_add_func("/qemu/hardware/replay", test_replay_needs_one_emulated_vcpu);
    g_test_add_func("/qemu/hardware/machine-is-versioned", test_machine_is_versioned);
    g_test_add_func("/qemu/hardware/own-ids-and-slots", test_devices_have_their_own_ids_and_slots);
    g_test_add_func("/qemu/hardware/mac", test_mac_is_one_of_a_card);
    g_test_add_func("/qemu/hardware/boot", test_boot);
    return g_test_run();
}
