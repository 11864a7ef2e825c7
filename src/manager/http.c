/*
 * Requests in, answers out.
 *
 * When the headers are here: route, token, size. When the body is here: it is decoded as the schema
 * says and goes to the core, or to whoever answers it at the edge. The message is paused until the
 * answer comes.
 */
#include <string.h>

#include "base/error.h"
#include "base/yaml.h"
#include "manager/manager.h"

#define MAX_JSON_BYTES (1024 * 1024)
#define DEFAULT_TENANT "default"
#define HEADERS_TOO_LARGE 431 /* libsoup has no name for it */

struct Http {
    Manager *manager;
    GHashTable *pending; /* id → Pending */
    uint64_t last_id;
};

/* A message on its way; attached to it from its headers on. */
typedef struct {
    Http *http;
    SoupServerMessage *message;
    const ApiRoute *route;
    char **params;
    uint64_t id; /* 0: the core has not been asked */
    bool paused; /* the answer did not come at once */
    gsize received;
    AuthWho who;
    char *csr; /* JOIN_HOST: to be signed when the core has taken the host */
} Pending;

static void pending_free(gpointer data)
{
    Pending *pending = data;
    g_strfreev(pending->params);
    g_free(pending->csr);
    auth_who_clear(&pending->who);
    g_free(pending);
}

void http_answer_json(SoupServerMessage *message, unsigned status, json_t *json)
{
    char *text = codec_dump(json);
    json_decref(json);
    soup_server_message_set_status(message, status, NULL);
    soup_server_message_set_response(message, "application/json", SOUP_MEMORY_TAKE, text,
                                     strlen(text));
}

static json_t *problem_json(const GError *error)
{
    g_autoptr(ErrorAnswer) answer = error_answer_new();
    Problem *problem = answer->error = problem_new();
    problem->code = g_strdup(berth_error_code_name(error));
    problem->message = g_strdup(error->message);
    problem->field = g_strdup(berth_error_field(error));
    problem->value = g_strdup(berth_error_value(error));
    problem->remedy = g_strdup(berth_error_remedy(error));
    return error_answer_encode(answer);
}

void http_answer_error(SoupServerMessage *message, const GError *error)
{
    int status = berth_error_http_status(error);
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    if (status == 401) {
        soup_message_headers_replace(headers, "WWW-Authenticate", "Bearer realm=\"berth\"");
    }
    http_answer_json(message, (unsigned)status, problem_json(error));
}

static const char *phrase_of(int status)
{
    return status == HEADERS_TOO_LARGE ? "Request Header Fields Too Large"
                                       : soup_status_get_phrase((guint)status);
}

/* The whole of an answer after which the connection ends; `allow` (may be NULL): the path's methods.
 */
static char *last_answer(int status, const GError *error, const char *allow)
{
    json_t *json = problem_json(error);
    g_autofree char *text = codec_dump(json);
    json_decref(json);
    return g_strdup_printf(
        "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n%s%s%sContent-Length: "
        "%zu\r\nConnection: close\r\n\r\n%s",
        status, phrase_of(status), allow != NULL ? "Allow: " : "", allow != NULL ? allow : "",
        allow != NULL ? "\r\n" : "", strlen(text), text);
}

char *http_refusal(int status)
{
    g_autoptr(GError) error = NULL;
    if (status == HEADERS_TOO_LARGE) {
        berth_error_set(&error, BERTH_ERROR_TOO_LARGE, "headers", NULL, "send at most 100 kB",
                        "the request's headers are too large");
    } else {
        berth_error_set(&error, BERTH_ERROR_INVALID, "request", NULL,
                        "send HTTP/1.1, as the API's description at /v1/openapi.json says",
                        "this is no HTTP request: %s", phrase_of(status));
    }
    return last_answer(status, error, NULL);
}

/* In the middle of a body that is not wanted. */
static void refuse_unread(SoupServerMessage *message, const GError *error, const char *allow)
{
    int status = allow != NULL ? SOUP_STATUS_METHOD_NOT_ALLOWED : berth_error_http_status(error);
    g_autofree char *answer = last_answer(status, error, allow);
    ClientStream *client = NULL;
    g_autoptr(GIOStream) stream = door_take_over(message, &client);
    client_stream_send(client, answer, strlen(answer));
    linger(stream);
}

