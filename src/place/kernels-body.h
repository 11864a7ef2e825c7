/* Included by kernels.c once for each instruction set, which defines TARGET and NAME. */

TARGET static inline V8 NAME(at_least)(V8 a, V8 b)
{
    V8i mask = a > b;

    return (V8)(((V8i)a & mask) | ((V8i)b & ~mask));
}

/* Sums over the dimensions; lanes are sizes. */
TARGET static inline V8 NAME(score_lanes)(const RowInput *in, BerthPlacePolicy policy,
                                          uint32_t lane)
{
    V8 sum = {0}, request_squared = {0}, root;
    float squared = 0;

    for (uint32_t d = 0; d < in->n_dims; d++) {
        float a = in->available[d], inverse = in->inverse[d], share = a * inverse;
        V8 need = *(const V8 *)(in->needs[d] + lane), part;
        switch (policy) {
        case BERTH_PLACE_MOST_FREE:
        case BERTH_PLACE_LEAST_FREE:
            sum += (a - need) * inverse;
            break;
        case BERTH_PLACE_L2_DIFF:
            part = (a - need) * inverse;
            sum += part * part;
            break;
        case BERTH_PLACE_L2_RATIO:
        case BERTH_PLACE_L2_RATIO_SPREAD:
            sum += need * (1 / (a > 1 ? a : 1));
            break;
        default:
            part = need * inverse;
            sum += part * share;
            request_squared += part * part;
            squared += share * share;
        }
    }
    if (policy == BERTH_PLACE_MOST_FREE || policy == BERTH_PLACE_LEAST_FREE) {
        sum *= in->n_inverse;
    }
    if (policy == BERTH_PLACE_COSINE) {
        for (int i = 0; i < 8; i++) {
            root[i] = sqrtf(request_squared[i]);
        }
        sum /= root * sqrtf(squared);
    }
    return policy == BERTH_PLACE_LEAST_FREE || policy == BERTH_PLACE_L2_DIFF ||
                   policy == BERTH_PLACE_L2_RATIO_SPREAD
               ? -sum
               : sum;
}

TARGET static inline __attribute__((always_inline)) void NAME(score_row)(const RowInput *in,
                                                                         BerthPlacePolicy policy,
                                                                         float *ret_row)
{
    const V8 never = {-INFINITY, -INFINITY, -INFINITY, -INFINITY,
                      -INFINITY, -INFINITY, -INFINITY, -INFINITY};

    for (uint32_t lane = 0; lane < in->width; lane += 8) {
        V8i fits = {-1, -1, -1, -1, -1, -1, -1, -1};
        for (uint32_t d = 0; d < in->n_dims; d++) {
            V8 need = *(const V8 *)(in->needs[d] + lane);
            fits &= need <= in->available[d];
        }
        V8 score = NAME(score_lanes)(in, policy, lane);
        *(V8 *)(ret_row + lane) = (V8)(((V8i)score & fits) | ((V8i)never & ~fits));
    }
}

TARGET static void NAME(score)(const RowInput *in, float *ret_row)
{
    switch (in->policy) {
    case BERTH_PLACE_MOST_FREE:
        NAME(score_row)(in, BERTH_PLACE_MOST_FREE, ret_row);
        break;
    case BERTH_PLACE_LEAST_FREE:
        NAME(score_row)(in, BERTH_PLACE_LEAST_FREE, ret_row);
        break;
    case BERTH_PLACE_COSINE:
        NAME(score_row)(in, BERTH_PLACE_COSINE, ret_row);
        break;
    case BERTH_PLACE_L2_DIFF:
        NAME(score_row)(in, BERTH_PLACE_L2_DIFF, ret_row);
        break;
    case BERTH_PLACE_L2_RATIO:
        NAME(score_row)(in, BERTH_PLACE_L2_RATIO, ret_row);
        break;
    case BERTH_PLACE_L2_RATIO_SPREAD:
        NAME(score_row)(in, BERTH_PLACE_L2_RATIO_SPREAD, ret_row);
        break;
    default:
        NAME(score_row)(in, BERTH_PLACE_DOT_PRODUCT, ret_row);
    }
}

TARGET static bool NAME(raise)(float *to, const float *row, uint32_t width)
{
    V8i changed = {0};

    for (uint32_t lane = 0; lane < width; lane += 8) {
        V8 old = *(V8 *)(to + lane), new = *(const V8 *)(row + lane);
        changed |= new > old;
        *(V8 *)(to + lane) = NAME(at_least)(old, new);
    }
    return ANY(changed);
}

