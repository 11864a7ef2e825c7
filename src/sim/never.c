#include "sim/never.h"

#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "sim/match.h"
#include "sim/shape.h"
#include "sim/whereabouts.h"

#define PATIENCE_MS 10000

struct Never {
    Sim *sim;
    const json_t *list;
    GHashTable *under_way; /* of Asked, which are under way */
    int64_t revision;      /* of the store when VMs were looked for last */
    uint64_t steps;        /* of the manager when objects were asked for last */
    bool over;
    GError *seen;
};

/* An object that was asked for. */
typedef struct {
    Never *never;
    size_t entry;
    const char *path;
    const json_t *unwanted;
    int64_t asked_ms;
    uint64_t request; /* 0: it has not left yet */
    bool answered;
} Asked;

static bool invalid(size_t entry, const char *member, const char *value, const char *remedy,
                    const char *message, GError **error)
{
    g_autofree char *field = member != NULL ? g_strdup_printf("never[%zu].%s", entry, member)
                                            : g_strdup_printf("never[%zu]", entry);
    return berth_error_set(error, BERTH_ERROR_INVALID, field, value, remedy, "%s", message);
}

static bool fits_event(const json_t *value)
{
    return json_object_size(value) > 0;
}

static bool fits_together(const json_t *value)
{
    return shape_is_texts(value) && json_array_size(value) > 0;
}

static bool fits_on(const json_t *value)
{
    return shape_maps_to(value, shape_is_text_or_texts);
}

static const struct {
    const char *member;
    bool (*fits)(const json_t *value);
    const char *remedy;
} shapes[] = {
    {"objects", shape_maps_paths, "write paths that can be read, as {/v1/vms/web: {…}}"},
    {"event", fits_event, "write what the event would hold, as {kind: vm.preempted}"},
    {"together", fits_together, "write a list of VMs and apps"},
    {"on", fits_on, "write {web: h1}, or {web: [h1, h2]}"},
};

static bool check_entry(const json_t *entry, size_t number, GError **error)
{
    const char *key;
    json_t *value;
    if (json_object_size(entry) != 1) {
        return invalid(number, NULL, NULL, "write one of objects, event, together and on in each",
                       "not what can be looked for", error);
    }
    json_object_foreach ((json_t *)entry, key, value) {
        for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
            if (strcmp(shapes[i].member, key) == 0) {
                return shapes[i].fits(value) || invalid(number, key, NULL, shapes[i].remedy,
                                                        "not what can be looked for", error);
            }
        }
        invalid(number, key, NULL, "objects, event, together, on", "unknown in a scenario", error);
    }
    return false;
}

bool never_check(const json_t *list, GError **error)
{
    if (!json_is_array(list)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "never", NULL,
                               "write a list of objects, event, together and on",
                               "what may never hold is a list");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!check_entry(json_array_get(list, i), i, error)) {
            return false;
        }
    }
    return true;
}

static bool check_hosts(const Never *never, GError **error)
{
    for (size_t i = 0; i < json_array_size(never->list); i++) {
        const char *vm, *host;
        json_t *hosts;
        json_object_foreach (json_object_get(json_array_get(never->list, i), "on"), vm, hosts) {
            for (size_t k = 0; (host = shape_text(hosts, k)) != NULL; k++) {
                if (sim_find_host(never->sim, host) == NULL) {
                    return invalid(i, "on", host, "name one of the state's hosts",
                                   "there is no such host", error);
                }
            }
        }
    }
    return true;
}

Never *never_new(Sim *sim, const json_t *list, GError **error)
{
    g_autoptr(Never) never = g_new0(Never, 1);
    *never = (Never){.sim = sim,
                     .list = list,
                     .under_way = g_hash_table_new_full(NULL, NULL, g_free, NULL),
                     .revision = -1};
    if (!check_hosts(never, error)) {
        return NULL;
    }
    never_look(never);
    return g_steal_pointer(&never);
}

void never_free(Never *never)
{
    if (never == NULL) {
        return;
    }
    GHashTableIter iter;
    void *key;
    g_hash_table_iter_init(&iter, never->under_way);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        sim_manager_cancel(never->sim->manager, ((const Asked *)key)->request);
    }
    g_hash_table_unref(never->under_way);
    g_clear_error(&never->seen);
    g_free(never);
}

