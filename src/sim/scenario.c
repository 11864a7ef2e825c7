#include "sim/scenario.h"

#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "base/yaml.h"
#include "sim/expect.h"
#include "sim/never.h"
#include "sim/question.h"
#include "sim/state.h"
#include "sim/steps.h"

#define SETTLE_MS 60000
#define WITHIN_MS 10000
#define POLL_MS 50

static const char *const top_members[] = {"name",  "about",  "seed",  "begins",
                                          "state", "events", "never", NULL};
static const char *const step_members[] = {"body",   "params", "unattended", "expect",
                                           "within", "never",  "about",      NULL};

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

/* A scenario that is played. */
typedef struct {
    Stage stage;
    Never *always; /* what may never hold, or NULL */
    Never *now;    /* the same while an event runs */
} Play;

static void take_event(void *owner, const json_t *event)
{
    Play *play = owner;
    g_ptr_array_add(play->stage.events, json_deep_copy(event));
    if (play->always != NULL) {
        never_take_event(play->always, event);
    }
    if (play->now != NULL) {
        never_take_event(play->now, event);
    }
}

static void look(void *owner)
{
    Play *play = owner;
    if (play->always != NULL) {
        never_look(play->always);
    }
    if (play->now != NULL) {
        never_look(play->now);
    }
}

