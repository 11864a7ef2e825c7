#include "place/boxes.h"

#include <math.h>

#define FAN FOREST_FAN
#define LEAF FOREST_LEAF

/* The boxes of nothing. */
void boxes_clear(const Forest *forest, Node *node, uint32_t slot)
{
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        node_low(node)[d * FAN + slot] = INT16_MAX;
        node_high(forest, node)[d * FAN + slot] = INT16_MIN;
    }
    for (uint32_t k = 0; k < forest->n_corners; k++) {
        node_corner(forest, node)[k * FAN + slot] = INT16_MIN;
    }
    for (uint32_t e = 0; e < forest->n_extra; e++) {
        node_extra_low(forest, node)[e * FAN + slot] = INFINITY;
        node_extra_high(forest, node)[e * FAN + slot] = -INFINITY;
    }
}

/* Whether that changed anything. */
bool boxes_write(const Forest *forest, Node *node, uint32_t slot, const Box *box)
{
    bool is_new = false;
    int16_t *low = node_low(node) + slot, *high = node_high(forest, node) + slot;
    int16_t *corner = node_corner(forest, node) + slot;
    float *extra_low = node_extra_low(forest, node) + slot;
    float *extra_high = node_extra_high(forest, node) + slot;

    for (uint32_t d = 0; d < forest->n_dims; d++) {
        is_new |= low[d * FAN] != box->low[d] || high[d * FAN] != box->high[d];
        low[d * FAN] = box->low[d];
        high[d * FAN] = box->high[d];
    }
    for (uint32_t k = 0; k < forest->n_corners; k++) {
        is_new |= corner[k * FAN] != box->corner[k];
        corner[k * FAN] = box->corner[k];
    }
    for (uint32_t e = 0; e < forest->n_extra; e++) {
        is_new |=
            extra_low[e * FAN] != box->extra_low[e] || extra_high[e * FAN] != box->extra_high[e];
        extra_low[e * FAN] = box->extra_low[e];
        extra_high[e * FAN] = box->extra_high[e];
    }
    return is_new;
}

static int16_t lowest(const int16_t *values, uint32_t n)
{
    int16_t least = INT16_MAX;

    for (uint32_t i = 0; i < n; i++) {
        least = values[i] < least ? values[i] : least;
    }
    return least;
}

static int16_t highest(const int16_t *values, uint32_t n)
{
    int16_t most = INT16_MIN;

    for (uint32_t i = 0; i < n; i++) {
        most = values[i] > most ? values[i] : most;
    }
    return most;
}

float boxes_lowest(const float *values, uint32_t n)
{
    float least = INFINITY;

    for (uint32_t i = 0; i < n; i++) {
        least = values[i] < least ? values[i] : least;
    }
    return least;
}

float boxes_highest(const float *values, uint32_t n)
{
    float most = -INFINITY;

    for (uint32_t i = 0; i < n; i++) {
        most = values[i] > most ? values[i] : most;
    }
    return most;
}

void boxes_of_node(const Forest *forest, const Node *node, Box *ret_box)
{
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        ret_box->low[d] = lowest(node_low(node) + d * FAN, FAN);
        ret_box->high[d] = highest(node_high(forest, node) + d * FAN, FAN);
    }
    for (uint32_t k = 0; k < forest->n_corners; k++) {
        ret_box->corner[k] = highest(node_corner(forest, node) + k * FAN, FAN);
    }
    for (uint32_t e = 0; e < forest->n_extra; e++) {
        ret_box->extra_low[e] = boxes_lowest(node_extra_low(forest, node) + e * FAN, FAN);
        ret_box->extra_high[e] = boxes_highest(node_extra_high(forest, node) + e * FAN, FAN);
    }
}

/* The range of each component of the direction that a point with these coordinates can have. */
static void direction_of(const Forest *forest, const int16_t *coordinates, size_t stride,
                         float *ret_low, float *ret_high)
{
    float least = 0, most = 0;

    for (uint32_t d = 0; d < forest->n_dims; d++) {
        ret_low[d] = kernels_share_low(coordinates[d * stride]);
        ret_high[d] = kernels_share_high(coordinates[d * stride]);
        least += ret_low[d] * ret_low[d];
        most += ret_high[d] * ret_high[d];
    }
    least = 1 / sqrtf(least > 0 ? least : 1e-30F);
    most = 1 / sqrtf(most);
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        float low = ret_low[d] * most, high = ret_high[d] * least;
        ret_low[d] = low * 0.999999F;
        ret_high[d] = high < 1 ? high * 1.000001F : 1;
    }
}

/* How far the sum of the shares is below that of the upper bounds of the coordinates; in a forest of sums only. */
static int16_t depth_of(const Forest *forest, const int64_t *capacity, const int64_t *available,
                        const int16_t *coordinates)
{
    double most = 0, sum = 0;

    if (forest->family != FAMILY_SUM) {
        return 0;
    }
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        most += (double)kernels_share_high(coordinates[d]);
        sum += capacity[d] > 0 ? (double)available[d] / (double)capacity[d] : 0;
    }
    double steps = (most - sum) / (double)kernels_depth_step(forest->n_dims);
    return (int16_t)((int32_t)fmax(0, fmin(steps, 65535)) - 32768);
}

