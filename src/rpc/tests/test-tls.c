#include "rpc/tls.h"

#include <glib-unix.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "rpc/tests/peers.h"

#define DAY 86400

static gint64 now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* Client and server that must not come together: who refuses, and what each is told. */
typedef struct {
    World world;
    Side client;
} Meeting;

static void meet(Meeting *meeting, RpcTls *server, RpcTls *client, const char *server_name)
{
    RpcOptions options = {.server_name = server_name};
    world_start(&meeting->world, server, NULL, NULL);
    world_dial(&meeting->world, client, &options, &meeting->client);
    RUN_UNTIL(meeting->client.closed == 1 && meeting->world.n_refused == 1);
    g_assert_cmpint(meeting->client.opened, ==, 0);
    g_assert_cmpint(meeting->world.server.opened, ==, 0);
    g_assert_cmpint(meeting->world.server.closed, ==, 0);
    g_assert_cmpuint(rpc_listener_unauthenticated(meeting->world.listener), ==, 0);
}

static void part(Meeting *meeting)
{
    world_stop(&meeting->world);
    side_clear(&meeting->client);
}

static void assert_says(const GError *error, int code, const char *text)
{
    g_assert_error(error, BERTH_ERROR, code);
    g_autofree char *whole = berth_error_describe(error);
    if (strstr(whole, text) == NULL) {
        g_error("\"%s\" does not say \"%s\"", whole, text);
    }
}

static void test_both_sides_know_each_other(void)
{
    World world;
    Side client;
    g_autoptr(RpcIdentity) identity = rpc_ca_issue_client(test_ca(), "host-1", now(), 1, NULL);
    g_autoptr(RpcCertificateInfo) info = rpc_certificate_read(identity->certificate, NULL);
    world_start(&world, tls_server(), NULL, NULL);
    RpcConnection *connection = world_dial(&world, tls_of(test_ca_pem(), identity), NULL, &client);
    RUN_UNTIL(client.opened == 1 && world.server.opened == 1);
    RpcConnection *other = world.server.connection;
    g_assert_cmpstr(rpc_connection_peer_name(other), ==, "host-1");
    g_assert_cmpstr(rpc_connection_peer_fingerprint(other), ==, info->fingerprint);
    g_assert_cmpstr(rpc_connection_peer_name(connection), ==, "manager.test");
    g_assert_true(g_str_has_prefix(rpc_connection_peer_address(other), "127.0.0.1:"));

    Reply up = {0}, down = {0};
    rpc_connection_call(connection, "echo", NULL, 0, reply_answer, &up);
    rpc_connection_call(other, "echo", NULL, 0, reply_answer, &down);
    RUN_UNTIL(up.n == 1 && down.n == 1);
    g_assert_no_error(up.error);
    g_assert_no_error(down.error);
    reply_clear(&up);
    reply_clear(&down);
    world_stop(&world);
    side_clear(&client);
}

static void test_large_messages_in_both_directions(void)
{
    World world;
    Side client;
    Reply replies[4] = {0};
    world_start(&world, tls_server(), NULL, NULL);
    RpcConnection *connection = world_dial(&world, tls_client("h"), NULL, &client);
    RUN_UNTIL(client.opened == 1 && world.server.opened == 1);
    g_autofree char *text = g_malloc(3000001);
    for (int i = 0; i < 3000000; i++) {
        text[i] = (char)('a' + i % 23);
    }
    text[3000000] = '\0';
    json_t *params = json_pack("{s:s}", "text", text);
    for (int i = 0; i < 4; i++) {
        rpc_connection_call(i % 2 == 0 ? connection : world.server.connection, "echo", params, 0,
                            reply_answer, &replies[i]);
    }
    for (int i = 0; i < 4; i++) {
        RUN_UNTIL(replies[i].n == 1);
        g_assert_no_error(replies[i].error);
        g_assert_true(json_equal(replies[i].result, params));
        reply_clear(&replies[i]);
    }
    g_assert_cmpuint(rpc_connection_queued_bytes(connection), ==, 0);
    json_decref(params);
    world_stop(&world);
    side_clear(&client);
}

static void test_address_is_a_name_too(void)
{
    World world;
    Side client;
    RpcOptions options = {.server_name = "127.0.0.1"};
    world_start(&world, tls_server(), NULL, NULL);
    world_dial(&world, tls_client("h"), &options, &client);
    RUN_UNTIL(client.opened == 1);
    world_stop(&world);
    side_clear(&client);
}

