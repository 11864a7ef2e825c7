#include "place/heap.h"

#define MOST_OPEN 4096
#define MOST_UNORDERED 512
#define PATIENCE 6
#define GLANCES 8 /* at hosts cost as much as one that the filter refuses in full */

_Static_assert(BERTH_PLACE_MAX_HOSTS <= UINT32_C(1) << HEAP_AREA_SHIFT,
               "a host and its area share a word");

static bool comes_before(const BerthPlace *place, uint32_t entry, uint32_t other)
{
    return fleet_before(place, heap_host(entry), heap_host(other));
}

static void put(const Heap *heap, uint32_t at, uint32_t entry)
{
    heap->hosts[at] = entry;
    heap->at[heap_host(entry)] = heap->tag | at;
}

static void sift_up(const Heap *heap, uint32_t at, uint32_t entry)
{
    while (at > 0 && comes_before(heap->place, entry, heap->hosts[(at - 1) / 4])) {
        put(heap, at, heap->hosts[(at - 1) / 4]);
        at = (at - 1) / 4;
    }
    put(heap, at, entry);
}

static void sift_down(const Heap *heap, uint32_t count, uint32_t at, uint32_t entry)
{
    uint32_t *hosts = heap->hosts;

    for (;;) {
        uint32_t first = 4 * at + 1, least = first;
        if (first >= count) {
            break;
        }
        for (uint32_t i = first + 1; i < first + 4 && i < count; i++) {
            least = comes_before(heap->place, hosts[i], hosts[least]) ? i : least;
        }
        if (!comes_before(heap->place, hosts[least], entry)) {
            break;
        }
        put(heap, at, hosts[least]);
        at = least;
    }
    sift_up(heap, at, entry);
}

void heap_push(const Heap *heap, uint32_t count, uint32_t entry)
{
    sift_up(heap, count, entry);
}

void heap_pull(const Heap *heap, uint32_t count, uint32_t host)
{
    uint32_t at = heap->at[host] & ~heap->tag, last = heap->hosts[count - 1];

    if (heap_host(last) != host) {
        sift_down(heap, count - 1, at, last);
    }
}

/* Places in a heap of hosts whose parents have been offered: a heap of its own, of two children. */
typedef struct {
    const BerthPlace *place;
    const uint32_t *hosts;
    uint32_t at[MOST_OPEN], n;
} Frontier;

static bool is_before(const Frontier *open, uint32_t a, uint32_t b)
{
    return comes_before(open->place, open->hosts[a], open->hosts[b]);
}

static void open_place(Frontier *open, uint32_t place)
{
    uint32_t i = open->n++;

    while (i > 0 && is_before(open, place, open->at[(i - 1) / 2])) {
        open->at[i] = open->at[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    open->at[i] = place;
}

static uint32_t first_place(Frontier *open)
{
    uint32_t first = open->at[0], last = open->at[--open->n], i = 0;

    for (uint32_t child = 1; child < open->n; child = 2 * i + 1) {
        child += child + 1 < open->n && is_before(open, open->at[child + 1], open->at[child]);
        if (!is_before(open, open->at[child], last)) {
            break;
        }
        open->at[i] = open->at[child];
        i = child;
    }
    open->at[i] = last;
    return first;
}

/* Whether a rule refuses the area of a host, as far as both are known. */
static bool is_in_shut_area(const Search *search, uint32_t entry)
{
    return (heap_area_bit(entry) & search->filter->shut_areas) != 0;
}

/* The first of those behind the top, without an order to go by: quicker than one by one where a rule
 * refuses whole domains, so that most hosts are passed over at a glance. */
static void offer_unordered(const BerthPlace *place, const uint32_t *hosts, uint32_t count,
                            double score, Search *search)
{
    uint32_t first = BERTH_PLACE_NONE;

    for (uint32_t at = 1; at < count; at++) {
        uint32_t host = heap_host(hosts[at]);
        if (!is_in_shut_area(search, hosts[at]) &&
            (first == BERTH_PLACE_NONE || fleet_before(place, host, first)) &&
            !filter_shuts_host(search->filter, host) && filter_admits(search->filter, host)) {
            first = host;
        }
    }
    search->refused += count / GLANCES;
    if (first != BERTH_PLACE_NONE) {
        search_take(search, first, score);
    }
}

/* Those behind the top in their order, until one is taken; true: so many were refused that the order is
 * not worth its price, since areas tell of each host at a glance. */
static bool offer_ordered(const BerthPlace *place, const uint32_t *hosts, uint32_t count,
                          double score, Search *search)
{
    bool has_areas = search->filter->shut_areas != 0 && heap_area_bit(hosts[0]) != 0;
    Frontier open;
    uint32_t at = 0, steps = 0;

    open.place = place;
    open.hosts = hosts;
    open.n = 0;
    do {
        if (steps++ > PATIENCE && has_areas) {
            return true;
        }
        if (open.n + 4 > MOST_OPEN) {
            search_give_up(search);
            return false;
        }
        for (uint32_t i = 4 * at + 1; i <= 4 * at + 4 && i < count; i++) {
            open_place(&open, i);
        }
        if (open.n == 0) {
            return false;
        }
        at = first_place(&open);
    } while (
        (is_in_shut_area(search, hosts[at]) || !search_take(search, heap_host(hosts[at]), score)) &&
        !search_is_over(search));
    return false;
}

/* Those behind the top, which was refused. */
static void offer_rest(const BerthPlace *place, const uint32_t *hosts, uint32_t count, double score,
                       Search *search)
{
    bool is_short = search->filter->n_shut > 0 && count <= MOST_UNORDERED;

    if (is_short || offer_ordered(place, hosts, count, score, search)) {
        offer_unordered(place, hosts, count, score, search);
    }
}

void heap_offer(const BerthPlace *place, const uint32_t *hosts, uint32_t count, double score,
                Search *search)
{
    bool is_taken =
        !is_in_shut_area(search, hosts[0]) && search_take(search, heap_host(hosts[0]), score);

    if (!is_taken && count > 1) {
        offer_rest(place, hosts, count, score, search);
    }
}
