#include "place/groups.h"

#include <stdlib.h>
#include <string.h>

#include "place/arrays.h"

#define FIRST_ROOM 8
#define FIRST_BUCKETS (4 * GROUP_LISTED)
#define SCANNED_BUCKETS 1024 /* of more, the emptiest domain is looked for only when asked for */

/* The places that a level's domains may have: those of its list, all taken, or the buckets of its hash. */
static const GroupEntry *entries_of(const Group *group, uint32_t level, uint32_t *ret_n)
{
    const GroupTable *table = &group->body->tables[level];

    *ret_n = table->n_buckets > 0 ? table->n_buckets : table->n_domains;
    return table->n_buckets > 0 ? table->buckets : group_list(group, level);
}

/* Finds the emptiest domain anew. */
static void scan(const Group *group, uint32_t level, uint32_t *ret_fewest, uint32_t *ret_n)
{
    uint32_t end;
    const GroupEntry *entries = entries_of(group, level, &end);
    uint32_t fewest = UINT32_MAX, n = 0;

    for (uint32_t i = 0; i < end; i++) {
        uint32_t less_one = entries[i].count - 1; /* an empty bucket has the most */
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
    if (group->body->tables[level].n_fewest > 0) {
        return group->body->tables[level].fewest;
    }
    scan(group, level, &fewest, &n);
    return fewest;
}

/* A domain had `before` members and has `now`; one of them may be 0. */
static void note_change(Group *group, uint32_t level, uint32_t before, uint32_t now)
{
    GroupTable *table = &group->body->tables[level];

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
        scan(group, level, &table->fewest, &table->n_fewest);
    }
}

/* The size of the block, whole lines. */
static size_t block_size(uint32_t n_tables, uint32_t room)
{
    size_t size = group_head(n_tables) + n_tables * (GROUP_LISTED + room * sizeof(GroupEntry));

    return (size + GROUP_LINE - 1) / GROUP_LINE * GROUP_LINE;
}

/* Gives the block more tables and longer lists. */
static bool extend(Group *group, uint32_t n_tables, uint32_t room)
{
    Group larger = {.body = aligned_alloc(GROUP_LINE, block_size(n_tables, room)),
                    .n_tables = (uint16_t)n_tables,
                    .room = (uint16_t)room,
                    .members = group->members};
    size_t listed = group->room * sizeof(GroupEntry);

    if (larger.body == NULL) {
        return false;
    }
    memset(larger.body, 0, block_size(n_tables, room));
    if (group->n_tables > 0) {
        memcpy(larger.body, group->body, sizeof(GroupBody) + group->n_tables * sizeof(GroupTable));
    }
    for (uint32_t l = 0; l < group->n_tables; l++) {
        memcpy(group_tags(&larger, l), group_tags(group, l), GROUP_LISTED);
        memcpy(group_list(&larger, l), group_list(group, l), listed);
    }
    free(group->body);
    *group = larger;
    return true;
}

/* Makes a level a hash with so many buckets. */
static bool rehash(Group *group, uint32_t level, uint32_t n_buckets)
{
    GroupTable *table = &group->body->tables[level], larger = *table;
    uint32_t domain, count;

    larger.n_buckets = n_buckets;
    larger.buckets = calloc(n_buckets, sizeof *larger.buckets);
    if (larger.buckets == NULL) {
        return false;
    }
    for (uint32_t at = 0; group_next(group, level, &at, &domain, &count);) {
        *group_find(&larger, domain) = (GroupEntry){.name = domain + 1, .count = count};
    }
    free(table->buckets);
    *table = larger;
    return true;
}

static bool make_room(Group *group, uint32_t level, uint32_t more)
{
    const GroupTable *table = &group->body->tables[level];
    uint32_t wanted = table->n_domains + more, room = FIRST_ROOM, n_buckets = FIRST_BUCKETS;

    if (wanted <= (table->n_buckets > 0 ? table->n_buckets / 2 : group->room)) {
        return true;
    }
    if (table->n_buckets == 0 && wanted <= GROUP_LISTED) {
        while (room < wanted) {
            room *= 2;
        }
        return extend(group, group->n_tables, room);
    }
    while (n_buckets / 2 < wanted) { /* at most half full */
        n_buckets *= 2;
    }
    return rehash(group, level, n_buckets);
}

bool group_reserve(Group *group, uint32_t n_levels, uint32_t more)
{
    if (n_levels > group->n_tables &&
        !extend(group, n_levels, group->room > 0 ? group->room : FIRST_ROOM)) {
        return false;
    }
    for (uint32_t l = 0; l < n_levels; l++) {
        if (!make_room(group, l, more)) {
            return false;
        }
    }
    return true;
}

