#include "cluster/ends.h"

#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "base/units.h"
#include "cluster/apps.h"
#include "cluster/devices.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/reservations.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"
#include "cluster/vms.h"

#define DEFAULT_GRACE_S 300

int64_t ends_release_ms(const VmSpec *spec)
{
    return spec->ends_ms + spec->grace_seconds * 1000;
}

bool ends_by_itself(const ClusterCore *core, const VmSpec *spec)
{
    return spec->ends_ms != 0 && spec->at_end != AT_END_WARN && !spec->parked && !spec->removing &&
           ends_release_ms(spec) > core->now_ms;
}

uint32_t ends_lasting(AtEnd at_end)
{
    return at_end == AT_END_DELETE ? 0 : 1 << DIM_DISK;
}

/* INT64_MAX: nothing is due. */
static int64_t due_ms(const VmSpec *spec)
{
    if (spec->ends_ms == 0 || spec->parked || spec->removing) {
        return INT64_MAX;
    }
    return !spec->warned                 ? spec->ends_ms
           : spec->at_end == AT_END_WARN ? INT64_MAX
                                         : ends_release_ms(spec);
}

static gint by_due(gconstpointer a, gconstpointer b, gpointer data)
{
    const ClusterVm *x = a, *y = b;
    int64_t due_x = due_ms(x->spec), due_y = due_ms(y->spec);
    return due_x != due_y ? (due_x > due_y) * 2 - 1 : strcmp(x->id, y->id);
}

void ends_unqueue(ClusterVm *vm)
{
    g_clear_pointer(&vm->end, g_sequence_remove);
}

void ends_queue(ClusterCore *core, ClusterVm *vm)
{
    ends_unqueue(vm);
    if (due_ms(vm->spec) != INT64_MAX) {
        vm->end = g_sequence_insert_sorted(core->ends, vm, by_due, NULL);
    }
}

int64_t ends_next_deadline(const ClusterCore *core)
{
    GSequenceIter *first = g_sequence_get_begin_iter(core->ends);
    return g_sequence_iter_is_end(first) ? INT64_MAX
                                         : due_ms(((const ClusterVm *)g_sequence_get(first))->spec);
}

static void warn(ClusterCore *core, ClusterVm *vm)
{
    Subject subject = subject_of_vm(vm);
    const char *host = vm->host != NULL ? vm->host->spec->name : NULL;
    g_autofree char *then = berth_time_format(ends_release_ms(vm->spec));
    vm->spec->warned = true;
    save_vm_spec(core, vm);
    if (vm->spec->at_end == AT_END_WARN) {
        event_add(core, "vm.ending", &subject, host, NULL, "the time of VM %s is over; it goes on",
                  vm->spec->name);
    } else {
        event_add(core, "vm.ending", &subject, host, NULL,
                  "the time of VM %s is over; it is %s at %s", vm->spec->name,
                  vm->spec->at_end == AT_END_DELETE ? "deleted" : "powered off", then);
    }
}

static void end(ClusterCore *core, ClusterVm *vm)
{
    Subject subject = subject_of_vm(vm);
    bool deletes = vm->spec->at_end == AT_END_DELETE;
    event_add(core, "vm.ended", &subject, vm->host != NULL ? vm->host->spec->name : NULL, NULL,
              "VM %s is %s: its time is over", vm->spec->name, deletes ? "deleted" : "powered off");
    if (deletes && vm->app != NULL) {
        app_begin_removal(core, vm->app);
    } else if (deletes) {
        vm_begin_removal(core, vm);
    } else {
        vm->spec->parked = true;
        vm->spec->parked_generation = vm->spec->generation + 1; /* which this change gets */
        vm->spec->power = POWER_WANTED_OFF;
        vm->spec->power_generation = vm->spec->parked_generation;
        vm_changed(core, vm);
    }
}

void ends_tick(ClusterCore *core)
{
    while (core->resumed && core->writable && ends_next_deadline(core) <= core->now_ms) {
        ClusterVm *vm = g_sequence_get(g_sequence_get_begin_iter(core->ends));
        bool warned = vm->spec->warned;
        ends_unqueue(vm);
        if (!warned) {
            warn(core, vm);
            ends_queue(core, vm);
        } else {
            end(core, vm);
        }
        txn_seal_if_large(core);
    }
}

/* It is not off yet and has its room still, which others may have been promised when it was to be gone. */
static bool may_keep_room(ClusterCore *core, const ClusterVm *vm, GError **error)
{
    Vector available;
    berth_place_get(core->place, vm->host->place, NULL, available.amount, NULL);
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        if (vm->booked.amount[d] > 0 && available.amount[d] < 0) {
            return berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "power", "on",
                                   "make room on the host, or try again when there is some",
                                   "the time of VM %s is over, and host %s has promised its %s",
                                   vm->spec->name, vm->host->spec->name,
                                   fleet_dimension_name(core, d));
        }
    }
    if (devices_are_owed(core, vm)) {
        return berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "power", "on",
                               "make room on the host, or try again when there is some",
                               "the time of VM %s is over, and host %s has promised its devices",
                               vm->spec->name, vm->host->spec->name);
    }
    return true;
}

