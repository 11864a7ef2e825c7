#include "place/firstfit.h"

#include <stdlib.h>
#include <string.h>

#define NONE BERTH_PLACE_NONE
#define SPARE_ROOM 64

typedef struct {
    uint64_t order;
    uint32_t host;
} Ranked;

static int compare_ranked(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;

    if (x->order != y->order) {
        return x->order < y->order ? -1 : 1;
    }
    return x->host < y->host ? -1 : x->host > y->host;
}

/* Ranks all hosts, disabled ones too: they keep their place. */
static bool rank(FirstFit *first)
{
    const BerthPlace *place = first->place;
    Ranked *ranked = malloc((place->n_hosts + 1) * sizeof *ranked);

    first->hosts = malloc(first->room * sizeof *first->hosts);
    first->positions = malloc(place->slots * sizeof *first->positions);
    if (ranked == NULL || first->hosts == NULL || first->positions == NULL) {
        free(ranked);
        return false;
    }
    memset(first->hosts, 0xff, first->room * sizeof *first->hosts);
    memset(first->positions, 0xff, place->slots * sizeof *first->positions);
    for (uint32_t host = 0; host < place->slots; host++) {
        if (place->states[host] != FLEET_EMPTY) {
            ranked[first->end++] = (Ranked){place->orders[host], host};
        }
    }
    qsort(ranked, first->end, sizeof *ranked, compare_ranked);
    for (uint32_t i = 0; i < first->end; i++) {
        first->hosts[i] = ranked[i].host;
        first->positions[ranked[i].host] = i;
    }
    free(ranked);
    return true;
}

FirstFit *firstfit_new(const BerthPlace *place, const Sizes *sizes)
{
    FirstFit *first = calloc(1, sizeof *first);
    if (first == NULL) {
        return NULL;
    }
    first->place = place;
    first->sizes = sizes;
    first->kernels = kernels_get();
    first->room = place->slots;
    if (place->orders != NULL) {
        first->room += place->slots / 4 + SPARE_ROOM;
    }
    first->room = (first->room + 15) / 16 * 16;
    bool is_made = place->orders == NULL || rank(first);
    if (place->orders == NULL) {
        first->end = place->slots;
    }
    for (uint32_t nodes = first->room; is_made && first->n_levels < FIRSTFIT_LEVELS;
         nodes = (nodes + 15) / 16) {
        uint32_t *masks = calloc((nodes + 15) / 16 * 16, sizeof *masks);
        first->masks[first->n_levels++] = masks;
        is_made = masks != NULL;
        if (nodes <= 16) {
            break;
        }
    }
    if (!is_made) {
        firstfit_free(first);
        return NULL;
    }
    return first;
}

void firstfit_free(FirstFit *first)
{
    if (first != NULL) {
        for (uint32_t i = 0; i < first->n_levels; i++) {
            free(first->masks[i]);
        }
        stairs_free(first->stairs);
        districts_free(first->districts);
        free(first->hosts);
        free(first->positions);
        free(first);
    }
}

static uint32_t host_at(const FirstFit *first, uint32_t position)
{
    return first->hosts != NULL ? first->hosts[position] : position;
}

/* The sizes that fit a host now; none for one that is no candidate. */
static uint32_t mask_of(const FirstFit *first, uint32_t position)
{
    const BerthPlace *place = first->place;
    uint32_t host = host_at(first, position);
    int64_t available[BERTH_PLACE_MAX_DIMS];
    float rounded[BERTH_PLACE_MAX_DIMS];

    if (host >= place->slots || place->states[host] != FLEET_ENABLED) {
        return 0;
    }
    fleet_available(place, host, available);
    for (uint32_t d = 0; d < place->n_dims; d++) {
        rounded[d] = available[d] > 0 ? (float)available[d] : 0;
    }
    return first->kernels->fits(first->sizes->needs, place->n_dims, sizes_width(first->sizes),
                                rounded);
}

static uint32_t union_of(const uint32_t *masks)
{
    uint32_t all = 0;

    for (uint32_t i = 0; i < 16; i++) {
        all |= masks[i];
    }
    return all;
}

static void set_mask(FirstFit *first, uint32_t node, uint32_t mask)
{
    for (uint32_t level = 0; level < first->n_levels && first->masks[level][node] != mask;
         level++) {
        first->masks[level][node] = mask;
        node /= 16;
        mask = union_of(first->masks[level] + node * 16);
    }
}

bool firstfit_refresh(FirstFit *first, uint32_t host)
{
    const BerthPlace *place = first->place;
    uint32_t position = host;

    if (first->hosts == NULL && place->orders != NULL) {
        return false;
    }
    if (first->hosts != NULL) {
        position = first->positions[host];
        if (position == NONE) {
            if (first->end == first->room ||
                (first->end > 0 && (first->hosts[first->end - 1] == NONE ||
                                    !fleet_before(place, first->hosts[first->end - 1], host)))) {
                return false;
            }
            position = first->end++;
            first->positions[host] = position;
            first->hosts[position] = host;
            firstfit_host_moved(first, host);
        } else if (place->states[host] == FLEET_EMPTY) {
            first->hosts[position] = NONE;
            first->positions[host] = NONE;
            while (first->end > 0 && first->hosts[first->end - 1] == NONE) {
                first->end--;
            }
        }
    }
    set_mask(first, position, mask_of(first, position));
    if (first->stairs != NULL) {
        stairs_refresh(first->stairs, position);
    }
    return true;
}

bool firstfit_is_swept(const FirstFit *first)
{
    return first->swept == UINT32_MAX;
}

