#include "place/forest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "place/boxes.h"

#define NONE FOREST_NONE
#define FAN FOREST_FAN
#define LEAF FOREST_LEAF
#define SAMPLES 512
#define MIN_LEAF 15 /* a leaf with fewer is dissolved */

Family forest_family(BerthPlacePolicy policy)
{
    switch (policy) {
    case BERTH_PLACE_L2_DIFF:
    case BERTH_PLACE_DOT_PRODUCT:
        return FAMILY_SQUARES;
    case BERTH_PLACE_COSINE:
        return FAMILY_DIRECTION;
    case BERTH_PLACE_L2_RATIO:
    case BERTH_PLACE_L2_RATIO_SPREAD:
        return FAMILY_RATIO;
    default:
        return FAMILY_SUM;
    }
}

static bool pool_init(Pool *pool, size_t size, uint32_t most)
{
    *pool = (Pool){.size = (size + 15) / 16 * 16, .most = most, .spare = NONE};
    pool->items = malloc(pool->size * most);
    return pool->items != NULL;
}

/* An item's number, or NONE; the first word of a spare one is the next. */
static uint32_t pool_take(Pool *pool)
{
    uint32_t item = pool->spare;

    if (item != NONE) {
        memcpy(&pool->spare, pool->items + item * pool->size, sizeof pool->spare);
        return item;
    }
    return pool->n < pool->most ? pool->n++ : NONE;
}

static void pool_give(Pool *pool, uint32_t item)
{
    memcpy(pool->items + item * pool->size, &pool->spare, sizeof pool->spare);
    pool->spare = item;
}

/* Boxes are to be narrow where requests are large, as they are what the score's bound is made of. What requests
 * ask for shows in what is taken of a few hosts. */
static void weigh_directions(Forest *forest)
{
    const BerthPlace *place = forest->place;
    float taken[BERTH_PLACE_MAX_DIMS] = {0}, most = 0;

    if (forest->family != FAMILY_DIRECTION) {
        return;
    }
    for (uint32_t i = 0; i < SAMPLES; i++) {
        uint32_t host = (uint32_t)((uint64_t)place->slots * i / SAMPLES);
        for (uint32_t d = 0; d < forest->n_dims && fleet_has(place, host); d++) {
            int64_t capacity = fleet_capacity(place, host)[d];
            int64_t used = capacity - amounts_at(&place->available, host, forest->n_dims, d);
            taken[d] += capacity > 0 ? (float)used / (float)capacity : 0;
        }
    }
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        most = fmaxf(most, taken[d]);
    }
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        float part = most > 0 ? fmaxf(taken[d] / most, 0.01F) : 1;
        forest->extra_weights[d] =
            sqrtf(part) * sqrtf(sqrtf(part)); /* measured: better than linear */
    }
}

Forest *forest_new(const BerthPlace *place, Family family)
{
    Forest *forest = calloc(1, sizeof *forest);
    if (forest == NULL) {
        return NULL;
    }
    forest->place = place;
    forest->kernels = kernels_get();
    forest->family = family;
    forest->n_dims = place->n_dims;
    forest->n_corners = place->n_dims > 1 ? CORNERS : 0;
    forest->n_extra = family == FAMILY_DIRECTION ? place->n_dims : 1;
    forest->weight = family == FAMILY_DIRECTION ? 0 : 1.F / 65536;
    for (uint32_t e = 0; e < forest->n_extra; e++) {
        forest->extra_weights[e] = family == FAMILY_RATIO ? 0 : 8;
    }
    weigh_directions(forest);
    size_t node_size = sizeof(Node) +
                       sizeof(int16_t) * FAN * (2 * forest->n_dims + forest->n_corners) +
                       sizeof(float) * FAN * 2 * forest->n_extra;
    forest->n_rows = forest->n_dims + (family == FAMILY_SUM);
    size_t leaf_size = sizeof(Leaf) + sizeof(int16_t) * LEAF * forest->n_rows;
    uint32_t leaves = place->slots / 8 + 2 * FOREST_SHAPES;
    forest->where = malloc(place->slots * sizeof *forest->where);
    bool is_made = pool_init(&forest->nodes, node_size, leaves / 4 + 2 * FOREST_SHAPES) &&
                   pool_init(&forest->leaves, leaf_size, leaves) && forest->where != NULL;
    if (!is_made) {
        forest_free(forest);
        return NULL;
    }
    memset(forest->where, 0xff, place->slots * sizeof *forest->where);
    for (uint32_t i = 0; i < FOREST_SHAPES; i++) {
        forest->trees[i].root = NONE;
    }
    return forest;
}

