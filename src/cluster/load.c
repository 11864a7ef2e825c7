#include <string.h>

#include "base/codec.h"
#include "base/error.h"
#include "cluster/accounts.h"
#include "cluster/devices.h"
#include "cluster/fleet.h"
#include "cluster/levels.h"
#include "cluster/journal.h"
#include "cluster/load.h"
#include "cluster/queue.h"
#include "cluster/reservations.h"
#include "cluster/rules.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"

static bool take(void **target, void *object)
{
    *target = object;
    return object != NULL;
}

static ClusterHost *host_of(ClusterCore *core, const char *id)
{
    ClusterHost *host = g_tree_lookup(core->hosts, id);
    return host != NULL ? host : model_add_host(core, g_strdup(id), host_spec_new());
}

static bool load_host(ClusterCore *core, char **path, const json_t *json, int64_t revision,
                      GError **error)
{
    ClusterHost *host = host_of(core, path[1]);
    if (strcmp(path[2], "facts") == 0) {
        return take((void **)&host->facts, host_facts_decode(json, CODEC_TOLERANT, error));
    }
    HostSpec *spec = host_spec_decode(json, CODEC_TOLERANT, error);
    if (spec == NULL) {
        return false;
    }
    host_spec_free(host->spec);
    host->spec = spec;
    host->revision = revision;
    return true;
}

static bool load_size(ClusterCore *core, const json_t *json, int64_t revision, GError **error)
{
    Size *size = size_decode(json, CODEC_TOLERANT, error);
    if (size == NULL) {
        return false;
    }
    size->revision = revision;
    g_tree_insert(core->sizes, size->name, size);
    return true;
}

static bool load_image(ClusterCore *core, const json_t *json, int64_t revision, GError **error)
{
    Image *object = image_decode(json, CODEC_TOLERANT, error);
    if (object == NULL) {
        return false;
    }
    object->revision = revision;
    model_add_image(core, object);
    return true;
}

static bool load_network(ClusterCore *core, const json_t *json, int64_t revision, GError **error)
{
    Network *object = network_decode(json, CODEC_TOLERANT, error);
    if (object == NULL) {
        return false;
    }
    object->revision = revision;
    model_add_network(core, object);
    return true;
}

static bool load_rule(ClusterCore *core, const json_t *json, int64_t revision, GError **error)
{
    Rule *object = rule_decode(json, CODEC_TOLERANT, error);
    if (object == NULL) {
        return false;
    }
    object->revision = revision;
    return rules_enlist(core, model_add_rule(core, object), error);
}

static bool load_queued(ClusterCore *core, const json_t *json, GError **error)
{
    QueuedRequest *object = queued_request_decode(json, CODEC_TOLERANT, error);
    if (object != NULL) {
        model_add_queued(core, object);
    }
    return object != NULL;
}

static bool load_reservation(ClusterCore *core, const json_t *json, int64_t revision,
                             GError **error)
{
    Reservation *object = reservation_decode(json, CODEC_TOLERANT, error);
    if (object == NULL) {
        return false;
    }
    object->revision = revision;
    reservation_add(core, object);
    return true;
}

static bool load_app(ClusterCore *core, char **path, const json_t *json, int64_t revision,
                     GError **error)
{
    AppSpec *spec = app_spec_decode(json, CODEC_TOLERANT, error);
    if (spec == NULL) {
        return false;
    }
    model_add_app(core, g_strdup(path[2]), path[1], spec)->revision = revision;
    return true;
}

static bool load_vm(ClusterCore *core, char **path, const json_t *json, int64_t revision,
                    GError **error)
{
    ClusterVm *vm = g_tree_lookup(core->vms, path[2]);
    if (vm == NULL) {
        vm = model_add_vm(core, g_strdup(path[2]), path[1], NULL);
    }
    if (strcmp(path[3], "spec") == 0) {
        vm->revision = revision;
        return take((void **)&vm->spec, vm_spec_decode(json, CODEC_TOLERANT, error));
    }
    if (strcmp(path[3], "placement") == 0) {
        return take((void **)&vm->placement, vm_placement_decode(json, CODEC_TOLERANT, error));
    }
    return take((void **)&vm->status, vm_status_decode(json, CODEC_TOLERANT, error));
}

