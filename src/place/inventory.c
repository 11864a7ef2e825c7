#include "place/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "place/fragments.h"
#include "place/index.h"
#include "place/journal.h"

#define MIN_BANK 64

Inventory *inventory_ensure(BerthPlace *place)
{
    if (place->inventory == NULL) {
        Inventory *inventory = calloc(1, sizeof *inventory);
        Bay *bays = calloc(place->slots, sizeof *bays);
        if (inventory == NULL || bays == NULL) {
            free(inventory);
            free(bays);
            return NULL;
        }
        inventory->slots = place->slots;
        inventory->bays = bays;
        place->inventory = inventory;
    }
    return place->inventory;
}

static void forget_owed(Inventory *inventory, uint32_t host)
{
    if (inventory->owed != NULL) {
        free(inventory->owed[host]);
        inventory->owed[host] = NULL;
    }
}

void inventory_free(Inventory *inventory)
{
    if (inventory != NULL) {
        for (uint32_t host = 0; inventory->owed != NULL && host < inventory->slots; host++) {
            forget_owed(inventory, host);
        }
        free(inventory->owed);
        workload_free(inventory->workload);
        free(inventory->bays);
        free(inventory->bank);
        free(inventory);
    }
}

BerthPlaceResult inventory_reserve(BerthPlace *place, uint32_t slots)
{
    Inventory *inventory = place->inventory;

    if (inventory == NULL || slots <= inventory->slots) {
        return BERTH_PLACE_OK;
    }
    Bay *bays = realloc(inventory->bays, slots * sizeof *bays);
    if (bays == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    memset(bays + inventory->slots, 0, (slots - inventory->slots) * sizeof *bays);
    inventory->bays = bays;
    if (inventory->owed != NULL) {
        int64_t **owed = realloc(inventory->owed, slots * sizeof *owed);
        if (owed == NULL) {
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
        memset(owed + inventory->slots, 0, (slots - inventory->slots) * sizeof *owed);
        inventory->owed = owed;
    }
    inventory->slots = slots;
    return BERTH_PLACE_OK;
}

bool inventory_may_owe(BerthPlace *place, uint32_t host)
{
    Inventory *inventory = inventory_ensure(place);

    if (inventory != NULL && inventory->owed == NULL) {
        inventory->owed = calloc(inventory->slots, sizeof *inventory->owed);
    }
    if (inventory == NULL || inventory->owed == NULL) {
        return false;
    }
    if (inventory->owed[host] == NULL) {
        inventory->owed[host] = calloc(BERTH_PLACE_MAX_DEVICES, sizeof *inventory->owed[host]);
    }
    return inventory->owed[host] != NULL;
}

static bool copy_arrays(const Inventory *from, Inventory *to)
{
    to->bays = malloc(from->slots * sizeof *to->bays);
    to->bank = malloc((from->n_bank > 0 ? from->n_bank : 1) * sizeof *to->bank);
    if (to->bays == NULL || to->bank == NULL) {
        return false;
    }
    memcpy(to->bays, from->bays, from->slots * sizeof *to->bays);
    if (from->n_bank > 0) {
        memcpy(to->bank, from->bank, from->n_bank * sizeof *to->bank);
    }
    to->slots = from->slots;
    to->n_bank = from->n_bank;
    to->bank_room = from->n_bank > 0 ? from->n_bank : 1;
    to->n_lost = from->n_lost;
    return true;
}

static bool copy_owed(const Inventory *from, BerthPlace *to)
{
    for (uint32_t host = 0; from->owed != NULL && host < from->slots; host++) {
        if (from->owed[host] != NULL) {
            if (!inventory_may_owe(to, host)) {
                return false;
            }
            memcpy(to->inventory->owed[host], from->owed[host],
                   BERTH_PLACE_MAX_DEVICES * sizeof *from->owed[host]);
        }
    }
    return true;
}

BerthPlaceResult inventory_copy(const BerthPlace *from, BerthPlace *to)
{
    if (from->inventory == NULL) {
        return BERTH_PLACE_OK;
    }
    to->inventory = calloc(1, sizeof *to->inventory);
    if (to->inventory == NULL || !copy_arrays(from->inventory, to->inventory) ||
        !copy_owed(from->inventory, to) ||
        !workload_copy(from->inventory->workload, &to->inventory->workload)) {
        return BERTH_PLACE_ERROR_NO_MEMORY; /* what is there is freed with the copy */
    }
    return BERTH_PLACE_OK;
}

bool inventory_equal(const BerthPlace *place, uint32_t one, uint32_t other)
{
    const Bay *a = inventory_bay(place, one), *b = inventory_bay(place, other);

    return a->n == b->n &&
           (a->n == 0 || memcmp(inventory_devices(place, a), inventory_devices(place, b),
                                a->n * sizeof(BerthPlaceDevice)) == 0);
}

uint64_t inventory_hash(const BerthPlace *place, uint32_t host)
{
    const Bay *bay = inventory_bay(place, host);
    const BerthPlaceDevice *devices = inventory_devices(place, bay);
    uint64_t hash = bay->n;

    for (uint32_t i = 0; i < bay->n; i++) {
        hash = shapes_hash((int64_t[]){devices[i].model, devices[i].capacity, devices[i].free}, 3,
                           hash);
    }
    return hash;
}

/* Moves the devices of all hosts together at the front of a new bank with room for `more`. */
static bool make_room(Inventory *inventory, uint32_t more)
{
    uint64_t used = (uint64_t)inventory->n_bank - inventory->n_lost;
    uint64_t room = used + more > MIN_BANK / 2 ? (used + more) * 2 : MIN_BANK;
    uint32_t n = 0;

    BerthPlaceDevice *bank = room <= UINT32_MAX ? malloc(room * sizeof *bank) : NULL;
    if (bank == NULL) {
        return false;
    }
    for (uint32_t host = 0; host < inventory->slots; host++) {
        Bay *bay = &inventory->bays[host];
        if (bay->n > 0) {
            memcpy(bank + n, inventory->bank + bay->first, bay->n * sizeof *bank);
        }
        bay->first = n;
        bay->room = bay->n;
        n += bay->n;
    }
    free(inventory->bank);
    inventory->bank = bank;
    inventory->bank_room = (uint32_t)room;
    inventory->n_bank = n;
    inventory->n_lost = 0;
    return true;
}

/* Room for n devices of a host, which has none that count while this runs. */
static bool reserve_bay(Inventory *inventory, Bay *bay, uint32_t n)
{
    if (n <= bay->room) {
        return true;
    }
    if (n > inventory->bank_room - inventory->n_bank && !make_room(inventory, n)) {
        return false;
    }
    inventory->n_lost += bay->room;
    bay->first = inventory->n_bank;
    bay->room = (uint8_t)n;
    inventory->n_bank += n;
    return true;
}

/* What is known of a bay in short. */
static void sum_up(const Inventory *inventory, Bay *bay)
{
    const BerthPlaceDevice *devices = bay->n > 0 ? &inventory->bank[bay->first] : NULL;

    bay->untouched = 0;
    bay->most_free = 0;
    bay->models = 0;
    for (uint32_t i = 0; i < bay->n; i++) {
        bay->untouched += devices[i].free == devices[i].capacity;
        bay->most_free = devices[i].free > bay->most_free ? devices[i].free : bay->most_free;
        bay->models |= UINT64_C(1) << devices[i].model;
    }
}

void inventory_host_changed(BerthPlace *place, uint32_t host)
{
    if (place->inventory != NULL && place->inventory->workload != NULL) {
        place->inventory->bays[host].fragments = fragments_now(place, host);
    }
}

void inventory_host_removed(BerthPlace *place, uint32_t host)
{
    if (place->inventory != NULL) {
        Bay *bay = &place->inventory->bays[host];
        place->inventory->n_lost += bay->room;
        *bay = (Bay){0};
        forget_owed(place->inventory, host);
    }
}

static BerthPlaceResult check_devices(const BerthPlaceDevice *devices, uint32_t n)
{
    if (n > BERTH_PLACE_MAX_DEVICES || (devices == NULL && n > 0)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (devices[i].model >= BERTH_PLACE_MAX_MODEL) {
            return BERTH_PLACE_ERROR_ARGUMENT;
        }
        if (devices[i].capacity < 1 || devices[i].capacity > BERTH_PLACE_MAX_SLICES ||
            devices[i].free > devices[i].capacity) {
            return BERTH_PLACE_ERROR_AMOUNT;
        }
    }
    return BERTH_PLACE_OK;
}

static void devices_changed(BerthPlace *place, uint32_t host)
{
    sum_up(place->inventory, &place->inventory->bays[host]);
    inventory_host_changed(place, host);
    index_devices_changed(place, host);
}

BerthPlaceResult berth_place_set_devices(BerthPlace *place, uint32_t host,
                                         const BerthPlaceDevice *devices, uint32_t n)
{
    BerthPlaceResult result = check_devices(devices, n);

    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (journal_is_open(place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (result != BERTH_PLACE_OK || (n == 0 && place->inventory == NULL)) {
        return result;
    }
    Inventory *inventory = inventory_ensure(place);
    if (inventory == NULL || !reserve_bay(inventory, &inventory->bays[host], n)) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    Bay *bay = &inventory->bays[host];
    if (n > 0) {
        memcpy(inventory->bank + bay->first, devices, n * sizeof *devices);
    }
    bay->n = (uint8_t)n;
    if (inventory->owed != NULL && inventory->owed[host] != NULL) {
        memset(inventory->owed[host], 0, BERTH_PLACE_MAX_DEVICES * sizeof *inventory->owed[host]);
    }
    devices_changed(place, host);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_get_devices(const BerthPlace *place, uint32_t host,
                                         BerthPlaceDevice *ret_devices, uint32_t *ret_n)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    const Bay *bay = inventory_bay(place, host);
    if (ret_devices != NULL && bay->n > 0) {
        memcpy(ret_devices, inventory_devices(place, bay), bay->n * sizeof *ret_devices);
    }
    if (ret_n != NULL) {
        *ret_n = bay->n;
    }
    return BERTH_PLACE_OK;
}

BerthPlaceResult inventory_check_asked(const BerthPlaceDevices *asked)
{
    if (asked->n < 1 || asked->n > BERTH_PLACE_MAX_DEVICES || asked->models == 0) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (asked->slices < 1 ||
        (asked->slices > BERTH_PLACE_MAX_SLICES && asked->slices != BERTH_PLACE_WHOLE)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    return BERTH_PLACE_OK;
}

BerthPlaceResult inventory_check_demands(const BerthPlaceRequest *request)
{
    uint64_t models = 0;

    if (request->devices == NULL && request->n_devices > 0) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    for (uint32_t i = 0; i < inventory_n_demands(request); i++) {
        BerthPlaceResult result = inventory_check_asked(&request->devices[i]);
        if (result != BERTH_PLACE_OK) {
            return result;
        }
        if ((request->devices[i].models & models) != 0) {
            return BERTH_PLACE_ERROR_ARGUMENT;
        }
        models |= request->devices[i].models;
    }
    return BERTH_PLACE_OK;
}

static uint32_t missing(const BerthPlace *place, const BerthPlaceDevices *asked, uint32_t host)
{
    const Bay *bay = inventory_bay(place, host);
    const BerthPlaceDevice *devices = inventory_devices(place, bay);
    uint32_t usable = 0;

    if ((bay->models & asked->models) == 0 ||
        (asked->slices == BERTH_PLACE_WHOLE ? bay->untouched == 0
                                            : bay->most_free < asked->slices)) {
        return asked->n;
    }
    for (uint32_t i = 0; i < bay->n && usable < asked->n; i++) {
        usable += inventory_is_usable(&devices[i], asked);
    }
    return asked->n - usable;
}

uint32_t inventory_missing(const BerthPlace *place, const BerthPlaceRequest *request, uint32_t host)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < inventory_n_demands(request); i++) {
        sum += missing(place, &request->devices[i], host);
    }
    return sum;
}

static uint64_t tightest(const BerthPlaceDevice *devices, uint32_t n,
                         const BerthPlaceDevices *asked)
{
    uint64_t chosen = 0;

    for (uint32_t k = 0; k < asked->n; k++) {
        uint32_t best = BERTH_PLACE_NONE;
        for (uint32_t i = 0; i < n; i++) {
            if ((chosen >> i & 1) == 0 && inventory_is_usable(&devices[i], asked) &&
                (best == BERTH_PLACE_NONE || devices[i].free < devices[best].free)) {
                best = i;
            }
        }
        if (best == BERTH_PLACE_NONE) {
            break;
        }
        chosen |= UINT64_C(1) << best;
    }
    return chosen;
}

uint64_t inventory_tightest(const BerthPlaceDevice *devices, uint32_t n,
                            const BerthPlaceRequest *request)
{
    uint64_t chosen = 0;

    for (uint32_t i = 0; i < inventory_n_demands(request); i++) {
        chosen |= tightest(devices, n, &request->devices[i]);
    }
    return chosen;
}

/* Checks a booking, and answers with the host's devices. */
static BerthPlaceResult begin_booking(BerthPlace *place, uint32_t host, uint32_t slices,
                                      uint64_t chosen, const BerthPlaceDevice **ret_devices)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    const Bay *bay = inventory_bay(place, host);
    if (chosen == 0 || (bay->n < 64 && chosen >> bay->n != 0)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (slices < 1 || (slices > BERTH_PLACE_MAX_SLICES && slices != BERTH_PLACE_WHOLE)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    *ret_devices = place->inventory->bank + bay->first;
    return BERTH_PLACE_OK;
}

/* Shows what is free of a device, and keeps what it owes, so that together they are the amount. */
static void set_amount(Inventory *inventory, uint32_t host, uint32_t i, int64_t amount)
{
    BerthPlaceDevice *device = &inventory->bank[inventory->bays[host].first + i];

    device->free = amount < 0                           ? 0
                   : amount > (int64_t)device->capacity ? device->capacity
                                                        : (uint32_t)amount;
    if (inventory->owed != NULL && inventory->owed[host] != NULL) {
        inventory->owed[host][i] = (int64_t)device->free - amount;
    }
}

void inventory_shift(BerthPlace *place, uint32_t host, uint32_t slices, uint64_t chosen, bool gives)
{
    const BerthPlaceDevice *devices = inventory_devices(place, &place->inventory->bays[host]);

    for (uint64_t left = chosen; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(left);
        int64_t moved = slices == BERTH_PLACE_WHOLE ? devices[i].capacity : slices;

        set_amount(place->inventory, host, i,
                   inventory_amount(place, host, i) + (gives ? moved : -moved));
    }
    devices_changed(place, host);
}

void inventory_set_amounts(BerthPlace *place, uint32_t host, const int64_t *amounts)
{
    for (uint32_t i = 0; i < place->inventory->bays[host].n; i++) {
        set_amount(place->inventory, host, i, amounts[i]);
    }
    devices_changed(place, host);
}

bool inventory_holdings(const BerthPlace *place, uint32_t host, const BerthPlaceRequest *request,
                        uint64_t chosen, BerthPlaceHolding *ret_holdings)
{
    const Bay *bay = inventory_bay(place, host);
    const BerthPlaceDevice *devices = inventory_devices(place, bay);
    uint64_t left = chosen;

    for (uint32_t k = 0; k < inventory_n_asked(request); k++) {
        const BerthPlaceDevices *asked = &request->devices[k];
        uint64_t its = 0;

        for (uint32_t i = 0; i < bay->n; i++) {
            bool wanted = (asked->models >> devices[i].model & 1) != 0;

            its |= wanted ? left & UINT64_C(1) << i : 0;
        }
        if (__builtin_popcountll(its) != (int)asked->n) {
            return false;
        }
        ret_holdings[k] = (BerthPlaceHolding){.slices = asked->slices, .devices = its};
        left &= ~its;
    }
    return left == 0;
}

/* Takes so many slices of each chosen device, or gives them back: all or nothing. */
static BerthPlaceResult book(BerthPlace *place, uint32_t host, uint32_t slices, uint64_t chosen,
                             bool gives)
{
    const BerthPlaceDevice *devices;
    BerthPlaceResult result = begin_booking(place, host, slices, chosen, &devices);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    for (uint64_t left = chosen; left != 0; left &= left - 1) {
        const BerthPlaceDevice *device = &devices[__builtin_ctzll(left)];
        uint32_t room = gives ? device->capacity - device->free : device->free;
        if (room < (slices == BERTH_PLACE_WHOLE ? device->capacity : slices)) {
            return gives ? BERTH_PLACE_ERROR_OVERFILL : BERTH_PLACE_ERROR_OVERDRAW;
        }
    }
    if (!journal_reserve(place, JOURNAL_DEVICE_WORDS)) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    inventory_shift(place, host, slices, chosen, gives);
    journal_note_devices(place, gives ? JOURNAL_GIVE_DEVICES : JOURNAL_TAKE_DEVICES, host, slices,
                         chosen);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_take_devices(BerthPlace *place, uint32_t host, uint32_t slices,
                                          uint64_t chosen)
{
    return book(place, host, slices, chosen, false);
}

BerthPlaceResult berth_place_give_devices(BerthPlace *place, uint32_t host, uint32_t slices,
                                          uint64_t chosen)
{
    return book(place, host, slices, chosen, true);
}

/* Whether the bays lie in the bank without touching each other, as far as sums tell. */
static const char *check_bay(const BerthPlace *place, uint32_t host)
{
    const Inventory *inventory = place->inventory;
    const Bay *bay = &inventory->bays[host];
    Bay counted = *bay;

    if (bay->n > bay->room || (uint64_t)bay->first + bay->room > inventory->n_bank) {
        return "the devices of a host lie within the bank";
    }
    if (bay->n > 0 && (host >= place->slots || place->states[host] == FLEET_EMPTY)) {
        return "only hosts have devices";
    }
    if (check_devices(inventory_devices(place, bay), bay->n) != BERTH_PLACE_OK) {
        return "model, capacity and free slices of a device are within their ranges";
    }
    for (uint32_t i = 0; inventory->owed != NULL && inventory->owed[host] != NULL && i < bay->n;
         i++) {
        const BerthPlaceDevice *device = &inventory_devices(place, bay)[i];
        int64_t owed = inventory->owed[host][i];
        if ((owed > 0 && device->free != 0) || (owed < 0 && device->free != device->capacity)) {
            return "a device that owes shows nothing free";
        }
    }
    sum_up(inventory, &counted);
    if (counted.untouched != bay->untouched || counted.most_free != bay->most_free ||
        counted.models != bay->models) {
        return "the devices of a host are summed up right";
    }
    if (fleet_has(place, host) && inventory->workload != NULL &&
        bay->fragments != fragments_now(place, host)) {
        return "the fragments of a host are counted right";
    }
    return NULL;
}

const char *inventory_check(const BerthPlace *place)
{
    const Inventory *inventory = place->inventory;
    uint64_t rooms = 0;

    if (inventory == NULL) {
        return NULL;
    }
    if (inventory->slots < place->slots) {
        return "every slot has a place for devices";
    }
    for (uint32_t host = 0; host < inventory->slots; host++) {
        const char *broken = check_bay(place, host);
        if (broken != NULL) {
            return broken;
        }
        rooms += inventory->bays[host].room;
    }
    return rooms + inventory->n_lost == inventory->n_bank ? NULL : "the bank of devices adds up";
}
