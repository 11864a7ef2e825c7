#include "base/ulid.h"
#include "base/error.h"

#include <string.h>

static const uint8_t zeros[BERTH_ULID_RANDOM_BYTES] = {0};
static const uint8_t ones[BERTH_ULID_RANDOM_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff,
                                                      0xff, 0xff, 0xff, 0xff, 0xff};

static void test_make(void)
{
    static const uint8_t counted[BERTH_ULID_RANDOM_BYTES] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 33};
    char ulid[BERTH_ULID_SIZE];

    /* The time is the specification's example: 1469918176385 is 01ARYZ6S41. */
    berth_ulid_make(1469918176385, counted, ulid);
    g_assert_cmpstr(ulid, ==, "01ARYZ6S410000000100000011");
    berth_ulid_make(0, zeros, ulid);
    g_assert_cmpstr(ulid, ==, "00000000000000000000000000");
    berth_ulid_make(BERTH_ULID_MAX_MS, ones, ulid);
    g_assert_cmpstr(ulid, ==, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    berth_ulid_make(-1, zeros, ulid);
    g_assert_cmpstr(ulid, ==, "00000000000000000000000000");
    berth_ulid_make(INT64_MAX, ones, ulid);
    g_assert_cmpstr(ulid, ==, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
}

static void test_time_is_kept(void)
{
    static const int64_t times[] = {0, 1, 31, 32, 1469918176385, BERTH_ULID_MAX_MS};
    char ulid[BERTH_ULID_SIZE];

    for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
        berth_ulid_make(times[i], ones, ulid);
        g_assert_true(berth_ulid_is_valid(ulid));
        g_assert_cmpint(berth_ulid_time(ulid), ==, times[i]);
    }
}

static void test_validity(void)
{
    static const struct {
        const char *text;
        bool valid;
        const char *parsed; /* NULL: refused */
    } cases[] = {
        {"01ARYZ6S410000000100000011", true, "01ARYZ6S410000000100000011"},
        {"01aryz6s410000000100000011", false, "01ARYZ6S410000000100000011"},
        {"OlARYZ6S4I0000000100000011", false, "01ARYZ6S410000000100000011"},
        {"7ZZZZZZZZZZZZZZZZZZZZZZZZZ", true, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"},
        {"8ZZZZZZZZZZZZZZZZZZZZZZZZZ", false, NULL},
        {"01ARYZ6S41000000010000001", false, NULL},
        {"01ARYZ6S4100000001000000111", false, NULL},
        {"01ARYZ6S41000000010000001U", false, NULL},
        {"01ARYZ6S4100000001000000-1", false, NULL},
        {" 1ARYZ6S410000000100000011", false, NULL},
        {"", false, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        char ulid[BERTH_ULID_SIZE] = "untouched";

        g_assert_true(berth_ulid_is_valid(cases[i].text) == cases[i].valid);
        g_assert_true(berth_ulid_parse("id", cases[i].text, ulid, &error) ==
                      (cases[i].parsed != NULL));
        if (cases[i].parsed != NULL) {
            g_assert_cmpstr(ulid, ==, cases[i].parsed);
        } else {
            g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
            g_assert_cmpstr(berth_error_field(error), ==, "id");
            g_assert_nonnull(berth_error_remedy(error));
            g_assert_cmpstr(ulid, ==, "untouched");
        }
    }
}

static void test_generator_only_rises(void)
{
    static const int64_t times[] = {1000, 1000, 1000, 999, 0, 1001, 1001, 5000, 2000, 5001};
    char previous[BERTH_ULID_SIZE] = "", ulid[BERTH_ULID_SIZE];
    BerthUlidGenerator generator;

    berth_ulid_generator_init(&generator, 42);
    for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
        berth_ulid_generator_next(&generator, times[i], ulid);
        g_assert_true(berth_ulid_is_valid(ulid));
        if (i > 0) {
            g_assert_cmpint(berth_ulid_compare(previous, ulid), <, 0);
        }
        memcpy(previous, ulid, sizeof previous);
    }
    g_assert_cmpint(berth_ulid_time(ulid), ==, 5001);
}

static void test_generator_follows_what_was(void)
{
    BerthUlidGenerator before, after;
    char known[BERTH_ULID_SIZE], ulid[BERTH_ULID_SIZE];

    berth_ulid_generator_init(&before, 42);
    berth_ulid_generator_init(&after, 43);
    berth_ulid_generator_next(&before, 5000, known);
    berth_ulid_generator_follow(&after, known);
    for (int i = 0; i < 3; i++) {
        berth_ulid_generator_next(&after, 1000, ulid);
        g_assert_cmpint(berth_ulid_compare(ulid, known), >, 0);
    }
    berth_ulid_generator_next(&after, 9000, ulid);
    berth_ulid_generator_follow(&after, known);
    berth_ulid_generator_next(&after, 9000, known);
    g_assert_cmpint(berth_ulid_compare(known, ulid), >, 0);
    g_assert_cmpint(berth_ulid_time(known), ==, 9000);
}

static void test_generator_repeats_by_seed(void)
{
    char a[BERTH_ULID_SIZE], b[BERTH_ULID_SIZE], c[BERTH_ULID_SIZE];
    BerthUlidGenerator one, same, other;

    berth_ulid_generator_init(&one, 42);
    berth_ulid_generator_init(&same, 42);
    berth_ulid_generator_init(&other, 43);
    for (int i = 0; i < 10; i++) {
        berth_ulid_generator_next(&one, i / 3, a);
        berth_ulid_generator_next(&same, i / 3, b);
        berth_ulid_generator_next(&other, i / 3, c);
        g_assert_cmpstr(a, ==, b);
        g_assert_cmpstr(a, !=, c);
    }
}

static void test_generator_carries_into_time(void)
{
    char before[BERTH_ULID_SIZE], ulid[BERTH_ULID_SIZE];
    BerthUlidGenerator generator;

    berth_ulid_generator_init(&generator, 1);
    berth_ulid_generator_next(&generator, 1000, before);
    memcpy(generator.random, ones, sizeof ones);
    berth_ulid_generator_next(&generator, 1000, ulid);
    g_assert_cmpint(berth_ulid_time(ulid), ==, 1001);
    g_assert_cmpint(berth_ulid_compare(before, ulid), <, 0);

    memset(generator.random, 0xff, BERTH_ULID_RANDOM_BYTES);
    generator.random[0] = 0;
    berth_ulid_generator_next(&generator, 1000, ulid);
    g_assert_cmpstr(ulid + 10, ==, "0400000000000000");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/ulid/make", test_make);
    g_test_add_func("/base/ulid/time-is-kept", test_time_is_kept);
    g_test_add_func("/base/ulid/validity", test_validity);
    g_test_add_func("/base/ulid/generator-only-rises", test_generator_only_rises);
    g_test_add_func("/base/ulid/generator-followsgenerator-follows",
                    test_generator_follows_what_was);
    g_test_add_func("/base/ulid/generator-repeats-by-seed", test_generator_repeats_by_seed);
    g_test_add_func("/base/ulid/generator-carries-into-time", test_generator_carries_into_time);
    return g_test_run();
}
