#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "keep/console.h"
#include "keep/inherit.h"

#define RING_BYTES 8192
#define PATIENCE_US (30 * G_USEC_PER_SEC)

typedef struct {
    char *directory;
    char *ring_path;
    char *socket_path;
    int guest; /* QEMU's end; non-blocking */
    KeepConsole *console;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    int pair[2];
    f->directory = g_dir_make_tmp("berth-console-XXXXXX", NULL);
    f->ring_path = g_build_filename(f->directory, "console.ring", NULL);
    f->socket_path = g_build_filename(f->directory, "console.sock", NULL);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    KeepRing *ring = keep_ring_new(f->ring_path, RING_BYTES, &error);
    int listener = keep_listen(f->socket_path, &error);
    g_assert_no_error(error);
    f->guest = pair[1];
    g_assert_cmpint(fcntl(f->guest, F_SETFL, O_NONBLOCK), ==, 0);
    f->console = keep_console_new(pair[0], listener, ring);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    keep_console_free(f->console);
    if (f->guest >= 0) {
        close(f->guest);
    }
    g_unlink(f->ring_path);
    g_unlink(f->socket_path);
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->ring_path);
    g_free(f->socket_path);
    g_free(f->directory);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static gboolean on_tick(gpointer data)
{
    return G_SOURCE_CONTINUE;
}

/* Turns the loop until the condition holds. */
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        gint64 end_us = g_get_monotonic_time() + PATIENCE_US;                                      \
        guint tick = g_timeout_add(5, on_tick, NULL);                                              \
        while (!(condition)) {                                                                     \
            g_assert_cmpint(g_get_monotonic_time(), <, end_us);                                    \
            g_main_context_iteration(NULL, TRUE);                                                  \
        }                                                                                          \
        g_source_remove(tick);                                                                     \
    } while (0)