static void test_client_of_another_ca(void)
{
    g_autoptr(RpcIdentity) other_ca = rpc_ca_make("other", now(), NULL);
    g_autoptr(RpcCa) ca = rpc_ca_new(other_ca, NULL);
    g_autoptr(RpcIdentity) identity = rpc_ca_issue_client(ca, "h", now(), 1, NULL);
    Meeting meeting;
    meet(&meeting, tls_server(), tls_of(test_ca_pem(), identity), NULL);
    assert_says(meeting.world.refusal, BERTH_ERROR_UNAUTHENTICATED, "this cluster's CA");
    g_assert_cmpstr(berth_error_value(meeting.world.refusal), ==, "h");
    assert_says(meeting.client.reason, BERTH_ERROR_UNAUTHENTICATED, "of another CA");
    part(&meeting);
}

static void test_server_of_another_ca(void)
{
    g_autoptr(RpcIdentity) other_ca = rpc_ca_make("other", now(), NULL);
    g_autoptr(RpcCa) ca = rpc_ca_new(other_ca, NULL);
    const char *const names[] = {"manager.test", NULL};
    g_autoptr(RpcIdentity) identity = rpc_ca_issue_server(ca, names, now(), 1, NULL);
    Meeting meeting;
    meet(&meeting, tls_of(test_ca_pem(), identity), tls_client("h"), NULL);
    assert_says(meeting.client.reason, BERTH_ERROR_UNAUTHENTICATED, "this cluster's CA");
    assert_says(meeting.world.refusal, BERTH_ERROR_UNAUTHENTICATED, "of another CA");
    part(&meeting);
}

static void test_expired_client(void)
{
    g_autoptr(RpcIdentity) identity =
        rpc_ca_issue_client(test_ca(), "old", now() - 3 * DAY, 1, NULL);
    Meeting meeting;
    meet(&meeting, tls_server(), tls_of(test_ca_pem(), identity), NULL);
    assert_says(meeting.world.refusal, BERTH_ERROR_UNAUTHENTICATED, "expired");
    assert_says(meeting.client.reason, BERTH_ERROR_UNAUTHENTICATED, "expired");
    part(&meeting);
}

static void test_expired_server(void)
{
    const char *const names[] = {"manager.test", NULL};
    g_autoptr(RpcIdentity) identity =
        rpc_ca_issue_server(test_ca(), names, now() - 3 * DAY, 1, NULL);
    Meeting meeting;
    meet(&meeting, tls_of(test_ca_pem(), identity), tls_client("h"), NULL);
    assert_says(meeting.client.reason, BERTH_ERROR_UNAUTHENTICATED, "expired");
    part(&meeting);
}

static void test_clock_half_an_hour_ahead_is_no_matter(void)
{
    World world;
    Side client;
    g_autoptr(RpcIdentity) identity = rpc_ca_issue_client(test_ca(), "h", now() + 1800, 1, NULL);
    world_start(&world, tls_server(), NULL, NULL);
    world_dial(&world, tls_of(test_ca_pem(), identity), NULL, &client);
    RUN_UNTIL(client.opened == 1);
    world_stop(&world);
    side_clear(&client);
}

static void test_server_of_another_name(void)
{
    Meeting meeting;
    meet(&meeting, tls_server(), tls_client("h"), "other.test");
    assert_says(meeting.client.reason, BERTH_ERROR_UNAUTHENTICATED, "must name what");
    part(&meeting);
}

static void test_roles_cannot_be_exchanged(void)
{
    g_autoptr(RpcIdentity) client = rpc_ca_issue_client(test_ca(), "manager.test", now(), 1, NULL);
    const char *const names[] = {"manager.test", NULL};
    g_autoptr(RpcIdentity) server = rpc_ca_issue_server(test_ca(), names, now(), 1, NULL);
    Meeting meeting;
    meet(&meeting, tls_of(test_ca_pem(), client), tls_client("h"), NULL);
    g_assert_error(meeting.client.reason, BERTH_ERROR, BERTH_ERROR_UNAUTHENTICATED);
    part(&meeting);
    meet(&meeting, tls_server(), tls_of(test_ca_pem(), server), NULL);
    assert_says(meeting.world.refusal, BERTH_ERROR_UNAUTHENTICATED, "clients a client's");
    part(&meeting);
}

/* GnuTLS alone, as a stranger would use it: no certificate, or an old version of TLS. */
static gnutls_session_t stranger(int fd, const char *priority,
                                 gnutls_certificate_credentials_t *credentials)
{
    gnutls_session_t session;
    gnutls_certificate_allocate_credentials(credentials);
    gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
    g_assert_cmpint(gnutls_priority_set_direct(session, priority, NULL), ==, 0);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, *credentials);
    gnutls_transport_set_int(session, fd);
    return session;
}

