/*
 * What the channel costs: N agents in one process, each with a client certificate and one
 * connection to a server in another process, send one report a second. A report is the message that berth-agent sends each second
 * (agent.measure of src/agent/measure.c, here of four VMs), encoded as it does, with measurements
 * that change. Printed is the processor time (user and system) that the server's process takes for
 *
 *     frames over TCP          the same bytes through the same event loop, unread
 *     the bare channel         the same bytes through the channel's TLS 1.3 with certificates on
 *                              both sides, unread: no JSON, no calls, no model
 *     the channel              each report is decoded into what agents measure
 *     the channel and model    and taken by the cluster core that knows all N hosts
 *                              (goal: 1.3 times the bare channel)
 *
 * in two ways: `one way`, as agents send measurements, which nobody answers, and `answered`, where
 * the bare server echoes the frame and the channel answers a call. Each row is compared with the
 * bare channel of its own way.
 *
 * The agents of every row make each report anew, as real ones do, so that they burden the machine that they share
 * with the server alike.
 *
 * Each transport has its two processes, and all connections stay open; the rows are measured in
 * turns, several rounds of them, so that whatever else the machine does meets all rows alike. The ratios are of the sums over the rounds;
 * the smallest and the largest of a round are printed too. How long an answer takes is as the
 * agents see it, who share the machine.
 *
 *     bench-rpc [--agents 10000] [--seconds 3] [--rounds 3]
 */
#include <arpa/inet.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cluster/cluster.h"
#include "rpc/ca.h"
#include "rpc/channel.h"
#include "rpc/frame.h"
#include "rpc/listener.h"
#include "rpc/loop_private.h"
#include "rpc/stream.h"

/* Each agent has sent once: none is pinged any more for having been idle while others were measured. */
#define WARM_UP_US (G_USEC_PER_SEC * 3 / 2)
#define TICK_MIN_NS 50000
#define VMS 4

static int n_agents = 10000;
static int seconds = 3;
static int rounds = 3;

typedef enum { ONE_WAY, ANSWERED, N_WAYS } Way;

/* What the agents' process tells about a turn. */
typedef struct {
    double wall_s;
    int64_t n_sent;
    double p50_ms, p99_ms; /* 0: nothing is answered */
} Figures;

static void require(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "bench-rpc: %s\n", what);
        exit(1);
    }
}

/* What a host sends that has four VMs; `turn` changes every number, but not their digits, so that
 * all frames of a way have one size. */
static json_t *report_new(int64_t turn)
{
    g_autoptr(HostMeasure) host = host_measure_new();
    int64_t drift = turn % 900;
    host->cpu = 4000 + drift;
    host->memory = 65536 + drift;
    for (int i = 0; i < VMS; i++) {
        VmMeasure *vm = vm_measure_new();
        vm->id = g_strdup_printf("01JZ7Q8T0V5C3N9W2X4Y6B8D0%d", i);
        vm->cpu = 1000 + drift;
        vm->throttled = 10 + drift % 80;
        vm->memory = 2048 + drift;
        vm->rx = 10000 + drift;
        vm->tx = 20000 + drift;
        vm->read = 300 + drift % 90;
        vm->write = 100 + drift % 90;
        g_ptr_array_add(host->vms, vm);
    }
    return host_measure_encode(host);
}

/* As the channel writes it. */
static GByteArray *frame_new(Way way, int64_t turn)
{
    GByteArray *frame = g_byte_array_new();
    json_t *report = report_new(turn);
    json_t *message = way == ANSWERED
                          ? rpc_message_call(1000000, AGENT_METHOD_AGENT_MEASURE, report)
                          : rpc_message_notify(AGENT_METHOD_AGENT_MEASURE, report);
    rpc_message_frame(frame, message, 0, NULL);
    json_decref(message);
    json_decref(report);
    return frame;
}

/* The agents of a process: whatever the transport, they open, and when the parent says so, one of
 * them is due every 1/N second. */
typedef struct {
    RpcLoop *loop;
    RpcWatch tick;    /* a timerfd: reports leave one by one, not in heaps */
    RpcWatch control; /* the parent's: a byte is the way to measure */
    void (*send)(int agent, Way way);
    int n_open;
    Way way;
    bool running, measuring;
    int64_t started_us, measure_from_us;
    int64_t n_sent, n_sent_before;
    int64_t *sent_us;  /* by agent */
    GArray *latencies; /* int64_t µs, while measuring */
} Agents;

static Agents agents;

