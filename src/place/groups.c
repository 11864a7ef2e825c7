#include "place/groups.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 8
#define SCANNED_BUCKETS 1024 /* of more, the emptiest domain is looked for only when asked for */

/* Finds the emptiest domain anew. */
static void scan(const GroupTable *table, uint32_t *ret_fewest, uint32_t *ret_n)
{
    uint32_t fewest = UINT32_MAX, n = 0;

    for (uint32_t i = 0; i < table->n_buckets; i++) {
        uint32_t less_one = table->buckets[i].count - 1; /* an empty bucket has the most */
        n = less_one < fewest ? 1 : n + (less_one == fewest);
        fewest = less_one < fewest ? less_one : fewest;
    }
    *ret_fewest = fewest + 1;
    *ret_n = n;
}

uint32_t group_fewest(const Group *group, uint32_t level)
{
    uint32_t fewest, n;

    if (group_domains(group, level) == 0) {
        return UINT32_MAX;
    }
    if (group->tables[level].n_fewest > 0) {
        return group->tables[level].fewest;
    }
    scan(&group->tables[level], &fewest, &n);
    return fewest;
}

/* A domain had `before` members and has `now`; one of them may be 0. */
static void note_change(GroupTable *table, uint32_t before, uint32_t now)
{
    if (table->n_domains == (now > 0)) { /* no other */
        table->fewest = now;
        table->n_fewest = now > 0;
        return;
    }
    if (table->n_fewest == 0) {
        return;
    }
    table->n_fewest -= before == table->fewest;
    if (now > 0 && now < table->fewest) {
        table->fewest = now;
        table->n_fewest = 1;
    } else if (now == table->fewest) {
        table->n_fewest++;
    } else if (table->n_fewest == 0 && table->n_buckets <= SCANNED_BUCKETS) {
        scan(table, &table->fewest, &table->n_fewest);
    }
}

static bool make_room(GroupTable *table, uint32_t more)
{
    uint32_t wanted = table->n_buckets > 0 ? table->n_buckets : FIRST_BUCKETS;

    while (wanted / 2 < table->n_domains + more) { /* at most half full */
        wanted *= 2;
    }
    if (wanted == table->n_buckets) {
        return true;
    }
    GroupTable larger = *table;
    larger.n_buckets = wanted;
    larger.buckets = calloc(wanted, sizeof *larger.buckets);
    if (larger.buckets == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < table->n_buckets; i++) {
        if (table->buckets[i].name != 0) {
            *group_find(&larger, table->buckets[i].name - 1) = table->buckets[i];
        }
    }
    free(table->buckets);
    *table = larger;
    return true;
}

bool group_reserve(Group *group, uint32_t n_levels, uint32_t more)
{
    if (n_levels > group->n_tables) {
        GroupTable *tables = realloc(group->tables, n_levels * sizeof *tables);
        if (tables == NULL) {
            return false;
        }
        memset(tables + group->n_tables, 0, (n_levels - group->n_tables) * sizeof *tables);
        group->tables = tables;
        group->n_tables = n_levels;
    }
    for (uint32_t l = 0; l < n_levels; l++) {
        if (!make_room(&group->tables[l], more)) {
            return false;
        }
    }
    return true;
}

uint32_t group_add(Group *group, uint32_t level, uint32_t domain, uint32_t count)
{
    GroupTable *table = &group->tables[level];
    GroupEntry *entry = group_find(table, domain);
    uint32_t before = entry->count;

    table->n_domains += before == 0;
    entry->name = domain + 1;
    entry->count += count;
    note_change(table, before, entry->count);
    return before;
}

uint32_t group_raise(Group *group, uint32_t level, uint32_t domain)
{
    return group_add(group, level, domain, 1);
}

/* Empties a bucket and moves up those behind it that would not be found any more. */
static void erase(GroupTable *table, uint32_t hole)
{
    uint32_t mask = table->n_buckets - 1;

    for (uint32_t at = (hole + 1) & mask; table->buckets[at].name != 0; at = (at + 1) & mask) {
        uint32_t home = group_home(table, table->buckets[at].name - 1);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->buckets[hole] = table->buckets[at];
            hole = at;
        }
    }
    table->buckets[hole] = (GroupEntry){0};
}

uint32_t group_lower(Group *group, uint32_t level, uint32_t domain)
{
    GroupTable *table = &group->tables[level];
    GroupEntry *entry = group_find(table, domain);
    uint32_t before = entry->count--;

    if (before == 1) {
        erase(table, (uint32_t)(entry - table->buckets));
        table->n_domains--;
    }
    note_change(table, before, before - 1);
    return before;
}

bool group_next(const Group *group, uint32_t level, uint32_t *bucket, uint32_t *ret_domain,
                uint32_t *ret_count)
{
    if (group_domains(group, level) == 0) {
        return false;
    }
    const GroupTable *table = &group->tables[level];
    for (; *bucket < table->n_buckets; ++*bucket) {
        const GroupEntry *entry = &table->buckets[*bucket];
        if (entry->name != 0) {
            ++*bucket;
            *ret_domain = entry->name - 1;
            *ret_count = entry->count;
            return true;
        }
    }
    return false;
}

bool group_copy(const Group *group, Group *ret_copy)
{
    *ret_copy = (Group){.members = group->members};
    if (!group_reserve(ret_copy, group->n_tables, 0)) {
        group_clear(ret_copy);
        return false;
    }
    for (uint32_t l = 0; l < group->n_tables; l++) {
        const GroupTable *table = &group->tables[l];
        GroupTable *copy = &ret_copy->tables[l];
        if (!make_room(copy, table->n_domains)) {
            group_clear(ret_copy);
            return false;
        }
        for (uint32_t i = 0; i < table->n_buckets; i++) {
            if (table->buckets[i].name != 0) {
                *group_find(copy, table->buckets[i].name - 1) = table->buckets[i];
            }
        }
        copy->n_domains = table->n_domains;
        copy->fewest = table->fewest;
        copy->n_fewest = table->n_fewest;
    }
    return true;
}

const char *group_check(const Group *group)
{
    for (uint32_t l = 0; l < group->n_tables; l++) {
        const GroupTable *table = &group->tables[l];
        uint32_t n = 0, fewest = 0, n_fewest = 0;
        for (uint32_t i = 0; i < table->n_buckets; i++) {
            n += table->buckets[i].name != 0;
            if ((table->buckets[i].name != 0) != (table->buckets[i].count > 0)) {
                return "a group holds the domains that have members";
            }
        }
        scan(table, &fewest, &n_fewest);
        if (n != table->n_domains) {
            return "a group counts its domains right";
        }
        if (table->n_fewest > 0 && (table->n_fewest != n_fewest || table->fewest != fewest)) {
            return "a group knows its emptiest domains";
        }
    }
    return NULL;
}

void group_clear(Group *group)
{
    for (uint32_t l = 0; l < group->n_tables; l++) {
        free(group->tables[l].buckets);
    }
    free(group->tables);
    *group = (Group){0};
}
