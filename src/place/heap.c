#include "place/heap.h"

#define MOST_OPEN 4096
#define MOST_UNORDERED 512
#define GLANCES 8 /* at hosts cost as much as one that the filter refuses in full */

static void sift_up(const Heap *heap, uint32_t at, uint32_t host)
{
    uint32_t *hosts = heap->hosts;

    while (at > 0 && fleet_before(heap->place, host, hosts[(at - 1) / 4])) {
        hosts[at] = hosts[(at - 1) / 4];
        heap->at[hosts[at]] = heap->tag | at;
        at = (at - 1) / 4;
    }
    hosts[at] = host;
    heap->at[host] = heap->tag | at;
}

static void sift_down(const Heap *heap, uint32_t count, uint32_t at, uint32_t host)
{
    uint32_t *hosts = heap->hosts;

    for (;;) {
        uint32_t first = 4 * at + 1, least = first;
        if (first >= count) {
            break;
        }
        for (uint32_t i = first + 1; i < first + 4 && i < count; i++) {
            least = fleet_before(heap->place, hosts[i], hosts[least]) ? i : least;
        }
        if (!fleet_before(heap->place, hosts[least], host)) {
            break;
        }
        hosts[at] = hosts[least];
        heap->at[hosts[at]] = heap->tag | at;
        at = least;
    }
    sift_up(heap, at, host);
}

void heap_push(const Heap *heap, uint32_t count, uint32_t host)
{
    sift_up(heap, count, host);
}

void heap_pull(const Heap *heap, uint32_t count, uint32_t host)
{
    uint32_t at = heap->at[host] & ~heap->tag, last = heap->hosts[count - 1];

    if (last != host) {
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
    return fleet_before(open->place, open->hosts[a], open->hosts[b]);
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

/* The first of those behind the top, without an order to go by: quicker than one by one where a rule
 * refuses whole domains, so that most hosts are passed over at a glance. */
static void offer_unordered(const BerthPlace *place, const uint32_t *hosts, uint32_t count,
                            double score, Search *search)
{
    uint32_t first = BERTH_PLACE_NONE;

    for (uint32_t at = 1; at < count; at++) {
        uint32_t host = hosts[at];
        if (!filter_shuts_host(search->filter, host) &&
            (first == BERTH_PLACE_NONE || fleet_before(place, host, first)) &&
            filter_admits(search->filter, host)) {
            first = host;
        }
    }
    search->refused += count / GLANCES;
    if (first != BERTH_PLACE_NONE) {
        search_take(search, first, score);
    }
}

/* Those behind the top, which was refused. */
static void offer_rest(const BerthPlace *place, const uint32_t *hosts, uint32_t count, double score,
                       Search *search)
{
    Frontier open;
    uint32_t at = 0;

    if (search->filter->n_shut > 0 && count <= MOST_UNORDERED) {
        offer_unordered(place, hosts, count, score, search);
        return;
    }

    open.place = place;
    open.hosts = hosts;
    open.n = 0;
    do {
        if (open.n + 4 > MOST_OPEN) {
            search_give_up(search);
            return;
        }
        for (uint32_t i = 4 * at + 1; i <= 4 * at + 4 && i < count; i++) {
            open_place(&open, i);
        }
        if (open.n == 0) {
            return;
        }
        at = first_place(&open);
    } while (!search_take(search, hosts[at], score) && !search_is_over(search));
}

void heap_offer(const BerthPlace *place, const uint32_t *hosts, uint32_t count, double score,
                Search *search)
{
    if (!search_take(search, hosts[0], score) && count > 1) {
        offer_rest(place, hosts, count, score, search);
    }
}