static void answered(int agent)
{
    if (agents.measuring) {
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

static void tell_parent(const void *data, size_t size)
{
    require(write(agents.control.fd, data, size) == (ssize_t)size, "no parent");
}

static void finish_turn(int64_t now_us)
{
    g_array_sort(agents.latencies, by_value);
    Figures figures = {
        .wall_s = (double)(now_us - agents.measure_from_us) / 1e6,
        .n_sent = agents.n_sent - agents.n_sent_before,
        .p50_ms = percentile_ms(0.50),
        .p99_ms = percentile_ms(0.99),
    };
    agents.running = agents.measuring = false;
    g_array_set_size(agents.latencies, 0);
    tell_parent(&figures, sizeof figures);
}

static void tick(void *owner, uint32_t events)
{
    uint64_t expired;
    require(read(agents.tick.fd, &expired, sizeof expired) == sizeof expired, "no clock");
    int64_t now_us = rpc_now_us();
    if (!agents.running) {
        return;
    }
    if (!agents.measuring && now_us >= agents.measure_from_us) {
        agents.measuring = true;
        agents.measure_from_us = now_us;
        agents.n_sent_before = agents.n_sent;
        tell_parent("r", 1);
    }
    int64_t n_due = (now_us - agents.started_us) * n_agents / G_USEC_PER_SEC;
    for (; agents.n_sent < n_due; agents.n_sent++) {
        int agent = (int)(agents.n_sent % n_agents);
        agents.sent_us[agent] = now_us;
        agents.send(agent, agents.way);
    }
    if (agents.measuring && now_us >= agents.measure_from_us + (int64_t)seconds * G_USEC_PER_SEC) {
        finish_turn(now_us);
    }
}

static void begin_turn(void *owner, uint32_t events)
{
    char way;
    if (read(agents.control.fd, &way, 1) != 1) {
        _exit(0);
    }
    agents.way = (Way)way;
    agents.started_us = rpc_now_us();
    agents.measure_from_us = agents.started_us + WARM_UP_US;
    agents.n_sent = 0;
    agents.running = true;
}

static void start_clock(void)
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
        start_clock();
        tell_parent("o", 1);
    }
}

static void run_agents(int control, void (*dial)(guint16 port), void (*send)(int agent, Way way),
                       guint16 port)
{
    agents = (Agents){
        .loop = rpc_loop_new(NULL),
        .tick = {.ready = tick},
        .control = {.ready = begin_turn},
        .send = send,
        .sent_us = g_new0(int64_t, n_agents),
        .latencies = g_array_new(FALSE, FALSE, sizeof(int64_t)),
    };
    require(rpc_watch_add(agents.loop, &agents.control, control, EPOLLIN, NULL), "no parent");
    dial(port);
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
}

/* Over the channel. */

static RpcTls *server_tls, *agent_tls; /* NULL: plain */
static RpcHello *hello;
static RpcConnection **connections;

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

static void send_report(int agent, Way way)
{
    json_t *report = report_new(agents.n_sent);
    if (way == ANSWERED) {
        rpc_connection_call(connections[agent], AGENT_METHOD_AGENT_MEASURE, report, 0,
                            on_report_answered, GINT_TO_POINTER(agent));
    } else {
        rpc_connection_notify(connections[agent], AGENT_METHOD_AGENT_MEASURE, report, NULL);
    }
    json_decref(report);
}

/* The model: as the manager feeds it, but for the store, which measurements never see. */

static ClusterCore *core;
static int n_up_hosts;

/* What a server's process shares with the one that measures. */
typedef struct {
    int64_t n_received; /* in whatever way */
    bool with_model;
} Shared;

static Shared *shared; /* the server's own */

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

static void take_measure(void *params, const char *host)
{
    g_autoptr(HostMeasure) measure = params;
    shared->n_received++;
    if (shared->with_model) {
        ClusterEvent event = {.kind = CLUSTER_EVENT_AGENT_MEASURE};
        event.agent.host = host;
        event.agent.session = 1;
        event.agent.measure = measure;
        step(&event);
    }
}

static void on_measured(RpcConnection *connection, void *params, void *data)
{
    take_measure(params, data);
}

static void on_measure_called(RpcConnection *connection, RpcCall *call, void *params, void *data)
{
    take_measure(params, data);
    rpc_call_answer(call, NULL, NULL);
}

