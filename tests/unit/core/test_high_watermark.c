/* SPDX-License-Identifier: MIT */
#include "core/high_watermark.h"

#include "base/prng.h"
#include "test_main.h"

/* Straight from the definition: the highest slot that `count` nodes reach. */
static uint64_t rank_by_counting(const uint64_t *match, uint32_t nodes, uint32_t count)
{
    uint64_t best = 0;
    for (uint32_t i = 0; i < nodes; i++) {
        uint32_t reached = 0;
        for (uint32_t j = 0; j < nodes; j++) {
            reached += match[j] >= match[i];
        }
        best = reached >= count && match[i] > best ? match[i] : best;
    }
    return best;
}

START_TEST(rank_is_what_so_many_nodes_reach)
{
    struct prng prng;
    prng_init(&prng, 7);
    for (int round = 0; round < 50000; round++) {
        uint64_t match[CORE_MAX_NODES];
        uint32_t nodes = 1 + (uint32_t)prng_below(&prng, CORE_MAX_NODES);
        uint64_t spread = 1 + prng_below(&prng, 20);
        for (uint32_t i = 0; i < nodes; i++) {
            match[i] = prng_below(&prng, spread);
        }
        uint32_t count = 1 + (uint32_t)prng_below(&prng, nodes);
        ck_assert_uint_eq(high_watermark_rank(match, nodes, count),
                          rank_by_counting(match, nodes, count));
    }
}
END_TEST

START_TEST(rank_holds_up_to_the_largest_slot)
{
    uint64_t match[3] = {UINT64_MAX, 0, UINT64_MAX};
    ck_assert_uint_eq(high_watermark_rank(match, 3, 2), UINT64_MAX);
    ck_assert_uint_eq(high_watermark_rank(match, 3, 3), 0);
}
END_TEST

START_TEST(leader_needs_a_phase_2_quorum)
{
    struct quorum quorum;
    uint64_t match[5] = {90, 50, 70, 0, 10};
    ck_assert(quorum_flexible(5, 0, 0, &quorum));
    ck_assert_uint_eq(high_watermark_advance(0, match, &quorum, 90), 50);
    ck_assert(quorum_flexible(5, 4, 2, &quorum));
    ck_assert_uint_eq(high_watermark_advance(0, match, &quorum, 90), 70);
    ck_assert(quorum_flexible(5, 2, 4, &quorum));
    ck_assert_uint_eq(high_watermark_advance(0, match, &quorum, 90), 10);
}
END_TEST

START_TEST(leader_never_passes_its_own_log)
{
    struct quorum quorum = quorum_majority(3);
    uint64_t match[3] = {20, 30, 30};
    ck_assert_uint_eq(high_watermark_advance(10, match, &quorum, 20), 20);
}
END_TEST

START_TEST(mark_never_falls)
{
    struct quorum quorum = quorum_majority(3);
    uint64_t match[3] = {40, 0, 0};
    ck_assert_uint_eq(high_watermark_advance(25, match, &quorum, 40), 25);
    ck_assert_uint_eq(high_watermark_learn(25, 10, 40), 25);
    ck_assert_uint_eq(high_watermark_learn(25, 40, 10), 25);
}
END_TEST

START_TEST(follower_learns_no_more_than_it_holds)
{
    ck_assert_uint_eq(high_watermark_learn(5, 30, 20), 20);
    ck_assert_uint_eq(high_watermark_learn(5, 20, 30), 20);
}
END_TEST

TEST_MAIN("core/high_watermark", rank_is_what_so_many_nodes_reach,
          rank_holds_up_to_the_largest_slot, leader_needs_a_phase_2_quorum,
          leader_never_passes_its_own_log, mark_never_falls, follower_learns_no_more_than_it_holds)
