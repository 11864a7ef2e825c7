#include "cluster/rescue.h"

#include "base/error.h"
#include "base/timefmt.h"
#include "base/words.h"
#include "cluster/devices.h"
#include "cluster/ends.h"
#include "cluster/journal.h"
#include "cluster/txn.h"

void rescue_want(ClusterCore *core)
{
    if (g_tree_nnodes(core->reservations) > 0) {
        core->rescue_due_ms = MIN(core->rescue_due_ms, core->now_ms);
    }
}

bool rescue_is_due(const ClusterCore *core)
{
    return core->slots_at_risk > 0 || core->now_ms >= core->rescue_due_ms;
}

/* When a host that is away counts as lost. A manager that has just started has not waited yet. */
static int64_t lost_ms(const ClusterCore *core, const ClusterHost *host)
{
    return MAX(host->since_ms, core->resumed_ms) + core->config.patience_ms;
}

/* Why the host cannot keep a slot, for people; NULL: it can. g_free it. */
static char *trouble_of(const ClusterCore *core, const ClusterHost *host)
{
    if (host->spec->cordoned) {
        return g_strdup_printf("%s is %s", host->spec->name,
                               host->spec->draining ? "being drained" : "cordoned");
    }
    if (!host->reported && core->now_ms >= lost_ms(core, host)) {
        g_autofree char *since = berth_time_format(MAX(host->since_ms, core->resumed_ms));
        return g_strdup_printf("%s has been away since %s", host->spec->name, since);
    }
    return NULL;
}

/* The same of one of its slots. */
static char *trouble_of_slot(const ClusterCore *core, const ClusterReservation *reservation,
                             guint at)
{
    const ClusterHost *host = reservation->slots[at].host;
    char *trouble = trouble_of(core, host);
    int dim = 0;
    if (trouble == NULL && !reservation_has_devices(core, reservation, at)) {
        return g_strdup_printf("%s has lost a device of which it holds slices", host->spec->name);
    }
    if (trouble == NULL &&
        fleet_falls_short((ClusterCore *)core, host, &reservation->vector, &dim)) {
        return g_strdup_printf("%s has less %s than is promised of it", host->spec->name,
                               fleet_dimension_name(core, dim));
    }
    return trouble;
}

static ReservationSlot *object_of(const ClusterReservation *reservation, guint at)
{
    return reservation->object->slots->pdata[at];
}

/* A slot that goes, and what is told of it. */
typedef struct {
    ClusterReservation *reservation;
    guint slot;
    ClusterHost *from, *to;
    GPtrArray *devices; /* that it had there, to be given back by undo; NULL: it is for good */
} Move;

/* By slot: does it go? g_free it. */
static bool *goers(const ClusterReservation *reservation, const GArray *moves)
{
    bool *goes = g_new0(bool, reservation->n_slots);
    for (guint i = 0; i < moves->len; i++) {
        goes[g_array_index(moves, Move, i).slot] = true;
    }
    return goes;
}

/* The groups of the VMs to come are on the hosts of those slots that stay, for the rules between them. */
static void enter_others(ClusterCore *core, const ClusterReservation *reservation,
                         const GArray *moves, const EngineRequest *engine, bool enter)
{
    g_autofree bool *goes = goers(reservation, moves);
    for (guint i = 0; i < reservation->n_slots; i++) {
        const Slot *slot = &reservation->slots[i];
        if (goes[i] || slot->host == NULL || slot->vm != NULL) {
            continue;
        }
        uint32_t place = slot->host->place, n_groups = engine->request.n_groups;
        BerthPlaceResult result =
            enter ? berth_place_enter(core->place, place, engine->groups, n_groups)
                  : berth_place_leave(core->place, place, engine->groups, n_groups);
        g_assert(result == BERTH_PLACE_OK);
    }
}

