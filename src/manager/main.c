/* berth-manager: one a cluster. */
#include <errno.h>
#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "manager/manager.h"

#define DEFAULT_STATE "/var/lib/berth-manager"
#define DEFAULT_LISTEN "0.0.0.0"
#define DEFAULT_API_PORT 7443
#define DEFAULT_AGENT_PORT 7444
#define DEFAULT_CLIENT_TIMEOUT_S 60
#define DEFAULT_STARVATION_MINUTES 10
#define DEFAULT_PATIENCE_MINUTES 5
#define DEFAULT_BACKFILL "easy"
#define MOST_MINUTES 525600
#define BACKLOG 1024

typedef struct {
    char *state, *listen, *context;
    char **names;
    int api_port, agent_port, client_timeout_s, starvation_minutes, patience_minutes;
    char *backfill;
} Options;

static int fail(const GError *error)
{
    g_autofree char *text = berth_error_describe(error);
    fprintf(stderr, "berth-manager: %s\n", text);
    return 1;
}

static int listen_on(const char *address, int port, int *ret_port, GError **error)
{
    g_autoptr(GInetAddress) inet = g_inet_address_new_from_string(address);
    if (inet == NULL) {
        berth_error_set(error, BERTH_ERROR_INVALID, "listen", address, "give an IP address",
                        "this is no address");
        return -1;
    }
    g_autoptr(GSocketAddress) at = g_inet_socket_address_new(inet, (guint16)port);
    g_autoptr(GSocket) socket = g_socket_new(g_inet_address_get_family(inet), G_SOCKET_TYPE_STREAM,
                                             G_SOCKET_PROTOCOL_TCP, error);
    if (socket == NULL) {
        return -1;
    }
    g_socket_set_listen_backlog(socket, BACKLOG);
    if (!g_socket_bind(socket, at, TRUE, error) || !g_socket_listen(socket, error)) {
        g_prefix_error(error, "port %d: ", port);
        return -1;
    }
    g_autoptr(GSocketAddress) local = g_socket_get_local_address(socket, NULL);
    *ret_port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(local));
    return dup(g_socket_get_fd(socket));
}

static bool listen_https(Manager *manager, const Options *options, GError **error)
{
    int port = 0;
    int fd = listen_on(options->listen, options->api_port, &port, error);
    g_autoptr(GSocket) socket = fd >= 0 ? g_socket_new_from_fd(fd, error) : NULL;
    if (socket == NULL) {
        return false;
    }
    g_socket_set_listen_backlog(socket, BACKLOG);
    manager->api_port = port;
    manager->server = soup_server_new("server-header", "berth", NULL);
    manager->http = http_new(manager);
    manager->door = door_new(manager->server, socket, pki_https(manager->pki), http_refusal,
                             1000LL * options->client_timeout_s, error);
    return manager->door != NULL;
}

static GPtrArray *names_for(const Options *options)
{
    GPtrArray *names = g_ptr_array_new();
    for (guint i = 0; options->names != NULL && options->names[i] != NULL; i++) {
        g_ptr_array_add(names, options->names[i]);
    }
    g_ptr_array_add(names, (char *)g_get_host_name());
    g_ptr_array_add(names, (char *)"localhost");
    g_ptr_array_add(names, (char *)"127.0.0.1");
    g_ptr_array_add(names, (char *)"::1");
    if (strcmp(options->listen, "0.0.0.0") != 0 && strcmp(options->listen, "::") != 0) {
        g_ptr_array_add(names, options->listen);
    }
    g_ptr_array_add(names, NULL);
    return names;
}

/* What a client needs to reach us, for people at this machine. */
static bool write_context(const Manager *manager, const Options *options, GError **error)
{
    if (options->context == NULL) {
        return true;
    }
    const char *host =
        options->names != NULL && options->names[0] != NULL ? options->names[0] : "localhost";
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "url: https://%s:%d\ntoken: %s\nca: |\n", host, manager->api_port,
                           auth_admin_token(manager->auth));
    g_auto(GStrv) lines = g_strsplit(pki_ca_pem(manager->pki), "\n", -1);
    for (guint i = 0; lines[i] != NULL && *lines[i] != '\0'; i++) {
        g_string_append_printf(text, "  %s\n", lines[i]);
    }
    bool written = g_file_set_contents_full(options->context, text->str, -1,
                                            G_FILE_SET_CONTENTS_CONSISTENT, 0600, error);
    g_string_free(text, TRUE);
    return written;
}

