#include "cluster/tenants.h"

#include <string.h>

#include "base/error.h"
#include "base/units.h"
#include "cluster/accounts.h"
#include "cluster/fleet.h"
#include "cluster/reservations.h"
#include "cluster/txn.h"

#define WITHOUT_APP "-"

const char *tenant_for_new(ClusterCore *core, const ClusterRequest *request, const char *asked,
                           GError **error)
{
    const char *own = request->principal.tenant;
    if (asked == NULL || strcmp(asked, own) == 0) {
        return own;
    }
    if (request->principal.bound) {
        berth_error_set(error, BERTH_ERROR_FORBIDDEN, "tenant", asked, "leave it out",
                        "this token is bound to tenant '%s'", own);
        return NULL;
    }
    const ClusterTenant *tenant = find_tenant(core, asked, error);
    return tenant != NULL ? tenant->name : NULL;
}

const char *tenant_shown(const ClusterRequest *request)
{
    return request->principal.all ? NULL : request->principal.tenant;
}

bool tenant_is_shown(const char *shown, const char *tenant)
{
    return shown == NULL || strcmp(shown, tenant) == 0;
}

/* False: no limit. */
static bool limit_of(const ClusterCore *core, const Quota *quota, int dim, int64_t *ret_limit)
{
    if (quota == NULL) {
        return false;
    }
    const struct {
        bool has;
        int64_t limit;
    } fixed[N_FIXED] = {{quota->has_cpu, quota->cpu},
                        {quota->has_memory, quota->memory},
                        {quota->has_disk, quota->disk},
                        {quota->has_disk_bw, quota->disk_bw},
                        {quota->has_net_bw, quota->net_bw}};
    if (dim >= N_FIXED) {
        return int_map_get(quota->accelerators, core->dimensions->pdata[dim], ret_limit);
    }
    if (fixed[dim].has) {
        *ret_limit = fixed[dim].limit;
    }
    return fixed[dim].has;
}

/* "tenant 'blue' may use 16 cpu and uses 14: of the 4 asked for 2 are missing"; the value is in the
 * API's units. */
static bool refuse(const ClusterTenant *tenant, const char *name, const char *field,
                   const char *limit, const char *used, int64_t amount, const char *asked,
                   const char *missing, const char *enough, GError **error)
{
    g_autofree char *path = g_strconcat("quota.", field, NULL);
    g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, amount);
    g_autofree char *remedy =
        g_strdup_printf("ask for less, delete VMs, or have the quota raised: 'berth quota set %s "
                        "%s=%s'",
                        tenant->name, field, enough);
    return berth_error_set(error, BERTH_ERROR_NO_CAPACITY, path, value, remedy,
                           "tenant '%s' may use %s %s and uses %s: of the %s asked for %s are "
                           "missing",
                           tenant->name, limit, name, used, asked, missing);
}

static bool refuse_dimension(const ClusterCore *core, const ClusterTenant *tenant, int dim,
                             int64_t limit, int64_t uses, int64_t asked, GError **error)
{
    const char *name = core->dimensions->pdata[dim];
    g_autofree char *limit_text = fleet_amount_text(dim, limit);
    g_autofree char *used = fleet_amount_text(dim, uses);
    g_autofree char *asked_text = fleet_amount_text(dim, asked);
    g_autofree char *missing = fleet_amount_text(dim, MIN(asked, uses + asked - limit));
    g_autofree char *enough = fleet_amount_text(dim, uses + asked);
    return refuse(tenant, name, name, limit_text, used, asked, asked_text, missing, enough, error);
}

static bool refuse_count(const ClusterTenant *tenant, int64_t uses, int64_t count, GError **error)
{
    int64_t limit = tenant->spec->quota->vms;
    g_autofree char *limit_text = g_strdup_printf("%" G_GINT64_FORMAT, limit);
    g_autofree char *used = g_strdup_printf("%" G_GINT64_FORMAT, uses);
    g_autofree char *asked = g_strdup_printf("%" G_GINT64_FORMAT, count);
    g_autofree char *missing =
        g_strdup_printf("%" G_GINT64_FORMAT, MIN(count, uses + count - limit));
    g_autofree char *enough = g_strdup_printf("%" G_GINT64_FORMAT, uses + count);
    return refuse(tenant, "VMs", "vms", limit_text, used, count, asked, missing, enough, error);
}

