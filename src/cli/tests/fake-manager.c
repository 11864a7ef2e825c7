#include "cli/tests/fake-manager.h"

#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <string.h>

typedef struct {
    int status;
    char *type, *body;
} Answer;

struct FakeManager {
    GThread *thread;
    GMainContext *context;
    GMainLoop *loop;
    SoupServer *server;
    char *directory; /* of the certificates; NULL: plain */
    char *url, *context_directory, *context_path;
    GMutex lock;
    GHashTable *answers; /* "METHOD /path" → GQueue of Answer * */
    GPtrArray *requests;
    char *greeting;
    bool ready;
    GCond changed;
};

void fake_request_free(FakeRequest *request)
{
    if (request != NULL) {
        g_free(request->method);
        g_free(request->path);
        g_free(request->query);
        g_free(request->body);
        g_free(request->authorization);
        g_free(request->if_match);
        g_free(request->accept);
        g_free(request->last_event_id);
        g_free(request);
    }
}

static void answer_free(gpointer data)
{
    Answer *answer = data;
    g_free(answer->type);
    g_free(answer->body);
    g_free(answer);
}

static void queue_free(gpointer data)
{
    g_queue_free_full(data, answer_free);
}

static char *header(SoupServerMessage *message, const char *name)
{
    return g_strdup(
        soup_message_headers_get_one(soup_server_message_get_request_headers(message), name));
}

static FakeRequest *request_of(SoupServerMessage *message, const char *path)
{
    SoupMessageBody *body = soup_server_message_get_request_body(message);
    const char *query = g_uri_get_query(soup_server_message_get_uri(message));
    FakeRequest *request = g_new0(FakeRequest, 1);
    request->method = g_strdup(soup_server_message_get_method(message));
    request->path = g_strdup(path);
    request->query = g_strdup(query != NULL ? query : "");
    request->body_length = (size_t)body->length;
    request->body = g_strndup(body->data != NULL ? body->data : "", (gsize)body->length);
    request->authorization = header(message, "Authorization");
    request->if_match = header(message, "If-Match");
    request->accept = header(message, "Accept");
    request->last_event_id = header(message, "Last-Event-ID");
    return request;
}

static void on_request(SoupServer *server, SoupServerMessage *message, const char *path,
                       GHashTable *query, gpointer data)
{
    FakeManager *manager = data;
    g_autofree char *what = g_strdup_printf("%s %s", soup_server_message_get_method(message), path);
    g_mutex_lock(&manager->lock);
    g_ptr_array_add(manager->requests, request_of(message, path));
    GQueue *queue = g_hash_table_lookup(manager->answers, what);
    Answer *answer = queue != NULL ? g_queue_peek_head(queue) : NULL;
    if (answer == NULL) {
        const char *body = "{\"error\": {\"code\": \"not-found\", \"message\": \"not scripted\"}}";
        soup_server_message_set_status(message, 404, NULL);
        soup_server_message_set_response(message, "application/json", SOUP_MEMORY_COPY, body,
                                         strlen(body));
    } else {
        soup_server_message_set_status(message, (guint)answer->status, NULL);
        soup_server_message_set_response(message, answer->type, SOUP_MEMORY_COPY, answer->body,
                                         strlen(answer->body));
        if (queue->length > 1) {
            answer_free(g_queue_pop_head(queue));
        }
    }
    g_cond_broadcast(&manager->changed);
    g_mutex_unlock(&manager->lock);
}

static void on_console_message(SoupWebsocketConnection *connection, int type, GBytes *bytes,
                               gpointer data)
{
    gsize length;
    const char *text = g_bytes_get_data(bytes, &length);
    g_autofree char *upper = g_ascii_strup(text, (gssize)length);
    soup_websocket_connection_send_binary(connection, upper, length);
    if (memchr(text, '\n', length) != NULL) {
        soup_websocket_connection_close(connection, SOUP_WEBSOCKET_CLOSE_NORMAL, NULL);
    }
}

