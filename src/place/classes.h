/*
 * Hosts of one shape with the same availability are one class: whatever is asked, they fit or score
 * alike, and only the first of them (that the filter admits) matters. A fleet that sells a few sizes
 * has far fewer classes than hosts. A policy in use has a bank (bank.h) over the classes.
 *
 * For the policy that looks at devices a class is of hosts with the same availability and the same
 * devices, one by one, whatever their shape, and the lanes of its one bank are kinds of requests.
 *
 * A host finds its class through a hash of shape and availability; a class keeps its hosts in a heap
 * by their order. All is sized when it is made, so nothing ever stops to grow except the heaps.
 */
#pragma once

#include "place/classes-areas.h"
#include "place/classes-banks.h"
#include "place/kinds.h"
#include "place/search.h"
#include "place/sizes.h"

typedef struct {
    uint32_t hash;
    uint32_t shape;
    uint32_t count; /* hosts; 0 in a free one */
    uint32_t hosts; /* the host itself, or of several the heap's block; of a free one the next */
    uint32_t room;  /* of the block, a power of two; 1: no block */
} Class;

struct Classes {
    const BerthPlace *place;
    const Sizes *sizes;
    const Kinds *kinds; /* NULL: classes are by shape, and lanes are sizes */
    uint32_t most;      /* classes that there is room for */
    uint32_t n;         /* numbers given out so far */
    uint32_t n_used;    /* those that have hosts */
    uint32_t spare;     /* a free number */
    uint32_t *of_host;  /* the class of a host, or CLASSES_NONE */
    uint32_t *at;       /* where a host is in its class's heap */
    Class *classes;
    Amounts available; /* of each class */
    struct {
        uint32_t hash, class;
    } * table;
    uint32_t table_mask;
    uint32_t *blocks; /* of all heaps */
    uint32_t blocks_used, blocks_size;
    uint32_t free_blocks[24]; /* by the logarithm of their room; chained through their first word */
    Bank *banks[BERTH_PLACE_N_POLICIES];
    uint32_t swept[BERTH_PLACE_N_POLICIES]; /* classes below have keys for all sizes */
    uint32_t ready[BERTH_PLACE_N_POLICIES]; /* sizes, bit by bit, that every class has keys for */
    ClassAreas *areas;                      /* NULL: not wanted */
    AreaBanks *area_banks;                  /* NULL: as long as areas are not wanted */
};

#define CLASSES_NONE UINT32_MAX

/* For up to `most` classes of a fleet's hosts, of which none is in yet. `kinds`: by devices. */
Classes *classes_new(const BerthPlace *place, const Sizes *sizes, uint32_t most,
                     const Kinds *kinds);
void classes_free(Classes *classes);

/* False when there is no room or memory for a class or heap more: the classes are then of no use. */
bool classes_enter(Classes *classes, uint32_t host);
void classes_leave(Classes *classes, uint32_t host);

static inline bool classes_has(const Classes *classes, uint32_t host)
{
    return classes->of_host[host] != CLASSES_NONE;
}

/* Whether a policy has a bank with nothing left to sweep. */
bool classes_is_swept(const Classes *classes, BerthPlacePolicy policy);

/* Gives a policy a bank if it has none, and up to `steps` classes their keys. */
void classes_sweep(Classes *classes, BerthPlacePolicy policy, uint32_t steps);

/* The same for the areas where the hosts of classes are. */
bool classes_have_areas(const Classes *classes);
void classes_sweep_areas(Classes *classes, uint32_t steps);

/* A host that may be in has other domains. */
void classes_host_moved(Classes *classes, uint32_t host);

/* A size is new: its keys have to be swept together. */
void classes_forget_size(Classes *classes, uint32_t size);

/* The best host; by the bank if it knows the size, else over all classes. */
void classes_search(const Classes *classes, Search *search);

/* NULL, or what does not hold. */
const char *classes_check(const Classes *classes);
