#include "cli/client.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/quantities.h"
#include "schema/objects.h"

#define ANSWER_MAX_BYTES (64 << 20)
#define TIMEOUT_SECONDS 60
#define PAGE_LIMIT 1000

struct ApiClient {
    SoupSession *session;
    char *url, *token, *context_path, *tenant;
    json_t *explanation;
};

static void close_pointer(void *fd)
{
    close(GPOINTER_TO_INT(fd));
}

/* A database of the one CA. GIO makes one of a file only, so that it gets one without a name, which is
 * read at each connection and is there as long as the database. */
static GTlsDatabase *database_of_ca(const char *pem, GError **error)
{
    int fd = memfd_create("berth-ca", MFD_CLOEXEC);
    size_t length = strlen(pem);
    if (fd < 0 || write(fd, pem, length) != (ssize_t)length) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                        "cannot keep the CA in memory: %s", g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    GTlsDatabase *database = g_tls_file_database_new(path, error);
    if (database == NULL) {
        close(fd);
        return NULL;
    }
    g_object_set_data_full(G_OBJECT(database), "file", GINT_TO_POINTER(fd), close_pointer);
    return database;
}

static bool check_ca(const Context *context, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GTlsCertificate) ca = g_tls_certificate_new_from_pem(context->ca, -1, &problem);
    return ca != NULL ||
           berth_error_set(error, BERTH_ERROR_INVALID, "ca", NULL,
                           "put the PEM text of 'GET /v1/ca' there",
                           "context %s: not a certificate: %s", context->path, problem->message);
}

ApiClient *api_client_new(const Context *context, GError **error)
{
    g_autoptr(GTlsDatabase) database = NULL;
    if (context->ca != NULL &&
        (!check_ca(context, error) || (database = database_of_ca(context->ca, error)) == NULL)) {
        return NULL;
    }
    ApiClient *client = g_new0(ApiClient, 1);
    client->url = g_strdup(context->url);
    client->token = g_strdup(context->token);
    client->context_path = g_strdup(context->path);
    client->session =
        soup_session_new_with_options("timeout", TIMEOUT_SECONDS, "proxy-resolver", NULL,
                                      "user-agent", "berth/" BERTH_VERSION, NULL);
    if (database != NULL) {
        soup_session_set_tls_database(client->session, database);
        /* A connection reads the default one all the same before it is told of ours: all of the
         * system's, in some 50 ms. */
        g_tls_backend_set_default_database(g_tls_backend_get_default(), database);
    }
    return client;
}

void api_client_free(ApiClient *client)
{
    if (client != NULL) {
        g_object_unref(client->session);
        json_decref(client->explanation);
        g_free(client->url);
        g_free(client->token);
        g_free(client->context_path);
        g_free(client->tenant);
        g_free(client);
    }
}

void api_client_set_tenant(ApiClient *client, const char *tenant)
{
    g_autofree char *before = client->tenant;
    client->tenant = g_strdup(tenant);
}

void api_client_set_timeout(ApiClient *client, unsigned seconds)
{
    soup_session_set_timeout(client->session, seconds);
}

const json_t *api_client_explanation(const ApiClient *client)
{
    return client->explanation;
}

SoupSession *api_client_session(ApiClient *client)
{
    return client->session;
}

const char *api_client_url(const ApiClient *client)
{
    return client->url;
}

/* /v1/vms/{vm}/resize with its parameters filled in. */
static void append_path(GString *uri, const char *template, const char *const *params)
{
    g_auto(GStrv) parts = g_strsplit(template, "/", -1);
    for (guint i = 1, next = 0; parts[i] != NULL; i++) {
        bool is_param = parts[i][0] == '{';
        g_autofree char *escaped =
            is_param ? g_uri_escape_string(params[next++], NULL, FALSE) : NULL;
        g_string_append_printf(uri, "/%s", is_param ? escaped : parts[i]);
    }
}

static void append_query(GString *uri, json_t *query)
{
    const char *name;
    json_t *value;
    char separator = '?';
    json_object_foreach (query, name, value) {
        g_autofree char *dumped = json_is_string(value) ? g_strdup(json_string_value(value))
                                                        : json_dumps(value, JSON_ENCODE_ANY);
        g_autofree char *escaped = g_uri_escape_string(dumped, NULL, FALSE);
        g_string_append_printf(uri, "%c%s=%s", separator, name, escaped);
        separator = '&';
    }
}

