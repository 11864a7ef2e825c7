#include "sim/simd_scan.h"

#include <glib.h>
#include <math.h>
#include <string.h>

#include "place/score.h"

#define BLOCK 512
#define MAX_SHAPES 64

typedef float V8 __attribute__((vector_size(32), aligned(4)));
typedef int32_t V8i __attribute__((vector_size(32), aligned(4)));

typedef struct {
    int64_t capacity[BERTH_PLACE_MAX_DIMS];
    uint32_t n, room;
    uint32_t *hosts;
    float *available[BERTH_PLACE_MAX_DIMS]; /* -1 behind the last, to whole blocks */
} Shape;

struct SimdScan {
    const BerthPlace *place;
    uint32_t n_dims, n_shapes;
    Shape shapes[MAX_SHAPES];
    Shape all; /* without regard to shape, for first fit */
};

typedef struct {
    BerthPlacePolicy policy;
    uint32_t n_dims;
    float needs[BERTH_PLACE_MAX_DIMS], inverse[BERTH_PLACE_MAX_DIMS];
} Question;

static void append(Shape *shape, uint32_t n_dims, uint32_t host, const int64_t *available)
{
    if (shape->n == shape->room) {
        shape->room += shape->room / 2 / BLOCK * BLOCK + BLOCK;
        shape->hosts = g_renew(uint32_t, shape->hosts, shape->room);
        for (uint32_t d = 0; d < n_dims; d++) {
            shape->available[d] = g_renew(float, shape->available[d], shape->room);
            for (uint32_t i = shape->n; i < shape->room; i++) {
                shape->available[d][i] = -1;
            }
        }
    }
    shape->hosts[shape->n] = host;
    for (uint32_t d = 0; d < n_dims; d++) {
        shape->available[d][shape->n] = (float)available[d];
    }
    shape->n++;
}

SimdScan *simd_scan_new(const BerthPlace *place, uint32_t n_hosts)
{
    SimdScan *scan = g_new0(SimdScan, 1);
    int64_t capacity[BERTH_PLACE_MAX_DIMS] = {0}, available[BERTH_PLACE_MAX_DIMS];

    scan->place = place;
    scan->n_dims = berth_place_n_dims(place);
    for (uint32_t host = 0; host < n_hosts; host++) {
        g_assert(berth_place_get(place, host, capacity, available, NULL) == BERTH_PLACE_OK);
        uint32_t s = 0;
        while (s < scan->n_shapes &&
               memcmp(scan->shapes[s].capacity, capacity, sizeof capacity) != 0) {
            s++;
        }
        if (s == scan->n_shapes) {
            g_assert(s < MAX_SHAPES);
            memcpy(scan->shapes[scan->n_shapes++].capacity, capacity, sizeof capacity);
        }
        append(&scan->shapes[s], scan->n_dims, host, available);
        append(&scan->all, scan->n_dims, host, available);
    }
    return scan;
}

static void clear(Shape *shape)
{
    g_free(shape->hosts);
    for (uint32_t d = 0; d < BERTH_PLACE_MAX_DIMS; d++) {
        g_free(shape->available[d]);
    }
}

void simd_scan_free(SimdScan *scan)
{
    for (uint32_t s = 0; s < scan->n_shapes; s++) {
        clear(&scan->shapes[s]);
    }
    clear(&scan->all);
    g_free(scan);
}

static inline __attribute__((always_inline)) void score_dim(const Question *q,
                                                            BerthPlacePolicy policy, uint32_t d,
                                                            V8 a, V8 *sum, V8 *squared)
{
    float need = q->needs[d], inverse = q->inverse[d];

    switch (policy) {
    case BERTH_PLACE_MOST_FREE:
    case BERTH_PLACE_LEAST_FREE:
        *sum += a * inverse;
        break;
    case BERTH_PLACE_L2_DIFF:
        *sum += (a - need) * inverse * ((a - need) * inverse);
        break;
    case BERTH_PLACE_L2_RATIO:
    case BERTH_PLACE_L2_RATIO_SPREAD:
        *sum += need / (V8)(((V8i)a & (a > 1)) | ((V8i)(a * 0 + 1) & ~(a > 1)));
        break;
    default:
        *sum += a * inverse * (need * inverse);
        *squared += a * inverse * (a * inverse);
    }
}

