#include "cli/dev/lab.h"

#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/client.h"
#include "linux/capacity.h"

#define WAIT_MS 15000
#define POLL_MS 20
#define MEMORY_SHARE_PER_CENT 60
#define DISK_SHARE_PER_CENT 30

struct Lab {
    LabOptions options;
    LabProcess *manager;
    LabProcess *agents[LAB_HOSTS_MAX + 1]; /* from 1 */
    char *token;
    bool ended;
};

static char *program(const char *name, const char *folder)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *directory = self != NULL ? g_path_get_dirname(self) : g_strdup(".");
    g_autofree char *built = g_build_filename(directory, "..", folder, name, NULL);
    if (access(built, X_OK) == 0) {
        return g_canonicalize_filename(built, NULL);
    }
    return g_build_filename(directory, name, NULL);
}

static char *url_of(const Lab *lab)
{
    return g_strdup_printf("https://" LAB_ADDRESS ":%d", lab->options.api_port);
}

static bool start_manager(Lab *lab, GError **error)
{
    g_autofree char *manager = program("berth-manager", "manager");
    g_autofree char *api = g_strdup_printf("%d", lab->options.api_port);
    g_autofree char *agent = g_strdup_printf("%d", lab->options.agent_port);
    const char *argv[] = {manager,      "--state", LAB_STATE "/manager", "--name", LAB_ADDRESS,
                          "--api-port", api,       "--agent-port",       agent,    "--context",
                          LAB_CONTEXT,  NULL};
    lab->manager = lab_process_start("manager", argv, NULL, error);
    return lab->manager != NULL;
}

