/* What a plan says is what happens: on random small clusters, as many as BERTH_PLAN_CLUSTERS says, by real
 * creations. */
#include <string.h>

#include "base/rng.h"
#include "world.h"

#define CLUSTERS 150
#define MOST_HOSTS 5

typedef struct {
    World *w;
    BerthRng rng;
    guint hosts;
} Cluster;

static int64_t pick(Cluster *cluster, int64_t low, int64_t high)
{
    return berth_rng_between(&cluster->rng, low, high);
}

static json_t *object_of(const char *reply)
{
    json_t *json = json_loads(strchr(reply, '{'), 0, NULL);
    g_assert_nonnull(json);
    return json;
}

static const char *create(Cluster *cluster, const char *name, const char *size, const char *more)
{
    g_autofree char *body =
        g_strdup_printf("{\"name\":\"%s\",\"size\":\"%s\",\"image\":\"demo\"%s}", name, size, more);
    return ask(cluster->w, API_OP_CREATE_VM, NULL, body);
}

/* The same for the same seed: hosts of unlike shapes, VMs of three sizes and all policies, some of
 * which keep apart. */
static Cluster cluster_of(uint64_t seed)
{
    static const char *const sizes[] = {"m1", "s", "l"};
    static const char *const policies[] = {"most-free", "least-free", "first-fit", "cosine"};
    Cluster cluster = {.w = world_new()};
    berth_rng_init(&cluster.rng, seed);
    add_image_and_size(cluster.w);
    ask(cluster.w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"s\",\"resources\":{\"cpu\":500,\"memory\":700}}");
    ask(cluster.w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"l\",\"resources\":{\"cpu\":2000,\"memory\":512}}");
    cluster.hosts = pick(&cluster, 2, MOST_HOSTS);
    for (guint i = 0; i < cluster.hosts; i++) {
        g_autofree char *name = g_strdup_printf("h%u", i);
        g_free(add_host(cluster.w, name, pick(&cluster, 2, 12) * 500, pick(&cluster, 2, 8) * 512));
    }
    if (pick(&cluster, 0, 1) == 1) {
        ask(cluster.w, API_OP_CREATE_RULE, NULL,
            "{\"name\":\"apart\",\"kind\":\"apart\",\"subject\":\"label/k=v\",\"level\":\"host\"}");
    }
    int64_t vms = pick(&cluster, 0, 8);
    for (int64_t i = 0; i < vms; i++) {
        g_autofree char *name = g_strdup_printf("vm-%" G_GINT64_FORMAT, i);
        g_autofree char *more =
            g_strdup_printf(",\"policy\":\"%s\"%s", policies[pick(&cluster, 0, 3)],
                            pick(&cluster, 0, 2) == 0 ? ",\"labels\":{\"k\":\"v\"}" : "");
        create(&cluster, name, sizes[pick(&cluster, 0, 2)], more);
    }
    return cluster;
}

static json_t *fit(World *w, const char *size, int64_t survive)
{
    GetPlanFitQuery *query = codec_new(api_routes[API_OP_GET_PLAN_FIT].query);
    query->size = g_strdup(size);
    query->survive = survive;
    const char *reply = ask_with(w, API_OP_GET_PLAN_FIT, NULL, query, NULL);
    g_assert_true(g_str_has_prefix(reply, "200"));
    return object_of(reply);
}

/* Does every VM of these hosts, given as bits, find a place when they are lost? */
static bool can_lose(World *w, guint hosts)
{
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < MOST_HOSTS; i++) {
        if (hosts >> i & 1) {
            g_string_append_printf(names, "%sh%u", names->len > 0 ? "," : "", i);
        }
    }
    GetPlanLoseQuery *query = codec_new(api_routes[API_OP_GET_PLAN_LOSE].query);
    query->hosts = g_strdup(names->str);
    json_t *plan = object_of(ask_with(w, API_OP_GET_PLAN_LOSE, NULL, query, NULL));
    bool all = json_array_size(json_object_get(plan, "without-place")) == 0;
    json_decref(plan);
    return all;
}

static bool can_lose_any(const Cluster *cluster, int64_t n)
{
    for (guint hosts = 1; hosts < 1U << cluster->hosts; hosts++) {
        if (__builtin_popcount(hosts) == (int)MIN(n, cluster->hosts) &&
            !can_lose(cluster->w, hosts)) {
            return false;
        }
    }
    return true;
}

