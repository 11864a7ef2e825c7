/*
 * Counts of a group's VMs in domains: a hash of (level, domain) that holds only what is not 0.
 */
#pragma once

#include "place/rules.h"

typedef struct {
    uint64_t key; /* 0: empty */
    uint32_t count;
} GroupEntry;

typedef struct {
    uint32_t members;                           /* VMs in all */
    uint32_t n_domains[BERTH_PLACE_MAX_LEVELS]; /* domains with members, by level */
    uint32_t n_entries, n_buckets;              /* buckets: 0 or a power of two */
    GroupEntry *buckets;
} Group;

static inline uint64_t group_key(uint32_t level, uint32_t domain)
{
    return ((uint64_t)(level + 1) << 32) | domain;
}

static inline uint32_t group_key_level(uint64_t key)
{
    return (uint32_t)(key >> 32) - 1;
}

static inline uint32_t group_key_domain(uint64_t key)
{
    return (uint32_t)key;
}

uint32_t group_count(const Group *group, uint32_t level, uint32_t domain);

/* Makes room for so many more domains, so that as many calls of group_raise cannot fail. */
bool group_reserve(Group *group, uint32_t more);

/* One more, or one less, in a domain; returns the count before. `members` is the caller's. */
uint32_t group_raise(Group *group, uint32_t level, uint32_t domain);
uint32_t group_lower(Group *group, uint32_t level, uint32_t domain);

/* So many more at once, at least one. */
uint32_t group_add(Group *group, uint32_t level, uint32_t domain, uint32_t count);

void group_clear(Group *group);
