#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/timefmt.h"
#include "world.h"

static void as_tenant(World *w, const char *tenant)
{
    w->principal = (ClusterPrincipal){.subject = "token", .tenant = tenant, .bound = true};
}

static void as_admin(World *w)
{
    w->principal = (ClusterPrincipal){.subject = "admin", .tenant = "default", .all = true};
}

/* A host with room for all that these tests ask, and a tenant with this quota. */
static World *world_with_tenant(const char *quota)
{
    World *w = world_new();
    g_free(add_host(w, "h1", 400000, 400000));
    add_image_and_size(w);
    g_autofree char *body = g_strdup_printf("{\"name\":\"blue\",\"quota\":%s}", quota);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_CREATE_TENANT, NULL, body), "201"));
    return w;
}

static const char *create_plain(World *w, const char *name)
{
    g_autofree char *body =
        g_strdup_printf("{\"name\":\"%s\",\"size\":\"m1\",\"image\":\"demo\"}", name);
    return ask(w, API_OP_CREATE_VM, NULL, body);
}

static int64_t status_number(World *w, const char *tenant, const char *member)
{
    json_t *json = json_loads(strchr(ask(w, API_OP_GET_TENANT, tenant, NULL), '{'), 0, NULL);
    const json_t *status = json_object_get(json, "status");
    const json_t *usage = json_object_get(status, "usage");
    const json_t *value = json_object_get(status, member);
    int64_t number = json_integer_value(value != NULL ? value : json_object_get(usage, member));
    json_decref(json);
    return number;
}

static void test_a_hundred_requests_at_once_pass_no_limit(void)
{
    World *w = world_with_tenant("{\"cpu\":16000}");
    as_tenant(w, "blue");
    w->durable = false; /* all are asked before any is answered */
    uint64_t first = w->next_request + 1;
    for (int i = 0; i < 100; i++) {
        g_autofree char *name = g_strdup_printf("vm-%d", i);
        create_plain(w, name);
    }
    uint64_t last = w->next_request;
    w->durable = true;
    world_commit_all(w);
    int made = 0, refused = 0;
    for (uint64_t id = first; id <= last; id++) {
        const char *reply = g_hash_table_lookup(w->replies, &id);
        g_assert_nonnull(reply);
        made += g_str_has_prefix(reply, "202");
        refused += strstr(reply, "quota.cpu") != NULL;
    }
    g_assert_cmpint(made, ==, 16);
    g_assert_cmpint(refused, ==, 84);
    g_assert_cmpint(status_number(w, "blue", "cpu"), ==, 16000);
    world_free(w);
}

static void test_a_refusal_names_the_quota_and_what_is_missing(void)
{
    World *w = world_with_tenant("{\"cpu\":16000}");
    as_tenant(w, "blue");
    ask(w, API_OP_CREATE_APP, NULL,
        "{\"name\":\"shop\",\"size\":\"m1\",\"image\":\"demo\",\"count\":14}");
    const char *reply = ask(w, API_OP_CREATE_APP, NULL,
                            "{\"name\":\"more\",\"size\":\"m1\",\"image\":\"demo\",\"count\":4}");
    g_assert_true(g_str_has_prefix(reply, "409"));
    g_assert_nonnull(strstr(
        reply, "tenant 'blue' may use 16 cpu and uses 14: of the 4 asked for 2 are missing"));
    g_assert_nonnull(strstr(reply, "berth quota set blue cpu=18"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_APP, "more", NULL), "404"));
    g_assert_cmpint(status_number(w, "blue", "vms"), ==, 14);
    world_free(w);
}

static void test_every_dimension_and_the_number_are_limited(void)
{
    World *w = world_with_tenant("{\"memory\":256}");
    as_tenant(w, "blue");
    g_assert_true(g_str_has_prefix(create_plain(w, "a"), "202"));
    g_assert_nonnull(strstr(create_plain(w, "b"), "of the 256MiB asked for 256MiB are missing"));
    as_admin(w);
    ask(w, API_OP_UPDATE_TENANT, "blue", "{\"quota\":{\"vms\":1}}");
    as_tenant(w, "blue");
    g_assert_nonnull(strstr(create_plain(w, "b"), "may use 1 VMs and uses 1"));
    as_admin(w);
    ask(w, API_OP_UPDATE_TENANT, "blue", "{\"quota\":{\"accelerators\":{\"gpu/a100\":0}}}");
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"g1\",\"resources\":{\"cpu\":1000,\"memory\":64,\"accelerators\":{\"gpu/"
        "a100\":2}}}");
    as_tenant(w, "blue");
    const char *reply =
        ask(w, API_OP_CREATE_VM, NULL, "{\"name\":\"b\",\"size\":\"g1\",\"image\":\"demo\"}");
    g_assert_nonnull(strstr(reply, "may use 0 gpu/a100 and uses 0: of the 2 asked for 2"));
    g_assert_true(g_str_has_prefix(create_plain(w, "c"), "202"));
    world_free(w);
}

