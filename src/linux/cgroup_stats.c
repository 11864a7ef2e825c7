#include "base/error.h"
#include "linux/cgroup_files.h"
#include "linux/cgroup_private.h"

#include <string.h>

#define NSEC_PER_USEC 1000

/* The number after "name=" in the line of /proc/pressure's format that begins with `kind`. */
static double pressure_field(const char *text, const char *kind, const char *name)
{
    const char *line = strstr(text, kind);
    const char *at = line != NULL ? strstr(line, name) : NULL;

    return at != NULL ? g_ascii_strtod(at + strlen(name), NULL) : -1;
}

static bool read_pressure(const char *directory, const char *file, CgroupPressure *ret_pressure)
{
    g_autofree char *text = cgroup_read(directory, file, NULL);

    if (text == NULL || strstr(text, "some ") == NULL) {
        return false;
    }
    ret_pressure->some_usec = (int64_t)pressure_field(text, "some ", "total=");
    ret_pressure->full_usec = (int64_t)pressure_field(text, "full ", "total=");
    ret_pressure->some_avg10 = pressure_field(text, "some ", "avg10=");
    return true;
}

static void read_pressures(const CgroupVm *vm, CgroupStats *stats)
{
    const char *group = vm->group[TREE_UNIFIED];

    stats->has_pressure = group != NULL && read_pressure(group, "cpu.pressure", &stats->cpu) &&
                          read_pressure(group, "memory.pressure", &stats->memory) &&
                          read_pressure(group, "io.pressure", &stats->io);
}

static bool read_v2(const CgroupVm *vm, CgroupStats *stats, GError **error)
{
    const char *group = vm->group[TREE_UNIFIED];
    g_autofree char *all = cgroup_read(group, "cpu.stat", error);
    g_autofree char *vcpu =
        all != NULL ? cgroup_read(vm->vcpu[TREE_UNIFIED], "cpu.stat", error) : NULL;
    g_autofree char *events = vcpu != NULL ? cgroup_read(group, "memory.events", error) : NULL;

    if (events == NULL ||
        !cgroup_read_number(group, "memory.current", &stats->memory_bytes, error)) {
        return false;
    }
    if (!cgroup_read_number(group, "memory.peak", &stats->memory_peak_bytes, NULL)) {
        stats->memory_peak_bytes = -1;
    }
    stats->cpu_usec = cgroup_number_of(all, "usage_usec", 0);
    stats->vcpu_usec = cgroup_number_of(vcpu, "usage_usec", 0);
    stats->periods = cgroup_number_of(vcpu, "nr_periods", 0);
    stats->throttled_periods = cgroup_number_of(vcpu, "nr_throttled", 0);
    stats->throttled_usec = cgroup_number_of(vcpu, "throttled_usec", 0);
    stats->oom_kills = cgroup_number_of(events, "oom_kill", -1);
    return true;
}

static bool read_v1(const CgroupVm *vm, CgroupStats *stats, GError **error)
{
    Tree account = cgroup_tree(vm->host, TREE_CPUACCT);
    g_autofree char *quota = cgroup_read(vm->vcpu[TREE_CPU], "cpu.stat", error);
    g_autofree char *oom =
        quota != NULL ? cgroup_read(vm->group[TREE_MEMORY], "memory.oom_control", error) : NULL;

    if (oom == NULL ||
        !cgroup_read_number(vm->group[account], "cpuacct.usage", &stats->cpu_usec, error) ||
        !cgroup_read_number(vm->vcpu[account], "cpuacct.usage", &stats->vcpu_usec, error) ||
        !cgroup_read_number(vm->group[TREE_MEMORY], "memory.usage_in_bytes", &stats->memory_bytes,
                            error) ||
        !cgroup_read_number(vm->group[TREE_MEMORY], "memory.max_usage_in_bytes",
                            &stats->memory_peak_bytes, error)) {
        return false;
    }
    stats->cpu_usec /= NSEC_PER_USEC;
    stats->vcpu_usec /= NSEC_PER_USEC;
    stats->periods = cgroup_number_of(quota, "nr_periods", 0);
    stats->throttled_periods = cgroup_number_of(quota, "nr_throttled", 0);
    stats->throttled_usec = cgroup_number_of(quota, "throttled_time", 0) / NSEC_PER_USEC;
    stats->oom_kills = cgroup_number_of(oom, "oom_kill", -1);
    return true;
}

bool cgroup_vm_stats(const CgroupVm *vm, CgroupStats *ret_stats, GError **error)
{
    CgroupStats stats = {0};

    if (!(vm->host->version == 2 ? read_v2(vm, &stats, error) : read_v1(vm, &stats, error))) {
        return false;
    }
    read_pressures(vm, &stats);
    *ret_stats = stats;
    return true;
}
