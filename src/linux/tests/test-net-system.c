#include "linux/net.h"
#include "tests/system.h"

#include "base/error.h"

#include <string.h>
#include <unistd.h>

#define MAC_A "52:54:00:00:00:0a"
#define MAC_B "52:54:00:00:00:0b"

static Net *new_net(const char *netns)
{
    g_autoptr(GError) error = NULL;
    Net *net = net_open(netns, &error);

    g_assert_no_error(error);
    return net;
}

/* Runs a call that must work. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        g_autoptr(GError) error = NULL;                                                            \
        bool ok = (call);                                                                          \
        g_assert_no_error(error);                                                                  \
        g_assert_true(ok);                                                                         \
    } while (0)

static void test_tap_on_a_bridge(void)
{
    g_autoptr(Net) net = new_net(NULL);
    NetLink bridge, tap;

    /* Twice: whatever died between two steps is made whole. */
    for (int round = 0; round < 2; round++) {
        OK(net_ensure_bridge(net, "bb0", MAC_B, &error));
        OK(net_set_link(net, "bb0", 1450, true, &error));
        OK(net_ensure_address(net, "bb0", "10.1.0.1/24", &error));
        OK(net_ensure_tap(net, "bt0", 70001, &error));
        OK(net_attach_tap(net, "bt0", "bb0", 1450, &error));
        OK(net_ensure_port(net, "bt0", "bb0", 0, &error));
    }
    OK(net_read(net, "bb0", &bridge, &error));
    OK(net_read(net, "bt0", &tap, &error));
    g_assert_cmpstr(bridge.kind, ==, "bridge");
    g_assert_cmpstr(bridge.mac, ==, MAC_B);
    g_assert_cmpuint(bridge.mtu, ==, 1450);
    g_assert_cmpstr(tap.kind, ==, "tun");
    g_assert_cmpint(tap.master, ==, bridge.ifindex);
    g_assert_cmpuint(tap.mtu, ==, 1450);
    g_assert_true(tap.up);
    OK(net_delete(net, "bt0", &error));
    OK(net_delete(net, "bt0", &error));
    OK(net_delete(net, "bb0", &error));
}

static void test_several_go_together(void)
{
    g_autoptr(Net) net = new_net(NULL);
    static const char *const going[] = {"bt0", "bf0", "bt9"};
    NetLink link;

    for (int round = 0; round < 2; round++) {
        OK(net_ensure_tap(net, "bt0", 0, &error));
        OK(net_ensure_plain(net, "bf0", "ifb", &error));
        OK(net_ensure_tap(net, "bt1", 0, &error));
        OK(net_delete_together(net, going, G_N_ELEMENTS(going), &error)); /* bt9: none there */
        g_assert_false(net_read(net, "bt0", &link, NULL));
        g_assert_false(net_read(net, "bf0", &link, NULL));
        OK(net_read(net, "bt1", &link, &error));
    }
    OK(net_delete_together(net, going, G_N_ELEMENTS(going), &error));
    OK(net_delete_together(net, NULL, 0, &error));
    OK(net_read(net, "bt1", &link, &error));
    OK(net_delete(net, "bt1", &error));
}

static void test_tap_in_use_is_left(void)
{
    g_autoptr(Net) net = new_net(NULL);
    Guest guest;

    OK(net_ensure_tap(net, "bt0", 0, &error));
    guest_open(&guest, "bt0", MAC_A, NULL);
    OK(net_ensure_tap(net, "bt0", 0, &error));
    guest_close(&guest);
    OK(net_delete(net, "bt0", &error));
}

