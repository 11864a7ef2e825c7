#include "cli/tests/runner.h"

#include <gio/gio.h>
#include <string.h>

static void set_up_plain(Run *run, gconstpointer data)
{
    run->manager = fake_manager_new(NULL);
}

static void set_up_tls(Run *run, gconstpointer data)
{
    run->manager = fake_manager_new(g_test_get_dir(G_TEST_DIST));
}

static void forget(Run *run)
{
    g_clear_pointer(&run->out, g_free);
    g_clear_pointer(&run->err, g_free);
}

static void tear_down(Run *run, gconstpointer data)
{
    forget(run);
    fake_manager_free(run->manager);
}

void run_test_add(const char *path, void (*test)(Run *, gconstpointer))
{
    g_test_add(path, Run, NULL, set_up_plain, test, tear_down);
}

void run_test_add_tls(const char *path, void (*test)(Run *, gconstpointer))
{
    g_test_add(path, Run, NULL, set_up_tls, test, tear_down);
}

void run_berth_with(Run *run, const char *context, const char *input, const char *line)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *whole = g_strdup_printf("%s %s", g_getenv("BERTH"), line);
    g_auto(GStrv) argv = g_strsplit(whole, " ", -1);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                                  G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_subprocess_launcher_setenv(launcher, "BERTH_CONTEXT", context, TRUE);
    if (g_str_has_prefix(fake_manager_url(run->manager), "https:")) {
        /* LeakSanitizer's tracer falls over the TLS library's threads; leaks are sought over HTTP.
         */
        g_subprocess_launcher_setenv(launcher, "LSAN_OPTIONS", "detect_leaks=0", TRUE);
    }
    g_autoptr(GSubprocess) process =
        g_subprocess_launcher_spawnv(launcher, (const char *const *)argv, &error);
    g_assert_no_error(error);
    forget(run);
    g_subprocess_communicate_utf8(process, input, NULL, &run->out, &run->err, &error);
    g_assert_no_error(error);
    g_assert_true(g_subprocess_get_if_exited(process));
    run->status = g_subprocess_get_exit_status(process);
}

void run_berth(Run *run, const char *line)
{
    run_berth_with(run, fake_manager_context(run->manager, NULL), NULL, line);
}

void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        g_error("'%s' is not in:\n%s", part, text);
    }
}
