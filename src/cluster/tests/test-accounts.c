#include <string.h>

#include "world.h"

#define HOUR_MS 3600000

/* A tenant with an m1 (1 CPU, 256 MiB) in it, one credit a CPU and hour, and this many credits. */
static World *world_with_account(const char *on_empty, const char *credits)
{
    World *w = world_new();
    g_free(add_host(w, "h1", 400000, 400000));
    add_image_and_size(w);
    g_autofree char *tenant =
        g_strdup_printf("{\"name\":\"blue\",\"on-empty\":\"%s\",\"grace-seconds\":600}", on_empty);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_CREATE_TENANT, NULL, tenant), "201"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_SET_RATES, NULL, "{\"cpu\":1000000}"), "200"));
    ask(w, API_OP_ADD_CREDITS, "blue", credits);
    w->principal = (ClusterPrincipal){.subject = "test", .tenant = "blue", .bound = true};
    return w;
}

static json_t *statement(World *w)
{
    return json_loads(strchr(ask(w, API_OP_GET_STATEMENT, "blue", NULL), '{'), 0, NULL);
}

static int64_t of_account(World *w, const char *member)
{
    json_t *json = json_loads(strchr(ask(w, API_OP_GET_TENANT, "blue", NULL), '{'), 0, NULL);
    const json_t *account = json_object_get(json_object_get(json, "status"), "account");
    int64_t number = json_integer_value(json_object_get(account, member));
    json_decref(json);
    return number;
}

/* Less what the account says. */
static int64_t rest_of_charges(World *w)
{
    json_t *json = statement(w);
    const json_t *charges = json_object_get(json, "charges");
    int64_t sum = 0;
    for (size_t i = 0; i < json_array_size(charges); i++) {
        sum += json_integer_value(json_object_get(json_array_get(charges, i), "amount"));
    }
    sum -= json_integer_value(json_object_get(json_object_get(json, "account"), "charged"));
    json_decref(json);
    return sum;
}

static void test_an_hour_costs_what_the_rate_card_says(void)
{
    World *w = world_with_account("warn", "{\"amount\":10000000,\"note\":\"gift\"}");
    create_vm_of(w, "a", "m1", "");
    int64_t before = of_account(w, "balance");
    int64_t at = w->now;
    world_wait(w, 2 * HOUR_MS);
    int64_t after = of_account(w, "balance");
    int64_t elapsed = w->now - at;
    g_assert_cmpint(before - after, >=, elapsed * 1000000 / HOUR_MS);
    g_assert_cmpint(before - after, <=, elapsed * 1000000 / HOUR_MS + 1);
    g_assert_cmpint(of_account(w, "credited"), ==, 10000000);
    json_t *json = statement(w);
    g_assert_cmpint(json_integer_value(json_object_get(json, "hourly")), ==, 1000000);
    const json_t *credits = json_object_get(json, "credits");
    g_assert_cmpstr(json_string_value(json_object_get(json_array_get(credits, 0), "note")), ==,
                    "gift");
    json_decref(json);
    world_free(w);
}

/* 7 micro-credits an hour for 333 millicores: a millionth part of a micro-credit a tick. */
static void test_a_million_ticks_do_not_drift(void)
{
    World *w = world_with_account("warn", "{\"amount\":1000000000}");
    w->principal.bound = false;
    ask(w, API_OP_SET_RATES, NULL, "{\"cpu\":7,\"memory\":13}");
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"odd\",\"resources\":{\"cpu\":333,\"memory\":77}}");
    ask(w, API_OP_CREATE_VM, NULL, "{\"name\":\"a\",\"size\":\"odd\",\"image\":\"demo\"}");
    int64_t charged = of_account(w, "charged"), begin = w->now;
    for (int i = 0; i < 1000000; i++) {
        w->now += 60000 - 1;
        ClusterActions *actions =
            cluster_step(w->core, &(ClusterEvent){.kind = CLUSTER_EVENT_TICK}, ++w->now);
        world_perform(w, actions);
        if (i == 500000) {
            cluster_core_free(w->core);
            world_boot(w);
        }
    }
    /* 333/1000 × 7 + 77/1024 × 13 micro-credits an hour, over (1024 × 1000 × an hour in ms). */
    int64_t each = INT64_C(333) * 1024 * 7 + 77 * 1000 * 13;
    int64_t span = w->now - begin;
    int64_t exact = (each * span / (INT64_C(1024) * 1000 * HOUR_MS));
    int64_t got = of_account(w, "charged") - charged;
    g_assert_cmpint(got, >=, exact);
    g_assert_cmpint(got, <=, exact + 1);
    g_assert_cmpint(exact, >, 50000);
    world_free(w);
}

