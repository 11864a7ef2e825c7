#include <string.h>

#include "base/error.h"
#include "world.h"

static void as(World *w, const char *tenant)
{
    bool own = strcmp(tenant, "default") != 0;
    w->principal = (ClusterPrincipal){.subject = "x", .tenant = tenant, .bound = own, .all = !own};
}

static void fill(World *w, int n)
{
    for (int i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf("fill-%d", i);
        g_assert_true(g_str_has_prefix(create_vm_of(w, name, "m1", ""), "202"));
    }
}

static bool is_there(World *w, const char *vm)
{
    return g_str_has_prefix(ask(w, API_OP_GET_VM, vm, NULL), "200");
}

static char *operation_state(World *w, const char *id)
{
    return text_of(ask(w, API_OP_GET_OPERATION, id, NULL), "state");
}

static void test_it_waits_and_is_placed_when_there_is_room(void)
{
    World *w = world_of_four();
    fill(w, 4);
    const char *reply = create_vm_of(w, "late", "m1", ",\"queue\":true");
    g_assert_true(g_str_has_prefix(reply, "202"));
    g_assert_nonnull(strstr(reply, "waits in the queue: no host has room"));
    g_autofree char *operation = text_of(reply, "id");
    g_autofree char *entry = text_of(ask(w, API_OP_GET_QUEUE_ENTRY, "late", NULL), "id");
    g_assert_false(is_there(w, "late"));
    g_assert_nonnull(strstr(create_vm_of(w, "late", "m1", ""), "of this name waits in the queue"));
    g_assert_nonnull(strstr(create_vm_of(w, "other", "m1", ""), "no host has room"));
    ask(w, API_OP_DELETE_VM, "fill-0", NULL);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "late"));
    g_assert_true(is_there(w, entry)); /* under the id that it had in the queue */
    g_autofree char *state = operation_state(w, operation);
    g_assert_cmpstr(state, ==, "done");
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_QUEUE_ENTRY, "late", NULL), "404"));
    world_free(w);
}

/* Its host may have forgotten tombstones of younger VMs one by one, and then takes what is older and has
 * no higher epoch than they for removed. */
static void test_its_epoch_is_above_those_of_vms_that_are_younger(void)
{
    World *w = world_of_four();
    fill(w, 4);
    create_vm_of(w, "late", "m1", ",\"queue\":true");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "fill-0", NULL), "\"epoch\":1,"));
    ask(w, API_OP_DELETE_VM, "fill-0", NULL);
    world_wait(w, 1000);
    g_assert_null(strstr(ask(w, API_OP_GET_VM, "late", NULL), "\"epoch\":1,"));
    g_assert_true(is_there(w, "late"));
    world_free(w);
}

static void test_it_survives_the_managers_death(void)
{
    World *w = world_of_four();
    fill(w, 4);
    g_autofree char *operation =
        text_of(create_vm_of(w, "late", "m1", ",\"queue\":true,\"priority\":400"), "id");
    ask(w, API_OP_CREATE_APP, NULL,
        "{\"name\":\"gang\",\"size\":\"m1\",\"image\":\"demo\",\"count\":3,\"queue\":true}");
    cluster_core_free(w->core);
    world_boot(w);
    const char *list = ask(w, API_OP_LIST_QUEUE, NULL, NULL);
    g_assert_nonnull(strstr(list, "\"late\""));
    g_assert_nonnull(strstr(list, "\"gang\""));
    g_autofree char *state = operation_state(w, operation);
    g_assert_cmpstr(state, ==, "running");
    g_assert_nonnull(strstr(create_vm_of(w, "late", "m1", ""), "waits in the queue"));
    world_free(w);
}

static void test_who_waits_too_long_is_refused_with_the_reason_then(void)
{
    World *w = world_of_four();
    fill(w, 4);
    g_autofree char *operation =
        text_of(create_vm_of(w, "late", "m1", ",\"queue-seconds\":60"), "id");
    world_wait(w, 30000);
    g_autofree char *before = operation_state(w, operation);
    g_assert_cmpstr(before, ==, "running");
    g_assert_cmpint(cluster_next_deadline(w->core), <=, w->now + 30001);
    world_wait(w, 31000);
    const char *reply = ask(w, API_OP_GET_OPERATION, operation, NULL);
    g_assert_nonnull(strstr(reply, "\"failed\""));
    g_assert_nonnull(strstr(reply, "no room in the time that it could wait: no host has room"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_LIST_QUEUE, NULL, NULL), "200 {\"items\":[]"));
    ask(w, API_OP_DELETE_VM, "fill-0", NULL);
    world_wait(w, 1000);
    g_assert_true(g_str_has_prefix(create_vm_of(w, "late", "m1", ""), "202"));
    world_free(w);
}

