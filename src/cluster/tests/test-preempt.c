#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "world.h"

static void created(World *w, const char *name, const char *size, const char *more)
{
    g_assert_true(g_str_has_prefix(create_vm_of(w, name, size, more), "202"));
}

static bool shows(World *w, const char *vm, const char *text)
{
    return strstr(ask(w, API_OP_GET_VM, vm, NULL), text) != NULL;
}

/* What the host's ledger says of its CPU: "guaranteed". */
static int64_t booked_cpu(World *w)
{
    json_t *json = json_loads(strchr(ask(w, API_OP_GET_HOST, "h1", NULL), '{'), 0, NULL);
    const json_t *row =
        json_array_get(json_object_get(json_object_get(json, "status"), "ledger"), 0);
    int64_t amount = json_integer_value(json_object_get(row, "guaranteed"));
    json_decref(json);
    return amount;
}

static void test_the_least_is_taken_and_starts_again(void)
{
    World *w = world_of_four();
    created(w, "low", "m1", ",\"priority\":100");
    created(w, "old", "m1", ",\"priority\":50");
    created(w, "young", "m1", ",\"priority\":50");
    created(w, "equal", "m1", ",\"priority\":900");
    created(w, "high", "m1", ",\"priority\":900");
    g_assert_true(shows(w, "young", "\"preempted\":true"));
    g_assert_true(shows(w, "young", "\"released\":true"));
    g_assert_true(shows(w, "young", "\"power\":\"off\"")); /* as it is */
    g_assert_true(shows(w, "high", "takes the place of young (priority 50)"));
    g_assert_true(shows(w, "high", "\"power\":\"running\""));
    g_assert_false(shows(w, "old", "\"preempted\":true"));
    g_assert_cmpint(booked_cpu(w), ==, 4000);
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_QUEUE, NULL, NULL), "\"name\":\"young\""));
    const char *reply = ask(w, API_OP_DELETE_QUEUE_ENTRY, "young", NULL);
    g_assert_true(g_str_has_prefix(reply, "409"));
    ask(w, API_OP_DELETE_VM, "low", NULL);
    world_wait(w, 1000);
    g_assert_false(shows(w, "young", "\"preempted\":true"));
    g_assert_true(shows(w, "young", "\"power\":\"running\""));
    g_assert_cmpint(booked_cpu(w), ==, 4000);
    world_free(w);
}

static void test_nobody_of_the_same_or_a_higher_priority_is_taken(void)
{
    World *w = world_of_four();
    for (int i = 0; i < 4; i++) {
        g_autofree char *name = g_strdup_printf("vm-%d", i);
        created(w, name, "m1", i == 0 ? ",\"priority\":100,\"preemptible\":false" : "");
    }
    g_assert_nonnull(strstr(create_vm_of(w, "same", "m1", ""), "no host has room"));
    g_assert_true(shows(w, "vm-0", "\"power\":\"running\""));
    created(w, "higher", "m1", ",\"priority\":501");
    g_assert_false(shows(w, "vm-0", "\"preempted\":true"));
    g_assert_true(shows(w, "vm-3", "\"preempted\":true"));
    w->principal = (ClusterPrincipal){.subject = "x", .tenant = "blue", .bound = true};
    g_assert_true(
        g_str_has_prefix(create_vm_of(w, "spared", "m1", ",\"preemptible\":false"), "403"));
    world_free(w);
}

static void test_a_dry_run_shows_whom_it_would_hit(void)
{
    World *w = world_of_four();
    created(w, "low", "m3", ",\"priority\":100");
    created(w, "vm", "m1", "");
    CreateVmQuery *query = codec_new(api_routes[API_OP_CREATE_VM].query);
    query->dry_run = true;
    const char *reply =
        ask_with(w, API_OP_CREATE_VM, NULL, query,
                 "{\"name\":\"high\",\"size\":\"m3\",\"image\":\"demo\",\"priority\":900}");
    g_assert_nonnull(strstr(reply, "takes the place of low (priority 100)"));
    g_assert_false(shows(w, "low", "\"preempted\":true"));
    world_free(w);
}

static void on_host(World *w, const char *name, const char *size, const char *host, int priority)
{
    g_autofree char *more = g_strdup_printf(",\"host\":\"%s\",\"priority\":%d", host, priority);
    created(w, name, size, more);
    world_wait(w, 1000);
}

/* Five hosts of one CPU each: an old VM, a young one of the same priority, one of a higher, two small ones of the
 * lowest, and one that nobody takes. */
