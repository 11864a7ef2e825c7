/*
 * The manager's API over TLS with keep-alive, beside a bare libsoup server that answers the same
 * bytes over the same TLS to the same clients, in turns within one run:
 *
 *     GET of a VM, the token checked             as a ratio to the bare server
 *     durable creates of VMs, from 64 clients    as a ratio to the GETs
 *     an event to 1,000 followers                time from the first whom it reaches to each other
 *
 * Starts a manager and, since a VM needs a host, an agent (root); the VMs are created with their
 * power off. Ends both however it ends itself.
 *
 *     bench-api BUILD-DIR [--seconds 2] [--followers 1000]
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <gnutls/gnutls.h>
#include <libsoup/soup.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/client.h"
#include "https.h"
#include "programs.h"

#define GETTERS 8
#define CREATORS 64
#define TURNS 3
#define EVENTS 30

static int seconds = 2;
static int followers = 1000;
static char *part = NULL;

typedef struct {
    const char *directory;
    char *agent_state; /* in memory: a host's disk is not the manager's */
    char *build;
    GSubprocess *manager, *agent;
    Context *context;
    GTlsDatabase *trust;
    int port;
} Bench;

static Https *open_client(const Bench *bench, int port)
{
    GError *error = NULL;
    Https *client = https_open(bench->trust, port, &error);
    if (client == NULL) {
        programs_fail("dial", error);
    }
    return client;
}

static char *request_text(const Bench *bench, const char *method, const char *path,
                          const char *body)
{
    return https_request(bench->context->token, method, path, body);
}

typedef struct {
    const Bench *bench;
    int port, clients, index, turn;
    bool creates;
    gint *connected, *stop;
    int64_t done, refused;
    GThread *thread;
} Worker;

static gpointer work(gpointer data)
{
    Worker *worker = data;
    g_autoptr(Https) client = open_client(worker->bench, worker->port);
    g_autofree char *get = request_text(worker->bench, "GET", "/v1/vms/bench", NULL);
    g_atomic_int_inc(worker->connected);
    while (g_atomic_int_get(worker->connected) < worker->clients) {
        g_usleep(1000);
    }
    for (int i = 0; !g_atomic_int_get(worker->stop); i++) {
        g_autofree char *post = NULL;
        if (worker->creates) {
            g_autofree char *body = g_strdup_printf(
                "{\"name\":\"b-%d-%d-%d\",\"size\":\"s\",\"image\":\"i\",\"power\":\"off\"}",
                worker->turn, worker->index, i);
            post = request_text(worker->bench, "POST", "/v1/vms", body);
        }
        int status = https_ask(client, worker->creates ? post : get, NULL);
        worker->done += status == (worker->creates ? 202 : 200);
        worker->refused += status != (worker->creates ? 202 : 200);
        if (status == 0) {
            break;
        }
    }
    return NULL;
}

/* Answers a second of `n` clients, from when all are connected. */
static double rate(const Bench *bench, int port, int n, bool creates, int turn)
{
    g_autofree Worker *workers = g_new0(Worker, n);
    gint connected = 0, stop = 0;
    int64_t done = 0, refused = 0;
    for (int i = 0; i < n; i++) {
        workers[i] = (Worker){.bench = bench,
                              .port = port,
                              .clients = n,
                              .index = i,
                              .turn = turn,
                              .creates = creates,
                              .connected = &connected,
                              .stop = &stop};
        workers[i].thread = g_thread_new("client", work, &workers[i]);
    }
    while (g_atomic_int_get(&connected) < n) {
        g_usleep(1000);
    }
    int64_t begun = g_get_monotonic_time();
    g_usleep((gulong)seconds * 1000000);
    g_atomic_int_set(&stop, 1);
    for (int i = 0; i < n; i++) {
        g_thread_join(workers[i].thread);
        done += workers[i].done;
        refused += workers[i].refused;
    }
    double per_second = (double)done * 1e6 / (double)(g_get_monotonic_time() - begun);
    if (refused > 0) {
        fprintf(stderr, "bench-api: %d answers were refusals\n", (int)refused);
    }
    return per_second;
}