void forest_free(Forest *forest)
{
    if (forest != NULL) {
        for (uint32_t i = 0; i < FOREST_SHAPES; i++) {
            free(forest->trees[i].idle);
        }
        free(forest->nodes.items);
        free(forest->leaves.items);
        free(forest->where);
        free(forest->odd);
        free(forest);
    }
}

static void box_of_child(const Forest *forest, uint32_t level, uint32_t child, Box *ret_box)
{
    if (level == 1) {
        boxes_of_leaf(forest, forest_leaf(forest, child), ret_box);
    } else {
        boxes_of_node(forest, forest_node(forest, child), ret_box);
    }
}

/* Writes a changed box into the parent, and so on up. */
static void refit(const Forest *forest, uint32_t parent, uint32_t slot, Box *box)
{
    while (parent != NONE) {
        Node *node = forest_node(forest, parent);
        if (!boxes_write(forest, node, slot, box)) {
            return;
        }
        boxes_of_node(forest, node, box);
        slot = node->slot;
        parent = node->parent;
    }
}

static void refit_leaf(const Forest *forest, const Leaf *leaf)
{
    Box box;

    if (leaf->parent != NONE) {
        boxes_of_leaf(forest, leaf, &box);
        refit(forest, leaf->parent, leaf->slot, &box);
    }
}

static void refit_node(const Forest *forest, const Node *node)
{
    Box box;

    if (node->parent != NONE) {
        boxes_of_node(forest, node, &box);
        refit(forest, node->parent, node->slot, &box);
    }
}

static void set_parent(const Forest *forest, uint32_t level, uint32_t child, uint32_t parent,
                       uint32_t slot)
{
    if (level == 1) {
        Leaf *leaf = forest_leaf(forest, child);
        leaf->parent = parent;
        leaf->slot = slot;
    } else {
        Node *node = forest_node(forest, child);
        node->parent = parent;
        node->slot = slot;
    }
}

static void put_child(const Forest *forest, uint32_t parent, uint32_t child)
{
    Node *node = forest_node(forest, parent);
    uint32_t slot = node->n++;
    Box box;

    node->child[slot] = child;
    set_parent(forest, node->level, child, parent, slot);
    box_of_child(forest, node->level, child, &box);
    boxes_write(forest, node, slot, &box);
}

static uint32_t new_node(Forest *forest, uint32_t level)
{
    uint32_t number = pool_take(&forest->nodes);
    if (number == NONE) {
        return NONE;
    }
    Node *node = forest_node(forest, number);
    *node = (Node){.parent = NONE, .level = level};
    for (uint32_t slot = 0; slot < FAN; slot++) {
        boxes_clear(forest, node, slot);
    }
    return number;
}

static uint32_t new_leaf(Forest *forest, uint32_t shape)
{
    uint32_t number = pool_take(&forest->leaves);
    if (number == NONE) {
        return NONE;
    }
    Leaf *leaf = forest_leaf(forest, number);
    leaf->n = 0;
    leaf->parent = NONE;
    leaf->slot = 0;
    leaf->shape = shape;
    return number;
}

/* There are many more hosts in trees than when the last level was added: a time to weigh again. */
static bool grow_root(Forest *forest, Tree *tree, uint32_t one, uint32_t other)
{
    uint32_t root = new_node(forest, tree->level + 1);

    if (root == NONE) {
        return false;
    }
    weigh_directions(forest);
    put_child(forest, root, one);
    put_child(forest, root, other);
    tree->root = root;
    tree->level++;
    return true;
}

/* Sorts indices by a value each. */
static void sort_by(const float *values, uint32_t n, uint32_t *ret_order)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = i;
        for (; k > 0 && values[ret_order[k - 1]] > values[i]; k--) {
            ret_order[k] = ret_order[k - 1];
        }
        ret_order[k] = i;
    }
}

/* Keeps the values if they are spread more than those kept before. */
static void keep_widest(const float *values, uint32_t n, float weight, float *spread, float *kept)
{
    float width = (boxes_highest(values, n) - boxes_lowest(values, n)) * weight;

    if (width > *spread) {
        *spread = width;
        memcpy(kept, values, n * sizeof *values);
    }
}

