#include "base/credits.h"
#include "base/error.h"

static void test_what_is_written_is_read_again(void)
{
    static const struct {
        const char *text;
        int64_t micro;
    } rows[] = {{"0", 0},
                {"1", 1000000},
                {"12.5", 12500000},
                {"0.000001", 1},
                {"-0.000001", -1},
                {"-3", -3000000},
                {"9223372036852.999999", INT64_C(9223372036852999999)}};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        int64_t micro = -7;
        g_autoptr(GError) error = NULL;
        g_assert_true(berth_credits_parse("amount", rows[i].text, &micro, &error));
        g_assert_cmpint(micro, ==, rows[i].micro);
        g_autofree char *text = berth_credits_format(micro);
        g_assert_cmpstr(text, ==, rows[i].text);
    }
    int64_t micro;
    g_assert_true(berth_credits_parse("amount", "007.10", &micro, NULL));
    g_assert_cmpint(micro, ==, 7100000);
    g_autofree char *least = berth_credits_format(INT64_MIN);
    g_assert_cmpstr(least, ==, "-9223372036854.775808");
}

static void test_what_is_no_number_is_refused(void)
{
    static const char *const bad[] = {"",    "-",  "1.",   ".5",   "1.0000001",
                                      "1e3", "+1", "1.-5", "0x10", "--1",
                                      "1 ",  " 1", "1,5",  "1.+1", "99999999999999"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        int64_t micro = -7;
        g_autoptr(GError) error = NULL;
        g_assert_false(berth_credits_parse("amount", bad[i], &micro, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(berth_error_field(error), ==, "amount");
        g_assert_cmpint(micro, ==, -7);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/credits/what-is-written-is-read-again",
                    test_what_is_written_is_read_again);
    g_test_add_func("/base/credits/what-is-no-number-is-refused",
                    test_what_is_no_number_is_refused);
    return g_test_run();
}
