#include "linux/names.h"

#include "base/ulid.h"

#include <string.h>

#define VM "01JD8Z3Q9V4K9X2C7DQRSTV5W6"

static void test_shapes(void)
{
    char name[NAMES_SIZE];

    names_tap(VM, 0, name);
    g_assert_cmpstr(name, ==, "btc7dqrstv5w600");
    names_ifb(VM, 255, name);
    g_assert_cmpstr(name, ==, "bfc7dqrstv5w6ff");
    names_bridge(VM, name);
    g_assert_cmpstr(name, ==, "bbx2c7dqrstv5w6");
    names_vxlan(VM, name);
    g_assert_cmpstr(name, ==, "bxx2c7dqrstv5w6");
}

static void test_ifb_stands_beside_its_tap(void)
{
    char tap[NAMES_SIZE], ifb[NAMES_SIZE], derived[NAMES_SIZE];

    names_tap(VM, 3, tap);
    names_ifb(VM, 3, ifb);
    names_ifb_of_tap(tap, derived);
    g_assert_cmpstr(derived, ==, ifb);
}

static void test_only_our_shapes_are_ours(void)
{
    g_assert_true(names_is(NAMES_TAP, "btc7dqrstv5w600"));
    g_assert_false(names_is(NAMES_IFB, "btc7dqrstv5w600"));
    g_assert_false(names_is(NAMES_TAP, "btc7dqrstv5w60g")); /* NIC in hex */
    g_assert_false(names_is(NAMES_TAP, "btc7dqrstv5wi00")); /* no I in Crockford's alphabet */
    g_assert_false(names_is(NAMES_TAP, "bt0"));
    g_assert_false(names_is(NAMES_TAP, ""));
    g_assert_false(names_is(NAMES_BRIDGE, "br-4f2a9c1d7e00"));
    g_assert_true(names_is(NAMES_BRIDGE, "bbx2c7dqrstv5w6"));
}

/* Ids made in one burst (which differ by one) and at random, each with four NICs. */
static void test_no_collisions(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    BerthUlidGenerator generator;
    char ulid[BERTH_ULID_SIZE], name[NAMES_SIZE];
    int64_t now = INT64_C(1700000000000);

    berth_ulid_generator_init(&generator, 7);
    for (int vm = 0; vm < 20000; vm++) {
        berth_ulid_generator_next(&generator, now + vm / 1000 * 17, ulid);
        for (unsigned nic = 0; nic < 4; nic++) {
            names_tap(ulid, nic, name);
            g_assert_true(names_is(NAMES_TAP, name));
            g_assert_true(g_hash_table_add(seen, g_strdup(name)));
        }
        names_bridge(ulid, name);
        g_assert_true(g_hash_table_add(seen, g_strdup(name)));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/linux/names/shapes", test_shapes);
    g_test_add_func("/linux/names/ifb-stands-beside-its-tap", test_ifb_stands_beside_its_tap);
    g_test_add_func("/linux/names/only-our-shapes-are-ours", test_only_our_shapes_are_ours);
    g_test_add_func("/linux/names/no-collisions", test_no_collisions);
    return g_test_run();
}
