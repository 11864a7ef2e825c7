#include "cluster/preempt.h"

#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/agents.h"
#include "cluster/devices.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/promises.h"
#include "cluster/reservations.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"
#include "cluster/vms.h"
#include "place/preempt.h"

static void step_free(void *data)
{
    PreemptStep *step = data;
    g_ptr_array_unref(step->victims);
    g_ptr_array_unref(step->devices);
    g_free(step);
}

/* What has an end, or a reservation, is promised its time by the calendar: it neither takes nor gives. */
static bool is_for_good(const VmSpec *spec)
{
    return spec->ends_ms == 0 && spec->reservation == NULL;
}

static bool may_be_taken(const ClusterVm *vm, int64_t priority)
{
    const VmSpec *spec = vm->spec;
    return spec->priority < priority && spec->preemptible && is_for_good(spec) &&
           !spec->preempted && !spec->removing && !vm->placement->claiming;
}

static bool has_lower(const ClusterCore *core, int64_t priority)
{
    for (int64_t p = 0; p < priority; p++) {
        if (core->vms_by_priority[p] > 0) {
            return true;
        }
    }
    return false;
}

/* A question in the making: whom it takes already. The engine's changes are rolled back. */
typedef struct {
    BerthPlace *place;
    GHashTable *taken; /* of ClusterVm */
    GArray *hosts;     /* of BerthPreemptHost */
    GArray *victims;   /* of BerthPreemptVictim, those of a host together */
    GArray *gains;     /* of Vector, likewise */
    GArray *holdings;  /* of Holdings, likewise */
    GPtrArray *vms;    /* of ClusterVm, likewise */
} Hunt;

static void hunt_clear(Hunt *hunt)
{
    g_hash_table_unref(hunt->taken);
    g_array_unref(hunt->hosts);
    g_array_unref(hunt->victims);
    g_array_unref(hunt->gains);
    g_array_unref(hunt->holdings);
    g_ptr_array_unref(hunt->vms);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Hunt, hunt_clear)

static void add_host(ClusterCore *core, Hunt *hunt, const ClusterHost *host, int64_t priority)
{
    BerthPreemptHost row = {.host = host->place};
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        if (may_be_taken(vm, priority) && !g_hash_table_contains(hunt->taken, vm)) {
            Vector gain = fleet_gain(core, vm);
            Holdings holdings = devices_of_vm(vm);
            BerthPreemptVictim victim = {.priority = (int32_t)vm->spec->priority,
                                         .since = vm->placement->placed_ms,
                                         .stays = true};
            g_array_append_val(hunt->gains, gain);
            g_array_append_val(hunt->holdings, holdings);
            g_array_append_val(hunt->victims, victim);
            g_ptr_array_add(hunt->vms, vm);
            row.n_victims++;
        }
    }
    if (row.n_victims > 0) {
        g_array_append_val(hunt->hosts, row);
    }
}

/* All who may be taken now. Arrays move while they grow, so that pointers come last. */
static void look_around(ClusterCore *core, Hunt *hunt, const ClusterHost *only, int64_t priority)
{
    g_array_set_size(hunt->hosts, 0);
    g_array_set_size(hunt->victims, 0);
    g_array_set_size(hunt->gains, 0);
    g_array_set_size(hunt->holdings, 0);
    g_ptr_array_set_size(hunt->vms, 0);
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        const ClusterHost *host = g_tree_node_value(n);
        if ((only == NULL || only == host) && host->reported && !host->spec->cordoned) {
            add_host(core, hunt, host, priority);
        }
    }
    guint at = 0;
    for (guint i = 0; i < hunt->victims->len; i++) {
        BerthPreemptVictim *victim = &g_array_index(hunt->victims, BerthPreemptVictim, i);
        const Holdings *holdings = &g_array_index(hunt->holdings, Holdings, i);
        victim->vector = g_array_index(hunt->gains, Vector, i).amount;
        victim->n_holdings = holdings->n;
        victim->holdings = holdings->held;
    }
    for (guint i = 0; i < hunt->hosts->len; i++) {
        BerthPreemptHost *row = &g_array_index(hunt->hosts, BerthPreemptHost, i);
        row->victims = &g_array_index(hunt->victims, BerthPreemptVictim, at);
        at += row->n_victims;
    }
}

