/* berth-agent: one a host. */
#include <fcntl.h>
#include <glib-unix.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/join.h"
#include "agent/paths.h"
#include "base/error.h"
#include "base/resources.h"

#define DEFAULT_STATE "/var/lib/berth"
#define DEFAULT_RUN "/run/berth"
#define SWEEP_INTERVAL_S 60
#define MMAP_THRESHOLD (64 * 1024)
#define TRIM_THRESHOLD (256 * 1024)

static int fail(const GError *error)
{
    g_autofree char *text = berth_error_describe(error);
    fprintf(stderr, "berth-agent: %s\n", text);
    return 1;
}

static AgentConfig *load_config(const char *state, GError **error)
{
    g_autofree char *path = g_build_filename(state, "agent.json", NULL);
    json_t *json = json_file_read(path, error);
    if (json == NULL) {
        if (error == NULL || *error == NULL) {
            berth_error_set(error, BERTH_ERROR_NOT_FOUND, NULL, NULL,
                            "join a cluster first: berth-agent join --manager URL --token TOKEN",
                            "this host has no configuration at %s", path);
        }
        return NULL;
    }
    AgentConfig *config = agent_config_decode(json, CODEC_STRICT, error);
    json_decref(json);
    if (config == NULL) {
        g_prefix_error(error, "%s: ", path);
    }
    return config;
}

/* Two agents on one state would each start what the other has. */
static int lock_state(const char *state, GError **error)
{
    g_autofree char *path = g_build_filename(state, "agent.lock", NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
        berth_error_set(error, BERTH_ERROR_CONFLICT, NULL, NULL, "end the other one first",
                        "another agent has %s, or it cannot be written", path);
        return -1;
    }
    return fd;
}

static bool make_directories(const Agent *agent, GError **error)
{
    static const char *const below[] = {"vms", "networks", "images", "disks"};
    for (guint i = 0; i < G_N_ELEMENTS(below); i++) {
        g_autofree char *path = g_build_filename(agent->state, below[i], NULL);
        if (!directory_make(path, 0700, error)) {
            return false;
        }
    }
    g_autofree char *vms = g_build_filename(agent->run, "vms", NULL);
    return directory_make(agent->run, 0755, error) && directory_make(vms, 0711, error);
}

static bool open_kernel(Agent *agent, GError **error)
{
    CgroupPlace place = {.parent = agent->config->cgroup_parent};
    agent->cgroups = cgroup_host_new(agent->config->name, &place, error);
    agent->net = agent->cgroups != NULL ? net_open(NULL, error) : NULL;
    agent->net_reader = agent->net != NULL ? net_open(NULL, error) : NULL;
    agent->spoof = agent->net_reader != NULL ? spoof_open(error) : NULL;
    return agent->spoof != NULL;
}

static void agent_clear(Agent *agent)
{
    g_clear_handle_id(&agent->tick, g_source_remove);
    g_clear_pointer(&agent->measure, measure_free);
    g_clear_pointer(&agent->consoles, consoles_free);
    g_clear_pointer(&agent->uplink, uplink_free);
    g_clear_pointer(&agent->files, work_free);
    g_clear_pointer(&agent->kernel, work_free);
    g_clear_pointer(&agent->vms, g_hash_table_unref);
    g_clear_pointer(&agent->loop, rpc_loop_free);
    g_clear_pointer(&agent->networks, networks_free);
    g_clear_pointer(&agent->images, images_free);
    g_clear_pointer(&agent->core, host_core_free);
    g_clear_pointer(&agent->spoof, spoof_close);
    g_clear_pointer(&agent->net, net_close);
    g_clear_pointer(&agent->net_reader, net_close);
    g_clear_pointer(&agent->cgroups, cgroup_host_free);
    g_clear_pointer(&agent->facts, host_facts_free);
    g_clear_pointer(&agent->config, agent_config_free);
    g_clear_pointer(&agent->boot_id, g_free);
    g_clear_pointer(&agent->main, g_main_loop_unref);
}

static void vm_value_free(gpointer vm)
{
    agent_vm_free(vm);
}

/* Without the mark a VM that was removed could be started again: an unreadable one is an error. */
static bool make_core(Agent *agent, GError **error)
{
    g_autoptr(GError) failed = NULL;
    g_autoptr(ForgottenVms) mark = kept_read_forgotten(agent->state, &failed);
    if (failed != NULL) {
        g_propagate_error(error, g_steal_pointer(&failed));
        return false;
    }
    HostConfig host = {.powerdown_grace_ms = agent->config->powerdown_grace_ms,
                       .tombstones_kept = agent->config->tombstones_kept,
                       .forgotten_vm = mark != NULL ? mark->vm : NULL,
                       .forgotten_epoch = mark != NULL ? mark->epoch : 0,
                       .boot_id = agent->boot_id};
    agent->core = host_core_new(&host);
    return true;
}

