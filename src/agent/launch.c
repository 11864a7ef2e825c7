/* LAUNCH: berth-keep is given all that QEMU needs, and starts it paused.
 *
 * An agent may have died in the middle of a launch. Its keeper goes on: it holds the lock of the
 * VM's directory and will record a QEMU in launch.json, or fail. Until then a second keeper is
 * refused and asked for again; then that QEMU is taken over. */
#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/paths.h"
#include "base/error.h"
#include "base/ulid.h"
#include "linux/names.h"
#include "linux/process.h"
#include "qemu/commandline.h"
#include "qemu/probe.h"

#define FIRST_FD 10
#define MONITOR_0 "qmp-0.sock"
#define MONITOR_1 "qmp-1.sock"
#define AGENT_SOCKET "agent.sock"
#define TAKEN_RETRY_MS 20
#define TAKEN_PATIENCE_US (5 * G_USEC_PER_SEC)

/* The descriptors of a launch, numbered as they are asked for. */
typedef struct {
    KeeperLaunch *launch;
    int next;
} Fds;

static int add_file(Fds *fds, const char *path, bool writable)
{
    KeeperFile *file = keeper_file_new();
    file->fd = fds->next++;
    file->path = g_strdup(path);
    file->writable = writable;
    g_ptr_array_add(fds->launch->files, file);
    return (int)file->fd;
}

static int add_listener(Fds *fds, const char *name)
{
    KeeperListener *listener = keeper_listener_new();
    listener->fd = fds->next++;
    listener->name = g_strdup(name);
    g_ptr_array_add(fds->launch->listeners, listener);
    return (int)listener->fd;
}

static int add_tap(Fds *fds, const char *vm, unsigned index)
{
    char name[NAMES_SIZE];
    names_tap(vm, index, name);
    KeeperTap *tap = keeper_tap_new();
    tap->fd = fds->next++;
    tap->name = g_strdup(name);
    g_ptr_array_add(fds->launch->taps, tap);
    return (int)tap->fd;
}

static const ImageFile *file_of(const Assignment *a, ImageFileRole role, const char *sha256)
{
    for (guint i = 0; a->image != NULL && i < a->image->files->len; i++) {
        const ImageFile *file = a->image->files->pdata[i];
        if (file->role == role && (sha256 == NULL || strcmp(file->sha256, sha256) == 0)) {
            return file;
        }
    }
    return NULL;
}

/* A path that QEMU opens by the descriptor that it inherits. */
static char *image_by_fd(Fds *fds, const Agent *agent, const Assignment *a, ImageFileRole role)
{
    const ImageFile *file = file_of(a, role, NULL);
    if (file == NULL) {
        return NULL;
    }
    g_autofree char *path = path_image(agent->state, file->sha256);
    return g_strdup_printf("/proc/self/fd/%d", add_file(fds, path, false));
}

static void place_disks(Fds *fds, const Agent *agent, const Assignment *a, QemuPlaceDisk *disks)
{
    for (guint i = 0; i < a->disks->len; i++) {
        const AssignedDisk *disk = a->disks->pdata[i];
        g_autofree char *path = path_disk(agent->state, a->id, disk->id);
        disks[i].id = disk->id;
        disks[i].fd = add_file(fds, path, true);
        const ImageFile *base =
            disk->base != NULL ? file_of(a, IMAGE_FILE_ROLE_DISK, disk->base) : NULL;
        if (base != NULL) {
            g_autofree char *below = path_image(agent->state, base->sha256);
            disks[i].base_fd = add_file(fds, below, false);
            disks[i].base_format = base->format;
        }
    }
}

static bool fill_argv(KeeperLaunch *launch, Agent *agent, const Assignment *a, GError **error)
{
    Fds fds = {.launch = launch, .next = FIRST_FD};
    g_autofree QemuPlaceDisk *disks = g_new0(QemuPlaceDisk, a->disks->len + 1);
    g_autofree QemuPlaceNic *nics = g_new0(QemuPlaceNic, a->nics->len + 1);
    place_disks(&fds, agent, a, disks);
    for (guint i = 0; i < a->nics->len && i < a->hardware->nics->len; i++) {
        const HardwareNic *nic = a->hardware->nics->pdata[i];
        nics[i] = (QemuPlaceNic){.id = nic->id, .tap_fd = add_tap(&fds, a->id, i)};
    }
    g_autofree char *kernel = image_by_fd(&fds, agent, a, IMAGE_FILE_ROLE_KERNEL);
    g_autofree char *initrd = image_by_fd(&fds, agent, a, IMAGE_FILE_ROLE_INITRD);
    g_autofree char *qemu = g_find_program_in_path(agent->config->qemu);
    g_autofree char *cmdline =
        a->image != NULL && a->image->cmdline != NULL
            ? g_strdup_printf("%s berth.hostname=%s", a->image->cmdline, a->name)
            : NULL;
    QemuPlace place = {.qemu = qemu != NULL ? qemu : agent->config->qemu,
                       .name = a->name,
                       .kernel = kernel,
                       .initrd = initrd,
                       .cmdline = cmdline,
                       .disks = disks,
                       .n_disks = a->disks->len,
                       .nics = nics,
                       .n_nics = a->nics->len};
    place.monitor_fds[0] = add_listener(&fds, MONITOR_0);
    place.monitor_fds[1] = add_listener(&fds, MONITOR_1);
    place.agent_fd = add_listener(&fds, AGENT_SOCKET);
    launch->console = keeper_console_new();
    launch->console->fd = place.console_fd = fds.next++;
    g_autoptr(Command) command = qemu_command_line(a->hardware, &place, error);
    for (guint i = 0; command != NULL && command->argv[i] != NULL; i++) {
        g_ptr_array_add(launch->argv, g_strdup(command->argv[i]));
    }
    return command != NULL;
}

