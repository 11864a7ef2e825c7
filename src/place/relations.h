/*
 * What the library knows of hosts and VMs beyond amounts: the tree of domains, labels, groups and
 * rules. A fleet without any of them has no Relations at all and pays nothing.
 */
#pragma once

#include "place/fleet.h"
#include "place/groups.h"
#include "place/labels.h"

/* A domain of a level above the hosts. */
typedef struct {
    uint32_t hosts, enabled; /* hosts in it, and those of them that are enabled */
    uint32_t parent;         /* domain of the next level, or NONE */
    uint32_t first;          /* head of the list of its hosts, or NONE */
    uint32_t vms;
    uint32_t area; /* of the highest level, as long as it has hosts; or AREA_NONE */
} Domain;

typedef struct {
    uint32_t *next, *previous; /* lists of the hosts of a domain */
    uint32_t n_domains;        /* length of `domains` */
    Domain *domains;
    uint32_t n_used, n_eligible; /* domains with a host, and with an enabled one */
} Level;

typedef struct {
    BerthPlaceRule rule;
    bool present;
    uint32_t older, younger; /* those added just before and after, or NONE */
} Rule;

#define RULES_FEW 2

/* A rule as one of its groups has it at hand. */
typedef struct {
    uint32_t other; /* the group that it names besides, or the same one */
    uint32_t weight;
    uint32_t skew : 25, level : 3, kind : 3;
    uint32_t is_b : 1; /* it is b of the rule */
} RuleBrief;

/* Which rules name a group: by number, in the order in which they were added. Two of them, which is
 * usual, need no memory elsewhere; a placement reads them from the list, which is a line of memory. */
typedef struct {
    uint32_t n, room; /* room 0: `few` is used */
    union {
        uint32_t *many;
        uint32_t few[RULES_FEW];
    };
    RuleBrief briefs[RULES_FEW]; /* of `few` */
    uint32_t walk;               /* the last walk along rules that came by, */
    uint32_t next;               /* the group that it looks at next, */
    uint32_t begin;              /* and the rule with which its way to here began */
} __attribute__((aligned(GROUP_LINE))) RuleList;

/* A group with all that is asked of one that has few members and rules, in lines of memory that follow
 * each other. */
typedef struct {
    Group group;
    RuleList rules;
    GroupBody body;
} GroupRecord;

_Static_assert(sizeof(GroupRecord) <= 576, "what rules.h says of a group's memory");

#define RECORDS_A_CHUNK 16

typedef struct Relations {
    uint32_t slots;                       /* length of what is indexed by host */
    uint32_t n_levels;                    /* at least 1 */
    Level levels[BERTH_PLACE_MAX_LEVELS]; /* [0] is not used: a host is its own domain there */
    uint32_t width;                       /* of a row: the levels, rounded up to a power of two */
    uint32_t *rows; /* for each host: how many VMs it has, and its domain at each level above */
    uint64_t areas, eligible_areas; /* in use, and with an enabled host */
    uint32_t n_enabled;             /* hosts */
    uint32_t n_groups;              /* the numbers that `chunks` has room for */
    GroupRecord **chunks;           /* records by number; NULL where none has been named */
    uint32_t n_rules;               /* length of `rules` */
    Rule *rules;
    uint32_t oldest, youngest;                   /* rules by time of addition, or NONE */
    uint32_t walk;                               /* the number of the last walk */
    Group alone;                                 /* hard rules ALONE with a member there */
    uint32_t n_alone_at[BERTH_PLACE_MAX_LEVELS]; /* hard rules ALONE, by level */
    RuleList alone_soft;                         /* the soft ones; few, so looked at one by one */
    uint32_t n_near;                             /* rules that ask for company */
    uint32_t n_parting; /* hard rules that refuse domains of the highest level */
    Labels labels;
} Relations;

static inline const uint32_t *rule_numbers(const RuleList *list)
{
    return list->room > 0 ? list->many : list->few;
}

/* NULL: neither a rule nor a VM has named the group. */
static inline GroupRecord *relations_record(const Relations *relations, uint32_t group)
{
    GroupRecord *chunk =
        group < relations->n_groups ? relations->chunks[group / RECORDS_A_CHUNK] : NULL;

    return chunk != NULL ? &chunk[group % RECORDS_A_CHUNK] : NULL;
}

/* A rule of the list of a group. */
static inline BerthPlaceRule relations_rule(const Relations *relations, uint32_t group,
                                            const RuleList *list, uint32_t at)
{
    if (list->room > 0) {
        return relations->rules[list->many[at]].rule;
    }
    const RuleBrief *brief = &list->briefs[at];
    return (BerthPlaceRule){.struct_size = sizeof(BerthPlaceRule),
                            .kind = (BerthPlaceRuleKind)brief->kind,
                            .a = brief->is_b ? brief->other : group,
                            .b = brief->is_b ? group : brief->other,
                            .level = brief->level,
                            .skew = brief->skew,
                            .weight = brief->weight};
}

static inline uint32_t *relations_row(const Relations *relations, uint32_t host)
{
    return relations->rows + (size_t)host * relations->width;
}

/* The VMs of a host, and at a level above 0 its domain. */
static inline uint32_t relations_vms_on(const Relations *relations, uint32_t host)
{
    return relations_row(relations, host)[0];
}

