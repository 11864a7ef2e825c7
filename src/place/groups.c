#include "place/groups.h"

#include <stdlib.h>
#include <string.h>

#include "place/arrays.h"

#define FIRST_BUCKETS (4 * GROUP_LISTED)
#define SCANNED_BUCKETS 1024 /* of more, the emptiest domain is looked for only when asked for */

static GroupTable *table_of(Group *group, uint32_t level)
{
    return level == 0 ? &group->hosts : &group->above[level - 1];
}

/* The next domain with members at or behind a place, as group_next. */
static bool next_of(const GroupTable *table, uint32_t *place, uint32_t *ret_domain,
                    uint32_t *ret_count)
{
    if (table->n_buckets == 0) {
        if (*place >= table->n_domains) {
            return false;
        }
        *ret_domain = table->list->names[*place] - 1;
        *ret_count = table->list->counts[*place];
        ++*place;
        return true;
    }
    while (*place < table->n_buckets) {
        const GroupEntry *entry = &table->buckets[*place];
        ++*place;
        if (entry->name != 0) {
            *ret_domain = entry->name - 1;
            *ret_count = entry->count;
            return true;
        }
    }
    return false;
}

bool group_next(const Group *group, uint32_t level, uint32_t *place, uint32_t *ret_domain,
                uint32_t *ret_count)
{
    return group_is_tabled(group, level) &&
           next_of(group_table(group, level), place, ret_domain, ret_count);
}

/* Finds the emptiest domain anew. */
static void scan(const GroupTable *table, uint32_t *ret_fewest, uint32_t *ret_n)
{
    uint32_t fewest = UINT32_MAX, n = 0, domain, count;

    for (uint32_t at = 0; next_of(table, &at, &domain, &count);) {
        n = count < fewest ? 1 : n + (count == fewest);
        fewest = count < fewest ? count : fewest;
    }
    *ret_fewest = fewest;
    *ret_n = n;
}

uint32_t group_fewest(const Group *group, uint32_t level)
{
    uint32_t fewest, n;

    if (group_domains(group, level) == 0) {
        return UINT32_MAX;
    }
    const GroupTable *table = group_table(group, level);
    if (table->n_fewest > 0) {
        return table->fewest;
    }
    scan(table, &fewest, &n);
    return fewest;
}