/* The count of a domain, which comes to the end of a list where it has none yet. */
static uint32_t *count_of(Group *group, uint32_t level, uint32_t domain)
{
    const GroupTable *table = &group->body->tables[level];

    if (table->n_buckets > 0) {
        GroupEntry *entry = group_find(table, domain);
        entry->name = domain + 1;
        return &entry->count;
    }
    uint32_t at = group_position(group, level, domain);
    GroupEntry *entry = &group_list(group, level)[at];
    if (at == table->n_domains) {
        entry->name = domain + 1;
        group_tags(group, level)[at] = group_tag(domain);
    }
    return &entry->count;
}

uint32_t group_add(Group *group, uint32_t level, uint32_t domain, uint32_t count)
{
    uint32_t *counted = count_of(group, level, domain), before = *counted;

    group->body->tables[level].n_domains += before == 0;
    *counted += count;
    note_change(group, level, before, before + count);
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

/* Takes a domain whose count has come to nothing out of its list or hash. */
static void remove_domain(Group *group, uint32_t level, uint32_t domain)
{
    GroupTable *table = &group->body->tables[level];

    if (table->n_buckets > 0) {
        erase(table, (uint32_t)(group_find(table, domain) - table->buckets));
        table->n_domains--;
        return;
    }
    GroupEntry *list = group_list(group, level);
    uint8_t *tags = group_tags(group, level);
    uint32_t at = group_position(group, level, domain), last = --table->n_domains;
    list[at] = list[last];
    tags[at] = tags[last];
    list[last] = (GroupEntry){0};
}

uint32_t group_lower(Group *group, uint32_t level, uint32_t domain)
{
    uint32_t *counted = count_of(group, level, domain), before = (*counted)--;

    if (before == 1) {
        remove_domain(group, level, domain);
    }
    note_change(group, level, before, before - 1);
    return before;
}

bool group_next(const Group *group, uint32_t level, uint32_t *place, uint32_t *ret_domain,
                uint32_t *ret_count)
{
    if (group_domains(group, level) == 0) {
        return false;
    }
    uint32_t n;
    const GroupEntry *entries = entries_of(group, level, &n);
    for (; *place < n; ++*place) {
        const GroupEntry *entry = &entries[*place];
        if (entry->name != 0) {
            ++*place;
            *ret_domain = entry->name - 1;
            *ret_count = entry->count;
            return true;
        }
    }
    return false;
}

bool group_copy(const Group *group, Group *ret_copy)
{
    size_t size = block_size(group->n_tables, group->room);
    bool is_whole = true;

    *ret_copy = (Group){.members = group->members};
    if (group->n_tables == 0) {
        return true;
    }
    GroupBody *body = aligned_alloc(GROUP_LINE, size);
    if (body == NULL) {
        return false;
    }
    memcpy(body, group->body, size);
    *ret_copy = *group;
    ret_copy->body = body;
    for (uint32_t l = 0; l < group->n_tables; l++) {
        GroupTable *table = &body->tables[l];
        is_whole =
            array_duplicate(&table->buckets, table->n_buckets, sizeof *table->buckets) && is_whole;
    }
    if (!is_whole) {
        group_clear(ret_copy);
    }
    return is_whole;
}

/* What is in the places of a list, or the buckets of a hash, is what is counted. */
static bool is_sound(const Group *group, uint32_t level)
{
    const GroupTable *table = &group->body->tables[level];
    bool is_list = table->n_buckets == 0;
    const GroupEntry *entries = is_list ? group_list(group, level) : table->buckets;
    uint32_t n = 0;

    for (uint32_t i = 0; i < (is_list ? group->room : table->n_buckets); i++) {
        n += entries[i].name != 0;
        if ((entries[i].name != 0) != (entries[i].count > 0) ||
            (is_list && (entries[i].name != 0) != (i < table->n_domains)) ||
            (is_list && entries[i].name != 0 &&
             group_tags(group, level)[i] != group_tag(entries[i].name - 1))) {
            return false;
        }
    }
    return n == table->n_domains;
}

const char *group_check(const Group *group)
{
    for (uint32_t l = 0; l < group->n_tables; l++) {
        const GroupTable *table = &group->body->tables[l];
        uint32_t fewest = 0, n_fewest = 0;
        if (!is_sound(group, l)) {
            return "a group holds and counts the domains that have members";
        }
        scan(group, l, &fewest, &n_fewest);
        if (table->n_fewest > 0 && (table->n_fewest != n_fewest || table->fewest != fewest)) {
            return "a group knows its emptiest domains";
        }
    }
    return NULL;
}

void group_clear(Group *group)
{
    for (uint32_t l = 0; l < group->n_tables; l++) {
        free(group->body->tables[l].buckets);
    }
    free(group->body);
    *group = (Group){0};
}
