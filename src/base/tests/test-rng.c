#include "base/rng.h"

#include <glib.h>

/* splitmix64 of seed 1234567: the published sequence (Rosetta Code, "Pseudo-random
 * numbers/Splitmix64"). xoshiro256** from the state 1, 2, 3, 4: the sequence of its reference
 * implementation. */
static void test_published_sequences(void)
{
    static const uint64_t splitmix[] = {
        UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
        UINT64_C(4593380528125082431), UINT64_C(16408922859458223821)};
    static const uint64_t xoshiro[] = {UINT64_C(11520), UINT64_C(0), UINT64_C(1509978240),
                                       UINT64_C(1215971899390074240)};
    uint64_t state = 1234567;
    BerthRng rng = {{1, 2, 3, 4}};

    for (size_t i = 0; i < G_N_ELEMENTS(splitmix); i++) {
        g_assert_cmpuint(berth_rng_splitmix64(&state), ==, splitmix[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(xoshiro); i++) {
        g_assert_cmpuint(berth_rng_next(&rng), ==, xoshiro[i]);
    }
}

static void test_seed_decides_all(void)
{
    BerthRng a, b, c;

    berth_rng_init(&a, 7);
    berth_rng_init(&b, 7);
    berth_rng_init(&c, 8);
    for (int i = 0; i < 100; i++) {
        uint64_t next = berth_rng_next(&a);
        g_assert_cmpuint(next, ==, berth_rng_next(&b));
        g_assert_cmpuint(next, !=, berth_rng_next(&c));
    }
}

static void test_bounds_hold(void)
{
    BerthRng rng;

    berth_rng_init(&rng, 1);
    for (int i = 0; i < 10000; i++) {
        g_assert_cmpuint(berth_rng_below(&rng, 1), ==, 0);
        g_assert_cmpuint(berth_rng_below(&rng, 7), <, 7);
        g_assert_cmpuint(berth_rng_below(&rng, UINT64_MAX), <, UINT64_MAX);
        int64_t between = berth_rng_between(&rng, -3, 3);
        g_assert_true(between >= -3 && between <= 3);
        g_assert_cmpint(berth_rng_between(&rng, INT64_MIN, INT64_MIN), ==, INT64_MIN);
        double d = berth_rng_double(&rng);
        g_assert_true(d >= 0 && d < 1);
        g_assert_false(berth_rng_chance(&rng, 0));
        g_assert_true(berth_rng_chance(&rng, 1));
    }
}

static void test_whole_range_is_reached(void)
{
    BerthRng rng;
    bool negative = false, positive = false;

    berth_rng_init(&rng, 1);
    for (int i = 0; i < 100; i++) {
        int64_t n = berth_rng_between(&rng, INT64_MIN, INT64_MAX);
        negative |= n < 0;
        positive |= n > 0;
    }
    g_assert_true(negative && positive);
}

/* With a bound of 3/4 of 2^64, taking the remainder would give the lower third twice as often. */
static void test_no_bias(void)
{
    const uint64_t bound = UINT64_C(3) << 62;
    int lower = 0;
    BerthRng rng;

    berth_rng_init(&rng, 1);
    for (int i = 0; i < 30000; i++) {
        lower += berth_rng_below(&rng, bound) < bound / 3;
    }
    g_assert_cmpint(lower, >, 9500);
    g_assert_cmpint(lower, <, 10500);
}

static void test_shuffle_is_a_fair_permutation(void)
{
    int counts[4][4] = {0};
    BerthRng rng;

    berth_rng_init(&rng, 1);
    for (int round = 0; round < 24000; round++) {
        int cards[4] = {0, 1, 2, 3};
        unsigned seen = 0;

        berth_rng_shuffle(&rng, cards, 4, sizeof cards[0]);
        for (int i = 0; i < 4; i++) {
            seen |= 1u << cards[i];
            counts[cards[i]][i]++;
        }
        g_assert_cmpuint(seen, ==, 15);
    }
    for (int card = 0; card < 4; card++) {
        for (int i = 0; i < 4; i++) {
            g_assert_cmpint(ABS(counts[card][i] - 6000), <, 400);
        }
    }
}

static void test_shuffle_of_nothing(void)
{
    BerthRng rng, before;

    berth_rng_init(&rng, 1);
    before = rng;
    berth_rng_shuffle(&rng, NULL, 0, 8);
    g_assert_cmpmem(&rng, sizeof rng, &before, sizeof before);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/rng/published-sequences", test_published_sequences);
    g_test_add_func("/base/rng/seed-decides-all", test_seed_decides_all);
    g_test_add_func("/base/rng/bounds-hold", test_bounds_hold);
    g_test_add_func("/base/rng/whole-range-is-reached", test_whole_range_is_reached);
    g_test_add_func("/base/rng/no-bias", test_no_bias);
    g_test_add_func("/base/rng/shuffle-is-a-fair-permutation", test_shuffle_is_a_fair_permutation);
    g_test_add_func("/base/rng/shuffle-of-nothing", test_shuffle_of_nothing);
    return g_test_run();
}
