#include "place/filter.h"

#include <string.h>

#include "place/arrays.h"
#include "place/inventory.h"

static bool is_in(const BerthPlaceRequest *request, uint32_t group)
{
    for (uint32_t i = 0; i < request->n_groups; i++) {
        if (request->groups[i] == group) {
            return true;
        }
    }
    return false;
}

/* The next condition, which is to be filled in where it is: it is not copied on the common way. NULL: there are
 * too many. */
static Condition *add(Filter *filter)
{
    return filter->n_conditions < sizeof filter->conditions / sizeof filter->conditions[0]
               ? &filter->conditions[filter->n_conditions++]
               : NULL;
}

/* Whose company a rule TOGETHER asks for; NULL: nobody's yet. */
static const Group *company(const Relations *relations, const BerthPlaceRequest *request,
                            const BerthPlaceRule *rule)
{
    const Group *a = relations_group(relations, rule->a), *b = relations_group(relations, rule->b);

    if (group_members(b) > 0) {
        return is_in(request, rule->a) ? b : NULL;
    }
    return group_members(a) > 0 ? a : NULL;
}

/* How many members the emptiest domain of the highest level that has an enabled host has, by what is counted
 * in areas: domains that are none have no members. */
static uint32_t fewest_in_areas(const Relations *relations, const Group *group)
{
    uint64_t areas = relations->eligible_areas;
    uint32_t fewest = AREA_MANY;

    if ((areas & ~group_areas(group, 1)) != 0 ||
        (uint32_t)__builtin_popcountll(areas) <
            relations_eligible(relations, relations_top(relations))) {
        return 0;
    }
    for (; areas != 0; areas &= areas - 1) {
        uint32_t count = group->body->in_area[__builtin_ctzll(areas)];
        fewest = count < fewest ? count : fewest;
    }
    return fewest < AREA_MANY ? fewest : 0;
}

/* How many members a domain may have so that one more keeps the skew: the fewest of any domain with an
 * enabled host, and the skew, less one. */
static uint32_t spread_limit(const BerthPlace *place, const Group *group, uint32_t level,
                             uint32_t skew)
{
    const Relations *relations = place->relations;
    uint32_t eligible = relations_eligible(relations, level), seen = 0, least = UINT32_MAX;
    uint32_t domain, count;

    if (!group_is_tabled(group, level)) {
        least = group_members(group) > 0 ? fewest_in_areas(relations, group) : 0;
        return least + skew - 1;
    }
    if (group_domains(group, level) < eligible) {
        return skew - 1;
    }
    if (relations_used(place, level) == eligible) {
        least = group_fewest(group, level);
        return (least == UINT32_MAX ? 0 : least) + skew - 1;
    }
    for (uint32_t at = 0; group_next(group, level, &at, &domain, &count);) {
        if (relations_is_eligible(place, level, domain)) {
            seen++;
            least = count < least ? count : least;
        }
    }
    return (seen < eligible || least == UINT32_MAX ? 0 : least) + skew - 1;
}

/* Whether a rule asks something of a host now. */
static bool asks(const Relations *relations, const BerthPlaceRequest *request,
                 const BerthPlaceRule *rule)
{
    switch (rule->kind) {
    case BERTH_PLACE_TOGETHER:
        return company(relations, request, rule) != NULL;
    case BERTH_PLACE_NEAR:
        return is_in(request, rule->a) && group_members(relations_group(relations, rule->b)) > 0;
    case BERTH_PLACE_SOLE:
        return group_members(relations_group(relations, rule->b)) > 0;
    case BERTH_PLACE_APART:
    case BERTH_PLACE_ALONE:
    case BERTH_PLACE_SPREAD:
        break;
    }
    return true;
}

static void fill_in(const Filter *filter, const BerthPlaceRule *rule, Condition *condition)
{
    const Relations *relations = filter->place->relations;
    const BerthPlaceRequest *request = filter->request;
    const Group *a = relations_group(relations, rule->a);
    const Group *b = relations_uses_b(rule) ? relations_group(relations, rule->b) : a;

    condition->group = a;
    condition->other = NULL;
    switch (rule->kind) {
    case BERTH_PLACE_TOGETHER:
        condition->kind = NEEDS;
        condition->group = company(relations, request, rule);
        return;
    case BERTH_PLACE_APART:
        condition->kind = SHUNS;
        if (a != b && is_in(request, rule->a)) {
            condition->group = b;
            condition->other = is_in(request, rule->b) ? a : NULL;
        }
        return;
    case BERTH_PLACE_ALONE:
        condition->kind = ALONE;
        return;
    case BERTH_PLACE_SPREAD:
        condition->kind = EVENS_OUT;
        condition->limit = spread_limit(filter->place, a, rule->level, rule->skew);
        return;
    case BERTH_PLACE_NEAR:
        condition->kind = NEARS;
        condition->group = b;
        return;
    case BERTH_PLACE_SOLE:
        condition->kind = OUTNUMBERS;
        condition->other = b;
        return;
    }
}

