#include "cluster/reservations.h"

#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "base/words.h"
#include "cluster/accounts.h"
#include "cluster/devices.h"
#include "cluster/ends.h"
#include "cluster/journal.h"
#include "cluster/keys.h"
#include "cluster/rescue.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"
#include "cluster/verdicts.h"

void reservations_init(ClusterCore *core)
{
    if (berth_calendar_new(core->place, &core->calendar) != BERTH_PLACE_OK) {
        g_error("out of memory for the calendar");
    }
    core->calendar_due_ms = core->reservations_due_ms = core->rescue_due_ms = INT64_MAX;
    core->free_commitments = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    core->ends = g_sequence_new(NULL);
}

void reservations_clear(ClusterCore *core)
{
    berth_calendar_free(core->calendar);
    g_array_unref(core->free_commitments);
    g_sequence_free(core->ends);
}

void reservation_forget(void *data)
{
    ClusterReservation *reservation = data;
    reservation_free(reservation->object);
    g_free(reservation->slots);
    g_free(reservation);
}

uint32_t reservations_new_number(ClusterCore *core)
{
    uint32_t number;
    return model_reuse_number(core->free_commitments, &number) ? number : core->n_commitments++;
}

void reservations_free_number(ClusterCore *core, uint32_t number)
{
    g_array_append_val(core->free_commitments, number);
}

static bool is_nothing(const Vector *vector)
{
    static const Vector nothing;
    return memcmp(vector, &nothing, sizeof nothing) == 0;
}

/* Sets what a number stands for; a vector of zeros, or a span that is over, is nothing. */
static void set_commitment(ClusterCore *core, uint32_t number, const ClusterHost *host,
                           const Vector *vector, const DevicesCommitted *devices, int64_t start,
                           int64_t end, uint32_t lasting)
{
    BerthCommitment commitment = {.struct_size = sizeof commitment,
                                  .host = host->place,
                                  .vector = vector->amount,
                                  .start = start,
                                  .end = end,
                                  .lasting = lasting,
                                  .n_holdings = devices != NULL ? devices->n : 0,
                                  .holdings = devices != NULL ? devices->held : NULL};
    BerthPlaceResult result = BERTH_PLACE_OK;
    if (is_nothing(vector) || end <= core->now_ms) {
        result = berth_calendar_cancel(core->calendar, number);
        result = result == BERTH_PLACE_ERROR_UNKNOWN_COMMITMENT ? BERTH_PLACE_OK : result;
    } else {
        result = berth_calendar_impose(core->calendar, number, &commitment);
        core->calendar_due_ms = MIN(core->calendar_due_ms, end);
    }
    if (result != BERTH_PLACE_OK) {
        g_error("calendar: %s", berth_place_strerror(result));
    }
    core->room_made = true;
}

int64_t reservation_release_ms(const Reservation *object)
{
    return object->at_end == AT_END_WARN ? BERTH_CALENDAR_NEVER
                                         : object->end_ms + object->grace_seconds * 1000;
}

/* What the slot still holds beside its VM. */
static Vector slot_holds(const ClusterReservation *reservation, const Slot *slot)
{
    Vector holds = reservation->vector;
    for (int d = 0; slot->vm != NULL && d < MAX_DIMENSIONS; d++) {
        holds.amount[d] = MAX(0, holds.amount[d] - slot->vm->booked.amount[d]);
    }
    return holds;
}

static const GPtrArray *slot_devices(const ClusterReservation *reservation, const Slot *slot)
{
    const ReservationSlot *of = reservation->object->slots->pdata[slot - reservation->slots];
    return of->devices;
}

/* What it holds of devices beside its VM. False: its host has not all of them. */
static bool slot_committed(const ClusterCore *core, const ClusterReservation *reservation,
                           const Slot *slot, DevicesCommitted *ret_committed)
{
    const GPtrArray *less = slot->vm != NULL ? slot->vm->placement->devices : NULL;
    return devices_committed(core, slot->host, slot_devices(reservation, slot), less,
                             ret_committed);
}

static void commit_slot(ClusterCore *core, const ClusterReservation *reservation, const Slot *slot)
{
    if (slot->host != NULL) {
        Vector holds = slot_holds(reservation, slot);
        DevicesCommitted devices;
        if (!slot_committed(core, reservation, slot, &devices)) {
            devices_deduct_lost(core, slot->host, slot_devices(reservation, slot), &holds);
        }
        set_commitment(core, slot->number, slot->host, &holds, &devices,
                       reservation->object->start_ms, reservation_release_ms(reservation->object),
                       ends_lasting(reservation->object->at_end));
    }
}

