/*
 * The fleet as the library's own files see it: flat arrays indexed by host number, so that a copy
 * is a memcpy and a scan runs over memory in order.
 */
#pragma once

#include "place/place.h"

typedef enum { FLEET_EMPTY = 0, FLEET_ENABLED, FLEET_DISABLED } FleetState;

struct BerthPlace {
    uint32_t n_dims;
    uint32_t n_hosts;
    uint32_t slots;  /* length of the arrays; slots behind it are empty */
    uint8_t *states; /* FleetState */
    uint64_t *orders;
    int64_t *capacity;           /* n_dims a slot */
    int64_t *available;          /* n_dims a slot */
    struct Relations *relations; /* NULL: no tree, label, group or rule */
};

static inline const int64_t *fleet_capacity(const BerthPlace *place, uint32_t host)
{
    return place->capacity + (size_t)host * place->n_dims;
}

static inline int64_t *fleet_available(const BerthPlace *place, uint32_t host)
{
    return place->available + (size_t)host * place->n_dims;
}

static inline bool fleet_has(const BerthPlace *place, uint32_t host)
{
    return host < place->slots && place->states[host] != FLEET_EMPTY;
}

/* Whether `a` comes before `b` in the order of hosts. */
static inline bool fleet_before(const BerthPlace *place, uint32_t a, uint32_t b)
{
    return place->orders[a] != place->orders[b] ? place->orders[a] < place->orders[b] : a < b;
}

/* Whether the caller of a newer library set what this one does not know: a non-zero byte behind the
 * struct's known size. To ignore it would be to break a constraint. */
bool fleet_is_newer(const void *bytes, uint32_t struct_size, size_t known);
