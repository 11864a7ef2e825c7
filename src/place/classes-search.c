#include <math.h>

#include "place/classes.h"
#include "place/heap.h"

#define MOST_TOGETHER 2 /* areas whose banks are searched one after the other */
#define LOOKS 6 /* at rows, after which their bounds are made as tight as the open areas allow */

static const uint32_t *heap_of(const Classes *classes, const Class *class)
{
    return class->room == 1 ? &class->hosts : classes->blocks + class->hosts;
}

static void try_class(const Classes *classes, uint32_t number, Search *search)
{
    const Class *class = &classes->classes[number];
    double score;

    if (search_score(search, heap_host(heap_of(classes, class)[0]), &score)) {
        heap_offer(classes->place, heap_of(classes, class), class->count, score, search);
    }
}

/* What the words of classes must meet: the areas that rules known by now leave. All where nothing is
 * refused. */
static uint32_t open_word(const Classes *classes, uint32_t size, const Search *search)
{
    return search->filter->shut_areas != 0 && class_areas_know(classes->areas, size)
               ? class_areas_word(filter_open_areas(search->filter))
               : UINT32_MAX;
}

/* Which of 16 classes, or of the rows above 16 times as many each, have hosts there where the request
 * fits. */
static uint32_t open_rows(const Classes *classes, uint32_t level, uint32_t first, uint32_t size,
                          uint32_t word)
{
    uint32_t open = 0;

    for (uint32_t i = 0; i < 16; i++) {
        open |= (uint32_t)class_areas_meet(classes->areas, level, first + i, size, word) << i;
    }
    return open;
}

/* Of 16 classes those that have a host there, and where the request fits. */
static uint32_t open_classes(const ClassAreas *areas, uint32_t first, uint32_t size, uint32_t word)
{
    return areas->kernels->meet_words(areas->areas + first, word) &
           areas->kernels->meet_words(areas->fits + first, UINT32_C(1) << size);
}

/* The highest key of any of 16 classes that is open. */
static float highest_open(const Classes *classes, const Bank *bank, uint32_t first, uint32_t size,
                          uint32_t open)
{
    const float *keys = bank_row(bank, 0, first) + size;
    float highest = -INFINITY;

    for (; open != 0; open &= open - 1) {
        float key = keys[(size_t)(uint32_t)__builtin_ctz(open) * ROW];
        highest = key > highest ? key : highest;
    }
    return highest;
}

/* Of 16 rows above classes, of which some are open, the keys without the classes that are shut. Where few areas are
 * open the best class of a row is mostly shut, and what is left of the row would be looked at in vain; all
 * that is read here does not depend on each other, so it comes from memory together. */
static __attribute__((noinline)) void tighten(const Classes *classes, const Bank *bank,
                                              uint32_t first, uint32_t size, uint32_t word,
                                              uint32_t rows, float key[16])
{
    const ClassAreas *areas = classes->areas;
    uint32_t open[16];

    for (uint32_t left = rows; left != 0; left &= left - 1) {
        uint32_t block = (first + (uint32_t)__builtin_ctz(left)) * 16;
        __builtin_prefetch(areas->areas + block);
        __builtin_prefetch(areas->fits + block);
    }
    for (uint32_t left = rows; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left), block = (first + i) * 16;
        open[i] = open_classes(areas, block, size, word);
        for (uint32_t at = open[i]; at != 0; at &= at - 1) {
            __builtin_prefetch(bank_row(bank, 0, block + (uint32_t)__builtin_ctz(at)) + size);
        }
    }
    for (uint32_t left = rows; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        key[i] = highest_open(classes, bank, (first + i) * 16, size, open[i]);
    }
}

/* A way down a tournament. */
typedef struct {
    const Classes *classes;
    const Bank *bank;
    uint32_t size;
    bool is_of_area; /* all of its classes are in an area that is left */
    Search *search;
} Descent;

/* Of 16 rows the keys that can be as good as the best so far, a bit each; `word` as of open_word. */
static inline __attribute__((always_inline)) uint32_t promising(const Descent *way, uint32_t level,
                                                                uint32_t first, uint32_t word,
                                                                float key[16])
{
    const float *keys = bank_row(way->bank, level, first) + way->size;
    float threshold = way->search->threshold;
    uint32_t open = 0;

    if (word == UINT32_MAX) {
        for (uint32_t i = 0; i < 16; i++) {
            key[i] = keys[(size_t)i * ROW];
            open |= (uint32_t)(key[i] > -INFINITY && key[i] >= threshold) << i;
        }
        return open;
    }
    /* Few, as a rule: what is shut is not even fetched. */
    uint32_t left = level == 0 ? open_classes(way->classes->areas, first, way->size, word)
                               : open_rows(way->classes, level, first, way->size, word);
    for (; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        key[i] = keys[(size_t)i * ROW];
        open |= (uint32_t)(key[i] > -INFINITY && key[i] >= threshold) << i;
    }
    return open;
}

