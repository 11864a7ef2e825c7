#include "place/place.h"

#include <glib.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BerthPlace, berth_place_free)

#define AMOUNTS(...) ((const int64_t[]){__VA_ARGS__})

/* CPU, memory, GPU. Orders run against host numbers.
 *   host 10, order 3: nearly full
 *   host 20, order 2: half free, a GPU
 *   host 30, order 1: empty
 *   host 40, order 0: empty, the same */
static BerthPlace *new_fleet(void)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 3};
    BerthPlace *place = NULL;

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    berth_place_add(place, 10, 3, AMOUNTS(100, 100, 0), AMOUNTS(10, 20, 0));
    berth_place_add(place, 20, 2, AMOUNTS(100, 100, 2), AMOUNTS(50, 50, 1));
    berth_place_add(place, 30, 1, AMOUNTS(100, 100, 0), NULL);
    berth_place_add(place, 40, 0, AMOUNTS(100, 100, 0), NULL);
    return place;
}

static BerthPlaceRequest request_for(BerthPlacePolicy policy, const int64_t *vector)
{
    return (BerthPlaceRequest){
        .struct_size = sizeof(BerthPlaceRequest), .policy = policy, .vector = vector};
}

static uint32_t find(const BerthPlace *place, const BerthPlaceRequest *request)
{
    BerthPlaceDecision decision = {.struct_size = sizeof decision, .host = 12345};
    BerthPlaceResult result = berth_place_find(place, request, &decision);

    if (result == BERTH_PLACE_NO_HOST) {
        g_assert_cmpuint(decision.host, ==, 12345);
        return BERTH_PLACE_NONE;
    }
    g_assert_cmpint(result, ==, BERTH_PLACE_OK);
    return decision.host;
}

static void test_each_policy_chooses(void)
{
    static const struct {
        BerthPlacePolicy policy;
        int64_t vector[3];
        uint32_t host;
    } cases[] = {
        {BERTH_PLACE_MOST_FREE, {5, 5, 0}, 40},       {BERTH_PLACE_LEAST_FREE, {5, 5, 0}, 10},
        {BERTH_PLACE_LEAST_FREE, {15, 5, 0}, 20},     {BERTH_PLACE_FIRST_FIT, {5, 5, 0}, 40},
        {BERTH_PLACE_FIRST_FIT, {5, 5, 1}, 20},       {BERTH_PLACE_COSINE, {5, 10, 0}, 10},
        {BERTH_PLACE_COSINE, {5, 5, 0}, 40},          {BERTH_PLACE_DOT_PRODUCT, {5, 5, 0}, 40},
        {BERTH_PLACE_L2_DIFF, {5, 5, 0}, 10},         {BERTH_PLACE_L2_RATIO, {5, 5, 0}, 10},
        {BERTH_PLACE_L2_RATIO_SPREAD, {5, 5, 0}, 40},
    };
    g_autoptr(BerthPlace) place = new_fleet();

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        BerthPlaceRequest request = request_for(cases[i].policy, cases[i].vector);
        g_assert_cmpuint(find(place, &request), ==, cases[i].host);
    }
}

static void test_most_free_counts_what_is_left(void)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 1};
    g_autoptr(BerthPlace) place = NULL;
    BerthPlaceRequest request = request_for(BERTH_PLACE_MOST_FREE, AMOUNTS(5));

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    berth_place_add(place, 0, 0, AMOUNTS(10), NULL);         /* half would be left */
    berth_place_add(place, 1, 1, AMOUNTS(100), AMOUNTS(80)); /* three quarters */
    g_assert_cmpuint(find(place, &request), ==, 1);
}

static void test_equal_orders_fall_to_the_smaller_number(void)
{
    g_autoptr(BerthPlace) place = new_fleet();
    BerthPlaceRequest request = request_for(BERTH_PLACE_MOST_FREE, AMOUNTS(5, 5, 0));

    berth_place_add(place, 35, 0, AMOUNTS(100, 100, 0), NULL);
    g_assert_cmpuint(find(place, &request), ==, 35);
}