static bool check_number(const char *option, int number, int least, int most, const char *what,
                         GError **error)
{
    if (number >= least && number <= most) {
        return true;
    }
    g_autofree char *value = g_strdup_printf("%d", number);
    g_autofree char *remedy = g_strdup_printf("say %d to %d", least, most);
    return berth_error_set(error, BERTH_ERROR_INVALID, option, value, remedy, "%s", what);
}

static bool read_minutes(const char *option, int minutes, int64_t *ret_ms, GError **error)
{
    if (!check_number(option, minutes, 1, MOST_MINUTES, "this is no time to wait", error)) {
        return false;
    }
    *ret_ms = INT64_C(60000) * minutes;
    return true;
}

static bool configure(ClusterConfig *config, const Options *options, GError **error)
{
    if (!check_number("api-port", options->api_port, 0, G_MAXUINT16, "this is no port", error) ||
        !check_number("agent-port", options->agent_port, 0, G_MAXUINT16, "this is no port",
                      error) ||
        !check_number("client-timeout", options->client_timeout_s, 1, 86400,
                      "no client can be as quick, or need be as slow", error)) {
        return false;
    }
    static const char *const modes[] = {[CLUSTER_BACKFILL_EASY] = "easy",
                                        [CLUSTER_BACKFILL_CONSERVATIVE] = "conservative",
                                        [CLUSTER_BACKFILL_OFF] = "off"};
    guint mode = 0;
    while (mode < G_N_ELEMENTS(modes) && strcmp(modes[mode], options->backfill) != 0) {
        mode++;
    }
    if (mode == G_N_ELEMENTS(modes)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "backfill", options->backfill,
                               "say easy, conservative or off", "there is no such way to backfill");
    }
    config->backfill = (ClusterBackfill)mode;
    return read_minutes("starvation-minutes", options->starvation_minutes, &config->starvation_ms,
                        error) &&
           read_minutes("patience-minutes", options->patience_minutes, &config->patience_ms, error);
}

static bool prepare(Manager *manager, const Options *options, GError **error)
{
    g_autofree char *path = g_build_filename(options->state, "store.db", NULL);
    g_autoptr(GPtrArray) names = names_for(options);
    if (g_mkdir_with_parents(options->state, 0700) != 0) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "state", options->state,
                               "name a directory that can be made", "cannot make the directory: %s",
                               g_strerror(errno));
    }
    manager->state = options->state;
    manager->writable = true;
    manager->tick_ms = INT64_MAX;
    manager->started_ms = manager_now_ms();
    manager->main = g_main_loop_new(NULL, FALSE);
    manager->store = store_sqlite_open(path, NULL, error);
    manager->pki = manager->store != NULL
                       ? pki_open(options->state, (const char *const *)names->pdata, error)
                       : NULL;
    manager->auth = manager->pki != NULL ? auth_open(options->state, error) : NULL;
    manager->blobs = manager->auth != NULL ? blobs_new(manager, error) : NULL;
    if (manager->blobs == NULL) {
        return false;
    }
    if (!manager_load(manager, error)) {
        return false;
    }
    manager->loop = rpc_loop_new(NULL);
    manager->events = events_new(manager);
    manager->consoles = consoles_new(manager);
    manager_watch_streams(manager);
    int fd = listen_on(options->listen, options->agent_port, &manager->agent_port, error);
    manager->agents = fd >= 0 ? agents_new(manager, fd, error) : NULL;
    return manager->agents != NULL && listen_https(manager, options, error) &&
           write_context(manager, options, error);
}

