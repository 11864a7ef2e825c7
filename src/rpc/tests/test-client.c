#include "rpc/client.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "rpc/tests/peers.h"

typedef struct {
    RpcClient *client;
    int n_up, n_down, n_failed, n_calls;
    GError *reason;
    bool free_when_down;
} Seen;

static void on_up(RpcClient *client, void *data)
{
    Seen *seen = data;
    seen->n_up++;
    g_assert_true(rpc_client_is_up(client));
    g_assert_null(rpc_client_problem(client));
}

static void remember(Seen *seen, const GError *reason)
{
    g_clear_error(&seen->reason);
    seen->reason = g_error_copy(reason);
}

static void on_down(RpcClient *client, const GError *reason, void *data)
{
    Seen *seen = data;
    seen->n_down++;
    g_assert_false(rpc_client_is_up(client));
    remember(seen, reason);
    if (seen->free_when_down) {
        g_clear_pointer(&seen->client, rpc_client_free);
    }
}

static void on_failed(RpcClient *client, const GError *reason, int64_t wait_ms, void *data)
{
    Seen *seen = data;
    seen->n_failed++;
    g_assert_cmpint(wait_ms, >=, 0);
    remember(seen, reason);
}

static void on_call(RpcClient *client, RpcCall *call, void *data)
{
    Seen *seen = data;
    seen->n_calls++;
    rpc_call_answer(call, NULL, NULL);
}

static const RpcClientHandlers handlers = {on_up, on_down, on_failed, on_call, NULL};
static const RpcReconnectLimits quick = {.min_ms = 5, .max_ms = 20, .stable_ms = 1000};

static void start(Seen *seen, RpcLoop *loop, const char *address, RpcTls *tls)
{
    g_autoptr(RpcHello) hello = hello_of(1, 0);
    RpcOptions options = {.hello = hello, .tls = tls};
    g_autoptr(GError) error = NULL;
    *seen = (Seen){0};
    seen->client = rpc_client_new(loop, address, &options, &quick, &handlers, seen, &error);
    g_assert_no_error(error);
    rpc_tls_unref(tls);
}

static void stop(Seen *seen)
{
    g_clear_pointer(&seen->client, rpc_client_free);
    g_clear_error(&seen->reason);
}

static char *address_of(const World *world)
{
    return g_strdup_printf("127.0.0.1:%u", world->port);
}

static void test_up_over_tls_and_calls_both_ways(void)
{
    World world;
    Seen seen;
    Reply up = {0}, down = {0};
    world_start(&world, tls_server(), NULL, NULL);
    g_autofree char *address = address_of(&world);
    start(&seen, world.loop, address, tls_client("h"));
    g_assert_null(rpc_client_connection(seen.client));
    RUN_UNTIL(seen.n_up == 1 && world.server.opened == 1);
    g_assert_cmpstr(rpc_connection_peer_name(rpc_client_connection(seen.client)), ==,
                    "manager.test");
    rpc_client_call(seen.client, "echo", NULL, 0, reply_answer, &up);
    rpc_connection_call(world.server.connection, "do", NULL, 0, reply_answer, &down);
    g_assert_true(rpc_client_notify(seen.client, "note", NULL, NULL));
    RUN_UNTIL(up.n == 1 && down.n == 1 && world.server.notified->len == 1);
    g_assert_no_error(up.error);
    g_assert_no_error(down.error);
    g_assert_cmpint(seen.n_calls, ==, 1);
    reply_clear(&up);
    reply_clear(&down);
    stop(&seen);
    world_stop(&world);
}

