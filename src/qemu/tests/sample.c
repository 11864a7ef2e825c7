#include "qemu/tests/sample.h"

#include "qemu/hardware.h"

Hardware *sample_hardware(Accelerator accelerator)
{
    Hardware *hw = hardware_new();
    hw->machine = g_strdup("pc-q35-7.2");
    hw->accelerator = accelerator;
    hw->cpu_model = g_strdup(accelerator == ACCELERATOR_KVM ? "Nehalem" : "max");
    hw->uuid = g_strdup("9d6b7ca5-0c6b-4c0e-8f43-3a1d6f0f8a11");
    hw->ram_kib = qemu_ram_kib(accelerator, 256);
    hw->max_memory = 256;
    hw->ram_class = RAM_CLASS_PRIVATE;
    hw->vcpus = 1;
    hw->max_vcpus = 1;
    hw->boot = IMAGE_KIND_KERNEL;
    hw->balloon_slot = 2;
    hw->serial_slot = 3;
    return hw;
}

void sample_add_nic(Hardware *hw)
{
    HardwareNic *nic = hardware_nic_new();
    nic->id = g_strdup_printf("net%u", hw->nics->len);
    nic->slot = 4 + hw->nics->len;
    nic->mac = g_strdup_printf("52:54:00:12:34:%02x", hw->nics->len);
    g_ptr_array_add(hw->nics, nic);
}

void sample_add_disk(Hardware *hw, ImageFormat format, bool read_only)
{
    HardwareDisk *disk = hardware_disk_new();
    disk->id = g_strdup_printf("disk%u", hw->disks->len);
    disk->slot = 16 + hw->disks->len;
    disk->format = format;
    disk->read_only = read_only;
    g_ptr_array_add(hw->disks, disk);
}
