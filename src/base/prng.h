/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BASE_PRNG_H
#define SYNOD_BASE_PRNG_H

/*
 * Pseudo-random numbers: xoshiro256** (Blackman and Vigna 2021, "Scrambled linear pseudorandom
 * number generators"), its state drawn from the seed by SplitMix64 (Steele, Lea and Flood 2014).
 * The same seed gives the same numbers on every machine. Not for secrets.
 *
 * A generator belongs to one thread.
 */
#include <stdint.h>

#include "base/contract.h"

struct prng {
    uint64_t state[4]; /* never all zero */
};

/* Any seed will do, 0 included. */
void prng_init(struct prng *prng, uint64_t seed);

static inline uint64_t prng_rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

/* Uniform over all 64-bit values. */
static inline uint64_t prng_next(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = prng_rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = prng_rotate_left(s[3], 45);
    return result;
}

/*
 * Uniform over 0 .. bound-1, without bias; bound > 0. The upper half of a 128-bit product, redrawn
 * where the lower half shows that it fell into the uneven rest (Lemire 2019, "Fast random integer
 * generation in an interval"): no division but in that rare case, fewer than two draws on average.
 */
static inline uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    ASSERT(bound > 0);
    __extension__ unsigned __int128 product = prng_next(prng);
    product *= bound;
    if (UNLIKELY((uint64_t)product < bound)) {
        uint64_t rest = (0 - bound) % bound; /* 2^64 mod bound */
        while ((uint64_t)product < rest) {
            product = prng_next(prng);
            product *= bound;
        }
    }
    return (uint64_t)(product >> 64);
}

/* Uniform over the multiples of 2^-53 in [0, 1). */
static inline double prng_unit(struct prng *prng)
{
    return (double)(prng_next(prng) >> 11) * 0x1p-53;
}

#endif
