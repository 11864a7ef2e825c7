/* The errors of rules.h and a story for each kind of rule; what holds in general is in
 * tests/properties/test_rules.py. */
#include <glib.h>

#include "place/rules.h"

enum { WEB, DB, CACHE };

/* Four hosts, two racks of two, in one zone. */
static BerthPlace *new_fleet(void)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 1};
    BerthPlace *place;

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_set_levels(place, 3), ==, BERTH_PLACE_OK);
    for (uint32_t host = 0; host < 4; host++) {
        berth_place_add(place, host, host, (int64_t[]){10}, NULL);
        berth_place_set_domains(place, host, (uint32_t[]){host / 2, 0});
    }
    return place;
}

static BerthPlaceResult add(BerthPlace *place, uint32_t number, BerthPlaceRule rule,
                            uint32_t *ret_other)
{
    rule.struct_size = sizeof rule;
    return berth_place_rule_add(place, number, &rule, ret_other);
}

/* Places a VM of one group; BERTH_PLACE_NONE when no host takes it. */
static uint32_t place_one(BerthPlace *place, uint32_t group)
{
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = BERTH_PLACE_FIRST_FIT,
                                 .vector = (int64_t[]){1},
                                 .n_groups = 1,
                                 .groups = &group};
    BerthPlaceDecision decision = {.struct_size = sizeof decision};

    if (berth_place_find(place, &request, &decision) != BERTH_PLACE_OK) {
        return BERTH_PLACE_NONE;
    }
    berth_place_take(place, decision.host, request.vector);
    g_assert_cmpint(berth_place_enter(place, decision.host, &group, 1), ==, BERTH_PLACE_OK);
    return decision.host;
}

static void test_apart_holds_whoever_comes_first(void)
{
    BerthPlace *place = new_fleet();

    add(place, 0, (BerthPlaceRule){.kind = BERTH_PLACE_APART, .a = WEB, .b = DB, .level = 1}, NULL);
    g_assert_cmpuint(place_one(place, DB), ==, 0);
    g_assert_cmpuint(place_one(place, WEB), ==, 2);
    g_assert_cmpuint(place_one(place, DB), ==, 0);
    berth_place_free(place);
}

static void test_alone_keeps_others_out_and_itself_away(void)
{
    BerthPlace *place = new_fleet();

    g_assert_cmpuint(place_one(place, WEB), ==, 0);
    add(place, 0, (BerthPlaceRule){.kind = BERTH_PLACE_ALONE, .a = DB}, NULL);
    g_assert_cmpuint(place_one(place, DB), ==, 1);
    g_assert_cmpuint(place_one(place, CACHE), ==, 0);
    berth_place_set_enabled(place, 0, false);
    g_assert_cmpuint(place_one(place, CACHE), ==, 2);
    berth_place_free(place);
}

static void test_spread_and_near(void)
{
    BerthPlace *place = new_fleet();

    add(place, 0, (BerthPlaceRule){.kind = BERTH_PLACE_SPREAD, .a = WEB, .level = 1, .skew = 1},
        NULL);
    add(place, 1, (BerthPlaceRule){.kind = BERTH_PLACE_NEAR, .a = DB, .b = WEB, .weight = 2}, NULL);
    g_assert_cmpuint(place_one(place, WEB), ==, 0);
    g_assert_cmpuint(place_one(place, WEB), ==, 2);
    berth_place_set_enabled(place, 0, false);
    g_assert_cmpuint(place_one(place, DB), ==, 2);
    berth_place_set_enabled(place, 2, false);
    g_assert_cmpuint(place_one(place, DB), ==, 1); /* the rack of the one, the first of equals */
    berth_place_free(place);
}

