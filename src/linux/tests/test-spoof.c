#include "linux/spoof.h"

#include "base/error.h"
#include "linux/shape.h"

#include <string.h>

static const char *const ipv4[] = {"10.1.0.7", NULL};
static const char *const ipv6[] = {"fd00:1:0::7", NULL};

#define FRAME                                                                                      \
    "add table bridge berth\n"                                                                     \
    "add map bridge berth ports { type ifname : verdict; }\n"                                      \
    "add chain bridge berth prerouting "                                                           \
    "{ type filter hook prerouting priority -250; policy accept; }\n"                              \
    "flush chain bridge berth prerouting\n"                                                        \
    "add rule bridge berth prerouting iifname vmap @ports\n"
#define RULE "add rule bridge berth port-t0 "

static void test_tap_script(void)
{
    SpoofRules rules = {.mac = "52:54:00:12:34:56", .ipv4 = ipv4, .ipv6 = ipv6};
    g_autoptr(GError) error = NULL;
    g_autofree char *script = spoof_tap_script("t0", &rules, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(
        script, ==,
        FRAME
        "add chain bridge berth port-t0\n"
        "flush chain bridge berth port-t0\n" RULE "ether saddr != 52:54:00:12:34:56 drop\n" RULE
        "ether type != { ip, arp, ip6 } drop\n" RULE
        "ether type arp arp saddr ether != 52:54:00:12:34:56 drop\n" RULE
        "ether type ip udp sport 67 drop\n" RULE "ether type ip6 udp sport 547 drop\n" RULE
        "ether type ip6 icmpv6 type { nd-router-advert, nd-redirect } drop\n" RULE
        "ether type arp arp saddr ip != { 0.0.0.0, 10.1.0.7 } drop\n" RULE
        "ether type ip ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept\n" RULE
        "ether type ip ip saddr != { 10.1.0.7 } drop\n" RULE
        "ether type ip6 icmpv6 type nd-neighbor-advert @th,64,128 != "
        "{ 0xfe80000000000000505400fffe123456, 0xfd000001000000000000000000000007 } drop\n" RULE
        "ether type ip6 ip6 saddr :: icmpv6 type { nd-router-solicit, nd-neighbor-solicit, "
        "mld-listener-report, mld2-listener-report } accept\n" RULE
        "ether type ip6 ip6 saddr != { fe80::5054:ff:fe12:3456, fd00:1::7 } drop\n"
        "add element bridge berth ports { \"t0\" : goto port-t0 }\n");
}

static void test_without_addresses_only_dhcp_passes(void)
{
    SpoofRules rules = {.mac = "52:54:00:12:34:56"};
    g_autofree char *script = spoof_tap_script("t0", &rules, NULL);

    g_assert_nonnull(strstr(script, "arp saddr ip != { 0.0.0.0 } drop\n"));
    g_assert_nonnull(strstr(script, "add rule bridge berth port-t0 ether type ip drop\n"));
}

static void test_any_address_still_holds_the_mac(void)
{
    SpoofRules rules = {.mac = "52:54:00:12:34:56", .any_address = true};
    g_autofree char *script = spoof_tap_script("t0", &rules, NULL);

    g_assert_nonnull(strstr(script, "ether saddr != 52:54:00:12:34:56 drop"));
    g_assert_nonnull(strstr(script, "udp sport 67 drop"));
    g_assert_null(strstr(script, "ip saddr"));
}

static void test_overlay_script(void)
{
    SpoofOverlay overlay = {.gateway_ipv4 = "10.1.0.1",
                            .gateway_ipv6 = "fd00:1::1",
                            .gateway_mac = "52:54:00:00:00:01"};
    g_autofree char *script = spoof_overlay_script("x0", &overlay, NULL);

    g_assert_nonnull(strstr(script, "udp dport { 67, 68 } drop"));
    g_assert_nonnull(strstr(script, "arp saddr ip 10.1.0.1 drop"));
    g_assert_nonnull(strstr(script, "arp daddr ip 10.1.0.1 drop"));
    g_assert_nonnull(strstr(script, "ether saddr 52:54:00:00:00:01 drop"));
    g_assert_nonnull(strstr(script, "@th,64,128 0xfd000001000000000000000000000001 drop"));
}

static void test_nothing_slips_into_the_script(void)
{
    static const char *const bad4[] = {"10.1.0.7 } accept\n", NULL};
    static const char *const bad6[] = {"::1, ::", NULL};
    static const struct {
        const char *tap;
        SpoofRules rules;
        const char *field;
    } cases[] = {
        {"t0\n", {.mac = "52:54:00:12:34:56"}, "interface"},
        {"t0\" : accept", {.mac = "52:54:00:12:34:56"}, "interface"},
        {"t0", {.mac = "52:54:00:12:34:56 accept"}, "mac"},
        {"t0", {.mac = "52:54:00:12:34:56", .ipv4 = bad4}, "ipv4"},
        {"t0", {.mac = "52:54:00:12:34:56", .ipv6 = bad6}, "ipv6"},
    };
    SpoofOverlay overlay = {.gateway_ipv4 = "10.1.0.1 accept"};
    g_autoptr(GError) overlay_error = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(spoof_tap_script(cases[i].tap, &cases[i].rules, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(berth_error_field(error), ==, cases[i].field);
    }
    g_assert_null(spoof_overlay_script("x0", &overlay, &overlay_error));
    g_assert_cmpstr(berth_error_field(overlay_error), ==, "gateway");
}

static void test_shaping_queues(void)
{
    g_assert_cmpuint(shape_burst_bytes(1), ==, 32 * 1024);
    g_assert_cmpuint(shape_burst_bytes(100), ==, 50000);
    g_assert_cmpuint(shape_burst_bytes(100000), ==, 1024 * 1024);
    g_assert_cmpuint(shape_limit_bytes(8), ==, 50000 + 32 * 1024);
    g_assert_cmpuint(shape_limit_bytes(4000000), ==, UINT32_MAX);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/linux/spoof/tap-script", test_tap_script);
    g_test_add_func("/linux/spoof/without-addresses-only-dhcp-passes",
                    test_without_addresses_only_dhcp_passes);
    g_test_add_func("/linux/spoof/any-address-still-holds-the-mac",
                    test_any_address_still_holds_the_mac);
    g_test_add_func("/linux/spoof/overlay-script", test_overlay_script);
    g_test_add_func("/linux/spoof/nothing-slips-into-the-script",
                    test_nothing_slips_into_the_script);
    g_test_add_func("/linux/shape/queues", test_shaping_queues);
    return g_test_run();
}
