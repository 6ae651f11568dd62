/* SPDX-License-Identifier: MIT */
#include "bench/zipf.h"

#include <math.h>

/* h(x) = x^-exponent, the frequency as a function of a real rank. */
static double frequency(const struct zipf *zipf, double x)
{
    return exp(-zipf->exponent * log(x));
}

/* H(x), the integral of h from 1 to x. expm1 and log1p keep it exact where the exponent is near 1
 * and the closed form (x^(1-exponent) - 1) / (1-exponent) would divide nothing by nothing. */
static double area(const struct zipf *zipf, double x)
{
    double rest = 1 - zipf->exponent;
    double log_x = log(x);
    return fabs(rest * log_x) < 1e-12 ? log_x : expm1(rest * log_x) / rest;
}

static double area_inverse(const struct zipf *zipf, double y)
{
    double rest = 1 - zipf->exponent;
    double product = rest * y;
    if (product < -1) {
        product = -1; /* rounding at the far end */
    }
    return fabs(product) < 1e-12 ? exp(y) : exp(log1p(product) / rest);
}

void zipf_init(struct zipf *zipf, uint64_t n, double exponent)
{
    ASSERT(n >= 1 && exponent > 0);
    zipf->n = n;
    zipf->exponent = exponent;
    zipf->area_low = area(zipf, 1.5) - 1;
    zipf->area_high = area(zipf, (double)n + 0.5);
    zipf->sure = 2 - area_inverse(zipf, area(zipf, 2.5) - frequency(zipf, 2));
}

uint64_t zipf_draw(const struct zipf *zipf, struct prng *prng)
{
    /* Ends with probability 1: each turn accepts with more than nine chances in ten. */
    for (;;) {
        double u = zipf->area_high + prng_unit(prng) * (zipf->area_low - zipf->area_high);
        double x = area_inverse(zipf, u);
        uint64_t rank = x <= 1 ? 1 : (uint64_t)(x + 0.5);
        if (rank > zipf->n) {
            rank = zipf->n;
        }
        double k = (double)rank;
        if (k - x <= zipf->sure || u >= area(zipf, k + 0.5) - frequency(zipf, k)) {
            return rank;
        }
    }
}
