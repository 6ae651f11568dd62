/* SPDX-License-Identifier: MIT */
#include "clock/lamport_clock.h"

#include <stdbool.h>

#include "aborts.h"
#include "base/prng.h"
#include "test_main.h"

START_TEST(ticks_count_from_one)
{
    struct lamport_clock clock;
    lamport_clock_init(&clock, 0);
    ck_assert_uint_eq(lamport_clock_tick(&clock), 1);
    ck_assert_uint_eq(lamport_clock_tick(&clock), 2);
}
END_TEST

START_TEST(receipt_is_one_past_the_later_of_both)
{
    struct lamport_clock clock;
    lamport_clock_init(&clock, 10);
    ck_assert_uint_eq(lamport_clock_observe(&clock, 3), 11);
    ck_assert_uint_eq(lamport_clock_observe(&clock, 11), 12);
    ck_assert_uint_eq(lamport_clock_observe(&clock, 90), 91);
    ck_assert_uint_eq(lamport_clock_tick(&clock), 92);
}
END_TEST

START_TEST(a_restarted_node_goes_on_above_its_past)
{
    struct lamport_clock clock;
    lamport_clock_init(&clock, 500);
    ck_assert_uint_eq(lamport_clock_tick(&clock), 501);
}
END_TEST

START_TEST(the_largest_receivable_time_still_counts_on)
{
    struct lamport_clock clock;
    lamport_clock_init(&clock, 0);
    ck_assert_uint_eq(lamport_clock_observe(&clock, LAMPORT_TIME_MAX), UINT64_MAX);
}
END_TEST

/* The header's counter-example: ordered times without a cause. */
START_TEST(a_smaller_time_does_not_mean_happened_before)
{
    struct lamport_clock one, two;
    lamport_clock_init(&one, 0);
    lamport_clock_init(&two, 0);
    uint64_t a = lamport_clock_tick(&one);
    uint64_t x = lamport_clock_tick(&two);
    uint64_t b = lamport_clock_tick(&two);
    ck_assert_uint_eq(a, x);
    ck_assert_uint_lt(a, b);
}
END_TEST

START_TEST(time_and_node_order_totally)
{
    for (uint64_t time_a = 0; time_a < 4; time_a++) {
        for (uint64_t time_b = 0; time_b < 4; time_b++) {
            for (uint32_t a = 0; a < 4; a++) {
                for (uint32_t b = 0; b < 4; b++) {
                    int order = lamport_compare(time_a, a, time_b, b);
                    int expected = (int)(time_a * 4 + a) - (int)(time_b * 4 + b);
                    ck_assert_int_eq(order < 0, expected < 0);
                    ck_assert_int_eq(order > 0, expected > 0);
                }
            }
        }
    }
    /* Where a difference would not fit an int. */
    ck_assert_int_lt(lamport_compare(1, 0, UINT64_MAX, 0), 0);
    ck_assert_int_gt(lamport_compare(UINT64_MAX, 0, 1, 0), 0);
    ck_assert_int_lt(lamport_compare(7, 0, 7, UINT32_MAX), 0);
}
END_TEST

enum { NODES = 4, EVENTS = 3000 };

struct event {
    uint64_t time;
    uint32_t node;
    uint32_t knows[NODES]; /* how many events of each node happened before it or are it */
};

static struct event history[EVENTS];

/* Vector times are exact: a happened before b if b knows of a. */
static bool happened_before(const struct event *a, const struct event *b)
{
    return a != b && a->knows[a->node] <= b->knows[a->node];
}

/* A random history of local events, sends and late, repeated or lost receipts. */
static void make_history(uint64_t seed)
{
    struct prng prng;
    struct lamport_clock clocks[NODES];
    uint32_t knows[NODES][NODES] = {{0}};
    prng_init(&prng, seed);
    for (uint32_t node = 0; node < NODES; node++)
        lamport_clock_init(&clocks[node], 0);
    for (size_t i = 0; i < EVENTS; i++) {
        struct event *event = &history[i];
        event->node = (uint32_t)prng_below(&prng, NODES);
        uint32_t *own = knows[event->node];
        if (i > 0 && prng_below(&prng, 3) == 0) {
            const struct event *sent = &history[prng_below(&prng, i)];
            event->time = lamport_clock_observe(&clocks[event->node], sent->time);
            for (int n = 0; n < NODES; n++)
                own[n] = sent->knows[n] > own[n] ? sent->knows[n] : own[n];
        } else {
            event->time = lamport_clock_tick(&clocks[event->node]);
        }
        own[event->node]++;
        for (int n = 0; n < NODES; n++)
            event->knows[n] = own[n];
    }
}

START_TEST(happened_before_implies_a_smaller_time)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        size_t ordered = 0;
        make_history(seed);
        for (size_t a = 0; a < EVENTS; a++) {
            for (size_t b = a + 1; b < EVENTS; b++) {
                if (!happened_before(&history[a], &history[b]))
                    continue;
                ordered++;
                if (history[a].time >= history[b].time)
                    ck_abort_msg("event %zu at %lu caused %zu at %lu", a,
                                 (unsigned long)history[a].time, b, (unsigned long)history[b].time);
            }
        }
        ck_assert_uint_gt(ordered, EVENTS);
    }
}
END_TEST

START_TEST(no_two_events_are_equal_in_the_total_order)
{
    make_history(4);
    for (size_t a = 0; a < EVENTS; a++)
        for (size_t b = a + 1; b < EVENTS; b++)
            if (lamport_compare(history[a].time, history[a].node, history[b].time,
                                history[b].node) == 0)
                ck_abort_msg("events %zu and %zu are equal", a, b);
}
END_TEST

static void tick_past_the_end(void)
{
    struct lamport_clock clock;
    lamport_clock_init(&clock, UINT64_MAX);
    ck_assert_uint_gt(lamport_clock_tick(&clock), 0);
}

static void observe_past_the_end(void)
{
    struct lamport_clock clock;
    lamport_clock_init(&clock, 0);
    lamport_clock_observe(&clock, LAMPORT_TIME_MAX + 1);
}

START_TEST(the_end_of_time_stops_the_program_before_it_wraps)
{
    ck_assert(aborts(tick_past_the_end));
    ck_assert(aborts(observe_past_the_end));
}
END_TEST

TEST_MAIN("clock/lamport_clock", ticks_count_from_one, receipt_is_one_past_the_later_of_both,
          a_restarted_node_goes_on_above_its_past, the_largest_receivable_time_still_counts_on,
          a_smaller_time_does_not_mean_happened_before, time_and_node_order_totally,
          happened_before_implies_a_smaller_time, no_two_events_are_equal_in_the_total_order,
          the_end_of_time_stops_the_program_before_it_wraps)
