#include <string.h>

#include "base/error.h"
#include "cluster/explain.h"
#include "base/resources.h"
#include "cluster/accounts.h"
#include "cluster/agents.h"
#include "cluster/commands.h"
#include "cluster/devices.h"
#include "cluster/drain.h"
#include "cluster/ends.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/keys.h"
#include "cluster/preempt.h"
#include "cluster/promises.h"
#include "cluster/queue.h"
#include "cluster/reservations.h"
#include "cluster/rules.h"
#include "cluster/spec.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"
#include "cluster/vms.h"

json_t *render_vm(const ClusterVm *vm)
{
    json_t *json = json_object();
    json_object_set_new(json, "id", json_string(vm->id));
    json_object_set_new(json, "name", json_string(vm->spec->name));
    json_object_set_new(json, "tenant", json_string(vm->tenant));
    json_object_set_new(json, "revision", json_integer(vm->revision));
    json_object_set_new(json, "spec", vm_spec_encode(vm->spec));
    if (vm->placement != NULL) {
        json_object_set_new(json, "placement", vm_placement_encode(vm->placement));
    }
    if (vm->status != NULL) {
        json_object_set_new(json, "status", vm_status_encode(vm->status));
    }
    return json;
}

typedef struct {
    const char *tenant; /* NULL: all */
    const ClusterApp *app;
    const ClusterHost *host;
} VmFilter;

static json_t *encode_vm(ClusterCore *core, const void *object, const void *data)
{
    const ClusterVm *vm = object;
    const VmFilter *filter = data;
    bool listed = tenant_is_shown(filter->tenant, vm->tenant) &&
                  (filter->app == NULL || vm->app == filter->app) &&
                  (filter->host == NULL || vm->host == filter->host);
    return listed ? render_vm(vm) : NULL;
}

bool list_vms(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListVmsQuery *query = request->query;
    VmFilter filter = {.tenant = tenant_shown(request)};
    if (query->app != NULL &&
        (filter.app = find_app(core, request->principal.tenant, query->app, error)) == NULL) {
        return false;
    }
    if (query->host != NULL && (filter.host = find_host(core, query->host, error)) == NULL) {
        return false;
    }
    reply_list(core, request->id, core->vms, query->limit, query->after, encode_vm, &filter);
    return true;
}

bool get_vm(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    ClusterVm *vm = find_vm(core, request->principal.tenant, request->params[0], error);
    if (vm == NULL) {
        return false;
    }
    if (vm->rendered == NULL) {
        vm->rendered = json_take_bytes(render_vm(vm));
    }
    reply_bytes(core, request->id, 200, g_bytes_ref(vm->rendered), vm->revision);
    return true;
}

static GPtrArray *plan_of_one(const char *name, const ClusterHost *host, const char *why)
{
    GPtrArray *plan = g_ptr_array_new_with_free_func((GDestroyNotify)planned_vm_free);
    g_ptr_array_add(plan, planned_vm(name, host, why));
    return plan;
}

/* Takes what it is about over, and says no, or lets it wait. */
static void refuse_new(ClusterCore *core, const ClusterRequest *request, const char *tenant,
                       QueueOffer *offer, VmSpec *spec, Explanation *verdicts, GError *refusal)
{
    offer->vm = spec;
    offer->verdicts = verdicts;
    queue_or_refuse(core, request, tenant, offer, refusal);
}

