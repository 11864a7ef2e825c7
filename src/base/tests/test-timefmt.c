#include "base/timefmt.h"
#include "base/error.h"

static void test_both_ways(void)
{
    static const struct {
        int64_t time_ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {1469918176385, "2016-07-30T22:36:16.385Z"},
        {1709164800000, "2024-02-29T00:00:00.000Z"},
        {BERTH_TIME_MIN, "0001-01-01T00:00:00.000Z"},
        {BERTH_TIME_MAX, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = berth_time_format(cases[i].time_ms);
        g_autoptr(GError) error = NULL;
        int64_t time_ms;

        g_assert_cmpstr(text, ==, cases[i].text);
        berth_time_parse(NULL, text, &time_ms, &error);
        g_assert_no_error(error);
        g_assert_cmpint(time_ms, ==, cases[i].time_ms);
    }
}

static void test_ends_hold(void)
{
    g_autofree char *before = berth_time_format(INT64_MIN);
    g_autofree char *after = berth_time_format(INT64_MAX);

    g_assert_cmpstr(before, ==, "0001-01-01T00:00:00.000Z");
    g_assert_cmpstr(after, ==, "9999-12-31T23:59:59.999Z");
}

static void test_parse(void)
{
    static const struct {
        const char *text;
        int64_t time_ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},      {"1970-01-01t00:00:00z", 0},
        {"1970-01-01T00:00:00.5Z", 500},  {"1970-01-01T00:00:00.123999999999Z", 123},
        {"1970-01-01T02:00:00+02:00", 0}, {"1969-12-31T18:30:00-05:30", 0},
        {"1970-01-01T00:00:00-00:00", 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        int64_t time_ms = -1;

        berth_time_parse(NULL, cases[i].text, &time_ms, &error);
        g_assert_no_error(error);
        g_assert_cmpint(time_ms, ==, cases[i].time_ms);
    }
}

static void test_refuse(void)
{
    static const char *const cases[] = {
        "",
        "now",
        "2026-11-25",
        "2026-11-25T06:58:47",
        "2026-11-25 06:58:47Z",
        "2026-11-25T06:58:47Z ",
        "2026-11-25T06:58Z",
        "2026-11-25T6:58:47Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-11-25T24:00:00Z",
        "2026-11-25T23:60:00Z",
        "2026-12-31T23:59:60Z",
        "2026-11-25T06:58:47.Z",
        "2026-11-25T06:58:47+0200",
        "2026-11-25T06:58:47+24:00",
        "2026-11-25T06:58:47+02:60",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "12026-11-25T06:58:47Z",
        "-026-11-25T06:58:47Z",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        int64_t time_ms = -7;

        g_test_message("%s", cases[i]);
        g_assert_false(berth_time_parse("start", cases[i], &time_ms, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(berth_error_field(error), ==, "start");
        g_assert_cmpstr(berth_error_value(error), ==, cases[i]);
        g_assert_nonnull(berth_error_remedy(error));
        g_assert_cmpint(time_ms, ==, -7);
    }
}

static void test_ages(void)
{
    static const struct {
        int64_t age_ms;
        const char *age, *ago;
    } cases[] = {
        {0, "0s", "now"},
        {999, "0s", "now"},
        {-999, "0s", "now"},
        {1000, "1s", "1s ago"},
        {59999, "59s", "59s ago"},
        {60000, "1m", "1m ago"},
        {180000, "3m", "3m ago"},
        {3599999, "59m", "59m ago"},
        {3600000, "1h", "1h ago"},
        {INT64_C(47) * 3600000, "47h", "47h ago"},
        {INT64_C(48) * 3600000, "2d", "2d ago"},
        {INT64_C(729) * 86400000, "729d", "729d ago"},
        {INT64_C(730) * 86400000, "2y", "2y ago"},
        {INT64_MAX, "292471208y", "292471208y ago"},
        {-180000, "0s", "in 3m"},
        {-59499, "0s", "in 59s"},
        {-59999, "0s", "in 1m"},
        {-3599990, "0s", "in 1h"},
        {-INT64_C(7199990), "0s", "in 2h"},
        {-INT64_C(5340000), "0s", "in 1h"},
        {-INT64_C(30) * 86400000 + 10, "0s", "in 30d"},
        {-INT64_MAX, "0s", "in 292471209y"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *age = berth_age_format(cases[i].age_ms);
        g_autofree char *ago = berth_time_ago_format(-cases[i].age_ms, 0);

        g_assert_cmpstr(age, ==, cases[i].age);
        g_assert_cmpstr(ago, ==, cases[i].ago);
    }
}

static void test_ages_do_not_overflow(void)
{
    g_autofree char *past = berth_time_ago_format(INT64_MIN, INT64_MAX);
    g_autofree char *future = berth_time_ago_format(INT64_MAX, INT64_MIN);

    g_assert_cmpstr(past, ==, "292471208y ago");
    g_assert_cmpstr(future, ==, "in 292471209y");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/timefmt/both-ways", test_both_ways);
    g_test_add_func("/base/timefmt/ends-hold", test_ends_hold);
    g_test_add_func("/base/timefmt/parse", test_parse);
    g_test_add_func("/base/timefmt/refuse", test_refuse);
    g_test_add_func("/base/timefmt/ages", test_ages);
    g_test_add_func("/base/timefmt/ages-do-not-overflow", test_ages_do_not_overflow);
    return g_test_run();
}
