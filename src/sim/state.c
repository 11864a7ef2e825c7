#include "sim/state.h"

#include <string.h>

#include "base/codec.h"
#include "base/error.h"

#define PATIENCE_MS 60000
#define ANY_HASH "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

typedef struct {
    const char *name; /* in the state */
    const char *kind; /* in keys */
    const char *path; /* of the API */
} Kind;

static const Kind kinds[] = {
    {"tenants", "tenant", "/v1/tenants"},
    {"sizes", "size", "/v1/sizes"},
    {"images", "image", "/v1/images"},
    {"networks", "network", "/v1/networks"},
    {"rules", "rule", "/v1/rules"},
    {"reservations", "reservation", "/v1/reservations"},
    {"vms", "vm", "/v1/vms"},
    {"apps", "app", "/v1/apps"},
    {"queue", "queue", NULL},
    {"hosts", "host", NULL},
};

static const char *text(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static const char *tenant_of(const json_t *object)
{
    const char *tenant = text(object, "tenant");
    return tenant != NULL ? tenant : "default";
}

static void put(Sim *sim, char *key, const json_t *value)
{
    char *dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    GBytes *bytes = g_bytes_new(dump, strlen(dump));
    sim_disk_put(sim_manager_disk(sim->manager), key, bytes);
    g_bytes_unref(bytes);
    free(dump);
    g_free(key);
}

/* spec, placement, status: each under a key of its own. */
static void put_parts(Sim *sim, const char *prefix, const json_t *object)
{
    static const char *const parts[] = {"spec", "placement", "status"};
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        const json_t *part = json_object_get(object, parts[i]);
        if (part != NULL) {
            put(sim, g_strdup_printf("%s/%s", prefix, parts[i]), part);
        }
    }
}

static void put_host(Sim *sim, const json_t *host)
{
    const char *id = text(host, "id");
    json_t *spec = json_object_get(host, "spec") != NULL
                       ? json_deep_copy(json_object_get(host, "spec"))
                       : json_object();
    json_object_set(spec, "name", json_object_get(host, "name"));
    put(sim, g_strdup_printf("host/%s/spec", id), spec);
    json_decref(spec);
    const json_t *facts = json_object_get(json_object_get(host, "status"), "facts");
    if (facts != NULL) {
        put(sim, g_strdup_printf("host/%s/facts", id), facts);
    }
}

/* What it has is in what it owns. */
static void put_tenant(Sim *sim, const json_t *tenant)
{
    const json_t *account = json_object_get(json_object_get(tenant, "status"), "account");
    const char *name = text(tenant, "name");
    put(sim, g_strconcat("tenant/", name, NULL), json_object_get(tenant, "spec"));
    if (account != NULL) {
        put(sim, g_strconcat("account/", name, NULL), account);
    }
}

/* What waits, as the store keeps it: its name is kept for it, and its operation runs. */
static bool put_queued(Sim *sim, const json_t *object, GError **error)
{
    const char *id = text(object, "id"), *tenant = tenant_of(object);
    const char *kind = json_object_get(object, "vm") != NULL ? "vm" : "app";
    const char *name = text(json_object_get(object, kind), "name");
    const char *operation = text(object, "operation") != NULL ? text(object, "operation") : id;
    if (id == NULL || name == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                               "copy it from a snapshot, or write the VM or app with queue: true",
                               "not a request that waits");
    }
    json_t *queued = json_deep_copy(object);
    json_object_del(queued, "place"); /* follows from the rest */
    json_object_set_new(queued, "tenant", json_string(tenant));
    json_object_set_new(queued, "operation", json_string(operation));
    put(sim, g_strdup_printf("queue/%s/%s", tenant, id), queued);
    json_decref(queued);
    json_t *running =
        json_pack("{s:s, s:s+, s:s, s:s, s:{s:s, s:s, s:s}, s:s}", "id", operation, "kind", kind,
                  ".create", "tenant", tenant, "state", "running", "subject", "kind", kind, "id",
                  id, "name", name, "message", "waits in the queue");
    put(sim, g_strdup_printf("operation/%s/%s", tenant, operation), running);
    json_decref(running);
    json_t *owner = json_string(id);
    put(sim, g_strdup_printf("name/queue/%s/%s:%s", tenant, kind, name), owner);
    json_decref(owner);
    return true;
}

