/*
 * Exact fits: where some dimension is so full that every bin of a best packing must be full in it to
 * the last unit, the sets of items that fill a bin so are few. They are listed, up to five items
 * each, and as many as possible that share no item are chosen: always next the item that the fewest
 * sets are left for, as one does by hand; then a part of the choice is undone and chosen anew, again
 * and again. Ejection packs what no set took.
 *
 * Sets are found by sums: an item's key is a linear function of its sizes modulo 2^64, so that the
 * keys of a full bin add up to the key of the capacity, and one look-up completes what is begun:
 * an item completes two, a pair completes two or three. What is found so is held against the bin.
 */
#include <math.h>
#include <string.h>

#include "place/pack_search.h"

#define MOST_IN_SET 5
#define MOST_SETS UINT32_C(200000) /* beyond that a sample of the largest sets */
#define FOUND_A_US 2     /* of each size, for each microsecond of the budget: about a tenth of it */
#define MOST_ITEMS 2000  /* their pairs have a table */
#define LIST_SHARE 0.1   /* of the budget, for each of the two lists */
#define LOOK_UP_US 0.02  /* what one takes */
#define TOUCHES_A_US 500 /* counters that are changed in a microsecond */
#define MOST_STALE 2000  /* choices in turn without a better one */
#define COVER_UNTIL 0.25 /* of the budget */
#define EJECT_UNTIL 0.4  /* likewise, for what no set took */

typedef struct {
    uint32_t n;
    uint32_t items[MOST_IN_SET];
} Set;

typedef struct {
    uint64_t sum; /* of the keys */
    uint32_t a, b;
    uint32_t next; /* of the same slot, plus 1; its items are smaller */
} Pair;

typedef struct {
    PackSearch *search;
    uint32_t n, target; /* items; bins, each of which has to be full */
    uint64_t *keys, full;

    /* What completes a set: chains of items and of pairs, by their keys, falling; 0 ends one. */
    uint32_t *item_heads, *item_next, *pair_heads;
    Pair *pairs;
    uint32_t n_pairs;
    unsigned item_shift, pair_shift;

    Set *sets;
    uint32_t n_sets, n_smaller; /* sets; those with fewer items than are now listed */
    uint64_t found, most_found; /* with as many; then the listing ends */
    uint32_t *first, *sets_of;  /* the sets of each item, one item after the other */

    /* A choice. */
    uint32_t *blocked; /* [set] items taken by others */
    uint32_t *options; /* [item] sets that are left for it */
    bool *taken;       /* [item] */
    uint32_t *chosen, *best;
    uint32_t n_chosen, n_best;
    uint64_t touches;
    PackZone zone;
} Exact;

/* The keys over the dimensions that have no room to spare; false if there is none. */
static bool set_keys(Exact *e)
{
    const PackProblem *problem = e->search->problem;
    bool any = false;

    for (uint32_t k = 0; k < problem->n_dims; k++) {
        int64_t sum = 0;

        for (uint32_t i = 0; i < e->n; i++) {
            sum += pack_size(problem, i)[k];
        }
        if (problem->capacity[k] > 0 && sum == problem->capacity[k] * (int64_t)e->target) {
            uint64_t factor = pack_random(e->search) | 1;

            for (uint32_t i = 0; i < e->n; i++) {
                e->keys[i] += factor * (uint64_t)pack_size(problem, i)[k];
            }
            e->full += factor * (uint64_t)problem->capacity[k];
            any = true;
        }
    }
    return any;
}

static uint32_t slot(uint64_t key, unsigned shift)
{
    return (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> shift);
}

/* Bits to drop for a table of at least twice as many slots. */
static unsigned table_shift(uint32_t n)
{
    unsigned bits = 6;

    while ((UINT32_C(1) << bits) < 2 * n) {
        bits++;
    }
    return 64 - bits;
}