void http_refuse_stream(SoupServerMessage *message, const GError *error)
{
    refuse_unread(message, error, NULL);
}

static void refuse_method(SoupServerMessage *message, const GError *error, const char *allow)
{
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    soup_message_headers_replace(headers, "Allow", allow);
    http_answer_json(message, SOUP_STATUS_METHOD_NOT_ALLOWED, problem_json(error));
}

static bool check_length(int64_t bytes, GError **error)
{
    g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, bytes);
    return bytes <= MAX_JSON_BYTES ||
           berth_error_set(error, BERTH_ERROR_TOO_LARGE, "body", text, "send at most 1 MiB",
                           "the body is too large");
}

/* libsoup reads on without end where it cannot read the length. */
static bool read_length(SoupMessageHeaders *headers, guint64 *ret_bytes, GError **error)
{
    const char *text = soup_message_headers_get_one(headers, "Content-Length");
    *ret_bytes = 0;
    return text == NULL || g_ascii_string_to_unsigned(text, 10, 0, INT64_MAX, ret_bytes, NULL) ||
           berth_error_set(error, BERTH_ERROR_INVALID, "Content-Length", text,
                           "send the body's length in bytes", "this is no length");
}

static void on_chunk(SoupServerMessage *message, GBytes *chunk, gpointer data)
{
    Pending *pending = data;
    g_autoptr(GError) error = NULL;
    pending->received += g_bytes_get_size(chunk);
    if (!check_length((int64_t)pending->received, &error)) {
        g_signal_handlers_disconnect_by_data(message, pending);
        http_refuse_stream(message, error);
    }
}

static void on_finished(SoupServerMessage *message, gpointer data)
{
    Pending *pending = data;
    uint64_t id = pending->id;
    door_set_phase(message, CLIENT_IDLE);
    if (id != 0 && g_hash_table_remove(pending->http->pending, &id)) {
        ClusterEvent event = {.kind = CLUSTER_EVENT_CANCEL};
        event.cancel = id;
        manager_step(pending->http->manager, &event);
    }
}

/* `ret_allow`: the methods that the path has, when this one is not among them. */
static const ApiRoute *find_route(SoupServerMessage *message, const char *path, char ***ret_params,
                                  char **ret_allow, GError **error)
{
    bool known = false;
    const char *method = soup_server_message_get_method(message);
    const ApiRoute *route =
        api_route_match(api_routes, API_N_OPERATIONS, method, path, ret_params, &known);
    if (route == NULL && known) {
        *ret_allow = api_route_methods(api_routes, API_N_OPERATIONS, path);
        berth_error_set(error, BERTH_ERROR_INVALID, "method", method,
                        "see the API's description at /v1/openapi.json",
                        "this path does not take this method");
    } else if (route == NULL) {
        berth_error_set(error, BERTH_ERROR_NOT_FOUND, "path", path,
                        "see the API's description at /v1/openapi.json", "there is no such path");
    }
    return route;
}

static bool check_headers(Http *http, SoupServerMessage *message, const ApiRoute *route,
                          char **params, AuthWho *ret_who, GError **error)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    const char *authorization = soup_message_headers_get_one(headers, "Authorization");
    const char *blob = route->operation == API_OP_GET_BLOB ? params[0] : NULL;
    if (route->roles != 0 && !auth_check(http->manager->auth, http->manager->core, authorization,
                                         route, blob, ret_who, error)) {
        return false;
    }
    guint64 bytes = 0;
    return read_length(headers, &bytes, error) &&
           (route->body_kind == API_BODY_RAW || check_length((int64_t)bytes, error));
}