/* Finds hosts for all of these slots of one reservation, and moves them. False: there are none. */
static bool try_moves(ClusterCore *core, ClusterReservation *reservation, GArray *moves)
{
    const Reservation *object = reservation->object;
    g_autoptr(VmSpec) spec = reservation_spec(object);
    g_autofree uint32_t *hosts = g_new0(uint32_t, moves->len);
    g_autofree uint64_t *devices = g_new0(uint64_t, moves->len);
    EngineRequest engine;
    int64_t from = MAX(object->start_ms, core->now_ms), release = reservation_release_ms(object);
    int64_t start = 0;
    if (release <= from || !fleet_request(core, object->tenant, spec, NULL, &engine, NULL)) {
        return false;
    }
    engine.vector = reservation->vector; /* as it was promised, whatever a QEMU takes by now */
    BerthCalendarRequest request = {.struct_size = sizeof request,
                                    .count = moves->len,
                                    .request = &engine.request,
                                    .from = from,
                                    .duration =
                                        release == BERTH_CALENDAR_NEVER ? release : release - from,
                                    .deadline = BERTH_CALENDAR_NEVER,
                                    .lasting = ends_lasting(object->at_end),
                                    .fixed = true};
    /* Where a device is lost, others of the same host may do: in the room of the slots themselves. */
    for (guint i = 0; i < moves->len; i++) {
        reservation_lift_slot(core, reservation, g_array_index(moves, Move, i).slot);
    }
    enter_others(core, reservation, moves, &engine, true);
    BerthPlaceResult result =
        berth_calendar_earliest(core->calendar, &request, &start, hosts, devices);
    enter_others(core, reservation, moves, &engine, false);
    for (guint i = 0; i < moves->len; i++) {
        Move *move = &g_array_index(moves, Move, i);
        if (result == BERTH_PLACE_OK) {
            move->to = core->by_handle->pdata[hosts[i]];
            reservation_move_slot(core, reservation, move->slot, move->to,
                                  devices_promised(core, move->to, &engine.request, devices[i]));
        } else {
            reservation_hold_slot(core, reservation, move->slot);
        }
    }
    fleet_request_clear(&engine);
    return result == BERTH_PLACE_OK;
}

/* Those of one reservation are alike, but for the room of their own that they find on hosts that take VMs. */
static const ClusterHost *room_of_its_own(const Move *move)
{
    return move->from->reported && !move->from->spec->cordoned ? move->from : NULL;
}

/* All at once, or as many as can, one by one; those that went are left in `moves`. */
static void move_what_can(ClusterCore *core, ClusterReservation *reservation, GArray *moves)
{
    if (moves->len == 0 || try_moves(core, reservation, moves)) {
        return;
    }
    guint gone = 0;
    g_autoptr(GHashTable) stuck = g_hash_table_new(g_direct_hash, g_direct_equal);
    for (guint i = 0; moves->len > 1 && i < moves->len; i++) {
        g_autoptr(GArray) one = g_array_new(FALSE, FALSE, sizeof(Move));
        g_array_append_val(one, g_array_index(moves, Move, i));
        gpointer own = (gpointer)room_of_its_own(&g_array_index(one, Move, 0));
        if (!g_hash_table_contains(stuck, own)) {
            if (try_moves(core, reservation, one)) {
                g_array_index(moves, Move, gone++) = g_array_index(one, Move, 0);
            } else {
                g_hash_table_add(stuck, own);
            }
        }
    }
    g_array_set_size(moves, gone);
}

/* "room for 2 VMs" */
static char *room_for(guint count)
{
    g_autofree char *vms = berth_words_count(count, "VM");
    return g_strconcat("room for ", vms, NULL);
}

/* "goes from h1 to h3", and of a slot that finds others on its host "goes to other devices of h1". */
static char *way_of(const Move *move)
{
    return move->from == move->to
               ? g_strdup_printf("goes to other devices of %s", move->to->spec->name)
               : g_strdup_printf("goes from %s to %s", move->from->spec->name,
                                 move->to->spec->name);
}

