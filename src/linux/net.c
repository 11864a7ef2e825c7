#include "linux/net.h"

#include "base/error.h"
#include "base/order.h"
#include "linux/address.h"
#include "linux/netns.h"
#include "linux/rtnl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DOOMED_GROUP 0x62657274 /* nobody else's: interfaces on their way out */
#define VLAN_MAX 4094

struct Net {
    Netlink *netlink;
    int namespace; /* -1: the caller's */
};

static bool open_netlink(gpointer data, GError **error)
{
    Net *net = data;

    net->netlink = netlink_open(error);
    return net->netlink != NULL;
}

Net *net_open(const char *netns, GError **error)
{
    g_autoptr(Net) net = g_new0(Net, 1);

    net->namespace = -1;
    if (netns != NULL) {
        net->namespace = open(netns, O_RDONLY | O_CLOEXEC);
        if (net->namespace < 0) {
            berth_error_set(error, BERTH_ERROR_NOT_FOUND, NULL, netns, NULL,
                            "cannot open network namespace %s: %s", netns, g_strerror(errno));
            return NULL;
        }
    }
    return net_namespace_run(net->namespace, open_netlink, net, error) ? g_steal_pointer(&net)
                                                                       : NULL;
}

void net_close(Net *net)
{
    if (net == NULL) {
        return;
    }
    netlink_close(net->netlink);
    if (net->namespace >= 0) {
        close(net->namespace);
    }
    g_free(net);
}

struct Netlink *net_netlink(Net *net)
{
    return net->netlink;
}

bool net_parse_mac(const char *field, const char *text, uint8_t ret_mac[6], GError **error)
{
    return address_parse_mac(field, text, ret_mac, error);
}

/* What RTM_GETLINK says of one link, and of a VXLAN device what ensure compares. */
typedef struct {
    bool found;
    char name[IFNAMSIZ];
    NetLink link;
    uint32_t vni;
    uint8_t local[16];
    size_t local_size;
} LinkFacts;

static void parse_vxlan(struct nlattr *data, LinkFacts *facts)
{
    struct nlattr *vni = nla_find(nla_data(data), nla_len(data), IFLA_VXLAN_ID);
    struct nlattr *local = nla_find(nla_data(data), nla_len(data), IFLA_VXLAN_LOCAL);

    if (local == NULL) {
        local = nla_find(nla_data(data), nla_len(data), IFLA_VXLAN_LOCAL6);
    }
    if (vni != NULL) {
        facts->vni = nla_get_u32(vni);
    }
    if (local != NULL && nla_len(local) <= (int)sizeof facts->local) {
        facts->local_size = (size_t)nla_len(local);
        memcpy(facts->local, nla_data(local), facts->local_size);
    }
}

static void parse_kind(struct nlattr *info, LinkFacts *facts)
{
    struct nlattr *kind = nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND);
    struct nlattr *data = nla_find(nla_data(info), nla_len(info), IFLA_INFO_DATA);

    if (kind == NULL) {
        return;
    }
    g_strlcpy(facts->link.kind, nla_get_string(kind), sizeof facts->link.kind);
    if (data != NULL && strcmp(facts->link.kind, "vxlan") == 0) {
        parse_vxlan(data, facts);
    }
}

static void parse_stats(struct nlattr *attribute, NetLink *link)
{
    struct rtnl_link_stats64 stats = {0};

    memcpy(&stats, nla_data(attribute), MIN((size_t)nla_len(attribute), sizeof stats));
    link->rx_bytes = stats.rx_bytes;
    link->tx_bytes = stats.tx_bytes;
    link->rx_packets = stats.rx_packets;
    link->tx_packets = stats.tx_packets;
    link->rx_dropped = stats.rx_dropped;
    link->tx_dropped = stats.tx_dropped;
}

