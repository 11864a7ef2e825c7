#include "place/stairs.h"

#include <stdlib.h>
#include <string.h>

#define STEPS STAIRS_STEPS
#define FAN STAIRS_FAN
#define NOTHING 0 /* no host */
#define LEAST 1   /* the code of nothing at all, and of less than can be told apart from it */
#define MOST 255

/* The maxima of a block or node; steps go side by side. */
typedef uint8_t Summary[BERTH_PLACE_MAX_DIMS][STEPS];

/* The logarithm of an amount above 0 in sixteenths of an octave. */
static int32_t sixteenths(int64_t amount, bool round_up)
{
    float value = (float)amount;
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return (int32_t)((bits + (round_up ? (1U << 19) - 1 : 0)) >> 19);
}

static uint8_t code(const Stairs *stairs, uint32_t dim, int64_t amount, bool round_up)
{
    if (amount <= 0) {
        return LEAST;
    }
    int32_t above = sixteenths(amount, round_up) - stairs->lowest[dim];

    return (uint8_t)(above < LEAST ? LEAST : above > MOST ? MOST : above);
}

static size_t node_size(const Stairs *stairs)
{
    return (size_t)STEPS * stairs->place->n_dims * FAN;
}

static size_t block_size(const Stairs *stairs)
{
    return (size_t)stairs->place->n_dims * FAN;
}

static uint8_t *block_codes(const Stairs *stairs, uint32_t block)
{
    return stairs->codes + block * block_size(stairs);
}

/* Codes end at the largest capacity there is. Thresholds in the first dimension begin nine octaves below
 * it and end three octaves below: larger requests are rare. The first are three times as close as the
 * last, since it is the small requests that look far: the first hosts of an order are nearly full. */
static void choose_codes(Stairs *stairs)
{
    const BerthPlace *place = stairs->place;

    for (uint32_t d = 0; d < place->n_dims; d++) {
        int64_t largest = 1;
        for (uint32_t host = 0; host < place->slots; host++) {
            if (place->states[host] != FLEET_EMPTY) {
                int64_t capacity = fleet_capacity(place, host)[d];
                largest = capacity > largest ? capacity : largest;
            }
        }
        stairs->lowest[d] = sixteenths(largest, true) - MOST;
    }
    stairs->thresholds[0] = LEAST;
    for (uint32_t k = 1; k < STEPS; k++) {
        uint32_t last = STEPS - 2, at = k - 1;
        stairs->thresholds[k] =
            (uint8_t)(MOST - 16 * 9 + 16 * 6 * at * (at + last) / (2 * last * last));
    }
}

Stairs *stairs_new(const BerthPlace *place, const uint32_t *hosts, uint32_t positions)
{
    Stairs *stairs = calloc(1, sizeof *stairs);
    if (stairs == NULL) {
        return NULL;
    }
    stairs->place = place;
    stairs->kernels = kernels_get();
    stairs->hosts = hosts;
    stairs->n_blocks = (positions + FAN - 1) / FAN;
    stairs->codes = calloc(stairs->n_blocks, block_size(stairs));
    if (stairs->codes == NULL) {
        stairs_free(stairs);
        return NULL;
    }
    choose_codes(stairs);
    uint32_t nodes = stairs->n_blocks;
    do {
        nodes = (nodes + FAN - 1) / FAN;
        uint8_t *level = calloc(nodes, node_size(stairs));
        if (level == NULL) {
            stairs_free(stairs);
            return NULL;
        }
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
        free(stairs->codes);
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

/* What a position has now; NOTHING where there is no host. */
static void encode(const Stairs *stairs, uint32_t position, uint8_t *ret_codes)
{
    uint32_t host = host_at(stairs, position), n_dims = stairs->place->n_dims;
    int64_t available[BERTH_PLACE_MAX_DIMS];

    memset(ret_codes, NOTHING, n_dims);
    if (host != BERTH_PLACE_NONE) {
        fleet_available(stairs->place, host, available);
        for (uint32_t d = 0; d < n_dims; d++) {
            ret_codes[d] = code(stairs, d, available[d], true);
        }
    }
}

/* Puts down what a position has now; false when that is what it had. */
static bool note_position(Stairs *stairs, uint32_t position)
{
    uint8_t *codes = block_codes(stairs, position / FAN) + position % FAN;
    uint8_t now[BERTH_PLACE_MAX_DIMS];
    bool is_changed = false;

    encode(stairs, position, now);
    for (uint32_t d = 0; d < stairs->place->n_dims; d++) {
        is_changed |= codes[d * FAN] != now[d];
        codes[d * FAN] = now[d];
    }
    return is_changed;
}

static void summarize(const Stairs *stairs, uint32_t block, Summary ret_summary)
{
    uint32_t n_dims = stairs->place->n_dims;
    const uint8_t *columns = block_codes(stairs, block);
    uint8_t codes[BERTH_PLACE_MAX_DIMS];

    memset(ret_summary, NOTHING, n_dims * sizeof *ret_summary);
    for (uint32_t i = 0; i < FAN; i++) {
        for (uint32_t d = 0; d < n_dims; d++) {
            codes[d] = columns[d * FAN + i];
        }
        stairs->kernels->raise_steps(ret_summary, stairs->thresholds, codes, n_dims);
    }
}

static uint8_t highest(const uint8_t *values)
{
    uint8_t most = NOTHING;

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
    uint8_t *node = stairs->levels[level] + above * node_size(stairs);
    const uint8_t *parent = level + 1 < stairs->n_levels
                                ? stairs->levels[level + 1] + above / FAN * node_size(stairs)
                                : NULL;
    bool is_changed = false;

    for (uint32_t k = 0; k < STEPS; k++) {
        for (uint32_t d = 0; d < n_dims; d++) {
            size_t lane = ((size_t)k * n_dims + d) * FAN;
            uint8_t *value = node + lane + child % FAN, now = summary[d][k];
            uint8_t most = parent != NULL ? parent[lane + above % FAN] : NOTHING;
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
        for (uint32_t i = 0; i < FAN; i++) {
            note_position(stairs, stairs->swept * FAN + i);
        }
        refresh_block(stairs, stairs->swept);
    }
}

void stairs_refresh(Stairs *stairs, uint32_t position)
{
    if (position / FAN < stairs->swept && note_position(stairs, position)) {
        refresh_block(stairs, position / FAN);
    }
}

typedef struct {
    const Stairs *stairs;
    const Districts *districts;
    Search *search;
    uint32_t step;
    uint8_t needs[BERTH_PLACE_MAX_DIMS];
} Climb;

static bool fits_host(const Climb *climb, uint32_t host)
{
    const BerthPlace *place = climb->stairs->place;
    const int64_t *vector = climb->search->filter->request->vector;

    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] > 0 && vector[d] > amounts_at(&place->available, host, place->n_dims, d)) {
            return false;
        }
    }
    return true;
}