static void test_a_start_from_the_store_loses_and_adds_nothing(void)
{
    World *w = world_with_account("warn", "{\"amount\":1000000000}");
    create_vm_of(w, "a", "m1", "");
    int64_t begin = w->now, charged = of_account(w, "charged");
    for (int i = 0; i < 50; i++) {
        world_wait(w, 17 * 60000 + 1234); /* charged at the tick, or not yet */
        w->now += 31000;
        cluster_core_free(w->core);
        world_boot(w);
    }
    int64_t exact = (w->now - begin) * 1000000 / HOUR_MS;
    int64_t got = of_account(w, "charged") - charged;
    g_assert_cmpint(ABS(got - exact), <=, 2); /* the answers' own milliseconds */
    json_t *json = statement(w);
    const json_t *account = json_object_get(json, "account");
    g_assert_cmpint(json_integer_value(json_object_get(account, "balance")) +
                        json_integer_value(json_object_get(account, "charged")),
                    ==, 1000000000);
    json_decref(json);
    world_free(w);
}

static void test_the_statement_adds_up_by_hour_and_app(void)
{
    World *w = world_with_account("warn", "{\"amount\":1000000000}");
    create_vm_of(w, "alone", "m1", "");
    ask(w, API_OP_CREATE_APP, NULL,
        "{\"name\":\"shop\",\"size\":\"m1\",\"image\":\"demo\",\"count\":3}");
    world_wait(w, 5 * HOUR_MS);
    ask(w, API_OP_DELETE_APP, "shop", NULL);
    world_wait(w, HOUR_MS);
    g_assert_cmpint(rest_of_charges(w), ==, 0);
    const char *text = ask(w, API_OP_GET_STATEMENT, "blue", NULL);
    g_assert_nonnull(strstr(text, "\"app\":\"shop\",\"amount\":3000000"));
    g_assert_nonnull(strstr(text, "\"app\":\"-\",\"amount\":1000000"));
    world_free(w);
}

static void test_old_charges_are_dropped(void)
{
    World *w = world_with_account("warn", "{\"amount\":1000000000}");
    create_vm_of(w, "a", "m1", "");
    w->config.charges_kept = 10;
    cluster_core_free(w->core);
    world_boot(w);
    world_wait(w, 100 * HOUR_MS);
    json_t *json = statement(w);
    g_assert_cmpuint(json_array_size(json_object_get(json, "charges")), ==, 10);
    json_decref(json);
    int lines = 0;
    GHashTableIter iter;
    void *key;
    g_hash_table_iter_init(&iter, w->store);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        lines += g_str_has_prefix(key, "charge/");
    }
    g_assert_cmpint(lines, ==, 10);
    g_assert_cmpint(of_account(w, "charged"), >=, 100000000);
    world_free(w);
}

static void test_without_an_hours_credits_nothing_new_is_made(void)
{
    World *w = world_with_account("warn", "{\"amount\":2500000}");
    g_assert_true(g_str_has_prefix(create_vm_of(w, "a", "m1", ""), "202"));
    g_assert_true(g_str_has_prefix(create_vm_of(w, "b", "m1", ""), "202"));
    const char *reply = create_vm_of(w, "c", "m1", "");
    g_assert_true(g_str_has_prefix(reply, "409"));
    g_assert_nonnull(strstr(reply, "an hour of what it has and of this request, which costs 1, is "
                                   "3"));
    g_assert_nonnull(strstr(reply, "berth tenant credit blue"));
    w->principal.bound = false;
    ask(w, API_OP_UPDATE_TENANT, "blue", "{\"charged\":false}");
    g_assert_true(g_str_has_prefix(create_vm_of(w, "c", "m1", ""), "202"));
    world_free(w);
}

