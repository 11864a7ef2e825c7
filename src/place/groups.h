/*
 * Counts of a group's VMs in domains: for each level a hash of domains that holds only those with
 * members, eight bytes a place, and what the emptiest of them has.
 *
 * A group without members has no tables. What is asked of one VM of a group that has are a few lines
 * of memory that do not depend on each other; group_fetch has them brought before they are needed.
 */
#pragma once

#include "place/rules.h"

typedef struct {
    uint32_t name; /* of the domain, plus 1; 0: empty */
    uint32_t count;
} GroupEntry;

typedef struct {
    GroupEntry *buckets;
    uint32_t n_buckets; /* 0 or a power of two */
    uint32_t n_domains; /* with members */
    uint32_t fewest,
        n_fewest; /* members of the emptiest of these, and how many have no more; n_fewest 0: not
                                  known */
} GroupTable;

typedef struct {
    GroupTable *tables; /* by level */
    uint32_t n_tables;
    uint32_t members; /* VMs in all; the caller's */
} Group;

static inline uint32_t group_domains(const Group *group, uint32_t level)
{
    return level < group->n_tables ? group->tables[level].n_domains : 0;
}

/* The bucket where a domain is looked for first. */
static inline uint32_t group_home(const GroupTable *table, uint32_t domain)
{
    return (domain + 1) * UINT32_C(0x9E3779B1) >> 12 & (table->n_buckets - 1);
}

/* The place of a domain, or the empty one where it would go; the table has buckets. */
static inline GroupEntry *group_find(const GroupTable *table, uint32_t domain)
{
    uint32_t mask = table->n_buckets - 1, name = domain + 1, at = group_home(table, domain);

    while (table->buckets[at].name != 0 && table->buckets[at].name != name) {
        at = (at + 1) & mask;
    }
    return &table->buckets[at];
}

static inline uint32_t group_count(const Group *group, uint32_t level, uint32_t domain)
{
    return group_domains(group, level) > 0 ? group_find(&group->tables[level], domain)->count : 0;
}

/* Has the place of a domain brought from memory. */
static inline void group_fetch(const Group *group, uint32_t level, uint32_t domain)
{
    if (level < group->n_tables && group->tables[level].n_buckets > 0) {
        const GroupTable *table = &group->tables[level];
        __builtin_prefetch(&table->buckets[group_home(table, domain)]);
    }
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

/* The next domain with members at or behind a bucket, which becomes the one behind it; false at the
 * end. */
bool group_next(const Group *group, uint32_t level, uint32_t *bucket, uint32_t *ret_domain,
                uint32_t *ret_count);

/* The same counts once more; false without memory, and the copy is then empty. */
bool group_copy(const Group *group, Group *ret_copy);

/* NULL, or what does not hold. */
const char *group_check(const Group *group);

void group_clear(Group *group);