/* Takes over `params` and what `who` holds. */
static void attach(Http *http, SoupServerMessage *message, const ApiRoute *route, char **params,
                   AuthWho *who)
{
    Pending *pending = g_new0(Pending, 1);
    *pending =
        (Pending){.http = http, .message = message, .route = route, .params = params, .who = *who};
    *who = (AuthWho){0};
    g_object_set_data_full(G_OBJECT(message), "berth", pending, pending_free);
    g_signal_connect(message, "finished", G_CALLBACK(on_finished), pending);
    if (route->body_kind == API_BODY_RAW) {
        blobs_receive(http->manager->blobs, message, DEFAULT_TENANT, params[0], params[1]);
    } else {
        g_signal_connect(message, "got-chunk", G_CALLBACK(on_chunk), pending);
    }
}

static void on_refused(SoupServerMessage *message, gpointer data)
{
    door_set_phase(message, CLIENT_IDLE);
}

static void on_headers(SoupServer *server, SoupServerMessage *message, const char *path,
                       GHashTable *query, gpointer data)
{
    Http *http = data;
    g_autoptr(GError) error = NULL;
    char **params = NULL;
    g_autofree char *allow = NULL;
    g_auto(AuthWho) who = {0};
    http->manager->requests++;
    door_set_phase(message, CLIENT_BODY);
    const ApiRoute *route = find_route(message, path, &params, &allow, &error);
    if (route != NULL && check_headers(http, message, route, params, &who, &error)) {
        attach(http, message, route, params, &who);
        return;
    }
    g_strfreev(params);
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    guint64 bytes = 0;
    bool has_body = soup_message_headers_get_encoding(headers) == SOUP_ENCODING_CHUNKED ||
                    !read_length(headers, &bytes, NULL) || bytes > 0;
    if (has_body) {
        refuse_unread(message, error, allow);
        return;
    }
    g_signal_connect(message, "finished", G_CALLBACK(on_refused), NULL);
    if (allow != NULL) {
        refuse_method(message, error, allow);
    } else {
        http_answer_error(message, error);
    }
}

/* What is wrong with no field of it is wrong with the whole. */
static bool blame_body(GError **error)
{
    if (berth_error_field(*error) == NULL) {
        berth_error_prefix_field(error, "body");
    }
    return false;
}

static bool decode_body(const Pending *pending, void **ret_body, GError **error)
{
    const ApiRoute *route = pending->route;
    SoupMessageBody *body = soup_server_message_get_request_body(pending->message);
    if (route->body_kind != API_BODY_JSON) {
        return body->length == 0 || berth_error_set(error, BERTH_ERROR_INVALID, "body", NULL,
                                                    "send none", "this request takes no body");
    }
    g_autoptr(GBytes) bytes = soup_message_body_flatten(body);
    gsize size = 0;
    const char *text = g_bytes_get_data(bytes, &size);
    json_t *json = size > 0 ? codec_parse(text, size, NULL, error) : json_object();
    if (json == NULL) {
        return blame_body(error);
    }
    *ret_body = codec_decode(route->body, json, CODEC_STRICT, error);
    json_decref(json);
    return *ret_body != NULL || blame_body(error);
}

static bool read_if_match(const Pending *pending, int64_t *ret_revision, GError **error)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(pending->message);
    const char *text = soup_message_headers_get_one(headers, "If-Match");
    *ret_revision = -1;
    if (text == NULL || strcmp(text, "*") == 0) {
        return true;
    }
    g_autofree char *digits = g_strdup(text);
    g_strdelimit(digits, "\"", ' ');
    guint64 revision = 0;
    if (!g_ascii_string_to_unsigned(g_strstrip(digits), 10, 0, INT64_MAX, &revision, NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "If-Match", text,
                               "send the ETag of an answer of this cluster",
                               "this is no ETag of ours");
    }
    *ret_revision = (int64_t)revision;
    return true;
}

/* A request that cannot be signed must not take a use of its token. */
static bool check_join(const Pending *pending, const void *body, GError **error)
{
    if (pending->route->operation != API_OP_JOIN_HOST) {
        return true;
    }
    const JoinRequest *join = body;
    g_autoptr(GError) refusal = NULL;
    g_autofree char *certificate =
        pki_sign_host(pending->http->manager->pki, join->csr, "check", &refusal);
    return certificate != NULL ||
           berth_error_set(error, BERTH_ERROR_INVALID, "csr", join->csr,
                           "send a PKCS #10 certificate request in PEM, signed with its key",
                           "the certificate request cannot be signed: %s", refusal->message);
}