static GBytes *echo_body;

static void on_echo(SoupServer *server, SoupServerMessage *message, const char *path,
                    GHashTable *query, gpointer data)
{
    soup_server_message_set_status(message, 200, NULL);
    soup_message_headers_set_content_type(soup_server_message_get_response_headers(message),
                                          "application/json", NULL);
    soup_message_body_append_bytes(soup_server_message_get_response_body(message), echo_body);
}

/* The bare server, in a process of its own; tells its port over a pipe. */
static void start_echo(const Bench *bench, const char *body, int *ret_port)
{
    int ports[2];
    if (pipe(ports) != 0) {
        programs_fail("pipe", NULL);
    }
    pid_t pid = programs_fork();
    if (pid != 0) {
        close(ports[1]);
        if (read(ports[0], ret_port, sizeof *ret_port) != sizeof *ret_port) {
            programs_fail("the bare server does not start", NULL);
        }
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *certificate = g_build_filename(bench->directory, "echo.pem", NULL);
    g_autofree char *key = g_build_filename(bench->directory, "echo-key.pem", NULL);
    g_autoptr(GTlsCertificate) identity =
        g_tls_certificate_new_from_files(certificate, key, &error);
    echo_body = g_bytes_new(body, strlen(body));
    SoupServer *server = soup_server_new("server-header", "bare", NULL);
    soup_server_set_tls_certificate(server, identity);
    soup_server_add_handler(server, NULL, on_echo, NULL, NULL);
    if (identity == NULL ||
        !soup_server_listen_local(
            server, 0, SOUP_SERVER_LISTEN_HTTPS | SOUP_SERVER_LISTEN_IPV4_ONLY, &error)) {
        fprintf(stderr, "bench-api: the bare server: %s\n", error->message);
        _exit(1);
    }
    g_autoptr(GSList) uris = soup_server_get_uris(server);
    int port = g_uri_get_port(uris->data);
    if (write(ports[1], &port, sizeof port) != sizeof port) {
        _exit(1);
    }
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
    _exit(0);
}

static json_t *call(const Bench *bench, ApiOperation operation, const char *param, const char *body)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ApiClient) client = api_client_new(bench->context, &error);
    json_t *json = body != NULL ? json_loads(body, 0, NULL) : NULL;
    ApiCall api = {.operation = operation, .params = {param}, .body = json};
    json_t *answer = client != NULL ? api_call(client, &api, &error) : NULL;
    json_decref(json);
    if (answer == NULL) {
        programs_fail(api_routes[operation].name, error);
    }
    return answer;
}

/*
 * Who follows events: GnuTLS and epoll, one system call for what has come, since what GIO costs a
 * reader would be most of what is measured on a machine of few cores.
 *
 * Two times of each event are kept. The kernel's: when it came to the follower's socket, which is
 * what the manager answers for. And ours: when this one thread, which deciphers for all followers
 * together, has read it; followers elsewhere do not wait for each other so.
 */
typedef struct {
    int64_t came_us, read_us;
} Heard;

typedef struct {
    int fd;
    gnutls_session_t session;
    Heard *heard; /* of each event */
    int events;
    int64_t came_us; /* of what is in raw */
    size_t raw_at, raw_end;
    char raw[4096];
} Follower;

static int64_t wall_us(void)
{
    return g_get_real_time();
}

static ssize_t receive(Follower *follower)
{
    char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec space = {follower->raw, sizeof follower->raw};
    struct msghdr message = {.msg_iov = &space,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t n = recvmsg(follower->fd, &message, 0);
    follower->came_us = wall_us();
    for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL; c != NULL;
         c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(c), sizeof at);
            follower->came_us = at.tv_sec * G_USEC_PER_SEC + at.tv_nsec / 1000;
        }
    }
    return n;
}