static void test_a_failed_create_gives_back(void)
{
    World *w = world_with_tenant("{\"cpu\":16000}");
    as_tenant(w, "blue");
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"wide\",\"resources\":{\"cpu\":1000,\"memory\":900000}}");
    for (int i = 0; i < 50; i++) {
        const char *reply =
            ask(w, API_OP_CREATE_VM, NULL, "{\"name\":\"x\",\"size\":\"wide\",\"image\":\"demo\"}");
        g_assert_nonnull(strstr(reply, "no host has room"));
    }
    g_assert_cmpint(status_number(w, "blue", "cpu"), ==, 0);
    g_assert_true(g_str_has_prefix(create_plain(w, "x"), "202"));
    ask(w, API_OP_DELETE_VM, "x", NULL);
    g_assert_cmpint(status_number(w, "blue", "cpu"), ==, 0);
    g_assert_cmpint(status_number(w, "blue", "vms"), ==, 0);
    world_free(w);
}

static void test_a_resize_takes_the_difference(void)
{
    World *w = world_with_tenant("{\"memory\":500}");
    as_tenant(w, "blue");
    create_plain(w, "a");
    g_assert_true(g_str_has_prefix(ask(w, API_OP_RESIZE_VM, "a", "{\"memory\":100}"), "202"));
    g_assert_cmpint(status_number(w, "blue", "memory"), ==, 100);
    g_assert_true(g_str_has_prefix(create_plain(w, "b"), "202"));
    g_assert_cmpint(status_number(w, "blue", "memory"), ==, 356);
    const char *reply = ask(w, API_OP_RESIZE_VM, "a", "{\"memory\":250}");
    g_assert_nonnull(strstr(reply, "of the 150MiB asked for 6MiB are missing"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_RESIZE_VM, "a", "{\"memory\":244}"), "202"));
    g_assert_cmpint(status_number(w, "blue", "memory"), ==, 500);
    world_free(w);
}

static void test_a_quota_below_the_usage_lets_nothing_grow(void)
{
    World *w = world_with_tenant("{}");
    as_tenant(w, "blue");
    create_plain(w, "a");
    create_plain(w, "b");
    as_admin(w);
    ask(w, API_OP_UPDATE_TENANT, "blue", "{\"quota\":{\"cpu\":1000}}");
    as_tenant(w, "blue");
    g_assert_nonnull(strstr(create_plain(w, "c"), "may use 1 cpu and uses 2"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_RESIZE_VM, "a", "{\"cpu\":500}"), "202"));
    cluster_core_free(w->core);
    world_boot(w);
    g_assert_cmpint(status_number(w, "blue", "cpu"), ==, 1500);
    world_free(w);
}

#define MINUTES 40
#define MOST_HELD 12

/* Reserves room for `count` from one minute to another. */
static bool reserve(World *w, int number, int64_t first_ms, int64_t from, int64_t to, int64_t count)
{
    g_autofree char *start = berth_time_format(first_ms + from * 60000);
    g_autofree char *body = g_strdup_printf(
        "{\"name\":\"r%d\",\"size\":\"m1\",\"count\":%" G_GINT64_FORMAT
        ",\"start\":\"%s\",\"duration-seconds\":%" G_GINT64_FORMAT ",\"grace-seconds\":0}",
        number, count, start, (to - from) * 60);
    const char *reply = ask(w, API_OP_CREATE_RESERVATION, NULL, body);
    g_assert_true(g_str_has_prefix(reply, "201") || strstr(reply, "tenant 'blue'") != NULL);
    return g_str_has_prefix(reply, "201");
}

