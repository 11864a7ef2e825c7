#include <math.h>

#include "place/classes.h"

#define FEW 64

static const uint32_t *heap_of(const Classes *classes, const Class *class)
{
    return class->room == 1 ? &class->hosts : classes->blocks + class->hosts;
}

/* The next host after `last` in the order, by looking at all: for a class where many are refused. */
static uint32_t next_host(const Classes *classes, const Class *class, uint32_t last)
{
    const uint32_t *heap = heap_of(classes, class);
    uint32_t next = CLASSES_NONE;

    for (uint32_t i = 0; i < class->count; i++) {
        if (fleet_before(classes->place, last, heap[i]) &&
            (next == CLASSES_NONE || fleet_before(classes->place, heap[i], next))) {
            next = heap[i];
        }
    }
    return next;
}

/* Offers the hosts of a class in their order until one is taken. `open` are places in the heap whose
 * parents have been offered; the first of them comes next. */
static void offer(const Classes *classes, const Class *class, Search *search, double score)
{
    const uint32_t *heap = heap_of(classes, class);
    uint32_t open[FEW], n = 1;

    open[0] = 0;
    while (n > 0 && !search_is_over(search)) {
        uint32_t least = 0;
        for (uint32_t i = 1; i < n; i++) {
            least = fleet_before(classes->place, heap[open[i]], heap[open[least]]) ? i : least;
        }
        uint32_t at = open[least], host = heap[at];
        if (search_take(search, host, score)) {
            return;
        }
        open[least] = open[--n];
        if (n + 4 > FEW) {
            do {
                host = next_host(classes, class, host);
            } while (host != CLASSES_NONE && !search_is_over(search) &&
                     !search_take(search, host, score));
            return;
        }
        for (uint32_t i = 4 * at + 1; i <= 4 * at + 4 && i < class->count; i++) {
            open[n++] = i;
        }
    }
}

static void try_class(const Classes *classes, uint32_t number, Search *search)
{
    const Class *class = &classes->classes[number];
    double score;

    if (search_score(search, heap_of(classes, class)[0], &score)) {
        offer(classes, class, search, score);
    }
}

/* The classes under 16 rows, best first, as long as they can be as good as the best so far. */
static void descend(const Classes *classes, const Bank *bank, uint32_t level, uint32_t first,
                    uint32_t size, Search *search)
{
    const float *keys = bank_row(bank, level, first) + size;
    float key[16];
    uint32_t open = 0;

    for (uint32_t i = 0; i < 16; i++) {
        key[i] = keys[(size_t)i * ROW];
        open |= (uint32_t)(key[i] > -INFINITY && key[i] >= search->threshold) << i;
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
    }
}

void classes_search(const Classes *classes, Search *search)
{
    uint32_t size = sizes_find(classes->sizes, search->filter->request->vector);

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
