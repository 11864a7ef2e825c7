/* Those who follow events: server-sent events, each with its revision as id, to resume from. */
#include "base/error.h"
#include "manager/manager.h"

/* A follower that does not read is dropped; it resumes from where it was. */
#define MAX_WAITING_BYTES (4 * 1024 * 1024)
#define COMMENT_INTERVAL_S 15

struct Events {
    Manager *manager;
    GHashTable *followers; /* SoupServerMessage → Follower */
    guint comments;
};

typedef struct {
    Events *events;
    SoupServerMessage *message;
    gsize waiting; /* bytes given to the message and not written yet */
} Follower;

static void follower_free(gpointer data)
{
    Follower *follower = data;
    g_object_unref(follower->message);
    g_free(follower);
}

static void on_finished(SoupServerMessage *message, gpointer data)
{
    Follower *follower = data;
    g_hash_table_remove(follower->events->followers, message);
}

static void on_wrote(SoupServerMessage *message, guint size, gpointer data)
{
    Follower *follower = data;
    follower->waiting -= MIN(follower->waiting, size);
}

static void send(Follower *follower, GBytes *bytes)
{
    follower->waiting += g_bytes_get_size(bytes);
    if (follower->waiting > MAX_WAITING_BYTES) {
        g_io_stream_close(soup_server_message_steal_connection(follower->message), NULL, NULL);
        return;
    }
    soup_message_body_append_bytes(soup_server_message_get_response_body(follower->message), bytes);
    soup_server_message_unpause(follower->message);
}

static GBytes *frame(int64_t revision, GBytes *event)
{
    gsize size = 0;
    const char *text = g_bytes_get_data(event, &size);
    GString *out = g_string_sized_new(size + 64);
    g_string_append_printf(out, "id: %" G_GINT64_FORMAT "\ndata: ", revision);
    g_string_append_len(out, text, (gssize)size);
    g_string_append(out, "\n\n");
    return g_string_free_to_bytes(out);
}

static void send_all(Events *events, GBytes *bytes)
{
    g_autoptr(GList) followers = g_hash_table_get_values(events->followers);
    for (GList *at = followers; at != NULL; at = at->next) {
        send(at->data, bytes);
    }
}

/* Keeps what lies between from closing a line that says nothing. */
static gboolean on_comment(gpointer data)
{
    g_autoptr(GBytes) comment = g_bytes_new_static(":\n\n", 3);
    send_all(data, comment);
    return G_SOURCE_CONTINUE;
}

Events *events_new(Manager *manager)
{
    Events *events = g_new0(Events, 1);
    events->manager = manager;
    events->followers = g_hash_table_new_full(NULL, NULL, NULL, follower_free);
    events->comments = g_timeout_add_seconds(COMMENT_INTERVAL_S, on_comment, events);
    return events;
}

void events_free(Events *events)
{
    if (events != NULL) {
        g_source_remove(events->comments);
        g_hash_table_unref(events->followers);
        g_free(events);
    }
}

static int64_t revision_of(GBytes *event)
{
    gsize size = 0;
    const char *text = g_bytes_get_data(event, &size);
    json_t *json = json_loadb(text, size, 0, NULL);
    int64_t revision = json_integer_value(json_object_get(json, "revision"));
    json_decref(json);
    return revision;
}

static bool send_kept(Follower *follower, int64_t revision, GError **error)
{
    int64_t oldest = 0;
    g_autoptr(GPtrArray) kept =
        cluster_core_events_since(follower->events->manager->core, revision, &oldest);
    if (kept == NULL) {
        g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, revision);
        return berth_error_set(error, BERTH_ERROR_NOT_FOUND, "after", text,
                               "read what is now, and follow from there",
                               "events before revision %" G_GINT64_FORMAT " are not kept", oldest);
    }
    for (guint i = 0; i < kept->len; i++) {
        g_autoptr(GBytes) bytes = frame(revision_of(kept->pdata[i]), kept->pdata[i]);
        send(follower, bytes);
    }
    return true;
}

void events_follow(Events *events, SoupServerMessage *message, int64_t revision)
{
    Follower *follower = g_new0(Follower, 1);
    follower->events = events;
    follower->message = g_object_ref(message);
    g_autoptr(GError) error = NULL;
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    soup_message_headers_set_encoding(headers, SOUP_ENCODING_CHUNKED);
    soup_message_headers_set_content_type(headers, "text/event-stream", NULL);
    soup_message_headers_replace(headers, "Cache-Control", "no-store");
    soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
    soup_server_message_set_status(message, 200, NULL);
    soup_server_message_pause(message);
    if (revision >= 0 && !send_kept(follower, revision, &error)) {
        follower_free(follower);
        soup_message_headers_set_encoding(headers, SOUP_ENCODING_CONTENT_LENGTH);
        http_answer_error(message, error);
        soup_server_message_unpause(message);
        return;
    }
    g_hash_table_insert(events->followers, message, follower);
    g_signal_connect(message, "finished", G_CALLBACK(on_finished), follower);
    g_signal_connect(message, "wrote-body-data", G_CALLBACK(on_wrote), follower);
    g_autoptr(GBytes) hello = g_bytes_new_static(":\n\n", 3);
    send(follower, hello);
}

void events_publish(Events *events, int64_t revision, GBytes *event)
{
    if (g_hash_table_size(events->followers) > 0) {
        g_autoptr(GBytes) bytes = frame(revision, event);
        send_all(events, bytes);
    }
}

guint events_count(const Events *events)
{
    return g_hash_table_size(events->followers);
}
