#include "qemu/ga.h"

#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "qemu/json_lines.h"
#include "qemu/stream.h"

#define MAX_QUEUED_BYTES (1u << 20)
#define REMEDY                                                                                     \
    "see that the image has qemu-guest-agent and starts it, and whether the guest is booting or "  \
    "hung"

#define CLOSED_MESSAGE "the connection to the agent in the guest is closed"

typedef enum {
    STATE_UNSYNCED,
    STATE_SYNCING,
    STATE_IDLE,
    STATE_BUSY,
    STATE_CLOSED,
} State;

typedef struct {
    Ga *ga;
    guint64 id;
    char *command;
    json_t *args;
    guint timeout_ms;
    GaReplyFunc reply;
    gpointer user_data;
    GSource *timer;
    GError *refused; /* to be answered with from the main loop */
} Call;

struct Ga {
    State state;
    GMainContext *context;
    Stream *stream;
    JsonLines *lines;
    GQueue calls; /* of Call; the head is the one under way */
    GQueue waits; /* of Call without a command */
    guint64 next_id;
    gint64 sync_id;
    bool sync_is_last; /* nothing was written behind the last sync */
    GaClosedFunc closed;
    gpointer user_data;
    bool freed;
};

static void advance(Ga *ga);

static void clear_source(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_clear_pointer(source, g_source_unref);
    }
}

static void ga_clear(gpointer data)
{
    Ga *ga = data;
    g_clear_pointer(&ga->lines, json_lines_free);
    g_clear_pointer(&ga->context, g_main_context_unref);
}

/* The call is gone before its function runs, which may do anything. */
static void answer(Call *call, json_t *result, const GError *error)
{
    Ga *ga = call->ga;
    GaReplyFunc reply = call->reply;
    gpointer user_data = call->user_data;
    g_queue_remove(call->command != NULL ? &ga->calls : &ga->waits, call);
    clear_source(&call->timer);
    json_decref(call->args);
    g_clear_error(&call->refused);
    g_free(call->command);
    g_free(call);
    if (reply != NULL) {
        reply(result, error, user_data);
    }
}

/* Gives up the call under way, or one that waits. What the guest still says about it is thrown
 * away. */
static void give_up(Call *call, const GError *error)
{
    Ga *ga = g_rc_box_acquire(call->ga);
    bool under_way = g_queue_peek_head(&ga->calls) == call &&
                     (ga->state == STATE_BUSY || ga->state == STATE_SYNCING);
    if (under_way) {
        ga->state = STATE_UNSYNCED;
    }
    answer(call, NULL, error);
    advance(ga);
    g_rc_box_release_full(ga, ga_clear);
}

static gboolean on_waited(gpointer user_data);

static gboolean on_timer(gpointer user_data)
{
    Call *call = user_data;
    g_autoptr(GError) error = g_steal_pointer(&call->refused);
    if (error == NULL) {
        berth_error_set(&error, BERTH_ERROR_TIMEOUT, "command", call->command, REMEDY,
                        "the agent in the guest gave no answer within %u ms", call->timeout_ms);
    }
    give_up(call, error);
    return G_SOURCE_REMOVE;
}

static void start_timer(Call *call, guint ms)
{
    clear_source(&call->timer);
    call->timer = g_timeout_source_new(ms);
    GSourceFunc func = call->command != NULL ? on_timer : on_waited;
    g_source_set_callback(call->timer, func, call, NULL);
    g_source_attach(call->timer, call->ga->context);
}

static void refuse(Call *call, BerthErrorCode code, const char *why)
{
    g_clear_error(&call->refused);
    berth_error_set(&call->refused, code, "command", call->command, NULL, "%s", why);
    start_timer(call, 0);
}

static bool send_object(Ga *ga, const char *lead, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    g_autofree char *line = text != NULL ? g_strconcat(lead, text, "\n", NULL) : NULL;
    free(text);
    return line != NULL && stream_write(ga->stream, line, strlen(line), MAX_QUEUED_BYTES);
}

/* While nobody reads the port, syncs gather in the socket. When it is full one more would add
 * nothing: the last one that is queued is answered when a reader comes, so that is the one to wait
 * for. */
