#include "place/rules.h"

#include <stdlib.h>
#include <string.h>

#include "place/journal.h"
#include "place/relations.h"

static bool is_hard_alone(const BerthPlaceRule *rule)
{
    return rule->kind == BERTH_PLACE_ALONE && rule->weight == 0;
}

static bool has_alone_rules(const Relations *relations)
{
    uint32_t n = 0;

    for (uint32_t l = 0; l < relations->n_levels; l++) {
        n += relations->n_alone_at[l];
    }
    return n > 0;
}

/* How many hard rules ALONE at a level speak of a group. */
static uint32_t alone_rules_at(const Relations *relations, uint32_t group, uint32_t level)
{
    const RuleList *list = &relations_record(relations, group)->rules;
    uint32_t n = 0;

    for (uint32_t i = 0; i < list->n; i++) {
        const BerthPlaceRule *rule = &relations->rules[rule_numbers(list)[i]].rule;
        n += is_hard_alone(rule) && rule->level == level;
    }
    return n;
}

static uint32_t all_levels(const Relations *relations)
{
    return (UINT32_C(1) << relations->n_levels) - 1;
}

/* Has records of the groups of a rule, which are tabled as it will ask. */
static bool want_levels(Relations *relations, const BerthPlaceRule *rule)
{
    bool by_area = rule->level > 0 && rule->level == relations_top(relations) &&
                   (rule->kind == BERTH_PLACE_APART || rule->kind == BERTH_PLACE_SPREAD);
    uint32_t levels = rule->kind == BERTH_PLACE_NEAR ? all_levels(relations)
                      : by_area                      ? 0
                                                     : UINT32_C(1) << rule->level;

    GroupRecord *a = relations_ensure_record(relations, rule->a), *b = a;

    if (relations_uses_b(rule)) {
        b = relations_ensure_record(relations, rule->b);
    }
    return a != NULL && b != NULL && relations_want(relations, &a->group, levels, by_area) &&
           relations_want(relations, &b->group, levels, by_area);
}