TARGET static bool NAME(meet)(const float *a, const float *b, uint32_t width)
{
    V8i meeting = {0};

    for (uint32_t lane = 0; lane < width; lane += 8) {
        V8 x = *(const V8 *)(a + lane), y = *(const V8 *)(b + lane);
        meeting |= (x == y) & (x > -INFINITY);
    }
    return ANY(meeting);
}

TARGET static void NAME(maximum)(const float *rows, float *ret_row, uint32_t width)
{
    for (uint32_t lane = 0; lane < width; lane += 8) {
        V8 most = *(const V8 *)(rows + lane);
        for (uint32_t i = 1; i < 16; i++) {
            most = NAME(at_least)(most, *(const V8 *)(rows + i * ROW + lane));
        }
        *(V8 *)(ret_row + lane) = most;
    }
}

TARGET static uint32_t NAME(fits)(const float (*needs)[ROW], uint32_t n_dims, uint32_t width,
                                  const float *available)
{
    uint32_t mask = 0;

    for (uint32_t lane = 0; lane < width; lane += 8) {
        V8i fits = {-1, -1, -1, -1, -1, -1, -1, -1};
        for (uint32_t d = 0; d < n_dims; d++) {
            fits &= *(const V8 *)(needs[d] + lane) <= available[d];
        }
        mask |= MASK(fits) << lane;
    }
    return mask;
}

TARGET static uint32_t NAME(meet_words)(const uint32_t *words, uint32_t mask)
{
    V8i low = (*(const V8i *)words & (int32_t)mask) != 0;
    V8i high = (*(const V8i *)(words + 8) & (int32_t)mask) != 0;

    return MASK(low) | MASK(high) << 8;
}

TARGET static uint32_t NAME(meet_long_words)(const uint64_t *words, uint64_t mask)
{
    uint32_t met = 0;

    for (uint32_t i = 0; i < 16; i += 4) {
        V4l some = (*(const V4l *)(words + i) & (int64_t)mask) != 0;
        met |= LONG_MASK(some) << i;
    }
    return met;
}

/* A word in those of eight lanes whose sizes are in a mask, and nothing in the others. */
TARGET static inline V8i NAME(in_lanes)(uint32_t lane, uint32_t sizes, uint32_t word)
{
    const V8i bits = {1, 2, 4, 8, 16, 32, 64, 128};

    return (((int32_t)(sizes >> lane) & bits) != 0) & (int32_t)word;
}

TARGET static bool NAME(widen)(uint32_t *row, uint32_t sizes, uint32_t word, uint32_t width)
{
    V8i grown = {0};

    for (uint32_t lane = 0; lane < width; lane += 8) {
        V8i *at = (V8i *)(row + lane), more = NAME(in_lanes)(lane, sizes, word) & ~*at;
        *at |= more;
        grown |= more;
    }
    return ANY(grown) != 0;
}

TARGET static void NAME(unite_words)(const uint32_t *words, const uint32_t *sizes,
                                     uint32_t *ret_row, uint32_t width)
{
    for (uint32_t lane = 0; lane < width; lane += 8) {
        V8i all = {0};
        for (uint32_t i = 0; i < 16; i++) {
            all |= NAME(in_lanes)(lane, sizes[i], words[i]);
        }
        *(V8i *)(ret_row + lane) = all;
    }
}

TARGET static void NAME(unite_rows)(const uint32_t (*rows)[ROW], uint32_t *ret_row, uint32_t width)
{
    for (uint32_t lane = 0; lane < width; lane += 8) {
        V8i all = {0};
        for (uint32_t i = 0; i < 16; i++) {
            all |= *(const V8i *)(rows[i] + lane);
        }
        *(V8i *)(ret_row + lane) = all;
    }
}

TARGET static uint32_t NAME(reach_columns)(const uint8_t *rows, uint32_t n_dims,
                                           const uint8_t *least)
{
    V16u below = {0};

    for (uint32_t d = 0; d < n_dims; d++) {
        below |= (V16u)(*(const V16u *)(rows + (size_t)d * 16) < least[d]);
    }
    return ~BYTE_MASK(below) & 0xffff;
}

TARGET static void NAME(raise_steps)(uint8_t (*steps)[KERNELS_STEPS], const uint8_t *thresholds,
                                     const uint8_t *codes, uint32_t n_dims)
{
    V32u reached = (V32u)(*(const V32u *)thresholds <= codes[0]);

    for (uint32_t d = 0; d < n_dims; d++) {
        V32u old = *(V32u *)steps[d], now = reached & codes[d];
        V32u higher = (V32u)(now > old);
        *(V32u *)steps[d] = (now & higher) | (old & ~higher);
    }
}

