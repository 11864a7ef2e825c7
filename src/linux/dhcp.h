/*
 * DHCP for the guests of one network on this host, by a dnsmasq of its own.
 *
 * Each host answers its own guests only: the configuration has static hosts alone and ignores every
 * other MAC, so a request that crosses an overlay is answered once (spoof.h keeps it from crossing
 * as well). The manager chooses all addresses; dnsmasq only hands them out: DNS off, no pool, IPv6
 * by router advertisement and DHCPv6 where the network has a prefix. Guests without DHCPv6 make
 * their address of the prefix and their MAC (EUI-64), which is the one that the manager assigns.
 *
 * Leases carry no information (every address is static), so each start begins without any, and they
 * go by MAC alone (`dhcp-ignore-clid`): a guest that changes its client id keeps its address. When
 * an address changes its owner, dnsmasq would refuse it to the new one until the old lease ends;
 * dhcp_apply then restarts it (20 ms) instead of the usual SIGHUP.
 *
 * dnsmasq detaches itself, once it holds its sockets: a failure to start is an exit status and a
 * message here, and the server outlives the agent. dhcp_apply finds it again by its pid file and
 * verifies its command line. It drops to `user`, keeping the capabilities that DHCP needs.
 *
 * Files, in `dir` (mode 0755, not writable by `user`): dnsmasq.conf, hosts, pid, leases.
 *
 * Threading: one thread owns a Dhcp; the watch runs in its thread-default main context. A start
 * blocks for some 10 ms, a stop up to a second.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    const char *mac;
    const char *ipv4; /* NULL: none */
    const char *ipv6; /* NULL: none */
    const char *name; /* NULL: none; a DNS label */
} DhcpHost;

typedef struct {
    const char *dir;
    const char *interface;  /* the bridge; it has the gateway's address before the start */
    const char *subnet;     /* "10.1.0.0/24"; NULL: no IPv4 */
    const char *gateway;    /* handed out as router; NULL: none */
    const char *subnet6;    /* "fd00:1::/64", a /64; NULL: no IPv6 */
    bool routes6;           /* the host forwards IPv6: it is announced as default router */
    const char *const *dns; /* handed out, NULL-terminated, IPv4; NULL: none */
    unsigned mtu;           /* handed out; 0: not */
    unsigned lease_s;       /* 0: an hour */
    const char *user;       /* NULL: "dnsmasq" if it exists, else "nobody" */
} DhcpConfig;

typedef struct Dhcp Dhcp;

/* Called once when the server has ended without dhcp_stop; whoever gets it calls dhcp_apply again,
 * with a pause of its choice. */
typedef void (*DhcpEnded)(Dhcp *dhcp, gpointer data);

/* Nothing is started yet. `config` is copied. BERTH_ERROR_INVALID for a malformed one. */
Dhcp *dhcp_new(const DhcpConfig *config, DhcpEnded ended, gpointer data, GError **error);

/* Forgets the server; it goes on. */
void dhcp_free(Dhcp *dhcp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Dhcp, dhcp_free)

/* Makes the running server serve exactly `hosts`: adopts, starts, reloads or restarts as needed. */
bool dhcp_apply(Dhcp *dhcp, const DhcpHost *hosts, size_t n_hosts, GError **error);

/* Ends the server, adopted or not, and removes its files. True also when none runs. */
bool dhcp_stop(Dhcp *dhcp, GError **error);

/* The server's pid; 0: none. */
pid_t dhcp_pid(const Dhcp *dhcp);

/* Ends a server of which only the directory is known (left-over sweep). */
bool dhcp_sweep(const char *dir, GError **error);

/* The two files, for tests: pure; NULL with BERTH_ERROR_INVALID. Hosts come out sorted by MAC. */
char *dhcp_config_text(const DhcpConfig *config, GError **error);
char *dhcp_hosts_text(const DhcpHost *hosts, size_t n_hosts, GError **error);