/* Held against a sum for each minute: what begins when another ends does not meet it. */
static void test_what_is_held_at_one_time_is_limited(void)
{
    static const char *const quotas[] = {"{\"vms\":12}", "{\"cpu\":12000}"};
    guint accepted = 0, refused = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        World *w = world_with_tenant(quotas[seed % 2]);
        int64_t held[MINUTES] = {0}, vms = 0, most_ever = 0;
        BerthRng rng;
        berth_rng_init(&rng, seed);
        as_tenant(w, "blue");
        for (int i = 0; i < 40; i++) {
            int64_t from = berth_rng_between(&rng, 0, MINUTES - 2);
            int64_t length = berth_rng_between(&rng, 1, 12), to = MIN(MINUTES, from + length);
            int64_t count = berth_rng_between(&rng, 1, 4), most = 0;
            for (int64_t m = from; m < to; m++) {
                most = MAX(most, held[m]);
            }
            bool fits = vms + most + count <= MOST_HELD;
            g_assert_true(reserve(w, i, w->now / 60000 * 60000 + 3600000, from, to, count) == fits);
            for (int64_t m = from; fits && m < to; m++) {
                held[m] += count;
                most_ever = MAX(most_ever, held[m]);
            }
            accepted += fits;
            refused += !fits;
            if (i % 10 == 9) { /* what has no end is beside the most that is held at any time */
                g_autofree char *name = g_strdup_printf("vm-%d", i);
                bool made = g_str_has_prefix(create_plain(w, name), "202");
                g_assert_true(made == (vms + most_ever + 1 <= MOST_HELD));
                vms += made;
            }
        }
        world_free(w);
    }
    g_assert_cmpuint(MIN(accepted, refused), >, 100); /* the property is not empty */
}

static void test_a_tenant_sees_its_own_only(void)
{
    World *w = world_with_tenant("{}");
    as_admin(w);
    g_assert_true(g_str_has_prefix(create_plain(w, "web"), "202"));
    as_tenant(w, "blue");
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_VM, "web", NULL), "404"));
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_VMS, NULL, NULL), "\"items\":[]"));
    g_assert_true(g_str_has_prefix(create_plain(w, "web"), "202"));
    g_autofree char *id = text_of(ask(w, API_OP_GET_VM, "web", NULL), "id");
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_EVENTS, NULL, NULL), "vm.placed"));
    g_assert_null(strstr(ask(w, API_OP_LIST_EVENTS, NULL, NULL), "host.up"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_TENANT, "default", NULL), "404"));
    g_assert_null(strstr(ask(w, API_OP_LIST_TENANTS, NULL, NULL), "default"));
    g_assert_nonnull(strstr(ask(w, API_OP_CREATE_VM, NULL,
                                "{\"name\":\"x\",\"size\":\"m1\",\"image\":\"demo\",\"tenant\":"
                                "\"default\"}"),
                            "403 "));
    as_admin(w);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, id, NULL), "\"tenant\":\"blue\""));
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_VMS, NULL, NULL), id));
    as_tenant(w, "green");
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_VM, id, NULL), "404"));
    world_free(w);
}

static void test_what_has_no_tenant_is_the_default_ones(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 8000, 8192);
    add_image_and_size(w);
    create_plain(w, "old");
    /* As an older release left it. */
    g_hash_table_remove(w->store, "tenant/default");
    g_hash_table_remove(w->store, "account/default");
    cluster_core_free(w->core);
    world_boot(w);
    g_assert_cmpint(status_number(w, "default", "vms"), ==, 1);
    g_assert_true(g_hash_table_contains(w->store, "tenant/default"));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_DELETE_TENANT, "default", NULL), "409"));
    world_free(w);
}

static void test_a_tenant_goes_when_it_has_nothing(void)
{
    World *w = world_with_tenant("{}");
    as_tenant(w, "blue");
    create_plain(w, "a");
    as_admin(w);
    g_autofree char *token = text_of(
        ask(w, API_OP_CREATE_TOKEN, NULL, "{\"role\":\"tenant\",\"tenant\":\"blue\"}"), "token");
    const Token *known = NULL;
    g_assert_true(cluster_core_check_token(w->core, token, w->now, &known, NULL));
    g_assert_nonnull(strstr(ask(w, API_OP_DELETE_TENANT, "blue", NULL), "the tenant has 1 VM"));
    as_tenant(w, "blue");
    ask(w, API_OP_DELETE_VM, "a", NULL);
    as_admin(w);
    ask(w, API_OP_ADD_CREDITS, "blue", "{\"amount\":5}");
    g_assert_true(g_str_has_prefix(ask(w, API_OP_DELETE_TENANT, "blue", NULL), "200"));
    g_assert_false(cluster_core_check_token(w->core, token, w->now, &known, NULL));
    GHashTableIter iter;
    void *key;
    g_hash_table_iter_init(&iter, w->store);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        bool left = g_str_has_prefix(key, "account/blue") || g_str_has_prefix(key, "credit/blue") ||
                    g_str_has_prefix(key, "token/") || g_str_has_prefix(key, "tenant/blue");
        g_assert_false(left);
    }
    world_free(w);
}

