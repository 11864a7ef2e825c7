#include "sim/shape.h"

#include "schema/routes.h"

bool shape_is_texts(const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!json_is_string(json_array_get(value, i))) {
            return false;
        }
    }
    return json_is_array(value);
}

bool shape_is_text_or_texts(const json_t *value)
{
    return json_is_string(value) || (shape_is_texts(value) && json_array_size(value) > 0);
}

const char *shape_text(const json_t *texts, size_t i)
{
    if (json_is_string(texts)) {
        return i == 0 ? json_string_value(texts) : NULL;
    }
    return json_string_value(json_array_get(texts, i));
}

bool shape_maps_to(const json_t *value, bool (*fits)(const json_t *value))
{
    const char *key;
    json_t *member;
    json_object_foreach ((json_t *)value, key, member) {
        if (!fits(member)) {
            return false;
        }
    }
    return json_object_size(value) > 0;
}

bool shape_is_path(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "?", 2);
    g_auto(GStrv) params = NULL;
    bool known = false;
    return parts[0] != NULL &&
           api_route_match(api_routes, API_N_OPERATIONS, "GET", parts[0], &params, &known) != NULL;
}

bool shape_maps_paths(const json_t *value)
{
    const char *path;
    json_t *member;
    json_object_foreach ((json_t *)value, path, member) {
        if (!shape_is_path(path)) {
            return false;
        }
    }
    return json_object_size(value) > 0;
}
