/*
 * Those who follow events: server-sent events, to resume from a revision.
 *
 * An id, which is what a client resumes from, comes only with the last event of its revision: who
 * is cut off in the middle of one gets all of it again, and loses none.
 */
#include "base/error.h"
#include "manager/manager.h"

/* A follower that has so much to read and does not is dropped; it resumes from where it was. */
#define MAX_WAITING_BYTES (4 * 1024 * 1024)
#define COMMENT_INTERVAL_S 15

struct Events {
    Manager *manager;
    GHashTable *followers; /* SoupServerMessage → Follower */
    GPtrArray *told;       /* of Told: published and not flushed yet */
    guint comments;
};

typedef struct {
    Events *events;
    SoupServerMessage *message;
    char *subject; /* NULL: all */
    char *tenant;  /* NULL: all */
    int64_t after; /* the revision up to which it has been told */
    gsize waiting; /* bytes given to the message and not written yet */
} Follower;

/* One event, with what decides who gets it. */
typedef struct {
    int64_t revision;
    char *id, *name; /* of its subject */
    char *tenant;
    GBytes *json;
} Told;

static void told_free(gpointer data)
{
    Told *told = data;
    g_free(told->id);
    g_free(told->name);
    g_free(told->tenant);
    g_bytes_unref(told->json);
    g_free(told);
}

static Told *told_new(GBytes *event)
{
    gsize size = 0;
    const char *text = g_bytes_get_data(event, &size);
    json_t *json = json_loadb(text, size, 0, NULL);
    const json_t *subject = json_object_get(json, "subject");
    Told *told = g_new(Told, 1);
    *told = (Told){.revision = json_integer_value(json_object_get(json, "revision")),
                   .id = g_strdup(json_string_value(json_object_get(subject, "id"))),
                   .name = g_strdup(json_string_value(json_object_get(subject, "name"))),
                   .tenant = g_strdup(json_string_value(json_object_get(json, "tenant"))),
                   .json = g_bytes_ref(event)};
    json_decref(json);
    return told;
}

static void follower_free(gpointer data)
{
    Follower *follower = data;
    g_object_unref(follower->message);
    g_free(follower->subject);
    g_free(follower->tenant);
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
    if (follower->waiting > MAX_WAITING_BYTES) {
        g_io_stream_close(soup_server_message_steal_connection(follower->message), NULL, NULL);
        return;
    }
    follower->waiting += g_bytes_get_size(bytes);
    soup_message_body_append_bytes(soup_server_message_get_response_body(follower->message), bytes);
    soup_server_message_unpause(follower->message);
}

static bool is_for(const Told *told, const Follower *follower)
{
    bool about = follower->subject == NULL || g_strcmp0(told->id, follower->subject) == 0 ||
                 g_strcmp0(told->name, follower->subject) == 0;
    bool own = follower->tenant == NULL || g_strcmp0(told->tenant, follower->tenant) == 0;
    return about && own && told->revision > follower->after;
}

static void append_frame(GString *out, const Told *told, bool last_of_revision)
{
    gsize size = 0;
    const char *text = g_bytes_get_data(told->json, &size);
    if (last_of_revision) {
        g_string_append_printf(out, "id: %" G_GINT64_FORMAT "\n", told->revision);
    }
    g_string_append(out, "data: ");
    g_string_append_len(out, text, (gssize)size);
    g_string_append(out, "\n\n");
}

/* Whole revisions, in their order, as this follower gets them; NULL: nothing for it. */
static GBytes *frames_for(const Follower *follower, const GPtrArray *told)
{
    g_autoptr(GPtrArray) wanted = g_ptr_array_new();
    for (guint i = 0; i < told->len; i++) {
        if (is_for(told->pdata[i], follower)) {
            g_ptr_array_add(wanted, told->pdata[i]);
        }
    }
    GString *out = g_string_new(NULL);
    for (guint i = 0; i < wanted->len; i++) {
        const Told *this = wanted->pdata[i];
        const Told *next = i + 1 < wanted->len ? wanted->pdata[i + 1] : NULL;
        append_frame(out, this, next == NULL || next->revision != this->revision);
    }
    if (out->len == 0) {
        g_string_free(out, TRUE);
        return NULL;
    }
    return g_string_free_to_bytes(out);
}