static void take_victims(ClusterCore *core, Hunt *hunt, const BerthPreemption *answer,
                         PreemptStep *step)
{
    guint first = 0;
    for (guint i = 0; g_array_index(hunt->hosts, BerthPreemptHost, i).host != answer->host; i++) {
        first += g_array_index(hunt->hosts, BerthPreemptHost, i).n_victims;
    }
    for (uint32_t i = 0; i < answer->n_victims; i++) {
        ClusterVm *vm = hunt->vms->pdata[first + answer->victims[i]];
        g_ptr_array_add(step->victims, vm);
        g_hash_table_add(hunt->taken, vm);
        berth_place_give(hunt->place, answer->host,
                         g_array_index(hunt->gains, Vector, first + answer->victims[i]).amount);
        devices_give(core, step->host,
                     &g_array_index(hunt->holdings, Holdings, first + answer->victims[i]));
    }
}

/* Where the next one goes, which is then there; NULL: nowhere. */
static PreemptStep *next_step(ClusterCore *core, Hunt *hunt, const EngineRequest *request,
                              const ClusterHost *only, int64_t priority)
{
    BerthPlaceDecision decision = {.struct_size = sizeof decision};
    BerthPreemption answer = {.struct_size = sizeof answer};
    bool fits = berth_place_find(hunt->place, &request->request, &decision) == BERTH_PLACE_OK;
    if (!fits) {
        look_around(core, hunt, only, priority);
        if (berth_place_preempt(hunt->place, &request->request, hunt->hosts->len,
                                (const BerthPreemptHost *)hunt->hosts->data, 0,
                                &answer) != BERTH_PLACE_OK) {
            return NULL;
        }
        decision.host = answer.host;
    }
    PreemptStep *step = g_new0(PreemptStep, 1);
    step->host = core->by_handle->pdata[decision.host];
    step->victims = g_ptr_array_new();
    if (!fits) {
        take_victims(core, hunt, &answer, step);
    }
    uint64_t devices = 0;
    if (request->request.n_devices > 0) {
        berth_place_choose_devices(hunt->place, &request->request, decision.host, &devices);
    }
    Holdings holdings = devices_of_decision(step->host, &request->request, devices);
    step->devices = devices_name(core, step->host, &holdings);
    devices_take(core, step->host, &holdings);
    berth_place_take(hunt->place, decision.host, request->vector.amount);
    berth_place_enter(hunt->place, decision.host, request->groups, request->request.n_groups);
    return step;
}

GPtrArray *preempt_plan(ClusterCore *core, const char *tenant, const VmSpec *spec,
                        const ClusterHost *only, int64_t count)
{
    EngineRequest request;
    if (!is_for_good(spec) || !has_lower(core, spec->priority) ||
        !fleet_request(core, tenant, spec, only, &request, NULL)) {
        return NULL;
    }
    g_autoptr(GPtrArray) steps = g_ptr_array_new_with_free_func(step_free);
    if (berth_place_begin(core->place) == BERTH_PLACE_OK) {
        g_auto(Hunt) hunt = {core->place,
                             g_hash_table_new(g_direct_hash, g_direct_equal),
                             g_array_new(FALSE, FALSE, sizeof(BerthPreemptHost)),
                             g_array_new(FALSE, TRUE, sizeof(BerthPreemptVictim)),
                             g_array_new(FALSE, FALSE, sizeof(Vector)),
                             g_array_new(FALSE, FALSE, sizeof(Holdings)),
                             g_ptr_array_new()};
        PreemptStep *step = NULL;
        while ((int64_t)steps->len < count &&
               (step = next_step(core, &hunt, &request, only, spec->priority)) != NULL) {
            g_ptr_array_add(steps, step);
        }
        berth_place_rollback(core->place);
    }
    fleet_request_clear(&request);
    return (int64_t)steps->len == count ? g_steal_pointer(&steps) : NULL;
}

