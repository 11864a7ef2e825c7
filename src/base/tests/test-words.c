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
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/words/join", test_join);
    return g_test_run();
}