static void cancel_slot(ClusterCore *core, const Slot *slot)
{
    if (slot->host != NULL) {
        set_commitment(core, slot->number, slot->host, &(Vector){0}, NULL, 0, 0, 0);
    }
}

static int64_t due_ms(const Reservation *object)
{
    return object->begun ? object->end_ms : object->start_ms;
}

ClusterReservation *reservation_add(ClusterCore *core, Reservation *object)
{
    ClusterReservation *reservation = g_new0(ClusterReservation, 1);
    reservation->object = object;
    reservation->vector = fleet_amounts(core, object->resources);
    reservation->vector.amount[DIM_MEMORY] += object->overhead;
    reservation->n_slots = object->slots->len;
    reservation->slots = g_new0(Slot, object->slots->len);
    g_tree_insert(core->reservations, object->id, reservation);
    core->reservations_due_ms = MIN(core->reservations_due_ms, due_ms(object));
    return reservation;
}

void reservation_link(ClusterCore *core, ClusterReservation *reservation)
{
    for (guint i = 0; i < reservation->n_slots; i++) {
        const ReservationSlot *of = reservation->object->slots->pdata[i];
        Slot *slot = &reservation->slots[i];
        slot->host = g_tree_lookup(core->hosts, of->host);
        slot->number = reservations_new_number(core);
        commit_slot(core, reservation, slot);
    }
}

void reservation_remove(ClusterCore *core, ClusterReservation *reservation)
{
    for (guint i = 0; i < reservation->n_slots; i++) {
        Slot *slot = &reservation->slots[i];
        if (slot->vm != NULL) {
            slot->vm->reservation = NULL;
        }
        cancel_slot(core, slot);
        reservations_free_number(core, slot->number);
    }
    g_tree_remove(core->reservations, reservation->object->id);
}

void reservation_move_slot(ClusterCore *core, ClusterReservation *reservation, guint at,
                           ClusterHost *host, GPtrArray *devices)
{
    Slot *slot = &reservation->slots[at];
    ReservationSlot *of = reservation->object->slots->pdata[at];
    cancel_slot(core, slot);
    slot->host = host;
    g_ptr_array_unref(of->devices);
    of->devices = devices;
    commit_slot(core, reservation, slot);
    g_free(of->host);
    g_free(of->host_name);
    of->host = g_strdup(host->id);
    of->host_name = g_strdup(host->spec->name);
}

bool reservation_has_devices(const ClusterCore *core, const ClusterReservation *reservation,
                             guint at)
{
    DevicesCommitted devices;
    return slot_committed(core, reservation, &reservation->slots[at], &devices);
}

void reservation_lift_slot(ClusterCore *core, ClusterReservation *reservation, guint at)
{
    bool room_made = core->room_made;
    cancel_slot(core, &reservation->slots[at]);
    core->room_made = room_made;
}

void reservation_hold_slot(ClusterCore *core, ClusterReservation *reservation, guint at)
{
    bool room_made = core->room_made;
    commit_slot(core, reservation, &reservation->slots[at]);
    core->room_made = room_made;
}

void save_reservation(ClusterCore *core, ClusterReservation *reservation)
{
    Reservation *object = reservation->object;
    object->revision = txn_revision(core);
    txn_put(core, key_of("reservation", object->tenant, object->id), &reservation_type, object);
}

Subject subject_of_reservation(const ClusterReservation *reservation)
{
    return (Subject){.kind = SUBJECT_KIND_RESERVATION,
                     .id = reservation->object->id,
                     .name = reservation->object->name};
}

static bool is_active(const ClusterCore *core, const Reservation *object)
{
    return core->now_ms >= object->start_ms && core->now_ms < object->end_ms;
}

json_t *render_reservation(const ClusterCore *core, const ClusterReservation *reservation)
{
    g_autoptr(Reservation) shown = reservation_copy(reservation->object);
    shown->state = is_active(core, shown) ? RESERVATION_STATE_ACTIVE : RESERVATION_STATE_PLANNED;
    for (guint i = 0; i < reservation->n_slots; i++) {
        const Slot *slot = &reservation->slots[i];
        ReservationSlot *row = shown->slots->pdata[i];
        row->vm = slot->vm != NULL ? g_strdup(slot->vm->spec->name) : NULL;
    }
    return reservation_encode(shown);
}

