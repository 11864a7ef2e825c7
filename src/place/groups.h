/*
 * Counts of a group's VMs in domains: for each level the domains that have members, and what the
 * emptiest of them has. Up to GROUP_LISTED domains of a level are a list in the group's one block of
 * memory, more of them a hash, eight bytes a place.
 *
 * A group that never had members has no block. What is asked of one VM of a group that has is a few
 * lines of memory that do not depend on each other; group_fetch_body and group_fetch have them brought
 * before they are needed. How many members are in which area (areas.h) is one line.
 */
#pragma once

#include "place/areas.h"
#include "place/rules.h"

#define GROUP_LISTED 64
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

/* Behind the tables, from a new line of memory on: for each level the names of its list, and behind
 * all of them for each level the counts. */
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

/* The names of a list: domains plus 1, and 0 behind its end. */
static inline uint32_t *group_names(const Group *group, uint32_t level)
{
    unsigned char *begin = (unsigned char *)group->body + group_head(group->n_tables);

    return (uint32_t *)(void *)begin + level * group->room;
}

static inline uint32_t *group_counts(const Group *group, uint32_t level)
{
    return group_names(group, group->n_tables + level);
}

/* The bucket where a domain is looked for first. */
static inline uint32_t group_home(const GroupTable *table, uint32_t domain)
{
    return (domain + 1) * UINT32_C(0x9E3779B1) >> 12 & (table->n_buckets - 1);
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

/* Where a name is among the first `n` of a list, or `n` or more. Eight at a time: a list is rarely
 * found to hold what is asked for, so it is compared as a whole. */
static inline uint32_t group_position(const uint32_t *names, uint32_t n, uint32_t name)
{
    typedef uint32_t Names __attribute__((vector_size(16)));
    const Names wanted = {name, name, name, name};

    for (uint32_t at = 0; at < n; at += 8) {
        const Names *next = (const Names *)(const void *)(names + at);
        Names same = (Names)((next[0] == wanted) | (next[1] == wanted));
        uint64_t halves[2];
        __builtin_memcpy(halves, &same, sizeof halves);
        if ((halves[0] | halves[1]) != 0) {
            while (names[at] != name) {
                at++;
            }
            return at;
        }
    }
    return n;
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
    uint32_t at = group_position(group_names(group, level), table->n_domains, domain + 1);
    return at < table->n_domains ? group_counts(group, level)[at] : 0;
}

/* Has the beginning of a group's block brought from memory, with the list of the hosts. */
static inline void group_fetch_body(const Group *group)
{
    if (group->n_tables > 0) {
        const unsigned char *end = (const unsigned char *)group_names(group, 1);
        for (const unsigned char *at = group->body->in_area; at < end; at += GROUP_LINE) {
            __builtin_prefetch(at);
        }
    }
}

/* Has the place of a domain brought from memory. */
static inline void group_fetch(const Group *group, uint32_t level, uint32_t domain)
{
    if (level >= group->n_tables) {
        return;
    }
    const GroupTable *table = &group->body->tables[level];
    if (table->n_buckets > 0) {
        __builtin_prefetch(&table->buckets[group_home(table, domain)]);
        return;
    }
    const uint32_t *names = group_names(group, level);
    for (uint32_t at = 0; at < table->n_domains; at += GROUP_LINE / sizeof *names) {
        __builtin_prefetch(names + at);
    }
    __builtin_prefetch(group_counts(group, level) + table->n_domains);
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