/* With what is held for a time within [from, to). */
static bool within_quota(ClusterCore *core, const ClusterTenant *tenant, const Vector *more,
                         int64_t count, int64_t from, int64_t to, GError **error)
{
    const Quota *quota = tenant->spec->quota;
    int64_t vms = 0;
    Vector uses = {0};
    if (quota != NULL) {
        uses = reservations_held(core, tenant->name, from, to, &vms);
    }
    vms += tenant->vms;
    for (int d = 0; d < (int)core->dimensions->len; d++) {
        int64_t limit = 0;
        uses.amount[d] += tenant->usage.amount[d];
        if (more->amount[d] > 0 && limit_of(core, quota, d, &limit) &&
            uses.amount[d] + more->amount[d] > limit) {
            return refuse_dimension(core, tenant, d, limit, uses.amount[d], more->amount[d], error);
        }
    }
    return count == 0 || quota == NULL || !quota->has_vms || vms + count <= quota->vms ||
           refuse_count(tenant, vms, count, error);
}

bool tenant_allows(ClusterCore *core, const char *name, const Resources *resources, int64_t count,
                   GError **error)
{
    return tenant_allows_over(core, name, resources, count, core->now_ms, INT64_MAX, error);
}

/* What `count` VMs of these resources want together. */
static bool vector_of(ClusterCore *core, const Resources *resources, int64_t count,
                      Vector *ret_vector, GError **error)
{
    if (!fleet_vector(core, resources, ret_vector, error)) {
        return false;
    }
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        ret_vector->amount[d] *= count;
    }
    return true;
}

bool tenant_allows_over(ClusterCore *core, const char *name, const Resources *resources,
                        int64_t count, int64_t from, int64_t to, GError **error)
{
    const ClusterTenant *tenant = model_tenant(core, name);
    Vector more;
    if (!vector_of(core, resources, count, &more, error)) {
        return false;
    }
    return within_quota(core, tenant, &more, count, from, to, error) &&
           account_affords(core, tenant, &more, error);
}

bool tenant_could_allow(ClusterCore *core, const char *name, const Resources *resources,
                        int64_t count, GError **error)
{
    ClusterTenant empty = *model_tenant(core, name);
    Vector more;
    if (!vector_of(core, resources, count, &more, error)) {
        return false;
    }
    empty.usage = (Vector){0};
    empty.vms = 0;
    return within_quota(core, &empty, &more, count, 0, 0, error);
}

bool tenant_allows_resize(ClusterCore *core, const ClusterVm *vm, const Resources *resources,
                          GError **error)
{
    const ClusterTenant *tenant = model_tenant(core, vm->tenant);
    Vector more;
    if (!fleet_vector(core, resources, &more, error)) {
        return false;
    }
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        more.amount[d] -= vm->counted.amount[d];
    }
    return within_quota(core, tenant, &more, 0, core->now_ms, INT64_MAX, error) &&
           account_affords(core, tenant, &more, error);
}

static Meter *meter_of(ClusterTenant *tenant, const ClusterVm *vm)
{
    const char *app = vm->app != NULL ? vm->app->spec->name : WITHOUT_APP;
    Meter *meter = g_tree_lookup(tenant->meters, app);
    if (meter == NULL) {
        meter = g_new0(Meter, 1);
        meter->app = g_strdup(app);
        g_tree_insert(tenant->meters, meter->app, meter);
    }
    return meter;
}

static void change_usage(ClusterVm *vm, const Vector *counted)
{
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        int64_t more = counted->amount[d] - vm->counted.amount[d];
        vm->owner->usage.amount[d] += more;
        vm->meter->usage.amount[d] += more;
    }
    vm->counted = *counted;
}

/* What was taken from a preempted VM is not its tenant's any more. */
static Vector wants_of(ClusterCore *core, const ClusterVm *vm)
{
    Vector wants = vm->placement != NULL ? fleet_wanted(core, vm) : (Vector){0};
    if (vm->placement != NULL && vm->placement->released) {
        Vector kept = {0};
        kept.amount[DIM_DISK] = wants.amount[DIM_DISK];
        wants = kept;
    }
    return wants;
}