static World *world_of_choices(void)
{
    static const char *const hosts[] = {"a", "b", "c", "d", "e"};
    World *w = world_new();
    add_image_and_size(w);
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"half\",\"resources\":{\"cpu\":500,\"memory\":64}}");
    for (guint i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_free(add_host(w, hosts[i], 1000, 10000));
    }
    on_host(w, "old", "m1", "a", 100);
    on_host(w, "young", "m1", "b", 100);
    on_host(w, "dearer", "m1", "c", 200);
    on_host(w, "small-1", "half", "d", 10);
    on_host(w, "small-2", "half", "d", 20);
    on_host(w, "equal", "m1", "e", 900);
    return w;
}

static char *since(World *w, const char *vm)
{
    json_t *json = json_loads(strchr(ask(w, API_OP_GET_VM, vm, NULL), '{'), 0, NULL);
    const json_t *placed = json_object_get(json_object_get(json, "placement"), "placed-ms");
    char *text = berth_time_format(json_integer_value(placed));
    json_decref(json);
    return text;
}

/* The verdict on a host. */
static char *verdict_on(const char *reply, const char *host)
{
    json_t *json = json_loads(strchr(reply, '{'), 0, NULL);
    const json_t *rows = json_object_get(json_object_get(json, "explanation"), "hosts"), *row;
    char *verdict = NULL;
    size_t i;
    json_array_foreach (rows, i, row) {
        if (strcmp(json_string_value(json_object_get(row, "host")), host) == 0) {
            verdict = g_strdup(json_string_value(json_object_get(row, "verdict")));
            g_assert_true(i > 0 || json_is_true(json_object_get(row, "chosen")));
        }
    }
    json_decref(json);
    return verdict;
}

static void assert_verdict(const char *reply, const char *host, const char *expected)
{
    g_autofree char *is = verdict_on(reply, host);
    g_assert_cmpstr(is, ==, expected);
}

/* Whose place and why theirs, and why not the others', as it is then done. */
static void test_an_explanation_tells_who_and_why(void)
{
    for (int dry_run = 1; dry_run >= 0; dry_run--) {
        World *w = world_of_choices();
        g_autofree char *old = since(w, "old"), *young = since(w, "young");
        CreateVmQuery *query = codec_new(api_routes[API_OP_CREATE_VM].query);
        query->dry_run = dry_run;
        query->explain = true;
        const char *reply =
            ask_with(w, API_OP_CREATE_VM, NULL, query,
                     "{\"name\":\"high\",\"size\":\"m1\",\"image\":\"demo\",\"priority\":900}");
        g_autofree char *on_a = g_strdup_printf("lacks 1 cpu; it could take the place of old "
                                                "(priority 100): there since %s, not %s",
                                                old, young);
        g_autofree char *on_b =
            g_strdup_printf("chosen: takes the place of young (priority 100): 1 VM, the fewest; "
                            "priority 100, the lowest of those; there since %s, the youngest of "
                            "those",
                            young);
        assert_verdict(reply, "a", on_a);
        assert_verdict(reply, "b", on_b);
        assert_verdict(reply, "c",
                       "lacks 1 cpu; it could take the place of dearer (priority "
                       "200): priority 200, not 100");
        assert_verdict(reply, "d",
                       "lacks 1 cpu; it could take the place of small-1 (priority "
                       "10) and small-2 (priority 20): 2 VMs, not 1");
        assert_verdict(reply, "e", "lacks 1 cpu");
        g_assert_true(shows(w, "young", "\"preempted\":true") == !dry_run);
        g_assert_false(shows(w, "old", "\"preempted\":true"));
        world_free(w);
    }
}

static void test_an_explanation_of_an_app_tells_who(void)
{
    World *w = world_of_choices();
    CreateAppQuery *query = codec_new(api_routes[API_OP_CREATE_APP].query);
    query->dry_run = query->explain = true;
    const char *reply = ask_with(
        w, API_OP_CREATE_APP, NULL, query,
        "{\"name\":\"web\",\"size\":\"half\",\"image\":\"demo\",\"count\":3,\"priority\":900}");
    g_autofree char *d = verdict_on(reply, "d");
    g_assert_cmpstr(
        d, ==,
        "chosen for 2 of 3 VMs: takes the place of small-1 (priority 10) and small-2 "
        "(priority 20): for each the fewest, of those the lowest priority, of those the "
        "youngest");
    g_assert_nonnull(strstr(reply, "chosen for 1 of 3 VMs: takes the place of young"));
    world_free(w);
}

