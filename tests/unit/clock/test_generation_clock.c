/* SPDX-License-Identifier: MIT */
#include "clock/generation_clock.h"

#include <stdbool.h>

#include "aborts.h"
#include "base/prng.h"
#include "test_main.h"

START_TEST(a_ballot_gives_back_its_round_and_node)
{
    const uint64_t rounds[] = {
        1, 2, 0xffff, 0x10000, GENERATION_ROUND_MAX - 1, GENERATION_ROUND_MAX};
    const uint32_t nodes[] = {0, 1, 6, 0x8000, GENERATION_NODE_MAX};
    for (size_t r = 0; r < sizeof rounds / sizeof rounds[0]; r++) {
        for (size_t n = 0; n < sizeof nodes / sizeof nodes[0]; n++) {
            uint64_t ballot = generation_make(rounds[r], nodes[n]);
            ck_assert_uint_eq(generation_round(ballot), rounds[r]);
            ck_assert_uint_eq(generation_node(ballot), nodes[n]);
        }
    }
}
END_TEST

START_TEST(ballots_order_by_round_then_node)
{
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < 100000; i++) {
        uint64_t round_a = 1 + prng_below(&prng, 4);
        uint64_t round_b = 1 + prng_below(&prng, 4);
        uint32_t node_a = (uint32_t)prng_below(&prng, GENERATION_NODE_MAX + 1);
        uint32_t node_b = (uint32_t)prng_below(&prng, GENERATION_NODE_MAX + 1);
        bool is_below = round_a < round_b || (round_a == round_b && node_a < node_b);
        ck_assert_int_eq(generation_make(round_a, node_a) < generation_make(round_b, node_b),
                         is_below);
    }
}
END_TEST

START_TEST(none_is_below_every_ballot)
{
    ck_assert_uint_gt(generation_make(1, 0), GENERATION_NONE);
    ck_assert_uint_eq(generation_round(GENERATION_NONE), 0);
    ck_assert_uint_eq(generation_next(GENERATION_NONE, 3), generation_make(1, 3));
    ck_assert_uint_eq(generation_next(GENERATION_NONE, 0), generation_make(1, 0));
}
END_TEST

START_TEST(next_is_the_nodes_own_and_above_all_seen)
{
    struct prng prng;
    prng_init(&prng, 2);
    for (int i = 0; i < 100000; i++) {
        uint64_t seen = prng_next(&prng) >> prng_below(&prng, 64);
        if (generation_round(seen) == GENERATION_ROUND_MAX)
            continue;
        uint32_t node = (uint32_t)prng_below(&prng, GENERATION_NODE_MAX + 1);
        uint64_t next = generation_next(seen, node);
        ck_assert_uint_gt(next, seen);
        ck_assert_uint_eq(generation_node(next), node);
        ck_assert_uint_eq(generation_round(next), generation_round(seen) + 1);
    }
    uint64_t last = generation_make(GENERATION_ROUND_MAX, 7);
    ck_assert_uint_eq(generation_next(generation_make(GENERATION_ROUND_MAX - 1, 9), 7), last);
}
END_TEST

START_TEST(adopting_takes_the_larger_exactly)
{
    uint64_t small = generation_make(4, 9);
    uint64_t large = generation_make(5, 1);
    ck_assert_uint_eq(generation_adopt(small, large), large);
    ck_assert_uint_eq(generation_adopt(large, small), large);
    ck_assert_uint_eq(generation_adopt(large, large), large);
    ck_assert_uint_eq(generation_adopt(GENERATION_NONE, small), small);
}
END_TEST

enum { NODES = 5, MADE_MAX = 20000 };

static int by_ballot(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/*
 * Nodes campaign, hear of each other's ballots or miss them, and crash: a crash forgets what was
 * heard but not what was logged, and a node logs its own ballot before it uses it. Every ballot is
 * made once.
 */
START_TEST(no_ballot_is_made_twice_though_nodes_crash)
{
    static uint64_t made[MADE_MAX];
    uint64_t seen[NODES] = {0};
    uint64_t logged[NODES] = {0};
    size_t count = 0;
    struct prng prng;
    prng_init(&prng, 3);
    while (count < MADE_MAX) {
        uint32_t node = (uint32_t)prng_below(&prng, NODES);
        switch (prng_below(&prng, 3)) {
        case 0:
            seen[node] = generation_next(seen[node], node);
            logged[node] = seen[node];
            made[count++] = seen[node];
            break;
        case 1:
            seen[node] = generation_adopt(seen[node], seen[prng_below(&prng, NODES)]);
            break;
        default:
            seen[node] = logged[node];
            break;
        }
    }
    qsort(made, count, sizeof made[0], by_ballot);
    for (size_t i = 1; i < count; i++)
        ck_assert_uint_ne(made[i - 1], made[i]);
}
END_TEST

static void make_round_zero(void)
{
    (void)generation_make(0, 1);
}

static void make_round_too_large(void)
{
    (void)generation_make(GENERATION_ROUND_MAX + 1, 1);
}

static void make_node_too_large(void)
{
    (void)generation_make(1, GENERATION_NODE_MAX + 1);
}

static void pass_the_last_round(void)
{
    (void)generation_next(generation_make(GENERATION_ROUND_MAX, 7), 7);
}

START_TEST(what_is_no_ballot_stops_the_program)
{
    ck_assert(aborts(make_round_zero));
    ck_assert(aborts(make_round_too_large));
    ck_assert(aborts(make_node_too_large));
    ck_assert(aborts(pass_the_last_round));
}
END_TEST

TEST_MAIN("clock/generation_clock", a_ballot_gives_back_its_round_and_node,
          ballots_order_by_round_then_node, none_is_below_every_ballot,
          next_is_the_nodes_own_and_above_all_seen, adopting_takes_the_larger_exactly,
          no_ballot_is_made_twice_though_nodes_crash, what_is_no_ballot_stops_the_program)