/* One more condition, of a rule; NULL when there are too many. */
static Condition *add_for_rule(Filter *filter, uint32_t number, uint32_t level, uint32_t weight)
{
    Condition *condition = add(filter);

    if (condition != NULL) {
        condition->is_by_area = false;
        condition->rule = number;
        condition->level = level;
        condition->weight = weight;
        filter->has_soft |= weight > 0;
    }
    return condition;
}

/* What a rule that names one of the request's groups asks of a host. */
static bool add_rule(Filter *filter, uint32_t number, const BerthPlaceRule *rule)
{
    if (!asks(filter->place->relations, filter->request, rule)) {
        return true;
    }
    Condition *condition = add_for_rule(filter, number, rule->level, rule->weight);
    if (condition == NULL) {
        return false;
    }
    fill_in(filter, rule, condition);
    return true;
}

/* Whether a rule was met before at an earlier group of the request: it names two of them. */
static bool is_repeated(const Filter *filter, const BerthPlaceRule *rule, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++) {
        uint32_t group = filter->request->groups[i];
        if (group == rule->a || (group == rule->b && relations_names_b(rule))) {
            return true;
        }
    }
    return false;
}

/* Those who want to be alone, of groups that the request is not in. */
static bool add_loners(Filter *filter)
{
    const Relations *relations = filter->place->relations;

    for (uint32_t l = 0; relations->alone.tabled != 0 && l < relations->n_levels; l++) {
        if (relations->n_alone_at[l] > 0 && group_domains(&relations->alone, l) > 0) {
            Condition *condition = add(filter);
            if (condition == NULL) {
                return false;
            }
            *condition = (Condition){.kind = RESPECTS_HARD, .rule = BERTH_PLACE_NONE, .level = l};
        }
    }
    for (uint32_t i = 0; i < relations->alone_soft.n; i++) {
        uint32_t number = rule_numbers(&relations->alone_soft)[i];
        const BerthPlaceRule *rule = &relations->rules[number].rule;
        const Group *group = relations_group(relations, rule->a);
        if (is_in(filter->request, rule->a) || group_members(group) == 0) {
            continue;
        }
        Condition *condition = add(filter);
        if (condition == NULL) {
            return false;
        }
        *condition = (Condition){.kind = LEAVES_ALONE,
                                 .rule = number,
                                 .level = rule->level,
                                 .weight = rule->weight,
                                 .group = group};
        filter->has_soft = true;
    }
    return true;
}

void filter_fetch_groups(const BerthPlace *place, const BerthPlaceRequest *request)
{
    const Relations *relations = place->relations;
    bool is_sound = request->groups != NULL && request->n_groups <= BERTH_PLACE_MAX_GROUPS;

    for (uint32_t i = 0; relations != NULL && is_sound && i < request->n_groups; i++) {
        const GroupRecord *record = relations_record(relations, request->groups[i]);
        if (record != NULL) {
            __builtin_prefetch(&record->group);
            __builtin_prefetch(&record->rules);
            __builtin_prefetch(record->body.in_area);
            __builtin_prefetch(record->body.hosts.tags);
            __builtin_prefetch(record->body.hosts.counts);
        }
    }
}

void filter_begin_early(Filter *filter, const BerthPlace *place, const BerthPlaceRequest *request)
{
    const Relations *relations = place->relations;

    filter->place = place;
    filter->request = request;
    filter->penalty = 0;
    filter->above = UINT64_MAX;
    filter->n_conditions = 0;
    filter->has_soft = false;
    filter->names_hosts = request->allowed != NULL || request->banned_count > 0 ||
                          request->n_labels > 0 || request->devices != NULL;
    filter->shut_areas = 0;
    filter->n_shut = 0;
    filter->shut_level = 0;
    filter->is_pending = relations != NULL;
    filter->is_overfull = false;
    if (relations == NULL || request->n_groups == 0) {
        filter_settle(filter);
    }
}

