/*
 * Where the agent keeps things.
 *
 *     STATE/agent.json                  configuration (AgentConfig)
 *     STATE/ca.pem host.pem host-key.pem
 *     STATE/vms/ID.json                 KeptVm: assignment, tombstone, record
 *     STATE/forgotten.json              ForgottenVms: the tombstones that are kept no more
 *     STATE/networks/ID.json            NetworkAssignment
 *     STATE/images/SHA256               content of image files
 *     STATE/disks/VM/DISK.qcow2
 *     RUN/vms/ID/                       the keeper's directory of a VM (keep/rundir.h)
 *     RUN/dhcp/NETWORK/                 dnsmasq's
 *     /run/berth/probe.json             what a run of QEMU has shown, here and for this boot
 *
 * STATE outlives a reboot, RUN does not. Ids are ULIDs, checked before they become part of a path.
 *
 * Threading: pure functions; new strings.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

static inline char *path_kept(const char *state, const char *vm)
{
    return g_strdup_printf("%s/vms/%s.json", state, vm);
}

static inline char *path_forgotten(const char *state)
{
    return g_build_filename(state, "forgotten.json", NULL);
}

static inline char *path_network(const char *state, const char *network)
{
    return g_strdup_printf("%s/networks/%s.json", state, network);
}

static inline char *path_image(const char *state, const char *sha256)
{
    return g_strdup_printf("%s/images/%s", state, sha256);
}

static inline char *path_disks(const char *state, const char *vm)
{
    return g_strdup_printf("%s/disks/%s", state, vm);
}

static inline char *path_disk(const char *state, const char *vm, const char *disk)
{
    return g_strdup_printf("%s/disks/%s/%s.qcow2", state, vm, disk);
}

static inline char *path_run_vm(const char *run, const char *vm)
{
    return g_strdup_printf("%s/vms/%s", run, vm);
}

static inline char *path_dhcp(const char *run, const char *network)
{
    return g_strdup_printf("%s/dhcp/%s", run, network);
}

/* A file of JSON, whole or not at all, and durable when it returns. */
bool json_file_write(const char *path, const json_t *json, GError **error);

/* NULL without an error where there is none. */
json_t *json_file_read(const char *path, GError **error);

/* Removes the file if it is there, durably. */
bool json_file_remove(const char *path, GError **error);

/* Removes a directory with the plain files in it; true also when there is none. */
bool directory_remove(const char *path, GError **error);

bool directory_make(const char *path, int mode, GError **error);