static bool allocate(Exact *e)
{
    PackZone *zone = &e->zone;
    uint32_t pairs = e->n * (e->n - 1) / 2;

    e->item_shift = table_shift(e->n);
    e->pair_shift = table_shift(pairs);
    e->keys = pack_zone_get(zone, e->n, sizeof *e->keys);
    e->item_heads = pack_zone_get(zone, (size_t)1 << (64 - e->item_shift), sizeof *e->item_heads);
    e->item_next = pack_zone_get(zone, e->n, sizeof *e->item_next);
    e->pair_heads = pack_zone_get(zone, (size_t)1 << (64 - e->pair_shift), sizeof *e->pair_heads);
    e->pairs = pack_zone_get(zone, pairs, sizeof *e->pairs);
    e->sets = pack_zone_get(zone, MOST_SETS, sizeof *e->sets);
    e->first = pack_zone_get(zone, e->n + 2, sizeof *e->first);
    e->sets_of = pack_zone_get(zone, MOST_SETS, MOST_IN_SET * sizeof *e->sets_of);
    e->blocked = pack_zone_get(zone, MOST_SETS, sizeof *e->blocked);
    e->options = pack_zone_get(zone, e->n, sizeof *e->options);
    e->taken = pack_zone_get(zone, e->n, sizeof *e->taken);
    e->chosen = pack_zone_get(zone, e->n, sizeof *e->chosen);
    e->best = pack_zone_get(zone, e->n, sizeof *e->best);
    return !zone->failed;
}

/* Falling numbers in a chain: what comes before an item is not looked at. */
static void fill_tables(Exact *e)
{
    for (uint32_t a = 0; a < e->n; a++) {
        uint32_t *head = &e->item_heads[slot(e->keys[a], e->item_shift)];

        e->item_next[a] = *head;
        *head = a + 1;
        for (uint32_t b = a + 1; b < e->n; b++) {
            uint64_t sum = e->keys[a] + e->keys[b];
            uint32_t *pairs = &e->pair_heads[slot(sum, e->pair_shift)];

            e->pairs[e->n_pairs] = (Pair){sum, a, b, *pairs};
            *pairs = ++e->n_pairs;
        }
    }
}

/* Keeps a set if it fits, a fair sample of its size once there are too many. */
static void add_set(Exact *e, const uint32_t *items, uint32_t n)
{
    const PackProblem *problem = e->search->problem;
    uint64_t room[PACK_MAX_WORDS];
    uint32_t at = e->n_sets;

    memcpy(room, problem->empty, sizeof room);
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t *words = problem->words + (size_t)items[i] * problem->n_words;

        if (!pack_fits(words, room, problem->guard, problem->n_words)) {
            return;
        }
        for (uint32_t k = 0; k < problem->n_words; k++) {
            room[k] -= words[k];
        }
    }
    e->found++;
    if (at == MOST_SETS) {
        uint64_t place = pack_random(e->search) % e->found;

        if (place >= MOST_SETS - e->n_smaller) {
            return;
        }
        at = e->n_smaller + (uint32_t)place;
    } else {
        e->n_sets++;
    }
    e->sets[at].n = n;
    memcpy(e->sets[at].items, items, n * sizeof *items);
}

/* Sets of `n` items in rising order and one more. */
static void complete_by_item(Exact *e, uint32_t *items, uint32_t n, uint64_t sum)
{
    uint64_t missing = e->full - sum;
    uint32_t next = e->item_heads[slot(missing, e->item_shift)];

    for (; next > 0 && e->found < e->most_found && (n == 0 || next - 1 > items[n - 1]);
         next = e->item_next[next - 1]) {
        if (e->keys[next - 1] == missing) {
            items[n] = next - 1;
            add_set(e, items, n + 1);
        }
    }
}

/* The same with two more. */
static void complete_by_pair(Exact *e, uint32_t *items, uint32_t n, uint64_t sum)
{
    uint64_t missing = e->full - sum;
    uint32_t next = e->pair_heads[slot(missing, e->pair_shift)];

    while (next > 0 && e->found < e->most_found && e->pairs[next - 1].a > items[n - 1]) {
        const Pair *pair = &e->pairs[next - 1];

        if (pair->sum == missing) {
            items[n] = pair->a;
            items[n + 1] = pair->b;
            add_set(e, items, n + 2);
        }
        next = pair->next;
    }
}

static void begin_size(Exact *e)
{
    e->n_smaller = e->n_sets;
    e->found = 0;
}

static bool list_more(Exact *e, double look_ups)
{
    pack_work(e->search, (uint64_t)(look_ups * LOOK_UP_US) + e->found / FOUND_A_US / 10);
    return e->n_sets < MOST_SETS;
}

/* Three that a pair completes. */
static void list_fives(Exact *e)
{
    uint32_t items[MOST_IN_SET];

    for (uint32_t i = 0; i < e->n_pairs && e->found < e->most_found; i++) {
        items[0] = e->pairs[i].a;
        items[1] = e->pairs[i].b;
        for (uint32_t c = items[1] + 1; c + 2 < e->n; c++) {
            items[2] = c;
            complete_by_pair(e, items, 3, e->pairs[i].sum + e->keys[c]);
        }
    }
}