void filter_fetch(const Filter *filter)
{
    const Relations *relations = filter->place->relations;
    const BerthPlaceRequest *request = filter->request;

    for (uint32_t i = 0; filter->is_pending && i < request->n_groups; i++) {
        const GroupRecord *record = relations_record(relations, request->groups[i]);
        if (record != NULL && record->group.hosts.n_domains < GROUP_LISTED) {
            __builtin_prefetch(&record->body.hosts.names[record->group.hosts.n_domains]);
        }
    }
}

/* The list of hosts is on its way already. */
static void fetch_places(const Relations *relations, const Group *group, uint32_t host)
{
    uint32_t levels = group->tabled & ((UINT32_C(1) << relations->n_levels) - 1);

    for (; levels != 0; levels &= levels - 1) {
        uint32_t level = (uint32_t)__builtin_ctz(levels);
        uint32_t domain = relations_domain(relations, level, host);
        if (domain != BERTH_PLACE_NONE) {
            group_fetch(group, level, domain);
        }
    }
}

void filter_fetch_entry(const Filter *filter, uint32_t host)
{
    const Relations *relations = filter->place->relations;
    const BerthPlaceRequest *request = filter->request;

    for (uint32_t i = 0; relations != NULL && i < request->n_groups; i++) {
        const Group *group = relations_group(relations, request->groups[i]);
        if (group->tabled > 1 || group->hosts.n_buckets > 0) {
            fetch_places(relations, group, host);
        }
    }
}

/* A rule of one group alone, which is in the request, and that asks something whoever else is there: with
 * few instructions, as this is what most requests meet. */
static bool add_own_rule(Filter *filter, uint32_t number, const RuleBrief *brief,
                         const Group *group)
{
    Condition *condition = add_for_rule(filter, number, brief->level, brief->weight);

    if (condition == NULL) {
        return false;
    }
    condition->group = group;
    condition->other = NULL;
    if (brief->kind == BERTH_PLACE_SPREAD) {
        condition->kind = EVENS_OUT;
        condition->limit = spread_limit(filter->place, group, brief->level, brief->skew);
    } else {
        condition->kind = SHUNS;
    }
    return true;
}

static bool add_rules_of(Filter *filter, uint32_t at)
{
    const Relations *relations = filter->place->relations;
    uint32_t group = filter->request->groups[at];
    const GroupRecord *record = relations_record(relations, group);
    const RuleList *list = &record->rules;

    for (uint32_t k = 0; k < list->n; k++) {
        const RuleBrief *brief = list->room == 0 ? &list->briefs[k] : NULL;
        if (brief != NULL && (brief->kind == BERTH_PLACE_SPREAD ||
                              (brief->kind == BERTH_PLACE_APART && brief->other == group))) {
            if (!add_own_rule(filter, list->few[k], brief, &record->group)) {
                return false;
            }
            continue;
        }
        BerthPlaceRule rule = relations_rule(relations, group, list, k);
        if (!is_repeated(filter, &rule, at) && !add_rule(filter, rule_numbers(list)[k], &rule)) {
            return false;
        }
    }
    return true;
}

static bool make_conditions(Filter *filter)
{
    for (uint32_t i = 0; i < filter->request->n_groups; i++) {
        if (relations_record(filter->place->relations, filter->request->groups[i]) != NULL &&
            !add_rules_of(filter, i)) {
            return false;
        }
    }
    return add_loners(filter);
}

/* Whether the counts by area say all of a condition of the highest level. */
static bool is_by_area(const Condition *condition)
{
    return condition->kind == NEEDS || condition->kind == SHUNS ||
           (condition->kind == EVENS_OUT && condition->limit < AREA_MANY);
}

/* The areas where such a condition is broken. */
static uint64_t areas_against(const Condition *condition)
{
    if (condition->kind == EVENS_OUT) {
        return group_areas(condition->group, condition->limit + 1);
    }
    uint64_t with_members = group_areas(condition->group, 1);
    if (condition->kind == NEEDS) {
        return ~with_members;
    }
    return with_members | (condition->other != NULL ? group_areas(condition->other, 1) : 0);
}

static void shut_areas(Filter *filter)
{
    uint32_t top = relations_top(filter->place->relations);
    uint64_t shut = 0;

    for (uint32_t i = 0; top > 0 && i < filter->n_conditions; i++) {
        Condition *condition = &filter->conditions[i];
        if (condition->level == top && condition->weight == 0 && is_by_area(condition)) {
            condition->is_by_area = true;
            shut |= areas_against(condition);
        }
    }
    filter->shut_areas = shut & ~area_bit(AREA_NONE);
}