/* Keys of a block, the higher the better; the highest of them. Of cosine the square, which orders
 * alike. */
static inline __attribute__((always_inline)) float score_block(const Question *q,
                                                               const uint32_t n_dims,
                                                               BerthPlacePolicy policy,
                                                               const Shape *shape, uint32_t block,
                                                               float *ret_keys)
{
    const V8 never = {-INFINITY, -INFINITY, -INFINITY, -INFINITY,
                      -INFINITY, -INFINITY, -INFINITY, -INFINITY};
    bool is_low = policy == BERTH_PLACE_LEAST_FREE || policy == BERTH_PLACE_L2_DIFF ||
                  policy == BERTH_PLACE_L2_RATIO_SPREAD;
    V8 most = never;

    for (uint32_t i = 0; i < BLOCK; i += 8) {
        V8 sum = {0}, squared = {0};
        V8i fits = {-1, -1, -1, -1, -1, -1, -1, -1};
        for (uint32_t d = 0; d < n_dims; d++) {
            V8 a = *(const V8 *)(shape->available[d] + block + i);
            fits &= a >= q->needs[d];
            score_dim(q, policy, d, a, &sum, &squared);
        }
        if (policy == BERTH_PLACE_COSINE) {
            sum = sum * sum / squared;
        }
        V8 key = is_low ? -sum : sum;
        key = (V8)(((V8i)key & fits) | ((V8i)never & ~fits));
        *(V8 *)(ret_keys + i) = key;
        V8i higher = key > most;
        most = (V8)(((V8i)key & higher) | ((V8i)most & ~higher));
    }
    float best = most[0];
    for (int i = 1; i < 8; i++) {
        best = most[i] > best ? most[i] : best;
    }
    return best;
}

static inline __attribute__((always_inline)) float score_5_or_more(const Question *q,
                                                                   BerthPlacePolicy policy,
                                                                   const Shape *shape,
                                                                   uint32_t block, float *ret_keys)
{
    return q->n_dims == 5 ? score_block(q, 5, policy, shape, block, ret_keys)
                          : score_block(q, q->n_dims, policy, shape, block, ret_keys);
}

#if defined(__x86_64__)
__attribute__((target_clones("avx2", "default")))
#endif
static float
score(const Question *q, const Shape *shape, uint32_t block, float *ret_keys)
{
    switch (q->policy) {
    case BERTH_PLACE_MOST_FREE:
        return score_5_or_more(q, BERTH_PLACE_MOST_FREE, shape, block, ret_keys);
    case BERTH_PLACE_LEAST_FREE:
        return score_5_or_more(q, BERTH_PLACE_LEAST_FREE, shape, block, ret_keys);
    case BERTH_PLACE_COSINE:
        return score_5_or_more(q, BERTH_PLACE_COSINE, shape, block, ret_keys);
    case BERTH_PLACE_L2_DIFF:
        return score_5_or_more(q, BERTH_PLACE_L2_DIFF, shape, block, ret_keys);
    case BERTH_PLACE_L2_RATIO:
        return score_5_or_more(q, BERTH_PLACE_L2_RATIO, shape, block, ret_keys);
    case BERTH_PLACE_L2_RATIO_SPREAD:
        return score_5_or_more(q, BERTH_PLACE_L2_RATIO_SPREAD, shape, block, ret_keys);
    default:
        return score_5_or_more(q, BERTH_PLACE_DOT_PRODUCT, shape, block, ret_keys);
    }
}