static void test_comes_back_after_the_peer(void)
{
    World world;
    Seen seen;
    world_start(&world, NULL, NULL, NULL);
    g_autofree char *address = address_of(&world);
    start(&seen, world.loop, address, NULL);
    for (int round = 1; round <= 3; round++) {
        RUN_UNTIL(seen.n_up == round && world.server.opened == round);
        rpc_connection_close(world.server.connection, NULL);
        RUN_UNTIL(seen.n_down == round);
        g_assert_error(seen.reason, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    }
    stop(&seen);
    world_stop(&world);
}

static RpcTls *server_with_tickets(GBytes *secret)
{
    g_autoptr(GError) error = NULL;
    RpcTls *tls = tls_server();
    g_assert_true(rpc_tls_give_tickets(tls, secret, &error));
    return tls;
}

/* The server ends the connection and goes on as `tls` (taken), as after a restart. */
static void restart(World *world, RpcTls *tls)
{
    rpc_listener_set_tls(world->listener, tls);
    rpc_tls_unref(tls);
    rpc_connection_close(world->server.connection, NULL);
}

static void test_comes_back_by_ticket(void)
{
    World world;
    Seen seen;
    g_autoptr(GBytes) secret = rpc_ticket_secret_new(), other = rpc_ticket_secret_new();
    world_start(&world, server_with_tickets(secret), NULL, NULL);
    g_autofree char *address = address_of(&world);
    start(&seen, world.loop, address, tls_client("h"));
    RUN_UNTIL(seen.n_up == 1 && world.server.opened == 1);
    g_assert_false(rpc_connection_is_resumed(world.server.connection));
    g_autofree char *fingerprint =
        g_strdup(rpc_connection_peer_fingerprint(world.server.connection));
    for (int round = 2; round <= 4; round++) {
        restart(&world, server_with_tickets(secret));
        RUN_UNTIL(seen.n_up == round && world.server.opened == round);
        g_assert_true(rpc_connection_is_resumed(world.server.connection));
        g_assert_cmpstr(rpc_connection_peer_name(world.server.connection), ==, "h");
        g_assert_cmpstr(rpc_connection_peer_fingerprint(world.server.connection), ==, fingerprint);
        g_assert_cmpstr(rpc_connection_peer_name(rpc_client_connection(seen.client)), ==,
                        "manager.test");
    }
    restart(&world, server_with_tickets(other));
    RUN_UNTIL(seen.n_up == 5 && world.server.opened == 5);
    g_assert_false(rpc_connection_is_resumed(world.server.connection));
    g_assert_cmpstr(rpc_connection_peer_name(world.server.connection), ==, "h");
    stop(&seen);
    world_stop(&world);
}

/* A ticket is no way around what has become of the certificate since. */
static void test_ticket_of_an_expired_certificate(void)
{
    World world;
    Seen seen;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC, until = now + 8;
    g_autoptr(RpcIdentity) identity = rpc_ca_issue_client(test_ca(), "h", until - 86400, 1, NULL);
    g_autoptr(GBytes) secret = rpc_ticket_secret_new();
    world_start(&world, server_with_tickets(secret), NULL, NULL);
    g_autofree char *address = address_of(&world);
    start(&seen, world.loop, address, tls_of(test_ca_pem(), identity));
    RUN_UNTIL(seen.n_up == 1 && world.server.opened == 1);
    RUN_UNTIL(g_get_real_time() / G_USEC_PER_SEC > until + 1);
    restart(&world, server_with_tickets(secret));
    RUN_UNTIL(world.n_refused > 0);
    g_assert_error(world.refusal, BERTH_ERROR, BERTH_ERROR_UNAUTHENTICATED);
    g_assert_nonnull(strstr(world.refusal->message, "expired"));
    g_assert_cmpint(world.server.opened, ==, 1);
    stop(&seen);
    world_stop(&world);
}

static void test_ticket_of_another_ca(void)
{
    World world;
    Seen seen;
    const char *const names[] = {"manager.test", "127.0.0.1", NULL};
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    g_autoptr(RpcIdentity) made = rpc_ca_make("other", now, NULL);
    g_autoptr(RpcCa) ca = rpc_ca_new(made, NULL);
    g_autoptr(RpcIdentity) server = rpc_ca_issue_server(ca, names, now, 1, NULL);
    g_autoptr(GBytes) secret = rpc_ticket_secret_new();
    world_start(&world, server_with_tickets(secret), NULL, NULL);
    g_autofree char *address = address_of(&world);
    start(&seen, world.loop, address, tls_client("h"));
    RUN_UNTIL(seen.n_up == 1 && world.server.opened == 1);
    RpcTls *next = tls_of(made->certificate, server);
    g_assert_true(rpc_tls_give_tickets(next, secret, NULL));
    restart(&world, next);
    RUN_UNTIL(world.n_refused > 0);
    g_assert_error(world.refusal, BERTH_ERROR, BERTH_ERROR_UNAUTHENTICATED);
    g_assert_cmpstr(berth_error_value(world.refusal), ==, "h");
    g_assert_cmpint(world.server.opened, ==, 1);
    stop(&seen);
    world_stop(&world);
}

static void test_a_secret_that_is_none(void)
{
    g_autoptr(RpcTls) tls = tls_server();
    g_autoptr(GBytes) secret = g_bytes_new_static("short", 5);
    g_autoptr(GError) error = NULL;
    g_assert_false(rpc_tls_give_tickets(tls, secret, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
}

static void test_calls_while_away_fail_later_not_inside(void)
{
    World world;
    Seen seen;
    Reply early = {0}, late = {0};
    world_start(&world, NULL, NULL, NULL);
    g_clear_pointer(&world.listener, rpc_listener_free);
    g_autofree char *address = address_of(&world);
    start(&seen, world.loop, address, NULL);
    rpc_client_call(seen.client, "early", NULL, 0, reply_answer, &early);
    g_assert_cmpint(early.n, ==, 0);
    RUN_UNTIL(early.n == 1);
    g_assert_error(early.error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    RUN_UNTIL(seen.n_failed == 3);
    g_assert_error(rpc_client_problem(seen.client), BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    rpc_client_call(seen.client, "late", NULL, 0, reply_answer, &late);
    g_assert_cmpint(late.n, ==, 0);
    RUN_UNTIL(late.n == 1);
    g_assert_nonnull(strstr(late.error->message, "cannot connect"));
    g_assert_cmpstr(berth_error_value(late.error), ==, address);
    g_autoptr(GError) error = NULL;
    g_assert_false(rpc_client_notify(seen.client, "late", NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_cmpint(seen.n_up, ==, 0);
    reply_clear(&early);
    reply_clear(&late);
    stop(&seen);
    world_stop(&world);
}

static void test_waits_for_a_peer_that_starts_late(void)
{
    World world;
    Seen seen;
    g_autofree char *directory = g_dir_make_tmp("berth-rpc-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "manager.sock", NULL);
    world_start(&world, NULL, NULL, NULL);
    g_clear_pointer(&world.listener, rpc_listener_free);
    start(&seen, world.loop, path, NULL);
    RUN_UNTIL(seen.n_failed == 2);

    struct sockaddr_un name = {.sun_family = AF_UNIX};
    g_strlcpy(name.sun_path, path, sizeof name.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&name, sizeof name), ==, 0);
    g_assert_cmpint(listen(fd, 5), ==, 0);
    g_autoptr(RpcHello) hello = hello_of(1, 0);
    RpcOptions options = {.hello = hello};
    world.listener = rpc_listener_new(world.loop, fd, &options, NULL, &side_handlers, &world, NULL);
    rpc_client_hurry(seen.client);
    RUN_UNTIL(seen.n_up == 1);
    stop(&seen);
    world_stop(&world);
    g_unlink(path);
    g_rmdir(directory);
}

static void test_name_is_resolved_and_verified(void)
{
    World world;
    Seen seen;
    world_start(&world, tls_server(), NULL, NULL);
    g_autofree char *address = g_strdup_printf("localhost:%u", world.port);
    start(&seen, world.loop, address, tls_client("h"));
    /* "localhost" is not in the server's certificate. */
    RUN_UNTIL(seen.n_failed == 1);
    g_assert_error(seen.reason, BERTH_ERROR, BERTH_ERROR_UNAUTHENTICATED);
    stop(&seen);

    g_autoptr(RpcHello) hello = hello_of(1, 0);
    g_autoptr(RpcTls) tls = tls_client("h");
    RpcOptions options = {.hello = hello, .tls = tls, .server_name = "manager.test"};
    seen = (Seen){0};
    seen.client = rpc_client_new(world.loop, address, &options, &quick, &handlers, &seen, NULL);
    RUN_UNTIL(seen.n_up == 1);
    stop(&seen);
    world_stop(&world);
}

static void test_unknown_name_is_a_failure_like_others(void)
{
    World world;
    Seen seen;
    world_start(&world, NULL, NULL, NULL);
    start(&seen, world.loop, "no-such-host.invalid:7", NULL);
    RUN_UNTIL(seen.n_failed == 2);
    g_assert_error(seen.reason, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    stop(&seen);
    world_stop(&world);
}

static void test_new_certificate_is_used_at_the_next_attempt(void)
{
    World world;
    Seen seen;
    g_autoptr(RpcIdentity) old = rpc_ca_issue_client(
        test_ca(), "h", g_get_real_time() / G_USEC_PER_SEC - 3 * 86400, 1, NULL);
    world_start(&world, tls_server(), NULL, NULL);
    g_autofree char *address = address_of(&world);
    start(&seen, world.loop, address, tls_of(test_ca_pem(), old));
    RUN_UNTIL(seen.n_failed == 1);
    g_assert_nonnull(strstr(berth_error_remedy(seen.reason), "expired"));
    g_autoptr(RpcTls) renewed = tls_client("h");
    rpc_client_set_tls(seen.client, renewed);
    RUN_UNTIL(seen.n_up == 1);
    stop(&seen);
    world_stop(&world);
}

static void test_free_answers_what_waits(void)
{
    World world;
    Seen seen;
    Reply pending = {0}, refused = {0};
    world_start(&world, NULL, NULL, NULL);
    g_autofree char *address = address_of(&world);
    start(&seen, world.loop, address, NULL);
    rpc_client_call(seen.client, "early", NULL, 0, reply_answer, &refused);
    stop(&seen);
    g_assert_cmpint(refused.n, ==, 1);

    start(&seen, world.loop, address, NULL);
    RUN_UNTIL(seen.n_up == 1);
    rpc_client_call(seen.client, "echo", NULL, 0, reply_answer, &pending);
    stop(&seen);
    g_assert_cmpint(pending.n, ==, 1);
    g_assert_error(pending.error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    RUN_UNTIL(world.server.closed == 1);
    g_assert_cmpint(seen.n_down, ==, 0);
    reply_clear(&pending);
    reply_clear(&refused);
    world_stop(&world);
}

static void test_free_while_trying(void)
{
    World world;
    Seen seen;
    world_start(&world, tls_server(), NULL, NULL);
    g_autofree char *address = address_of(&world);
    for (int turns = 0; turns < 12; turns++) {
        start(&seen, world.loop, address, tls_client("h"));
        for (int i = 0; i < turns; i++) {
            g_main_context_iteration(NULL, FALSE);
        }
        stop(&seen);
    }
    start(&seen, world.loop, "no-such-host.invalid:7", NULL);
    g_main_context_iteration(NULL, FALSE);
    stop(&seen);
    run_idle();
    world_stop(&world);
}

static void test_free_from_inside_down(void)
{
    World world;
    Seen seen;
    Reply reply = {0};
    world_start(&world, NULL, NULL, NULL);
    g_autofree char *address = address_of(&world);
    start(&seen, world.loop, address, NULL);
    seen.free_when_down = true;
    RUN_UNTIL(seen.n_up == 1 && world.server.opened == 1);
    rpc_client_call(seen.client, "echo", NULL, 0, reply_answer, &reply);
    RUN_UNTIL(reply.n == 1);
    rpc_connection_close(world.server.connection, NULL);
    RUN_UNTIL(seen.n_down == 1);
    g_assert_null(seen.client);
    reply_clear(&reply);
    stop(&seen);
    world_stop(&world);
}

static void test_bad_addresses(void)
{
    static const char *const addresses[] = {"",       "host",       "host:",         "host:x",
                                            "host:0", "host:99999", "relative/path", ":80"};
    RpcLoop *loop = rpc_loop_new(NULL);
    g_autoptr(RpcHello) hello = hello_of(1, 0);
    RpcOptions options = {.hello = hello};
    for (guint i = 0; i < G_N_ELEMENTS(addresses); i++) {
        g_autoptr(GError) error = NULL;
        RpcClient *client =
            rpc_client_new(loop, addresses[i], &options, NULL, &handlers, NULL, &error);
        if (client != NULL) {
            g_error("\"%s\" is taken for an address", addresses[i]);
        }
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(berth_error_field(error), ==, "address");
    }
    rpc_loop_free(loop);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/client/up-over-tls", test_up_over_tls_and_calls_both_ways);
    g_test_add_func("/rpc/client/comes-back-after-the-peer", test_comes_back_after_the_peer);
    g_test_add_func("/rpc/client/comes-back-by-ticket", test_comes_back_by_ticket);
    g_test_add_func("/rpc/client/ticket-of-an-expired-certificate",
                    test_ticket_of_an_expired_certificate);
    g_test_add_func("/rpc/client/ticket-of-another-ca", test_ticket_of_another_ca);
    g_test_add_func("/rpc/client/a-secret-that-is-none", test_a_secret_that_is_none);
    g_test_add_func("/rpc/client/calls-while-away-fail-later",
                    test_calls_while_away_fail_later_not_inside);
    g_test_add_func("/rpc/client/waits-for-a-peer-that-starts-late",
                    test_waits_for_a_peer_that_starts_late);
    g_test_add_func("/rpc/client/name-is-resolved-and-verified",
                    test_name_is_resolved_and_verified);
    g_test_add_func("/rpc/client/unknown-name", test_unknown_name_is_a_failure_like_others);
    g_test_add_func("/rpc/client/new-certificate",
                    test_new_certificate_is_used_at_the_next_attempt);
    g_test_add_func("/rpc/client/free-answers-what-waits", test_free_answers_what_waits);
    g_test_add_func("/rpc/client/free-while-trying", test_free_while_trying);
    g_test_add_func("/rpc/client/free-from-inside-down", test_free_from_inside_down);
    g_test_add_func("/rpc/client/bad-addresses", test_bad_addresses);
    return g_test_run();
}