static bool takes_tenant(const CodecType *query)
{
    for (size_t i = 0; i < query->n_fields; i++) {
        if (strcmp(query->fields[i].name, "tenant") == 0) {
            return true;
        }
    }
    return false;
}

/* The call's query, and the client's tenant where it may stand. */
static json_t *whole_query(const ApiClient *client, const ApiCall *call)
{
    json_t *query = call->query != NULL ? json_copy(call->query) : json_object();
    if (client->tenant != NULL && takes_tenant(api_routes[call->operation].query) &&
        json_object_get(query, "tenant") == NULL) {
        json_object_set_new(query, "tenant", json_string(client->tenant));
    }
    return query;
}

SoupMessage *api_client_message(ApiClient *client, const ApiCall *call)
{
    const ApiRoute *route = &api_routes[call->operation];
    GString *uri = g_string_new(client->url);
    append_path(uri, route->path, call->params);
    json_auto_t *query = whole_query(client, call);
    append_query(uri, query);
    SoupMessage *message = soup_message_new(route->method, uri->str);
    g_string_free(uri, TRUE);
    soup_message_add_flags(message, SOUP_MESSAGE_NO_REDIRECT);
    SoupMessageHeaders *headers = soup_message_get_request_headers(message);
    if (client->token != NULL) {
        g_autofree char *value = g_strconcat("Bearer ", client->token, NULL);
        soup_message_headers_replace(headers, "Authorization", value);
    }
    if (call->if_match > 0) {
        g_autofree char *value = g_strdup_printf("\"%" G_GINT64_FORMAT "\"", call->if_match);
        soup_message_headers_replace(headers, "If-Match", value);
    }
    if (call->body != NULL) {
        char *text = codec_dump(call->body);
        g_autoptr(GBytes) bytes = g_bytes_new_take(text, strlen(text));
        soup_message_set_request_body_from_bytes(message, "application/json", bytes);
    }
    return message;
}

void api_client_explain_failure(const ApiClient *client, GError *problem, GError **error)
{
    if (problem->domain == G_TLS_ERROR) {
        berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, "ca", client->context_path,
                        "copy a fresh context from the manager",
                        "what answers at %s is not the manager of this context: %s", client->url,
                        problem->message);
    } else if (g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_TIMED_OUT)) {
        berth_error_set(error, BERTH_ERROR_TIMEOUT, NULL, NULL,
                        "see whether it is overloaded, then try again",
                        "the manager at %s does not answer in time", client->url);
    } else if (problem->domain == G_IO_ERROR || problem->domain == G_RESOLVER_ERROR) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                        "is it running? See 'systemctl status berth-manager' on its machine, or "
                        "start a cluster here with 'sudo berth dev'",
                        "cannot reach the manager at %s: %s", client->url, problem->message);
    } else {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                        "the manager at %s gave an answer that makes no sense: %s", client->url,
                        problem->message);
    }
    g_error_free(problem);
}

bool api_error_is_absence(const GError *error)
{
    return g_error_matches(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE) ||
           g_error_matches(error, BERTH_ERROR, BERTH_ERROR_TIMEOUT);
}

static BerthErrorCode code_of_status(unsigned status)
{
    switch (status) {
    case 401:
        return BERTH_ERROR_UNAUTHENTICATED;
    case 403:
        return BERTH_ERROR_FORBIDDEN;
    case 404:
        return BERTH_ERROR_NOT_FOUND;
    case 409:
        return BERTH_ERROR_CONFLICT;
    case 412:
        return BERTH_ERROR_PRECONDITION;
    case 413:
        return BERTH_ERROR_TOO_LARGE;
    case 502:
    case 503:
        return BERTH_ERROR_UNAVAILABLE;
    case 504:
        return BERTH_ERROR_TIMEOUT;
    default:
        return status < 500 ? BERTH_ERROR_INVALID : BERTH_ERROR_INTERNAL;
    }
}

