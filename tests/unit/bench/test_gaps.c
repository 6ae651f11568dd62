/* SPDX-License-Identifier: MIT */
#include "bench/gaps.h"

#include "test_main.h"

#define MS UINT64_C(1000000)

static void mark_range(struct gaps *gaps, uint32_t client, uint64_t from_ms, uint64_t to_ms)
{
    for (uint64_t at = from_ms; at < to_ms; at++) {
        gaps_mark(gaps, client, at * MS + 1);
    }
}

START_TEST(gap_is_where_no_client_was_answered)
{
    struct gaps gaps;
    ck_assert_int_eq(gaps_init(&gaps, 2, 1000 * MS), 0);
    mark_range(&gaps, 0, 0, 200);
    mark_range(&gaps, 0, 700, 1000);
    mark_range(&gaps, 1, 0, 250); /* answered a little longer, and again earlier */
    mark_range(&gaps, 1, 600, 1000);
    struct gap gap = gaps_longest(&gaps, 200 * MS, 1000 * MS);
    ck_assert_uint_eq(gap.start_ns, 250 * MS);
    ck_assert_uint_eq(gap.end_ns, 600 * MS);
    ck_assert(!gap.is_open);
    gaps_deinit(&gaps);
}
END_TEST

START_TEST(longest_of_several_is_found)
{
    struct gaps gaps;
    ck_assert_int_eq(gaps_init(&gaps, 1, 1000 * MS), 0);
    mark_range(&gaps, 0, 0, 100);
    mark_range(&gaps, 0, 150, 300);
    mark_range(&gaps, 0, 500, 510);
    mark_range(&gaps, 0, 600, 1000);
    struct gap gap = gaps_longest(&gaps, 0, 1000 * MS);
    ck_assert_uint_eq(gap.start_ns, 300 * MS);
    ck_assert_uint_eq(gap.end_ns, 500 * MS);
    gap = gaps_longest(&gaps, 505 * MS, 1000 * MS);
    ck_assert_uint_eq(gap.start_ns, 510 * MS);
    ck_assert_uint_eq(gap.end_ns, 600 * MS);
    gaps_deinit(&gaps);
}
END_TEST

START_TEST(gap_may_have_begun_before)
{
    struct gaps gaps;
    ck_assert_int_eq(gaps_init(&gaps, 1, 1000 * MS), 0);
    mark_range(&gaps, 0, 0, 90);
    mark_range(&gaps, 0, 300, 1000);
    struct gap gap = gaps_longest(&gaps, 200 * MS, 1000 * MS);
    ck_assert_uint_eq(gap.start_ns, 90 * MS);
    ck_assert_uint_eq(gap.end_ns, 300 * MS);
    gaps_deinit(&gaps);
}
END_TEST

START_TEST(no_gap_has_no_length)
{
    struct gaps gaps;
    ck_assert_int_eq(gaps_init(&gaps, 1, 500 * MS), 0);
    mark_range(&gaps, 0, 0, 500);
    struct gap gap = gaps_longest(&gaps, 100 * MS, 500 * MS);
    ck_assert_uint_eq(gap.end_ns - gap.start_ns, 0);
    ck_assert(!gap.is_open);
    gaps_deinit(&gaps);
}
END_TEST

START_TEST(silence_to_the_end_is_open)
{
    struct gaps gaps;
    ck_assert_int_eq(gaps_init(&gaps, 1, 500 * MS), 0);
    mark_range(&gaps, 0, 0, 200);
    struct gap gap = gaps_longest(&gaps, 100 * MS, 500 * MS);
    ck_assert_uint_eq(gap.start_ns, 200 * MS);
    ck_assert_uint_eq(gap.end_ns, 500 * MS);
    ck_assert(gap.is_open);
    gaps_deinit(&gaps);
}
END_TEST

START_TEST(marks_beyond_the_span_are_dropped)
{
    struct gaps gaps;
    ck_assert_int_eq(gaps_init(&gaps, 1, 10 * MS), 0);
    gaps_mark(&gaps, 0, 10 * MS);
    gaps_mark(&gaps, 0, 11 * MS);
    gaps_mark(&gaps, 0, UINT64_MAX);
    struct gap gap = gaps_longest(&gaps, 0, UINT64_MAX);
    ck_assert_uint_eq(gap.start_ns, 0);
    ck_assert_uint_eq(gap.end_ns, 10 * MS);
    gaps_deinit(&gaps);
}
END_TEST

TEST_MAIN("bench/gaps", gap_is_where_no_client_was_answered, longest_of_several_is_found,
          gap_may_have_begun_before, no_gap_has_no_length, silence_to_the_end_is_open,
          marks_beyond_the_span_are_dropped)