/* The middles of a node's children in the coordinate where they differ most. */
static void middles_of(const Forest *forest, const Node *node, float *ret_middles)
{
    float spread = -1, middles[FAN];

    for (uint32_t d = 0; d < forest->n_dims && forest->weight > 0; d++) {
        for (uint32_t i = 0; i < FAN; i++) {
            middles[i] =
                (float)node_low(node)[d * FAN + i] + (float)node_high(forest, node)[d * FAN + i];
        }
        keep_widest(middles, FAN, forest->weight, &spread, ret_middles);
    }
    for (uint32_t e = 0; e < forest->n_extra; e++) {
        for (uint32_t i = 0; i < FAN; i++) {
            middles[i] = node_extra_low(forest, node)[e * FAN + i] +
                         node_extra_high(forest, node)[e * FAN + i];
        }
        keep_widest(middles, FAN, forest->extra_weights[e], &spread, ret_middles);
    }
}

/* Adds a child to a node, which is split when it is full, and so on up. */
static bool add_child(Forest *forest, Tree *tree, uint32_t parent, uint32_t child)
{
    Node *node = forest_node(forest, parent);
    float middles[FAN] = {0};
    uint32_t order[FAN], children[FAN];
    Box box, one, other;

    if (node->n < FAN) {
        put_child(forest, parent, child);
        refit_node(forest, node);
        return true;
    }
    uint32_t sibling = new_node(forest, node->level);
    if (sibling == NONE) {
        return false;
    }
    middles_of(forest, node, middles);
    sort_by(middles, FAN, order);
    memcpy(children, node->child, sizeof children);
    for (uint32_t slot = 0; slot < FAN; slot++) {
        boxes_clear(forest, node, slot);
    }
    node->n = 0;
    for (uint32_t i = 0; i < FAN; i++) {
        put_child(forest, i < FAN / 2 ? parent : sibling, children[order[i]]);
    }
    box_of_child(forest, node->level, child, &box);
    boxes_of_node(forest, node, &one);
    boxes_of_node(forest, forest_node(forest, sibling), &other);
    bool is_first = boxes_growth(forest, &one, &box) <= boxes_growth(forest, &other, &box);
    put_child(forest, is_first ? parent : sibling, child);
    if (node->parent == NONE) {
        return grow_root(forest, tree, parent, sibling);
    }
    refit_node(forest, node);
    return add_child(forest, tree, node->parent, sibling);
}

static void put_host(Forest *forest, uint32_t number, uint32_t host, const Box *box)
{
    Leaf *leaf = forest_leaf(forest, number);
    uint32_t i = leaf->n++;

    leaf->host[i] = host;
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        leaf_coordinates(leaf)[d * LEAF + i] = box->low[d];
    }
    if (forest->family == FAMILY_SUM) {
        leaf_coordinates(leaf)[forest->n_dims * LEAF + i] = box->depth;
    }
    forest->where[host] = number;
}

/* Splits a full leaf in the coordinate where its hosts differ most, and adds a host. */
static bool split_leaf(Forest *forest, Tree *tree, uint32_t number, uint32_t host, const Box *box)
{
    Leaf *leaf = forest_leaf(forest, number);
    uint32_t sibling = new_leaf(forest, leaf->shape), order[LEAF], hosts[LEAF];
    Box boxes[LEAF];
    float spread = -1, values[LEAF], widest[LEAF];

    if (sibling == NONE) {
        return false;
    }
    for (uint32_t i = 0; i < LEAF; i++) {
        boxes_in_leaf(forest, leaf, i, &boxes[i]);
        hosts[i] = leaf->host[i];
    }
    for (uint32_t d = 0; d < forest->n_dims && forest->weight > 0; d++) {
        for (uint32_t i = 0; i < LEAF; i++) {
            values[i] = boxes[i].low[d];
        }
        keep_widest(values, LEAF, forest->weight, &spread, widest);
    }
    for (uint32_t e = 0; e < forest->n_extra; e++) {
        for (uint32_t i = 0; i < LEAF; i++) {
            values[i] = boxes[i].extra_low[e];
        }
        keep_widest(values, LEAF, forest->extra_weights[e], &spread, widest);
    }
    sort_by(widest, LEAF, order);
    leaf->n = 0;
    for (uint32_t i = 0; i < LEAF; i++) {
        put_host(forest, i < LEAF / 2 ? number : sibling, hosts[order[i]], &boxes[order[i]]);
    }
    Box one, other;
    boxes_of_leaf(forest, leaf, &one);
    boxes_of_leaf(forest, forest_leaf(forest, sibling), &other);
    bool is_first = boxes_growth(forest, &one, box) <= boxes_growth(forest, &other, box);
    put_host(forest, is_first ? number : sibling, host, box);
    if (leaf->parent == NONE) {
        return grow_root(forest, tree, number, sibling);
    }
    refit_leaf(forest, leaf);
    return add_child(forest, tree, leaf->parent, sibling);
}

