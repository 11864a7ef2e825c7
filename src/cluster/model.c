#include "cluster/model.h"

#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "base/order.h"
#include "cluster/devices.h"
#include "cluster/fleet.h"
#include "cluster/keys.h"
#include "cluster/promises.h"
#include "cluster/reservations.h"
#include "cluster/txn.h"

GTree *model_tree_new(GDestroyNotify free_value)
{
    return g_tree_new_full(berth_order_keys, NULL, NULL, free_value);
}

static void cluster_host_free(void *data)
{
    ClusterHost *host = data;
    g_free(host->id);
    host_spec_free(host->spec);
    host_facts_free(host->facts);
    g_tree_unref(host->vms);
    g_array_unref(host->devices);
    host_measure_free(host->measure);
    g_tree_unref(host->quarantined);
    g_hash_table_unref(host->networks);
    string_map_free(host->labelled);
    g_free(host->drain);
    g_queue_clear_full(&host->applies, g_free);
    g_free(host);
}

static void cluster_vm_free(void *data)
{
    ClusterVm *vm = data;
    g_free(vm->id);
    g_free(vm->tenant);
    vm_spec_free(vm->spec);
    vm_placement_free(vm->placement);
    vm_status_free(vm->status);
    g_ptr_array_unref(vm->operations);
    g_clear_pointer(&vm->rendered, g_bytes_unref);
    g_free(vm);
}

static void cluster_app_free(void *data)
{
    ClusterApp *app = data;
    g_free(app->id);
    g_free(app->tenant);
    app_spec_free(app->spec);
    g_tree_unref(app->vms);
    g_ptr_array_unref(app->operations);
    g_free(app);
}

static void cluster_rule_free(void *data)
{
    ClusterRule *rule = data;
    rule_free(rule->object);
    g_free(rule);
}

static void cluster_queued_free(void *data)
{
    ClusterQueued *queued = data;
    queued_request_free(queued->object);
    g_free(queued->id);
    g_free(queued);
}

static void cluster_network_free(void *data)
{
    ClusterNetwork *network = data;
    g_free(network->id);
    network_free(network->object);
    g_tree_unref(network->ports);
    g_hash_table_unref(network->used);
    g_hash_table_unref(network->macs);
    g_tree_unref(network->hosts);
    g_free(network);
}

static void cluster_image_free(void *data)
{
    ClusterImage *image = data;
    g_free(image->id);
    image_free(image->object);
    g_free(image);
}

static void cluster_operation_free(void *data)
{
    ClusterOperation *operation = data;
    operation_free(operation->object);
    g_free(operation);
}

static void meter_free(void *data)
{
    Meter *meter = data;
    g_free(meter->app);
    g_free(meter);
}

static void cluster_tenant_free(void *data)
{
    ClusterTenant *tenant = data;
    g_free(tenant->name);
    tenant_spec_free(tenant->spec);
    account_free(tenant->account);
    g_tree_unref(tenant->meters);
    g_hash_table_unref(tenant->lines);
    g_queue_clear_full(&tenant->charges, (GDestroyNotify)charge_free);
    g_queue_clear_full(&tenant->credits, (GDestroyNotify)credit_free);
    g_free(tenant);
}

static void cluster_token_free(void *data)
{
    token_free(data);
}

static void cluster_size_free(void *data)
{
    size_free(data);
}

static void cluster_join_token_free(void *data)
{
    join_token_free(data);
}

static void cluster_tombstone_free(void *data)
{
    tombstone_free(data);
}

static void cluster_call_free(void *data)
{
    Call *call = data;
    g_free(call->host);
    g_free(call->subject);
    g_free(call);
}

static void retry_free(void *data)
{
    Retry *retry = data;
    g_free(retry->vm);
    g_free(retry);
}

