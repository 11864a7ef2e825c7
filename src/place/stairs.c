#include "place/stairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS STAIRS_STEPS
#define FAN STAIRS_FAN
#define NOTHING (-1)

/* The maxima of a block or node; steps go side by side. */
typedef int16_t Summary[BERTH_PLACE_MAX_DIMS][STEPS];

static int16_t upper_half(float amount, bool round_up)
{
    uint32_t bits;

    memcpy(&bits, &amount, sizeof bits);
    return (int16_t)((bits >> 16) + (round_up && (bits & 0xffff) != 0));
}

/* At least what a host has; of a debt nothing. */
static int16_t round_up(int64_t amount)
{
    return amount > 0 ? upper_half((float)amount, true) : 0;
}

/* At most what a request needs. */
static int16_t round_down(int64_t amount)
{
    return amount > 0 ? upper_half((float)amount, false) : 0;
}

static size_t node_size(const Stairs *stairs)
{
    return (size_t)STEPS * stairs->place->n_dims * FAN;
}

/* Powers of a ratio, up to an eighth of the largest host: larger requests are rare. */
static void choose_thresholds(Stairs *stairs)
{
    const Shapes *shapes = &stairs->place->shape_table;
    int64_t largest = 1;

    for (uint32_t host = 0; host < stairs->place->slots; host++) {
        if (stairs->place->states[host] != FLEET_EMPTY) {
            int64_t capacity = shapes_capacity(shapes, fleet_shape(stairs->place, host))[0];
            largest = capacity > largest ? capacity : largest;
        }
    }
    stairs->thresholds[0] = 0;
    for (uint32_t k = 1; k < STEPS; k++) {
        float share = powf(64, (float)(k - 1) / (STEPS - 2)) / 512;
        stairs->thresholds[k] = upper_half((float)largest * share, true);
    }
}

Stairs *stairs_new(const BerthPlace *place, const uint32_t *hosts, uint32_t positions)
{
    Stairs *stairs = calloc(1, sizeof *stairs);
    if (stairs == NULL) {
        return NULL;
    }
    stairs->place = place;
    stairs->hosts = hosts;
    stairs->n_blocks = (positions + FAN - 1) / FAN;
    choose_thresholds(stairs);
    uint32_t nodes = stairs->n_blocks;
    do {
        nodes = (nodes + FAN - 1) / FAN;
        size_t size = nodes * node_size(stairs) * sizeof(int16_t);
        int16_t *level = malloc(size);
        if (level == NULL) {
            stairs_free(stairs);
            return NULL;
        }
        memset(level, 0xff, size);
        stairs->levels[stairs->n_levels++] = level;
    } while (nodes > 1);
    return stairs;
}

void stairs_free(Stairs *stairs)
{
    if (stairs != NULL) {
        for (uint32_t i = 0; i < stairs->n_levels; i++) {
            free(stairs->levels[i]);
        }
        free(stairs);
    }
}

static uint32_t host_at(const Stairs *stairs, uint32_t position)
{
    uint32_t host = stairs->hosts != NULL ? stairs->hosts[position] : position;

    return host < stairs->place->slots && stairs->place->states[host] == FLEET_ENABLED
               ? host
               : BERTH_PLACE_NONE;
}

static void summarize(const Stairs *stairs, uint32_t block, Summary ret_summary)
{
    uint32_t n_dims = stairs->place->n_dims;
    int64_t available[BERTH_PLACE_MAX_DIMS];

    memset(ret_summary, 0xff, n_dims * sizeof *ret_summary);
    for (uint32_t i = 0; i < FAN; i++) {
        uint32_t host = host_at(stairs, block * FAN + i);
        if (host == BERTH_PLACE_NONE) {
            continue;
        }
        fleet_available(stairs->place, host, available);
        int16_t first = round_up(available[0]);
        for (uint32_t d = 0; d < n_dims; d++) {
            int16_t amount = round_up(available[d]);
            for (uint32_t k = 0; k < STEPS; k++) {
                int16_t counted = stairs->thresholds[k] <= first ? amount : NOTHING;
                ret_summary[d][k] = ret_summary[d][k] > counted ? ret_summary[d][k] : counted;
            }
        }
    }
}

static int16_t highest(const int16_t *values)
{
    int16_t most = NOTHING;

    for (uint32_t i = 0; i < FAN; i++) {
        most = values[i] > most ? values[i] : most;
    }
    return most;
}

/* Writes what a child has now into its node; the summary becomes the node's own. Where the child has
 * not changed, nor has the node, and its maximum is that in the level above. */
