#include "base/yaml.h"

#include <string.h>

#include "base/error.h"
#include "base/rng.h"

static json_t *one(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) documents = yaml_parse(text, strlen(text), NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(documents->len, ==, 1);
    return json_incref(((YamlDocument *)documents->pdata[0])->root);
}

static void test_core_schema(void)
{
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"yes", "\"yes\""},
        {"on", "\"on\""},
        {"12:30", "\"12:30\""},
        {"true", "true"},
        {"FALSE", "false"},
        {"~", "null"},
        {"null", "null"},
        {"- ", "[null]"},
        {"0755", "755"},
        {"0o17", "15"},
        {"0x1F", "31"},
        {"-12", "-12"},
        {"+3", "3"},
        {"9223372036854775807", "9223372036854775807"},
        {"0.5", "0.5"},
        {".5", "0.5"},
        {"1e3", "1000.0"},
        {"1_000", "\"1_000\""},
        {"2GiB", "\"2GiB\""},
        {"-", "[null]"},
        {"'12'", "\"12\""},
        {"\"a\\tb\"", "\"a\\tb\""},
        {"a: 1\nb: [x, {c: d}]\n", "{\"a\": 1, \"b\": [\"x\", {\"c\": \"d\"}]}"},
        {"1: a", "{\"1\": \"a\"}"},
        {"a:\tb", "{\"a\": \"b\"}"},
        {"a: |\n  x\n  y\n", "{\"a\": \"x\\ny\\n\"}"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        json_t *got = one(cases[i].yaml);
        json_t *wanted = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
        g_assert_nonnull(wanted);
        if (!json_equal(got, wanted)) {
            g_autofree char *text = json_dumps(got, JSON_ENCODE_ANY);
            g_error("'%s' gives %s", cases[i].yaml, text);
        }
        json_decref(got);
        json_decref(wanted);
    }
}