void model_init(ClusterCore *core)
{
    core->hosts = model_tree_new(cluster_host_free);
    core->hosts_by_id = g_hash_table_new(g_str_hash, g_str_equal);
    core->vms = model_tree_new(cluster_vm_free);
    core->apps = model_tree_new(cluster_app_free);
    core->networks = model_tree_new(cluster_network_free);
    core->rules = model_tree_new(cluster_rule_free);
    core->queue = model_tree_new(cluster_queued_free);
    promises_init(core);
    core->preempted = model_tree_new(NULL);
    core->claims = model_tree_new(NULL);
    core->images = model_tree_new(cluster_image_free);
    core->operations = model_tree_new(cluster_operation_free);
    core->sizes = model_tree_new(cluster_size_free);
    core->join_tokens = model_tree_new(cluster_join_token_free);
    core->tenants = model_tree_new(cluster_tenant_free);
    core->tokens = model_tree_new(cluster_token_free);
    core->reservations = model_tree_new(reservation_forget);
    core->rates = rates_new();
    core->charge_due_ms = INT64_MAX;
    core->tombstones = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, cluster_tombstone_free);
    core->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    core->foreign_keys = g_ptr_array_new_with_free_func(g_free);
    core->calls = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, cluster_call_free);
    core->dirty_vms = g_ptr_array_new_with_free_func(g_free);
    core->lagging = model_tree_new(NULL);
    core->networks_due_ms = INT64_MAX;
    core->waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
    g_queue_init(&core->tombstone_order);
    g_queue_init(&core->finished_operations);
    g_queue_init(&core->retries);
    fleet_init(core);
    model_tenant(core, DEFAULT_TENANT);
}

void model_clear(ClusterCore *core)
{
    g_queue_clear(&core->tombstone_order);
    g_queue_clear(&core->finished_operations);
    g_queue_clear_full(&core->retries, retry_free);
    g_tree_unref(core->lagging);
    g_hash_table_unref(core->calls);
    g_ptr_array_unref(core->dirty_vms);
    g_array_unref(core->waiters);
    g_ptr_array_unref(core->foreign_keys);
    g_hash_table_unref(core->names);
    g_hash_table_unref(core->tombstones);
    g_tree_unref(core->join_tokens);
    g_tree_unref(core->sizes);
    g_tree_unref(core->operations);
    g_tree_unref(core->preempted);
    g_tree_unref(core->claims);
    g_tree_unref(core->vms);
    g_tree_unref(core->apps);
    g_tree_unref(core->networks);
    g_tree_unref(core->rules);
    g_tree_unref(core->queue);
    promises_clear(core);
    g_tree_unref(core->images);
    g_hash_table_unref(core->hosts_by_id);
    g_tree_unref(core->hosts);
    g_tree_unref(core->tenants);
    g_tree_unref(core->tokens);
    g_tree_unref(core->reservations);
    rates_free(core->rates);
    cluster_meta_free(core->meta);
    fleet_clear(core);
}

char *model_new_id(ClusterCore *core)
{
    char *id = g_malloc(BERTH_ULID_SIZE);
    berth_ulid_generator_next(&core->ulids, core->now_ms, id);
    return id;
}

bool model_reuse_number(GArray *unused, uint32_t *ret_number)
{
    if (unused->len == 0) {
        return false;
    }
    *ret_number = g_array_index(unused, uint32_t, unused->len - 1);
    g_array_set_size(unused, unused->len - 1);
    return true;
}

static char *name_key(const char *kind, const char *tenant, const char *name)
{
    return g_strconcat(kind, "/", tenant, "/", name, NULL);
}

/* Does a request for such an object wait in the queue? */
static bool waits(const ClusterCore *core, const char *kind, const char *tenant, const char *name)
{
    g_autofree char *key = g_strconcat("queue/", tenant, "/", kind, ":", name, NULL);
    return g_hash_table_contains(core->names, key);
}

/* "a vm", "an app" */
static const char *article(const char *kind)
{
    return strchr("aeiou", kind[0]) != NULL ? "an" : "a";
}