void firstfit_sweep(FirstFit *first, uint32_t steps)
{
    for (; first->swept < first->end && steps > 0; first->swept++, steps--) {
        set_mask(first, first->swept, mask_of(first, first->swept));
    }
    if (first->swept >= first->end) {
        first->swept = UINT32_MAX;
        first->ready = UINT32_MAX;
    }
}

static bool has_bit(const FirstFit *first, const int64_t *vector, uint32_t *ret_size)
{
    *ret_size = sizes_find(first->sizes, vector);
    return *ret_size != SIZES_NONE && (first->ready >> *ret_size & 1) != 0;
}

bool firstfit_is_ready(const FirstFit *first, const int64_t *vector)
{
    uint32_t size;

    return has_bit(first, vector, &size) ||
           (first->stairs != NULL && stairs_are_swept(first->stairs));
}

void firstfit_sweep_stairs(FirstFit *first, uint32_t steps)
{
    if (first->stairs == NULL) {
        first->stairs = stairs_new(first->place, first->hosts, first->room);
    }
    if (first->stairs != NULL) {
        stairs_sweep(first->stairs, steps);
    }
}

bool firstfit_has_districts(const FirstFit *first)
{
    const Relations *relations = first->place->relations;

    return relations == NULL || relations->n_levels == 1 ||
           (first->districts != NULL && districts_are_swept(first->districts));
}

void firstfit_sweep_districts(FirstFit *first, uint32_t steps)
{
    if (first->districts == NULL) {
        first->districts = districts_new(first->place, first->hosts, first->room);
    }
    if (first->districts != NULL) {
        districts_sweep(first->districts, steps);
    }
}

void firstfit_host_moved(FirstFit *first, uint32_t host)
{
    if (first->districts == NULL) {
        return;
    }
    uint32_t position = first->hosts != NULL ? first->positions[host] : host;
    if (position != NONE) {
        districts_refresh(first->districts, position);
    }
}

void firstfit_forget_size(FirstFit *first, uint32_t size)
{
    first->ready &= ~(UINT32_C(1) << size);
    first->swept = 0;
}

static bool try_host(Search *search, uint32_t host)
{
    double score;

    return search_score(search, host, &score) && search_take(search, host, score);
}

/* Of 16 nodes those that have a host in an area that the rules known by now leave to the request. */
static uint32_t open_nodes(const FirstFit *first, uint32_t level, uint32_t nodes,
                           const Search *search)
{
    uint64_t shut = search->filter->shut_areas;

    if (level == 0 || shut == 0 || first->districts == NULL ||
        !districts_are_swept(first->districts)) {
        return UINT32_MAX;
    }
    return first->kernels->meet_long_words(first->districts->areas[level - 1] + nodes, ~shut);
}

/* The first host below 16 nodes that is taken. */
static bool descend(const FirstFit *first, uint32_t level, uint32_t nodes, uint32_t size,
                    Search *search)
{
    uint64_t shut = search->filter->shut_areas;
    uint32_t open = first->kernels->meet_words(first->masks[level] + nodes, UINT32_C(1) << size) &
                    open_nodes(first, level, nodes, search);

    if (level == 0 && search->is_filtered && first->districts != NULL &&
        districts_are_swept(first->districts)) {
        search->areas = first->districts->areas[0][nodes / 16];
    }

    while (open != 0 && !search_is_over(search)) {
        uint32_t node = nodes + (uint32_t)__builtin_ctz(open);
        open &= open - 1;
        if (level > 0 && districts_skip(first->districts, search->filter, level - 1, node)) {
            continue;
        }
        if (level > 0 ? descend(first, level - 1, node * 16, size, search)
                      : try_host(search, host_at(first, node))) {
            return true;
        }
        if (shut != search->filter->shut_areas) { /* they have become known */
            shut = search->filter->shut_areas;
            open &= open_nodes(first, level, nodes, search);
        }
    }
    return false;
}

void firstfit_search(const FirstFit *first, Search *search)
{
    uint32_t size;

    if (has_bit(first, search->filter->request->vector, &size)) {
        if (search
                ->is_filtered) { /* the way is so short that to go it twice costs more than to wait */
            filter_settle(search->filter);
        }
        descend(first, first->n_levels - 1, 0, size, search);
        return;
    }
    if (first->stairs != NULL && stairs_are_swept(first->stairs)) {
        stairs_search(first->stairs, first->districts, search);
        return;
    }
    for (uint32_t position = 0; position < first->end && !search_is_over(search); position++) {
        uint32_t host = host_at(first, position);
        if (host != NONE && first->place->states[host] == FLEET_ENABLED && try_host(search, host)) {
            return;
        }
    }
}

const char *firstfit_check(const FirstFit *first)
{
    uint32_t last = NONE;

    for (uint32_t position = 0; position < first->end; position++) {
        uint32_t host = host_at(first, position);
        if (host == NONE) {
            continue;
        }
        if (first->hosts != NULL && first->positions[host] != position) {
            return "a host is where first-fit has it";
        }
        if (last != NONE && !fleet_before(first->place, last, host)) {
            return "first-fit has the hosts in their order";
        }
        last = host;
        if (first->ready != 0 &&
            (~first->masks[0][position] & mask_of(first, position) & first->ready) != 0) {
            return "first-fit knows every size that fits a host";
        }
    }
    const char *broken = first->stairs != NULL ? stairs_check(first->stairs) : NULL;
    return broken == NULL && first->districts != NULL ? districts_check(first->districts) : broken;
}
