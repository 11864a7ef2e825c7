/* The cluster as a scenario file that berth-sim plays: its state in the API's own objects, and no
 * events yet.
 *
 * Masked, every name that a person gave is replaced by its kind and a number, in the order of the
 * ids, wherever it stands; values of labels too; what people wrote is left out. Ids, addresses and the
 * default tenant's name, which has a meaning of its own, say nothing of people. */
#include <string.h>

#include "base/timefmt.h"
#include "cluster/commands.h"
#include "cluster/fleet.h"
#include "cluster/levels.h"
#include "cluster/queue.h"
#include "cluster/reservations.h"
#include "cluster/txn.h"

typedef struct {
    ClusterCore *core;
    bool mask;
    GHashTable *names; /* name → what replaces it */
} Snapshot;

typedef json_t *(*Render)(ClusterCore *core, const void *object);

static json_t *host_json(ClusterCore *core, const void *object)
{
    return render_host(core, object);
}

static json_t *size_json(ClusterCore *core, const void *object)
{
    json_t *json = size_encode(object);
    json_object_del(json, "revision");
    return json;
}

static json_t *tenant_json(ClusterCore *core, const void *object)
{
    return render_tenant(core, object);
}

static json_t *image_json(ClusterCore *core, const void *object)
{
    return image_encode(((const ClusterImage *)object)->object);
}

static json_t *network_json(ClusterCore *core, const void *object)
{
    return render_network(object);
}

static json_t *vm_json(ClusterCore *core, const void *object)
{
    return render_vm(object);
}

static json_t *app_json(ClusterCore *core, const void *object)
{
    return render_app(object);
}

static json_t *rule_json(ClusterCore *core, const void *object)
{
    return rule_encode(((const ClusterRule *)object)->object);
}

static json_t *reservation_json(ClusterCore *core, const void *object)
{
    return reservation_encode(((const ClusterReservation *)object)->object);
}

static void add_name(Snapshot *snapshot, const char *name, const char *kind, int number)
{
    if (name != NULL && strcmp(name, DEFAULT_TENANT) != 0) {
        g_hash_table_replace(snapshot->names, g_strdup(name),
                             g_strdup_printf("%s-%d", kind, number));
    }
}

/* Devices of one name on several hosts are one name. Models are kept, and what is called as one of them. */
static void add_devices(Snapshot *snapshot)
{
    int number = 0;
    for (GTreeNode *n = g_tree_node_first(snapshot->core->hosts); n != NULL;
         n = g_tree_node_next(n)) {
        const ClusterHost *host = g_tree_node_value(n);
        for (guint i = 0; host->facts != NULL && i < host->facts->devices->len; i++) {
            const HostDevice *device = host->facts->devices->pdata[i];
            if (!g_hash_table_contains(snapshot->names, device->id) &&
                fleet_dimension(snapshot->core, device->id) < 0) {
                add_name(snapshot, device->id, "device", ++number);
            }
        }
    }
}

static json_t *collect(Snapshot *snapshot, GTree *tree, const char *kind, Render render)
{
    json_t *list = json_array();
    int number = 0;
    for (GTreeNode *n = g_tree_node_first(tree); n != NULL; n = g_tree_node_next(n)) {
        json_t *object = render(snapshot->core, g_tree_node_value(n));
        add_name(snapshot, json_string_value(json_object_get(object, "name")), kind, ++number);
        json_array_append_new(list, object);
    }
    return list;
}

/* The requests that wait, in their order. Apps that lack VMs and preempted VMs wait too, and are written
 * as what they are. */
static json_t *collect_queue(Snapshot *snapshot)
{
    json_t *list = json_array();
    g_autoptr(GArray) order = queue_order(snapshot->core);
    int number = 0;
    for (guint i = 0; i < order->len; i++) {
        const QueueItem *item = &g_array_index(order, QueueItem, i);
        if (item->queued != NULL) {
            json_t *object = queued_request_encode(item->queued->object);
            json_object_set_new(object, "place", json_integer(i + 1));
            add_name(snapshot, queue_item_name(item), "queued", ++number);
            json_array_append_new(list, object);
        }
    }
    return list;
}

static void mask(const Snapshot *snapshot, json_t *json);

/* A value of a label: the same one gets the same number everywhere. */
static const char *masked_value(const Snapshot *snapshot, const char *value)
{
    g_autofree char *name = g_strconcat("=", value, NULL); /* no object has such a name */
    if (!g_hash_table_contains(snapshot->names, name)) {
        char *other = g_strdup_printf("value-%u", g_hash_table_size(snapshot->names));
        g_hash_table_insert(snapshot->names, g_strdup(name), other);
    }
    return g_hash_table_lookup(snapshot->names, name);
}

