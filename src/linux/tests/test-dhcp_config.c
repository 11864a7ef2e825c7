#include "linux/dhcp.h"

#include "base/error.h"

#include <string.h>

static const char *const dns[] = {"9.9.9.9", "1.1.1.1", NULL};

static const DhcpConfig full = {
    .dir = "/run/berth/a/dhcp/n1",
    .interface = "bbx2c7dqrstv5w6",
    .subnet = "10.1.0.5/20",
    .gateway = "10.1.0.1",
    .subnet6 = "fd00:1::1/64",
    .routes6 = true,
    .dns = dns,
    .mtu = 1450,
    .lease_s = 600,
    .user = "dnsmasq",
};

static void test_config(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = dhcp_config_text(&full, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==,
                    "# Written by berth-agent; changes are lost.\n"
                    "port=0\n"
                    "no-resolv\n"
                    "no-hosts\n"
                    "no-ping\n"
                    "quiet-dhcp\n"
                    "quiet-dhcp6\n"
                    "quiet-ra\n"
                    "bind-interfaces\n"
                    "interface=bbx2c7dqrstv5w6\n"
                    "except-interface=lo\n"
                    "user=dnsmasq\n"
                    "pid-file=/run/berth/a/dhcp/n1/pid\n"
                    "dhcp-leasefile=/run/berth/a/dhcp/n1/leases\n"
                    "dhcp-hostsfile=/run/berth/a/dhcp/n1/hosts\n"
                    "dhcp-authoritative\n"
                    "dhcp-ignore-clid\n"
                    "dhcp-ignore=tag:!known\n"
                    "dhcp-range=10.1.0.0,static,255.255.240.0,600s\n"
                    "dhcp-option=option:router,10.1.0.1\n"
                    "dhcp-option=option:dns-server,9.9.9.9,1.1.1.1\n"
                    "dhcp-option=option:mtu,1450\n"
                    "enable-ra\n"
                    "dhcp-range=fd00:1::,static,slaac,64,600s\n"
                    "ra-param=bbx2c7dqrstv5w6,mtu:1450,0,1800\n");
}

/* A host that does not forward would be a way to nowhere, which guests prefer to none. */
static void test_a_host_that_does_not_forward_is_no_router(void)
{
    DhcpConfig bare = {.dir = "/d", .interface = "br0", .subnet6 = "fd00:1::/64", .user = "nobody"};
    g_autofree char *text = dhcp_config_text(&bare, NULL);

    g_assert_nonnull(strstr(text, "\nra-param=br0,0,0\n"));
}

/* Without a gateway or name servers dnsmasq would hand out itself: the empty option says nothing.
 */
static void test_nothing_is_handed_out_by_default(void)
{
    DhcpConfig bare = {.dir = "/d", .interface = "br0", .subnet = "10.1.0.0/24", .user = "nobody"};
    g_autofree char *text = dhcp_config_text(&bare, NULL);

    g_assert_nonnull(strstr(text, "\ndhcp-option=option:router\n"));
    g_assert_nonnull(strstr(text, "\ndhcp-option=option:dns-server\n"));
    g_assert_nonnull(strstr(text, ",3600s\n"));
    g_assert_null(strstr(text, "mtu"));
    g_assert_null(strstr(text, "enable-ra"));
}

static void assert_refused(const DhcpConfig *config, const char *field)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(dhcp_config_text(config, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, field);
    g_assert_nonnull(berth_error_remedy(error));
}

static void test_bad_config_is_refused(void)
{
    static const char *const bad_dns[] = {"9.9.9.9\nport=53", NULL};
    DhcpConfig config = full;

    config.dir = "relative";
    assert_refused(&config, "dir");
    config.dir = "/a\nport=53";
    assert_refused(&config, "dir");
    config = full;
    config.interface = "br0,eth0";
    assert_refused(&config, "interface");
    config = full;
    config.subnet = "10.1.0.0";
    assert_refused(&config, "subnet");
    config = full;
    config.gateway = "10.2.0.1";
    assert_refused(&config, "gateway");
    config = full;
    config.subnet6 = "fd00::/48";
    assert_refused(&config, "subnet6");
    config = full;
    config.dns = bad_dns;
    assert_refused(&config, "dns");
    config = full;
    config.mtu = 100;
    assert_refused(&config, "mtu");
    config = full;
    config.lease_s = 5;
    assert_refused(&config, "lease");
    config = full;
    config.user = "root\nport=53";
    assert_refused(&config, "user");
}

static void test_hosts_are_sorted(void)
{
    static const DhcpHost hosts[] = {
        {"52:54:00:00:00:02", "10.1.0.12", NULL, NULL},
        {"52:54:00:00:00:0A", "10.1.0.11", "fd00:1:0::b", "web-1"},
        {"52:54:00:00:00:01", NULL, "fd00:1::c", "db"},
    };
    g_autoptr(GError) error = NULL;
    g_autofree char *text = dhcp_hosts_text(hosts, G_N_ELEMENTS(hosts), &error);

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==,
                    "52:54:00:00:00:01,[fd00:1::c],db\n"
                    "52:54:00:00:00:02,10.1.0.12\n"
                    "52:54:00:00:00:0a,10.1.0.11,[fd00:1::b],web-1\n");
}

static void test_bad_hosts_are_refused(void)
{
    static const DhcpHost hosts[] = {
        {"52:54:00:00:00", "10.1.0.12", NULL, NULL},
        {"52:54:00:00:00:02", "10.1.0.12,set:x", NULL, NULL},
        {"52:54:00:00:00:02", NULL, "fd00", NULL},
        {"52:54:00:00:00:02", "10.1.0.12", NULL, "ignore\n*"},
        {"52:54:00:00:00:02", "10.1.0.12", NULL, "-a"},
        {"52:54:00:00:00:02", "10.1.0.12", NULL, ""},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(dhcp_hosts_text(&hosts[i], 1, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/linux/dhcp-config/config", test_config);
    g_test_add_func("/linux/dhcp-config/a-host-that-does-not-forward-is-no-router",
                    test_a_host_that_does_not_forward_is_no_router);
    g_test_add_func("/linux/dhcp-config/nothing-is-handed-out-by-default",
                    test_nothing_is_handed_out_by_default);
    g_test_add_func("/linux/dhcp-config/bad-config-is-refused", test_bad_config_is_refused);
    g_test_add_func("/linux/dhcp-config/hosts-are-sorted", test_hosts_are_sorted);
    g_test_add_func("/linux/dhcp-config/bad-hosts-are-refused", test_bad_hosts_are_refused);
    return g_test_run();
}
