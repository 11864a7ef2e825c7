#include <string.h>

#include "world.h"

static void test_a_vm_lives_and_goes(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_CREATE_VM, NULL, VM("web")), "202"));
    const char *vm = ask(w, API_OP_GET_VM, "web", NULL);
    g_assert_nonnull(strstr(vm, "\"power\":\"running\""));
    g_assert_nonnull(strstr(vm, "\"ipv4\":\"10.64.0.2\""));
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_OPERATIONS, NULL, NULL), "\"state\":\"done\""));
    g_assert_nonnull(strstr(ask(w, API_OP_CREATE_VM, NULL, VM("web")), "409 "));
    ask(w, API_OP_DELETE_VM, "web", NULL);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_VM, "web", NULL), "404"));
    const char *ledger = ask(w, API_OP_GET_HOST, "h1", NULL);
    g_assert_nonnull(strstr(ledger, "\"dimension\":\"memory\",\"capacity\":4096,\"reserve\":0,"
                                    "\"guaranteed\":0,\"committed\":0"));
    world_free(w);
}

/* The address that the guest's kernel would make by itself, in a prefix that is the network's only. */
static void test_an_overlay_has_ipv6(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_VM, NULL, VM("web"));
    g_autofree char *subnet = text_of(ask(w, API_OP_GET_NETWORK, "lan", NULL), "subnet6");
    g_assert_true(g_str_has_prefix(subnet, "fd") && g_str_has_suffix(subnet, "::/64"));
    g_autofree char *prefix = g_strndup(subnet, strlen(subnet) - strlen(":/64"));
    const char *vm = ask(w, API_OP_GET_VM, "web", NULL);
    const char *mac = strstr(vm, "\"mac\":\"") + strlen("\"mac\":\"");
    g_autofree char *found = g_strdup_printf("\"ipv6\":\"%s", prefix);
    const char *ipv6 = strstr(vm, found);
    g_assert_nonnull(ipv6);
    unsigned m[6], g[4];
    g_assert_cmpint(sscanf(mac, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]), ==,
                    6);
    g_assert_cmpint(sscanf(ipv6 + strlen(found), "%x:%x:%x:%x", &g[0], &g[1], &g[2], &g[3]), ==, 4);
    g_assert_cmphex(g[0], ==, (m[0] ^ 2) << 8 | m[1]);
    g_assert_cmphex(g[1], ==, m[2] << 8 | 0xff);
    g_assert_cmphex(g[2], ==, 0xfe00 | m[3]);
    g_assert_cmphex(g[3], ==, m[4] << 8 | m[5]);
    ask(w, API_OP_CREATE_NETWORK, NULL, "{\"name\":\"other\"}");
    g_autofree char *other = text_of(ask(w, API_OP_GET_NETWORK, "other", NULL), "subnet6");
    g_assert_cmpstr(other, !=, subnet);
    ask(w, API_OP_CREATE_NETWORK, NULL,
        "{\"name\":\"office\",\"kind\":\"bridge\",\"bridge\":\"br0\"}");
    g_assert_null(strstr(ask(w, API_OP_GET_NETWORK, "office", NULL), "subnet6"));
    world_free(w);
}

static void test_a_vm_is_shown_as_it_was_last_changed(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_VM, NULL, VM("web"));
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "web", NULL), "\"memory\":256"));
    ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":128}");
    const char *resized = ask(w, API_OP_GET_VM, "web", NULL);
    g_assert_nonnull(strstr(resized, "\"memory\":128"));
    g_assert_nonnull(strstr(resized, "\"generation\":2,\"power\":\"running\""));
    ask(w, API_OP_UPDATE_VM, "web", "{\"power\":\"off\"}");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "web", NULL), "\"power\":\"off\""));
    world_free(w);
}

static void test_nothing_leaves_before_it_is_durable(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    w->durable = false;
    g_ptr_array_set_size(w->calls, 0);
    g_assert_null(ask(w, API_OP_CREATE_VM, NULL, VM("web")));
    uint64_t create = w->next_request;
    g_assert_null(ask(w, API_OP_GET_VM, "web", NULL));
    uint64_t get = w->next_request;
    g_assert_cmpuint(w->calls->len, ==, 0);
    w->durable = true;
    world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_COMMITTED, .commit = {w->revision, NULL}});
    g_assert_nonnull(g_hash_table_lookup(w->replies, &create));
    g_assert_true(g_str_has_prefix(g_hash_table_lookup(w->replies, &get), "200"));
    g_assert_cmpuint(w->calls->len, >, 0);
    world_free(w);
}

