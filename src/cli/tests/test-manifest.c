#include "cli/manifest.h"

#include <string.h>

#include "base/error.h"

static GPtrArray *parse(const char *path, const char *text, GError **error)
{
    GPtrArray *items = g_ptr_array_new_with_free_func((GDestroyNotify)manifest_item_free);
    if (!manifest_parse(path, text, strlen(text), items, error)) {
        g_clear_pointer(&items, g_ptr_array_unref);
    }
    return items;
}

static void test_bodies(void)
{
    static const struct {
        const char *yaml, *body;
    } cases[] = {
        {"kind: size\nname: s\nspec: {resources: {cpu: 500m, memory: 1GiB, disk: 10}, vcpus: 2}\n",
         "{\"name\":\"s\",\"resources\":{\"cpu\":500,\"memory\":1024,\"disk\":10},\"vcpus\":2}"},
        {"kind: size\nname: s\nspec: {resources: {cpu: 0.1, memory: 64, net-bw: 1Gbit}}\n",
         "{\"name\":\"s\",\"resources\":{\"cpu\":100,\"memory\":64,\"net-bw\":1000}}"},
        {"kind: size\nname: s\nspec: {resources: {cpu: 1, memory: 1, accelerators: {gpu/a: 2}}}\n",
         "{\"name\":\"s\",\"resources\":{\"cpu\":1000,\"memory\":1,\"accelerators\":{\"gpu/a\":2}}"
         "}"},
        {"kind: network\nname: n\n", "{\"name\":\"n\"}"},
        {"kind: network\nname: n\nspec:\n", "{\"name\":\"n\"}"},
        {"kind: vm\nname: v\nspec: {size: s, image: i, power: on}\n",
         "{\"name\":\"v\",\"size\":\"s\",\"image\":\"i\",\"power\":\"on\"}"},
        {"kind: reservation\nname: r\n"
         "spec: {resources: {cpu: 2, memory: 1GiB}, duration-seconds: 60, start: +1h}\n",
         "{\"name\":\"r\",\"resources\":{\"cpu\":2000,\"memory\":1024},\"duration-seconds\":60,"
         "\"start\":\"+1h\"}"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) items = parse("m.yaml", cases[i].yaml, &error);
        g_assert_no_error(error);
        g_autofree char *body = codec_dump(((ManifestItem *)items->pdata[0])->body);
        g_assert_cmpstr(body, ==, cases[i].body);
    }
}