static void test_contradictions_are_refused_with_the_other_rule(void)
{
    BerthPlace *place = new_fleet();
    uint32_t other = 99;

    add(place, 3, (BerthPlaceRule){.kind = BERTH_PLACE_TOGETHER, .a = WEB, .b = DB, .level = 1},
        NULL);
    add(place, 4, (BerthPlaceRule){.kind = BERTH_PLACE_TOGETHER, .a = DB, .b = CACHE}, NULL);
    g_assert_cmpint(
        add(place, 5, (BerthPlaceRule){.kind = BERTH_PLACE_TOGETHER, .a = CACHE, .b = WEB}, &other),
        ==, BERTH_PLACE_ERROR_CYCLE);
    g_assert_cmpint(
        add(place, 5, (BerthPlaceRule){.kind = BERTH_PLACE_APART, .a = WEB, .b = CACHE, .level = 1},
            &other),
        ==, BERTH_PLACE_ERROR_CONTRADICTION);
    g_assert_cmpuint(other, ==, 3);
    /* Not on one host, but in one rack: that can hold. */
    g_assert_cmpint(
        add(place, 5, (BerthPlaceRule){.kind = BERTH_PLACE_APART, .a = WEB, .b = DB}, &other), ==,
        BERTH_PLACE_OK);
    g_assert_cmpint(add(place, 6, (BerthPlaceRule){.kind = BERTH_PLACE_ALONE, .a = DB}, &other), ==,
                    BERTH_PLACE_ERROR_CONTRADICTION);
    g_assert_cmpuint(other, ==, 4);
    g_assert_cmpint(add(place, 3, (BerthPlaceRule){.kind = BERTH_PLACE_ALONE, .a = CACHE}, &other),
                    ==, BERTH_PLACE_ERROR_EXISTS);
    berth_place_free(place);
}

/* Sixty steps with two groups each: 2^60 ways lead from the first to the last. */
static void test_many_ways_are_walked_once(void)
{
    BerthPlace *place = new_fleet();
    uint32_t number = 0, other = 99;

    for (uint32_t step = 0; step < 60; step++) {
        for (uint32_t i = 0; i < 4; i++, number++) {
            BerthPlaceRule rule = {
                .kind = BERTH_PLACE_TOGETHER, .a = 2 * step + i / 2, .b = 2 * step + 2 + i % 2};
            g_assert_cmpint(add(place, number, rule, NULL), ==, BERTH_PLACE_OK);
        }
    }
    g_assert_cmpint(
        add(place, number, (BerthPlaceRule){.kind = BERTH_PLACE_APART, .a = 0, .b = 500}, NULL), ==,
        BERTH_PLACE_OK);
    g_assert_cmpint(add(place, number + 1,
                        (BerthPlaceRule){.kind = BERTH_PLACE_APART, .a = 0, .b = 121}, &other),
                    ==, BERTH_PLACE_ERROR_CONTRADICTION);
    g_assert_cmpuint(other, <, 2);
    berth_place_free(place);
}

static void test_rules_out_of_range_are_refused(void)
{
    BerthPlace *place = new_fleet();
    const BerthPlaceRule wrong[] = {
        {.kind = BERTH_PLACE_APART, .level = 3},
        {.kind = BERTH_PLACE_APART, .a = BERTH_PLACE_MAX_GROUP},
        {.kind = BERTH_PLACE_APART, .skew = 1},
        {.kind = BERTH_PLACE_SPREAD},
        {.kind = BERTH_PLACE_NEAR},
        {.kind = (BerthPlaceRuleKind)6},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_assert_cmpint(add(place, 0, wrong[i], NULL), ==, BERTH_PLACE_ERROR_ARGUMENT);
    }
    g_assert_cmpint(berth_place_rule_remove(place, 0), ==, BERTH_PLACE_ERROR_ARGUMENT);
    berth_place_free(place);
}

static void test_levels_change_where_neither_hosts_nor_rules_are_left(void)
{
    BerthPlace *place = new_fleet();

    add(place, 3, (BerthPlaceRule){.kind = BERTH_PLACE_ALONE, .a = WEB, .level = 2}, NULL);
    g_assert_cmpuint(place_one(place, WEB), ==, 0);
    berth_place_leave(place, 0, (uint32_t[]){WEB}, 1);
    for (uint32_t host = 0; host < 4; host++) {
        g_assert_cmpint(berth_place_remove(place, host), ==, BERTH_PLACE_OK);
    }
    g_assert_cmpint(berth_place_set_levels(place, 5), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_rule_remove(place, 3), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_set_levels(place, 5), ==, BERTH_PLACE_OK);
    for (uint32_t host = 0; host < 4; host++) {
        berth_place_add(place, host, host, (int64_t[]){10}, NULL);
        berth_place_set_domains(place, host, (uint32_t[]){host, host, host, host / 2});
    }
    add(place, 3, (BerthPlaceRule){.kind = BERTH_PLACE_ALONE, .a = WEB, .level = 4}, NULL);
    g_assert_cmpuint(place_one(place, WEB), ==, 0);
    g_assert_cmpuint(place_one(place, DB), ==, 2);
    g_assert_cmpuint(place_one(place, WEB), ==, 0);
    berth_place_free(place);
}