static ClusterReservation *reservation_of(const ClusterCore *core, const VmSpec *spec)
{
    return spec->reservation != NULL ? g_tree_lookup(core->reservations, spec->reservation) : NULL;
}

static bool is_vacant(const Slot *slot)
{
    return slot->host != NULL && slot->vm == NULL && !slot->held;
}

static bool is_free(const ClusterCore *core, const ClusterReservation *reservation,
                    const Slot *slot)
{
    DevicesCommitted devices;
    return is_vacant(slot) && slot_committed(core, reservation, slot, &devices);
}

/* Can a VM begin in it? Not while one that should be gone is still on its devices: the engine looks for any devices
 * of the host, but these are those that it gets. */
static bool is_ready(const ClusterCore *core, const ClusterReservation *reservation,
                     const Slot *slot)
{
    return is_free(core, reservation, slot) &&
           devices_are_left(slot->host, slot_devices(reservation, slot));
}

static bool check_active(ClusterCore *core, const Reservation *object, GError **error)
{
    g_autofree char *start = berth_time_format(object->start_ms);
    if (core->now_ms < object->start_ms) {
        g_autofree char *remedy = g_strdup_printf("it begins at %s", start);
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "reservation", object->name, remedy,
                               "the reservation has not begun");
    }
    return core->now_ms < object->end_ms ||
           berth_error_set(error, BERTH_ERROR_CONFLICT, "reservation", object->name,
                           "make another one", "the time of the reservation is over");
}

/* The VM must be no more than the slot. */
static bool check_fits(ClusterCore *core, const ClusterReservation *reservation, const VmSpec *spec,
                       GError **error)
{
    Vector wants, has = fleet_amounts(core, reservation->object->resources);
    if (!fleet_vector(core, spec->resources, &wants, error)) {
        return false;
    }
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        if (wants.amount[d] > has.amount[d]) {
            g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, wants.amount[d]);
            g_autofree char *most = verdicts_amount(core, d, has.amount[d]);
            g_autofree char *remedy = g_strdup_printf("at most %s", most);
            return berth_error_set(error, BERTH_ERROR_NO_CAPACITY, core->dimensions->pdata[d],
                                   value, remedy, "more than a slot of reservation '%s' holds",
                                   reservation->object->name);
        }
    }
    return true;
}

static bool admit_to(ClusterCore *core, const ClusterReservation *reservation, const VmSpec *spec,
                     int64_t count, GError **error)
{
    int64_t left = 0, ready = 0;
    if (!check_active(core, reservation->object, error) ||
        !check_fits(core, reservation, spec, error)) {
        return false;
    }
    for (guint i = 0; i < reservation->n_slots; i++) {
        left += is_free(core, reservation, &reservation->slots[i]);
        ready += is_ready(core, reservation, &reservation->slots[i]);
    }
    if (left < count) {
        g_autofree char *slots = berth_words_count(left, "free slot");
        return berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "reservation",
                               reservation->object->name,
                               "ask for fewer, or make another reservation",
                               "it has %s, and %" G_GINT64_FORMAT " %s asked for", slots, count,
                               count == 1 ? "is" : "are");
    }
    return ready >= count ||
           berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "reservation", reservation->object->name,
                           "try again when that is gone",
                           "what should be gone is still on the devices of its slots");
}

VmSpec *reservation_spec(const Reservation *object)
{
    VmSpec *spec = vm_spec_new();
    spec->name = g_strdup(object->name);
    spec->resources = resources_copy(object->resources);
    spec->policy = object->policy;
    int_map_assign(&spec->policy_weights, object->policy_weights);
    string_map_assign(&spec->labels, object->labels);
    string_map_assign(&spec->host_labels, object->host_labels);
    return spec;
}

bool reservations_admit(ClusterCore *core, const char *tenant, const VmSpec *spec, int64_t count,
                        GError **error)
{
    const ClusterReservation *reservation = reservation_of(core, spec);
    if (spec->ends_ms != 0 && spec->ends_ms <= core->now_ms) {
        g_autofree char *end = berth_time_format(spec->ends_ms);
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "ends-ms", end, NULL,
                               "the time of what it belongs to is over");
    }
    if (reservation != NULL) {
        return account_may_run(model_tenant(core, tenant), error) &&
               admit_to(core, reservation, spec, count, error);
    }
    return tenant_allows(core, tenant, spec->resources, count, error);
}

