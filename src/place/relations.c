#include "place/relations.h"

#include <stdlib.h>
#include <string.h>

#include "place/arrays.h"
#include "place/index.h"
#include "place/journal.h"

/* A longer copy of an array, its new end filled with `fill`; the old one stays. NULL: no memory. */
static void *longer(const void *old, uint32_t n, uint32_t wanted, size_t size, int fill)
{
    unsigned char *array = malloc(wanted * size);

    if (array != NULL) {
        if (n > 0) {
            memcpy(array, old, n * size);
        }
        memset(array + n * size, fill, (wanted - n) * size);
    }
    return array;
}

static bool lengthen(uint32_t **array, uint32_t n, uint32_t wanted, int fill)
{
    uint32_t *larger = longer(*array, n, wanted, sizeof **array, fill);

    if (larger == NULL) {
        return false;
    }
    free(*array);
    *array = larger;
    return true;
}

static uint32_t width_for(uint32_t n_levels)
{
    return n_levels > 4 ? 8 : n_levels > 2 ? 4 : n_levels;
}

/* A copy of the rows for so many hosts and levels: new hosts are without VMs and in no domain. */
static uint32_t *make_rows(const Relations *relations, uint32_t slots, uint32_t n_levels)
{
    uint32_t width = width_for(n_levels), *rows = malloc((size_t)slots * width * sizeof *rows);

    for (size_t at = 0; rows != NULL && at < (size_t)slots * width; at++) {
        uint32_t host = (uint32_t)(at / width), level = (uint32_t)(at % width);
        rows[at] = host < relations->slots && level < relations->n_levels
                       ? relations_row(relations, host)[level]
                   : level == 0 ? 0
                                : BERTH_PLACE_NONE;
    }
    return rows;
}

/* Room for hosts up to a number. Arrays that were lengthened before one could not be are only too
 * long: `slots` stays what all of them have. */
static bool reserve_slots(Relations *relations, uint32_t wanted)
{
    uint32_t slots = (wanted + 63) / 64 * 64, n = relations->slots;

    if (slots <= n) {
        return true;
    }
    uint32_t *rows = make_rows(relations, slots, relations->n_levels);
    if (rows == NULL || !labels_lengthen(&relations->labels, slots)) {
        free(rows);
        return false;
    }
    free(relations->rows);
    relations->rows = rows;
    for (uint32_t l = 1; l < relations->n_levels; l++) {
        Level *level = &relations->levels[l];
        if (!lengthen(&level->next, n, slots, 0xff) ||
            !lengthen(&level->previous, n, slots, 0xff)) {
            return false;
        }
    }
    relations->slots = slots;
    return true;
}

/* Of zeros, and as lines of memory, which calloc does not care for. */
static Relations *new_relations(void)
{
    Relations *relations = aligned_alloc(_Alignof(Relations), sizeof *relations);

    return relations != NULL ? memset(relations, 0, sizeof *relations) : NULL;
}

Relations *relations_ensure(BerthPlace *place)
{
    Relations *relations = place->relations;

    if (relations != NULL) {
        return relations;
    }
    relations = new_relations();
    if (relations == NULL) {
        return NULL;
    }
    relations->n_levels = relations->width = 1;
    relations->oldest = relations->youngest = BERTH_PLACE_NONE;
    if (!reserve_slots(relations, place->slots)) {
        relations_free(relations);
        return NULL;
    }
    for (uint32_t host = 0; host < place->slots; host++) {
        relations->n_enabled += place->states[host] == FLEET_ENABLED;
    }
    place->relations = relations;
    return relations;
}

static void clear_list(RuleList *list)
{
    if (list->room > 0) {
        free(list->many);
    }
}

static GroupRecord *new_chunk(void)
{
    size_t size = RECORDS_A_CHUNK * sizeof(GroupRecord);
    GroupRecord *chunk = aligned_alloc(GROUP_LINE, size);

    if (chunk != NULL) {
        memset(chunk, 0, size);
        for (uint32_t i = 0; i < RECORDS_A_CHUNK; i++) {
            group_seat(&chunk[i].group, &chunk[i].body);
        }
    }
    return chunk;
}