static void clear(Manager *manager)
{
    door_close(manager->door);
    if (manager->server != NULL) {
        soup_server_disconnect(manager->server);
    }
    g_clear_handle_id(&manager->tick, g_source_remove);
    g_clear_handle_id(&manager->streams, g_source_remove);
    manager->stopping = true;
    store_free(manager->store);
    manager->store = NULL;
    g_clear_object(&manager->server);
    g_clear_pointer(&manager->pki, pki_free);
    g_clear_pointer(&manager->auth, auth_free);
}

/* Each agent and each client is a descriptor; the soft limit is meant for programs that use
 * select(2). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static gboolean on_signal(gpointer data)
{
    g_main_loop_quit(((Manager *)data)->main);
    return G_SOURCE_CONTINUE;
}

static int run(const Options *options)
{
    g_autoptr(GError) error = NULL;
    Manager manager = {0};
    raise_descriptor_limit();
    if (!configure(&manager.config, options, &error)) {
        fail(error);
        return 2;
    }
    if (!prepare(&manager, options, &error)) {
        clear(&manager);
        return fail(error);
    }
    manager_begin(&manager);
    g_unix_signal_add(SIGTERM, on_signal, &manager);
    g_unix_signal_add(SIGINT, on_signal, &manager);
    g_message("https://%s:%d for clients, port %d for agents", options->listen, manager.api_port,
              manager.agent_port);
    g_main_loop_run(manager.main);
    /* What is under way ends unanswered; what was answered is durable. */
    manager.stopping = true;
    store_set_health_callback(manager.store, NULL, NULL);
    return manager.exit_status;
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    Options options = {.state = g_strdup(DEFAULT_STATE),
                       .listen = g_strdup(DEFAULT_LISTEN),
                       .api_port = DEFAULT_API_PORT,
                       .agent_port = DEFAULT_AGENT_PORT,
                       .client_timeout_s = DEFAULT_CLIENT_TIMEOUT_S,
                       .starvation_minutes = DEFAULT_STARVATION_MINUTES,
                       .patience_minutes = DEFAULT_PATIENCE_MINUTES,
                       .backfill = g_strdup(DEFAULT_BACKFILL)};
    const GOptionEntry entries[] = {
        {"state", 0, 0, G_OPTION_ARG_FILENAME, &options.state,
         "store, CA, tokens and images [" DEFAULT_STATE "]", "DIR"},
        {"listen", 0, 0, G_OPTION_ARG_STRING, &options.listen, "address [" DEFAULT_LISTEN "]",
         "IP"},
        {"api-port", 0, 0, G_OPTION_ARG_INT, &options.api_port, "HTTPS for clients [7443]; 0: any",
         "PORT"},
        {"agent-port", 0, 0, G_OPTION_ARG_INT, &options.agent_port, "TLS for agents [7444]; 0: any",
         "PORT"},
        {"client-timeout", 0, 0, G_OPTION_ARG_INT, &options.client_timeout_s,
         "seconds that a client may be silent when it is its turn [60]", "SECONDS"},
        {"backfill", 0, 0, G_OPTION_ARG_STRING, &options.backfill,
         "who may start before one that waits: easy (who does not delay the first) [easy], "
         "conservative (who delays none) or off",
         "MODE"},
        {"starvation-minutes", 0, 0, G_OPTION_ARG_INT, &options.starvation_minutes,
         "so long a request waits until it is passed no more [10]", "MINUTES"},
        {"patience-minutes", 0, 0, G_OPTION_ARG_INT, &options.patience_minutes,
         "so long what is promised waits for a host that is away, before it goes elsewhere [5]",
         "MINUTES"},
        {"name", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.names,
         "a name or address that clients and agents use; may be repeated", "NAME"},
        {"context", 0, 0, G_OPTION_ARG_FILENAME, &options.context,
         "writes what the berth command needs", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- Berth's manager of a cluster");
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) error = NULL;
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
        fprintf(stderr, "berth-manager: %s; see berth-manager --help\n",
                error != NULL ? error->message : "it takes options only");
        return 2;
    }
    return run(&options);
}
