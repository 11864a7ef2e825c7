/*
 * The HTTP API from the caller's side, over libsoup.
 *
 * An ApiCall names an operation of the schema; method, path and what may stand in the query come
 * from the generated table (schema/routes.h), so nothing of the API is written a second time here.
 * Answers are JSON as the manager sent it, unknown fields included.
 *
 * TLS: only the CA of the context is trusted, neither the system's nor any other; the name or
 * address in the URL must stand in the certificate. Redirections and proxies are not followed, so
 * the token goes nowhere else.
 *
 * Errors. What the manager refuses comes back as the BerthError that it was, with field, value and
 * remedy. UNAVAILABLE: it cannot be reached; TIMEOUT: it took too long; UNAUTHENTICATED: it is not
 * the manager that the context speaks of, or it does not take the token. An answer that is no
 * answer of Berth is INTERNAL.
 *
 * Threading: one thread; calls block. The client borrows nothing.
 */
#pragma once

#include <jansson.h>
#include <libsoup/soup.h>

#include "cli/context.h"
#include "schema/routes.h"

typedef struct ApiClient ApiClient;

typedef struct {
    ApiOperation operation;
    const char *params[2]; /* of the path, in order */
    json_t *query;         /* an object of scalars, or NULL; borrowed */
    json_t *body;          /* or NULL; borrowed */
    int64_t if_match;      /* a revision; 0: none */
} ApiCall;

ApiClient *api_client_new(const Context *context, GError **error);
void api_client_free(ApiClient *client); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ApiClient, api_client_free)

/* Whose objects are asked for, by every call whose route lets one say so; NULL (at first): what the
 * token sees. A call's own query has the last word. Copied. */
void api_client_set_tenant(ApiClient *client, const char *tenant);

/* How long the manager may be silent; 60 s at first. 0: for ever. */
void api_client_set_timeout(ApiClient *client, unsigned seconds);

/* The answer, which is the caller's. */
json_t *api_call(ApiClient *client, const ApiCall *call, GError **error);

/* All items of a list, page after page, as one array. */
json_t *api_list(ApiClient *client, const ApiCall *call, GError **error);

/* Why each host was refused, if the last error came with it (an Explanation); borrowed. */
const json_t *api_client_explanation(const ApiClient *client);

/* The manager is away or overloaded: trying again may help. */
bool api_error_is_absence(const GError *error);

/* For streams (uploads, events, console): the request that a call is, to be sent by the caller over
 * the session. */
SoupMessage *api_client_message(ApiClient *client, const ApiCall *call);
SoupSession *api_client_session(ApiClient *client);
const char *api_client_url(const ApiClient *client);

/* Sends; the answer's body is a stream. A refusal is turned into an error. */
GInputStream *api_client_send(ApiClient *client, SoupMessage *message, GCancellable *cancellable,
                              GError **error);
/* The body as JSON, closed. */
json_t *api_client_read(GInputStream *stream, GError **error);

/* What a person can do about an error of libsoup's or GIO's; takes `problem` over. */
void api_client_explain_failure(const ApiClient *client, GError *problem, GError **error);