static void test_filters(void)
{
    const uint64_t only_30[] = {UINT64_C(1) << 30}, none[] = {0};
    g_autoptr(BerthPlace) place = new_fleet();
    BerthPlaceRequest request = request_for(BERTH_PLACE_FIRST_FIT, AMOUNTS(5, 5, 0));

    request.allowed = only_30;
    request.allowed_words = 1;
    g_assert_cmpuint(find(place, &request), ==, 30);
    request.allowed_words = 0;
    g_assert_cmpuint(find(place, &request), ==, BERTH_PLACE_NONE);
    request.allowed = none;
    request.allowed_words = 1;
    g_assert_cmpuint(find(place, &request), ==, BERTH_PLACE_NONE);

    request.allowed = NULL;
    request.banned = (const uint32_t[]){3, 40, 50};
    request.banned_count = 3;
    g_assert_cmpuint(find(place, &request), ==, 30);
    request.banned = (const uint32_t[]){10, 20, 30, 40};
    request.banned_count = 4;
    g_assert_cmpuint(find(place, &request), ==, BERTH_PLACE_NONE);
}

static void test_disabled_hosts_are_no_candidates(void)
{
    g_autoptr(BerthPlace) place = new_fleet();
    BerthPlaceRequest request = request_for(BERTH_PLACE_FIRST_FIT, AMOUNTS(5, 5, 0));

    berth_place_set_enabled(place, 40, false);
    g_assert_cmpuint(find(place, &request), ==, 30);
    berth_place_remove(place, 30);
    g_assert_cmpuint(find(place, &request), ==, 20);
    berth_place_set_enabled(place, 40, true);
    g_assert_cmpuint(find(place, &request), ==, 40);
}

static void test_debt_refuses_only_what_needs_it(void)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 2};
    g_autoptr(BerthPlace) place = NULL;

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    berth_place_add(place, 0, 0, AMOUNTS(10, 10), AMOUNTS(5, -5));
    for (unsigned policy = 0; policy < BERTH_PLACE_N_MIXED; policy++) {
        BerthPlaceRequest cpu = request_for((BerthPlacePolicy)policy, AMOUNTS(5, 0));
        BerthPlaceRequest both = request_for((BerthPlacePolicy)policy, AMOUNTS(1, 1));
        g_assert_cmpuint(find(place, &cpu), ==, 0);
        g_assert_cmpuint(find(place, &both), ==, BERTH_PLACE_NONE);
    }
}

static void test_an_empty_fleet_has_no_host(void)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 1};
    g_autoptr(BerthPlace) place = NULL;
    BerthPlaceRequest request = request_for(BERTH_PLACE_MOST_FREE, AMOUNTS(1));

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(find(place, &request), ==, BERTH_PLACE_NONE);
}