#if defined(__x86_64__)
__attribute__((target_clones("avx2", "default")))
#endif
static bool
any_fits(const Question *q, const Shape *shape, uint32_t at)
{
    V8i any = {0};

    for (uint32_t i = at; i < at + 64; i += 8) {
        V8i fits = {-1, -1, -1, -1, -1, -1, -1, -1};
        for (uint32_t d = 0; d < q->n_dims; d++) {
            fits &= *(const V8 *)(shape->available[d] + i) >= q->needs[d];
        }
        any |= fits;
    }
    return (any[0] | any[1] | any[2] | any[3] | any[4] | any[5] | any[6] | any[7]) != 0;
}

static bool fits(const int64_t *available, const int64_t *vector, uint32_t n_dims)
{
    for (uint32_t d = 0; d < n_dims; d++) {
        if (vector[d] > available[d]) {
            return false;
        }
    }
    return true;
}

static uint32_t first_fit(const SimdScan *scan, const Question *q, const int64_t *vector)
{
    int64_t available[BERTH_PLACE_MAX_DIMS];

    for (uint32_t at = 0; at < scan->all.n; at += 64) {
        if (!any_fits(q, &scan->all, at)) {
            continue;
        }
        for (uint32_t i = at; i < at + 64 && i < scan->all.n; i++) {
            berth_place_get(scan->place, i, NULL, available, NULL);
            if (fits(available, vector, scan->n_dims)) {
                return i;
            }
        }
    }
    return BERTH_PLACE_NONE;
}

static float slack(float key)
{
    return 2e-5F * fabsf(key) + 2e-5F;
}

uint32_t simd_scan_find(const SimdScan *scan, BerthPlacePolicy policy, const int64_t *vector)
{
    Question q = {.policy = policy, .n_dims = scan->n_dims};
    uint32_t best_host = BERTH_PLACE_NONE;
    double best_score = 0;
    bool prefers_high = berth_place_policy_prefers_high(policy);

    for (uint32_t d = 0; d < scan->n_dims; d++) {
        q.needs[d] = (float)vector[d];
    }
    if (policy == BERTH_PLACE_FIRST_FIT) {
        return first_fit(scan, &q, vector);
    }
    for (uint32_t s = 0; s < scan->n_shapes; s++) {
        const Shape *shape = &scan->shapes[s];
        float keys[BLOCK], squared = 0, shift = 0, factor = 1;
        for (uint32_t d = 0; d < scan->n_dims; d++) {
            q.inverse[d] = shape->capacity[d] > 0 ? 1 / (float)shape->capacity[d] : 0;
            squared += q.needs[d] * q.inverse[d] * (q.needs[d] * q.inverse[d]);
            shift += q.needs[d] * q.inverse[d];
        }
        if (policy == BERTH_PLACE_COSINE) {
            factor = squared;
        }
        if (policy != BERTH_PLACE_MOST_FREE && policy != BERTH_PLACE_LEAST_FREE) {
            shift = 0;
        } else {
            factor = (float)scan->n_dims;
        }
        for (uint32_t block = 0; block < shape->n; block += BLOCK) {
            float highest = score(&q, shape, block, keys), bound = -INFINITY;
            if (best_host != BERTH_PLACE_NONE) {
                float best = (float)(prefers_high ? best_score : -best_score);
                bound = policy == BERTH_PLACE_COSINE ? best * best : best;
                bound = (bound - slack(bound)) * factor + (prefers_high ? shift : -shift);
            }
            if (highest == -INFINITY || highest < bound) {
                continue;
            }
            bound = fmaxf(bound, highest - slack(highest));
            for (uint32_t i = 0; i < BLOCK; i++) {
                int64_t available[BERTH_PLACE_MAX_DIMS];
                if (keys[i] == -INFINITY || keys[i] < bound) {
                    continue;
                }
                uint32_t host = shape->hosts[block + i];
                berth_place_get(scan->place, host, NULL, available, NULL);
                if (!fits(available, vector, scan->n_dims)) {
                    continue;
                }
                double exact =
                    berth_place_score(policy, scan->n_dims, vector, available, shape->capacity);
                if (best_host == BERTH_PLACE_NONE ||
                    (exact != best_score ? prefers_high == (exact > best_score)
                                         : host < best_host)) {
                    best_host = host;
                    best_score = exact;
                }
            }
        }
    }
    return best_host;
}
