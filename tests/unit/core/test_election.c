/* SPDX-License-Identifier: MIT */
#include "core/election.h"

#include "core_fixture.h"
#include "test_main.h"

static struct fixture f;

static void pass_until_role(enum core_role role, uint64_t most)
{
    for (uint64_t passed = 0; passed < most && f.core.role != role; passed += 5) {
        fixture_pass(&f, 5);
    }
}

START_TEST(follower_waits_between_one_and_two_timeouts)
{
    fixture_init(&f, 3, 0);
    fixture_pass(&f, FIXTURE_TIMEOUT - 5);
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
    fixture_pass(&f, FIXTURE_TIMEOUT + 5);
    ck_assert_int_eq(f.core.role, ROLE_PRE_CANDIDATE);
}
END_TEST

START_TEST(nodes_and_seeds_draw_different_times)
{
    uint64_t deadlines[8];
    for (uint32_t i = 0; i < 8; i++) {
        struct core_config config = fixture_config(8, i);
        fixture_open(&f, &config);
        deadlines[i] = f.core.election_deadline_ns;
    }
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < 8; i++) {
        bool is_new = true;
        for (uint32_t j = 0; j < i; j++) {
            is_new = is_new && deadlines[j] != deadlines[i];
        }
        distinct += is_new;
    }
    ck_assert_uint_gt(distinct, 4);
}
END_TEST

START_TEST(leader_message_puts_the_election_off)
{
    fixture_init(&f, 3, 0);
    for (int i = 0; i < 20; i++) {
        fixture_pass(&f, FIXTURE_TIMEOUT / 2);
        fixture_receive(&f, fixture_accept(generation_make(1, 1), 1, 0, 0));
    }
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
    ck_assert_int_eq(f.core.leader, 1);
}
END_TEST

START_TEST(pre_vote_promises_nothing)
{
    fixture_init(&f, 3, 0);
    pass_until_role(ROLE_PRE_CANDIDATE, 500);
    const struct core_message *asked = fixture_sent(&f, MESSAGE_PREPARE, 1);
    ck_assert_ptr_nonnull(asked);
    ck_assert_uint_eq(asked->flags, MESSAGE_FLAG_PRE_VOTE);
    ck_assert_ptr_nonnull(fixture_sent(&f, MESSAGE_PREPARE, 2));
    ck_assert_uint_eq(f.core.promised, 0);
    ck_assert_uint_eq(fixture_count(&f, EFFECT_PERSIST_PROMISE), 0);
}
END_TEST

START_TEST(no_election_without_a_quorum_of_pre_votes)
{
    fixture_init(&f, 5, 0);
    pass_until_role(ROLE_PRE_CANDIDATE, 500);
    struct core_message yes = fixture_promise(1, f.core.campaign_ballot, 0);
    yes.flags = MESSAGE_FLAG_PRE_VOTE;
    fixture_receive(&f, yes);
    fixture_receive(&f, yes); /* the same node again */
    ck_assert_int_eq(f.core.role, ROLE_PRE_CANDIDATE);
    fixture_pass(&f, 2000); /* it can send, but is not answered: it must not disturb the others */
    ck_assert_uint_eq(f.core.promised, 0);
}
END_TEST

START_TEST(late_pre_vote_of_an_earlier_question_does_not_count)
{
    fixture_init(&f, 3, 0);
    pass_until_role(ROLE_PRE_CANDIDATE, 500);
    struct core_message yes = fixture_promise(1, f.core.campaign_ballot - 1, 0);
    yes.flags = MESSAGE_FLAG_PRE_VOTE;
    fixture_receive(&f, yes);
    ck_assert_int_eq(f.core.role, ROLE_PRE_CANDIDATE);
    ck_assert(fixture_dropped(&f, DROP_WRONG_ROLE));
}
END_TEST

START_TEST(unanswered_pre_vote_is_asked_again)
{
    fixture_init(&f, 3, 0);
    pass_until_role(ROLE_PRE_CANDIDATE, 500);
    fixture_pass(&f, FIXTURE_RETRANSMIT);
    ck_assert_ptr_nonnull(fixture_sent(&f, MESSAGE_PREPARE, 1));
}
END_TEST

static const struct core_message *ask_for_pre_vote(uint64_t ballot, uint64_t slot)
{
    struct core_message question = fixture_prepare(2, ballot, slot);
    question.flags = MESSAGE_FLAG_PRE_VOTE;
    fixture_receive(&f, question);
    const struct core_message *yes = fixture_sent(&f, MESSAGE_PROMISE, 2);
    return yes != NULL ? yes : fixture_sent(&f, MESSAGE_REJECT, 2);
}

