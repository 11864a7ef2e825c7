#include "keep/tail.h"

#include <glib.h>
#include <string.h>

static void add(KeepTail *tail, const char *text)
{
    keep_tail_add(tail, text, strlen(text));
}

static void test_nothing_is_null(void)
{
    KeepTail tail = {0};
    g_assert_null(keep_tail_text(&tail));
}

static void test_short_text_stays_whole(void)
{
    KeepTail tail = {0};
    add(&tail, "qemu: first\n");
    add(&tail, "second\n");
    g_autofree char *text = keep_tail_text(&tail);
    g_assert_cmpstr(text, ==, "qemu: first\nsecond");
}

static void test_the_oldest_lines_go_whole(void)
{
    KeepTail tail = {0};
    for (int i = 0; i < 2000; i++) {
        g_autofree char *line = g_strdup_printf("line %04d\n", i);
        add(&tail, line);
    }
    g_autofree char *text = keep_tail_text(&tail);
    g_assert_true(g_str_has_prefix(text, "line "));
    g_assert_true(g_str_has_suffix(text, "line 1999"));
    g_assert_cmpuint(strlen(text), <=, KEEP_TAIL_BYTES);
    g_assert_cmpuint(strlen(text), >, KEEP_TAIL_BYTES - 20);
}

static void test_one_write_beyond_the_bound(void)
{
    KeepTail tail = {0};
    g_autofree char *big = g_strnfill(3 * KEEP_TAIL_BYTES, 'x');
    memcpy(big + strlen(big) - 3, "end", 3);
    add(&tail, "before\n");
    add(&tail, big);
    g_autofree char *text = keep_tail_text(&tail);
    g_assert_cmpuint(strlen(text), ==, KEEP_TAIL_BYTES);
    g_assert_true(g_str_has_suffix(text, "end"));
    g_assert_null(strstr(text, "before"));
}

/* Each such byte takes three in its replacement: the bound is on the result. */
static void test_bytes_that_are_no_text(void)
{
    KeepTail tail = {0};
    char bytes[KEEP_TAIL_BYTES];
    memset(bytes, 0xff, sizeof bytes);
    keep_tail_add(&tail, bytes, sizeof bytes);
    g_autofree char *text = keep_tail_text(&tail);
    g_assert_true(g_utf8_validate(text, -1, NULL));
    g_assert_cmpuint(strlen(text), <=, KEEP_TAIL_BYTES);
    g_assert_cmpuint(strlen(text), >, 0);
}

static void test_zeros_do_not_hide_the_rest(void)
{
    KeepTail tail = {0};
    keep_tail_add(&tail, "a\0b", 3);
    g_autofree char *text = keep_tail_text(&tail);
    g_assert_true(g_str_has_suffix(text, "b"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keep/tail/nothing-is-null", test_nothing_is_null);
    g_test_add_func("/keep/tail/short-text-stays-whole", test_short_text_stays_whole);
    g_test_add_func("/keep/tail/oldest-lines-go-whole", test_the_oldest_lines_go_whole);
    g_test_add_func("/keep/tail/one-write-beyond-the-bound", test_one_write_beyond_the_bound);
    g_test_add_func("/keep/tail/bytes-that-are-no-text", test_bytes_that_are_no_text);
    g_test_add_func("/keep/tail/zeros-do-not-hide-the-rest", test_zeros_do_not_hide_the_rest);
    return g_test_run();
}
