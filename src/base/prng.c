/* SPDX-License-Identifier: MIT */
#include "base/prng.h"

/* SplitMix64: a Weyl sequence through a bijective mixer, so four outputs are never all zero. */
static uint64_t split_mix(uint64_t *sequence)
{
    *sequence += 0x9e3779b97f4a7c15;
    uint64_t z = *sequence;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void prng_init(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        prng->state[i] = split_mix(&seed);
}
