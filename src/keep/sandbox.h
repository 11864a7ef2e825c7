/*
 * What QEMU may not do, set between fork and exec in the process that becomes QEMU.
 *
 * QEMU gets a user of its own, no group besides its own, no capability and no way to gain one
 * (no_new_privs, empty bounding set), no core dump of the guest's memory, default signals. Its
 * seccomp filter is its own: `-sandbox` in argv.
 *
 * PR_SET_DUMPABLE is not touched: the change of user clears it until exec, and exec sets it again,
 * so a process of the same user could trace QEMU. That is why each VM has its own uid.
 *
 * Only for a process with one thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Every signal at its default, none blocked: exec keeps what is ignored or blocked. */
void keep_sandbox_reset_signals(void);

/* oom_score_adj, RLIMIT_CORE and umask. Needs root. */
bool keep_sandbox_set_limits(int oom_score_adj, GError **error);

/* Enters the network namespace at `path`. */
bool keep_sandbox_enter_netns(const char *path, GError **error);

/* RLIMIT_NOFILE, then gives up everything that root has, for good. */
bool keep_sandbox_drop_root(uint32_t uid, uint32_t gid, uint32_t nofile, GError **error);