static void send_sync(Ga *ga)
{
    ga->state = STATE_SYNCING;
    json_lines_skip_to_mark(ga->lines);
    if (ga->sync_is_last && stream_queued(ga->stream) > 0) {
        return;
    }
    ga->sync_is_last = true;
    ga->sync_id++;
    send_object(ga, "\xFF",
                json_pack("{s:s, s:{s:I}}", "execute", "guest-sync-delimited", "arguments", "id",
                          (json_int_t)ga->sync_id));
}

static void send_call(Ga *ga, Call *call)
{
    json_t *object = json_pack("{s:s}", "execute", call->command);
    if (call->args != NULL) {
        json_object_set(object, "arguments", call->args);
    }
    ga->sync_is_last = false;
    if (send_object(ga, "", object)) {
        ga->state = STATE_BUSY;
    } else {
        refuse(call, BERTH_ERROR_INVALID,
               "the arguments are too large or cannot be written as JSON");
    }
}

static void advance(Ga *ga)
{
    Call *call = g_queue_peek_head(&ga->calls);
    if (call == NULL || call->refused != NULL) {
        return;
    }
    if (ga->state == STATE_UNSYNCED) {
        send_sync(ga);
    } else if (ga->state == STATE_IDLE) {
        send_call(ga, call);
    }
}

guint64 ga_call(Ga *ga, const char *command, json_t *args, guint timeout_ms, GaReplyFunc reply,
                gpointer user_data)
{
    g_return_val_if_fail(!ga->freed, 0);
    Call *call = g_new0(Call, 1);
    call->ga = ga;
    call->id = ga->next_id++;
    call->command = g_strdup(command);
    call->args = args;
    call->timeout_ms = timeout_ms;
    call->reply = reply;
    call->user_data = user_data;
    g_queue_push_tail(&ga->calls, call);
    if (ga->state == STATE_CLOSED) {
        refuse(call, BERTH_ERROR_UNAVAILABLE, CLOSED_MESSAGE);
    } else {
        start_timer(call, timeout_ms);
        advance(ga);
    }
    return call->id;
}

static gboolean on_waited(gpointer user_data)
{
    Call *wait = user_data;
    g_autoptr(GError) error = g_steal_pointer(&wait->refused);
    answer(wait, NULL, error);
    return G_SOURCE_REMOVE;
}

void ga_wait(Ga *ga, guint ms, GaReplyFunc reply, gpointer user_data)
{
    g_return_if_fail(!ga->freed);
    Call *wait = g_new0(Call, 1);
    wait->ga = ga;
    wait->id = ga->next_id++;
    wait->reply = reply;
    wait->user_data = user_data;
    g_queue_push_tail(&ga->waits, wait);
    if (ga->state == STATE_CLOSED) {
        refuse(wait, BERTH_ERROR_UNAVAILABLE, CLOSED_MESSAGE);
    } else {
        start_timer(wait, ms);
    }
}

bool ga_cancel(Ga *ga, guint64 id)
{
    for (GList *item = ga->calls.head; item != NULL; item = item->next) {
        Call *call = item->data;
        if (call->id == id) {
            g_autoptr(GError) error = g_error_new(G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                  "the call of %s was cancelled", call->command);
            give_up(call, error);
            return true;
        }
    }
    return false;
}

static GError *error_of(const char *command, json_t *error)
{
    const char *class_name = json_string_value(json_object_get(error, "class"));
    const char *text = json_string_value(json_object_get(error, "desc"));
    GError *result = NULL;
    if (g_strcmp0(class_name, "CommandNotFound") == 0 ||
        g_strcmp0(class_name, "CommandDisabled") == 0) {
        berth_error_set(
            &result, BERTH_ERROR_NOT_FOUND, "command", command,
            "allow it in the configuration of the guest's agent, or install a newer one",
            "the agent in the guest does not offer it");
    } else {
        berth_error_set(&result, BERTH_ERROR_INTERNAL, "command", command, NULL,
                        "the agent in the guest refused: %s",
                        text != NULL ? text : "no reason given");
    }
    return result;
}