/* Takes the spec over. */
static void look_only(ClusterCore *core, const ClusterRequest *request, const char *tenant,
                      QueueOffer *offer, VmSpec *spec, ClusterHost *only)
{
    const CreateVmQuery *query = request->query;
    GError *refusal = NULL;
    g_autoptr(GPtrArray) hosts = fleet_try(core, tenant, spec, only, 1, NULL, &refusal);
    const ClusterHost *chosen = hosts != NULL ? hosts->pdata[0] : NULL;
    Explanation *verdicts = query->explain ? fleet_explain(core, tenant, spec, only, chosen) : NULL;
    g_autoptr(GPtrArray) steps = hosts == NULL ? preempt_plan(core, tenant, spec, only, 1) : NULL;
    if (hosts == NULL && steps == NULL) {
        refuse_new(core, request, tenant, offer, spec, verdicts, refusal);
        return;
    }
    g_clear_error(&refusal);
    if (steps != NULL) {
        explanation_add_preemption(core, tenant, spec, only, steps, verdicts);
    }
    const PreemptStep *step = steps != NULL ? steps->pdata[0] : NULL;
    g_autofree char *why = step != NULL ? preempt_text(step, preempt_viewer(core, tenant)) : NULL;
    reply_plan(core, request->id, "vm.create", "nothing was done",
               plan_of_one(spec->name, step != NULL ? step->host : chosen, why), verdicts);
    vm_spec_free(spec);
}

/* In the place of others, with why theirs in `explanation` (may be NULL); NULL: that is not possible. */
static ClusterVm *create_by_preemption(ClusterCore *core, const char *tenant, VmSpec *spec,
                                       ClusterHost *only, Explanation *explanation)
{
    g_autoptr(GPtrArray) steps = preempt_plan(core, tenant, spec, only, 1);
    if (steps == NULL) {
        return NULL;
    }
    explanation_add_preemption(core, tenant, spec, only, steps, explanation);
    return preempt_place(core, tenant, NULL, spec, steps->pdata[0], NULL);
}

static void create_resolved(ClusterCore *core, const ClusterRequest *request, const char *tenant,
                            QueueOffer *offer, VmSpec *spec, ClusterHost *only)
{
    const CreateVmQuery *query = request->query;
    GError *refusal = NULL;
    Explanation *explanation =
        query->explain ? fleet_explain(core, tenant, spec, only, NULL) : NULL;
    ClusterVm *vm = vm_place(core, tenant, NULL, spec, only, &refusal);
    if (vm == NULL && (vm = create_by_preemption(core, tenant, spec, only, explanation)) != NULL) {
        g_clear_error(&refusal);
    }
    if (vm == NULL) {
        refuse_new(core, request, tenant, offer, spec, explanation, refusal);
        return;
    }
    Subject subject = subject_of_vm(vm);
    ClusterOperation *operation =
        operation_start(core, "vm.create", vm->tenant, &subject, 1, "waits for the host");
    explanation_fold(core, explanation);
    operation->object->explanation = explanation;
    operation_wait_vm(operation, vm);
    event_add(core, "vm.placed", &subject, vm->host->spec->name, operation->object,
              "VM %s goes to %s (%s)", spec->name, vm->host->spec->name, vm->placement->why);
    operation_reply(core, request->id, operation, query->wait);
}

bool create_vm(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const VmCreate *body = request->body;
    const CreateVmQuery *query = request->query;
    const char *tenant = tenant_for_new(core, request, body->tenant, error);
    g_autoptr(VmSpec) spec = tenant != NULL ? spec_from_create(core, tenant, body, error) : NULL;
    QueueOffer offer = {.asked = body->queue || body->has_queue_seconds,
                        .seconds = body->queue_seconds,
                        .dry_run = query->dry_run,
                        .wait = query->wait};
    if (spec == NULL || !name_is_free(core, "vm", tenant, spec->name, error) ||
        !ends_read_deadline(core, body->deadline, spec->ends_ms, spec->reservation,
                            &offer.deadline_ms, error) ||
        !queue_may_ask(core, request, tenant, spec->priority, spec->preemptible, error)) {
        return false;
    }
    ClusterHost *only = spec->host != NULL ? find_host(core, spec->host, error) : NULL;
    if (spec->host != NULL && only == NULL) {
        return false;
    }
    GError *refusal = NULL;
    promises_yield(core, spec->priority);
    if (!queue_lets_pass(core, tenant, spec->priority, &refusal) ||
        !reservations_admit(core, tenant, spec, 1, &refusal)) {
        refuse_new(core, request, tenant, &offer, g_steal_pointer(&spec), NULL, refusal);
    } else if (query->dry_run) {
        look_only(core, request, tenant, &offer, g_steal_pointer(&spec), only);
    } else {
        create_resolved(core, request, tenant, &offer, g_steal_pointer(&spec), only);
    }
    return true;
}

