/* Paths and parameters of URLs: the first line is a method, the second a path, then a=b lines. */
#include "fuzz.h"

#include "schema/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *method = fuzz_take_line(&data, &size);
    g_autofree char *path = fuzz_take_line(&data, &size);
    if (path == NULL) {
        return 0;
    }
    g_auto(GStrv) params = NULL;
    bool known = false;
    const ApiRoute *route =
        api_route_match(api_routes, API_N_OPERATIONS, method, path, &params, &known);
    if (route == NULL) {
        g_assert_null(params);
        return 0;
    }
    for (size_t i = 0; params != NULL && params[i] != NULL; i++) {
        g_assert_true(g_utf8_validate(params[i], -1, NULL));
    }
    g_autoptr(GHashTable) values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    char *line;
    while ((line = fuzz_take_line(&data, &size)) != NULL) {
        g_auto(GStrv) pair = g_strsplit(line, "=", 2);
        g_free(line);
        if (g_strv_length(pair) == 2) {
            g_hash_table_insert(values, g_strdup(pair[0]), g_strdup(pair[1]));
        }
    }
    void *query = route->query != NULL ? codec_decode_strings(route->query, values, NULL) : NULL;
    if (query != NULL) {
        json_t *json = codec_encode(route->query, query);
        fuzz_round_trip(route->query, json, CODEC_STRICT);
        json_decref(json);
        codec_free(route->query, query);
    }
    return 0;
}