static void on_console(SoupServer *server, SoupServerMessage *message, const char *path,
                       SoupWebsocketConnection *connection, gpointer data)
{
    FakeManager *manager = data;
    g_mutex_lock(&manager->lock);
    g_ptr_array_add(manager->requests, request_of(message, path));
    soup_websocket_connection_send_binary(connection, manager->greeting, strlen(manager->greeting));
    g_mutex_unlock(&manager->lock);
    g_signal_connect(connection, "message", G_CALLBACK(on_console_message), NULL);
    g_signal_connect(connection, "closed", G_CALLBACK(g_object_unref), NULL);
    g_object_ref(connection);
}

static void listen_locally(FakeManager *manager)
{
    SoupServerListenOptions options = SOUP_SERVER_LISTEN_IPV4_ONLY;
    if (manager->directory != NULL) {
        g_autofree char *path = g_build_filename(manager->directory, "tls", "server.pem", NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(GTlsCertificate) certificate = g_tls_certificate_new_from_file(path, &error);
        g_assert_no_error(error);
        soup_server_set_tls_certificate(manager->server, certificate);
        options |= SOUP_SERVER_LISTEN_HTTPS;
    }
    g_autoptr(GError) error = NULL;
    soup_server_listen_local(manager->server, 0, options, &error);
    g_assert_no_error(error);
    GSList *uris = soup_server_get_uris(manager->server);
    GUri *uri = uris->data;
    manager->url = g_strdup_printf("%s://127.0.0.1:%d", g_uri_get_scheme(uri), g_uri_get_port(uri));
    g_slist_free_full(uris, (GDestroyNotify)g_uri_unref);
}

static gpointer serve(gpointer data)
{
    FakeManager *manager = data;
    g_main_context_push_thread_default(manager->context);
    manager->server = soup_server_new("server-header", "fake", NULL);
    soup_server_add_handler(manager->server, NULL, on_request, manager, NULL);
    listen_locally(manager);
    g_mutex_lock(&manager->lock);
    manager->ready = true;
    g_cond_broadcast(&manager->changed);
    g_mutex_unlock(&manager->lock);
    g_main_loop_run(manager->loop);
    soup_server_disconnect(manager->server);
    g_object_unref(manager->server);
    g_main_context_pop_thread_default(manager->context);
    return NULL;
}

FakeManager *fake_manager_new(const char *directory)
{
    FakeManager *manager = g_new0(FakeManager, 1);
    g_mutex_init(&manager->lock);
    g_cond_init(&manager->changed);
    manager->directory = g_strdup(directory);
    manager->context = g_main_context_new();
    manager->loop = g_main_loop_new(manager->context, FALSE);
    manager->answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, queue_free);
    manager->requests = g_ptr_array_new_with_free_func((GDestroyNotify)fake_request_free);
    manager->context_directory = g_dir_make_tmp("berth-cli-XXXXXX", NULL);
    manager->context_path = g_build_filename(manager->context_directory, "context.yaml", NULL);
    manager->thread = g_thread_new("fake-manager", serve, manager);
    g_mutex_lock(&manager->lock);
    while (!manager->ready) {
        g_cond_wait(&manager->changed, &manager->lock);
    }
    g_mutex_unlock(&manager->lock);
    return manager;
}

