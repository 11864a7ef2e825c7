/* What this host is: what the kernel knows, what the operator declared, what a run of QEMU has
 * shown. */
#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gio/gio.h>

#include "agent/agent.h"
#include "agent/paths.h"
#include "base/error.h"
#include "linux/capacity.h"
#include "qemu/probe.h"

/* Kept for the agent, the kernel and all that is not a VM. */
#define RESERVE_MIN_MIB 512
#define RESERVE_PER_CENT 5
/* Of the machine, not of one agent: several share it. */
#define PROBE_FILE "/run/berth/probe.json"

/* The address from which the manager is reached: no packet is sent. */
static char *address_towards(const char *manager, int port, GError **error)
{
    g_autoptr(GSocketConnectable) name = g_network_address_new(manager, (guint16)port);
    g_autoptr(GSocketAddressEnumerator) addresses = g_socket_connectable_enumerate(name);
    g_autoptr(GSocketAddress) to = g_socket_address_enumerator_next(addresses, NULL, error);
    if (to == NULL) {
        return NULL;
    }
    g_autoptr(GSocket) socket = g_socket_new(g_socket_address_get_family(to),
                                             G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, error);
    if (socket == NULL || !g_socket_connect(socket, to, NULL, error)) {
        return NULL;
    }
    g_autoptr(GSocketAddress) from = g_socket_get_local_address(socket, error);
    return from == NULL ? NULL
                        : g_inet_address_to_string(
                              g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(from)));
}

/* The probe runs QEMU a few times; its result holds until the host boots again, QEMU changes, or KVM's
 * device comes or goes or is given to others; its module may be loaded after the agent has asked. */
static char *probe_key(const Agent *agent)
{
    g_autofree char *path = g_find_program_in_path(agent->config->qemu);
    struct stat st = {0};
    if (path != NULL) {
        stat(path, &st);
    }
    struct stat kvm = {0};
    stat("/dev/kvm", &kvm);
    return g_strdup_printf("%s %s %lld %d %o %u", agent->boot_id, path, (long long)st.st_mtime,
                           (int)agent->config->accelerator, (unsigned)kvm.st_mode,
                           (unsigned)kvm.st_gid);
}

static QemuProbe *recall(const char *path, const char *key)
{
    json_t *json = json_file_read(path, NULL);
    QemuProbe *probe = NULL;
    if (g_strcmp0(json_string_value(json_object_get(json, "key")), key) == 0) {
        probe = g_new0(QemuProbe, 1);
        probe->version = g_strdup(json_string_value(json_object_get(json, "version")));
        probe->machine = g_strdup(json_string_value(json_object_get(json, "machine")));
        probe->reason = g_strdup(json_string_value(json_object_get(json, "reason")));
        probe->overhead_mib = json_integer_value(json_object_get(json, "overhead"));
        probe->accelerator = probe->reason == NULL ? ACCELERATOR_KVM : ACCELERATOR_TCG;
    }
    json_decref(json);
    return probe;
}

static void remember(const char *path, const char *key, const QemuProbe *probe)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s*, s:I}", "key", key, "version", probe->version,
                             "machine", probe->machine, "reason", probe->reason, "overhead",
                             (json_int_t)probe->overhead_mib);
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = g_path_get_dirname(path);
    if (!directory_make(directory, 0755, &error) || !json_file_write(path, json, &error)) {
        g_warning("what QEMU can do is not remembered: %s", error->message);
    }
    json_decref(json);
}

static QemuProbe *probe(const Agent *agent, GError **error)
{
    static const QemuProbeChoice choices[] = {
        [ACCELERATOR_CHOICE_UNSET] = QEMU_PROBE_AUTO,
        [ACCELERATOR_CHOICE_AUTO] = QEMU_PROBE_AUTO,
        [ACCELERATOR_CHOICE_KVM] = QEMU_PROBE_KVM,
        [ACCELERATOR_CHOICE_TCG] = QEMU_PROBE_TCG,
    };
    const char *path = PROBE_FILE;
    g_autofree char *key = probe_key(agent);
    QemuProbe *known = recall(path, key);
    if (known != NULL) {
        return known;
    }
    QemuProbe *fresh = qemu_probe(agent->config->qemu, choices[agent->config->accelerator], error);
    if (fresh != NULL) {
        remember(path, key, fresh);
    }
    return fresh;
}

#define DECLARED_OR(field, found)                                                                  \
    (facts->capacity->field = declared != NULL && declared->field > 0 ? declared->field : (found))

static bool fill_capacity(Agent *agent, HostFacts *facts, const Capacity *found, GError **error)
{
    const Resources *declared = agent->config->capacity;
    int64_t disk = 0, free_gib = 0;
    if (!capacity_disk(agent->state, &disk, &free_gib, error)) {
        return false;
    }
    facts->capacity = resources_copy(declared);
    facts->capacity = facts->capacity != NULL ? facts->capacity : resources_new();
    DECLARED_OR(cpu, found->cpus * 1000);
    DECLARED_OR(memory, found->memory_mib);
    DECLARED_OR(disk, free_gib);
    facts->reserve = resources_copy(agent->config->reserve);
    if (facts->reserve == NULL) {
        facts->reserve = resources_new();
        facts->reserve->memory =
            MAX(RESERVE_MIN_MIB, facts->capacity->memory * RESERVE_PER_CENT / 100);
    }
    return true;
}

static bool fill_probe(Agent *agent, HostFacts *facts, GError **error)
{
    g_autoptr(QemuProbe) shown = probe(agent, error);
    if (shown == NULL) {
        return false;
    }
    facts->accelerator = accel_new();
    facts->accelerator->kind = shown->accelerator;
    facts->accelerator->reason = g_strdup(shown->reason);
    facts->machine = g_strdup(shown->machine);
    facts->qemu_version = g_strdup(shown->version);
    facts->overhead = shown->overhead_mib;
    return true;
}

HostFacts *facts_gather(Agent *agent, GError **error)
{
    const AgentConfig *config = agent->config;
    g_autoptr(Capacity) found = capacity_discover(NULL, error);
    if (found == NULL) {
        return NULL;
    }
    agent->boot_id = g_strdup(found->boot_id);
    g_autoptr(HostFacts) facts = host_facts_new();
    facts->address = config->address != NULL
                         ? g_strdup(config->address)
                         : address_towards(config->manager, (int)config->agent_port, error);
    if (facts->address == NULL || !fill_capacity(agent, facts, found, error) ||
        !fill_probe(agent, facts, error) ||
        !net_mtu_of_address(agent->net_reader, facts->address, &agent->underlay_mtu, error)) {
        return NULL;
    }
    facts->cpu_model = g_strdup(found->cpu_model);
    facts->kernel = g_strdup(found->kernel);
    facts->cgroup = cgroup_host_version(agent->cgroups);
    facts->version = g_strdup(BERTH_VERSION);
    facts->boot_id = g_strdup(found->boot_id);
    for (guint i = 0; i < config->devices->len; i++) {
        g_ptr_array_add(facts->devices, host_device_copy(config->devices->pdata[i]));
    }
    string_map_free(facts->labels);
    facts->labels = string_map_copy(config->labels);
    return g_steal_pointer(&facts);
}
