#include "keep/problem.h"

#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "rpc/message.h"

static void test_the_agent_reads_all_of_it(void)
{
    g_autoptr(GError) error = NULL;
    berth_error_set(&error, BERTH_ERROR_INVALID, "taps[1].name", "bt\"0", "make the tap", "no tap");
    g_autofree char *text = keep_problem_write(error);
    g_assert_null(strchr(text, '\n'));
    json_t *json = json_loads(text, 0, NULL);
    g_assert_nonnull(json);
    g_autoptr(GError) read = rpc_error_from_json(json);
    json_decref(json);
    g_assert_error(read, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(read->message, ==, "no tap");
    g_assert_cmpstr(berth_error_field(read), ==, "taps[1].name");
    g_assert_cmpstr(berth_error_value(read), ==, "bt\"0");
    g_assert_cmpstr(berth_error_remedy(read), ==, "make the tap");
}

static void test_the_keeper_reads_its_child(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) read = NULL;
    berth_error_set(&error, BERTH_ERROR_EXISTS, NULL, NULL, NULL, "there \xff already");
    g_autofree char *text = keep_problem_write(error);
    g_assert_false(keep_problem_read(text, &read));
    g_assert_error(read, BERTH_ERROR, BERTH_ERROR_EXISTS);
    g_assert_true(g_str_has_prefix(read->message, "there "));
    g_assert_true(g_str_has_suffix(read->message, " already"));
    g_assert_null(berth_error_field(read));
}

static void test_other_text_is_the_message(void)
{
    static const char *const texts[] = {"Killed", "[1]", "{\"message", "12"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) read = NULL;
        g_assert_false(keep_problem_read(texts[i], &read));
        g_assert_error(read, BERTH_ERROR, BERTH_ERROR_INTERNAL);
        g_assert_cmpstr(read->message, ==, texts[i]);
    }
}

static void test_text_that_is_no_utf8_is_an_error_too(void)
{
    g_autoptr(GError) read = NULL;
    g_assert_false(keep_problem_read("bad \xff byte", &read));
    g_assert_error(read, BERTH_ERROR, BERTH_ERROR_INTERNAL);
    g_assert_true(g_str_has_prefix(read->message, "bad "));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keep/problem/agent-reads-all-of-it", test_the_agent_reads_all_of_it);
    g_test_add_func("/keep/problem/keeper-reads-its-child", test_the_keeper_reads_its_child);
    g_test_add_func("/keep/problem/other-text-is-the-message", test_other_text_is_the_message);
    g_test_add_func("/keep/problem/no-utf8-is-an-error-too",
                    test_text_that_is_no_utf8_is_an_error_too);
    return g_test_run();
}
