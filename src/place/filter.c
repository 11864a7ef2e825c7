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

static bool add(Filter *filter, Condition condition)
{
    if (filter->n_conditions == sizeof filter->conditions / sizeof filter->conditions[0]) {
        return false;
    }
    filter->conditions[filter->n_conditions++] = condition;
    return true;
}

/* Whose company a rule TOGETHER asks for; NULL: nobody's yet. */
static const Group *company(const Relations *relations, const BerthPlaceRequest *request,
                            const BerthPlaceRule *rule)
{
    const Group *a = relations_group(relations, rule->a), *b = relations_group(relations, rule->b);

    if (b->members > 0) {
        return is_in(request, rule->a) ? b : NULL;
    }
    return a->members > 0 ? a : NULL;
}

/* How many members the emptiest domain of the highest level that has an enabled host has, when all of them
 * are areas; UINT32_MAX: not known. */
static uint32_t fewest_in_areas(const Relations *relations, const Group *group)
{
    uint32_t n_areas = (uint32_t)__builtin_popcountll(relations->eligible_areas);
    uint32_t fewest = AREA_MANY;

    if (n_areas < relations_eligible(relations, relations_top(relations)) || group->n_tables == 0) {
        return UINT32_MAX;
    }
    for (uint64_t areas = relations->eligible_areas; areas != 0; areas &= areas - 1) {
        uint32_t count = group->body->in_area[__builtin_ctzll(areas)];
        fewest = count < fewest ? count : fewest;
    }
    return fewest < AREA_MANY ? fewest : UINT32_MAX;
}

/* How many members a domain may have so that one more keeps the skew: the fewest of any domain with an
 * enabled host, and the skew, less one. */
static uint32_t spread_limit(const BerthPlace *place, const Group *group,
                             const BerthPlaceRule *rule)
{
    const Relations *relations = place->relations;
    uint32_t eligible = relations_eligible(relations, rule->level), seen = 0, least = UINT32_MAX;
    uint32_t domain, count;

    if (group_domains(group, rule->level) < eligible) {
        return rule->skew - 1;
    }
    if (rule->level > 0 && rule->level == relations_top(relations)) {
        least = fewest_in_areas(relations, group);
        if (least != UINT32_MAX) {
            return least + rule->skew - 1;
        }
    }
    if (relations_used(place, rule->level) == eligible) {
        least = group_fewest(group, rule->level);
        return (least == UINT32_MAX ? 0 : least) + rule->skew - 1;
    }
    for (uint32_t at = 0; group_next(group, rule->level, &at, &domain, &count);) {
        if (relations_is_eligible(place, rule->level, domain)) {
            seen++;
            least = count < least ? count : least;
        }
    }
    return (seen < eligible || least == UINT32_MAX ? 0 : least) + rule->skew - 1;
}

/* What a rule that names one of the request's groups asks of a host. */
static bool add_rule(Filter *filter, uint32_t number)
{
    const Relations *relations = filter->place->relations;
    const BerthPlaceRequest *request = filter->request;
    const BerthPlaceRule *rule = &relations->rules[number].rule;
    const Group *a = relations_group(relations, rule->a), *b = relations_group(relations, rule->b);
    Condition condition = {.rule = number, .level = rule->level, .weight = rule->weight};

    switch (rule->kind) {
    case BERTH_PLACE_TOGETHER:
        condition.kind = NEEDS;
        condition.group = company(relations, request, rule);
        return condition.group == NULL || add(filter, condition);
    case BERTH_PLACE_APART:
        condition.kind = SHUNS;
        condition.group = is_in(request, rule->a) ? b : a;
        condition.other = a != b && is_in(request, rule->a) && is_in(request, rule->b) ? a : NULL;
        return add(filter, condition);
    case BERTH_PLACE_ALONE:
        condition.kind = ALONE;
        condition.group = a;
        return add(filter, condition);
    case BERTH_PLACE_SPREAD:
        condition.kind = EVENS_OUT;
        condition.group = a;
        condition.limit = spread_limit(filter->place, a, rule);
        return add(filter, condition);
    case BERTH_PLACE_NEAR:
        condition.kind = NEARS;
        condition.group = b;
        return !is_in(request, rule->a) || b->members == 0 || add(filter, condition);
    case BERTH_PLACE_SOLE:
        condition.kind = OUTNUMBERS;
        condition.group = a;
        condition.other = b;
        return b->members == 0 || add(filter, condition);
    }
    return true;
}