/* Runs the main loop for a moment, so that ended processes are noticed. */
static gboolean on_moment(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

static void moment(void)
{
    bool over = false;
    g_timeout_add(POLL_MS, on_moment, &over);
    while (!over) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static ApiClient *connect_client(GError **error)
{
    g_autoptr(Context) context = context_load(LAB_CONTEXT, error);
    return context != NULL ? api_client_new(context, error) : NULL;
}

/* A call to a manager that is just starting. */
static json_t *call_when_up(const ApiCall *call, GError **error)
{
    int64_t until = g_get_monotonic_time() + WAIT_MS * 1000;
    for (;;) {
        g_autoptr(GError) failed = NULL;
        g_autoptr(ApiClient) client = connect_client(&failed);
        json_t *answer = client != NULL ? api_call(client, call, &failed) : NULL;
        if (answer != NULL) {
            return answer;
        }
        if (g_get_monotonic_time() > until) {
            g_propagate_prefixed_error(error, g_steal_pointer(&failed),
                                       "the manager does not answer (see " LAB_RUN
                                       "/manager.log): ");
            return NULL;
        }
        moment();
    }
}

static bool get_token(Lab *lab, GError **error)
{
    json_t *body = json_object();
    ApiCall call = {.operation = API_OP_CREATE_JOIN_TOKEN, .body = body};
    json_t *answer = call_when_up(&call, error);
    lab->token = g_strdup(json_string_value(json_object_get(answer, "token")));
    json_decref(answer);
    json_decref(body);
    return lab->token != NULL;
}

/* What each host declares: this machine's CPUs, and its free memory and disk, divided. */
static char *share(const Lab *lab, GError **error)
{
    if (lab->options.capacity != NULL) {
        return g_strdup(lab->options.capacity);
    }
    g_autoptr(Capacity) machine = capacity_discover(NULL, error);
    int64_t disk = 0, free_gib = 0;
    if (machine == NULL || !capacity_disk("/var/lib", &disk, &free_gib, error)) {
        return NULL;
    }
    int n = lab->options.hosts;
    return g_strdup_printf("cpu=%" G_GINT64_FORMAT "m,memory=%" G_GINT64_FORMAT
                           "MiB,disk=%" G_GINT64_FORMAT "GiB,disk-bw=100,net-bw=1Gbit",
                           machine->cpus * 1000 / n,
                           MAX(machine->memory_mib * MEMORY_SHARE_PER_CENT / 100 / n, 256),
                           MAX(free_gib * DISK_SHARE_PER_CENT / 100 / n, 1));
}

/* One host's joining, in a thread of its own: most of it is waiting for keys and the manager's
 * disk. */
typedef struct {
    const Lab *lab;
    const char *capacity;
    int host;
    GThread *thread;
    GError *error;
} Join;

static gpointer join(gpointer data)
{
    Join *self = data;
    int i = self->host;
    g_autofree char *agent = program("berth-agent", "agent");
    g_autofree char *name = g_strdup_printf("host-%d", i);
    g_autofree char *state = g_strdup_printf(LAB_STATE "/%s", name);
    g_autofree char *namespace = lab_namespace(i);
    g_autofree char *address = lab_host_address(i);
    g_autofree char *url = url_of(self->lab);
    g_autofree char *uid = g_strdup_printf("%d", 70000 + i * 1000);
    g_autofree char *grace = g_strdup_printf("%d", self->lab->options.grace_ms);
    const char *argv[] = {agent,
                          "join",
                          "--state",
                          state,
                          "--manager",
                          url,
                          "--token",
                          self->lab->token,
                          "--name",
                          name,
                          "--address",
                          address,
                          "--capacity",
                          self->capacity,
                          "--reserve",
                          "memory=64MiB",
                          "--uid-first",
                          uid,
                          "--cgroup-parent",
                          LAB_CGROUP,
                          "--powerdown-grace-ms",
                          grace,
                          NULL};
    if (!lab_process_run(argv, namespace, &self->error)) {
        g_prefix_error(&self->error, "%s does not join: ", name);
    }
    return NULL;
}

static bool join_all(const Lab *lab, const char *capacity, GError **error)
{
    Join joins[LAB_HOSTS_MAX + 1] = {0};
    for (int i = 1; i <= lab->options.hosts; i++) {
        joins[i] = (Join){.lab = lab, .capacity = capacity, .host = i};
        joins[i].thread = g_thread_new("join", join, &joins[i]);
    }
    GError *first = NULL;
    for (int i = 1; i <= lab->options.hosts; i++) {
        g_thread_join(joins[i].thread);
        if (first == NULL) {
            first = g_steal_pointer(&joins[i].error);
        }
        g_clear_error(&joins[i].error);
    }
    if (first != NULL) {
        g_propagate_error(error, first);
    }
    return first == NULL;
}

static bool start_agent(Lab *lab, int i, GError **error)
{
    g_autofree char *agent = program("berth-agent", "agent");
    g_autofree char *name = g_strdup_printf("host-%d", i);
    g_autofree char *state = g_strdup_printf(LAB_STATE "/%s", name);
    g_autofree char *run = g_strdup_printf(LAB_RUN "/%s", name);
    g_autofree char *namespace = lab_namespace(i);
    const char *argv[] = {agent, "run", "--state", state, "--run", run, NULL};
    lab->agents[i] = lab_process_start(name, argv, namespace, error);
    return lab->agents[i] != NULL;
}

static int hosts_up(ApiClient *client)
{
    json_t *state = api_call(client, &(ApiCall){.operation = API_OP_GET_CLUSTER}, NULL);
    int up = (int)json_integer_value(json_object_get(state, "hosts-up"));
    json_decref(state);
    return up;
}

static bool wait_for_hosts(Lab *lab, GError **error)
{
    g_autoptr(ApiClient) client = connect_client(error);
    int64_t until = g_get_monotonic_time() + WAIT_MS * 1000;
    int up = 0;
    while (client != NULL && (up = hosts_up(client)) < lab->options.hosts) {
        if (g_get_monotonic_time() > until) {
            return berth_error_set(error, BERTH_ERROR_TIMEOUT, NULL, NULL,
                                   "see the logs in " LAB_RUN, "only %d of %d hosts are up", up,
                                   lab->options.hosts);
        }
        moment();
    }
    return client != NULL;
}

static bool make_directories(GError **error)
{
    return (g_mkdir_with_parents(LAB_STATE, 0700) == 0 &&
            g_mkdir_with_parents(LAB_RUN, 0755) == 0 &&
            g_mkdir_with_parents("/run/berth", 0755) == 0) ||
           berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "run it as root",
                           "cannot make " LAB_STATE " and " LAB_RUN);
}

static bool write_pid(GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    return g_file_set_contents(LAB_PID_FILE, text, -1, error);
}

/* Its hosts have names and addresses of which there is one set on a machine, and what a killed lab has
 * left is removed at the start: so the VMs of one that lives must not be taken for that. */
static bool check_alone(GError **error)
{
    pid_t other = lab_running();
    if (other == 0) {
        return true;
    }
    g_autofree char *text = g_strdup_printf("%d", (int)other);
    return berth_error_set(
        error, BERTH_ERROR_CONFLICT, "process", text,
        "use it, end it with Ctrl-C in its terminal, or with 'berth dev --clean'",
        "a lab runs on this machine already");
}

static bool begin(Lab *lab, GError **error)
{
    g_autofree char *capacity = share(lab, error);
    if (capacity == NULL || !make_directories(error) || !write_pid(error) ||
        !lab_net_make(lab->options.hosts, error) || !start_manager(lab, error) ||
        !get_token(lab, error) || !join_all(lab, capacity, error)) {
        return false;
    }
    for (int i = 1; i <= lab->options.hosts; i++) {
        if (!start_agent(lab, i, error)) {
            return false;
        }
    }
    return wait_for_hosts(lab, error);
}

Lab *lab_begin(const LabOptions *options, GError **error)
{
    if (geteuid() != 0) {
        berth_error_set(error, BERTH_ERROR_FORBIDDEN, NULL, NULL, "run: sudo berth dev",
                        "network namespaces and groups take root");
        return NULL;
    }
    if (options->hosts < 1 || options->hosts > LAB_HOSTS_MAX) {
        g_autofree char *text = g_strdup_printf("%d", options->hosts);
        berth_error_set(error, BERTH_ERROR_INVALID, "--hosts", text, "give a number from 1 to 64",
                        "not a number of hosts");
        return NULL;
    }
    if (!check_alone(error)) {
        return NULL;
    }
    lab_clean();
    Lab *lab = g_new0(Lab, 1);
    lab->options = *options;
    if (!begin(lab, error)) {
        lab_end(lab);
        return NULL;
    }
    return lab;
}

static gboolean on_signal(gpointer data)
{
    ((Lab *)data)->ended = true;
    return G_SOURCE_CONTINUE;
}

void lab_serve(Lab *lab)
{
    guint interrupt = g_unix_signal_add(SIGINT, on_signal, lab);
    guint terminate = g_unix_signal_add(SIGTERM, on_signal, lab);
    while (!lab->ended) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(interrupt);
    g_source_remove(terminate);
}

pid_t lab_pid(const Lab *lab, int index)
{
    const LabProcess *process = index == 0 ? lab->manager : lab->agents[index];
    return process != NULL ? lab_process_pid(process) : 0;
}

void lab_end(Lab *lab)
{
    for (int i = 1; i <= LAB_HOSTS_MAX; i++) {
        lab_process_stop(lab->agents[i]);
    }
    lab_process_stop(lab->manager);
    lab_clean();
    g_free(lab->token);
    g_free(lab);
}