/* Sets of one item to five, as far as the budget allows. */
static void list_sets(Exact *e)
{
    double pairs = e->n_pairs, triples = pairs * e->n / 3;
    uint32_t items[MOST_IN_SET];

    complete_by_item(e, items, 0, 0);
    for (uint32_t a = 0; a < e->n; a++) {
        items[0] = a;
        complete_by_item(e, items, 1, e->keys[a]);
    }
    begin_size(e);
    for (uint32_t i = 0; i < e->n_pairs && e->found < e->most_found; i++) {
        items[0] = e->pairs[i].a;
        items[1] = e->pairs[i].b;
        complete_by_item(e, items, 2, e->pairs[i].sum);
    }
    if (!list_more(e, pairs)) {
        return;
    }
    begin_size(e);
    for (uint32_t i = 0; i < e->n_pairs && e->found < e->most_found; i++) {
        items[0] = e->pairs[i].a;
        items[1] = e->pairs[i].b;
        complete_by_pair(e, items, 2, e->pairs[i].sum);
    }
    if (list_more(e, pairs) && triples * LOOK_UP_US < LIST_SHARE * e->search->total_us) {
        begin_size(e);
        list_fives(e);
        list_more(e, triples);
    }
}

static void index_sets(Exact *e)
{
    uint32_t *first = e->first;

    for (uint32_t s = 0; s < e->n_sets; s++) {
        for (uint32_t i = 0; i < e->sets[s].n; i++) {
            first[e->sets[s].items[i] + 2]++;
        }
    }
    for (uint32_t i = 2; i < e->n + 2; i++) {
        first[i] += first[i - 1];
    }
    for (uint32_t s = 0; s < e->n_sets; s++) {
        for (uint32_t i = 0; i < e->sets[s].n; i++) {
            e->sets_of[first[e->sets[s].items[i] + 1]++] = s;
        }
    }
}

static void choose(Exact *e, uint32_t chosen)
{
    const Set *set = &e->sets[chosen];

    e->chosen[e->n_chosen++] = chosen;
    for (uint32_t i = 0; i < set->n; i++) {
        uint32_t item = set->items[i];

        e->taken[item] = true;
        e->touches += e->first[item + 1] - e->first[item];
        for (uint32_t at = e->first[item]; at < e->first[item + 1]; at++) {
            const Set *other = &e->sets[e->sets_of[at]];

            if (e->blocked[e->sets_of[at]]++ > 0) {
                continue;
            }
            e->touches += other->n;
            for (uint32_t j = 0; j < other->n; j++) {
                e->options[other->items[j]]--;
            }
        }
    }
}

/* The item that the fewest sets are left for, any of several; PACK_NONE: none is left. */
static uint32_t rarest(Exact *e)
{
    uint32_t found = PACK_NONE, ties = 0;

    for (uint32_t i = 0; i < e->n; i++) {
        if (e->taken[i] || e->options[i] == 0) {
            continue;
        }
        if (found == PACK_NONE || e->options[i] < e->options[found]) {
            found = i;
            ties = 1;
        } else if (e->options[i] == e->options[found] && pack_below(e->search, ++ties) == 0) {
            found = i;
        }
    }
    e->touches += e->n / 4;
    return found;
}

/* Of an item's sets the one that the others' sets are fewest for. */
static uint32_t rarest_set(Exact *e, uint32_t item)
{
    uint32_t found = PACK_NONE, ties = 0;
    uint64_t least = 0;

    for (uint32_t at = e->first[item]; at < e->first[item + 1]; at++) {
        const Set *set = &e->sets[e->sets_of[at]];
        uint64_t sum = 0;

        if (e->blocked[e->sets_of[at]] > 0) {
            continue;
        }
        for (uint32_t i = 0; i < set->n; i++) {
            sum += e->options[set->items[i]];
        }
        if (found == PACK_NONE || sum < least) {
            found = e->sets_of[at];
            least = sum;
            ties = 1;
        } else if (sum == least && pack_below(e->search, ++ties) == 0) {
            found = e->sets_of[at];
        }
    }
    return found;
}