static void free_chunk(GroupRecord *chunk)
{
    for (uint32_t i = 0; chunk != NULL && i < RECORDS_A_CHUNK; i++) {
        group_clear(&chunk[i].group);
        clear_list(&chunk[i].rules);
    }
    free(chunk);
}

GroupRecord *relations_ensure_record(Relations *relations, uint32_t group)
{
    uint32_t wanted = relations->n_groups > 0 ? relations->n_groups : 64;

    while (wanted <= group) {
        wanted *= 2;
    }
    if (wanted > relations->n_groups) {
        size_t old = relations->n_groups / RECORDS_A_CHUNK, n = wanted / RECORDS_A_CHUNK;
        GroupRecord **chunks = realloc(relations->chunks, n * sizeof *chunks);
        if (chunks == NULL) {
            return NULL;
        }
        memset(chunks + old, 0, (n - old) * sizeof *chunks);
        relations->chunks = chunks;
        relations->n_groups = wanted;
    }
    GroupRecord **chunk = &relations->chunks[group / RECORDS_A_CHUNK];
    if (*chunk == NULL) {
        *chunk = new_chunk();
    }
    return relations_record(relations, group);
}

void relations_free(Relations *relations)
{
    if (relations == NULL) {
        return;
    }
    for (uint32_t l = 1; l < relations->n_levels; l++) {
        free(relations->levels[l].next);
        free(relations->levels[l].previous);
        free(relations->levels[l].domains);
    }
    for (uint32_t i = 0; i < relations->n_groups / RECORDS_A_CHUNK; i++) {
        free_chunk(relations->chunks[i]);
    }
    labels_clear(&relations->labels);
    group_clear(&relations->alone);
    clear_list(&relations->alone_soft);
    free(relations->chunks);
    free(relations->rules);
    free(relations->rows);
    free(relations);
}

static bool duplicate_list(RuleList *list)
{
    return list->room == 0 || array_duplicate(&list->many, list->room, sizeof(uint32_t));
}

static bool duplicate_levels(Relations *copy)
{
    bool good = true;

    for (uint32_t l = 1; l < copy->n_levels; l++) {
        Level *level = &copy->levels[l];
        good = array_duplicate(&level->next, copy->slots, sizeof(uint32_t)) && good;
        good = array_duplicate(&level->previous, copy->slots, sizeof(uint32_t)) && good;
        good = array_duplicate(&level->domains, level->n_domains, sizeof(Domain)) && good;
    }
    return good;
}

static bool duplicate_chunk(const GroupRecord *from, GroupRecord **ret_copy)
{
    GroupRecord *copy = new_chunk();
    bool good = copy != NULL;

    for (uint32_t i = 0; i < RECORDS_A_CHUNK && copy != NULL; i++) {
        copy[i].rules = from[i].rules;
        good = duplicate_list(&copy[i].rules) && good;
        good = group_copy(&from[i].group, &copy[i].group) && good;
    }
    *ret_copy = copy;
    return good;
}

static bool duplicate_groups(const Relations *from, Relations *copy)
{
    bool good = true;

    copy->chunks = NULL;
    copy->n_groups = 0;
    if (from->n_groups == 0) {
        return true;
    }
    copy->chunks = calloc(from->n_groups / RECORDS_A_CHUNK, sizeof *copy->chunks);
    if (copy->chunks == NULL) {
        return false;
    }
    copy->n_groups = from->n_groups;
    for (uint32_t i = 0; i < copy->n_groups / RECORDS_A_CHUNK; i++) {
        good =
            (from->chunks[i] == NULL || duplicate_chunk(from->chunks[i], &copy->chunks[i])) && good;
    }
    return good;
}