static void test_priority_first_then_the_smaller_dominant_share_then_age(void)
{
    World *w = world_of_four();
    as(w, "blue");
    fill(w, 3); /* blue has three quarters */
    as(w, "red");
    fill(w, 1);
    as(w, "blue");
    create_vm_of(w, "b-old", "m1", ",\"queue\":true,\"priority\":300");
    as(w, "red");
    create_vm_of(w, "r-young", "m1", ",\"queue\":true,\"priority\":300");
    create_vm_of(w, "r-younger", "m1", ",\"queue\":true,\"priority\":300");
    as(w, "default");
    create_vm_of(w, "urgent", "m1", ",\"queue\":true,\"priority\":500");
    static const char *const order[] = {"urgent", "r-young", "r-younger", "b-old"};
    const char *at = ask(w, API_OP_LIST_QUEUE, NULL, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
        g_autofree char *quoted = g_strdup_printf("\"name\":\"%s\"", order[i]);
        at = strstr(at, quoted);
        g_assert_nonnull(at);
    }
    /* With each that is placed its tenant's share grows: red's second comes after blue's. */
    as(w, "blue");
    ask(w, API_OP_DELETE_VM, "fill-0", NULL);
    ask(w, API_OP_DELETE_VM, "fill-1", NULL);
    ask(w, API_OP_DELETE_VM, "fill-2", NULL);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "b-old"));
    as(w, "red");
    g_assert_true(is_there(w, "r-young"));
    g_assert_false(is_there(w, "r-younger"));
    as(w, "default");
    g_assert_true(is_there(w, "urgent"));
    world_free(w);
}

static void test_a_large_one_blocks_nobody_until_it_has_waited_too_long(void)
{
    World *w = world_of_four();
    w->config.starvation_ms = 60000;
    cluster_core_free(w->core);
    world_boot(w);
    g_autofree char *host = text_of(ask(w, API_OP_GET_HOST, "h1", NULL), "id");
    report_up(w, host, 4000, 100000);
    fill(w, 4);
    create_vm_of(w, "large", "m3", ",\"queue\":true");
    create_vm_of(w, "small", "m1", ",\"queue\":true");
    ask(w, API_OP_DELETE_VM, "fill-0", NULL);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "small"));
    ask(w, API_OP_DELETE_VM, "fill-1", NULL);
    world_wait(w, 1000);
    g_assert_true(g_str_has_prefix(create_vm_of(w, "new", "m1", ""), "202"));
    world_wait(w, 60000);
    create_vm_of(w, "small-2", "m1", ",\"queue\":true");
    ask(w, API_OP_DELETE_VM, "fill-2", NULL);
    world_wait(w, 1000);
    g_assert_false(is_there(w, "small-2"));
    g_assert_nonnull(strstr(create_vm_of(w, "newer", "m1", ""), "others wait"));
    g_assert_true(g_str_has_prefix(create_vm_of(w, "high", "m1", ",\"priority\":900"), "202"));
    ask(w, API_OP_DELETE_VM, "high", NULL);
    ask(w, API_OP_DELETE_VM, "fill-3", NULL);
    ask(w, API_OP_DELETE_VM, "new", NULL);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "large"));
    g_assert_false(is_there(w, "small-2"));
    world_free(w);
}

static void test_what_no_host_could_hold_starves_nobody(void)
{
    World *w = world_of_four();
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"m9\",\"resources\":{\"cpu\":9000,\"memory\":256}}");
    create_vm_of(w, "huge", "m9", ",\"queue\":true");
    fill(w, 4);
    world_wait(w, 3600000);
    create_vm_of(w, "small", "m1", ",\"queue\":true");
    ask(w, API_OP_DELETE_VM, "fill-0", NULL);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "small"));
    g_free(add_host(w, "h2", 9000, 100000));
    world_wait(w, 1000);
    g_assert_true(is_there(w, "huge"));
    world_free(w);
}

static void test_quota_is_asked_at_the_door_and_taken_when_placed(void)
{
    World *w = world_of_four();
    as(w, "default");
    ask(w, API_OP_UPDATE_TENANT, "blue", "{\"quota\":{\"cpu\":2000}}");
    as(w, "blue");
    fill(w, 2);
    const char *never = create_vm_of(w, "large", "m3", ",\"queue\":true");
    g_assert_true(g_str_has_prefix(never, "409"));
    g_assert_nonnull(strstr(never, "may use 2 cpu and uses 0"));
    g_assert_nonnull(
        strstr(create_vm_of(w, "third", "m1", ",\"queue\":true"), "waits in the queue"));
    g_assert_false(is_there(w, "third"));
    ask(w, API_OP_DELETE_VM, "fill-0", NULL);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "third"));
    world_free(w);
}

