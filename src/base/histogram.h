/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BASE_HISTOGRAM_H
#define SYNOD_BASE_HISTOGRAM_H

/*
 * Histogram of durations (any unit; synod uses nanoseconds) with a bounded relative error.
 *
 * Log-linear buckets (the idea of Gil Tene's HdrHistogram): each power of two is cut into 128 equal
 * buckets, so a bucket is at most 1/128 = 0.78 % as wide as its own values are large. Values below
 * 256 have a bucket each and are exact.
 *
 *     value         0 .. 255   256 .. 511   512 .. 1023   ...   2^41 .. 2^42-1   2^42 and more
 *     bucket width         1            2             4   ...             2^34        overflow
 *
 * The top, 2^42 ns, is 73 minutes. Larger values go to one overflow bucket: they count in count,
 * sum, mean, max and percentiles (as the exact maximum), so a stall beyond the range cannot hide.
 *
 * Recording is a handful of instructions without a data-dependent branch, and never fails.
 * Threads: a histogram belongs to one thread; merge it once that thread is done with it.
 * Memory:  37 KiB in place, no allocation: keep it off small stacks.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_PRECISION_BITS 7 /* 2^7 buckets for each power of two */
#define HISTOGRAM_RANGE_BITS     42
#define HISTOGRAM_RANGE          (UINT64_C(1) << HISTOGRAM_RANGE_BITS) /* first value of the overflow */
#define HISTOGRAM_OVERFLOW                                                                         \
    ((size_t)(HISTOGRAM_RANGE_BITS - HISTOGRAM_PRECISION_BITS + 1) << HISTOGRAM_PRECISION_BITS)
#define HISTOGRAM_BUCKETS (HISTOGRAM_OVERFLOW + 1)

struct histogram {
    uint64_t count;
    uint64_t min; /* UINT64_MAX while empty; histogram_min() hides that */
    uint64_t max;
    __extension__ unsigned __int128 sum; /* 2^64 values of 2^64 each cannot overflow it */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Empties it; also how a new one begins. */
void histogram_reset(struct histogram *histogram);

/* The bucket of a value: its leading 8 bits and the power of two they stand at, as one number. */
static inline size_t histogram_bucket_of(uint64_t value)
{
    unsigned top = 63U - (unsigned)__builtin_clzll(value | (1U << HISTOGRAM_PRECISION_BITS));
    unsigned shift = top - HISTOGRAM_PRECISION_BITS;
    size_t index = ((size_t)shift << HISTOGRAM_PRECISION_BITS) + (size_t)(value >> shift);
    return index < HISTOGRAM_OVERFLOW ? index : HISTOGRAM_OVERFLOW;
}

/* `times` equal values at once; 0 times is nothing. The count must stay below 2^64. */
static inline void histogram_record_many(struct histogram *histogram, uint64_t value,
                                         uint64_t times)
{
    if (times == 0)
        return;
    __extension__ unsigned __int128 product = value;
    histogram->sum += product * times;
    histogram->count += times;
    histogram->min = value < histogram->min ? value : histogram->min;
    histogram->max = value > histogram->max ? value : histogram->max;
    histogram->buckets[histogram_bucket_of(value)] += times;
}

static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
    histogram_record_many(histogram, value, 1);
}

/* Adds all of `from` to `into`: the same as if its values had been recorded there. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* Of all values recorded, overflow included. An empty histogram answers 0 to all of these. */
uint64_t histogram_count(const struct histogram *histogram);
uint64_t histogram_min(const struct histogram *histogram); /* exact */
uint64_t histogram_max(const struct histogram *histogram); /* exact */
double histogram_mean(const struct histogram *histogram);  /* exact but for the last division */
uint64_t
histogram_overflow(const struct histogram *histogram); /* how many were >= HISTOGRAM_RANGE */

/*
 * The value that `percent` of all values do not exceed (nearest rank: the ceil(percent/100 *
 * count)-th smallest, at least the first). Answers the highest value of that one's bucket, but
 * never more than the exact maximum: so never too good, and too large by less than 1/128. A rank in
 * the overflow bucket answers the maximum. percent is 0 .. 100.
 */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

/* A bucket that is not empty, as walked by histogram_next. */
struct histogram_bucket {
    uint64_t low;         /* smallest value it holds */
    uint64_t high;        /* largest value it holds; of the overflow bucket the exact maximum */
    uint64_t count;       /* > 0 */
    uint64_t count_up_to; /* values in it and in all lower ones */
    size_t next_index;    /* where to go on */
};

/*
 * Walks the buckets that are not empty, in rising order: start with a zeroed bucket, false at the
 * end. The last one's count_up_to is the histogram's count.
 */
bool histogram_next(const struct histogram *histogram, struct histogram_bucket *bucket);

#endif
