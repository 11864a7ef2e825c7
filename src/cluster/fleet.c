#include "cluster/fleet.h"

#include <string.h>

#include "base/error.h"
#include "base/resources.h"
#include "base/units.h"
#include "cluster/devices.h"
#include "cluster/ends.h"
#include "cluster/levels.h"
#include "cluster/promises.h"
#include "cluster/rescue.h"
#include "cluster/reservations.h"
#include "cluster/rules.h"
#include "cluster/verdicts.h"
#include "cluster/workload.h"

/* From here on the engine's index is worth its making. */
#define MANY_HOSTS 512

/* Booked for a QEMU when no host has measured one yet; MiB. */
#define OVERHEAD_UNTIL_MEASURED 128

static const char *const fixed_names[N_FIXED] = {"cpu", "memory", "disk", "disk-bw", "net-bw"};
static const BerthQuantity quantities[N_FIXED] = {BERTH_QUANTITY_CPU, BERTH_QUANTITY_MEMORY,
                                                  BERTH_QUANTITY_DISK, BERTH_QUANTITY_DISK_BW,
                                                  BERTH_QUANTITY_NET_BW};

void fleet_init(ClusterCore *core)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = MAX_DIMENSIONS};
    if (berth_place_new(&options, &core->place) != BERTH_PLACE_OK) {
        g_error("out of memory for the placement engine");
    }
    core->dimensions = g_ptr_array_new_with_free_func(g_free);
    for (int i = 0; i < N_FIXED; i++) {
        g_ptr_array_add(core->dimensions, g_strdup(fixed_names[i]));
    }
    core->by_handle = g_ptr_array_new();
    core->free_handles = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    core->overhead = OVERHEAD_UNTIL_MEASURED;
    workload_changed(core);
    rules_init(core);
    reservations_init(core);
}

void fleet_clear(ClusterCore *core)
{
    reservations_clear(core);
    berth_place_free(core->place);
    g_ptr_array_unref(core->dimensions);
    g_ptr_array_unref(core->by_handle);
    g_array_unref(core->free_handles);
    rules_clear(core);
}

const char *fleet_dimension_name(const ClusterCore *core, int dim)
{
    return core->dimensions->pdata[dim];
}

char *fleet_amount_text(int dim, int64_t amount)
{
    return dim < N_FIXED ? berth_quantity_format(quantities[dim], amount)
                         : g_strdup_printf("%" G_GINT64_FORMAT, amount);
}

