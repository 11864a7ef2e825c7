#include "base/route.h"

#include <string.h>

#include "base/error.h"

/* The parameters of `parts` if they are of the template's form, or NULL. */
static char **match_parts(const char *template, char **parts)
{
    g_auto(GStrv) pattern = g_strsplit(template, "/", -1);
    guint count = g_strv_length(pattern);
    if (g_strv_length(parts) != count) {
        return NULL;
    }
    g_autoptr(GStrvBuilder) params = g_strv_builder_new();
    for (guint i = 0; i < count; i++) {
        if (pattern[i][0] == '{') {
            g_autofree char *value = g_uri_unescape_string(parts[i], NULL);
            if (value == NULL || value[0] == '\0' || !g_utf8_validate(value, -1, NULL)) {
                return NULL;
            }
            g_strv_builder_add(params, value);
        } else if (strcmp(pattern[i], parts[i]) != 0) {
            return NULL;
        }
    }
    return g_strv_builder_end(params);
}

char *api_route_methods(const ApiRoute *routes, size_t n_routes, const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    g_autoptr(GStrvBuilder) methods = g_strv_builder_new();
    for (size_t i = 0; i < n_routes; i++) {
        g_auto(GStrv) params = match_parts(routes[i].path, parts);
        if (params != NULL) {
            g_strv_builder_add(methods, routes[i].method);
        }
    }
    g_auto(GStrv) names = g_strv_builder_end(methods);
    return names[0] != NULL ? g_strjoinv(", ", names) : NULL;
}

const ApiRoute *api_route_match(const ApiRoute *routes, size_t n_routes, const char *method,
                                const char *path, char ***ret_params, bool *ret_path_known)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    bool path_known = false;
    for (size_t i = 0; i < n_routes; i++) {
        g_auto(GStrv) params = match_parts(routes[i].path, parts);
        if (params == NULL) {
            continue;
        }
        path_known = true;
        if (strcmp(routes[i].method, method) == 0) {
            *ret_params = g_steal_pointer(&params);
            *ret_path_known = true;
            return &routes[i];
        }
    }
    *ret_path_known = path_known;
    return NULL;
}

bool api_response_validate(const ApiRoute *route, int status, const json_t *body, GError **error)
{
    const ApiResponse *other = NULL;
    for (size_t i = 0; i < API_MAX_RESPONSES; i++) {
        const ApiResponse *response = &route->responses[i];
        if (response->status == status && status != 0) {
            other = response;
            break;
        }
        if (response->status == 0 && response->type != NULL) {
            other = response;
        }
    }
    if (other == NULL || other->type == NULL) {
        return true;
    }
    void *object = codec_decode(other->type, body, CODEC_STRICT, error);
    codec_free(other->type, object);
    return object != NULL;
}
