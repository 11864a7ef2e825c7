/* YAML in, out and in again: it says the same. */
#include "fuzz.h"

#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GPtrArray) documents = yaml_parse((const char *)data, size, NULL, NULL);
    for (guint i = 0; documents != NULL && i < documents->len; i++) {
        const YamlDocument *document = documents->pdata[i];
        YamlMark begins = document->begins,
                 mark = yaml_document_mark(document, "spec.files[0].role");
        g_assert_cmpint(begins.line, >=, 1);
        g_assert_cmpint(mark.line, >=, begins.line);
        g_assert_cmpint(mark.column, >=, 1);
        g_autofree char *text = yaml_dump(document->root);
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) again = yaml_parse(text, strlen(text), NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(again->len, ==, 1);
        g_assert_true(json_equal(((YamlDocument *)again->pdata[0])->root, document->root));
    }
    return 0;
}