TARGET static inline V8 NAME(at_most)(V8 a, V8 b)
{
    V8i mask = a < b;

    return (V8)(((V8i)a & mask) | ((V8i)b & ~mask));
}

TARGET static inline V8 NAME(roots)(V8 a)
{
    V8 roots;

    for (int i = 0; i < 8; i++) {
        roots[i] = sqrtf(a[i]);
    }
    return roots;
}

TARGET static inline V8 NAME(coordinates)(const int16_t *at, float offset)
{
    V8 root = (__builtin_convertvector(*(const V8s *)at, V8) + offset) * SHARE_STEP;

    return NAME(at_least)(root, (V8){0});
}

/* The most that a direction q of length 1 in a box of directions can have in common with the request's, p:
 * Σ p q ≤ m + Σ max (p q - m q²) for any m > 0, since Σ q² = 1. The best m is between 0, where only the box counts,
 * and 1/2, where it is the distance from the box; the least of a few is near it. */
TARGET static inline V8 NAME(bound_direction)(const BoundInput *in, const Boxes *boxes,
                                              uint32_t lane)
{
    static const float multipliers[] = {0.35F, 0.2F, 0.1F};
    V8 least = {INFINITY, INFINITY, INFINITY, INFINITY, INFINITY, INFINITY, INFINITY, INFINITY};

    for (size_t i = 0; i < sizeof multipliers / sizeof *multipliers; i++) {
        float m = multipliers[i];
        V8 sum = (V8){0} + m;
        for (uint32_t d = 0; d < in->n_dims; d++) {
            float p = in->direction[d];
            V8 q = (V8){0} + p / (2 * m);
            q = NAME(at_least)(q, *(const V8 *)(boxes->extra_low + d * boxes->stride + lane));
            q = NAME(at_most)(q, *(const V8 *)(boxes->extra_high + d * boxes->stride + lane));
            sum += q * (p - m * q);
        }
        least = NAME(at_most)(least, sum);
    }
    return least + 4e-6F;
}

/* What a sum of shares is at most and at least, by the sum of their upper bounds and the depth. */
TARGET static inline V8 NAME(highest_sum)(uint32_t n_dims, V8 most, const int16_t *depth)
{
    return (most - (__builtin_convertvector(*(const V8s *)depth, V8) + 32768) *
                       kernels_depth_step(n_dims)) *
           (1 + DEPTH_SLACK(n_dims));
}

TARGET static inline V8 NAME(lowest_sum)(uint32_t n_dims, V8 most, const int16_t *depth)
{
    return (most - (__builtin_convertvector(*(const V8s *)depth, V8) + 32769) *
                       kernels_depth_step(n_dims)) *
           (1 - DEPTH_SLACK(n_dims));
}

/* What the dimensions give together, and what the policy's own functional gives: the better. */
TARGET static inline __attribute__((always_inline)) V8 NAME(bound_lanes)(const BoundInput *in,
                                                                         const Boxes *boxes,
                                                                         BerthPlacePolicy policy,
                                                                         uint32_t lane, V8i *fits)
{
    V8 sum = {0}, other = {0}, extra;
    const int16_t *depth = boxes->low + (size_t)in->n_dims * boxes->stride + lane;

    for (uint32_t d = 0; d < in->n_dims; d++) {
        float need = in->needs[d];
        V8 low = NAME(coordinates)(boxes->low + d * boxes->stride + lane, 32767.95F);
        V8 high = NAME(coordinates)(boxes->high + d * boxes->stride + lane, 32769.05F);
        low *= low;
        high *= high;
        *fits &= high >= in->least[d];
        V8 fitting = NAME(at_least)(low, (V8){0} + need);
        switch (policy) {
        case BERTH_PLACE_MOST_FREE:
            sum += high;
            break;
        case BERTH_PLACE_LEAST_FREE:
            sum += fitting;
            other += high;
            break;
        case BERTH_PLACE_L2_DIFF:
            sum += (fitting - need) * (fitting - need);
            other += need * high;
            break;
        case BERTH_PLACE_L2_RATIO:
            sum += need / (fitting + 1e-30F);
            break;
        case BERTH_PLACE_L2_RATIO_SPREAD:
            sum += need / high;
            break;
        default:
            sum += need * high;
            other += low * low;
        }
    }
    switch (policy) {
    case BERTH_PLACE_MOST_FREE:
        sum = boxes->is_point ? NAME(highest_sum)(in->n_dims, sum, depth)
                              : NAME(at_most)(sum, *(const V8 *)(boxes->extra_high + lane));
        return (sum - in->sum) * in->n_inverse;
    case BERTH_PLACE_LEAST_FREE:
        extra = boxes->is_point ? NAME(lowest_sum)(in->n_dims, other, depth)
                                : *(const V8 *)(boxes->extra_low + lane);
        return (in->sum - NAME(at_least)(sum, extra)) * in->n_inverse;
    case BERTH_PLACE_L2_DIFF:
        if (!boxes->is_point) {
            extra = *(const V8 *)(boxes->extra_low + lane) - 2 * other + (in->squares - 4e-6F);
            sum = NAME(at_least)(sum, extra);
        }
        return -sum;
    case BERTH_PLACE_L2_RATIO:
        return sum;
    case BERTH_PLACE_L2_RATIO_SPREAD:
        if (!boxes->is_point) {
            extra = in->roots / *(const V8 *)(boxes->extra_high + lane);
            sum = NAME(at_least)(sum, extra * 0.999999F);
        }
        return -sum;
    case BERTH_PLACE_COSINE:
        if (boxes->is_point) {
            return sum / (in->length * NAME(roots)(other + 1e-30F));
        }
        return NAME(bound_direction)(in, boxes, lane);
    default:
        if (boxes->is_point) {
            return sum;
        }
        extra = *(const V8 *)(boxes->extra_high + lane);
        return NAME(at_most)(sum, in->length * NAME(roots)(extra) * 1.000001F);
    }
}

