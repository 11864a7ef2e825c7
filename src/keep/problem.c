#include "keep/problem.h"

#include <jansson.h>

#include "base/error.h"

static void add(json_t *object, const char *key, const char *value)
{
    if (value != NULL) {
        g_autofree char *valid = g_utf8_make_valid(value, -1);
        json_object_set_new(object, key, json_string(valid));
    }
}

char *keep_problem_write(const GError *error)
{
    json_t *object = json_object();
    add(object, "code", berth_error_code_name(error));
    add(object, "message", error->message);
    add(object, "field", berth_error_field(error));
    add(object, "value", berth_error_value(error));
    add(object, "remedy", berth_error_remedy(error));
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

bool keep_problem_read(const char *text, GError **error)
{
    json_t *object = json_loads(text, 0, NULL);
    BerthErrorCode code = BERTH_ERROR_INTERNAL;
    const char *name = json_string_value(json_object_get(object, "code"));
    if (name != NULL) {
        berth_error_code_from_name(name, &code);
    }
    const char *message = json_string_value(json_object_get(object, "message"));
    berth_error_set(error, code, json_string_value(json_object_get(object, "field")),
                    json_string_value(json_object_get(object, "value")),
                    json_string_value(json_object_get(object, "remedy")), "%s",
                    message != NULL ? message : text);
    json_decref(object);
    return false;
}
