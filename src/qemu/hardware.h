/*
 * What a VM's hardware record must satisfy before QEMU is started with it.
 *
 * The record (Hardware in schema/types.yaml) is made once, by the manager, and stored with the VM;
 * an agent that is handed one checks it here. It says what the guest sees: the same VM can be
 * started, moved or restored later on another host and finds its devices where they were.
 *
 * CPU. Under KVM a model by name: `host` and `max` mean another processor on each host.
 *
 * RAM. Under TCG it is never a multiple of 256 KiB: QEMU before 9.0 loses dirty pages then (a guest
 * that is moved live panics later), and a VM that is born on a newer QEMU may move to an older one.
 * Such a size gets QEMU_RAM_GRANULE_KIB more.
 *
 * vCPUs. Under KVM `vcpus` are plugged and more can be, up to `max-vcpus`. Under TCG all are
 * plugged and the guest's agent takes them on and off line, since QEMU 7.2 aborts when one is
 * plugged a second time.
 *
 * Pure functions, any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "schema/types.h"

#define QEMU_RAM_GRANULE_KIB 8
#define QEMU_MAX_VCPUS 255 /* above it a guest needs an emulated IOMMU to number its processors */

/* BERTH_ERROR_INVALID names the field of the record that breaks a rule. */
bool qemu_hardware_check(const Hardware *hardware, GError **error);

/* How many vCPUs QEMU starts with. */
int64_t qemu_plugged_vcpus(const Hardware *hardware);

/* KiB of RAM for a VM of `memory_mib`, by the rule above. */
int64_t qemu_ram_kib(Accelerator accelerator, int64_t memory_mib);
