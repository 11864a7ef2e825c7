#include "base/rng.h"

__extension__ typedef unsigned __int128 Wide;

uint64_t berth_rng_splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void berth_rng_init(BerthRng *rng, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        rng->state[i] = berth_rng_splitmix64(&seed);
    }
}

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t berth_rng_next(BerthRng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t berth_rng_below(BerthRng *rng, uint64_t bound)
{
    Wide product = (Wide)berth_rng_next(rng) * bound;

    if ((uint64_t)product < bound) {
        uint64_t threshold = -bound % bound;
        while ((uint64_t)product < threshold) {
            product = (Wide)berth_rng_next(rng) * bound;
        }
    }
    return (uint64_t)(product >> 64);
}

int64_t berth_rng_between(BerthRng *rng, int64_t low, int64_t high)
{
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    uint64_t offset = span == 0 ? berth_rng_next(rng) : berth_rng_below(rng, span);

    return (int64_t)((uint64_t)low + offset);
}

double berth_rng_double(BerthRng *rng)
{
    return (double)(berth_rng_next(rng) >> 11) * 0x1.0p-53;
}

bool berth_rng_chance(BerthRng *rng, double probability)
{
    return berth_rng_double(rng) < probability;
}

static void swap_bytes(char *a, char *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
}

void berth_rng_shuffle(BerthRng *rng, void *elements, size_t count, size_t size)
{
    char *bytes = elements;

    for (size_t left = count; left > 1; left--) {
        size_t chosen = (size_t)berth_rng_below(rng, left);
        if (chosen != left - 1) {
            swap_bytes(bytes + chosen * size, bytes + (left - 1) * size, size);
        }
    }
}
