/*
 * What the channel costs: N agents in a second process, each with a client certificate and one
 * connection, send a report of 510 bytes a second, and each is answered. Printed are the processor
 * time that the server's process takes for them and how long an answer takes as the agents see it,
 * in one run for
 *
 *     frames over TCP          echoed through the same event loop
 *     the bare channel         the same frames through the channel's TLS 1.3 with certificates on
 *                              both sides, echoed as they are: no JSON, no calls, no model
 *     the channel              JSON-RPC on it: each report is parsed and answered
 *     the channel and model    each report is decoded as what agents measure, taken by the cluster
 *                              core that knows all N hosts, and answered (goal: 1.3 times the bare
 *                              channel)
 *
 * At the end the server's process is killed, another one starts with the same ticket secret, and
 * the time until all agents are back is printed.
 *
 *     bench-rpc [--agents 10000] [--seconds 5]
 */
#include <arpa/inet.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cluster/cluster.h"
#include "rpc/ca.h"
#include "rpc/client.h"
#include "rpc/frame.h"
#include "rpc/listener.h"
#include "rpc/loop_private.h"
#include "rpc/stream.h"

#define REPORT_BYTES 510
#define WARM_UP_SECONDS 1
#define TICK_MIN_NS 50000

static int n_agents = 10000;
static int seconds = 5;

/* What the agents' process tells about its measurement. */
typedef struct {
    double opened_s; /* until all were connected */
    double wall_s;
    int64_t n_answers;
    double p50_ms, p99_ms;
} Figures;

static void require(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "bench-rpc: %s\n", what);
        exit(1);
    }
}

/* A measurement of four VMs as agents send it, filled up so that its frame's payload has
 * REPORT_BYTES. */
static json_t *report_new(void)
{
    json_t *vms = json_array();
    json_t *report = json_pack("{s:i, s:i, s:o}", "cpu", 12345, "memory", 65536, "vms", vms);
    for (int i = 0; i < 4; i++) {
        json_array_append_new(vms, json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "id",
                                             "01JZ7Q8T0V5C3N9W2X4Y6B8D0F", "cpu", 1234, "memory",
                                             2048, "rx", 1000, "tx", 2000, "read", 300));
    }
    g_autoptr(GByteArray) out = g_byte_array_new();
    json_t *last = json_array_get(vms, 3);
    json_object_set_new(last, "id", json_string(""));
    json_t *call = rpc_message_call(1000000, "agent.report", report);
    rpc_message_frame(out, call, 0, NULL);
    json_decref(call);
    g_autofree char *fill = g_strnfill(REPORT_BYTES - (out->len - RPC_FRAME_HEADER_BYTES), 'x');
    json_object_set_new(last, "id", json_string(fill));
    return report;
}

/* The agents: whatever the transport, they open, then one of them is due every 1/N second. */
typedef struct {
    RpcLoop *loop;
    GMainLoop *main;
    RpcWatch tick; /* a timerfd: reports leave one by one, not in heaps */
    void (*send)(int agent);
    int n_open;
    int64_t dialled_us, started_us;
    int64_t n_due, n_sent;
    int64_t *sent_us;  /* by agent */
    GArray *latencies; /* int64_t µs, while measuring */
    int64_t measure_from_us;
    int control;
    bool ready;
} Agents;

static Agents agents;

static void answered(int agent)
{
    if (agents.ready) {
        int64_t took_us = rpc_now_us() - agents.sent_us[agent];
        g_array_append_val(agents.latencies, took_us);
    }
}

