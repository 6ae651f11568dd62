/* SPDX-License-Identifier: MIT */
#include "core/quorum.h"

#include "test_main.h"

START_TEST(majority_is_more_than_half)
{
    for (uint32_t nodes = 1; nodes <= CORE_MAX_NODES; nodes++) {
        struct quorum quorum = quorum_majority(nodes);
        ck_assert_uint_eq(quorum.nodes, nodes);
        ck_assert_uint_gt(2 * quorum.phase1, nodes);
        ck_assert_uint_le(2 * (quorum.phase1 - 1), nodes);
        ck_assert_uint_eq(quorum.phase1, quorum.phase2);
    }
}
END_TEST

/* By definition, not by sum: looks for two sets of the given sizes that do not meet. */
static bool sets_can_miss(uint32_t nodes, uint32_t phase1, uint32_t phase2)
{
    for (uint32_t set = 0; set < 1u << nodes; set++) {
        uint32_t others = (uint32_t)__builtin_popcount(~set & ((1u << nodes) - 1));
        if ((uint32_t)__builtin_popcount(set) == phase1 && others >= phase2) {
            return true;
        }
    }
    return false;
}

START_TEST(sizes_are_taken_exactly_when_all_quorums_meet)
{
    for (uint32_t nodes = 1; nodes <= CORE_MAX_NODES; nodes++) {
        for (uint32_t phase1 = 1; phase1 <= nodes; phase1++) {
            for (uint32_t phase2 = 1; phase2 <= nodes; phase2++) {
                struct quorum quorum;
                bool is_taken = quorum_flexible(nodes, phase1, phase2, &quorum);
                ck_assert_int_eq(is_taken, !sets_can_miss(nodes, phase1, phase2));
                if (is_taken) {
                    ck_assert_uint_eq(quorum.nodes, nodes);
                    ck_assert_uint_eq(quorum.phase1, phase1);
                    ck_assert_uint_eq(quorum.phase2, phase2);
                }
            }
        }
    }
}
END_TEST

START_TEST(sizes_out_of_range_are_refused)
{
    struct quorum quorum = {.nodes = 99};
    ck_assert(!quorum_flexible(0, 0, 0, &quorum));
    ck_assert(!quorum_flexible(CORE_MAX_NODES + 1, 0, 0, &quorum));
    ck_assert(!quorum_flexible(3, 4, 2, &quorum));
    ck_assert(!quorum_flexible(3, 2, 4, &quorum));
    ck_assert(!quorum_flexible(3, UINT32_MAX, 2, &quorum));
    ck_assert_uint_eq(quorum.nodes, 99); /* untouched */
}
END_TEST

START_TEST(zero_stands_for_a_majority)
{
    struct quorum quorum;
    ck_assert(quorum_flexible(5, 0, 0, &quorum));
    ck_assert_uint_eq(quorum.phase1, 3);
    ck_assert_uint_eq(quorum.phase2, 3);
    ck_assert(quorum_flexible(5, 4, 0, &quorum));
    ck_assert_uint_eq(quorum.phase1, 4);
    ck_assert(!quorum_flexible(5, 0, 2, &quorum)); /* 3 + 2 do not meet among 5 */
}
END_TEST

START_TEST(leading_and_choosing_have_their_own_sizes)
{
    struct quorum quorum;
    ck_assert(quorum_flexible(5, 4, 2, &quorum));
    for (uint32_t set = 0; set < 32; set++) {
        uint32_t size = (uint32_t)__builtin_popcount(set);
        ck_assert_uint_eq(quorum_count(set), size);
        ck_assert_int_eq(quorum_may_lead(&quorum, set), size >= 4);
        ck_assert_int_eq(quorum_has_chosen(&quorum, set), size >= 2);
    }
}
END_TEST

TEST_MAIN("core/quorum", majority_is_more_than_half, sizes_are_taken_exactly_when_all_quorums_meet,
          sizes_out_of_range_are_refused, zero_stands_for_a_majority,
          leading_and_choosing_have_their_own_sizes)