/* The child whose box has to grow least, a small one rather than a large one. */
static uint32_t choose_child(const Forest *forest, const Node *node, const Box *box)
{
    float costs[FAN] = {0};
    uint32_t best = 0;

    for (uint32_t d = 0; d < forest->n_dims && forest->weight > 0; d++) {
        const int16_t *low = node_low(node) + d * FAN, *high = node_high(forest, node) + d * FAN;
        float at = box->low[d];
        for (uint32_t i = 0; i < FAN; i++) {
            float below = (float)low[i] - at, above = at - (float)high[i];
            float out = below > above ? below : above;
            costs[i] +=
                forest->weight * ((out > 0 ? out : 0) + 1e-3F * ((float)high[i] - (float)low[i]));
        }
    }
    for (uint32_t e = 0; e < forest->n_extra && forest->extra_weights[0] > 0; e++) {
        const float *low = node_extra_low(forest, node) + e * FAN;
        const float *high = node_extra_high(forest, node) + e * FAN;
        float at = box->extra_low[e];
        for (uint32_t i = 0; i < node->n; i++) {
            float below = low[i] - at, above = at - high[i];
            float out = below > above ? below : above;
            costs[i] +=
                forest->extra_weights[e] * ((out > 0 ? out : 0) + 1e-3F * (high[i] - low[i]));
        }
    }
    for (uint32_t i = 1; i < node->n; i++) {
        best = costs[i] < costs[best] ? i : best;
    }
    return node->child[best];
}

static bool insert(Forest *forest, uint32_t shape, uint32_t host, const Box *box)
{
    Tree *tree = &forest->trees[shape];

    if (tree->root == NONE) {
        tree->root = new_leaf(forest, shape);
        tree->level = 0;
        if (tree->root == NONE) {
            return false;
        }
    }
    uint32_t at = tree->root;
    for (uint32_t level = tree->level; level > 0; level--) {
        at = choose_child(forest, forest_node(forest, at), box);
    }
    forest_fetch(&forest->leaves, at);
    Leaf *leaf = forest_leaf(forest, at);
    if (leaf->n == LEAF) {
        return split_leaf(forest, tree, at, host, box);
    }
    put_host(forest, at, host, box);
    refit_leaf(forest, leaf);
    return true;
}

/* Takes a child, which is gone, out of its parent; nodes that are left empty go too. */
static void remove_child(Forest *forest, Tree *tree, uint32_t parent, uint32_t slot)
{
    Node *node = forest_node(forest, parent);
    uint32_t last = --node->n;

    if (slot != last) {
        Box box;
        node->child[slot] = node->child[last];
        set_parent(forest, node->level, node->child[slot], parent, slot);
        box_of_child(forest, node->level, node->child[slot], &box);
        boxes_write(forest, node, slot, &box);
    }
    boxes_clear(forest, node, last);
    if (node->n == 0) {
        if (node->parent == NONE) {
            tree->root = NONE;
        } else {
            remove_child(forest, tree, node->parent, node->slot);
        }
        pool_give(&forest->nodes, parent);
        return;
    }
    if (node->n == 1 && node->parent == NONE) {
        tree->root = node->child[0];
        tree->level = node->level - 1;
        set_parent(forest, node->level, tree->root, NONE, 0);
        pool_give(&forest->nodes, parent);
        return;
    }
    refit_node(forest, node);
}

static void remove_leaf(Forest *forest, Tree *tree, uint32_t number)
{
    const Leaf *leaf = forest_leaf(forest, number);

    if (leaf->parent == NONE) {
        tree->root = NONE;
    } else {
        remove_child(forest, tree, leaf->parent, leaf->slot);
    }
    pool_give(&forest->leaves, number);
}