static bool parse_link(struct nlmsghdr *header, LinkFacts *ret_facts)
{
    const struct ifinfomsg *info = nlmsg_data(header);
    struct nlattr *attributes[IFLA_MAX + 1];
    LinkFacts facts = {.found = true};

    if (header->nlmsg_type != RTM_NEWLINK ||
        nlmsg_parse(header, sizeof *info, attributes, IFLA_MAX, NULL) < 0 ||
        attributes[IFLA_IFNAME] == NULL) {
        return false;
    }
    facts.link.ifindex = info->ifi_index;
    facts.link.up = (info->ifi_flags & IFF_UP) != 0;
    g_strlcpy(facts.name, nla_get_string(attributes[IFLA_IFNAME]), sizeof facts.name);
    if (attributes[IFLA_MTU] != NULL) {
        facts.link.mtu = nla_get_u32(attributes[IFLA_MTU]);
    }
    if (attributes[IFLA_MASTER] != NULL) {
        facts.link.master = (int)nla_get_u32(attributes[IFLA_MASTER]);
    }
    if (attributes[IFLA_ADDRESS] != NULL && nla_len(attributes[IFLA_ADDRESS]) == ETH_ALEN) {
        const uint8_t *mac = nla_data(attributes[IFLA_ADDRESS]);

        g_snprintf(facts.link.mac, sizeof facts.link.mac, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
                   mac[1], mac[2], mac[3], mac[4], mac[5]);
    }
    if (attributes[IFLA_STATS64] != NULL) {
        parse_stats(attributes[IFLA_STATS64], &facts.link);
    }
    if (attributes[IFLA_LINKINFO] != NULL) {
        parse_kind(attributes[IFLA_LINKINFO], &facts);
    }
    *ret_facts = facts;
    return true;
}

static void visit_link(struct nlmsghdr *header, gpointer data)
{
    (void)parse_link(header, data);
}

/* `name` NULL: by `ifindex`. */
static bool read_link(Net *net, const char *name, int ifindex, LinkFacts *facts, GError **error)
{
    g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_GETLINK, 0);
    g_autofree char *number = g_strdup_printf("%d", ifindex);
    g_autoptr(GError) local = NULL;
    int failed = 0;

    facts->found = false;
    netlink_put_link(message, ifindex, 0, 0);
    if (name != NULL) {
        netlink_put_string(message, IFLA_IFNAME, name);
    }
    if (!netlink_query(net->netlink, message, visit_link, facts, &failed, &local,
                       "cannot read interface '%s'", name != NULL ? name : number) &&
        failed != ENODEV) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return facts->found ||
           berth_error_set(error, BERTH_ERROR_NOT_FOUND, "interface", name != NULL ? name : number,
                           NULL, "there is no such interface");
}

bool net_read(Net *net, const char *name, NetLink *ret_link, GError **error)
{
    LinkFacts facts;

    if (!address_check_interface(name, error) || !read_link(net, name, 0, &facts, error)) {
        return false;
    }
    *ret_link = facts.link;
    return true;
}

bool net_ifindex(Net *net, const char *name, int *ret_ifindex, GError **error)
{
    NetLink link;

    if (!net_read(net, name, &link, error)) {
        return false;
    }
    *ret_ifindex = link.ifindex;
    return true;
}

static bool check_kind(const char *name, const LinkFacts *facts, const char *kind, GError **error)
{
    return strcmp(facts->link.kind, kind) == 0 ||
           berth_error_set(error, BERTH_ERROR_CONFLICT, "interface", name,
                           "rename or remove the interface that has this name",
                           "there is already an interface '%s' of kind '%s', not '%s'", name,
                           facts->link.kind[0] != '\0' ? facts->link.kind : "hardware", kind);
}

/* Begins the message that makes `name`; the caller adds attributes, then the options of its kind.
 */
static NetlinkMessage *link_message(const char *name, int flags)
{
    NetlinkMessage *message = netlink_message_new(RTM_NEWLINK, flags);

    netlink_put_link(message, 0, 0, 0);
    netlink_put_string(message, IFLA_IFNAME, name);
    return message;
}

bool net_ensure_plain(Net *net, const char *name, const char *kind, GError **error)
{
    g_autoptr(NetlinkMessage) message = link_message(name, NLM_F_CREATE | NLM_F_EXCL);
    g_autoptr(GError) local = NULL;
    struct nlattr *info = netlink_nest(message, IFLA_LINKINFO);
    LinkFacts facts;
    int failed = 0;

    netlink_put_string(message, IFLA_INFO_KIND, kind);
    netlink_nest_end(message, info);
    if (!address_check_interface(name, error)) {
        return false;
    }
    if (netlink_call(net->netlink, message, &failed, &local, "cannot make %s '%s'", kind, name)) {
        return true;
    }
    if (failed != EEXIST) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return read_link(net, name, 0, &facts, error) && check_kind(name, &facts, kind, error);
}