bool filter_settle(Filter *filter)
{
    if (filter->is_pending) {
        filter->is_pending = false;
        filter->is_overfull = !make_conditions(filter);
        shut_areas(filter);
    }
    return !filter->is_overfull;
}

bool filter_begin(Filter *filter, const BerthPlace *place, const BerthPlaceRequest *request)
{
    filter_begin_early(filter, place, request);
    return filter_settle(filter);
}

bool filter_is_open(const Filter *filter)
{
    return !filter->is_pending && !filter->names_hosts && filter->n_conditions == 0;
}

bool filter_is_allowed(const Filter *filter, uint32_t host)
{
    const BerthPlaceRequest *request = filter->request;

    return request->allowed == NULL || (host / 64 < request->allowed_words &&
                                        (request->allowed[host / 64] >> (host % 64) & 1) != 0);
}

bool filter_is_banned(const Filter *filter, uint32_t host)
{
    const BerthPlaceRequest *request = filter->request;
    uint32_t at = array_position(request->banned, request->banned_count, host);

    return at < request->banned_count && request->banned[at] == host;
}

uint32_t filter_missing_devices(const Filter *filter, uint32_t host)
{
    return inventory_missing(filter->place, filter->request, host);
}

uint32_t filter_missing_label(const Filter *filter, uint32_t host)
{
    for (uint32_t i = 0; i < filter->request->n_labels; i++) {
        if (!relations_has_label(filter->place->relations, filter->request->labels[i], host)) {
            return filter->request->labels[i];
        }
    }
    return BERTH_PLACE_NONE;
}

/* How many hard rules ALONE have members in a domain, of groups that the request is not in. */
static uint32_t loners(const Filter *filter, uint32_t level, uint32_t domain)
{
    const Relations *relations = filter->place->relations;
    uint32_t n = group_count(&relations->alone, level, domain);

    for (uint32_t i = 0; n > 0 && i < filter->n_conditions; i++) {
        const Condition *condition = &filter->conditions[i];
        n -= condition->kind == ALONE && condition->weight == 0 && condition->level == level &&
             relations_count(relations, condition->group, level, domain) > 0;
    }
    return n;
}

/* `domain` is the one of the condition's level. */
static bool is_broken_in(const Filter *filter, const Condition *condition, uint32_t domain,
                         uint32_t host)
{
    const Relations *relations = filter->place->relations;
    uint32_t level = condition->level;

    if (domain == BERTH_PLACE_NONE) {
        return condition->kind == NEEDS || condition->kind == EVENS_OUT;
    }
    switch (condition->kind) {
    case NEEDS:
        return relations_count(relations, condition->group, level, domain) == 0;
    case SHUNS:
    case LEAVES_ALONE:
        return relations_count(relations, condition->group, level, domain) > 0 ||
               (condition->other != NULL &&
                relations_count(relations, condition->other, level, domain) > 0);
    case ALONE:
        return relations_vms(relations, level, domain) >
               relations_count(relations, condition->group, level, domain);
    case RESPECTS_HARD:
        return loners(filter, level, domain) > 0;
    case EVENS_OUT:
        return relations_count(relations, condition->group, level, domain) > condition->limit;
    case NEARS:
        return relations_distance_to_group(relations, host, condition->group) > 0;
    case OUTNUMBERS:
        return relations_count(relations, condition->other, level, domain) >
               relations_count(relations, condition->group, level, domain);
    }
    return false;
}

bool filter_is_broken(const Filter *filter, const Condition *condition, uint32_t host)
{
    uint32_t domain = relations_domain(filter->place->relations, condition->level, host);

    return is_broken_in(filter, condition, domain, host);
}

/* Whether a domain is refused, as far as its area did not tell. */
static bool is_refused(const Filter *filter, uint32_t level, uint32_t domain)
{
    bool is_top = level == relations_top(filter->place->relations);
    bool has_area = is_top && relations_area(filter->place->relations, domain) != AREA_NONE;

    for (uint32_t i = 0; i < filter->n_conditions; i++) {
        const Condition *condition = &filter->conditions[i];
        if (condition->level == level && condition->weight == 0 &&
            !(condition->is_by_area && has_area) &&
            is_broken_in(filter, condition, domain, BERTH_PLACE_NONE)) {
            return true;
        }
    }
    return false;
}

