#include <stdlib.h>
#include <string.h>

#include "place/relations.h"

#define MIN_SLOTS 64

const char *berth_place_strerror(BerthPlaceResult result)
{
    switch (result) {
    case BERTH_PLACE_OK:
        return "done";
    case BERTH_PLACE_NO_HOST:
        return "no host can take this request now";
    case BERTH_PLACE_ERROR_ARGUMENT:
        return "a size, a number, a policy or a filter is out of its range";
    case BERTH_PLACE_ERROR_AMOUNT:
        return "an amount is negative, too large or above the capacity, or all are zero";
    case BERTH_PLACE_ERROR_UNKNOWN_HOST:
        return "there is no host of this number";
    case BERTH_PLACE_ERROR_EXISTS:
        return "there is a host of this number already";
    case BERTH_PLACE_ERROR_OVERDRAW:
        return "the host has less available than would be taken";
    case BERTH_PLACE_ERROR_OVERFILL:
        return "the host would have more available than its capacity";
    case BERTH_PLACE_ERROR_NO_MEMORY:
        return "out of memory";
    case BERTH_PLACE_ERROR_UNSUPPORTED:
        return "the request uses what this version of the library does not know";
    case BERTH_PLACE_ERROR_BUSY:
        return "VMs or hosts are there that have to go first";
    case BERTH_PLACE_ERROR_TREE:
        return "a domain lies in another domain of the next level already";
    case BERTH_PLACE_ERROR_UNDERFLOW:
        return "no such VM has entered the host";
    case BERTH_PLACE_ERROR_CONTRADICTION:
        return "two hard rules cannot both hold";
    case BERTH_PLACE_ERROR_CYCLE:
        return "the rules lead back to where they began";
    }
    return "unknown result";
}

bool fleet_is_newer(const void *bytes, uint32_t struct_size, size_t known)
{
    const unsigned char *at = bytes;

    for (size_t i = known; i < struct_size; i++) {
        if (at[i] != 0) {
            return true;
        }
    }
    return false;
}