/* What a tenant holds changes when one of its reservations begins or ends. */
typedef struct {
    int64_t at_ms, vms;
    Vector held; /* more of it; less where it ends */
} Turn;

/* At one time what ends goes before what begins. */
static gint compare_turns(gconstpointer a, gconstpointer b)
{
    const Turn *left = a, *right = b;
    return left->at_ms != right->at_ms ? (left->at_ms < right->at_ms ? -1 : 1)
                                       : (left->vms > right->vms) - (left->vms < right->vms);
}

/* What is still free of a reservation. */
static Turn turn_of(const ClusterReservation *reservation)
{
    Turn turn = {0};
    for (guint i = 0; i < reservation->n_slots; i++) {
        turn.vms += reservation->slots[i].vm == NULL;
    }
    turn.held = reservation->vector;
    turn.held.amount[DIM_MEMORY] -= reservation->object->overhead;
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        turn.held.amount[d] *= turn.vms;
    }
    return turn;
}

static void add_turns(const ClusterReservation *reservation, int64_t from, GArray *turns)
{
    Turn begin = turn_of(reservation), end = begin;
    begin.at_ms = MAX(reservation->object->start_ms, from);
    end.at_ms = reservation->object->end_ms;
    end.vms = -end.vms;
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        end.held.amount[d] = -end.held.amount[d];
    }
    g_array_append_val(turns, begin);
    g_array_append_val(turns, end);
}

Vector reservations_held(ClusterCore *core, const char *tenant, int64_t from, int64_t to,
                         int64_t *ret_vms)
{
    Vector most = {0}, held = {0};
    int64_t vms = 0;
    *ret_vms = 0;
    g_autoptr(GArray) turns = g_array_new(FALSE, FALSE, sizeof(Turn));
    for (GTreeNode *n = g_tree_node_first(core->reservations); n != NULL; n = g_tree_node_next(n)) {
        const ClusterReservation *reservation = g_tree_node_value(n);
        const Reservation *object = reservation->object;
        if (strcmp(object->tenant, tenant) == 0 && object->start_ms < to && object->end_ms > from) {
            add_turns(reservation, from, turns);
        }
    }
    g_array_sort(turns, compare_turns);
    for (guint i = 0; i < turns->len; i++) {
        const Turn *turn = &g_array_index(turns, Turn, i);
        vms += turn->vms;
        *ret_vms = MAX(*ret_vms, vms);
        for (int d = 0; d < MAX_DIMENSIONS; d++) {
            held.amount[d] += turn->held.amount[d];
            most.amount[d] = MAX(most.amount[d], held.amount[d]);
        }
    }
    return most;
}

/* Is an earlier slot on the same host among these? */
static bool is_lent_on(const ClusterReservation *reservation, const bool *lent, guint at)
{
    for (guint i = 0; i < at; i++) {
        if (lent[i] && reservation->slots[i].host == reservation->slots[at].host) {
            return true;
        }
    }
    return false;
}

/* Out of the calendar: one slot on each host, or all, where a VM can begin. */
static void lend(ClusterCore *core, ClusterReservation *reservation, bool all_slots)
{
    g_autofree bool *lent = g_new0(bool, reservation->n_slots);
    for (guint i = 0; i < reservation->n_slots; i++) {
        lent[i] = (all_slots || !is_lent_on(reservation, lent, i)) &&
                  is_ready(core, reservation, &reservation->slots[i]);
        if (lent[i]) {
            cancel_slot(core, &reservation->slots[i]);
        }
    }
}

void reservations_look(ClusterCore *core, const VmSpec *spec, bool all_slots)
{
    ClusterReservation *reservation = reservation_of(core, spec);
    bool room_made = core->room_made; /* what is shown to a question is no room for others */
    if (reservation != NULL) {
        lend(core, reservation, all_slots);
    }
    if (ends_by_itself(core, spec)) {
        BerthPlaceResult result = berth_calendar_open(
            core->calendar, core->now_ms, ends_release_ms(spec), ends_lasting(spec->at_end));
        g_assert(result == BERTH_PLACE_OK);
    }
    core->room_made = room_made;
}

