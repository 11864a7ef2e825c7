#include "qemu/json_lines.h"

#include <string.h>

#include "base/error.h"

static void push(JsonLines *lines, const char *text)
{
    json_lines_push(lines, text, strlen(text));
}

static void assert_object(JsonLines *lines, const char *expected)
{
    json_t *object = NULL;
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(json_lines_next(lines, &object, &error), ==, JSON_LINES_OBJECT);
    g_assert_no_error(error);
    json_t *wanted = json_loads(expected, 0, NULL);
    g_assert_true(json_equal(object, wanted));
    json_decref(wanted);
    json_decref(object);
}

static void assert_more(JsonLines *lines)
{
    json_t *object = NULL;
    g_assert_cmpint(json_lines_next(lines, &object, NULL), ==, JSON_LINES_MORE);
    g_assert_null(object);
}

static void assert_bad(JsonLines *lines, int code)
{
    json_t *object = NULL;
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(json_lines_next(lines, &object, &error), ==, JSON_LINES_BAD);
    g_assert_error(error, BERTH_ERROR, code);
    g_assert_null(object);
}

static void test_pieces_of_any_size(void)
{
    static const char text[] = "{\"a\":1}\r\n\n  \n{\"b\":\"x\\\"}{[\\n\"}\n";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        g_autoptr(JsonLines) lines = json_lines_new(100);
        int seen = 0;
        for (size_t at = 0; at < sizeof text - 1; at += piece) {
            json_lines_push(lines, text + at, MIN(piece, sizeof text - 1 - at));
            json_t *object;
            while (json_lines_next(lines, &object, NULL) == JSON_LINES_OBJECT) {
                g_assert_nonnull(json_object_get(object, seen == 0 ? "a" : "b"));
                json_decref(object);
                seen++;
            }
        }
        g_assert_cmpint(seen, ==, 2);
        g_assert_cmpuint(json_lines_pending(lines), ==, 0);
    }
}

static void test_garbage_costs_its_line(void)
{
    g_autoptr(JsonLines) lines = json_lines_new(100);
    push(lines, "hello\n[1]\n{\"a\":1,\"a\":2}\n{\"a\":\n{\"a\":\"\xC3\"}\n{\"ok\":1}\n");
    for (int i = 0; i < 5; i++) {
        assert_bad(lines, BERTH_ERROR_INVALID);
    }
    assert_object(lines, "{\"ok\":1}");
    assert_more(lines);
}

static void test_a_nul_byte_is_garbage(void)
{
    g_autoptr(JsonLines) lines = json_lines_new(100);
    json_lines_push(lines, "{\"a\":1}\0\n", 9);
    assert_bad(lines, BERTH_ERROR_INVALID);
}

static void test_oversized_line_is_not_held(void)
{
    g_autoptr(JsonLines) lines = json_lines_new(16);
    push(lines, "0123456789abcdefg");
    assert_bad(lines, BERTH_ERROR_TOO_LARGE);
    for (int i = 0; i < 1000; i++) {
        push(lines, "0123456789");
        assert_more(lines);
        g_assert_cmpuint(json_lines_pending(lines), ==, 0);
    }
    push(lines, "\n{\"a\":1}\n");
    assert_object(lines, "{\"a\":1}");
    push(lines, "{\"a\":\"0123456789\"}\n");
    assert_bad(lines, BERTH_ERROR_TOO_LARGE);
    push(lines, "{\"a\":123456789}\n");
    assert_object(lines, "{\"a\":123456789}");
}

static char *nested(int depth)
{
    GString *text = g_string_new("{\"a\":");
    for (int i = 1; i < depth; i++) {
        g_string_append_c(text, '[');
    }
    for (int i = 1; i < depth; i++) {
        g_string_append_c(text, ']');
    }
    g_string_append(text, "}\n");
    return g_string_free(text, FALSE);
}

static void test_depth_is_capped(void)
{
    g_autoptr(JsonLines) lines = json_lines_new(1 << 20);
    g_autofree char *deep = nested(JSON_LINES_MAX_DEPTH + 1);
    g_autofree char *right = nested(JSON_LINES_MAX_DEPTH);
    g_autofree char *absurd = g_strnfill(200000, '[');
    push(lines, deep);
    assert_bad(lines, BERTH_ERROR_TOO_LARGE);
    push(lines, absurd);
    push(lines, "\n");
    assert_bad(lines, BERTH_ERROR_TOO_LARGE);
    push(lines, right);
    json_t *object;
    g_assert_cmpint(json_lines_next(lines, &object, NULL), ==, JSON_LINES_OBJECT);
    json_decref(object);
    push(lines,
         "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}\n");
    g_assert_cmpint(json_lines_next(lines, &object, NULL), ==, JSON_LINES_OBJECT);
    json_decref(object);
}

static void test_unsigned_numbers_arrive(void)
{
    g_autoptr(JsonLines) lines = json_lines_new(1000);
    push(lines, "{\"a\":18446744073709551615,\"b\":[9223372036854775808,9223372036854775807],"
                "\"18446744073709551615\":-1.5e3}\n");
    assert_object(lines, "{\"a\":-1,\"b\":[-9223372036854775808,9223372036854775807],"
                         "\"18446744073709551615\":-1500.0}");
    push(lines, "{\"a\":18446744073709551616}\n");
    assert_bad(lines, BERTH_ERROR_INVALID);
}

static void test_mark_repairs_the_stream(void)
{
    g_autoptr(JsonLines) lines = json_lines_new(32);
    push(lines, "{\"late\":1}\n{\"half");
    json_lines_skip_to_mark(lines);
    assert_more(lines);
    push(lines, "\"\n{\"x\":1}\n\xFF{\"return\":7}\n");
    assert_object(lines, "{\"return\":7}");
    push(lines, "{\"b\":2}\n");
    assert_object(lines, "{\"b\":2}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/json-lines/pieces-of-any-size", test_pieces_of_any_size);
    g_test_add_func("/qemu/json-lines/garbage-costs-its-line", test_garbage_costs_its_line);
    g_test_add_func("/qemu/json-lines/nul-byte-is-garbage", test_a_nul_byte_is_garbage);
    g_test_add_func("/qemu/json-lines/oversized-line-is-not-held", test_oversized_line_is_not_held);
    g_test_add_func("/qemu/json-lines/depth-is-capped", test_depth_is_capped);
    g_test_add_func("/qemu/json-lines/unsigned-numbers-arrive", test_unsigned_numbers_arrive);
    g_test_add_func("/qemu/json-lines/mark-repairs-the-stream", test_mark_repairs_the_stream);
    return g_test_run();
}
