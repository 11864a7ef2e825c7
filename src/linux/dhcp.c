#include "linux/dhcp.h"

#include "base/error.h"
#include "linux/process.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM "dnsmasq"
#define STOP_MS 1000

struct Dhcp {
    char *dir;
    char *config; /* text of dnsmasq.conf */
    DhcpEnded ended;
    gpointer data;
    pid_t pid; /* 0: none known */
    int pidfd;
    GSource *watch;
};

static const char *const files[] = {"dnsmasq.conf", "hosts", "pid", "leases"};

static char *file_of(const char *dir, const char *name)
{
    return g_build_filename(dir, name, NULL);
}

/* The argument by which a server is known to be ours: no other has this file. */
static char *conf_argument(const char *dir)
{
    return g_strdup_printf("--conf-file=%s/dnsmasq.conf", dir);
}

Dhcp *dhcp_new(const DhcpConfig *config, DhcpEnded ended, gpointer data, GError **error)
{
    g_autofree char *text = dhcp_config_text(config, error);
    Dhcp *dhcp = NULL;

    if (text == NULL) {
        return NULL;
    }
    dhcp = g_new0(Dhcp, 1);
    dhcp->dir = g_strdup(config->dir);
    dhcp->config = g_steal_pointer(&text);
    dhcp->ended = ended;
    dhcp->data = data;
    dhcp->pidfd = -1;
    return dhcp;
}

static void forget(Dhcp *dhcp)
{
    if (dhcp->watch != NULL) {
        g_source_destroy(dhcp->watch);
        g_source_unref(dhcp->watch);
        dhcp->watch = NULL;
    }
    if (dhcp->pidfd >= 0) {
        close(dhcp->pidfd);
        dhcp->pidfd = -1;
    }
    dhcp->pid = 0;
}

void dhcp_free(Dhcp *dhcp)
{
    if (dhcp == NULL) {
        return;
    }
    forget(dhcp);
    g_free(dhcp->dir);
    g_free(dhcp->config);
    g_free(dhcp);
}

pid_t dhcp_pid(const Dhcp *dhcp)
{
    return dhcp->pid;
}

static void on_ended(int pidfd, gpointer data)
{
    Dhcp *dhcp = data;

    forget(dhcp);
    if (dhcp->ended != NULL) {
        dhcp->ended(dhcp, dhcp->data);
    }
}

/* A pidfd of the server that `dir`'s pid file names, if it runs and is ours; -1: none. */
static int find_server(const char *dir, pid_t *ret_pid)
{
    g_autofree char *path = file_of(dir, "pid");
    g_autofree char *wanted = conf_argument(dir);
    g_autofree char *text = NULL;
    g_auto(GStrv) argv = NULL;
    gint64 pid = 0;
    int fd = -1;

    if (!g_file_get_contents(path, &text, NULL, NULL) ||
        !g_ascii_string_to_signed(g_strstrip(text), 10, 2, G_MAXINT32, &pid, NULL)) {
        return -1;
    }
    /* The fd first: what the command line then says is of the process that the fd holds, or of a
     * successor, in which case the fd has ended. */
    fd = process_open((pid_t)pid, 0, NULL);
    argv = fd >= 0 ? process_argv((pid_t)pid, NULL) : NULL;
    if (argv == NULL || !g_strv_contains((const char *const *)argv, wanted) ||
        process_has_ended(fd)) {
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    *ret_pid = (pid_t)pid;
    return fd;
}

/* Whether `dhcp` has a server now, found or known. */
static bool adopt(Dhcp *dhcp)
{
    if (dhcp->pidfd >= 0 && !process_has_ended(dhcp->pidfd)) {
        return true;
    }
    forget(dhcp);
    dhcp->pidfd = find_server(dhcp->dir, &dhcp->pid);
    if (dhcp->pidfd < 0) {
        dhcp->pid = 0;
        return false;
    }
    dhcp->watch = process_watch(dhcp->pidfd, on_ended, dhcp);
    return true;
}

static bool end_server(int pidfd, GError **error)
{
    return process_signal(pidfd, SIGTERM, error) &&
           (process_wait(pidfd, STOP_MS) ||
            (process_signal(pidfd, SIGKILL, error) &&
             (process_wait(pidfd, STOP_MS) ||
              berth_error_set(error, BERTH_ERROR_TIMEOUT, NULL, NULL, NULL,
                              "the DHCP server does not end"))));
}

static bool end_known(Dhcp *dhcp, GError **error)
{
    if (!end_server(dhcp->pidfd, error)) {
        return false;
    }
    forget(dhcp);
    return true;
}

static bool start(Dhcp *dhcp, GError **error)
{
    g_autofree char *leases = file_of(dhcp->dir, "leases");
    g_autofree char *argument = conf_argument(dhcp->dir);
    g_autoptr(GSubprocess) process = NULL;
    g_autofree char *said = NULL;

    (void)g_unlink(leases);
    process = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE,
                               error, PROGRAM, argument, NULL);
    if (process == NULL) {
        return berth_error_set(error != NULL ? (g_clear_error(error), error) : NULL,
                               BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                               "install the package dnsmasq-base", "cannot start " PROGRAM);
    }
    if (!g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &said, error)) {
        g_prefix_error(error, "cannot start DHCP: ");
        return false;
    }
    if (!g_subprocess_get_successful(process)) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, dhcp->dir, NULL,
                               "cannot start DHCP: %s", g_strstrip(said));
    }
    return adopt(dhcp) || berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, dhcp->dir, NULL,
                                          "the DHCP server ended as soon as it had started");
}