static inline uint32_t relations_domain(const Relations *relations, uint32_t level, uint32_t host)
{
    return level == 0 ? host : relations_row(relations, host)[level];
}

/* The highest level; 0 without a tree. */
static inline uint32_t relations_top(const Relations *relations)
{
    return relations->n_levels - 1;
}

/* The area of a domain of the highest level, or of a host; AREA_NONE: in none. */
static inline uint32_t relations_area(const Relations *relations, uint32_t domain)
{
    return domain != BERTH_PLACE_NONE
               ? relations->levels[relations_top(relations)].domains[domain].area
               : AREA_NONE;
}

static inline uint32_t relations_area_of_host(const Relations *relations, uint32_t host)
{
    uint32_t top = relations_top(relations);

    return top > 0 ? relations_area(relations, relations_row(relations, host)[top]) : AREA_NONE;
}

/* Whether `b` of a rule of this kind means something. */
static inline bool relations_uses_b(const BerthPlaceRule *rule)
{
    return rule->kind != BERTH_PLACE_ALONE && rule->kind != BERTH_PLACE_SPREAD;
}

/* Whether a rule of this kind speaks of the VMs of two groups. */
static inline bool relations_names_b(const BerthPlaceRule *rule)
{
    return rule->kind == BERTH_PLACE_TOGETHER || rule->kind == BERTH_PLACE_APART ||
           rule->kind == BERTH_PLACE_NEAR;
}

static inline const Group *relations_group(const Relations *relations, uint32_t group)
{
    static const Group none;

    const GroupRecord *record = relations_record(relations, group);

    return record != NULL ? &record->group : &none;
}

static inline bool relations_has_label(const Relations *relations, uint32_t label, uint32_t host)
{
    return relations != NULL && labels_has(&relations->labels, label, host);
}

/* Domains at a level that have a host, and those that have an enabled one. */
uint32_t relations_used(const BerthPlace *place, uint32_t level);
uint32_t relations_eligible(const Relations *relations, uint32_t level);
bool relations_is_eligible(const BerthPlace *place, uint32_t level, uint32_t domain);

/* VMs of all groups in a domain. */
uint32_t relations_vms(const Relations *relations, uint32_t level, uint32_t domain);

/* How many members a group has in a domain; told by the areas or the hosts where the level is not tabled. */
uint32_t relations_derived_count(const Relations *relations, const Group *group, uint32_t level,
                                 uint32_t domain);

static inline uint32_t relations_count(const Relations *relations, const Group *group,
                                       uint32_t level, uint32_t domain)
{
    return group_is_tabled(group, level) || group_members(group) == 0
               ? group_count(group, level, domain)
               : relations_derived_count(relations, group, level, domain);
}

/* The record of a group, new where it had none; NULL without memory. */
GroupRecord *relations_ensure_record(Relations *relations, uint32_t group);

/* Has a group tabled at levels, a bit each, or, `parted`, count at the highest level: by areas as long as
 * these tell all. False without memory. */
bool relations_want(const Relations *relations, Group *group, uint32_t levels, bool parted);

/* Makes room for one more member on a host, so that its entry cannot fail. The common way is short: only
 * the hosts are tabled, in a list that has room, and areas can tell of one more. */
bool relations_make_room(const Relations *relations, Group *group, uint32_t host);

static inline bool relations_reserve_member(const Relations *relations, Group *group, uint32_t host)
{
    uint32_t area = relations_area_of_host(relations, host);

    return (group->tabled == 1 && group->wanted <= 1 && group->hosts.n_buckets == 0 &&
            group->hosts.n_domains < GROUP_LISTED && group->hosts.members < GROUP_MANY &&
            area != AREA_NONE && group->body->in_area[area] < AREA_MANY - 1) ||
           relations_make_room(relations, group, host);
}

uint32_t relations_distance_to_group(const Relations *relations, uint32_t host, const Group *group);

/* What the fleet tells: each may be called without Relations. */
BerthPlaceResult relations_reserve(BerthPlace *place, uint32_t slots);
void relations_host_added(BerthPlace *place, uint32_t host);
bool relations_is_busy(const BerthPlace *place, uint32_t host);
void relations_host_removed(BerthPlace *place, uint32_t host, bool was_enabled);
void relations_host_enabled(BerthPlace *place, uint32_t host, bool enabled);
BerthPlaceResult relations_copy(const BerthPlace *from, BerthPlace *to);
void relations_free(Relations *relations);

/* A VM comes or goes, which was checked, has room and is not noted in the journal. */
void relations_move_vm(BerthPlace *place, uint32_t host, const uint32_t *groups, uint32_t n_groups,
                       bool comes);

/* For a fleet that is loaded: how many VMs a host has; afterwards, as long as there is no rule, for a
 * group that comes with members on so many hosts, up to a number in all, how many there are on each. All at
 * least one. */
BerthPlaceResult relations_load_vms(BerthPlace *place, uint32_t host, uint32_t count);
BerthPlaceResult relations_load_group(BerthPlace *place, uint32_t group, uint32_t n_hosts,
                                      uint64_t members);
void relations_load_members(BerthPlace *place, uint32_t host, uint32_t group, uint32_t count);

/* NULL, or the first invariant that does not hold. */
const char *relations_check(const BerthPlace *place);

/* The Relations of a fleet, made when there are none yet; NULL without memory. */
Relations *relations_ensure(BerthPlace *place);
