#include "qemu/qmp.h"

#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "qemu/qmp_parser.h"
#include "qemu/stream.h"

#define MAX_QUEUED_BYTES (4u << 20)

typedef enum {
    STATE_CONNECTED,
    STATE_NEGOTIATING,
    STATE_READY,
    STATE_CLOSED,
} State;

typedef struct {
    Qmp *qmp;
    guint64 id;
    char *command;
    json_t *args;
    bool oob;
    bool handshake;
    bool sent;
    bool answered;
    GError *refused; /* to be answered with from the main loop */
    guint timeout_ms;
    QmpReplyFunc reply;
    gpointer user_data;
    GSource *timer;
} Call;

struct Qmp {
    State state;
    QmpHandlers handlers;
    GMainContext *context;
    Stream *stream;
    QmpParser *parser;
    GQueue calls; /* of Call, oldest first; a call stays until it is answered here and by QEMU */
    guint64 next_id;
    guint in_flight;
    GSource *handshake_timer;
    bool has_oob;
    bool freed;
    int version[3];
};

static void close_connection(Qmp *qmp, const GError *why);
static void send_waiting(Qmp *qmp);

static void clear_source(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_clear_pointer(source, g_source_unref);
    }
}

static GSource *start_timer(Qmp *qmp, guint ms, GSourceFunc func, gpointer data)
{
    GSource *source = g_timeout_source_new(ms);
    g_source_set_callback(source, func, data, NULL);
    g_source_attach(source, qmp->context);
    return source;
}

static void call_free(Call *call)
{
    clear_source(&call->timer);
    json_decref(call->args);
    g_clear_error(&call->refused);
    g_free(call->command);
    g_free(call);
}

static void forget(Qmp *qmp, Call *call)
{
    if (g_queue_remove(&qmp->calls, call)) {
        qmp->in_flight -= call->sent && !call->oob;
        call_free(call);
    }
}

/* Answers a call. It is forgotten unless QEMU still owes an answer, by which its place is counted.
 */
static void answer(Call *call, json_t *result, const GError *error, bool by_qemu)
{
    Qmp *qmp = call->qmp;
    QmpReplyFunc reply = call->answered ? NULL : call->reply;
    gpointer user_data = call->user_data;
    call->answered = true;
    clear_source(&call->timer);
    if (by_qemu || !call->sent || qmp->state == STATE_CLOSED) {
        forget(qmp, call);
    }
    if (reply != NULL) {
        reply(result, error, user_data);
    }
}

static gboolean on_timer(gpointer user_data)
{
    Call *call = user_data;
    g_autoptr(GError) error = g_steal_pointer(&call->refused);
    if (error == NULL) {
        berth_error_set(
            &error, BERTH_ERROR_TIMEOUT, "command", call->command,
            "see whether QEMU is stopped, starved of processor time or stuck on storage",
            "QEMU gave no answer within %u ms", call->timeout_ms);
    }
    answer(call, NULL, error, false);
    return G_SOURCE_REMOVE;
}

/* Answers from the main loop, so that a caller never gets an answer before he has the call's id. */
static void refuse(Call *call, BerthErrorCode code, const char *why)
{
    clear_source(&call->timer);
    g_clear_error(&call->refused);
    berth_error_set(&call->refused, code, "command", call->command, NULL, "%s", why);
    call->timer = start_timer(call->qmp, 0, on_timer, call);
}

