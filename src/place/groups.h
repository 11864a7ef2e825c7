/*
 * Counts of a group's VMs in domains: for each level the domains that have members, and what the
 * emptiest of them has. Up to GROUP_LISTED domains of a level are a list in the group's one block of
 * memory, more of them a hash, eight bytes a place. Beside a list there is a line of tags, a byte of each
 * domain's hash: all are compared at once, so that what is not in the list is mostly known from that line.
 *
 * A group that never had members has no block. What is asked of one VM of a group that has is a few
 * lines of memory that do not depend on each other; group_fetch_body and group_fetch have them brought
 * before they are needed. How many members are in which area (areas.h) is one line.
 */
#pragma once

#include "place/areas.h"
#include "place/rules.h"

#define GROUP_LISTED AREA_BYTES /* tags are compared as areas are */
#define GROUP_LINE 64

typedef struct {
    uint32_t name; /* of the domain, plus 1; 0: empty */
    uint32_t count;
} GroupEntry;

typedef struct {
    GroupEntry *buckets;
    uint32_t n_buckets; /* a power of two; 0: the list serves */
    uint32_t n_domains; /* with members */
    uint32_t fewest,
        n_fewest; /* members of the emptiest of these, and how many have no more; n_fewest 0: not
                                  known */
} GroupTable;

/* Behind the tables, from a new line of memory on: for each level the tags of its list, and behind all of
 * them for each level the list. */
typedef struct {
    uint8_t
        in_area[AREA_BYTES]; /* members, AREA_MANY where there are as many or more; the caller's */
    GroupTable tables[];     /* by level */
} GroupBody;

typedef struct {
    GroupBody *body;
    uint16_t n_tables;
    uint16_t room;    /* of each list, a multiple of 8 up to GROUP_LISTED */
    uint32_t members; /* VMs in all; the caller's */
} Group;

static inline uint32_t group_domains(const Group *group, uint32_t level)
{
    return level < group->n_tables ? group->body->tables[level].n_domains : 0;
}

/* The areas with at least so many members, 1 to 255. */
static inline uint64_t group_areas(const Group *group, uint32_t least)
{
    return group->n_tables > 0 ? areas_reaching(group->body->in_area, least) : 0;
}

/* Where the lists begin in the block. */
static inline size_t group_head(uint32_t n_tables)
{
    size_t size = sizeof(GroupBody) + n_tables * sizeof(GroupTable);

    return (size + GROUP_LINE - 1) / GROUP_LINE * GROUP_LINE;
}

/* The tags of a level's list, in its order; those behind its end mean nothing. */
static inline uint8_t *group_tags(const Group *group, uint32_t level)
{
    unsigned char *begin = (unsigned char *)group->body + group_head(group->n_tables);

    return begin + (size_t)level * GROUP_LISTED;
}

static inline GroupEntry *group_list(const Group *group, uint32_t level)
{
    return (GroupEntry *)(void *)group_tags(group, group->n_tables) + (size_t)level * group->room;
}

static inline uint32_t group_hash(uint32_t domain)
{
    return (domain + 1) * UINT32_C(0x9E3779B1);
}

static inline uint8_t group_tag(uint32_t domain)
{
    return (uint8_t)(group_hash(domain) >> 24);
}

/* The bucket where a domain is looked for first. */
static inline uint32_t group_home(const GroupTable *table, uint32_t domain)
{
    return group_hash(domain) >> 12 & (table->n_buckets - 1);
}

/* The place of a domain in a hash, or the empty one where it would go. */
static inline GroupEntry *group_find(const GroupTable *table, uint32_t domain)
{
    uint32_t mask = table->n_buckets - 1, name = domain + 1, at = group_home(table, domain);

    while (table->buckets[at].name != 0 && table->buckets[at].name != name) {
        at = (at + 1) & mask;
    }
    return &table->buckets[at];
}

/* The places of a level's list that have the tag of a domain, a bit each. */
static inline uint64_t group_alike(const Group *group, uint32_t level, uint32_t domain)
{
    uint32_t n = group->body->tables[level].n_domains;
    uint64_t listed = (n < GROUP_LISTED ? UINT64_C(1) << n : 0) - 1;

    return areas_equal(group_tags(group, level), group_tag(domain)) & listed;
}

/* Where a domain is in a level's list; the number of domains where it is not. */
static inline uint32_t group_position(const Group *group, uint32_t level, uint32_t domain)
{
    uint64_t alike = group_alike(group, level, domain);

    for (; alike != 0; alike &= alike - 1) {
        uint32_t at = (uint32_t)__builtin_ctzll(alike);
        if (group_list(group, level)[at].name == domain + 1) {
            return at;
        }
    }
    return group->body->tables[level].n_domains;
}

static inline uint32_t group_count(const Group *group, uint32_t level, uint32_t domain)
{
    if (group_domains(group, level) == 0) {
        return 0;
    }
    const GroupTable *table = &group->body->tables[level];
    if (table->n_buckets > 0) {
        return group_find(table, domain)->count;
    }
    uint32_t at = group_position(group, level, domain);
    return at < table->n_domains ? group_list(group, level)[at].count : 0;
}

/* Always inlined: as functions of their own they have no effect that gcc sees, and it drops their calls. */

/* Has the beginning of a group's block brought from memory, with all tags. */
static inline __attribute__((always_inline)) void group_fetch_body(const Group *group)
{
    if (group->n_tables > 0) {
        const unsigned char *end = group_tags(group, group->n_tables);
        for (const unsigned char *at = group->body->in_area; at < end; at += GROUP_LINE) {
            __builtin_prefetch(at);
        }
    }
}

/* Has the place of a domain brought from memory. */
static inline __attribute__((always_inline)) void group_fetch(const Group *group, uint32_t level,
                                                              uint32_t domain)
{
    if (level >= group->n_tables) {
        return;
    }
    const GroupTable *table = &group->body->tables[level];
    if (table->n_buckets > 0) {
        __builtin_prefetch(&table->buckets[group_home(table, domain)]);
        return;
    }
    uint64_t alike = group_alike(group, level, domain);
    uint32_t at = alike != 0 ? (uint32_t)__builtin_ctzll(alike) : table->n_domains;
    __builtin_prefetch(group_list(group, level) + at);
}

/* How many members the emptiest domain has of those with members; UINT32_MAX when there is none. */
uint32_t group_fewest(const Group *group, uint32_t level);

/* Makes room for so many more domains at each of so many levels, so that as many calls of group_raise
 * cannot fail. */
bool group_reserve(Group *group, uint32_t n_levels, uint32_t more);

/* One more, or one less, in a domain; returns the count before. `members` is the caller's. */
uint32_t group_raise(Group *group, uint32_t level, uint32_t domain);
uint32_t group_lower(Group *group, uint32_t level, uint32_t domain);

/* So many more at once, at least one. */
uint32_t group_add(Group *group, uint32_t level, uint32_t domain, uint32_t count);

/* The next domain with members at or behind a place, which becomes the one behind it; false at the
 * end. */
bool group_next(const Group *group, uint32_t level, uint32_t *place, uint32_t *ret_domain,
                uint32_t *ret_count);

/* The same counts once more; false without memory, and the copy is then empty. */
bool group_copy(const Group *group, Group *ret_copy);

/* NULL, or what does not hold. */
const char *group_check(const Group *group);

void group_clear(Group *group);
