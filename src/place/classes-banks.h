/*
 * Tournaments of an area (areas.h): of the classes that have a host there, beside the policy's bank over all.
 * Where rules leave a request nothing but an area that is nearly full, most rows of the policy's bank are
 * above some class with room there, but get their keys from others, so that nearly all would be looked at.
 *
 * An area has one as long as searches that were left with it, or with another one besides, would have to look
 * at many rows. They leave word of that in an atomic word, the only thing that they write; changes of the
 * fleet build what is wanted step by step, keep it up, and drop it when nobody has asked for long. An area is
 * a bit of the words of class_areas_word, which two areas may share.
 */
#pragma once

#include "place/bank.h"
#include "place/place.h"

typedef struct Classes Classes;

#define AREA_BANKS 31 /* bits of a word, but for that of hosts without an area */

typedef struct {
    Bank bank;
    uint32_t swept; /* classes below are in; UINT32_MAX: all */
} AreaBank;

typedef struct {
    _Atomic uint32_t wanted[BERTH_PLACE_N_POLICIES]; /* areas, bit by bit */
    _Atomic bool is_asked;                           /* something is wanted */
    uint32_t n_live;
    uint32_t live[BERTH_PLACE_N_POLICIES];  /* those that have a bank, */
    uint32_t ready[BERTH_PLACE_N_POLICIES]; /* and those whose bank is complete */
    AreaBank *banks[BERTH_PLACE_N_POLICIES][AREA_BANKS];
    uint32_t patience; /* rows that a search looks at before it asks for banks */
    uint32_t n_steps;  /* since it was looked what is still wanted */
} AreaBanks;

/* NULL without memory. */
AreaBanks *area_banks_new(uint32_t patience);
void area_banks_free(AreaBanks *banks);

/* Without any again: keys have changed. */
void area_banks_clear(AreaBanks *banks);

/* By a search: it could do with the banks of these areas. */
static inline void area_banks_ask(AreaBanks *banks, BerthPlacePolicy policy, uint32_t areas)
{
    banks->wanted[policy] |= areas;
    banks->is_asked = true;
}

void area_banks_change(Classes *classes, uint32_t number, uint32_t word, bool gained);
void area_banks_work(Classes *classes);

/* A class, which has its keys, has come to the areas of a word, or is no longer there. */
static inline void area_banks_note(Classes *classes, AreaBanks *banks, uint32_t number,
                                   uint32_t word, bool gained)
{
    if (banks->n_live > 0 && word != 0) {
        area_banks_change(classes, number, word, gained);
    }
}

/* With each change of a host: a step towards what is wanted. */
static inline void area_banks_step(Classes *classes, AreaBanks *banks)
{
    if (banks->is_asked || banks->n_live > 0) {
        area_banks_work(classes);
    }
}

/* NULL, or what does not hold. */
const char *area_banks_check(const Classes *classes);
