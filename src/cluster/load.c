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

/* What the store has of one key. */
typedef struct {
    const char *text;
    gsize size;
    int64_t revision;
} Stored;

static void *stored_read(const CodecType *type, const Stored *stored, GError **error)
{
    return codec_decode_text(type, stored->text, stored->size, NULL, CODEC_TOLERANT, error);
}

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

static bool load_host(ClusterCore *core, char **path, const Stored *stored, GError **error)
{
    ClusterHost *host = host_of(core, path[1]);
    if (strcmp(path[2], "facts") == 0) {
        return take((void **)&host->facts, stored_read(&host_facts_type, stored, error));
    }
    HostSpec *spec = stored_read(&host_spec_type, stored, error);
    if (spec == NULL) {
        return false;
    }
    host_spec_free(host->spec);
    host->spec = spec;
    host->revision = stored->revision;
    return true;
}

static bool load_size(ClusterCore *core, const Stored *stored, GError **error)
{
    Size *size = stored_read(&size_type, stored, error);
    if (size == NULL) {
        return false;
    }
    size->revision = stored->revision;
    g_tree_insert(core->sizes, size->name, size);
    return true;
}

static bool load_image(ClusterCore *core, const Stored *stored, GError **error)
{
    Image *object = stored_read(&image_type, stored, error);
    if (object == NULL) {
        return false;
    }
    object->revision = stored->revision;
    model_add_image(core, object);
    return true;
}

static bool load_network(ClusterCore *core, const Stored *stored, GError **error)
{
    Network *object = stored_read(&network_type, stored, error);
    if (object == NULL) {
        return false;
    }
    object->revision = stored->revision;
    model_add_network(core, object);
    return true;
}

static bool load_rule(ClusterCore *core, const Stored *stored, GError **error)
{
    Rule *object = stored_read(&rule_type, stored, error);
    if (object == NULL) {
        return false;
    }
    object->revision = stored->revision;
    return rules_enlist(core, model_add_rule(core, object), error);
}

static bool load_queued(ClusterCore *core, const Stored *stored, GError **error)
{
    QueuedRequest *object = stored_read(&queued_request_type, stored, error);
    if (object != NULL) {
        model_add_queued(core, object);
    }
    return object != NULL;
}

static bool load_reservation(ClusterCore *core, const Stored *stored, GError **error)
{
    Reservation *object = stored_read(&reservation_type, stored, error);
    if (object == NULL) {
        return false;
    }
    object->revision = stored->revision;
    reservation_add(core, object);
    return true;
}

static bool load_app(ClusterCore *core, char **path, const Stored *stored, GError **error)
{
    AppSpec *spec = stored_read(&app_spec_type, stored, error);
    if (spec == NULL) {
        return false;
    }
    model_add_app(core, g_strdup(path[2]), path[1], spec)->revision = stored->revision;
    return true;
}

static bool load_vm(ClusterCore *core, char **path, const Stored *stored, GError **error)
{
    ClusterVm *vm = g_tree_lookup(core->vms, path[2]);
    if (vm == NULL) {
        vm = model_add_vm(core, g_strdup(path[2]), path[1], NULL);
    }
    if (strcmp(path[3], "spec") == 0) {
        vm->revision = stored->revision;
        return take((void **)&vm->spec, stored_read(&vm_spec_type, stored, error));
    }
    if (strcmp(path[3], "placement") == 0) {
        return take((void **)&vm->placement, stored_read(&vm_placement_type, stored, error));
    }
    return take((void **)&vm->status, stored_read(&vm_status_type, stored, error));
}

static bool load_tombstone(ClusterCore *core, const Stored *stored, GError **error)
{
    Tombstone *tombstone = stored_read(&tombstone_type, stored, error);
    if (tombstone == NULL) {
        return false;
    }
    g_hash_table_replace(core->tombstones, tombstone->vm, tombstone);
    g_queue_push_tail(&core->tombstone_order, tombstone);
    return true;
}

static bool load_join_token(ClusterCore *core, const Stored *stored, GError **error)
{
    JoinToken *token = stored_read(&join_token_type, stored, error);
    if (token != NULL) {
        g_tree_insert(core->join_tokens, token->id, token);
    }
    return token != NULL;
}

static bool load_tenant(ClusterCore *core, const char *name, const Stored *stored, GError **error)
{
    ClusterTenant *tenant = model_tenant(core, name);
    tenant_spec_free(tenant->spec);
    tenant->revision = stored->revision;
    return take((void **)&tenant->spec, stored_read(&tenant_spec_type, stored, error));
}

static bool load_account(ClusterCore *core, const char *name, const Stored *stored, GError **error)
{
    ClusterTenant *tenant = model_tenant(core, name);
    account_free(tenant->account);
    return take((void **)&tenant->account, stored_read(&account_type, stored, error));
}

static bool load_charge(ClusterCore *core, const char *tenant, const Stored *stored, GError **error)
{
    Charge *charge = stored_read(&charge_type, stored, error);
    if (charge != NULL) {
        account_load_charge(core, tenant, charge);
    }
    return charge != NULL;
}

