/* Serial consoles: the keeper's console.sock on one side, console.data and console.input on the
 * other. */
#include <gio/gunixsocketaddress.h>

#include "agent/agent.h"
#include "base/error.h"

#define CHUNK_BYTES 16384

struct Consoles {
    Agent *agent;
    GHashTable *sessions; /* session → Session */
};

typedef struct {
    Consoles *consoles;
    char *id;
    GSocketConnection *connection;
    GCancellable *cancel;
    char chunk[CHUNK_BYTES];
} Session;

static void session_free(gpointer data)
{
    Session *session = data;
    g_cancellable_cancel(session->cancel);
    g_clear_object(&session->connection);
    g_clear_object(&session->cancel);
    g_free(session->id);
    g_free(session);
}

Consoles *consoles_new(Agent *agent)
{
    Consoles *consoles = g_new0(Consoles, 1);
    consoles->agent = agent;
    consoles->sessions = g_hash_table_new(g_str_hash, g_str_equal);
    return consoles;
}

/* A session is freed when its read has ended, which its cancellation brings about. */
static void session_end(Session *session)
{
    g_hash_table_remove(session->consoles->sessions, session->id);
    g_cancellable_cancel(session->cancel);
}

void consoles_close_all(Consoles *consoles)
{
    g_autoptr(GList) sessions = g_hash_table_get_values(consoles->sessions);
    for (GList *at = sessions; at != NULL; at = at->next) {
        session_end(at->data);
    }
}

void consoles_free(Consoles *consoles)
{
    if (consoles != NULL) {
        consoles_close_all(consoles);
        g_hash_table_unref(consoles->sessions);
        g_free(consoles);
    }
}

static void tell_closed(Session *session, const char *reason)
{
    ConsoleClose close = {.session = session->id, .reason = (char *)reason};
    json_t *params = console_close_encode(&close);
    uplink_notify(session->consoles->agent->uplink, AGENT_METHOD_CONSOLE_CLOSED, params);
    json_decref(params);
}

static void read_more(Session *session);

static void on_read(GObject *source, GAsyncResult *result, gpointer data)
{
    Session *session = data;
    g_autoptr(GError) error = NULL;
    gssize n = g_input_stream_read_finish(G_INPUT_STREAM(source), result, &error);
    if (g_cancellable_is_cancelled(session->cancel)) {
        session_free(session);
        return;
    }
    if (n <= 0) {
        tell_closed(session, n == 0 ? "the VM has ended" : error->message);
        session_end(session);
        session_free(session);
        return;
    }
    g_autofree char *text = g_base64_encode((const guchar *)session->chunk, (gsize)n);
    ConsoleData output = {.session = session->id, .data = text};
    json_t *params = console_data_encode(&output);
    uplink_notify(session->consoles->agent->uplink, AGENT_METHOD_CONSOLE_DATA, params);
    json_decref(params);
    read_more(session);
}

static void read_more(Session *session)
{
    GInputStream *stream = g_io_stream_get_input_stream(G_IO_STREAM(session->connection));
    g_input_stream_read_async(stream, session->chunk, CHUNK_BYTES, G_PRIORITY_DEFAULT,
                              session->cancel, on_read, session);
}

static GSocketConnection *connect_to(const AgentVm *vm, GError **error)
{
    g_autofree char *path = g_build_filename(vm->directory, "console.sock", NULL);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocketClient) client = g_socket_client_new();
    return g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, error);
}

void consoles_open(Consoles *consoles, RpcCall *call)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ConsoleOpen) open =
        console_open_decode(rpc_call_params(call), CODEC_TOLERANT, &error);
    const AgentVm *vm = open != NULL ? agent_vm_find(consoles->agent, open->id) : NULL;
    if (open != NULL && (vm == NULL || vm->pid == 0)) {
        berth_error_set(&error, BERTH_ERROR_CONFLICT, "vm",
                        agent_vm_name(consoles->agent, open->id), "start it first",
                        "the VM does not run");
    }
    GSocketConnection *connection = error == NULL ? connect_to(vm, &error) : NULL;
    if (connection == NULL) {
        rpc_call_answer(call, NULL, error);
        return;
    }
    Session *session = g_new0(Session, 1);
    session->consoles = consoles;
    session->id = g_strdup(open->session);
    session->connection = connection;
    session->cancel = g_cancellable_new();
    g_hash_table_replace(consoles->sessions, session->id, session);
    rpc_call_answer(call, NULL, NULL);
    read_more(session);
}

void consoles_input(Consoles *consoles, const ConsoleData *data)
{
    Session *session = g_hash_table_lookup(consoles->sessions, data->session);
    if (session == NULL) {
        return;
    }
    gsize size = 0;
    g_autofree guchar *bytes = g_base64_decode(data->data, &size);
    GSocket *socket = g_socket_connection_get_socket(session->connection);
    /* What does not fit is lost, as on a line without flow control; the guest is never waited for.
     */
    g_socket_send_with_blocking(socket, (const char *)bytes, size, FALSE, NULL, NULL);
}

void consoles_close(Consoles *consoles, const char *id)
{
    Session *session = g_hash_table_lookup(consoles->sessions, id);
    if (session != NULL) {
        session_end(session);
    }
}