static void test_a_token_is_good_until_it_expires_or_is_revoked(void)
{
    World *w = world_with_tenant("{}");
    const Token *known = NULL;
    g_autoptr(GError) error = NULL;
    const char *made = ask(w, API_OP_CREATE_TOKEN, NULL,
                           "{\"role\":\"viewer\",\"valid-seconds\":60,\"description\":\"x\"}");
    g_assert_null(strstr(made, "hash"));
    g_autofree char *token = text_of(made, "token");
    g_autofree char *id = text_of(made, "id");
    g_assert_true(cluster_core_check_token(w->core, token, w->now, &known, NULL));
    g_assert_cmpint(known->role, ==, ROLE_VIEWER);
    g_assert_false(cluster_core_check_token(w->core, token, w->now + 60000, &known, &error));
    g_assert_nonnull(strstr(error->message, "has expired"));
    g_autofree char *wrong = g_strconcat(id, ".0000", NULL);
    const char *const bad[] = {wrong, id, "", ".", "nobody.5ec7e7"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(cluster_core_check_token(w->core, bad[i], w->now, &known, NULL));
    }
    g_assert_null(strstr(ask(w, API_OP_LIST_TOKENS, NULL, NULL), "5ec7e7"));
    cluster_core_free(w->core);
    world_boot(w);
    g_assert_true(cluster_core_check_token(w->core, token, w->now, &known, NULL));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_DELETE_TOKEN, id, NULL), "200"));
    g_assert_false(cluster_core_check_token(w->core, token, w->now, &known, NULL));
    g_assert_true(g_str_has_prefix(ask(w, API_OP_DELETE_TOKEN, id, NULL), "404"));
    world_free(w);
}

static void test_bad_requests_are_refused(void)
{
    World *w = world_with_tenant("{}");
    const struct {
        ApiOperation operation;
        const char *param, *body, *part;
    } rows[] = {
        {API_OP_CREATE_TENANT, NULL, "{\"name\":\"blue\"}", "409 "},
        {API_OP_UPDATE_TENANT, "bleu", "{}", "did you mean 'blue'?"},
        {API_OP_GET_STATEMENT, "nobody", NULL, "404 "},
        {API_OP_ADD_CREDITS, "blue", "{\"amount\":0}", "400 "},
        {API_OP_ADD_CREDITS, "nobody", "{\"amount\":1}", "404 "},
        {API_OP_CREATE_TOKEN, NULL, "{\"role\":\"tenant\"}", "400 "},
        {API_OP_CREATE_TOKEN, NULL, "{\"role\":\"admin\",\"tenant\":\"blue\"}", "400 "},
        {API_OP_CREATE_TOKEN, NULL, "{\"role\":\"tenant\",\"tenant\":\"bleu\"}", "404 "},
        {API_OP_DELETE_TENANT, "nobody", NULL, "404 "},
        {API_OP_CREATE_VM, NULL,
         "{\"name\":\"x\",\"size\":\"m1\",\"image\":\"demo\",\"tenant\":\"bleu\"}", "404 "},
    };
    as_admin(w);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_assert_nonnull(
            strstr(ask(w, rows[i].operation, rows[i].param, rows[i].body), rows[i].part));
    }
    as_tenant(w, "blue");
    g_assert_nonnull(strstr(ask(w, API_OP_CREATE_NETWORK, NULL,
                                "{\"name\":\"n\",\"kind\":\"bridge\",\"bridge\":\"br0\"}"),
                            "403 "));
    world_free(w);
}

static const char *create_explained(World *w, const char *name, bool dry_run, const char *more)
{
    CreateVmQuery *query = codec_new(api_routes[API_OP_CREATE_VM].query);
    query->explain = true;
    query->dry_run = dry_run;
    g_autofree char *body =
        g_strdup_printf("{\"name\":\"%s\",\"size\":\"m1\",\"image\":\"demo\"%s}", name, more);
    return ask_with(w, API_OP_CREATE_VM, NULL, query, body);
}

/* A tenant may know of h1, where its own VMs are, and of nothing else. */
static void assert_nameless(const char *reply, const char *expected)
{
    g_assert_null(strstr(reply, "hidden"));
    g_assert_null(strstr(reply, "secret"));
    g_assert_nonnull(strstr(reply, expected));
}