/* QEMU opens /dev/kvm itself, which the group may. */
static gid_t group_for(const Assignment *a, uid_t uid)
{
    return a->hardware->accelerator == ACCELERATOR_KVM ? qemu_kvm_group((gid_t)uid) : (gid_t)uid;
}

static char *new_launch_id(void)
{
    uint8_t random[BERTH_ULID_RANDOM_BYTES];
    char id[BERTH_ULID_SIZE];
    while (getrandom(random, sizeof random, 0) != sizeof random) {
    }
    berth_ulid_make(g_get_real_time() / 1000, random, id);
    return g_strdup(id);
}

static KeeperLaunch *launch_for(Agent *agent, AgentVm *vm, const Assignment *a, GError **error)
{
    g_autoptr(KeeperLaunch) launch = keeper_launch_new();
    launch->vm = g_strdup(a->id);
    launch->epoch = a->epoch;
    launch->launch = new_launch_id();
    launch->run_dir = g_strdup(vm->directory);
    launch->uid = vm->uid;
    launch->gid = group_for(a, vm->uid);
    g_autoptr(CgroupVm) group = cgroup_vm_open(agent->cgroups, a->id);
    g_auto(GStrv) procs = cgroup_vm_procs_files(group);
    for (guint i = 0; procs[i] != NULL; i++) {
        g_ptr_array_add(launch->cgroup_procs, g_strdup(procs[i]));
        g_ptr_array_add(launch->keeper_cgroup_procs, g_strdup(procs[i]));
    }
    return fill_argv(launch, agent, a, error) ? g_steal_pointer(&launch) : NULL;
}

static char *keeper_program(void)
{
    static const char *const beside[] = {"berth-keep", "../keep/berth-keep"};
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *directory = self != NULL ? g_path_get_dirname(self) : g_strdup(".");
    for (guint i = 0; i < G_N_ELEMENTS(beside); i++) {
        g_autofree char *path = g_build_filename(directory, beside[i], NULL);
        if (access(path, X_OK) == 0) {
            return g_steal_pointer(&path);
        }
    }
    return g_strdup("berth-keep");
}

/* What the keeper says on its way down: one JSON error, or whatever else came. */
static GError *keeper_error(const char *said)
{
    json_t *json = said != NULL ? codec_parse(said, strlen(said), NULL, NULL) : NULL;
    GError *error = NULL;
    if (json != NULL) {
        error = rpc_error_from_json(json);
    } else {
        berth_error_set(&error, BERTH_ERROR_INTERNAL, NULL, NULL, "look at the host's log",
                        "berth-keep ended: %s", said != NULL ? said : "without a word");
    }
    json_decref(json);
    return error;
}

static void begin_launch(Effect *effect);

static gboolean launch_again(gpointer data)
{
    begin_launch(data);
    return G_SOURCE_REMOVE;
}

/* A QEMU of this VM runs already; one of another epoch must not. */
static void take_over(Effect *effect, const KeeperStatus *status)
{
    AgentVm *vm = agent_vm(effect->agent, effect->vm);
    GError *error = NULL;
    vm->uid = restore_uid_of((pid_t)status->pid);
    if (agent_vm_watch(vm, status, &error) && status->epoch != effect->assignment->epoch) {
        vm->exit_told = true;
        process_signal(vm->pidfd, SIGKILL, NULL);
        agent_vm_forget_process(vm);
        berth_error_set(&error, BERTH_ERROR_CONFLICT, "vm", effect->vm, "it is tried again",
                        "a QEMU of epoch %" G_GINT64_FORMAT " was still there, and is ended",
                        status->epoch);
    } else if (error == NULL) {
        agent_log(effect->vm, "QEMU %d was started already, and is taken over", (int)vm->pid);
    }
    effect_end(effect, error);
}