void reservations_look_away(ClusterCore *core, const VmSpec *spec)
{
    ClusterReservation *reservation = reservation_of(core, spec);
    bool room_made = core->room_made;
    if (ends_by_itself(core, spec)) {
        berth_calendar_close(core->calendar);
    }
    for (guint i = 0; reservation != NULL && i < reservation->n_slots; i++) {
        reservation->slots[i].held = false;
        if (reservation->slots[i].vm == NULL) {
            commit_slot(core, reservation, &reservation->slots[i]);
        }
    }
    core->room_made = room_made;
}

static Slot *free_slot(ClusterCore *core, const VmSpec *spec, const ClusterHost *host)
{
    ClusterReservation *reservation = reservation_of(core, spec);
    for (guint i = 0; reservation != NULL && i < reservation->n_slots; i++) {
        if (reservation->slots[i].host == host &&
            is_ready(core, reservation, &reservation->slots[i])) {
            return &reservation->slots[i];
        }
    }
    return NULL;
}

bool reservations_has_slot(ClusterCore *core, const VmSpec *spec, const ClusterHost *host)
{
    return free_slot(core, spec, host) != NULL;
}

void reservations_allow(ClusterCore *core, const VmSpec *spec, uint64_t *hosts)
{
    const ClusterReservation *reservation = reservation_of(core, spec);
    for (guint i = 0; reservation != NULL && i < reservation->n_slots; i++) {
        const Slot *slot = &reservation->slots[i];
        if (is_ready(core, reservation, slot)) {
            hosts[slot->host->place / 64] |= UINT64_C(1) << slot->host->place % 64;
        }
    }
}

void reservations_hold_slot(ClusterCore *core, const VmSpec *spec, const ClusterHost *host)
{
    Slot *slot = free_slot(core, spec, host);
    if (slot != NULL) {
        slot->held = true;
    }
}

static Slot *slot_of(const ClusterVm *vm)
{
    for (guint i = 0; vm->reservation != NULL && i < vm->reservation->n_slots; i++) {
        if (vm->reservation->slots[i].vm == vm) {
            return &vm->reservation->slots[i];
        }
    }
    return NULL;
}

GPtrArray *reservations_devices(ClusterCore *core, const VmSpec *spec, const ClusterHost *host,
                                const BerthPlaceRequest *request, GPtrArray *chosen)
{
    const Slot *slot = free_slot(core, spec, host);
    return slot == NULL ? chosen
                        : devices_from_slot(core, slot_devices(reservation_of(core, spec), slot),
                                            request, chosen);
}

/* Is this a slot on the VM's host that holds its devices? */
static bool suits(const ClusterCore *core, const ClusterReservation *reservation, const Slot *slot,
                  const ClusterVm *vm)
{
    return slot->host == vm->host &&
           devices_cover(core, slot_devices(reservation, slot), vm->placement->devices);
}

/* A vacant slot on the VM's host: the first that has all of its devices, or the first at all. */
static Slot *vacant_slot(const ClusterCore *core, const ClusterReservation *reservation,
                         const ClusterVm *vm, bool suiting)
{
    Slot *first = NULL;
    for (guint i = 0; i < reservation->n_slots; i++) {
        Slot *slot = &reservation->slots[i];
        if (is_vacant(slot) && slot->host == vm->host &&
            (!suiting || suits(core, reservation, slot, vm))) {
            if (is_free(core, reservation, slot)) {
                return slot;
            }
            first = first != NULL ? first : slot;
        }
    }
    return first;
}

/* The slot on its host that holds its devices, also where the host has lost some of them. Who has that by accident,
 * with none of them, such as one that came first out of the store, takes another. */
static Slot *slot_with_devices(ClusterCore *core, const ClusterVm *vm)
{
    ClusterReservation *reservation = reservation_of(core, vm->spec);
    Slot *any = reservation != NULL ? vacant_slot(core, reservation, vm, false) : NULL;
    Slot *its = any != NULL ? vacant_slot(core, reservation, vm, true) : NULL;
    for (guint i = 0; its == NULL && any != NULL && i < reservation->n_slots; i++) {
        Slot *slot = &reservation->slots[i];
        ClusterVm *other = slot->vm;
        if (other != NULL && suits(core, reservation, slot, vm) &&
            suits(core, reservation, any, other)) {
            any->vm = other;
            slot->vm = NULL;
            commit_slot(core, reservation, any);
            its = slot;
        }
    }
    return its != NULL ? its : any;
}

void reservations_vm_comes(ClusterCore *core, ClusterVm *vm)
{
    Slot *slot = slot_with_devices(core, vm);
    if (slot != NULL) {
        slot->vm = vm;
        vm->reservation = reservation_of(core, vm->spec);
    }
    ends_queue(core, vm);
}

