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

static const Kernels NAME(kernels) = {.score = NAME(score),
                                      .raise = NAME(raise),
                                      .meet = NAME(meet),
                                      .maximum = NAME(maximum),
                                      .fits = NAME(fits)};