/* What a change needs: the VM as the request names it, current and not on its way out. */
static ClusterVm *vm_to_change(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    ClusterVm *vm = find_vm(core, request->principal.tenant, request->params[0], error);
    if (vm == NULL || !check_if_match(request, vm->revision, error)) {
        return NULL;
    }
    if (vm->spec->removing) {
        berth_error_set(error, BERTH_ERROR_CONFLICT, "vm", vm->spec->name, NULL,
                        "the VM is being deleted");
        return NULL;
    }
    return vm;
}

/* What a change of a VM waits for. */
static const char *waits_for(const ClusterVm *vm)
{
    if (vm->host != NULL && vm->host->session == 0) {
        return "waits for the host, which is not connected";
    }
    bool runs = vm->status != NULL && vm->status->power == POWER_IS_RUNNING;
    return runs && vm->spec->power == POWER_WANTED_OFF && !vm->spec->removing
               ? "waits until the guest has powered off"
               : "waits for the host";
}

static void start_change(ClusterCore *core, const ClusterRequest *request, ClusterVm *vm,
                         const char *kind, int64_t wait)
{
    vm_changed(core, vm);
    Subject subject = subject_of_vm(vm);
    ClusterOperation *operation =
        operation_start(core, kind, vm->tenant, &subject, vm->spec->generation, waits_for(vm));
    operation_wait_vm(operation, vm);
    operation_reply(core, request->id, operation, wait);
}

bool update_vm(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const VmUpdate *body = request->body;
    const UpdateVmQuery *query = request->query;
    ClusterVm *vm = vm_to_change(core, request, error);
    if (vm == NULL) {
        return false;
    }
    if (body->power == POWER_WANTED_ON && vm->spec->power == POWER_WANTED_OFF &&
        (!account_may_run(vm->owner, error) || !drain_may_start(vm->host, error))) {
        return false;
    }
    bool unparks = body->power == POWER_WANTED_ON && vm->spec->parked;
    bool renews = body->power == POWER_WANTED_ON && vm->spec->power == POWER_WANTED_OFF &&
                  devices_are_lost(vm);
    if (renews && !devices_can_take_others(core, vm, error)) {
        return false;
    }
    if (query->dry_run) {
        reply_plan(core, request->id, "vm.update", "nothing was done", NULL, NULL);
        return true;
    }
    if (unparks && !ends_unpark(core, vm, error)) {
        return false;
    }
    if (renews && !devices_take_others(core, vm, error)) {
        return false;
    }
    if (body->power != POWER_WANTED_UNSET) {
        vm->spec->power = body->power;
        vm->spec->power_generation = vm->spec->generation + 1; /* which this change gets */
    }
    if (body->restart != RESTART_POLICY_UNSET) {
        vm->spec->restart = body->restart;
    }
    if (body->description != NULL) {
        g_free(vm->spec->description);
        vm->spec->description = g_strdup(body->description);
    }
    start_change(core, request, vm, "vm.update", query->wait);
    return true;
}

bool resize_vm(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ResizeVmQuery *query = request->query;
    ClusterVm *vm = vm_to_change(core, request, error);
    if (vm == NULL) {
        return false;
    }
    g_autoptr(VmSpec) wanted = spec_resized(vm->spec, request->body, error);
    if (wanted == NULL || !tenant_allows_resize(core, vm, wanted->resources, error) ||
        (vm->host != NULL && !fleet_can_grow(core, vm, wanted->resources, error))) {
        return false;
    }
    if (query->dry_run) {
        reply_plan(core, request->id, "vm.resize", "nothing was done",
                   vm->host != NULL ? plan_of_one(vm->spec->name, vm->host, NULL) : NULL, NULL);
        return true;
    }
    vm_spec_free(vm->spec);
    vm->spec = g_steal_pointer(&wanted);
    g_autofree char *text = resources_format(vm->spec->resources);
    Subject subject = subject_of_vm(vm);
    event_add(core, "vm.resized", &subject, vm->host != NULL ? vm->host->spec->name : NULL, NULL,
              "VM %s may use %s", vm->spec->name, text);
    start_change(core, request, vm, "vm.resize", query->wait);
    return true;
}

