/*
 * Why there is no host. Every host gives the set of causes that stand against it; the answer is a
 * smallest set of causes that meets each of those (a minimum hitting set, by iterative deepening: a few
 * dozen causes, of which a handful is the answer).
 */
#include <stdlib.h>
#include <string.h>

#include "place/scan.h"

/* Causes by number. */
enum {
    CAUSE_DISABLED,
    CAUSE_NOT_ALLOWED,
    CAUSE_BANNED,
    CAUSE_LABEL, /* and those behind it: the request's labels */
    CAUSE_LACKS = CAUSE_LABEL + BERTH_PLACE_MAX_LABELS,
    CAUSE_SHORT = CAUSE_LACKS + BERTH_PLACE_MAX_DIMS,
    CAUSE_DEVICE = CAUSE_SHORT + BERTH_PLACE_MAX_DIMS,
    CAUSE_RULE, /* and those behind it: the filter's conditions */
    N_CAUSES = CAUSE_RULE + BERTH_PLACE_MAX_RULES + BERTH_PLACE_MAX_LEVELS,
};

typedef struct {
    uint64_t words[2];
} Set;

_Static_assert(N_CAUSES <= 128, "a set has a bit for each cause");

static void set_add(Set *set, unsigned cause)
{
    set->words[cause / 64] |= UINT64_C(1) << (cause % 64);
}

static bool set_has(const Set *set, unsigned cause)
{
    return (set->words[cause / 64] >> (cause % 64) & 1) != 0;
}

static bool set_meets(const Set *one, const Set *other)
{
    return ((one->words[0] & other->words[0]) | (one->words[1] & other->words[1])) != 0;
}

static bool set_is_within(const Set *inner, const Set *outer)
{
    return ((inner->words[0] & ~outer->words[0]) | (inner->words[1] & ~outer->words[1])) == 0;
}

static int set_size(const Set *set)
{
    return __builtin_popcountll(set->words[0]) + __builtin_popcountll(set->words[1]);
}

/* All that stands against a host. */
static Set causes_of(const Filter *filter, uint32_t host)
{
    const BerthPlace *place = filter->place;
    const BerthPlaceRequest *request = filter->request;
    const int64_t *capacity = fleet_capacity(place, host);
    int64_t free_now[BERTH_PLACE_MAX_DIMS];
    Set set = {0};

    fleet_available(place, host, free_now);
    if (place->states[host] == FLEET_DISABLED) {
        set_add(&set, CAUSE_DISABLED);
    }
    if (!filter_is_allowed(filter, host)) {
        set_add(&set, CAUSE_NOT_ALLOWED);
    }
    if (filter_is_banned(filter, host)) {
        set_add(&set, CAUSE_BANNED);
    }
    for (uint32_t i = 0; i < request->n_labels; i++) {
        if (!relations_has_label(place->relations, request->labels[i], host)) {
            set_add(&set, CAUSE_LABEL + i);
        }
    }
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (request->vector[d] > 0 && request->vector[d] > free_now[d]) {
            set_add(&set, (capacity[d] == 0 ? CAUSE_LACKS : CAUSE_SHORT) + d);
        }
    }
    if (filter_missing_devices(filter, host) > 0) {
        set_add(&set, CAUSE_DEVICE);
    }
    for (uint32_t i = 0; i < filter->n_conditions; i++) {
        const Condition *condition = &filter->conditions[i];
        if (condition->weight == 0 && filter_is_broken(filter, condition, host)) {
            set_add(&set, CAUSE_RULE + i);
        }
    }
    return set;
}

/* The sets of all hosts, without those that contain another: who meets the smaller meets the larger. */
typedef struct {
    uint32_t n, room;
    Set *sets;
} Sets;

static bool sets_add(Sets *sets, const Set *set)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < sets->n; i++) {
        if (set_is_within(&sets->sets[i], set)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < sets->n; i++) {
        if (!set_is_within(set, &sets->sets[i])) {
            sets->sets[kept++] = sets->sets[i];
        }
    }
    sets->n = kept;
    if (sets->n == sets->room) {
        uint32_t room = sets->room > 0 ? sets->room * 2 : 16;
        Set *larger = realloc(sets->sets, room * sizeof *larger);
        if (larger == NULL) {
            return false;
        }
        sets->sets = larger;
        sets->room = room;
    }
    sets->sets[sets->n++] = *set;
    return true;
}

/* The smallest set that the answer does not meet yet; NULL when it meets all. */
static const Set *unmet(const Sets *sets, const Set *answer)
{
    const Set *best = NULL;

    for (uint32_t i = 0; i < sets->n; i++) {
        if (!set_meets(&sets->sets[i], answer) &&
            (best == NULL || set_size(&sets->sets[i]) < set_size(best))) {
            best = &sets->sets[i];
        }
    }
    return best;
}

