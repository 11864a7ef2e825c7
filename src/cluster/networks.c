#include "cluster/networks.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cluster/agents.h"
#include "cluster/hardware.h"
#include "cluster/txn.h"

#define FIRST_VNI 4096
#define LAST_VNI 16777215
#define DEFAULT_POOL UINT32_C(0x0A400000) /* 10.64.0.0/10 */
#define DEFAULT_POOL_END UINT32_C(0x0A800000)
#define DEFAULT_PREFIX 24
#define SUBNET_REMEDY "write an IPv4 subnet such as 10.1.0.0/24, between /8 and /29"

typedef struct {
    uint32_t base;
    int prefix;
} Subnet;

static uint32_t subnet_size(Subnet subnet)
{
    return UINT32_C(1) << (32 - subnet.prefix);
}

static char *ipv4_text(uint32_t address)
{
    return g_strdup_printf("%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
                           address & 255);
}

static bool ipv4_parse(const char *text, uint32_t *ret_address)
{
    unsigned a, b, c, d;
    int end = 0;
    if (text == NULL || sscanf(text, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &end) != 4 ||
        text[end] != '\0' || a > 255 || b > 255 || c > 255 || d > 255) {
        return false;
    }
    *ret_address = a << 24 | b << 16 | c << 8 | d;
    return true;
}

static bool subnet_parse(const char *text, Subnet *ret_subnet, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    uint32_t base;
    guint64 prefix;
    if (g_strv_length(parts) != 2 || !ipv4_parse(parts[0], &base) ||
        !g_ascii_string_to_unsigned(parts[1], 10, 8, 29, &prefix, NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "subnet", text, SUBNET_REMEDY,
                               "not an IPv4 subnet that a network can have");
    }
    Subnet subnet = {base, (int)prefix};
    if ((base & (subnet_size(subnet) - 1)) != 0) {
        g_autofree char *right = ipv4_text(base & ~(subnet_size(subnet) - 1));
        g_autofree char *remedy = g_strdup_printf("write %s/%d", right, subnet.prefix);
        return berth_error_set(error, BERTH_ERROR_INVALID, "subnet", text, remedy,
                               "the address has bits beyond its prefix");
    }
    *ret_subnet = subnet;
    return true;
}

static bool overlaps(Subnet a, Subnet b)
{
    return a.base < b.base + subnet_size(b) && b.base < a.base + subnet_size(a);
}

/* The network whose subnet overlaps, or NULL. */
static const Network *overlapping(ClusterCore *core, Subnet subnet)
{
    for (GTreeNode *n = g_tree_node_first(core->networks); n != NULL; n = g_tree_node_next(n)) {
        const ClusterNetwork *network = g_tree_node_value(n);
        Subnet other;
        if (network->object->subnet != NULL &&
            subnet_parse(network->object->subnet, &other, NULL) && overlaps(subnet, other)) {
            return network->object;
        }
    }
    return NULL;
}

static bool choose_subnet(ClusterCore *core, Network *object, GError **error)
{
    Subnet subnet = {DEFAULT_POOL, DEFAULT_PREFIX};
    if (object->subnet != NULL) {
        if (!subnet_parse(object->subnet, &subnet, error)) {
            return false;
        }
        const Network *other = overlapping(core, subnet);
        if (other != NULL) {
            return berth_error_set(error, BERTH_ERROR_CONFLICT, "subnet", object->subnet,
                                   "choose another subnet, or none to get the next free one",
                                   "overlaps with network %s (%s)", other->name, other->subnet);
        }
    } else {
        while (subnet.base < DEFAULT_POOL_END && overlapping(core, subnet) != NULL) {
            subnet.base += subnet_size(subnet);
        }
        if (subnet.base >= DEFAULT_POOL_END) {
            return berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "subnet", NULL, SUBNET_REMEDY,
                                   "no subnet of 10.64.0.0/10 is free");
        }
        g_autofree char *base = ipv4_text(subnet.base);
        object->subnet = g_strdup_printf("%s/%d", base, subnet.prefix);
    }
    g_free(object->gateway);
    object->gateway = ipv4_text(subnet.base + 1);
    return true;
}

/* A unique local prefix (RFC 4193): its 56 random bits, global id and subnet, are a hash of the
 * network's id, so that nothing has to be chosen or kept apart. */