static World *world_of_neighbours(void)
{
    World *w = world_with_tenant("{}");
    g_free(add_host(w, "hidden-1", 1000, 4000));
    g_free(add_host(w, "hidden-2", 1000, 4000));
    create_plain(w, "secret-1");
    create_plain(w, "secret-2");
    return w;
}

static void test_an_explanation_for_a_tenant_names_no_host(void)
{
    World *w = world_of_neighbours();
    as_tenant(w, "blue");
    const char *many = "\"count\":2}";
    const char *planned = "\"plan\":[{\"name\":\"try\",\"host\":\"h1\"";
    g_assert_nonnull(strstr(create_explained(w, "try", true, ""), planned));
    assert_nameless(create_explained(w, "try", true, ""), many);
    assert_nameless(create_explained(w, "web", false, ""), many);
    assert_nameless(create_explained(w, "try", true, ",\"host\":\"iden-1\""),
                    "there is no such host");
    assert_nameless(ask(w, API_OP_LIST_OPERATIONS, NULL, NULL), many);
    assert_nameless(ask(w, API_OP_EXPLAIN_VM, "web", NULL), many);
    as_admin(w);
    g_assert_nonnull(strstr(create_explained(w, "try", true, ""), "\"host\":\"hidden-2\""));
    world_free(w);
}

/* What an admin asked for a tenant is the admin's, whoever reads the operation, and waits for it. */
static void test_what_an_admin_had_explained_is_not_for_the_tenant(void)
{
    World *w = world_of_neighbours();
    w->obedient = false;
    const char *reply = create_explained(w, "web", false, ",\"tenant\":\"blue\"");
    g_assert_nonnull(strstr(reply, "\"host\":\"hidden-1\""));
    g_autofree char *id = text_of(reply, "id");
    as_tenant(w, "blue");
    GetOperationQuery *query = codec_new(api_routes[API_OP_GET_OPERATION].query);
    query->wait = 1;
    g_assert_null(ask_with(w, API_OP_GET_OPERATION, id, query, NULL));
    uint64_t waiting = w->next_request;
    world_wait(w, 2000);
    const char *late = g_hash_table_lookup(w->replies, &waiting);
    assert_nameless(late, "\"vm.create\"");
    assert_nameless(ask(w, API_OP_GET_OPERATION, id, NULL), "\"vm.create\"");
    assert_nameless(ask(w, API_OP_LIST_OPERATIONS, NULL, NULL), "\"vm.create\"");
    as_admin(w);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_OPERATION, id, NULL), "\"host\":\"hidden-1\""));
    world_free(w);
}

static const char *fit_of_m1(World *w, int64_t survive)
{
    GetPlanFitQuery *query = codec_new(api_routes[API_OP_GET_PLAN_FIT].query);
    query->size = g_strdup("m1");
    query->survive = survive;
    return ask_with(w, API_OP_GET_PLAN_FIT, NULL, query, NULL);
}

static void test_what_fits_is_told_to_a_tenant_without_names(void)
{
    World *w = world_new();
    add_image_and_size(w);
    ask(w, API_OP_CREATE_TENANT, NULL, "{\"name\":\"blue\"}");
    g_free(add_host(w, "hidden-1", 2000, 4000));
    g_free(add_host(w, "hidden-2", 2000, 4000));
    create_plain(w, "secret");
    g_assert_nonnull(strstr(fit_of_m1(w, 1), "without hidden-"));
    as_tenant(w, "blue");
    assert_nameless(fit_of_m1(w, 0), "{\"count\":1,\"hosts\":1},{\"count\":2,\"hosts\":1}");
    assert_nameless(fit_of_m1(w, 1), "without some host, ");
    assert_nameless(fit_of_m1(w, 2), "without some 2 hosts, a VM of another tenant would have");
    world_free(w);
}

static void test_whose_place_is_taken_is_not_told_to_another_tenant(void)
{
    World *w = world_new();
    add_image_and_size(w);
    g_free(add_host(w, "h1", 1000, 4000));
    ask(w, API_OP_CREATE_TENANT, NULL, "{\"name\":\"blue\",\"max-priority\":900}");
    create_plain(w, "secret");
    as_tenant(w, "blue");
    const char *high = ",\"priority\":900", *whose = "takes the place of a VM of another tenant (";
    assert_nameless(create_explained(w, "mine", true, high), whose);
    assert_nameless(create_explained(w, "mine", false, high), whose);
    assert_nameless(ask(w, API_OP_GET_VM, "mine", NULL), whose);
    as_admin(w);
    const char *events = ask(w, API_OP_LIST_EVENTS, NULL, NULL);
    g_assert_nonnull(strstr(events, "where a VM of another tenant (priority 900) takes its place"));
    world_free(w);
}

