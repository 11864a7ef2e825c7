#include "base/route.h"

#include <string.h>

#include "base/error.h"

/* Adds what stands for a parameter, decoded. */
static bool take_param(GStrvBuilder *params, const char *text, size_t length)
{
    g_autofree char *value = g_uri_unescape_segment(text, text + length, NULL);
    if (value == NULL || value[0] == '\0' || !g_utf8_validate(value, -1, NULL)) {
        return false;
    }
    g_strv_builder_add(params, value);
    return true;
}

/* Is `path` of the template's form? Part by part, since most templates differ in an early one.
 * `params`, unless NULL, gets the parameters. */
static bool match_parts(const char *template, const char *path, GStrvBuilder *params)
{
    for (;;) {
        size_t pattern = strcspn(template, "/"), part = strcspn(path, "/");
        if (template[0] == '{') {
            if (part == 0 || (params != NULL && !take_param(params, path, part))) {
                return false;
            }
        } else if (pattern != part || memcmp(template, path, part) != 0) {
            return false;
        }
        template += pattern;
        path += part;
        if (*template != *path) {
            return false;
        }
        if (*template == '\0') {
            return true;
        }
        template ++;
        path++;
    }
}

/* The parameters of `path` if it is of the template's form and they can be read, or NULL. */
static char **match(const char *template, const char *path)
{
    if (!match_parts(template, path, NULL)) {
        return NULL;
    }
    g_autoptr(GStrvBuilder) params = g_strv_builder_new();
    return match_parts(template, path, params) ? g_strv_builder_end(params) : NULL;
}

char *api_route_methods(const ApiRoute *routes, size_t n_routes, const char *path)
{
    g_autoptr(GStrvBuilder) methods = g_strv_builder_new();
    for (size_t i = 0; i < n_routes; i++) {
        g_auto(GStrv) params = match(routes[i].path, path);
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
    bool path_known = false;
    for (size_t i = 0; i < n_routes; i++) {
        g_auto(GStrv) params = match(routes[i].path, path);
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