static BerthPlaceResult check_groups(const uint32_t *groups, uint32_t n_groups)
{
    if (n_groups > BERTH_PLACE_MAX_GROUPS || (groups == NULL && n_groups > 0)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    for (uint32_t i = 0; i < n_groups; i++) {
        if (groups[i] >= BERTH_PLACE_MAX_GROUP) {
            return BERTH_PLACE_ERROR_ARGUMENT;
        }
        for (uint32_t k = 0; k < i; k++) {
            if (groups[k] == groups[i]) {
                return BERTH_PLACE_ERROR_ARGUMENT;
            }
        }
    }
    return BERTH_PLACE_OK;
}

/* What is counted by area: one more or less in a domain of the highest level, which is counted already where
 * that level is tabled, and on its host. */
static void count_in_area(const Relations *relations, Group *group, uint32_t domain, bool comes)
{
    uint32_t area = relations_area(relations, domain);

    if (area == AREA_NONE) {
        return;
    }
    uint8_t *counted = &group->body->in_area[area];
    if (*counted < AREA_MANY) {
        *counted = (uint8_t)(*counted + (comes ? 1 : -1));
    } else if (!comes) {
        uint32_t left = relations_count(relations, group, relations_top(relations), domain);
        *counted = (uint8_t)(left < AREA_MANY ? left : AREA_MANY);
    }
}

/* A VM of a group comes to a host or leaves it. */
static void group_moves(Relations *relations, uint32_t host, uint32_t number, bool comes)
{
    uint32_t (*count)(Group *, uint32_t, uint32_t) = comes ? group_raise : group_lower;
    Group *group = &relations_record(relations, number)->group;
    uint32_t top = relations_top(relations);

    for (uint32_t left = group->tabled; left != 0; left &= left - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(left);
        uint32_t domain =
            l < relations->n_levels ? relations_domain(relations, l, host) : BERTH_PLACE_NONE;
        if (domain == BERTH_PLACE_NONE) {
            continue;
        }
        uint32_t before = count(group, l, domain);
        if (before == (comes ? 0u : 1u) && relations->n_alone_at[l] > 0) {
            for (uint32_t n = alone_rules_at(relations, number, l); n > 0; n--) {
                count(&relations->alone, l, domain);
            }
        }
    }
    if (top > 0) {
        count_in_area(relations, group, relations_domain(relations, top, host), comes);
    }
}

static void count_vms(Relations *relations, uint32_t host, uint32_t change)
{
    uint32_t *row = relations_row(relations, host);

    row[0] += change;
    for (uint32_t l = 1; l < relations->n_levels; l++) {
        uint32_t domain = row[l];
        if (domain != BERTH_PLACE_NONE) {
            relations->levels[l].domains[domain].vms += change;
        }
    }
}

void relations_move_vm(BerthPlace *place, uint32_t host, const uint32_t *groups, uint32_t n_groups,
                       bool comes)
{
    count_vms(place->relations, host, comes ? 1u : -1u);
    for (uint32_t i = 0; i < n_groups; i++) {
        group_moves(place->relations, host, groups[i], comes);
    }
}

BerthPlaceResult relations_load_vms(BerthPlace *place, uint32_t host, uint32_t count)
{
    Relations *relations = relations_ensure(place);

    if (relations == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    count_vms(relations, host, count);
    return BERTH_PLACE_OK;
}

BerthPlaceResult relations_load_group(BerthPlace *place, uint32_t number, uint32_t n_hosts,
                                      uint64_t members)
{
    Relations *relations = place->relations;
    uint32_t room = members > GROUP_MANY && n_hosts <= GROUP_MANY ? GROUP_MANY + 1 : n_hosts;

    GroupRecord *record = relations_ensure_record(relations, number);

    return record != NULL && group_reserve(&record->group, 1, room) ? BERTH_PLACE_OK
                                                                    : BERTH_PLACE_ERROR_NO_MEMORY;
}

void relations_load_members(BerthPlace *place, uint32_t host, uint32_t number, uint32_t count)
{
    Relations *relations = place->relations;
    Group *group = &relations_record(relations, number)->group;
    uint32_t area = relations_area_of_host(relations, host);

    group_add(group, 0, host, count);
    if (area != AREA_NONE) {
        uint8_t *counted = &group->body->in_area[area];
        *counted =
            (uint8_t)(count < (uint32_t)(AREA_MANY - *counted) ? *counted + count : AREA_MANY);
    }
}

BerthPlaceResult berth_place_enter(BerthPlace *place, uint32_t host, const uint32_t *groups,
                                   uint32_t n_groups)
{
    BerthPlaceResult result = check_groups(groups, n_groups);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    Relations *relations = relations_ensure(place);
    if (relations == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < n_groups; i++) {
        GroupRecord *record = relations_ensure_record(relations, groups[i]);
        if (record == NULL || !relations_reserve_member(relations, &record->group, host)) {
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
    }
    if ((has_alone_rules(relations) &&
         !group_reserve(&relations->alone, all_levels(relations), 1)) ||
        !journal_reserve(place, n_groups)) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    relations_move_vm(place, host, groups, n_groups, true);
    journal_note_groups(place, JOURNAL_ENTER, host, groups, n_groups);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_leave(BerthPlace *place, uint32_t host, const uint32_t *groups,
                                   uint32_t n_groups)
{
    BerthPlaceResult result = check_groups(groups, n_groups);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    Relations *relations = place->relations;
    if (relations == NULL || relations_vms_on(relations, host) == 0) {
        return BERTH_PLACE_ERROR_UNDERFLOW;
    }
    for (uint32_t i = 0; i < n_groups; i++) {
        if (group_count(relations_group(relations, groups[i]), 0, host) == 0) {
            return BERTH_PLACE_ERROR_UNDERFLOW;
        }
    }
    if (!journal_reserve(place, n_groups)) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    relations_move_vm(place, host, groups, n_groups, false);
    journal_note_groups(place, JOURNAL_LEAVE, host, groups, n_groups);
    return BERTH_PLACE_OK;
}

uint32_t berth_place_members(const BerthPlace *place, uint32_t group, uint32_t host, uint32_t level)
{
    const Relations *relations = place->relations;

    if (relations == NULL || level >= relations->n_levels || !fleet_has(place, host)) {
        return 0;
    }
    uint32_t domain = relations_domain(relations, level, host);
    return domain != BERTH_PLACE_NONE
               ? relations_count(relations, relations_group(relations, group), level, domain)
               : 0;
}

static BerthPlaceResult check_rule(const BerthPlace *place, const BerthPlaceRule *rule)
{
    if (rule->struct_size < sizeof *rule || (unsigned)rule->kind > BERTH_PLACE_SOLE ||
        rule->a >= BERTH_PLACE_MAX_GROUP ||
        (relations_uses_b(rule) && rule->b >= BERTH_PLACE_MAX_GROUP) ||
        rule->level >= berth_place_n_levels(place) ||
        (rule->kind == BERTH_PLACE_SPREAD) != (rule->skew > 0) ||
        rule->skew > BERTH_PLACE_MAX_HOSTS ||
        (rule->kind == BERTH_PLACE_NEAR && (rule->weight == 0 || rule->level != 0))) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    return fleet_is_newer(rule, rule->struct_size, sizeof *rule) ? BERTH_PLACE_ERROR_UNSUPPORTED
                                                                 : BERTH_PLACE_OK;
}

/* The rules of a group that a rule has named. */
static RuleList *rules_of(const Relations *relations, uint32_t group)
{
    return &relations_record(relations, group)->rules;
}

/* Whether hard TOGETHER rules up to a level lead from one group to another; each group is looked at
 * once. `ret_rule`: the rule with which the way begins. */
static bool leads_to(Relations *relations, uint32_t from, uint32_t to, uint32_t level,
                     uint32_t *ret_rule)
{
    uint32_t walk = ++relations->walk;

    if (relations_record(relations, from) == NULL) {
        return false;
    }
    RuleList *last = rules_of(relations, from);
    last->walk = walk;
    last->next = BERTH_PLACE_NONE;
    for (uint32_t at = from; at != BERTH_PLACE_NONE; at = rules_of(relations, at)->next) {
        const RuleList *list = rules_of(relations, at);
        for (uint32_t i = 0; i < list->n; i++) {
            const BerthPlaceRule *rule = &relations->rules[rule_numbers(list)[i]].rule;
            if (rule->kind != BERTH_PLACE_TOGETHER || rule->weight > 0 || rule->a != at ||
                rule->level > level || rules_of(relations, rule->b)->walk == walk) {
                continue;
            }
            RuleList *reached = rules_of(relations, rule->b);
            reached->walk = walk;
            reached->next = BERTH_PLACE_NONE;
            reached->begin = at == from ? rule_numbers(list)[i] : list->begin;
            if (rule->b == to) {
                *ret_rule = reached->begin;
                return true;
            }
            last->next = rule->b;
            last = reached;
        }
    }
    return false;
}

/* Whether a TOGETHER rule binds two groups within a level: the groups are one, or one leads to the
 * other. A group is bound to itself only by a rule that says so. */
static bool are_bound(Relations *relations, uint32_t a, uint32_t b, uint32_t level,
                      uint32_t *ret_rule)
{
    if (a != b) {
        return leads_to(relations, a, b, level, ret_rule) ||
               leads_to(relations, b, a, level, ret_rule);
    }
    const RuleList *list = rules_of(relations, a);
    for (uint32_t i = 0; i < list->n; i++) {
        const BerthPlaceRule *rule = &relations->rules[rule_numbers(list)[i]].rule;
        if (rule->kind == BERTH_PLACE_TOGETHER && rule->weight == 0 && rule->a == a &&
            rule->b == a && rule->level <= level) {
            *ret_rule = rule_numbers(list)[i];
            return true;
        }
    }
    return false;
}

/* Whether a hard rule APART or ALONE is made impossible by the hard TOGETHER rules that are there, and
 * by which. */
static bool is_impossible(Relations *relations, const BerthPlaceRule *rule, uint32_t *ret_other)
{
    if (rule->kind == BERTH_PLACE_APART) {
        return are_bound(relations, rule->a, rule->b, rule->level, ret_other);
    }
    const RuleList *list = rules_of(relations, rule->a);
    for (uint32_t i = 0; rule->kind == BERTH_PLACE_ALONE && i < list->n; i++) {
        const BerthPlaceRule *tie = &relations->rules[rule_numbers(list)[i]].rule;
        if (tie->kind == BERTH_PLACE_TOGETHER && tie->weight == 0 && tie->a != tie->b &&
            tie->level <= rule->level) {
            *ret_other = rule_numbers(list)[i];
            return true;
        }
    }
    return false;
}

static bool append(RuleList *list, uint32_t number)
{
    if (list->n == (list->room > 0 ? list->room : RULES_FEW)) {
        uint32_t room = list->n * 2;
        uint32_t *many = realloc(list->room > 0 ? list->many : NULL, room * sizeof *many);
        if (many == NULL) {
            return false;
        }
        if (list->room == 0) {
            memcpy(many, list->few, sizeof list->few);
        }
        list->many = many;
        list->room = room;
    }
    (list->room > 0 ? list->many : list->few)[list->n++] = number;
    return true;
}

static void strike(RuleList *list, uint32_t number)
{
    uint32_t kept = 0, *numbers = list->room > 0 ? list->many : list->few;

    for (uint32_t i = 0; i < list->n; i++) {
        if (numbers[i] != number) {
            if (list->room == 0) {
                list->briefs[kept] = list->briefs[i];
            }
            numbers[kept++] = numbers[i];
        }
    }
    list->n = kept;
}

static bool names_another(const BerthPlaceRule *rule)
{
    return relations_names_b(rule) && rule->b != rule->a;
}

static bool asks_for_company(const BerthPlaceRule *rule)
{
    return rule->kind == BERTH_PLACE_TOGETHER || rule->kind == BERTH_PLACE_NEAR;
}

/* Whether a rule refuses whole areas by its group's counts there. */
static bool parts_areas(const Relations *relations, const BerthPlaceRule *rule)
{
    return rule->weight == 0 && rule->level > 0 && rule->level == relations_top(relations) &&
           (rule->kind == BERTH_PLACE_TOGETHER || rule->kind == BERTH_PLACE_APART ||
            rule->kind == BERTH_PLACE_SPREAD);
}

/* The end of the list by time of addition, or the link between two of it. */
static void link_rules(Relations *relations, uint32_t older, uint32_t younger)
{
    *(older != BERTH_PLACE_NONE ? &relations->rules[older].younger : &relations->oldest) = younger;
    *(younger != BERTH_PLACE_NONE ? &relations->rules[younger].older : &relations->youngest) =
        older;
}

static void unregister(Relations *relations, uint32_t number)
{
    const BerthPlaceRule *rule = &relations->rules[number].rule;

    link_rules(relations, relations->rules[number].older, relations->rules[number].younger);
    strike(rules_of(relations, rule->a), number);
    if (names_another(rule)) {
        strike(rules_of(relations, rule->b), number);
    }
    if (rule->kind == BERTH_PLACE_ALONE && rule->weight > 0) {
        strike(&relations->alone_soft, number);
    }
    relations->rules[number].present = false;
    relations->n_near -= asks_for_company(rule);
    relations->n_parting -= parts_areas(relations, rule);
}

/* Puts a rule into the list of a group that it names. */
static bool list_rule(Relations *relations, uint32_t group, uint32_t number)
{
    const BerthPlaceRule *rule = &relations->rules[number].rule;
    RuleList *list = rules_of(relations, group);

    if (list->room == 0 && list->n < RULES_FEW) {
        list->briefs[list->n] = (RuleBrief){.other = group == rule->a ? rule->b : rule->a,
                                            .weight = rule->weight,
                                            .skew = rule->skew & ((1U << 25) - 1),
                                            .level = rule->level & 7,
                                            .kind = (uint32_t)rule->kind & 7,
                                            .is_b = group != rule->a};
    }
    return append(list, number);
}

/* Puts a rule where rules are looked for, all or nothing; the numbers have room already. */
static bool enlist(Relations *relations, uint32_t number, const BerthPlaceRule *rule)
{
    relations->rules[number] = (Rule){.rule = *rule, .present = true};
    relations->n_near += asks_for_company(rule);
    relations->n_parting += parts_areas(relations, rule);
    link_rules(relations, relations->youngest, number);
    link_rules(relations, number, BERTH_PLACE_NONE);
    if (list_rule(relations, rule->a, number) &&
        (!names_another(rule) || list_rule(relations, rule->b, number)) &&
        (rule->kind != BERTH_PLACE_ALONE || rule->weight == 0 ||
         append(&relations->alone_soft, number))) {
        return true;
    }
    unregister(relations, number);
    return false;
}

static bool reserve_rule(Relations *relations, uint32_t number)
{
    uint32_t wanted = relations->n_rules > 0 ? relations->n_rules : 16;

    if (number < relations->n_rules) {
        return true;
    }
    while (wanted <= number) {
        wanted *= 2;
    }
    Rule *rules = realloc(relations->rules, wanted * sizeof *rules);
    if (rules == NULL) {
        return false;
    }
    memset(rules + relations->n_rules, 0, (wanted - relations->n_rules) * sizeof *rules);
    relations->rules = rules;
    relations->n_rules = wanted;
    return true;
}

/* Marks or unmarks the domains where a hard rule ALONE has members. */
static void mark_alone(Relations *relations, const BerthPlaceRule *rule, bool present)
{
    const Group *group = relations_group(relations, rule->a);
    uint32_t (*count)(Group *, uint32_t, uint32_t) = present ? group_raise : group_lower;
    uint32_t domain, members;

    for (uint32_t at = 0; group_next(group, rule->level, &at, &domain, &members);) {
        count(&relations->alone, rule->level, domain);
    }
    relations->n_alone_at[rule->level] += present ? 1u : -1u;
}

/* Whether a hard rule that is enlisted and those that were there before can hold together. */
static BerthPlaceResult check_contradictions(Relations *relations, uint32_t number,
                                             uint32_t *ret_other)
{
    const BerthPlaceRule *rule = &relations->rules[number].rule;
    uint32_t tie;

    if (is_impossible(relations, rule, ret_other)) {
        return BERTH_PLACE_ERROR_CONTRADICTION;
    }
    for (uint32_t i = 0; rule->kind == BERTH_PLACE_TOGETHER && i < relations->n_rules; i++) {
        if (relations->rules[i].present && relations->rules[i].rule.weight == 0 &&
            is_impossible(relations, &relations->rules[i].rule, &tie)) {
            *ret_other = i;
            return BERTH_PLACE_ERROR_CONTRADICTION;
        }
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult check_cycle(Relations *relations, const BerthPlaceRule *rule,
                                    uint32_t *ret_other)
{
    bool leads_back = rule->kind == BERTH_PLACE_TOGETHER && rule->weight == 0 &&
                      rule->a != rule->b &&
                      leads_to(relations, rule->b, rule->a, BERTH_PLACE_MAX_LEVELS, ret_other);

    return leads_back ? BERTH_PLACE_ERROR_CYCLE : BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_rule_add(BerthPlace *place, uint32_t number,
                                      const BerthPlaceRule *rule, uint32_t *ret_other)
{
    BerthPlaceResult result = check_rule(place, rule);
    uint32_t other;

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (number >= BERTH_PLACE_MAX_GROUP) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (journal_is_open(place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    Relations *relations = relations_ensure(place);
    if (relations == NULL || !reserve_rule(relations, number) || !want_levels(relations, rule) ||
        (is_hard_alone(rule) &&
         !group_reserve(&relations->alone, all_levels(relations),
                        group_domains(relations_group(relations, rule->a), rule->level)))) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    if (relations->rules[number].present) {
        return BERTH_PLACE_ERROR_EXISTS;
    }
    result = check_cycle(relations, rule, &other);
    if (result == BERTH_PLACE_OK) {
        if (!enlist(relations, number, rule)) {
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
        result =
            rule->weight == 0 ? check_contradictions(relations, number, &other) : BERTH_PLACE_OK;
        if (result != BERTH_PLACE_OK) {
            unregister(relations, number);
        }
    }
    if (result != BERTH_PLACE_OK) {
        if (ret_other != NULL) {
            *ret_other = other;
        }
        return result;
    }
    if (is_hard_alone(rule)) {
        mark_alone(relations, rule, true);
    }
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_rule_remove(BerthPlace *place, uint32_t number)
{
    Relations *relations = place->relations;

    if (relations == NULL || number >= relations->n_rules || !relations->rules[number].present) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (journal_is_open(place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    BerthPlaceRule rule = relations->rules[number].rule;
    if (is_hard_alone(&rule)) {
        mark_alone(relations, &rule, false);
    }
    unregister(relations, number);
    return BERTH_PLACE_OK;
}
