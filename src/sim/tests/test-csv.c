#include "sim/csv.h"

#include <string.h>

#include "base/error.h"

static Csv *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    Csv *csv = csv_parse("t.csv", text, strlen(text), &error);

    g_assert_no_error(error);
    return csv;
}

static void test_columns_are_found_by_name(void)
{
    g_autoptr(Csv) csv = parse("\xef\xbb\xbf"
                               "b, a\r\n\r\n1 , x y\r\n,\n");
    g_autoptr(GError) error = NULL;
    guint a = 9;
    int64_t number = 0;

    g_assert_cmpuint(csv_n_rows(csv), ==, 2);
    g_assert_true(csv_require(csv, "a", &a, &error));
    g_assert_cmpstr(csv_field(csv, 0, a), ==, "x y");
    g_assert_cmpstr(csv_field(csv, 1, a), ==, "");
    g_assert_true(csv_number(csv, 0, csv_column(csv, "b"), 0, 1, &number, &error));
    g_assert_cmpint(number, ==, 1);
    g_assert_cmpuint(csv_column(csv, "c"), ==, CSV_NONE);
}

static void test_malformed_tables_are_refused(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "t.csv: line 1, column 1: the file is empty"},
        {"\n\n", "t.csv: line 1, column 1: the file is empty"},
        {"a,,b\n", "t.csv: line 1, column 3: a column has no name"},
        {"a,b, a\n", "t.csv: line 1, column 6: two columns have the same name"},
        {"a,b\n1,2\n1,2,3\n", "t.csv: line 3, column 5: the line has 3 fields"},
        {"a,b\n\n1\n", "t.csv: line 3, column 1: the line has 1 fields"},
        {"a,b\n1,\"2\"\n", "t.csv: line 2, column 3: fields are not quoted"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(csv_parse("t.csv", cases[i].text, strlen(cases[i].text), &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(error->message, ==, cases[i].message);
        g_assert_nonnull(berth_error_remedy(error));
    }
    g_autoptr(GError) error = NULL;
    g_assert_null(csv_parse("t.csv", "a\n1\0002\n", 6, &error));
    g_assert_cmpstr(error->message, ==, "t.csv: line 2, column 2: this is not text");
}

static void test_numbers_are_refused_with_field_and_value(void)
{
    g_autoptr(Csv) csv = parse("a,b\n1,4x\n2,\n3,11\n4,-1\n5,99999999999999999999\n");
    static const char *const messages[] = {
        "t.csv: line 2, column 3: this is not a whole number",
        "t.csv: line 3, column 3: a number is missing",
        "t.csv: line 4, column 3: the number is out of its range",
        "t.csv: line 5, column 3: the number is out of its range",
        "t.csv: line 6, column 3: the number is out of its range",
    };

    for (guint row = 0; row < G_N_ELEMENTS(messages); row++) {
        g_autoptr(GError) error = NULL;
        int64_t number = 77;
        g_assert_false(csv_number(csv, row, 1, 0, 10, &number, &error));
        g_assert_cmpstr(error->message, ==, messages[row]);
        g_assert_cmpstr(berth_error_field(error), ==, "b");
        g_assert_cmpstr(berth_error_value(error), ==, csv_field(csv, row, 1));
        g_assert_cmpint(number, ==, 77);
    }
    g_autoptr(GError) error = NULL;
    guint column;
    g_assert_false(csv_require(csv, "c", &column, &error));
    g_assert_cmpstr(berth_error_field(error), ==, "c");
    g_assert_cmpstr(berth_error_value(error), ==, "a,b");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sim/csv/by-name", test_columns_are_found_by_name);
    g_test_add_func("/sim/csv/malformed", test_malformed_tables_are_refused);
    g_test_add_func("/sim/csv/numbers", test_numbers_are_refused_with_field_and_value);
    return g_test_run();
}