/* The host does what it is told only when the test says so: what becomes free is never anybody else's. */
static void test_room_is_held_from_the_decision_on(void)
{
    World *w = world_of_four();
    g_autofree char *host = text_of(ask(w, API_OP_GET_HOST, "h1", NULL), "id");
    created(w, "low-1", "m1", ",\"priority\":100");
    created(w, "low-2", "m1", ",\"priority\":100");
    g_autofree char *one = text_of(ask(w, API_OP_GET_VM, "low-1", NULL), "id");
    g_autofree char *two = text_of(ask(w, API_OP_GET_VM, "low-2", NULL), "id");
    w->obedient = false;
    created(w, "vm", "m1", "");
    created(w, "high", "m3", ",\"priority\":900"); /* one is free; it takes both others */
    g_assert_true(shows(w, "high", "\"claiming\":true"));
    g_assert_cmpint(booked_cpu(w), ==, 4000);
    g_assert_nonnull(strstr(create_vm_of(w, "thief", "m1", ""), "no host has room"));
    for (guint i = 0; i < w->calls->len; i++) {
        g_autofree char *id = text_of(ask(w, API_OP_GET_VM, "high", NULL), "id");
        g_assert_null(strstr(w->calls->pdata[i], id)); /* its host was not told of it yet */
    }
    g_autoptr(Resources) none = resources_new();
    g_autoptr(AgentReport) first = report_of(one, 1, 2, POWER_IS_OFF, none);
    deliver_report(w, host, first);
    g_assert_nonnull(strstr(create_vm_of(w, "thief", "m1", ""), "no host has room"));
    g_assert_true(shows(w, "high", "\"claiming\":true"));
    g_assert_cmpint(booked_cpu(w), ==, 4000);
    cluster_core_free(w->core); /* the manager dies between the two */
    world_boot(w);
    g_assert_cmpint(booked_cpu(w), ==, 4000);
    report_up(w, host, 4000, 100000);
    g_assert_nonnull(strstr(create_vm_of(w, "thief", "m1", ""), "no host has room"));
    g_assert_true(shows(w, "high", "\"claiming\":true"));
    w->obedient = true;
    g_autoptr(AgentReport) second = report_of(two, 1, 2, POWER_IS_OFF, none);
    deliver_report(w, host, second);
    g_assert_false(shows(w, "high", "\"claiming\":true"));
    g_assert_true(shows(w, "high", "\"power\":\"running\""));
    g_assert_cmpint(booked_cpu(w), ==, 4000);
    world_free(w);
}

static void test_who_gives_up_a_claim_lets_the_victims_start_again(void)
{
    World *w = world_of_four();
    g_autofree char *host = text_of(ask(w, API_OP_GET_HOST, "h1", NULL), "id");
    created(w, "low", "m3", ",\"priority\":100");
    g_autofree char *low = text_of(ask(w, API_OP_GET_VM, "low", NULL), "id");
    w->obedient = false;
    created(w, "high", "m3", ",\"priority\":900");
    g_autofree char *high = text_of(ask(w, API_OP_GET_VM, "high", NULL), "id");
    ask(w, API_OP_DELETE_VM, "high", NULL);
    g_autoptr(AgentReport) gone = report_of(high, 1, 2, POWER_IS_OFF, NULL);
    ((ReportedVm *)gone->vms->pdata[0])->gone = true;
    deliver_report(w, host, gone);
    g_autoptr(Resources) none = resources_new();
    w->obedient = true;
    g_autoptr(AgentReport) off = report_of(low, 1, 2, POWER_IS_OFF, none);
    deliver_report(w, host, off);
    world_wait(w, 1000);
    world_wait(w, 1000);
    g_assert_false(shows(w, "low", "\"preempted\":true"));
    g_assert_true(shows(w, "low", "\"power\":\"running\""));
    world_free(w);
}

static char *gang_of(int count)
{
    return g_strdup_printf("{\"name\":\"gang\",\"size\":\"m1\",\"image\":\"demo\",\"count\":%d,"
                           "\"priority\":300}",
                           count);
}

