#include "place/fleet.h"

#include <glib.h>
#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BerthPlace, berth_place_free)

#define AMOUNTS(...) ((const int64_t[]){__VA_ARGS__})

static BerthPlace *new_fleet(uint32_t n_dims)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = n_dims};
    BerthPlace *place = NULL;

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    return place;
}

static void assert_available(const BerthPlace *place, uint32_t host, int64_t first, int64_t second)
{
    int64_t available[2];

    g_assert_cmpint(berth_place_get(place, host, NULL, available, NULL), ==, BERTH_PLACE_OK);
    g_assert_cmpint(available[0], ==, first);
    g_assert_cmpint(available[1], ==, second);
    g_assert_null(berth_place_check(place));
}

static void test_new_checks_its_options(void)
{
    static const struct {
        BerthPlaceOptions options;
        BerthPlaceResult result;
    } cases[] = {
        {{sizeof(BerthPlaceOptions), 1, 0}, BERTH_PLACE_OK},
        {{sizeof(BerthPlaceOptions), 16, 1000}, BERTH_PLACE_OK},
        {{sizeof(BerthPlaceOptions), 0, 0}, BERTH_PLACE_ERROR_ARGUMENT},
        {{sizeof(BerthPlaceOptions), 17, 0}, BERTH_PLACE_ERROR_ARGUMENT},
        {{sizeof(BerthPlaceOptions), 1, BERTH_PLACE_MAX_HOSTS + 1}, BERTH_PLACE_ERROR_ARGUMENT},
        {{0, 1, 0}, BERTH_PLACE_ERROR_ARGUMENT},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(BerthPlace) place = NULL;

        g_assert_cmpint(berth_place_new(&cases[i].options, &place), ==, cases[i].result);
        g_assert_true((place != NULL) == (cases[i].result == BERTH_PLACE_OK));
    }
}

static void test_options_of_a_newer_library(void)
{
    struct {
        BerthPlaceOptions known;
        uint32_t unknown;
    } newer = {.known = {.struct_size = sizeof newer, .n_dims = 1}};
    g_autoptr(BerthPlace) place = NULL;

    newer.unknown = 1;
    g_assert_cmpint(berth_place_new(&newer.known, &place), ==, BERTH_PLACE_ERROR_UNSUPPORTED);
    newer.unknown = 0;
    g_assert_cmpint(berth_place_new(&newer.known, &place), ==, BERTH_PLACE_OK);
}

static void test_add_and_remove(void)
{
    g_autoptr(BerthPlace) place = new_fleet(2);
    int64_t capacity[2];
    bool enabled;

    g_assert_cmpuint(berth_place_n_dims(place), ==, 2);
    g_assert_cmpint(berth_place_add(place, 7, 1, AMOUNTS(4, 8), AMOUNTS(3, -2)), ==,
                    BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_add(place, 7, 1, AMOUNTS(4, 8), NULL), ==,
                    BERTH_PLACE_ERROR_EXISTS);
    g_assert_cmpint(berth_place_get(place, 7, capacity, NULL, &enabled), ==, BERTH_PLACE_OK);
    g_assert_cmpint(capacity[1], ==, 8);
    g_assert_true(enabled);
    assert_available(place, 7, 3, -2);
    g_assert_cmpuint(berth_place_n_hosts(place), ==, 1);

    g_assert_cmpint(berth_place_remove(place, 7), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_remove(place, 7), ==, BERTH_PLACE_ERROR_UNKNOWN_HOST);
    g_assert_cmpuint(berth_place_n_hosts(place), ==, 0);
    g_assert_cmpint(berth_place_add(place, 7, 1, AMOUNTS(1, 1), NULL), ==, BERTH_PLACE_OK);
    assert_available(place, 7, 1, 1);
}