TARGET static inline __attribute__((always_inline)) void NAME(bound_boxes)(const BoundInput *in,
                                                                           const Boxes *boxes,
                                                                           BerthPlacePolicy policy,
                                                                           float *ret_bounds)
{
    const V8 never = {-INFINITY, -INFINITY, -INFINITY, -INFINITY,
                      -INFINITY, -INFINITY, -INFINITY, -INFINITY};

    for (uint32_t lane = 0; lane < boxes->stride; lane += 8) {
        V8i fits = {-1, -1, -1, -1, -1, -1, -1, -1};
        V8 bound = NAME(bound_lanes)(in, boxes, policy, lane, &fits);
        for (uint32_t k = 0; k < in->n_corners && !boxes->is_point; k++) {
            V8s corner = *(const V8s *)(boxes->corner + k * boxes->stride + lane);
            fits &= __builtin_convertvector(corner, V8) >= in->corners[k];
        }
        *(V8 *)(ret_bounds + lane) = (V8)(((V8i)bound & fits) | ((V8i)never & ~fits));
    }
}

TARGET static void NAME(bound)(const BoundInput *in, const Boxes *boxes, float *ret_bounds)
{
    switch (in->policy) {
    case BERTH_PLACE_MOST_FREE:
        NAME(bound_boxes)(in, boxes, BERTH_PLACE_MOST_FREE, ret_bounds);
        break;
    case BERTH_PLACE_LEAST_FREE:
        NAME(bound_boxes)(in, boxes, BERTH_PLACE_LEAST_FREE, ret_bounds);
        break;
    case BERTH_PLACE_COSINE:
        NAME(bound_boxes)(in, boxes, BERTH_PLACE_COSINE, ret_bounds);
        break;
    case BERTH_PLACE_L2_DIFF:
        NAME(bound_boxes)(in, boxes, BERTH_PLACE_L2_DIFF, ret_bounds);
        break;
    case BERTH_PLACE_L2_RATIO:
        NAME(bound_boxes)(in, boxes, BERTH_PLACE_L2_RATIO, ret_bounds);
        break;
    case BERTH_PLACE_L2_RATIO_SPREAD:
        NAME(bound_boxes)(in, boxes, BERTH_PLACE_L2_RATIO_SPREAD, ret_bounds);
        break;
    default:
        NAME(bound_boxes)(in, boxes, BERTH_PLACE_DOT_PRODUCT, ret_bounds);
    }
}

/* Eight points in one dimension; behind the last of all points the first one again. */
TARGET static inline V8s NAME(points)(const Points *points, uint32_t dim, uint32_t lane)
{
    const V8s places = {0, 1, 2, 3, 4, 5, 6, 7};
    const int16_t *at = points->coordinates + (size_t)dim * points->stride;
    V8s in_use = places < (int16_t)(points->n - lane);

    return (*(const V8s *)(at + lane) & in_use) | (at[0] & ~in_use);
}