static void test_unsound_requests_are_refused(void)
{
    const BerthPlaceRequest good = request_for(BERTH_PLACE_MOST_FREE, AMOUNTS(1, 1, 0));
    BerthPlaceRequest small = good, policy = good, vector = good, negative = good, huge = good,
                      nothing = good, no_list = good, unsorted = good, twice = good;
    small.struct_size = offsetof(BerthPlaceRequest, devices) - 1;
    policy.policy = (BerthPlacePolicy)BERTH_PLACE_N_POLICIES;
    vector.vector = NULL;
    negative.vector = AMOUNTS(1, -1, 0);
    huge.vector = AMOUNTS(1, BERTH_PLACE_MAX_AMOUNT + 1, 0);
    nothing.vector = AMOUNTS(0, 0, 0);
    no_list.banned_count = 1;
    unsorted.banned = (const uint32_t[]){2, 1};
    unsorted.banned_count = 2;
    twice.banned = (const uint32_t[]){1, 1};
    twice.banned_count = 2;

    const struct {
        BerthPlaceRequest request;
        BerthPlaceResult result;
    } cases[] = {
        {small, BERTH_PLACE_ERROR_ARGUMENT},   {policy, BERTH_PLACE_ERROR_ARGUMENT},
        {vector, BERTH_PLACE_ERROR_ARGUMENT},  {negative, BERTH_PLACE_ERROR_AMOUNT},
        {huge, BERTH_PLACE_ERROR_AMOUNT},      {nothing, BERTH_PLACE_ERROR_AMOUNT},
        {no_list, BERTH_PLACE_ERROR_ARGUMENT}, {unsorted, BERTH_PLACE_ERROR_ARGUMENT},
        {twice, BERTH_PLACE_ERROR_ARGUMENT},
    };
    g_autoptr(BerthPlace) place = new_fleet();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        BerthPlaceDecision decision = {.struct_size = sizeof decision, .host = 12345};
        BerthPlaceVerdict verdict = {.host = 12345};

        g_assert_cmpint(berth_place_find(place, &cases[i].request, &decision), ==, cases[i].result);
        g_assert_cmpint(berth_place_examine(place, &cases[i].request, 10, &verdict), ==,
                        cases[i].result);
        g_assert_cmpuint(decision.host, ==, 12345);
        g_assert_cmpuint(verdict.host, ==, 12345);
    }
}

