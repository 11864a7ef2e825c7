/*
 * Counts of a group's VMs in domains. For a level that is tabled, the domains that have members, and what
 * the emptiest of them has. As long as it has up to GROUP_LISTED domains and GROUP_MANY members it is a
 * list, whose tags stand in one line of memory, a byte of each domain's hash: all are compared at once,
 * so that what is not in the list is mostly known from that line. Beyond, it is a hash, eight bytes a place.
 *
 * The hosts, level 0, are tabled always; a level above them where rules ask for it, as it can be derived
 * from the hosts otherwise (relations.h). How many members are in which area (areas.h) is one line, which
 * lies before the list of hosts in one block, the body.
 *
 * A group that never had members has no body. What is asked of one VM of a group that has is a few lines of
 * memory; who has set a place for the body knows where they are without having seen the group.
 */
#pragma once

#include "place/areas.h"
#include "place/rules.h"

#define GROUP_LISTED AREA_BYTES /* tags are compared as areas are */
#define GROUP_MANY UINT8_MAX
#define GROUP_LINE 64

typedef struct {
    uint32_t name; /* of the domain, plus 1; 0: empty */
    uint32_t count;
} GroupEntry;

/* What is behind the last domain means nothing. */
typedef struct {
    uint8_t tags[GROUP_LISTED], counts[GROUP_LISTED];
    uint32_t names[GROUP_LISTED]; /* of the domains, plus 1 */
} GroupList;

typedef struct {
    GroupList *list;     /* NULL: there is none yet, or the hash serves */
    GroupEntry *buckets; /* NULL: the list serves */
    uint32_t n_buckets;  /* a power of two */
    uint32_t n_domains;  /* with members */
    uint32_t members;    /* in all of them */
    uint32_t fewest,
        n_fewest; /* members of the emptiest of these, and how many have no more; n_fewest 0: not
                                  known */
} GroupTable;

typedef struct {
    uint8_t
        in_area[AREA_BYTES]; /* members, AREA_MANY where there are as many or more; the caller's */
    GroupList hosts;
} GroupBody;

/* A line of memory. */
typedef struct {
    GroupTable hosts;
    GroupBody *body;   /* of use once the hosts are tabled */
    GroupTable *above; /* by level, less 1; NULL: only the hosts are tabled */
    uint8_t tabled;    /* levels, a bit each; 0: never had members */
    uint8_t wanted;    /* those that rules ask for; the caller's */
    bool is_parted;    /* rules ask how many are in areas; the caller's */
    bool is_seated;    /* the body is not an allocation of its own */
} Group;

_Static_assert(sizeof(Group) <= GROUP_LINE, "what is asked of any group is one line");

/* VMs in all. */
static inline uint32_t group_members(const Group *group)
{
    return group->hosts.members;
}

static inline bool group_is_tabled(const Group *group, uint32_t level)
{
    return level < 8 * sizeof group->tabled && (group->tabled >> level & 1) != 0;
}

static inline const GroupTable *group_table(const Group *group, uint32_t level)
{
    return level == 0 ? &group->hosts : &group->above[level - 1];
}

/* Of a tabled level; 0 of others. */
static inline uint32_t group_domains(const Group *group, uint32_t level)
{
    return group_is_tabled(group, level) ? group_table(group, level)->n_domains : 0;
}

/* The areas with at least so many members, 1 to 255. */
static inline uint64_t group_areas(const Group *group, uint32_t least)
{
    return group->tabled != 0 ? areas_reaching(group->body->in_area, least) : 0;
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

/* The places of a list that have the tag of a domain, a bit each. */
static inline uint64_t group_alike(const GroupTable *table, uint32_t domain)
{
    uint32_t n = table->n_domains;
    uint64_t listed = (n < GROUP_LISTED ? UINT64_C(1) << n : 0) - 1;

    return listed != 0 ? areas_equal(table->list->tags, group_tag(domain)) & listed : 0;
}

/* Where a domain is in a list; the number of domains where it is not. */
static inline uint32_t group_position(const GroupTable *table, uint32_t domain)
{
    for (uint64_t alike = group_alike(table, domain); alike != 0; alike &= alike - 1) {
        uint32_t at = (uint32_t)__builtin_ctzll(alike);
        if (table->list->names[at] == domain + 1) {
            return at;
        }
    }
    return table->n_domains;
}

/* At a tabled level; 0 at others. */
static inline uint32_t group_count(const Group *group, uint32_t level, uint32_t domain)
{
    if (group_domains(group, level) == 0) {
        return 0;
    }
    const GroupTable *table = group_table(group, level);
    if (table->n_buckets > 0) {
        return group_find(table, domain)->count;
    }
    uint32_t at = group_position(table, domain);
    return at < table->n_domains ? table->list->counts[at] : 0;
}

/* Has the place of a domain brought from memory. Always inlined: as a function of its own it has no effect that
 * gcc sees, and it drops its calls. */
static inline __attribute__((always_inline)) void group_fetch(const Group *group, uint32_t level,
                                                              uint32_t domain)
{
    if (!group_is_tabled(group, level)) {
        return;
    }
    const GroupTable *table = group_table(group, level);
    if (table->n_buckets > 0) {
        __builtin_prefetch(&table->buckets[group_home(table, domain)]);
        return;
    }
    uint64_t alike = group_alike(table, domain);
    uint32_t at = alike != 0 ? (uint32_t)__builtin_ctzll(alike) : table->n_domains;
    if (table->list != NULL) {
        __builtin_prefetch(table->list->names + at);
        __builtin_prefetch(table->list->counts);
    }
}

/* How many members the emptiest domain of a tabled level has of those with members; UINT32_MAX when there
 * is none. */
uint32_t group_fewest(const Group *group, uint32_t level);

/* Tables so many levels, a bit each and the hosts always, and makes room in all that are tabled for so many
 * more members, each of a domain of its own: as many calls of group_raise cannot fail. A level that is new
 * is without members, and has room for those that there are on hosts besides; when memory is missing, none
 * is new. */
bool group_reserve(Group *group, uint32_t levels, uint32_t more);

/* Gives a group that never had members a place for its body, which is the caller's. */
void group_seat(Group *group, GroupBody *body);

/* One more, or one less, in a domain of a tabled level; returns the count before. */
uint32_t group_raise(Group *group, uint32_t level, uint32_t domain);
uint32_t group_lower(Group *group, uint32_t level, uint32_t domain);

/* So many more at once, at least one. */
uint32_t group_add(Group *group, uint32_t level, uint32_t domain, uint32_t count);

/* The next domain with members, of a tabled level, at or behind a place, which becomes the one behind it;
 * false at the end. */
bool group_next(const Group *group, uint32_t level, uint32_t *place, uint32_t *ret_domain,
                uint32_t *ret_count);

/* The same counts once more, in a body of its own or at the place for it that the copy has been given; false
 * without memory, and the copy is then empty. */
bool group_copy(const Group *group, Group *copy);

/* NULL, or what does not hold. */
const char *group_check(const Group *group);

void group_clear(Group *group);