static void test_what_belongs_to_others_is_refused(void)
{
    g_autoptr(Net) net = new_net(NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(net_ensure_plain(net, "x0", "ifb", NULL));
    g_assert_false(net_ensure_bridge(net, "x0", NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_CONFLICT);
    g_clear_error(&error);
    g_assert_false(net_ensure_vxlan(net, "x0", 7, "192.0.2.1", &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_CONFLICT);
    g_clear_error(&error);
    g_assert_false(net_ensure_veth(net, "x0", "x1", NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_CONFLICT);
    g_clear_error(&error);
    g_assert_false(net_ensure_tap(net, "x0", 0, &error));
    g_assert_nonnull(berth_error_remedy(error));
    g_clear_error(&error);
    g_assert_false(net_ensure_port(net, "x0", "x0", 0, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_CONFLICT);
    g_assert_true(net_delete(net, "x0", NULL));
}

static void test_bad_input_is_refused(void)
{
    g_autoptr(Net) net = new_net(NULL);
    NetLink link;
    unsigned mtu = 0;
    g_autoptr(GError) missing = NULL;
    g_autoptr(GError) wrong = NULL;
    g_autoptr(GError) vlan = NULL;
    NetFdbEntry entry = {.mac = "nonsense", .remote = "192.0.2.1"};

    g_assert_false(net_read(net, "nothing", &link, &missing));
    g_assert_error(missing, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
    g_assert_false(net_ensure_bridge(net, "much-too-long-a-name", NULL, &wrong));
    g_assert_error(wrong, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_false(net_ensure_bridge(net, "bb0", "zz", NULL));
    g_assert_false(net_ensure_address(net, "lo", "10.1.0.1", NULL));
    g_assert_false(net_ensure_vxlan(net, "bx0", 7, "here", NULL));
    g_assert_false(net_ensure_route(net, "default", "there", NULL));
    g_assert_false(net_sync_fdb(net, "lo", &entry, 1, NULL));
    g_assert_false(net_mtu_of_address(net, "192.0.2.77", &mtu, NULL));
    g_assert_false(net_ensure_port(net, "lo", "lo", 4095, &vlan));
    g_assert_cmpstr(berth_error_field(vlan), ==, "vlan");
    g_assert_null(net_open("/run/netns/berth-no-such", NULL));
}

static void test_list(void)
{
    g_autoptr(Net) net = new_net(NULL);
    g_autoptr(GPtrArray) names = NULL;

    OK(net_ensure_tap(net, "bt1", 0, &error));
    OK(net_ensure_tap(net, "bt0", 0, &error));
    OK(net_ensure_plain(net, "other", "ifb", &error));
    names = net_list(net, "bt", NULL);
    g_assert_cmpuint(names->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(names, 0), ==, "bt0");
    g_assert_cmpstr(g_ptr_array_index(names, 1), ==, "bt1");
    OK(net_delete(net, "bt0", &error));
    OK(net_delete(net, "bt1", &error));
    OK(net_delete(net, "other", &error));
}

static void test_port_vlan_needs_a_filtering_bridge(void)
{
    g_autoptr(Net) net = new_net(NULL);
    g_autoptr(GError) error = NULL;
    bool done;

    g_assert_true(net_ensure_bridge(net, "bb0", NULL, NULL));
    g_assert_true(net_ensure_tap(net, "bt0", 0, NULL));
    done = net_ensure_port(net, "bt0", "bb0", 5, &error);
    /* Kernels with CONFIG_BRIDGE_VLAN_FILTERING take VLANs for later; others refuse. */
    if (!done) {
        g_assert_nonnull(strstr(error->message, "vlan_filtering"));
    }
    g_assert_true(net_delete(net, "bt0", NULL));
    g_assert_true(net_delete(net, "bb0", NULL));
}

static void test_vxlan_is_made_anew_when_it_changes(void)
{
    g_autoptr(Net) net = new_net(NULL);
    NetLink first, same, changed;

    OK(net_ensure_vxlan(net, "bx0", 7, "192.0.2.1", &error));
    OK(net_read(net, "bx0", &first, &error));
    OK(net_ensure_vxlan(net, "bx0", 7, "192.0.2.1", &error));
    OK(net_read(net, "bx0", &same, &error));
    g_assert_cmpint(same.ifindex, ==, first.ifindex);
    OK(net_ensure_vxlan(net, "bx0", 8, "192.0.2.1", &error));
    OK(net_read(net, "bx0", &changed, &error));
    g_assert_cmpint(changed.ifindex, !=, first.ifindex);
    OK(net_delete(net, "bx0", &error));
}

/* One host of the overlay test: a namespace with underlay, bridge, VXLAN, tap and guest. */
typedef struct {
    char *name;
    char *path;
    Net *net;
    Guest guest;
} Host;

static void host_make(Host *host, const char *suffix)
{
    host->name = g_strdup_printf("berth-test-%d-%s", (int)getpid(), suffix);
    host->path = net_namespace_path(host->name);
    OK(net_ensure_namespace(host->name, &error));
    OK(net_ensure_namespace(host->name, &error));
    host->net = new_net(host->path);
}

static void host_join(Host *host, const char *underlay, const char *mac)
{
    unsigned mtu = 0;

    OK(net_ensure_address(host->net, "up", underlay, &error));
    OK(net_set_link(host->net, "up", 0, true, &error));
    g_auto(GStrv) parts = g_strsplit(underlay, "/", 2);
    OK(net_mtu_of_address(host->net, parts[0], &mtu, &error));
    g_assert_cmpuint(mtu, ==, 1500);
    OK(net_ensure_bridge(host->net, "bb0", NULL, &error));
    OK(net_set_link(host->net, "bb0", mtu - NET_VXLAN_OVERHEAD_IPV4, true, &error));
    OK(net_ensure_vxlan(host->net, "bx0", 7, parts[0], &error));
    OK(net_attach_tap(host->net, "bx0", "bb0", mtu - NET_VXLAN_OVERHEAD_IPV4, &error));
    OK(net_ensure_tap(host->net, "bt0", 0, &error));
    OK(net_attach_tap(host->net, "bt0", "bb0", mtu - NET_VXLAN_OVERHEAD_IPV4, &error));
    guest_open(&host->guest, "bt0", mac, host->path);
}

static void host_remove(Host *host)
{
    guest_close(&host->guest);
    net_close(host->net);
    OK(net_delete_namespace(host->name, &error));
    OK(net_delete_namespace(host->name, &error));
    g_free(host->name);
    g_free(host->path);
}

static void assert_heard(const Host *from, const Host *to, const char *ip, bool expected)
{
    g_autoptr(GByteArray) frame = frame_arp(from->guest.mac, from->guest.mac, ip, "10.1.0.9");
    bool heard = false;

    guest_say(&from->guest, frame);
    for (;;) {
        GByteArray *got = guest_hear(&to->guest, expected ? 10000 : 200);

        if (got == NULL) {
            break;
        }
        heard =
            heard || (got->len >= frame->len && memcmp(got->data, frame->data, frame->len) == 0);
        g_byte_array_unref(got);
        if (heard) {
            break;
        }
    }
    g_assert_true(heard == expected);
}

static void test_guests_of_two_hosts_reach_each_other(void)
{
    Host a = {0}, b = {0};
    NetFdbEntry of_a[] = {{NULL, "192.0.2.2"}, {MAC_B, "192.0.2.2"}};
    NetFdbEntry of_b[] = {{NULL, "192.0.2.1"}, {MAC_A, "192.0.2.1"}};
    g_autoptr(GPtrArray) names = NULL;

    host_make(&a, "a");
    host_make(&b, "b");
    names = net_list_namespaces(a.name, NULL);
    g_assert_cmpuint(names->len, ==, 1);
    OK(net_ensure_veth(a.net, "up", "up", b.path, &error));
    OK(net_ensure_veth(a.net, "up", "up", b.path, &error));
    host_join(&a, "192.0.2.1/24", MAC_A);
    host_join(&b, "192.0.2.2/24", MAC_B);
    OK(net_ensure_route(a.net, "10.9.0.0/16", "192.0.2.2", &error));
    OK(net_ensure_route(a.net, "default", "192.0.2.2", &error));

    assert_heard(&a, &b, "10.1.0.1", false); /* nobody has said where the others are */
    OK(net_sync_fdb(a.net, "bx0", of_a, 2, &error));
    OK(net_sync_fdb(a.net, "bx0", of_a, 2, &error));
    OK(net_sync_fdb(b.net, "bx0", of_b, 2, &error));
    assert_heard(&a, &b, "10.1.0.2", true);
    assert_heard(&b, &a, "10.1.0.3", true);
    OK(net_sync_fdb(a.net, "bx0", NULL, 0, &error));
    assert_heard(&a, &b, "10.1.0.4", false); /* what is no longer said is gone */
    host_remove(&a);
    host_remove(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    system_init();
    system_add("/linux/net/tap-on-a-bridge", test_tap_on_a_bridge);
    system_add("/linux/net/several-go-together", test_several_go_together);
    system_add("/linux/net/tap-in-use-is-left", test_tap_in_use_is_left);
    system_add("/linux/net/what-belongs-to-others-is-refused",
               test_what_belongs_to_others_is_refused);
    system_add("/linux/net/bad-input-is-refused", test_bad_input_is_refused);
    system_add("/linux/net/list", test_list);
    system_add("/linux/net/port-vlan-needs-a-filtering-bridge",
               test_port_vlan_needs_a_filtering_bridge);
    system_add("/linux/net/vxlan-is-made-anew-when-it-changes",
               test_vxlan_is_made_anew_when_it_changes);
    system_add("/linux/net/guests-of-two-hosts-reach-each-other",
               test_guests_of_two_hosts_reach_each_other);
    return g_test_run();
}