static ssize_t pull(gnutls_transport_ptr_t transport, void *data, size_t size)
{
    Follower *follower = transport;
    if (follower->raw_at == follower->raw_end) {
        ssize_t n = receive(follower);
        if (n <= 0) {
            gnutls_transport_set_errno(follower->session, errno);
            return n;
        }
        follower->raw_at = 0;
        follower->raw_end = (size_t)n;
    }
    size_t n = MIN(size, follower->raw_end - follower->raw_at);
    memcpy(data, follower->raw + follower->raw_at, n);
    follower->raw_at += n;
    return (ssize_t)n;
}

static ssize_t push(gnutls_transport_ptr_t transport, const void *data, size_t size)
{
    return send(((Follower *)transport)->fd, data, size, MSG_NOSIGNAL);
}

static void follow(Follower *follower, const Bench *bench, const char *request,
                   gnutls_certificate_credentials_t credentials)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketConnection) plain =
        g_socket_client_connect_to_host(client, "127.0.0.1", (guint16)bench->port, NULL, &error);
    if (plain == NULL) {
        programs_fail("dial", error);
    }
    follower->fd = dup(g_socket_get_fd(g_socket_connection_get_socket(plain)));
    int flags = fcntl(follower->fd, F_GETFL);
    fcntl(follower->fd, F_SETFL, flags & ~O_NONBLOCK);
    int rc = gnutls_init(&follower->session, GNUTLS_CLIENT);
    gnutls_set_default_priority(follower->session);
    gnutls_credentials_set(follower->session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_ptr(follower->session, follower);
    gnutls_transport_set_pull_function(follower->session, pull);
    gnutls_transport_set_push_function(follower->session, push);
    int on = 1;
    setsockopt(follower->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    while (rc >= 0 && (rc = gnutls_handshake(follower->session)) < 0 &&
           !gnutls_error_is_fatal(rc)) {
    }
    if (rc < 0 || gnutls_record_send(follower->session, request, strlen(request)) < 0) {
        programs_fail(gnutls_strerror(rc), NULL);
    }
    fcntl(follower->fd, F_SETFL, flags | O_NONBLOCK);
}

static void hear(Follower *follower)
{
    char buffer[16384];
    ssize_t n;
    do {
        n = gnutls_record_recv(follower->session, buffer, sizeof buffer - 1);
        buffer[MAX(n, 0)] = '\0';
        for (const char *at = buffer; (at = strstr(at, "vm.placed")) != NULL; at++) {
            if (follower->events < EVENTS) {
                follower->heard[follower->events++] = (Heard){follower->came_us, wall_us()};
            }
        }
    } while (n > 0 && follower->raw_at < follower->raw_end);
}

typedef struct {
    const Bench *bench;
    int64_t from; /* revision */
    Heard (*heard)[EVENTS];
    gint ready, stop;
} Audience;

static gpointer listen_to_events(gpointer data)
{
    Audience *audience = data;
    gnutls_certificate_credentials_t credentials;
    gnutls_certificate_allocate_credentials(&credentials);
    g_autofree char *path =
        g_strdup_printf("/v1/events?follow=true&from=%" G_GINT64_FORMAT, audience->from);
    g_autofree char *request = request_text(audience->bench, "GET", path, NULL);
    g_autofree Follower *all = g_new0(Follower, followers);
    int epoll_fd = epoll_create1(0);
    for (int i = 0; i < followers; i++) {
        all[i].heard = audience->heard[i];
        follow(&all[i], audience->bench, request, credentials);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    g_atomic_int_set(&audience->ready, 1);
    struct epoll_event batch[64];
    while (!g_atomic_int_get(&audience->stop)) {
        int n = epoll_wait(epoll_fd, batch, G_N_ELEMENTS(batch), 50);
        for (int i = 0; i < n; i++) {
            hear(batch[i].data.ptr);
        }
    }
    for (int i = 0; i < followers; i++) {
        gnutls_deinit(all[i].session);
        close(all[i].fd);
    }
    close(epoll_fd);
    gnutls_certificate_free_credentials(credentials);
    return NULL;
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* How long after the first follower each other one had the event, sorted. */
static GArray *lateness(Heard (*heard)[EVENTS], int event, size_t offset)
{
    GArray *late = g_array_new(FALSE, FALSE, sizeof(int64_t));
    for (int i = 0; i < followers; i++) {
        int64_t at = *(int64_t *)((char *)&heard[i][event] + offset);
        if (at > 0) {
            g_array_append_val(late, at);
        }
    }
    g_array_sort(late, compare_times);
    int64_t first = late->len > 0 ? g_array_index(late, int64_t, 0) : 0;
    for (guint i = 0; i < late->len; i++) {
        g_array_index(late, int64_t, i) -= first;
    }
    return late;
}

static double share_ms(const GArray *sorted, double share)
{
    return sorted->len == 0
               ? 0
               : (double)g_array_index(sorted, int64_t, (guint)(share * (sorted->len - 1))) / 1000;
}

/* p99 of all, and of each event the p99, of which the median: a few events that the machine's other
 * work holds up are all of the former and none of the latter. */
static void print_lateness(const char *what, Heard (*heard)[EVENTS], size_t offset)
{
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_autoptr(GArray) p99s = g_array_new(FALSE, FALSE, sizeof(int64_t));
    for (int e = 0; e < EVENTS; e++) {
        g_autoptr(GArray) late = lateness(heard, e, offset);
        int64_t p99_us = (int64_t)(1000 * share_ms(late, 0.99));
        g_array_append_vals(all, late->data, late->len);
        g_array_append_val(p99s, p99_us);
    }
    g_array_sort(all, compare_times);
    g_array_sort(p99s, compare_times);
    printf("%-38s p50 %5.1f ms, p99 %5.1f ms; p99 of the median event %5.1f ms; %d not heard\n",
           what, share_ms(all, 0.5), share_ms(all, 0.99), share_ms(p99s, 0.5),
           followers * EVENTS - (int)all->len);
}

static void make_events(const Bench *bench)
{
    g_autoptr(Https) client = open_client(bench, bench->port);
    for (int i = 0; i < EVENTS; i++) {
        g_autofree char *body = g_strdup_printf(
            "{\"name\":\"e-%d\",\"size\":\"s\",\"image\":\"i\",\"power\":\"off\"}", i);
        g_autofree char *post = request_text(bench, "POST", "/v1/vms", body);
        https_ask(client, post, NULL);
        g_usleep(200000);
    }
}

static void bench_events(const Bench *bench)
{
    json_t *cluster = call(bench, API_OP_GET_CLUSTER, NULL, NULL);
    int64_t from = json_integer_value(json_object_get(cluster, "revision"));
    json_decref(cluster);
    Heard(*heard)[EVENTS] = g_malloc0_n((gsize)followers, sizeof *heard);
    Audience audience = {.bench = bench, .from = from, .heard = heard};
    GThread *thread = g_thread_new("followers", listen_to_events, &audience);
    while (!g_atomic_int_get(&audience.ready)) {
        g_usleep(10000);
    }
    g_usleep(1000000);
    double used_ms = programs_processor_ms(programs_pid(bench->manager));
    make_events(bench);
    g_usleep(500000);
    used_ms = programs_processor_ms(programs_pid(bench->manager)) - used_ms;
    g_atomic_int_set(&audience.stop, 1);
    g_thread_join(thread);
    double load = 0;
    getloadavg(&load, 1);
    printf("%d events to %d followers, after the first whom each reaches (goal 20 ms at p99; load "
           "%.1f on %u cores):\n",
           EVENTS, followers, load, g_get_num_processors());
    print_lateness("  come to the socket", heard, offsetof(Heard, came_us));
    print_lateness("  are read by the one thread of them", heard, offsetof(Heard, read_us));
    printf("the manager's processor time for an event to %d followers, the create included: "
           "%.1f ms\n",
           followers, used_ms / EVENTS);
    g_free(heard);
}

static void start_manager(Bench *bench)
{
    g_autofree char *program = g_build_filename(bench->build, "src/manager/berth-manager", NULL);
    g_autofree char *state = g_build_filename(bench->directory, "manager", NULL);
    g_autofree char *context = g_build_filename(bench->directory, "context.yaml", NULL);
    const char *argv[] = {program,      "--state",   state,          "--listen", "127.0.0.1",
                          "--api-port", "0",         "--agent-port", "0",        "--name",
                          "127.0.0.1",  "--context", context,        NULL};
    bench->manager = programs_spawn(argv);
    for (int i = 0; i < 200 && bench->context == NULL; i++) {
        g_usleep(50000);
        bench->context =
            g_file_test(context, G_FILE_TEST_EXISTS) ? context_load(context, NULL) : NULL;
    }
    if (bench->context == NULL) {
        programs_fail("the manager does not start", NULL);
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *ca = g_build_filename(state, "ca.pem", NULL);
    bench->trust = g_tls_file_database_new(ca, &error);
    bench->port = atoi(strrchr(bench->context->url, ':') + 1);
    g_usleep(300000);
}

static void start_agent(Bench *bench)
{
    g_autofree char *program = g_build_filename(bench->build, "src/agent/berth-agent", NULL);
    g_autofree char *run = g_build_filename(bench->directory, "run", NULL);
    const char *state = bench->agent_state;
    json_t *token = call(bench, API_OP_CREATE_JOIN_TOKEN, NULL, "{}");
    const char *join[] = {program,
                          "join",
                          "--state",
                          state,
                          "--manager",
                          bench->context->url,
                          "--token",
                          json_string_value(json_object_get(token, "token")),
                          "--name",
                          "bench",
                          "--capacity",
                          "cpu=1000000,memory=100000GiB,disk=1000000GiB",
                          "--cgroup-parent",
                          "berth-bench",
                          NULL};
    g_autoptr(GSubprocess) joins = programs_spawn(join);
    g_subprocess_wait(joins, NULL, NULL);
    json_decref(token);
    const char *argv[] = {program, "run", "--state", state, "--run", run, NULL};
    bench->agent = programs_spawn(argv);
    for (int up = 0, i = 0; up == 0 && i < 200; i++) {
        g_usleep(50000);
        json_t *cluster = call(bench, API_OP_GET_CLUSTER, NULL, NULL);
        up = (int)json_integer_value(json_object_get(cluster, "hosts-up"));
        json_decref(cluster);
    }
}

#define KERNEL "\177ELF"

/* A VM with its power off needs an image only in name: its first four bytes are enough. */
static void make_objects(const Bench *bench)
{
    json_decref(call(bench, API_OP_CREATE_SIZE, NULL,
                     "{\"name\":\"s\",\"resources\":{\"cpu\":100,\"memory\":64}}"));
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, KERNEL, -1);
    g_autofree char *image = g_strdup_printf("{\"name\":\"i\",\"kind\":\"kernel\",\"files\":[{"
                                             "\"role\":\"kernel\",\"sha256\":\"%s\",\"bytes\":4}]}",
                                             hash);
    json_decref(call(bench, API_OP_CREATE_IMAGE, NULL, image));
    g_autofree char *path = g_strdup_printf("/v1/images/i/files/%s", hash);
    g_autoptr(Https) client = open_client(bench, bench->port);
    g_autofree char *put = request_text(bench, "PUT", path, KERNEL);
    if (https_ask(client, put, NULL) != 200) {
        programs_fail("the image is not taken", NULL);
    }
    json_decref(call(bench, API_OP_CREATE_VM, NULL,
                     "{\"name\":\"bench\",\"size\":\"s\",\"image\":\"i\",\"power\":\"off\"}"));
}

/* The bare server's certificate comes from the same kind of CA: the agent's join has shown how;
 * here the manager's own certificate cannot be had, so openssl makes one that nobody checks. */
static void make_echo_certificate(const Bench *bench)
{
    g_autofree char *command =
        g_strdup_printf("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
                        "-days 2 -subj /CN=127.0.0.1 "
                        "-addext subjectAltName=IP:127.0.0.1 -keyout %s/echo-key.pem -out "
                        "%s/echo.pem 2>/dev/null && "
                        "cat %s/echo.pem >> %s/manager/ca.pem",
                        bench->directory, bench->directory, bench->directory, bench->directory);
    if (system(command) != 0) {
        programs_fail("openssl", NULL);
    }
}

/* The agent's, once it has ended. */
static void remove_groups(void)
{
    const char *argv[] = {"find",          "/sys/fs/cgroup", "-depth", "-type", "d", "-path",
                          "*berth-bench*", "-exec",          "rmdir",  "{}",    "+", NULL};
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                 NULL, NULL, NULL, NULL, NULL);
}

static bool wanted(const char *name)
{
    return part == NULL || strcmp(part, name) == 0;
}

int main(int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "of each turn [2]", "N"},
        {"followers", 0, 0, G_OPTION_ARG_INT, &followers, "of events [1000]", "N"},
        {"only", 0, 0, G_OPTION_ARG_STRING, &part, "one of get, create, events [all]", "PART"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) options = g_option_context_new("BUILD-DIR");
    g_option_context_add_main_entries(options, entries, NULL);
    if (!g_option_context_parse(options, &argc, &argv, NULL) || argc != 2) {
        fprintf(stderr, "usage: bench-api BUILD-DIR [--seconds N] [--followers N]\n");
        return 2;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    atexit(remove_groups); /* runs after what programs_init() leaves to the end */
    programs_init("bench-api");
    Bench *bench = &(Bench){.build = argv[1]};
    bench->directory = programs_directory();
    bench->agent_state = g_strdup_printf("/dev/shm/berth-bench-%d", (int)getpid());
    programs_add_file(bench->agent_state);
    start_manager(bench);
    start_agent(bench);
    make_objects(bench);
    json_t *vm = call(bench, API_OP_GET_VM, "bench", NULL);
    char *body = json_dumps(vm, JSON_COMPACT);
    make_echo_certificate(bench);
    g_clear_object(&bench->trust);
    g_autofree char *ca = g_build_filename(bench->directory, "manager", "ca.pem", NULL);
    bench->trust = g_tls_file_database_new(ca, NULL);
    int echo_port = 0;
    start_echo(bench, body, &echo_port);
    double gets = 0, echoes = 0, creates = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        gets += wanted("get") ? rate(bench, bench->port, GETTERS, false, turn) / TURNS : 0;
        echoes += wanted("get") ? rate(bench, echo_port, GETTERS, false, turn) / TURNS : 0;
        creates += wanted("create") ? rate(bench, bench->port, CREATORS, true, turn) / TURNS : 0;
    }
    if (wanted("get")) {
        printf("GET of a VM (%zu bytes), %d clients: %.0f a second; bare libsoup %.0f; ratio %.2f "
               "(goal 0.7)\n",
               strlen(body), GETTERS, gets, echoes, gets / echoes);
    }
    if (wanted("create")) {
        printf("durable creates, %d clients: %.0f a second", CREATORS, creates);
        printf(gets > 0 ? "; %.2f of the GETs (goal 0.3)\n" : "\n", creates / gets);
    }
    fflush(stdout);
    if (wanted("events")) {
        bench_events(bench);
    }
    free(body);
    json_decref(vm);
    return 0;
}
