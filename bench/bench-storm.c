/*
 * The manager is killed under N hosts: when are they all back, and how does the API answer
 * meanwhile?
 *
 * Runs a real berth-manager on a store that has N hosts. A second process has their agents as far
 * as the manager sees them: a certificate of its own and an RpcClient each, which on connecting
 * send the full report that src/agent/uplink.c sends, and then a measurement (of four VMs) each
 * second. They are `back` when their first report of a connection is answered, which is when the
 * manager has it durable.
 *
 * Clients of the API, in threads of this process, ask all the time, each with a pause between:
 *
 *     kept      reads a host and lists some, over a connection that it keeps
 *     anew      reads a host, over a new connection each time: handshake included
 *     writes    creates a size, durably, over a connection that it keeps
 *
 * At rest first; then the manager is killed (SIGKILL) and started again at once, as its service
 * would be, and the time counts from the kill. A request that finds no manager is tried again, and
 * not counted; all that are begun after the manager's first answer are, until all agents are back.
 * The goals: all back in 30 s, p99 under 200 ms meanwhile, for each kind.
 *
 *     bench-storm BUILD-DIR [--agents 10000]
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "https.h"
#include "programs.h"
#include "rpc/ca.h"
#include "rpc/client.h"
#include "schema/agent.h"
#include "store/store.h"

#define PUTS_A_TXN 100
#define REST_US (5 * G_USEC_PER_SEC)
#define GIVE_UP_US (300 * G_USEC_PER_SEC)
#define RETRY_US 20000
#define VMS 4

static int n_agents = 10000;

/* What the agents' process tells us. */
typedef struct {
    gint n_back, n_lost;
} Shared;

static Shared *shared;
static const char *build;
static char *state, *context, *token;
static int api_port, agent_port;
static RpcIdentity **identities; /* by agent */
static char *ca_pem;
static GTlsDatabase *trust;

static char *host_id(int agent)
{
    return g_strdup_printf("01JZ7Q8T0V5C3N9W2X4Y6B%04X", agent);
}

/* The manager. */

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        programs_fail("a port", NULL);
    }
    close(fd);
    return ntohs(address.sin_port);
}

static GSubprocess *start_manager(void)
{
    g_autofree char *program = g_build_filename(build, "src/manager/berth-manager", NULL);
    g_autofree char *api = g_strdup_printf("%d", api_port);
    g_autofree char *agent = g_strdup_printf("%d", agent_port);
    const char *argv[] = {program,      "--state",   state,          "--listen", "127.0.0.1",
                          "--api-port", api,         "--agent-port", agent,      "--name",
                          "127.0.0.1",  "--context", context,        NULL};
    return programs_spawn(argv);
}

static char *line_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at != NULL ? g_strndup(at + strlen(key), strcspn(at + strlen(key), "\n")) : NULL;
}

/* Once, for its CA and its store's first contents. */
static void make_state(void)
{
    GSubprocess *manager = start_manager();
    g_autofree char *text = NULL;
    for (int i = 0; i < 400 && text == NULL; i++) {
        g_usleep(50000);
        g_file_get_contents(context, &text, NULL, NULL);
    }
    token = text != NULL ? line_after(text, "token: ") : NULL;
    if (token == NULL) {
        programs_fail("the manager does not start", NULL);
    }
    programs_end(manager, SIGTERM);
}

/* What a join leaves in the store. */
static void put_hosts(void)
{
    GError *error = NULL;
    g_autofree char *path = g_build_filename(state, "store.db", NULL);
    g_autoptr(Store) store = store_sqlite_open(path, NULL, &error);
    for (int i = 0; store != NULL && i < n_agents; i += PUTS_A_TXN) {
        StoreTxn *txn = store_txn_new();
        for (int j = i; j < MIN(i + PUTS_A_TXN, n_agents); j++) {
            g_autofree char *id = host_id(j);
            g_autofree char *key = g_strdup_printf("host/%s/spec", id);
            g_autofree char *value = g_strdup_printf("{\"name\":\"h%d\"}", j);
            g_autoptr(GBytes) bytes = g_bytes_new(value, strlen(value));
            store_txn_put(txn, key, bytes);
        }
        StoreResult result;
        if (!store_commit_sync(store, txn, &result, &error)) {
            break;
        }
    }
    if (error != NULL) {
        programs_fail("the store", error);
    }
}

