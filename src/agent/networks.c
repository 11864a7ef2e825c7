/*
 * Networks on this host: for an overlay a bridge with the gateway's address, a VXLAN port and its
 * forwarding table; for a bridge the host's own one; and DHCP for the guests that are here.
 *
 * An assignment is kept on disk before it is answered, so that a host that starts without its
 * manager has its networks. Interfaces are made in the kernel thread, files in one of their own
 * (VMs wait for the kernel thread, and a disk is slow), dnsmasq is run from the main thread.
 *
 * Each VM that comes or goes changes the network: then only its forwarding table and its DHCP do.
 */
#include <string.h>

#include "agent/agent.h"
#include "agent/paths.h"
#include "base/error.h"
#include "linux/dhcp.h"
#include "linux/names.h"

#define DHCP_RETRY_MS 1000
#define DHCP_DELAY_MS 100 /* changes come in crowds, and no guest asks for an address sooner */

struct Networks {
    Agent *agent;
    Work *files;       /* one thread, so that a file's last write is its last assignment */
    GHashTable *known; /* id → Network */
};

typedef struct {
    Networks *networks;
    NetworkAssignment *assignment;
    char *made; /* what its interfaces were made of; NULL: they are not */
    Dhcp *dhcp;
    guint dhcp_retry;
} Network;

static void serve_dhcp(Network *network);

static void network_free(gpointer data)
{
    Network *network = data;
    g_clear_handle_id(&network->dhcp_retry, g_source_remove);
    g_clear_pointer(&network->dhcp, dhcp_free);
    network_assignment_free(network->assignment);
    g_free(network->made);
    g_free(network);
}

Networks *networks_new(Agent *agent)
{
    Networks *networks = g_new0(Networks, 1);
    networks->agent = agent;
    networks->files = work_new(1);
    networks->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, network_free);
    return networks;
}

void networks_free(Networks *networks)
{
    if (networks != NULL) {
        work_free(networks->files);
        g_hash_table_unref(networks->known);
        g_free(networks);
    }
}

const NetworkAssignment *networks_find(Networks *networks, const char *id)
{
    const Network *network = g_hash_table_lookup(networks->known, id);
    return network != NULL ? network->assignment : NULL;
}

char *networks_bridge(const NetworkAssignment *network)
{
    char name[NAMES_SIZE];
    if (network->kind == NETWORK_KIND_BRIDGE) {
        return g_strdup(network->bridge);
    }
    names_bridge(network->id, name);
    return g_strdup(name);
}

unsigned networks_mtu(Networks *networks, const NetworkAssignment *network)
{
    unsigned mtu = networks->agent->underlay_mtu;
    return network->kind == NETWORK_KIND_OVERLAY ? mtu - NET_VXLAN_OVERHEAD_IPV4 : 0;
}

/* One MAC on all hosts, so that a guest that moves keeps its neighbour entry. */
static char *gateway_mac(const char *id)
{
    g_autofree char *h = g_compute_checksum_for_string(G_CHECKSUM_SHA256, id, -1);
    return g_strdup_printf("02:%.2s:%.2s:%.2s:%.2s:%.2s", h, h + 2, h + 4, h + 6, h + 8);
}

typedef struct {
    Networks *networks;
    NetworkAssignment *assignment;
    NetworkRemove *removal;
    char *local;
    unsigned mtu;
    bool made; /* its interfaces are, as the assignment says */
    NetworksDone done;
    gpointer data;
} Job;

static void job_free(gpointer data)
{
    Job *job = data;
    network_assignment_free(job->assignment);
    network_remove_free(job->removal);
    g_free(job->local);
    g_free(job);
}

static char *gateway_with_prefix(const NetworkAssignment *a)
{
    const char *slash = a->subnet != NULL ? strchr(a->subnet, '/') : NULL;
    return a->gateway != NULL && slash != NULL ? g_strconcat(a->gateway, slash, NULL) : NULL;
}

/* The host's own address in the /64, "fd00:1::1"; NULL: there is none. */
static char *gateway6_of(const NetworkAssignment *a)
{
    const char *end = a->subnet6 != NULL ? strstr(a->subnet6, "::/64") : NULL;
    return end != NULL ? g_strdup_printf("%.*s::1", (int)(end - a->subnet6), a->subnet6) : NULL;
}

static bool sync_tunnel(const Job *job, const char *vxlan, GError **error)
{
    const NetworkAssignment *a = job->assignment;
    g_autofree NetFdbEntry *entries = g_new0(NetFdbEntry, 2 * a->ports->len + 1);
    g_autoptr(GHashTable) remotes = g_hash_table_new(g_str_hash, g_str_equal);
    size_t n = 0;
    for (guint i = 0; i < a->ports->len; i++) {
        const NetworkPort *port = a->ports->pdata[i];
        if (strcmp(port->host, job->local) == 0) {
            continue;
        }
        entries[n++] = (NetFdbEntry){.mac = port->mac, .remote = port->host};
        if (g_hash_table_add(remotes, port->host)) {
            entries[n++] = (NetFdbEntry){.mac = NULL, .remote = port->host};
        }
    }
    return net_sync_fdb(job->networks->agent->net, vxlan, entries, n, error);
}