/* Writes a file that dnsmasq reads, also after it has dropped its privileges; says whether that
 * changed anything. */
static bool write_file(const char *dir, const char *name, const char *text, bool *ret_changed,
                       GError **error)
{
    g_autofree char *path = file_of(dir, name);
    g_autofree char *before = NULL;

    *ret_changed = !g_file_get_contents(path, &before, NULL, NULL) || strcmp(before, text) != 0;
    if (*ret_changed &&
        !g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0644, error)) {
        g_prefix_error(error, "cannot write DHCP's files: ");
        return false;
    }
    return true;
}

/* Whether a lease holds an address for a MAC that does not have it any more: only a restart frees
 * it. */
static bool has_stale_lease(const char *dir, const DhcpHost *hosts, size_t n_hosts)
{
    g_autofree char *path = file_of(dir, "leases");
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) fields = g_strsplit(lines[i], " ", -1);

        /* expiry, MAC (v6: IAID), address, name, client id */
        for (size_t host = 0; g_strv_length(fields) >= 5 && host < n_hosts; host++) {
            if (g_strcmp0(hosts[host].ipv4, fields[2]) == 0 &&
                g_ascii_strcasecmp(hosts[host].mac, fields[1]) != 0) {
                return true;
            }
        }
    }
    return false;
}

bool dhcp_apply(Dhcp *dhcp, const DhcpHost *hosts, size_t n_hosts, GError **error)
{
    g_autofree char *text = dhcp_hosts_text(hosts, n_hosts, error);
    bool new_config = false;
    bool new_hosts = false;

    if (text == NULL) {
        return false;
    }
    if (g_mkdir_with_parents(dhcp->dir, 0755) != 0) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, dhcp->dir, NULL,
                               "cannot make %s: %s", dhcp->dir, g_strerror(errno));
    }
    if (!write_file(dhcp->dir, "dnsmasq.conf", dhcp->config, &new_config, error) ||
        !write_file(dhcp->dir, "hosts", text, &new_hosts, error)) {
        return false;
    }
    if (!adopt(dhcp)) {
        return start(dhcp, error);
    }
    if (new_config || has_stale_lease(dhcp->dir, hosts, n_hosts)) {
        return end_known(dhcp, error) && start(dhcp, error);
    }
    /* Also when nothing changed: the agent may have died between the write and the signal. */
    return process_signal(dhcp->pidfd, SIGHUP, error);
}

static void remove_files(const char *dir)
{
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = file_of(dir, files[i]);

        (void)g_unlink(path);
    }
    (void)g_rmdir(dir);
}

bool dhcp_stop(Dhcp *dhcp, GError **error)
{
    if (adopt(dhcp) && !end_known(dhcp, error)) {
        return false;
    }
    remove_files(dhcp->dir);
    return true;
}

bool dhcp_sweep(const char *dir, GError **error)
{
    pid_t pid = 0;
    int pidfd = find_server(dir, &pid);
    bool ended = pidfd < 0 || end_server(pidfd, error);

    if (pidfd >= 0) {
        close(pidfd);
    }
    if (ended) {
        remove_files(dir);
    }
    return ended;
}