static int find_dimension(const ClusterCore *core, const char *name, guint from)
{
    for (guint i = from; i < core->dimensions->len; i++) {
        if (strcmp(core->dimensions->pdata[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int fleet_dimension(const ClusterCore *core, const char *name)
{
    return find_dimension(core, name, 0);
}

bool fleet_accelerator(ClusterCore *core, const char *name, int *ret_dim, GError **error)
{
    int dim = find_dimension(core, name, N_FIXED);
    if (dim < 0) {
        if (core->dimensions->len == MAX_DIMENSIONS) {
            return berth_error_set(
                error, BERTH_ERROR_NO_CAPACITY, "accelerators", name,
                "use one of the names that hosts declare",
                "the cluster knows %d kinds of accelerator already, the most that it can",
                MAX_DIMENSIONS - N_FIXED);
        }
        dim = (int)core->dimensions->len;
        g_ptr_array_add(core->dimensions, g_strdup(name));
    }
    *ret_dim = dim;
    return true;
}

/* Without accelerators. */
static Vector plain_vector(const Resources *resources)
{
    return resources == NULL ? (Vector){0}
                             : (Vector){{[DIM_CPU] = resources->cpu,
                                         [DIM_MEMORY] = resources->memory,
                                         [DIM_DISK] = resources->disk,
                                         [DIM_DISK_BW] = resources->disk_bw,
                                         [DIM_NET_BW] = resources->net_bw}};
}

bool fleet_vector(ClusterCore *core, const Resources *resources, Vector *ret_vector, GError **error)
{
    Vector vector = plain_vector(resources);
    size_t kinds = resources != NULL ? int_map_size(resources->accelerators) : 0;
    for (size_t i = 0; i < kinds; i++) {
        int dim = 0;
        if (!fleet_accelerator(core, int_map_key(resources->accelerators, i), &dim, error)) {
            return false;
        }
        vector.amount[dim] = int_map_value(resources->accelerators, i);
    }
    *ret_vector = vector;
    return true;
}

/* For vectors whose names were accepted before: those of stored objects and of hosts. A host's
 * kinds of accelerator beyond what the fleet can tell apart count as absent. */
static Vector known_vector(ClusterCore *core, const Resources *resources)
{
    Vector vector;
    return fleet_vector(core, resources, &vector, NULL) ? vector : plain_vector(resources);
}

Vector fleet_amounts(ClusterCore *core, const Resources *resources)
{
    return known_vector(core, resources);
}

/* Rank of a host among equals: the first 60 bits of its ULID, which rise with the id. */
static uint64_t host_order(const char *id)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t order = 0;
    for (int i = 0; i < 12 && id[i] != '\0'; i++) {
        const char *digit = strchr(alphabet, id[i]);
        order = order << 5 | (digit != NULL ? (uint64_t)(digit - alphabet) : 0);
    }
    return order;
}

static uint32_t free_handle(ClusterCore *core)
{
    uint32_t handle;
    if (model_reuse_number(core->free_handles, &handle)) {
        return handle;
    }
    g_ptr_array_add(core->by_handle, NULL);
    return core->by_handle->len - 1;
}

void fleet_add_host(ClusterCore *core, ClusterHost *host)
{
    static const int64_t nothing[MAX_DIMENSIONS];
    host->place = free_handle(core);
    core->by_handle->pdata[host->place] = host;
    BerthPlaceResult result =
        berth_place_add(core->place, host->place, host_order(host->id), nothing, NULL);
    g_assert(result == BERTH_PLACE_OK);
    fleet_update_host(core, host);
}

void fleet_remove_host(ClusterCore *core, ClusterHost *host)
{
    promises_leave_host(core, host);
    devices_forget_host(core, host);
    berth_place_remove(core->place, host->place);
    core->by_handle->pdata[host->place] = NULL;
    g_array_append_val(core->free_handles, host->place);
}

static void add_as_before(ClusterCore *core, const BerthPlace *before, const ClusterHost *host)
{
    Vector capacity, available;
    bool enabled = false;
    berth_place_get(before, host->place, capacity.amount, available.amount, &enabled);
    BerthPlaceResult result = berth_place_add(core->place, host->place, host_order(host->id),
                                              capacity.amount, available.amount);
    g_assert(result == BERTH_PLACE_OK);
    berth_place_set_enabled(core->place, host->place, enabled);
    BerthPlaceDevice devices[BERTH_PLACE_MAX_DEVICES];
    uint32_t n = 0;
    berth_place_get_devices(before, host->place, devices, &n);
    berth_place_set_devices(core->place, host->place, devices, n);
}

bool fleet_rebuild(ClusterCore *core, GError **error)
{
    BerthPlace *before = core->place;
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = MAX_DIMENSIONS};
    if (berth_place_new(&options, &core->place) != BERTH_PLACE_OK) {
        g_error("out of memory for the placement engine");
    }
    berth_place_set_levels(core->place, levels_count(core));
    core->has_workload = false;
    workload_changed(core);
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        add_as_before(core, before, g_tree_node_value(n));
    }
    if (!rules_tell_anew(core, error)) {
        berth_place_free(core->place);
        core->place = before;
        return false;
    }
    if (core->calendar != NULL) {
        berth_calendar_move(core->calendar, core->place);
    }
    berth_place_free(before);
    return true;
}

static Vector host_reserve(ClusterCore *core, const ClusterHost *host)
{
    return known_vector(core, host->spec->reserve != NULL ? host->spec->reserve
                              : host->facts != NULL       ? host->facts->reserve
                                                          : NULL);
}

static Vector host_capacity(ClusterCore *core, const ClusterHost *host)
{
    Vector capacity = known_vector(core, host->facts != NULL ? host->facts->capacity : NULL);
    devices_capacity(host, &capacity);
    return capacity;
}

/* What is promised beyond what there is. */
static Vector excess_of(const Vector *capacity, const Vector *reserve, const Vector *promised)
{
    Vector excess;
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        int64_t room = capacity->amount[d] - reserve->amount[d];
        excess.amount[d] = MAX(promised->amount[d] - room, 0);
    }
    return excess;
}

static void refresh_availability(ClusterCore *core, ClusterHost *host)
{
    Vector capacity = host_capacity(core, host);
    Vector reserve = host_reserve(core, host);
    Vector promised = reservations_promised(core, host);
    Vector available, excess = excess_of(&capacity, &reserve, &promised);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        capacity.amount[d] = MIN(capacity.amount[d], BERTH_PLACE_MAX_AMOUNT);
        available.amount[d] = CLAMP(capacity.amount[d] - reserve.amount[d] - promised.amount[d],
                                    -BERTH_PLACE_MAX_AMOUNT, capacity.amount[d]);
        host->excess.amount[d] = MIN(host->excess.amount[d], excess.amount[d]);
    }
    Vector before;
    berth_place_get(core->place, host->place, NULL, before.amount, NULL);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        core->room_made = core->room_made || available.amount[d] > before.amount[d];
    }
    BerthPlaceResult result =
        berth_place_set(core->place, host->place, capacity.amount, available.amount);
    g_assert(result == BERTH_PLACE_OK);
}