/* What of its booking is in the calendar. */
static void set_timed(ClusterCore *core, ClusterVm *vm, const Vector *timed)
{
    bool was = !is_nothing(&vm->timed), is = !is_nothing(timed);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        vm->host->timed.amount[d] += timed->amount[d] - vm->timed.amount[d];
    }
    vm->timed = *timed;
    if (is && !was) {
        vm->commitment = reservations_new_number(core);
    }
    if (is || was) {
        DevicesCommitted devices = devices_of_timed(vm);
        set_commitment(core, vm->commitment, vm->host, timed, &devices, INT64_MIN,
                       ends_release_ms(vm->spec), ends_lasting(vm->spec->at_end));
    }
    if (was && !is) {
        reservations_free_number(core, vm->commitment);
    }
}

bool reservations_is_timed(const ClusterVm *vm)
{
    return !is_nothing(&vm->timed);
}

void reservations_vm_booked(ClusterCore *core, ClusterVm *vm)
{
    Slot *slot = slot_of(vm);
    set_timed(core, vm, ends_by_itself(core, vm->spec) ? &vm->booked : &(Vector){0});
    if (slot != NULL) {
        commit_slot(core, vm->reservation, slot);
    }
}

bool reservations_vm_leaves_slot(ClusterCore *core, ClusterVm *vm)
{
    Slot *slot = slot_of(vm);
    if (slot != NULL) {
        slot->vm = NULL;
        commit_slot(core, vm->reservation, slot);
        vm->reservation = NULL;
        rescue_want(core); /* what stayed for the sake of its VM may have to go now */
    }
    return slot != NULL;
}

void reservations_vm_goes(ClusterCore *core, ClusterVm *vm)
{
    ends_unqueue(vm);
    reservations_vm_leaves_slot(core, vm);
}

void reservations_devices_changed(ClusterCore *core, ClusterHost *host)
{
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        reservations_vm_booked(core, g_tree_node_value(n));
    }
    for (GTreeNode *n = g_tree_node_first(core->reservations); n != NULL; n = g_tree_node_next(n)) {
        ClusterReservation *reservation = g_tree_node_value(n);
        for (guint i = 0; i < reservation->n_slots; i++) {
            if (reservation->slots[i].host == host) {
                commit_slot(core, reservation, &reservation->slots[i]);
            }
        }
    }
}

Vector reservations_promised(const ClusterCore *core, const ClusterHost *host)
{
    Vector promised;
    berth_calendar_peak(core->calendar, host->place, promised.amount);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        promised.amount[d] += host->booked.amount[d] - host->timed.amount[d];
    }
    return promised;
}

int64_t reservations_on(ClusterCore *core, const ClusterHost *host)
{
    int64_t count = 0;
    for (GTreeNode *n = g_tree_node_first(core->reservations); n != NULL; n = g_tree_node_next(n)) {
        const ClusterReservation *reservation = g_tree_node_value(n);
        for (guint i = 0; i < reservation->n_slots; i++) {
            count += reservation->slots[i].host == host;
        }
    }
    return count;
}

static void add_slot_devices(const ClusterCore *core, const ClusterReservation *reservation,
                             const Slot *slot, int64_t *slices)
{
    DevicesCommitted devices;
    slot_committed(core, reservation, slot, &devices);
    for (uint32_t i = 0; i < devices.n; i++) {
        slices[__builtin_ctzll(devices.held[i].devices)] += devices.held[i].slices;
    }
}

void reservations_add_devices(const ClusterCore *core, const ClusterHost *host, int64_t *slices)
{
    for (GTreeNode *n = g_tree_node_first(core->reservations); n != NULL; n = g_tree_node_next(n)) {
        const ClusterReservation *reservation = g_tree_node_value(n);
        bool active = is_active(core, reservation->object);
        for (guint i = 0; active && i < reservation->n_slots; i++) {
            if (reservation->slots[i].host == host) {
                add_slot_devices(core, reservation, &reservation->slots[i], slices);
            }
        }
    }
}

static void begin(ClusterCore *core, ClusterReservation *reservation)
{
    Subject subject = subject_of_reservation(reservation);
    g_autofree char *end = berth_time_format(reservation->object->end_ms);
    reservation->object->begun = true;
    save_reservation(core, reservation);
    g_autofree char *vms = berth_words_count(reservation->n_slots, "VM");
    event_add(core, "reservation.started", &subject, NULL, NULL,
              "reservation %s has begun: room for %s until %s", reservation->object->name, vms,
              end);
    core->room_made = true;
}