static bool load_tombstone(ClusterCore *core, const json_t *json, GError **error)
{
    Tombstone *tombstone = tombstone_decode(json, CODEC_TOLERANT, error);
    if (tombstone == NULL) {
        return false;
    }
    g_hash_table_replace(core->tombstones, tombstone->vm, tombstone);
    g_queue_push_tail(&core->tombstone_order, tombstone);
    return true;
}

static bool load_join_token(ClusterCore *core, const json_t *json, GError **error)
{
    JoinToken *token = join_token_decode(json, CODEC_TOLERANT, error);
    if (token != NULL) {
        g_tree_insert(core->join_tokens, token->id, token);
    }
    return token != NULL;
}

static bool load_tenant(ClusterCore *core, const char *name, const json_t *json, int64_t revision,
                        GError **error)
{
    ClusterTenant *tenant = model_tenant(core, name);
    tenant_spec_free(tenant->spec);
    tenant->revision = revision;
    return take((void **)&tenant->spec, tenant_spec_decode(json, CODEC_TOLERANT, error));
}

static bool load_account(ClusterCore *core, const char *name, const json_t *json, GError **error)
{
    ClusterTenant *tenant = model_tenant(core, name);
    account_free(tenant->account);
    return take((void **)&tenant->account, account_decode(json, CODEC_TOLERANT, error));
}

static bool load_charge(ClusterCore *core, const char *tenant, const json_t *json, GError **error)
{
    Charge *charge = charge_decode(json, CODEC_TOLERANT, error);
    if (charge != NULL) {
        account_load_charge(core, tenant, charge);
    }
    return charge != NULL;
}

static bool load_credit(ClusterCore *core, const char *tenant, const json_t *json, GError **error)
{
    Credit *credit = credit_decode(json, CODEC_TOLERANT, error);
    if (credit != NULL) {
        g_queue_push_tail(&model_tenant(core, tenant)->credits, credit);
    }
    return credit != NULL;
}

static bool load_token(ClusterCore *core, const json_t *json, GError **error)
{
    Token *token = token_decode(json, CODEC_TOLERANT, error);
    if (token != NULL) {
        g_tree_insert(core->tokens, token->id, token);
    }
    return token != NULL;
}

/* What tenants have and pay. `ret_known`: it is of these. */
static bool load_of_tenant(ClusterCore *core, char **path, const json_t *json, int64_t revision,
                           bool *ret_known, GError **error)
{
    guint depth = g_strv_length(path);
    const char *kind = path[0];
    *ret_known = true;
    if (strcmp(kind, "tenant") == 0 && depth == 2) {
        return load_tenant(core, path[1], json, revision, error);
    } else if (strcmp(kind, "account") == 0 && depth == 2) {
        return load_account(core, path[1], json, error);
    } else if (strcmp(kind, "charge") == 0 && depth == 4) {
        return load_charge(core, path[1], json, error);
    } else if (strcmp(kind, "credit") == 0 && depth == 3) {
        return load_credit(core, path[1], json, error);
    } else if (strcmp(kind, "token") == 0 && depth == 2) {
        return load_token(core, json, error);
    } else if (strcmp(kind, "meta") == 0 && depth == 2 && strcmp(path[1], "levels") == 0) {
        g_autoptr(Levels) levels = levels_decode(json, CODEC_TOLERANT, error);
        if (levels != NULL) {
            levels_load(core, levels);
        }
        return levels != NULL;
    } else if (strcmp(kind, "meta") == 0 && depth == 2 && strcmp(path[1], "rates") == 0) {
        rates_free(core->rates);
        return take((void **)&core->rates, rates_decode(json, CODEC_TOLERANT, error));
    }
    *ret_known = false;
    return true;
}

static bool load_operation(ClusterCore *core, const json_t *json, GError **error)
{
    Operation *object = operation_decode(json, CODEC_TOLERANT, error);
    if (object != NULL) {
        operation_load(core, object);
    }
    return object != NULL;
}

static bool load_event(ClusterCore *core, const json_t *json, GError **error)
{
    g_autoptr(Event) event = event_decode(json, CODEC_TOLERANT, error);
    if (event != NULL) {
        event_load(core, event);
    }
    return event != NULL;
}