/* A domain had `before` members and has `now`; one of them may be 0. */
static void note_change(GroupTable *table, uint32_t before, uint32_t now)
{
    table->members += now - before;
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

/* Makes a table a hash with so many buckets. `is_own`: its list is a block of its own. */
static bool rehash(GroupTable *table, uint32_t n_buckets, bool is_own)
{
    GroupTable larger = *table;
    uint32_t domain, count;

    larger.n_buckets = n_buckets;
    larger.buckets = calloc(n_buckets, sizeof *larger.buckets);
    if (larger.buckets == NULL) {
        return false;
    }
    for (uint32_t at = 0; next_of(table, &at, &domain, &count);) {
        *group_find(&larger, domain) = (GroupEntry){.name = domain + 1, .count = count};
    }
    free(table->buckets);
    if (is_own) {
        free(larger.list);
    }
    larger.list = NULL;
    *table = larger;
    return true;
}

/* Room for more in a table. */
static bool make_room(GroupTable *table, uint32_t more, bool is_own)
{
    uint32_t wanted = table->n_domains + more, n_buckets = FIRST_BUCKETS;

    if (table->n_buckets > 0 ? wanted <= table->n_buckets / 2
                             : wanted <= GROUP_LISTED && table->members + more <= GROUP_MANY) {
        return true;
    }
    while (n_buckets / 2 < wanted) { /* at most half full */
        n_buckets *= 2;
    }
    return rehash(table, n_buckets, is_own);
}

void group_seat(Group *group, GroupBody *body)
{
    group->body = body;
    group->is_seated = true;
}

static bool begin_hosts(Group *group)
{
    if (!group->is_seated) {
        group->body = aligned_alloc(GROUP_LINE, sizeof *group->body);
    }
    if (group->body == NULL) {
        return false;
    }
    memset(group->body->in_area, 0, sizeof group->body->in_area);
    group->hosts.list = &group->body->hosts;
    group->tabled |= 1;
    return true;
}

static bool begin_level(Group *group, uint32_t level)
{
    if (group->above == NULL) {
        group->above = calloc(BERTH_PLACE_MAX_LEVELS - 1, sizeof *group->above);
    }
    GroupList *list = group->above != NULL ? aligned_alloc(GROUP_LINE, sizeof *list) : NULL;
    if (list == NULL) {
        return false;
    }
    *table_of(group, level) = (GroupTable){.list = list};
    group->tabled |= (uint8_t)(1U << level);
    return true;
}

/* Takes back levels that were begun just now. */
static bool drop_levels(Group *group, uint32_t levels)
{
    for (uint32_t left = levels & group->tabled; left != 0; left &= left - 1) {
        GroupTable *table = table_of(group, (uint32_t)__builtin_ctz(left));
        free(table->list);
        free(table->buckets);
    }
    group->tabled &= (uint8_t)~levels;
    return false;
}

bool group_reserve(Group *group, uint32_t levels, uint32_t more)
{
    if (group->tabled == 0 && !begin_hosts(group)) {
        return false;
    }
    uint32_t fresh = levels & ~(uint32_t)group->tabled;
    for (uint32_t left = fresh; left != 0; left &= left - 1) {
        if (!begin_level(group, (uint32_t)__builtin_ctz(left))) {
            return drop_levels(group, fresh);
        }
    }
    for (uint32_t left = group->tabled; left != 0; left &= left - 1) {
        uint32_t level = (uint32_t)__builtin_ctz(left);
        uint32_t wanted = more + ((fresh >> level & 1) != 0 ? group_members(group) : 0);
        if (!make_room(table_of(group, level), wanted, level > 0)) {
            return drop_levels(group, fresh);
        }
    }
    return true;
}

uint32_t group_add(Group *group, uint32_t level, uint32_t domain, uint32_t count)
{
    GroupTable *table = table_of(group, level);
    uint32_t before;

    if (table->n_buckets > 0) {
        GroupEntry *entry = group_find(table, domain);
        before = entry->count;
        *entry = (GroupEntry){.name = domain + 1, .count = before + count};
    } else {
        GroupList *list = table->list;
        uint32_t at = group_position(table, domain);
        before = at < table->n_domains ? list->counts[at] : 0;
        list->tags[at] = group_tag(domain);
        list->names[at] = domain + 1;
        list->counts[at] = (uint8_t)(before + count);
    }
    table->n_domains += before == 0;
    note_change(table, before, before + count);
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

/* One less in a hash or a list, from which a domain goes that has none any more; the count before. */
static uint32_t lower_in_hash(GroupTable *table, uint32_t domain)
{
    GroupEntry *entry = group_find(table, domain);
    uint32_t before = entry->count--;

    if (before == 1) {
        erase(table, (uint32_t)(entry - table->buckets));
        table->n_domains--;
    }
    return before;
}

static uint32_t lower_in_list(GroupTable *table, uint32_t domain)
{
    GroupList *list = table->list;
    uint32_t at = group_position(table, domain), before = list->counts[at]--;

    if (before == 1) {
        uint32_t last = --table->n_domains;
        list->tags[at] = list->tags[last];
        list->counts[at] = list->counts[last];
        list->names[at] = list->names[last];
    }
    return before;
}

uint32_t group_lower(Group *group, uint32_t level, uint32_t domain)
{
    GroupTable *table = table_of(group, level);
    uint32_t before =
        table->n_buckets > 0 ? lower_in_hash(table, domain) : lower_in_list(table, domain);

    note_change(table, before, before - 1);
    return before;
}

/* Its own copy of what a table holds; false without memory, and it holds nothing. */
static bool copy_table(const GroupTable *table, GroupTable *ret_copy)
{
    *ret_copy = *table;
    if (table->list != NULL) {
        ret_copy->list = aligned_alloc(GROUP_LINE, sizeof *table->list);
        if (ret_copy->list != NULL) {
            *ret_copy->list = *table->list;
        }
    }
    return array_duplicate(&ret_copy->buckets, table->n_buckets, sizeof *table->buckets) &&
           (ret_copy->list != NULL) == (table->list != NULL);
}

bool group_copy(const Group *group, Group *copy)
{
    Group place = *copy;

    *copy = *group;
    copy->tabled = 0;
    copy->is_seated = place.is_seated;
    copy->body = place.body;
    copy->above = NULL;
    copy->hosts.buckets = NULL;
    if (group->tabled == 0) {
        return true;
    }
    if (!begin_hosts(copy)) {
        return false;
    }
    copy->above =
        group->above != NULL ? calloc(BERTH_PLACE_MAX_LEVELS - 1, sizeof *group->above) : NULL;
    copy->hosts.buckets = group->hosts.buckets;
    bool is_whole = array_duplicate(&copy->hosts.buckets, group->hosts.n_buckets,
                                    sizeof *group->hosts.buckets) &&
                    (copy->above != NULL) == (group->above != NULL);
    *copy->body = *group->body;
    copy->hosts.list = group->hosts.list != NULL ? &copy->body->hosts : NULL;
    for (uint32_t left = group->tabled & ~1U; is_whole && left != 0; left &= left - 1) {
        uint32_t level = (uint32_t)__builtin_ctz(left);
        copy->tabled |= (uint8_t)(1U << level);
        is_whole = copy_table(group_table(group, level), table_of(copy, level));
    }
    if (!is_whole) {
        group_clear(copy);
    }
    return is_whole;
}

/* What is in the places of a list, or the buckets of a hash, is what is counted. */
static bool is_sound(const GroupTable *table)
{
    uint32_t n = 0, members = 0, domain, count;

    for (uint32_t at = 0; next_of(table, &at, &domain, &count);) {
        n++;
        members += count;
        if (count == 0 ||
            (table->n_buckets == 0 && table->list->tags[at - 1] != group_tag(domain))) {
            return false;
        }
    }
    return n == table->n_domains && members == table->members;
}

static const char *check_table(const GroupTable *table)
{
    uint32_t fewest = 0, n_fewest = 0;

    if (!is_sound(table)) {
        return "a group holds and counts the domains that have members";
    }
    scan(table, &fewest, &n_fewest);
    return table->n_fewest == 0 || (table->n_fewest == n_fewest && table->fewest == fewest)
               ? NULL
               : "a group knows its emptiest domains";
}

const char *group_check(const Group *group)
{
    const char *broken = NULL;

    for (uint32_t left = group->tabled; left != 0 && broken == NULL; left &= left - 1) {
        broken = check_table(group_table(group, (uint32_t)__builtin_ctz(left)));
    }
    return broken;
}

void group_clear(Group *group)
{
    for (uint32_t left = group->tabled & ~1U; left != 0; left &= left - 1) {
        GroupTable *table = table_of(group, (uint32_t)__builtin_ctz(left));
        free(table->list);
        free(table->buckets);
    }
    free(group->hosts.buckets);
    free(group->above);
    if (!group->is_seated) {
        free(group->body);
    }
    *group = (Group){.tabled = 0};
}