static void serve_claims(ClusterCore *core, const ClusterHost *host);

void fleet_update_host(ClusterCore *core, ClusterHost *host)
{
    refresh_availability(core, host);
    rules_host_changed(core, host);
    bool takes_vms = host->reported && !host->spec->cordoned, took_vms = false;
    berth_place_get(core->place, host->place, NULL, NULL, &took_vms);
    berth_place_set_enabled(core->place, host->place, takes_vms);
    serve_claims(core, host);
    if (host->spec->cordoned) {
        promises_leave_host(core, host);
    }
    core->room_made = core->room_made || (takes_vms && !took_vms);
    if (takes_vms != took_vms) {
        rescue_want(core);
    }
    if (host->facts != NULL) {
        core->overhead = MAX(core->overhead, host->facts->overhead);
    }
}

static void raise_to(const ClusterCore *core, Vector *vector, const Vector *by)
{
    for (guint d = 0; d < core->dimensions->len; d++) {
        vector->amount[d] = MAX(vector->amount[d], by->amount[d]);
    }
}

/* Has the host done all that is wanted, and does its status say what the VM has now? */
static bool is_done(const ClusterVm *vm)
{
    const VmStatus *s = vm->status;
    return s != NULL && vm->placement != NULL && s->epoch == vm->placement->epoch &&
           s->generation >= vm->spec->generation &&
           (s->transition == TRANSITION_NONE || s->transition == TRANSITION_UNSET) &&
           (s->applied != NULL || status_is_off(s));
}

/* Stopped at its end, and off: only its disk is left, whatever is changed of it later, until it is to
 * start again. */
static bool is_parked(ClusterVm *vm)
{
    const VmStatus *s = vm->status;
    bool off = s != NULL && vm->placement != NULL && s->epoch == vm->placement->epoch &&
               s->generation >= vm->spec->parked_generation && status_is_off(s);
    vm->released = vm->spec->parked && (vm->released || off);
    return vm->released;
}

static Vector disk_of(const Vector *vector)
{
    Vector disk = {0};
    disk.amount[DIM_DISK] = vector->amount[DIM_DISK];
    return disk;
}

Vector fleet_wanted(ClusterCore *core, const ClusterVm *vm)
{
    Vector wanted = known_vector(core, vm->spec->resources);
    return vm->spec->parked ? disk_of(&wanted) : wanted;
}

/* Nothing is booked for devices that the host has lost: there is nothing to be had of them. */
static Vector without_lost(const ClusterCore *core, const ClusterVm *vm, Vector vector)
{
    if (vm->host != NULL) {
        devices_deduct_lost(core, vm->host, vm->placement->devices, &vector);
    }
    return vector;
}

/* The largest of what is wanted, what was wanted before and may still be applied, and what the host
 * last said is applied; QEMU's own memory on top. */
