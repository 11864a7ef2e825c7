/*
 * Reservations: room on hosts that is promised from a start to an end, and the calendar that knows of
 * all that ends. Private to src/cluster.
 *
 * A reservation is so many slots, each room for one VM on one host. Its hosts and its start are fixed
 * in the step that makes it; a slot leaves a host only when that cannot keep it (rescue.h). In the calendar a slot is a commitment from its start until its end and
 * its grace are over; a VM that is created into it takes its place, and the slot then holds only
 * what the VM does not use, so that slot and VM together are never less than what was promised.
 *
 * A VM that ends by itself is a commitment too (its booking, from ever until its end and grace are
 * over), and not a part of what is booked for good. The engine is shown
 *
 *     capacity − reserve − what is booked for good − the calendar's peak
 *
 * so that what has no end keeps clear of all that is promised; what has an end is placed through a
 * window of its own span (reservations_look). What `at-end: warn` says of ends nothing, and is for
 * the calendar without an end; a VM that is stopped keeps its disk.
 *
 * Slices of devices that are cut are held by the device (devices.h): a slot names those that it was given, and its
 * VM has them and no others. A slot whose host no longer has such a device has lost its place as if the host was lost.
 *
 * A VM that should be gone and is not (its host is away) counts as without an end until it is.
 */
#pragma once

#include "cluster/fleet.h"
#include "cluster/model.h"

typedef struct {
    ClusterHost *host; /* NULL: it is no more */
    ClusterVm *vm;     /* that has it */
    uint32_t number;   /* in the calendar */
    bool held;         /* by a look ahead */
} Slot;

struct ClusterReservation {
    Reservation *object;
    Slot *slots;
    guint n_slots;
    Vector vector; /* of a slot, with QEMU's own memory */
};

void reservations_init(ClusterCore *core);
void reservations_clear(ClusterCore *core);
void reservation_forget(void *reservation); /* frees it */

/* In the model; takes the object over. */
ClusterReservation *reservation_add(ClusterCore *core, Reservation *object);
/* In the calendar: all hosts are known. */
void reservation_link(ClusterCore *core, ClusterReservation *reservation);
/* Out of both; not of the store. */
void reservation_remove(ClusterCore *core, ClusterReservation *reservation);
void save_reservation(ClusterCore *core, ClusterReservation *reservation);
/* A slot without a VM to another host, or to other devices (which it takes over), in the calendar and in the
 * object; not in the store. */
void reservation_move_slot(ClusterCore *core, ClusterReservation *reservation, guint at,
                           ClusterHost *host, GPtrArray *devices);
/* Has the host of the slot all devices of which it holds slices? */
bool reservation_has_devices(const ClusterCore *core, const ClusterReservation *reservation,
                             guint at);
/* Out of the calendar, for a look, and into it. */
void reservation_lift_slot(ClusterCore *core, ClusterReservation *reservation, guint at);
void reservation_hold_slot(ClusterCore *core, ClusterReservation *reservation, guint at);
/* When its room is given back: its grace is over. */
int64_t reservation_release_ms(const Reservation *object);
/* The VMs to come, as the engine is asked for them. vm_spec_free it. */
VmSpec *reservation_spec(const Reservation *object);
Subject subject_of_reservation(const ClusterReservation *reservation);
json_t *render_reservation(const ClusterCore *core, const ClusterReservation *reservation);

/* May `count` VMs of this spec be placed: within quota and credits, or within its reservation? Its time
 * must not be over. */
bool reservations_admit(ClusterCore *core, const char *tenant, const VmSpec *spec, int64_t count,
                        GError **error);

/* What the tenant's slots that no VM has come to, at most, at any one time of [from, to). */
Vector reservations_held(ClusterCore *core, const char *tenant, int64_t from, int64_t to,
                         int64_t *ret_vms);

/* Shows the engine what is free for this spec over its span: between the two calls. With a
 * reservation one free slot on each host is lent to it, or all. */
void reservations_look(ClusterCore *core, const VmSpec *spec, bool all_slots);
void reservations_look_away(ClusterCore *core, const VmSpec *spec);
/* Is there a slot for it on this host? All such hosts, as bits by handle, are added to `hosts`. Holding
 * a slot leaves it to nobody else until look_away. */
bool reservations_has_slot(ClusterCore *core, const VmSpec *spec, const ClusterHost *host);
void reservations_allow(ClusterCore *core, const VmSpec *spec, uint64_t *hosts);
/* The devices with which a VM that is placed on this host begins: those of the slot that it will have, where that
 * holds some, and the `chosen` ones, which it takes over. */
GPtrArray *reservations_devices(ClusterCore *core, const VmSpec *spec, const ClusterHost *host,
                                const BerthPlaceRequest *request, GPtrArray *chosen);
void reservations_hold_slot(ClusterCore *core, const VmSpec *spec, const ClusterHost *host);

/* The VM has come to its host (before it is booked), its booking has changed, or it goes (after it
 * was unbooked). */
void reservations_vm_comes(ClusterCore *core, ClusterVm *vm);
void reservations_vm_booked(ClusterCore *core, ClusterVm *vm);
void reservations_vm_goes(ClusterCore *core, ClusterVm *vm);
/* It stays, and its slot is free for another. Was it in one? */
bool reservations_vm_leaves_slot(ClusterCore *core, ClusterVm *vm);

/* Does its booking stand in the calendar? */
bool reservations_is_timed(const ClusterVm *vm);
/* The host's devices are others, or in another order. */
void reservations_devices_changed(ClusterCore *core, ClusterHost *host);

/* Numbers for commitments in core->calendar. */
uint32_t reservations_new_number(ClusterCore *core);
void reservations_free_number(ClusterCore *core, uint32_t number);
/* Is anything on the host that should be gone, so that it may owe what it has promised? */
bool reservations_is_overstayed(const ClusterCore *core, const ClusterHost *host);
/* What comes free when that is gone. */
Vector reservations_overstay(const ClusterCore *core, const ClusterHost *host);
/* Adds the slices of each of its devices. */
void reservations_overstay_devices(const ClusterHost *host, int64_t *slices);

/* The most that a host has promised at any one time: for good, and for a time. */
Vector reservations_promised(const ClusterCore *core, const ClusterHost *host);
/* Slots that are promised on a host. */
int64_t reservations_on(ClusterCore *core, const ClusterHost *host);

/* Adds the slices of each of its devices that slots which have begun hold beside their VMs. */
void reservations_add_devices(const ClusterCore *core, const ClusterHost *host, int64_t *slices);

/* Begins and ends what is due. */
void reservations_tick(ClusterCore *core);
int64_t reservations_next_deadline(const ClusterCore *core);

/* That the calendar is what the model says, and that no host is overdrawn at any time to come. */
bool reservations_check(ClusterCore *core, GError **error);
