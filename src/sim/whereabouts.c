#include "sim/whereabouts.h"

#include <string.h>

static void whereabouts_free(void *data)
{
    Whereabouts *where = data;
    g_free(where->vm);
    g_free(where->name);
    g_free(where);
}

static json_t *parse(GBytes *value)
{
    return json_loadb(g_bytes_get_data(value, NULL), g_bytes_get_size(value), JSON_DECODE_ANY,
                      NULL);
}

typedef struct {
    const char *kind;
    const char *name; /* or TENANT/NAME */
    char *id;
} Wanted;

/* name/KIND/TENANT/NAME → id */
static void find_name(const char *key, GBytes *value, void *data)
{
    Wanted *wanted = data;
    const char *owned = key + strlen("name/") + strlen(wanted->kind) + 1;
    const char *name = strrchr(key, '/') + 1;
    if (wanted->id == NULL &&
        strcmp(strchr(wanted->name, '/') != NULL ? owned : name, wanted->name) == 0) {
        json_t *id = parse(value);
        wanted->id = g_strdup(json_string_value(id));
        json_decref(id);
    }
}

char *whereabouts_id(const Sim *sim, const char *kind, const char *name)
{
    Wanted wanted = {.kind = kind, .name = name};
    g_autofree char *prefix = g_strdup_printf("name/%s/", kind);
    sim_disk_each(sim_manager_disk(sim->manager), prefix, find_name, &wanted);
    return wanted.id;
}

typedef struct {
    const Sim *sim;
    const char *vm, *app; /* ids; one is NULL */
    GPtrArray *found;
    Whereabouts *at; /* whose parts are being read: placement comes before spec */
} Search;

static void read_placement(Search *search, const json_t *placement)
{
    const char *host = json_string_value(json_object_get(placement, "host"));
    const SimAgent *agent = host != NULL ? sim_find_host_by_id(search->sim, host) : NULL;
    search->at->host = agent != NULL ? sim_agent_machine(agent)->name : NULL;
}

static void read_spec(Search *search, const json_t *spec)
{
    const char *app = json_string_value(json_object_get(spec, "app"));
    if (g_strcmp0(search->at->vm, search->vm) == 0 ||
        (search->app != NULL && g_strcmp0(app, search->app) == 0)) {
        search->at->name = g_strdup(json_string_value(json_object_get(spec, "name")));
        g_ptr_array_add(search->found, g_steal_pointer(&search->at));
    }
}

/* vm/TENANT/ID/placement, …/spec */
static void read_part(const char *key, GBytes *value, void *data)
{
    Search *search = data;
    const char *part = strrchr(key, '/') + 1;
    bool placement = strcmp(part, "placement") == 0, spec = strcmp(part, "spec") == 0;
    if (!placement && !spec) {
        return;
    }
    g_auto(GStrv) path = g_strsplit(key, "/", -1);
    if (search->at == NULL || strcmp(search->at->vm, path[2]) != 0) {
        g_clear_pointer(&search->at, whereabouts_free);
        search->at = g_new0(Whereabouts, 1);
        search->at->vm = g_strdup(path[2]);
    }
    json_t *json = parse(value);
    if (placement) {
        read_placement(search, json);
    } else {
        read_spec(search, json);
    }
    json_decref(json);
}

GPtrArray *whereabouts_of(const Sim *sim, const char *name)
{
    g_autofree char *vm = whereabouts_id(sim, "vm", name);
    g_autofree char *app = vm == NULL ? whereabouts_id(sim, "app", name) : NULL;
    Search search = {
        .sim = sim,
        .vm = vm,
        .app = app,
        .found = g_ptr_array_new_with_free_func(whereabouts_free),
    };
    if (vm != NULL || app != NULL) {
        sim_disk_each(sim_manager_disk(sim->manager), "vm/", read_part, &search);
    }
    g_clear_pointer(&search.at, whereabouts_free);
    return search.found;
}