static Vector vm_needs(ClusterCore *core, const ClusterVm *vm, const Resources *wanted)
{
    Vector needs = known_vector(core, wanted);
    if (vm->released) {
        return disk_of(&needs);
    }
    if (vm->status != NULL && vm->status->applied != NULL && vm->placement != NULL &&
        vm->status->epoch == vm->placement->epoch) {
        Vector applied = known_vector(core, vm->status->applied);
        raise_to(core, &needs, &applied);
    }
    raise_to(core, &needs, &vm->peak);
    needs.amount[DIM_MEMORY] += vm->placement != NULL ? vm->placement->overhead : core->overhead;
    return without_lost(core, vm, needs);
}

/* What is to be booked for a VM, were there room for all; a preempted one keeps its disk. */
static Vector vm_wants(ClusterCore *core, const ClusterVm *vm)
{
    if (!vm->placement->released) {
        return vm_needs(core, vm, vm->spec->resources);
    }
    Vector wanted = known_vector(core, vm->spec->resources);
    return disk_of(&wanted);
}

/* As much of it as the host has free beside what the VM has. */
static Vector within_room(ClusterCore *core, const ClusterVm *vm, Vector wants)
{
    Vector available;
    berth_place_get(core->place, vm->host->place, NULL, available.amount, NULL);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        wants.amount[d] = MIN(wants.amount[d], vm->booked.amount[d] + MAX(available.amount[d], 0));
    }
    return wants;
}

static void change_booking(ClusterCore *core, ClusterVm *vm, Vector booking)
{
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        vm->host->booked.amount[d] += booking.amount[d] - vm->booked.amount[d];
    }
    vm->booked = booking;
    reservations_vm_booked(core, vm);
    refresh_availability(core, vm->host);
    if (vm->host->devices->len > 0) {
        devices_refresh(core, vm->host);
    }
}

/* What has become free on a host goes to those who wait for it there, before anybody else sees it. */
static void serve_claims(ClusterCore *core, const ClusterHost *host)
{
    for (GTreeNode *n = core->claims_rest ? NULL : g_tree_node_first(core->claims); n != NULL;
         n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        if (vm->host == host && !vm->spec->removing) {
            change_booking(core, vm, within_room(core, vm, vm_wants(core, vm)));
        }
    }
}

void fleet_book(ClusterCore *core, ClusterVm *vm)
{
    if (vm->host != NULL) {
        vm->lifted = false;
        Vector wanted = known_vector(core, vm->spec->resources);
        if (is_parked(vm)) {
            vm->peak = disk_of(&wanted);
        } else if (is_done(vm)) {
            vm->peak = wanted;
        } else {
            raise_to(core, &vm->peak, &wanted);
        }
        Vector wants = vm_wants(core, vm);
        if (vm->placement->claiming) {
            wants = vm->spec->removing ? vm->booked : within_room(core, vm, wants);
        }
        change_booking(core, vm, wants);
        devices_settle(core, vm);
        serve_claims(core, vm->host);
    }
}

void fleet_devices_changed(ClusterCore *core, ClusterHost *host)
{
    refresh_availability(core, host);
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        if (vm->placement->devices->len > 0 && !vm->lifted) {
            fleet_book(core, vm);
        }
    }
}

void fleet_tolerate_excess(ClusterCore *core, ClusterHost *host)
{
    Vector capacity = host_capacity(core, host), reserve = host_reserve(core, host);
    Vector promised = reservations_promised(core, host);
    host->excess = excess_of(&capacity, &reserve, &promised);
}

bool fleet_falls_short(ClusterCore *core, const ClusterHost *host, const Vector *wanted,
                       int *ret_dim)
{
    Vector available;
    berth_place_get(core->place, host->place, NULL, available.amount, NULL);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        if (wanted->amount[d] > 0 && available.amount[d] < 0 &&
            available.amount[d] + reservations_overstay(core, host).amount[d] < 0) {
            *ret_dim = d;
            return true;
        }
    }
    return false;
}

