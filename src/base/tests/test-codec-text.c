/* Text read without a tree means what the tree means, and what is ordinary needs no tree. */
#include <string.h>

#include "base/codec.h"
#include "schema/agent.h"
#include "schema/objects.h"

#define ROUNDS 20000

static const struct {
    const CodecType *type;
    const char *text;
} samples[] = {
    {&host_measure_type,
     "{\"cpu\":8123,\"memory\":65536,\"vms\":[{\"id\":\"01JZ7Q8T0V5C3N9W2X4Y6B8D0F\",\"cpu\":-1,"
     "\"throttled\":3,\"memory\":2048,\"rx\":1000,\"tx\":2000,\"read\":300,\"write\":4},"
     "{\"id\":\"b\"}]}"},
    {&resources_type,
     "{\"cpu\":2000,\"memory\":512,\"accelerators\":{\"fpga/u250\":2,\"gpu/a100\":1}}"},
    {&vm_create_type, "{\"name\":\"web-1\",\"size\":\"s\",\"image\":\"i\",\"power\":\"off\","
                      "\"networks\":[\"a\",\"b\"],"
                      "\"labels\":{\"tier\":\"front\",\"zone\":\"a\"}}"},
    {&agent_report_type,
     "{\"sequence\":3,\"full\":true,\"vms\":[{\"id\":\"a\",\"name\":\"n\",\"status\":{\"power\":"
     "\"running\",\"epoch\":4}}],\"notices\":[{\"kind\":\"k\",\"message\":\"m\"}]}"},
    {&size_create_type, "{\"name\":\"m\",\"resources\":{\"cpu\":100,\"memory\":64}}"},
};

static void *by_tree(const CodecType *type, const char *text, size_t size, CodecMode mode)
{
    json_t *json = codec_parse(text, size, NULL, NULL);
    void *object = json != NULL ? codec_decode(type, json, mode, NULL) : NULL;
    json_decref(json);
    return object;
}

/* What is written without a tree, if anything, is what the tree says. */
static bool writes_as_tree(const CodecType *type, const void *object)
{
    json_t *json = codec_encode(type, object);
    g_autofree char *dump = codec_dump(json);
    json_decref(json);
    g_autoptr(GBytes) fast = codec_write(type, object), text = codec_encode_text(type, object);
    g_autoptr(GBytes) tree = g_bytes_new_static(dump, strlen(dump));
    g_assert_true(g_bytes_equal(text, tree));
    g_assert_true(fast == NULL || g_bytes_equal(fast, tree));
    return fast != NULL;
}

/* What is scanned, strict and tolerant readers of trees take too, and the same; and it is written as they write
 * it. */
static bool agree(const CodecType *type, const char *text, size_t size)
{
    void *scanned = codec_scan(type, text, size);
    for (int mode = CODEC_STRICT; scanned != NULL && mode <= CODEC_TOLERANT; mode++) {
        void *object = by_tree(type, text, size, (CodecMode)mode);
        if (object == NULL || !codec_equal(type, scanned, object)) {
            g_error("scanned as %s, but a tree is not: %.*s", type->name, (int)size, text);
        }
        codec_free(type, object);
    }
    if (scanned != NULL) {
        writes_as_tree(type, scanned);
    }
    codec_free(type, scanned);
    return scanned != NULL;
}

static void test_ordinary_text_needs_no_tree(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(samples); i++) {
        g_assert_true(agree(samples[i].type, samples[i].text, strlen(samples[i].text)));
    }
    const char *spaced = " { \"cpu\" : 1 ,\n\t\"vms\" : [ { \"id\" : \"\" } , {\"id\":\"x\"} ] }\n";
    g_assert_true(agree(&host_measure_type, spaced, strlen(spaced)));
}

static void assert_left(const CodecType *type, const char *text)
{
    g_assert_null(codec_scan(type, text, strlen(text)));
}

static void test_what_is_out_of_the_ordinary_is_left_to_the_tree(void)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}x",
        "{\"cpu\":1,}",
        "{\"cpu\":01}",
        "{\"cpu\":1.5}",
        "{\"cpu\":1e3}",
        "{\"cpu\":\"1\"}",
        "{\"cpu\":null}",
        "{\"cpu\":-}",
        "{\"cpu\":9223372036854775808}",
        "{\"cpu\":1 \"memory\":2}",
        "{\"cpu\":1,\"cpu\":1}",
        "{\"novelty\":1}",
        "{\"vms\":[{}]}",
        "{\"vms\":[{\"id\":\"\\u0061\"}]}",
        "{\"vms\":[{\"id\":\"\303\244\"}]}",
        "{\"vms\":[,]}",
        "{\"vms\":{}}",
    };
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        assert_left(&host_measure_type, texts[i]);
    }
    assert_left(&resources_type, "{\"cpu\":-1}");
    assert_left(&vm_create_type, "{\"name\":\"Web\",\"size\":\"s\",\"image\":\"i\"}");
    assert_left(&resources_type, "{\"accelerators\":{\"gpu/a\":1,\"gpu/a\":1}}");
}