static const RpcMethod methods[] = {
    {AGENT_METHOD_AGENT_MEASURE, &host_measure_type, .notified = on_measured},
    {AGENT_METHOD_AGENT_MEASURE, &host_measure_type, .called = on_measure_called},
    {NULL},
};

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
static GByteArray *bare_frames[N_WAYS];

static void bare_free(Bare *bare)
{
    require(bare->agent < 0, "an agent lost its connection");
    rpc_watch_remove(bare->loop, &bare->watch);
    close(bare->watch.fd);
    rpc_stream_free(bare->stream);
    rpc_frames_free(bare->frames);
    g_free(bare);
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
            continue;
        }
        shared->n_received++;
        if (size + RPC_FRAME_HEADER_BYTES == bare_frames[ANSWERED]->len) {
            /* The whole frame, as it lies there. */
            bare_write(bare, data - RPC_FRAME_HEADER_BYTES, size + RPC_FRAME_HEADER_BYTES);
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

static void send_bare(int agent, Way way)
{
    g_autoptr(GByteArray) frame = frame_new(way, agents.n_sent);
    bare_write(bare_agents[agent], frame->data, frame->len);
}

static void on_bare_accept(void *owner, uint32_t events)
{
    const RpcWatch *listener = owner;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        bare_new(server_loop, fd, bare_tls ? server_tls : NULL, -1);
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

enum { TCP, BARE, CHANNEL, N_TRANSPORTS };
enum { ROW_TCP, ROW_BARE, ROW_CHANNEL, ROW_MODEL, N_ROWS };

static const struct {
    const char *name;
    int transport;
    bool model;
} rows[N_ROWS] = {
    {"frames over TCP", TCP, false},
    {"bare channel", BARE, false},
    {"channel", CHANNEL, false},
    {"channel and model", CHANNEL, true},
};

static void run_server(int transport, int fd)
{
    static const RpcHandlers handlers = {
        .opened = on_host_opened, .methods = methods, .closed = on_host_closed};
    server_loop = rpc_loop_new(NULL);
    RpcWatch watch = {.owner = &watch, .ready = on_bare_accept};
    RpcOptions options = {.hello = hello, .tls = server_tls, .open_timeout_ms = 120000};
    const RpcListenerOptions limits = {.grace_ms = 120000};
    if (transport == CHANNEL) {
        make_model();
        require(rpc_listener_new(server_loop, fd, &options, &limits, &handlers, NULL, NULL) != NULL,
                "cannot listen");
    } else {
        require(rpc_watch_add(server_loop, &watch, fd, EPOLLIN, NULL), "cannot listen");
    }
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
}

/* The two processes of a transport. */
typedef struct {
    pid_t server, agents;
    clockid_t clock; /* the server's processor time */
    int control;     /* the agents' */
    Shared *shared;
} Pair;

static pid_t fork_child(void)
{
    pid_t child = fork();
    require(child >= 0, "cannot fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return child;
}

static void await(const Pair *pair, void *ret_data, size_t size)
{
    require(read(pair->control, ret_data, size) == (ssize_t)size,
            "the agents' process has ended early");
}

static Pair start_pair(int transport)
{
    guint16 port = 0;
    int fds[2], fd = listen_tcp(&port);
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "no socket pair");
    bare_tls = transport == BARE;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(shared != MAP_FAILED, "no memory to share");
    Pair pair = {.control = fds[0], .shared = shared, .server = fork_child()};
    if (pair.server == 0) {
        run_server(transport, fd);
    }
    close(fd);
    pair.agents = fork_child();
    if (pair.agents == 0) {
        run_agents(fds[1], transport == CHANNEL ? dial_channel : dial_bare,
                   transport == CHANNEL ? send_report : send_bare, port);
    }
    close(fds[1]);
    require(clock_getcpuclockid(pair.server, &pair.clock) == 0, "no clock of the server");
    return pair;
}

static void end_pair(const Pair *pair)
{
    kill(pair->agents, SIGKILL);
    kill(pair->server, SIGKILL);
    waitpid(pair->agents, NULL, 0);
    waitpid(pair->server, NULL, 0);
}

/* What one row has used over all rounds. */
typedef struct {
    double used_s, wall_s, p50_ms, p99_ms;
    int64_t n;
    double least, most; /* of the ratios of single rounds */
} Sum;

static double processor_seconds(const Pair *pair)
{
    struct timespec used;
    clock_gettime(pair->clock, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Returns what a report has cost. */
static double turn(const Pair *pair, Way way, bool model, Sum *sum)
{
    char word = (char)way;
    Figures figures;
    pair->shared->with_model = model;
    require(write(pair->control, &word, 1) == 1, "the agents' process has ended early");
    await(pair, &word, 1);
    double started_s = processor_seconds(pair);
    int64_t n_before = pair->shared->n_received;
    await(pair, &figures, sizeof figures);
    double used_s = processor_seconds(pair) - started_s;
    int64_t n = pair->shared->n_received - n_before;
    require(n > 0, "nothing has come");
    sum->used_s += used_s;
    sum->wall_s += figures.wall_s;
    sum->n += n;
    sum->p50_ms = MAX(sum->p50_ms, figures.p50_ms);
    sum->p99_ms = MAX(sum->p99_ms, figures.p99_ms);
    return used_s / (double)n;
}

static void start_pairs(Pair pairs[N_TRANSPORTS])
{
    for (int i = 0; i < N_TRANSPORTS; i++) {
        char word;
        int64_t since_us = rpc_now_us();
        pairs[i] = start_pair(i);
        await(&pairs[i], &word, 1);
        printf("%d connections, %s: open in %.1f s\n", n_agents, rows[i].name,
               (double)(rpc_now_us() - since_us) / 1e6);
        fflush(stdout);
    }
}

static void print_row(const char *name, const Sum *sum, const Sum *bare)
{
    double each = sum->used_s / (double)sum->n, bare_each = bare->used_s / (double)bare->n;
    printf("%-24s %7.0f %8.1f %8.2f %9.3f %9.3f   %.2f (%.2f to %.2f)\n", name,
           (double)sum->n / sum->wall_s, 100 * sum->used_s / sum->wall_s, 1e6 * each, sum->p50_ms,
           sum->p99_ms, each / bare_each, sum->least, sum->most);
}

static void print_way(Way way, const Sum sums[N_ROWS])
{
    printf("\n%-24s %7s %8s %8s %9s %9s   %s\n",
           way == ONE_WAY ? "one way, as agents do:" : "answered:", "per s", "cpu %", "us each",
           "p50 ms", "p99 ms", "times the bare channel (in a round)");
    for (int row = 0; row < N_ROWS; row++) {
        print_row(rows[row].name, &sums[row], &sums[ROW_BARE]);
    }
    fflush(stdout);
}

static void run_rounds(const Pair pairs[N_TRANSPORTS])
{
    static Sum sums[N_WAYS][N_ROWS];
    for (int round = 0; round < rounds; round++) {
        for (int way = 0; way < N_WAYS; way++) {
            double each[N_ROWS];
            for (int row = 0; row < N_ROWS; row++) {
                each[row] =
                    turn(&pairs[rows[row].transport], (Way)way, rows[row].model, &sums[way][row]);
            }
            for (int row = 0; row < N_ROWS; row++) {
                Sum *sum = &sums[way][row];
                double ratio = each[row] / each[ROW_BARE];
                sum->least = round == 0 ? ratio : MIN(sum->least, ratio);
                sum->most = MAX(sum->most, ratio);
            }
        }
    }
    for (int way = 0; way < N_WAYS; way++) {
        print_way((Way)way, sums[way]);
    }
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
        {"agents", 'n', 0, G_OPTION_ARG_INT, &n_agents, "How many agents [10000]", "N"},
        {"seconds", 's', 0, G_OPTION_ARG_INT, &seconds, "of a turn [3]", "S"},
        {"rounds", 'r', 0, G_OPTION_ARG_INT, &rounds, "of turns [3]", "N"},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- what the agent channel costs");
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) error = NULL;
    require(g_option_context_parse(context, &argc, &argv, &error),
            error != NULL ? error->message : "");
    require(n_agents > 0 && seconds > 0 && rounds > 0, "all numbers are above 0");
    allow_files();
    hello = rpc_hello_new("bench", 1, 0, NULL, NULL);
    for (int way = 0; way < N_WAYS; way++) {
        bare_frames[way] = frame_new((Way)way, 0);
    }
    printf("%d agents, one report of %u bytes (one way) or %u (answered) a second each; %d rounds "
           "of %d s a row\n",
           n_agents, bare_frames[ONE_WAY]->len, bare_frames[ANSWERED]->len, rounds, seconds);
    make_certificates();
    Pair pairs[N_TRANSPORTS];
    start_pairs(pairs);
    run_rounds(pairs);
    for (int i = 0; i < N_TRANSPORTS; i++) {
        end_pair(&pairs[i]);
    }
    return 0;
}