void fleet_book_told(ClusterCore *core, ClusterVm *vm, const Resources *told)
{
    if (!is_done(vm)) {
        Vector vector = known_vector(core, told);
        raise_to(core, &vm->peak, &vector);
        fleet_book(core, vm);
    }
}

void fleet_unbook(ClusterCore *core, ClusterVm *vm)
{
    if (vm->host != NULL) {
        vm->lifted = true;
        change_booking(core, vm, (Vector){0});
        serve_claims(core, vm->host);
    }
}

void fleet_rebook(ClusterCore *core, ClusterVm *vm, Vector booked)
{
    if (vm->host != NULL) {
        vm->lifted = false;
        change_booking(core, vm, booked);
    }
}

Vector fleet_gain(ClusterCore *core, const ClusterVm *vm)
{
    Vector gain = vm->booked;
    gain.amount[DIM_DISK] = 0;
    return gain;
}

Vector fleet_lacks(ClusterCore *core, const ClusterVm *vm)
{
    Vector lacks = vm_needs(core, vm, vm->spec->resources);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        lacks.amount[d] = MAX(0, lacks.amount[d] - vm->booked.amount[d]);
    }
    return lacks;
}

bool fleet_is_off(const ClusterVm *vm)
{
    return is_done(vm) && status_is_off(vm->status);
}

bool fleet_has_all(const ClusterCore *core, const ClusterVm *vm)
{
    Vector wants = vm_wants((ClusterCore *)core, vm);
    for (guint d = 0; d < core->dimensions->len; d++) {
        if (vm->booked.amount[d] < wants.amount[d]) {
            return false;
        }
    }
    return devices_are_clear(core, vm);
}

bool fleet_leaves_gap(const ClusterCore *core, const ClusterVm *vm)
{
    Vector wants = vm_wants((ClusterCore *)core, vm), available;
    berth_place_get(core->place, vm->host->place, NULL, available.amount, NULL);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        if (vm->booked.amount[d] < wants.amount[d] && available.amount[d] > 0) {
            return true;
        }
    }
    return false;
}

bool fleet_can_reserve(ClusterCore *core, const ClusterHost *host, const Resources *reserve,
                       GError **error)
{
    Vector wanted, capacity = host_capacity(core, host), now = host_reserve(core, host);
    Vector promised = reservations_promised(core, host);
    if (!fleet_vector(core, reserve, &wanted, error)) {
        return false;
    }
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        int64_t left = capacity.amount[d] - promised.amount[d];
        if (host->facts != NULL && wanted.amount[d] > now.amount[d] && wanted.amount[d] > left) {
            g_autofree char *field = g_strconcat("reserve.", fleet_dimension_name(core, d), NULL);
            g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, wanted.amount[d]);
            g_autofree char *most = verdicts_amount(core, d, MAX(left, 0));
            g_autofree char *remedy =
                g_strdup_printf("at most %s, or move or remove VMs first", most);
            return berth_error_set(
                error, BERTH_ERROR_NO_CAPACITY, field, value, remedy,
                wanted.amount[d] > capacity.amount[d]
                    ? "host %s does not have so much"
                    : "the VMs of host %s have been promised more than that leaves",
                host->spec->name);
        }
    }
    return true;
}

/* Of a VM that holds none now. */
static bool can_have_devices(ClusterCore *core, const ClusterVm *vm, const Vector *needs,
                             GError **error)
{
    g_autoptr(GPtrArray) devices = devices_find(core, vm->host, needs, error);
    return devices != NULL;
}

static bool can_have(ClusterCore *core, const ClusterVm *vm, const Resources *resources,
                     GError **error)
{
    Vector needs = vm_needs(core, vm, resources);
    Vector available;
    berth_place_get(core->place, vm->host->place, NULL, available.amount, NULL);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        int64_t more = needs.amount[d] - vm->booked.amount[d];
        if (more > 0 && !vm->host->was_up) {
            return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "vm", vm->spec->name,
                                   "try again when 'berth host list' shows the host up",
                                   "host %s has not said yet what its VMs hold",
                                   vm->host->spec->name);
        }
        if (more > 0 && more > available.amount[d]) {
            g_autofree char *missing = verdicts_amount(core, d, more - MAX(available.amount[d], 0));
            g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, needs.amount[d]);
            return berth_error_set(error, BERTH_ERROR_NO_CAPACITY, fleet_dimension_name(core, d),
                                   value, "ask for less, or make room on the host",
                                   "host %s lacks %s for it", vm->host->spec->name, missing);
        }
    }
    return vm->placement->devices->len > 0 || can_have_devices(core, vm, &needs, error);
}