static uint32_t index_in(const Leaf *leaf, uint32_t host)
{
    uint32_t i = 0;

    while (leaf->host[i] != host) {
        i++;
    }
    return i;
}

/* Inserts again what a leaf with too few hosts has. */
static bool dissolve(Forest *forest, uint32_t number)
{
    const Leaf *leaf = forest_leaf(forest, number);
    uint32_t hosts[LEAF], n = leaf->n, shape = leaf->shape;
    Box boxes[MIN_LEAF];

    for (uint32_t i = 0; i < n; i++) {
        hosts[i] = leaf->host[i];
        boxes_in_leaf(forest, leaf, i, &boxes[i]);
    }
    remove_leaf(forest, &forest->trees[shape], number);
    for (uint32_t i = 0; i < n; i++) {
        if (!insert(forest, shape, hosts[i], &boxes[i])) {
            return false;
        }
    }
    return true;
}

static bool leave_tree(Forest *forest, uint32_t host)
{
    uint32_t number = forest->where[host];
    Leaf *leaf = forest_leaf(forest, number);
    uint32_t i = index_in(leaf, host), last = --leaf->n;

    forest->n_in_trees--;
    leaf->host[i] = leaf->host[last];
    for (uint32_t d = 0; d < forest->n_rows; d++) {
        leaf_coordinates(leaf)[d * LEAF + i] = leaf_coordinates(leaf)[d * LEAF + last];
    }
    if (leaf->n == 0) {
        remove_leaf(forest, &forest->trees[leaf->shape], number);
    } else if (leaf->n < MIN_LEAF && leaf->parent != NONE &&
               forest_node(forest, leaf->parent)->n > 1) {
        return dissolve(forest, number);
    } else {
        refit_leaf(forest, leaf);
    }
    return true;
}

/* Makes room in a list of hosts for one more. */
static bool reserve(uint32_t **hosts, uint32_t n, uint32_t *room)
{
    if (n < *room) {
        return true;
    }
    uint32_t size = *room + *room / 2 + 64;
    uint32_t *larger = realloc(*hosts, size * sizeof *larger);
    if (larger == NULL) {
        return false;
    }
    *hosts = larger;
    *room = size;
    return true;
}

static Heap idle_heap(const Forest *forest, const Tree *tree)
{
    return (Heap){
        .place = forest->place, .hosts = tree->idle, .at = forest->where, .tag = FOREST_IDLE};
}

typedef enum { KIND_TREE, KIND_IDLE, KIND_ODD } Kind;

static Kind kind_of(const Forest *forest, uint32_t host, const int64_t *capacity,
                    const int64_t *available)
{
    bool is_idle = true, is_odd = fleet_shape(forest->place, host) >= FOREST_SHAPES;

    for (uint32_t d = 0; d < forest->n_dims; d++) {
        is_odd |= available[d] < 0;
        is_idle &= available[d] == capacity[d];
    }
    return is_odd ? KIND_ODD : is_idle ? KIND_IDLE : KIND_TREE;
}

bool forest_enter(Forest *forest, uint32_t host)
{
    const int64_t *capacity = fleet_capacity(forest->place, host);
    int64_t available[BERTH_PLACE_MAX_DIMS] = {0};
    uint32_t shape = fleet_shape(forest->place, host);
    Box box;

    fleet_available(forest->place, host, available);
    Kind kind = kind_of(forest, host, capacity, available);
    if (kind == KIND_ODD) {
        if (!reserve(&forest->odd, forest->n_odd, &forest->odd_room)) {
            return false;
        }
        forest->where[host] = FOREST_ODD | forest->n_odd;
        forest->odd[forest->n_odd++] = host;
        return true;
    }
    Tree *tree = &forest->trees[shape];
    if (kind == KIND_IDLE) {
        if (!reserve(&tree->idle, tree->n_idle, &tree->idle_room)) {
            return false;
        }
        Heap heap = idle_heap(forest, tree);
        heap_push(&heap, tree->n_idle++, host);
        return true;
    }
    boxes_of_host(forest, capacity, available, &box);
    forest->n_in_trees++;
    return insert(forest, shape, host, &box);
}

