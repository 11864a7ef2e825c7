#include "keep/problem.h"

#include <jansson.h>

#include "rpc/message.h"

char *keep_problem_write(const GError *error)
{
    json_t *object = rpc_error_to_json(error);
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

bool keep_problem_read(const char *text, GError **error)
{
    json_t *object = json_loads(text, 0, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        g_autofree char *valid = g_utf8_make_valid(text, -1);
        object = json_pack("{ss}", "message", valid);
    }
    g_propagate_error(error, rpc_error_from_json(object));
    json_decref(object);
    return false;
}