/* As the manager issues them; one key serves all, since nobody here is anybody's enemy. */
static void make_certificates(void)
{
    GError *error = NULL;
    int64_t now = g_get_real_time() / G_USEC_PER_SEC;
    g_autofree char *certificate = g_build_filename(state, "ca.pem", NULL);
    g_autofree char *key = g_build_filename(state, "ca-key.pem", NULL);
    g_autoptr(RpcIdentity) identity = rpc_identity_load(certificate, key, &error);
    g_autoptr(RpcCa) ca = identity != NULL ? rpc_ca_new(identity, &error) : NULL;
    g_autoptr(RpcIdentity) request = ca != NULL ? rpc_request_new("bench", &error) : NULL;
    identities = g_new0(RpcIdentity *, n_agents);
    for (int i = 0; request != NULL && i < n_agents; i++) {
        g_autofree char *id = host_id(i);
        identities[i] = g_new0(RpcIdentity, 1);
        identities[i]->certificate =
            rpc_ca_sign_client(ca, request->certificate, id, now, 1, &error);
        identities[i]->key = g_strdup(request->key);
        if (identities[i]->certificate == NULL) {
            break;
        }
    }
    if (error != NULL) {
        programs_fail("certificates", error);
    }
    ca_pem = g_strdup(identity->certificate);
    trust = g_tls_file_database_new(certificate, &error);
}

/* The agents' process. */

typedef struct {
    RpcClient *client;
    bool back;
} Agent;

static Agent *agents;
static json_t *report, *measure;
static int next_to_measure;

static void on_reported(json_t *result, const GError *error, void *data)
{
    Agent *agent = data;
    if (error == NULL && !agent->back) {
        agent->back = true;
        g_atomic_int_inc(&shared->n_back);
    }
}

static void on_up(RpcClient *client, void *data)
{
    rpc_client_call(client, AGENT_METHOD_AGENT_REPORT, report, 120000, on_reported, data);
}

static void on_down(RpcClient *client, const GError *reason, void *data)
{
    Agent *agent = data;
    if (agent->back) {
        agent->back = false;
        g_atomic_int_add(&shared->n_back, -1);
        g_atomic_int_inc(&shared->n_lost);
    }
}

static json_t *full_report(void)
{
    g_autoptr(AgentReport) full = agent_report_new();
    full->sequence = 1;
    full->full = true;
    full->facts = host_facts_new();
    full->facts->address = g_strdup("10.0.0.1");
    full->facts->machine = g_strdup("pc-q35-7.2");
    full->facts->kernel = g_strdup("6.1.0");
    full->facts->capacity = resources_new();
    full->facts->capacity->cpu = 32000;
    full->facts->capacity->memory = 131072;
    return agent_report_encode(full);
}

static json_t *one_measure(void)
{
    g_autoptr(HostMeasure) host = host_measure_new();
    host->cpu = 4000;
    host->memory = 65536;
    for (int i = 0; i < VMS; i++) {
        VmMeasure *vm = vm_measure_new();
        vm->id = g_strdup_printf("01JZ7Q8T0V5C3N9W2X4Y6B8D0%d", i);
        vm->cpu = 1000;
        vm->memory = 2048;
        vm->rx = 10000;
        vm->tx = 20000;
        g_ptr_array_add(host->vms, vm);
    }
    return host_measure_encode(host);
}

/* A hundredth of them, a hundred times a second. */
static gboolean on_measure_time(gpointer data)
{
    for (int i = 0; i < MAX(n_agents / 100, 1); i++) {
        const Agent *agent = &agents[next_to_measure];
        if (agent->back) {
            rpc_client_notify(agent->client, AGENT_METHOD_AGENT_MEASURE, measure, NULL);
        }
        next_to_measure = (next_to_measure + 1) % n_agents;
    }
    return G_SOURCE_CONTINUE;
}