static GBytes *read_all(GInputStream *stream, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint8 buffer[16384];
    gssize n;
    while ((n = g_input_stream_read(stream, buffer, sizeof buffer, NULL, error)) > 0) {
        if (bytes->len + (gsize)n > ANSWER_MAX_BYTES) {
            berth_error_set(error, BERTH_ERROR_TOO_LARGE, NULL, NULL, NULL,
                            "the manager's answer does not end");
            return NULL;
        }
        g_byte_array_append(bytes, buffer, (guint)n);
    }
    return n == 0 ? g_byte_array_free_to_bytes(g_steal_pointer(&bytes)) : NULL;
}

json_t *api_client_read(GInputStream *stream, GError **error)
{
    g_autoptr(GBytes) bytes = read_all(stream, error);
    gsize length;
    const char *text = bytes != NULL ? g_bytes_get_data(bytes, &length) : NULL;
    if (bytes == NULL) {
        return NULL;
    }
    CodecLimits limits = {.max_bytes = ANSWER_MAX_BYTES};
    g_autoptr(GError) problem = NULL;
    json_t *json =
        codec_parse(text != NULL ? text : "", text != NULL ? length : 0, &limits, &problem);
    if (json == NULL) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL,
                        "does the context's url lead to a berth-manager?",
                        "the answer is not one of Berth's: %s", problem->message);
    }
    return json;
}

/* The error that the manager answered. */
static void refuse(ApiClient *client, SoupMessage *message, GInputStream *stream, GError **error)
{
    unsigned status = soup_message_get_status(message);
    json_t *json = api_client_read(stream, NULL);
    g_autoptr(ErrorAnswer) answer =
        json != NULL ? error_answer_decode(json, CODEC_TOLERANT, NULL) : NULL;
    if (answer == NULL) {
        berth_error_set(error, code_of_status(status), NULL, NULL,
                        "does the context's url lead to a berth-manager?", "%s answered %u %s",
                        client->url, status, soup_message_get_reason_phrase(message));
    } else {
        const Problem *problem = answer->error;
        BerthErrorCode code = code_of_status(status);
        berth_error_code_from_name(problem->code, &code);
        g_autofree char *amount = quantities_readable(problem->field, problem->value);
        berth_error_set(error, code, problem->field, amount != NULL ? amount : problem->value,
                        problem->remedy, "%s", problem->message);
        client->explanation =
            json_incref(json_object_get(json_object_get(json, "error"), "explanation"));
    }
    json_decref(json);
}

GInputStream *api_client_send(ApiClient *client, SoupMessage *message, GCancellable *cancellable,
                              GError **error)
{
    g_clear_pointer(&client->explanation, json_decref);
    GError *problem = NULL;
    g_autoptr(GInputStream) stream =
        soup_session_send(client->session, message, cancellable, &problem);
    if (stream == NULL) {
        api_client_explain_failure(client, problem, error);
        return NULL;
    }
    unsigned status = soup_message_get_status(message);
    if (status < 200 || status >= 300) {
        refuse(client, message, stream, error);
        return NULL;
    }
    return g_steal_pointer(&stream);
}

json_t *api_call(ApiClient *client, const ApiCall *call, GError **error)
{
    g_autoptr(SoupMessage) message = api_client_message(client, call);
    g_autoptr(GInputStream) stream = api_client_send(client, message, NULL, error);
    GError *problem = NULL;
    json_t *answer = stream != NULL ? api_client_read(stream, &problem) : NULL;
    if (problem != NULL && problem->domain != BERTH_ERROR) {
        api_client_explain_failure(client, problem, error);
    } else if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return answer;
}

json_t *api_list(ApiClient *client, const ApiCall *call, GError **error)
{
    json_t *items = json_array();
    json_t *query = call->query != NULL ? json_copy(call->query) : json_object();
    json_object_set_new(query, "limit", json_integer(PAGE_LIMIT));
    ApiCall page = *call;
    page.query = query;
    bool more = true;
    while (more) {
        json_t *answer = api_call(client, &page, error);
        if (answer == NULL) {
            g_clear_pointer(&items, json_decref);
            break;
        }
        json_array_extend(items, json_object_get(answer, "items"));
        json_t *next = json_object_get(answer, "next");
        more = json_is_string(next);
        if (more) {
            json_object_set(query, "after", next);
        }
        json_decref(answer);
    }
    json_decref(query);
    return items;
}
