#include "cli/table.h"

static void test_aligns(void)
{
    static const char *const headings[] = {"NAME", ">N", "LAST", NULL};
    g_autoptr(Table) table = table_new(headings);
    table_add(table, "a");
    table_add_integer(table, 1000);
    table_add(table, NULL);
    table_add(table, "日本é");
    table_add_integer(table, 7);
    table_add(table, "x");
    g_autofree char *text = table_render(table, false);
    g_assert_cmpstr(text, ==, "NAME      N  LAST\na      1000  -\n日本é     7  x\n");
}

static void test_empty(void)
{
    static const char *const headings[] = {"NAME", ">N", NULL};
    g_autoptr(Table) table = table_new(headings);
    g_autofree char *text = table_render(table, false);
    g_assert_cmpstr(text, ==, "NAME  N\n");
}

static void test_no_headings(void)
{
    static const char *const headings[] = {"", "", NULL};
    g_autoptr(Table) table = table_new(headings);
    table_add(table, "Name");
    table_add(table, "web");
    g_autofree char *text = table_render(table, true);
    g_assert_cmpstr(text, ==, "Name  web\n");
}

static void test_color_changes_no_width(void)
{
    static const char *const headings[] = {"STATE", "B", NULL};
    g_autoptr(Table) table = table_new(headings);
    table_add(table, "running");
    table_add(table, "up-and-down");
    table_add(table, "failed (x)");
    table_add(table, "down");
    g_autofree char *text = table_render(table, true);
    g_assert_cmpstr(text, ==,
                    "\033[1mSTATE\033[0m       \033[1mB\033[0m\n"
                    "\033[32mrunning\033[0m     up-and-down\n"
                    "\033[31mfailed (x)\033[0m  \033[31mdown\033[0m\n");
}

static void test_nothing_moves_the_cursor(void)
{
    g_autofree char *text = table_safe_text("a\033[2Jb\nc\x7f\xff\xe2\x80\xae"
                                            "d\xc2\x9b");
    g_assert_cmpstr(text, ==, "a?[2Jb c?\xef\xbf\xbd?d?");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/table/aligns", test_aligns);
    g_test_add_func("/cli/table/empty", test_empty);
    g_test_add_func("/cli/table/no-headings", test_no_headings);
    g_test_add_func("/cli/table/color-changes-no-width", test_color_changes_no_width);
    g_test_add_func("/cli/table/nothing-moves-the-cursor", test_nothing_moves_the_cursor);
    return g_test_run();
}