static void tell(Follower *follower, const GPtrArray *told, GBytes *frames)
{
    const Told *last = told->pdata[told->len - 1];
    follower->after = MAX(follower->after, last->revision);
    if (frames != NULL) {
        send(follower, frames);
    }
}

/* Keeps what lies between from closing a line that says nothing. */
static gboolean on_comment(gpointer data)
{
    const Events *events = data;
    g_autoptr(GBytes) comment = g_bytes_new_static(":\n\n", 3);
    g_autoptr(GList) followers = g_hash_table_get_values(events->followers);
    for (GList *at = followers; at != NULL; at = at->next) {
        send(at->data, comment);
    }
    return G_SOURCE_CONTINUE;
}

Events *events_new(Manager *manager)
{
    Events *events = g_new0(Events, 1);
    events->manager = manager;
    events->followers = g_hash_table_new_full(NULL, NULL, NULL, follower_free);
    events->told = g_ptr_array_new_with_free_func(told_free);
    events->comments = g_timeout_add_seconds(COMMENT_INTERVAL_S, on_comment, events);
    return events;
}

void events_free(Events *events)
{
    if (events != NULL) {
        g_source_remove(events->comments);
        g_hash_table_unref(events->followers);
        g_ptr_array_unref(events->told);
        g_free(events);
    }
}

static bool tell_kept(Follower *follower, GError **error)
{
    g_autoptr(GPtrArray) kept =
        cluster_core_events_since(follower->events->manager->core, follower->after, error);
    if (kept == NULL) {
        return false;
    }
    g_autoptr(GPtrArray) told = g_ptr_array_new_with_free_func(told_free);
    for (guint i = 0; i < kept->len; i++) {
        g_ptr_array_add(told, told_new(kept->pdata[i]));
    }
    if (told->len > 0) {
        g_autoptr(GBytes) frames = frames_for(follower, told);
        tell(follower, told, frames);
    }
    return true;
}

void events_follow(Events *events, SoupServerMessage *message, int64_t revision,
                   const char *subject, const char *tenant)
{
    Follower *follower = g_new0(Follower, 1);
    follower->events = events;
    follower->message = g_object_ref(message);
    follower->subject = g_strdup(subject);
    follower->tenant = g_strdup(tenant);
    follower->after = revision;
    g_autoptr(GError) error = NULL;
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    soup_message_headers_set_encoding(headers, SOUP_ENCODING_CHUNKED);
    soup_message_headers_set_content_type(headers, "text/event-stream", NULL);
    soup_message_headers_replace(headers, "Cache-Control", "no-store");
    soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
    soup_server_message_set_status(message, 200, NULL);
    soup_server_message_pause(message);
    if (!tell_kept(follower, &error)) {
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

void events_publish(Events *events, GBytes *event)
{
    if (g_hash_table_size(events->followers) > 0) {
        g_ptr_array_add(events->told, told_new(event));
    }
}

void events_flush(Events *events)
{
    if (events == NULL || events->told->len == 0) {
        return;
    }
    const Told *first = events->told->pdata[0];
    g_autoptr(GBytes) whole = NULL; /* the same for all who want all */
    g_autoptr(GList) followers = g_hash_table_get_values(events->followers);
    for (GList *at = followers; at != NULL; at = at->next) {
        Follower *follower = at->data;
        if (follower->subject == NULL && follower->tenant == NULL &&
            follower->after < first->revision) {
            whole = whole != NULL ? whole : frames_for(follower, events->told);
            tell(follower, events->told, whole);
        } else {
            g_autoptr(GBytes) own = frames_for(follower, events->told);
            tell(follower, events->told, own);
        }
    }
    g_ptr_array_set_size(events->told, 0);
}

guint events_count(const Events *events)
{
    return g_hash_table_size(events->followers);
}