START_TEST(pre_vote_is_granted_when_no_leader_is_heard)
{
    fixture_init(&f, 3, 0);
    const struct core_message *answer = ask_for_pre_vote(generation_make(4, 2), 1);
    ck_assert_uint_eq(answer->kind, MESSAGE_PROMISE);
    ck_assert_uint_eq(answer->flags, MESSAGE_FLAG_PRE_VOTE);
    ck_assert_uint_eq(answer->ballot, generation_make(4, 2));
    ck_assert_uint_eq(f.core.promised, 0); /* would, not did */
}
END_TEST

START_TEST(pre_vote_is_refused_while_the_leader_is_heard)
{
    fixture_init(&f, 3, 0);
    fixture_receive(&f, fixture_accept(generation_make(1, 1), 1, 0, 0));
    ck_assert_uint_eq(ask_for_pre_vote(generation_make(4, 2), 1)->kind, MESSAGE_REJECT);
    fixture_pass(&f, FIXTURE_TIMEOUT);
    ck_assert_uint_eq(ask_for_pre_vote(generation_make(4, 2), 1)->kind, MESSAGE_PROMISE);
}
END_TEST

START_TEST(leader_refuses_pre_votes)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    ck_assert_uint_eq(ask_for_pre_vote(generation_make(40, 2), 1)->kind, MESSAGE_REJECT);
}
END_TEST

START_TEST(pre_vote_below_the_promise_is_refused_with_the_promise)
{
    fixture_init(&f, 3, 0);
    fixture_receive(&f, fixture_prepare(1, generation_make(9, 1), 1));
    const struct core_message *answer = ask_for_pre_vote(generation_make(4, 2), 1);
    ck_assert_uint_eq(answer->kind, MESSAGE_REJECT);
    ck_assert_uint_eq(answer->ballot, generation_make(9, 1));
}
END_TEST

START_TEST(pre_vote_for_slots_gone_from_the_log_is_refused_as_lagging)
{
    struct core_config config = fixture_config(3, 0);
    core_init(&f.core, &config);
    core_restore(&f.core, 0, 50, 50);
    core_restore_end(&f.core, 0);
    const struct core_message *answer = ask_for_pre_vote(generation_make(4, 2), 50);
    ck_assert_uint_eq(answer->kind, MESSAGE_REJECT);
    ck_assert_uint_ne(answer->flags & MESSAGE_FLAG_LAGGING, 0);
    ck_assert_uint_eq(ask_for_pre_vote(generation_make(4, 2), 51)->kind, MESSAGE_PROMISE);
}
END_TEST

START_TEST(pre_vote_for_a_node_windows_behind_is_refused_as_lagging)
{
    struct core_config config = fixture_config(3, 0);
    core_init(&f.core, &config);
    core_restore(&f.core, 0, 1000, 0);
    core_restore_end(&f.core, 0);
    const struct core_message *answer = ask_for_pre_vote(generation_make(4, 2), 10);
    ck_assert_uint_eq(answer->kind, MESSAGE_REJECT);
    ck_assert_uint_ne(answer->flags & MESSAGE_FLAG_LAGGING, 0);
    ck_assert_uint_eq(ask_for_pre_vote(generation_make(4, 2), 1000 - FIXTURE_WINDOW)->kind,
                      MESSAGE_PROMISE);
}
END_TEST

START_TEST(lagging_node_gives_way)
{
    fixture_init(&f, 3, 0);
    pass_until_role(ROLE_PRE_CANDIDATE, 500);
    fixture_receive(&f, (struct core_message){.kind = MESSAGE_REJECT,
                                              .from = 1,
                                              .flags = MESSAGE_FLAG_PRE_VOTE | MESSAGE_FLAG_LAGGING,
                                              .round = f.core.campaign_ballot});
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
}
END_TEST

START_TEST(prepare_goes_out_only_when_the_own_promise_is_durable)
{
    fixture_init(&f, 3, 0);
    pass_until_role(ROLE_PRE_CANDIDATE, 500);
    struct core_message yes = fixture_promise(1, f.core.campaign_ballot, 0);
    yes.flags = MESSAGE_FLAG_PRE_VOTE;
    fixture_receive(&f, yes);
    ck_assert_int_eq(f.core.role, ROLE_CANDIDATE);
    ck_assert_uint_eq(fixture_count(&f, EFFECT_PERSIST_PROMISE), 1);
    ck_assert_ptr_null(fixture_sent(&f, MESSAGE_PREPARE, 1));
    fixture_pass(&f, 2 * FIXTURE_RETRANSMIT);
    ck_assert_ptr_null(fixture_sent(&f, MESSAGE_PREPARE, 1));
    fixture_persisted(&f);
    ck_assert_ptr_nonnull(fixture_sent(&f, MESSAGE_PREPARE, 1));
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_PREPARE, 2)->ballot, f.core.promised);
}
END_TEST

