#include "place/index.h"
#include <stdlib.h>
#include <string.h>

#include "place/inventory.h"
#include "place/journal.h"
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
    case BERTH_PLACE_ERROR_FILE:
        return "the bytes are not those of a fleet";
    case BERTH_PLACE_ERROR_WRITE:
        return "the bytes could not be written";
    case BERTH_PLACE_LATE:
        return "it can run, but not in time";
    case BERTH_PLACE_ERROR_TIME:
        return "a span of time is empty, in the past or too long";
    case BERTH_PLACE_ERROR_UNKNOWN_COMMITMENT:
        return "there is no commitment of this number";
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

/* Arrays for `slots` slots, as wide as those of `like`; without shapes and index. */
static BerthPlaceResult allocate(const BerthPlace *like, uint32_t slots, BerthPlace **ret_place)
{
    BerthPlace *place = calloc(1, sizeof *place);
    if (place == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    place->n_dims = like->n_dims;
    place->slots = slots;
    place->states = calloc(slots, sizeof *place->states);
    void *shapes = calloc(slots, like->wide_shapes != NULL ? sizeof *place->wide_shapes
                                                           : sizeof *place->shapes);
    if (like->wide_shapes != NULL) {
        place->wide_shapes = shapes;
    } else {
        place->shapes = shapes;
    }
    if (like->orders != NULL) {
        place->orders = calloc(slots, sizeof *place->orders);
    }
    void *amounts = calloc((size_t)slots * like->n_dims, amounts_size(&like->available));
    if (like->available.wide != NULL) {
        place->available.wide = amounts;
    } else {
        place->available.narrow = amounts;
    }
    if (place->states == NULL || shapes == NULL || amounts == NULL ||
        (like->orders != NULL && place->orders == NULL)) {
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
    const BerthPlace like = {.n_dims = options->n_dims};
    BerthPlace *place;
    BerthPlaceResult result = allocate(&like, slots, &place);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    place->index = index_new(place);
    if (!shapes_init(&place->shape_table, options->n_dims) || place->index == NULL) {
        berth_place_free(place);
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    *ret_place = place;
    return BERTH_PLACE_OK;
}

void berth_place_free(BerthPlace *place)
{
    if (place != NULL) {
        index_free(place->index);
        shapes_clear(&place->shape_table);
        free(place->states);
        free(place->shapes);
        free(place->wide_shapes);
        free(place->orders);
        relations_free(place->relations);
        journal_free(place->journal);
        inventory_free(place->inventory);
        free(place->available.narrow);
        free(place->available.wide);
        free(place);
    }
}

/* Between fleets of equal width. */
static void copy_slots(BerthPlace *to, const BerthPlace *from)
{
    size_t amounts = (size_t)from->slots * from->n_dims;

    memcpy(to->states, from->states, from->slots * sizeof *from->states);
    if (from->wide_shapes != NULL) {
        memcpy(to->wide_shapes, from->wide_shapes, from->slots * sizeof *from->wide_shapes);
    } else {
        memcpy(to->shapes, from->shapes, from->slots * sizeof *from->shapes);
    }
    if (from->orders != NULL) {
        memcpy(to->orders, from->orders, from->slots * sizeof *from->orders);
    }
    if (from->available.wide != NULL) {
        memcpy(to->available.wide, from->available.wide, amounts * sizeof *from->available.wide);
    } else {
        memcpy(to->available.narrow, from->available.narrow,
               amounts * sizeof *from->available.narrow);
    }
    to->n_hosts = from->n_hosts;
}

BerthPlaceResult berth_place_copy(const BerthPlace *place, BerthPlace **ret_copy)
{
    BerthPlace *copy;
    BerthPlaceResult result = allocate(place, place->slots, &copy);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    copy_slots(copy, place);
    copy->index = index_new(copy);
    if (!shapes_copy(&copy->shape_table, &place->shape_table) || copy->index == NULL) {
        result = BERTH_PLACE_ERROR_NO_MEMORY;
    } else {
        result = relations_copy(place, copy);
    }
    if (result == BERTH_PLACE_OK) {
        result = inventory_copy(place, copy);
    }
    if (result != BERTH_PLACE_OK) {
        berth_place_free(copy);
        return result;
    }
    *ret_copy = copy;
    return BERTH_PLACE_OK;
}

/* Makes room for a slot; the old arrays go into a fleet that is freed, so a failure changes
 * nothing. The index begins anew. */
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
        result = inventory_reserve(place, slots);
    }
    if (result == BERTH_PLACE_OK) {
        result = allocate(place, slots, &larger);
    }
    if (result != BERTH_PLACE_OK) {
        return result;
    }
    copy_slots(larger, place);
    larger->relations = place->relations;
    larger->inventory = place->inventory;
    place->relations = NULL;
    place->inventory = NULL;
    larger->shape_table = place->shape_table;
    larger->index = place->index;
    place->shape_table = (Shapes){0};
    place->index = NULL;

    BerthPlace old = *place;
    *place = *larger;
    *larger = old;
    berth_place_free(larger);
    index_reset(place);
    return BERTH_PLACE_OK;
}

/* Makes room for amounts that four bytes do not hold, those that can be given back included. */
static BerthPlaceResult widen(BerthPlace *place, const int64_t *capacity, const int64_t *available)
{
    if (place->available.wide != NULL || (amounts_are_narrow(capacity, place->n_dims) &&
                                          amounts_are_narrow(available, place->n_dims))) {
        return BERTH_PLACE_OK;
    }
    size_t amounts = (size_t)place->slots * place->n_dims;
    int64_t *wide = malloc(amounts * sizeof *wide);
    if (wide == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (size_t i = 0; i < amounts; i++) {
        wide[i] = place->available.narrow[i];
    }
    free(place->available.narrow);
    place->available = (Amounts){.wide = wide};
    index_reset(place);
    return BERTH_PLACE_OK;
}

/* The number of a capacity, which the fleet has room for; SHAPES_NONE when memory runs out. */
static uint32_t acquire_shape(BerthPlace *place, const int64_t *capacity)
{
    uint32_t shape = shapes_acquire(&place->shape_table, capacity);

    if (shape == SHAPES_NONE || shape <= UINT16_MAX || place->wide_shapes != NULL) {
        return shape;
    }
    uint32_t *wide = malloc(place->slots * sizeof *wide);
    if (wide == NULL) {
        shapes_release(&place->shape_table, shape);
        return SHAPES_NONE;
    }
    for (uint32_t host = 0; host < place->slots; host++) {
        wide[host] = place->shapes[host];
    }
    free(place->shapes);
    place->shapes = NULL;
    place->wide_shapes = wide;
    return shape;
}

static void set_shape(BerthPlace *place, uint32_t host, uint32_t shape)
{
    if (place->wide_shapes != NULL) {
        place->wide_shapes[host] = shape;
    } else {
        place->shapes[host] = (uint16_t)shape;
    }
}

/* Makes room for an order that is not the host's number. */
static BerthPlaceResult reserve_order(BerthPlace *place, uint32_t host, uint64_t order)
{
    if (place->orders != NULL || order == host) {
        return BERTH_PLACE_OK;
    }
    uint64_t *orders = malloc(place->slots * sizeof *orders);
    if (orders == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < place->slots; i++) {
        orders[i] = i;
    }
    place->orders = orders;
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

/* Tells those who keep something about a host's state and amounts. */
static void host_changed(BerthPlace *place, uint32_t host)
{
    inventory_host_changed(place, host); /* the index reads it */
    index_refresh(place, host);
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
    if (journal_is_open(place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (!are_amounts_sound(place, capacity, free_now)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    BerthPlaceResult result = reserve(place, host);
    if (result == BERTH_PLACE_OK) {
        result = widen(place, capacity, free_now);
    }
    if (result == BERTH_PLACE_OK) {
        result = reserve_order(place, host, order);
    }
    if (result != BERTH_PLACE_OK) {
        return result;
    }
    uint32_t shape = acquire_shape(place, capacity);
    if (shape == SHAPES_NONE) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    amounts_write(&place->available, host, place->n_dims, free_now);
    set_shape(place, host, shape);
    if (place->orders != NULL) {
        place->orders[host] = order;
    }
    place->states[host] = FLEET_ENABLED;
    place->n_hosts++;
    relations_host_added(place, host);
    host_changed(place, host);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_remove(BerthPlace *place, uint32_t host)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (relations_is_busy(place, host) || journal_is_open(place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    relations_host_removed(place, host, place->states[host] == FLEET_ENABLED);
    inventory_host_removed(place, host);
    place->states[host] = FLEET_EMPTY;
    index_refresh(place, host);
    shapes_release(&place->shape_table, fleet_shape(place, host));
    place->n_hosts--;
    return BERTH_PLACE_OK;
}

/* `capacity` may be the fleet's own, and either vector a part of it. */
BerthPlaceResult berth_place_set(BerthPlace *place, uint32_t host, const int64_t *capacity,
                                 const int64_t *available)
{
    int64_t free_now[BERTH_PLACE_MAX_DIMS];

    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (journal_is_open(place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    const int64_t *whole = capacity != NULL ? capacity : fleet_capacity(place, host);
    if (!are_amounts_sound(place, whole, available)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    memcpy(free_now, available, place->n_dims * sizeof *free_now);
    BerthPlaceResult result = widen(place, whole, free_now);
    if (result != BERTH_PLACE_OK) {
        return result;
    }
    uint32_t shape = fleet_shape(place, host);
    if (memcmp(whole, fleet_capacity(place, host), place->n_dims * sizeof *whole) != 0) {
        shape = acquire_shape(place, whole);
        if (shape == SHAPES_NONE) {
            return BERTH_PLACE_ERROR_NO_MEMORY;
        }
    }
    uint32_t old = fleet_shape(place, host);
    set_shape(place, host, shape);
    amounts_write(&place->available, host, place->n_dims, free_now);
    host_changed(place, host);
    if (shape != old) {
        shapes_release(&place->shape_table, old);
    }
    return BERTH_PLACE_OK;
}

void fleet_enable(BerthPlace *place, uint32_t host, bool enabled)
{
    place->states[host] = enabled ? FLEET_ENABLED : FLEET_DISABLED;
    index_refresh(place, host);
    relations_host_enabled(place, host, enabled);
}

BerthPlaceResult berth_place_set_enabled(BerthPlace *place, uint32_t host, bool enabled)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (enabled == (place->states[host] == FLEET_ENABLED)) {
        return BERTH_PLACE_OK;
    }
    if (!journal_reserve(place, 0)) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    fleet_enable(place, host, enabled);
    journal_note_groups(place, enabled ? JOURNAL_ENABLE : JOURNAL_DISABLE, host, NULL, 0);
    return BERTH_PLACE_OK;
}

void fleet_shift(BerthPlace *place, uint32_t host, const int64_t *vector, bool gives)
{
    int64_t available[BERTH_PLACE_MAX_DIMS];

    fleet_available(place, host, available);
    for (uint32_t d = 0; d < place->n_dims; d++) {
        available[d] += gives ? vector[d] : -vector[d];
    }
    amounts_write(&place->available, host, place->n_dims, available);
    host_changed(place, host);
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

BerthPlaceResult berth_place_prepare(BerthPlace *place, BerthPlacePolicy policy,
                                     const int64_t *vector)
{
    if ((unsigned)policy >= BERTH_PLACE_N_POLICIES) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (vector != NULL && !is_vector_sound(place, vector)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    index_prepare(place, policy, vector);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_take(BerthPlace *place, uint32_t host, const int64_t *vector)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (!is_vector_sound(place, vector)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    int64_t available[BERTH_PLACE_MAX_DIMS];
    fleet_available(place, host, available);
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] > 0 && vector[d] > available[d]) {
            return BERTH_PLACE_ERROR_OVERDRAW;
        }
    }
    if (!journal_reserve(place, place->n_dims)) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t d = 0; d < place->n_dims; d++) {
        available[d] -= vector[d];
    }
    amounts_write(&place->available, host, place->n_dims, available);
    if (!journal_is_open(place)) {
        index_taken(place, vector);
    }
    host_changed(place, host);
    journal_note_vector(place, JOURNAL_TAKE, host, vector);
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
    int64_t available[BERTH_PLACE_MAX_DIMS];
    fleet_available(place, host, available);
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] > capacity[d] - available[d]) {
            return BERTH_PLACE_ERROR_OVERFILL;
        }
    }
    if (!journal_reserve(place, place->n_dims)) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t d = 0; d < place->n_dims; d++) {
        available[d] += vector[d];
    }
    amounts_write(&place->available, host, place->n_dims, available);
    host_changed(place, host);
    journal_note_vector(place, JOURNAL_GIVE, host, vector);
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
        fleet_available(place, host, ret_available);
    }
    if (ret_enabled != NULL) {
        *ret_enabled = place->states[host] == FLEET_ENABLED;
    }
    return BERTH_PLACE_OK;
}

/* Whether each shape is used by as many hosts as it counts. */
static bool are_shapes_counted(const BerthPlace *place)
{
    uint64_t counted = 0;

    for (uint32_t shape = place->shape_table.spare; shape != SHAPES_NONE;
         shape = place->shape_table.uses[shape]) {
        counted++;
    }
    uint32_t *uses = calloc(place->shape_table.size, sizeof *uses);
    if (uses == NULL) {
        return true;
    }
    for (uint32_t host = 0; host < place->slots; host++) {
        if (place->states[host] != FLEET_EMPTY) {
            uses[fleet_shape(place, host)]++;
        }
    }
    bool is_right = true;
    for (uint32_t shape = 0; shape < place->shape_table.n; shape++) {
        counted += uses[shape] > 0;
        is_right = is_right && (uses[shape] == 0 || uses[shape] == place->shape_table.uses[shape]);
    }
    free(uses);
    return is_right && counted == place->shape_table.n;
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
        int64_t available[BERTH_PLACE_MAX_DIMS];

        if (place->states[host] > FLEET_DISABLED) {
            return "a slot is empty, enabled or disabled";
        }
        if (place->states[host] == FLEET_EMPTY) {
            continue;
        }
        n_hosts++;
        fleet_available(place, host, available);
        if (!are_amounts_sound(place, fleet_capacity(place, host), available)) {
            return "capacity and availability of a host are within their ranges";
        }
    }
    if (n_hosts != place->n_hosts) {
        return "hosts are counted right";
    }
    if (!are_shapes_counted(place)) {
        return "each shape knows its hosts";
    }
    const char *broken = index_check(place);
    if (broken == NULL) {
        broken = relations_check(place);
    }
    return broken != NULL ? broken : inventory_check(place);
}
