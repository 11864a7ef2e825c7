#include "rpc/listener.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "rpc/tests/peers.h"

#define HALF_OPEN 1000

static void allow_files(rlim_t wanted)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = MIN(wanted, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

/* Strangers take all places and more; an honest peer is served in spite of them, and they are
 * dropped in the end. */
static void half_open(bool first_bytes)
{
    allow_files(3 * HALF_OPEN);
    World world;
    Side client;
    RpcOptions options = {.open_timeout_ms = 1500};
    RpcListenerOptions limits = {.max_unauthenticated = 100, .max_handshakes = 10, .grace_ms = 20};
    world_start(&world, tls_server(), &options, &limits);
    int fds[HALF_OPEN];
    for (int i = 0; i < HALF_OPEN; i++) {
        fds[i] = connect_blocking(world.port);
        if (first_bytes) {
            g_assert_cmpint(write(fds[i], "\x16\x03\x01\x02", 4), ==, 4);
        }
        run_idle();
        g_assert_cmpuint(rpc_listener_unauthenticated(world.listener), <=, 100);
    }
    RpcOptions patient = {.open_timeout_ms = 20000};
    world_dial(&world, tls_client("honest"), &patient, &client);
    RUN_UNTIL(client.opened == 1 && world.server.opened == 1);
    g_assert_cmpstr(rpc_connection_peer_name(world.server.connection), ==, "honest");
    RUN_UNTIL(world.n_refused == HALF_OPEN);
    g_assert_error(world.refusal, BERTH_ERROR, BERTH_ERROR_TIMEOUT);
    g_assert_cmpuint(rpc_listener_unauthenticated(world.listener), ==, 0);
    for (int i = 0; i < HALF_OPEN; i++) {
        g_assert_true(is_closed(fds[i]));
        close(fds[i]);
    }
    g_assert_cmpint(client.closed, ==, 0);
    world_stop(&world);
    side_clear(&client);
}

static void test_thousand_silent_connections(void)
{
    half_open(false);
}

static void test_thousand_broken_off_handshakes(void)
{
    half_open(true);
}

/* All of them at once, with fewer places than peers: nobody is pushed out while he makes progress.
 */
static void test_storm_of_honest_peers(void)
{
    enum { PEERS = 100 };
    World world;
    Side clients[PEERS];
    RpcListenerOptions limits = {.max_unauthenticated = 50, .max_handshakes = 4, .grace_ms = 10000};
    world_start(&world, tls_server(), NULL, &limits);
    for (int i = 0; i < PEERS; i++) {
        world_dial(&world, tls_client("h"), NULL, &clients[i]);
    }
    RUN_UNTIL(world.server.opened == PEERS);
    g_assert_cmpint(world.n_refused, ==, 0);
    world_stop(&world);
    for (int i = 0; i < PEERS; i++) {
        side_clear(&clients[i]);
    }
}

/* Who waits for a handshake and goes away costs none. */
static void test_peer_gives_up_while_it_waits(void)
{
    World world;
    Side client;
    RpcListenerOptions limits = {.max_handshakes = 1, .grace_ms = 200};
    world_start(&world, tls_server(), NULL, &limits);
    int first = connect_blocking(world.port), second = connect_blocking(world.port);
    g_assert_cmpint(write(first, "\x16\x03\x01\x02", 4), ==, 4);
    run_idle();
    g_assert_cmpint(write(second, "\x16\x03\x01\x02", 4), ==, 4);
    run_idle();
    g_assert_cmpuint(rpc_listener_unauthenticated(world.listener), ==, 2);
    close(second);
    RUN_UNTIL(world.n_refused == 1);
    g_assert_nonnull(strstr(world.refusal->message, "gave up"));
    world_dial(&world, tls_client("h"), NULL, &client);
    RUN_UNTIL(client.opened == 1);
    RUN_UNTIL(world.n_refused == 2);
    g_assert_nonnull(strstr(world.refusal->message, "others wait"));
    close(first);
    world_stop(&world);
    side_clear(&client);
}

/* Deadlines pass while this process is busy with something else, though everybody did his part. */
static void test_late_are_we_not_they(void)
{
    enum { PEERS = 200 };
    World world;
    int fds[PEERS];
    RpcOptions options = {.open_timeout_ms = 500};
    world_start(&world, NULL, &options, NULL);
    for (int i = 0; i < PEERS; i++) {
        fds[i] = connect_blocking(world.port);
    }
    RUN_UNTIL(rpc_listener_unauthenticated(world.listener) == PEERS);
    g_autoptr(GByteArray) hello = g_byte_array_new();
    g_autoptr(RpcHello) ours = hello_of(1, 0);
    json_t *message = rpc_hello_message(ours);
    rpc_message_frame(hello, message, 0, NULL);
    json_decref(message);
    for (int i = 0; i < PEERS; i++) {
        g_assert_cmpint(write(fds[i], hello->data, hello->len), ==, hello->len);
    }
    g_usleep(600 * 1000);
    RUN_UNTIL(world.server.opened + world.n_refused == PEERS);
    g_assert_cmpint(world.n_refused, ==, 0);
    for (int i = 0; i < PEERS; i++) {
        close(fds[i]);
    }
    world_stop(&world);
}

static void test_open_connections_outlive_the_listener(void)
{
    World world;
    Side client;
    Reply reply = {0};
    world_start(&world, tls_server(), NULL, NULL);
    RpcConnection *connection = world_dial(&world, tls_client("h"), NULL, &client);
    RUN_UNTIL(client.opened == 1 && world.server.opened == 1);
    int stranger = connect_blocking(world.port);
    RUN_UNTIL(rpc_listener_unauthenticated(world.listener) == 1);
    g_clear_pointer(&world.listener, rpc_listener_free);
    g_assert_true(is_closed(stranger));
    rpc_connection_call(connection, "echo", NULL, 0, reply_answer, &reply);
    RUN_UNTIL(reply.n == 1);
    g_assert_no_error(reply.error);
    reply_clear(&reply);
    close(stranger);
    world_stop(&world);
    side_clear(&client);
}

static void test_new_certificate_for_new_connections(void)
{
    World world;
    Side old, new;
    world_start(&world, tls_server(), NULL, NULL);
    RpcConnection *first = world_dial(&world, tls_client("h"), NULL, &old);
    RUN_UNTIL(old.opened == 1);
    g_autoptr(RpcTls) next = tls_server();
    rpc_listener_set_tls(world.listener, next);
    RpcConnection *second = world_dial(&world, tls_client("h"), NULL, &new);
    RUN_UNTIL(new.opened == 1);
    g_assert_cmpstr(rpc_connection_peer_fingerprint(first), !=,
                    rpc_connection_peer_fingerprint(second));
    g_assert_true(rpc_connection_is_open(first));
    world_stop(&world);
    side_clear(&old);
    side_clear(&new);
}

static void test_no_descriptor_left(void)
{
    World world;
    world_start(&world, NULL, NULL, NULL);
    int fd = connect_blocking(world.port);
    int spare = dup(fd);
    g_assert_cmpint(spare, >=, 0);
    close(spare);
    struct rlimit before, tight;
    getrlimit(RLIMIT_NOFILE, &before);
    tight = before;
    tight.rlim_cur = (rlim_t)spare; /* the lowest free number: no more can be opened */
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &tight), ==, 0);
    RUN_UNTIL(world.n_refused == 1);
    g_assert_error(world.refusal, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(berth_error_remedy(world.refusal), "LimitNOFILE"));
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
    RUN_UNTIL(rpc_listener_unauthenticated(world.listener) == 1);
    close(fd);
    world_stop(&world);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/listener/thousand-silent-connections", test_thousand_silent_connections);
    g_test_add_func("/rpc/listener/thousand-broken-off-handshakes",
                    test_thousand_broken_off_handshakes);
    g_test_add_func("/rpc/listener/storm-of-honest-peers", test_storm_of_honest_peers);
    g_test_add_func("/rpc/listener/peer-gives-up-while-it-waits",
                    test_peer_gives_up_while_it_waits);
    g_test_add_func("/rpc/listener/late-are-we-not-they", test_late_are_we_not_they);
    g_test_add_func("/rpc/listener/open-connections-outlive-the-listener",
                    test_open_connections_outlive_the_listener);
    g_test_add_func("/rpc/listener/new-certificate-for-new-connections",
                    test_new_certificate_for_new_connections);
    g_test_add_func("/rpc/listener/no-descriptor-left", test_no_descriptor_left);
    return g_test_run();
}