static void test_errors_say_where(void)
{
    static const struct {
        const char *yaml, *where, *field, *part;
    } cases[] = {
        {"- a\n", "m.yaml:1:1: ", NULL, "not a mapping"},
        {"kind: siz\nname: s\n", "m.yaml:1:1: ", "kind", "size"},
        {"name: s\n", "m.yaml:1:1: ", "kind", "size, network"},
        {"kind: size\n", "m.yaml:1:1: ", "name", "no name"},
        {"kind: size\nname: 12\n", "m.yaml:2:1: ", "name", "'12'"},
        {"kind: [size]\nname: s\n", "m.yaml:1:1: ", "kind", "no text"},
        {"\xef\xbb\xbfkind: size\n", "m.yaml:1:1: ", "name", "no name"},
        {"kind: size\nname: s\nspecs: {}\n", "m.yaml:3:1: ", "specs", "did you mean spec?"},
        {"kind: size\nname: s\nspec: 3\n", "m.yaml:3:1: ", "spec", "not a mapping"},
        {"kind: size\nname: s\nspec:\n  resources:\n    cpu: 4x\n",
         "m.yaml:5:5: ", "spec.resources.cpu", "millicores"},
        {"kind: size\nname: s\nspec:\n  resources:\n    cpu: -1\n    memory: 1\n",
         "m.yaml:5:5: ", "spec.resources.cpu", "negative"},
        {"kind: size\nname: s\nspec:\n  resources:\n    cpu: 1\n    memori: 1\n",
         "m.yaml:6:5: ", "spec.resources.memori", "memory"},
        {"kind: size\nname: s\n", "m.yaml:1:1: ", "spec.resources", ""},
        {"kind: reservation\nname: r\nspec: {size: s}\n", "m.yaml:3:1: ", "spec.duration-seconds",
         ""},
        {"kind: size\nname: S_1\nspec: {resources: {cpu: 1}}\n", "m.yaml:2:1: ", "name",
         "lowercase"},
        {"kind: app\nname: a\nspec:\n  size: s\n  image: i\n  count: many\n",
         "m.yaml:6:3: ", "spec.count", ""},
        {"kind: app\nname: a\nspec:\n  name: b\n  size: s\n", "m.yaml:4:3: ", "spec.name",
         "beside"},
        {"# one\n---\nkind: vm\nname: v\nspec: {size: s, image: i}\n---\nkind: vm\nname: v\n"
         "spec: {size: s, image: i}\n",
         "m.yaml:7: vm v stands in m.yaml:3 already", "name", ""},
        {"kind: image\nname: i\nspec: {kernel: k, disk: d}\n", "m.yaml:3:1: ", "spec", "kernel"},
        {"kind: image\nname: i\nspec:\n  disk: d\n  format: vmdk\n", "m.yaml:5:3: ", "spec.format",
         "qcow2"},
        {"kind: image\nname: i\nspec:\n  kernal: d\n", "m.yaml:4:3: ", "spec.kernal", "kernel"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(parse("m.yaml", cases[i].yaml, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_autofree char *text = berth_error_describe(error);
        if (!g_str_has_prefix(text, cases[i].where) || strstr(text, cases[i].part) == NULL) {
            g_error("%s gives %s", cases[i].yaml, text);
        }
        g_assert_cmpstr(berth_error_field(error), ==, cases[i].field);
    }
}

static void test_paths_begin_at_the_manifest(void)
{
    g_autoptr(GPtrArray) items =
        parse("some/where/m.yaml",
              "kind: image\nname: i\nspec: {kernel: vmlinuz, initrd: /boot/initrd}\n", NULL);
    const ManifestItem *item = items->pdata[0];
    g_assert_cmpuint(item->n_files, ==, 2);
    g_assert_cmpstr(item->files[0].path, ==, "some/where/vmlinuz");
    g_assert_cmpstr(item->files[1].path, ==, "/boot/initrd");
    g_assert_cmpstr(item->files[1].role, ==, "initrd");
}

/* The manager names its fields without the spec. */
static void test_what_the_manager_refuses_has_its_place(void)
{
    static const struct {
        const char *field, *place, *named;
    } cases[] = {
        {"deadline", "m.yaml:5:3: no", "spec.deadline"},
        {"cpu", "m.yaml:1: no", "cpu"},
        {NULL, "m.yaml:1: no", NULL},
    };
    g_autoptr(GPtrArray) items = parse(
        "m.yaml", "kind: vm\nname: v\nspec:\n  size: s\n  deadline: '+1h'\n  image: i\n", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        berth_error_set(&error, BERTH_ERROR_INVALID, cases[i].field, NULL, NULL, "no");
        manifest_locate(items->pdata[0], &error);
        g_assert_cmpstr(error->message, ==, cases[i].place);
        g_assert_cmpstr(berth_error_field(error), ==, cases[i].named);
    }
}

static void test_the_lectures_policies_get_their_plain_names(void)
{
    g_autoptr(GPtrArray) items =
        parse("m.yaml", "kind: vm\nname: v\nspec: {size: s, image: i, policy: worst-fit}\n", NULL);
    const ManifestItem *item = items->pdata[0];
    g_assert_cmpstr(json_string_value(json_object_get(item->body, "policy")), ==, "least-free");
    g_assert_cmpstr(item->note, ==, "worst-fit is taken for least-free (docs/placement.md)");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/manifest/bodies", test_bodies);
    g_test_add_func("/cli/manifest/errors-say-where", test_errors_say_where);
    g_test_add_func("/cli/manifest/what-the-manager-refuses-has-its-place",
                    test_what_the_manager_refuses_has_its_place);
    g_test_add_func("/cli/manifest/the-lectures-policies",
                    test_the_lectures_policies_get_their_plain_names);
    g_test_add_func("/cli/manifest/paths-begin-at-the-manifest", test_paths_begin_at_the_manifest);
    return g_test_run();
}