bool delete_vm(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const DeleteVmQuery *query = request->query;
    ClusterVm *vm = find_vm(core, request->principal.tenant, request->params[0], error);
    if (vm == NULL || !check_if_match(request, vm->revision, error)) {
        return false;
    }
    vm_begin_removal(core, vm);
    Subject subject = subject_of_vm(vm);
    ClusterOperation *operation = operation_start(core, "vm.delete", vm->tenant, &subject,
                                                  vm->spec->generation, waits_for(vm));
    operation_wait_vm(operation, vm);
    operation_reply(core, request->id, operation, query->wait);
    return true;
}

bool exec_vm(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const VmExecRequest *body = request->body;
    const ClusterVm *vm = find_vm(core, request->principal.tenant, request->params[0], error);
    if (vm == NULL) {
        return false;
    }
    if (vm->host == NULL || !vm->host->reported) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "vm", vm->spec->name,
                               "try again when 'berth host list' shows the host up",
                               "the VM's host is not connected");
    }
    g_autoptr(VmExec) exec = vm_exec_new();
    exec->id = g_strdup(vm->id);
    for (guint i = 0; i < body->argv->len; i++) {
        g_ptr_array_add(exec->argv, g_strdup(body->argv->pdata[i]));
    }
    exec->timeout_ms = body->timeout_ms;
    agent_call(core, vm->host, CALL_EXEC, vm->id, 0, AGENT_METHOD_VM_EXEC, vm_exec_encode(exec),
               body->timeout_ms + core->config.call_timeout_ms, request->id);
    return true;
}

bool explain_vm(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    ClusterVm *vm = find_vm(core, request->principal.tenant, request->params[0], error);
    if (vm == NULL) {
        return false;
    }
    ClusterHost *only = vm->spec->host != NULL ? find_host(core, vm->spec->host, NULL) : NULL;
    Vector booked = vm->booked;
    core->claims_rest = true;
    rules_vm_leaves(core, vm); /* the question is where it would go if it were nowhere */
    fleet_unbook(core, vm);
    g_autoptr(Explanation) explanation = fleet_explain(core, vm->tenant, vm->spec, only, vm->host);
    fleet_rebook(core, vm, booked);
    rules_vm_enters(core, vm);
    explanation_fold(core, explanation);
    core->claims_rest = false;
    reply_object(core, request->id, 200, &explanation_type, explanation, -1);
    return true;
}

static ClusterHost *host_with_quarantined(ClusterCore *core, const char *vm, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        ClusterHost *host = g_tree_node_value(n);
        if (g_tree_lookup(host->quarantined, vm) != NULL) {
            return host;
        }
    }
    berth_error_set(error, BERTH_ERROR_NOT_FOUND, "vm", vm,
                    "give the id as 'berth host show' lists it",
                    "no host holds such a VM in quarantine");
    return NULL;
}