static int by_value(gconstpointer a, gconstpointer b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double percentile_ms(double share)
{
    GArray *all = agents.latencies;
    return all->len == 0
               ? 0
               : (double)g_array_index(all, int64_t, (guint)(share * (all->len - 1))) / 1000;
}

static void finish_agents(int64_t now_us)
{
    g_array_sort(agents.latencies, by_value);
    Figures figures = {
        .opened_s = (double)(agents.started_us - agents.dialled_us) / 1e6,
        .wall_s = (double)(now_us - agents.measure_from_us) / 1e6,
        .n_answers = agents.latencies->len,
        .p50_ms = percentile_ms(0.50),
        .p99_ms = percentile_ms(0.99),
    };
    require(write(agents.control, &figures, sizeof figures) == sizeof figures, "no parent");
    g_main_loop_quit(agents.main);
}

static void tick(void *owner, uint32_t events)
{
    uint64_t expired;
    require(read(agents.tick.fd, &expired, sizeof expired) == sizeof expired, "no clock");
    int64_t now_us = rpc_now_us();
    if (!agents.ready && now_us >= agents.measure_from_us) {
        agents.ready = true;
        agents.measure_from_us = now_us;
        require(write(agents.control, "r", 1) == 1, "no parent");
    }
    agents.n_due = (now_us - agents.started_us) * n_agents / G_USEC_PER_SEC;
    for (; agents.n_sent < agents.n_due; agents.n_sent++) {
        int agent = (int)(agents.n_sent % n_agents);
        agents.sent_us[agent] = now_us;
        agents.send(agent);
    }
    if (agents.ready && now_us >= agents.measure_from_us + (int64_t)seconds * G_USEC_PER_SEC) {
        finish_agents(now_us);
    }
}

static void start_ticking(void)
{
    struct itimerspec every = {.it_interval.tv_nsec =
                                   MAX(1000000000L / MAX(n_agents, 2), TICK_MIN_NS)};
    every.it_value = every.it_interval;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    require(fd >= 0 && timerfd_settime(fd, 0, &every, NULL) == 0 &&
                rpc_watch_add(agents.loop, &agents.tick, fd, EPOLLIN, NULL),
            "no clock");
}

static void opened_one(void)
{
    if (++agents.n_open == n_agents) {
        agents.started_us = rpc_now_us();
        agents.measure_from_us = agents.started_us + WARM_UP_SECONDS * G_USEC_PER_SEC;
        start_ticking();
    }
}

static void run_agents(int control, void (*dial)(guint16 port), void (*send)(int agent),
                       guint16 port)
{
    agents = (Agents){
        .loop = rpc_loop_new(NULL),
        .main = g_main_loop_new(NULL, FALSE),
        .tick = {.ready = tick},
        .send = send,
        .dialled_us = rpc_now_us(),
        .sent_us = g_new0(int64_t, n_agents),
        .latencies = g_array_new(FALSE, FALSE, sizeof(int64_t)),
        .control = control,
    };
    dial(port);
    g_main_loop_run(agents.main);
    _exit(0);
}

/* Over the channel. */

static RpcTls *server_tls, *agent_tls; /* NULL: plain */
static RpcHello *hello;
static RpcConnection **connections;
static json_t *report;

static void on_agent_opened(RpcConnection *connection, void *data)
{
    opened_one();
}

static void on_agent_closed(RpcConnection *connection, const GError *reason, void *data)
{
    fprintf(stderr, "bench-rpc: an agent lost its connection: %s\n", reason->message);
    _exit(1);
}

static void dial_channel(guint16 port)
{
    const RpcHandlers handlers = {.opened = on_agent_opened, .closed = on_agent_closed};
    RpcOptions options = {
        .hello = hello,
        .tls = agent_tls,
        .server_name = "manager",
        .connect_timeout_ms = 120000,
        .open_timeout_ms = 120000,
    };
    g_autoptr(GSocketAddress) address = g_inet_socket_address_new_from_string("127.0.0.1", port);
    connections = g_new0(RpcConnection *, n_agents);
    for (int i = 0; i < n_agents; i++) {
        g_autoptr(GError) error = NULL;
        connections[i] =
            rpc_connection_dial(agents.loop, address, &options, &handlers, NULL, &error);
        require(connections[i] != NULL, error != NULL ? error->message : "cannot dial");
    }
}

static void on_report_answered(json_t *result, const GError *error, void *data)
{
    require(error == NULL, error != NULL ? error->message : "");
    answered(GPOINTER_TO_INT(data));
}

static void send_report(int agent)
{
    rpc_connection_call(connections[agent], "agent.report", report, 0, on_report_answered,
                        GINT_TO_POINTER(agent));
}

/* The model: as the manager feeds it, but for the store, which measurements never see. */

static ClusterCore *core;
static int n_up_hosts;

static char *host_id(int agent)
{
    return g_strdup_printf("host-%d", agent);
}

static void step(const ClusterEvent *event)
{
    g_ptr_array_unref(cluster_step(core, event, g_get_real_time() / 1000));
}

static void make_model(void)
{
    ClusterConfig config = {.seed = 1};
    core = cluster_core_new(&config);
    for (int i = 0; i < n_agents; i++) {
        g_autofree char *key = g_strdup_printf("host/host-%d/spec", i);
        g_autofree char *value = g_strdup_printf("{\"name\":\"h%d\"}", i);
        g_autoptr(GBytes) bytes = g_bytes_new(value, strlen(value));
        require(cluster_core_load(core, key, bytes, 1, NULL), "the model takes no host");
    }
    cluster_core_loaded(core, 1);
    step(&(ClusterEvent){.kind = CLUSTER_EVENT_START});
}

static void on_host_opened(RpcConnection *connection, void *data)
{
    char *host = host_id(n_up_hosts++);
    ClusterEvent event = {.kind = CLUSTER_EVENT_AGENT_UP};
    event.agent.host = host;
    event.agent.session = 1;
    step(&event);
    rpc_connection_set_data(connection, host);
}

static void on_host_closed(RpcConnection *connection, const GError *reason, void *data)
{
    g_free(data);
}

static void on_measured(RpcConnection *connection, RpcCall *call, void *data)
{
    g_autoptr(HostMeasure) measure =
        host_measure_decode(rpc_call_params(call), CODEC_TOLERANT, NULL);
    require(measure != NULL, "a report that is none");
    ClusterEvent event = {.kind = CLUSTER_EVENT_AGENT_MEASURE};
    event.agent.host = data;
    event.agent.session = 1;
    event.agent.measure = measure;
    step(&event);
    rpc_call_answer(call, NULL, NULL);
}

static void on_report(RpcConnection *connection, RpcCall *call, void *data)
{
    rpc_call_answer(call, NULL, NULL);
}

/* Frames as they are, over TCP or through the channel's TLS. */

typedef struct {
    RpcLoop *loop;
    RpcWatch watch;
    RpcStream *stream;
    RpcFrames *frames;
    bool ready;
    int agent; /* -1: the server's side */
} Bare;

static RpcLoop *server_loop;
static bool bare_tls;
static Bare **bare_agents;
static GByteArray *bare_frame;
static int n_bare; /* that the server has */

static void bare_free(Bare *bare)
{
    require(bare->agent < 0, "an agent lost its connection");
    rpc_watch_remove(bare->loop, &bare->watch);
    close(bare->watch.fd);
    rpc_stream_free(bare->stream);
    rpc_frames_free(bare->frames);
    g_free(bare);
    n_bare--;
}

static void bare_write(Bare *bare, const void *data, size_t size)
{
    size_t n = 0;
    require(rpc_stream_write(bare->stream, data, size, &n, NULL) == RPC_STREAM_OK && n == size,
            "cannot send");
}

static bool bare_handshake(Bare *bare)
{
    g_autoptr(GError) error = NULL;
    RpcStreamResult result =
        bare->ready ? RPC_STREAM_OK : rpc_stream_handshake(bare->stream, &error);
    require(result != RPC_STREAM_FAILED, error != NULL ? error->message : "no handshake");
    if (result == RPC_STREAM_OK && !bare->ready) {
        bare->ready = true;
        if (bare->agent >= 0) {
            opened_one();
        }
    }
    return bare->ready;
}

static void bare_take_frames(Bare *bare)
{
    const char *data;
    size_t size;
    while (rpc_frames_next(bare->frames, &data, &size, NULL) == RPC_FRAME_WHOLE) {
        if (bare->agent >= 0) {
            answered(bare->agent);
        } else {
            g_autoptr(GByteArray) out = g_byte_array_new();
            rpc_frame_append(out, data, size, 0, NULL);
            bare_write(bare, out->data, out->len);
        }
    }
}

static void on_bare(void *owner, uint32_t events)
{
    Bare *bare = owner;
    RpcStreamResult result =
        rpc_stream_fill(bare->stream, rpc_loop_raw(bare->loop), RPC_RAW_BYTES, NULL);
    if (result == RPC_STREAM_FAILED || result == RPC_STREAM_END) {
        bare_free(bare);
        return;
    }
    size_t n;
    while (result == RPC_STREAM_OK && bare_handshake(bare) &&
           (result = rpc_stream_read(bare->stream, rpc_loop_plain(bare->loop), RPC_PLAIN_BYTES, &n,
                                     NULL)) == RPC_STREAM_OK) {
        rpc_frames_push(bare->frames, rpc_loop_plain(bare->loop), n);
        bare_take_frames(bare);
    }
}

static Bare *bare_new(RpcLoop *loop, int fd, RpcTls *tls, int agent)
{
    Bare *bare = g_new0(Bare, 1);
    *bare = (Bare){.loop = loop,
                   .watch = {.owner = bare, .ready = on_bare},
                   .stream = rpc_stream_new(fd, tls, agent < 0, agent < 0 ? NULL : "manager", NULL),
                   .frames = rpc_frames_new(0),
                   .agent = agent};
    require(rpc_watch_add(loop, &bare->watch, fd, EPOLLIN, NULL), "cannot watch");
    return bare;
}

static struct sockaddr_in loopback(guint16 port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static void dial_bare(guint16 port)
{
    struct sockaddr_in address = loopback(port);
    bare_agents = g_new0(Bare *, n_agents);
    for (int i = 0; i < n_agents; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        require(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0,
                "cannot dial");
        bare_agents[i] = bare_new(agents.loop, fd, bare_tls ? agent_tls : NULL, i);
        bare_handshake(bare_agents[i]);
    }
}

static void send_bare(int agent)
{
    bare_write(bare_agents[agent], bare_frame->data, bare_frame->len);
}

static void on_bare_accept(void *owner, uint32_t events)
{
    RpcWatch *listener = owner;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        bare_new(server_loop, fd, bare_tls ? server_tls : NULL, -1);
        n_bare++;
    }
}

/* The server's side of a measurement. */

/* Port 0: the kernel's choice. */
static int listen_tcp(guint16 *ret_port)
{
    struct sockaddr_in address = loopback(*ret_port);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    require(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 4096) == 0 &&
                getsockname(fd, (struct sockaddr *)&address, &size) == 0,
            "cannot listen");
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static double processor_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

typedef struct {
    GMainLoop *main;
    double started_s, used_s;
    Figures figures;
} Measurement;

static gboolean on_control(int fd, GIOCondition condition, gpointer data)
{
    Measurement *measurement = data;
    if (measurement->started_s == 0) {
        char ready;
        require(read(fd, &ready, 1) == 1, "the agents' process has ended early");
        measurement->started_s = processor_seconds();
        return G_SOURCE_CONTINUE;
    }
    measurement->used_s = processor_seconds() - measurement->started_s;
    require(read(fd, &measurement->figures, sizeof measurement->figures) ==
                sizeof measurement->figures,
            "the agents' process has ended early");
    g_main_loop_quit(measurement->main);
    return G_SOURCE_REMOVE;
}

/* Runs the loop of the server until the agents have measured. */
static double measure(const char *name, int control, pid_t child, double bare_share)
{
    Measurement measurement = {.main = g_main_loop_new(NULL, FALSE)};
    g_unix_fd_add(control, G_IO_IN | G_IO_HUP, on_control, &measurement);
    g_main_loop_run(measurement.main);
    g_main_loop_unref(measurement.main);
    waitpid(child, NULL, 0);
    close(control);
    const Figures *figures = &measurement.figures;
    double share = measurement.used_s / figures->wall_s;
    double rate = (double)figures->n_answers / figures->wall_s;
    printf("%-26s %8.0f %11.1f %10.1f %9.3f %9.3f %9.2f", name, rate, 100 * share,
           rate > 0 ? 1e6 * share / rate : 0, figures->p50_ms, figures->p99_ms, figures->opened_s);
    if (bare_share > 0) {
        printf("   %.2f times the bare channel", share / bare_share);
    }
    printf("\n");
    fflush(stdout);
    return share;
}

/* The child has its agents' loop, the parent goes on with the server's. */
static pid_t fork_agents(int *ret_control, void (*dial)(guint16), void (*send)(int), guint16 port)
{
    int fds[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "no socket pair");
    pid_t child = fork();
    require(child >= 0, "cannot fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        run_agents(fds[1], dial, send, port);
    }
    close(fds[1]);
    *ret_control = fds[0];
    return child;
}

static double bench_bare(const char *name, bool tls)
{
    bare_tls = tls;
    guint16 port = 0;
    int control, fd = listen_tcp(&port);
    json_t *call = rpc_message_call(1000000, "agent.report", report);
    bare_frame = g_byte_array_new();
    rpc_message_frame(bare_frame, call, 0, NULL);
    json_decref(call);
    pid_t child = fork_agents(&control, dial_bare, send_bare, port);
    server_loop = rpc_loop_new(NULL);
    RpcWatch listener = {.owner = &listener, .ready = on_bare_accept};
    rpc_watch_add(server_loop, &listener, fd, EPOLLIN, NULL);
    double share = measure(name, control, child, 0);
    while (n_bare > 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    rpc_watch_remove(server_loop, &listener);
    close(fd);
    rpc_loop_free(server_loop);
    return share;
}

static void bench_channel(const char *name, const RpcHandlers *handlers, double bare_share)
{
    RpcOptions options = {.hello = hello, .tls = server_tls, .open_timeout_ms = 120000};
    const RpcListenerOptions limits = {.grace_ms = 120000};
    guint16 port = 0;
    int control, fd = listen_tcp(&port);
    pid_t child = fork_agents(&control, dial_channel, send_report, port);
    RpcLoop *loop = rpc_loop_new(NULL);
    g_autoptr(GError) error = NULL;
    RpcListener *listener = rpc_listener_new(loop, fd, &options, &limits, handlers, NULL, &error);
    require(listener != NULL, error != NULL ? error->message : "cannot listen");
    measure(name, control, child, bare_share);
    rpc_listener_free(listener);
    rpc_loop_free(loop);
}

/* The server's process is killed and another one starts: when are all agents back? */

static int storm_control, n_up;

static void on_client_up(RpcClient *client, void *data)
{
    if (++n_up == n_agents) {
        require(write(storm_control, "u", 1) == 1, "no parent");
    }
}

static void on_client_down(RpcClient *client, const GError *reason, void *data)
{
    n_up--;
}

static void run_clients(guint16 port)
{
    const RpcClientHandlers handlers = {.up = on_client_up, .down = on_client_down};
    const RpcOptions options = {.hello = hello, .tls = agent_tls, .server_name = "manager"};
    RpcLoop *loop = rpc_loop_new(NULL);
    g_autofree char *address = g_strdup_printf("127.0.0.1:%u", port);
    for (int i = 0; i < n_agents; i++) {
        require(rpc_client_new(loop, address, &options, NULL, &handlers, NULL, NULL) != NULL,
                "cannot make a client");
    }
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
}

static void run_server(guint16 port)
{
    const RpcHandlers handlers = {.call = on_report};
    const RpcOptions options = {.hello = hello, .tls = server_tls};
    int fd = listen_tcp(&port);
    RpcLoop *loop = rpc_loop_new(NULL);
    require(rpc_listener_new(loop, fd, &options, NULL, &handlers, NULL, NULL) != NULL,
            "cannot listen");
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
}

static pid_t fork_running(void (*run)(guint16 port), guint16 port)
{
    pid_t child = fork();
    require(child >= 0, "cannot fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(port);
        _exit(0);
    }
    return child;
}

static double seconds_until_all_up(int control, int64_t since_us)
{
    char up;
    require(read(control, &up, 1) == 1, "the agents' process has ended early");
    return (double)(rpc_now_us() - since_us) / 1e6;
}

static void end(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void bench_storm(void)
{
    int fds[2];
    guint16 port = 0;
    close(listen_tcp(&port));
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "no socket pair");
    storm_control = fds[1];
    pid_t server = fork_running(run_server, port);
    int64_t since_us = rpc_now_us();
    pid_t clients = fork_running(run_clients, port);
    close(fds[1]);
    double first_s = seconds_until_all_up(fds[0], since_us);
    since_us = rpc_now_us();
    end(server);
    server = fork_running(run_server, port);
    double again_s = seconds_until_all_up(fds[0], since_us);
    printf("\nclients that reconnect: all up after %.1f s, all back %.1f s after the server's "
           "kill -9\n",
           first_s, again_s);
    end(clients);
    end(server);
    close(fds[0]);
}

static void make_certificates(void)
{
    static const char *const names[] = {"manager", NULL};
    int64_t now = g_get_real_time() / G_USEC_PER_SEC;
    g_autoptr(GError) error = NULL;
    g_autoptr(RpcIdentity) identity = rpc_ca_make("bench", now, &error);
    g_autoptr(RpcCa) ca = identity != NULL ? rpc_ca_new(identity, &error) : NULL;
    require(ca != NULL, error != NULL ? error->message : "no CA");
    g_autoptr(RpcIdentity) server = rpc_ca_issue_server(ca, names, now, 1, &error);
    g_autoptr(RpcIdentity) agent = rpc_ca_issue_client(ca, "agent", now, 1, &error);
    require(server != NULL && agent != NULL, error != NULL ? error->message : "no certificate");
    server_tls = rpc_tls_new(identity->certificate, server->certificate, server->key, &error);
    agent_tls = rpc_tls_new(identity->certificate, agent->certificate, agent->key, &error);
    require(server_tls != NULL && agent_tls != NULL, error != NULL ? error->message : "no TLS");
    g_autoptr(GBytes) secret = rpc_ticket_secret_new();
    require(rpc_tls_give_tickets(server_tls, secret, NULL), "no tickets");
}

static void allow_files(void)
{
    rlim_t wanted = (rlim_t)n_agents + 200;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = MAX(limit.rlim_cur, wanted);
    limit.rlim_max = MAX(limit.rlim_max, wanted);
    require(setrlimit(RLIMIT_NOFILE, &limit) == 0,
            "not allowed to open so many files: give fewer --agents, or raise ulimit -n");
}

int main(int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"agents", 'n', 0, G_OPTION_ARG_INT, &n_agents, "How many agents (10000)", "N"},
        {"seconds", 's', 0, G_OPTION_ARG_INT, &seconds, "How long each is measured (5)", "S"},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- what the agent channel costs");
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) error = NULL;
    require(g_option_context_parse(context, &argc, &argv, &error),
            error != NULL ? error->message : "");
    require(n_agents > 0 && seconds > 0, "--agents and --seconds are above 0");
    allow_files();
    hello = rpc_hello_new("bench", 1, 0, NULL, NULL);
    report = report_new();
    printf("%d agents, one report of %d bytes a second each, %d s\n\n", n_agents, REPORT_BYTES,
           seconds);
    printf("%-26s %8s %11s %10s %9s %9s %9s\n", "", "per s", "server cpu%", "us/report", "p50 ms",
           "p99 ms", "opened s");
    const RpcHandlers echo = {.call = on_report};
    const RpcHandlers model = {
        .opened = on_host_opened, .call = on_measured, .closed = on_host_closed};
    make_certificates();
    make_model();
    bench_bare("frames over TCP", false);
    double bare_share = bench_bare("bare channel", true);
    bench_channel("channel", &echo, bare_share);
    bench_channel("channel and model", &model, bare_share);
    bench_storm();
    return 0;
}