static void test_unsound_amounts_are_refused(void)
{
    static const struct {
        int64_t capacity[2], available[2];
    } cases[] = {
        {{-1, 1}, {-1, 1}},
        {{1, BERTH_PLACE_MAX_AMOUNT + 1}, {1, 1}},
        {{1, 1}, {2, 1}},
        {{1, 1}, {1, -BERTH_PLACE_MAX_AMOUNT - 1}},
        {{INT64_MAX, INT64_MIN}, {0, 0}},
        {{1, 1}, {1, INT64_MIN}},
    };
    g_autoptr(BerthPlace) place = new_fleet(2);

    g_assert_cmpint(berth_place_add(place, 0, 0, AMOUNTS(5, 5), NULL), ==, BERTH_PLACE_OK);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpint(berth_place_add(place, 1, 0, cases[i].capacity, cases[i].available), ==,
                        BERTH_PLACE_ERROR_AMOUNT);
        g_assert_cmpint(berth_place_set(place, 0, cases[i].capacity, cases[i].available), ==,
                        BERTH_PLACE_ERROR_AMOUNT);
    }
    g_assert_cmpuint(berth_place_n_hosts(place), ==, 1);
    assert_available(place, 0, 5, 5);
}

static void test_take_and_give_are_exact(void)
{
    static const struct {
        int64_t vector[2];
        BerthPlaceResult take, give; /* from 3 of 4 and -2 of 8 */
    } cases[] = {
        {{3, 0}, BERTH_PLACE_OK, BERTH_PLACE_ERROR_OVERFILL},
        {{4, 0}, BERTH_PLACE_ERROR_OVERDRAW, BERTH_PLACE_ERROR_OVERFILL},
        {{1, 1}, BERTH_PLACE_ERROR_OVERDRAW, BERTH_PLACE_OK},
        {{1, 10}, BERTH_PLACE_ERROR_OVERDRAW, BERTH_PLACE_OK},
        {{1, 11}, BERTH_PLACE_ERROR_OVERDRAW, BERTH_PLACE_ERROR_OVERFILL},
        {{0, 0}, BERTH_PLACE_OK, BERTH_PLACE_OK},
        {{-1, 0}, BERTH_PLACE_ERROR_AMOUNT, BERTH_PLACE_ERROR_AMOUNT},
        {{0, INT64_MAX}, BERTH_PLACE_ERROR_AMOUNT, BERTH_PLACE_ERROR_AMOUNT},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const int64_t *v = cases[i].vector;
        g_autoptr(BerthPlace) place = new_fleet(2);
        g_autoptr(BerthPlace) other = NULL;

        berth_place_add(place, 0, 0, AMOUNTS(4, 8), AMOUNTS(3, -2));
        g_assert_cmpint(berth_place_copy(place, &other), ==, BERTH_PLACE_OK);
        g_assert_cmpint(berth_place_take(place, 0, v), ==, cases[i].take);
        bool taken = cases[i].take == BERTH_PLACE_OK;
        assert_available(place, 0, taken ? 3 - v[0] : 3, taken ? -2 - v[1] : -2);

        g_assert_cmpint(berth_place_give(other, 0, v), ==, cases[i].give);
        bool given = cases[i].give == BERTH_PLACE_OK;
        assert_available(other, 0, given ? 3 + v[0] : 3, given ? -2 + v[1] : -2);
    }
}

static void test_set(void)
{
    g_autoptr(BerthPlace) place = new_fleet(2);

    berth_place_add(place, 0, 0, AMOUNTS(4, 8), NULL);
    g_assert_cmpint(berth_place_set(place, 0, NULL, AMOUNTS(1, 2)), ==, BERTH_PLACE_OK);
    assert_available(place, 0, 1, 2);
    g_assert_cmpint(berth_place_set(place, 0, NULL, AMOUNTS(5, 2)), ==, BERTH_PLACE_ERROR_AMOUNT);
    g_assert_cmpint(berth_place_set(place, 0, AMOUNTS(5, 2), AMOUNTS(5, 2)), ==, BERTH_PLACE_OK);
    assert_available(place, 0, 5, 2);
}