/* Most reads are answered within the step, and need no second turn of the main loop. */
static void pause_if_pending(Pending *pending)
{
    if (g_hash_table_contains(pending->http->pending, &pending->id)) {
        pending->paused = true;
        soup_server_message_pause(pending->message);
    }
}

static void ask_core(Pending *pending, const ClusterPrincipal *principal, const void *query,
                     const void *body, int64_t if_match)
{
    Http *http = pending->http;
    int operation = pending->route->operation;
    bool secretive = operation == API_OP_CREATE_JOIN_TOKEN || operation == API_OP_CREATE_TOKEN;
    g_autofree char *secret = secretive ? auth_random_hex(32) : NULL;
    pending->id = ++http->last_id;
    if (pending->route->operation == API_OP_JOIN_HOST) {
        pending->csr = g_strdup(((const JoinRequest *)body)->csr);
    }
    g_hash_table_insert(http->pending, &pending->id, pending);
    ClusterRequest request = {.id = pending->id,
                              .operation = (ApiOperation)pending->route->operation,
                              .params = (const char *const *)pending->params,
                              .query = query,
                              .body = body,
                              .if_match = if_match,
                              .principal = *principal,
                              .secret = secret};
    ClusterEvent event = {.kind = CLUSTER_EVENT_REQUEST, .request = &request};
    manager_step(http->manager, &event);
    pause_if_pending(pending);
}

static void answer_text(SoupServerMessage *message, const char *type, char *text)
{
    soup_server_message_set_status(message, 200, NULL);
    soup_server_message_set_response(message, type, SOUP_MEMORY_TAKE, text, strlen(text));
}

static void answer_version(SoupServerMessage *message)
{
    Version version = {.version = (char *)BERTH_VERSION, .api = (char *)"v1"};
    http_answer_json(message, 200, version_encode(&version));
}

typedef struct {
    Consoles *consoles;
    char *who, *vm, *host;
} Upgrade;

static void on_upgraded(SoupServerMessage *message, gpointer data)
{
    Upgrade *upgrade = data;
    if (soup_server_message_get_status(message) != SOUP_STATUS_SWITCHING_PROTOCOLS) {
        return;
    }
    g_autoptr(GUri) uri = g_uri_ref(soup_server_message_get_uri(message));
    ClientStream *client = NULL;
    g_autoptr(GIOStream) stream = door_take_over(message, &client);
    g_autoptr(SoupWebsocketConnection) socket = soup_websocket_connection_new(
        stream, uri, SOUP_WEBSOCKET_CONNECTION_SERVER, NULL, NULL, NULL);
    consoles_accept(upgrade->consoles, socket, upgrade->who, upgrade->host, upgrade->vm);
}

static void upgrade_free(gpointer data, GClosure *closure)
{
    Upgrade *upgrade = data;
    g_free(upgrade->who);
    g_free(upgrade->vm);
    g_free(upgrade->host);
    g_free(upgrade);
}

static void open_console(Pending *pending, const ClusterPrincipal *principal, GError **error)
{
    Manager *manager = pending->http->manager;
    const char *vm = NULL, *host = NULL;
    g_autoptr(GError) refusal = NULL;
    if (!cluster_core_locate_vm(manager->core, principal, pending->params[0], &vm, &host, error)) {
        return;
    }
    if (!soup_websocket_server_check_handshake(pending->message, NULL, NULL, NULL, &refusal)) {
        berth_error_set(error, BERTH_ERROR_INVALID, "Upgrade", NULL,
                        "open a WebSocket, as 'berth vm console' does", "%s", refusal->message);
        return;
    }
    if (host == NULL) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "vm", pending->params[0],
                        "try again when its host is back", "the VM's host is not connected");
        return;
    }
    Upgrade *upgrade = g_new(Upgrade, 1);
    *upgrade =
        (Upgrade){manager->consoles, g_strdup(pending->who.subject), g_strdup(vm), g_strdup(host)};
    g_signal_connect_data(pending->message, "wrote-informational", G_CALLBACK(on_upgraded), upgrade,
                          upgrade_free, 0);
    soup_websocket_server_process_handshake(pending->message, NULL, NULL, NULL, NULL);
}

