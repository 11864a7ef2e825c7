/*
 * Those who follow events: server-sent events, to resume from a revision.
 *
 * An id, which is what a client resumes from, comes only with the last event of its revision: who
 * is cut off in the middle of one gets all of it again, and loses none.
 *
 * A follower's connection is taken from the HTTP server: the same bytes go to all, straight into
 * their sockets, and one epoll set watches them all, so that thousands cost the main loop nothing.
 * Each has a record of its own to be enciphered and a socket to be written to, which is spread over
 * the cores; the main thread does its share of it meanwhile, so that nothing has two owners.
 */
#include <glib-unix.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"
#include "manager/manager.h"
#include "manager/spread.h"

/* A follower that has so much to read and does not is dropped; it resumes from where it was. */
#define MAX_WAITING_BYTES (4 * 1024 * 1024)
#define COMMENT_INTERVAL_S 15
#define BATCH 64
#define MAX_THREADS 3 /* besides the main one */
#define HEAD                                                                                       \
    "HTTP/1.1 200 OK\r\nServer: berth\r\nContent-Type: text/event-stream\r\n"                      \
    "Cache-Control: no-store\r\nConnection: close\r\n\r\n:\n\n"

struct Events {
    Manager *manager;
    GQueue followers; /* of Follower */
    GPtrArray *told;  /* of Told: published and not flushed yet */
    Spread *spread;
    guint comments, ready;
    int epoll_fd;
};

typedef struct {
    Events *events;
    GList link;
    GIOStream *stream;
    ClientStream *client; /* the stream's */
    char *who;            /* the token's id */
    char *subject;        /* NULL: all */
    char *kind;           /* likewise */
    int64_t since_ms;
    char *tenant;  /* NULL: all */
    int64_t after; /* the revision up to which it has been told */
    GQueue out;    /* of GBytes: what the socket has not taken */
    gsize sent;    /* of the first */
    gsize waiting; /* bytes of all */
    bool watched;  /* for room in the socket */
    bool broken;   /* to be freed */
} Follower;

/* One event, with what decides who gets it. */
typedef struct {
    int64_t revision;
    char *id, *name; /* of its subject */
    char *tenant, *kind;
    int64_t at_ms;
    GBytes *json;
} Told;

static void told_free(gpointer data)
{
    Told *told = data;
    g_free(told->id);
    g_free(told->name);
    g_free(told->tenant);
    g_free(told->kind);
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
                   .kind = g_strdup(json_string_value(json_object_get(json, "kind"))),
                   .at_ms = json_integer_value(json_object_get(json, "at-ms")),
                   .json = g_bytes_ref(event)};
    json_decref(json);
    return told;
}

static void bytes_free(gpointer bytes)
{
    g_bytes_unref(bytes);
}

static void follower_free(Follower *follower)
{
    Events *events = follower->events;
    if (follower->stream != NULL) {
        g_queue_unlink(&events->followers, &follower->link);
        epoll_ctl(events->epoll_fd, EPOLL_CTL_DEL, client_stream_fd(follower->client), NULL);
        g_io_stream_close(follower->stream, NULL, NULL);
        g_object_unref(follower->stream);
    }
    g_queue_clear_full(&follower->out, bytes_free);
    g_free(follower->who);
    g_free(follower->subject);
    g_free(follower->kind);
    g_free(follower->tenant);
    g_free(follower);
}

static bool watch(Follower *follower, int operation, bool for_room)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (for_room ? EPOLLOUT : 0),
                                .data.ptr = follower};
    follower->watched = for_room;
    return epoll_ctl(follower->events->epoll_fd, operation, client_stream_fd(follower->client),
                     &event) == 0;
}

/* False: the connection has broken. */
static bool flush(Follower *follower)
{
    GBytes *first;
    while ((first = g_queue_peek_head(&follower->out)) != NULL) {
        gsize size = 0;
        const char *data = g_bytes_get_data(first, &size);
        gssize n =
            client_stream_send(follower->client, data + follower->sent, size - follower->sent);
        if (n < 0) {
            return false;
        }
        follower->sent += (gsize)n;
        follower->waiting -= (gsize)n;
        if (follower->sent < size) {
            return follower->watched || watch(follower, EPOLL_CTL_MOD, true);
        }
        g_bytes_unref(g_queue_pop_head(&follower->out));
        follower->sent = 0;
    }
    return !follower->watched || watch(follower, EPOLL_CTL_MOD, false);
}

/* False: it has left, or does not read. Touches nothing but the follower. */
static bool offer(Follower *follower, GBytes *bytes)
{
    if (follower->waiting > MAX_WAITING_BYTES) {
        return false;
    }
    bool blocked = follower->waiting > 0;
    g_queue_push_tail(&follower->out, g_bytes_ref(bytes));
    follower->waiting += g_bytes_get_size(bytes);
    return blocked || flush(follower);
}

static gboolean on_ready(int fd, GIOCondition condition, gpointer data)
{
    struct epoll_event batch[BATCH];
    int n = epoll_wait(fd, batch, BATCH, 0);
    for (int i = 0; i < n; i++) {
        Follower *follower = batch[i].data.ptr;
        bool left = (batch[i].events & ~(uint32_t)EPOLLOUT) != 0 &&
                    !client_stream_discard(follower->client);
        if (left || ((batch[i].events & EPOLLOUT) != 0 && !flush(follower))) {
            follower_free(follower);
        }
    }
    return G_SOURCE_CONTINUE;
}