static void test_unknown_hosts(void)
{
    static const uint32_t hosts[] = {0, 63, 64, 5000, BERTH_PLACE_MAX_HOSTS, BERTH_PLACE_NONE};
    g_autoptr(BerthPlace) place = new_fleet(2);

    berth_place_add(place, 1, 0, AMOUNTS(4, 8), NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++) {
        uint32_t host = hosts[i];

        g_assert_cmpint(berth_place_remove(place, host), ==, BERTH_PLACE_ERROR_UNKNOWN_HOST);
        g_assert_cmpint(berth_place_take(place, host, AMOUNTS(1, 1)), ==,
                        BERTH_PLACE_ERROR_UNKNOWN_HOST);
        g_assert_cmpint(berth_place_give(place, host, AMOUNTS(1, 1)), ==,
                        BERTH_PLACE_ERROR_UNKNOWN_HOST);
        g_assert_cmpint(berth_place_set(place, host, NULL, AMOUNTS(1, 1)), ==,
                        BERTH_PLACE_ERROR_UNKNOWN_HOST);
        g_assert_cmpint(berth_place_set_enabled(place, host, true), ==,
                        BERTH_PLACE_ERROR_UNKNOWN_HOST);
        g_assert_cmpint(berth_place_get(place, host, NULL, NULL, NULL), ==,
                        BERTH_PLACE_ERROR_UNKNOWN_HOST);
    }
    g_assert_cmpint(berth_place_add(place, BERTH_PLACE_MAX_HOSTS, 0, AMOUNTS(1, 1), NULL), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
}

static void test_disabled_host_is_still_booked(void)
{
    g_autoptr(BerthPlace) place = new_fleet(2);
    bool enabled = true;

    berth_place_add(place, 0, 0, AMOUNTS(4, 8), NULL);
    g_assert_cmpint(berth_place_set_enabled(place, 0, false), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_take(place, 0, AMOUNTS(1, 1)), ==, BERTH_PLACE_OK);
    assert_available(place, 0, 3, 7);
    berth_place_get(place, 0, NULL, NULL, &enabled);
    g_assert_false(enabled);
}

static void test_grows_to_the_last_host(void)
{
    g_autoptr(BerthPlace) place = new_fleet(2);

    for (uint32_t host = 0; host < 1000; host++) {
        berth_place_add(place, host, host, AMOUNTS(host, 2 * (int64_t)host), NULL);
    }
    g_assert_cmpint(berth_place_add(place, BERTH_PLACE_MAX_HOSTS - 1, 0, AMOUNTS(1, 2), NULL), ==,
                    BERTH_PLACE_OK);
    assert_available(place, BERTH_PLACE_MAX_HOSTS - 1, 1, 2);
    for (uint32_t host = 0; host < 1000; host++) {
        int64_t available[2];
        berth_place_get(place, host, NULL, available, NULL);
        g_assert_cmpint(available[1], ==, 2 * (int64_t)host);
    }
    g_assert_cmpuint(berth_place_n_hosts(place), ==, 1001);
}

static void test_copy_is_apart(void)
{
    g_autoptr(BerthPlace) place = new_fleet(2);
    g_autoptr(BerthPlace) copy = NULL;

    berth_place_add(place, 0, 0, AMOUNTS(4, 8), NULL);
    g_assert_cmpint(berth_place_copy(place, &copy), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_take(copy, 0, AMOUNTS(4, 8)), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_remove(place, 0), ==, BERTH_PLACE_OK);
    assert_available(copy, 0, 0, 0);
    g_assert_cmpuint(berth_place_n_hosts(place), ==, 0);
}

static void test_check_finds_what_is_broken(void)
{
    g_autoptr(BerthPlace) place = new_fleet(2);

    berth_place_add(place, 0, 0, AMOUNTS(4, 8), NULL);
    g_assert_null(berth_place_check(place));
    place->available.narrow[1] = 9;
    g_assert_nonnull(berth_place_check(place));
    place->available.narrow[1] = 8;
    place->n_hosts = 2;
    g_assert_nonnull(berth_place_check(place));
    place->n_hosts = 1;
    place->states[3] = 99;
    g_assert_nonnull(berth_place_check(place));
}

static void test_amounts_grow_wide(void)
{
    const int64_t large = INT64_C(1) << 40;
    g_autoptr(BerthPlace) place = new_fleet(2);
    g_autoptr(BerthPlace) copy = NULL;

    berth_place_add(place, 0, 0, AMOUNTS(4, 8), AMOUNTS(-3, 5));
    berth_place_add(place, 1, 7, AMOUNTS(4, large), AMOUNTS(0, 0));
    assert_available(place, 0, -3, 5);
    g_assert_cmpint(berth_place_give(place, 1, AMOUNTS(0, large)), ==, BERTH_PLACE_OK);
    assert_available(place, 1, 0, large);
    g_assert_cmpint(berth_place_copy(place, &copy), ==, BERTH_PLACE_OK);
    assert_available(copy, 1, 0, large);
    berth_place_add(copy, 1000, 2, AMOUNTS(1, large), NULL);
    assert_available(copy, 0, -3, 5);
    assert_available(copy, 1000, 1, large);
}

static void test_every_host_may_have_a_shape_of_its_own(void)
{
    g_autoptr(BerthPlace) place = new_fleet(2);
    int64_t capacity[2];

    for (uint32_t host = 0; host < 66000; host++) {
        g_assert_cmpint(berth_place_add(place, host, host, AMOUNTS(1 + host, 8), NULL), ==,
                        BERTH_PLACE_OK);
    }
    for (uint32_t host = 0; host < 66000; host += 2) {
        berth_place_remove(place, host);
    }
    berth_place_add(place, 0, 0, AMOUNTS(70000, 9), NULL);
    berth_place_set(place, 1, AMOUNTS(70000, 9), AMOUNTS(3, 3));
    berth_place_get(place, 65999, capacity, NULL, NULL);
    g_assert_cmpint(capacity[0], ==, 66000);
    assert_available(place, 0, 70000, 9);
    assert_available(place, 1, 3, 3);
}

static void test_every_result_has_words(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (int result = BERTH_PLACE_ERROR_UNSUPPORTED; result <= BERTH_PLACE_NO_HOST; result++) {
        g_assert_true(g_hash_table_add(seen, (char *)berth_place_strerror(result)));
    }
    g_assert_cmpstr(berth_place_strerror((BerthPlaceResult)99), ==, "unknown result");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/fleet/new-checks-its-options", test_new_checks_its_options);
    g_test_add_func("/place/fleet/options-of-a-newer-library", test_options_of_a_newer_library);
    g_test_add_func("/place/fleet/add-and-remove", test_add_and_remove);
    g_test_add_func("/place/fleet/unsound-amounts-are-refused", test_unsound_amounts_are_refused);
    g_test_add_func("/place/fleet/take-and-give-are-exact", test_take_and_give_are_exact);
    g_test_add_func("/place/fleet/set", test_set);
    g_test_add_func("/place/fleet/unknown-hosts", test_unknown_hosts);
    g_test_add_func("/place/fleet/disabled-host-is-still-booked",
                    test_disabled_host_is_still_booked);
    g_test_add_func("/place/fleet/grows-to-the-last-host", test_grows_to_the_last_host);
    g_test_add_func("/place/fleet/copy-is-apart", test_copy_is_apart);
    g_test_add_func("/place/fleet/check-finds-what-is-broken", test_check_finds_what_is_broken);
    g_test_add_func("/place/fleet/amounts-grow-wide", test_amounts_grow_wide);
    g_test_add_func("/place/fleet/every-host-may-have-a-shape-of-its-own",
                    test_every_host_may_have_a_shape_of_its_own);
    g_test_add_func("/place/fleet/every-result-has-words", test_every_result_has_words);
    return g_test_run();
}