static bool agent_prepare(Agent *agent, GError **error)
{
    agent->main = g_main_loop_new(NULL, FALSE);
    agent->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, vm_value_free);
    if (!make_directories(agent, error) || !open_kernel(agent, error)) {
        return false;
    }
    agent->facts = facts_gather(agent, error);
    if (agent->facts == NULL) {
        return false;
    }
    if (!make_core(agent, error)) {
        return false;
    }
    agent->clock_offset_ms = (g_get_real_time() - g_get_monotonic_time()) / 1000;
    agent->loop = rpc_loop_new(NULL);
    agent->files = work_new(4);
    agent->kernel = work_new(1);
    agent->images = images_new(agent);
    agent->networks = networks_new(agent);
    agent->consoles = consoles_new(agent);
    agent->uplink = uplink_new(agent, error);
    if (agent->uplink == NULL) {
        return false;
    }
    agent->measure = measure_new(agent);
    networks_restore(agent->networks);
    return restore_all(agent, error);
}

static gboolean on_signal(gpointer data)
{
    Agent *agent = data;
    agent_log(NULL, "ends; VMs keep running");
    g_main_loop_quit(agent->main);
    return G_SOURCE_CONTINUE;
}

static gboolean on_sweep(gpointer data)
{
    restore_sweep(data);
    malloc_trim(0);
    return G_SOURCE_CONTINUE;
}

/* The agent lies beside the VMs whose memory is counted. An arena for each thread would keep what
 * the largest thing that each thread ever did took. */
static void spare_memory(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
}

static int run(const char *state, const char *run_dir)
{
    g_autoptr(GError) error = NULL;
    spare_memory();
    signal(SIGPIPE, SIG_IGN); /* a keeper that dies early reads nothing: that is an error, no end */
    Agent agent = {.state = state, .run = run_dir};
    agent.config = load_config(state, &error);
    int lock = agent.config != NULL ? lock_state(state, &error) : -1;
    if (lock < 0 || !agent_prepare(&agent, &error)) {
        agent_clear(&agent);
        return fail(error);
    }
    agent_log(NULL, "host %s (%s) at %s, %s", agent.config->name, agent.config->host,
              agent.facts->address, accelerator_to_string(agent.facts->accelerator->kind));
    g_unix_signal_add(SIGTERM, on_signal, &agent);
    g_unix_signal_add(SIGINT, on_signal, &agent);
    guint sweep = g_timeout_add_seconds(SWEEP_INTERVAL_S, on_sweep, &agent);
    restore_sweep(&agent);
    g_main_loop_run(agent.main);
    g_source_remove(sweep);
    agent_clear(&agent);
    close(lock);
    return 0;
}

typedef struct {
    char *state, *run, *manager, *token, *name, *address, *capacity, *reserve, *cgroup;
    char **devices;
    int uid_first, grace_ms;
} Options;

/* ID=MODEL or ID=MODEL:SLICES. */
static HostDevice *parse_device(const char *text, GError **error)
{
    const char *equals = strchr(text, '=');
    const char *colon = equals != NULL ? strrchr(equals, ':') : NULL;
    const char *end = colon != NULL ? colon : text + strlen(text);
    gint64 slices = 1;
    g_autoptr(HostDevice) device = NULL;
    if (equals != NULL &&
        (colon == NULL || g_ascii_string_to_signed(colon + 1, 10, 1, 1000000, &slices, NULL))) {
        g_autofree char *id = g_strndup(text, (gsize)(equals - text));
        g_autofree char *model = g_strndup(equals + 1, (gsize)(end - equals - 1));
        json_t *json =
            json_pack("{s:s, s:s, s:I}", "id", id, "model", model, "slices", (json_int_t)slices);
        device = host_device_decode(json, CODEC_STRICT, NULL);
        json_decref(json);
    }
    if (device == NULL) {
        berth_error_set(error, BERTH_ERROR_INVALID, "--device", text,
                        "write it as gpu0=gpu/a100, or gpu0=gpu/a100:7 where seven slices of it "
                        "are given out",
                        "not a device with its model");
    }
    return g_steal_pointer(&device);
}