G_GNUC_PRINTF(5, 6)
static void see(Never *never, size_t entry, const char *member, int64_t at_ms, const char *format,
                ...)
{
    if (never->seen != NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *field = g_strdup_printf("never[%zu].%s", entry, member);
    g_autofree char *time = berth_time_format(at_ms);
    berth_error_set(&never->seen, BERTH_ERROR_CONFLICT, field, NULL, NULL,
                    "this may never hold, and did at %s: %s", time, what);
}

static void look_beside(Never *never, size_t entry, const Whereabouts *one, const GPtrArray *others)
{
    for (guint i = 0; i < others->len; i++) {
        const Whereabouts *other = others->pdata[i];
        if (one->host != NULL && g_strcmp0(one->host, other->host) == 0 &&
            strcmp(one->vm, other->vm) != 0) {
            see(never, entry, "together", never->sim->world->now_ms, "%s and %s were both on %s",
                other->name, one->name, one->host);
        }
    }
}

/* The VMs of each name are held against those of the names before it; of one app alone, each VM against
 * the others. */
static void look_together(Never *never, size_t entry, const json_t *names)
{
    g_autoptr(GPtrArray) lists = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
    g_autoptr(GPtrArray) before = g_ptr_array_new();
    bool alone = json_array_size(names) == 1;
    for (size_t i = 0; i < json_array_size(names); i++) {
        GPtrArray *vms = whereabouts_of(never->sim, json_string_value(json_array_get(names, i)));
        for (guint k = 0; k < vms->len; k++) {
            look_beside(never, entry, vms->pdata[k], before);
            if (alone) {
                g_ptr_array_add(before, vms->pdata[k]);
            }
        }
        g_ptr_array_extend(before, vms, NULL, NULL);
        g_ptr_array_add(lists, vms);
    }
}

static void look_on(Never *never, size_t entry, const json_t *places)
{
    const char *name, *host;
    json_t *hosts;
    json_object_foreach ((json_t *)places, name, hosts) {
        g_autoptr(GPtrArray) vms = whereabouts_of(never->sim, name);
        for (guint i = 0; i < vms->len; i++) {
            const Whereabouts *vm = vms->pdata[i];
            for (size_t k = 0; (host = shape_text(hosts, k)) != NULL; k++) {
                if (g_strcmp0(vm->host, host) == 0) {
                    see(never, entry, "on", never->sim->world->now_ms, "%s was on %s", vm->name,
                        host);
                }
            }
        }
    }
}

static void on_answer(void *owner, const SimReply *reply)
{
    Asked *asked = owner;
    Never *never = asked->never;
    if (reply->body != NULL && match_holds(reply->body, asked->unwanted, NULL)) {
        char *is = json_dumps(asked->unwanted, JSON_COMPACT | JSON_ENCODE_ANY);
        see(never, asked->entry, "objects", asked->asked_ms, "%s held %s", asked->path, is);
        free(is);
    }
    asked->answered = true;
    if (asked->request != 0) {
        g_hash_table_remove(never->under_way, asked);
    }
}

static void ask_objects(Never *never, size_t entry, const json_t *objects)
{
    const char *path;
    json_t *unwanted;
    json_object_foreach ((json_t *)objects, path, unwanted) {
        Asked *asked = g_new0(Asked, 1);
        *asked = (Asked){.never = never,
                         .entry = entry,
                         .path = path,
                         .unwanted = unwanted,
                         .asked_ms = never->sim->world->now_ms};
        g_hash_table_add(never->under_way, asked);
        asked->request =
            sim_manager_ask(never->sim->manager, "GET", path, NULL, -1, on_answer, asked);
        if (asked->answered) {
            g_hash_table_remove(never->under_way, asked);
        }
    }
}

/* VMs are where the store has them, which only a transaction changes. */
static void look_at_vms(Never *never)
{
    int64_t revision = sim_disk_revision(sim_manager_disk(never->sim->manager));
    for (size_t i = 0; revision != never->revision && i < json_array_size(never->list); i++) {
        const json_t *entry = json_array_get(never->list, i);
        look_together(never, i, json_object_get(entry, "together"));
        look_on(never, i, json_object_get(entry, "on"));
    }
    never->revision = revision;
}

static void look_at_objects(Never *never)
{
    SimManager *manager = never->sim->manager;
    bool idle = never->steps == sim_manager_steps(manager) || !sim_manager_is_up(manager);
    for (size_t i = 0; !idle && i < json_array_size(never->list); i++) {
        ask_objects(never, i, json_object_get(json_array_get(never->list, i), "objects"));
    }
    never->steps = sim_manager_steps(manager);
}

void never_look(Never *never)
{
    if (never->seen == NULL && !never->over) {
        look_at_vms(never);
        look_at_objects(never);
    }
}

void never_take_event(Never *never, const json_t *event)
{
    for (size_t i = 0; !never->over && i < json_array_size(never->list); i++) {
        const json_t *unwanted = json_object_get(json_array_get(never->list, i), "event");
        if (unwanted != NULL && match_holds(event, unwanted, NULL)) {
            see(never, i, "event", never->sim->world->now_ms, "event %s: %s",
                json_string_value(json_object_get(event, "kind")),
                json_string_value(json_object_get(event, "message")));
        }
    }
}

void never_end(Never *never)
{
    SimWorld *world = never->sim->world;
    never->over = true;
    int64_t deadline = world->now_ms + PATIENCE_MS;
    while (g_hash_table_size(never->under_way) > 0 && world->broken == NULL &&
           world->now_ms < deadline) {
        sim_run_until(world, world->now_ms + 1);
    }
}

const GError *never_seen(const Never *never)
{
    return never->seen;
}
