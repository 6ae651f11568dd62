/* SPDX-License-Identifier: MIT */
#include "base/histogram.h"

#include "base/prng.h"
#include "test_main.h"

#define VALUES 20000

static struct histogram histogram, other;
static uint64_t values[VALUES];

static void reset_all(void)
{
    histogram_reset(&histogram);
    histogram_reset(&other);
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Durations of many shapes: each draws from 0 .. HISTOGRAM_RANGE - 1. */
enum shape { UNIFORM, EXACT, ANY_MAGNITUDE, TWO_HUMPS, EDGES, SHAPES };

static uint64_t draw(struct prng *prng, enum shape shape)
{
    switch (shape) {
    case UNIFORM:
        return prng_below(prng, 1000000);
    case EXACT:
        return prng_below(prng, 256);
    case ANY_MAGNITUDE:
        return prng_below(prng, UINT64_C(1) << (1 + prng_below(prng, HISTOGRAM_RANGE_BITS)));
    case TWO_HUMPS:
        return prng_below(prng, 100) < 97 ? 4000 + prng_below(prng, 900)
                                          : 12000000 + prng_below(prng, 5000000);
    case EDGES:
    case SHAPES:
        break;
    }
    return (UINT64_C(1) << prng_below(prng, HISTOGRAM_RANGE_BITS)) - prng_below(prng, 2);
}

/* The nearest-rank percentile of sorted values, in whole thousandths of a percent: no rounding. */
static uint64_t exact_percentile(size_t count, uint64_t millipercent)
{
    uint64_t rank = (millipercent * count + 99999) / 100000;
    return values[rank > 0 ? rank - 1 : 0];
}

static void assert_close(uint64_t reported, uint64_t exact)
{
    ck_assert_uint_ge(reported, exact);
    ck_assert_uint_le((reported - exact) * 128, exact); /* below 1/128; 0 is exact */
    if (exact < 256)
        ck_assert_uint_eq(reported, exact);
}

START_TEST(percentiles_stay_within_the_bound_of_exact_sorting)
{
    const uint64_t millipercents[] = {0,     1,     1000,  10000, 25000, 50000, 75000,
                                      90000, 95000, 99000, 99900, 99990, 99999, 100000};
    for (unsigned seed = 0; seed < 10 * SHAPES; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        reset_all();
        size_t count = 1 + prng_below(&prng, seed < SHAPES ? VALUES : 2000);
        for (size_t i = 0; i < count; i++) {
            values[i] = draw(&prng, (enum shape)(seed % SHAPES));
            histogram_record(&histogram, values[i]);
        }
        qsort(values, count, sizeof values[0], by_value);
        for (size_t i = 0; i < sizeof millipercents / sizeof millipercents[0]; i++)
            assert_close(histogram_percentile(&histogram, (double)millipercents[i] / 1000),
                         exact_percentile(count, millipercents[i]));
        ck_assert_uint_eq(histogram_min(&histogram), values[0]);
        ck_assert_uint_eq(histogram_max(&histogram), values[count - 1]);
        ck_assert_uint_eq(histogram_percentile(&histogram, 100), values[count - 1]);
    }
}
END_TEST

/* Where percent/100 * count is whole, the rank is that number, though 99.9 has no exact double. */
START_TEST(ranks_are_not_moved_by_binary_fractions)
{
    for (uint64_t thousands = 1; thousands <= 300; thousands++) {
        reset_all();
        histogram_record_many(&histogram, 10, 999 * thousands);
        histogram_record_many(&histogram, 20, thousands);
        ck_assert_uint_eq(histogram_percentile(&histogram, 99.9), 10);
        ck_assert_uint_eq(histogram_percentile(&histogram, 99.9001), 20);
        reset_all();
        histogram_record_many(&histogram, 10, 999 * thousands - 1);
        histogram_record_many(&histogram, 20, thousands + 1);
        ck_assert_uint_eq(histogram_percentile(&histogram, 99.9), 20);
    }
}
END_TEST

/* The bucket's bounds are read back through the iterator: what lies in between must have come in
 * there. */
START_TEST(every_value_falls_into_a_bucket_that_holds_it_and_is_narrow)
{
    struct prng prng;
    prng_init(&prng, 11);
    for (int round = 0; round < 2000; round++) {
        uint64_t value = draw(&prng, round % 2 == 0 ? ANY_MAGNITUDE : EDGES);
        reset_all();
        histogram_record(&histogram, value);
        struct histogram_bucket bucket = {0};
        ck_assert(histogram_next(&histogram, &bucket));
        ck_assert_uint_le(bucket.low, value);
        ck_assert_uint_ge(bucket.high, value);
        ck_assert_uint_le((bucket.high - bucket.low) * 128, bucket.low);
        ck_assert_uint_eq(bucket.count, 1);
        ck_assert(!histogram_next(&histogram, &bucket));
    }
}
END_TEST

START_TEST(buckets_meet_without_gap_or_overlap)
{
    reset_all();
    for (size_t i = 0; i < HISTOGRAM_OVERFLOW; i++)
        histogram.buckets[i] = 1;
    struct histogram_bucket bucket = {0};
    uint64_t next_low = 0;
    for (size_t i = 0; i < HISTOGRAM_OVERFLOW; i++) {
        ck_assert(histogram_next(&histogram, &bucket));
        ck_assert_uint_eq(bucket.low, next_low);
        ck_assert_uint_eq(histogram_bucket_of(bucket.low), i);
        ck_assert_uint_eq(histogram_bucket_of(bucket.high), i);
        next_low = bucket.high + 1;
    }
    ck_assert(!histogram_next(&histogram, &bucket));
    ck_assert_uint_eq(next_low, HISTOGRAM_RANGE);
    ck_assert_uint_eq(histogram_bucket_of(HISTOGRAM_RANGE), HISTOGRAM_OVERFLOW);
    ck_assert_uint_eq(histogram_bucket_of(UINT64_MAX), HISTOGRAM_OVERFLOW);
}
END_TEST

START_TEST(values_beyond_the_range_are_counted_and_keep_their_maximum)
{
    reset_all();
    const uint64_t stall = 5 * HISTOGRAM_RANGE + 3;
    for (int i = 0; i < 97; i++)
        histogram_record(&histogram, 100);
    histogram_record(&histogram, HISTOGRAM_RANGE - 1);
    histogram_record(&histogram, HISTOGRAM_RANGE);
    histogram_record(&histogram, stall);
    ck_assert_uint_eq(histogram_count(&histogram), 100);
    ck_assert_uint_eq(histogram_overflow(&histogram), 2);
    ck_assert_uint_eq(histogram_max(&histogram), stall);
    ck_assert_uint_eq(histogram_percentile(&histogram, 97), 100);
    ck_assert_uint_eq(histogram_percentile(&histogram, 98), HISTOGRAM_RANGE - 1);
    ck_assert_uint_eq(histogram_percentile(&histogram, 98.5), stall);
    ck_assert_uint_eq(histogram_percentile(&histogram, 100), stall);
    struct histogram_bucket bucket = {0};
    while (histogram_next(&histogram, &bucket))
        continue;
    ck_assert_uint_eq(bucket.low, HISTOGRAM_RANGE);
    ck_assert_uint_eq(bucket.high, stall);
    ck_assert_uint_eq(bucket.count, 2);
    ck_assert_uint_eq(bucket.count_up_to, 100);
}
END_TEST

START_TEST(the_mean_is_exact_even_where_64_bits_overflow)
{
    reset_all();
    ck_assert_double_eq(histogram_mean(&histogram), 0);
    histogram_record(&histogram, 1);
    histogram_record(&histogram, 2);
    ck_assert_double_eq(histogram_mean(&histogram), 1.5);
    reset_all();
    histogram_record_many(&histogram, UINT64_C(1) << 63, UINT64_C(1) << 40);
    histogram_record(&histogram, UINT64_C(1) << 63);
    ck_assert_double_eq(histogram_mean(&histogram), 0x1p63);
}
END_TEST

START_TEST(an_empty_histogram_answers_zero)
{
    reset_all();
    struct histogram_bucket bucket = {0};
    ck_assert_uint_eq(histogram_count(&histogram), 0);
    ck_assert_uint_eq(histogram_min(&histogram), 0);
    ck_assert_uint_eq(histogram_max(&histogram), 0);
    ck_assert_uint_eq(histogram_percentile(&histogram, 99), 0);
    ck_assert(!histogram_next(&histogram, &bucket));
    histogram_record_many(&histogram, 77, 0);
    ck_assert_uint_eq(histogram_max(&histogram), 0);
    ck_assert_uint_eq(histogram_min(&histogram), 0);
}
END_TEST

static void assert_equal_histograms(const struct histogram *a, const struct histogram *b)
{
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_uint_eq(a->min, b->min);
    ck_assert_uint_eq(a->max, b->max);
    ck_assert(a->sum == b->sum);
    ck_assert_mem_eq(a->buckets, b->buckets, sizeof a->buckets);
}

START_TEST(many_at_once_equal_one_by_one)
{
    struct prng prng;
    prng_init(&prng, 12);
    reset_all();
    for (int i = 0; i < 500; i++) {
        uint64_t value = prng_next(&prng) >> prng_below(&prng, 64);
        uint64_t times = prng_below(&prng, 20);
        histogram_record_many(&histogram, value, times);
        for (uint64_t once = 0; once < times; once++)
            histogram_record(&other, value);
    }
    assert_equal_histograms(&histogram, &other);
}
END_TEST

START_TEST(merged_parts_equal_the_whole)
{
    static struct histogram whole, parts[3];
    struct prng prng;
    prng_init(&prng, 13);
    histogram_reset(&whole);
    for (int part = 0; part < 3; part++)
        histogram_reset(&parts[part]);
    for (int i = 0; i < 10000; i++) {
        uint64_t value = prng_next(&prng) >> prng_below(&prng, 64);
        histogram_record(&whole, value);
        histogram_record(&parts[prng_below(&prng, 2)], value); /* the third stays empty */
    }
    histogram_merge(&parts[2], &parts[0]);
    histogram_merge(&parts[2], &parts[1]);
    assert_equal_histograms(&parts[2], &whole);
    histogram_reset(&parts[0]);
    histogram_merge(&parts[2], &parts[0]);
    assert_equal_histograms(&parts[2], &whole);
}
END_TEST

START_TEST(the_walk_rises_and_accounts_for_every_value)
{
    struct prng prng;
    prng_init(&prng, 14);
    reset_all();
    for (int i = 0; i < 5000; i++)
        histogram_record(&histogram, prng_next(&prng) >> prng_below(&prng, 64));
    struct histogram_bucket bucket = {0};
    uint64_t counted = 0;
    uint64_t above = 0;
    while (histogram_next(&histogram, &bucket)) {
        ck_assert_uint_ge(bucket.low, above);
        ck_assert_uint_ge(bucket.high, bucket.low);
        ck_assert_uint_gt(bucket.count, 0);
        above = bucket.high + (bucket.high < UINT64_MAX);
        counted += bucket.count;
        ck_assert_uint_eq(bucket.count_up_to, counted);
    }
    ck_assert_uint_eq(counted, 5000);
}
END_TEST

TEST_MAIN("base/histogram", percentiles_stay_within_the_bound_of_exact_sorting,
          ranks_are_not_moved_by_binary_fractions,
          every_value_falls_into_a_bucket_that_holds_it_and_is_narrow,
          buckets_meet_without_gap_or_overlap,
          values_beyond_the_range_are_counted_and_keep_their_maximum,
          the_mean_is_exact_even_where_64_bits_overflow, an_empty_histogram_answers_zero,
          many_at_once_equal_one_by_one, merged_parts_equal_the_whole,
          the_walk_rises_and_accounts_for_every_value)