static bool parse_devices(char **texts, GPtrArray *devices, GError **error)
{
    for (guint i = 0; texts != NULL && texts[i] != NULL; i++) {
        HostDevice *device = parse_device(texts[i], error);
        if (device == NULL) {
            return false;
        }
        g_ptr_array_add(devices, device);
        for (guint k = 0; k < i; k++) {
            if (strcmp(((HostDevice *)devices->pdata[k])->id, device->id) == 0) {
                return berth_error_set(error, BERTH_ERROR_INVALID, "--device", texts[i],
                                       "name each device once", "there are two devices %s",
                                       device->id);
            }
        }
    }
    return true;
}

static int join(const Options *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AgentConfig) config = agent_config_new();
    config->name = g_strdup(options->name != NULL ? options->name : g_get_host_name());
    config->address = g_strdup(options->address);
    if (options->manager == NULL || options->token == NULL) {
        berth_error_set(&error, BERTH_ERROR_INVALID, options->manager == NULL ? "manager" : "token",
                        NULL, "berth-agent join --manager https://HOST:7443 --token TOKEN",
                        "joining takes a manager and a token");
        fail(error);
        return 2;
    }
    if (options->capacity != NULL) {
        config->capacity = resources_parse("capacity", options->capacity, &error);
    }
    if (error == NULL && options->reserve != NULL) {
        config->reserve = resources_parse("reserve", options->reserve, &error);
    }
    if (error == NULL) {
        parse_devices(options->devices, config->devices, &error);
    }
    if (options->uid_first > 0) {
        config->uid_first = options->uid_first;
    }
    if (options->grace_ms > 0) {
        config->powerdown_grace_ms = options->grace_ms;
    }
    if (options->cgroup != NULL) {
        g_free(config->cgroup_parent);
        config->cgroup_parent = g_strdup(options->cgroup);
    }
    if (error != NULL ||
        !join_cluster(options->state, options->manager, options->token, config, &error)) {
        bool wrong = g_error_matches(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        return wrong ? (fail(error), 2) : fail(error);
    }
    printf("%s joined as host %s\n", config->name, config->host);
    return 0;
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    Options options = {.state = g_strdup(DEFAULT_STATE), .run = g_strdup(DEFAULT_RUN)};
    const GOptionEntry entries[] = {
        {"state", 0, 0, G_OPTION_ARG_FILENAME, &options.state, "what is kept [" DEFAULT_STATE "]",
         "DIR"},
        {"run", 0, 0, G_OPTION_ARG_FILENAME, &options.run, "what a reboot clears [" DEFAULT_RUN "]",
         "DIR"},
        {"manager", 0, 0, G_OPTION_ARG_STRING, &options.manager, "join: the manager's URL", "URL"},
        {"token", 0, 0, G_OPTION_ARG_STRING, &options.token, "join: a join token", "TOKEN"},
        {"name", 0, 0, G_OPTION_ARG_STRING, &options.name, "join: the host's name [its host name]",
         "NAME"},
        {"address", 0, 0, G_OPTION_ARG_STRING, &options.address,
         "join: its address for other hosts", "IP"},
        {"capacity", 0, 0, G_OPTION_ARG_STRING, &options.capacity,
         "join: declared instead of discovered", "VECTOR"},
        {"reserve", 0, 0, G_OPTION_ARG_STRING, &options.reserve, "join: kept for the host itself",
         "VECTOR"},
        {"device", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.devices,
         "join: an accelerator and its model, once for each", "ID=MODEL[:SLICES]"},
        {"cgroup-parent", 0, 0, G_OPTION_ARG_STRING, &options.cgroup,
         "join: group above those of VMs [berth]", "NAME"},
        {"uid-first", 0, 0, G_OPTION_ARG_INT, &options.uid_first,
         "join: first uid for QEMUs [70000]", "UID"},
        {"powerdown-grace-ms", 0, 0, G_OPTION_ARG_INT, &options.grace_ms,
         "join: from powerdown to kill [30000]", "MS"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new("run|join - Berth's agent on a host");
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) error = NULL;
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "berth-agent: %s; see berth-agent --help\n", error->message);
        return 2;
    }
    if (argc == 2 && strcmp(argv[1], "run") == 0) {
        return run(options.state, options.run);
    }
    if (argc == 2 && strcmp(argv[1], "join") == 0) {
        return join(&options);
    }
    fprintf(stderr, "berth-agent: say 'run' or 'join'; see berth-agent --help\n");
    return 2;
}
