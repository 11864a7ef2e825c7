#include "linux/net.h"
#include "linux/shape.h"
#include "linux/spoof.h"
#include "tests/system.h"

#include "base/error.h"

#include <linux/if_ether.h>
#include <string.h>

#define MAC_A "52:54:00:00:00:0a"
#define MAC_B "52:54:00:00:00:0b"
#define LINK_LOCAL_A "fe80::5054:ff:fe00:a"

#define OK(call)                                                                                   \
    do {                                                                                           \
        g_autoptr(GError) error = NULL;                                                            \
        bool ok = (call);                                                                          \
        g_assert_no_error(error);                                                                  \
        g_assert_true(ok);                                                                         \
    } while (0)

static const char *const ipv4[] = {"10.1.0.7", NULL};
static const char *const ipv6[] = {"fd00:1::7", NULL};
static const SpoofRules rules = {.mac = MAC_A, .ipv4 = ipv4, .ipv6 = ipv6};

/* Two taps on a bridge; the first is watched, the second hears what gets through. */
typedef struct {
    Net *net;
    Spoof *spoof;
    Guest speaker, listener;
} Lan;

static void lan_make(Lan *lan)
{
    lan->net = net_open(NULL, NULL);
    lan->spoof = spoof_open(NULL);
    g_assert_nonnull(lan->net);
    g_assert_nonnull(lan->spoof);
    OK(net_ensure_bridge(lan->net, "bb0", NULL, &error));
    OK(net_set_link(lan->net, "bb0", 0, true, &error));
    OK(net_ensure_tap(lan->net, "bt0", 0, &error));
    OK(net_ensure_tap(lan->net, "bt1", 0, &error));
    guest_open(&lan->speaker, "bt0", MAC_A, NULL);
    guest_open(&lan->listener, "bt1", MAC_B, NULL);
    OK(net_attach_tap(lan->net, "bt0", "bb0", 0, &error));
    OK(net_attach_tap(lan->net, "bt1", "bb0", 0, &error));
}

static void lan_remove(Lan *lan)
{
    guest_close(&lan->speaker);
    guest_close(&lan->listener);
    OK(net_delete(lan->net, "bt0", &error));
    OK(net_delete(lan->net, "bt1", &error));
    OK(net_delete(lan->net, "bb0", &error));
    OK(spoof_remove_all(lan->spoof, &error));
    net_close(lan->net);
    spoof_close(lan->spoof);
}

static GByteArray *honest(const Lan *lan)
{
    return frame_udp4(lan->speaker.mac, "10.1.0.7", "10.1.0.9", 9, 9, "marker", 6);
}

/* Takes `frame`. */
static bool passes(const Lan *lan, GByteArray *frame)
{
    g_autoptr(GByteArray) marker = honest(lan);
    bool passed = frame_passes(&lan->speaker, &lan->listener, frame, marker);

    g_byte_array_unref(frame);
    return passed;
}

static GByteArray *udp4(const uint8_t *mac, const char *from, uint16_t from_port, uint16_t to_port)
{
    return frame_udp4(mac, from, "255.255.255.255", from_port, to_port, "x", 1);
}