static void mask_labels(const Snapshot *snapshot, json_t *labels)
{
    const char *key;
    json_t *value;
    json_object_foreach (labels, key, value) {
        json_object_set_new(labels, key,
                            json_string(masked_value(snapshot, json_string_value(value))));
    }
}

/* Whom a rule speaks of: app/NAME, vm/NAME or label/KEY=VALUE. */
static char *masked_subject(const Snapshot *snapshot, const char *text)
{
    const char *slash = strchr(text, '/'), *equals = strchr(text, '=');
    if (g_str_has_prefix(text, "label/") && equals != NULL) {
        return g_strdup_printf("%.*s=%s", (int)(equals - text), text,
                               masked_value(snapshot, equals + 1));
    }
    const char *other = slash != NULL ? g_hash_table_lookup(snapshot->names, slash + 1) : NULL;
    bool speaks = g_str_has_prefix(text, "app/") || g_str_has_prefix(text, "vm/");
    return speaks && other != NULL ? g_strdup_printf("%.*s/%s", (int)(slash - text), text, other)
                                   : NULL;
}

static json_t *masked_text(const Snapshot *snapshot, const json_t *text)
{
    const char *other = g_hash_table_lookup(snapshot->names, json_string_value(text));
    g_autofree char *subject =
        other == NULL ? masked_subject(snapshot, json_string_value(text)) : NULL;
    return other != NULL ? json_string(other) : subject != NULL ? json_string(subject) : NULL;
}

static void mask_object(const Snapshot *snapshot, json_t *object)
{
    static const char *const written[] = {"description", "message", "why"};
    for (guint i = 0; i < G_N_ELEMENTS(written); i++) {
        json_object_del(object, written[i]);
    }
    const char *key;
    json_t *value;
    json_object_foreach (object, key, value) {
        if (strcmp(key, "labels") == 0 || strcmp(key, "host-labels") == 0) {
            mask_labels(snapshot, value);
            continue;
        }
        json_t *other = json_is_string(value) ? masked_text(snapshot, value) : NULL;
        if (other != NULL) {
            json_object_set_new(object, key, other);
        } else {
            mask(snapshot, value);
        }
    }
}

static void mask_array(const Snapshot *snapshot, json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *value = json_array_get(array, i);
        json_t *other = json_is_string(value) ? masked_text(snapshot, value) : NULL;
        if (other != NULL) {
            json_array_set_new(array, i, other);
        } else {
            mask(snapshot, value);
        }
    }
}

static void mask(const Snapshot *snapshot, json_t *json)
{
    if (json_is_object(json)) {
        mask_object(snapshot, json);
    } else if (json_is_array(json)) {
        mask_array(snapshot, json);
    }
}

bool get_snapshot(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const GetSnapshotQuery *query = request->query;
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    Snapshot snapshot = {.core = core, .mask = query->mask, .names = names};
    json_t *state = json_object();
    json_object_set_new(state, "tenants", collect(&snapshot, core->tenants, "tenant", tenant_json));
    json_object_set_new(state, "levels", levels_names(core));
    json_object_set_new(state, "hosts", collect(&snapshot, core->hosts, "host", host_json));
    add_devices(&snapshot);
    json_object_set_new(state, "sizes", collect(&snapshot, core->sizes, "size", size_json));
    json_object_set_new(state, "images", collect(&snapshot, core->images, "image", image_json));
    json_object_set_new(state, "networks",
                        collect(&snapshot, core->networks, "network", network_json));
    json_object_set_new(state, "rules", collect(&snapshot, core->rules, "rule", rule_json));
    json_object_set_new(state, "reservations",
                        collect(&snapshot, core->reservations, "reservation", reservation_json));
    json_object_set_new(state, "apps", collect(&snapshot, core->apps, "app", app_json));
    json_object_set_new(state, "vms", collect(&snapshot, core->vms, "vm", vm_json));
    json_object_set_new(state, "queue", collect_queue(&snapshot));
    if (snapshot.mask) {
        mask(&snapshot, state);
    }
    json_t *scenario = json_object();
    g_autofree char *now = berth_time_format(core->now_ms);
    json_object_set_new(scenario, "name", json_string("a cluster as it was"));
    json_object_set_new(scenario, "begins", json_string(now));
    json_object_set_new(scenario, "state", state);
    json_object_set_new(scenario, "events", json_array());
    reply_json(core, request->id, 200, scenario, -1);
    return true;
}
