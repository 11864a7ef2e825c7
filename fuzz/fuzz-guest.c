/*
 * A hostile guest: syncs are answered as they should be, every other command with the next line of
 * the input, and then the port is closed. What it says reaches the typed commands.
 */
#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "qemu/ga_commands.h"

#define TIMEOUT_MS 20

static int left; /* calls without an answer */

static void on_vcpus(const GaVcpu *vcpus, size_t n, const GError *error, gpointer user_data)
{
    g_assert_true(error != NULL || n == 0 || vcpus != NULL);
    left--;
}

static void on_count(gint64 count, const GError *error, gpointer user_data)
{
    left--;
}

static void on_interfaces(const GaInterface *interfaces, size_t n, const GError *error,
                          gpointer user_data)
{
    for (size_t i = 0; error == NULL && i < n; i++) {
        g_assert_nonnull(interfaces[i].name);
    }
    left--;
}

static void on_exec(const GaExecResult *result, const GError *error, gpointer user_data)
{
    g_assert_true((result == NULL) == (error != NULL));
    left--;
}

static void on_file(GBytes *bytes, const GError *error, gpointer user_data)
{
    g_assert_true((bytes == NULL) == (error != NULL));
    left--;
}

/* False when there is nothing to answer with. */
static bool answer(int fd, const char *command, const uint8_t **data, size_t *size)
{
    const char *sync = strstr(command, "\"id\":");
    g_autofree char *line = NULL;
    if (strstr(command, "guest-sync-delimited") != NULL) {
        gint64 id = g_ascii_strtoll(sync + strlen("\"id\":"), NULL, 10);
        line = g_strdup_printf("\xFF{\"return\": %" G_GINT64_FORMAT "}", id);
    } else {
        line = fuzz_take_line(data, size);
    }
    return line != NULL && send(fd, line, strlen(line), MSG_NOSIGNAL) >= 0 &&
           send(fd, "\n", 1, MSG_NOSIGNAL) == 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_autoptr(Ga) ga = ga_new(fds[0], NULL, NULL);
    GaExec exec = {.argv = (const char *const[]){"/bin/true", NULL}, .max_output_bytes = 64};
    left = 5;
    ga_get_vcpus(ga, TIMEOUT_MS, on_vcpus, NULL);
    ga_get_interfaces(ga, TIMEOUT_MS, on_interfaces, NULL);
    ga_set_online(ga, 2, TIMEOUT_MS, on_count, NULL);
    ga_read_file(ga, "/proc/uptime", 64, TIMEOUT_MS, on_file, NULL);
    ga_exec(ga, &exec, TIMEOUT_MS, on_exec, NULL);
    bool open = true;
    while (left > 0) {
        char command[4096];
        ssize_t n = open ? recv(fds[1], command, sizeof command - 1, MSG_DONTWAIT) : -1;
        if (n > 0) {
            command[n] = '\0';
            open = answer(fds[1], command, &data, &size);
            if (!open) {
                shutdown(fds[1], SHUT_RDWR);
            }
        }
        g_main_context_iteration(NULL, n <= 0);
    }
    close(fds[1]);
    return 0;
}
