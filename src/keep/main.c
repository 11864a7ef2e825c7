/* berth-keep: QEMU's parent, one a VM. See keeper.h and schema/keeper.yaml. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/keeper.h"
#include "keep/launch.h"
#include "keep/problem.h"

static int fail(const GError *error)
{
    g_autofree char *text = keep_problem_write(error);
    fprintf(stderr, "%s\n", text);
    return EXIT_FAILURE;
}

/* The agent waits for the end of all three. */
static void leave_standard_streams(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (null >= 0) {
            dup2(null, fd);
        }
    }
    if (null > STDERR_FILENO) {
        close(null);
    }
}

static void answer(const Keeper *keeper)
{
    json_t *status = keeper_status(keeper);
    char *text = json_dumps(status, JSON_COMPACT);
    json_decref(status);
    printf("%s\n", text);
    fflush(stdout);
    free(text);
}

/* What a launch ran through once is not needed for the years that follow: the pages of code are given
 * back, and come again from the file, one by one, when they are executed. */
static void forget_code(void)
{
    extern const char __executable_start, etext;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)&__executable_start & ~(page - 1);
    uintptr_t end = (uintptr_t)&etext & ~(page - 1);
    (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* In a session of its own; `started` is written when the launch has worked, if there is one. */
static int serve(const KeeperLaunch *launch, int started)
{
    g_autoptr(GError) error = NULL;
    setsid();
    (void)chdir("/"); /* or the caller's directory could not be unmounted */
    g_autoptr(Keeper) keeper = keeper_new(launch, &error);
    if (keeper == NULL) {
        return fail(error);
    }
    answer(keeper);
    leave_standard_streams();
    if (started >= 0) {
        (void)write(started, "", 1);
        close(started);
    }
    forget_code();
    keeper_run(keeper);
    return EXIT_SUCCESS;
}

/* The caller's child ends with the launch; its own child is the keeper and QEMU's parent. */
static int start_in_background(const KeeperLaunch *launch)
{
    int started[2];
    pid_t pid = pipe2(started, O_CLOEXEC) == 0 ? fork() : -1;
    if (pid == 0) {
        close(started[0]);
        return serve(launch, started[1]);
    }
    if (pid < 0) {
        g_autoptr(GError) error = NULL;
        berth_error_set(&error, BERTH_ERROR_INTERNAL, NULL, NULL, "raise the limit of processes",
                        "cannot fork: %s", g_strerror(errno));
        return fail(error);
    }
    char byte;
    close(started[1]);
    return TEMP_FAILURE_RETRY(read(started[0], &byte, 1)) == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    bool stays = argc == 2 && strcmp(argv[1], "--no-fork") == 0;
    if (argc > 1 && !stays) {
        printf("usage: berth-keep [--no-fork] < launch.json\n\n"
               "Starts one VM's QEMU and holds what must outlive the agent. The agent runs it;\n"
               "the launch is described in schema/keeper.yaml. With --no-fork it stays the\n"
               "caller's child, which saves a process; the launch is answered when it closes\n"
               "standard output. Version %s.\n",
               BERTH_VERSION);
        return strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
    }
    close_range(STDERR_FILENO + 1, UINT_MAX,
                0); /* nothing of the caller's lives as long as the VM */
    openlog("berth-keep", LOG_PID, LOG_DAEMON);
    g_autoptr(GError) error = NULL;
    g_autoptr(KeeperLaunch) launch = keep_launch_read(STDIN_FILENO, &error);
    if (launch == NULL) {
        return fail(error);
    }
    return stays ? serve(launch, -1) : start_in_background(launch);
}