static void test_a_gang_is_placed_whole_or_not_at_all(void)
{
    World *w = world_of_four();
    fill(w, 3);
    const char *reply = ask(w, API_OP_CREATE_APP, NULL,
                            "{\"name\":\"gang\",\"size\":\"m1\",\"image\":\"demo\",\"count\":3,"
                            "\"queue\":true}");
    g_assert_true(g_str_has_prefix(reply, "202"));
    g_autofree char *operation = text_of(reply, "id");
    ask(w, API_OP_DELETE_VM, "fill-0", NULL);
    world_wait(w, 1000);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_APP, "gang", NULL), "404"));
    g_assert_false(is_there(w, "gang-1"));
    ask(w, API_OP_DELETE_VM, "fill-1", NULL);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "gang-1"));
    g_assert_true(is_there(w, "gang-3"));
    g_autofree char *state = operation_state(w, operation);
    g_assert_cmpstr(state, ==, "done");
    world_free(w);
}

static void test_whoever_is_taken_out_is_told(void)
{
    World *w = world_of_four();
    fill(w, 4);
    as(w, "blue");
    g_autofree char *operation = text_of(create_vm_of(w, "late", "m1", ",\"queue\":true"), "id");
    as(w, "red");
    g_assert_true(g_str_has_prefix(ask(w, API_OP_DELETE_QUEUE_ENTRY, "late", NULL), "404"));
    g_assert_null(strstr(ask(w, API_OP_LIST_QUEUE, NULL, NULL), "late"));
    as(w, "default");
    g_assert_nonnull(strstr(ask(w, API_OP_DELETE_TENANT, "blue", NULL), "1 waiting request"));
    as(w, "blue");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "late", NULL),
                            "it waits for room: see 'berth queue show late'"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_DELETE_QUEUE_ENTRY, "late", NULL), "200"));
    g_assert_nonnull(
        strstr(ask(w, API_OP_GET_OPERATION, operation, NULL), "taken out of the queue"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_DELETE_QUEUE_ENTRY, "late", NULL), "404"));
    as(w, "default");
    g_assert_true(g_str_has_prefix(ask(w, API_OP_DELETE_TENANT, "blue", NULL), "200"));
    world_free(w);
}

static void test_a_tenants_token_has_a_ceiling(void)
{
    World *w = world_of_four();
    as(w, "blue");
    const char *reply = create_vm_of(w, "vip", "m1", ",\"priority\":501");
    g_assert_true(g_str_has_prefix(reply, "403"));
    g_assert_nonnull(strstr(reply, "priority"));
    as(w, "default");
    ask(w, API_OP_UPDATE_TENANT, "blue", "{\"max-priority\":600,\"weight\":2}");
    as(w, "blue");
    g_assert_true(g_str_has_prefix(create_vm_of(w, "vip", "m1", ",\"priority\":501"), "202"));
    world_free(w);
}

static void test_what_is_wrong_in_itself_does_not_wait(void)
{
    World *w = world_of_four();
    fill(w, 4);
    g_assert_true(g_str_has_prefix(create_vm_of(w, "a", "m7", ",\"queue\":true"), "404"));
    g_assert_true(g_str_has_prefix(create_vm_of(w, "fill-1", "m1", ",\"queue\":true"), "409"));
    create_vm_of(w, "late", "m1", ",\"queue\":true,\"networks\":[\"lan\"]");
    ask(w, API_OP_DELETE_NETWORK, "lan", NULL);
    ask(w, API_OP_DELETE_VM, "fill-0", NULL);
    world_wait(w, 1000);
    g_assert_false(is_there(w, "late")); /* its network is gone: it has ended, and blocks nobody */
    g_assert_true(g_str_has_prefix(ask(w, API_OP_LIST_QUEUE, NULL, NULL), "200 {\"items\":[]"));
    g_assert_true(g_str_has_prefix(create_vm_of(w, "late", "m1", ""), "202"));
    world_free(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cluster/queue/placed-when-there-is-room",
                    test_it_waits_and_is_placed_when_there_is_room);
    g_test_add_func("/cluster/queue/epoch", test_its_epoch_is_above_those_of_vms_that_are_younger);
    g_test_add_func("/cluster/queue/survives-a-restart", test_it_survives_the_managers_death);
    g_test_add_func("/cluster/queue/refused-when-its-time-is-up",
                    test_who_waits_too_long_is_refused_with_the_reason_then);
    g_test_add_func("/cluster/queue/order",
                    test_priority_first_then_the_smaller_dominant_share_then_age);
    g_test_add_func("/cluster/queue/starvation",
                    test_a_large_one_blocks_nobody_until_it_has_waited_too_long);
    g_test_add_func("/cluster/queue/what-can-never-be",
                    test_what_no_host_could_hold_starves_nobody);
    g_test_add_func("/cluster/queue/quota", test_quota_is_asked_at_the_door_and_taken_when_placed);
    g_test_add_func("/cluster/queue/gang", test_a_gang_is_placed_whole_or_not_at_all);
    g_test_add_func("/cluster/queue/remove", test_whoever_is_taken_out_is_told);
    g_test_add_func("/cluster/queue/ceiling", test_a_tenants_token_has_a_ceiling);
    g_test_add_func("/cluster/queue/bad-input", test_what_is_wrong_in_itself_does_not_wait);
    return g_test_run();
}
