/*
 * The program on a terminal: colour, progress, the console's keys.
 */
#include <gio/gio.h>
#include <pty.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/tests/runner.h"

/* Runs berth with a terminal for all three streams; types `keys` when `prompt` has been shown. What
 * the terminal showed. */
static char *on_terminal(Run *run, const char *line, const char *prompt, const char *keys,
                         bool no_color)
{
    int master;
    const char *context = fake_manager_context(run->manager, NULL);
    g_autofree char *whole = g_strdup_printf("%s %s", g_getenv("BERTH"), line);
    g_auto(GStrv) argv = g_strsplit(whole, " ", -1);
    g_auto(GStrv) environment = g_environ_setenv(g_get_environ(), "BERTH_CONTEXT", context, TRUE);
    environment = no_color ? g_environ_setenv(environment, "NO_COLOR", "1", TRUE)
                           : g_environ_unsetenv(environment, "NO_COLOR");
    pid_t pid = forkpty(&master, NULL, NULL, NULL);
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        execve(argv[0], argv, environment);
        _exit(127);
    }
    GString *shown = g_string_new(NULL);
    char buffer[4096];
    ssize_t n;
    while ((n = read(master, buffer, sizeof buffer)) >
           0) { /* EIO when the last one has closed it */
        g_string_append_len(shown, buffer, n);
        if (prompt != NULL && strstr(shown->str, prompt) != NULL) {
            g_assert_cmpint(write(master, keys, strlen(keys)), ==, (ssize_t)strlen(keys));
            prompt = NULL;
        }
    }
    int status;
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    run->status = WEXITSTATUS(status);
    close(master);
    return g_string_free(shown, FALSE);
}

static void test_color(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "GET /v1/operations", 200,
                        "{\"items\": [{\"id\": \"01O\", \"kind\": \"k\", \"state\": \"done\"}]}");
    g_autofree char *colored = on_terminal(run, "operation list", NULL, NULL, false);
    assert_has(colored, "\033[1mID\033[0m");
    assert_has(colored, "\033[32mdone\033[0m");
    g_autofree char *plain = on_terminal(run, "operation list", NULL, NULL, true);
    g_assert_null(strchr(plain, '\033'));
}

static void test_progress(Run *run, gconstpointer data)
{
    const char *running = "{\"id\": \"01O\", \"kind\": \"vm.create\", \"state\": \"running\", "
                          "\"subject\": {\"kind\": \"vm\", \"name\": \"a\"}, \"message\": \"waits "
                          "for the host\"}";
    fake_manager_answer(run->manager, "POST /v1/vms", 202, running);
    fake_manager_answer(run->manager, "GET /v1/operations/01O", 200, running);
    g_autofree char *shown =
        on_terminal(run, "vm create a --size s --image i --wait=2", NULL, NULL, false);
    g_assert_cmpint(run->status, ==, 7);
    assert_has(shown, "\r\033[Kvm a: waits for the host (1 s)");
    assert_has(shown, "is not over after 2 s");
}

static void test_console_keys(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "GET /v1/vms/a", 200, "{}");
    fake_manager_console(run->manager, "/v1/vms/a/console", "login: ");
    g_autofree char *shown = on_terminal(run, "vm console a", "login: ", "\003\035", false);
    g_assert_cmpint(run->status, ==, 0); /* Ctrl-C went to the guest, Ctrl-] ended it */
    assert_has(shown, "Ctrl-] ends it");
}

static void test_top_shows_again(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "GET /v1/top", 200, "{\"hosts\": [], \"vms\": []}");
    fake_manager_answer(run->manager, "GET /v1/top", 503,
                        "{\"error\": {\"code\": \"unavailable\", \"message\": \"is away\"}}");
    fake_manager_answer(run->manager, "GET /v1/top", 403,
                        "{\"error\": {\"code\": \"forbidden\", \"message\": \"enough\"}}");
    g_autofree char *shown = on_terminal(run, "top -i 100ms", NULL, NULL, true);
    g_assert_cmpint(run->status, ==, 8);
    assert_has(shown, "\033[H\033[2J");
    assert_has(shown, "is away; trying again");
    assert_has(shown, "enough");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    run_test_add("/cli/terminal/color", test_color);
    run_test_add("/cli/terminal/progress", test_progress);
    run_test_add("/cli/terminal/console-keys", test_console_keys);
    run_test_add("/cli/terminal/top-shows-again", test_top_shows_again);
    return g_test_run();
}