static bool load_credit(ClusterCore *core, const char *tenant, const Stored *stored, GError **error)
{
    Credit *credit = stored_read(&credit_type, stored, error);
    if (credit != NULL) {
        g_queue_push_tail(&model_tenant(core, tenant)->credits, credit);
    }
    return credit != NULL;
}

static bool load_token(ClusterCore *core, const Stored *stored, GError **error)
{
    Token *token = stored_read(&token_type, stored, error);
    if (token != NULL) {
        g_tree_insert(core->tokens, token->id, token);
    }
    return token != NULL;
}

/* What tenants have and pay. `ret_known`: it is of these. */
static bool load_of_tenant(ClusterCore *core, char **path, const Stored *stored, bool *ret_known,
                           GError **error)
{
    guint depth = g_strv_length(path);
    const char *kind = path[0];
    *ret_known = true;
    if (strcmp(kind, "tenant") == 0 && depth == 2) {
        return load_tenant(core, path[1], stored, error);
    } else if (strcmp(kind, "account") == 0 && depth == 2) {
        return load_account(core, path[1], stored, error);
    } else if (strcmp(kind, "charge") == 0 && depth == 4) {
        return load_charge(core, path[1], stored, error);
    } else if (strcmp(kind, "credit") == 0 && depth == 3) {
        return load_credit(core, path[1], stored, error);
    } else if (strcmp(kind, "token") == 0 && depth == 2) {
        return load_token(core, stored, error);
    } else if (strcmp(kind, "meta") == 0 && depth == 2 && strcmp(path[1], "levels") == 0) {
        g_autoptr(Levels) levels = stored_read(&levels_type, stored, error);
        if (levels != NULL) {
            levels_load(core, levels);
        }
        return levels != NULL;
    } else if (strcmp(kind, "meta") == 0 && depth == 2 && strcmp(path[1], "rates") == 0) {
        rates_free(core->rates);
        return take((void **)&core->rates, stored_read(&rates_type, stored, error));
    }
    *ret_known = false;
    return true;
}

static bool load_operation(ClusterCore *core, const Stored *stored, GError **error)
{
    Operation *object = stored_read(&operation_type, stored, error);
    if (object != NULL) {
        operation_load(core, object);
    }
    return object != NULL;
}

static bool load_event(ClusterCore *core, const Stored *stored, GError **error)
{
    g_autoptr(Event) event = stored_read(&event_type, stored, error);
    if (event != NULL) {
        event_load(core, event);
    }
    return event != NULL;
}

static bool load_object(ClusterCore *core, const char *key, char **path, const Stored *stored,
                        GError **error)
{
    guint depth = g_strv_length(path);
    const char *kind = path[0];
    if (strcmp(kind, "host") == 0 && depth == 3) {
        return load_host(core, path, stored, error);
    } else if (strcmp(kind, "size") == 0 && depth == 2) {
        return load_size(core, stored, error);
    } else if (strcmp(kind, "image") == 0 && depth == 3) {
        return load_image(core, stored, error);
    } else if (strcmp(kind, "network") == 0 && depth == 3) {
        return load_network(core, stored, error);
    } else if (strcmp(kind, "rule") == 0 && depth == 3) {
        return load_rule(core, stored, error);
    } else if (strcmp(kind, "queue") == 0 && depth == 3) {
        return load_queued(core, stored, error);
    } else if (strcmp(kind, "reservation") == 0 && depth == 3) {
        return load_reservation(core, stored, error);
    } else if (strcmp(kind, "app") == 0 && depth == 4) {
        return load_app(core, path, stored, error);
    } else if (strcmp(kind, "vm") == 0 && depth == 4) {
        return load_vm(core, path, stored, error);
    } else if (strcmp(kind, "tombstone") == 0 && depth == 2) {
        return load_tombstone(core, stored, error);
    } else if (strcmp(kind, "join") == 0 && depth == 2) {
        return load_join_token(core, stored, error);
    } else if (strcmp(kind, "operation") == 0 && depth == 3) {
        return load_operation(core, stored, error);
    } else if (strcmp(kind, "event") == 0 && depth == 2) {
        return load_event(core, stored, error);
    } else if (strcmp(key, "meta/cluster") == 0) {
        cluster_meta_free(core->meta);
        return take((void **)&core->meta, stored_read(&cluster_meta_type, stored, error));
    }
    bool known = false;
    if (!load_of_tenant(core, path, stored, &known, error)) {
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
    Stored stored = {.revision = mod_revision};
    stored.text = g_bytes_get_data(value, &stored.size);
    bool loaded = load_object(core, key, path, &stored, error);
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
    devices_load_cuts(core);
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        ClusterHost *host = g_tree_node_value(n);
        name_index(core, "host", DEFAULT_TENANT, host->spec->name, host);
        devices_take_facts(core, host);
        fleet_update_host(core, host);
    }
    devices_load_finish(core);
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
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        fleet_tolerate_excess(core, g_tree_node_value(n));
        devices_note_lost(core, g_tree_node_value(n));
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