/* Whether a rule was met before at an earlier group of the request: it names two of them. */
static bool is_repeated(const Filter *filter, uint32_t number, uint32_t at)
{
    const BerthPlaceRule *rule = &filter->place->relations->rules[number].rule;

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

    for (uint32_t l = 0; l < relations->n_levels; l++) {
        if (relations->n_alone_at[l] > 0 && group_domains(&relations->alone, l) > 0 &&
            !add(filter,
                 (Condition){.kind = RESPECTS_HARD, .rule = BERTH_PLACE_NONE, .level = l})) {
            return false;
        }
    }
    for (uint32_t i = 0; i < relations->alone_soft.n; i++) {
        uint32_t number = rule_numbers(&relations->alone_soft)[i];
        const BerthPlaceRule *rule = &relations->rules[number].rule;
        const Group *group = relations_group(relations, rule->a);
        Condition condition = {.kind = LEAVES_ALONE,
                               .rule = number,
                               .level = rule->level,
                               .weight = rule->weight,
                               .group = group};
        if (!is_in(filter->request, rule->a) && group->members > 0 && !add(filter, condition)) {
            return false;
        }
    }
    return true;
}

void filter_fetch_groups(const BerthPlace *place, const BerthPlaceRequest *request)
{
    const Relations *relations = place->relations;
    bool is_sound = request->groups != NULL && request->n_groups <= BERTH_PLACE_MAX_GROUPS;

    for (uint32_t i = 0; relations != NULL && is_sound && i < request->n_groups; i++) {
        if (request->groups[i] < relations->n_groups) {
            __builtin_prefetch(&relations->rules_of[request->groups[i]]);
            __builtin_prefetch(&relations->groups[request->groups[i]]);
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
        if (request->groups[i] < relations->n_groups) {
            const RuleList *list = &relations->rules_of[request->groups[i]];
            group_fetch_body(&relations->groups[request->groups[i]]);
            __builtin_prefetch(&relations->rules[list->room > 0 ? 0 : list->few[0]]);
            __builtin_prefetch(&relations->rules[list->room > 0 ? 0 : list->few[1]]);
        }
    }
}

void filter_fetch_entry(const Filter *filter, uint32_t host)
{
    const Relations *relations = filter->place->relations;
    const BerthPlaceRequest *request = filter->request;

    for (uint32_t l = 0; relations != NULL && l < relations->n_levels; l++) {
        uint32_t domain = relations_domain(relations, l, host);
        if (domain == BERTH_PLACE_NONE) {
            continue;
        }
        if (l > 0) {
            __builtin_prefetch(&relations->levels[l].domains[domain]);
        }
        for (uint32_t i = 0; i < request->n_groups; i++) {
            group_fetch(relations_group(relations, request->groups[i]), l, domain);
        }
    }
}

static bool make_conditions(Filter *filter)
{
    const Relations *relations = filter->place->relations;
    const BerthPlaceRequest *request = filter->request;

    for (uint32_t i = 0; i < request->n_groups; i++) {
        if (request->groups[i] >= relations->n_groups) {
            continue;
        }
        const RuleList *list = &relations->rules_of[request->groups[i]];
        const uint32_t *numbers = rule_numbers(list);
        for (uint32_t k = 0; k < list->n; k++) {
            if (!is_repeated(filter, numbers[k], i) && !add_rule(filter, numbers[k])) {
                return false;
            }
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
    const BerthPlaceRequest *request = filter->request;

    return !filter->is_pending && request->allowed == NULL && request->banned_count == 0 &&
           request->n_labels == 0 && request->devices == NULL && filter->n_conditions == 0;
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
             group_count(condition->group, level, domain) > 0;
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
        return group_count(condition->group, level, domain) == 0;
    case SHUNS:
    case LEAVES_ALONE:
        return group_count(condition->group, level, domain) > 0 ||
               (condition->other != NULL && group_count(condition->other, level, domain) > 0);
    case ALONE:
        return relations_vms(relations, level, domain) >
               group_count(condition->group, level, domain);
    case RESPECTS_HARD:
        return loners(filter, level, domain) > 0;
    case EVENS_OUT:
        return group_count(condition->group, level, domain) > condition->limit;
    case NEARS:
        return relations_distance_to_group(relations, host, condition->group) > 0;
    case OUTNUMBERS:
        return group_count(condition->other, level, domain) >
               group_count(condition->group, level, domain);
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

    for (uint32_t i = 0; i < filter->n_conditions; i++) {
        if (filter->conditions[i].weight > 0) {
            sum += cost(filter, &filter->conditions[i], host);
        }
    }
    return sum;
}

bool filter_admits(Filter *filter, uint32_t host)
{
    const Relations *relations = filter->place->relations;
    uint64_t penalty = 0;

    if (filter->is_pending) {
        filter_settle(filter);
    }
    if (filter->is_overfull || filter_shuts_host(filter, host)) {
        return false;
    }
    uint32_t area = filter->n_conditions > 0 ? relations_area_of_host(relations, host) : AREA_NONE;
    if ((filter->shut_areas & area_bit(area)) != 0) {
        note_shut(filter, relations_top(relations));
        return false;
    }
    if (!filter_is_allowed(filter, host) || filter_is_banned(filter, host) ||
        filter_missing_label(filter, host) != BERTH_PLACE_NONE ||
        filter_missing_devices(filter, host) > 0) {
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
            group_count(relations_group(relations, rule->a), level, domain) > 0) {
            return i;
        }
    }
    return BERTH_PLACE_NONE;
}