/* The record of a VM that the store has lost, from what its host was once told. */
static VmSpec *spec_of_assignment(const Assignment *assignment)
{
    VmSpec *spec = vm_spec_new();
    spec->name = g_strdup(assignment->name);
    spec->resources = resources_copy(assignment->resources);
    spec->vcpus = assignment->vcpus;
    spec->max_vcpus = assignment->hardware->max_vcpus;
    spec->max_memory = assignment->hardware->max_memory;
    spec->image = g_strdup(assignment->image != NULL ? assignment->image->id : NULL);
    if (assignment->hardware->mem_merge) { /* with whom is not known any more */
        spec->trust_domain = g_ascii_strdown(assignment->id, -1);
    }
    spec->power = assignment->power;
    spec->restart = assignment->restart;
    spec->generation = assignment->generation + 1;
    spec->power_generation =
        assignment->power_generation > 0 ? assignment->power_generation : assignment->generation;
    for (guint i = 0; i < assignment->nics->len; i++) {
        g_ptr_array_add(spec->networks, g_strdup(((Nic *)assignment->nics->pdata[i])->network));
    }
    return spec;
}

static VmPlacement *placement_of_assignment(ClusterCore *core, const ClusterHost *host,
                                            const Assignment *assignment)
{
    VmPlacement *placement = vm_placement_new();
    placement->host = g_strdup(host->id);
    placement->host_name = g_strdup(host->spec->name);
    placement->epoch = assignment->epoch;
    placement->overhead = core->overhead;
    placement->hardware = hardware_copy(assignment->hardware);
    placement->placed_ms = core->now_ms;
    placement->why = g_strdup("adopted where it ran");
    for (guint i = 0; i < assignment->nics->len; i++) {
        g_ptr_array_add(placement->nics, nic_copy(assignment->nics->pdata[i]));
    }
    for (guint i = 0; i < assignment->devices->len; i++) {
        g_ptr_array_add(placement->devices, device_held_copy(assignment->devices->pdata[i]));
    }
    return placement;
}

bool adopt_vm(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const char *tenant = request->principal.tenant;
    ClusterHost *host = host_with_quarantined(core, request->params[0], error);
    if (host == NULL) {
        return false;
    }
    const ReportedVm *reported = g_tree_lookup(host->quarantined, request->params[0]);
    if (reported->assignment == NULL) {
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "vm", reported->id,
                               "end it with 'berth vm purge'",
                               "host %s has no record of its hardware", host->spec->name);
    }
    if (!name_is_free(core, "vm", tenant, reported->assignment->name, error) ||
        !tenant_allows(core, tenant, reported->assignment->resources, 1, error)) {
        return false;
    }
    ClusterVm *vm = model_add_vm(core, g_strdup(reported->id), tenant,
                                 spec_of_assignment(reported->assignment));
    vm->placement = placement_of_assignment(core, host, reported->assignment);
    model_link_vm(core, vm);
    name_take(core, "vm", tenant, vm->spec->name, vm->id, vm);
    save_vm_spec(core, vm);
    save_vm_placement(core, vm);
    agent_mark_vm(core, vm);
    Subject subject = subject_of_vm(vm);
    ClusterOperation *operation = operation_start(core, "vm.adopt", tenant, &subject,
                                                  vm->spec->generation, "waits for the host");
    operation_wait_vm(operation, vm);
    event_add(core, "vm.adopted", &subject, host->spec->name, operation->object,
              "VM %s is taken into the store as it runs on %s", vm->spec->name, host->spec->name);
    g_tree_remove(host->quarantined, vm->id);
    operation_reply(core, request->id, operation, 0);
    return true;
}

bool purge_vm(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    ClusterHost *host = host_with_quarantined(core, request->params[0], error);
    if (host == NULL) {
        return false;
    }
    const ReportedVm *reported = g_tree_lookup(host->quarantined, request->params[0]);
    Subject subject = {.kind = SUBJECT_KIND_VM, .id = reported->id, .name = reported->name};
    ClusterOperation *operation = operation_start(core, "vm.purge", request->principal.tenant,
                                                  &subject, 0, "the host is told");
    event_add(core, "vm.purged", &subject, host->spec->name, operation->object,
              "VM %s, which the store does not know, is ended on %s", reported->id,
              host->spec->name);
    agent_purge(core, host, reported);
    operation_finish(core, operation, NULL, "the host was told");
    operation_reply(core, request->id, operation, 0);
    return true;
}