static void end(ClusterCore *core, ClusterReservation *reservation)
{
    const Reservation *object = reservation->object;
    Subject subject = subject_of_reservation(reservation);
    guint used = 0;
    for (guint i = 0; i < reservation->n_slots; i++) {
        used += reservation->slots[i].vm != NULL;
    }
    event_add(core, "reservation.ended", &subject, NULL, NULL,
              "the time of reservation %s is over; %u of its %u VMs were there", object->name, used,
              reservation->n_slots);
    txn_delete(core, key_of("reservation", object->tenant, object->id));
    name_release(core, "reservation", object->tenant, object->name);
    reservation_remove(core, reservation);
}

void reservations_tick(ClusterCore *core)
{
    if (core->resumed && core->writable && core->now_ms >= core->reservations_due_ms) {
        core->reservations_due_ms = INT64_MAX;
        for (GTreeNode *n = g_tree_node_first(core->reservations); n != NULL;) {
            ClusterReservation *reservation = g_tree_node_value(n);
            n = g_tree_node_next(n);
            if (core->now_ms >= reservation->object->start_ms && !reservation->object->begun) {
                begin(core, reservation);
            }
            if (core->now_ms >= reservation->object->end_ms) {
                end(core, reservation);
            } else {
                core->reservations_due_ms =
                    MIN(core->reservations_due_ms, due_ms(reservation->object));
            }
            txn_seal_if_large(core);
        }
    }
    ends_tick(core);
    if (core->resumed && core->writable && core->now_ms >= core->calendar_due_ms) {
        berth_calendar_advance(core->calendar, core->now_ms);
        core->calendar_due_ms = berth_calendar_next(core->calendar);
        core->room_made = true;
    }
}

int64_t reservations_next_deadline(const ClusterCore *core)
{
    int64_t next = MIN(core->reservations_due_ms, core->calendar_due_ms);
    return core->resumed && core->writable ? MIN(next, ends_next_deadline(core)) : INT64_MAX;
}

static bool overstays(const ClusterVm *vm)
{
    return vm->spec->ends_ms != 0 && vm->spec->at_end != AT_END_WARN && !vm->released &&
           is_nothing(&vm->timed);
}

bool reservations_is_overstayed(const ClusterCore *core, const ClusterHost *host)
{
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        if (overstays(g_tree_node_value(n))) {
            return true;
        }
    }
    return false;
}

Vector reservations_overstay(const ClusterCore *core, const ClusterHost *host)
{
    Vector sum = {0};
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        bool goes = overstays(vm);
        for (int d = 0; goes && d < MAX_DIMENSIONS; d++) {
            bool stays = d == DIM_DISK && !vm->spec->removing; /* the disk of what was stopped */
            sum.amount[d] += stays ? 0 : vm->booked.amount[d];
        }
    }
    return sum;
}

void reservations_overstay_devices(const ClusterHost *host, int64_t *slices)
{
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (overstays(vm)) {
            devices_add(vm, slices);
        }
    }
}

static bool check_host(ClusterCore *core, const ClusterHost *host, GError **error)
{
    Vector timed = {0}, available, promised = reservations_promised(core, host);
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        for (int d = 0; d < MAX_DIMENSIONS; d++) {
            timed.amount[d] += vm->timed.amount[d];
        }
    }
    if (memcmp(&timed, &host->timed, sizeof timed) != 0) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, "calendar", host->id, NULL,
                               "what ends on the host does not add up");
    }
    berth_place_get(core->place, host->place, NULL, available.amount, NULL);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        if (available.amount[d] < -host->excess.amount[d] && promised.amount[d] > 0 &&
            !reservations_is_overstayed(core, host)) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, core->dimensions->pdata[d],
                                   host->id, NULL,
                                   "the host's calendar is overdrawn at some time to come");
        }
    }
    return true;
}

bool reservations_check(ClusterCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        if (!check_host(core, g_tree_node_value(n), error)) {
            return false;
        }
    }
    const char *broken = berth_calendar_check(core->calendar);
    return broken == NULL || berth_error_set(error, BERTH_ERROR_INTERNAL, "calendar", NULL, NULL,
                                             "calendar: %s", broken);
}