static BerthPlaceResult allocate(uint32_t n_dims, uint32_t slots, BerthPlace **ret_place)
{
    BerthPlace *place = calloc(1, sizeof *place);
    if (place == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    place->n_dims = n_dims;
    place->slots = slots;
    place->states = calloc(slots, sizeof *place->states);
    place->orders = calloc(slots, sizeof *place->orders);
    place->capacity = calloc((size_t)slots * n_dims, sizeof *place->capacity);
    place->available = calloc((size_t)slots * n_dims, sizeof *place->available);
    if (place->states == NULL || place->orders == NULL || place->capacity == NULL ||
        place->available == NULL) {
        berth_place_free(place);
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    *ret_place = place;
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_new(const BerthPlaceOptions *options, BerthPlace **ret_place)
{
    if (options->struct_size < sizeof *options || options->n_dims < 1 ||
        options->n_dims > BERTH_PLACE_MAX_DIMS || options->expected_hosts > BERTH_PLACE_MAX_HOSTS) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (fleet_is_newer(options, options->struct_size, sizeof *options)) {
        return BERTH_PLACE_ERROR_UNSUPPORTED;
    }
    uint32_t slots = options->expected_hosts > MIN_SLOTS ? options->expected_hosts : MIN_SLOTS;

    return allocate(options->n_dims, slots, ret_place);
}

void berth_place_free(BerthPlace *place)
{
    if (place != NULL) {
        free(place->states);
        free(place->orders);
        free(place->capacity);
        free(place->available);
        relations_free(place->relations);
        free(place);
    }
}

static void copy_slots(BerthPlace *to, const BerthPlace *from)
{
    size_t amounts = (size_t)from->slots * from->n_dims;

    memcpy(to->states, from->states, from->slots * sizeof *from->states);
    memcpy(to->orders, from->orders, from->slots * sizeof *from->orders);
    memcpy(to->capacity, from->capacity, amounts * sizeof *from->capacity);
    memcpy(to->available, from->available, amounts * sizeof *from->available);
    to->n_hosts = from->n_hosts;
}

BerthPlaceResult berth_place_copy(const BerthPlace *place, BerthPlace **ret_copy)
{
    BerthPlace *copy;
    BerthPlaceResult result = allocate(place->n_dims, place->slots, &copy);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    copy_slots(copy, place);
    result = relations_copy(place, copy);
    if (result != BERTH_PLACE_OK) {
        berth_place_free(copy);
        return result;
    }
    *ret_copy = copy;
    return BERTH_PLACE_OK;
}

/* Makes room for a slot; the old arrays go into a fleet that is freed, so a failure changes
 * nothing. */
static BerthPlaceResult reserve(BerthPlace *place, uint32_t host)
{
    uint32_t slots = place->slots;
    BerthPlace *larger;

    if (host < slots) {
        return BERTH_PLACE_OK;
    }
    while (slots <= host) {
        slots *= 2;
    }
    if (slots > BERTH_PLACE_MAX_HOSTS) {
        slots = BERTH_PLACE_MAX_HOSTS;
    }
    BerthPlaceResult result = relations_reserve(place, slots);
    if (result == BERTH_PLACE_OK) {
        result = allocate(place->n_dims, slots, &larger);
    }
    if (result != BERTH_PLACE_OK) {
        return result;
    }
    copy_slots(larger, place);
    larger->relations = place->relations;
    place->relations = NULL;

    BerthPlace old = *place;
    *place = *larger;
    *larger = old;
    berth_place_free(larger);
    return BERTH_PLACE_OK;
}

uint32_t berth_place_n_dims(const BerthPlace *place)
{
    return place->n_dims;
}

uint32_t berth_place_n_hosts(const BerthPlace *place)
{
    return place->n_hosts;
}

static bool are_amounts_sound(const BerthPlace *place, const int64_t *capacity,
                              const int64_t *available)
{
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (capacity[d] < 0 || capacity[d] > BERTH_PLACE_MAX_AMOUNT || available[d] > capacity[d] ||
            available[d] < -BERTH_PLACE_MAX_AMOUNT) {
            return false;
        }
    }
    return true;
}

static void put(BerthPlace *place, uint32_t host, const int64_t *capacity, const int64_t *available)
{
    size_t offset = (size_t)host * place->n_dims, size = place->n_dims * sizeof(int64_t);

    memmove(place->capacity + offset, capacity, size);
    memmove(place->available + offset, available, size);
}

BerthPlaceResult berth_place_add(BerthPlace *place, uint32_t host, uint64_t order,
                                 const int64_t *capacity, const int64_t *available)
{
    const int64_t *free_now = available != NULL ? available : capacity;

    if (host >= BERTH_PLACE_MAX_HOSTS) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_EXISTS;
    }
    if (!are_amounts_sound(place, capacity, free_now)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    BerthPlaceResult result = reserve(place, host);
    if (result != BERTH_PLACE_OK) {
        return result;
    }
    put(place, host, capacity, free_now);
    place->orders[host] = order;
    place->states[host] = FLEET_ENABLED;
    place->n_hosts++;
    relations_host_added(place, host);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_remove(BerthPlace *place, uint32_t host)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (relations_is_busy(place, host)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    relations_host_removed(place, host, place->states[host] == FLEET_ENABLED);
    place->states[host] = FLEET_EMPTY;
    place->n_hosts--;
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_set(BerthPlace *place, uint32_t host, const int64_t *capacity,
                                 const int64_t *available)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    const int64_t *whole = capacity != NULL ? capacity : fleet_capacity(place, host);
    if (!are_amounts_sound(place, whole, available)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    put(place, host, whole, available);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_set_enabled(BerthPlace *place, uint32_t host, bool enabled)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (enabled != (place->states[host] == FLEET_ENABLED)) {
        place->states[host] = enabled ? FLEET_ENABLED : FLEET_DISABLED;
        relations_host_enabled(place, host, enabled);
    }
    return BERTH_PLACE_OK;
}

static bool is_vector_sound(const BerthPlace *place, const int64_t *vector)
{
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] < 0 || vector[d] > BERTH_PLACE_MAX_AMOUNT) {
            return false;
        }
    }
    return true;
}

BerthPlaceResult berth_place_take(BerthPlace *place, uint32_t host, const int64_t *vector)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (!is_vector_sound(place, vector)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    int64_t *available = fleet_available(place, host);
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] > 0 && vector[d] > available[d]) {
            return BERTH_PLACE_ERROR_OVERDRAW;
        }
    }
    for (uint32_t d = 0; d < place->n_dims; d++) {
        available[d] -= vector[d];
    }
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_give(BerthPlace *place, uint32_t host, const int64_t *vector)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (!is_vector_sound(place, vector)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    const int64_t *capacity = fleet_capacity(place, host);
    int64_t *available = fleet_available(place, host);
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] > capacity[d] - available[d]) {
            return BERTH_PLACE_ERROR_OVERFILL;
        }
    }
    for (uint32_t d = 0; d < place->n_dims; d++) {
        available[d] += vector[d];
    }
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_get(const BerthPlace *place, uint32_t host, int64_t *ret_capacity,
                                 int64_t *ret_available, bool *ret_enabled)
{
    size_t size = place->n_dims * sizeof(int64_t);

    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (ret_capacity != NULL) {
        memcpy(ret_capacity, fleet_capacity(place, host), size);
    }
    if (ret_available != NULL) {
        memcpy(ret_available, fleet_available(place, host), size);
    }
    if (ret_enabled != NULL) {
        *ret_enabled = place->states[host] == FLEET_ENABLED;
    }
    return BERTH_PLACE_OK;
}

const char *berth_place_check(const BerthPlace *place)
{
    uint32_t n_hosts = 0;

    if (place->n_dims < 1 || place->n_dims > BERTH_PLACE_MAX_DIMS) {
        return "the number of dimensions is within its range";
    }
    if (place->slots > BERTH_PLACE_MAX_HOSTS) {
        return "the number of slots is within its range";
    }
    for (uint32_t host = 0; host < place->slots; host++) {
        if (place->states[host] > FLEET_DISABLED) {
            return "a slot is empty, enabled or disabled";
        }
        if (place->states[host] == FLEET_EMPTY) {
            continue;
        }
        n_hosts++;
        if (!are_amounts_sound(place, fleet_capacity(place, host), fleet_available(place, host))) {
            return "capacity and availability of a host are within their ranges";
        }
    }
    if (n_hosts != place->n_hosts) {
        return "hosts are counted right";
    }
    return relations_check(place);
}