/* Keeps a random part of the best choice and completes it. */
static void choose_anew(Exact *e)
{
    uint32_t drops = 5 + pack_below(e->search, e->n_best / 3 > 6 ? e->n_best / 3 : 6);

    memset(e->blocked, 0, e->n_sets * sizeof *e->blocked);
    memset(e->taken, 0, e->n * sizeof *e->taken);
    for (uint32_t i = 0; i < e->n; i++) {
        e->options[i] = e->first[i + 1] - e->first[i];
    }
    e->n_chosen = 0;
    for (uint32_t i = 0; i + drops < e->n_best; i++) {
        uint32_t other = i + pack_below(e->search, e->n_best - i), set = e->best[other];

        e->best[other] = e->best[i];
        e->best[i] = set;
        choose(e, set);
    }
    for (uint32_t item = rarest(e); item != PACK_NONE; item = rarest(e)) {
        choose(e, rarest_set(e, item));
    }
    pack_work(e->search, 1 + (e->touches + e->n_sets / 8) / TOUCHES_A_US);
    e->touches = 0;
}

static void cover(Exact *e, double end_us)
{
    uint32_t stale = 0;

    while (e->n_best < e->target && stale++ < MOST_STALE && pack_goes_on(e->search, end_us)) {
        choose_anew(e);
        if (e->n_chosen >= e->n_best) {
            stale = e->n_chosen > e->n_best ? 0 : stale;
            e->n_best = e->n_chosen;
            memcpy(e->best, e->chosen, e->n_chosen * sizeof *e->best);
        }
    }
}

/* Offers the sets with `bins` of the other items behind them. */
static void offer(Exact *e, const uint32_t *rest, uint32_t n_rest, const uint32_t *bins,
                  uint32_t *all)
{
    for (uint32_t i = 0; i < e->n_best; i++) {
        const Set *set = &e->sets[e->best[i]];

        for (uint32_t k = 0; k < set->n; k++) {
            all[set->items[k]] = i;
        }
    }
    for (uint32_t i = 0; i < n_rest; i++) {
        all[rest[i]] = e->n_best + bins[rest[i]];
    }
    pack_offer(e->search, all);
}

/* Packs what no set took, by first fit and then by ejection. */
static void pack_rest(Exact *e, double end_us)
{
    PackSearch *search = e->search;
    const PackProblem *problem = search->problem;
    uint32_t *rest = pack_zone_get(&e->zone, e->n, sizeof *rest), n = 0;
    uint32_t *bins = pack_zone_get(&e->zone, e->n, sizeof *bins);
    uint32_t *all = pack_zone_get(&e->zone, e->n, sizeof *all);
    uint64_t *rooms = pack_zone_get(&e->zone, e->n, problem->n_words * sizeof *rooms);

    if (e->zone.failed) {
        return;
    }
    memset(e->taken, 0, e->n * sizeof *e->taken);
    for (uint32_t i = 0; i < e->n_best; i++) {
        for (uint32_t k = 0; k < e->sets[e->best[i]].n; k++) {
            e->taken[e->sets[e->best[i]].items[k]] = true;
        }
    }
    for (uint32_t i = 0; i < e->n; i++) {
        rest[n] = i;
        n += e->taken[i] ? 0 : 1;
    }
    if (!pack_sort_falling(rest, n, problem->weights)) {
        search->no_memory = true;
        return;
    }
    uint32_t n_bins = pack_first_fit(problem, rest, n, rooms, 0, bins);

    offer(e, rest, n, bins, all);
    while (pack_goes_on(search, end_us) &&
           pack_eject(search, rest, n, bins, n_bins, end_us, NULL)) {
        n_bins--;
        offer(e, rest, n, bins, all);
    }
}

void pack_exact(PackSearch *search)
{
    const PackProblem *problem = search->problem;
    Exact e = {.search = search, .n = problem->n_items, .target = pack_volume_bound(problem)};
    double n = e.n;

    /* Many copies of few kinds have too many equal sets; column generation serves them. */
    if (problem->has_negative || e.n < 2 || e.n > MOST_ITEMS || 2 * problem->n_kinds < e.n ||
        e.target < search->lower_bound || n * n * LOOK_UP_US > LIST_SHARE * search->total_us) {
        return;
    }
    e.most_found = (uint64_t)fmin(MOST_SETS * 100., FOUND_A_US * search->total_us);
    if (allocate(&e) && set_keys(&e)) {
        fill_tables(&e);
        list_sets(&e);
        index_sets(&e);
        if (e.n_sets > 0) {
            cover(&e, COVER_UNTIL * search->total_us);
            pack_rest(&e, EJECT_UNTIL * search->total_us);
        }
    }
    search->no_memory |= e.zone.failed;
    pack_zone_free(&e.zone);
}
