#include "place/classes-banks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "place/classes.h"

#define CLASSES_A_STEP 64
#define STEPS_UNASKED                                                                              \
    50000 /* after so many changes a bank that no search has asked for is dropped */

AreaBanks *area_banks_new(uint32_t patience)
{
    AreaBanks *banks = calloc(1, sizeof *banks);

    if (banks != NULL) {
        banks->patience = patience;
    }
    return banks;
}

static void drop(AreaBanks *banks, uint32_t policy, uint32_t area)
{
    bank_clear(&banks->banks[policy][area]->bank);
    free(banks->banks[policy][area]);
    banks->banks[policy][area] = NULL;
    banks->n_live--;
    banks->live[policy] &= ~(UINT32_C(1) << area);
    banks->ready[policy] &= ~(UINT32_C(1) << area);
}

void area_banks_clear(AreaBanks *banks)
{
    for (uint32_t policy = 0; policy < BERTH_PLACE_N_POLICIES; policy++) {
        for (uint32_t left = banks->live[policy]; left != 0; left &= left - 1) {
            drop(banks, policy, (uint32_t)__builtin_ctz(left));
        }
    }
}

void area_banks_free(AreaBanks *banks)
{
    if (banks != NULL) {
        area_banks_clear(banks);
        free(banks);
    }
}

/* The keys of a class that is not there. */
static void set_to_none(float ret_row[ROW])
{
    for (uint32_t i = 0; i < ROW; i++) {
        ret_row[i] = -INFINITY;
    }
}

static void enter(Classes *classes, uint32_t policy, Bank *bank, uint32_t number)
{
    bank_set(bank, number, bank_row(classes->banks[policy], 0, number),
             sizes_width(classes->sizes));
}

void area_banks_change(Classes *classes, uint32_t number, uint32_t word, bool gained)
{
    AreaBanks *banks = classes->area_banks;

    for (uint32_t policy = 0; policy < BERTH_PLACE_N_POLICIES; policy++) {
        for (uint32_t left = banks->live[policy] & word; left != 0; left &= left - 1) {
            AreaBank *its = banks->banks[policy][__builtin_ctz(left)];
            if (number >= its->swept) {
                continue;
            }
            if (gained) {
                enter(classes, policy, &its->bank, number);
            } else {
                bank_unset(&its->bank, number, sizes_width(classes->sizes));
            }
        }
    }
}

static void begin(const Classes *classes, uint32_t policy, uint32_t area)
{
    AreaBanks *banks = classes->area_banks;
    AreaBank *its = calloc(1, sizeof *its);

    if (its == NULL || !bank_init(&its->bank, classes->most)) {
        free(its);
        return;
    }
    banks->banks[policy][area] = its;
    banks->live[policy] |= UINT32_C(1) << area;
    banks->n_live++;
}

/* Puts in some classes. Rows without any are written as well, so that never many have to be at once. */
static void sweep(Classes *classes, uint32_t policy, uint32_t area)
{
    AreaBank *its = classes->area_banks->banks[policy][area];
    float none[ROW];

    set_to_none(none);
    for (uint32_t i = 0; i < CLASSES_A_STEP && its->swept < classes->n; i++, its->swept++) {
        uint32_t number = its->swept;
        if (classes->classes[number].count > 0 &&
            (classes->areas->areas[number] >> area & 1) != 0) {
            enter(classes, policy, &its->bank, number);
        } else if (number >= its->bank.rows[0]) {
            bank_set(&its->bank, number, none, sizes_width(classes->sizes));
        }
    }
    if (its->swept >= classes->n) {
        its->swept = UINT32_MAX;
        classes->area_banks->ready[policy] |= UINT32_C(1) << area;
    }
}

/* Whether the policy's own bank has all keys, which those of areas are copied from. */
static bool has_keys(const Classes *classes, uint32_t policy)
{
    return classes_is_swept(classes, (BerthPlacePolicy)policy) &&
           classes->areas->ready == UINT32_MAX;
}

void area_banks_work(Classes *classes)
{
    AreaBanks *banks = classes->area_banks;
    bool is_due = ++banks->n_steps >= STEPS_UNASKED;

    for (uint32_t policy = 0; policy < BERTH_PLACE_N_POLICIES; policy++) {
        uint32_t wanted = banks->wanted[policy];
        uint32_t left = is_due ? banks->live[policy] & ~wanted : 0;
        for (; left != 0; left &= left - 1) {
            drop(banks, policy, (uint32_t)__builtin_ctz(left));
        }
        if (wanted == 0) {
            continue;
        }
        if (is_due) {
            banks->wanted[policy] = 0;
        }
        uint32_t fresh = wanted & ~banks->ready[policy];
        if (fresh == 0 || !has_keys(classes, policy)) {
            continue;
        }
        uint32_t area = (uint32_t)__builtin_ctz(fresh);
        if (banks->banks[policy][area] == NULL) {
            begin(classes, policy, area);
        } else {
            sweep(classes, policy, area);
        }
    }
    if (is_due) {
        banks->n_steps = 0;
        banks->is_asked = false;
    }
}

static bool is_right(const Classes *classes, uint32_t policy, uint32_t area)
{
    const AreaBank *its = classes->area_banks->banks[policy][area];
    size_t size = sizes_width(classes->sizes) * sizeof(float);
    float none[ROW];

    set_to_none(none);
    for (uint32_t number = 0; number < classes->n && number < its->swept; number++) {
        bool is_there =
            classes->classes[number].count > 0 && (classes->areas->areas[number] >> area & 1) != 0;
        const float *wanted = is_there ? bank_row(classes->banks[policy], 0, number) : none;
        if (number < its->bank.rows[0] ? memcmp(bank_row(&its->bank, 0, number), wanted, size) != 0
                                       : is_there) {
            return false;
        }
    }
    return bank_check(&its->bank, sizes_width(classes->sizes));
}

const char *area_banks_check(const Classes *classes)
{
    const AreaBanks *banks = classes->area_banks;

    for (uint32_t policy = 0; policy < BERTH_PLACE_N_POLICIES; policy++) {
        for (uint32_t left = banks->live[policy]; left != 0; left &= left - 1) {
            if (!is_right(classes, policy, (uint32_t)__builtin_ctz(left))) {
                return "a bank of an area has the keys of the classes with a host there";
            }
        }
    }
    return NULL;
}