static void on_object(Ga *ga, json_t *object)
{
    json_t *result = json_object_get(object, "return");
    if (ga->state == STATE_SYNCING) {
        if (json_is_integer(result) && json_integer_value(result) == ga->sync_id) {
            ga->state = STATE_IDLE;
            advance(ga);
        } else {
            json_lines_skip_to_mark(ga->lines);
        }
        return;
    }
    Call *call = g_queue_peek_head(&ga->calls);
    if (ga->state != STATE_BUSY || call == NULL) {
        return;
    }
    ga->state = STATE_IDLE;
    g_autoptr(GError) error = NULL;
    if (result == NULL) {
        error = error_of(call->command, json_object_get(object, "error"));
    }
    answer(call, result, error);
    advance(ga);
}

/* What cannot be read ends the call under way; the next sync finds the beginning of an answer
 * again. */
static void on_nonsense(Ga *ga, GError *error)
{
    Call *call = g_queue_peek_head(&ga->calls);
    if (ga->state == STATE_BUSY && call != NULL) {
        g_prefix_error(&error, "the agent in the guest spoke nonsense: ");
        give_up(call, error);
    } else if (ga->state == STATE_SYNCING) {
        json_lines_skip_to_mark(ga->lines);
    }
    g_error_free(error);
}

static void on_data(const void *data, size_t size, gpointer user_data)
{
    Ga *ga = g_rc_box_acquire(user_data);
    json_lines_push(ga->lines, data, size);
    JsonLinesResult result;
    do {
        json_t *object = NULL;
        GError *error = NULL;
        result = json_lines_next(ga->lines, &object, &error);
        if (result == JSON_LINES_OBJECT) {
            on_object(ga, object);
            json_decref(object);
        } else if (result == JSON_LINES_BAD) {
            on_nonsense(ga, error);
        }
    } while (result != JSON_LINES_MORE && ga->state != STATE_CLOSED);
    g_rc_box_release_full(ga, ga_clear);
}

static void answer_all(Ga *ga, const GError *why)
{
    guint64 end = ga->next_id;
    Call *call;
    while ((call = g_queue_peek_head(&ga->calls)) != NULL && call->id < end) {
        answer(call, NULL, why);
    }
    while ((call = g_queue_peek_head(&ga->waits)) != NULL && call->id < end) {
        answer(call, NULL, why);
    }
}

static void close_connection(Ga *ga, const GError *why)
{
    if (ga->state == STATE_CLOSED) {
        return;
    }
    ga->state = STATE_CLOSED;
    g_clear_pointer(&ga->stream, stream_free);
    g_rc_box_acquire(ga);
    answer_all(ga, why);
    if (ga->closed != NULL) {
        ga->closed(ga, why, ga->user_data);
    }
    g_rc_box_release_full(ga, ga_clear);
}

static void on_closed(const GError *why, gpointer user_data)
{
    g_autoptr(GError) error = g_error_copy(why);
    g_prefix_error(&error, "lost the port of the guest's agent: ");
    close_connection(user_data, error);
}

Ga *ga_new(int fd, GaClosedFunc closed, gpointer user_data)
{
    Ga *ga = g_rc_box_new0(Ga);
    ga->context = g_main_context_ref_thread_default();
    ga->lines = json_lines_new(GA_MAX_LINE_BYTES);
    ga->closed = closed;
    ga->user_data = user_data;
    ga->next_id = 1;
    /* An agent of ours that ran before may have left answers in the port: begin where it cannot
     * have been. */
    ga->sync_id = g_random_int_range(1, G_MAXINT32 / 2);
    g_queue_init(&ga->calls);
    g_queue_init(&ga->waits);
    ga->stream = stream_new(fd, on_data, on_closed, ga);
    return ga;
}

Ga *ga_connect(const char *path, GaClosedFunc closed, gpointer user_data, GError **error)
{
    int fd = stream_connect_unix(path, error);
    return fd >= 0 ? ga_new(fd, closed, user_data) : NULL;
}

void ga_free(Ga *ga)
{
    if (ga == NULL) {
        return;
    }
    g_autoptr(GError) why = NULL;
    berth_error_set(&why, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                    "the connection to the agent in the guest was closed here");
    ga->closed = NULL;
    ga->freed = true;
    close_connection(ga, why);
    answer_all(ga, why);
    g_rc_box_release_full(ga, ga_clear);
}