TARGET static inline float NAME(lowest)(V8 values)
{
    float least = values[0];

    for (int i = 1; i < 8; i++) {
        least = values[i] < least ? values[i] : least;
    }
    return least;
}

TARGET static inline float NAME(highest)(V8 values)
{
    return -NAME(lowest)(-values);
}

TARGET static inline int16_t NAME(lowest_short)(V8s values)
{
    int16_t least = values[0];

    for (int i = 1; i < 8; i++) {
        least = values[i] < least ? values[i] : least;
    }
    return least;
}

TARGET static void NAME(surround_sides)(const Points *points, Box *ret_box)
{
    for (uint32_t d = 0; d < points->n_dims; d++) {
        V8s low = NAME(points)(points, d, 0), high = low;
        for (uint32_t lane = 8; lane < points->n; lane += 8) {
            V8s next = NAME(points)(points, d, lane);
            V8s below = next<low, above = next> high;
            low = (next & below) | (low & ~below);
            high = (next & above) | (high & ~above);
        }
        ret_box->low[d] = NAME(lowest_short)(low);
        ret_box->high[d] = (int16_t)~NAME(lowest_short)(~high);
    }
}

TARGET static void NAME(surround_corners)(const Points *points, Box *ret_box)
{
    V8 most[CORNERS] = {{0}};

    for (uint32_t lane = 0; lane < points->n && points->n_corners > 0; lane += 8) {
        V8 a = __builtin_convertvector(NAME(points)(points, 0, lane), V8) + 32769.05F;
        V8 b = __builtin_convertvector(NAME(points)(points, 1, lane), V8) + 32769.05F;
        for (uint32_t k = 0; k < CORNERS; k++) {
            most[k] = NAME(at_least)(most[k], NAME(at_most)(a, b * kernels_corners[k]));
        }
    }
    for (uint32_t k = 0; k < points->n_corners; k++) {
        ret_box->corner[k] = kernels_corner(NAME(highest)(most[k]));
    }
}

TARGET static inline __attribute__((always_inline)) void NAME(surround_sums)(const Points *points,
                                                                             Family family,
                                                                             Box *ret_box)
{
    V8 least = {0}, most = {0};

    for (uint32_t lane = 0; lane < points->n; lane += 8) {
        V8 low_sum = {0}, high_sum = {0};
        for (uint32_t d = 0; d < points->n_dims; d++) {
            V8s at = NAME(points)(points, d, lane);
            V8 low = NAME(coordinates)((const int16_t *)&at, 32767.95F);
            V8 high = NAME(coordinates)((const int16_t *)&at, 32769.05F);
            low *= low;
            high *= high;
            low_sum += family == FAMILY_SQUARES ? low * low : low;
            high_sum += family == FAMILY_SQUARES ? high * high : high;
        }
        if (family == FAMILY_SUM) {
            V8s depth = NAME(points)(points, points->n_dims, lane);
            low_sum = NAME(lowest_sum)(points->n_dims, high_sum, (const int16_t *)&depth);
            high_sum = NAME(highest_sum)(points->n_dims, high_sum, (const int16_t *)&depth);
        }
        least = lane == 0 ? low_sum : NAME(at_most)(least, low_sum);
        most = NAME(at_least)(most, high_sum);
    }
    ret_box->extra_low[0] = NAME(lowest)(least);
    ret_box->extra_high[0] = NAME(highest)(most);
}

TARGET static void NAME(surround)(const Points *points, Box *ret_box)
{
    NAME(surround_sides)(points, ret_box);
    NAME(surround_corners)(points, ret_box);
    switch (points->family) {
    case FAMILY_SUM:
        NAME(surround_sums)(points, FAMILY_SUM, ret_box);
        break;
    case FAMILY_SQUARES:
        NAME(surround_sums)(points, FAMILY_SQUARES, ret_box);
        break;
    case FAMILY_RATIO:
        NAME(surround_sums)(points, FAMILY_RATIO, ret_box);
        break;
    default:
        break;
    }
}

static const Kernels NAME(kernels) = {.score = NAME(score),
                                      .raise = NAME(raise),
                                      .meet = NAME(meet),
                                      .maximum = NAME(maximum),
                                      .fits = NAME(fits),
                                      .meet_words = NAME(meet_words),
                                      .meet_long_words = NAME(meet_long_words),
                                      .widen = NAME(widen),
                                      .unite_words = NAME(unite_words),
                                      .unite_rows = NAME(unite_rows),
                                      .reach_columns = NAME(reach_columns),
                                      .raise_steps = NAME(raise_steps),
                                      .surround = NAME(surround),
                                      .bound = NAME(bound)};