bool filter_shuts(Filter *filter, uint32_t domain)
{
    const Relations *relations = filter->place->relations;

    if (filter->shut_level == relations_top(relations) &&
        (area_bit(relations_area(relations, domain)) & filter->shut_areas) != 0) {
        return true;
    }
    if (domain >= FILTER_KNOWN) {
        return is_refused(filter, filter->shut_level, domain);
    }
    uint64_t bit = UINT64_C(1) << domain % 64, *shut = &filter->shut[domain / 64];
    if ((filter->known[domain / 64] & bit) == 0) {
        filter->known[domain / 64] |= bit;
        *shut |= is_refused(filter, filter->shut_level, domain) ? bit : 0;
    }
    return (*shut & bit) != 0;
}

static void note_shut(Filter *filter, uint32_t level)
{
    filter->n_shut++;
    if (filter->shut_level != level) {
        filter->shut_level = level;
        memset(filter->known, 0, sizeof filter->known);
        memset(filter->shut, 0, sizeof filter->shut);
    }
}

static uint64_t cost(const Filter *filter, const Condition *condition, uint32_t host)
{
    if (condition->kind == NEARS) {
        return (uint64_t)condition->weight *
               relations_distance_to_group(filter->place->relations, host, condition->group);
    }
    return filter_is_broken(filter, condition, host) ? condition->weight : 0;
}

uint64_t filter_penalty(const Filter *filter, uint32_t host)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; filter->has_soft && i < filter->n_conditions; i++) {
        if (filter->conditions[i].weight > 0) {
            sum += cost(filter, &filter->conditions[i], host);
        }
    }
    return sum;
}

/* The area of a host, or one of those where it may be if that makes no difference. */
static uint32_t area_to_ask(const Filter *filter, uint32_t host, uint64_t areas)
{
    if (filter->n_conditions == 0) {
        return AREA_NONE;
    }
    return (areas & (filter->shut_areas | area_bit(AREA_NONE))) == 0 && areas != 0
               ? (uint32_t)__builtin_ctzll(areas)
               : relations_area_of_host(filter->place->relations, host);
}

bool filter_admits_in(Filter *filter, uint32_t host, uint64_t areas)
{
    const Relations *relations = filter->place->relations;
    uint64_t penalty = 0;

    if (filter->is_pending) {
        filter_settle(filter);
    }
    if (filter->is_overfull || filter_shuts_host(filter, host)) {
        return false;
    }
    uint32_t area = area_to_ask(filter, host, areas);
    if ((filter->shut_areas & area_bit(area)) != 0) {
        note_shut(filter, relations_top(relations));
        return false;
    }
    if (filter->names_hosts &&
        (!filter_is_allowed(filter, host) || filter_is_banned(filter, host) ||
         filter_missing_label(filter, host) != BERTH_PLACE_NONE ||
         filter_missing_devices(filter, host) > 0)) {
        return false;
    }
    for (uint32_t i = 0; i < filter->n_conditions; i++) {
        const Condition *condition = &filter->conditions[i];
        if (condition->weight > 0) {
            penalty += cost(filter, condition, host);
        } else if (condition->is_by_area && area != AREA_NONE) {
            continue;
        } else if (filter_is_broken(filter, condition, host)) {
            if (condition->level > 0) {
                note_shut(filter, condition->level);
            }
            return false;
        }
    }
    if (penalty > filter->penalty) {
        filter->above = penalty < filter->above ? penalty : filter->above;
        return false;
    }
    return true;
}

/* Up to which level of distance to the condition's group a host can stand on the present step.
 * NONE: the condition keeps no host away. */
static uint32_t reach(const Filter *filter, const Condition *condition)
{
    if (condition->kind == NEEDS &&
        (condition->weight == 0 || condition->weight > filter->penalty)) {
        return condition->level;
    }
    if (condition->kind == NEARS) {
        uint64_t levels = filter->penalty / condition->weight;
        return levels < filter->place->relations->n_levels ? (uint32_t)levels : BERTH_PLACE_NONE;
    }
    return BERTH_PLACE_NONE;
}

/* How many hosts have a member of a group in their domain at a level. */
static uint64_t hosts_near(const Relations *relations, const Group *group, uint32_t level)
{
    uint64_t n = 0;

    uint32_t domain, count;

    if (level == 0) {
        return group_domains(group, 0);
    }
    for (uint32_t at = 0; group_next(group, level, &at, &domain, &count);) {
        n += relations->levels[level].domains[domain].hosts;
    }
    return n;
}