static bool make_overlay(const Job *job, GError **error)
{
    const NetworkAssignment *a = job->assignment;
    Net *net = job->networks->agent->net;
    char bridge[NAMES_SIZE], vxlan[NAMES_SIZE];
    names_bridge(a->id, bridge);
    names_vxlan(a->id, vxlan);
    g_autofree char *mac = gateway_mac(a->id);
    g_autofree char *gateway = gateway_with_prefix(a);
    g_autofree char *gateway6 = gateway6_of(a);
    g_autofree char *address6 = gateway6 != NULL ? g_strconcat(gateway6, "/64", NULL) : NULL;
    SpoofOverlay guard = {.gateway_ipv4 = a->gateway, .gateway_ipv6 = gateway6, .gateway_mac = mac};
    return net_ensure_bridge(net, bridge, mac, error) &&
           net_set_link(net, bridge, job->mtu, true, error) &&
           (gateway == NULL || net_ensure_address(net, bridge, gateway, error)) &&
           (address6 == NULL || net_ensure_address(net, bridge, address6, error)) &&
           spoof_ensure_overlay(job->networks->agent->spoof, vxlan, &guard, error) &&
           net_ensure_vxlan(net, vxlan, (uint32_t)a->vni, job->local, error) &&
           net_ensure_port(net, vxlan, bridge, 0, error) &&
           net_set_link(net, vxlan, job->mtu, true, error) && sync_tunnel(job, vxlan, error);
}

/* Everything that an overlay's interfaces depend on. */
static char *frame_of(const Job *job)
{
    const NetworkAssignment *a = job->assignment;
    return g_strdup_printf("%" G_GINT64_FORMAT " %s %s %s %s %u", a->vni, a->subnet, a->gateway,
                           a->subnet6, job->local, job->mtu);
}

/* Interfaces that somebody has removed are made again. */
static bool change_overlay(const Job *job, GError **error)
{
    char vxlan[NAMES_SIZE];
    names_vxlan(job->assignment->id, vxlan);
    return (job->made && sync_tunnel(job, vxlan, NULL)) || make_overlay(job, error);
}

static bool write_file(gpointer data, GError **error)
{
    const Job *job = data;
    g_autofree char *path = path_network(job->networks->agent->state, job->assignment->id);
    json_t *json = network_assignment_encode(job->assignment);
    bool written = json_file_write(path, json, error);
    json_decref(json);
    return written;
}

static bool remove_file(gpointer data, GError **error)
{
    const Job *job = data;
    g_autofree char *path = path_network(job->networks->agent->state, job->removal->id);
    return json_file_remove(path, error);
}

static bool apply_kernel(gpointer data, GError **error)
{
    const Job *job = data;
    const NetworkAssignment *a = job->assignment;
    if (a->kind == NETWORK_KIND_OVERLAY) {
        return change_overlay(job, error);
    }
    NetLink link;
    if (!net_read(job->networks->agent->net, a->bridge, &link, NULL)) {
        return berth_error_set(error, BERTH_ERROR_NOT_FOUND, "bridge", a->bridge,
                               "make the bridge on this host, or take the network away from it",
                               "this host has no such bridge");
    }
    return true;
}

static gboolean dhcp_again(gpointer data)
{
    Network *network = data;
    network->dhcp_retry = 0;
    serve_dhcp(network);
    return G_SOURCE_REMOVE;
}

static void dhcp_ended(Dhcp *dhcp, gpointer data)
{
    Network *network = data;
    if (network->dhcp_retry == 0) {
        network->dhcp_retry = g_timeout_add(DHCP_RETRY_MS, dhcp_again, network);
    }
}

/* Does this host pass on what its guests send beyond the overlay? */
static bool forwards_ipv6(void)
{
    g_autofree char *setting = NULL;
    return g_file_get_contents("/proc/sys/net/ipv6/conf/all/forwarding", &setting, NULL, NULL) &&
           setting[0] != '0';
}

static Dhcp *make_dhcp(Network *network, GError **error)
{
    const NetworkAssignment *a = network->assignment;
    Agent *agent = network->networks->agent;
    g_autofree char *directory = path_dhcp(agent->run, a->id);
    g_autofree char *bridge = networks_bridge(a);
    if (!directory_make(directory, 0755, error)) {
        return NULL;
    }
    DhcpConfig config = {.dir = directory,
                         .interface = bridge,
                         .subnet = a->subnet,
                         .gateway = a->gateway,
                         .subnet6 = a->subnet6,
                         .routes6 = forwards_ipv6(),
                         .mtu = networks_mtu(network->networks, a)};
    return dhcp_new(&config, dhcp_ended, network, error);
}

