#include "programs.h"

#include <glib/gstdio.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *name;
static char *directory;
static GPtrArray *files;
static GPtrArray *spawned; /* of GSubprocess */
static GArray *forked;     /* of pid_t */

static void remove_file(const char *path)
{
    const char *argv[] = {"rm", "-rf", path, NULL};
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                 NULL);
}

static void stop(void)
{
    while (spawned->len > 0) {
        programs_end(g_object_ref(spawned->pdata[spawned->len - 1]), SIGTERM);
    }
    for (guint i = 0; i < forked->len; i++) {
        kill(g_array_index(forked, pid_t, i), SIGKILL);
        waitpid(g_array_index(forked, pid_t, i), NULL, 0);
    }
    for (guint i = 0; i < files->len; i++) {
        remove_file(files->pdata[i]);
    }
}

static gpointer await_signal(gpointer data)
{
    int number;
    sigwait(data, &number);
    exit(1);
}

void programs_init(const char *program)
{
    static sigset_t ends;
    name = program;
    files = g_ptr_array_new_with_free_func(g_free);
    spawned = g_ptr_array_new_with_free_func(g_object_unref);
    forked = g_array_new(FALSE, FALSE, sizeof(pid_t));
    g_autoptr(GError) error = NULL;
    g_autofree char *pattern = g_strdup_printf("berth-%s-XXXXXX", program);
    directory = g_dir_make_tmp(pattern, &error);
    if (directory == NULL) {
        programs_fail("a directory", g_steal_pointer(&error));
    }
    programs_add_file(directory);
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    g_thread_unref(g_thread_new("signals", await_signal, &ends));
    atexit(stop);
}

const char *programs_directory(void)
{
    return directory;
}

void programs_fail(const char *what, GError *error)
{
    fprintf(stderr, "%s: %s: %s\n", name, what,
            error != NULL ? error->message : "no reason is known");
    exit(1);
}

void programs_add_file(const char *path)
{
    g_ptr_array_add(files, g_strdup(path));
}

static void in_child(gpointer data)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

GSubprocess *programs_spawn(const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDERR_SILENCE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE);
    g_subprocess_launcher_set_child_setup(launcher, in_child, NULL, NULL);
    GSubprocess *program = g_subprocess_launcher_spawnv(launcher, argv, &error);
    if (program == NULL) {
        programs_fail(argv[0], g_steal_pointer(&error));
    }
    g_ptr_array_add(spawned, g_object_ref(program));
    return program;
}

pid_t programs_fork(void)
{
    pid_t pid = fork();
    if (pid < 0) {
        programs_fail("fork", NULL);
    }
    if (pid == 0) {
        in_child(NULL);
    } else {
        g_array_append_val(forked, pid);
    }
    return pid;
}

void programs_end(GSubprocess *program, int signal)
{
    g_ptr_array_remove(spawned, program);
    g_subprocess_send_signal(program, signal);
    g_subprocess_wait(program, NULL, NULL);
    g_object_unref(program);
}

pid_t programs_pid(GSubprocess *program)
{
    const char *id = g_subprocess_get_identifier(program);
    return id != NULL ? (pid_t)atoi(id) : 0;
}

double programs_processor_ms(pid_t pid)
{
    clockid_t clock;
    struct timespec used = {0};
    if (clock_getcpuclockid(pid, &clock) == 0) {
        clock_gettime(clock, &used);
    }
    return (double)used.tv_sec * 1e3 + (double)used.tv_nsec / 1e6;
}