/* Without a look at the score, which is 0 for all. */
static bool try_block(const Climb *climb, uint32_t block)
{
    const Stairs *stairs = climb->stairs;
    uint32_t open = stairs->kernels->reach_columns(block_codes(stairs, block),
                                                   stairs->place->n_dims, climb->needs);

    for (; open != 0; open &= open - 1) {
        uint32_t host = host_at(stairs, block * FAN + (uint32_t)__builtin_ctz(open));
        if (host != BERTH_PLACE_NONE && fits_host(climb, host) &&
            search_take(climb->search, host, 0)) {
            return true;
        }
    }
    return false;
}

static const uint8_t *node_row(const Climb *climb, uint32_t level, uint32_t number)
{
    const Stairs *stairs = climb->stairs;

    return stairs->levels[level] + number * node_size(stairs) +
           (size_t)climb->step * stairs->place->n_dims * FAN;
}

/* Has memory brought that will be looked at soon. */
static void fetch(const Climb *climb, uint32_t level, uint32_t child)
{
    const char *start = (const char *)(level > 0 ? node_row(climb, level - 1, child)
                                                 : block_codes(climb->stairs, child));

    for (size_t at = 0; at < block_size(climb->stairs); at += 64) {
        __builtin_prefetch(start + at);
    }
}

static bool climb_node(const Climb *climb, uint32_t level, uint32_t number)
{
    uint32_t open = climb->stairs->kernels->reach_columns(
        node_row(climb, level, number), climb->stairs->place->n_dims, climb->needs);

    for (uint32_t left = open; left != 0; left &= left - 1) {
        fetch(climb, level, number * FAN + (uint32_t)__builtin_ctz(left));
    }
    for (; open != 0 && !search_is_over(climb->search); open &= open - 1) {
        uint32_t child = number * FAN + (uint32_t)__builtin_ctz(open);
        if (districts_skip(climb->districts, climb->search->filter, level, child)) {
            continue;
        }
        if (level > 0 ? climb_node(climb, level - 1, child) : try_block(climb, child)) {
            return true;
        }
    }
    return false;
}

void stairs_search(const Stairs *stairs, const Districts *districts, Search *search)
{
    const int64_t *vector = search->filter->request->vector;
    Climb climb = {.stairs = stairs, .districts = districts, .search = search};

    for (uint32_t d = 0; d < stairs->place->n_dims; d++) {
        climb.needs[d] = code(stairs, d, vector[d], false);
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
        const uint8_t *node = stairs->levels[0] + block / FAN * node_size(stairs);
        for (uint32_t i = 0; i < FAN; i++) {
            uint8_t now[BERTH_PLACE_MAX_DIMS];
            encode(stairs, block * FAN + i, now);
            for (uint32_t d = 0; d < n_dims; d++) {
                if (block_codes(stairs, block)[d * FAN + i] != now[d]) {
                    return "first fit has the amounts of each host";
                }
            }
        }
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
            const uint8_t *below = stairs->levels[level - 1] + child * node_size(stairs);
            const uint8_t *node = stairs->levels[level] + child / FAN * node_size(stairs);
            if (node[lane * FAN + child % FAN] != highest(below + lane * FAN)) {
                return "a node's maxima are those of its children";
            }
        }
    }
    return NULL;
}
