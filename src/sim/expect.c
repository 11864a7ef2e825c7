#include "sim/expect.h"

#include <string.h>

#include "base/error.h"
#include "sim/match.h"
#include "sim/shape.h"
#include "sim/whereabouts.h"

static bool invalid(const char *member, const char *remedy, GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, member, NULL, remedy,
                           "not what an expectation is made of");
}

G_GNUC_PRINTF(3, 4)
static bool differs(GError **error, const char *member, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    return berth_error_set(error, BERTH_ERROR_CONFLICT, member, NULL, NULL, "%s", text);
}

static bool is_text(const json_t *value)
{
    return json_is_string(value);
}

static bool is_count(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool is_list(const json_t *value)
{
    return json_is_array(value);
}

static bool is_object(const json_t *value)
{
    return json_is_object(value);
}

static bool fits_absent(const json_t *value)
{
    for (size_t i = 0; shape_is_texts(value) && i < json_array_size(value); i++) {
        if (!shape_is_path(json_string_value(json_array_get(value, i)))) {
            return false;
        }
    }
    return shape_is_texts(value);
}

static bool fits_hosts(const json_t *value)
{
    return shape_maps_to(value, shape_is_text_or_texts);
}

static bool fits_reason(const json_t *value)
{
    return is_text(value) || shape_maps_to(value, is_text);
}

static bool fits_count(const json_t *value)
{
    return is_count(value) || shape_maps_to(value, is_count);
}

static const struct {
    const char *member;
    bool (*fits)(const json_t *value);
    const char *remedy;
} shapes[] = {
    {"status", is_count, "write a number"},
    {"answer", is_object, "write what the answer should hold"},
    {"reason", fits_reason, "write a part of a text, or {h1: a part of its verdict}"},
    {"fits", fits_count, "write a number, or {h1: 2, h2: 1}"},
    {"without-place", shape_is_texts, "write a list of VMs"},
    {"hosts", fits_hosts, "write {web: h1}, or {web: [h1, h2]}"},
    {"objects", shape_maps_paths, "write paths that can be read, as {/v1/vms/web: {…}}"},
    {"absent", fits_absent, "write a list of paths that can be read"},
    {"events", is_list, "write a list of events"},
    {"no-events", is_list, "write a list of events"},
};

static bool check_member(const char *key, const json_t *value, GError **error)
{
    g_autoptr(GString) all = g_string_new(NULL);
    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
        if (strcmp(shapes[i].member, key) == 0) {
            return shapes[i].fits(value) || invalid(key, shapes[i].remedy, error);
        }
        g_string_append_printf(all, "%s%s", i > 0 ? ", " : "", shapes[i].member);
    }
    return berth_error_set(error, BERTH_ERROR_INVALID, key, NULL, all->str,
                           "unknown in a scenario");
}

bool expect_check(const json_t *expect, GError **error)
{
    const char *key;
    json_t *value;
    if (!json_is_object(expect)) {
        return invalid(NULL, "see docs/scenarios.md", error);
    }
    json_object_foreach ((json_t *)expect, key, value) {
        if (!check_member(key, value, error)) {
            return false;
        }
    }
    return true;
}

/* A ~ in front says what holds of these texts anyway. */
static bool contains(const char *text, const char *part)
{
    return text != NULL && strstr(text, part[0] == '~' ? part + 1 : part) != NULL;
}

