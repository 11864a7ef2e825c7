/*
 * The routes of the HTTP API as the schema generator tabulates them (schema/routes.h has the
 * table).
 *
 * Threading: the table is constant; the matcher is a pure function.
 */
#pragma once

#include "base/codec.h"

#define API_MAX_RESPONSES 6
#define API_ROLE_TICKET 1U /* for one thing and a short time; no Role is 0 */

typedef enum {
    API_BODY_NONE,
    API_BODY_JSON,
    API_BODY_RAW, /* a stream of bytes */
} ApiBodyKind;

typedef struct {
    int status;            /* 0: every other one */
    const CodecType *type; /* NULL: no JSON */
} ApiResponse;

typedef struct {
    const char *method;
    const char *path; /* with {parameters} */
    int operation;    /* an ApiOperation */
    const char *name;
    const char *summary;
    unsigned
        roles;  /* 1 << Role for each that may ask for it, API_ROLE_TICKET; 0: no token needed */
    bool async; /* answers with an operation */
    ApiBodyKind body_kind;
    const CodecType *body;
    const CodecType *query;
    ApiResponse responses[API_MAX_RESPONSES];
} ApiRoute;

/* The route of a request. `ret_params` gets the decoded path parameters in order, not empty and in
 * UTF-8, to be freed with g_strfreev. NULL: none; then `ret_path_known` tells a wrong method (405)
 * from a wrong path (404). */
const ApiRoute *api_route_match(const ApiRoute *routes, size_t n_routes, const char *method,
                                const char *path, char ***ret_params, bool *ret_path_known);

/* The methods of a path as the header Allow lists them; NULL: there is no such path. */
char *api_route_methods(const ApiRoute *routes, size_t n_routes, const char *path);

/* Is `body` what the route says of this status? */
bool api_response_validate(const ApiRoute *route, int status, const json_t *body, GError **error);
