/*
 * The devices of all hosts, one after another in a bank, so that a copy is a memcpy. A fleet without
 * devices has no Inventory and pays nothing.
 */
#pragma once

#include <stddef.h>

#include "place/devices.h"
#include "place/fleet.h"

typedef struct {
    uint32_t first; /* where its devices begin in the bank */
    uint8_t n;
    uint8_t room;       /* places in the bank */
    uint8_t untouched;  /* devices of which nothing is taken */
    uint32_t most_free; /* slices of one device */
    uint64_t models;
    int64_t fragments; /* under the workload (fragments.h); 0 without */
} Bay;

typedef struct Inventory {
    uint32_t slots; /* length of `bays` */
    Bay *bays;      /* by host */
    uint32_t n_bank, bank_room;
    uint32_t n_lost; /* places of the bank that no bay has */
    BerthPlaceDevice *bank;
    int64_t **owed;            /* by host, then by device; NULL: none of the host, or of all */
    struct Workload *workload; /* NULL: none */
} Inventory;

static inline const Bay *inventory_bay(const BerthPlace *place, uint32_t host)
{
    static const Bay empty;

    return place->inventory != NULL ? &place->inventory->bays[host] : &empty;
}

static inline const BerthPlaceDevice *inventory_devices(const BerthPlace *place, const Bay *bay)
{
    return bay->n > 0 ? &place->inventory->bank[bay->first] : NULL;
}

/* Whether two hosts have the same devices in the same order and state, and a number that is then the
 * same. */
bool inventory_equal(const BerthPlace *place, uint32_t one, uint32_t other);
uint64_t inventory_hash(const BerthPlace *place, uint32_t host);

/* How many demands for devices a request makes. */
static inline uint32_t inventory_n_demands(const BerthPlaceRequest *request)
{
    return request->devices == NULL ? 0 : request->n_devices > 0 ? request->n_devices : 1;
}

/* The same of a caller's, whose struct may end before these fields. */
static inline uint32_t inventory_n_asked(const BerthPlaceRequest *request)
{
    size_t known = offsetof(BerthPlaceRequest, n_devices);

    return request->struct_size < known                                ? 0
           : request->struct_size == known && request->devices != NULL ? 1
           : request->struct_size == known                             ? 0
                                           : inventory_n_demands(request);
}

/* Whether a demand, and whether all those of a request make sense at all. */
BerthPlaceResult inventory_check_asked(const BerthPlaceDevices *asked);
BerthPlaceResult inventory_check_demands(const BerthPlaceRequest *request);

/* How many more devices a host would need for all demands, 0 when it has enough. */
uint32_t inventory_missing(const BerthPlace *place, const BerthPlaceRequest *request,
                           uint32_t host);

/* The tightest that do, for each demand, where enough of them are. */
uint64_t inventory_tightest(const BerthPlaceDevice *devices, uint32_t n,
                            const BerthPlaceRequest *request);

static inline bool inventory_is_usable(const BerthPlaceDevice *device,
                                       const BerthPlaceDevices *asked)
{
    return (asked->models >> device->model & 1) != 0 &&
           (asked->slices == BERTH_PLACE_WHOLE ? device->free == device->capacity
                                               : device->free >= asked->slices);
}

/* More may be committed of a device than there is (calendar.h). It then shows nothing free and owes the rest, which
 * is paid before anything of it is free again; where more was given back than was taken it owes less than nothing. A
 * host that may come to owe needs room for that before. False without memory. */
bool inventory_may_owe(BerthPlace *place, uint32_t host);

/* What is free of device i of a host, less what it owes. */
static inline int64_t inventory_amount(const BerthPlace *place, uint32_t host, uint32_t i)
{
    const Inventory *inventory = place->inventory;
    bool owes = inventory->owed != NULL && inventory->owed[host] != NULL;

    return inventory->bank[inventory->bays[host].first + i].free -
           (owes ? inventory->owed[host][i] : 0);
}

/* Takes or gives, which must be possible. */
void inventory_shift(BerthPlace *place, uint32_t host, uint32_t slices, uint64_t chosen,
                     bool gives);

/* Sets the amount of each device of a host that may owe. */
void inventory_set_amounts(BerthPlace *place, uint32_t host, const int64_t *amounts);

/* Which of the chosen devices each demand of a request has, a holding each; `ret_holdings` has room for
 * as many. False when they are not what it asks for. */
bool inventory_holdings(const BerthPlace *place, uint32_t host, const BerthPlaceRequest *request,
                        uint64_t chosen, BerthPlaceHolding *ret_holdings);

/* What the fleet tells; each may be called without an Inventory. */
BerthPlaceResult inventory_reserve(BerthPlace *place, uint32_t slots);
void inventory_host_changed(BerthPlace *place, uint32_t host); /* its availability */
void inventory_host_removed(BerthPlace *place, uint32_t host);
BerthPlaceResult inventory_copy(const BerthPlace *from, BerthPlace *to);
void inventory_free(Inventory *inventory);

/* The Inventory of a fleet, made when there is none yet; NULL without memory. */
Inventory *inventory_ensure(BerthPlace *place);

/* NULL, or the first invariant that does not hold. */
const char *inventory_check(const BerthPlace *place);