static bool apply_dhcp(Network *network, GError **error)
{
    const NetworkAssignment *a = network->assignment;
    const char *local = network->networks->agent->facts->address;
    g_autofree DhcpHost *hosts = g_new0(DhcpHost, a->ports->len + 1);
    size_t n = 0;
    for (guint i = 0; i < a->ports->len; i++) {
        const NetworkPort *port = a->ports->pdata[i];
        if (port->ipv4 != NULL && strcmp(port->host, local) == 0) {
            hosts[n++] = (DhcpHost){
                .mac = port->mac, .ipv4 = port->ipv4, .ipv6 = port->ipv6, .name = port->name};
        }
    }
    if (network->dhcp == NULL) {
        network->dhcp = make_dhcp(network, error);
    }
    return network->dhcp != NULL && dhcp_apply(network->dhcp, hosts, n, error);
}

static void serve_dhcp(Network *network)
{
    const NetworkAssignment *a = network->assignment;
    if (a->kind != NETWORK_KIND_OVERLAY || a->subnet == NULL) {
        return;
    }
    g_autoptr(GError) error = NULL;
    if (!apply_dhcp(network, &error)) {
        g_autofree char *text = berth_error_describe(error);
        g_warning("network %s: DHCP is not served: %s", a->id, text);
        dhcp_ended(NULL, network);
    }
}

/* The end of an apply or a removal. */
static void answer(const GError *error, gpointer data)
{
    Job *job = data;
    uplink_networks_changed(job->networks->agent->uplink);
    if (job->done != NULL) {
        job->done(error, job->data);
    }
    job_free(job);
}

static void applied(const GError *error, gpointer data)
{
    Job *job = data;
    Network *network = g_hash_table_lookup(job->networks->known, job->assignment->id);
    if (network != NULL) {
        g_free(network->made);
        network->made = error == NULL ? frame_of(job) : NULL;
        if (network->dhcp_retry == 0) {
            network->dhcp_retry = g_timeout_add(DHCP_DELAY_MS, dhcp_again, network);
        }
    }
    if (error != NULL) {
        answer(error, job);
    } else {
        work_run(job->networks->files, write_file, answer, job, NULL);
    }
}

static void take(Networks *networks, const NetworkAssignment *assignment)
{
    Network *network = g_hash_table_lookup(networks->known, assignment->id);
    if (network == NULL) {
        network = g_new0(Network, 1);
        network->networks = networks;
        g_hash_table_insert(networks->known, g_strdup(assignment->id), network);
    }
    network_assignment_free(network->assignment);
    network->assignment = network_assignment_copy(assignment);
}

void networks_apply(Networks *networks, const NetworkAssignment *assignment, NetworksDone done,
                    gpointer data)
{
    const NetworkAssignment *known = networks_find(networks, assignment->id);
    if (known == NULL || assignment->generation >= known->generation) {
        take(networks, assignment);
    }
    Job *job = g_new0(Job, 1);
    job->networks = networks;
    job->assignment = network_assignment_copy(networks_find(networks, assignment->id));
    job->local = g_strdup(networks->agent->facts->address);
    job->mtu = networks_mtu(networks, assignment);
    job->done = done;
    job->data = data;
    const Network *network = g_hash_table_lookup(networks->known, assignment->id);
    g_autofree char *frame = frame_of(job);
    job->made = g_strcmp0(network->made, frame) == 0;
    work_run(networks->agent->kernel, apply_kernel, applied, job, NULL);
}

static bool remove_kernel(gpointer data, GError **error)
{
    const Job *job = data;
    Agent *agent = job->networks->agent;
    char bridge[NAMES_SIZE], vxlan[NAMES_SIZE];
    names_bridge(job->removal->id, bridge);
    names_vxlan(job->removal->id, vxlan);
    return net_delete(agent->net, vxlan, error) && spoof_remove(agent->spoof, vxlan, error) &&
           net_delete(agent->net, bridge, error);
}

static void removed(const GError *error, gpointer data)
{
    Job *job = data;
    if (error != NULL) {
        answer(error, job);
    } else {
        work_run(job->networks->files, remove_file, answer, job, NULL);
    }
}

void networks_remove(Networks *networks, const NetworkRemove *removal, NetworksDone done,
                     gpointer data)
{
    Network *network = g_hash_table_lookup(networks->known, removal->id);
    if (network != NULL && network->dhcp != NULL) {
        dhcp_stop(network->dhcp, NULL);
    }
    g_hash_table_remove(networks->known, removal->id);
    Job *job = g_new0(Job, 1);
    job->networks = networks;
    job->removal = network_remove_copy(removal);
    job->done = done;
    job->data = data;
    work_run(networks->agent->kernel, remove_kernel, removed, job, NULL);
}

void networks_restore(Networks *networks)
{
    g_autofree char *directory = g_build_filename(networks->agent->state, "networks", NULL);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        json_t *json = g_str_has_suffix(name, ".json") ? json_file_read(path, NULL) : NULL;
        g_autoptr(NetworkAssignment) kept =
            json != NULL ? network_assignment_decode(json, CODEC_TOLERANT, NULL) : NULL;
        json_decref(json);
        if (kept != NULL) {
            networks_apply(networks, kept, NULL, NULL);
        }
    }
}

void networks_report(Networks *networks, GPtrArray *reported)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, networks->known);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Network *network = value;
        ReportedNetwork *one = reported_network_new();
        one->id = g_strdup(network->assignment->id);
        one->generation = network->assignment->generation;
        g_ptr_array_add(reported, one);
    }
}