bool name_is_free(ClusterCore *core, const char *kind, const char *tenant, const char *name,
                  GError **error)
{
    g_autofree char *key = name_key(kind, tenant, name);
    if (waits(core, kind, tenant, name)) {
        return berth_error_set(error, BERTH_ERROR_EXISTS, "name", name,
                               "choose another name, or see 'berth queue list'",
                               "%s %s of this name waits in the queue", article(kind), kind);
    }
    return !g_hash_table_contains(core->names, key) ||
           berth_error_set(error, BERTH_ERROR_EXISTS, "name", name, "choose another name",
                           "there is %s %s of this name already", article(kind), kind);
}

void *name_owner(const ClusterCore *core, const char *kind, const char *tenant, const char *name)
{
    g_autofree char *key = name_key(kind, tenant, name);
    return g_hash_table_lookup(core->names, key);
}

void name_index(ClusterCore *core, const char *kind, const char *tenant, const char *name,
                void *object)
{
    g_hash_table_insert(core->names, name_key(kind, tenant, name), object);
}

void name_take(ClusterCore *core, const char *kind, const char *tenant, const char *name,
               const char *id, void *object)
{
    name_index(core, kind, tenant, name, object);
    g_autofree char *key = key_name(kind, tenant, name);
    txn_absent(core, key);
    txn_put_json(core, g_steal_pointer(&key), json_string(id));
}

void name_release(ClusterCore *core, const char *kind, const char *tenant, const char *name)
{
    g_autofree char *key = name_key(kind, tenant, name);
    g_hash_table_remove(core->names, key);
    txn_delete(core, key_name(kind, tenant, name));
}

/* The names of a kind and tenant, for an offer when one is mistyped. Only on the way to an error.
 */
static const char *nearest_name(ClusterCore *core, const char *kind, const char *tenant,
                                const char *name)
{
    if (strcmp(kind, "host") == 0 && core_asker_bound(core)) {
        return NULL;
    }
    g_autofree char *prefix = name_key(kind, tenant, "");
    g_autoptr(GPtrArray) candidates = g_ptr_array_new();
    GHashTableIter iter;
    void *key;
    g_hash_table_iter_init(&iter, core->names);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (g_str_has_prefix(key, prefix)) {
            g_ptr_array_add(candidates, (char *)key + strlen(prefix));
        }
    }
    g_ptr_array_add(candidates, NULL);
    return berth_nearest_name(name, (const char *const *)candidates->pdata);
}

static void *not_found(GError **error, const char *kind, const char *key, const char *nearest)
{
    g_autofree char *remedy = nearest != NULL ? g_strdup_printf("did you mean '%s'?", nearest)
                                              : g_strdup_printf("see 'berth %s list'", kind);
    berth_error_set(error, BERTH_ERROR_NOT_FOUND, kind, key, remedy, "there is no such %s", kind);
    return NULL;
}

/* What to do about a name that only other tenants have, for one who may see theirs; NULL: they have not. Only on
 * the way to an error. */
static char *tenants_with(ClusterCore *core, const char *kind, const char *name)
{
    const char *first = NULL;
    int more = 0;
    if (core->asker == NULL || core->asker->bound) {
        return NULL;
    }
    for (GTreeNode *n = g_tree_node_first(core->tenants); n != NULL; n = g_tree_node_next(n)) {
        if (name_owner(core, kind, g_tree_node_key(n), name) != NULL) {
            more += first != NULL;
            first = first != NULL ? first : g_tree_node_key(n);
        }
    }
    return first == NULL ? NULL
           : more == 0   ? g_strdup_printf("tenant '%s' has one: --tenant %s", first, first)
                         : g_strdup_printf("tenant '%s' and %d more have one: --tenant %s", first,
                                           more, first);
}