static void test_the_store_brings_everything_back(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 8000, 8192);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_APP, NULL,
        "{\"name\":\"shop\",\"size\":\"m1\",\"image\":\"demo\",\"count\":5,\"networks\":[\"lan\"]"
        "}");
    g_autofree char *before = g_strdup(ask(w, API_OP_GET_APP, "shop", NULL));
    g_assert_nonnull(strstr(before, "\"vms\":5,\"running\":5"));
    cluster_core_free(w->core);
    world_boot(w);
    report_up(w, host, 8000, 8192);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_APP, "shop", NULL), "\"vms\":5,\"running\":5"));
    ask(w, API_OP_DELETE_APP, "shop", NULL);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_APP, "shop", NULL), "404"));
    world_free(w);
}

static void test_an_app_is_placed_whole_or_not_at_all(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 2000, 4096);
    add_image_and_size(w);
    const char *reply = ask(w, API_OP_CREATE_APP, NULL,
                            "{\"name\":\"shop\",\"size\":\"m1\",\"image\":\"demo\",\"count\":3}");
    g_assert_true(g_str_has_prefix(reply, "409"));
    g_assert_nonnull(strstr(reply, "2 of 3 VMs fit"));
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_VMS, NULL, NULL), "\"items\":[]"));
    world_free(w);
}

static void test_what_the_store_does_not_know_is_left_alone(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 2000, 4096);
    g_ptr_array_set_size(w->calls, 0);
    g_autoptr(AgentReport) report = report_of("01STRAY", 3, 1, POWER_IS_RUNNING, NULL);
    deliver_report(w, host, report);
    g_assert_cmpuint(w->calls->len, ==, 0);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_HOST, "h1", NULL), "01STRAY"));
    ask(w, API_OP_PURGE_VM, "01STRAY", NULL);
    g_assert_cmpstr(w->calls->pdata[0], ==, "vm.remove 01STRAY");
    world_free(w);
}

static void test_a_shrink_frees_only_what_the_guest_has_given(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_VM, NULL, VM("web"));
    w->obedient = false;
    ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":128}");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_HOST, "h1", NULL), "\"committed\":384"));
    const char *too_large = ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":512}");
    g_assert_true(g_str_has_prefix(too_large, "400"));
    world_free(w);
}

/* The growth may have happened although nobody has heard of it. */
static void test_a_growth_that_is_undone_stays_booked_until_the_host_says_so(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_VM, NULL, VM("web"));
    ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":128}");
    w->obedient = false;
    ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":256}");
    ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":128}");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_HOST, "h1", NULL), "\"committed\":384"));
    w->obedient = true;
    ask(w, API_OP_UPDATE_VM, "web", "{\"restart\":\"never\"}");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_HOST, "h1", NULL), "\"committed\":256"));
    world_free(w);
}

static void test_a_vm_that_an_app_lacks_is_made_anew(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 8000, 8192);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_APP, NULL,
        "{\"name\":\"shop\",\"size\":\"m1\",\"image\":\"demo\",\"count\":2}");
    g_autofree char *before = text_of(ask(w, API_OP_GET_VM, "shop-1", NULL), "id");
    ask(w, API_OP_DELETE_VM, "shop-1", NULL);
    g_autofree char *after = text_of(ask(w, API_OP_GET_VM, "shop-1", NULL), "id");
    g_assert_cmpstr(before, !=, after);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_APP, "shop", NULL), "\"vms\":2,\"running\":2"));
    world_free(w);
}

