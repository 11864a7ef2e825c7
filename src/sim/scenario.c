#include "sim/scenario.h"

#include <string.h>

#include "base/error.h"
#include "base/yaml.h"
#include "sim/match.h"
#include "sim/state.h"
#include "sim/steps.h"

#define SETTLE_MS 60000
#define WITHIN_MS 10000
#define POLL_MS 50

static const char *const top_members[] = {"name", "about", "seed", "state", "events", NULL};
static const char *const step_members[] = {"body",   "params", "unattended", "expect",
                                           "within", "about",  NULL};
static const char *const expect_members[] = {"status", "answer",    "objects", "absent",
                                             "events", "no-events", NULL};

static bool check_members(const json_t *object, const char *const *known, bool kinds,
                          GError **error)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)object, key, value) {
        if (!g_strv_contains(known, key) && !(kinds && step_is_known(key))) {
            g_autofree char *all = g_strjoinv(", ", (char **)known);
            g_autofree char *remedy =
                g_strdup_printf("%s%s", kinds ? "an event of docs/scenarios.md, " : "", all);
            return berth_error_set(error, BERTH_ERROR_INVALID, key, NULL, remedy,
                                   "unknown in a scenario");
        }
    }
    return true;
}

static void take_event(void *owner, const json_t *event)
{
    Stage *stage = owner;
    g_ptr_array_add(stage->events, json_deep_copy(event));
}

static bool check_answer(const Stage *stage, const json_t *expect, GError **error)
{
    const json_t *status = json_object_get(expect, "status");
    const json_t *answer = json_object_get(expect, "answer");
    if (status != NULL && json_integer_value(status) != stage->status) {
        char *text = stage->answer != NULL ? json_dumps(stage->answer, JSON_COMPACT) : NULL;
        berth_error_set(error, BERTH_ERROR_CONFLICT, "status", NULL, NULL,
                        "the answer is %d, expected was %d: %s", stage->status,
                        (int)json_integer_value(status), text != NULL ? text : "");
        free(text);
        return false;
    }
    if (answer != NULL && !match_holds(stage->answer, answer, error)) {
        berth_error_prefix_field(error, "answer");
        return false;
    }
    return true;
}

static bool check_object(const Stage *stage, const char *path, const json_t *expected,
                         GError **error)
{
    json_t *actual = NULL;
    int status = sim_ask_whole(stage->sim, "GET", path, NULL, 1000, &actual);
    bool holds =
        expected == NULL
            ? status == 404 || berth_error_set(error, BERTH_ERROR_CONFLICT, NULL, NULL, NULL,
                                               "%s answers %d, not 404", path, status)
            : match_holds(actual, expected, error);
    json_decref(actual);
    if (!holds) {
        g_prefix_error(error, "%s: ", path);
    }
    return holds;
}

static bool check_objects(const Stage *stage, const json_t *expect, GError **error)
{
    const char *path;
    json_t *expected;
    json_object_foreach (json_object_get(expect, "objects"), path, expected) {
        if (!check_object(stage, path, expected, error)) {
            return false;
        }
    }
    const json_t *absent = json_object_get(expect, "absent");
    for (size_t i = 0; i < json_array_size(absent); i++) {
        const char *gone = json_string_value(json_array_get(absent, i));
        if (gone != NULL && !check_object(stage, gone, NULL, error)) {
            return false;
        }
    }
    return true;
}

/* The events since the step began. */
static json_t *events_of(const Stage *stage)
{
    json_t *events = json_array();
    for (guint i = stage->first_event; i < stage->events->len; i++) {
        json_array_append(events, stage->events->pdata[i]);
    }
    return events;
}

static bool check_events(const Stage *stage, const json_t *expect, GError **error)
{
    json_t *events = events_of(stage);
    const json_t *wanted = json_object_get(expect, "events");
    const json_t *unwanted = json_object_get(expect, "no-events");
    bool sound = wanted == NULL || match_holds(events, wanted, error);
    for (size_t i = 0; sound && i < json_array_size(unwanted); i++) {
        json_t *one = json_pack("[O]", json_array_get(unwanted, i));
        if (match_holds(events, one, NULL)) {
            char *text = json_dumps(one, JSON_COMPACT);
            sound = berth_error_set(error, BERTH_ERROR_CONFLICT, "no-events", NULL, NULL,
                                    "there was such an event: %s", text);
            free(text);
        }
        json_decref(one);
    }
    json_decref(events);
    return sound;
}

