/*
 * The fleet as the library's own files see it: flat arrays indexed by host number, so that a copy
 * is a memcpy and a scan runs over memory in order; the capacities in a table of shapes; and the
 * index over all that, which is told of each change.
 */
#pragma once

#include "place/amounts.h"
#include "place/place.h"
#include "place/shapes.h"

typedef enum { FLEET_EMPTY = 0, FLEET_ENABLED, FLEET_DISABLED } FleetState;

struct BerthPlace {
    uint32_t n_dims;
    uint32_t n_hosts;
    uint32_t slots;        /* length of the arrays; slots behind it are empty */
    uint8_t *states;       /* FleetState */
    uint64_t *orders;      /* NULL as long as the order of every host is its number */
    uint16_t *shapes;      /* of slots that are not empty; NULL once there were more than 2^16 */
    uint32_t *wide_shapes; /* the same, then */
    Amounts available;
    Shapes shape_table;
    struct Index *index;
    struct Relations *relations; /* NULL: no tree, label, group or rule */
    struct Journal *journal;     /* NULL: none was ever begun */
    struct Inventory *inventory; /* NULL: no devices and no workload */
};

static inline uint32_t fleet_shape(const BerthPlace *place, uint32_t host)
{
    return place->wide_shapes != NULL ? place->wide_shapes[host] : place->shapes[host];
}

/* Valid until a host is added, removed or set. */
static inline const int64_t *fleet_capacity(const BerthPlace *place, uint32_t host)
{
    return shapes_capacity(&place->shape_table, fleet_shape(place, host));
}

static inline void fleet_available(const BerthPlace *place, uint32_t host, int64_t *ret_available)
{
    amounts_read(&place->available, host, place->n_dims, ret_available);
}

static inline uint64_t fleet_order(const BerthPlace *place, uint32_t host)
{
    return place->orders != NULL ? place->orders[host] : host;
}

static inline bool fleet_has(const BerthPlace *place, uint32_t host)
{
    return host < place->slots && place->states[host] != FLEET_EMPTY;
}

/* Whether `a` comes before `b` in the order of hosts. */
static inline bool fleet_before(const BerthPlace *place, uint32_t a, uint32_t b)
{
    uint64_t order_a = fleet_order(place, a), order_b = fleet_order(place, b);

    return order_a != order_b ? order_a < order_b : a < b;
}

/* What was checked already, and is not noted in the journal: gives a vector or takes it, enables a host
 * or disables it. */
void fleet_shift(BerthPlace *place, uint32_t host, const int64_t *vector, bool gives);
void fleet_enable(BerthPlace *place, uint32_t host, bool enabled);

/* Whether the caller of a newer library set what this one does not know: a non-zero byte behind the
 * struct's known size. To ignore it would be to break a constraint. */
bool fleet_is_newer(const void *bytes, uint32_t struct_size, size_t known);