static Agent *start_agent(RpcLoop *loop, const char *address, int index)
{
    static const RpcClientHandlers handlers = {.up = on_up, .down = on_down};
    Agent *agent = &agents[index];
    GError *error = NULL;
    g_autofree char *id = host_id(index);
    g_autofree char *name = g_strdup_printf("h%d", index);
    AgentIdentity me = {.host = id, .name = name, .version = (char *)"bench"};
    json_t *identity = agent_identity_encode(&me);
    g_autoptr(RpcHello) hello = rpc_hello_new(AGENT_PROTOCOL_NAME, AGENT_PROTOCOL_MAJOR,
                                              AGENT_PROTOCOL_MINOR, NULL, identity);
    json_decref(identity);
    g_autoptr(RpcTls) tls =
        rpc_tls_new(ca_pem, identities[index]->certificate, identities[index]->key, &error);
    RpcOptions options = {.hello = hello, .tls = tls, .server_name = "127.0.0.1"};
    agent->client = tls != NULL
                        ? rpc_client_new(loop, address, &options, NULL, &handlers, agent, &error)
                        : NULL;
    if (agent->client == NULL) {
        fprintf(stderr, "bench-storm: an agent: %s\n", error->message);
        _exit(1);
    }
    return agent;
}

static void run_agents(void)
{
    RpcLoop *loop = rpc_loop_new(NULL);
    g_autofree char *address = g_strdup_printf("127.0.0.1:%d", agent_port);
    agents = g_new0(Agent, n_agents);
    report = full_report();
    measure = one_measure();
    for (int i = 0; i < n_agents; i++) {
        start_agent(loop, address, i);
    }
    g_timeout_add(10, on_measure_time, NULL);
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
}

/* Clients of the API. */

typedef struct {
    int64_t begun_us, took_us;
} Answer;

typedef struct {
    const char *name;
    bool anew, writes;
    int n;
    gulong pause_us;
    GMutex lock;
    GArray *answers; /* of Answer */
    int64_t refused; /* answers that are refusals */
} Kind;

static Kind kinds[] = {
    {.name = "kept", .n = 4, .pause_us = 20000},
    {.name = "anew", .anew = true, .n = 2, .pause_us = 100000},
    {.name = "writes", .writes = true, .n = 2, .pause_us = 50000},
};

static char *next_request(const Kind *kind)
{
    static gint last;
    int n = g_atomic_int_add(&last, 1);
    if (kind->writes) {
        g_autofree char *body =
            g_strdup_printf("{\"name\":\"s-%d\",\"resources\":{\"cpu\":100,\"memory\":64}}", n);
        return https_request(token, "POST", "/v1/sizes", body);
    }
    g_autofree char *path = n % 4 == 0 ? g_strdup("/v1/hosts?limit=20")
                                       : g_strdup_printf("/v1/hosts/h%d", n * 37 % n_agents);
    return https_request(token, "GET", path, NULL);
}

/* False: nobody is there. */
static bool ask_once(Kind *kind, Https **client)
{
    g_autofree char *request = next_request(kind);
    Answer answer = {.begun_us = g_get_monotonic_time()};
    *client = *client != NULL ? *client : https_open(trust, api_port, NULL);
    int status = *client != NULL ? https_ask(*client, request, NULL) : 0;
    answer.took_us = g_get_monotonic_time() - answer.begun_us;
    if (status == 0 || kind->anew) {
        g_clear_pointer(client, https_free);
    }
    if (status == 0) {
        return false;
    }
    g_mutex_lock(&kind->lock);
    g_array_append_val(kind->answers, answer);
    kind->refused += status >= 300;
    g_mutex_unlock(&kind->lock);
    return true;
}

static gpointer ask_always(gpointer data)
{
    Kind *kind = data;
    Https *client = NULL;
    for (;;) {
        g_usleep(ask_once(kind, &client) ? kind->pause_us : RETRY_US);
    }
    return NULL;
}

static void start_clients(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        kinds[i].answers = g_array_new(FALSE, FALSE, sizeof(Answer));
        for (int j = 0; j < kinds[i].n; j++) {
            g_thread_unref(g_thread_new("client", ask_always, &kinds[i]));
        }
    }
}

static int by_value(gconstpointer a, gconstpointer b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static GArray *answers_between(Kind *kind, int64_t from_us, int64_t until_us)
{
    GArray *took = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_mutex_lock(&kind->lock);
    for (guint i = 0; i < kind->answers->len; i++) {
        const Answer *answer = &g_array_index(kind->answers, Answer, i);
        if (answer->begun_us >= from_us && answer->begun_us < until_us) {
            g_array_append_val(took, answer->took_us);
        }
    }
    g_mutex_unlock(&kind->lock);
    g_array_sort(took, by_value);
    return took;
}

static double share_ms(const GArray *took, double share)
{
    return (double)g_array_index(took, int64_t, (guint)(share * (took->len - 1))) / 1000;
}

static void print_answers(const char *when, int64_t from_us, int64_t until_us)
{
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autoptr(GArray) took = answers_between(&kinds[i], from_us, until_us);
        if (took->len > 0) {
            printf("  %-10s %-8s %6u answers: p50 %6.1f ms, p99 %6.1f ms, longest %6.1f ms\n", when,
                   kinds[i].name, took->len, share_ms(took, 0.5), share_ms(took, 0.99),
                   share_ms(took, 1));
        }
    }
    fflush(stdout);
}

