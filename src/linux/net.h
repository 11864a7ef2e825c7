/*
 * Interfaces of a host: taps, bridges, VXLAN, forwarding entries, addresses; and, for `berth dev`,
 * namespaces and the veth pairs between them.
 *
 * Everything is said as what should be ("ensure"): called again, after a crash at any point, the
 * same call leads to the same end. What exists under the name with another nature is refused
 * (conflict), never replaced: it belongs to someone else.
 *
 * A Net acts in the network namespace in which it was opened, wherever its caller is later. Calls
 * are synchronous netlink and ioctl: tens of microseconds to make a thing, up to some 20 ms to
 * delete an interface (docs/decisions/0002-kernel-interfaces-by-netlink.md). No process is
 * started.
 *
 * Overlay: one bridge and one VXLAN device a network and host. VXLAN learns nothing: net_sync_fdb
 * makes its table exactly what the manager says, a remote MAC at its host's address and, for
 * broadcast, the all-zeros MAC once for each host that has the network. Every host answers as the
 * gateway and by DHCP for its own guests only, so these must not cross: spoof_ensure_overlay
 * (spoof.h) filters the VXLAN port. Guest MTU is the underlay's less NET_VXLAN_OVERHEAD; the
 * tunnel, the bridge and the taps carry it.
 *
 * Names are interface names of at most 15 characters (names.h). Addresses are text: "10.1.0.1/24",
 * "fd00::1/64", "192.0.2.7"; MACs "52:54:00:12:34:56". What is malformed is BERTH_ERROR_INVALID.
 *
 * Threading: a Net belongs to one thread at a time.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Outer Ethernet, IPv4, UDP and VXLAN headers; 20 more where the underlay is IPv6. */
#define NET_VXLAN_OVERHEAD_IPV4 50
#define NET_VXLAN_OVERHEAD_IPV6 70
#define NET_VXLAN_PORT 4789

typedef struct Net Net;

/* `netns` is a namespace's path ("/run/netns/berth-a"), NULL the caller's own. */
Net *net_open(const char *netns, GError **error);
void net_close(Net *net);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Net, net_close)

/* A persistent tap with IFF_VNET_HDR that `uid` may open, as QEMU's keeper does. One that QEMU
 * holds open is left as it is. */
bool net_ensure_tap(Net *net, const char *name, uid_t uid, GError **error);

/* A bridge without spanning tree and without multicast snooping (which, with no querier about,
 * would lose IPv6's neighbour discovery). `mac` NULL: any. An overlay's gateway has one MAC on all
 * hosts, so that a guest that moves keeps its neighbour entry. */
bool net_ensure_bridge(Net *net, const char *name, const char *mac, GError **error);

/* A VXLAN device. `local` is this host's underlay address. A device of the name with another VNI or
 * local address is made anew. */
bool net_ensure_vxlan(Net *net, const char *name, uint32_t vni, const char *local, GError **error);

/* Another kind of interface without options ("ifb", "dummy"). */
bool net_ensure_plain(Net *net, const char *name, const char *kind, GError **error);

/* Makes `port` a port of `bridge`. With `vlan` 1–4094 it carries that VLAN untagged and no other,
 * which needs a bridge with vlan_filtering (the host's own); 0 leaves VLANs alone. */
bool net_ensure_port(Net *net, const char *port, const char *bridge, unsigned vlan, GError **error);

/* `mtu` 0: leave. Brings the link up or down. */
bool net_set_link(Net *net, const char *name, unsigned mtu, bool up, GError **error);

/* What a VM's start needs of its tap: port of `bridge`, mtu and up, in one message. */
bool net_attach_tap(Net *net, const char *tap, const char *bridge, unsigned mtu, GError **error);

/* Adds `address` with its prefix length; no duplicate address detection (the manager assigns). */
bool net_ensure_address(Net *net, const char *name, const char *address, GError **error);

/* Adds a route to `subnet` ("0.0.0.0/0" or "default") by `gateway`. */
bool net_ensure_route(Net *net, const char *subnet, const char *gateway, GError **error);

typedef struct {
    const char *mac; /* NULL: broadcast and everything unknown goes here too */
    const char *remote;
} NetFdbEntry;

/* Makes the forwarding table of a VXLAN device exactly `entries`: adds first, then removes the
 * rest. */
bool net_sync_fdb(Net *net, const char *vxlan, const NetFdbEntry *entries, size_t n_entries,
                  GError **error);

/* Deletes an interface; true also when there is none. A tap's qdiscs go with it. */
bool net_delete(Net *net, const char *name, GError **error);

/* Deletes several at once: the kernel waits for each deletion until nobody looks at the interface
 * any more (10–20 ms, much more on a busy host), and here once for all. Those that are missing are
 * fine. */
bool net_delete_together(Net *net, const char *const *names, size_t n_names, GError **error);

/* Names that begin with `prefix`, sorted. */
GPtrArray *net_list(Net *net, const char *prefix, GError **error);

typedef struct {
    int ifindex;
    unsigned mtu;
    bool up;
    char mac[18];
    char kind[16]; /* "tun", "bridge", "vxlan", …; "" for hardware */
    int master;    /* ifindex of the bridge; 0: none */
    uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets, rx_dropped, tx_dropped;
} NetLink;

/* BERTH_ERROR_NOT_FOUND where there is none. A tap's rx is what its guest sends. */
bool net_read(Net *net, const char *name, NetLink *ret_link, GError **error);

/* The MTU of the interface that has `address` ("192.0.2.7"): the underlay's. */
bool net_mtu_of_address(Net *net, const char *address, unsigned *ret_mtu, GError **error);

/* A veth pair with both ends in `net`, or the peer in the namespace at `peer_netns` (a path).
 * Nothing is changed when `name` is a veth already. */
bool net_ensure_veth(Net *net, const char *name, const char *peer, const char *peer_netns,
                     GError **error);

/* Named namespaces, as `ip netns` has them (/run/netns/NAME), with `lo` up. Deleting one takes its
 * interfaces along once the last process has left it; true also when there is none. */
char *net_namespace_path(const char *name);
bool net_ensure_namespace(const char *name, GError **error);
bool net_delete_namespace(const char *name, GError **error);
GPtrArray *net_list_namespaces(const char *prefix, GError **error);

/* Reads "52:54:00:12:34:56"; lower or upper case. `field` is named in the error. */
bool net_parse_mac(const char *field, const char *text, uint8_t ret_mac[6], GError **error);

/* What the other modules of src/linux need of a Net. */
struct Netlink;
struct Netlink *net_netlink(Net *net);
bool net_ifindex(Net *net, const char *name, int *ret_ifindex, GError **error);