static void make(Cluster *cluster, const char *size, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("new-%" G_GINT64_FORMAT, i);
        g_assert_true(g_str_has_prefix(create(cluster, name, size, ""), "202"));
    }
}

/* Exactly that many are accepted; afterwards any so many hosts can be lost; and with one more they
 * cannot, or it is refused, for the reason that was told. */
static void check(uint64_t seed, const char *size, int64_t survive, guint *bounded)
{
    Cluster cluster = cluster_of(seed);
    json_t *plan = fit(cluster.w, size, survive);
    int64_t count = json_integer_value(json_object_get(plan, "count"));
    const char *refusal = json_string_value(json_object_get(plan, "refusal"));
    make(&cluster, size, count);
    if (survive > 0 && count > 0) {
        g_assert_true(can_lose_any(&cluster, survive));
    }
    const char *reply = create(&cluster, "one-more", size, "");
    if (g_str_has_prefix(refusal, "without ")) {
        g_assert_true(g_str_has_prefix(reply, "202"));
        g_assert_false(can_lose_any(&cluster, survive));
        *bounded += count > 0;
    } else {
        g_autofree char *refused = g_strconcat("409 ", refusal, NULL);
        g_assert_true(g_str_has_prefix(reply, refused));
    }
    json_decref(plan);
    world_free(cluster.w);
}

static void test_that_many_fit_and_survive(void)
{
    static const char *const sizes[] = {"m1", "s", "l"};
    const char *wanted = g_getenv("BERTH_PLAN_CLUSTERS");
    uint64_t clusters = wanted != NULL ? g_ascii_strtoull(wanted, NULL, 10) : CLUSTERS;
    guint bounded[4] = {0};
    for (uint64_t seed = 1; seed <= clusters; seed++) {
        for (int64_t survive = 0; survive <= 3; survive++) {
            check(seed, sizes[seed % G_N_ELEMENTS(sizes)], survive, &bounded[survive]);
        }
    }
    g_assert_cmpuint(bounded[0], ==, 0);
    for (guint survive = 1; survive <= 3; survive++) {
        g_assert_cmpuint(bounded[survive], >, clusters / 50); /* the property is not empty */
    }
}

/* Each question leaves the fleet as it was: asked again it answers the same. */
static void test_a_question_changes_nothing(void)
{
    Cluster cluster = cluster_of(7);
    for (int64_t survive = 0; survive <= 3; survive++) {
        json_t *before = fit(cluster.w, "m1", survive), *zero = fit(cluster.w, "m1", 0);
        json_t *after = fit(cluster.w, "m1", survive), *still = fit(cluster.w, "m1", 0);
        g_assert_true(json_equal(before, after));
        g_assert_true(json_equal(zero, still));
        json_decref(before);
        json_decref(after);
        json_decref(zero);
        json_decref(still);
    }
    world_free(cluster.w);
}

static void test_too_many_losses_are_refused(void)
{
    World *w = world_new();
    add_image_and_size(w);
    for (guint i = 0; i < 101; i++) {
        g_autofree char *name = g_strdup_printf("h%u", i);
        g_free(add_host(w, name, 2000, 4096));
        if (i == 99) { /* 4,950 pairs */
            json_t *plan = fit(w, "m1", 2);
            g_assert_cmpint(json_integer_value(json_object_get(plan, "count")), ==, 196);
            json_decref(plan);
        }
    }
    json_t *plan = fit(w, "m1", 1); /* as many as there are hosts, whatever their number */
    g_assert_cmpint(json_integer_value(json_object_get(plan, "count")), ==, 200);
    json_decref(plan);
    plan = fit(w, "m1", 100);
    g_assert_cmpint(json_integer_value(json_object_get(plan, "count")), ==, 2);
    json_decref(plan);
    GetPlanFitQuery *query = codec_new(api_routes[API_OP_GET_PLAN_FIT].query);
    query->size = g_strdup("m1");
    query->survive = 2;
    const char *reply = ask_with(w, API_OP_GET_PLAN_FIT, NULL, query, NULL);
    g_assert_true(g_str_has_prefix(reply, "413"));
    g_assert_nonnull(strstr(reply, "more than 5000 ways to lose 2 of 101 hosts"));
    world_free(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plan/that-many-fit-and-survive", test_that_many_fit_and_survive);
    g_test_add_func("/plan/a-question-changes-nothing", test_a_question_changes_nothing);
    g_test_add_func("/plan/too-many-losses-are-refused", test_too_many_losses_are_refused);
    return g_test_run();
}