static char *encode(const Call *call)
{
    json_t *object = json_object();
    json_object_set_new(object, call->oob ? "exec-oob" : "execute", json_string(call->command));
    if (call->args != NULL) {
        json_object_set(object, "arguments", call->args);
    }
    json_object_set_new(object, "id", json_integer((json_int_t)call->id));
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

static void transmit(Qmp *qmp, Call *call)
{
    char *text = encode(call);
    g_autofree char *line = text != NULL ? g_strconcat(text, "\n", NULL) : NULL;
    free(text);
    if (line == NULL) {
        refuse(call, BERTH_ERROR_INVALID, "the arguments cannot be written as JSON");
    } else if (!stream_write(qmp->stream, line, strlen(line), MAX_QUEUED_BYTES)) {
        refuse(call, BERTH_ERROR_UNAVAILABLE, "QEMU does not read its monitor");
    } else {
        call->sent = true;
        qmp->in_flight += !call->oob;
    }
}

static bool may_send(const Qmp *qmp, const Call *call)
{
    if (call->sent || call->answered || call->refused != NULL) {
        return false;
    }
    if (call->handshake) {
        return qmp->state == STATE_NEGOTIATING;
    }
    return qmp->state == STATE_READY && (call->oob || qmp->in_flight < QMP_MAX_IN_FLIGHT);
}

static void send_waiting(Qmp *qmp)
{
    for (GList *item = qmp->calls.head; item != NULL; item = item->next) {
        Call *call = item->data;
        if (!may_send(qmp, call)) {
            continue;
        }
        if (call->oob && !qmp->has_oob) {
            refuse(call, BERTH_ERROR_CONFLICT, "the monitor offers no out-of-band execution");
        } else {
            transmit(qmp, call);
        }
    }
}

static Call *new_call(Qmp *qmp, const char *command, json_t *args, guint timeout_ms,
                      QmpReplyFunc reply, gpointer user_data)
{
    Call *call = g_new0(Call, 1);
    call->qmp = qmp;
    call->id = qmp->next_id++;
    call->command = g_strdup(command);
    call->args = args;
    call->timeout_ms = timeout_ms != 0 ? timeout_ms : QMP_DEFAULT_TIMEOUT_MS;
    call->reply = reply;
    call->user_data = user_data;
    if (timeout_ms != QMP_NO_TIMEOUT) {
        call->timer = start_timer(qmp, call->timeout_ms, on_timer, call);
    }
    g_queue_push_tail(&qmp->calls, call);
    return call;
}

static guint64 start_call(Qmp *qmp, const char *command, json_t *args, bool oob, guint timeout_ms,
                          QmpReplyFunc reply, gpointer user_data)
{
    g_return_val_if_fail(!qmp->freed, 0);
    Call *call = new_call(qmp, command, args, timeout_ms, reply, user_data);
    call->oob = oob;
    if (qmp->state == STATE_CLOSED) {
        refuse(call, BERTH_ERROR_UNAVAILABLE, "the connection to QEMU's monitor is closed");
    } else {
        send_waiting(qmp);
    }
    return call->id;
}

guint64 qmp_call(Qmp *qmp, const char *command, json_t *args, guint timeout_ms, QmpReplyFunc reply,
                 gpointer user_data)
{
    return start_call(qmp, command, args, false, timeout_ms, reply, user_data);
}

guint64 qmp_call_oob(Qmp *qmp, const char *command, json_t *args, guint timeout_ms,
                     QmpReplyFunc reply, gpointer user_data)
{
    return start_call(qmp, command, args, true, timeout_ms, reply, user_data);
}

static Call *find_call(Qmp *qmp, guint64 id)
{
    for (GList *item = qmp->calls.head; item != NULL; item = item->next) {
        Call *call = item->data;
        if (call->id == id) {
            return call;
        }
    }
    return NULL;
}

bool qmp_cancel(Qmp *qmp, guint64 id)
{
    Call *call = find_call(qmp, id);
    if (call == NULL || call->answered) {
        return false;
    }
    g_autoptr(GError) error = g_error_new(G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                          "the call of %s was cancelled", call->command);
    answer(call, NULL, error, false);
    return true;
}

static void on_capabilities(json_t *result, const GError *error, gpointer user_data)
{
    Qmp *qmp = user_data;
    if (qmp->state != STATE_NEGOTIATING) {
        return;
    }
    if (error != NULL) {
        close_connection(qmp, error);
        return;
    }
    clear_source(&qmp->handshake_timer);
    qmp->state = STATE_READY;
    send_waiting(qmp);
    if (qmp->handlers.ready != NULL) {
        qmp->handlers.ready(qmp, qmp->handlers.user_data);
    }
}

static void on_greeting(Qmp *qmp, const QmpMessage *message)
{
    if (qmp->state != STATE_CONNECTED) {
        return;
    }
    qmp->has_oob = message->has_oob;
    memcpy(qmp->version, message->version, sizeof qmp->version);
    qmp->state = STATE_NEGOTIATING;
    json_t *args = qmp->has_oob ? json_pack("{s:[s]}", "enable", "oob") : NULL;
    Call *call = new_call(qmp, "qmp_capabilities", args, QMP_NO_TIMEOUT, on_capabilities, qmp);
    call->handshake = true;
    send_waiting(qmp);
}

/* QEMU's classes; GenericError says nothing about whose fault it is. */
static BerthErrorCode code_of_class(const char *name)
{
    if (strcmp(name, "DeviceNotFound") == 0 || strcmp(name, "CommandNotFound") == 0) {
        return BERTH_ERROR_NOT_FOUND;
    }
    return strcmp(name, "DeviceNotActive") == 0 ? BERTH_ERROR_CONFLICT : BERTH_ERROR_INTERNAL;
}

static void on_answer(Qmp *qmp, const QmpMessage *message)
{
    Call *call = message->has_id ? find_call(qmp, message->id) : NULL;
    if (call == NULL || !call->sent) {
        return;
    }
    g_autoptr(GError) error = NULL;
    if (message->kind == QMP_MESSAGE_ERROR) {
        berth_error_set(&error, code_of_class(message->name), "command", call->command, NULL,
                        "QEMU refused %s: %s", call->command, message->text);
    }
    answer(call, message->data, error, true);
    if (qmp->state == STATE_READY) {
        send_waiting(qmp);
    }
}

static void on_message(Qmp *qmp, const QmpMessage *message)
{
    switch (message->kind) {
    case QMP_MESSAGE_GREETING:
        on_greeting(qmp, message);
        break;
    case QMP_MESSAGE_RETURN:
    case QMP_MESSAGE_ERROR:
        on_answer(qmp, message);
        break;
    case QMP_MESSAGE_EVENT:
        if (qmp->handlers.event != NULL) {
            qmp->handlers.event(qmp, message->name, message->data, message->at_us,
                                qmp->handlers.user_data);
        }
        break;
    }
}

static void qmp_clear(gpointer data)
{
    Qmp *qmp = data;
    g_clear_pointer(&qmp->parser, qmp_parser_free);
    g_clear_pointer(&qmp->context, g_main_context_unref);
}

static void on_data(const void *data, size_t size, gpointer user_data)
{
    Qmp *qmp = g_rc_box_acquire(user_data);
    qmp_parser_push(qmp->parser, data, size);
    QmpParserResult result = QMP_PARSER_MESSAGE;
    while (qmp->state != STATE_CLOSED && result == QMP_PARSER_MESSAGE) {
        QmpMessage message = {0};
        g_autoptr(GError) error = NULL;
        result = qmp_parser_next(qmp->parser, &message, &error);
        if (result == QMP_PARSER_MESSAGE) {
            on_message(qmp, &message);
            qmp_message_clear(&message);
        } else if (result == QMP_PARSER_BAD) {
            g_prefix_error(&error, "QEMU's monitor spoke nonsense: ");
            close_connection(qmp, error);
        }
    }
    g_rc_box_release_full(qmp, qmp_clear);
}

static void on_closed(const GError *why, gpointer user_data)
{
    Qmp *qmp = g_rc_box_acquire(user_data);
    g_autoptr(GError) error = g_error_copy(why);
    g_prefix_error(&error, "lost QEMU's monitor: ");
    close_connection(qmp, error);
    g_rc_box_release_full(qmp, qmp_clear);
}

/* Answers all that wait. Nothing is left when the connection is closed: a call that comes later is
 * refused at the next turn of the loop. */
static void answer_all(Qmp *qmp, const GError *why)
{
    guint64 end = qmp->next_id;
    Call *call;
    while ((call = g_queue_peek_head(&qmp->calls)) != NULL && call->id < end) {
        answer(call, NULL, why, false);
    }
}

static void close_connection(Qmp *qmp, const GError *why)
{
    if (qmp->state == STATE_CLOSED) {
        return;
    }
    qmp->state = STATE_CLOSED;
    clear_source(&qmp->handshake_timer);
    g_clear_pointer(&qmp->stream, stream_free);
    g_rc_box_acquire(qmp);
    answer_all(qmp, why);
    if (qmp->handlers.closed != NULL) {
        qmp->handlers.closed(qmp, why, qmp->handlers.user_data);
    }
    g_rc_box_release_full(qmp, qmp_clear);
}

static gboolean on_handshake_timeout(gpointer user_data)
{
    Qmp *qmp = user_data;
    g_autoptr(GError) error = NULL;
    berth_error_set(&error, BERTH_ERROR_TIMEOUT, NULL, NULL,
                    "another client may hold it: a monitor serves one at a time",
                    "QEMU's monitor did not greet");
    close_connection(qmp, error);
    return G_SOURCE_REMOVE;
}

Qmp *qmp_new(int fd, const QmpHandlers *handlers, guint handshake_timeout_ms)
{
    Qmp *qmp = g_rc_box_new0(Qmp);
    qmp->handlers = *handlers;
    qmp->context = g_main_context_ref_thread_default();
    qmp->parser = qmp_parser_new(QMP_MAX_LINE_BYTES);
    qmp->next_id = 1;
    g_queue_init(&qmp->calls);
    qmp->stream = stream_new(fd, on_data, on_closed, qmp);
    guint ms = handshake_timeout_ms != 0 ? handshake_timeout_ms : QMP_DEFAULT_TIMEOUT_MS;
    qmp->handshake_timer = start_timer(qmp, ms, on_handshake_timeout, qmp);
    return qmp;
}

Qmp *qmp_connect(const char *path, const QmpHandlers *handlers, guint handshake_timeout_ms,
                 GError **error)
{
    int fd = stream_connect_unix(path, error);
    return fd >= 0 ? qmp_new(fd, handlers, handshake_timeout_ms) : NULL;
}

void qmp_free(Qmp *qmp)
{
    if (qmp == NULL) {
        return;
    }
    g_autoptr(GError) why = NULL;
    berth_error_set(&why, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                    "the connection to QEMU's monitor was closed here");
    memset(&qmp->handlers, 0, sizeof qmp->handlers);
    qmp->freed = true;
    close_connection(qmp, why);
    answer_all(qmp, why);
    g_rc_box_release_full(qmp, qmp_clear);
}

bool qmp_is_ready(const Qmp *qmp)
{
    return qmp->state == STATE_READY;
}

bool qmp_has_oob(const Qmp *qmp)
{
    return qmp->has_oob;
}

void qmp_version(const Qmp *qmp, int *ret_major, int *ret_minor, int *ret_micro)
{
    *ret_major = qmp->version[0];
    *ret_minor = qmp->version[1];
    *ret_micro = qmp->version[2];
}