static bool check_shape(const json_t *expect, GError **error)
{
    static const struct {
        const char *member;
        json_type type;
        const char *remedy;
    } shapes[] = {
        {"status", JSON_INTEGER, "write a number"},
        {"answer", JSON_OBJECT, "write what the answer should hold"},
        {"objects", JSON_OBJECT, "write {/v1/vms/web: {…}}"},
        {"absent", JSON_ARRAY, "write a list of paths"},
        {"events", JSON_ARRAY, "write a list of events"},
        {"no-events", JSON_ARRAY, "write a list of events"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
        const json_t *value = json_object_get(expect, shapes[i].member);
        if (value != NULL && json_typeof(value) != shapes[i].type) {
            return berth_error_set(error, BERTH_ERROR_INVALID, shapes[i].member, NULL,
                                   shapes[i].remedy, "not what an expectation is made of");
        }
    }
    return check_members(expect, expect_members, false, error);
}

/* Holds now, or before long. */
static bool check_expectation(Stage *stage, const json_t *step, GError **error)
{
    const json_t *expect = json_object_get(step, "expect");
    int64_t within = WITHIN_MS;
    const json_t *patience = json_object_get(step, "within");
    if ((patience != NULL && !step_duration(patience, &within, error)) ||
        !check_shape(expect, error) || !check_answer(stage, expect, error)) {
        return false;
    }
    SimWorld *world = stage->sim->world;
    int64_t deadline = world->now_ms + within;
    for (;;) {
        g_autoptr(GError) differs = NULL;
        if (check_objects(stage, expect, &differs) && check_events(stage, expect, &differs)) {
            return true;
        }
        if (world->now_ms >= deadline || world->broken != NULL) {
            g_propagate_error(error, g_steal_pointer(&differs));
            return false;
        }
        sim_run_until(world, world->now_ms + POLL_MS);
    }
}

static const char *kind_of_step(const json_t *step)
{
    const char *key, *kind = NULL;
    json_t *value;
    json_object_foreach ((json_t *)step, key, value) {
        kind = step_is_known(key) ? key : kind;
    }
    return kind;
}

static bool play_step(Stage *stage, const json_t *step, GError **error)
{
    if (!json_is_object(step) || !check_members(step, step_members, true, error)) {
        return json_is_object(step) ? false
                                    : berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                                                      "see docs/scenarios.md", "not an event");
    }
    stage->first_event = stage->events->len;
    stage->status = 0;
    g_clear_pointer(&stage->answer, json_decref);
    const char *kind = kind_of_step(step);
    if (kind != NULL && !step_do(stage, kind, json_object_get(step, kind), step, error)) {
        return false;
    }
    if (json_object_get(step, "expect") != NULL && !check_expectation(stage, step, error)) {
        berth_error_prefix_field(error, "expect");
        return false;
    }
    return true;
}

/* A rule of the design comes before what the file expects. */
static bool sound(const Stage *stage, GError **error)
{
    SimWorld *world = stage->sim->world;
    if (world->broken == NULL) {
        return true;
    }
    g_autofree char *recent = sim_recent(world);
    g_clear_error(error);
    return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                           "a rule is broken: %s\nthe last events:\n%s", world->broken->message,
                           recent);
}

static bool play(Stage *stage, const json_t *scenario, GError **error)
{
    if (!state_load(stage->sim, json_object_get(scenario, "state"), error)) {
        berth_error_prefix_field(error, "state");
        return false;
    }
    sim_run_until(stage->sim->world, stage->sim->world->now_ms + SETTLE_MS);
    const json_t *events = json_object_get(scenario, "events");
    for (size_t i = 0; i < json_array_size(events); i++) {
        bool played = play_step(stage, json_array_get(events, i), error);
        if (!sound(stage, error) || !played) {
            g_autofree char *prefix = g_strdup_printf("events[%zu]", i);
            berth_error_prefix_field(error, prefix);
            return false;
        }
    }
    return sound(stage, error);
}

static bool check_scenario(const json_t *scenario, GError **error)
{
    if (!json_is_object(scenario)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, "see docs/scenarios.md",
                               "not a scenario");
    }
    if (!check_members(scenario, top_members, false, error)) {
        return false;
    }
    return json_is_array(json_object_get(scenario, "events")) ||
           json_object_get(scenario, "events") == NULL ||
           berth_error_set(error, BERTH_ERROR_INVALID, "events", NULL, "write a list",
                           "the events of a scenario are a list");
}

static bool run_document(const json_t *scenario, bool trace, GError **error)
{
    if (!check_scenario(scenario, error)) {
        return false;
    }
    const json_t *seed = json_object_get(scenario, "seed");
    ClusterConfig config = {0};
    g_autoptr(Sim) sim = sim_new(seed != NULL ? (uint64_t)json_integer_value(seed) : 1, &config);
    sim->world->trace = trace;
    Stage stage = {.sim = sim,
                   .events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref)};
    sim_manager_follow(sim->manager, take_event, &stage);
    bool holds = play(&stage, scenario, error);
    json_decref(stage.answer);
    sim_manager_follow(sim->manager, NULL, NULL);
    g_ptr_array_unref(stage.events);
    return holds;
}

/* The line first, since that is where one looks. */
static ScenarioResult tell_line(const YamlDocument *document, const char *path, GError **error)
{
    bool unreadable = g_error_matches(*error, BERTH_ERROR, BERTH_ERROR_INVALID);
    int line = yaml_document_line(document, berth_error_field(*error));
    g_prefix_error(error, "%s:%d: ", path, line);
    return unreadable ? SCENARIO_UNREADABLE : SCENARIO_FAILS;
}

ScenarioResult scenario_run(const char *path, bool trace, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;
    if (!g_file_get_contents(path, &text, &length, error)) {
        return SCENARIO_UNREADABLE;
    }
    g_autoptr(GPtrArray) documents = yaml_parse(text, length, NULL, error);
    if (documents == NULL) {
        g_prefix_error(error, "%s: ", path);
        return SCENARIO_UNREADABLE;
    }
    for (guint i = 0; i < documents->len; i++) {
        const YamlDocument *document = documents->pdata[i];
        if (!run_document(document->root, trace, error)) {
            return tell_line(document, path, error);
        }
    }
    return SCENARIO_HOLDS;
}