bool net_ensure_bridge(Net *net, const char *name, const char *mac, GError **error)
{
    g_autoptr(NetlinkMessage) message = link_message(name, 0);
    uint8_t address[ETH_ALEN];
    struct nlattr *info = NULL;
    struct nlattr *data = NULL;

    if (mac != NULL) {
        if (!address_parse_mac("mac", mac, address, error)) {
            return false;
        }
        netlink_put(message, IFLA_ADDRESS, address, sizeof address);
    }
    info = netlink_nest(message, IFLA_LINKINFO);
    netlink_put_string(message, IFLA_INFO_KIND, "bridge");
    data = netlink_nest(message, IFLA_INFO_DATA);
    netlink_put_u32(message, IFLA_BR_STP_STATE, 0);
    netlink_put_u8(message, IFLA_BR_MCAST_SNOOPING, 0);
    netlink_nest_end(message, data);
    netlink_nest_end(message, info);
    return net_ensure_plain(net, name, "bridge", error) &&
           netlink_call(net->netlink, message, NULL, error, "cannot set up bridge '%s'", name);
}

/* Taps and tunnels carry what guests say; the host itself must not speak IPv6 on them. */
static void silence_ipv6(Net *net, const char *name)
{
    g_autoptr(NetlinkMessage) message = link_message(name, 0);
    struct nlattr *families = netlink_nest(message, IFLA_AF_SPEC);
    struct nlattr *inet6 = netlink_nest(message, AF_INET6);

    netlink_put_u8(message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    netlink_nest_end(message, inet6);
    netlink_nest_end(message, families);
    /* Fails where the host has no IPv6 at all, which is as good. */
    (void)netlink_call(net->netlink, message, NULL, NULL, "cannot silence '%s'", name);
}

static bool create_vxlan(Net *net, const char *name, uint32_t vni, const Address *local,
                         GError **error)
{
    g_autoptr(NetlinkMessage) message = link_message(name, NLM_F_CREATE | NLM_F_EXCL);
    struct nlattr *info = netlink_nest(message, IFLA_LINKINFO);
    struct nlattr *data = NULL;

    netlink_put_string(message, IFLA_INFO_KIND, "vxlan");
    data = netlink_nest(message, IFLA_INFO_DATA);
    netlink_put_u32(message, IFLA_VXLAN_ID, vni);
    netlink_put(message, local->family == AF_INET ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6,
                local->bytes, local->size);
    netlink_put_u16(message, IFLA_VXLAN_PORT, GUINT16_TO_BE(NET_VXLAN_PORT));
    netlink_put_u8(message, IFLA_VXLAN_LEARNING, 0);
    netlink_nest_end(message, data);
    netlink_nest_end(message, info);
    if (!netlink_call(net->netlink, message, NULL, error, "cannot make VXLAN device '%s', VNI %u",
                      name, vni)) {
        return false;
    }
    silence_ipv6(net, name);
    return true;
}

bool net_ensure_vxlan(Net *net, const char *name, uint32_t vni, const char *local, GError **error)
{
    g_autoptr(GError) missing = NULL;
    Address address;
    LinkFacts facts;

    if (!address_check_interface(name, error) ||
        !address_parse("local", local, 0, &address, error)) {
        return false;
    }
    if (!read_link(net, name, 0, &facts, &missing)) {
        if (!g_error_matches(missing, BERTH_ERROR, BERTH_ERROR_NOT_FOUND)) {
            g_propagate_error(error, g_steal_pointer(&missing));
            return false;
        }
        return create_vxlan(net, name, vni, &address, error);
    }
    if (!check_kind(name, &facts, "vxlan", error)) {
        return false;
    }
    if (facts.vni == vni && facts.local_size == address.size &&
        memcmp(facts.local, address.bytes, address.size) == 0) {
        return true;
    }
    /* Neither can be changed on a living device. */
    return net_delete(net, name, error) && create_vxlan(net, name, vni, &address, error);
}

typedef struct {
    const char *name;
    uid_t uid;
    bool in_use;
} TapRequest;

static bool make_tap(gpointer data, GError **error)
{
    TapRequest *request = data;
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    int failed = 0;

    g_strlcpy(ifr.ifr_name, request->name, sizeof ifr.ifr_name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) != 0 ||
        ioctl(fd, TUNSETOWNER, (unsigned long)request->uid) != 0 ||
        ioctl(fd, TUNSETPERSIST, 1UL) != 0) {
        failed = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    request->in_use = failed == EBUSY;
    return failed == 0 || request->in_use ||
           berth_error_set(error, BERTH_ERROR_INTERNAL, "interface", request->name,
                           failed == ENOENT || failed == ENXIO ? "load the module tun"
                           : failed == EPERM || failed == EACCES
                               ? "run the agent as root, or give it CAP_NET_ADMIN"
                           : failed == EINVAL ? "remove the interface that has this name"
                                              : NULL,
                           "cannot make tap '%s': %s", request->name, g_strerror(failed));
}

bool net_ensure_tap(Net *net, const char *name, uid_t uid, GError **error)
{
    TapRequest request = {.name = name, .uid = uid};
    LinkFacts facts;

    if (!address_check_interface(name, error) ||
        !net_namespace_run(net->namespace, make_tap, &request, error)) {
        return false;
    }
    if (request.in_use) {
        return read_link(net, name, 0, &facts, error) && check_kind(name, &facts, "tun", error);
    }
    silence_ipv6(net, name);
    return true;
}

static bool set_port_vlan(Net *net, int ifindex, const char *port, unsigned vlan, GError **error)
{
    g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_SETLINK, 0);
    struct ifinfomsg header = {.ifi_family = AF_BRIDGE, .ifi_index = ifindex};
    struct bridge_vlan_info info = {
        .flags = BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED,
        .vid = (uint16_t)vlan,
    };
    struct nlattr *spec = NULL;

    netlink_put_header(message, &header, sizeof header);
    spec = netlink_nest(message, IFLA_AF_SPEC);
    netlink_put(message, IFLA_BRIDGE_VLAN_INFO, &info, sizeof info);
    netlink_nest_end(message, spec);
    return netlink_call(net->netlink, message, NULL, error, "cannot put port '%s' into VLAN %u",
                        port, vlan);
}

