#include "place/index.h"

#include <stdlib.h>

#include "place/classes.h"
#include "place/firstfit.h"
#include "place/forest.h"
#include "place/inventory.h"

/* With fewer hosts than this, looking at each is as quick: nothing is begun. */
#define FEW_HOSTS 128

/* Work that a change does for what is wanted and not there yet: far below a millisecond. */
#define HOSTS_A_STEP 512
#define EQUIPPED_A_STEP 8
#define CLASSES_A_STEP 1024
#define AREAS_A_STEP 256
#define POSITIONS_A_STEP 4096
#define PLANTED_A_STEP 256
#define BLOCKS_A_STEP 256

/* Wanted besides the policies: first fit for vectors that are no sizes. */
#define WANTED_STAIRS (1U << 31)
#define WANTED_EQUIPPED (1U << BERTH_PLACE_FRAGMENTATION)

/* Hosts by classes, or that they are too unlike for that. */
typedef struct {
    Classes *classes;
    uint32_t entered; /* hosts below are in the classes; UINT32_MAX: all */
    bool is_crowded;
} Herd;

struct Index {
    /* Policies asked for, bit by bit. The only thing that a search writes; searches may run at the
     * same time, so it is atomic. */
    _Atomic uint32_t wanted;
    Sizes sizes;
    FirstFit *first;
    Herd plain;    /* where it is crowded, forests serve */
    Herd equipped; /* by devices, for the policy that looks at them */
    Kinds kinds;   /* what is asked of these */
    Forest *forests[N_FAMILIES];
    uint32_t planted[N_FAMILIES]; /* hosts below are in; UINT32_MAX: all */
};

Index *index_new(const BerthPlace *place)
{
    Index *index = calloc(1, sizeof *index);

    if (index != NULL) {
        sizes_init(&index->sizes, place->n_dims);
    }
    return index;
}

static void drop_forest(Index *index, uint32_t family)
{
    forest_free(index->forests[family]);
    index->forests[family] = NULL;
    index->planted[family] = 0;
}

static void drop_herd(Herd *herd)
{
    classes_free(herd->classes);
    *herd = (Herd){.classes = NULL};
}

static void drop_parts(Index *index)
{
    firstfit_free(index->first);
    drop_herd(&index->plain);
    drop_herd(&index->equipped);
    for (uint32_t i = 0; i < N_FAMILIES; i++) {
        drop_forest(index, i);
    }
    index->first = NULL;
}

void index_free(Index *index)
{
    if (index != NULL) {
        drop_parts(index);
        free(index);
    }
}

void index_reset(BerthPlace *place)
{
    drop_parts(place->index);
}

static void forget_size(Index *index, uint32_t size)
{
    if (size == SIZES_NONE) {
        return;
    }
    if (index->plain.classes != NULL) {
        classes_forget_size(index->plain.classes, size);
    }
    if (index->first != NULL) {
        firstfit_forget_size(index->first, size);
    }
}

void index_taken(BerthPlace *place, const int64_t *vector)
{
    forget_size(place->index, sizes_count(&place->index->sizes, vector));
}

/* More classes than this, and hosts are too unlike: the classes cost more than they save. */
static uint32_t most_classes(const BerthPlace *place)
{
    return place->slots / 3 + 64;
}

static void give_up_classes(Herd *herd)
{
    drop_herd(herd);
    herd->is_crowded = true;
}

static void begin_herd(const BerthPlace *place, Herd *herd)
{
    Index *index = place->index;
    bool by_devices = herd == &index->equipped;

    if (by_devices) {
        kinds_init(&index->kinds, place->inventory->workload);
    }
    herd->classes = by_devices ? classes_new(place, &index->sizes, place->slots, &index->kinds)
                               : classes_new(place, &index->sizes, most_classes(place), NULL);
    herd->entered = 0;
    herd->is_crowded = herd->classes == NULL;
}

static void enter_hosts(BerthPlace *place, Herd *herd, uint32_t steps)
{
    if (herd->classes == NULL) {
        begin_herd(place, herd);
    }
    if (herd->is_crowded) {
        return;
    }
    for (; herd->entered < place->slots && steps > 0; herd->entered++, steps--) {
        if (place->states[herd->entered] == FLEET_ENABLED &&
            !classes_enter(herd->classes, herd->entered)) {
            give_up_classes(herd);
            return;
        }
    }
    if (herd->entered >= place->slots) {
        herd->entered = UINT32_MAX;
    }
}

static bool is_complete(const Herd *herd)
{
    return herd->classes != NULL && herd->entered == UINT32_MAX;
}

/* Whether classes by devices are of use and not complete. */
static bool needs_equipped(const BerthPlace *place)
{
    const Herd *herd = &place->index->equipped;

    return place->inventory != NULL && place->inventory->workload != NULL && !herd->is_crowded &&
           !is_complete(herd);
}