static void follow_events(Pending *pending, const ClusterPrincipal *principal,
                          const ListEventsQuery *query, GError **error)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(pending->message);
    const char *last = soup_message_headers_get_one(headers, "Last-Event-ID");
    guint64 from = (guint64)query->from;
    if (last != NULL && !g_ascii_string_to_unsigned(last, 10, 0, INT64_MAX, &from, NULL)) {
        berth_error_set(error, BERTH_ERROR_INVALID, "Last-Event-ID", last,
                        "send the id of an event of this cluster", "this is no id of an event");
        return;
    }
    events_follow(pending->http->manager->events, pending->message, &pending->who, (int64_t)from,
                  query, principal->all ? NULL : principal->tenant);
}

/* What the core has no part in; false: it has. */
static bool answer_at_edge(Pending *pending, const ClusterPrincipal *principal, const void *query,
                           GError **error)
{
    Manager *manager = pending->http->manager;
    switch (pending->route->operation) {
    case API_OP_GET_VERSION:
        answer_version(pending->message);
        return true;
    case API_OP_GET_OPENAPI:
        answer_text(pending->message, "application/json", g_strdup(api_openapi_json));
        return true;
    case API_OP_GET_CA:
        answer_text(pending->message, "text/plain", g_strdup(pki_ca_pem(manager->pki)));
        return true;
    case API_OP_GET_METRICS:
        answer_text(pending->message, "text/plain", metrics_text(manager));
        return true;
    case API_OP_GET_BLOB:
        blobs_send(manager->blobs, pending->message, pending->params[0]);
        return true;
    case API_OP_PUT_IMAGE_FILE:
        pending->id = ++pending->http->last_id;
        g_hash_table_insert(pending->http->pending, &pending->id, pending);
        blobs_received(manager->blobs, pending->message, pending->id);
        pause_if_pending(pending);
        return true;
    case API_OP_OPEN_CONSOLE:
        open_console(pending, principal, error);
        return true;
    case API_OP_LIST_EVENTS:
        if (((const ListEventsQuery *)query)->follow) {
            follow_events(pending, principal, query, error);
            return true;
        }
        return false;
    default:
        return false;
    }
}

/* For whom is asked: a token's own tenant, or the one that the query names. */
static bool read_principal(const Pending *pending, GHashTable *query, ClusterPrincipal *ret,
                           GError **error)
{
    const AuthWho *who = &pending->who;
    const char *named = query != NULL ? g_hash_table_lookup(query, "tenant") : NULL;
    if (who->tenant != NULL && named != NULL && strcmp(named, who->tenant) != 0) {
        return berth_error_set(error, BERTH_ERROR_FORBIDDEN, "tenant", named, "leave it out",
                               "this token is bound to tenant '%s'", who->tenant);
    }
    bool bound = who->tenant != NULL;
    *ret = (ClusterPrincipal){.subject = who->subject != NULL ? who->subject : "",
                              .tenant = bound           ? who->tenant
                                        : named != NULL ? named
                                                        : DEFAULT_TENANT,
                              .bound = bound,
                              .all = !bound && named == NULL};
    return true;
}

static void on_request(SoupServer *server, SoupServerMessage *message, const char *path,
                       GHashTable *values, gpointer data)
{
    Pending *pending = g_object_get_data(G_OBJECT(message), "berth");
    door_set_phase(message, CLIENT_ANSWER);
    if (pending == NULL || soup_server_message_get_status(message) != 0) {
        return;
    }
    const ApiRoute *route = pending->route;
    g_autoptr(GError) error = NULL;
    void *body = NULL;
    int64_t if_match = -1;
    ClusterPrincipal principal;
    void *query = codec_decode_strings(route->query, values, &error);
    if (query != NULL && read_principal(pending, values, &principal, &error) &&
        (route->body_kind == API_BODY_RAW || decode_body(pending, &body, &error)) &&
        read_if_match(pending, &if_match, &error) && check_join(pending, body, &error) &&
        !answer_at_edge(pending, &principal, query, &error)) {
        ask_core(pending, &principal, query, body, if_match);
    }
    if (error != NULL) {
        http_answer_error(message, error);
    }
    if (query != NULL) {
        codec_free(route->query, query);
    }
    if (body != NULL) {
        codec_free(route->body, body);
    }
}