static bool write_child(const Stairs *stairs, uint32_t level, uint32_t child, Summary summary)
{
    uint32_t n_dims = stairs->place->n_dims, above = child / FAN;
    int16_t *node = stairs->levels[level] + above * node_size(stairs);
    const int16_t *parent = level + 1 < stairs->n_levels
                                ? stairs->levels[level + 1] + above / FAN * node_size(stairs)
                                : NULL;
    bool is_changed = false;

    for (uint32_t k = 0; k < STEPS; k++) {
        for (uint32_t d = 0; d < n_dims; d++) {
            size_t lane = ((size_t)k * n_dims + d) * FAN;
            int16_t *value = node + lane + child % FAN, now = summary[d][k];
            int16_t most = parent != NULL ? parent[lane + above % FAN] : NOTHING;
            summary[d][k] = most;
            if (*value == now) {
                continue;
            }
            bool was_most = *value == most;
            *value = now;
            summary[d][k] = now >= most ? now : was_most ? highest(node + lane) : most;
            is_changed |= summary[d][k] != most;
        }
    }
    return is_changed && parent != NULL;
}

static void refresh_block(Stairs *stairs, uint32_t block)
{
    Summary summary;

    summarize(stairs, block, summary);
    for (uint32_t level = 0; write_child(stairs, level, block, summary); level++) {
        block /= FAN;
    }
}

void stairs_sweep(Stairs *stairs, uint32_t steps)
{
    for (; !stairs_are_swept(stairs) && steps > 0; stairs->swept++, steps--) {
        refresh_block(stairs, stairs->swept);
    }
}

void stairs_refresh(Stairs *stairs, uint32_t position)
{
    if (position / FAN < stairs->swept) {
        refresh_block(stairs, position / FAN);
    }
}

typedef struct {
    const Stairs *stairs;
    Search *search;
    uint32_t step;
    int16_t needs[BERTH_PLACE_MAX_DIMS];
} Climb;

/* Without a look at the score, which is 0 for all. */
static bool try_block(const Climb *climb, uint32_t block)
{
    const BerthPlace *place = climb->stairs->place;
    const int64_t *vector = climb->search->filter->request->vector;

    for (uint32_t i = 0; i < FAN; i++) {
        uint32_t host = host_at(climb->stairs, block * FAN + i);
        if (host == BERTH_PLACE_NONE) {
            continue;
        }
        bool fits = true;
        for (uint32_t d = 0; d < place->n_dims && fits; d++) {
            fits = vector[d] == 0 ||
                   vector[d] <= amounts_at(&place->available, host, place->n_dims, d);
        }
        if (fits && search_take(climb->search, host, 0)) {
            return true;
        }
    }
    return false;
}

static bool climb_node(const Climb *climb, uint32_t level, uint32_t number)
{
    const Stairs *stairs = climb->stairs;
    uint32_t n_dims = stairs->place->n_dims;
    const int16_t *node =
        stairs->levels[level] + number * node_size(stairs) + (size_t)climb->step * n_dims * FAN;
    int16_t fits[FAN];

    memset(fits, 0xff, sizeof fits);
    for (uint32_t d = 0; d < n_dims; d++) {
        for (uint32_t i = 0; i < FAN; i++) {
            fits[i] &= (int16_t) - (node[d * FAN + i] >= climb->needs[d]);
        }
    }
    for (uint32_t i = 0; i < FAN && !search_is_over(climb->search); i++) {
        uint32_t child = number * FAN + i;
        if (fits[i] != 0 &&
            (level > 0 ? climb_node(climb, level - 1, child) : try_block(climb, child))) {
            return true;
        }
    }
    return false;
}

void stairs_search(const Stairs *stairs, Search *search)
{
    const int64_t *vector = search->filter->request->vector;
    Climb climb = {.stairs = stairs, .search = search};

    for (uint32_t d = 0; d < stairs->place->n_dims; d++) {
        climb.needs[d] = round_down(vector[d]);
    }
    while (climb.step + 1 < STEPS && stairs->thresholds[climb.step + 1] <= climb.needs[0]) {
        climb.step++;
    }
    climb_node(&climb, stairs->n_levels - 1, 0);
}

const char *stairs_check(const Stairs *stairs)
{
    uint32_t n_dims = stairs->place->n_dims;
    Summary summary;

    for (uint32_t block = 0; block < stairs->swept; block++) {
        const int16_t *node = stairs->levels[0] + block / FAN * node_size(stairs);
        summarize(stairs, block, summary);
        for (uint32_t k = 0; k < STEPS; k++) {
            for (uint32_t d = 0; d < n_dims; d++) {
                if (node[((size_t)k * n_dims + d) * FAN + block % FAN] != summary[d][k]) {
                    return "a block's maxima are those of its hosts";
                }
            }
        }
    }
    for (uint32_t level = 1; level < stairs->n_levels; level++) {
        uint32_t children = stairs->n_blocks;
        for (uint32_t i = 0; i < level; i++) {
            children = (children + FAN - 1) / FAN;
        }
        for (uint32_t i = 0; i < children * STEPS * n_dims; i++) {
            uint32_t child = i / (STEPS * n_dims), lane = i % (STEPS * n_dims);
            const int16_t *below = stairs->levels[level - 1] + child * node_size(stairs);
            const int16_t *node = stairs->levels[level] + child / FAN * node_size(stairs);
            if (node[lane * FAN + child % FAN] != highest(below + lane * FAN)) {
                return "a node's maxima are those of its children";
            }
        }
    }
    return NULL;
}