static int64_t first_answer_after(int64_t from_us)
{
    int64_t first_us = INT64_MAX;
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_mutex_lock(&kinds[i].lock);
        for (guint j = 0; j < kinds[i].answers->len; j++) {
            const Answer *answer = &g_array_index(kinds[i].answers, Answer, j);
            if (answer->begun_us >= from_us) {
                first_us = MIN(first_us, answer->begun_us + answer->took_us);
            }
        }
        g_mutex_unlock(&kinds[i].lock);
    }
    return first_us;
}

/* Returns when. */
static int64_t await_all_back(void)
{
    int64_t give_up_us = g_get_monotonic_time() + GIVE_UP_US;
    while (g_atomic_int_get(&shared->n_back) < n_agents) {
        if (g_get_monotonic_time() > give_up_us) {
            fprintf(stderr, "bench-storm: %d of %d are back\n", g_atomic_int_get(&shared->n_back),
                    n_agents);
            programs_fail("not all agents come back", NULL);
        }
        g_usleep(20000);
    }
    return g_get_monotonic_time();
}

static void storm(GSubprocess *manager)
{
    double used_ms = programs_processor_ms(programs_pid(manager));
    int64_t rest_us = g_get_monotonic_time();
    g_usleep(REST_US);
    used_ms = programs_processor_ms(programs_pid(manager)) - used_ms;
    printf("at rest, %d agents measured each second: %.0f %% of a core\n", n_agents,
           used_ms * 1e5 / REST_US);
    print_answers("at rest", rest_us, g_get_monotonic_time());
    g_atomic_int_set(&shared->n_lost, 0);
    int64_t killed_us = g_get_monotonic_time();
    programs_end(manager, SIGKILL);
    manager = start_manager();
    /* Each is lost once before it can be back. */
    while (g_atomic_int_get(&shared->n_lost) < n_agents) {
        g_usleep(5000);
    }
    int64_t back_us = await_all_back();
    used_ms = programs_processor_ms(programs_pid(manager));
    int64_t first_us = first_answer_after(killed_us);
    printf("killed: the API answers again after %.1f s, all agents are back after %.1f s (goal "
           "30), which took the manager %.1f s of processor time\n",
           (double)(first_us - killed_us) / 1e6, (double)(back_us - killed_us) / 1e6,
           used_ms / 1e3);
    print_answers("meanwhile", first_us, back_us);
}

static void prepare(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < (rlim_t)n_agents + 200) {
        programs_fail("so many descriptors are not allowed: give fewer --agents", NULL);
    }
    state = g_build_filename(programs_directory(), "manager", NULL);
    context = g_build_filename(programs_directory(), "context.yaml", NULL);
    api_port = free_port();
    agent_port = free_port();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    make_state();
    put_hosts();
    make_certificates();
}

int main(int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"agents", 'n', 0, G_OPTION_ARG_INT, &n_agents, "How many agents [10000]", "N"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) options = g_option_context_new("BUILD-DIR");
    g_option_context_add_main_entries(options, entries, NULL);
    if (!g_option_context_parse(options, &argc, &argv, NULL) || argc != 2 || n_agents < 1 ||
        n_agents > 0x10000) {
        fprintf(stderr, "usage: bench-storm BUILD-DIR [--agents N]\n");
        return 2;
    }
    build = argv[1];
    programs_init("bench-storm");
    prepare();
    if (programs_fork() == 0) {
        run_agents();
        _exit(0);
    }
    int64_t begun_us = g_get_monotonic_time();
    GSubprocess *manager = start_manager();
    printf("all %d agents are there for the first time after %.1f s\n", n_agents,
           (double)(await_all_back() - begun_us) / 1e6);
    start_clients();
    storm(manager);
    return 0;
}