bool fleet_can_grow(ClusterCore *core, const ClusterVm *vm, const Resources *resources,
                    GError **error)
{
    return vm->placement->released || can_have(core, vm, resources, error);
}

bool fleet_can_resume(ClusterCore *core, const ClusterVm *vm, GError **error)
{
    return (vm->host->reported ||
            berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                            "its host %s is not connected", vm->host->spec->name)) &&
           can_have(core, vm, vm->spec->resources, error);
}

static BerthPlacePolicy engine_policy(ClusterCore *core, PlacePolicy policy)
{
    BerthPlacePolicy its = BERTH_PLACE_MOST_FREE;
    if (policy == PLACE_POLICY_FRAGMENTATION && !workload_refresh(core)) {
        return its; /* there are no sizes, so nothing is typical */
    }
    if (policy != PLACE_POLICY_UNSET) {
        berth_place_policy_from_name(place_policy_to_string(policy), &its);
    }
    return its;
}

/* The weights of a mix, by the engine's numbers; they were checked when they were asked for. */
static void weigh(const VmSpec *spec, EngineRequest *request)
{
    const IntMap *weights = spec->policy_weights;
    for (size_t i = 0; weights != NULL && i < int_map_size(weights); i++) {
        BerthPlacePolicy policy;
        if (berth_place_policy_from_name(int_map_key(weights, i), &policy) &&
            policy < BERTH_PLACE_N_MIXED) {
            request->mix[policy] = (double)int_map_value(weights, i);
        }
    }
    request->request.mix = request->request.policy == BERTH_PLACE_MIX ? request->mix : NULL;
}

/* The one host asked for, those where the reservation has a slot, or all. */
static void allow(ClusterCore *core, const VmSpec *spec, const ClusterHost *only,
                  EngineRequest *request)
{
    if (only == NULL && spec->reservation == NULL) {
        return;
    }
    g_free(request->allowed);
    request->request.allowed_words = core->by_handle->len / 64 + 1;
    request->allowed = g_new0(uint64_t, request->request.allowed_words);
    request->request.allowed = request->allowed;
    if (only == NULL) {
        reservations_allow(core, spec, request->allowed);
    } else if (spec->reservation == NULL || reservations_has_slot(core, spec, only)) {
        request->allowed[only->place / 64] |= UINT64_C(1) << only->place % 64;
    }
}

bool fleet_request(ClusterCore *core, const char *tenant, const VmSpec *spec,
                   const ClusterHost *only, EngineRequest *ret_request, GError **error)
{
    *ret_request = (EngineRequest){.allowed = NULL};
    EngineRequest r = {
        .request = {.struct_size = sizeof r.request, .policy = engine_policy(core, spec->policy)}};
    if (!fleet_vector(core, spec->resources, &r.vector, error) ||
        !rules_keep_trust(core, tenant, spec, error) ||
        !devices_demands(core, &r.vector, r.devices, &r.request.n_devices, error) ||
        !rules_groups(core, tenant, spec, r.groups, &r.request.n_groups, error)) {
        return false;
    }
    r.request.n_labels = rules_host_labels(core, spec, r.labels);
    r.vector.amount[DIM_MEMORY] += core->overhead;
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        if (r.vector.amount[d] > BERTH_PLACE_MAX_AMOUNT) {
            g_autofree char *amount = g_strdup_printf("%" G_GINT64_FORMAT, r.vector.amount[d]);
            return berth_error_set(error, BERTH_ERROR_INVALID, fleet_dimension_name(core, d),
                                   amount, "no host is that large", "more than Berth can count");
        }
    }
    *ret_request = r;
    allow(core, spec, only, ret_request);
    weigh(spec, ret_request);
    ret_request->request.vector = ret_request->vector.amount;
    ret_request->request.groups = ret_request->groups;
    ret_request->request.labels = ret_request->labels;
    ret_request->request.devices = r.request.n_devices > 0 ? ret_request->devices : NULL;
    return true;
}

