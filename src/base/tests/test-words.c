#include "base/words.h"

static void test_join(void)
{
    static const struct {
        const char *items[4], *text;
    } cases[] = {
        {{NULL}, ""},
        {{"a", NULL}, "a"},
        {{"a", "b", NULL}, "a and b"},
        {{"a", "b", "c", NULL}, "a, b and c"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) items = g_ptr_array_new();
        for (size_t k = 0; cases[i].items[k] != NULL; k++) {
            g_ptr_array_add(items, (void *)cases[i].items[k]);
        }
        g_autofree char *text = berth_words_join(items);
        g_assert_cmpstr(text, ==, cases[i].text);
        g_auto(GStrv) parts = g_strsplit(cases[i].text, " and ", -1);
        g_autofree char *expected = g_strjoinv(" or ", parts);
        g_autofree char *choice = berth_words_choice(items);
        g_assert_cmpstr(choice, ==, expected);
    }
}

static void test_count(void)
{
    g_autofree char *none = berth_words_count(0, "VM"), *one = berth_words_count(1, "VM"),
                    *two = berth_words_count(2, "VM");
    g_assert_cmpstr(none, ==, "0 VMs");
    g_assert_cmpstr(one, ==, "1 VM");
    g_assert_cmpstr(two, ==, "2 VMs");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/words/join", test_join);
    g_test_add_func("/words/count", test_count);
    return g_test_run();
}
