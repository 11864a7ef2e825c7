#include "place/heap.h"

#define FEW 64

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

/* The next host after `last` in the order, by looking at all: for where many are refused. */
static uint32_t next_host(const BerthPlace *place, const uint32_t *hosts, uint32_t count,
                          uint32_t last)
{
    uint32_t next = BERTH_PLACE_NONE;

    for (uint32_t i = 0; i < count; i++) {
        if (fleet_before(place, last, hosts[i]) &&
            (next == BERTH_PLACE_NONE || fleet_before(place, hosts[i], next))) {
            next = hosts[i];
        }
    }
    return next;
}

void heap_offer(const BerthPlace *place, const uint32_t *hosts, uint32_t count, double score,
                Search *search)
{
    uint32_t open[FEW], n = 1; /* places whose parents have been offered */

    open[0] = 0;
    while (n > 0 && !search_is_over(search)) {
        uint32_t least = 0;
        for (uint32_t i = 1; i < n; i++) {
            least = fleet_before(place, hosts[open[i]], hosts[open[least]]) ? i : least;
        }
        uint32_t at = open[least], host = hosts[at];
        if (search_take(search, host, score)) {
            return;
        }
        open[least] = open[--n];
        if (n + 4 > FEW) {
            do {
                host = next_host(place, hosts, count, host);
            } while (host != BERTH_PLACE_NONE && !search_is_over(search) &&
                     !search_take(search, host, score));
            return;
        }
        for (uint32_t i = 4 * at + 1; i <= 4 * at + 4 && i < count; i++) {
            open[n++] = i;
        }
    }
}
