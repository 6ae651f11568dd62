/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_ZIPF_H
#define SYNOD_BENCH_ZIPF_H

/*
 * Zipf-distributed ranks 1 .. n: rank k comes with a frequency proportional to k^-exponent.
 *
 * Rejection-inversion (Hörmann and Derflinger 1996, "Rejection-inversion to generate variates from
 * monotone discrete distributions"): exact for every n and every exponent > 0, no table, fewer
 * than 1.1 draws a rank on average; about one logarithm and one exponential each.
 *
 * A const zipf may be drawn from by many threads, each with its own prng.
 */
#include <stdint.h>

#include "base/prng.h"

struct zipf {
    uint64_t n;
    double exponent;
    double area_low, area_high; /* the hat's integral at 1.5 less h(1), and at n + 0.5 */
    double sure;                /* within this distance above x a rank is accepted unseen */
};

/* n >= 1, exponent > 0. */
void zipf_init(struct zipf *zipf, uint64_t n, double exponent);
uint64_t zipf_draw(const struct zipf *zipf, struct prng *prng);

#endif