/* The classes under 16 rows, best first, as long as they can be as good as the best so far. */
static void descend(const Descent *way, uint32_t level, uint32_t first)
{
    const Classes *classes = way->classes;
    Search *search = way->search;
    uint32_t word = way->is_of_area ? UINT32_MAX : open_word(classes, way->size, search);
    float key[16];
    uint32_t open = promising(way, level, first, word, key);

    if (word != UINT32_MAX && level <= 1) {
        if (level == 1 && search->looks >= LOOKS) {
            tighten(classes, way->bank, first, way->size, word, open, key);
        }
        search->looks++;
    }
    while (open != 0 && !search_is_over(search)) {
        uint32_t best = (uint32_t)__builtin_ctz(open);
        for (uint32_t rest = open & (open - 1); rest != 0; rest &= rest - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(rest);
            best = key[i] > key[best] ? i : best;
        }
        if (key[best] < search->threshold) {
            return;
        }
        open &= ~(UINT32_C(1) << best);
        if (level > 0) {
            descend(way, level - 1, (first + best) * 16);
        } else {
            try_class(classes, first + best, search);
        }
        if (!way->is_of_area && word == UINT32_MAX && open != 0) { /* rules may have become known */
            word = open_word(classes, way->size, search);
            open &= word != UINT32_MAX ? open_rows(classes, level, first, way->size, word) : open;
        }
    }
}

/* The areas that are left as bits of a word, when they are so few that banks of their own are worth it and
 * there are no hosts without an area; else 0. */
static __attribute__((noinline)) uint32_t few_areas(const Classes *classes, uint32_t size,
                                                    const Search *search)
{
    const ClassAreas *areas = classes->areas;
    uint32_t word = open_word(classes, size, search), none = UINT32_C(1) << AREA_BANKS;
    uint32_t few = word & ~none;

    for (uint32_t n = 0; n < MOST_TOGETHER; n++) {
        few &= few - 1;
    }
    if (word == UINT32_MAX || few != 0 || areas->n_levels == 0) {
        return 0;
    }
    for (uint32_t row = 0; row < 16; row++) {
        if (class_areas_meet(areas, areas->n_levels, row, size, none)) {
            return 0;
        }
    }
    return word & ~none;
}

/* The best host by the banks of the areas that are left; false: they are not there. */
static bool search_areas(const Classes *classes, uint32_t size, Search *search)
{
    AreaBanks *banks = classes->area_banks;
    BerthPlacePolicy policy = search->policy;

    if (banks == NULL || banks->ready[policy] == 0 || !search->is_filtered ||
        !filter_settle(search->filter)) {
        return false;
    }
    uint32_t few = few_areas(classes, size, search);
    if (few == 0 || (few & ~banks->ready[policy]) != 0) {
        return false;
    }
    if ((few & ~banks->wanted[policy]) != 0) {
        area_banks_ask(banks, policy, few);
    }
    for (; few != 0 && !search_is_over(search); few &= few - 1) {
        const Bank *bank = &banks->banks[policy][__builtin_ctz(few)]->bank;
        Descent way = {classes, bank, size, true, search};
        if (bank->rows[0] > 0) {
            descend(&way, bank->n_levels - 1, 0);
        }
    }
    return true;
}

/* The best host by the policy's bank. */
static void search_bank(const Classes *classes, uint32_t size, Search *search)
{
    AreaBanks *banks = classes->area_banks;
    Descent way = {classes, classes->banks[search->policy], size, false, search};

    if (way.bank->rows[0] > 0) {
        descend(&way, way.bank->n_levels - 1, 0);
    }
    if (banks != NULL && search->looks > banks->patience) {
        uint32_t few = few_areas(classes, size, search);
        if ((few & (few - 1)) == 0 && (few & ~banks->wanted[search->policy]) != 0) {
            area_banks_ask(banks, search->policy, few);
        }
    }
}

void classes_search(const Classes *classes, Search *search)
{
    const BerthPlaceRequest *request = search->filter->request;
    uint32_t size = classes->kinds != NULL ? kinds_find(classes->kinds, request)
                                           : sizes_find(classes->sizes, request->vector);

    if (size != SIZES_NONE && (classes->ready[search->policy] >> size & 1) != 0) {
        if (!search_areas(classes, size, search)) {
            search_bank(classes, size, search);
        }
        return;
    }
    for (uint32_t number = 0; number < classes->n && !search_is_over(search); number++) {
        if (classes->classes[number].count > 0) {
            try_class(classes, number, search);
        }
    }
}