void network_choose_subnet6(Network *object)
{
    if (object->kind != NETWORK_KIND_OVERLAY || object->subnet6 != NULL) {
        return;
    }
    g_autofree char *h = g_compute_checksum_for_string(G_CHECKSUM_SHA256, object->id, -1);
    h[14] = '\0'; /* 56 bits */
    guint64 bits = g_ascii_strtoull(h, NULL, 16);
    object->subnet6 = g_strdup_printf("fd%02x:%x:%x:%x::/64", (unsigned)(bits >> 48 & 0xff),
                                      (unsigned)(bits >> 32 & 0xffff),
                                      (unsigned)(bits >> 16 & 0xffff), (unsigned)(bits & 0xffff));
}

/* The address that the guest's kernel makes of the prefix and the MAC by itself (EUI-64, RFC 4291),
 * so that a guest with DHCPv6 and one without have the same. NULL: no prefix. */
static char *ipv6_of(const Network *object, const char *mac)
{
    const char *end = object->subnet6 != NULL ? strstr(object->subnet6, "::/64") : NULL;
    unsigned m[6];
    if (end == NULL ||
        sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6) {
        return NULL;
    }
    return g_strdup_printf("%.*s:%x:%x:%x:%x", (int)(end - object->subnet6), object->subnet6,
                           (m[0] ^ 2) << 8 | m[1], m[2] << 8 | 0xff, 0xfe00 | m[3],
                           m[4] << 8 | m[5]);
}

static bool vni_is_used(ClusterCore *core, int64_t vni)
{
    for (GTreeNode *n = g_tree_node_first(core->networks); n != NULL; n = g_tree_node_next(n)) {
        const ClusterNetwork *network = g_tree_node_value(n);
        if (network->object->has_vni && network->object->vni == vni) {
            return true;
        }
    }
    return false;
}

static bool complete_overlay(ClusterCore *core, Network *object, GError **error)
{
    if (object->bridge != NULL || object->has_vlan) {
        return berth_error_set(error, BERTH_ERROR_INVALID,
                               object->bridge != NULL ? "bridge" : "vlan", object->bridge,
                               "leave it out, or give kind bridge", "belongs to a bridge network");
    }
    object->has_vni = true;
    object->vni = FIRST_VNI;
    while (vni_is_used(core, object->vni)) {
        object->vni++;
    }
    if (object->vni > LAST_VNI) {
        return berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "vni", NULL, NULL,
                               "no network identifier is free");
    }
    return choose_subnet(core, object, error);
}

bool network_complete(ClusterCore *core, Network *object, GError **error)
{
    if (object->kind == NETWORK_KIND_OVERLAY) {
        return complete_overlay(core, object, error);
    }
    if (object->bridge == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "bridge", NULL,
                               "name the bridge that the hosts have, such as br0",
                               "a bridge network needs a bridge");
    }
    return object->subnet == NULL || choose_subnet(core, object, error);
}

/* The lowest, beyond the network's own address, the gateway and the broadcast address. */
static bool free_address(ClusterNetwork *network, Subnet subnet, uint32_t *ret_address)
{
    uint32_t end = subnet.base + subnet_size(subnet) - 1;
    uint32_t address = MAX(network->none_free_below, subnet.base + 2);
    while (address < end && g_hash_table_contains(network->used, GUINT_TO_POINTER(address))) {
        address++;
    }
    network->none_free_below = *ret_address = address;
    return address < end;
}

Nic *network_new_nic(ClusterCore *core, ClusterNetwork *network, const char *vm, guint index,
                     GError **error)
{
    g_autoptr(Nic) nic = nic_new();
    nic->network = g_strdup(network->id);
    g_autofree char *mac = NULL;
    guint attempt = 0;
    do {
        g_free(mac);
        mac = hardware_mac(vm, index, attempt++);
    } while (g_hash_table_contains(network->macs, mac));
    nic->mac = g_steal_pointer(&mac);
    nic->ipv6 = ipv6_of(network->object, nic->mac);
    if (network->object->subnet != NULL) {
        Subnet subnet;
        uint32_t address;
        if (!subnet_parse(network->object->subnet, &subnet, error)) {
            return NULL;
        }
        if (!free_address(network, subnet, &address)) {
            berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "networks", network->object->name,
                            "remove VMs from it, or use another network",
                            "no address of %s is free", network->object->subnet);
            return NULL;
        }
        nic->ipv4 = ipv4_text(address);
        nic->prefix = subnet.prefix;
        nic->gateway = g_strdup(network->object->gateway);
    }
    return g_steal_pointer(&nic);
}