/* A host that has not heard the newest, or speaks of an earlier placement, has done nothing yet. */
static void test_a_late_report_does_not_end_an_operation(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_VM, NULL, VM("web"));
    g_autofree char *id = text_of(ask(w, API_OP_GET_VM, "web", NULL), "id");
    w->obedient = false;
    ask(w, API_OP_UPDATE_VM, "web", "{\"power\":\"off\"}");
    g_autoptr(AgentReport) generation = report_of(id, 1, 1, POWER_IS_OFF, NULL);
    deliver_report(w, host, generation);
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_OPERATIONS, NULL, NULL), "\"state\":\"running\""));
    g_autoptr(AgentReport) epoch = report_of(id, 0, 2, POWER_IS_CRASHED, NULL);
    deliver_report(w, host, epoch);
    g_assert_null(strstr(ask(w, API_OP_GET_VM, "web", NULL), "crashed"));
    g_autoptr(AgentReport) newest = report_of(id, 1, 2, POWER_IS_OFF, NULL);
    deliver_report(w, host, newest);
    g_assert_null(strstr(ask(w, API_OP_LIST_OPERATIONS, NULL, NULL), "\"state\":\"running\""));
    world_free(w);
}

static void assert_address(World *w, const char *vm, const char *ipv4)
{
    const char *reply = ask(w, API_OP_GET_VM, vm, NULL);
    g_autofree char *member = g_strdup_printf("\"ipv4\":\"%s\"", ipv4);
    g_assert_true(g_str_has_prefix(reply, "200"));
    g_assert_nonnull(strstr(reply, member));
}

static void test_the_lowest_address_that_is_free_is_given(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 16000, 16384);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_NETWORK, NULL,
        "{\"name\":\"small\",\"kind\":\"overlay\",\"subnet\":\"10.9.0.0/29\"}");
    for (int i = 0; i < 5; i++) {
        g_autofree char *name = g_strdup_printf("vm-%d", i);
        g_autofree char *address = g_strdup_printf("10.9.0.%d", i + 2);
        create_vm_of(w, name, "m1", ",\"networks\":[\"small\"]");
        assert_address(w, name, address);
    }
    g_assert_nonnull(strstr(create_vm_of(w, "late", "m1", ",\"networks\":[\"small\"]"),
                            "no address of 10.9.0.0/29 is free"));
    ask(w, API_OP_DELETE_VM, "vm-3", NULL);
    ask(w, API_OP_DELETE_VM, "vm-1", NULL);
    create_vm_of(w, "late", "m1", ",\"networks\":[\"small\"]");
    assert_address(w, "late", "10.9.0.3");
    cluster_core_free(w->core);
    world_boot(w);
    report_up(w, host, 16000, 16384);
    create_vm_of(w, "later", "m1", ",\"networks\":[\"small\"]");
    assert_address(w, "later", "10.9.0.5");
    g_assert_nonnull(strstr(create_vm_of(w, "last", "m1", ",\"networks\":[\"small\"]"),
                            "no address of 10.9.0.0/29 is free"));
    world_free(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cluster/a-vm-lives-and-goes", test_a_vm_lives_and_goes);
    g_test_add_func("/cluster/an-overlay-has-ipv6", test_an_overlay_has_ipv6);
    g_test_add_func("/cluster/the-lowest-address-that-is-free-is-given",
                    test_the_lowest_address_that_is_free_is_given);
    g_test_add_func("/cluster/a-vm-is-shown-as-it-was-last-changed",
                    test_a_vm_is_shown_as_it_was_last_changed);
    g_test_add_func("/cluster/nothing-leaves-before-it-is-durable",
                    test_nothing_leaves_before_it_is_durable);
    g_test_add_func("/cluster/the-store-brings-everything-back",
                    test_the_store_brings_everything_back);
    g_test_add_func("/cluster/an-app-is-placed-whole-or-not-at-all",
                    test_an_app_is_placed_whole_or_not_at_all);
    g_test_add_func("/cluster/what-the-store-does-not-know-is-left-alone",
                    test_what_the_store_does_not_know_is_left_alone);
    g_test_add_func("/cluster/a-shrink-frees-only-what-the-guest-has-given",
                    test_a_shrink_frees_only_what_the_guest_has_given);
    g_test_add_func("/cluster/a-growth-that-is-undone-stays-booked-until-the-host-says-so",
                    test_a_growth_that_is_undone_stays_booked_until_the_host_says_so);
    g_test_add_func("/cluster/a-vm-that-an-app-lacks-is-made-anew",
                    test_a_vm_that_an_app_lacks_is_made_anew);
    g_test_add_func("/cluster/a-late-report-does-not-end-an-operation",
                    test_a_late_report_does_not_end_an_operation);
    return g_test_run();
}
