#include <math.h>

#include "place/forest.h"

#define MOST_OPEN 2048

/* A node or leaf that may hold the best host, and the best key that anything in it can have. */
typedef struct {
    float bound;
    uint32_t item;
    uint16_t level, shape;
} Open;

typedef struct {
    const Forest *forest;
    Search *search;
    Open open[MOST_OPEN]; /* a heap, the highest bound on top */
    uint32_t n_open;
} Walk;

/* A request in the shares of a shape; false when the shape lacks what is asked for. */
static bool make_input(const Forest *forest, const BerthPlaceRequest *request, uint32_t shape,
                       BoundInput *ret_input)
{
    const int64_t *capacity = shapes_capacity(&forest->place->shape_table, shape);
    float roots = 0;
    unsigned n = 0;

    ret_input->policy = request->policy;
    ret_input->n_dims = forest->n_dims;
    ret_input->n_corners = forest->n_corners;
    ret_input->sum = 0;
    ret_input->squares = 0;
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        if (request->vector[d] > capacity[d]) {
            return false;
        }
        float need = capacity[d] > 0 ? (float)request->vector[d] / (float)capacity[d] : 0;
        ret_input->needs[d] = need;
        ret_input->least[d] = need * 0.999999F;
        ret_input->sum += need;
        ret_input->squares += need * need;
        roots += sqrtf(need);
        n += capacity[d] > 0;
    }
    ret_input->length = sqrtf(ret_input->squares);
    ret_input->roots = roots * roots;
    ret_input->n_inverse = 1 / (float)n;
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        ret_input->direction[d] = ret_input->needs[d] / ret_input->length;
    }
    for (uint32_t k = 0; k < forest->n_corners; k++) {
        /* There are corners in two dimensions and more: NOLINTNEXTLINE(clang-analyzer-core.*) */
        float a = sqrtf(ret_input->needs[0]), b = sqrtf(ret_input->needs[1]) * kernels_corners[k];
        ret_input->corners[k] = (a < b ? a : b) * 65535 * 0.999999F - 32768.5F;
    }
    return true;
}

/* What is on top is likely to be the next. */
static inline __attribute__((always_inline)) void fetch_top(const Walk *walk)
{
    const Open *top = &walk->open[0];

    forest_fetch(top->level == 0 ? &walk->forest->leaves : &walk->forest->nodes, top->item);
}

static void push(Walk *walk, Open entry)
{
    uint32_t at = walk->n_open++;

    while (at > 0 && walk->open[(at - 1) / 2].bound < entry.bound) {
        walk->open[at] = walk->open[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    walk->open[at] = entry;
    if (at == 0) {
        fetch_top(walk);
    }
}

static Open pop(Walk *walk)
{
    Open top = walk->open[0], last = walk->open[--walk->n_open];
    uint32_t at = 0;

    for (uint32_t child = 1; child < walk->n_open; child = 2 * at + 1) {
        child += child + 1 < walk->n_open && walk->open[child + 1].bound > walk->open[child].bound;
        if (walk->open[child].bound <= last.bound) {
            break;
        }
        walk->open[at] = walk->open[child];
        at = child;
    }
    walk->open[at] = last;
    fetch_top(walk);
    return top;
}

static void try_leaf(Walk *walk, const Open *entry, const BoundInput *input)
{
    const Forest *forest = walk->forest;
    const Leaf *leaf = forest_leaf(forest, entry->item);
    const Boxes points = {
        .low = leaf_coordinates(leaf),
        .high = leaf_coordinates(leaf),
        .is_point = true,
        .stride = FOREST_LEAF,
    };
    float bounds[FOREST_LEAF];
    uint32_t best = 0;

    forest->kernels->bound(input, &points, bounds);
    for (uint32_t i = 1; i < leaf->n; i++) {
        best = bounds[i] > bounds[best] ? i : best;
    }
    if (bounds[best] == -INFINITY || bounds[best] < walk->search->threshold) {
        return;
    }
    search_try(walk->search, leaf->host[best]);
    for (uint32_t i = 0; i < leaf->n && !search_is_over(walk->search); i++) {
        if (i != best && bounds[i] > -INFINITY && bounds[i] >= walk->search->threshold) {
            search_try(walk->search, leaf->host[i]);
        }
    }
}

static void visit(Walk *walk, const Open *entry, const BoundInput *input);

static void open_node(Walk *walk, const Open *entry, const BoundInput *input)
{
    const Forest *forest = walk->forest;
    const Node *node = forest_node(forest, entry->item);
    const Boxes boxes = {
        .low = node_low(node),
        .high = node_high(forest, node),
        .corner = node_corner(forest, node),
        .extra_low = node_extra_low(forest, node),
        .extra_high = node_extra_high(forest, node),
        .stride = FOREST_FAN,
    };
    float bounds[FOREST_FAN];

    forest->kernels->bound(input, &boxes, bounds);
    for (uint32_t i = 0; i < node->n; i++) {
        Open child = {.bound = bounds[i],
                      .item = node->child[i],
                      .level = (uint16_t)(entry->level - 1),
                      .shape = entry->shape};
        if (child.bound == -INFINITY || child.bound < walk->search->threshold) {
            continue;
        }
        if (walk->n_open < MOST_OPEN) {
            push(walk, child);
        } else {
            visit(walk, &child, input);
        }
    }
}

static void visit(Walk *walk, const Open *entry, const BoundInput *input)
{
    if (entry->level == 0) {
        try_leaf(walk, entry, input);
    } else {
        open_node(walk, entry, input);
    }
}

/* Hosts of which nothing is taken, one shape after the other, and those that no tree can hold. */
static void try_others(const Forest *forest, Search *search)
{
    for (uint32_t shape = 0; shape < FOREST_SHAPES && shape < forest->place->shape_table.n;
         shape++) {
        const Tree *tree = &forest->trees[shape];
        double score;
        if (tree->n_idle > 0 && search_score(search, tree->idle[0], &score)) {
            heap_offer(forest->place, tree->idle, tree->n_idle, score, search);
        }
    }
    for (uint32_t i = 0; i < forest->n_odd && !search_is_over(search); i++) {
        search_try(search, forest->odd[i]);
    }
}

void forest_search(const Forest *forest, Search *search)
{
    BoundInput inputs[FOREST_SHAPES];
    Walk walk;

    walk.forest = forest;
    walk.search = search;
    walk.n_open = 0;
    try_others(forest, search);
    for (uint32_t shape = 0; shape < FOREST_SHAPES && shape < forest->place->shape_table.n;
         shape++) {
        const Tree *tree = &forest->trees[shape];
        if (tree->root != FOREST_NONE &&
            make_input(forest, search->filter->request, shape, &inputs[shape])) {
            push(&walk, (Open){.bound = INFINITY,
                               .item = tree->root,
                               .level = (uint16_t)tree->level,
                               .shape = (uint16_t)shape});
        }
    }
    while (walk.n_open > 0 && !search_is_over(search)) {
        Open entry = pop(&walk);
        if (entry.bound < search->threshold) {
            return;
        }
        visit(&walk, &entry, &inputs[entry.shape]);
    }
}
