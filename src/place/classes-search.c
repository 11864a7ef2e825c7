#include <math.h>

#include "place/classes.h"
#include "place/heap.h"

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

/* The classes under 16 rows, best first, as long as they can be as good as the best so far. */
static void descend(const Classes *classes, const Bank *bank, uint32_t level, uint32_t first,
                    uint32_t size, Search *search)
{
    const float *keys = bank_row(bank, level, first) + size;
    uint32_t word = open_word(classes, size, search), open = 0;
    float key[16];

    if (word == UINT32_MAX) {
        for (uint32_t i = 0; i < 16; i++) {
            key[i] = keys[(size_t)i * ROW];
            open |= (uint32_t)(key[i] > -INFINITY && key[i] >= search->threshold) << i;
        }
    } else { /* few, as a rule: what is shut is not even fetched */
        uint32_t left = open_rows(classes, level, first, size, word);
        for (; left != 0; left &= left - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(left);
            key[i] = keys[(size_t)i * ROW];
            open |= (uint32_t)(key[i] > -INFINITY && key[i] >= search->threshold) << i;
        }
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
            descend(classes, bank, level - 1, (first + best) * 16, size, search);
        } else {
            try_class(classes, first + best, search);
        }
        if (word == UINT32_MAX && open != 0) { /* rules may have become known */
            word = open_word(classes, size, search);
            open &= word != UINT32_MAX ? open_rows(classes, level, first, size, word) : open;
        }
    }
}

void classes_search(const Classes *classes, Search *search)
{
    const BerthPlaceRequest *request = search->filter->request;
    uint32_t size = classes->kinds != NULL ? kinds_find(classes->kinds, request)
                                           : sizes_find(classes->sizes, request->vector);

    if (size != SIZES_NONE && (classes->ready[search->policy] >> size & 1) != 0) {
        const Bank *bank = classes->banks[search->policy];
        if (bank->rows[0] > 0) {
            descend(classes, bank, bank->n_levels - 1, 0, size, search);
        }
        return;
    }
    for (uint32_t number = 0; number < classes->n && !search_is_over(search); number++) {
        if (classes->classes[number].count > 0) {
            try_class(classes, number, search);
        }
    }
}
