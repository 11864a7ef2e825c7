#include "place/groups.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 8

static uint32_t slot_of(const Group *group, uint64_t key)
{
    uint64_t hash = key * UINT64_C(0x9E3779B97F4A7C15);

    return (uint32_t)(hash >> 32) & (group->n_buckets - 1);
}

/* The bucket of a key, or the empty one where it would go. */
static uint32_t find(const Group *group, uint64_t key)
{
    uint32_t at = slot_of(group, key);

    while (group->buckets[at].key != 0 && group->buckets[at].key != key) {
        at = (at + 1) & (group->n_buckets - 1);
    }
    return at;
}

uint32_t group_count(const Group *group, uint32_t level, uint32_t domain)
{
    return group->n_buckets > 0 ? group->buckets[find(group, group_key(level, domain))].count : 0;
}

bool group_reserve(Group *group, uint32_t more)
{
    uint32_t wanted = group->n_buckets > 0 ? group->n_buckets : FIRST_BUCKETS;

    while (wanted / 2 < group->n_entries + more) { /* at most half full */
        wanted *= 2;
    }
    if (wanted == group->n_buckets) {
        return true;
    }
    Group larger = *group;
    larger.n_buckets = wanted;
    larger.buckets = calloc(wanted, sizeof *larger.buckets);
    if (larger.buckets == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < group->n_buckets; i++) {
        if (group->buckets[i].key != 0) {
            larger.buckets[find(&larger, group->buckets[i].key)] = group->buckets[i];
        }
    }
    free(group->buckets);
    *group = larger;
    return true;
}

uint32_t group_add(Group *group, uint32_t level, uint32_t domain, uint32_t count)
{
    uint64_t key = group_key(level, domain);
    GroupEntry *entry = &group->buckets[find(group, key)];

    if (entry->key == 0) {
        entry->key = key;
        group->n_entries++;
        group->n_domains[level]++;
    }
    uint32_t before = entry->count;
    entry->count += count;
    return before;
}

uint32_t group_raise(Group *group, uint32_t level, uint32_t domain)
{
    return group_add(group, level, domain, 1);
}

/* Empties a bucket and moves up those behind it that would not be found any more. */
static void erase(Group *group, uint32_t hole)
{
    uint32_t mask = group->n_buckets - 1;

    for (uint32_t at = (hole + 1) & mask; group->buckets[at].key != 0; at = (at + 1) & mask) {
        uint32_t home = slot_of(group, group->buckets[at].key);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            group->buckets[hole] = group->buckets[at];
            hole = at;
        }
    }
    group->buckets[hole] = (GroupEntry){0};
}

uint32_t group_lower(Group *group, uint32_t level, uint32_t domain)
{
    uint32_t at = find(group, group_key(level, domain));
    uint32_t before = group->buckets[at].count--;

    if (before == 1) {
        erase(group, at);
        group->n_entries--;
        group->n_domains[level]--;
    }
    return before;
}

void group_clear(Group *group)
{
    free(group->buckets);
    *group = (Group){0};
}