static int join(const Fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, f->socket_path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

typedef struct {
    int fd;
    GString *got;
    bool ended;
} Listener;

static void listener_start(Listener *l, int fd)
{
    *l = (Listener){.fd = fd, .got = g_string_new(NULL)};
}

static void listener_stop(Listener *l)
{
    close(l->fd);
    g_string_free(l->got, TRUE);
}

/* Takes what is there; returns how much it has now. */
static size_t hear(Listener *l)
{
    char bytes[65536];
    ssize_t n;
    while (!l->ended && (n = read(l->fd, bytes, sizeof bytes)) >= 0) {
        g_string_append_len(l->got, bytes, n);
        l->ended = n == 0;
    }
    return l->got->len;
}

/* Writes what the socket takes; true once all `n` bytes are out. */
static bool write_on(int fd, const char *bytes, size_t n, size_t *written)
{
    ssize_t taken = write(fd, bytes + *written, n - *written);
    *written += taken > 0 ? (size_t)taken : 0;
    return *written == n;
}

/* The guest says it all, and the keeper has it. */
static void guest_says_bytes(const Fixture *f, const char *bytes, size_t n)
{
    uint64_t end = keep_console_bytes(f->console) + n;
    size_t written = 0;
    WAIT_UNTIL(write_on(f->guest, bytes, n, &written));
    WAIT_UNTIL(keep_console_bytes(f->console) == end);
}

static void guest_says(const Fixture *f, const char *text)
{
    guest_says_bytes(f, text, strlen(text));
}

static void test_history_then_what_comes(Fixture *f, gconstpointer data)
{
    Listener l;
    guest_says(f, "booting\n");
    listener_start(&l, join(f));
    WAIT_UNTIL(hear(&l) >= 8);
    guest_says(f, "login: ");
    WAIT_UNTIL(hear(&l) >= 15);
    g_assert_cmpstr(l.got->str, ==, "booting\nlogin: ");
    listener_stop(&l);
}

static void test_input_reaches_the_guest(Fixture *f, gconstpointer data)
{
    char got[16] = "";
    int first = join(f);
    int second = join(f);
    g_assert_cmpint(write(first, "root\n", 5), ==, 5);
    WAIT_UNTIL(read(f->guest, got, sizeof got) == 5);
    g_assert_cmpstr(got, ==, "root\n");
    g_assert_cmpint(write(second, "date\n", 5), ==, 5);
    WAIT_UNTIL(read(f->guest, got, sizeof got) == 5);
    g_assert_cmpstr(got, ==, "date\n");
    close(first);
    close(second);
}

/* `echo reboot | nc`: the input has ended, the output is still wanted. */
static void test_listener_that_has_said_all_still_hears(Fixture *f, gconstpointer data)
{
    Listener l;
    char got[16];
    listener_start(&l, join(f));
    g_assert_cmpint(write(l.fd, "x", 1), ==, 1);
    g_assert_cmpint(shutdown(l.fd, SHUT_WR), ==, 0);
    WAIT_UNTIL(read(f->guest, got, sizeof got) == 1);
    guest_says(f, "answer");
    WAIT_UNTIL(hear(&l) >= 6);
    g_assert_cmpstr(l.got->str, ==, "answer");
    listener_stop(&l);
}

static void test_listener_that_never_reads_holds_nobody_up(Fixture *f, gconstpointer data)
{
    Listener lazy, eager;
    size_t flood = 2 * 1024 * 1024;
    listener_start(&lazy, join(f));
    g_autofree char *noise = g_strnfill(flood, 'x');
    guest_says_bytes(f, noise, flood);
    listener_start(&eager, join(f));
    guest_says(f, "end");
    WAIT_UNTIL(hear(&eager) > 0 && g_str_has_suffix(eager.got->str, "end"));
    /* It has lost its oldest, and gets the newest. */
    WAIT_UNTIL(hear(&lazy) > 0 && g_str_has_suffix(lazy.got->str, "end"));
    g_assert_cmpuint(lazy.got->len, <, flood);
    g_assert_cmpuint(keep_console_bytes(f->console), ==, flood + 3);
    listener_stop(&lazy);
    listener_stop(&eager);
}

static void test_guest_that_takes_no_input_is_still_heard(Fixture *f, gconstpointer data)
{
    Listener l;
    static const char chunk[4096];
    int writer = join(f);
    int stuck = 0;
    while (stuck < 50) { /* until neither the guest nor the keeper takes more */
        stuck = write(writer, chunk, sizeof chunk) < 0 ? stuck + 1 : 0;
        g_main_context_iteration(NULL, FALSE);
    }
    listener_start(&l, join(f));
    guest_says(f, "still here");
    WAIT_UNTIL(hear(&l) >= 10);
    g_assert_cmpstr(l.got->str, ==, "still here");
    listener_stop(&l);
    close(writer);
}

static void test_end_of_the_guest(Fixture *f, gconstpointer data)
{
    Listener before, after;
    listener_start(&before, join(f));
    guest_says(f, "panic");
    g_assert_cmpint(write(f->guest, "!", 1), ==, 1);
    close(f->guest);
    f->guest = -1;
    keep_console_finish(f->console);
    WAIT_UNTIL(hear(&before) >= 6 && before.ended);
    g_assert_cmpstr(before.got->str, ==, "panic!");
    listener_start(&after, join(f));
    WAIT_UNTIL(hear(&after) >= 6 && after.ended);
    g_assert_cmpstr(after.got->str, ==, "panic!");
    listener_stop(&before);
    listener_stop(&after);
}

static void test_too_many_listeners(Fixture *f, gconstpointer data)
{
    Listener l[KEEP_CONSOLE_CLIENTS_MAX + 1];
    guest_says(f, "hello");
    for (size_t i = 0; i < G_N_ELEMENTS(l); i++) {
        listener_start(&l[i], join(f));
        WAIT_UNTIL(hear(&l[i]) > 0 || l[i].ended);
    }
    g_assert_false(l[KEEP_CONSOLE_CLIENTS_MAX - 1].ended);
    g_assert_true(l[KEEP_CONSOLE_CLIENTS_MAX].ended);
    g_assert_cmpuint(l[KEEP_CONSOLE_CLIENTS_MAX].got->len, ==, 0);
    /* Room again once one has gone. */
    listener_stop(&l[0]);
    listener_start(&l[0], -1);
    WAIT_UNTIL((close(l[0].fd), l[0].fd = join(f), l[0].ended = false,
                g_main_context_iteration(NULL, TRUE), hear(&l[0]) > 0));
    for (size_t i = 0; i < G_N_ELEMENTS(l); i++) {
        listener_stop(&l[i]);
    }
}

static void add(const char *name, void (*test)(Fixture *, gconstpointer))
{
    g_autofree char *path = g_strconcat("/keep/console/", name, NULL);
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("history-then-what-comes", test_history_then_what_comes);
    add("input-reaches-the-guest", test_input_reaches_the_guest);
    add("listener-that-has-said-all-still-hears", test_listener_that_has_said_all_still_hears);
    add("listener-that-never-reads-holds-nobody-up",
        test_listener_that_never_reads_holds_nobody_up);
    add("guest-that-takes-no-input-is-still-heard", test_guest_that_takes_no_input_is_still_heard);
    add("end-of-the-guest", test_end_of_the_guest);
    add("too-many-listeners", test_too_many_listeners);
    return g_test_run();
}
