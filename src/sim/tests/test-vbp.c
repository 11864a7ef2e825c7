#include "sim/vbp.h"

#include <string.h>

#include "base/error.h"

static void test_reads_an_instance(void)
{
    static const char *const text = "2\r\n10 20 \r\n\r\n2\n 3 -4\t2\n5 0 1\n\n";
    g_autoptr(GError) error = NULL;
    g_autoptr(Vbp) vbp = vbp_parse("a.vbp", text, strlen(text), &error);

    g_assert_no_error(error);
    g_assert_cmpuint(vbp->problem.n_dims, ==, 2);
    g_assert_cmpuint(vbp->problem.n_kinds, ==, 2);
    g_assert_cmpuint(vbp->n_items, ==, 3);
    g_assert_cmpint(vbp->problem.capacity[1], ==, 20);
    g_assert_cmpint(vbp->problem.sizes[1], ==, -4);
    g_assert_cmpint(vbp->problem.sizes[2], ==, 5);
    g_assert_cmpuint(vbp->problem.demands[0], ==, 2);
    g_autofree char *again = vbp_format(vbp);
    g_assert_cmpstr(again, ==, "2\n10 20\n2\n3 -4 2\n5 0 1\n");
}

static void test_nothing_to_pack_is_an_instance(void)
{
    g_autoptr(Vbp) vbp = vbp_parse("a.vbp", "1\n5\n0", 5, NULL);

    g_assert_nonnull(vbp);
    g_assert_cmpuint(vbp->n_items, ==, 0);
}

static void test_an_item_over_a_bin_needs_a_negative_one(void)
{
    static const char *const text = "1\n10\n2\n12 1\n-2 1\n";
    g_autoptr(Vbp) vbp = vbp_parse("a.vbp", text, strlen(text), NULL);

    g_assert_nonnull(vbp);
}

static void test_refuses_with_line_and_column(void)
{
    static const struct {
        const char *text, *where, *what;
    } cases[] = {
        {"", "f:1:1", "too short"},
        {"\n\n", "f:3:1", "too short"},
        {"x\n", "f:1:1", "not a whole number"},
        {"0\n", "f:1:1", "out of its range"},
        {"17\n", "f:1:1", "out of its range"},
        {"-1\n", "f:1:1", "out of its range"},
        {"1 1\n", "f:1:3", "too much"},
        {"2\n10\n", "f:2:3", "ends too early"},
        {"2\n10 10 10\n", "f:2:7", "too much"},
        {"1\n-5\n", "f:2:1", "out of its range"},
        {"1\n8796093022208\n", "f:2:1", "out of its range"},
        {"1\n99999999999999999999999\n", "f:2:1", "out of its range"},
        {"1\n10\n", "f:3:1", "too short"},
        {"1\n10\n-1\n", "f:3:1", "out of its range"},
        {"1\n10\n2000000\n", "f:3:1", "out of its range"},
        {"1\n10\n2\n5 1\n", "f:5:1", "ends before its last item"},
        {"1\n10\n1\n5\n", "f:4:2", "ends too early"},
        {"1\n10\n1\n5 1 1\n", "f:4:5", "too much"},
        {"1\n10\n1\n5 -1\n", "f:4:3", "out of its range"},
        {"1\n10\n1\n5.5 1\n", "f:4:1", "not a whole number"},
        {"1\n10\n1\n+5 1\n", "f:4:1", "not a whole number"},
        {"1\n10\n1\n- 1\n", "f:4:1", "not a whole number"},
        {"1\n10\n1\n5 1\n6 1\n", "f:5:1", "goes on"},
        {"1\n10\n2\n5 1048576\n6 1\n", "f:5:3", "out of its range"},
        {"2\n10 10\n2\n5 5 1\n5 11 1\n", "f:5:3", "larger than a bin"},
        {"1\r\n10\r\n1\r\n 11 1\r\n", "f:4:2", "larger than a bin"},
        {"\xef\xbb\xbf", "f:1:1", "too short"},
        {"\xef\xbb\xbf"
         "1 1\n",
         "f:1:3", "too much"},
        {"one\n10\n0\n", "f:1:1", "not a whole number"},
        {"1\n10\n0x2\n", "f:3:1", "not a whole number"},
        {"1\n10\n1\n5,1\n", "f:4:1", "not a whole number"},
        {"1\n10\n1\n5 9223372036854775808\n", "f:4:3", "out of its range"},
        {"1\n10\n1\n-8796093022208 1\n", "f:4:1", "out of its range"},
        {"1\n10\n1\n5\t\t1x\n", "f:4:4", "not a whole number"},
        {"1\n10\n2\n5 1\n6", "f:5:2", "ends too early"},
        {"1\n10\n2\n5 1\n6 ", "f:5:3", "ends too early"},
        {"1\n10\n1\n5 1\ngarbage\n", "f:5:1", "goes on"},
        {"1\r10\r0\r", "f:1:3", "too much"},
        {"1\n1\x1b[0m\n", "f:2:2", "not text"},
        {"1\n10\n1\n5 \x01\n", "f:4:3", "not text"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Vbp) vbp = vbp_parse("f", cases[i].text, strlen(cases[i].text), &error);

        g_assert_null(vbp);
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(berth_error_field(error), ==, cases[i].where);
        g_assert_nonnull(berth_error_remedy(error));
        if (strstr(error->message, cases[i].what) == NULL) {
            g_error("case %zu says: %s", i, error->message);
        }
    }
}

