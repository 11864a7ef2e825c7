#include "cli/console.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"

#define ESCAPE 0x1d /* Ctrl-] */
#define KEEPALIVE_SECONDS 20
#define MESSAGE_MAX_BYTES (1 << 20)

typedef struct {
    Cli *cli;
    GMainLoop *loop;
    SoupMessage *message;
    SoupWebsocketConnection *connection;
    const ConsoleOptions *options;
    bool interactive;
    bool heard; /* something of the guest */
    guint input, timer;
    GError *error;
} Console;

static void end(Console *console)
{
    g_main_loop_quit(console->loop);
}

static void on_message(SoupWebsocketConnection *connection, int type, GBytes *bytes, gpointer data)
{
    Console *console = data;
    gsize length;
    const char *text = g_bytes_get_data(bytes, &length);
    console->heard = true;
    while (length > 0) {
        ssize_t n = write(STDOUT_FILENO, text, length);
        if (n < 0 && errno != EINTR) {
            berth_error_set(&console->error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                            "cannot write the console's output: %s", g_strerror(errno));
            end(console);
            return;
        }
        text += MAX(n, 0);
        length -= (gsize)MAX(n, 0);
    }
}

static void on_closed(SoupWebsocketConnection *connection, gpointer data)
{
    Console *console = data;
    gushort code = soup_websocket_connection_get_close_code(connection);
    const char *reason = soup_websocket_connection_get_close_data(connection);
    bool explained = reason != NULL && reason[0] != '\0';
    bool lost = code != SOUP_WEBSOCKET_CLOSE_NORMAL && code != SOUP_WEBSOCKET_CLOSE_GOING_AWAY;
    if (console->error == NULL && (lost || (explained && !console->heard))) {
        berth_error_set(&console->error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "try again",
                        "the console was closed: %s",
                        explained ? reason : "the connection was lost");
    } else if (explained) {
        cli_note(console->cli, "berth: the console was closed: %s", reason);
    }
    end(console);
}

static gboolean on_input(int fd, GIOCondition condition, gpointer data)
{
    Console *console = data;
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return G_SOURCE_CONTINUE;
    }
    const char *escape = n > 0 && console->interactive ? memchr(buffer, ESCAPE, (size_t)n) : NULL;
    size_t length = escape != NULL ? (size_t)(escape - buffer) : (size_t)MAX(n, 0);
    bool open =
        soup_websocket_connection_get_state(console->connection) == SOUP_WEBSOCKET_STATE_OPEN;
    if (length > 0 && !console->options->read_only && open) {
        soup_websocket_connection_send_binary(console->connection, buffer, length);
    }
    if (escape != NULL) {
        end(console);
    }
    if (n <= 0 || escape != NULL) {
        console->input = 0;
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

static gboolean on_time_up(gpointer data)
{
    Console *console = data;
    console->timer = 0;
    end(console);
    return G_SOURCE_REMOVE;
}

/* A refusal is an ordinary answer whose body libsoup has not read; that of an unknown VM was given
 * before. */
static void refuse(Console *console, GError *problem)
{
    unsigned status = soup_message_get_status(console->message);
    if (status >= 400) {
        berth_error_set(&console->error,
                        status == 403   ? BERTH_ERROR_FORBIDDEN
                        : status == 409 ? BERTH_ERROR_CONFLICT
                                        : BERTH_ERROR_UNAVAILABLE,
                        NULL, NULL, "see 'berth vm show' and 'berth host list'",
                        "the console cannot be opened now: the manager answered %u %s", status,
                        soup_message_get_reason_phrase(console->message));
        g_error_free(problem);
    } else {
        api_client_explain_failure(console->cli->client, problem, &console->error);
    }
}

static void on_connected(GObject *session, GAsyncResult *result, gpointer data)
{
    Console *console = data;
    GError *problem = NULL;
    console->connection =
        soup_session_websocket_connect_finish(SOUP_SESSION(session), result, &problem);
    if (console->connection == NULL) {
        refuse(console, problem);
        end(console);
        return;
    }
    soup_websocket_connection_set_keepalive_interval(console->connection, KEEPALIVE_SECONDS);
    soup_websocket_connection_set_max_incoming_payload_size(console->connection, MESSAGE_MAX_BYTES);
    g_signal_connect(console->connection, "message", G_CALLBACK(on_message), console);
    g_signal_connect(console->connection, "closed", G_CALLBACK(on_closed), console);
    console->input = g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_input, console);
    if (console->interactive) {
        fputs("Connected; Ctrl-] ends it.\r\n", stderr);
    }
}

/* Every key as it is; output as the guest's terminal driver made it. */
static bool make_raw(struct termios *ret_before)
{
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, ret_before) != 0) {
        return false;
    }
    struct termios raw = *ret_before;
    cfmakeraw(&raw);
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void close_connection(Console *console)
{
    if (console->input != 0) {
        g_source_remove(console->input);
    }
    if (console->timer != 0) {
        g_source_remove(console->timer);
    }
    if (console->connection != NULL) {
        g_signal_handlers_disconnect_by_data(console->connection, console);
        if (soup_websocket_connection_get_state(console->connection) == SOUP_WEBSOCKET_STATE_OPEN) {
            soup_websocket_connection_close(console->connection, SOUP_WEBSOCKET_CLOSE_NORMAL, NULL);
            g_main_context_iteration(NULL, FALSE);
        }
        g_object_unref(console->connection);
    }
}

/* Says in full why there is no console, which a refused WebSocket cannot. */
static bool check_vm(Cli *cli, const char *vm, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_VM, .params = {vm}};
    json_auto_t *object = cli_call(cli, &call, error);
    const json_t *status = json_object_get(object, "status");
    const char *power = json_string_value(json_object_get(status, "power"));
    if (g_strcmp0(power, "off") == 0 || g_strcmp0(power, "crashed") == 0) {
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "vm", vm, "start it first",
                               "the VM does not run");
    }
    return object != NULL;
}

bool console_run(Cli *cli, const char *vm, const ConsoleOptions *options, GError **error)
{
    if (!check_vm(cli, vm, error)) {
        return false;
    }
    ApiCall call = {.operation = API_OP_OPEN_CONSOLE, .params = {vm}};
    g_autoptr(SoupMessage) message = api_client_message(cli->client, &call);
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Console console = {.cli = cli, .loop = loop, .message = message, .options = options};
    struct termios before;
    fflush(stdout);
    console.interactive = make_raw(&before);
    if (options->for_ms > 0) {
        console.timer = g_timeout_add((guint)MIN(options->for_ms, G_MAXUINT), on_time_up, &console);
    }
    api_client_set_timeout(cli->client, 0);
    soup_session_websocket_connect_async(api_client_session(cli->client), message, NULL, NULL,
                                         G_PRIORITY_DEFAULT, NULL, on_connected, &console);
    g_main_loop_run(loop);
    close_connection(&console);
    if (console.interactive) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
        fputc('\n', stderr);
    }
    if (console.error != NULL) {
        g_propagate_error(error, console.error);
    }
    return console.error == NULL;
}