static void refresh_herd(const BerthPlace *place, Herd *herd, uint32_t host)
{
    if (herd->classes == NULL) {
        return;
    }
    if (classes_has(herd->classes, host)) {
        classes_leave(herd->classes, host);
    }
    if (host < herd->entered && place->states[host] == FLEET_ENABLED &&
        !classes_enter(herd->classes, host)) {
        give_up_classes(herd);
    }
}

/* Whether most hosts are idle again, so that there may be few classes. */
static bool is_sparse(const BerthPlace *place, const Forest *forest)
{
    return (forest->n_in_trees + forest->n_odd) * 8 < place->n_hosts;
}

static void plant_hosts(BerthPlace *place, uint32_t family, uint32_t steps)
{
    Index *index = place->index;
    uint32_t *planted = &index->planted[family];

    if (index->forests[family] == NULL) {
        index->forests[family] = forest_new(place, (Family)family);
        if (index->forests[family] == NULL) {
            return;
        }
        *planted = 0;
    }
    for (; *planted < place->slots && steps > 0; ++*planted, steps--) {
        if (place->states[*planted] == FLEET_ENABLED &&
            !forest_enter(index->forests[family], *planted)) {
            drop_forest(index, family);
            return;
        }
    }
    if (*planted >= place->slots) {
        *planted = UINT32_MAX;
    }
}

/* Where hosts are too unlike for classes. */
static void work_in_forests(BerthPlace *place, uint32_t wanted)
{
    Index *index = place->index;

    for (; wanted != 0; wanted &= wanted - 1) {
        BerthPlacePolicy policy = (BerthPlacePolicy)__builtin_ctz(wanted);
        Family family = forest_family(policy);
        if (policy == BERTH_PLACE_MIX) {
            continue;
        }
        if (index->planted[family] != UINT32_MAX) {
            plant_hosts(place, family, PLANTED_A_STEP);
            return;
        }
        if (is_sparse(place, index->forests[family])) {
            for (uint32_t i = 0; i < N_FAMILIES; i++) {
                drop_forest(index, i);
            }
            index->plain.is_crowded = false;
            return;
        }
    }
}

static void refresh_forest(BerthPlace *place, uint32_t family, uint32_t host)
{
    Index *index = place->index;
    Forest *forest = index->forests[family];
    bool is_in = forest_has(forest, host), is_right = true;

    if (place->states[host] != FLEET_ENABLED) {
        is_right = !is_in || forest_leave(forest, host);
    } else if (is_in) {
        is_right = forest_move(forest, host);
    } else if (host < index->planted[family]) {
        is_right = forest_enter(forest, host);
    }
    if (!is_right) {
        drop_forest(index, family);
    }
}

/* Whether classes should know the areas of their hosts: where rules refuse some, of several. */
static bool wants_areas(const BerthPlace *place)
{
    const Relations *relations = place->relations;

    return relations != NULL && relations->n_parting > 0 &&
           (relations->areas & (relations->areas - 1)) != 0;
}

/* A step towards what is wanted. */
static void work(BerthPlace *place, uint32_t wanted)
{
    Index *index = place->index;

    if ((wanted & 1U << BERTH_PLACE_FIRST_FIT) != 0) {
        if (index->first == NULL) {
            index->first = firstfit_new(place, &index->sizes);
        } else if (!firstfit_is_swept(index->first)) {
            firstfit_sweep(index->first, POSITIONS_A_STEP);
        } else if (!firstfit_has_districts(index->first)) {
            firstfit_sweep_districts(index->first, BLOCKS_A_STEP);
        } else if ((wanted & WANTED_STAIRS) != 0) {
            firstfit_sweep_stairs(index->first, BLOCKS_A_STEP);
        }
    }
    if ((wanted & WANTED_EQUIPPED) != 0 && needs_equipped(place)) {
        enter_hosts(place, &index->equipped, EQUIPPED_A_STEP);
    }
    wanted &= ~(1U << BERTH_PLACE_FIRST_FIT | WANTED_STAIRS | WANTED_EQUIPPED);
    if (index->plain.is_crowded) {
        work_in_forests(place, wanted);
        return;
    }
    if (wanted == 0) {
        return;
    }
    if (!is_complete(&index->plain)) {
        enter_hosts(place, &index->plain, HOSTS_A_STEP);
        return;
    }
    for (; wanted != 0; wanted &= wanted - 1) {
        BerthPlacePolicy policy = (BerthPlacePolicy)__builtin_ctz(wanted);
        if (policy != BERTH_PLACE_MIX && !classes_is_swept(index->plain.classes, policy)) {
            classes_sweep(index->plain.classes, policy, CLASSES_A_STEP);
            return;
        }
    }
    if (wants_areas(place) && !classes_have_areas(index->plain.classes)) {
        classes_sweep_areas(index->plain.classes, AREAS_A_STEP);
    }
}

void index_host_moved(BerthPlace *place, uint32_t host)
{
    if (place->index->first != NULL) {
        firstfit_host_moved(place->index->first, host);
    }
    if (place->index->plain.classes != NULL) {
        classes_host_moved(place->index->plain.classes, host);
    }
}