static const char *text_in(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static bool check_status(const Stage *stage, const json_t *expect, GError **error)
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

/* Rows of an answer that say why: which list, whom a row is about, and what it says. */
static const struct {
    const char *list[3];
    const char *who, *why;
} grounds[] = {
    {{"error", "explanation", "hosts"}, "host", "verdict"},
    {{"explanation", "hosts"}, "host", "verdict"},
    {{"without-place"}, "vm", "why"},
    {{"plan"}, "name", "why"},
};

static bool has_text(const json_t *texts, const char *text)
{
    for (size_t i = 0; i < json_array_size(texts); i++) {
        if (g_strcmp0(json_string_value(json_array_get(texts, i)), text) == 0) {
            return true;
        }
    }
    return false;
}

/* What the answer says of a host or a VM; hosts that are alike share a row. NULL: nothing. */
static const char *reason_for(const json_t *answer, const char *who)
{
    for (guint g = 0; g < G_N_ELEMENTS(grounds); g++) {
        const json_t *rows = answer, *row;
        for (guint i = 0; i < G_N_ELEMENTS(grounds[g].list) && grounds[g].list[i] != NULL; i++) {
            rows = json_object_get(rows, grounds[g].list[i]);
        }
        size_t k;
        json_array_foreach (rows, k, row) {
            const char *why = text_in(row, grounds[g].why);
            if (why != NULL && (g_strcmp0(text_in(row, grounds[g].who), who) == 0 ||
                                has_text(json_object_get(row, "others"), who))) {
                return why;
            }
        }
    }
    return NULL;
}

static bool check_reason(const Stage *stage, const json_t *reason, GError **error)
{
    if (json_is_string(reason)) {
        const char *refusal = text_in(stage->answer, "refusal");
        const char *message = text_in(json_object_get(stage->answer, "error"), "message");
        const char *why = message != NULL ? message : refusal;
        return contains(why, json_string_value(reason)) ||
               differs(error, "reason", "expected '%s', the reason is: %s",
                       json_string_value(reason), why != NULL ? why : "none, nothing was refused");
    }
    const char *who;
    json_t *part;
    json_object_foreach ((json_t *)reason, who, part) {
        const char *why = reason_for(stage->answer, who);
        if (!contains(why, json_string_value(part))) {
            return differs(error, "reason", "%s: expected '%s', the answer says: %s", who,
                           json_string_value(part),
                           why != NULL ? why : "nothing of it (ask with ?explain=true)");
        }
    }
    return true;
}

static json_int_t count_on(const json_t *answer, const char *host)
{
    const json_t *row;
    size_t i;
    json_array_foreach (json_object_get(answer, "hosts"), i, row) {
        if (g_strcmp0(text_in(row, "host"), host) == 0) {
            return json_integer_value(json_object_get(row, "count"));
        }
    }
    return 0;
}

static bool check_fits(const Stage *stage, const json_t *fits, GError **error)
{
    const json_t *count = json_object_get(stage->answer, "count");
    const char *host;
    json_t *expected;
    if (!stage->planned || count == NULL) {
        return differs(error, "fits", "the answer counts nothing: ask with plan: {fit: SIZE}");
    }
    if (json_is_integer(fits) && json_integer_value(fits) != json_integer_value(count)) {
        return differs(error, "fits",
                       "expected %" JSON_INTEGER_FORMAT ", there is room for %" JSON_INTEGER_FORMAT,
                       json_integer_value(fits), json_integer_value(count));
    }
    json_object_foreach ((json_t *)fits, host, expected) {
        json_int_t is = count_on(stage->answer, host);
        if (is != json_integer_value(expected)) {
            return differs(error, "fits",
                           "expected %" JSON_INTEGER_FORMAT " on %s, it would be "
                           "%" JSON_INTEGER_FORMAT,
                           json_integer_value(expected), host, is);
        }
    }
    return true;
}

/* Exactly these: nobody else, and nobody less. */
static bool check_without_place(const Stage *stage, const json_t *expected, GError **error)
{
    g_autoptr(GString) is = g_string_new(NULL);
    const json_t *rows = json_object_get(stage->answer, "without-place"), *row;
    size_t i, known = 0;
    json_array_foreach (rows, i, row) {
        g_string_append_printf(is, "%s%s", i > 0 ? ", " : "", text_in(row, "vm"));
        known += has_text(expected, text_in(row, "vm"));
    }
    if (!stage->planned || stage->status != 200) {
        return differs(error, "without-place",
                       "nothing would be moved: ask with plan: {lose: HOST} or {drain: HOST}");
    }
    return (known == json_array_size(rows) && known == json_array_size(expected)) ||
           differs(error, "without-place", "without a place would be: %s",
                   is->len > 0 ? is->str : "none");
}

/* Is it the VM `name`, or one of the app `name`? */
static bool is_of(const char *vm, const char *name)
{
    gsize length = strlen(name);
    return vm != NULL && strncmp(vm, name, length) == 0 &&
           (vm[length] == '\0' ||
            (vm[length] == '-' && vm[length + 1] != '\0' &&
             strspn(vm + length + 1, "0123456789") == strlen(vm + length + 1)));
}

static bool is_allowed(const char *vm, const char *host, const json_t *allowed, GError **error)
{
    for (size_t i = 0; shape_text(allowed, i) != NULL; i++) {
        if (g_strcmp0(shape_text(allowed, i), host) == 0) {
            return true;
        }
    }
    char *text = json_dumps(allowed, JSON_ENCODE_ANY | JSON_COMPACT);
    bool result = differs(error, "hosts", "expected %s on %s, it is on %s", vm, text,
                          host != NULL ? host : "none");
    free(text);
    return result;
}

/* Where a plan would put it. */
static bool check_planned_host(const Stage *stage, const char *name, const json_t *allowed,
                               GError **error)
{
    static const struct {
        const char *list, *who, *host;
    } lists[] = {{"moves", "vm", "to"}, {"plan", "name", "host"}};
    bool found = false;
    for (guint l = 0; l < G_N_ELEMENTS(lists); l++) {
        const json_t *row;
        size_t i;
        json_array_foreach (json_object_get(stage->answer, lists[l].list), i, row) {
            const char *vm = text_in(row, lists[l].who);
            if (is_of(vm, name)) {
                found = true;
                if (!is_allowed(vm, text_in(row, lists[l].host), allowed, error)) {
                    return false;
                }
            }
        }
    }
    return found || differs(error, "hosts", "the plan has no place for %s", name);
}

static bool check_host(const Stage *stage, const char *name, const json_t *allowed, GError **error)
{
    g_autoptr(GPtrArray) vms = whereabouts_of(stage->sim, name);
    for (guint i = 0; i < vms->len; i++) {
        const Whereabouts *vm = vms->pdata[i];
        if (!is_allowed(vm->name, vm->host, allowed, error)) {
            return false;
        }
    }
    return vms->len > 0 ||
           differs(error, "hosts", "there is no VM and no app %s, or no VM of it", name);
}

static bool check_hosts(const Stage *stage, const json_t *hosts, bool planned, GError **error)
{
    const char *name;
    json_t *allowed;
    json_object_foreach ((json_t *)hosts, name, allowed) {
        if (!(planned ? check_planned_host(stage, name, allowed, error)
                      : check_host(stage, name, allowed, error))) {
            return false;
        }
    }
    return true;
}

bool expect_answer(const Stage *stage, const json_t *expect, GError **error)
{
    const json_t *reason = json_object_get(expect, "reason");
    const json_t *fits = json_object_get(expect, "fits");
    const json_t *without = json_object_get(expect, "without-place");
    return check_status(stage, expect, error) &&
           (reason == NULL || check_reason(stage, reason, error)) &&
           (fits == NULL || check_fits(stage, fits, error)) &&
           (without == NULL || check_without_place(stage, without, error)) &&
           (!stage->planned || check_hosts(stage, json_object_get(expect, "hosts"), true, error));
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

bool expect_now(const Stage *stage, const json_t *expect, GError **error)
{
    return check_objects(stage, expect, error) && check_events(stage, expect, error) &&
           (stage->planned || check_hosts(stage, json_object_get(expect, "hosts"), false, error));
}
