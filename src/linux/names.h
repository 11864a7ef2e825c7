/*
 * Names of what Berth makes in the kernel: network interfaces, within their 15 characters.
 *
 * A name is derived from the id alone, so that an agent that lost everything finds its things again
 * and a left-over can be told from what belongs to others:
 *
 *     tap     bt 4k9x2c7dqrs 00     last 11 characters of the VM's ULID (55 random bits), NIC in hex
 *     ifb     bf 4k9x2c7dqrs 00     the same NIC, for shaping what the guest sends
 *     bridge  bb 7a4k9x2c7dqrs      last 13 characters of the network's ULID (65 random bits)
 *     vxlan   bx 7a4k9x2c7dqrs
 *
 * A person who holds an id recognizes the interface, and the reverse. ULIDs of one generator that
 * were made within one millisecond differ by one in exactly these characters; others differ at
 * random: among 10,000 VMs on one host the chance of any collision is 1.4e-9.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stdbool.h>

#define NAMES_SIZE 16 /* IFNAMSIZ: 15 characters and NUL */
#define NAMES_MAX_NICS 256

typedef enum {
    NAMES_TAP,
    NAMES_IFB,
    NAMES_BRIDGE,
    NAMES_VXLAN,
} NamesKind;

/* `vm_id` and `network_id` are valid ULIDs, `nic` is below NAMES_MAX_NICS (asserted). */
void names_tap(const char *vm_id, unsigned nic, char ret_name[NAMES_SIZE]);
void names_ifb(const char *vm_id, unsigned nic, char ret_name[NAMES_SIZE]);
void names_bridge(const char *network_id, char ret_name[NAMES_SIZE]);
void names_vxlan(const char *network_id, char ret_name[NAMES_SIZE]);

/* Whether `name` has exactly the shape that names of this kind have: what a sweep may remove. */
bool names_is(NamesKind kind, const char *name);

/* The prefix of a kind, for listing ("bt"). */
const char *names_prefix(NamesKind kind);

/* The ifb that stands beside a tap; `tap` must be one (asserted). */
void names_ifb_of_tap(const char *tap, char ret_name[NAMES_SIZE]);
