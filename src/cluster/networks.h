/*
 * Networks: addresses, ports, and what each host is to know of them. Private to src/cluster.
 *
 * The manager gives addresses; the host on which a VM runs answers its DHCP. Each change of a
 * network's ports raises its generation (the revision of the change), and the hosts that have VMs
 * in it are told the whole list: the host that must start a VM before that VM's vm.apply, the
 * others within NETWORK_DELAY_MS.
 */
#pragma once

#include "cluster/model.h"

/* How long a change of ports may gather before the hosts that only talk to them are told. */
#define NETWORK_DELAY_MS 50

/* Checks and completes a new network: subnet (parsed, or the next free one), gateway, VNI. */
bool network_complete(ClusterCore *core, Network *object, GError **error);

/* The IPv6 prefix of an overlay, which its id gives; nothing for a bridge. */
void network_choose_subnet6(Network *object);

/* A card in this network for a VM's `index`-th interface: MAC and a free address. NO_CAPACITY when
 * the subnet is full. Nothing is entered yet: network_link_vm does that, from the placement. */
Nic *network_new_nic(ClusterCore *core, ClusterNetwork *network, const char *vm, guint index,
                     GError **error);

/* Enters or takes out the ports of a placed VM; marks its networks as changed. */
void network_link_vm(ClusterCore *core, ClusterVm *vm);
void network_unlink_vm(ClusterCore *core, ClusterVm *vm);

/* It has this network, in a state that may not be the newest, or is to lose it and has not: it is told (again)
 * when it lags. */
void network_host_has(ClusterHost *host, const char *id, int64_t generation);
/* What it has of networks may be wrong: it is told within `delay_ms`. */
void network_host_lags(ClusterCore *core, ClusterHost *host, int64_t delay_ms);

/* Tells `host` now what it lacks of the networks that it has VMs in. */
void network_tell_host(ClusterCore *core, ClusterHost *host);
/* That each card has an address of its own, and no other address is in use. */
bool networks_check(const ClusterCore *core, GError **error);

/* Tells all hosts that lag, if it is time; sets core->networks_due_ms. */
void network_tell_lagging(ClusterCore *core);
