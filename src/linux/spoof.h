/*
 * What a guest may send: its own addresses, and no answers that only the host gives.
 *
 * One nftables table of the bridge family in the namespace of its caller, `berth`, whose prerouting
 * chain jumps by a map from the port to a chain of that port's own:
 *
 *     frame from tap → bridge prerouting: iifname → chain of the tap: every rule drops; else accept
 *
 * A tap lets pass: ARP, IPv4 and IPv6 only (no VLAN tags, no STP); source MAC its own; ARP sender
 * its own MAC and addresses (or 0.0.0.0, a probe); IPv4 source assigned (or 0.0.0.0 towards DHCP
 * servers); IPv6 source assigned, or the link-local address that EUI-64 makes of the MAC (or :: for
 * neighbour discovery; guests that make link-local addresses otherwise need `addr_gen_mode=eui64`);
 * neighbour advertisements for these only. Dropped whatever the source: answers of a DHCPv4 or
 * DHCPv6 server, router advertisements, redirects.
 *
 * The VXLAN port of an overlay drops what must stay on one host, since every host serves its own
 * guests: DHCP and DHCPv6, router solicitations and advertisements, and whatever claims or looks
 * for the gateway (ARP, neighbour discovery, its MAC as source). DHCP's known hosts alone would do
 * for DHCP (an unknown MAC gets no answer), but not for the gateway, whose address all hosts share.
 *
 * Why the bridge family: netdev's ingress hook does not see what shaping has sent through an ifb
 * (shape.h), and tc's flower and gact are missing on some kernels. Bridge works on Linux 5.3 and
 * later. A change is one nftables transaction: a port is never half guarded. Chains vanish only by
 * spoof_remove; a rule set for a tap that is gone harms nobody and is found by spoof_list. Whoever
 * flushes all rules of the host (a restart of nftables.service does) removes ours too: compare
 * spoof_list with the taps from time to time and ensure again what is missing.
 *
 * libnftables in this process: 1–2 ms where starting `nft` takes 9.
 *
 * Threading: a Spoof belongs to one thread; it acts in the namespace where it was opened.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct Spoof Spoof;

typedef struct {
    const char *mac;
    const char *const *ipv4; /* NULL-terminated, without prefix length; NULL: none, only 0.0.0.0 */
    const char *const *ipv6;
    bool any_address; /* addresses are not the manager's (a bridge to a LAN): hold only the MAC */
} SpoofRules;

typedef struct {
    const char *gateway_ipv4; /* NULL: none */
    const char *gateway_ipv6;
    const char *gateway_mac; /* NULL: none */
} SpoofOverlay;

Spoof *spoof_open(GError **error);
void spoof_close(Spoof *spoof);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Spoof, spoof_close)

/* Guards a tap; replaces what guarded it. The tap need not exist yet: guard first, then attach. */
bool spoof_ensure_tap(Spoof *spoof, const char *tap, const SpoofRules *rules, GError **error);

/* Guards the VXLAN port of an overlay. */
bool spoof_ensure_overlay(Spoof *spoof, const char *vxlan, const SpoofOverlay *overlay,
                          GError **error);

/* Removes the rules of a port; true also when there are none. */
bool spoof_remove(Spoof *spoof, const char *port, GError **error);

/* Removes the whole table: for the end of a `berth dev`. */
bool spoof_remove_all(Spoof *spoof, GError **error);

/* Ports that are guarded, sorted. */
GPtrArray *spoof_list(Spoof *spoof, GError **error);

/* The transactions, for tests: pure, NULL with BERTH_ERROR_INVALID for a malformed address or name.
 */
char *spoof_tap_script(const char *tap, const SpoofRules *rules, GError **error);
char *spoof_overlay_script(const char *vxlan, const SpoofOverlay *overlay, GError **error);
