#include "sim/match.h"

#include <string.h>

#include "base/error.h"

static bool holds(const json_t *actual, const json_t *expected, GString *path);

static bool object_holds(const json_t *actual, json_t *expected, GString *path)
{
    const char *key;
    json_t *value;
    gsize length = path->len;
    json_object_foreach (expected, key, value) {
        g_string_append_printf(path, "%s%s", length > 0 ? "." : "", key);
        if (!holds(json_object_get(actual, key), value, path)) {
            return false;
        }
        g_string_truncate(path, length);
    }
    return json_is_object(actual);
}

static bool array_holds(const json_t *actual, const json_t *expected, GString *path)
{
    size_t at = 0;
    gsize length = path->len;
    for (size_t i = 0; i < json_array_size(expected); i++) {
        bool found = false;
        while (!found && at < json_array_size(actual)) {
            g_autoptr(GString) ignored = g_string_new(NULL);
            found = holds(json_array_get(actual, at++), json_array_get(expected, i), ignored);
        }
        if (!found) {
            g_string_append_printf(path, "[%zu]", i);
            return false;
        }
        g_string_truncate(path, length);
    }
    return json_is_array(actual);
}

static bool text_holds(const json_t *actual, const char *expected)
{
    const char *text = json_string_value(actual);
    if (text == NULL) {
        return false;
    }
    return expected[0] == '~' ? strstr(text, expected + 1) != NULL : strcmp(text, expected) == 0;
}

/* `path` is left at the first difference. */
static bool holds(const json_t *actual, const json_t *expected, GString *path)
{
    switch (json_typeof(expected)) {
    case JSON_OBJECT:
        return object_holds(actual, (json_t *)expected, path);
    case JSON_ARRAY:
        return array_holds(actual, expected, path);
    case JSON_STRING:
        return text_holds(actual, json_string_value(expected));
    case JSON_NULL:
        return actual == NULL || json_is_null(actual);
    default:
        return json_equal(actual, expected);
    }
}

static char *text_of(const json_t *json)
{
    return json != NULL ? json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("nothing");
}

bool match_holds(const json_t *actual, const json_t *expected, GError **error)
{
    g_autoptr(GString) path = g_string_new(NULL);
    if (holds(actual, expected, path)) {
        return true;
    }
    char *is = text_of(actual);
    char *wanted = text_of(expected);
    berth_error_set(error, BERTH_ERROR_CONFLICT, NULL, NULL, NULL,
                    "differs at '%s':\n    expected %s\n    is       %s", path->str, wanted, is);
    free(is);
    free(wanted);
    return false;
}
