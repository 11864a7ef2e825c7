#include "linux/process.h"

#include "base/error.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that sleeps until it is killed, under a name that would break a careless parser. */
static pid_t start_child(void)
{
    int ready[2];
    char byte = 0;
    pid_t pid;

    g_assert_cmpint(pipe(ready), ==, 0);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        prctl(PR_SET_NAME, "a) R 1 (b");
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)!write(ready[1], "x", 1);
        for (;;) {
            pause();
        }
    }
    g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void on_child_ended(int pidfd, gpointer data)
{
    g_assert_true(process_has_ended(pidfd));
    g_main_loop_quit(data);
}

static void test_life(void)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GError) error = NULL;
    g_autoptr(GSource) watch = NULL;
    pid_t pid = start_child();
    uint64_t ticks = 0;
    int pidfd = -1;

    process_start_ticks(pid, &ticks, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(ticks, >, 0);
    pidfd = process_open(pid, ticks, &error);
    g_assert_no_error(error);
    g_assert_false(process_has_ended(pidfd));
    g_assert_false(process_wait(pidfd, 1));
    watch = process_watch(pidfd, on_child_ended, loop);
    g_assert_true(process_signal(pidfd, SIGKILL, &error));
    g_main_loop_run(loop);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    g_assert_true(process_signal(pidfd, SIGKILL, &error));
    g_assert_no_error(error);
    close(pidfd);
    g_assert_cmpint(process_open(pid, ticks, &error), ==, -1);
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
}

static void test_another_start_time_is_another_process(void)
{
    g_autoptr(GError) error = NULL;
    uint64_t ticks = 0;

    g_assert_true(process_start_ticks(getpid(), &ticks, NULL));
    g_assert_cmpint(process_open(getpid(), ticks + 1, &error), ==, -1);
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
}

static void test_figures(void)
{
    g_autoptr(GError) error = NULL;
    ProcessSched before, after;
    ProcessMemory memory;
    int64_t rss = 0;
    g_auto(GStrv) argv = NULL;
    volatile uint64_t sum = 0;

    process_sched(getpid(), getpid(), &before, &error);
    g_assert_no_error(error);
    for (uint64_t i = 0; i < 30000000; i++) {
        sum += i;
    }
    g_assert_cmpuint(sum, >, 0);
    g_assert_true(process_sched(getpid(), getpid(), &after, NULL));
    g_assert_cmpuint(after.run_nsec, >, before.run_nsec);
    process_memory(getpid(), &memory, &error);
    g_assert_no_error(error);
    g_assert_cmpint(memory.rss, >, 0);
    g_assert_cmpint(memory.pss, >, 0);
    g_assert_cmpint(memory.pss, <=, memory.rss);
    g_assert_true(process_rss(getpid(), &rss, NULL));
    g_assert_cmpint(rss, >, 0);
    argv = process_argv(getpid(), &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(argv[0], "process"));
}

static void test_nobody(void)
{
    g_autoptr(GError) error = NULL;
    ProcessMemory memory;
    ProcessSched sched;
    uint64_t ticks = 0;

    /* Beyond the kernel's largest pid. */
    g_assert_false(process_start_ticks(1 << 30, &ticks, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
    g_assert_false(process_memory(1 << 30, &memory, NULL));
    g_assert_false(process_sched(1 << 30, 1, &sched, NULL));
    g_assert_null(process_argv(1 << 30, NULL));
    g_assert_cmpint(process_open(1 << 30, 0, NULL), ==, -1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/linux/process/life", test_life);
    g_test_add_func("/linux/process/another-start-time-is-another-process",
                    test_another_start_time_is_another_process);
    g_test_add_func("/linux/process/figures", test_figures);
    g_test_add_func("/linux/process/nobody", test_nobody);
    return g_test_run();
}
