#include <glib.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keep/process.h"

static void test_same_for_one_process(void)
{
    int64_t ticks = keep_process_start_ticks(getpid());
    g_assert_cmpint(ticks, >, 0);
    g_assert_cmpint(keep_process_start_ticks(getpid()), ==, ticks);
}

/* Field 2 of /proc/PID/stat is the name as it is. */
static void test_name_that_looks_like_fields(void)
{
    int64_t ticks = keep_process_start_ticks(getpid());
    g_assert_cmpint(prctl(PR_SET_NAME, "a) Z 1 2 (b"), ==, 0);
    g_assert_cmpint(keep_process_start_ticks(getpid()), ==, ticks);
}

static void test_process_that_has_ended(void)
{
    siginfo_t info;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(EXIT_SUCCESS);
    }
    g_assert_cmpint(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), ==, 0);
    g_assert_cmpint(keep_process_start_ticks(pid), ==, 0); /* not reaped yet */
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    g_assert_cmpint(keep_process_start_ticks(pid), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keep/process/same-for-one-process", test_same_for_one_process);
    g_test_add_func("/keep/process/name-that-looks-like-fields", test_name_that_looks_like_fields);
    g_test_add_func("/keep/process/process-that-has-ended", test_process_that_has_ended);
    return g_test_run();
}
