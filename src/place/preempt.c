#include "place/preempt.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_NODES 1000000

/* A set of victims on one host, by their ranks there. */
typedef struct {
    uint32_t host; /* index among the candidates */
    uint32_t n;
    uint32_t victims[BERTH_PREEMPT_MAX_VICTIMS]; /* indices, unsorted */
    int32_t priority;                            /* the highest */
    int64_t since[BERTH_PREEMPT_MAX_VICTIMS];    /* rising: the oldest first */
} Set;

typedef struct {
    uint32_t index; /* among the host's victims */
    const BerthPreemptVictim *victim;
} Ranked;

typedef struct {
    BerthPlace *place;
    const BerthPlaceRequest *request;
    uint32_t n_dims;
    uint64_t nodes, limit;
    bool found;
    Set best;

    /* Of the host at hand. */
    const BerthPreemptHost *host;
    uint32_t host_index;
    Ranked *ranked; /* the least valuable first: by priority, then the youngest */
    int64_t *most;  /* [rank][dim]: the largest of one victim from this rank on */
    int64_t lacks[BERTH_PLACE_MAX_DIMS];
    bool some_leave, hopeless;
    Set set;
} Search;

static int by_value(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    if (x->victim->priority != y->victim->priority) {
        return x->victim->priority < y->victim->priority ? -1 : 1;
    }
    if (x->victim->since != y->victim->since) {
        return x->victim->since > y->victim->since ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_age(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Whether one set is to be preferred to another of as many. */
static bool is_better(const Set *one, const Set *other)
{
    if (one->n != other->n) {
        return one->n < other->n;
    }
    if (one->priority != other->priority) {
        return one->priority < other->priority;
    }
    for (uint32_t i = 0; i < one->n; i++) {
        if (one->since[i] != other->since[i]) {
            return one->since[i] > other->since[i];
        }
    }
    return one->host < other->host;
}

static void complete(const Search *search, Set *set)
{
    set->host = search->host_index;
    set->priority = INT32_MIN;
    for (uint32_t i = 0; i < set->n; i++) {
        const BerthPreemptVictim *victim = &search->host->victims[set->victims[i]];
        set->priority = victim->priority > set->priority ? victim->priority : set->priority;
        set->since[i] = victim->since;
    }
    qsort(set->since, set->n, sizeof *set->since, by_age);
}

/* Of its holdings the first `n`. */
static void take_back(BerthPlace *place, uint32_t host, const BerthPreemptVictim *victim,
                      uint32_t n)
{
    while (n > 0) {
        const BerthPreemptHolding *holding = &victim->holdings[--n];
        berth_place_take_devices(place, host, holding->slices, holding->devices);
    }
}

/* What a victim holds is given back: all of it or nothing. */
static bool give_up(BerthPlace *place, uint32_t host, const BerthPreemptVictim *victim)
{
    if (berth_place_give(place, host, victim->vector) != BERTH_PLACE_OK) {
        return false;
    }
    for (uint32_t i = 0; i < victim->n_holdings; i++) {
        if (berth_place_give_devices(place, host, victim->holdings[i].slices,
                                     victim->holdings[i].devices) != BERTH_PLACE_OK) {
            take_back(place, host, victim, i);
            berth_place_take(place, host, victim->vector);
            return false;
        }
    }
    return true;
}

/* The victims leave, the host is looked at, and they come back. */
static BerthPlaceReason reason_without(Search *search, const Set *set)
{
    BerthPlaceVerdict verdict = {.reason = BERTH_PLACE_SHORT};
    uint32_t host = search->host->host, given = 0, left = 0;
    bool ok = true;
    for (; ok && given < set->n; given += ok) {
        ok = give_up(search->place, host, &search->host->victims[set->victims[given]]);
    }
    for (; ok && left < set->n; left += ok) {
        const BerthPreemptVictim *victim = &search->host->victims[set->victims[left]];
        ok = victim->stays || berth_place_leave(search->place, host, victim->groups,
                                                victim->n_groups) == BERTH_PLACE_OK;
    }
    if (ok) {
        berth_place_examine(search->place, search->request, host, &verdict);
    }
    while (left > 0) {
        const BerthPreemptVictim *victim = &search->host->victims[set->victims[--left]];
        if (!victim->stays) {
            berth_place_enter(search->place, host, victim->groups, victim->n_groups);
        }
    }
    while (given > 0) {
        const BerthPreemptVictim *victim = &search->host->victims[set->victims[--given]];
        take_back(search->place, host, victim, victim->n_holdings);
        berth_place_take(search->place, host, victim->vector);
    }
    return verdict.reason;
}

static bool still_lacks(const Search *search)
{
    for (uint32_t d = 0; d < search->n_dims; d++) {
        if (search->lacks[d] > 0) {
            return true;
        }
    }
    return false;
}

/* Amounts suffice. Where all victims stay, a rule that is broken by one set is broken by
 * all. */
static void try_set(Search *search)
{
    complete(search, &search->set);
    if (search->found && !is_better(&search->set, &search->best)) {
        return;
    }
    BerthPlaceReason reason = reason_without(search, &search->set);
    if (reason == BERTH_PLACE_CANDIDATE) {
        search->best = search->set;
        search->found = true;
    } else if (reason == BERTH_PLACE_RULE && !search->some_leave) {
        search->hopeless = true;
    }
}

static bool can_suffice(const Search *search, uint32_t rank, uint32_t picks)
{
    const int64_t *most = &search->most[(size_t)rank * search->n_dims];
    for (uint32_t d = 0; d < search->n_dims; d++) {
        if (search->lacks[d] > 0 &&
            search->lacks[d] / (int64_t)picks + (search->lacks[d] % (int64_t)picks > 0) > most[d]) {
            return false;
        }
    }
    return true;
}

static void take(Search *search, const BerthPreemptVictim *victim, int sign)
{
    for (uint32_t d = 0; d < search->n_dims; d++) {
        search->lacks[d] -= sign * victim->vector[d];
    }
}

/* All sets with `picks` more victims of these ranks. */
static void descend(Search *search, uint32_t rank, uint32_t picks)
{
    if (picks == 0) {
        if (!still_lacks(search)) {
            try_set(search);
        }
        return;
    }
    for (uint32_t r = rank; r + picks <= search->host->n_victims && !search->hopeless; r++) {
        const Ranked *ranked = &search->ranked[r];
        if (++search->nodes > search->limit || !can_suffice(search, r, picks) ||
            (search->found && search->best.n == search->set.n + picks &&
             ranked->victim->priority > search->best.priority)) {
            return;
        }
        search->set.victims[search->set.n++] = ranked->index;
        take(search, ranked->victim, 1);
        descend(search, r + 1, picks - 1);
        take(search, ranked->victim, -1);
        search->set.n--;
    }
}

/* What the host lacks as it is; false: no victim can help. */
static bool look_at(Search *search, const BerthPreemptHost *hosts, uint32_t index)
{
    BerthPlaceVerdict verdict;
    int64_t available[BERTH_PLACE_MAX_DIMS];
    search->host = &hosts[index];
    search->host_index = index;
    search->set.n = 0;
    search->hopeless = search->some_leave = false;
    if (berth_place_examine(search->place, search->request, search->host->host, &verdict) !=
            BERTH_PLACE_OK ||
        (verdict.reason != BERTH_PLACE_CANDIDATE && verdict.reason != BERTH_PLACE_SHORT &&
         verdict.reason != BERTH_PLACE_RULE && verdict.reason != BERTH_PLACE_DEVICE)) {
        return false;
    }
    berth_place_get(search->place, search->host->host, NULL, available, NULL);
    for (uint32_t d = 0; d < search->n_dims; d++) {
        int64_t asked = search->request->vector[d];
        search->lacks[d] = asked > 0 ? asked - available[d] : 0;
    }
    return true;
}

static void rank(Search *search)
{
    uint32_t n = search->host->n_victims;
    for (uint32_t i = 0; i < n; i++) {
        search->ranked[i] = (Ranked){i, &search->host->victims[i]};
        search->some_leave = search->some_leave || !search->host->victims[i].stays;
    }
    qsort(search->ranked, n, sizeof *search->ranked, by_value);
    for (uint32_t r = n; r > 0; r--) {
        int64_t *most = &search->most[(size_t)(r - 1) * search->n_dims];
        for (uint32_t d = 0; d < search->n_dims; d++) {
            int64_t own = search->ranked[r - 1].victim->vector[d];
            int64_t next = r < n ? most[search->n_dims + d] : 0;
            most[d] = own > next ? own : next;
        }
    }
}

/* Within the limit: the sets of so many victims, on every host. */
static void search_sets(Search *search, uint32_t n_hosts, const BerthPreemptHost *hosts,
                        uint32_t picks)
{
    for (uint32_t h = 0; h < n_hosts && search->nodes <= search->limit; h++) {
        if (hosts[h].n_victims >= picks && look_at(search, hosts, h)) {
            rank(search);
            descend(search, 0, picks);
        }
    }
}

/* A single pass over a host: its least valuable until it fits, less those that were not needed. */
static void grab(Search *search)
{
    Set set = {.n = 0};
    rank(search);
    bool fits = false;
    for (uint32_t r = 0; r < search->host->n_victims && set.n < BERTH_PREEMPT_MAX_VICTIMS && !fits;
         r++) {
        set.victims[set.n++] = search->ranked[r].index;
        take(search, search->ranked[r].victim, 1);
        fits = !still_lacks(search) && reason_without(search, &set) == BERTH_PLACE_CANDIDATE;
    }
    for (uint32_t i = set.n; fits && i > 0; i--) {
        Set less = set;
        memmove(&less.victims[i - 1], &less.victims[i], (set.n - i) * sizeof *less.victims);
        less.n--;
        if (reason_without(search, &less) == BERTH_PLACE_CANDIDATE) {
            set = less;
        }
    }
    complete(search, &set);
    if (fits && (!search->found || is_better(&set, &search->best))) {
        search->best = set;
        search->found = true;
    }
}

static bool is_sound(const BerthPlace *place, uint32_t n_hosts, const BerthPreemptHost *hosts,
                     uint32_t *ret_most)
{
    uint32_t most = 0;
    for (uint32_t h = 0; h < n_hosts; h++) {
        for (uint32_t v = 0; v < hosts[h].n_victims; v++) {
            for (uint32_t d = 0; d < berth_place_n_dims(place); d++) {
                int64_t amount = hosts[h].victims[v].vector[d];
                if (amount < 0 || amount > BERTH_PLACE_MAX_AMOUNT) {
                    return false;
                }
            }
        }
        most = hosts[h].n_victims > most ? hosts[h].n_victims : most;
    }
    *ret_most = most;
    return true;
}

static void search_all(Search *search, uint32_t n_hosts, const BerthPreemptHost *hosts,
                       uint32_t most)
{
    for (uint32_t h = 0; h < n_hosts && !search->found; h++) {
        if (look_at(search, hosts, h) && !still_lacks(search)) {
            try_set(search); /* the empty set */
        }
    }
    for (uint32_t picks = 1; picks <= most && picks <= BERTH_PREEMPT_MAX_VICTIMS &&
                             !search->found && search->nodes <= search->limit;
         picks++) {
        search_sets(search, n_hosts, hosts, picks);
    }
    if (search->nodes > search->limit) {
        for (uint32_t h = 0; h < n_hosts; h++) {
            if (look_at(search, hosts, h)) {
                grab(search);
            }
        }
    }
}

BerthPlaceResult berth_place_preempt(BerthPlace *place, const BerthPlaceRequest *request,
                                     uint32_t n_hosts, const BerthPreemptHost *hosts,
                                     uint64_t node_limit, BerthPreemption *ret_preemption)
{
    uint32_t most = 0;
    BerthPlaceDecision decision = {.struct_size = sizeof decision};
    BerthPlaceResult sound = berth_place_find(place, request, &decision);
    if (sound < 0) {
        return sound;
    }
    if (!is_sound(place, n_hosts, hosts, &most)) {
        return BERTH_PLACE_ERROR_AMOUNT;
    }
    Search search = {.place = place,
                     .request = request,
                     .n_dims = berth_place_n_dims(place),
                     .limit = node_limit > 0 ? node_limit : DEFAULT_NODES};
    search.ranked = calloc(most > 0 ? most : 1, sizeof *search.ranked);
    search.most = calloc((size_t)(most > 0 ? most : 1) * search.n_dims, sizeof *search.most);
    if (search.ranked == NULL || search.most == NULL) {
        free(search.ranked);
        free(search.most);
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    search_all(&search, n_hosts, hosts, most);
    free(search.ranked);
    free(search.most);
    if (!search.found) {
        return BERTH_PLACE_NO_HOST;
    }
    ret_preemption->host = hosts[search.best.host].host;
    ret_preemption->n_victims = search.best.n;
    memcpy(ret_preemption->victims, search.best.victims, sizeof search.best.victims);
    qsort(ret_preemption->victims, search.best.n, sizeof *ret_preemption->victims, by_index);
    ret_preemption->exact = search.nodes <= search.limit;
    ret_preemption->nodes = search.nodes;
    return BERTH_PLACE_OK;
}