bool ends_unpark(ClusterCore *core, ClusterVm *vm, GError **error)
{
    bool released = vm->released;
    vm->spec->parked = vm->released = false;
    /* The slot that it was in is promised to another whole, the disk that it has kept included. */
    bool left = reservations_vm_leaves_slot(core, vm);
    if (!tenant_allows_resize(core, vm, vm->spec->resources, error) ||
        (vm->host != NULL && (((left || !released) && !may_keep_room(core, vm, error)) ||
                              !fleet_can_grow(core, vm, vm->spec->resources, error)))) {
        vm->spec->parked = true;
        vm->released = released;
        if (left) {
            reservations_vm_comes(core, vm);
            reservations_vm_booked(core, vm);
        }
        return false;
    }
    vm->spec->ends_ms = 0;
    vm->spec->warned = false;
    g_clear_pointer(&vm->spec->reservation, g_free);
    return true;
}

/* What belongs to a reservation ends with it, or before. */
static bool resolve_reservation(ClusterCore *core, const char *tenant, const EndAsked *asked,
                                EndOfSpec *end, GError **error)
{
    const ClusterReservation *reservation =
        find_reservation(core, tenant, asked->reservation, error);
    if (reservation == NULL) {
        return false;
    }
    const Reservation *object = reservation->object;
    if (asked->at_end != AT_END_UNSET || asked->has_grace) {
        return berth_error_set(
            error, BERTH_ERROR_INVALID, asked->has_grace ? "grace-seconds" : "at-end",
            asked->has_grace ? NULL : at_end_to_string(asked->at_end), "leave it out",
            "reservation '%s' says what becomes of what is in it", object->name);
    }
    end->ends_ms = end->ends_ms != 0 ? MIN(end->ends_ms, object->end_ms) : object->end_ms;
    end->at_end = object->at_end;
    end->grace_s = object->grace_seconds;
    end->reservation = g_strdup(object->id);
    return true;
}

bool ends_resolve(ClusterCore *core, const char *tenant, const EndAsked *asked, EndOfSpec *ret_end,
                  GError **error)
{
    EndOfSpec end = {.reservation = NULL};
    if (asked->has_duration) {
        end.ends_ms = core->now_ms + asked->duration_s * 1000;
        end.at_end = asked->at_end != AT_END_UNSET ? asked->at_end : AT_END_STOP;
        end.grace_s = asked->has_grace ? asked->grace_s : DEFAULT_GRACE_S;
    }
    if (asked->reservation != NULL) {
        if (!resolve_reservation(core, tenant, asked, &end, error)) {
            return false;
        }
    } else if (!asked->has_duration && (asked->at_end != AT_END_UNSET || asked->has_grace)) {
        return berth_error_set(
            error, BERTH_ERROR_INVALID, "duration-seconds", NULL,
            "say how long (duration-seconds), or leave out at-end and grace-seconds",
            "there is no end that this speaks of");
    }
    *ret_end = end;
    return true;
}

bool ends_read_time(const ClusterCore *core, const char *field, const char *text, int64_t *ret_ms,
                    GError **error)
{
    int64_t ms = 0;
    bool sound = text[0] == '+'
                     ? berth_quantity_parse(BERTH_QUANTITY_DURATION, field, text + 1, &ms, error)
                     : berth_time_parse(field, text, &ms, error);
    if (!sound) {
        return false;
    }
    ms += text[0] == '+' ? core->now_ms : 0;
    if (ms < core->now_ms || ms > BERTH_TIME_MAX) {
        g_autofree char *now = berth_time_format(core->now_ms);
        g_autofree char *remedy =
            g_strdup_printf("it is %s now; name a later time, or +2h for one from now", now);
        return berth_error_set(error, BERTH_ERROR_INVALID, field, text, remedy,
                               ms < core->now_ms ? "this time is past" : "this time is too far");
    }
    *ret_ms = ms;
    return true;
}

bool ends_check_deadline(const char *text, int64_t deadline, int64_t least, GError **error)
{
    if (deadline >= least) {
        return true;
    }
    g_autofree char *time = berth_time_format(least);
    g_autofree char *remedy = g_strdup_printf("%s at the earliest, or ask for less time", time);
    return berth_error_set(error, BERTH_ERROR_INVALID, "deadline", text, remedy,
                           "the deadline comes before the end of so long a time");
}

bool ends_read_deadline(const ClusterCore *core, const char *text, int64_t ends_ms,
                        const char *reservation, int64_t *ret_ms, GError **error)
{
    int64_t deadline = 0;
    if (text != NULL && !ends_read_time(core, "deadline", text, &deadline, error)) {
        return false;
    }
    if (text != NULL && (ends_ms == 0 || reservation != NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "deadline", text,
                               reservation != NULL ? "leave it out"
                                                   : "say how long it runs (duration-seconds)",
                               reservation != NULL ? "what is in a reservation has its time already"
                                                   : "what has no end meets no deadline");
    }
    if (text != NULL && !ends_check_deadline(text, deadline, ends_ms, error)) {
        return false;
    }
    *ret_ms = deadline;
    return true;
}

void ends_refuse_deadline(const char *text, int64_t earliest, int64_t duration, GError **error)
{
    g_autofree char *start = berth_time_format(earliest);
    g_autofree char *end = berth_time_format(earliest + duration);
    g_autofree char *remedy =
        g_strdup_printf("a deadline of %s could be met, with a start at %s", end, start);
    berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "deadline", text, remedy,
                    "the deadline cannot be met: the earliest end is %s", end);
}