char *preempt_victims(const PreemptStep *step, const char *viewer)
{
    g_autoptr(GPtrArray) victims = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < step->victims->len; i++) {
        const ClusterVm *vm = step->victims->pdata[i];
        bool named = viewer == NULL || strcmp(viewer, vm->tenant) == 0;
        g_ptr_array_add(victims, g_strdup_printf("%s (priority %" G_GINT64_FORMAT ")",
                                                 named ? vm->spec->name : "a VM of another tenant",
                                                 vm->spec->priority));
    }
    return berth_words_join(victims);
}

char *preempt_text(const PreemptStep *step, const char *viewer)
{
    g_autofree char *victims = preempt_victims(step, viewer);
    return step->victims->len > 0 ? g_strconcat("takes the place of ", victims, NULL) : NULL;
}

const char *preempt_viewer(const ClusterCore *core, const char *tenant)
{
    return core_asker_bound(core) ? tenant : NULL;
}

static void evict(ClusterCore *core, ClusterVm *vm, const char *tenant, const VmSpec *by)
{
    vm->spec->preempted = true;
    vm->spec->preempted_ms = core->now_ms;
    g_tree_insert(core->preempted, vm->id, vm);
    vm_changed(core, vm);
    Subject subject = subject_of_vm(vm);
    bool own = strcmp(vm->tenant, tenant) == 0;
    event_add(core, "vm.preempted", &subject, vm->host->spec->name, NULL,
              "VM %s (priority %" G_GINT64_FORMAT ") is powered off on %s, where %s%s (priority "
              "%" G_GINT64_FORMAT ") takes its place; it starts again there when there is room",
              vm->spec->name, vm->spec->priority, vm->host->spec->name,
              own ? "VM " : "a VM of another tenant", own ? by->name : "", by->priority);
}

ClusterVm *preempt_place(ClusterCore *core, const char *tenant, const char *id, VmSpec *spec,
                         const PreemptStep *step, GError **error)
{
    char *text = preempt_text(step, tenant);
    ClusterVm *vm = vm_claim(core, tenant, id, spec, step->host, step->devices,
                             text != NULL ? text : g_strdup("beside VMs that make room"), error);
    for (guint i = 0; vm != NULL && i < step->victims->len; i++) {
        evict(core, step->victims->pdata[i], tenant, spec);
    }
    return vm;
}

ClusterVm *preempt_for_vm(ClusterCore *core, const char *tenant, const char *id, VmSpec *spec,
                          const ClusterHost *only)
{
    if (!reservations_admit(core, tenant, spec, 1, NULL)) {
        return NULL;
    }
    g_autoptr(GPtrArray) steps = preempt_plan(core, tenant, spec, only, 1);
    return steps != NULL ? preempt_place(core, tenant, id, spec, steps->pdata[0], NULL) : NULL;
}

void preempt_confirm(ClusterCore *core, ClusterVm *vm)
{
    if (!vm->spec->preempted || vm->placement->released || !fleet_is_off(vm)) {
        return;
    }
    vm->placement->released = true;
    save_vm_placement(core, vm);
    fleet_book(core, vm);
    tenant_count_vm(core, vm);
}

void preempt_finish(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->claims); n != NULL;) {
        ClusterVm *vm = g_tree_node_value(n);
        n = g_tree_node_next(n);
        if (!vm->spec->removing && devices_are_lost(vm)) {
            devices_take_others(core, vm, NULL);
        }
        if (!vm->spec->removing && fleet_leaves_gap(core, vm)) {
            fleet_book(core, vm); /* a promise has left it */
        }
        if (!vm->spec->removing && fleet_has_all(core, vm)) {
            vm->placement->claiming = false;
            g_tree_remove(core->claims, vm->id);
            save_vm_placement(core, vm);
            agent_mark_vm(core, vm);
        }
    }
}

