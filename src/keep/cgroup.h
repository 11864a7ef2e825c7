/*
 * What the keeper does with cgroups: it puts processes into them and asks whether one of theirs was
 * killed for want of memory. Everything else about them is the agent's (src/linux).
 *
 * Any thread; nothing is kept.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes `pid` to each of the cgroup.procs files. `field` names the list in errors. */
bool keep_cgroup_join(const GPtrArray *procs, pid_t pid, const char *field, GError **error);

/* The file that counts OOM kills in the group of this cgroup.procs file: memory.events (v2) or
 * memory.oom_control (v1). NULL where the group has no memory controller. */
char *keep_cgroup_oom_file(const char *procs);

/* The count in that file; 0 when it cannot be read, for example when the group is gone. */
uint64_t keep_cgroup_oom_kills(const char *file);
