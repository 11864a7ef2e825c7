/*
 * libberth-place: where hosts stand, which VMs belong together, and the rules between them.
 *
 * The tree. Level 0 is the host itself; the levels above it (rack, room, zone, …) are the caller's, up
 * to seven. Each host has a domain at each level, a small number that the caller chooses; a domain
 * lies in one domain of the next level. The distance between two hosts is the lowest level at which
 * they share a domain: 0 for a host and itself, 1 for the same rack, and the number of levels where
 * they share none.
 *
 * Groups. A group is anything that rules speak of: an app, one VM, the VMs with a label. The engine
 * knows numbers and counts: a VM enters a host with the groups that it belongs to, and leaves it
 * with the same. Booking its resources (berth_place_take) is a separate matter. Count them from 0 and
 * use numbers again that have come free: sixteen numbers in a row have their records together, 9 KiB
 * from when the first of them is entered or ruled until the fleet is freed. Dense numbers so cost 576
 * bytes a group, and numbers that lie far apart sixteen times as much.
 *
 * Rules hold for every request that names one of their groups, whoever made the rule, so an
 * exclusion holds for those already there and those to come. A rule with a weight of 0 is hard: a
 * host that breaks it is no candidate. Any other weight makes it soft: among the hosts that fit, the one
 * with the smallest sum of the weights that it breaks is taken, and the policy's score decides only
 * among equals.
 *
 *     berth_place_set_domains(place, host, (uint32_t[]){rack, zone});
 *     berth_place_rule_add(place, 7, &(BerthPlaceRule){.struct_size = sizeof(BerthPlaceRule),
 *                          .kind = BERTH_PLACE_APART, .a = web, .b = web, .level = 1}, NULL);
 *     request.groups = (uint32_t[]){web}, request.n_groups = 1;
 *     … berth_place_find, berth_place_take …
 *     berth_place_enter(place, decision.host, (uint32_t[]){web}, 1);
 */
#pragma once

#include "place/place.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_PLACE_MAX_LEVELS 8                   /* the host's own included */
#define BERTH_PLACE_MAX_DOMAIN (UINT32_C(1) << 20) /* domain numbers are smaller */
#define BERTH_PLACE_MAX_GROUP (UINT32_C(1) << 22)  /* group numbers are smaller */
#define BERTH_PLACE_MAX_GROUPS 16                  /* of one VM */
#define BERTH_PLACE_MAX_LABEL (UINT32_C(1) << 16)  /* label numbers are smaller */
#define BERTH_PLACE_MAX_LABELS 16                  /* of one request */
#define BERTH_PLACE_MAX_RULES 64                   /* that may concern one request */

/* How many levels the fleet has, the host's own included: 1 (no tree) until this is called. Only
 * while there is neither a host nor a rule (ERROR_BUSY). */
BERTH_PLACE_API BerthPlaceResult berth_place_set_levels(BerthPlace *place, uint32_t n_levels);
BERTH_PLACE_API uint32_t berth_place_n_levels(const BerthPlace *place);

/* The domains of a host at the levels 1 and up, `n_levels - 1` numbers; BERTH_PLACE_NONE: in none.
 * ERROR_TREE when a domain already lies in another domain of the next level; ERROR_BUSY while VMs
 * are entered there. */
BERTH_PLACE_API BerthPlaceResult berth_place_set_domains(BerthPlace *place, uint32_t host,
                                                         const uint32_t *domains);

BERTH_PLACE_API BerthPlaceResult berth_place_distance(const BerthPlace *place, uint32_t one,
                                                      uint32_t other, uint32_t *ret_distance);

/* Labels of hosts: facts such as `disk=nvme`, by number of the caller's; a request names those that
 * it needs. */
BERTH_PLACE_API BerthPlaceResult berth_place_set_label(BerthPlace *place, uint32_t host,
                                                       uint32_t label, bool present);

/* A VM with its groups, each named once, comes to a host or goes. ERROR_UNDERFLOW when it was not
 * there. A host with VMs entered cannot be removed (ERROR_BUSY). */
BERTH_PLACE_API BerthPlaceResult berth_place_enter(BerthPlace *place, uint32_t host,
                                                   const uint32_t *groups, uint32_t n_groups);
BERTH_PLACE_API BerthPlaceResult berth_place_leave(BerthPlace *place, uint32_t host,
                                                   const uint32_t *groups, uint32_t n_groups);

/* How many VMs of a group are in a host's domain at a level. */
BERTH_PLACE_API uint32_t berth_place_members(const BerthPlace *place, uint32_t group, uint32_t host,
                                             uint32_t level);

typedef enum {
    /* A VM of `a` goes where, at `level`, a VM of `b` is. While there is none of `b`, the first of `a`
     * is free, the others follow it, and the first of `b` follows them. With a = b: the group stays
     * in one domain. */
    BERTH_PLACE_TOGETHER = 0,
    /* No VM of `a` shares a domain at `level` with a VM of `b`, whichever comes first. a = b: each VM
     * has a domain of its own. */
    BERTH_PLACE_APART = 1,
    /* A domain at `level` that has a VM of `a` has only VMs of `a`; `b` is not used. */
    BERTH_PLACE_ALONE = 2,
    /* The number of VMs of `a` differs by at most `skew` between any two domains at `level` that have
     * an enabled host; `b` is not used. Hosts in no domain are refused. */
    BERTH_PLACE_SPREAD = 3,
    /* As near as can be to a VM of `b`: always soft, the weight counts for each level of distance;
     * `level` is 0. */
    BERTH_PLACE_NEAR = 4,
    /* A VM of `a` comes only where, at `level`, there are no more VMs of `b` than of `a`. With every `a` a part
     * of `b`, and such a rule for each of them, a domain has VMs of one of them at most, beside any
     * that are not of `b`. VMs that are not of `a` are not spoken of. */
    BERTH_PLACE_SOLE = 5,
} BerthPlaceRuleKind;

typedef struct {
    uint32_t struct_size;
    BerthPlaceRuleKind kind;
    uint32_t a, b;
    uint32_t level;
    uint32_t skew;   /* of SPREAD, at least 1 */
    uint32_t weight; /* 0: hard */
} BerthPlaceRule;

/* Adds a rule under a number of the caller's. ERROR_CONTRADICTION when a hard rule cannot hold
 * together with a hard rule that is there (TOGETHER against APART or ALONE at the same level or a
 * higher one, through other groups as well); ERROR_CYCLE when hard TOGETHER rules would lead back to
 * where they began: *ret_other (may be NULL) is then the number of the other rule. What breaks the
 * new rule already is left as it is: rules steer placements, they move nothing. */
BERTH_PLACE_API BerthPlaceResult berth_place_rule_add(BerthPlace *place, uint32_t number,
                                                      const BerthPlaceRule *rule,
                                                      uint32_t *ret_other);
BERTH_PLACE_API BerthPlaceResult berth_place_rule_remove(BerthPlace *place, uint32_t number);

#ifdef __cplusplus
}
#endif