static void assert_stranger_refused(const char *priority, int code, const char *text)
{
    World world;
    world_start(&world, tls_server(), NULL, NULL);
    int fd = connect_blocking(world.port);
    g_assert_true(g_unix_set_fd_nonblocking(fd, TRUE, NULL));
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session = stranger(fd, priority, &credentials);
    while (world.n_refused == 0) {
        gnutls_handshake(session);
        char byte;
        gnutls_record_recv(session, &byte, 1);
        g_main_context_iteration(NULL, FALSE);
    }
    assert_says(world.refusal, code, text);
    g_assert_cmpint(world.server.opened, ==, 0);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    close(fd);
    world_stop(&world);
}

static void test_no_certificate(void)
{
    assert_stranger_refused("NORMAL", BERTH_ERROR_UNAUTHENTICATED, "shows no certificate");
}

static void test_older_tls(void)
{
    assert_stranger_refused("NORMAL:-VERS-ALL:+VERS-TLS1.2", BERTH_ERROR_INVALID, "TLS 1.3");
}

static void test_garbage(void)
{
    World world;
    world_start(&world, tls_server(), NULL, NULL);
    int fd = connect_blocking(world.port);
    g_assert_cmpint(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), ==, 18);
    RUN_UNTIL(world.n_refused == 1);
    assert_says(world.refusal, BERTH_ERROR_INVALID, "TLS 1.3");
    close(fd);
    world_stop(&world);
}

static void test_plain_client_at_a_tls_server(void)
{
    Meeting meeting;
    meet(&meeting, tls_server(), NULL, NULL);
    part(&meeting);
}

static void test_killed_peer(void)
{
    World world;
    Side client;
    g_autoptr(RpcHello) hello = hello_of(1, 0);
    world_start(&world, tls_server(), NULL, NULL);
    /* A loop of its own for the client, which ends without a goodbye. */
    RpcLoop *other = rpc_loop_new(NULL);
    g_autoptr(RpcTls) tls = tls_client("h");
    RpcOptions options = {.hello = hello, .tls = tls, .server_name = "manager.test"};
    side_init(&client);
    g_autoptr(GError) error = NULL;
    rpc_connection_adopt(other, connect_blocking(world.port), false, &options, &side_handlers,
                         &client, &error);
    g_assert_no_error(error);
    RUN_UNTIL(client.opened == 1 && world.server.opened == 1);
    rpc_loop_free(other);
    RUN_UNTIL(world.server.closed == 1);
    assert_says(world.server.reason, BERTH_ERROR_UNAVAILABLE, "closed the connection");
    world_stop(&world);
    side_clear(&client);
}

static void test_bad_credentials(void)
{
    g_autoptr(RpcIdentity) a = rpc_ca_issue_client(test_ca(), "a", now(), 1, NULL);
    g_autoptr(RpcIdentity) b = rpc_ca_issue_client(test_ca(), "b", now(), 1, NULL);
    g_autoptr(GError) error = NULL;
    g_assert_null(rpc_tls_new("nothing", a->certificate, a->key, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, "ca");
    g_clear_error(&error);
    g_assert_null(rpc_tls_new(test_ca_pem(), a->certificate, b->key, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, "certificate");
    g_clear_error(&error);
    g_assert_null(rpc_tls_new_from_files("/nonexistent/ca.pem", "/x", "/y", &error));
    g_assert_nonnull(strstr(error->message, "/nonexistent/ca.pem"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/tls/both-sides-know-each-other", test_both_sides_know_each_other);
    g_test_add_func("/rpc/tls/large-messages-in-both-directions",
                    test_large_messages_in_both_directions);
    g_test_add_func("/rpc/tls/address-is-a-name-too", test_address_is_a_name_too);
    g_test_add_func("/rpc/tls/client-of-another-ca", test_client_of_another_ca);
    g_test_add_func("/rpc/tls/server-of-another-ca", test_server_of_another_ca);
    g_test_add_func("/rpc/tls/expired-client", test_expired_client);
    g_test_add_func("/rpc/tls/expired-server", test_expired_server);
    g_test_add_func("/rpc/tls/clock-half-an-hour-ahead",
                    test_clock_half_an_hour_ahead_is_no_matter);
    g_test_add_func("/rpc/tls/server-of-another-name", test_server_of_another_name);
    g_test_add_func("/rpc/tls/roles-cannot-be-exchanged", test_roles_cannot_be_exchanged);
    g_test_add_func("/rpc/tls/no-certificate", test_no_certificate);
    g_test_add_func("/rpc/tls/older-tls", test_older_tls);
    g_test_add_func("/rpc/tls/garbage", test_garbage);
    g_test_add_func("/rpc/tls/plain-client", test_plain_client_at_a_tls_server);
    g_test_add_func("/rpc/tls/killed-peer", test_killed_peer);
    g_test_add_func("/rpc/tls/bad-credentials", test_bad_credentials);
    return g_test_run();
}