static void test_a_tenant_is_not_told_of_no_hosts(void)
{
    World *w = world_with_tenant("{}");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_CLUSTER, NULL, NULL), "\"hosts\":1,\"hosts-up\":1"));
    as_tenant(w, "blue");
    create_plain(w, "web");
    const char *own = ask(w, API_OP_GET_CLUSTER, NULL, NULL);
    g_assert_null(strstr(own, "hosts"));
    g_assert_nonnull(strstr(own, "\"vms\":1"));
    world_free(w);
}

/* To those who may see it, only. */
static void test_who_may_see_all_is_told_whose_a_name_is(void)
{
    World *w = world_with_tenant("{}");
    ask(w, API_OP_CREATE_TENANT, NULL, "{\"name\":\"red\"}");
    as_tenant(w, "blue");
    create_plain(w, "web");
    as_admin(w);
    g_assert_nonnull(
        strstr(ask(w, API_OP_GET_VM, "web", NULL), "; tenant 'blue' has one: --tenant blue"));
    g_autoptr(GError) error = NULL;
    const char *id, *host;
    g_assert_false(cluster_core_locate_vm(w->core, &w->principal, "web", &id, &host, &error));
    g_assert_nonnull(strstr(berth_error_remedy(error), "--tenant blue"));
    as_tenant(w, "red");
    g_assert_null(strstr(ask(w, API_OP_GET_VM, "web", NULL), "blue"));
    create_plain(w, "web");
    as_admin(w);
    g_assert_nonnull(strstr(ask(w, API_OP_DELETE_VM, "web", NULL), "'blue' and 1 more have one"));
    create_plain(w, "web");
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_VM, "web", NULL), "200"));
    world_free(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tenants/what-is-held-at-one-time-is-limited",
                    test_what_is_held_at_one_time_is_limited);
    g_test_add_func("/tenants/a-hundred-requests-at-once-pass-no-limit",
                    test_a_hundred_requests_at_once_pass_no_limit);
    g_test_add_func("/tenants/a-refusal-names-the-quota-and-what-is-missing",
                    test_a_refusal_names_the_quota_and_what_is_missing);
    g_test_add_func("/tenants/every-dimension-and-the-number-are-limited",
                    test_every_dimension_and_the_number_are_limited);
    g_test_add_func("/tenants/a-failed-create-gives-back", test_a_failed_create_gives_back);
    g_test_add_func("/tenants/a-resize-takes-the-difference", test_a_resize_takes_the_difference);
    g_test_add_func("/tenants/a-quota-below-the-usage-lets-nothing-grow",
                    test_a_quota_below_the_usage_lets_nothing_grow);
    g_test_add_func("/tenants/a-tenant-sees-its-own-only", test_a_tenant_sees_its_own_only);
    g_test_add_func("/tenants/what-has-no-tenant-is-the-default-ones",
                    test_what_has_no_tenant_is_the_default_ones);
    g_test_add_func("/tenants/a-tenant-goes-when-it-has-nothing",
                    test_a_tenant_goes_when_it_has_nothing);
    g_test_add_func("/tenants/a-token-is-good-until-it-expires-or-is-revoked",
                    test_a_token_is_good_until_it_expires_or_is_revoked);
    g_test_add_func("/tenants/bad-requests-are-refused", test_bad_requests_are_refused);
    g_test_add_func("/cluster/tenants/explained-without-names",
                    test_an_explanation_for_a_tenant_names_no_host);
    g_test_add_func("/cluster/tenants/explained-to-an-admin",
                    test_what_an_admin_had_explained_is_not_for_the_tenant);
    g_test_add_func("/cluster/tenants/fit-without-names",
                    test_what_fits_is_told_to_a_tenant_without_names);
    g_test_add_func("/cluster/tenants/place-of-another",
                    test_whose_place_is_taken_is_not_told_to_another_tenant);
    g_test_add_func("/cluster/tenants/cluster-without-hosts",
                    test_a_tenant_is_not_told_of_no_hosts);
    g_test_add_func("/cluster/tenants/whose-a-name-is",
                    test_who_may_see_all_is_told_whose_a_name_is);
    return g_test_run();
}
