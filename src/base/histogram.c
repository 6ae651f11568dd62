/* SPDX-License-Identifier: MIT */
#include "base/histogram.h"

#include <float.h>
#include <string.h>

#include "base/contract.h"

void histogram_reset(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
    histogram->min = UINT64_MAX;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t histogram_count(const struct histogram *histogram)
{
    return histogram->count;
}

uint64_t histogram_min(const struct histogram *histogram)
{
    return histogram->count > 0 ? histogram->min : 0;
}

uint64_t histogram_max(const struct histogram *histogram)
{
    return histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count > 0 ? (double)histogram->sum / (double)histogram->count : 0;
}

uint64_t histogram_overflow(const struct histogram *histogram)
{
    return histogram->buckets[HISTOGRAM_OVERFLOW];
}

/* Undoes histogram_bucket_of: indices up to 255 are values; above, the low 7 bits and a leading one
 * are the value's leading 8 bits, and the rest counts the places they were shifted by. */
static uint64_t bucket_low(size_t index)
{
    const size_t per_power = (size_t)1 << HISTOGRAM_PRECISION_BITS;
    if (index < 2 * per_power)
        return index;
    size_t shift = (index >> HISTOGRAM_PRECISION_BITS) - 1;
    return (uint64_t)(per_power + index % per_power) << shift;
}

static uint64_t bucket_high(const struct histogram *histogram, size_t index)
{
    return index < HISTOGRAM_OVERFLOW ? bucket_low(index + 1) - 1 : histogram->max;
}

/*
 * ceil(percent/100 * count), at least 1. 99.9 is not a binary fraction, so where the exact product
 * is a whole number the computed one may lie a rounding error above it: that much is taken off
 * first.
 */
static uint64_t rank_of(uint64_t count, double percent)
{
    if (percent >= 100)
        return count;
    double exact = percent * (double)count / 100;
    exact -= exact * 2 * DBL_EPSILON;
    uint64_t rank = (uint64_t)exact;
    rank += (double)rank < exact;
    return rank > 0 ? rank : 1;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    ASSERT(percent >= 0 && percent <= 100);
    if (histogram->count == 0)
        return 0;
    uint64_t rank = rank_of(histogram->count, percent);
    uint64_t passed = 0;
    size_t index = 0;
    while (index < HISTOGRAM_OVERFLOW) {
        passed += histogram->buckets[index];
        if (passed >= rank)
            break;
        index++;
    }
    uint64_t high = bucket_high(histogram, index);
    return high < histogram->max ? high : histogram->max;
}

bool histogram_next(const struct histogram *histogram, struct histogram_bucket *bucket)
{
    for (size_t index = bucket->next_index; index < HISTOGRAM_BUCKETS; index++) {
        if (histogram->buckets[index] == 0)
            continue;
        bucket->low = bucket_low(index);
        bucket->high = bucket_high(histogram, index);
        bucket->count = histogram->buckets[index];
        bucket->count_up_to += bucket->count;
        bucket->next_index = index + 1;
        return true;
    }
    return false;
}