void network_host_lags(ClusterCore *core, ClusterHost *host, int64_t delay_ms)
{
    if (!host->networks_lag) {
        host->networks_lag = true;
        g_tree_insert(core->lagging, host->id, host);
    }
    core->networks_due_ms = MIN(core->networks_due_ms, core->now_ms + delay_ms);
}

static void remember(ClusterHost *host, const char *id, int64_t generation)
{
    g_hash_table_insert(host->networks, g_strdup(id), g_memdup2(&generation, sizeof generation));
}

void network_host_has(ClusterHost *host, const char *id, int64_t generation)
{
    remember(host, id, -MAX(generation, 1));
}

/* The host where it changed is told before it starts a VM there; the others are looked up once, when they are
 * told. */
static void network_changed(ClusterCore *core, ClusterNetwork *network, ClusterHost *host)
{
    network->generation = MAX(network->generation, txn_revision(core));
    network->changed = true;
    core->networks_due_ms = MIN(core->networks_due_ms, core->now_ms + NETWORK_DELAY_MS);
    if (host->reported) {
        network_host_lags(core, host, NETWORK_DELAY_MS);
    }
}

static void mark_hosts_of(ClusterCore *core, ClusterNetwork *network)
{
    network->changed = false;
    for (GTreeNode *n = g_tree_node_first(network->hosts); n != NULL; n = g_tree_node_next(n)) {
        ClusterHost *host = g_tree_lookup(core->hosts, g_tree_node_key(n));
        if (host != NULL && host->reported) {
            network_host_lags(core, host, NETWORK_DELAY_MS);
        }
    }
}

static void count_host(ClusterNetwork *network, const ClusterHost *host, int change)
{
    int count = GPOINTER_TO_INT(g_tree_lookup(network->hosts, host->id)) + change;
    if (count > 0) {
        g_tree_insert(network->hosts, host->id, GINT_TO_POINTER(count));
    } else {
        g_tree_remove(network->hosts, host->id);
    }
}

void network_link_vm(ClusterCore *core, ClusterVm *vm)
{
    for (guint i = 0; i < vm->placement->nics->len; i++) {
        Nic *nic = vm->placement->nics->pdata[i];
        ClusterNetwork *network = g_tree_lookup(core->networks, nic->network);
        if (network == NULL) {
            continue;
        }
        uint32_t address;
        if (ipv4_parse(nic->ipv4, &address)) {
            g_hash_table_add(network->used, GUINT_TO_POINTER(address));
        }
        g_hash_table_add(network->macs, nic->mac);
        g_tree_insert(network->ports, g_strdup_printf("%s/%u", vm->id, i), nic);
        count_host(network, vm->host, 1);
        network_changed(core, network, vm->host);
    }
}

void network_unlink_vm(ClusterCore *core, ClusterVm *vm)
{
    for (guint i = 0; i < vm->placement->nics->len; i++) {
        const Nic *nic = vm->placement->nics->pdata[i];
        ClusterNetwork *network = g_tree_lookup(core->networks, nic->network);
        if (network == NULL) {
            continue;
        }
        uint32_t address;
        if (ipv4_parse(nic->ipv4, &address)) {
            g_hash_table_remove(network->used, GUINT_TO_POINTER(address));
            network->none_free_below = MIN(network->none_free_below, address);
        }
        g_hash_table_remove(network->macs, nic->mac);
        g_autofree char *key = g_strdup_printf("%s/%u", vm->id, i);
        g_tree_remove(network->ports, key);
        count_host(network, vm->host, -1);
        network_changed(core, network, vm->host);
    }
}

static NetworkPort *port_of(ClusterCore *core, const char *key, const Nic *nic)
{
    g_autofree char *id = g_strndup(key, strcspn(key, "/"));
    const ClusterVm *vm = g_tree_lookup(core->vms, id);
    if (vm == NULL || vm->host == NULL || vm->host->facts == NULL) {
        return NULL;
    }
    NetworkPort *port = network_port_new();
    port->mac = g_strdup(nic->mac);
    port->ipv4 = g_strdup(nic->ipv4);
    port->ipv6 = g_strdup(nic->ipv6);
    port->host = g_strdup(vm->host->facts->address);
    port->name = g_strdup(vm->spec->name);
    return port;
}