/* VLAN 1 is what a bridge gives each new port; the port is to carry `vlan` alone. */
static bool drop_default_vlan(Net *net, int ifindex, const char *port, GError **error)
{
    g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_DELLINK, 0);
    struct ifinfomsg header = {.ifi_family = AF_BRIDGE, .ifi_index = ifindex};
    struct bridge_vlan_info info = {.vid = 1};
    struct nlattr *spec = NULL;
    g_autoptr(GError) local = NULL;
    int failed = 0;

    netlink_put_header(message, &header, sizeof header);
    spec = netlink_nest(message, IFLA_AF_SPEC);
    netlink_put(message, IFLA_BRIDGE_VLAN_INFO, &info, sizeof info);
    netlink_nest_end(message, spec);
    if (!netlink_call(net->netlink, message, &failed, &local, "cannot take port '%s' out of VLAN 1",
                      port) &&
        failed != ENOENT) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return true;
}

static bool change_link(Net *net, const char *name, int master, unsigned mtu, bool up,
                        GError **error)
{
    g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_NEWLINK, 0);

    if (!address_check_interface(name, error)) {
        return false;
    }
    netlink_put_link(message, 0, up ? IFF_UP : 0, IFF_UP);
    netlink_put_string(message, IFLA_IFNAME, name);
    if (master != 0) {
        netlink_put_u32(message, IFLA_MASTER, (uint32_t)master);
    }
    if (mtu != 0) {
        netlink_put_u32(message, IFLA_MTU, mtu);
    }
    return netlink_call(net->netlink, message, NULL, error,
                        "cannot set up interface '%s' (MTU %u%s)", name, mtu,
                        up ? ", up" : ", down");
}

bool net_set_link(Net *net, const char *name, unsigned mtu, bool up, GError **error)
{
    return change_link(net, name, 0, mtu, up, error);
}

static bool read_bridge(Net *net, const char *bridge, LinkFacts *facts, GError **error)
{
    return address_check_interface(bridge, error) && read_link(net, bridge, 0, facts, error) &&
           check_kind(bridge, facts, "bridge", error);
}

bool net_attach_tap(Net *net, const char *tap, const char *bridge, unsigned mtu, GError **error)
{
    LinkFacts facts;

    return read_bridge(net, bridge, &facts, error) &&
           change_link(net, tap, facts.link.ifindex, mtu, true, error);
}

bool net_ensure_port(Net *net, const char *port, const char *bridge, unsigned vlan, GError **error)
{
    LinkFacts master;
    NetLink link;

    if (vlan > VLAN_MAX) {
        g_autofree char *value = g_strdup_printf("%u", vlan);

        return berth_error_set(error, BERTH_ERROR_INVALID, "vlan", value, "give 1 to 4094, or none",
                               "not a VLAN");
    }
    if (!read_bridge(net, bridge, &master, error) || !net_read(net, port, &link, error) ||
        (link.master != master.link.ifindex &&
         !change_link(net, port, master.link.ifindex, 0, link.up, error))) {
        return false;
    }
    if (vlan == 0) {
        return true;
    }
    if (!set_port_vlan(net, link.ifindex, port, vlan, error) ||
        (vlan != 1 && !drop_default_vlan(net, link.ifindex, port, error))) {
        g_prefix_error(error, "bridge '%s' must have vlan_filtering: ", bridge);
        return false;
    }
    return true;
}