/* Holds now, or before long. */
static bool check_expectation(Stage *stage, const json_t *step, GError **error)
{
    const json_t *expect = json_object_get(step, "expect");
    int64_t within = WITHIN_MS;
    const json_t *patience = json_object_get(step, "within");
    if ((patience != NULL && !step_duration(patience, &within, error)) ||
        !expect_answer(stage, expect, error)) {
        return false;
    }
    SimWorld *world = stage->sim->world;
    int64_t deadline = world->now_ms + within;
    for (;;) {
        g_autoptr(GError) differs = NULL;
        if (expect_now(stage, expect, &differs)) {
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

static bool act(Stage *stage, const json_t *step, GError **error)
{
    stage->first_event = stage->events->len;
    stage->status = 0;
    stage->planned = false;
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

/* What was seen and may never hold comes before it too: it may be why something else does not. */
static bool unseen(const Never *never, GError **error)
{
    const GError *seen = never != NULL ? never_seen(never) : NULL;
    if (seen != NULL) {
        g_clear_error(error);
        g_propagate_error(error, g_error_copy(seen));
    }
    return seen == NULL;
}

/* Begins to look for what `holder` says may never hold. */
static bool begin_never(Play *play, const json_t *holder, Never **ret_never, GError **error)
{
    const json_t *list = json_object_get(holder, "never");
    *ret_never = list != NULL ? never_new(play->stage.sim, list, error) : NULL;
    return list == NULL || *ret_never != NULL;
}

static void end_never(Never *never)
{
    if (never != NULL) {
        never_end(never);
    }
}

static bool play_step(Play *play, const json_t *step, GError **error)
{
    bool played = begin_never(play, step, &play->now, error) && act(&play->stage, step, error);
    end_never(play->now);
    bool unbroken = sound(&play->stage, error);
    played = (!unbroken || unseen(play->now, error)) && unbroken && played;
    g_clear_pointer(&play->now, never_free);
    return played;
}

static bool play_events(Play *play, const json_t *events, GError **error)
{
    for (size_t i = 0; i < json_array_size(events); i++) {
        bool played = play_step(play, json_array_get(events, i), error);
        if (!played) {
            g_autofree char *prefix = g_strdup_printf("events[%zu]", i);
            berth_error_prefix_field(error, prefix);
        }
        if (play->stage.sim->world->broken == NULL && !unseen(play->always, error)) {
            g_prefix_error(error, "while events[%zu] ran: ", i);
            return false;
        }
        if (!played) {
            return false;
        }
    }
    end_never(play->always);
    return sound(&play->stage, error) && unseen(play->always, error);
}

static bool play_all(Play *play, const json_t *scenario, GError **error)
{
    Sim *sim = play->stage.sim;
    if (!state_load(sim, json_object_get(scenario, "state"), error)) {
        berth_error_prefix_field(error, "state");
        return false;
    }
    if (!begin_never(play, scenario, &play->always, error)) {
        return false;
    }
    sim_run_until(sim->world, sim->world->now_ms + SETTLE_MS);
    if (!sound(&play->stage, error) || !unseen(play->always, error)) {
        g_prefix_error(error, "before the first event: ");
        return false;
    }
    return play_events(play, json_object_get(scenario, "events"), error);
}

static bool check_step(const json_t *step, GError **error)
{
    const json_t *expect = json_object_get(step, "expect");
    const json_t *never = json_object_get(step, "never");
    const json_t *plan = json_object_get(step, "plan");
    if (!json_is_object(step)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, "see docs/scenarios.md",
                               "not an event");
    }
    if (!check_members(step, step_members, true, error)) {
        return false;
    }
    if (expect != NULL && !expect_check(expect, error)) {
        berth_error_prefix_field(error, "expect");
        return false;
    }
    g_auto(Question) question = {0};
    if (plan != NULL && !question_read(plan, &question, error)) {
        berth_error_prefix_field(error, "plan");
        return false;
    }
    return never == NULL || never_check(never, error);
}

/* Before anything is played, so that a word that is wrong is never hidden by what fails before it. */
static bool check_scenario(const json_t *scenario, GError **error)
{
    if (!json_is_object(scenario)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, "see docs/scenarios.md",
                               "not a scenario");
    }
    const json_t *events = json_object_get(scenario, "events");
    const json_t *never = json_object_get(scenario, "never");
    if (!check_members(scenario, top_members, false, error) ||
        (never != NULL && !never_check(never, error))) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(events); i++) {
        if (!check_step(json_array_get(events, i), error)) {
            g_autofree char *prefix = g_strdup_printf("events[%zu]", i);
            berth_error_prefix_field(error, prefix);
            return false;
        }
    }
    return events == NULL || json_is_array(events) ||
           berth_error_set(error, BERTH_ERROR_INVALID, "events", NULL, "write a list",
                           "the events of a scenario are a list");
}

/* In virtual time that begins when the scenario says. */
static Sim *new_sim(const json_t *scenario, GError **error)
{
    const json_t *seed = json_object_get(scenario, "seed");
    uint64_t number = seed != NULL ? (uint64_t)json_integer_value(seed) : 1;
    const json_t *begins = json_object_get(scenario, "begins");
    const char *text = json_string_value(begins);
    ClusterConfig config = {0};
    int64_t begins_ms;
    if (begins == NULL) {
        return sim_new(number, &config);
    }
    return berth_time_parse("begins", text != NULL ? text : "", &begins_ms, error)
               ? sim_new_at(number, begins_ms, &config)
               : NULL;
}

static bool run_document(const json_t *scenario, bool trace, GError **error)
{
    g_autoptr(Sim) sim = check_scenario(scenario, error) ? new_sim(scenario, error) : NULL;
    if (sim == NULL) {
        return false;
    }
    Play played = {
        .stage = {.sim = sim,
                  .events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref)}};
    sim->world->trace = trace;
    sim->world->watch = look;
    sim->world->watcher = &played;
    sim_manager_follow(sim->manager, take_event, &played);
    bool holds = play_all(&played, scenario, error);
    sim->world->watch = NULL;
    sim_manager_follow(sim->manager, NULL, NULL);
    json_decref(played.stage.answer);
    never_free(played.always);
    g_ptr_array_unref(played.stage.events);
    return holds;
}

/* The line first, since that is where one looks; what is wrong in the file itself has a column. */
static ScenarioResult tell_line(const YamlDocument *document, const char *path, GError **error)
{
    bool unreadable = g_error_matches(*error, BERTH_ERROR, BERTH_ERROR_INVALID);
    YamlMark mark = yaml_document_mark(document, berth_error_field(*error));
    if (unreadable) {
        g_prefix_error(error, "%s:%d:%d: ", path, mark.line, mark.column);
    } else {
        g_prefix_error(error, "%s:%d: ", path, mark.line);
    }
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
    if (documents->len == 0) {
        berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                        "write name, state and events; docs/scenarios.md has an example",
                        "%s:1:1: there is no scenario in the file", path);
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