static bool is_for(const Told *told, const Follower *follower)
{
    bool about = follower->subject == NULL || g_strcmp0(told->id, follower->subject) == 0 ||
                 g_strcmp0(told->name, follower->subject) == 0;
    bool own = follower->tenant == NULL || g_strcmp0(told->tenant, follower->tenant) == 0;
    return about && own && told->revision > follower->after && told->at_ms >= follower->since_ms &&
           cluster_event_kind_is(told->kind, follower->kind);
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

/* Keeps what lies between from closing a line that says nothing. */
static gboolean on_comment(gpointer data)
{
    const Events *events = data;
    g_autoptr(GBytes) comment = g_bytes_new_static(":\n\n", 3);
    for (GList *l = events->followers.head, *next; l != NULL; l = next) {
        next = l->next;
        if (!offer(l->data, comment)) {
            follower_free(l->data);
        }
    }
    return G_SOURCE_CONTINUE;
}

Events *events_new(Manager *manager)
{
    Events *events = g_new0(Events, 1);
    events->manager = manager;
    events->told = g_ptr_array_new_with_free_func(told_free);
    events->spread = spread_new(MIN(g_get_num_processors() - 1, MAX_THREADS));
    events->comments = g_timeout_add_seconds(COMMENT_INTERVAL_S, on_comment, events);
    events->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (events->epoll_fd < 0) {
        g_error("cannot make an epoll set");
    }
    events->ready = g_unix_fd_add(events->epoll_fd, G_IO_IN, on_ready, events);
    return events;
}

void events_free(Events *events)
{
    if (events != NULL) {
        g_source_remove(events->comments);
        g_source_remove(events->ready);
        while (events->followers.head != NULL) {
            follower_free(events->followers.head->data);
        }
        close(events->epoll_fd);
        spread_free(events->spread);
        g_ptr_array_unref(events->told);
        g_free(events);
    }
}

/* What is kept, for one who begins to follow; NULL in `ret_frames`: nothing. */
static bool read_kept(Follower *follower, GBytes **ret_frames, GError **error)
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
    *ret_frames = frames_for(follower, told);
    if (told->len > 0) {
        follower->after =
            MAX(follower->after, ((const Told *)told->pdata[told->len - 1])->revision);
    }
    return true;
}

void events_look_over(Events *events)
{
    for (GList *l = events->followers.head, *next; l != NULL; l = next) {
        next = l->next;
        if (!auth_is_good(events->manager->core, ((const Follower *)l->data)->who)) {
            follower_free(l->data);
        }
    }
}

void events_follow(Events *events, SoupServerMessage *message, const AuthWho *who, int64_t revision,
                   const ListEventsQuery *query, const char *tenant)
{
    Follower *follower = g_new0(Follower, 1);
    *follower = (Follower){.events = events,
                           .who = g_strdup(who->subject),
                           .subject = g_strdup(query->subject),
                           .kind = g_strdup(query->kind),
                           .since_ms = query->since,
                           .tenant = g_strdup(tenant),
                           .after = revision};
    follower->link.data = follower;
    g_autoptr(GBytes) head = g_bytes_new_static(HEAD, strlen(HEAD));
    g_autoptr(GBytes) frames = NULL;
    g_autoptr(GError) error = NULL;
    if (!read_kept(follower, &frames, &error)) {
        follower_free(follower);
        http_answer_error(message, error);
        return;
    }
    follower->stream = door_take_over(message, &follower->client);
    g_queue_push_tail_link(&events->followers, &follower->link);
    if (frames != NULL) {
        g_queue_push_tail(&follower->out, g_bytes_ref(frames));
        follower->waiting += g_bytes_get_size(frames);
    }
    g_queue_push_head(&follower->out, g_bytes_ref(head));
    follower->waiting += g_bytes_get_size(head);
    if (!watch(follower, EPOLL_CTL_ADD, false) || !flush(follower)) {
        follower_free(follower);
    }
}

void events_publish(Events *events, GBytes *event)
{
    if (events->followers.length > 0) {
        g_ptr_array_add(events->told, told_new(event));
    }
}

/* What goes to whom, of one flush. */
typedef struct {
    const GPtrArray *told;
    GPtrArray *followers;
    GBytes *whole; /* the same for all who want all */
} Telling;

static bool wants_whole(const Follower *follower, const GPtrArray *told)
{
    const Told *first = told->pdata[0];
    return follower->subject == NULL && follower->tenant == NULL && follower->kind == NULL &&
           follower->since_ms <= first->at_ms && follower->after < first->revision;
}

/* In whatever thread. */
static void tell(guint index, gpointer data)
{
    const Telling *telling = data;
    Follower *follower = telling->followers->pdata[index];
    const Told *last = telling->told->pdata[telling->told->len - 1];
    g_autoptr(GBytes) frames = wants_whole(follower, telling->told)
                                   ? g_bytes_ref(telling->whole)
                                   : frames_for(follower, telling->told);
    follower->after = MAX(follower->after, last->revision);
    follower->broken = frames != NULL && !offer(follower, frames);
}

void events_flush(Events *events)
{
    if (events == NULL || events->told->len == 0) {
        return;
    }
    g_autoptr(GPtrArray) followers = g_ptr_array_sized_new(events->followers.length);
    g_autoptr(GBytes) whole = NULL;
    for (GList *l = events->followers.head; l != NULL; l = l->next) {
        g_ptr_array_add(followers, l->data);
        if (whole == NULL && wants_whole(l->data, events->told)) {
            whole = frames_for(l->data, events->told);
        }
    }
    Telling telling = {events->told, followers, whole};
    spread_run(events->spread, followers->len, tell, &telling);
    for (guint i = 0; i < followers->len; i++) {
        Follower *follower = followers->pdata[i];
        if (follower->broken) {
            follower_free(follower);
        }
    }
    g_ptr_array_set_size(events->told, 0);
}

guint events_count(const Events *events)
{
    return events->followers.length;
}