static json_t *assignment_of(ClusterCore *core, const ClusterNetwork *network)
{
    g_autoptr(NetworkAssignment) assignment = network_assignment_new();
    assignment->id = g_strdup(network->id);
    assignment->kind = network->object->kind;
    assignment->generation = MAX(network->generation, 1);
    assignment->has_vni = network->object->has_vni;
    assignment->vni = network->object->vni;
    assignment->bridge = g_strdup(network->object->bridge);
    assignment->has_vlan = network->object->has_vlan;
    assignment->vlan = network->object->vlan;
    assignment->subnet = g_strdup(network->object->subnet);
    assignment->gateway = g_strdup(network->object->gateway);
    assignment->subnet6 = g_strdup(network->object->subnet6);
    for (GTreeNode *n = g_tree_node_first(network->ports); n != NULL; n = g_tree_node_next(n)) {
        NetworkPort *port = port_of(core, g_tree_node_key(n), g_tree_node_value(n));
        if (port != NULL) {
            g_ptr_array_add(assignment->ports, port);
        }
    }
    return network_assignment_encode(assignment);
}

static void tell_network(ClusterCore *core, ClusterHost *host, const ClusterNetwork *network)
{
    int64_t generation = MAX(network->generation, 1);
    const int64_t *sent = g_hash_table_lookup(host->networks, network->id);
    if (sent != NULL && *sent == generation) {
        return;
    }
    remember(host, network->id, generation);
    agent_call(core, host, CALL_NETWORK, network->id, generation, AGENT_METHOD_NETWORK_APPLY,
               assignment_of(core, network), 0, 0);
}

static void tell_removed(ClusterCore *core, ClusterHost *host, const char *id, int64_t generation)
{
    g_autoptr(NetworkRemove) removal = network_remove_new();
    removal->id = g_strdup(id);
    removal->generation = generation;
    agent_call(core, host, CALL_NETWORK, id, generation, AGENT_METHOD_NETWORK_REMOVE,
               network_remove_encode(removal), 0, 0);
}

/* What the host has and has no VMs in any more. */
static void tell_departed(ClusterCore *core, ClusterHost *host)
{
    GHashTableIter iter;
    void *id, *sent;
    g_hash_table_iter_init(&iter, host->networks);
    while (g_hash_table_iter_next(&iter, &id, &sent)) {
        const ClusterNetwork *network = g_tree_lookup(core->networks, id);
        if (network == NULL || g_tree_lookup(network->hosts, host->id) == NULL) {
            int64_t newer = ABS(*(const int64_t *)sent) + 1;
            tell_removed(core, host, id, network != NULL ? MAX(network->generation, newer) : newer);
            g_hash_table_iter_remove(&iter);
        }
    }
}

void network_tell_host(ClusterCore *core, ClusterHost *host)
{
    if (!host->reported) {
        return;
    }
    for (GTreeNode *n = g_tree_node_first(core->networks); n != NULL; n = g_tree_node_next(n)) {
        const ClusterNetwork *network = g_tree_node_value(n);
        if (g_tree_lookup(network->hosts, host->id) != NULL) {
            tell_network(core, host, network);
        }
    }
    tell_departed(core, host);
    host->networks_lag = false;
    g_tree_remove(core->lagging, host->id);
}

void network_tell_lagging(ClusterCore *core)
{
    if (core->networks_due_ms <= core->now_ms) {
        for (GTreeNode *n = g_tree_node_first(core->networks); n != NULL; n = g_tree_node_next(n)) {
            ClusterNetwork *network = g_tree_node_value(n);
            if (network->changed) {
                mark_hosts_of(core, network);
            }
        }
        for (GTreeNode *n; (n = g_tree_node_first(core->lagging)) != NULL;) {
            ClusterHost *host = g_tree_node_value(n);
            g_tree_remove(core->lagging, host->id);
            host->networks_lag = false;
            network_tell_host(core, host);
        }
    }
    if (core->networks_due_ms <= core->now_ms) {
        core->networks_due_ms = INT64_MAX;
    }
}

bool networks_check(const ClusterCore *core, GError **error)
{
    guint used = 0, given = 0;
    for (GTreeNode *n = g_tree_node_first(core->networks); n != NULL; n = g_tree_node_next(n)) {
        used += g_hash_table_size(((const ClusterNetwork *)g_tree_node_value(n))->used);
    }
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        for (guint i = 0; vm->placement != NULL && i < vm->placement->nics->len; i++) {
            given += ((const Nic *)vm->placement->nics->pdata[i])->ipv4 != NULL;
        }
    }
    return used == given ||
           berth_error_set(error, BERTH_ERROR_INTERNAL, "networks", NULL, NULL,
                           "cards have %u addresses, of which %u are different", given, used);
}
