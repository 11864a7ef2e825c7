/*
 * Repeatable randomness for simulation, jitter and tie-breaking: xoshiro256** seeded by splitmix64
 * (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021). The same seed
 * gives the same numbers on every machine and in every release.
 *
 * Never for secrets: whoever sees a few outputs can compute the rest. Tokens and keys come from
 * GnuTLS.
 *
 * Thread safety: a BerthRng belongs to one thread at a time; it holds no memory and may be copied,
 * which forks the same future.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t state[4];
} BerthRng;

void berth_rng_init(BerthRng *rng, uint64_t seed);

/* 64 random bits. */
uint64_t berth_rng_next(BerthRng *rng);

/* Uniform in [0, bound), without bias; bound > 0 (Lemire, "Fast random integer generation in an
 * interval", 2019). */
uint64_t berth_rng_below(BerthRng *rng, uint64_t bound);

/* Uniform in [low, high], both included; low <= high. */
int64_t berth_rng_between(BerthRng *rng, int64_t low, int64_t high);

/* Uniform in [0, 1), a multiple of 2^-53. */
double berth_rng_double(BerthRng *rng);

/* True with this probability: never at 0, always at 1. */
bool berth_rng_chance(BerthRng *rng, double probability);

/* Shuffles `count` elements of `size` bytes in place, every order equally likely (Fisher-Yates). */
void berth_rng_shuffle(BerthRng *rng, void *elements, size_t count, size_t size);

/* One step of splitmix64: adds to the state and returns a mix of it. Good for deriving seeds. */
uint64_t berth_rng_splitmix64(uint64_t *state);