static bool is_running(World *w, const char *vm)
{
    return strstr(ask(w, API_OP_GET_VM, vm, NULL), "\"power\":\"running\"") != NULL;
}

static void test_what_runs_goes_on_when_credits_end(void)
{
    World *w = world_with_account("warn", "{\"amount\":1500000}");
    create_vm_of(w, "a", "m1", "");
    world_wait(w, 2 * HOUR_MS);
    world_wait(w, 2 * HOUR_MS);
    g_assert_true(is_running(w, "a"));
    g_assert_cmpint(of_account(w, "balance"), <, 0);
    const char *events = ask(w, API_OP_LIST_EVENTS, NULL, NULL);
    const char *first = strstr(events, "tenant.empty");
    g_assert_nonnull(first);
    g_assert_null(strstr(first + 1, "tenant.empty"));
    g_assert_nonnull(strstr(create_vm_of(w, "b", "m1", ""), "409 "));
    world_free(w);
}

static void test_a_tenant_that_asks_for_it_is_stopped_after_the_grace(void)
{
    World *w = world_with_account("stop", "{\"amount\":1500000}");
    create_vm_of(w, "a", "m1", "");
    world_wait(w, 2 * HOUR_MS);
    world_wait(w, 599000);
    g_assert_true(is_running(w, "a"));
    cluster_core_free(w->core);
    world_boot(w);
    g_assert_cmpint(cluster_next_deadline(w->core), <=, w->now + 2000);
    world_wait(w, 2000);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "a", NULL), "\"power\":\"off\""));
    g_assert_nonnull(strstr(ask(w, API_OP_UPDATE_VM, "a", "{\"power\":\"on\"}"), "409 "));
    w->principal.bound = false;
    ask(w, API_OP_ADD_CREDITS, "blue", "{\"amount\":5000000}");
    g_assert_true(g_str_has_prefix(ask(w, API_OP_UPDATE_VM, "a", "{\"power\":\"on\"}"), "202"));
    world_free(w);
}

static void test_a_new_rate_card_counts_from_now_on(void)
{
    World *w = world_with_account("warn", "{\"amount\":1000000000}");
    create_vm_of(w, "a", "m1", "");
    w->principal.bound = false;
    world_wait(w, HOUR_MS);
    ask(w, API_OP_SET_RATES, NULL, "{}");
    int64_t charged = of_account(w, "charged");
    world_wait(w, 10 * HOUR_MS);
    cluster_core_free(w->core);
    world_boot(w);
    world_wait(w, 10 * HOUR_MS);
    g_assert_cmpint(of_account(w, "charged"), ==, charged);
    ask(w, API_OP_SET_RATES, NULL, "{\"memory\":4000000}");
    world_wait(w, HOUR_MS);
    g_assert_cmpint(of_account(w, "charged") - charged, >=, 1000000);
    g_assert_cmpint(of_account(w, "charged") - charged, <=, 1000003);
    world_free(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/accounts/an-hour-costs-what-the-rate-card-says",
                    test_an_hour_costs_what_the_rate_card_says);
    g_test_add_func("/accounts/a-million-ticks-do-not-drift", test_a_million_ticks_do_not_drift);
    g_test_add_func("/accounts/a-start-from-the-store-loses-and-adds-nothing",
                    test_a_start_from_the_store_loses_and_adds_nothing);
    g_test_add_func("/accounts/the-statement-adds-up-by-hour-and-app",
                    test_the_statement_adds_up_by_hour_and_app);
    g_test_add_func("/accounts/old-charges-are-dropped", test_old_charges_are_dropped);
    g_test_add_func("/accounts/without-an-hours-credits-nothing-new-is-made",
                    test_without_an_hours_credits_nothing_new_is_made);
    g_test_add_func("/accounts/what-runs-goes-on-when-credits-end",
                    test_what_runs_goes_on_when_credits_end);
    g_test_add_func("/accounts/a-tenant-that-asks-for-it-is-stopped-after-the-grace",
                    test_a_tenant_that_asks_for_it_is_stopped_after_the_grace);
    g_test_add_func("/accounts/a-new-rate-card-counts-from-now-on",
                    test_a_new_rate_card_counts_from_now_on);
    return g_test_run();
}
