#include "place/score.h"

#include <glib.h>
#include <math.h>

/* Half of two CPUs and a quarter of 8 GiB are asked for; three quarters of both are free. */
static const int64_t capacity[] = {2000, 8192, 0};
static const int64_t available[] = {1500, 6144, 0};
static const int64_t request[] = {1000, 2048, 0};

static void test_each_formula(void)
{
    static const struct {
        BerthPlacePolicy policy;
        double score;
    } cases[] = {
        {BERTH_PLACE_MOST_FREE, (0.25 + 0.5) / 2},
        {BERTH_PLACE_LEAST_FREE, (0.25 + 0.5) / 2},
        {BERTH_PLACE_FIRST_FIT, 0},
        {BERTH_PLACE_DOT_PRODUCT, 0.5 * 0.75 + 0.25 * 0.75},
        {BERTH_PLACE_L2_DIFF, 0.0625 + 0.25},
        {BERTH_PLACE_L2_RATIO, 1000 / 1500. + 2048 / 6144.},
        {BERTH_PLACE_L2_RATIO_SPREAD, 1000 / 1500. + 2048 / 6144.},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        double score = berth_place_score(cases[i].policy, 3, request, available, capacity);
        g_assert_cmpfloat(score, ==, cases[i].score);
    }
    double cosine = berth_place_score(BERTH_PLACE_COSINE, 3, request, available, capacity);
    g_assert_cmpfloat(cosine, ==, 0.5625 / (sqrt(0.3125) * sqrt(1.125)));
}

static void test_same_shape_has_cosine_one(void)
{
    const int64_t same[] = {750, 3072, 0};
    double cosine = berth_place_score(BERTH_PLACE_COSINE, 3, same, available, capacity);

    g_assert_cmpfloat_with_epsilon(cosine, 1, 1e-15);
}

static void test_what_is_not_asked_for_never_divides_by_zero(void)
{
    const int64_t full[] = {1500, 0, 0}, some[] = {1000, 0, 0};

    for (unsigned policy = 0; policy < BERTH_PLACE_N_POLICIES; policy++) {
        double score = berth_place_score((BerthPlacePolicy)policy, 3, some, full, capacity);
        g_assert_true(isfinite(score));
    }
    g_assert_cmpfloat(berth_place_score(BERTH_PLACE_L2_RATIO, 3, some, full, capacity), ==,
                      1000 / 1500.);
}

static void test_largest_amounts_stay_finite(void)
{
    int64_t most[BERTH_PLACE_MAX_DIMS], one[BERTH_PLACE_MAX_DIMS];

    for (size_t d = 0; d < G_N_ELEMENTS(most); d++) {
        most[d] = BERTH_PLACE_MAX_AMOUNT;
        one[d] = 1;
    }
    for (unsigned policy = 0; policy < BERTH_PLACE_N_POLICIES; policy++) {
        double tiny = berth_place_score((BerthPlacePolicy)policy, 16, one, one, most);
        double huge = berth_place_score((BerthPlacePolicy)policy, 16, most, most, most);
        g_assert_true(isfinite(tiny) && isfinite(huge));
    }
}

static void test_names(void)
{
    static const struct {
        const char *given, *plain;
    } names[] = {
        {"most-free", "most-free"},     {"least-free", "least-free"},
        {"first-fit", "first-fit"},     {"cosine", "cosine"},
        {"dot-product", "dot-product"}, {"l2-diff", "l2-diff"},
        {"l2-ratio", "l2-ratio"},       {"l2-ratio-spread", "l2-ratio-spread"},
        {"best-fit", "most-free"},      {"worst-fit", "least-free"},
    };
    BerthPlacePolicy policy = BERTH_PLACE_COSINE;

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_true(berth_place_policy_from_name(names[i].given, &policy));
        g_assert_cmpstr(berth_place_policy_name(policy), ==, names[i].plain);
    }
    policy = BERTH_PLACE_COSINE;
    g_assert_false(berth_place_policy_from_name("", &policy));
    g_assert_false(berth_place_policy_from_name("Most-Free", &policy));
    g_assert_cmpint(policy, ==, BERTH_PLACE_COSINE);
    g_assert_null(berth_place_policy_name((BerthPlacePolicy)BERTH_PLACE_N_POLICIES));
}

static void test_senses(void)
{
    g_assert_true(berth_place_policy_prefers_high(BERTH_PLACE_MOST_FREE));
    g_assert_false(berth_place_policy_prefers_high(BERTH_PLACE_LEAST_FREE));
    g_assert_true(berth_place_policy_prefers_high(BERTH_PLACE_COSINE));
    g_assert_true(berth_place_policy_prefers_high(BERTH_PLACE_DOT_PRODUCT));
    g_assert_false(berth_place_policy_prefers_high(BERTH_PLACE_L2_DIFF));
    g_assert_true(berth_place_policy_prefers_high(BERTH_PLACE_L2_RATIO));
    g_assert_false(berth_place_policy_prefers_high(BERTH_PLACE_L2_RATIO_SPREAD));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/score/each-formula", test_each_formula);
    g_test_add_func("/place/score/same-shape-has-cosine-one", test_same_shape_has_cosine_one);
    g_test_add_func("/place/score/what-is-not-asked-for-never-divides-by-zero",
                    test_what_is_not_asked_for_never_divides_by_zero);
    g_test_add_func("/place/score/largest-amounts-stay-finite", test_largest_amounts_stay_finite);
    g_test_add_func("/place/score/names", test_names);
    g_test_add_func("/place/score/senses", test_senses);
    return g_test_run();
}