static bool deepen(const Sets *sets, unsigned steps, Set *answer)
{
    const Set *next = unmet(sets, answer);

    if (next == NULL || steps == 0) {
        return next == NULL;
    }
    for (unsigned cause = 0; cause < N_CAUSES; cause++) {
        Set larger = *answer;
        if (set_has(next, cause)) {
            set_add(&larger, cause);
            if (deepen(sets, steps - 1, &larger)) {
                *answer = larger;
                return true;
            }
        }
    }
    return false;
}

/* As many causes as may be told, each the first of a set that is not met yet. */
static Set give_up(const Sets *sets)
{
    Set answer = {0};

    for (unsigned n = 0; n < BERTH_PLACE_MAX_CAUSES; n++) {
        const Set *next = unmet(sets, &answer);
        for (unsigned cause = 0; next != NULL && cause < N_CAUSES; cause++) {
            if (set_has(next, cause)) {
                set_add(&answer, cause);
                break;
            }
        }
    }
    return answer;
}

static Set smallest(const Sets *sets)
{
    for (unsigned steps = 1; steps <= BERTH_PLACE_MAX_CAUSES; steps++) {
        Set answer = {0};
        if (deepen(sets, steps, &answer)) {
            return answer;
        }
    }
    return give_up(sets);
}

static BerthPlaceCause describe(const Filter *filter, unsigned cause)
{
    BerthPlaceCause told = {0};

    if (cause >= CAUSE_RULE) {
        told.reason = BERTH_PLACE_RULE;
        told.rule = filter->conditions[cause - CAUSE_RULE].rule;
    } else if (cause == CAUSE_DEVICE) {
        told.reason = BERTH_PLACE_DEVICE;
    } else if (cause >= CAUSE_SHORT) {
        told.reason = BERTH_PLACE_SHORT;
        told.dim = cause - CAUSE_SHORT;
    } else if (cause >= CAUSE_LACKS) {
        told.reason = BERTH_PLACE_LACKS;
        told.dim = cause - CAUSE_LACKS;
    } else if (cause >= CAUSE_LABEL) {
        told.reason = BERTH_PLACE_LABEL;
        told.label = filter->request->labels[cause - CAUSE_LABEL];
    } else {
        told.reason = cause == CAUSE_DISABLED      ? BERTH_PLACE_DISABLED
                      : cause == CAUSE_NOT_ALLOWED ? BERTH_PLACE_NOT_ALLOWED
                                                   : BERTH_PLACE_BANNED;
    }
    return told;
}

/* Counts the hosts that one cause of the answer alone stands against. A rule that is found only host by
 * host is named by the first of them. */
static void count(const Filter *filter, const Set *answer, const unsigned *numbers, uint32_t n,
                  BerthPlaceCause *causes)
{
    for (uint32_t host = 0; host < filter->place->slots; host++) {
        if (!fleet_has(filter->place, host)) {
            continue;
        }
        Set set = causes_of(filter, host);
        set.words[0] &= answer->words[0];
        set.words[1] &= answer->words[1];
        for (uint32_t i = 0; i < n; i++) {
            if (!set_has(&set, numbers[i])) {
                continue;
            }
            causes[i].hosts += set_size(&set) == 1;
            if (causes[i].reason == BERTH_PLACE_RULE && causes[i].rule == BERTH_PLACE_NONE) {
                causes[i].rule =
                    filter_rule(filter, &filter->conditions[numbers[i] - CAUSE_RULE], host);
            }
        }
    }
}

static void tell(const Filter *filter, const Set *answer, BerthPlaceCause *ret_causes,
                 uint32_t *ret_n_causes)
{
    unsigned numbers[BERTH_PLACE_MAX_CAUSES];
    uint32_t n = 0;

    for (unsigned cause = 0; cause < N_CAUSES; cause++) {
        if (set_has(answer, cause)) {
            ret_causes[n] = describe(filter, cause);
            numbers[n++] = cause;
        }
    }
    count(filter, answer, numbers, n, ret_causes);
    *ret_n_causes = n;
}

BerthPlaceResult berth_place_conflict(const BerthPlace *place, const BerthPlaceRequest *request,
                                      BerthPlaceCause *ret_causes, uint32_t *ret_n_causes)
{
    Filter filter;
    BerthPlaceResult result = find_begin(&filter, place, request);
    Sets sets = {0};
    bool has_host = place->n_hosts == 0;

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    for (uint32_t host = 0; host < place->slots && !has_host; host++) {
        if (fleet_has(place, host)) {
            Set set = causes_of(&filter, host);
            has_host = set_size(&set) == 0;
            if (!sets_add(&sets, &set)) {
                free(sets.sets);
                return BERTH_PLACE_ERROR_NO_MEMORY;
            }
        }
    }
    *ret_n_causes = 0;
    if (!has_host) {
        Set answer = smallest(&sets);
        tell(&filter, &answer, ret_causes, ret_n_causes);
    }
    free(sets.sets);
    return BERTH_PLACE_OK;
}