#define LIVES 6000
#define MOST_HOSTS 640

static uint32_t domain_of(uint32_t host, uint32_t level, uint32_t hosts_a_zone)
{
    return level == 0 ? host : level == 1 ? host / 2 : host / hosts_a_zone;
}

/* VMs of a group come and go, now more, now fewer; rules that speak of it come on the way, so that levels that
 * were derived until then are counted on their own. `first`: when the first rule comes. */
static void count_members(uint32_t n_hosts, uint32_t hosts_a_zone, uint32_t first)
{
    static const BerthPlaceRule rules[] = {
        {.kind = BERTH_PLACE_SPREAD, .a = WEB, .level = 2, .skew = 9},
        {.kind = BERTH_PLACE_APART, .a = DB, .b = WEB, .level = 1},
        {.kind = BERTH_PLACE_TOGETHER, .a = CACHE, .b = WEB, .level = 2},
    };
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 1};
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);
    uint32_t counts[3][MOST_HOSTS] = {{0}};
    BerthPlace *place;
    uint32_t n_rules = 0;

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_set_levels(place, 3), ==, BERTH_PLACE_OK);
    for (uint32_t host = 0; host < n_hosts; host++) {
        berth_place_add(place, host, host, (int64_t[]){10}, NULL);
        berth_place_set_domains(place, host, (uint32_t[]){host / 2, host / hosts_a_zone});
    }
    for (uint32_t i = 0; i < LIVES; i++) {
        uint32_t host = (uint32_t)g_rand_int_range(rand, 0, (gint32)n_hosts), group = WEB;
        bool is_growing = i / 1500 % 2 == 0;
        bool comes =
            counts[0][host] == 0 ? is_growing : g_rand_int_range(rand, 0, 10) < 4 + 3 * is_growing;
        if (counts[0][host] == 0 && !comes) {
            continue;
        }
        for (uint32_t level = 0; level < 3; level++) {
            counts[level][domain_of(host, level, hosts_a_zone)] += comes ? 1u : -1u;
        }
        g_assert_cmpint((comes ? berth_place_enter : berth_place_leave)(place, host, &group, 1), ==,
                        BERTH_PLACE_OK);
        if (i >= first && n_rules < G_N_ELEMENTS(rules) && (i - first) / 1500 >= n_rules) {
            g_assert_cmpint(add(place, i, rules[n_rules++], NULL), ==, BERTH_PLACE_OK);
        }
        host = (uint32_t)g_rand_int_range(rand, 0, (gint32)n_hosts);
        for (uint32_t level = 0; level < 3; level++) {
            g_assert_cmpuint(berth_place_members(place, WEB, host, level), ==,
                             counts[level][domain_of(host, level, hosts_a_zone)]);
        }
        if (i % 64 == 0) {
            g_assert_null(berth_place_check(place));
        }
    }
    berth_place_free(place);
}

static void test_members_are_counted_at_each_level(void)
{
    for (uint32_t first = 1; first < 1500; first += 1200) {
        count_members(16, 8, first);           /* areas with more members than are counted there */
        count_members(MOST_HOSTS, 8, first);   /* more zones than areas */
        count_members(MOST_HOSTS, 320, first); /* more hosts than a list has room for */
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/rules/apart-holds-whoever-comes-first",
                    test_apart_holds_whoever_comes_first);
    g_test_add_func("/place/rules/alone-keeps-others-out-and-itself-away",
                    test_alone_keeps_others_out_and_itself_away);
    g_test_add_func("/place/rules/spread-and-near", test_spread_and_near);
    g_test_add_func("/place/rules/contradictions-are-refused-with-the-other-rule",
                    test_contradictions_are_refused_with_the_other_rule);
    g_test_add_func("/place/rules/many-ways-are-walked-once", test_many_ways_are_walked_once);
    g_test_add_func("/place/rules/out-of-range-is-refused", test_rules_out_of_range_are_refused);
    g_test_add_func("/place/rules/levels-change-where-neither-hosts-nor-rules-are-left",
                    test_levels_change_where_neither_hosts_nor_rules_are_left);
    g_test_add_func("/place/rules/members-are-counted-at-each-level",
                    test_members_are_counted_at_each_level);
    return g_test_run();
}