static void test_ordinary_objects_are_written_without_a_tree(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(samples); i++) {
        void *object = codec_scan(samples[i].type, samples[i].text, strlen(samples[i].text));
        g_assert_true(writes_as_tree(samples[i].type, object));
        codec_free(samples[i].type, object);
    }
    HostMeasure *measure = host_measure_new();
    measure->cpu = INT64_MIN;
    measure->memory = INT64_MAX;
    g_assert_true(writes_as_tree(&host_measure_type, measure));
    host_measure_free(measure);
}

static void test_what_needs_an_escape_is_written_by_the_tree(void)
{
    static const char *const texts[] = {"a\"b", "a\\b", "\n", "\001", "\177", "\303\244", "\303"};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        VmMeasure *vm = vm_measure_new();
        vm->id = g_strdup(texts[i]);
        g_assert_false(writes_as_tree(&vm_measure_type, vm));
        vm_measure_free(vm);
    }
    const char *novel = "{\"id\":\"a\",\"novelty\":{\"x\":[1.5,null]}}";
    VmMeasure *vm = by_tree(&vm_measure_type, novel, strlen(novel), CODEC_TOLERANT);
    g_assert_false(writes_as_tree(&vm_measure_type, vm));
    vm_measure_free(vm);
}

static void test_both_halves_are_one_reader(void)
{
    g_autoptr(GError) error = NULL;
    const char *text = "{\"vms\":[{\"id\":\"\\u0061\",\"novelty\":2}]}";
    HostMeasure *measure =
        codec_decode_text(&host_measure_type, text, strlen(text), NULL, CODEC_TOLERANT, &error);
    g_assert_no_error(error);
    const VmMeasure *vm = measure->vms->pdata[0];
    g_assert_cmpstr(vm->id, ==, "a");
    g_assert_cmpint(json_integer_value(json_object_get(vm->unknown, "novelty")), ==, 2);
    host_measure_free(measure);
    text = "{\"resources\":{\"cpu\":-5}}";
    g_assert_null(
        codec_decode_text(&size_create_type, text, strlen(text), NULL, CODEC_STRICT, &error));
    g_assert_nonnull(error);
    CodecLimits limits = {.max_bytes = 4};
    g_clear_error(&error);
    g_assert_null(
        codec_decode_text(&size_create_type, text, strlen(text), &limits, CODEC_STRICT, &error));
    g_assert_nonnull(error);
}

/* One edit: a byte of another place, a piece left out, or a piece twice. */
static void spoil(GString *text)
{
    gsize at = (gsize)g_test_rand_int_range(0, (gint32)text->len);
    gsize n = (gsize)g_test_rand_int_range(1, 12);
    gsize other = (gsize)g_test_rand_int_range(0, (gint32)text->len);
    switch (g_test_rand_int_range(0, 4)) {
    case 0:
        text->str[at] = text->str[other];
        break;
    case 1:
        text->str[at] = (char)g_test_rand_int_range(1, 256);
        break;
    case 2:
        g_string_erase(text, (gssize)at, (gssize)MIN(n, text->len - at));
        break;
    default: {
        g_autofree char *piece = g_strndup(text->str + at, MIN(n, text->len - at));
        g_string_insert(text, (gssize)other, piece);
    }
    }
}

static void test_spoilt_text_is_never_taken_for_something_else(void)
{
    int taken = 0;
    for (int i = 0; i < ROUNDS; i++) {
        guint which = (guint)g_test_rand_int_range(0, G_N_ELEMENTS(samples));
        g_autoptr(GString) text = g_string_new(samples[which].text);
        for (int edits = g_test_rand_int_range(1, 4); edits > 0 && text->len > 0; edits--) {
            spoil(text);
        }
        taken += agree(samples[which].type, text->str, text->len);
    }
    g_assert_cmpint(taken, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/codec-text/ordinary-text-needs-no-tree",
                    test_ordinary_text_needs_no_tree);
    g_test_add_func("/base/codec-text/what-is-out-of-the-ordinary-is-left-to-the-tree",
                    test_what_is_out_of_the_ordinary_is_left_to_the_tree);
    g_test_add_func("/base/codec-text/ordinary-objects-are-written-without-a-tree",
                    test_ordinary_objects_are_written_without_a_tree);
    g_test_add_func("/base/codec-text/what-needs-an-escape-is-written-by-the-tree",
                    test_what_needs_an_escape_is_written_by_the_tree);
    g_test_add_func("/base/codec-text/both-halves-are-one-reader", test_both_halves_are_one_reader);
    g_test_add_func("/base/codec-text/spoilt-text-is-never-taken-for-something-else",
                    test_spoilt_text_is_never_taken_for_something_else);
    return g_test_run();
}