static void *find_named(ClusterCore *core, GTree *tree, const char *kind, const char *tenant,
                        const char *key, GError **error)
{
    void *object = g_tree_lookup(tree, key);
    if (object == NULL) {
        object = name_owner(core, kind, tenant, key);
    }
    if (object == NULL && waits(core, kind, tenant, key)) {
        g_autofree char *remedy =
            g_strdup_printf("it waits for room: see 'berth queue show %s'", key);
        berth_error_set(error, BERTH_ERROR_NOT_FOUND, kind, key, remedy, "there is no such %s yet",
                        kind);
        return NULL;
    }
    g_autofree char *elsewhere = object == NULL ? tenants_with(core, kind, key) : NULL;
    if (elsewhere != NULL) {
        berth_error_set(error, BERTH_ERROR_NOT_FOUND, kind, key, elsewhere,
                        "tenant '%s' has no such %s", tenant, kind);
        return NULL;
    }
    return object != NULL ? object
                          : not_found(error, kind, key, nearest_name(core, kind, tenant, key));
}

ClusterHost *find_host(ClusterCore *core, const char *key, GError **error)
{
    return find_named(core, core->hosts, "host", DEFAULT_TENANT, key, error);
}

/* An id is good only within the tenant that owns the object. */
ClusterVm *find_vm(ClusterCore *core, const char *tenant, const char *key, GError **error)
{
    ClusterVm *vm = find_named(core, core->vms, "vm", tenant, key, error);
    return vm == NULL || strcmp(vm->tenant, tenant) == 0 ? vm : not_found(error, "vm", key, NULL);
}

ClusterApp *find_app(ClusterCore *core, const char *tenant, const char *key, GError **error)
{
    ClusterApp *app = find_named(core, core->apps, "app", tenant, key, error);
    return app == NULL || strcmp(app->tenant, tenant) == 0 ? app
                                                           : not_found(error, "app", key, NULL);
}

ClusterNetwork *find_network(ClusterCore *core, const char *tenant, const char *key, GError **error)
{
    ClusterNetwork *network = find_named(core, core->networks, "network", tenant, key, error);
    return network == NULL || strcmp(network->object->tenant, tenant) == 0
               ? network
               : not_found(error, "network", key, NULL);
}

ClusterImage *find_image(ClusterCore *core, const char *tenant, const char *key, GError **error)
{
    ClusterImage *image = find_named(core, core->images, "image", tenant, key, error);
    return image == NULL || strcmp(image->object->tenant, tenant) == 0
               ? image
               : not_found(error, "image", key, NULL);
}

ClusterRule *find_rule(ClusterCore *core, const char *tenant, const char *key, GError **error)
{
    ClusterRule *rule = find_named(core, core->rules, "rule", tenant, key, error);
    return rule == NULL || strcmp(rule->object->tenant, tenant) == 0
               ? rule
               : not_found(error, "rule", key, NULL);
}

ClusterReservation *find_reservation(ClusterCore *core, const char *tenant, const char *key,
                                     GError **error)
{
    ClusterReservation *reservation =
        find_named(core, core->reservations, "reservation", tenant, key, error);
    return reservation == NULL || strcmp(reservation->object->tenant, tenant) == 0
               ? reservation
               : not_found(error, "reservation", key, NULL);
}

Size *find_size(ClusterCore *core, const char *name, GError **error)
{
    Size *size = g_tree_lookup(core->sizes, name);
    if (size != NULL) {
        return size;
    }
    g_autoptr(GPtrArray) candidates = g_ptr_array_new();
    for (GTreeNode *n = g_tree_node_first(core->sizes); n != NULL; n = g_tree_node_next(n)) {
        g_ptr_array_add(candidates, g_tree_node_key(n));
    }
    g_ptr_array_add(candidates, NULL);
    return not_found(error, "size", name,
                     berth_nearest_name(name, (const char *const *)candidates->pdata));
}

