/* The console of a running VM: listeners, input, floods. */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep/pace.h"
#include "lab.h"

static KeeperStatus *start(Lab *lab, const char *script)
{
    lab_set(lab, "console", json_pack("{si si}", "fd", 11, "ring-kib", 4));
    lab_script(lab, script);
    return lab_start(lab);
}

static void test_who_comes_late_gets_the_ring(Lab *lab)
{
    g_autoptr(KeeperStatus) status = start(lab, "echo booted >&11; cat <&11 >&11");
    int first = lab_connect(lab, "console.sock");
    lab_expect(first, "booted\n");
    int second = lab_connect(lab, "console.sock");
    lab_expect(second, "booted\n");
    g_assert_cmpint(send(first, "hello\n", 6, 0), ==, 6);
    lab_expect(first, "hello\n");
    lab_expect(second, "hello\n");
    close(first);
    g_assert_cmpint(send(second, "again\n", 6, 0), ==, 6);
    lab_expect(second, "again\n");
    close(second);
    g_autoptr(Peer) peer = lab_peer(lab);
    g_autoptr(KeeperStatus) now = lab_peer_status(peer);
    g_assert_cmpint(now->console_bytes, ==, strlen("booted\nhello\nagain\n"));
}

static void expect_end(int fd)
{
    char bytes[4096];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
    }
    g_assert_cmpint(n, ==, 0);
}

static void test_the_last_words_and_the_end(Lab *lab)
{
    g_autoptr(KeeperStatus) status = start(lab, "read -r -u 11; echo panic >&11; exit 1");
    int listener = lab_connect(lab, "console.sock");
    g_assert_cmpint(send(listener, "\n", 1, 0), ==, 1);
    lab_expect(listener, "panic\n");
    expect_end(listener);
    close(listener);
    lab_wait_file(lab, "exit.json");
    int late = lab_connect(lab, "console.sock");
    lab_expect(late, "panic\n");
    expect_end(late);
    close(late);
}

typedef struct {
    Peer *peer;
    int64_t bytes;
} Flow;

static bool has_flowed(gconstpointer data)
{
    const Flow *flow = data;
    g_autoptr(KeeperStatus) status = lab_peer_status(flow->peer);
    return status->console_bytes >= flow->bytes;
}

/* Neither a listener that does not read nor the keeper's pace stops the guest for good, and the
 * keeper answers meanwhile; the ring's file stays what it was. */
static void test_a_flood_is_taken_in_bounded_space(Lab *lab)
{
    g_autoptr(KeeperStatus) status = start(lab, "exec cat /dev/zero >&11");
    int sleeper = lab_connect(lab, "console.sock");
    g_autoptr(Peer) peer = lab_peer(lab);
    Flow flow = {.peer = peer, .bytes = 1024 * 1024};
    lab_wait(has_flowed, &flow, "the guest writes on though a listener sleeps");
    struct stat st;
    g_autofree char *ring = lab_path(lab, "console.ring");
    g_assert_cmpint(stat(ring, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 4096 + 4096);
    lab_peer_kill(peer, SIGKILL);
    g_autoptr(KeeperStatus) exited = lab_peer_exited(peer);
    g_assert_cmpint(exited->exit->signal, ==, SIGKILL);
    expect_end(sleeper);
    close(sleeper);
}

/* The rate of pace.h is held, however slow or fast the machine is: the clock runs around both
 * readings, and a window's last read may take as much as one read can, a quarter of the ring. */
static void test_a_flood_keeps_the_pace(Lab *lab)
{
    lab_set(lab, "console", json_pack("{si si}", "fd", 11, "ring-kib", 64));
    lab_script(lab, "exec cat /dev/zero >&11");
    int64_t begin_us = g_get_monotonic_time();
    g_autoptr(KeeperStatus) status = lab_start(lab);
    g_autoptr(Peer) peer = lab_peer(lab);
    Flow flow = {.peer = peer, .bytes = 8 * 1024 * 1024};
    lab_wait(has_flowed, &flow, "the guest writes on");
    g_autoptr(KeeperStatus) now = lab_peer_status(peer);
    int64_t windows = (g_get_monotonic_time() - begin_us) / KEEP_PACE_WINDOW_US + 2;
    g_assert_cmpint(now->console_bytes, <=, windows * (KEEP_PACE_BYTES + 16 * 1024));
}

/* A descendant holds the console and writes on for ever. */
static void test_an_end_is_an_end(Lab *lab)
{
    g_autoptr(KeeperStatus) status =
        start(lab, "cat /dev/zero >&11 2>/dev/null & read -r -u 11; exit 4");
    int listener = lab_connect(lab, "console.sock");
    g_assert_cmpint(send(listener, "\n", 1, 0), ==, 1);
    lab_wait_file(lab, "exit.json");
    g_autoptr(KeeperStatus) file = lab_read_status(lab, "exit.json");
    g_assert_cmpint(file->exit->code, ==, 4);
    expect_end(listener);
    close(listener);
}

/* The guest takes no input: the writer is held up, listeners are not. */
static void test_input_that_nobody_takes(Lab *lab)
{
    g_autoptr(KeeperStatus) status = start(lab, "while :; do echo tick >&11; sleep 0.01; done");
    int writer = lab_connect(lab, "console.sock");
    char block[4096] = {0};
    while (send(writer, block, sizeof block, MSG_DONTWAIT) > 0) {
        g_usleep(1000);
    }
    int listener = lab_connect(lab, "console.sock");
    lab_expect(listener, "tick\ntick\n");
    g_autoptr(Peer) peer = lab_peer(lab);
    g_autoptr(KeeperStatus) now = lab_peer_status(peer);
    g_assert_cmpint(now->state, ==, KEEPER_RUN_STATE_RUNNING);
    close(writer);
    lab_expect(listener, "tick\ntick\n");
    close(listener);
}

static void test_too_many_listeners_are_turned_away(Lab *lab)
{
    g_autoptr(KeeperStatus) status = start(lab, "echo booted >&11; cat <&11 >&11");
    int listeners[16];
    for (size_t i = 0; i < G_N_ELEMENTS(listeners); i++) {
        listeners[i] = lab_connect(lab, "console.sock");
        lab_expect(listeners[i], "booted\n");
    }
    int extra = lab_connect(lab, "console.sock");
    expect_end(extra);
    close(extra);
    g_assert_cmpint(send(listeners[0], "hello\n", 6, 0), ==, 6);
    for (size_t i = 0; i < G_N_ELEMENTS(listeners); i++) {
        lab_expect(listeners[i], "hello\n");
        close(listeners[i]);
    }
}

int main(int argc, char **argv)
{
    lab_init(&argc, &argv);
    lab_add("/keep/console/who-comes-late-gets-the-ring", test_who_comes_late_gets_the_ring);
    lab_add("/keep/console/last-words-and-the-end", test_the_last_words_and_the_end);
    lab_add("/keep/console/flood-is-taken-in-bounded-space",
            test_a_flood_is_taken_in_bounded_space);
    lab_add("/keep/console/flood-keeps-the-pace", test_a_flood_keeps_the_pace);
    lab_add("/keep/console/an-end-is-an-end", test_an_end_is_an_end);
    lab_add("/keep/console/input-that-nobody-takes", test_input_that_nobody_takes);
    lab_add("/keep/console/too-many-listeners-are-turned-away",
            test_too_many_listeners_are_turned_away);
    return g_test_run();
}