static bool load_json(ClusterCore *core, const char *key, char **path, const json_t *json,
                      int64_t revision, GError **error)
{
    guint depth = g_strv_length(path);
    const char *kind = path[0];
    if (strcmp(kind, "host") == 0 && depth == 3) {
        return load_host(core, path, json, revision, error);
    } else if (strcmp(kind, "size") == 0 && depth == 2) {
        return load_size(core, json, revision, error);
    } else if (strcmp(kind, "image") == 0 && depth == 3) {
        return load_image(core, json, revision, error);
    } else if (strcmp(kind, "network") == 0 && depth == 3) {
        return load_network(core, json, revision, error);
    } else if (strcmp(kind, "rule") == 0 && depth == 3) {
        return load_rule(core, json, revision, error);
    } else if (strcmp(kind, "queue") == 0 && depth == 3) {
        return load_queued(core, json, error);
    } else if (strcmp(kind, "reservation") == 0 && depth == 3) {
        return load_reservation(core, json, revision, error);
    } else if (strcmp(kind, "app") == 0 && depth == 4) {
        return load_app(core, path, json, revision, error);
    } else if (strcmp(kind, "vm") == 0 && depth == 4) {
        return load_vm(core, path, json, revision, error);
    } else if (strcmp(kind, "tombstone") == 0 && depth == 2) {
        return load_tombstone(core, json, error);
    } else if (strcmp(kind, "join") == 0 && depth == 2) {
        return load_join_token(core, json, error);
    } else if (strcmp(kind, "operation") == 0 && depth == 3) {
        return load_operation(core, json, error);
    } else if (strcmp(kind, "event") == 0 && depth == 2) {
        return load_event(core, json, error);
    } else if (strcmp(key, "meta/cluster") == 0) {
        cluster_meta_free(core->meta);
        return take((void **)&core->meta, cluster_meta_decode(json, CODEC_TOLERANT, error));
    }
    bool known = false;
    if (!load_of_tenant(core, path, json, revision, &known, error)) {
        return false;
    }
    if (!known) {
        g_ptr_array_add(core->foreign_keys, g_strdup(key));
    }
    return true;
}

bool cluster_core_load(ClusterCore *core, const char *key, GBytes *value, int64_t mod_revision,
                       GError **error)
{
    g_auto(GStrv) path = g_strsplit(key, "/", -1);
    if (strcmp(path[0], "name") == 0) {
        return true; /* made anew from the objects */
    }
    gsize size;
    const char *text = g_bytes_get_data(value, &size);
    json_t *json = codec_parse(text, size, NULL, error);
    bool loaded = json != NULL && load_json(core, key, path, json, mod_revision, error);
    json_decref(json);
    if (!loaded) {
        g_prefix_error(error, "the store's key %s cannot be read: ", key);
    }
    return loaded;
}

/* Ids follow the clock, which may have gone back between two runs; revisions never do. */
static gint by_revision(gconstpointer a, gconstpointer b, gpointer data)
{
    const ClusterEventRecord *x = a, *y = b;
    return x->revision != y->revision ? (x->revision > y->revision) * 2 - 1 : strcmp(x->id, y->id);
}

/* Nothing says what was dropped in earlier runs; as many as are kept mean that some were. */
static void order_events(ClusterCore *core)
{
    g_queue_sort(&core->events, by_revision, NULL);
    const ClusterEventRecord *oldest = g_queue_peek_head(&core->events);
    if (oldest != NULL && (int64_t)core->events.length >= core->config.events_kept) {
        core->events_dropped = oldest->revision;
    }
}

static gint by_finish(gconstpointer a, gconstpointer b, gpointer data)
{
    const Operation *x = ((const ClusterOperation *)a)->object;
    const Operation *y = ((const ClusterOperation *)b)->object;
    return x->finished_ms != y->finished_ms ? (x->finished_ms > y->finished_ms) * 2 - 1
                                            : strcmp(x->id, y->id);
}

static gint by_burial(gconstpointer a, gconstpointer b, gpointer data)
{
    const Tombstone *x = a, *y = b;
    return x->at_ms != y->at_ms ? (x->at_ms > y->at_ms) * 2 - 1 : strcmp(x->vm, y->vm);
}

