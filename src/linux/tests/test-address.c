#include "linux/address.h"

#include "base/error.h"

#include <string.h>
#include <sys/socket.h>

static void test_addresses(void)
{
    static const char *const good[] = {"10.1.0.7", "fd00::7", "::"};
    static const char *const bad[] = {"", "10.1.0", "10.1.0.7/24", "10.1.0.07x", "fd00:::7", "a\n"};
    Address address;

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;

        g_assert_true(address_parse("a", good[i], 0, &address, &error));
        text = address_text(&address);
        g_assert_cmpstr(text, ==, good[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(address_parse("a", bad[i], 0, &address, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(berth_error_field(error), ==, "a");
        g_assert_cmpstr(berth_error_value(error), ==, bad[i]);
        g_assert_nonnull(berth_error_remedy(error));
    }
    g_assert_false(address_parse("a", "fd00::7", AF_INET, &address, NULL));
    g_assert_false(address_parse("a", "10.1.0.7", AF_INET6, &address, NULL));
}

static void test_subnets(void)
{
    static const char *const bad[] = {"10.1.0.0",    "10.1.0.0/33", "10.1.0.0/", "10.1.0.0/-1",
                                      "10.1.0.0/ 8", "fd00::/129",  "/24"};
    Address subnet, inside, outside;

    g_assert_true(address_parse_subnet("s", "10.1.16.0/20", 0, &subnet, NULL));
    g_assert_cmpuint(subnet.prefix, ==, 20);
    g_assert_true(address_parse("a", "10.1.31.255", 0, &inside, NULL));
    g_assert_true(address_parse("a", "10.1.32.0", 0, &outside, NULL));
    g_assert_true(address_in_subnet(&inside, &subnet));
    g_assert_false(address_in_subnet(&outside, &subnet));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(address_parse_subnet("s", bad[i], 0, &subnet, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    }
}

static void test_macs(void)
{
    static const char *const bad[] = {"",
                                      "52:54:00:12:34",
                                      "52:54:00:12:34:5",
                                      "52:54:00:12:34:56:",
                                      "52-54-00-12-34-56",
                                      "52:54:00:12:34:5g",
                                      "52:54:00:12:34:56\n"};
    static const uint8_t expected[6] = {0x52, 0x54, 0x00, 0xab, 0x34, 0x56};
    uint8_t mac[6];

    g_assert_true(address_parse_mac("m", "52:54:00:aB:34:56", mac, NULL));
    g_assert_cmpmem(mac, 6, expected, 6);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(address_parse_mac("m", bad[i], mac, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    }
}

static void test_link_local_is_eui64(void)
{
    static const uint8_t mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    g_autofree char *text = NULL;
    Address address;

    address_link_local(mac, &address);
    text = address_text(&address);
    g_assert_cmpstr(text, ==, "fe80::5054:ff:fe12:3456");
}

static void test_interface_names(void)
{
    static const char *const bad[] = {"", "-x", "a b", "a;b", "a\"b", "a/b", "sixteen-letters-"};

    g_assert_true(address_check_interface("btc7dqrstv5w600", NULL));
    g_assert_true(address_check_interface("eth0.5", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(address_check_interface(bad[i], &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/linux/address/addresses", test_addresses);
    g_test_add_func("/linux/address/subnets", test_subnets);
    g_test_add_func("/linux/address/macs", test_macs);
    g_test_add_func("/linux/address/link-local-is-eui64", test_link_local_is_eui64);
    g_test_add_func("/linux/address/interface-names", test_interface_names);
    return g_test_run();
}