static void refused(Effect *effect, GError *error)
{
    bool taken = g_error_matches(error, BERTH_ERROR, BERTH_ERROR_CONFLICT);
    g_autoptr(KeeperStatus) running =
        taken ? restore_running(agent_vm(effect->agent, effect->vm)) : NULL;
    if (running != NULL) {
        g_error_free(error);
        take_over(effect, running);
    } else if (taken && g_get_monotonic_time() - effect->begun_us < TAKEN_PATIENCE_US) {
        g_error_free(error);
        g_timeout_add(TAKEN_RETRY_MS, launch_again, effect);
    } else {
        effect_end(effect, error);
    }
}

/* A keeper that was asked to start a VM, until it has let go of its standard streams. */
typedef struct {
    Effect *effect;
    GSubprocess *process;
    GOutputStream *said; /* what it says on the stream that is read now */
} Asked;

/* GLib keeps the process as long as it lives, and would keep its pipes as long. */
static void asked_free(Asked *asked)
{
    g_input_stream_close(g_subprocess_get_stdout_pipe(asked->process), NULL, NULL);
    g_input_stream_close(g_subprocess_get_stderr_pipe(asked->process), NULL, NULL);
    g_object_unref(asked->process);
    g_clear_object(&asked->said);
    g_free(asked);
}

/* To the end of the stream; both carry a few lines at most, which a pipe holds. */
static void listen_to(Asked *asked, GInputStream *stream, GAsyncReadyCallback done)
{
    g_clear_object(&asked->said);
    asked->said = g_memory_output_stream_new_resizable();
    g_output_stream_splice_async(asked->said, stream, G_OUTPUT_STREAM_SPLICE_NONE,
                                 G_PRIORITY_DEFAULT, NULL, done, asked);
}

static char *what_it_said(const Asked *asked)
{
    GMemoryOutputStream *said = G_MEMORY_OUTPUT_STREAM(asked->said);
    gsize size = g_memory_output_stream_get_data_size(said);
    return size > 0 ? g_strndup(g_memory_output_stream_get_data(said), size) : g_strdup("");
}

static void on_complained(GObject *source, GAsyncResult *result, gpointer data)
{
    Asked *asked = data;
    g_output_stream_splice_finish(asked->said, result, NULL);
    g_autofree char *said = what_it_said(asked);
    refused(asked->effect, keeper_error(*said != '\0' ? said : NULL));
    asked_free(asked);
}

static void on_answered(GObject *source, GAsyncResult *result, gpointer data)
{
    Asked *asked = data;
    Effect *effect = asked->effect;
    g_output_stream_splice_finish(asked->said, result, NULL);
    g_autofree char *answer = what_it_said(asked);
    json_t *json = *answer != '\0' ? codec_parse(answer, strlen(answer), NULL, NULL) : NULL;
    g_autoptr(KeeperStatus) status =
        json != NULL ? keeper_status_decode(json, CODEC_TOLERANT, NULL) : NULL;
    json_decref(json);
    if (status == NULL) {
        listen_to(asked, g_subprocess_get_stderr_pipe(asked->process), on_complained);
        return;
    }
    AgentVm *vm = agent_vm(effect->agent, effect->vm);
    GError *error = NULL;
    vm->fresh = agent_vm_watch(vm, status, &error);
    effect_end(effect, error);
    asked_free(asked);
}

static void on_told(GObject *source, GAsyncResult *result, gpointer data)
{
    g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result, NULL, NULL);
    g_output_stream_close(G_OUTPUT_STREAM(source), NULL, NULL);
    g_free(data);
}

/* It stays our child while we live: GLib reaps it. */
static GSubprocess *start_keeper(GError **error)
{
    g_autofree char *program = keeper_program();
    /* berth-keep closes what it finds open; without this flag GLib would copy the agent, where
     * posix_spawn does. */
    return g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                                G_SUBPROCESS_FLAGS_STDERR_PIPE | G_SUBPROCESS_FLAGS_INHERIT_FDS,
                            error, program, "--no-fork", NULL);
}

static void begin_launch(Effect *effect)
{
    Agent *agent = effect->agent;
    AgentVm *vm = agent_vm(agent, effect->vm);
    GError *error = NULL;
    g_autoptr(KeeperLaunch) launch = launch_for(agent, vm, effect->assignment, &error);
    GSubprocess *process = launch != NULL ? start_keeper(&error) : NULL;
    if (process == NULL) {
        effect_end(effect, error);
        return;
    }
    json_t *json = keeper_launch_encode(launch);
    char *text = codec_dump(json);
    json_decref(json);
    Asked *asked = g_new0(Asked, 1);
    asked->effect = effect;
    asked->process = process;
    g_output_stream_write_all_async(g_subprocess_get_stdin_pipe(process), text, strlen(text),
                                    G_PRIORITY_DEFAULT, NULL, on_told, text);
    listen_to(asked, g_subprocess_get_stdout_pipe(process), on_answered);
}

void effect_launch(Effect *effect)
{
    begin_launch(effect);
}