bool net_ensure_address(Net *net, const char *name, const char *address, GError **error)
{
    g_autoptr(NetlinkMessage) message =
        netlink_message_new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    struct ifaddrmsg header = {.ifa_flags = IFA_F_NODAD};
    Address parsed;
    int ifindex = 0;

    if (!address_parse_subnet("address", address, 0, &parsed, error) ||
        !net_ifindex(net, name, &ifindex, error)) {
        return false;
    }
    header.ifa_family = (uint8_t)parsed.family;
    header.ifa_prefixlen = (uint8_t)parsed.prefix;
    header.ifa_index = (uint32_t)ifindex;
    netlink_put_header(message, &header, sizeof header);
    netlink_put(message, IFA_LOCAL, parsed.bytes, parsed.size);
    netlink_put(message, IFA_ADDRESS, parsed.bytes, parsed.size);
    if (parsed.family == AF_INET && parsed.prefix < 31) {
        uint32_t bits = 0;

        memcpy(&bits, parsed.bytes, sizeof bits);
        bits |= GUINT32_TO_BE(UINT32_MAX >> parsed.prefix);
        netlink_put_u32(message, IFA_BROADCAST, bits);
    }
    return netlink_call(net->netlink, message, NULL, error, "cannot add address %s to '%s'",
                        address, name);
}

bool net_ensure_route(Net *net, const char *subnet, const char *gateway, GError **error)
{
    g_autoptr(NetlinkMessage) message =
        netlink_message_new(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    struct rtmsg header = {
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_STATIC,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_UNICAST,
    };
    Address to = {0};
    Address by;

    if (!address_parse("gateway", gateway, 0, &by, error) ||
        (strcmp(subnet, "default") != 0 &&
         !address_parse_subnet("subnet", subnet, by.family, &to, error))) {
        return false;
    }
    header.rtm_family = (uint8_t)by.family;
    header.rtm_dst_len = (uint8_t)to.prefix;
    netlink_put_header(message, &header, sizeof header);
    if (to.prefix > 0) {
        netlink_put(message, RTA_DST, to.bytes, to.size);
    }
    netlink_put(message, RTA_GATEWAY, by.bytes, by.size);
    return netlink_call(net->netlink, message, NULL, error, "cannot add the route to %s by %s",
                        subnet, gateway);
}

bool net_delete(Net *net, const char *name, GError **error)
{
    g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_DELLINK, 0);
    g_autoptr(GError) local = NULL;
    int failed = 0;

    if (!address_check_interface(name, error)) {
        return false;
    }
    netlink_put_link(message, 0, 0, 0);
    netlink_put_string(message, IFLA_IFNAME, name);
    if (!netlink_call(net->netlink, message, &failed, &local, "cannot delete interface '%s'",
                      name) &&
        failed != ENODEV) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return true;
}

static bool doom(Net *net, const char *name, GError **error)
{
    /* Not RTM_NEWLINK: without an interface of the name it would move a whole group. */
    g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_SETLINK, 0);
    g_autoptr(GError) local = NULL;
    int failed = 0;

    if (!address_check_interface(name, error)) {
        return false;
    }
    netlink_put_link(message, 0, 0, 0);
    netlink_put_string(message, IFLA_IFNAME, name);
    netlink_put_u32(message, IFLA_GROUP, DOOMED_GROUP);
    if (!netlink_call(net->netlink, message, &failed, &local, "cannot group interface '%s'",
                      name) &&
        failed != ENODEV) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return true;
}

bool net_delete_together(Net *net, const char *const *names, size_t n_names, GError **error)
{
    g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_DELLINK, 0);
    g_autoptr(GError) local = NULL;
    int failed = 0;

    for (size_t i = 0; i < n_names; i++) {
        if (!doom(net, names[i], error)) {
            return false;
        }
    }
    netlink_put_link(message, 0, 0, 0);
    netlink_put_u32(message, IFLA_GROUP, DOOMED_GROUP);
    if (!netlink_call(net->netlink, message, &failed, &local, "cannot delete interfaces") &&
        failed != ENODEV) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return true;
}

typedef struct {
    const char *prefix;
    GPtrArray *names;
} ListRequest;