void tenant_count_vm(ClusterCore *core, ClusterVm *vm)
{
    Vector wants = wants_of(core, vm);
    bool is_new = vm->owner == NULL;
    if (!is_new && memcmp(&wants, &vm->counted, sizeof wants) == 0) {
        return;
    }
    if (is_new) {
        vm->owner = model_tenant(core, vm->tenant);
        vm->meter = meter_of(vm->owner, vm);
    }
    if (core->resumed) {
        account_charge_meter(core, vm->owner, vm->meter);
    }
    vm->owner->vms += is_new;
    vm->meter->vms += is_new;
    change_usage(vm, &wants);
}

void tenant_uncount_vm(ClusterCore *core, ClusterVm *vm)
{
    if (vm->owner == NULL) {
        return;
    }
    account_charge_meter(core, vm->owner, vm->meter);
    change_usage(vm, &(Vector){0});
    vm->owner->vms--;
    if (--vm->meter->vms == 0) {
        g_tree_remove(vm->owner->meters, vm->meter->app);
    }
    vm->owner = NULL;
    vm->meter = NULL;
}

Resources *tenant_resources(const ClusterCore *core, const Vector *vector)
{
    Resources *resources = resources_new();
    resources->cpu = vector->amount[DIM_CPU];
    resources->memory = vector->amount[DIM_MEMORY];
    resources->disk = vector->amount[DIM_DISK];
    resources->disk_bw = vector->amount[DIM_DISK_BW];
    resources->net_bw = vector->amount[DIM_NET_BW];
    for (guint d = N_FIXED; d < core->dimensions->len; d++) {
        if (vector->amount[d] != 0) {
            int_map_set(resources->accelerators, core->dimensions->pdata[d], vector->amount[d]);
        }
    }
    return resources;
}

void tenants_load_finish(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->tenants); n != NULL; n = g_tree_node_next(n)) {
        ClusterTenant *tenant = g_tree_node_value(n);
        tenant->usage_allowed = tenant->usage;
        tenant->vms_allowed = tenant->vms;
    }
    accounts_load_finish(core);
}

void tenants_resume(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->tenants); n != NULL; n = g_tree_node_next(n)) {
        ClusterTenant *tenant = g_tree_node_value(n);
        if (tenant->revision == 0) {
            save_tenant(core, tenant);
            save_account(core, tenant);
            txn_seal_if_large(core);
        }
    }
}

/* Each VM is counted at its tenant, with what it wants. */
static bool check_counted(ClusterCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        Vector wants = wants_of(core, vm);
        if (vm->owner == NULL || strcmp(vm->owner->name, vm->tenant) != 0 ||
            memcmp(&wants, &vm->counted, sizeof wants) != 0) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, "vm", vm->id, NULL,
                                   "what is counted at the VM's tenant is not what it wants");
        }
    }
    return true;
}

static bool check_tenant(ClusterCore *core, const ClusterTenant *tenant, GError **error)
{
    Vector sum = {0};
    int64_t vms = 0;
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (vm->owner == tenant) {
            for (int d = 0; d < MAX_DIMENSIONS; d++) {
                sum.amount[d] += vm->counted.amount[d];
            }
            vms++;
        }
    }
    if (memcmp(&sum, &tenant->usage, sizeof sum) != 0 || vms != tenant->vms) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, "tenant", tenant->name, NULL,
                               "the tenant's usage is not the sum of its placements");
    }
    const Account *account = tenant->account;
    if (account->balance != account->credited - account->charged) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, "account", tenant->name, NULL,
                               "the balance is not what was credited less what was charged");
    }
    const Quota *quota = tenant->spec->quota;
    for (int d = 0; d < (int)core->dimensions->len; d++) {
        int64_t limit = 0;
        if (limit_of(core, quota, d, &limit) &&
            sum.amount[d] > MAX(limit, tenant->usage_allowed.amount[d])) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, core->dimensions->pdata[d],
                                   tenant->name, NULL, "the tenant's quota is passed");
        }
    }
    return quota == NULL || !quota->has_vms || vms <= MAX(quota->vms, tenant->vms_allowed) ||
           berth_error_set(error, BERTH_ERROR_INTERNAL, "vms", tenant->name, NULL,
                           "the tenant's quota is passed");
}

bool tenants_check(ClusterCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->tenants); n != NULL; n = g_tree_node_next(n)) {
        if (!check_tenant(core, g_tree_node_value(n), error)) {
            return false;
        }
    }
    return check_counted(core, error);
}