static void test_a_gang_takes_all_that_it_needs_or_nothing(void)
{
    World *w = world_of_four();
    created(w, "low-1", "m1", ",\"priority\":100");
    created(w, "low-2", "m1", ",\"priority\":100");
    created(w, "vm-1", "m1", "");
    created(w, "vm-2", "m1", "");
    g_autofree char *large = gang_of(3);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_CREATE_APP, NULL, large), "409"));
    g_assert_false(shows(w, "low-1", "\"preempted\":true"));
    g_autofree char *small = gang_of(2);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_CREATE_APP, NULL, small), "202"));
    g_assert_true(shows(w, "low-1", "\"preempted\":true"));
    g_assert_true(shows(w, "low-2", "\"preempted\":true"));
    g_assert_true(shows(w, "gang-2", "\"power\":\"running\""));
    g_assert_true(shows(w, "vm-2", "\"power\":\"running\""));
    world_free(w);
}

static void test_a_part_is_enough_where_it_says_so(void)
{
    World *w = world_of_four();
    created(w, "vm-1", "m1", "");
    created(w, "vm-2", "m1", "");
    const char *wrong = ask(w, API_OP_CREATE_APP, NULL,
                            "{\"name\":\"x\",\"size\":\"m1\",\"image\":\"demo\",\"count\":2,"
                            "\"partial\":3}");
    g_assert_true(g_str_has_prefix(wrong, "400"));
    const char *most = ask(w, API_OP_CREATE_APP, NULL,
                           "{\"name\":\"x\",\"size\":\"m1\",\"image\":\"demo\",\"count\":4,"
                           "\"partial\":3}");
    g_assert_true(g_str_has_prefix(most, "409"));
    const char *reply = ask(w, API_OP_CREATE_APP, NULL,
                            "{\"name\":\"some\",\"size\":\"m1\",\"image\":\"demo\",\"count\":4,"
                            "\"partial\":1}");
    g_assert_true(g_str_has_prefix(reply, "202"));
    g_autofree char *operation = text_of(reply, "id");
    const char *done = ask(w, API_OP_GET_OPERATION, operation, NULL);
    g_assert_nonnull(strstr(done, "\"done\""));
    g_assert_nonnull(strstr(done, "2 of 4 VMs run"));
    g_assert_true(shows(w, "some-2", "\"power\":\"running\""));
    g_assert_nonnull(strstr(ask(w, API_OP_GET_QUEUE_ENTRY, "some", NULL), "\"count\":2"));
    ask(w, API_OP_DELETE_VM, "vm-1", NULL);
    world_wait(w, 1000);
    g_assert_true(shows(w, "some-3", "\"power\":\"running\""));
    ask(w, API_OP_DELETE_VM, "vm-2", NULL);
    world_wait(w, 1000);
    g_assert_true(shows(w, "some-4", "\"power\":\"running\""));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_QUEUE_ENTRY, "some", NULL), "404"));
    world_free(w);
}

static void test_changes_of_a_preempted_vm_keep_it_off(void)
{
    World *w = world_of_four();
    created(w, "low", "m3", ",\"priority\":100");
    created(w, "high", "m3", ",\"priority\":900");
    g_assert_true(g_str_has_prefix(ask(w, API_OP_UPDATE_VM, "low", "{\"power\":\"on\"}"), "202"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_RESIZE_VM, "low", "{\"cpu\":2000}"), "202"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_EXPLAIN_VM, "low", NULL), "200"));
    g_assert_true(shows(w, "low", "\"preempted\":true"));
    g_assert_cmpint(booked_cpu(w), ==, 3000);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_DELETE_VM, "low", NULL), "202"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_VM, "low", NULL), "404"));
    world_free(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cluster/preempt/explain", test_an_explanation_tells_who_and_why);
    g_test_add_func("/cluster/preempt/explain-app", test_an_explanation_of_an_app_tells_who);
    g_test_add_func("/cluster/preempt/least", test_the_least_is_taken_and_starts_again);
    g_test_add_func("/cluster/preempt/never",
                    test_nobody_of_the_same_or_a_higher_priority_is_taken);
    g_test_add_func("/cluster/preempt/dry-run", test_a_dry_run_shows_whom_it_would_hit);
    g_test_add_func("/cluster/preempt/held", test_room_is_held_from_the_decision_on);
    g_test_add_func("/cluster/preempt/given-up",
                    test_who_gives_up_a_claim_lets_the_victims_start_again);
    g_test_add_func("/cluster/preempt/gang", test_a_gang_takes_all_that_it_needs_or_nothing);
    g_test_add_func("/cluster/preempt/partial", test_a_part_is_enough_where_it_says_so);
    g_test_add_func("/cluster/preempt/changes", test_changes_of_a_preempted_vm_keep_it_off);
    return g_test_run();
}
