/* What `berth support snapshot` writes is a scenario, and plays back what waits in its order. */
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "base/yaml.h"
#include "sim/scenario.h"
#include "sim/sim.h"

static json_t *asked(Sim *sim, const char *method, const char *path, const char *body)
{
    g_autoptr(GError) error = NULL;
    json_t *answer = sim_ask_text(sim, method, path, body, &error);
    g_assert_no_error(error);
    return answer;
}

static void ask(Sim *sim, const char *method, const char *path, const char *body)
{
    json_decref(asked(sim, method, path, body));
}

/* A full host, VMs that end, and five who wait: of two tenants, for a VM and for apps, with priorities, a
 * deadline and a promised start, and a time that it may wait. The deadline is asked for first, as what waits
 * has its start promised at once and without an end would leave no room. */
static Sim *sim_with_a_queue(void)
{
    Sim *sim = sim_new_at(3, INT64_C(1795690800000), &(ClusterConfig){0});
    g_autoptr(GError) error = NULL;
    Resources *capacity = resources_new();
    capacity->cpu = 4000;
    capacity->memory = 8192;
    sim_add_host(sim, "h1", capacity, NULL, NULL, &error);
    g_assert_true(sim_add_image(sim, "demo", &error));
    ask(sim, "POST", "/v1/tenants", "{'name':'blue','weight':3}");
    ask(sim, "POST", "/v1/sizes", "{'name':'s','resources':{'cpu':1000,'memory':256}}");
    ask(sim, "POST", "/v1/sizes", "{'name':'l','resources':{'cpu':3000,'memory':512}}");
    sim_run_until(sim->world, sim->world->now_ms + 2000);
    ask(sim, "POST", "/v1/vms?wait=30",
        "{'name':'brief','size':'l','image':'demo','duration-seconds':7200}");
    ask(sim, "POST", "/v1/vms?wait=30", "{'name':'stays','size':'s','image':'demo'}");
    ask(sim, "POST", "/v1/vms",
        "{'name':'due','size':'l','image':'demo','duration-seconds':3600,'deadline':'+4h'}");
    ask(sim, "POST", "/v1/vms",
        "{'name':'low','size':'s','image':'demo','queue':true,'priority':100}");
    ask(sim, "POST", "/v1/apps",
        "{'name':'pair','size':'s','image':'demo','count':2,'queue':true}");
    ask(sim, "POST", "/v1/vms?tenant=blue",
        "{'name':'urgent','size':'s','image':'demo','queue':true,'priority':500}");
    ask(sim, "POST", "/v1/apps",
        "{'name':'patient','size':'l','image':'demo','count':1,'queue-seconds':86400,'priority':"
        "50}");
    sim_run_until(sim->world, sim->world->now_ms + 60000);
    return sim;
}

/* Of what waits all that makes its place, but its share, which masked names do not change either. */
static json_t *queue_of(const json_t *list)
{
    json_t *queue = json_array();
    const json_t *entry;
    size_t i;
    json_array_foreach (json_object_get(list, "items"), i, entry) {
        json_t *row = json_object();
        static const char *const kept[] = {"id",          "place",    "priority",
                                           "kind",        "since-ms", "deadline-ms",
                                           "expected-ms", "until-ms", "count"};
        for (guint k = 0; k < G_N_ELEMENTS(kept); k++) {
            json_object_set(row, kept[k], json_object_get(entry, kept[k]));
        }
        json_array_append_new(queue, row);
    }
    return queue;
}

/* Plays the scenario with an event that expects these to wait, beside the first, which is blue's. */
static ScenarioResult play(json_t *scenario, json_t *queue, GError **error)
{
    json_t *event = json_pack("{s:s, s:{s:{s:O}}}", "request", "GET /v1/queue", "expect", "answer",
                              "items", queue);
    json_object_set_new(scenario, "events", json_pack("[o]", event));
    g_autofree char *text = yaml_dump(scenario);
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("berth-snapshot-XXXXXX", &path, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    ScenarioResult result = scenario_run(path, false, error);
    g_unlink(path);
    return result;
}

static void check(const char *path, bool named)
{
    g_autoptr(Sim) sim = sim_with_a_queue();
    json_t *list = asked(sim, "GET", "/v1/queue", NULL);
    json_t *scenario = asked(sim, "GET", path, NULL);
    json_t *queue = queue_of(list);
    g_assert_no_error(sim->world->broken);
    g_assert_cmpuint(json_array_size(queue), ==, 4);
    char *written = json_dumps(scenario, JSON_COMPACT);
    g_assert_true((strstr(written, "urgent") != NULL) == named);
    g_assert_true((strstr(written, "patient") != NULL) == named);
    free(written);
    g_autoptr(GError) error = NULL;
    ScenarioResult result = play(scenario, queue, &error);
    g_assert_no_error(error);
    g_assert_cmpint(result, ==, SCENARIO_HOLDS);
    g_assert_cmpint(json_integer_value(json_object_get(json_array_get(queue, 0), "place")), ==, 2);
    /* In another order it would not hold. */
    json_t *first = json_incref(json_array_get(queue, 0));
    json_array_remove(queue, 0);
    json_array_append_new(queue, first);
    g_assert_cmpint(play(scenario, queue, &error), ==, SCENARIO_FAILS);
    json_decref(queue);
    json_decref(scenario);
    json_decref(list);
}

static void test_what_waits_is_played_back(void)
{
    check("/v1/snapshot", true);
}

static void test_what_waits_is_played_back_masked(void)
{
    check("/v1/snapshot?mask=true", false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/snapshot/what-waits-is-played-back", test_what_waits_is_played_back);
    g_test_add_func("/snapshot/what-waits-is-played-back-masked",
                    test_what_waits_is_played_back_masked);
    return g_test_run();
}
