/*
 * First fit: the hosts in their order, and above each 16 of them a node that says which sizes fit
 * into at least one. The order is the hosts' numbers, or, where the caller has another one, a ranking
 * that is made in one go and takes hosts at its end.
 */
#pragma once

#include "place/districts.h"
#include "place/search.h"
#include "place/sizes.h"
#include "place/stairs.h"

#define FIRSTFIT_LEVELS 6

typedef struct {
    const BerthPlace *place;
    const Sizes *sizes;
    const Kernels *kernels;
    uint32_t room;       /* positions, a multiple of 16 */
    uint32_t end;        /* positions in use are below */
    uint32_t *hosts;     /* at each position, or NONE; NULL: positions are host numbers */
    uint32_t *positions; /* of each host */
    uint32_t n_levels;
    uint32_t
        *masks[FIRSTFIT_LEVELS]; /* sizes that fit, bit by bit: at a position, below a node, … */
    uint32_t swept;              /* positions below have all bits */
    uint32_t ready;              /* sizes that all positions have their bit of */
    Districts *districts;        /* NULL: there is no tree of domains, or not wanted yet */
    Stairs *stairs;              /* for sizes without a bit; NULL: not wanted yet */
} FirstFit;

/* With all enabled hosts in their order, and no bit yet. */
FirstFit *firstfit_new(const BerthPlace *place, const Sizes *sizes);
void firstfit_free(FirstFit *first);

/* A host came, went or changed. False when its order is not the last and the ranking has to be made
 * anew. */
bool firstfit_refresh(FirstFit *first, uint32_t host);

bool firstfit_is_swept(const FirstFit *first);
void firstfit_sweep(FirstFit *first, uint32_t steps);

/* Whether a search for this vector has what it needs. */
bool firstfit_is_ready(const FirstFit *first, const int64_t *vector);

/* Makes stairs if there are none, and puts in so many blocks. */
void firstfit_sweep_stairs(FirstFit *first, uint32_t steps);

/* The same for stretches within one domain, where there is a tree. */
bool firstfit_has_districts(const FirstFit *first);
void firstfit_sweep_districts(FirstFit *first, uint32_t steps);

/* A host that is in, or is about to come, has other domains. */
void firstfit_host_moved(FirstFit *first, uint32_t host);

void firstfit_forget_size(FirstFit *first, uint32_t size);

/* The first host that is taken; by the bits if they are ready for the size, else one by one. */
void firstfit_search(const FirstFit *first, Search *search);

const char *firstfit_check(const FirstFit *first);