static void assert_guarded(const Lan *lan)
{
    const uint8_t *own = lan->speaker.mac;
    const uint8_t *other = lan->listener.mac;

    g_assert_true(passes(lan, udp4(own, "10.1.0.7", 1, 2)));
    g_assert_true(passes(lan, udp4(own, "0.0.0.0", 68, 67)));
    g_assert_true(passes(lan, frame_arp(own, own, "10.1.0.7", "10.1.0.9")));
    g_assert_true(passes(lan, frame_arp(own, own, "0.0.0.0", "10.1.0.7")));
    g_assert_true(passes(lan, frame_udp6(own, "fd00:1::7", "ff02::1", 1, 2)));
    g_assert_true(passes(lan, frame_udp6(own, LINK_LOCAL_A, "ff02::1", 546, 547)));
    g_assert_true(passes(lan, frame_icmp6(own, "::", 135, "fd00:1::7")));
    g_assert_true(passes(lan, frame_icmp6(own, "fd00:1::7", 136, "fd00:1::7")));

    g_assert_false(passes(lan, udp4(other, "10.1.0.7", 1, 2)));
    g_assert_false(passes(lan, udp4(own, "10.1.0.8", 1, 2)));
    g_assert_false(passes(lan, udp4(own, "0.0.0.0", 1, 2)));
    g_assert_false(passes(lan, udp4(own, "10.1.0.7", 67, 68)));
    g_assert_false(passes(lan, frame_arp(own, own, "10.1.0.8", "10.1.0.9")));
    g_assert_false(passes(lan, frame_arp(own, other, "10.1.0.7", "10.1.0.9")));
    g_assert_false(passes(lan, frame_udp6(own, "fd00:1::8", "ff02::1", 1, 2)));
    g_assert_false(passes(lan, frame_udp6(own, "fe80::1", "ff02::1", 1, 2)));
    g_assert_false(passes(lan, frame_udp6(own, "::", "ff02::1", 1, 2)));
    g_assert_false(passes(lan, frame_udp6(own, "fd00:1::7", "ff02::1", 547, 546)));
    g_assert_false(passes(lan, frame_icmp6(own, LINK_LOCAL_A, 134, "::")));
    g_assert_false(passes(lan, frame_icmp6(own, LINK_LOCAL_A, 137, "::")));
    g_assert_false(passes(lan, frame_icmp6(own, "fd00:1::7", 136, "fd00:1::8")));
    g_assert_false(passes(lan, frame_ethernet(own, 0x88cc, "lldp........................", 24)));
    g_assert_false(passes(lan, frame_tagged(udp4(own, "10.1.0.7", 1, 2), 5)));
    g_assert_false(passes(lan, frame_tagged(udp4(own, "10.1.0.8", 1, 2), 0)));
}

static void test_without_a_guard_all_passes(void)
{
    Lan lan;

    lan_make(&lan);
    g_assert_true(passes(&lan, udp4(lan.listener.mac, "10.1.0.8", 1, 2)));
    g_assert_true(passes(&lan, frame_icmp6(lan.speaker.mac, LINK_LOCAL_A, 134, "::")));
    g_assert_true(passes(&lan, frame_ethernet(lan.speaker.mac, 0x88cc, "lldp", 4)));
    lan_remove(&lan);
}

static void test_guard(void)
{
    Lan lan;

    lan_make(&lan);
    OK(spoof_ensure_tap(lan.spoof, "bt0", &rules, &error));
    assert_guarded(&lan);
    OK(spoof_ensure_tap(lan.spoof, "bt0", &rules, &error));
    assert_guarded(&lan);
    lan_remove(&lan);
}

/* What comes back from an ifb skips the tap's own ingress hooks. */
static void test_shaping_does_not_open_the_guard(void)
{
    ShapeRates rates = {.to_guest_mbit = 1000, .from_guest_mbit = 1000};
    Lan lan;

    lan_make(&lan);
    OK(spoof_ensure_tap(lan.spoof, "bt0", &rules, &error));
    OK(shape_set(lan.net, "bt0", "bf0", &rates, &error));
    assert_guarded(&lan);
    OK(shape_remove(lan.net, "bf0", &error));
    lan_remove(&lan);
}

static void test_any_address(void)
{
    SpoofRules any = {.mac = MAC_A, .any_address = true};
    Lan lan;

    lan_make(&lan);
    OK(spoof_ensure_tap(lan.spoof, "bt0", &any, &error));
    g_assert_true(passes(&lan, udp4(lan.speaker.mac, "192.0.2.1", 1, 2)));
    g_assert_false(passes(&lan, udp4(lan.listener.mac, "192.0.2.1", 1, 2)));
    g_assert_false(passes(&lan, udp4(lan.speaker.mac, "192.0.2.1", 67, 68)));
    lan_remove(&lan);
}