void fleet_request_clear(EngineRequest *request)
{
    g_clear_pointer(&request->allowed, g_free);
}

/* What is asked for once will be asked again, mostly for each VM of an app, so the engine's index is
 * made ready for it; few hosts are looked at as quickly without one. */
static void prepare(ClusterCore *core, const EngineRequest *request)
{
    if (berth_place_n_hosts(core->place) >= MANY_HOSTS) {
        berth_place_prepare(core->place, request->request.policy, request->vector.amount);
    }
}

ClusterHost *fleet_find(ClusterCore *core, const char *tenant, const VmSpec *spec,
                        ClusterHost *only, char **ret_why, GError **error)
{
    EngineRequest request;
    if (!fleet_request(core, tenant, spec, only, &request, error)) {
        return NULL;
    }
    BerthPlaceDecision decision = {.struct_size = sizeof decision};
    prepare(core, &request);
    reservations_look(core, spec, false);
    BerthPlaceResult result = berth_place_find(core->place, &request.request, &decision);
    ClusterHost *host = NULL;
    if (result == BERTH_PLACE_OK) {
        host = core->by_handle->pdata[decision.host];
        *ret_why = g_strdup_printf("%s: score %.6g",
                                   berth_place_policy_name(request.request.policy), decision.score);
    } else if (result == BERTH_PLACE_NO_HOST) {
        fleet_refuse(core, &request, only, error);
    } else {
        berth_error_set(error, BERTH_ERROR_INVALID, "resources", NULL, "ask for something",
                        "cannot be placed: %s", berth_place_strerror(result));
    }
    reservations_look_away(core, spec);
    fleet_request_clear(&request);
    return host;
}

GPtrArray *fleet_try(ClusterCore *core, const char *tenant, const VmSpec *spec, ClusterHost *only,
                     int64_t count, Explanation **ret_refusal, GError **error)
{
    EngineRequest request;
    if (!fleet_request(core, tenant, spec, only, &request, error)) {
        return NULL;
    }
    g_autoptr(GPtrArray) hosts = g_ptr_array_new();
    prepare(core, &request);
    reservations_look(core, spec, true);
    if (berth_place_begin(core->place) != BERTH_PLACE_OK) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "try again later",
                        "there is no memory to try placements");
        reservations_look_away(core, spec);
        fleet_request_clear(&request);
        return NULL;
    }
    while ((int64_t)hosts->len < count) {
        BerthPlaceDecision decision = {.struct_size = sizeof decision};
        if (berth_place_find(core->place, &request.request, &decision) != BERTH_PLACE_OK) {
            fleet_refuse(core, &request, only, error);
            if (count > 1) {
                g_prefix_error(error, "%u of %" G_GINT64_FORMAT " VMs fit; ", hosts->len, count);
            }
            if (ret_refusal != NULL) {
                *ret_refusal = verdicts_explain(core, tenant, spec, only, NULL);
            }
            break;
        }
        ClusterHost *host = core->by_handle->pdata[decision.host];
        Holdings holdings = devices_of_decision(host, &request.request, decision.devices);
        berth_place_take(core->place, decision.host, request.vector.amount);
        berth_place_enter(core->place, decision.host, request.groups, request.request.n_groups);
        devices_take(core, host, &holdings);
        g_ptr_array_add(hosts, host);
        reservations_hold_slot(core, spec, core->by_handle->pdata[decision.host]);
        allow(core, spec, only, &request);
    }
    berth_place_rollback(core->place);
    reservations_look_away(core, spec);
    fleet_request_clear(&request);
    return (int64_t)hosts->len == count ? g_steal_pointer(&hosts) : NULL;
}

Vector fleet_total(ClusterCore *core)
{
    Vector total = {0};
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        Vector capacity = host_capacity(core, g_tree_node_value(n));
        for (int d = 0; d < MAX_DIMENSIONS; d++) {
            total.amount[d] += capacity.amount[d];
        }
    }
    return total;
}