static void link_operation(ClusterCore *core, ClusterOperation *operation)
{
    const Operation *object = operation->object;
    if (object->state != OPERATION_STATE_RUNNING || object->subject == NULL ||
        object->subject->id == NULL) {
        return;
    }
    ClusterVm *vm = g_tree_lookup(core->vms, object->subject->id);
    ClusterApp *app = g_tree_lookup(core->apps, object->subject->id);
    ClusterQueued *queued = g_tree_lookup(core->queue, object->subject->id);
    ClusterHost *host = g_tree_lookup(core->hosts, object->subject->id);
    if (host != NULL && strcmp(object->kind, "host.drain") == 0) {
        host->drain = g_strdup(object->id);
    } else if (queued != NULL && g_strcmp0(queued->object->operation, object->id) == 0) {
        queued->operation = operation;
    } else if (vm != NULL) {
        operation_wait_vm(operation, vm);
    } else if (app != NULL) {
        operation_wait_app(operation, app);
    }
}

/* Hosts keep one mark for the tombstones of old VMs, by id: a new VM's is above all that were. */
static void follow_ids(ClusterCore *core)
{
    GTreeNode *newest = g_tree_node_last(core->vms);
    if (newest != NULL && berth_ulid_is_valid(g_tree_node_key(newest))) {
        berth_ulid_generator_follow(&core->ulids, g_tree_node_key(newest));
    }
    for (GList *l = core->tombstone_order.head; l != NULL; l = l->next) {
        const Tombstone *tombstone = l->data;
        if (berth_ulid_is_valid(tombstone->vm)) {
            berth_ulid_generator_follow(&core->ulids, tombstone->vm);
        }
    }
}

/* Such VMs take what the others and what is promised leave, so that they come last. */
static bool is_claiming(const ClusterVm *vm)
{
    return vm->placement != NULL && vm->placement->claiming;
}

void load_finish(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        ClusterHost *host = g_tree_node_value(n);
        name_index(core, "host", DEFAULT_TENANT, host->spec->name, host);
        devices_take_facts(core, host);
        fleet_update_host(core, host);
    }
    for (GTreeNode *n = g_tree_node_first(core->images); n != NULL; n = g_tree_node_next(n)) {
        ClusterImage *image = g_tree_node_value(n);
        name_index(core, "image", image->object->tenant, image->object->name, image);
    }
    for (GTreeNode *n = g_tree_node_first(core->networks); n != NULL; n = g_tree_node_next(n)) {
        ClusterNetwork *network = g_tree_node_value(n);
        name_index(core, "network", network->object->tenant, network->object->name, network);
    }
    for (GTreeNode *n = g_tree_node_first(core->apps); n != NULL; n = g_tree_node_next(n)) {
        ClusterApp *app = g_tree_node_value(n);
        name_index(core, "app", app->tenant, app->spec->name, app);
    }
    for (GTreeNode *n = g_tree_node_first(core->rules); n != NULL; n = g_tree_node_next(n)) {
        ClusterRule *rule = g_tree_node_value(n);
        name_index(core, "rule", rule->object->tenant, rule->object->name, rule);
    }
    for (GTreeNode *n = g_tree_node_first(core->reservations); n != NULL; n = g_tree_node_next(n)) {
        ClusterReservation *reservation = g_tree_node_value(n);
        name_index(core, "reservation", reservation->object->tenant, reservation->object->name,
                   reservation);
        reservation_link(core, reservation);
    }
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        name_index(core, "vm", vm->tenant, vm->spec->name, vm);
        if (!is_claiming(vm)) {
            model_link_vm(core, vm);
        }
    }
    queue_load_finish(core);
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        if (is_claiming(vm)) {
            model_link_vm(core, vm);
        }
    }
    tenants_load_finish(core);
    for (GTreeNode *n = g_tree_node_first(core->operations); n != NULL; n = g_tree_node_next(n)) {
        link_operation(core, g_tree_node_value(n));
    }
    order_events(core);
    g_queue_sort(&core->finished_operations, by_finish, NULL);
    g_queue_sort(&core->tombstone_order, by_burial, NULL);
    follow_ids(core);
}

void cluster_core_loaded(ClusterCore *core, int64_t revision)
{
    core->last_revision = core->committed_revision = revision;
}
