/* SPDX-License-Identifier: MIT */
#include "core/read_index.h"

#include "core_fixture.h"
#include "test_main.h"

static struct fixture f;

static void accepted_round(uint32_t from, uint64_t match, uint64_t round)
{
    struct core_message message = fixture_accepted(from, f.core.promised, match);
    message.round = round;
    fixture_receive(&f, message);
}

static const struct effect *read(void)
{
    fixture_step(&f, (struct event){.kind = EVENT_READ});
    return fixture_effect(&f, EFFECT_READ_PENDING);
}

START_TEST(only_a_leader_takes_reads)
{
    fixture_init(&f, 3, 0);
    ck_assert_ptr_null(read());
    ck_assert(fixture_dropped(&f, DROP_NOT_LEADER));
    fixture_campaign(&f);
    ck_assert_ptr_null(read());
}
END_TEST

START_TEST(read_waits_for_the_slot_that_opened_the_leadership)
{
    fixture_init(&f, 3, 0);
    fixture_follow(&f, generation_make(1, 1), 5);
    uint64_t ballot = fixture_campaign(&f);
    fixture_receive(&f, fixture_promise(1, ballot, 0));
    ck_assert_int_eq(f.core.role, ROLE_LEADER);
    ck_assert_uint_eq(f.core.mark, 0);
    ck_assert_uint_eq(read()->slot, 6); /* five inherited, then its no-op */
}
END_TEST

START_TEST(read_notes_the_mark_of_its_beginning)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_propose(&f, 4);
    accepted_round(1, 5, 0);
    fixture_settle(&f);
    ck_assert_uint_eq(read()->slot, 5);
}
END_TEST

START_TEST(read_is_confirmed_by_a_quorum_that_saw_its_round)
{
    fixture_init(&f, 5, 0);
    fixture_lead(&f);
    fixture_settle(&f);
    uint64_t round = read()->round;
    fixture_settle(&f);
    ck_assert_ptr_null(fixture_effect(&f, EFFECT_READ_CONFIRMED));
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 1)->round, round); /* told at once */
    accepted_round(1, 1, round);
    accepted_round(1, 1, round);     /* one node counts once */
    accepted_round(2, 1, round - 1); /* saw only what was before */
    fixture_settle(&f);
    ck_assert_ptr_null(fixture_effect(&f, EFFECT_READ_CONFIRMED));
    accepted_round(3, 1, round);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_effect(&f, EFFECT_READ_CONFIRMED)->round, round);
    fixture_settle(&f);
    ck_assert_ptr_null(fixture_effect(&f, EFFECT_READ_CONFIRMED));
}
END_TEST

START_TEST(round_never_asked_is_not_believed)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    accepted_round(1, 1, 99);
    accepted_round(2, 1, 99);
    uint64_t round = read()->round;
    ck_assert_uint_lt(round, 99);
    fixture_settle(&f);
    ck_assert_ptr_null(fixture_effect(&f, EFFECT_READ_CONFIRMED));
}
END_TEST

START_TEST(round_of_an_earlier_leadership_is_not_believed)
{
    fixture_init(&f, 3, 0);
    uint64_t ballot = fixture_lead(&f);
    uint64_t round = read()->round;
    struct core_message late = fixture_accepted(1, ballot, 1);
    late.round = round;
    fixture_receive(&f, (struct core_message){.kind = MESSAGE_REJECT,
                                              .from = 2,
                                              .ballot = generation_make(50, 2),
                                              .round = ballot});
    fixture_lead(&f);
    (void)read();
    fixture_receive(&f, late);
    fixture_settle(&f);
    ck_assert_ptr_null(fixture_effect(&f, EFFECT_READ_CONFIRMED));
}
END_TEST

START_TEST(single_node_confirms_its_own_reads)
{
    fixture_init(&f, 1, 0);
    for (int i = 0; i < 100 && f.core.role != ROLE_LEADER; i++) {
        fixture_pass(&f, 5);
        fixture_persisted(&f);
    }
    uint64_t round = read()->round;
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_effect(&f, EFFECT_READ_CONFIRMED)->round, round);
}
END_TEST

START_TEST(follower_answers_with_the_highest_round_it_saw)
{
    fixture_init(&f, 3, 0);
    struct core_message accept = fixture_accept(generation_make(1, 1), 1, 0, 0);
    accept.round = 7;
    fixture_receive(&f, accept);
    accept.round = 5; /* overtaken on the way */
    fixture_receive(&f, accept);
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 1)->round, 7);
    fixture_receive(&f, fixture_accept(generation_make(2, 2), 1, 0, 0)); /* another leader */
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 2)->round, 0);
}
END_TEST

TEST_MAIN("core/read_index", only_a_leader_takes_reads,
          read_waits_for_the_slot_that_opened_the_leadership, read_notes_the_mark_of_its_beginning,
          read_is_confirmed_by_a_quorum_that_saw_its_round, round_never_asked_is_not_believed,
          round_of_an_earlier_leadership_is_not_believed, single_node_confirms_its_own_reads,
          follower_answers_with_the_highest_round_it_saw)
