/* A serial console: a WebSocket of a client on one side, console.data and console.input of an agent
 * on the other. */
#include "base/error.h"
#include "manager/manager.h"

struct Consoles {
    Manager *manager;
    GHashTable *sessions; /* id → Session */
};

typedef struct {
    Consoles *consoles;
    char *id;
    char *who; /* the token's id */
    char *host;
    SoupWebsocketConnection *socket;
} Session;

static void session_free(gpointer data)
{
    Session *session = data;
    g_signal_handlers_disconnect_by_data(session->socket, session);
    g_object_unref(session->socket);
    g_free(session->who);
    g_free(session->host);
    g_free(session->id);
    g_free(session);
}

Consoles *consoles_new(Manager *manager)
{
    Consoles *consoles = g_new0(Consoles, 1);
    consoles->manager = manager;
    consoles->sessions = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, session_free);
    return consoles;
}

void consoles_free(Consoles *consoles)
{
    if (consoles != NULL) {
        g_hash_table_unref(consoles->sessions);
        g_free(consoles);
    }
}

static void on_message(SoupWebsocketConnection *socket, int type, GBytes *bytes, gpointer data)
{
    const Session *session = data;
    gsize size = 0;
    const guchar *text = g_bytes_get_data(bytes, &size);
    g_autofree char *encoded = g_base64_encode(text, size);
    ConsoleData input = {.session = session->id, .data = encoded};
    json_t *params = console_data_encode(&input);
    agents_notify(session->consoles->manager->agents, session->host, AGENT_METHOD_CONSOLE_INPUT,
                  params);
    json_decref(params);
}

static void tell_agent_of_end(const Session *session)
{
    ConsoleClose close = {.session = session->id};
    json_t *params = console_close_encode(&close);
    agents_notify(session->consoles->manager->agents, session->host, AGENT_METHOD_CONSOLE_CLOSE,
                  params);
    json_decref(params);
}

static void on_socket_closed(SoupWebsocketConnection *socket, gpointer data)
{
    Session *session = data;
    tell_agent_of_end(session);
    g_hash_table_remove(session->consoles->sessions, session->id);
}

static void end(Consoles *consoles, const char *id, const char *reason)
{
    Session *session = g_hash_table_lookup(consoles->sessions, id);
    if (session == NULL) {
        return;
    }
    g_autoptr(SoupWebsocketConnection) socket = g_object_ref(session->socket);
    g_hash_table_remove(consoles->sessions, id);
    if (soup_websocket_connection_get_state(socket) == SOUP_WEBSOCKET_STATE_OPEN) {
        g_autofree char *cut = reason != NULL ? g_strndup(reason, 120) : NULL;
        soup_websocket_connection_close(socket, SOUP_WEBSOCKET_CLOSE_NORMAL, cut);
    }
}

typedef struct {
    Consoles *consoles;
    char *id;
} Opening;

static void on_opened(json_t *result, const GError *error, void *data)
{
    Opening *opening = data;
    if (error != NULL) {
        end(opening->consoles, opening->id, error->message);
    }
    g_free(opening->id);
    g_free(opening);
}

void consoles_accept(Consoles *consoles, SoupWebsocketConnection *socket, const char *who,
                     const char *host, const char *vm)
{
    Session *session = g_new0(Session, 1);
    session->consoles = consoles;
    session->id = auth_random_hex(8);
    session->who = g_strdup(who);
    session->host = g_strdup(host);
    session->socket = g_object_ref(socket);
    g_hash_table_insert(consoles->sessions, session->id, session);
    g_signal_connect(socket, "message", G_CALLBACK(on_message), session);
    g_signal_connect(socket, "closed", G_CALLBACK(on_socket_closed), session);
    ConsoleOpen open = {.id = (char *)vm, .session = session->id};
    json_t *params = console_open_encode(&open);
    Opening *opening = g_new(Opening, 1);
    *opening = (Opening){consoles, g_strdup(session->id)};
    if (!agents_call(consoles->manager->agents, host, AGENT_METHOD_CONSOLE_OPEN, params, 0,
                     on_opened, opening)) {
        g_autoptr(GError) gone = g_error_new_literal(BERTH_ERROR, BERTH_ERROR_UNAVAILABLE,
                                                     "the host's agent is not connected");
        on_opened(NULL, gone, opening);
    }
    json_decref(params);
}

void consoles_data(Consoles *consoles, const ConsoleData *data)
{
    const Session *session = g_hash_table_lookup(consoles->sessions, data->session);
    if (session == NULL ||
        soup_websocket_connection_get_state(session->socket) != SOUP_WEBSOCKET_STATE_OPEN) {
        return;
    }
    gsize size = 0;
    g_autofree guchar *bytes = g_base64_decode(data->data, &size);
    soup_websocket_connection_send_binary(session->socket, bytes, size);
}

void consoles_closed(Consoles *consoles, const ConsoleClose *close)
{
    end(consoles, close->session, close->reason);
}

void consoles_look_over(Consoles *consoles)
{
    g_autoptr(GPtrArray) ended = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    void *value;
    g_hash_table_iter_init(&iter, consoles->sessions);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Session *session = value;
        if (!auth_is_good(consoles->manager->core, session->who)) {
            tell_agent_of_end(session);
            g_ptr_array_add(ended, g_strdup(session->id));
        }
    }
    for (guint i = 0; i < ended->len; i++) {
        end(consoles, ended->pdata[i], "the token is no longer good");
    }
}