static void tell_moves(ClusterCore *core, ClusterReservation *reservation, const GArray *moves,
                       const char *why)
{
    Subject subject = subject_of_reservation(reservation);
    for (guint first = 0, next; first < moves->len; first = next) {
        const Move *move = &g_array_index(moves, Move, first);
        for (next = first + 1; next < moves->len; next++) {
            const Move *other = &g_array_index(moves, Move, next);
            if (other->from != move->from || other->to != move->to) {
                break;
            }
        }
        g_autofree char *room = room_for(next - first);
        g_autofree char *lost =
            g_strdup_printf("%s has lost a device of which it held slices", move->from->spec->name);
        g_autofree char *trouble = why != NULL ? NULL : trouble_of(core, move->from);
        g_autofree char *way = way_of(move);
        event_add(core, "reservation.moved", &subject, move->to->spec->name, NULL,
                  "reservation %s: %s %s: %s", reservation->object->name, room, way,
                  why != NULL       ? why
                  : trouble != NULL ? trouble
                                    : lost);
    }
}

/* What is said of slots on one host, which are counted: at risk, or safe again. */
static void tell_risk(ClusterCore *core, ClusterReservation *reservation, const ClusterHost *host,
                      guint count, const char *trouble)
{
    Subject subject = subject_of_reservation(reservation);
    g_autofree char *room = room_for(count);
    const char *name = host->spec->name;
    if (trouble != NULL) {
        event_add(core, "reservation.at-risk", &subject, name, NULL,
                  "reservation %s: %s on %s is at risk: %s, and no other host has room",
                  reservation->object->name, room, name, trouble);
    } else {
        event_add(core, "reservation.safe", &subject, name, NULL,
                  "reservation %s: %s on %s is at risk no more", reservation->object->name, room,
                  name);
    }
}

/* Sets the risk of slot `at`. Returns whether that begins or ends it. */
static bool set_risk(ClusterReservation *reservation, guint at, const char *trouble,
                     bool *ret_changed)
{
    ReservationSlot *object = object_of(reservation, at);
    bool was = object->risk != NULL;
    if (g_strcmp0(object->risk, trouble) != 0) {
        g_free(object->risk);
        object->risk = g_strdup(trouble);
        *ret_changed = true;
    }
    return was != (trouble != NULL);
}

/* Writes down who is at risk after the moves, and tells what is new, once for all slots of a host. */
static bool settle_risks(ClusterCore *core, ClusterReservation *reservation, const GArray *moves)
{
    bool changed = false;
    g_autofree bool *gone = goers(reservation, moves);
    for (guint i = 0; i < reservation->n_slots; i++) {
        const Slot *slot = &reservation->slots[i];
        g_autofree char *trouble =
            slot->host != NULL && slot->vm == NULL ? trouble_of_slot(core, reservation, i) : NULL;
        core->slots_at_risk += trouble != NULL;
        if (!set_risk(reservation, i, trouble, &changed) || gone[i]) {
            continue;
        }
        guint count = 1;
        for (guint k = i + 1; k < reservation->n_slots; k++) {
            const Slot *other = &reservation->slots[k];
            bool same =
                other->host == slot->host && (other->vm == NULL) == (slot->vm == NULL) && !gone[k];
            if (same && trouble != NULL) {
                g_autofree char *its = trouble_of_slot(core, reservation, k);
                same = g_strcmp0(its, trouble) == 0;
            }
            count += same && set_risk(reservation, k, trouble, &changed);
        }
        if (slot->host != NULL && slot->vm == NULL) {
            tell_risk(core, reservation, slot->host, count, trouble);
        }
    }
    return changed;
}