ClusterTenant *find_tenant(ClusterCore *core, const char *name, GError **error)
{
    ClusterTenant *tenant = g_tree_lookup(core->tenants, name);
    if (tenant != NULL) {
        return tenant;
    }
    g_autoptr(GPtrArray) candidates = g_ptr_array_new();
    for (GTreeNode *n = g_tree_node_first(core->tenants); n != NULL; n = g_tree_node_next(n)) {
        g_ptr_array_add(candidates, g_tree_node_key(n));
    }
    g_ptr_array_add(candidates, NULL);
    return not_found(error, "tenant", name,
                     berth_nearest_name(name, (const char *const *)candidates->pdata));
}

ClusterOperation *find_operation(ClusterCore *core, const char *id, GError **error)
{
    ClusterOperation *operation = g_tree_lookup(core->operations, id);
    return operation != NULL ? operation : not_found(error, "operation", id, NULL);
}

ClusterHost *model_add_host(ClusterCore *core, char *id, HostSpec *spec)
{
    ClusterHost *host = g_new0(ClusterHost, 1);
    host->id = id;
    host->spec = spec;
    host->vms = model_tree_new(NULL);
    host->devices = devices_new();
    host->quarantined =
        g_tree_new_full(berth_order_keys, NULL, g_free, (GDestroyNotify)reported_vm_free);
    host->networks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_queue_init(&host->applies);
    g_tree_insert(core->hosts, host->id, host);
    g_hash_table_insert(core->hosts_by_id, host->id, host);
    fleet_add_host(core, host);
    return host;
}

ClusterVm *model_add_vm(ClusterCore *core, char *id, const char *tenant, VmSpec *spec)
{
    ClusterVm *vm = g_new0(ClusterVm, 1);
    vm->id = id;
    vm->tenant = g_strdup(tenant);
    vm->spec = spec;
    vm->operations = g_ptr_array_new();
    g_tree_insert(core->vms, vm->id, vm);
    return vm;
}

ClusterApp *model_add_app(ClusterCore *core, char *id, const char *tenant, AppSpec *spec)
{
    ClusterApp *app = g_new0(ClusterApp, 1);
    app->id = id;
    app->tenant = g_strdup(tenant);
    app->spec = spec;
    app->vms = model_tree_new(NULL);
    app->operations = g_ptr_array_new();
    g_tree_insert(core->apps, app->id, app);
    return app;
}

ClusterRule *model_add_rule(ClusterCore *core, Rule *object)
{
    ClusterRule *rule = g_new0(ClusterRule, 1);
    rule->object = object;
    g_tree_insert(core->rules, object->id, rule);
    return rule;
}

ClusterQueued *model_add_queued(ClusterCore *core, QueuedRequest *object)
{
    ClusterQueued *queued = g_new0(ClusterQueued, 1);
    queued->id = g_strdup(object->id);
    queued->object = object;
    g_tree_insert(core->queue, queued->id, queued);
    return queued;
}

ClusterNetwork *model_add_network(ClusterCore *core, Network *object)
{
    ClusterNetwork *network = g_new0(ClusterNetwork, 1);
    network->id = g_strdup(object->id);
    network->object = object;
    network->ports = g_tree_new_full(berth_order_keys, NULL, g_free, NULL);
    network->used = g_hash_table_new(g_direct_hash, g_direct_equal);
    network->macs = g_hash_table_new(g_str_hash, g_str_equal);
    network->hosts = model_tree_new(NULL);
    g_tree_insert(core->networks, network->id, network);
    return network;
}

ClusterImage *model_add_image(ClusterCore *core, Image *object)
{
    ClusterImage *image = g_new0(ClusterImage, 1);
    image->id = g_strdup(object->id);
    image->object = object;
    g_tree_insert(core->images, image->id, image);
    return image;
}

/* What nobody has set up pays nothing and has no limits: `default`, and what an older release left. */
ClusterTenant *model_tenant(ClusterCore *core, const char *name)
{
    ClusterTenant *tenant = g_tree_lookup(core->tenants, name);
    if (tenant == NULL) {
        tenant = g_new0(ClusterTenant, 1);
        tenant->name = g_strdup(name);
        tenant->spec = tenant_spec_new();
        tenant->spec->name = g_strdup(name);
        tenant->spec->charged = false;
        tenant->account = account_new();
        tenant->meters = g_tree_new_full(berth_order_keys, NULL, NULL, meter_free);
        tenant->lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_queue_init(&tenant->charges);
        g_queue_init(&tenant->credits);
        g_tree_insert(core->tenants, tenant->name, tenant);
    }
    return tenant;
}

