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
        {"a,b\n\n1\n", "t.csv: line 3, column 1: the line has 1 field"},
        {"a,b\n1,\"2\"\n", "t.csv: line 2, column 3: fields are not quoted"},
        {"\xef\xbb\xbf", "t.csv: line 1, column 1: the file is empty"},
        {"\xef\xbb\xbf"
         "a,a\n",
         "t.csv: line 1, column 3: two columns have the same name"},
        {" \t\r\n,\n", "t.csv: line 2, column 1: a column has no name"},
        {"a,b\n1,2\n3", "t.csv: line 3, column 1: the line has 1 field"},
        {"a,b\n1,2,\n", "t.csv: line 2, column 5: the line has 3 fields"},
        {"a\tb\n1,2\n", "t.csv: line 2, column 3: the line has 2 fields"},
        {"a,b\n1;2\n", "t.csv: line 2, column 1: the line has 1 field"},
        {"a\x01,\"b\"\n", "t.csv: line 1, column 2: this is not text"},
        {"\"a\x01\"\n", "t.csv: line 1, column 1: fields are not quoted"},
        {"a,b\r1,2\r", "t.csv: line 1, column 4: this is not text"},
        {"a,b\n1,\x1b[31m\n", "t.csv: line 2, column 3: this is not text"},
        {"\xff\xfe"
         "a\x01",
         "t.csv: line 1, column 4: this is not text"},
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

static void test_a_line_of_a_million_bytes_is_refused(void)
{
    g_autofree char *digits = g_strnfill(1 << 20, '7'), *commas = g_strnfill(1 << 20, ',');
    g_autofree char *one = g_strconcat("a,b\n1,", digits, "\n", NULL);
    g_autofree char *many = g_strconcat("a,b\n1", commas, "\n", NULL);
    g_autoptr(Csv) csv = parse(one);
    g_autoptr(GError) error = NULL, other = NULL;
    int64_t number;

    g_assert_false(csv_number(csv, 0, 1, 0, G_MAXINT64, &number, &error));
    g_assert_cmpstr(error->message, ==, "t.csv: line 2, column 3: the number is out of its range");
    g_assert_cmpuint(strlen(berth_error_value(error)), <, 200);
    g_assert_null(csv_parse("t.csv", many, strlen(many), &other));
    g_assert_cmpstr(other->message, ==,
                    "t.csv: line 2, column 1048578: the line has 1048577 fields");
}

static void test_a_missing_column_is_told_where_the_names_stand(void)
{
    g_autoptr(Csv) csv = parse("\n\na;b\n1;2\n");
    g_autoptr(GError) error = NULL, rows = NULL;
    guint column;

    g_assert_false(csv_require(csv, "b", &column, &error));
    g_assert_cmpstr(error->message, ==, "t.csv: line 3, column 1: a column is missing");
    g_assert_cmpstr(berth_error_value(error), ==, "a;b");
    g_assert_nonnull(strstr(berth_error_remedy(error), "commas"));
    g_assert_false(csv_refuse_rows(csv, "add some", "no rows", &rows));
    g_assert_cmpstr(rows->message, ==, "t.csv: line 4, column 1: no rows");
}

static void test_numbers_are_refused_with_field_and_value(void)
{
    g_autoptr(Csv) csv = parse("a,b\n1,4x\n2,\n3,11\n4,-1\n5,99999999999999999999\n"
                               "6,1 2\n7,+1\n8,-\n9,1.0\n10,0x1\n");
    static const char *const messages[] = {
        "t.csv: line 2, column 3: this is not a whole number",
        "t.csv: line 3, column 3: a number is missing",
        "t.csv: line 4, column 3: the number is out of its range",
        "t.csv: line 5, column 3: the number is out of its range",
        "t.csv: line 6, column 3: the number is out of its range",
        "t.csv: line 7, column 3: this is not a whole number",
        "t.csv: line 8, column 3: this is not a whole number",
        "t.csv: line 9, column 3: this is not a whole number",
        "t.csv: line 10, column 3: this is not a whole number",
        "t.csv: line 11, column 4: this is not a whole number",
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
    g_test_add_func("/sim/csv/a-million-bytes", test_a_line_of_a_million_bytes_is_refused);
    g_test_add_func("/sim/csv/missing-column", test_a_missing_column_is_told_where_the_names_stand);
    g_test_add_func("/sim/csv/numbers", test_numbers_are_refused_with_field_and_value);
    return g_test_run();
}