static void rescue(ClusterCore *core, ClusterReservation *reservation)
{
    g_autoptr(GArray) moves = g_array_new(FALSE, FALSE, sizeof(Move));
    for (guint i = 0; i < reservation->n_slots; i++) {
        Slot *slot = &reservation->slots[i];
        if (slot->host == NULL || slot->vm != NULL) {
            continue;
        }
        g_autofree char *trouble = trouble_of_slot(core, reservation, i);
        if (trouble != NULL) {
            Move move = {.reservation = reservation, .slot = i, .from = slot->host};
            g_array_append_val(moves, move);
        } else if (!slot->host->reported) {
            core->rescue_due_ms = MIN(core->rescue_due_ms, lost_ms(core, slot->host));
        }
    }
    move_what_can(core, reservation, moves);
    tell_moves(core, reservation, moves, NULL);
    if (settle_risks(core, reservation, moves) || moves->len > 0) {
        save_reservation(core, reservation);
    }
}

void rescue_serve(ClusterCore *core)
{
    if (!rescue_is_due(core)) {
        return;
    }
    core->rescue_due_ms = INT64_MAX;
    core->slots_at_risk = 0;
    for (GTreeNode *n = g_tree_node_first(core->reservations); n != NULL; n = g_tree_node_next(n)) {
        rescue(core, g_tree_node_value(n));
        txn_seal_if_large(core);
    }
}

static void undo(ClusterCore *core, const GPtrArray *all)
{
    for (guint i = 0; i < all->len; i++) {
        const GArray *moves = all->pdata[i];
        for (guint k = 0; k < moves->len; k++) {
            const Move *move = &g_array_index(moves, Move, k);
            reservation_move_slot(core, move->reservation, move->slot, move->from,
                                  g_ptr_array_ref(move->devices));
        }
    }
}

static void move_clear(void *move)
{
    g_ptr_array_unref(((Move *)move)->devices);
}

/* Of this reservation, those on the host; empty if it has none there. */
static GArray *moves_off(ClusterReservation *reservation, const ClusterHost *host)
{
    GArray *moves = g_array_new(FALSE, FALSE, sizeof(Move));
    g_array_set_clear_func(moves, move_clear);
    for (guint i = 0; i < reservation->n_slots; i++) {
        if (reservation->slots[i].host == host) {
            Move move = {.reservation = reservation, .slot = i, .from = reservation->slots[i].host};
            move.devices = g_ptr_array_ref(object_of(reservation, i)->devices);
            g_array_append_val(moves, move);
        }
    }
    return moves;
}

static bool refuse(ClusterCore *core, const ClusterHost *host, const Reservation *object,
                   GError **error)
{
    g_autofree char *room = room_for((guint)reservations_on(core, host));
    return berth_error_set(error, BERTH_ERROR_CONFLICT, "host", host->spec->name,
                           "make room on other hosts, or delete reservations that are here: 'berth "
                           "reservation list'",
                           "%s is reserved on the host, and no other has room for that of "
                           "reservation '%s'",
                           room, object->name);
}

bool rescue_all_of(ClusterCore *core, ClusterHost *host, GError **error)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
    const Reservation *stuck = NULL;
    berth_place_set_enabled(core->place, host->place, false);
    for (GTreeNode *n = g_tree_node_first(core->reservations); n != NULL && stuck == NULL;
         n = g_tree_node_next(n)) {
        ClusterReservation *reservation = g_tree_node_value(n);
        g_autoptr(GArray) moves = moves_off(reservation, host);
        if (moves->len > 0 && !try_moves(core, reservation, moves)) {
            stuck = reservation->object;
        } else if (moves->len > 0) {
            g_ptr_array_add(all, g_steal_pointer(&moves));
        }
    }
    if (stuck != NULL) {
        undo(core, all);
        berth_place_set_enabled(core->place, host->place, host->reported && !host->spec->cordoned);
        return refuse(core, host, stuck, error);
    }
    g_autofree char *why = g_strdup_printf("%s is removed", host->spec->name);
    for (guint i = 0; i < all->len; i++) {
        GArray *moves = all->pdata[i];
        ClusterReservation *reservation = g_array_index(moves, Move, 0).reservation;
        tell_moves(core, reservation, moves, why);
        settle_risks(core, reservation, moves);
        save_reservation(core, reservation);
    }
    rescue_want(core);
    return true;
}