void index_refresh(BerthPlace *place, uint32_t host)
{
    Index *index = place->index;
    uint32_t wanted = index->wanted;

    if (index->first != NULL && !firstfit_refresh(index->first, host)) {
        firstfit_free(index->first);
        index->first = NULL;
    }
    refresh_herd(place, &index->plain, host);
    refresh_herd(place, &index->equipped, host);
    for (uint32_t i = 0; i < N_FAMILIES; i++) {
        if (index->forests[i] != NULL) {
            refresh_forest(place, i, host);
        }
    }
    if (wanted != 0) {
        work(place, wanted);
    }
}

void index_devices_changed(BerthPlace *place, uint32_t host)
{
    Index *index = place->index;

    refresh_herd(place, &index->equipped, host);
    if ((index->wanted & WANTED_EQUIPPED) != 0) {
        work(place, WANTED_EQUIPPED);
    }
}

void index_workload_changed(BerthPlace *place)
{
    drop_herd(&place->index->equipped);
}

static bool is_planted(const Index *index, const Filter *filter)
{
    return index->planted[forest_family(filter->request->policy)] == UINT32_MAX;
}

bool index_find(Filter *filter, BerthPlaceVerdict *ret_best)
{
    const BerthPlace *place = filter->place;
    Index *index = place->index;
    uint32_t bit = 1U << filter->request->policy;
    Search search;

    if (place->n_hosts < FEW_HOSTS && index->wanted == 0) {
        return false;
    }
    if ((index->wanted & bit) == 0) {
        index->wanted |= bit;
    }
    if (filter->request->policy == BERTH_PLACE_FIRST_FIT && (index->wanted & WANTED_STAIRS) == 0 &&
        index->first != NULL && !firstfit_is_ready(index->first, filter->request->vector)) {
        index->wanted |= WANTED_STAIRS;
    }
    search_begin(&search, filter);
    filter_fetch(filter);
    if (filter->request->policy == BERTH_PLACE_FIRST_FIT && index->first != NULL) {
        firstfit_search(index->first, &search);
    } else if (filter->request->policy == BERTH_PLACE_FRAGMENTATION) {
        if (!is_complete(&index->equipped)) {
            return false;
        }
        classes_search(index->equipped.classes, &search);
    } else if (is_complete(&index->plain)) {
        classes_search(index->plain.classes, &search);
    } else if (filter->request->policy != BERTH_PLACE_MIX && is_planted(index, filter)) {
        forest_search(index->forests[forest_family(filter->request->policy)], &search);
    } else {
        return false;
    }
    if (search_is_over(&search)) {
        return false;
    }
    *ret_best = search.best;
    if (search.best.host != BERTH_PLACE_NONE) {
        ret_best->reason = BERTH_PLACE_CANDIDATE;
        ret_best->penalty = filter_penalty(filter, search.best.host);
    }
    return true;
}

/* Whether there is no work left for a policy. */
static bool is_prepared(const BerthPlace *place, BerthPlacePolicy policy)
{
    const Index *index = place->index;

    if (policy == BERTH_PLACE_FIRST_FIT) {
        return index->first != NULL && firstfit_is_swept(index->first) &&
               firstfit_has_districts(index->first) &&
               ((index->wanted & WANTED_STAIRS) == 0 ||
                (index->first->stairs != NULL && stairs_are_swept(index->first->stairs)));
    }
    if (policy == BERTH_PLACE_FRAGMENTATION) {
        return !needs_equipped(place);
    }
    if (index->plain.is_crowded) {
        return policy == BERTH_PLACE_MIX || index->planted[forest_family(policy)] == UINT32_MAX;
    }
    return is_complete(&index->plain) &&
           (policy == BERTH_PLACE_MIX || classes_is_swept(index->plain.classes, policy)) &&
           (!wants_areas(place) || classes_have_areas(index->plain.classes));
}

void index_prepare(BerthPlace *place, BerthPlacePolicy policy, const int64_t *vector)
{
    Index *index = place->index;
    uint32_t bit = 1U << policy;

    if (vector != NULL) {
        forget_size(index, sizes_admit(&index->sizes, vector));
    } else if (policy == BERTH_PLACE_FIRST_FIT) {
        bit |= WANTED_STAIRS;
    }
    index->wanted |= bit;
    for (uint32_t i = 0; i < place->slots && !is_prepared(place, policy); i++) {
        work(place, bit);
    }
}

const char *index_check(const BerthPlace *place)
{
    const Index *index = place->index;
    const char *broken = NULL;

    if (index->first != NULL) {
        broken = firstfit_check(index->first);
    }
    if (broken == NULL && index->plain.classes != NULL) {
        broken = classes_check(index->plain.classes);
    }
    if (broken == NULL && index->equipped.classes != NULL) {
        broken = classes_check(index->equipped.classes);
    }
    for (uint32_t i = 0; i < N_FAMILIES && broken == NULL; i++) {
        if (index->forests[i] != NULL) {
            broken = forest_check(index->forests[i]);
        }
    }
    return broken;
}