/* Short of room, or not, as the engine sees it: every other reason is one that waiting does not end. */
static bool could_hold(ClusterCore *core, const EngineRequest *request, const ClusterHost *host)
{
    BerthPlaceVerdict verdict;
    if (berth_place_examine(core->place, &request->request, host->place, &verdict) !=
            BERTH_PLACE_OK ||
        (verdict.reason != BERTH_PLACE_CANDIDATE && verdict.reason != BERTH_PLACE_SHORT &&
         verdict.reason != BERTH_PLACE_DEVICE) ||
        !devices_could_hold(host, &request->request)) {
        return false;
    }
    Vector capacity = host_capacity(core, host), reserve = host_reserve(core, host);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        if (request->vector.amount[d] > 0 &&
            request->vector.amount[d] > capacity.amount[d] - reserve.amount[d]) {
            return false;
        }
    }
    return true;
}

bool fleet_could_hold(ClusterCore *core, const char *tenant, const VmSpec *spec,
                      const ClusterHost *only)
{
    EngineRequest request;
    bool found = false;
    if (fleet_request(core, tenant, spec, only, &request, NULL)) {
        for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL && !found;
             n = g_tree_node_next(n)) {
            found = could_hold(core, &request, g_tree_node_value(n));
        }
    }
    fleet_request_clear(&request);
    return found;
}

static int64_t measured(const ClusterHost *host, int dim)
{
    if (host->measure == NULL) {
        return 0;
    }
    return dim == DIM_CPU ? host->measure->cpu : dim == DIM_MEMORY ? host->measure->memory : 0;
}

/* What the host's VMs can get now: as applied where the host has said so. */
static Vector effective(ClusterCore *core, const ClusterHost *host)
{
    Vector sum = {0};
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        Vector got = known_vector(
            core, vm->status != NULL && vm->status->applied != NULL ? vm->status->applied : NULL);
        for (int d = 0; d < MAX_DIMENSIONS; d++) {
            sum.amount[d] += got.amount[d];
        }
    }
    return sum;
}

GPtrArray *fleet_ledger(ClusterCore *core, const ClusterHost *host)
{
    GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)ledger_row_free);
    Vector capacity = host_capacity(core, host);
    Vector reserve = host_reserve(core, host);
    Vector got = effective(core, host);
    for (int d = 0; d < (int)core->dimensions->len; d++) {
        if (d >= N_FIXED && capacity.amount[d] == 0 && host->booked.amount[d] == 0) {
            continue;
        }
        LedgerRow *row = ledger_row_new();
        row->dimension = g_strdup(fleet_dimension_name(core, d));
        row->capacity = capacity.amount[d];
        row->reserve = reserve.amount[d];
        row->guaranteed = row->committed = host->booked.amount[d];
        row->effective = got.amount[d];
        row->used = measured(host, d);
        g_ptr_array_add(rows, row);
    }
    return rows;
}

static bool check_host(ClusterCore *core, const ClusterHost *host, GError **error)
{
    Vector sum = {0};
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        for (int d = 0; d < MAX_DIMENSIONS; d++) {
            sum.amount[d] += vm->booked.amount[d];
        }
    }
    if (memcmp(&sum, &host->booked, sizeof sum) != 0) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, "ledger", host->id, NULL,
                               "bookings of the VMs on the host do not add up to its own");
    }
    Vector capacity = host_capacity(core, host);
    Vector reserve = host_reserve(core, host);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        int64_t room = capacity.amount[d] - reserve.amount[d] + host->excess.amount[d];
        if (sum.amount[d] > 0 && sum.amount[d] > room) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, fleet_dimension_name(core, d),
                                   host->id, NULL, "the ledger is overdrawn");
        }
    }
    return devices_check(core, host, error);
}

bool fleet_check(ClusterCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        if (!check_host(core, g_tree_node_value(n), error)) {
            return false;
        }
    }
    const char *broken = berth_place_check(core->place);
    return broken == NULL || berth_error_set(error, BERTH_ERROR_INTERNAL, "place", NULL, NULL,
                                             "placement engine: %s", broken);
}