static json_t *parse_body(GBytes *body)
{
    gsize size = 0;
    const char *text = g_bytes_get_data(body, &size);
    return json_loadb(text, size, 0, NULL);
}

/* The token goes out with the hash of the CA, so that a host can tell the true manager from
 * another. */
static json_t *complete_token(const Pending *pending, json_t *json)
{
    g_autofree char *whole = g_strconcat(json_string_value(json_object_get(json, "token")), ".",
                                         pki_ca_hash(pending->http->manager->pki), NULL);
    json_object_set_new(json, "token", json_string(whole));
    return json;
}

static json_t *complete_join(const Pending *pending, json_t *json)
{
    const Manager *manager = pending->http->manager;
    const char *host = json_string_value(json_object_get(json, "host"));
    g_autofree char *certificate = pki_sign_host(manager->pki, pending->csr, host, NULL);
    json_object_set_new(json, "certificate", json_string(certificate != NULL ? certificate : ""));
    json_object_set_new(json, "ca", json_string(pki_ca_pem(manager->pki)));
    json_object_set_new(json, "agent-port", json_integer(manager->agent_port));
    return json;
}

static void answer_from_core(const Pending *pending, const ClusterAction *action)
{
    SoupServerMessage *message = pending->message;
    int operation = pending->route->operation;
    if (action->reply.body == NULL) {
        http_answer_error(message, action->reply.error);
        return;
    }
    if (action->reply.status == 201 && operation == API_OP_CREATE_JOIN_TOKEN) {
        http_answer_json(message, 201, complete_token(pending, parse_body(action->reply.body)));
        return;
    }
    if (action->reply.status == 201 && operation == API_OP_JOIN_HOST) {
        http_answer_json(message, 201, complete_join(pending, parse_body(action->reply.body)));
        return;
    }
    if (operation == API_OP_GET_SNAPSHOT) {
        json_t *json = parse_body(action->reply.body);
        answer_text(message, "text/plain", yaml_dump(json));
        json_decref(json);
        return;
    }
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    if (action->reply.revision >= 0) {
        g_autofree char *tag = g_strdup_printf("\"%" G_GINT64_FORMAT "\"", action->reply.revision);
        soup_message_headers_replace(headers, "ETag", tag);
    }
    soup_message_headers_set_content_type(headers, "application/json", NULL);
    soup_server_message_set_status(message, (guint)action->reply.status, NULL);
    soup_message_body_append_bytes(soup_server_message_get_response_body(message),
                                   action->reply.body);
}

void http_reply(Http *http, const ClusterAction *action)
{
    uint64_t id = action->reply.request;
    Pending *pending = g_hash_table_lookup(http->pending, &id);
    if (pending == NULL) {
        return;
    }
    g_hash_table_remove(http->pending, &id);
    answer_from_core(pending, action);
    if (pending->paused) {
        soup_server_message_unpause(pending->message);
    }
}

void http_abandon(Http *http, const GError *reason)
{
    g_autoptr(GList) waiting = g_hash_table_get_values(http->pending);
    g_hash_table_remove_all(http->pending);
    for (GList *at = waiting; at != NULL; at = at->next) {
        const Pending *pending = at->data;
        http_answer_error(pending->message, reason);
        soup_server_message_unpause(pending->message);
    }
}

Http *http_new(Manager *manager)
{
    Http *http = g_new0(Http, 1);
    http->manager = manager;
    http->pending = g_hash_table_new(g_int64_hash, g_int64_equal);
    soup_server_add_early_handler(manager->server, NULL, on_headers, http, NULL);
    soup_server_add_handler(manager->server, NULL, on_request, http, NULL);
    return http;
}

void http_free(Http *http)
{
    if (http != NULL) {
        g_hash_table_unref(http->pending);
        g_free(http);
    }
}
