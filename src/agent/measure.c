/* What is used, once an interval: of each VM from its group, its process and its taps; never
 * stored. */
#include "agent/agent.h"
#include "base/error.h"
#include "linux/names.h"
#include "linux/process.h"

#define MIB (1024 * 1024)

struct Measure {
    Agent *agent;
    guint timer;
    GHashTable *last; /* id → Sample */
};

typedef struct {
    int64_t at_us;
    pid_t pid;
    int64_t cpu_usec;
    int64_t throttled_usec;
    uint64_t rx, tx;
    int64_t read, written; /* bytes, filled in by QEMU's answer */
    int64_t disk_at_us;
    int64_t read_rate, write_rate; /* kB/s */
} Sample;

static void add_nics(Agent *agent, const Assignment *a, Sample *now)
{
    for (guint i = 0; a != NULL && i < a->nics->len; i++) {
        char tap[NAMES_SIZE];
        NetLink link;
        names_tap(a->id, i, tap);
        if (net_read(agent->net_reader, tap, &link, NULL)) {
            now->rx += link.tx_bytes; /* a tap sends what its guest receives */
            now->tx += link.rx_bytes;
        }
    }
}

typedef struct {
    Measure *measure;
    char *vm;
} DiskAsk;

static void on_disk_stats(const QmpDiskStats *stats, size_t n, const GError *error, gpointer data)
{
    DiskAsk *ask = data;
    Sample *sample = g_hash_table_lookup(ask->measure->last, ask->vm);
    int64_t read = 0, written = 0;
    for (size_t i = 0; error == NULL && i < n; i++) {
        read += stats[i].read_bytes;
        written += stats[i].write_bytes;
    }
    int64_t now = g_get_monotonic_time();
    if (sample != NULL && error == NULL) {
        int64_t passed = now - sample->disk_at_us;
        if (sample->disk_at_us > 0 && passed > 0 && read >= sample->read) {
            sample->read_rate = (read - sample->read) * 1000 / passed;
            sample->write_rate = (written - sample->written) * 1000 / passed;
        }
        sample->disk_at_us = now;
        sample->read = read;
        sample->written = written;
    }
    g_free(ask->vm);
    g_free(ask);
}

static void ask_disks(Measure *measure, const AgentVm *vm, const Assignment *a)
{
    if (vm->qmp == NULL || a == NULL || a->disks->len == 0) {
        return;
    }
    DiskAsk *ask = g_new(DiskAsk, 1);
    *ask = (DiskAsk){measure, g_strdup(vm->id)};
    qmp_query_disk_stats(vm->qmp, on_disk_stats, ask);
}

static VmMeasure *compare_samples(const char *id, const Sample *before, const Sample *now)
{
    int64_t passed = MAX(now->at_us - before->at_us, 1);
    VmMeasure *m = vm_measure_new();
    m->id = g_strdup(id);
    m->cpu = (now->cpu_usec - before->cpu_usec) * 1000 / passed;
    m->throttled = MIN((now->throttled_usec - before->throttled_usec) * 1000 / passed, 1000);
    m->rx = (int64_t)(now->rx - before->rx) * 8 * 1000 / passed;
    m->tx = (int64_t)(now->tx - before->tx) * 8 * 1000 / passed;
    m->read = before->read_rate;
    m->write = before->write_rate;
    return m;
}

static void measure_one(Measure *measure, AgentVm *vm, HostMeasure *host)
{
    const Assignment *a = host_core_assignment(measure->agent->core, vm->id);
    CgroupStats stats;
    if (vm->pid == 0 || vm->cgroup == NULL || !cgroup_vm_stats(vm->cgroup, &stats, NULL)) {
        g_hash_table_remove(measure->last, vm->id);
        return;
    }
    Sample now = {.at_us = g_get_monotonic_time(),
                  .pid = vm->pid,
                  .cpu_usec = stats.cpu_usec,
                  .throttled_usec = stats.throttled_usec};
    add_nics(measure->agent, a, &now);
    Sample *before = g_hash_table_lookup(measure->last, vm->id);
    if (before != NULL && before->pid == vm->pid) {
        int64_t rss = 0;
        VmMeasure *m = compare_samples(vm->id, before, &now);
        process_rss(vm->pid, &rss, NULL);
        m->memory = rss / MIB;
        host->cpu += m->cpu;
        host->memory += m->memory;
        g_ptr_array_add(host->vms, m);
        now.read = before->read;
        now.written = before->written;
        now.disk_at_us = before->disk_at_us;
        now.read_rate = before->read_rate;
        now.write_rate = before->write_rate;
    }
    g_hash_table_replace(measure->last, g_strdup(vm->id), g_memdup2(&now, sizeof now));
    ask_disks(measure, vm, a);
}

static gboolean on_timer(gpointer data)
{
    Measure *measure = data;
    g_autoptr(HostMeasure) host = host_measure_new();
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, measure->agent->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        measure_one(measure, value, host);
    }
    if (uplink_is_up(measure->agent->uplink)) {
        uplink_measure(measure->agent->uplink, host);
    }
    return G_SOURCE_CONTINUE;
}

Measure *measure_new(Agent *agent)
{
    Measure *measure = g_new0(Measure, 1);
    measure->agent = agent;
    measure->last = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    measure->timer = g_timeout_add((guint)agent->config->measure_interval_ms, on_timer, measure);
    return measure;
}

void measure_free(Measure *measure)
{
    if (measure != NULL) {
        g_source_remove(measure->timer);
        g_hash_table_unref(measure->last);
        g_free(measure);
    }
}