static void test_constraints_of_a_newer_library_are_not_ignored(void)
{
    struct {
        BerthPlaceRequest known;
        uint64_t unknown;
    } newer = {.known = request_for(BERTH_PLACE_FIRST_FIT, AMOUNTS(1, 1, 0))};
    BerthPlaceDecision decision = {.struct_size = sizeof decision};
    g_autoptr(BerthPlace) place = new_fleet();

    newer.known.struct_size = sizeof newer;
    g_assert_cmpint(berth_place_find(place, &newer.known, &decision), ==, BERTH_PLACE_OK);
    newer.unknown = UINT64_C(1) << 63;
    g_assert_cmpint(berth_place_find(place, &newer.known, &decision), ==,
                    BERTH_PLACE_ERROR_UNSUPPORTED);
    decision.struct_size = 4;
    newer.unknown = 0;
    g_assert_cmpint(berth_place_find(place, &newer.known, &decision), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
}

typedef struct {
    BerthPlaceVerdict verdicts[8];
    size_t n, stop_after;
} Collected;

static bool collect(const BerthPlaceVerdict *verdict, void *user_data)
{
    Collected *collected = user_data;

    collected->verdicts[collected->n++] = *verdict;
    return collected->n != collected->stop_after;
}

static void test_explain_gives_the_first_reason(void)
{
    const uint64_t allowed[] = {UINT64_MAX & ~(UINT64_C(1) << 52)};
    g_autoptr(BerthPlace) place = new_fleet();
    BerthPlaceRequest request = request_for(BERTH_PLACE_LEAST_FREE, AMOUNTS(10, 30, 1));
    Collected got = {0};

    request.allowed = allowed;
    request.allowed_words = 1;
    request.banned = (const uint32_t[]){40};
    request.banned_count = 1;
    berth_place_add(place, 50, 5, AMOUNTS(100, 100, 4), AMOUNTS(9, 0, 4));
    berth_place_add(place, 51, 6, AMOUNTS(100, 100, 4), NULL);
    berth_place_add(place, 52, 7, AMOUNTS(100, 100, 4), NULL);
    berth_place_set_enabled(place, 30, false);
    g_assert_cmpint(berth_place_explain(place, &request, collect, &got), ==, BERTH_PLACE_OK);

    static const BerthPlaceVerdict expected[] = {
        {.host = 10, .reason = BERTH_PLACE_LACKS, .dim = 2, .missing = 1},
        {.host = 20, .reason = BERTH_PLACE_CHOSEN},
        {.host = 30, .reason = BERTH_PLACE_DISABLED},
        {.host = 40, .reason = BERTH_PLACE_BANNED},
        {.host = 50, .reason = BERTH_PLACE_SHORT, .dim = 0, .missing = 1},
        {.host = 51, .reason = BERTH_PLACE_CANDIDATE},
        {.host = 52, .reason = BERTH_PLACE_NOT_ALLOWED},
    };
    g_assert_cmpuint(got.n, ==, G_N_ELEMENTS(expected));
    for (size_t i = 0; i < got.n; i++) {
        g_assert_cmpuint(got.verdicts[i].host, ==, expected[i].host);
        g_assert_cmpint(got.verdicts[i].reason, ==, expected[i].reason);
        g_assert_cmpuint(got.verdicts[i].dim, ==, expected[i].dim);
        g_assert_cmpint(got.verdicts[i].missing, ==, expected[i].missing);
    }
    g_assert_cmpfloat(got.verdicts[1].score, <, got.verdicts[5].score);
}

static void test_explain_stops_when_told(void)
{
    g_autoptr(BerthPlace) place = new_fleet();
    BerthPlaceRequest request = request_for(BERTH_PLACE_FIRST_FIT, AMOUNTS(1000, 0, 0));
    Collected got = {.stop_after = 2};

    g_assert_cmpint(berth_place_explain(place, &request, collect, &got), ==, BERTH_PLACE_NO_HOST);
    g_assert_cmpuint(got.n, ==, 2);
}

static void test_examine_agrees_with_explain(void)
{
    g_autoptr(BerthPlace) place = new_fleet();
    BerthPlaceRequest request = request_for(BERTH_PLACE_L2_RATIO, AMOUNTS(20, 1, 0));
    BerthPlaceVerdict verdict;

    g_assert_cmpint(berth_place_examine(place, &request, 10, &verdict), ==, BERTH_PLACE_OK);
    g_assert_cmpint(verdict.reason, ==, BERTH_PLACE_SHORT);
    g_assert_cmpint(verdict.missing, ==, 10);
    g_assert_cmpint(berth_place_examine(place, &request, 20, &verdict), ==, BERTH_PLACE_OK);
    g_assert_cmpint(verdict.reason, ==, BERTH_PLACE_CANDIDATE);
    g_assert_cmpfloat(verdict.score, ==, 20 / 50. + 1 / 50.);
    g_assert_cmpint(berth_place_examine(place, &request, 11, &verdict), ==,
                    BERTH_PLACE_ERROR_UNKNOWN_HOST);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/scan/each-policy-chooses", test_each_policy_chooses);
    g_test_add_func("/place/scan/most-free-counts-what-is-left",
                    test_most_free_counts_what_is_left);
    g_test_add_func("/place/scan/equal-orders-fall-to-the-smaller-number",
                    test_equal_orders_fall_to_the_smaller_number);
    g_test_add_func("/place/scan/filters", test_filters);
    g_test_add_func("/place/scan/disabled-hosts-are-no-candidates",
                    test_disabled_hosts_are_no_candidates);
    g_test_add_func("/place/scan/debt-refuses-only-what-needs-it",
                    test_debt_refuses_only_what_needs_it);
    g_test_add_func("/place/scan/an-empty-fleet-has-no-host", test_an_empty_fleet_has_no_host);
    g_test_add_func("/place/scan/unsound-requests-are-refused", test_unsound_requests_are_refused);
    g_test_add_func("/place/scan/constraints-of-a-newer-library-are-not-ignored",
                    test_constraints_of_a_newer_library_are_not_ignored);
    g_test_add_func("/place/scan/explain-gives-the-first-reason",
                    test_explain_gives_the_first_reason);
    g_test_add_func("/place/scan/explain-stops-when-told", test_explain_stops_when_told);
    g_test_add_func("/place/scan/examine-agrees-with-explain", test_examine_agrees_with_explain);
    return g_test_run();
}