START_TEST(campaign_ballot_is_above_everything_heard_of)
{
    fixture_init(&f, 3, 0);
    fixture_receive(&f, (struct core_message){
                            .kind = MESSAGE_ACCEPTED, .from = 2, .ballot = generation_make(77, 2)});
    ck_assert_uint_ge(fixture_campaign(&f), generation_make(78, 0));
    ck_assert_uint_eq(generation_node(f.core.promised), 0);
}
END_TEST

START_TEST(failed_campaign_write_is_never_used_again)
{
    fixture_init(&f, 3, 0);
    pass_until_role(ROLE_PRE_CANDIDATE, 500);
    struct core_message yes = fixture_promise(1, f.core.campaign_ballot, 0);
    yes.flags = MESSAGE_FLAG_PRE_VOTE;
    fixture_receive(&f, yes);
    uint64_t failed = f.core.promised;
    fixture_step(&f,
                 (struct event){.kind = EVENT_PERSIST_FAILED, .sequence = f.core.persist_sequence});
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
    ck_assert_uint_gt(fixture_campaign(&f), failed);
}
END_TEST

START_TEST(single_node_elects_itself)
{
    fixture_init(&f, 1, 0);
    pass_until_role(ROLE_CANDIDATE, 500);
    ck_assert_int_eq(f.core.role, ROLE_CANDIDATE);
    fixture_persisted(&f);
    ck_assert_int_eq(f.core.role, ROLE_LEADER);
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 1);
}
END_TEST

START_TEST(pause_is_forgiven_once)
{
    fixture_init(&f, 3, 0);
    fixture_tick(&f, 3 * FIXTURE_TIMEOUT);
    fixture_settle(&f);
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER); /* its leader may have spoken all the while */
    fixture_tick(&f, 2 * FIXTURE_TIMEOUT);
    fixture_settle(&f);
    ck_assert_int_eq(f.core.role, ROLE_PRE_CANDIDATE);
}
END_TEST

START_TEST(node_that_always_runs_rarely_still_stands)
{
    fixture_init(&f, 3, 0);
    for (int i = 0; i < 20 && f.core.role == ROLE_FOLLOWER; i++) {
        fixture_tick(&f, FIXTURE_TIMEOUT / 2 + 5);
        fixture_settle(&f);
    }
    ck_assert_int_eq(f.core.role, ROLE_PRE_CANDIDATE);
}
END_TEST

START_TEST(lower_priority_waits_longer)
{
    struct core_config config = fixture_config(3, 0);
    config.priorities[1] = 5;
    fixture_open(&f, &config);
    fixture_pass(&f, 2 * FIXTURE_TIMEOUT - 5);
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
    fixture_pass(&f, FIXTURE_TIMEOUT + 5);
    ck_assert_int_eq(f.core.role, ROLE_PRE_CANDIDATE);
}
END_TEST

START_TEST(next_tick_is_no_later_than_the_deadline)
{
    fixture_init(&f, 3, 0);
    for (int i = 0; i < 100; i++) {
        uint64_t next = core_next_tick_ns(&f.core);
        ck_assert_uint_ge(next, f.now);
        bool is_waiting = f.core.role == ROLE_FOLLOWER || f.core.role == ROLE_PRE_CANDIDATE;
        ck_assert(!is_waiting || next <= f.core.election_deadline_ns);
        fixture_pass(&f, 5);
    }
}
END_TEST

TEST_MAIN("core/election", follower_waits_between_one_and_two_timeouts,
          nodes_and_seeds_draw_different_times, leader_message_puts_the_election_off,
          pre_vote_promises_nothing, no_election_without_a_quorum_of_pre_votes,
          late_pre_vote_of_an_earlier_question_does_not_count, unanswered_pre_vote_is_asked_again,
          pre_vote_is_granted_when_no_leader_is_heard,
          pre_vote_is_refused_while_the_leader_is_heard, leader_refuses_pre_votes,
          pre_vote_below_the_promise_is_refused_with_the_promise,
          pre_vote_for_slots_gone_from_the_log_is_refused_as_lagging,
          pre_vote_for_a_node_windows_behind_is_refused_as_lagging, lagging_node_gives_way,
          prepare_goes_out_only_when_the_own_promise_is_durable,
          campaign_ballot_is_above_everything_heard_of, failed_campaign_write_is_never_used_again,
          single_node_elects_itself, pause_is_forgiven_once,
          node_that_always_runs_rarely_still_stands, lower_priority_waits_longer,
          next_tick_is_no_later_than_the_deadline)