/* A size has no id; shown with its vCPUs it is as the API shows it. */
static bool is_shown_size(const json_t *object)
{
    return json_object_get(object, "vcpus") != NULL && json_object_get(object, "max-vcpus") != NULL;
}

/* An object as the API shows it, into the store. */
static void put_object(Sim *sim, const Kind *kind, const json_t *object)
{
    const char *id = text(object, "id");
    if (strcmp(kind->kind, "host") == 0) {
        put_host(sim, object);
    } else if (strcmp(kind->kind, "vm") == 0 || strcmp(kind->kind, "app") == 0) {
        g_autofree char *prefix = g_strdup_printf("%s/%s/%s", kind->kind, tenant_of(object), id);
        json_t *parts = json_deep_copy(object);
        if (strcmp(kind->kind, "app") == 0) {
            json_object_del(parts, "status");
        }
        put_parts(sim, prefix, parts);
        json_decref(parts);
    } else {
        put(sim, g_strdup_printf("%s/%s/%s", kind->kind, tenant_of(object), id), object);
    }
    const char *tenant = strcmp(kind->kind, "host") == 0 ? "default" : tenant_of(object);
    json_t *name = json_string(id);
    put(sim, g_strdup_printf("name/%s/%s/%s", kind->kind, tenant, text(object, "name")), name);
    json_decref(name);
}

/* An image by name alone is a small one. */
static json_t *complete_image(const json_t *object)
{
    json_t *body = json_deep_copy(object);
    if (json_object_get(body, "kind") == NULL) {
        json_object_set_new(body, "kind", json_string("kernel"));
    }
    if (json_object_get(body, "files") == NULL) {
        bool disk = strcmp(text(body, "kind"), "disk") == 0;
        json_t *file = json_pack("{s:s, s:s, s:i}", "role", disk ? "disk" : "kernel", "sha256",
                                 ANY_HASH, "bytes", 1000000);
        if (disk) {
            json_object_set_new(file, "format", json_string("qcow2"));
            json_object_set_new(file, "virtual-bytes", json_integer(1 << 30));
        }
        json_object_set_new(body, "files", json_pack("[o]", file));
    }
    return body;
}

static bool ask_for(Sim *sim, const Kind *kind, const json_t *object, GError **error)
{
    json_t *made;
    if (strcmp(kind->kind, "image") == 0) {
        json_t *body = complete_image(object);
        made = sim_create_image(sim, body, error);
        json_decref(body);
    } else {
        made = sim_ask(sim, "POST", kind->path, object, PATIENCE_MS, error);
    }
    json_decref(made);
    return made != NULL;
}

static Resources *resources_of(const json_t *host, const char *member, GError **error)
{
    const json_t *json = json_object_get(host, member);
    Resources *resources =
        json != NULL ? resources_decode(json, CODEC_STRICT, error) : resources_new();
    if (resources == NULL) {
        berth_error_prefix_field(error, member);
    }
    return resources;
}

/* NULL with an error; empty of a host without any. */
static GPtrArray *devices_of(const json_t *host, GError **error)
{
    g_autoptr(GPtrArray) devices = g_ptr_array_new_with_free_func((GDestroyNotify)host_device_free);
    size_t i;
    json_t *json;
    json_array_foreach (json_object_get(host, "devices"), i, json) {
        HostDevice *device = host_device_decode(json, CODEC_STRICT, error);
        if (device == NULL) {
            g_autofree char *field = g_strdup_printf("devices.%zu", i);
            berth_error_prefix_field(error, field);
            return NULL;
        }
        g_ptr_array_add(devices, device);
    }
    return g_steal_pointer(&devices);
}

static bool label_host(Sim *sim, const json_t *host, GError **error)
{
    json_t *labels = json_object_get(host, "labels");
    if (labels == NULL) {
        return true;
    }
    g_autofree char *path = g_strconcat("/v1/hosts/", text(host, "name"), NULL);
    json_t *body = json_pack("{s:O}", "labels", labels);
    json_t *answer = sim_ask(sim, "PATCH", path, body, PATIENCE_MS, error);
    json_decref(body);
    json_decref(answer);
    return answer != NULL;
}

