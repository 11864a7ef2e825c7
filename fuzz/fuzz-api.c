/*
 * Bodies of the HTTP API. The first line names an operation, the rest is JSON: read as its request
 * by the strict door, and as each of its answers by a client.
 */
#include "fuzz.h"

#include "schema/routes.h"

static const ApiRoute *route_named(const char *name)
{
    for (size_t i = 0; name != NULL && i < API_N_OPERATIONS; i++) {
        if (strcmp(api_routes[i].name, name) == 0) {
            return &api_routes[i];
        }
    }
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *name = fuzz_take_line(&data, &size);
    const ApiRoute *route = route_named(name);
    json_t *json = route != NULL ? codec_parse((const char *)data, size, NULL, NULL) : NULL;
    if (json == NULL) {
        return 0;
    }
    if (route->body != NULL) {
        fuzz_round_trip(route->body, json, CODEC_STRICT);
    }
    for (size_t i = 0; i < API_MAX_RESPONSES; i++) {
        if (route->responses[i].type != NULL) {
            fuzz_round_trip(route->responses[i].type, json, CODEC_TOLERANT);
            api_response_validate(route, route->responses[i].status, json, NULL);
        }
    }
    json_decref(json);
    return 0;
}