static void test_overlay_keeps_local_what_is_local(void)
{
    SpoofOverlay overlay = {
        .gateway_ipv4 = "10.1.0.1", .gateway_ipv6 = "fd00:1::1", .gateway_mac = MAC_B};
    const uint8_t *own = NULL;
    Lan lan;

    lan_make(&lan);
    own = lan.speaker.mac;
    OK(spoof_ensure_overlay(lan.spoof, "bt0", &overlay, &error));
    g_assert_true(passes(&lan, udp4(own, "10.1.0.8", 1, 2)));
    g_assert_true(passes(&lan, frame_arp(own, own, "10.1.0.8", "10.1.0.9")));
    g_assert_true(passes(&lan, frame_icmp6(own, "fd00:1::8", 135, "fd00:1::9")));
    g_assert_false(passes(&lan, udp4(own, "0.0.0.0", 68, 67)));
    g_assert_false(passes(&lan, udp4(own, "10.1.0.1", 67, 68)));
    g_assert_false(passes(&lan, frame_arp(own, own, "10.1.0.8", "10.1.0.1")));
    g_assert_false(passes(&lan, frame_arp(own, own, "10.1.0.1", "10.1.0.8")));
    g_assert_false(passes(&lan, udp4(lan.listener.mac, "10.1.0.8", 1, 2)));
    g_assert_false(passes(&lan, frame_icmp6(own, "fd00:1::8", 135, "fd00:1::1")));
    g_assert_false(passes(&lan, frame_icmp6(own, "fe80::1", 134, "::")));
    lan_remove(&lan);
}

static void test_list_and_remove(void)
{
    g_autoptr(GPtrArray) before = NULL;
    g_autoptr(GPtrArray) after = NULL;
    Lan lan;

    lan_make(&lan);
    OK(spoof_ensure_tap(lan.spoof, "bt0", &rules, &error));
    OK(spoof_ensure_tap(lan.spoof, "bt-gone", &rules, &error));
    before = spoof_list(lan.spoof, NULL);
    g_assert_cmpuint(before->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(before, 0), ==, "bt-gone");
    g_assert_cmpstr(g_ptr_array_index(before, 1), ==, "bt0");
    OK(spoof_remove(lan.spoof, "bt0", &error));
    OK(spoof_remove(lan.spoof, "bt0", &error));
    OK(spoof_remove(lan.spoof, "bt-never", &error));
    after = spoof_list(lan.spoof, NULL);
    g_assert_cmpuint(after->len, ==, 1);
    g_assert_true(passes(&lan, udp4(lan.listener.mac, "10.1.0.8", 1, 2)));
    lan_remove(&lan);
}

static void test_flushed_rules_come_back(void)
{
    g_autoptr(GPtrArray) names = NULL;
    Lan lan;

    lan_make(&lan);
    OK(spoof_ensure_tap(lan.spoof, "bt0", &rules, &error));
    OK(spoof_remove_all(lan.spoof, &error));
    names = spoof_list(lan.spoof, NULL);
    g_assert_cmpuint(names->len, ==, 0);
    OK(spoof_ensure_tap(lan.spoof, "bt0", &rules, &error));
    assert_guarded(&lan);
    lan_remove(&lan);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    system_init();
    system_add("/linux/guard/without-a-guard-all-passes", test_without_a_guard_all_passes);
    system_add("/linux/guard/guard", test_guard);
    system_add("/linux/guard/shaping-does-not-open-the-guard",
               test_shaping_does_not_open_the_guard);
    system_add("/linux/guard/any-address", test_any_address);
    system_add("/linux/guard/overlay-keeps-local-what-is-local",
               test_overlay_keeps_local_what_is_local);
    system_add("/linux/guard/list-and-remove", test_list_and_remove);
    system_add("/linux/guard/flushed-rules-come-back", test_flushed_rules_come_back);
    return g_test_run();
}