static void test_a_zero_byte_is_no_number(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Vbp) vbp = vbp_parse("f", "1\0\n5\n0\n", 7, &error);

    g_assert_null(vbp);
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(error->message, ==, "f: line 1, column 2: this is not text");
}

static void test_a_wrong_count_is_told_with_its_line(void)
{
    static const char *const texts[] = {"\n1\n10\n\n2\n5 1\n", "\n1\n10\n\n0\n5 1\n"};
    static const char *const remedies[] = {
        "line 5 says that there are 2 kinds of items, and 1 are read: correct the count, or add "
        "the "
        "others",
        "line 5 says that there are 0 kinds of items, and 0 are read: correct the count, or end "
        "the "
        "file here",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(vbp_parse("f", texts[i], strlen(texts[i]), &error));
        g_assert_cmpstr(berth_error_remedy(error), ==, remedies[i]);
    }
}

static void test_a_line_of_a_million_digits_is_refused(void)
{
    g_autofree char *digits = g_strnfill(1 << 20, '7');
    g_autofree char *text = g_strconcat("1\n10\n1\n5 ", digits, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(vbp_parse("f", text, strlen(text), &error));
    g_assert_cmpstr(error->message, ==, "f: line 4, column 3: the number is out of its range");
    g_assert_cmpuint(strlen(berth_error_value(error)), <, 200);
}

static void test_the_mark_of_an_editor_is_of_no_account(void)
{
    static const char *const text = "\xef\xbb\xbf"
                                    "1\n5\n1\n4 1\n";
    g_autoptr(Vbp) vbp = vbp_parse("f", text, strlen(text), NULL);

    g_assert_nonnull(vbp);
    g_assert_cmpuint(vbp->n_items, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sim/vbp/reads-an-instance", test_reads_an_instance);
    g_test_add_func("/sim/vbp/nothing-to-pack-is-an-instance", test_nothing_to_pack_is_an_instance);
    g_test_add_func("/sim/vbp/an-item-over-a-bin-needs-a-negative-one",
                    test_an_item_over_a_bin_needs_a_negative_one);
    g_test_add_func("/sim/vbp/refuses-with-line-and-column", test_refuses_with_line_and_column);
    g_test_add_func("/sim/vbp/a-zero-byte-is-no-number", test_a_zero_byte_is_no_number);
    g_test_add_func("/sim/vbp/a-wrong-count-is-told-with-its-line",
                    test_a_wrong_count_is_told_with_its_line);
    g_test_add_func("/sim/vbp/a-line-of-a-million-digits-is-refused",
                    test_a_line_of_a_million_digits_is_refused);
    g_test_add_func("/sim/vbp/the-mark-of-an-editor-is-of-no-account",
                    test_the_mark_of_an_editor_is_of_no_account);
    return g_test_run();
}
