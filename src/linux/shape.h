/*
 * net-bw: how fast a NIC of a VM may send and receive, changed while it runs.
 *
 *     towards the guest    tap, egress:   tbf
 *     from the guest       tap, ingress:  u32 (all) → mirred redirect → ifb, egress: tbf → bridge
 *
 * tbf on both sides: one rate, no classes. An ifb costs one interface a NIC; the alternatives
 * (act_police, cls_matchall) are missing on some kernels and drop instead of queueing, which costs
 * TCP throughput.
 *
 * A burst is what 4 ms carry, between 32 KiB and 1 MiB; the queue holds 50 ms beyond it. Rates
 * count Ethernet frames, so TCP's payload is about 5 % below.
 *
 * Frames that come back from an ifb skip the tap's ingress hooks (the kernel marks them
 * classified): a netdev-family nftables filter on the tap would be bypassed by shaping. spoof.h
 * therefore filters in the bridge family.
 *
 * Threading: as Net (net.h). Rates are Mbit/s (10^6).
 */
#pragma once

#include "linux/net.h"

typedef struct {
    int64_t to_guest_mbit;   /* 0: no limit */
    int64_t from_guest_mbit; /* 0: no limit */
} ShapeRates;

/* Makes the shaping of `tap` as said, from whatever it was, without a gap for rates that stay
 * limited. `ifb` is the interface's name (names.h), created when needed and deleted when not. */
bool shape_set(Net *net, const char *tap, const char *ifb, const ShapeRates *rates, GError **error);

/* Deletes the ifb; the tap's own qdiscs go with the tap. True also when there is none. */
bool shape_remove(Net *net, const char *ifb, GError **error);

/* The rates that the kernel has now. */
bool shape_read(Net *net, const char *tap, const char *ifb, ShapeRates *ret_rates, GError **error);

/* The formula above, for tests and for docs: bytes. */
uint32_t shape_burst_bytes(int64_t mbit);
uint32_t shape_limit_bytes(int64_t mbit);