static bool add_host(Sim *sim, const json_t *host, GError **error)
{
    const json_t *facts = json_object_get(json_object_get(host, "status"), "facts");
    const json_t *from = facts != NULL ? facts : host;
    if (text(host, "name") == NULL || json_object_get(from, "capacity") == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "capacity", NULL,
                               "write {name: h1, capacity: {cpu: 4000, memory: 8192}}",
                               "a host needs a name and a capacity");
    }
    Resources *capacity = resources_of(from, "capacity", error);
    Resources *reserve = capacity != NULL ? resources_of(from, "reserve", error) : NULL;
    GPtrArray *devices = reserve != NULL ? devices_of(from, error) : NULL;
    if (devices == NULL) {
        resources_free(capacity);
        resources_free(reserve);
        return false;
    }
    if (text(host, "id") != NULL) {
        sim_place_host(sim, text(host, "name"), text(host, "id"), capacity, reserve, devices);
        return true;
    }
    return sim_add_host(sim, text(host, "name"), capacity, reserve, devices, error) != NULL &&
           label_host(sim, host, error);
}

typedef bool (*Use)(Sim *sim, const Kind *kind, const json_t *object, GError **error);

static bool use_stored(Sim *sim, const Kind *kind, const json_t *object, GError **error)
{
    if (strcmp(kind->kind, "queue") == 0) {
        return put_queued(sim, object, error);
    }
    if (strcmp(kind->kind, "tenant") == 0 && json_object_get(object, "spec") != NULL) {
        put_tenant(sim, object);
    } else if (strcmp(kind->kind, "size") == 0 && is_shown_size(object)) {
        put(sim, g_strconcat("size/", text(object, "name"), NULL), object);
    } else if (text(object, "id") != NULL) {
        put_object(sim, kind, object);
    }
    return true;
}

static bool use_host(Sim *sim, const Kind *kind, const json_t *object, GError **error)
{
    return strcmp(kind->kind, "host") != 0 || add_host(sim, object, error);
}

static bool use_asked(Sim *sim, const Kind *kind, const json_t *object, GError **error)
{
    bool stored = text(object, "id") != NULL || json_object_get(object, "spec") != NULL ||
                  (strcmp(kind->kind, "size") == 0 && is_shown_size(object));
    return kind->path == NULL || stored || ask_for(sim, kind, object, error);
}

static bool each(Sim *sim, const json_t *state, Use use, GError **error)
{
    for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
        const json_t *objects = json_object_get(state, kinds[k].name);
        for (size_t i = 0; i < json_array_size(objects); i++) {
            if (!use(sim, &kinds[k], json_array_get(objects, i), error)) {
                g_autofree char *prefix = g_strdup_printf("%s[%zu]", kinds[k].name, i);
                berth_error_prefix_field(error, prefix);
                return false;
            }
        }
    }
    return true;
}

static bool check_names(const json_t *state, GError **error)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)state, key, value) {
        bool known = strcmp(key, "levels") == 0;
        for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
            known = known || strcmp(kinds[k].name, key) == 0;
        }
        if (!known || !json_is_array(value)) {
            return berth_error_set(
                error, BERTH_ERROR_INVALID, key, NULL,
                "lists of tenants, levels, hosts, sizes, images, networks, rules, "
                "reservations, vms, apps and queue",
                "a state has no such list");
        }
    }
    return true;
}

static void put_levels(Sim *sim, json_t *names)
{
    if (names != NULL) {
        json_t *levels = json_pack("{s:O}", "names", names);
        put(sim, g_strdup("meta/levels"), levels);
        json_decref(levels);
    }
}

bool state_load(Sim *sim, const json_t *state, GError **error)
{
    if (!check_names(state, error)) {
        return false;
    }
    sim_run_until(sim->world, sim->world->now_ms + 1000);
    sim_manager_crash(sim->manager);
    put_levels(sim, json_object_get(state, "levels"));
    bool stored = each(sim, state, use_stored, error);
    sim_manager_start(sim->manager);
    if (!stored || !each(sim, state, use_host, error)) {
        return false;
    }
    /* Hosts report before anything is to be placed on them. */
    sim_run_until(sim->world, sim->world->now_ms + 1000);
    return each(sim, state, use_asked, error);
}