static gboolean quit(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

void fake_manager_free(FakeManager *manager)
{
    g_main_context_invoke(manager->context, quit, manager->loop);
    g_thread_join(manager->thread);
    g_main_loop_unref(manager->loop);
    g_main_context_unref(manager->context);
    g_hash_table_unref(manager->answers);
    g_ptr_array_unref(manager->requests);
    g_unlink(manager->context_path);
    g_rmdir(manager->context_directory);
    g_free(manager->context_path);
    g_free(manager->context_directory);
    g_free(manager->directory);
    g_free(manager->url);
    g_free(manager->greeting);
    g_mutex_clear(&manager->lock);
    g_cond_clear(&manager->changed);
    g_free(manager);
}

const char *fake_manager_url(const FakeManager *manager)
{
    return manager->url;
}

static void append_ca(GString *text, const FakeManager *manager, const char *ca)
{
    g_autofree char *path =
        g_build_filename(manager->directory, "tls", ca != NULL ? ca : "ca.pem", NULL);
    g_autofree char *pem = NULL;
    g_assert_true(g_file_get_contents(path, &pem, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(pem, "\n", -1);
    g_string_append(text, "ca: |\n");
    for (guint i = 0; lines[i] != NULL; i++) {
        g_string_append_printf(text, "  %s\n", lines[i]);
    }
}

const char *fake_manager_context(FakeManager *manager, const char *ca)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "url: %s\ntoken: sesame\n", manager->url);
    if (manager->directory != NULL) {
        append_ca(text, manager, ca);
    }
    g_assert_true(g_file_set_contents(manager->context_path, text->str, -1, NULL));
    g_string_free(text, TRUE);
    return manager->context_path;
}

void fake_manager_answer_as(FakeManager *manager, const char *what, int status, const char *type,
                            const char *body)
{
    Answer *answer = g_new0(Answer, 1);
    answer->status = status;
    answer->type = g_strdup(type);
    answer->body = g_strdup(body);
    g_mutex_lock(&manager->lock);
    GQueue *queue = g_hash_table_lookup(manager->answers, what);
    if (queue == NULL) {
        queue = g_queue_new();
        g_hash_table_insert(manager->answers, g_strdup(what), queue);
    }
    g_queue_push_tail(queue, answer);
    g_mutex_unlock(&manager->lock);
}

void fake_manager_answer(FakeManager *manager, const char *what, int status, const char *body)
{
    fake_manager_answer_as(manager, what, status, "application/json", body);
}

typedef struct {
    FakeManager *manager;
    const char *path;
} ConsoleScript;

static gboolean add_console(gpointer data)
{
    ConsoleScript *script = data;
    soup_server_add_websocket_handler(script->manager->server, script->path, NULL, NULL, on_console,
                                      script->manager, NULL);
    g_mutex_lock(&script->manager->lock);
    script->path = NULL;
    g_cond_broadcast(&script->manager->changed);
    g_mutex_unlock(&script->manager->lock);
    return G_SOURCE_REMOVE;
}

void fake_manager_console(FakeManager *manager, const char *path, const char *greeting)
{
    ConsoleScript script = {manager, path};
    manager->greeting = g_strdup(greeting);
    g_main_context_invoke(manager->context, add_console, &script);
    g_mutex_lock(&manager->lock);
    while (script.path != NULL) {
        g_cond_wait(&manager->changed, &manager->lock);
    }
    g_mutex_unlock(&manager->lock);
}

unsigned fake_manager_count(FakeManager *manager)
{
    g_mutex_lock(&manager->lock);
    unsigned count = manager->requests->len;
    g_mutex_unlock(&manager->lock);
    return count;
}

FakeRequest *fake_manager_request(FakeManager *manager, int i)
{
    g_mutex_lock(&manager->lock);
    guint index = i >= 0 ? (guint)i : manager->requests->len - (guint)-i;
    g_assert_cmpuint(index, <, manager->requests->len);
    const FakeRequest *r = manager->requests->pdata[index];
    FakeRequest *copy = g_new0(FakeRequest, 1);
    *copy = (FakeRequest){g_strdup(r->method),
                          g_strdup(r->path),
                          g_strdup(r->query),
                          g_memdup2(r->body, r->body_length + 1),
                          r->body_length,
                          g_strdup(r->authorization),
                          g_strdup(r->if_match),
                          g_strdup(r->accept),
                          g_strdup(r->last_event_id)};
    g_mutex_unlock(&manager->lock);
    return copy;
}