static void visit_name(struct nlmsghdr *header, gpointer data)
{
    ListRequest *request = data;
    LinkFacts facts;

    if (parse_link(header, &facts) && g_str_has_prefix(facts.name, request->prefix)) {
        g_ptr_array_add(request->names, g_strdup(facts.name));
    }
}

GPtrArray *net_list(Net *net, const char *prefix, GError **error)
{
    g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_GETLINK, NLM_F_DUMP);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    ListRequest request = {.prefix = prefix, .names = names};

    netlink_put_link(message, 0, 0, 0);
    if (!netlink_query(net->netlink, message, visit_name, &request, NULL, error,
                       "cannot list the interfaces '%s…'", prefix)) {
        return NULL;
    }
    g_ptr_array_sort(names, berth_order_texts);
    return g_steal_pointer(&names);
}

typedef struct {
    Address wanted;
    int ifindex;
} AddressSearch;

static void visit_address(struct nlmsghdr *header, gpointer data)
{
    AddressSearch *search = data;
    const struct ifaddrmsg *info = nlmsg_data(header);
    struct nlattr *address = NULL;

    if (header->nlmsg_type != RTM_NEWADDR || info->ifa_family != search->wanted.family) {
        return;
    }
    address = nlmsg_find_attr(header, sizeof *info, IFA_LOCAL);
    if (address == NULL) {
        address = nlmsg_find_attr(header, sizeof *info, IFA_ADDRESS);
    }
    if (address != NULL && (size_t)nla_len(address) == search->wanted.size &&
        memcmp(nla_data(address), search->wanted.bytes, search->wanted.size) == 0) {
        search->ifindex = (int)info->ifa_index;
    }
}

bool net_mtu_of_address(Net *net, const char *address, unsigned *ret_mtu, GError **error)
{
    g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_GETADDR, NLM_F_DUMP);
    AddressSearch search = {0};
    struct ifaddrmsg header = {0};
    LinkFacts facts;

    if (!address_parse("address", address, 0, &search.wanted, error)) {
        return false;
    }
    header.ifa_family = (uint8_t)search.wanted.family;
    netlink_put_header(message, &header, sizeof header);
    if (!netlink_query(net->netlink, message, visit_address, &search, NULL, error,
                       "cannot find the interface with address %s", address)) {
        return false;
    }
    if (search.ifindex == 0) {
        return berth_error_set(error, BERTH_ERROR_NOT_FOUND, "address", address,
                               "give an address that this host has",
                               "no interface has this address");
    }
    if (!read_link(net, NULL, search.ifindex, &facts, error)) {
        return false;
    }
    *ret_mtu = facts.link.mtu;
    return true;
}

bool net_ensure_veth(Net *net, const char *name, const char *peer, const char *peer_netns,
                     GError **error)
{
    g_autoptr(NetlinkMessage) message = link_message(name, NLM_F_CREATE | NLM_F_EXCL);
    g_autoptr(GError) local = NULL;
    struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
    struct nlattr *info, *data, *other;
    LinkFacts facts;
    int namespace = -1;
    int failed = 0;
    bool made = false;

    if (!address_check_interface(name, error) || !address_check_interface(peer, error)) {
        return false;
    }
    if (peer_netns != NULL && (namespace = open(peer_netns, O_RDONLY | O_CLOEXEC)) < 0) {
        return berth_error_set(error, BERTH_ERROR_NOT_FOUND, NULL, peer_netns, NULL,
                               "cannot open network namespace %s: %s", peer_netns,
                               g_strerror(errno));
    }
    info = netlink_nest(message, IFLA_LINKINFO);
    netlink_put_string(message, IFLA_INFO_KIND, "veth");
    data = netlink_nest(message, IFLA_INFO_DATA);
    other = netlink_nest(message, VETH_INFO_PEER);
    netlink_put_header(message, &header, sizeof header);
    netlink_put_string(message, IFLA_IFNAME, peer);
    if (namespace >= 0) {
        netlink_put_u32(message, IFLA_NET_NS_FD, (uint32_t) namespace);
    }
    netlink_nest_end(message, other);
    netlink_nest_end(message, data);
    netlink_nest_end(message, info);
    made = netlink_call(net->netlink, message, &failed, &local, "cannot make veth '%s' with '%s'",
                        name, peer);
    if (namespace >= 0) {
        close(namespace);
    }
    if (made) {
        return true;
    }
    if (failed == EEXIST && read_link(net, name, 0, &facts, NULL)) {
        return check_kind(name, &facts, "veth", error);
    }
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}