static const Condition *narrowest(const Filter *filter, uint64_t *ret_hosts)
{
    const Condition *best = NULL;

    *ret_hosts = UINT64_MAX;
    for (uint32_t i = 0; i < filter->n_conditions; i++) {
        uint32_t level = reach(filter, &filter->conditions[i]);
        if (level != BERTH_PLACE_NONE) {
            uint64_t n = hosts_near(filter->place->relations, filter->conditions[i].group, level);
            if (n < *ret_hosts) {
                *ret_hosts = n;
                best = &filter->conditions[i];
            }
        }
    }
    return best;
}

/* A host in no domain at a level is as far as one in another; only NEARS reaches such hosts, one level
 * at a time, so the domains of each level up to the reach are gone through. */
static void each_near(const Relations *relations, const Group *group, uint32_t lowest,
                      uint32_t highest, void (*callback)(uint32_t host, void *user_data),
                      void *user_data)
{
    for (uint32_t level = lowest; level <= highest; level++) {
        uint32_t domain, count;
        for (uint32_t bucket = 0; group_next(group, level, &bucket, &domain, &count);) {
            if (level == 0) {
                callback(domain, user_data);
                continue;
            }
            const Level *at = &relations->levels[level];
            for (uint32_t host = at->domains[domain].first; host != BERTH_PLACE_NONE;
                 host = at->next[host]) {
                callback(host, user_data);
            }
        }
    }
}

/* The label that the fewest hosts have of those asked for; NONE: no label is asked for. */
static uint32_t rarest_label(const Filter *filter, uint64_t *ret_hosts)
{
    const BerthPlaceRequest *request = filter->request;
    const Relations *relations = filter->place->relations;
    uint32_t rarest = BERTH_PLACE_NONE;

    *ret_hosts = UINT64_MAX;
    for (uint32_t i = 0; i < request->n_labels && relations != NULL; i++) {
        uint32_t n = labels_count(&relations->labels, request->labels[i]);
        if (n < *ret_hosts) {
            *ret_hosts = n;
            rarest = request->labels[i];
        }
    }
    return rarest;
}

static void each_labelled(const Labels *labels, uint32_t label,
                          void (*callback)(uint32_t host, void *user_data), void *user_data)
{
    for (uint32_t host = labels_next(labels, label, 0); host != BERTH_PLACE_NONE;
         host = labels_next(labels, label, host + 1)) {
        callback(host, user_data);
    }
}

bool filter_each_candidate(Filter *filter, void (*callback)(uint32_t host, void *user_data),
                           void *user_data)
{
    uint64_t hosts, labelled;

    if (filter->is_pending && filter->place->relations->n_near > 0) {
        filter_settle(filter);
    }
    if (filter->n_conditions == 0 && filter->request->n_labels == 0) {
        return false;
    }
    const Condition *condition = narrowest(filter, &hosts);
    uint32_t label = rarest_label(filter, &labelled);

    if ((hosts < labelled ? hosts : labelled) > filter->place->n_hosts / 8 + 64) {
        return false;
    }
    if (labelled <= hosts) {
        each_labelled(&filter->place->relations->labels, label, callback, user_data);
        return true;
    }
    uint32_t level = reach(filter, condition);
    each_near(filter->place->relations, condition->group, condition->kind == NEARS ? 0 : level,
              level, callback, user_data);
    return true;
}

bool filter_next(Filter *filter)
{
    uint64_t next = filter->above, hosts;

    /* Hosts that were not candidates have not been seen: the step that would let them in. */
    const Condition *condition = narrowest(filter, &hosts);
    if (condition != NULL && condition->weight > 0) {
        uint64_t step = condition->kind == NEARS
                            ? (filter->penalty / condition->weight + 1) * condition->weight
                            : condition->weight;
        next = step < next ? step : next;
    }
    filter->penalty = next;
    filter->above = UINT64_MAX;
    return next != UINT64_MAX;
}

uint32_t filter_rule(const Filter *filter, const Condition *condition, uint32_t host)
{
    const Relations *relations = filter->place->relations;

    if (condition->kind != RESPECTS_HARD) {
        return condition->rule;
    }
    uint32_t level = condition->level, domain = relations_domain(relations, level, host);
    for (uint32_t i = 0; i < relations->n_rules; i++) {
        const BerthPlaceRule *rule = &relations->rules[i].rule;
        if (relations->rules[i].present && rule->kind == BERTH_PLACE_ALONE && rule->weight == 0 &&
            rule->level == level && !is_in(filter->request, rule->a) &&
            relations_count(relations, relations_group(relations, rule->a), level, domain) > 0) {
            return i;
        }
    }
    return BERTH_PLACE_NONE;
}