/* The range of what a point with these coordinates adds to the sum of the shares, or of their squares. */
static inline void part_of(Family family, int16_t coordinate, float *low, float *high)
{
    float least = kernels_share_low(coordinate), most = kernels_share_high(coordinate);

    *low += family == FAMILY_SQUARES ? least * least : least;
    *high += family == FAMILY_SQUARES ? most * most : most;
}

static void sums_of(const Forest *forest, const int16_t *coordinates, float *ret_low,
                    float *ret_high)
{
    *ret_low = *ret_high = 0;
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        part_of(forest->family, coordinates[d], ret_low, ret_high);
    }
}

/* What the policy is made of, by the coordinates and the depth of one host. */
static void set_extra(const Forest *forest, Box *box)
{
    if (forest->family == FAMILY_DIRECTION) {
        direction_of(forest, box->low, 1, box->extra_low, box->extra_high);
        return;
    }
    sums_of(forest, box->low, &box->extra_low[0], &box->extra_high[0]);
    if (forest->family == FAMILY_SUM) {
        box->extra_low[0] = kernels_lowest_sum(forest->n_dims, box->extra_high[0], box->depth);
        box->extra_high[0] = kernels_highest_sum(forest->n_dims, box->extra_high[0], box->depth);
    }
}

/* Coordinates of a corner reach up to this much. */
static int16_t corner_of(uint32_t k, int16_t first, int16_t second)
{
    float a = (float)first + 32769.05F, b = ((float)second + 32769.05F) * kernels_corners[k];

    return kernels_corner(a < b ? a : b);
}

void boxes_of_leaf(const Forest *forest, const Leaf *leaf, Box *ret_box)
{
    const int16_t *coordinates = leaf_coordinates(leaf);
    const Points points = {.coordinates = coordinates,
                           .n = leaf->n,
                           .stride = LEAF,
                           .n_dims = forest->n_dims,
                           .n_corners = forest->n_corners,
                           .family = forest->family};

    forest->kernels->surround(&points, ret_box);
    if (forest->family != FAMILY_DIRECTION) {
        return;
    }
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        ret_box->extra_low[d] = INFINITY;
        ret_box->extra_high[d] = -INFINITY;
    }
    for (uint32_t i = 0; i < leaf->n; i++) {
        float low[BERTH_PLACE_MAX_DIMS], high[BERTH_PLACE_MAX_DIMS];
        direction_of(forest, coordinates + i, LEAF, low, high);
        for (uint32_t d = 0; d < forest->n_dims; d++) {
            ret_box->extra_low[d] = fminf(ret_box->extra_low[d], low[d]);
            ret_box->extra_high[d] = fmaxf(ret_box->extra_high[d], high[d]);
        }
    }
}

/* A host as a box of one point. */
void boxes_of_host(const Forest *forest, const int64_t *capacity, const int64_t *available,
                   Box *ret_box)
{
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        float share = capacity[d] > 0 ? (float)available[d] / (float)capacity[d] : 0;
        float root = sqrtf(share) * 65535;
        ret_box->low[d] = (int16_t)((int32_t)(root < 65534 ? root : 65534) - 32768);
        ret_box->high[d] = ret_box->low[d];
    }
    for (uint32_t k = 0; k < forest->n_corners; k++) {
        ret_box->corner[k] = corner_of(k, ret_box->low[0], ret_box->low[1]);
    }
    ret_box->depth = depth_of(forest, capacity, available, ret_box->low);
    set_extra(forest, ret_box);
}

/* What a host of a leaf looks like. */
void boxes_in_leaf(const Forest *forest, const Leaf *leaf, uint32_t i, Box *ret_box)
{
    for (uint32_t d = 0; d < forest->n_dims; d++) {
        ret_box->low[d] = ret_box->high[d] = leaf_coordinates(leaf)[d * LEAF + i];
    }
    ret_box->depth =
        forest->family == FAMILY_SUM ? leaf_coordinates(leaf)[forest->n_dims * LEAF + i] : 0;
    for (uint32_t k = 0; k < forest->n_corners; k++) {
        ret_box->corner[k] = corner_of(k, ret_box->low[0], ret_box->low[1]);
    }
    set_extra(forest, ret_box);
}

/* How much a box would have to grow to take in another. */
float boxes_growth(const Forest *forest, const Box *box, const Box *more)
{
    float sum = 0;

    for (uint32_t d = 0; d < forest->n_dims; d++) {
        float below = (float)box->low[d] - (float)more->low[d];
        float above = (float)more->high[d] - (float)box->high[d];
        sum += forest->weight * (fmaxf(below, 0) + fmaxf(above, 0));
    }
    for (uint32_t e = 0; e < forest->n_extra; e++) {
        float below = box->extra_low[e] - more->extra_low[e];
        float above = more->extra_high[e] - box->extra_high[e];
        sum += forest->extra_weights[e] * (fmaxf(below, 0) + fmaxf(above, 0));
    }
    return sum;
}