BerthPlaceResult relations_copy(const BerthPlace *from, BerthPlace *to)
{
    if (from->relations == NULL) {
        return BERTH_PLACE_OK;
    }
    Relations *copy = new_relations();
    if (copy == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    *copy = *from->relations;
    bool good = duplicate_levels(copy); /* each replaces what it could not copy by nothing */
    good = duplicate_groups(from->relations, copy) && good;
    good = labels_copy(&from->relations->labels, &copy->labels) && good;
    good = array_duplicate(&copy->rows, copy->slots, copy->width * sizeof(uint32_t)) && good;
    good = array_duplicate(&copy->rules, copy->n_rules, sizeof(Rule)) && good;
    copy->alone = (Group){.tabled = 0};
    good = group_copy(&from->relations->alone, &copy->alone) && good;
    good = duplicate_list(&copy->alone_soft) && good;
    if (!good) {
        relations_free(copy);
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    to->relations = copy;
    return BERTH_PLACE_OK;
}

BerthPlaceResult relations_reserve(BerthPlace *place, uint32_t slots)
{
    return place->relations == NULL || reserve_slots(place->relations, slots)
               ? BERTH_PLACE_OK
               : BERTH_PLACE_ERROR_NO_MEMORY;
}

bool relations_is_busy(const BerthPlace *place, uint32_t host)
{
    return place->relations != NULL && relations_vms_on(place->relations, host) > 0;
}

/* An enabled host comes to a domain or goes. */
static void count_enabled_in(Relations *relations, uint32_t l, Domain *domain, bool enabled)
{
    uint64_t bit = domain->area != AREA_NONE ? area_bit(domain->area) : 0;

    if (enabled && domain->enabled++ == 0) {
        relations->levels[l].n_eligible++;
        relations->eligible_areas |= bit;
    } else if (!enabled && --domain->enabled == 0) {
        relations->levels[l].n_eligible--;
        relations->eligible_areas &= ~bit;
    }
}

static void count_enabled(Relations *relations, uint32_t host, bool enabled)
{
    relations->n_enabled += enabled ? 1u : -1u;
    for (uint32_t l = 1; l < relations->n_levels; l++) {
        Level *level = &relations->levels[l];
        uint32_t domain = relations_domain(relations, l, host);
        if (domain != BERTH_PLACE_NONE) {
            count_enabled_in(relations, l, &level->domains[domain], enabled);
        }
    }
}

void relations_host_added(BerthPlace *place, uint32_t host)
{
    if (place->relations != NULL) {
        count_enabled(place->relations, host, true);
        index_host_moved(place, host);
    }
}

void relations_host_enabled(BerthPlace *place, uint32_t host, bool enabled)
{
    if (place->relations != NULL) {
        count_enabled(place->relations, host, enabled);
    }
}

/* A domain has its first host, or has lost the last one. */
static void open_domain(Relations *relations, uint32_t l, Domain *domain)
{
    relations->levels[l].n_used++;
    if (l == relations_top(relations)) {
        domain->area = (uint32_t)__builtin_ctzll(~relations->areas | area_bit(AREA_NONE));
        relations->areas |= area_bit(domain->area) & ~area_bit(AREA_NONE);
    }
}

static void close_domain(Relations *relations, uint32_t l, Domain *domain)
{
    relations->levels[l].n_used--;
    if (domain->area != AREA_NONE) {
        relations->areas &= ~area_bit(domain->area);
    }
    domain->area = AREA_NONE;
    domain->parent = BERTH_PLACE_NONE;
}

static void unlink_host(Relations *relations, uint32_t l, uint32_t host, bool was_enabled)
{
    Level *level = &relations->levels[l];
    uint32_t domain = relations_domain(relations, l, host);

    if (domain == BERTH_PLACE_NONE) {
        return;
    }
    uint32_t next = level->next[host], previous = level->previous[host];
    if (previous != BERTH_PLACE_NONE) {
        level->next[previous] = next;
    } else {
        level->domains[domain].first = next;
    }
    if (next != BERTH_PLACE_NONE) {
        level->previous[next] = previous;
    }
    if (was_enabled) {
        count_enabled_in(relations, l, &level->domains[domain], false);
    }
    if (--level->domains[domain].hosts == 0) {
        close_domain(relations, l, &level->domains[domain]);
    }
    relations_row(relations, host)[l] = BERTH_PLACE_NONE;
}

static void link_host(Relations *relations, uint32_t l, uint32_t host, uint32_t domain,
                      uint32_t parent, bool enabled)
{
    Level *level = &relations->levels[l];
    Domain *to = &level->domains[domain];

    relations_row(relations, host)[l] = domain;
    level->previous[host] = BERTH_PLACE_NONE;
    level->next[host] = to->hosts > 0 ? to->first : BERTH_PLACE_NONE;
    if (level->next[host] != BERTH_PLACE_NONE) {
        level->previous[level->next[host]] = host;
    }
    to->first = host;
    to->parent = parent;
    if (to->hosts++ == 0) {
        open_domain(relations, l, to);
    }
    if (enabled) {
        count_enabled_in(relations, l, to, true);
    }
}

void relations_host_removed(BerthPlace *place, uint32_t host, bool was_enabled)
{
    Relations *relations = place->relations;

    if (relations == NULL) {
        return;
    }
    for (uint32_t l = 1; l < relations->n_levels; l++) {
        unlink_host(relations, l, host, was_enabled);
    }
    relations->n_enabled -= was_enabled;
    labels_host_removed(&relations->labels, host);
}

BerthPlaceResult berth_place_set_levels(BerthPlace *place, uint32_t n_levels)
{
    if (n_levels < 1 || n_levels > BERTH_PLACE_MAX_LEVELS) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (place->n_hosts > 0 || journal_is_open(place) ||
        (place->relations != NULL && place->relations->oldest != BERTH_PLACE_NONE)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    Relations *relations = relations_ensure(place);
    if (relations == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    uint32_t *rows = make_rows(relations, relations->slots, n_levels);
    if (rows == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    free(relations->rows);
    relations->rows = rows;
    relations->width = width_for(n_levels);
    index_reset(place);
    for (uint32_t l = relations->n_levels; l < n_levels; l++) {
        Level level = {.n_domains = 0};
        if (!lengthen(&level.next, 0, relations->slots, 0xff) ||
            !lengthen(&level.previous, 0, relations->slots, 0xff)) {
            free(level.next);
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
        relations->levels[l] = level;
        relations->n_levels = l + 1;
    }
    while (relations->n_levels > n_levels) {
        Level *level = &relations->levels[--relations->n_levels];
        free(level->next);
        free(level->previous);
        free(level->domains);
        *level = (Level){.n_domains = 0};
    }
    return BERTH_PLACE_OK;
}

uint32_t berth_place_n_levels(const BerthPlace *place)
{
    return place->relations != NULL ? place->relations->n_levels : 1;
}

static bool reserve_domain(Level *level, uint32_t domain)
{
    uint32_t wanted = level->n_domains > 0 ? level->n_domains : 16;

    if (domain < level->n_domains) {
        return true;
    }
    while (wanted <= domain) {
        wanted *= 2;
    }
    Domain *larger = longer(level->domains, level->n_domains, wanted, sizeof *larger, 0);
    if (larger == NULL) {
        return false;
    }
    for (uint32_t i = level->n_domains; i < wanted; i++) {
        larger[i].parent = larger[i].first = BERTH_PLACE_NONE;
        larger[i].area = AREA_NONE;
    }
    free(level->domains);
    level->domains = larger;
    level->n_domains = wanted;
    return true;
}

/* Whether the host's domains may be these: each lies in one domain of the next level. The host's own
 * present place does not count where it is alone in its domain. */
static BerthPlaceResult check_domains(const Relations *relations, uint32_t host,
                                      const uint32_t *domains)
{
    for (uint32_t l = 1; l < relations->n_levels; l++) {
        const Level *level = &relations->levels[l];
        uint32_t domain = domains[l - 1];
        if (domain == BERTH_PLACE_NONE) {
            continue;
        }
        if (domain >= BERTH_PLACE_MAX_DOMAIN) {
            return BERTH_PLACE_ERROR_ARGUMENT;
        }
        uint32_t parent = l + 1 < relations->n_levels ? domains[l] : BERTH_PLACE_NONE;
        if (domain < level->n_domains) {
            uint32_t others =
                level->domains[domain].hosts - (relations_domain(relations, l, host) == domain);
            if (others > 0 && level->domains[domain].parent != parent) {
                return BERTH_PLACE_ERROR_TREE;
            }
        }
    }
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_set_domains(BerthPlace *place, uint32_t host, const uint32_t *domains)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    Relations *relations = place->relations;
    if (relations == NULL || relations->n_levels == 1) {
        return BERTH_PLACE_OK; /* no numbers are given */
    }
    if (relations_vms_on(relations, host) > 0 || journal_is_open(place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    BerthPlaceResult result = check_domains(relations, host, domains);
    if (result != BERTH_PLACE_OK) {
        return result;
    }
    for (uint32_t l = 1; l < relations->n_levels; l++) {
        if (domains[l - 1] != BERTH_PLACE_NONE &&
            !reserve_domain(&relations->levels[l], domains[l - 1])) {
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
    }
    bool enabled = place->states[host] == FLEET_ENABLED;
    for (uint32_t l = 1; l < relations->n_levels; l++) {
        unlink_host(relations, l, host, enabled);
        if (domains[l - 1] != BERTH_PLACE_NONE) {
            uint32_t parent = l + 1 < relations->n_levels ? domains[l] : BERTH_PLACE_NONE;
            link_host(relations, l, host, domains[l - 1], parent, enabled);
        }
    }
    index_host_moved(place, host);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_distance(const BerthPlace *place, uint32_t one, uint32_t other,
                                      uint32_t *ret_distance)
{
    if (!fleet_has(place, one) || !fleet_has(place, other)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    uint32_t n_levels = berth_place_n_levels(place), l = 0;
    while (l < n_levels) {
        uint32_t domain = l == 0 ? one : relations_domain(place->relations, l, one);
        uint32_t its = l == 0 ? other : relations_domain(place->relations, l, other);
        if (domain != BERTH_PLACE_NONE && domain == its) {
            break;
        }
        l++;
    }
    *ret_distance = l;
    return BERTH_PLACE_OK;
}

uint32_t relations_distance_to_group(const Relations *relations, uint32_t host, const Group *group)
{
    uint32_t l = 0;

    while (l < relations->n_levels) {
        uint32_t domain = relations_domain(relations, l, host);
        if (domain != BERTH_PLACE_NONE && relations_count(relations, group, l, domain) > 0) {
            break;
        }
        l++;
    }
    return l;
}

uint32_t relations_derived_count(const Relations *relations, const Group *group, uint32_t level,
                                 uint32_t domain)
{
    uint32_t area =
        level == relations_top(relations) ? relations_area(relations, domain) : AREA_NONE;
    uint32_t sum = 0, host, count;

    if (area != AREA_NONE && group->body->in_area[area] < AREA_MANY) {
        return group->body->in_area[area];
    }
    for (uint32_t at = 0; group_next(group, 0, &at, &host, &count);) {
        sum += relations_domain(relations, level, host) == domain ? count : 0;
    }
    return sum;
}

/* Tables the levels that are wanted, with room for so many more members. */
static bool table_levels(const Relations *relations, Group *group, uint32_t more)
{
    uint32_t known = (UINT32_C(1) << relations->n_levels) - 1, host, count;
    uint32_t missing = group->wanted & known & ~(uint32_t)group->tabled;

    if (!group_reserve(group, missing | 1, more)) {
        return false;
    }
    for (missing &= ~1U; missing != 0; missing &= missing - 1) {
        uint32_t level = (uint32_t)__builtin_ctz(missing);
        for (uint32_t at = 0; group_next(group, 0, &at, &host, &count);) {
            uint32_t domain = relations_domain(relations, level, host);
            if (domain != BERTH_PLACE_NONE) {
                group_add(group, level, domain, count);
            }
        }
    }
    return true;
}

/* Whether the counts by area are those of all members. */
static bool tell_areas_all(const Group *group)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < AREA_BYTES; i++) {
        sum += group->body->in_area[i];
    }
    return sum == group_members(group) && group_areas(group, AREA_MANY) == 0;
}

bool relations_want(const Relations *relations, Group *group, uint32_t levels, bool parted)
{
    group->wanted |= (uint8_t)levels;
    if (parted) {
        group->is_parted = true;
        if (group_members(group) > 0 && !tell_areas_all(group)) {
            group->wanted |= (uint8_t)(1U << relations_top(relations));
        }
    }
    return group_members(group) == 0 || table_levels(relations, group, 0);
}

bool relations_make_room(const Relations *relations, Group *group, uint32_t host)
{
    if (group->is_parted) {
        uint32_t area = relations_area_of_host(relations, host);
        if (area == AREA_NONE || (group_areas(group, AREA_MANY - 1) & area_bit(area)) != 0) {
            group->wanted |= (uint8_t)(1U << relations_top(relations));
        }
    }
    return table_levels(relations, group, 1);
}

uint32_t relations_used(const BerthPlace *place, uint32_t level)
{
    return level == 0 ? place->n_hosts : place->relations->levels[level].n_used;
}

uint32_t relations_eligible(const Relations *relations, uint32_t level)
{
    return level == 0 ? relations->n_enabled : relations->levels[level].n_eligible;
}

bool relations_is_eligible(const BerthPlace *place, uint32_t level, uint32_t domain)
{
    return level == 0 ? place->states[domain] == FLEET_ENABLED
                      : place->relations->levels[level].domains[domain].enabled > 0;
}

uint32_t relations_vms(const Relations *relations, uint32_t level, uint32_t domain)
{
    return level == 0 ? relations_vms_on(relations, domain)
                      : relations->levels[level].domains[domain].vms;
}

BerthPlaceResult berth_place_set_label(BerthPlace *place, uint32_t host, uint32_t label,
                                       bool present)
{
    if (label >= BERTH_PLACE_MAX_LABEL) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (!present && !relations_has_label(place->relations, label, host)) {
        return BERTH_PLACE_OK;
    }
    if (journal_is_open(place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    Relations *relations = relations_ensure(place);
    if (relations == NULL || (present && !labels_set(&relations->labels, label, host))) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    if (!present) {
        labels_unset(&relations->labels, label, host);
    }
    return BERTH_PLACE_OK;
}

static const char *check_level(const BerthPlace *place, uint32_t l)
{
    const Relations *relations = place->relations;
    const Level *level = &relations->levels[l];
    bool has_above = l + 1 < relations->n_levels;
    uint32_t n_eligible = 0, n_used = 0;
    uint64_t areas = 0;

    for (uint32_t domain = 0; domain < level->n_domains; domain++) {
        const Domain *its = &level->domains[domain];
        uint32_t hosts = 0, enabled = 0, vms = 0;
        for (uint32_t host = its->hosts > 0 ? its->first : BERTH_PLACE_NONE;
             host != BERTH_PLACE_NONE; host = level->next[host]) {
            if (hosts++ > place->n_hosts || !fleet_has(place, host) ||
                relations_domain(relations, l, host) != domain ||
                (has_above && relations_domain(relations, l + 1, host) != its->parent)) {
                return "a domain lists its hosts, which lie in one domain of the next level";
            }
            enabled += place->states[host] == FLEET_ENABLED;
            vms += relations_vms_on(place->relations, host);
        }
        n_eligible += enabled > 0;
        n_used += hosts > 0;
        uint64_t bit = its->area != AREA_NONE ? area_bit(its->area) : 0;
        if ((bit != 0 && (has_above || hosts == 0 || (areas & bit) != 0)) ||
            (bit & relations->eligible_areas) != (enabled > 0 ? bit : 0)) {
            return "an area is one domain of the highest level";
        }
        areas |= bit;
        if (hosts != its->hosts || enabled != its->enabled || vms != its->vms) {
            return "a domain counts its hosts and VMs right";
        }
    }
    if (!has_above && areas != relations->areas) {
        return "areas in use are those of domains";
    }
    return n_eligible == level->n_eligible && n_used == level->n_used
               ? NULL
               : "domains with hosts and eligible ones are counted right";
}

/* Adds up a group's members of a level above the hosts from those of the hosts. */
static const char *check_level_of(const Relations *relations, const Group *group, uint32_t level)
{
    bool is_tabled = group_is_tabled(group, level);
    uint32_t host, count, sum = 0;
    uint64_t with_members = 0;

    for (uint32_t at = 0; group_next(group, 0, &at, &host, &count);) {
        uint32_t domain = relations_domain(relations, level, host), all = 0, other, its;
        if (domain == BERTH_PLACE_NONE) {
            continue;
        }
        sum += count;
        for (uint32_t place = 0; group_next(group, 0, &place, &other, &its);) {
            all += relations_domain(relations, level, other) == domain ? its : 0;
        }
        if (relations_count(relations, group, level, domain) != all) {
            return "a group's members on a host are counted in its domains";
        }
        uint32_t area =
            level == relations_top(relations) ? relations_area(relations, domain) : AREA_NONE;
        if (area == AREA_NONE) {
            continue;
        }
        if (group->body->in_area[area] != (all < AREA_MANY ? all : AREA_MANY)) {
            return "a group counts its members in an area right";
        }
        with_members |= area_bit(area);
    }
    if (is_tabled && group_table(group, level)->members != sum) {
        return "a group has members in a domain that it counts them in";
    }
    return level < relations_top(relations) || group_areas(group, 1) == with_members
               ? NULL
               : "a group has members in an area that it counts them in";
}

static const char *check_group(const Relations *relations, const Group *group)
{
    uint32_t known = (UINT32_C(1) << relations->n_levels) - 1;
    const char *broken = group_check(group);

    for (uint32_t l = 1; l < relations->n_levels && broken == NULL && group->tabled != 0; l++) {
        broken = check_level_of(relations, group, l);
    }
    if (broken != NULL || group_members(group) == 0) {
        return broken;
    }
    if ((group->wanted & known & ~(uint32_t)group->tabled) != 0) {
        return "a group is tabled where rules ask for it";
    }
    return group->is_parted && !group_is_tabled(group, relations_top(relations)) &&
                   !tell_areas_all(group)
               ? "areas tell where all members are"
               : NULL;
}

const char *relations_check(const BerthPlace *place)
{
    const Relations *relations = place->relations;
    uint32_t n_enabled = 0;
    const char *broken = NULL;

    if (relations == NULL) {
        return NULL;
    }
    for (uint32_t host = 0; host < place->slots; host++) {
        n_enabled += place->states[host] == FLEET_ENABLED;
    }
    if ((uintptr_t)relations % _Alignof(Relations) != 0) {
        return "what knows of groups begins with a line of memory";
    }
    if (n_enabled != relations->n_enabled) {
        return "enabled hosts are counted right";
    }
    for (uint32_t l = 1; l < relations->n_levels && broken == NULL; l++) {
        broken = check_level(place, l);
    }
    for (uint32_t i = 0; i < relations->n_groups && broken == NULL; i++) {
        broken = check_group(relations, relations_group(relations, i));
    }
    return broken;
}
