#include "sim/match.h"

#include <string.h>

static bool holds(const char *actual, const char *expected)
{
    json_t *a = json_loads(actual, JSON_DECODE_ANY, NULL);
    json_t *e = json_loads(expected, JSON_DECODE_ANY, NULL);
    g_assert_nonnull(a);
    g_assert_nonnull(e);
    g_autoptr(GError) error = NULL;
    bool result = match_holds(a, e, &error);
    g_assert_true(result == (error == NULL));
    json_decref(a);
    json_decref(e);
    return result;
}

static void test_objects(void)
{
    g_assert_true(holds("{\"a\":1,\"b\":{\"c\":\"x\",\"d\":2}}", "{\"b\":{\"c\":\"x\"}}"));
    g_assert_false(holds("{\"a\":1}", "{\"a\":2}"));
    g_assert_false(holds("{\"a\":1}", "{\"b\":1}"));
    g_assert_false(holds("[]", "{}"));
}

static void test_absence(void)
{
    g_assert_true(holds("{\"a\":null}", "{\"a\":null,\"b\":null}"));
    g_assert_false(holds("{\"a\":1}", "{\"a\":null}"));
}

static void test_arrays_in_order(void)
{
    g_assert_true(holds("[1,2,3,4]", "[2,4]"));
    g_assert_true(holds("[1]", "[]"));
    g_assert_false(holds("[1,2]", "[2,1]"));
    g_assert_false(holds("[1]", "[1,1]"));
    g_assert_false(holds("{}", "[]"));
}

static void test_texts(void)
{
    g_assert_true(holds("\"no host has room\"", "\"~has room\""));
    g_assert_false(holds("\"no host\"", "\"~has room\""));
    g_assert_false(holds("\"abc\"", "\"ab\""));
    g_assert_false(holds("1", "\"1\""));
}

static void test_says_where(void)
{
    json_t *a = json_loads("{\"a\":[{\"b\":1}],\"c\":{\"d\":2}}", 0, NULL);
    json_t *e = json_loads("{\"c\":{\"d\":3}}", 0, NULL);
    g_autoptr(GError) error = NULL;
    g_assert_false(match_holds(a, e, &error));
    g_assert_nonnull(strstr(error->message, "differs at 'c.d'"));
    json_decref(a);
    json_decref(e);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/match/objects", test_objects);
    g_test_add_func("/match/absence", test_absence);
    g_test_add_func("/match/arrays-in-order", test_arrays_in_order);
    g_test_add_func("/match/texts", test_texts);
    g_test_add_func("/match/says-where", test_says_where);
    return g_test_run();
}