void model_remove_host(ClusterCore *core, ClusterHost *host)
{
    fleet_remove_host(core, host);
    g_tree_remove(core->lagging, host->id);
    g_hash_table_remove(core->hosts_by_id, host->id);
    g_tree_remove(core->hosts, host->id);
}

void model_remove_vm(ClusterCore *core, ClusterVm *vm)
{
    g_tree_remove(core->vms, vm->id);
}

void model_remove_app(ClusterCore *core, ClusterApp *app)
{
    core->apps_short -= app->is_short;
    g_tree_remove(core->apps, app->id);
}

void save_meta(ClusterCore *core)
{
    txn_put(core, g_strdup("meta/cluster"), &cluster_meta_type, core->meta);
}

void save_host_spec(ClusterCore *core, ClusterHost *host)
{
    host->revision = txn_revision(core);
    txn_put(core, key_host(host->id, "spec"), &host_spec_type, host->spec);
}

void save_host_facts(ClusterCore *core, ClusterHost *host)
{
    txn_put(core, key_host(host->id, "facts"), &host_facts_type, host->facts);
}

void save_vm_spec(ClusterCore *core, ClusterVm *vm)
{
    g_clear_pointer(&vm->rendered, g_bytes_unref);
    vm->revision = txn_revision(core);
    txn_put(core, key_part("vm", vm->tenant, vm->id, "spec"), &vm_spec_type, vm->spec);
}

void save_vm_placement(ClusterCore *core, ClusterVm *vm)
{
    g_clear_pointer(&vm->rendered, g_bytes_unref);
    txn_put(core, key_part("vm", vm->tenant, vm->id, "placement"), &vm_placement_type,
            vm->placement);
}

void save_vm_status(ClusterCore *core, ClusterVm *vm)
{
    g_clear_pointer(&vm->rendered, g_bytes_unref);
    txn_put(core, key_part("vm", vm->tenant, vm->id, "status"), &vm_status_type, vm->status);
}

void save_app(ClusterCore *core, ClusterApp *app)
{
    app->revision = txn_revision(core);
    txn_put(core, key_part("app", app->tenant, app->id, "spec"), &app_spec_type, app->spec);
}

void save_network(ClusterCore *core, ClusterNetwork *network)
{
    network->object->revision = txn_revision(core);
    txn_put(core, key_of("network", network->object->tenant, network->id), &network_type,
            network->object);
}

void save_rule(ClusterCore *core, ClusterRule *rule)
{
    rule->object->revision = txn_revision(core);
    txn_put(core, key_of("rule", rule->object->tenant, rule->object->id), &rule_type, rule->object);
}

void save_queued(ClusterCore *core, ClusterQueued *queued)
{
    txn_put(core, key_of("queue", queued->object->tenant, queued->id), &queued_request_type,
            queued->object);
}

void save_image(ClusterCore *core, ClusterImage *image)
{
    image->object->revision = txn_revision(core);
    txn_put(core, key_of("image", image->object->tenant, image->id), &image_type, image->object);
}

void save_size(ClusterCore *core, Size *size)
{
    size->revision = txn_revision(core);
    txn_put(core, key_size(size->name), &size_type, size);
}

void save_tenant(ClusterCore *core, ClusterTenant *tenant)
{
    tenant->revision = txn_revision(core);
    txn_put(core, g_strconcat("tenant/", tenant->name, NULL), &tenant_spec_type, tenant->spec);
}

void save_account(ClusterCore *core, const ClusterTenant *tenant)
{
    txn_put(core, g_strconcat("account/", tenant->name, NULL), &account_type, tenant->account);
}