/* The shape of an idle host may be another one by now: its heap is found by asking each. */
static Tree *idle_tree_of(Forest *forest, uint32_t host)
{
    uint32_t at = forest->where[host] & ~FOREST_IDLE, shape = fleet_shape(forest->place, host);

    for (uint32_t i = 0; i <= FOREST_SHAPES; i++) {
        Tree *tree = &forest->trees[(shape + i) % FOREST_SHAPES];
        if (at < tree->n_idle && tree->idle[at] == host) {
            return tree;
        }
    }
    return NULL;
}

bool forest_leave(Forest *forest, uint32_t host)
{
    uint32_t where = forest->where[host];
    bool is_right = true;

    if ((where & FOREST_IDLE) != 0) {
        Tree *tree = idle_tree_of(forest, host);
        Heap heap = idle_heap(forest, tree);
        heap_pull(&heap, tree->n_idle--, host);
    } else if ((where & FOREST_ODD) != 0) {
        uint32_t last = forest->odd[--forest->n_odd];
        forest->odd[where & ~FOREST_ODD] = last;
        forest->where[last] = where;
    } else {
        is_right = leave_tree(forest, host);
    }
    forest->where[host] = NONE;
    return is_right;
}

/* Whether a box is within that of its leaf, so that the leaf is still the right one. */
static bool is_at_home(const Forest *forest, const Leaf *leaf, const Box *box)
{
    if (leaf->parent == NONE) {
        return true;
    }
    const Node *node = forest_node(forest, leaf->parent);
    const float *extra_low = node_extra_low(forest, node) + leaf->slot;
    const float *extra_high = node_extra_high(forest, node) + leaf->slot;

    for (uint32_t d = 0; d < forest->n_dims && forest->weight > 0; d++) {
        if (box->low[d] < node_low(node)[d * FAN + leaf->slot] ||
            box->high[d] > node_high(forest, node)[d * FAN + leaf->slot]) {
            return false;
        }
    }
    for (uint32_t e = 0; e < forest->n_extra && forest->extra_weights[0] > 0; e++) {
        if (box->extra_low[e] < extra_low[e * FAN] || box->extra_high[e] > extra_high[e * FAN]) {
            return false;
        }
    }
    return true;
}

bool forest_move(Forest *forest, uint32_t host)
{
    const int64_t *capacity = fleet_capacity(forest->place, host);
    uint32_t where = forest->where[host];
    int64_t available[BERTH_PLACE_MAX_DIMS] = {0};
    Box box;

    if ((where & (FOREST_IDLE | FOREST_ODD)) == 0) {
        forest_fetch(&forest->leaves, where);
    }
    fleet_available(forest->place, host, available);
    if ((where & (FOREST_IDLE | FOREST_ODD)) == 0 &&
        kind_of(forest, host, capacity, available) == KIND_TREE) {
        Leaf *leaf = forest_leaf(forest, where);
        boxes_of_host(forest, capacity, available, &box);
        if (leaf->shape == fleet_shape(forest->place, host) && is_at_home(forest, leaf, &box)) {
            uint32_t n = leaf->n;
            leaf->n = index_in(leaf, host);
            put_host(forest, where, host, &box);
            leaf->n = n;
            refit_leaf(forest, leaf);
            return true;
        }
    }
    return forest_leave(forest, host) && forest_enter(forest, host);
}

const char *forest_check(const Forest *forest)
{
    uint32_t in_trees = 0;

    for (uint32_t host = 0; host < forest->place->slots; host++) {
        uint32_t where = forest->where[host];
        if (where == NONE || (where & FOREST_IDLE) != 0) {
            continue;
        }
        if ((where & FOREST_ODD) != 0) {
            if (forest->odd[where & ~FOREST_ODD] != host) {
                return "an odd host is where the forest has it";
            }
            continue;
        }
        const Leaf *leaf = forest_leaf(forest, where);
        uint32_t i = 0;
        while (i < leaf->n && leaf->host[i] != host) {
            i++;
        }
        if (i == leaf->n || leaf->shape != fleet_shape(forest->place, host)) {
            return "a host is in its leaf";
        }
        if (leaf->parent != NONE) {
            Box box;
            boxes_of_leaf(forest, leaf, &box);
            if (boxes_write(forest, forest_node(forest, leaf->parent), leaf->slot, &box)) {
                return "the box of a leaf is around its hosts";
            }
        }
        in_trees++;
    }
    return in_trees == forest->n_in_trees ? NULL : "hosts in trees are counted right";
}