bool preempt_can_resume(ClusterCore *core, const ClusterVm *vm, GError **error)
{
    if (!vm->placement->released) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                               "it is still being powered off");
    }
    if (vm->host->spec->cordoned) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                               "its host %s is cordoned", vm->host->spec->name);
    }
    return tenant_allows_resize(core, vm, vm->spec->resources, error) &&
           fleet_can_resume(core, vm, error);
}

bool preempt_request(ClusterCore *core, const ClusterVm *vm, EngineRequest *ret_request)
{
    static const Vector nothing;
    uint32_t place = vm->host->place;
    *ret_request = (EngineRequest){.vector = fleet_lacks(core, vm)};
    if (!vm->placement->released || memcmp(&ret_request->vector, &nothing, sizeof nothing) == 0) {
        return false;
    }
    guint words = core->by_handle->len / 64 + 1;
    ret_request->allowed = g_new0(uint64_t, words);
    ret_request->allowed[place / 64] |= UINT64_C(1) << place % 64;
    ret_request->request = (BerthPlaceRequest){.struct_size = sizeof ret_request->request,
                                               .policy = BERTH_PLACE_FIRST_FIT,
                                               .vector = ret_request->vector.amount,
                                               .allowed = ret_request->allowed,
                                               .allowed_words = words};
    uint32_t *n = &ret_request->request.n_devices;
    if (devices_demands(core, &ret_request->vector, ret_request->devices, n, NULL) && *n > 0) {
        ret_request->request.devices = ret_request->devices;
    }
    return true;
}

bool preempt_resume(ClusterCore *core, ClusterVm *vm, GError **error)
{
    if (!preempt_can_resume(core, vm, error)) {
        return false;
    }
    vm->spec->preempted = false;
    vm->spec->preempted_ms = 0;
    vm->spec->power_generation = vm->spec->generation + 1; /* which this change gets */
    vm->placement->released = false;
    g_tree_remove(core->preempted, vm->id);
    promise_forget(core, vm->id);
    save_vm_placement(core, vm);
    vm_changed(core, vm);
    Subject subject = subject_of_vm(vm);
    event_add(core, "vm.resumed", &subject, vm->host->spec->name, NULL,
              "there is room for VM %s on %s again", vm->spec->name, vm->host->spec->name);
    return true;
}

void preempt_link_vm(ClusterCore *core, ClusterVm *vm)
{
    core->vms_by_priority[CLAMP(vm->spec->priority, 0, 1000)]++;
    if (vm->spec->preempted) {
        g_tree_insert(core->preempted, vm->id, vm);
    }
    if (vm->placement != NULL && vm->placement->claiming) {
        g_tree_insert(core->claims, vm->id, vm);
    }
}

void preempt_unlink_vm(ClusterCore *core, ClusterVm *vm)
{
    core->vms_by_priority[CLAMP(vm->spec->priority, 0, 1000)]--;
    g_tree_remove(core->preempted, vm->id);
    promise_forget(core, vm->id);
    g_tree_remove(core->claims, vm->id);
}

static bool broken(const ClusterVm *vm, const char *what, GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INTERNAL, "vm", vm->id, NULL, "%s", what);
}

bool preempt_check(const ClusterCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (vm->spec->preempted != (g_tree_lookup(core->preempted, vm->id) != NULL) ||
            vm->placement->claiming != (g_tree_lookup(core->claims, vm->id) != NULL)) {
            return broken(vm, "what waits for room is not on its list", error);
        }
        if (vm->placement->released && !vm->spec->preempted) {
            return broken(vm, "room was given up of a VM that is not preempted", error);
        }
        if (vm->placement->claiming && vm->sent_generation != 0) {
            return broken(vm, "a host was told of a VM before there is room for it", error);
        }
        if (vm->placement->claiming && !vm->spec->removing && fleet_leaves_gap(core, vm)) {
            return broken(vm, "what is free on a host is not held for the VM that claims it",
                          error);
        }
        if (!vm->placement->claiming && !vm->placement->released && !fleet_has_all(core, vm)) {
            return broken(vm, "less is booked than the VM needs", error);
        }
    }
    return true;
}