static void test_refused(void)
{
    static const struct {
        const char *yaml, *where, *what;
    } cases[] = {
        {"a: 1\nb:\n\tc: 2\n", "line 3, column 1: ", "a tab in the indentation"},
        {"a:\n  b: 1\n \tc: 2\n", "line 3, column 2: ", "a tab in the indentation"},
        {"a: 1\na: 2\n", "line 2, column 1: ", "stands here already"},
        {"a: &x 1\n", "line 1, column 4: ", "anchors"},
        {"a: *x\n", "line 1, column 4: ", "aliases"},
        {"*x : 1\n", "line 1, column 1: ", "aliases"},
        {"&x a: 1\n", "line 1, column 1: ", "anchors"},
        {"a: !!str 1\n", "line 1, column 4: ", "tags"},
        {"a: !!map {}\n", "line 1, column 4: ", "tags"},
        {"? [a]\n: 1\n", "line 1, column 3: ", "no scalar"},
        {"a: .inf\n", "line 1, column 4: ", "no number"},
        {"a: 1e999\n", "line 1, column 4: ", "beyond what JSON"},
        {"a: 9223372036854775808\n", "line 1, column 4: ", "64 bits"},
        {"a: [1, 2\n", "line 2, column 1: ", "expected ',' or ']'"},
        {"a: 'x\n", "line 2, column 1: ", "unexpected end of stream"},
        {"a: \"\\0\"\n", "line 1, column 4: ", "NUL"},
        {"a: b: c\n", "line 1, column 5: ", "mapping values are not allowed"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(yaml_parse(cases[i].yaml, strlen(cases[i].yaml), NULL, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        if (!g_str_has_prefix(error->message, cases[i].where) ||
            strstr(error->message, cases[i].what) == NULL) {
            g_error("'%s' gives '%s'", cases[i].yaml, error->message);
        }
        g_assert_nonnull(berth_error_remedy(error));
    }
}

static void test_not_utf8(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(yaml_parse("a: \xff\n", 5, NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
}

static void test_caps(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *brackets = g_strnfill(200000, '[');
    g_assert_null(yaml_parse(brackets, strlen(brackets), NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "nested too deeply"));
    g_clear_error(&error);
    CodecLimits limits = {.max_bytes = 4};
    g_assert_null(yaml_parse("a: 1\n", 5, &limits, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
    g_clear_error(&error);
    limits = (CodecLimits){.max_depth = 2};
    g_assert_null(yaml_parse("a: [[1]]", 8, &limits, &error));
    g_clear_error(&error);
    g_autoptr(GPtrArray) flat = yaml_parse("[1]", 3, &limits, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(flat->len, ==, 1);
}

static void test_documents_and_lines(void)
{
    const char *text = "# only a comment\n---\n---\nkind: size\nspec:\n  name: a\n---\nkind: app\n"
                       "spec:\n  files:\n  - role: kernel\n  - role: initrd\n";
    g_autoptr(GPtrArray) documents = yaml_parse(text, strlen(text), NULL, NULL);
    g_assert_cmpuint(documents->len, ==, 2);
    const YamlDocument *first = documents->pdata[0], *second = documents->pdata[1];
    g_assert_cmpint(first->begins.line, ==, 4);
    g_assert_cmpint(yaml_document_mark(first, "spec.name").line, ==, 6);
    g_assert_cmpint(yaml_document_mark(first, "spec.name").column, ==, 3);
    g_assert_true(yaml_document_has(first, "spec.name"));
    g_assert_false(yaml_document_has(first, "spec.name.first"));
    g_assert_cmpint(yaml_document_mark(first, "spec.resources.cpu").line, ==, 5);
    g_assert_cmpint(yaml_document_mark(first, NULL).line, ==, 4);
    g_assert_cmpint(yaml_document_mark(second, "spec.files[1].role").line, ==, 12);
    g_assert_cmpint(yaml_document_mark(second, "spec.files[7].role").line, ==, 10);
    g_autoptr(GPtrArray) none = yaml_parse("", 0, NULL, NULL);
    g_assert_cmpuint(none->len, ==, 0);
}

static char *random_text(BerthRng *rng)
{
    static const char *const pieces[] = {
        "a",           "yes", "null", "~",  "1",    "0x",           ":",
        " ",           "\n",  "#",    "-",  "é",    "\t",           "'",
        "\"",          "{",   "]",    "\\", "\x01", "\x7f",         "💡",
        ",",           "1e3", ".",    "% ", "\r",   "---",          "|",
        ">",           "&",   "*",    "!",  "@",    "\xe2\x80\xa8", "\xc2\x85",
        "\xef\xbb\xbf"};
    GString *text = g_string_new(NULL);
    for (uint64_t n = berth_rng_below(rng, 6); n > 0; n--) {
        g_string_append(text, pieces[berth_rng_below(rng, G_N_ELEMENTS(pieces))]);
    }
    return g_string_free(text, FALSE);
}

static json_t *random_json(BerthRng *rng, int depth)
{
    switch (berth_rng_below(rng, depth > 0 ? 7 : 5)) {
    case 0:
        return json_integer((json_int_t)berth_rng_next(rng));
    case 1:
        return json_real((double)(int64_t)berth_rng_next(rng) / 1e12);
    case 2:
        return berth_rng_below(rng, 2) == 0 ? json_null() : json_boolean(berth_rng_below(rng, 2));
    case 3:
    case 4: {
        g_autofree char *text = random_text(rng);
        return json_string(text);
    }
    case 5: {
        json_t *array = json_array();
        for (uint64_t n = berth_rng_below(rng, 4); n > 0; n--) {
            json_array_append_new(array, random_json(rng, depth - 1));
        }
        return array;
    }
    default: {
        json_t *object = json_object();
        for (uint64_t n = berth_rng_below(rng, 4); n > 0; n--) {
            g_autofree char *key = random_text(rng);
            json_object_set_new(object, key, random_json(rng, depth - 1));
        }
        return object;
    }
    }
}

static void test_round_trip(void)
{
    BerthRng rng;
    berth_rng_init(&rng, 20261125);
    for (int i = 0; i < 20000; i++) {
        json_t *json = random_json(&rng, 4);
        g_autofree char *yaml = yaml_dump(json);
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) documents = yaml_parse(yaml, strlen(yaml), NULL, &error);
        bool same = documents != NULL && documents->len == 1 &&
                    json_equal(((YamlDocument *)documents->pdata[0])->root, json);
        if (!same) {
            g_autofree char *text = json_dumps(json, JSON_ENCODE_ANY);
            g_error("JSON %s\nYAML %s\n%s", text, yaml, error != NULL ? error->message : "");
        }
        json_decref(json);
    }
}

static void test_dump_is_readable(void)
{
    json_t *json =
        json_loads("{\"name\": \"web-1\", \"on\": \"yes\", \"id\": \"01JABC\", \"count\": 3, "
                   "\"files\": [], \"subnet\": \"10.1.0.0/24\", \"at\": \"2026-11-25\", "
                   "\"ca\": \"a\\nb\\n\", \"items\": [{\"a\": 1.5}]}",
                   0, NULL);
    g_autofree char *yaml = yaml_dump(json);
    g_assert_cmpstr(
        yaml, ==,
        "name: web-1\n'on': 'yes'\nid: 01JABC\ncount: 3\nfiles: []\nsubnet: 10.1.0.0/24\n"
        "at: '2026-11-25'\nca: |\n  a\n  b\nitems:\n- a: 1.5\n");
    json_decref(json);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/yaml/core-schema", test_core_schema);
    g_test_add_func("/base/yaml/refused-with-line-and-column", test_refused);
    g_test_add_func("/base/yaml/not-utf8", test_not_utf8);
    g_test_add_func("/base/yaml/caps", test_caps);
    g_test_add_func("/base/yaml/documents-and-lines", test_documents_and_lines);
    g_test_add_func("/base/yaml/round-trip", test_round_trip);
    g_test_add_func("/base/yaml/dump-is-readable", test_dump_is_readable);
    return g_test_run();
}
