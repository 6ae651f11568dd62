/* SPDX-License-Identifier: MIT */
#include "cluster/leader_hint.h"

#include <pthread.h>

#include "test_main.h"

START_TEST(nobody_leads_at_first)
{
    _Atomic uint64_t hint = 0;
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&hint)), -1);
    leader_hint_end(&hint, 0);
    ck_assert_uint_eq(leader_hint_load(&hint), 0);
}
END_TEST

START_TEST(highest_ballot_wins_in_any_order)
{
    _Atomic uint64_t hint = 0;
    leader_hint_raise(&hint, generation_make(7, 2));
    leader_hint_raise(&hint, generation_make(3, 1));
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&hint)), 2);
    leader_hint_raise(&hint, generation_make(8, 0));
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&hint)), 0);
}
END_TEST

START_TEST(ended_leadership_is_nobodys_until_a_higher_ballot)
{
    _Atomic uint64_t hint = 0;
    leader_hint_raise(&hint, generation_make(7, 2));
    leader_hint_end(&hint, 2);
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&hint)), -1);
    leader_hint_raise(&hint, generation_make(7, 2)); /* told late: it is over all the same */
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&hint)), -1);
    leader_hint_raise(&hint, generation_make(6, 1));
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&hint)), -1);
    leader_hint_raise(&hint, generation_make(8, 2));
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&hint)), 2);
}
END_TEST

START_TEST(only_the_leader_itself_ends_its_leadership)
{
    _Atomic uint64_t hint = 0;
    leader_hint_raise(&hint, generation_make(7, 2));
    leader_hint_end(&hint, 1);
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&hint)), 2);
    leader_hint_raise(&hint, generation_make(8, 1));
    leader_hint_end(&hint, 2); /* the one before steps down late */
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&hint)), 1);
}
END_TEST

START_TEST(largest_ballot_is_not_taken_for_an_ended_one)
{
    _Atomic uint64_t hint = 0;
    leader_hint_raise(&hint, generation_make(GENERATION_ROUND_MAX >> 1, 14));
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&hint)), 14);
}
END_TEST

struct race {
    _Atomic uint64_t *hint;
    uint32_t node;
};

static void *lead_often(void *argument)
{
    const struct race *race = argument;
    for (uint64_t round = 1; round <= 20000; round++) {
        leader_hint_raise(race->hint, generation_make(round, race->node));
        leader_hint_end(race->hint, race->node);
    }
    return NULL;
}

START_TEST(racing_nodes_leave_the_highest_ballot_over)
{
    _Atomic uint64_t hint = 0;
    pthread_t threads[3];
    struct race races[3];
    for (uint32_t i = 0; i < 3; i++) {
        races[i] = (struct race){&hint, i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, lead_often, &races[i]), 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(leader_hint_load(&hint), generation_make(20000, 2) | LEADER_HINT_OVER);
}
END_TEST

TEST_MAIN("cluster/leader_hint", nobody_leads_at_first, highest_ballot_wins_in_any_order,
          ended_leadership_is_nobodys_until_a_higher_ballot,
          only_the_leader_itself_ends_its_leadership, largest_ballot_is_not_taken_for_an_ended_one,
          racing_nodes_leave_the_highest_ballot_over)
