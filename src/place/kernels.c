#include "place/kernels.h"

#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef float V8 __attribute__((vector_size(32), aligned(4)));
typedef int32_t V8i __attribute__((vector_size(32), aligned(4)));
typedef int16_t V8s __attribute__((vector_size(16), aligned(2)));
typedef uint8_t V16u __attribute__((vector_size(16), aligned(1)));
typedef uint8_t V32u __attribute__((vector_size(32), aligned(1)));
typedef int64_t V4l __attribute__((vector_size(32), aligned(4)));

#define ANY(mask) (((V4l)(mask))[0] | ((V4l)(mask))[1] | ((V4l)(mask))[2] | ((V4l)(mask))[3])

/* The sign bits of eight lanes. */
static inline uint32_t sign_bits(const int32_t *lanes)
{
    uint32_t bits = 0;

    for (uint32_t i = 0; i < 8; i++) {
        bits |= (uint32_t)(lanes[i] < 0) << i;
    }
    return bits;
}

/* The sign bits of four long lanes. */
static inline uint32_t long_sign_bits(const int64_t *lanes)
{
    uint32_t bits = 0;

    for (uint32_t i = 0; i < 4; i++) {
        bits |= (uint32_t)(lanes[i] < 0) << i;
    }
    return bits;
}

/* The highest bits of sixteen bytes. */
static inline uint32_t high_bits(const uint8_t *bytes)
{
    uint32_t bits = 0;

    for (uint32_t i = 0; i < 16; i++) {
        bits |= (uint32_t)(bytes[i] >> 7) << i;
    }
    return bits;
}

#define TARGET
#define NAME(name) name##_plain
#define MASK(mask) sign_bits((const int32_t *)&(mask))
#define LONG_MASK(mask) long_sign_bits((const int64_t *)&(mask))
#define BYTE_MASK(mask) high_bits((const uint8_t *)&(mask))
#include "place/kernels-body.h"
#undef TARGET
#undef NAME
#undef MASK
#undef LONG_MASK
#undef BYTE_MASK

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2")))
#define NAME(name) name##_avx2
#define MASK(mask) ((uint32_t)_mm256_movemask_ps((__m256)(mask)))
#define LONG_MASK(mask) ((uint32_t)_mm256_movemask_pd((__m256d)(mask)))
#define BYTE_MASK(mask) ((uint32_t)_mm_movemask_epi8((__m128i)(mask)))
#include "place/kernels-body.h"
#undef TARGET
#undef NAME
#undef MASK
#undef LONG_MASK
#undef BYTE_MASK
#endif

const float kernels_corners[CORNERS] = {1.7F, 1.3F, 1, 0.77F, 0.59F};

const Kernels *kernels_get(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        return &kernels_avx2;
    }
#endif
    return &kernels_plain;
}

float kernels_slack(BerthPlacePolicy policy, uint32_t n_dims, float key)
{
    float relative = 8e-6F * fabsf(key);

    switch (policy) {
    case BERTH_PLACE_MOST_FREE:
    case BERTH_PLACE_LEAST_FREE:
        /* A mean of shares and differences of shares, each of at most 1. */
        return 4e-7F + 1e-7F * (float)n_dims + 2e-7F * fabsf(key);
    case BERTH_PLACE_L2_DIFF:
        /* Differences of nearly equal shares round absolutely. */
        return relative + 8e-6F;
    default:
        return relative;
    }
}
