/* SPDX-License-Identifier: MIT */
#include "core/leader_follower.h"

#include "core_fixture.h"
#include "test_main.h"

static struct fixture f;

#define BALLOT_A generation_make(1, 1)
#define BALLOT_B generation_make(2, 2)

static void accepted(uint32_t from, uint64_t match)
{
    fixture_receive(&f, fixture_accepted(from, f.core.promised, match));
}

/* ---- Leader ---- */

START_TEST(leader_does_not_count_itself_before_its_own_write)
{
    fixture_init(&f, 3, 0);
    uint64_t ballot = fixture_campaign(&f);
    fixture_receive(&f, fixture_promise(1, ballot, 0));
    ck_assert_int_eq(f.core.role, ROLE_LEADER);
    accepted(1, 1); /* one follower is faster than the leader's disk */
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 0);
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 1);
}
END_TEST

START_TEST(mark_never_passes_the_leaders_own_log)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_step(&f, (struct event){.kind = EVENT_PROPOSE, .count = 4});
    accepted(1, 5);
    accepted(2, 5); /* a quorum without the leader */
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 1);
}
END_TEST

START_TEST(one_nodes_repeated_answer_counts_once)
{
    fixture_init(&f, 5, 0);
    fixture_lead(&f);
    accepted(1, 1);
    accepted(1, 1);
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 0);
    accepted(3, 1);
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 1);
}
END_TEST

START_TEST(answer_of_another_ballot_does_not_count)
{
    fixture_init(&f, 3, 0);
    uint64_t ballot = fixture_lead(&f);
    fixture_receive(&f, fixture_accepted(1, ballot - 1, 1));
    ck_assert(fixture_dropped(&f, DROP_STALE_BALLOT));
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 0);
}
END_TEST

START_TEST(new_leader_sends_from_where_each_follower_is)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 1)->count, 0); /* asks where it is */
    fixture_propose(&f, 6);
    accepted(1, 0);
    accepted(2, 5);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 1)->slot, 1);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 1)->count, FIXTURE_BATCH);
    ck_assert_uint_eq(fixture_sent_nth(&f, MESSAGE_ACCEPT, 1, 1)->slot, 5);
    ck_assert_uint_eq(fixture_sent_nth(&f, MESSAGE_ACCEPT, 1, 1)->count, 3);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 2)->slot, 6);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 2)->count, 2);
}
END_TEST

START_TEST(unanswered_slots_are_sent_again_from_behind_the_last_answer)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_propose(&f, 11);
    accepted(1, 0);
    fixture_settle(&f);
    accepted(1, 4); /* the first message came, the second is lost */
    fixture_pass(&f, FIXTURE_RETRANSMIT - 5);
    ck_assert_ptr_null(fixture_sent(&f, MESSAGE_ACCEPT, 1));
    fixture_pass(&f, 5);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 1)->slot, 5);
    ck_assert_uint_eq(fixture_sent_nth(&f, MESSAGE_ACCEPT, 1, 1)->slot, 9);
}
END_TEST

/* Found by seed 37 of the core world: a follower that restarts behind its last answer was never
 * sent what it had forgotten to be chosen. */
START_TEST(follower_that_restarts_further_back_is_sent_the_rest_again)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_propose(&f, 7);
    accepted(1, 8);
    accepted(2, 8);
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 8);
    accepted(1, 3);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 1)->slot, 4);
    ck_assert_uint_eq(f.core.mark, 8); /* what is chosen stays chosen */
}
END_TEST

START_TEST(window_bounds_what_is_proposed)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    ck_assert_uint_eq(core_proposal_room(&f.core), FIXTURE_WINDOW - 1);
    fixture_propose(&f, 1000);
    ck_assert_uint_eq(core_log_end(&f.core), FIXTURE_WINDOW);
    fixture_step(&f, (struct event){.kind = EVENT_PROPOSE, .count = 1});
    ck_assert(fixture_dropped(&f, DROP_WINDOW_FULL));
    accepted(1, 6);
    fixture_settle(&f);
    ck_assert_uint_eq(core_proposal_room(&f.core), 6);
}
END_TEST

START_TEST(follower_behind_the_log_needs_a_snapshot)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_propose(&f, 7);
    accepted(1, 8);
    fixture_settle(&f);
    fixture_applied(&f, 8);
    fixture_step(&f, (struct event){.kind = EVENT_RELEASED, .slot = 6});
    accepted(2, 5);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_effect(&f, EFFECT_SNAPSHOT_NEEDED)->to, 2);
    const struct core_message *message = fixture_sent(&f, MESSAGE_ACCEPT, 2);
    ck_assert(message == NULL || message->count == 0);
    fixture_settle(&f);
    ck_assert_ptr_null(fixture_effect(&f, EFFECT_SNAPSHOT_NEEDED)); /* not at every turn */
    accepted(2, 6);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 2)->slot, 7);
}
END_TEST

START_TEST(mark_is_told_only_once_applied)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_propose(&f, 3);
    accepted(1, 4);
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 4);
    fixture_pass(&f, FIXTURE_HEARTBEAT);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 1)->mark, 0);
    fixture_applied(&f, 3);
    fixture_pass(&f, FIXTURE_HEARTBEAT);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPT, 1)->mark, 3);
}
END_TEST

START_TEST(leader_is_never_silent_for_longer_than_a_heartbeat)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_settle(&f);
    uint64_t last = f.now;
    for (int i = 0; i < 30; i++) { /* turns come when core_next_tick_ns says, and in between */
        uint64_t next = core_next_tick_ns(&f.core);
        ck_assert_uint_le(next, last + FIXTURE_HEARTBEAT);
        fixture_tick(&f, i % 3 == 0 ? (next - f.now) / 2 : next - f.now);
        accepted(1, 1);
        accepted(2, 1);
        fixture_settle(&f);
        last = fixture_sent(&f, MESSAGE_ACCEPT, 1) != NULL ? f.now : last;
    }
    ck_assert(core_leads(&f.core));
}
END_TEST

START_TEST(leader_that_hears_no_quorum_steps_down)
{
    fixture_init(&f, 5, 0);
    fixture_lead(&f);
    for (int i = 0; i < 2 * FIXTURE_TIMEOUT / 5 - 1; i++) {
        fixture_pass(&f, 5);
        accepted(1, 1); /* one other of five is not enough */
    }
    ck_assert(core_leads(&f.core));
    fixture_pass(&f, 10);
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
}
END_TEST

START_TEST(leader_heard_by_a_quorum_stays)
{
    fixture_init(&f, 5, 0);
    fixture_lead(&f);
    for (int i = 0; i < 200; i++) {
        fixture_pass(&f, 5);
        accepted(1, 1);
        accepted(3, 1);
    }
    ck_assert_int_eq(f.core.role, ROLE_LEADER);
}
END_TEST

START_TEST(rejection_with_a_higher_ballot_deposes)
{
    fixture_init(&f, 3, 0);
    uint64_t ballot = fixture_lead(&f);
    struct core_message reject = {
        .kind = MESSAGE_REJECT, .from = 2, .ballot = generation_make(50, 2), .round = ballot - 1};
    fixture_receive(&f, reject); /* of something said earlier */
    ck_assert(core_leads(&f.core));
    reject.round = ballot;
    fixture_receive(&f, reject);
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
    ck_assert_uint_gt(fixture_campaign(&f), generation_make(50, 2));
}
END_TEST

START_TEST(leader_that_cannot_write_steps_down)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_step(&f, (struct event){.kind = EVENT_PROPOSE, .count = 2});
    fixture_step(&f,
                 (struct event){.kind = EVENT_PERSIST_FAILED, .sequence = f.core.persist_sequence});
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
}
END_TEST

START_TEST(fifteen_nodes_far_behind_at_once_fit_the_effects)
{
    struct core_config config = fixture_config(CORE_MAX_NODES, 0);
    config.window_slots = 4096;
    config.message_slots = 1;
    fixture_open(&f, &config);
    fixture_lead(&f);
    fixture_propose(&f, 4000);
    for (uint32_t node = 1; node < CORE_MAX_NODES; node++) {
        accepted(node, 0);
    }
    fixture_settle(&f);
    ck_assert_uint_ge(f.effects.count, (CORE_MAX_NODES - 1) * CORE_INFLIGHT_LIMIT);
}
END_TEST

/* ---- Transfer ---- */

START_TEST(transfer_waits_until_the_target_holds_everything)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_propose(&f, 3);
    accepted(1, 2);
    fixture_step(&f, (struct event){.kind = EVENT_TRANSFER, .node = 1});
    ck_assert_uint_eq(core_proposal_room(&f.core), 0); /* else it would never catch up */
    fixture_settle(&f);
    ck_assert_ptr_null(fixture_sent(&f, MESSAGE_TIMEOUT_NOW, 1));
    accepted(1, 4);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_TIMEOUT_NOW, 1)->slot, 4);
    fixture_pass(&f, FIXTURE_RETRANSMIT);
    ck_assert_ptr_nonnull(fixture_sent(&f, MESSAGE_TIMEOUT_NOW, 1));
}
END_TEST

START_TEST(failed_transfer_ends_after_a_timeout)
{
    fixture_init(&f, 3, 0);
    fixture_lead(&f);
    fixture_step(&f, (struct event){.kind = EVENT_TRANSFER, .node = 1});
    for (int i = 0; i < FIXTURE_TIMEOUT / 5 + 1; i++) {
        fixture_pass(&f, 5);
        accepted(2, 1);
    }
    ck_assert_int_eq(f.core.role, ROLE_LEADER);
    ck_assert_uint_gt(core_proposal_room(&f.core), 0);
}
END_TEST

START_TEST(transfer_to_nobody_is_refused)
{
    fixture_init(&f, 3, 0);
    fixture_step(&f, (struct event){.kind = EVENT_TRANSFER, .node = 1});
    ck_assert(fixture_dropped(&f, DROP_NOT_LEADER));
    fixture_lead(&f);
    fixture_step(&f, (struct event){.kind = EVENT_TRANSFER, .node = 0});
    ck_assert(fixture_dropped(&f, DROP_MALFORMED));
    fixture_step(&f, (struct event){.kind = EVENT_TRANSFER, .node = 3});
    ck_assert(fixture_dropped(&f, DROP_MALFORMED));
}
END_TEST

static struct core_message timeout_now(uint64_t ballot, uint64_t log_end, uint64_t mark)
{
    return (struct core_message){.kind = MESSAGE_TIMEOUT_NOW,
                                 .from = (uint8_t)generation_node(ballot),
                                 .ballot = ballot,
                                 .slot = log_end,
                                 .mark = mark};
}

START_TEST(target_stands_at_once_without_pre_vote)
{
    fixture_init(&f, 3, 0);
    fixture_follow(&f, BALLOT_A, 3);
    fixture_receive(&f, timeout_now(BALLOT_A, 3, 0));
    ck_assert_int_eq(f.core.role, ROLE_CANDIDATE);
    fixture_persisted(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_PREPARE, 1)->flags, MESSAGE_FLAG_TRANSFER);
}
END_TEST

START_TEST(old_transfer_is_not_followed)
{
    fixture_init(&f, 3, 0);
    fixture_follow(&f, BALLOT_B, 3);
    fixture_receive(&f, timeout_now(BALLOT_A, 3, 0));
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
    fixture_receive(&f, timeout_now(BALLOT_B, 4, 0)); /* it restarted with less than it had */
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
    fixture_receive(&f, timeout_now(BALLOT_B, 3, 5000)); /* or knows of windows less */
    ck_assert_int_eq(f.core.role, ROLE_FOLLOWER);
}
END_TEST

START_TEST(leader_makes_way_for_a_healthy_node_of_higher_priority)
{
    struct core_config config = fixture_config(3, 0);
    config.priorities[2] = 1;
    fixture_open(&f, &config);
    fixture_lead(&f);
    bool is_asked = false;
    for (int i = 0; i < 8 * FIXTURE_TIMEOUT / 5 && !is_asked; i++) {
        accepted(1, 1);
        accepted(2, 1);
        fixture_pass(&f, 5);
        is_asked = fixture_sent(&f, MESSAGE_TIMEOUT_NOW, 2) != NULL;
        ck_assert_ptr_null(fixture_sent(&f, MESSAGE_TIMEOUT_NOW, 1));
    }
    ck_assert(is_asked);
}
END_TEST

START_TEST(leader_stays_while_the_preferred_node_is_silent)
{
    struct core_config config = fixture_config(3, 0);
    config.priorities[2] = 1;
    fixture_open(&f, &config);
    fixture_lead(&f);
    for (int i = 0; i < 8 * FIXTURE_TIMEOUT / 5; i++) {
        accepted(1, 1);
        fixture_pass(&f, 5);
        ck_assert_int_lt(f.core.transfer_to, 0);
    }
}
END_TEST

/* ---- Follower ---- */

START_TEST(acceptance_is_answered_only_when_durable)
{
    fixture_init(&f, 3, 0);
    fixture_follow(&f, BALLOT_A, 2);
    fixture_receive(&f, fixture_accept(BALLOT_A, 3, 2, 0));
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 1)->slot, 2);
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 1)->slot, 4);
}
END_TEST

START_TEST(answer_stops_at_a_hole)
{
    fixture_init(&f, 3, 0);
    fixture_receive(&f, fixture_accept(BALLOT_A, 1, 2, 0));
    fixture_receive(&f, fixture_accept(BALLOT_A, 5, 2, 0));
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 1)->slot, 2);
    fixture_receive(&f, fixture_accept(BALLOT_A, 3, 2, 0));
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 1)->slot, 6);
}
END_TEST

START_TEST(failed_write_between_others_is_a_hole)
{
    fixture_init(&f, 3, 0);
    fixture_follow(&f, BALLOT_A, 1);
    uint64_t sequence = f.core.persist_sequence;
    fixture_receive(&f, fixture_accept(BALLOT_A, 2, 1, 0));
    fixture_receive(&f, fixture_accept(BALLOT_A, 3, 1, 0));
    fixture_receive(&f, fixture_accept(BALLOT_A, 4, 1, 0));
    fixture_step(&f, (struct event){.kind = EVENT_PERSISTED, .sequence = sequence + 1});
    fixture_step(&f, (struct event){.kind = EVENT_PERSIST_FAILED, .sequence = sequence + 2});
    fixture_step(&f, (struct event){.kind = EVENT_PERSISTED, .sequence = sequence + 3});
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 1)->slot, 2);
    fixture_receive(&f, fixture_accept(BALLOT_A, 3, 1, 0));
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 1)->slot, 4);
}
END_TEST

START_TEST(values_of_an_earlier_ballot_are_not_acknowledged)
{
    fixture_init(&f, 3, 0);
    fixture_follow(&f, BALLOT_A, 4);
    fixture_receive(&f, fixture_accept(BALLOT_B, 5, 0, 4));
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 2)->slot, 0);
    ck_assert_uint_eq(f.core.mark, 0); /* they may differ from what was chosen */
    fixture_receive(&f, fixture_accept(BALLOT_B, 1, 4, 4));
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 4);
}
END_TEST

START_TEST(follower_mark_is_bounded_by_what_it_holds)
{
    fixture_init(&f, 3, 0);
    fixture_receive(&f, fixture_accept(BALLOT_A, 1, 3, 90));
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 0);
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(f.core.mark, 3);
}
END_TEST

START_TEST(repeated_accept_is_answered_not_written)
{
    fixture_init(&f, 3, 0);
    fixture_follow(&f, BALLOT_A, 3);
    fixture_receive(&f, fixture_accept(BALLOT_A, 1, 3, 0));
    ck_assert_uint_eq(fixture_count(&f, EFFECT_PERSIST_COPY), 0);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 1)->slot, 3);
}
END_TEST

START_TEST(accept_beyond_every_window_is_refused)
{
    fixture_init(&f, 3, 0);
    fixture_receive(&f, fixture_accept(BALLOT_A, 100000, 1, 0));
    ck_assert(fixture_dropped(&f, DROP_BEYOND_WINDOW));
    fixture_receive(&f, fixture_accept(BALLOT_A, UINT64_MAX - 1, 4, 0));
    ck_assert(fixture_dropped(&f, DROP_MALFORMED));
}
END_TEST

START_TEST(snapshot_under_outstanding_writes_keeps_what_is_above_it)
{
    fixture_init(&f, 3, 0);
    fixture_follow(&f, BALLOT_A, 2);
    fixture_receive(&f, fixture_accept(BALLOT_A, 3, 4, 0));
    fixture_step(&f, (struct event){.kind = EVENT_INSTALLED, .slot = 4});
    ck_assert_uint_eq(f.core.mark, 4);
    fixture_persisted(&f);
    fixture_settle(&f);
    ck_assert_uint_eq(fixture_sent(&f, MESSAGE_ACCEPTED, 1)->slot, 6);
    fixture_step(&f, (struct event){.kind = EVENT_INSTALLED, .slot = 3});
    ck_assert(fixture_dropped(&f, DROP_OUT_OF_ORDER));
    ck_assert_uint_eq(f.core.mark, 4);
}
END_TEST

TEST_MAIN("core/leader_follower", leader_does_not_count_itself_before_its_own_write,
          mark_never_passes_the_leaders_own_log, one_nodes_repeated_answer_counts_once,
          answer_of_another_ballot_does_not_count, new_leader_sends_from_where_each_follower_is,
          unanswered_slots_are_sent_again_from_behind_the_last_answer,
          follower_that_restarts_further_back_is_sent_the_rest_again,
          window_bounds_what_is_proposed, follower_behind_the_log_needs_a_snapshot,
          mark_is_told_only_once_applied, leader_is_never_silent_for_longer_than_a_heartbeat,
          leader_that_hears_no_quorum_steps_down, leader_heard_by_a_quorum_stays,
          rejection_with_a_higher_ballot_deposes, leader_that_cannot_write_steps_down,
          fifteen_nodes_far_behind_at_once_fit_the_effects,
          transfer_waits_until_the_target_holds_everything, failed_transfer_ends_after_a_timeout,
          transfer_to_nobody_is_refused, target_stands_at_once_without_pre_vote,
          old_transfer_is_not_followed, leader_makes_way_for_a_healthy_node_of_higher_priority,
          leader_stays_while_the_preferred_node_is_silent, acceptance_is_answered_only_when_durable,
          answer_stops_at_a_hole, failed_write_between_others_is_a_hole,
          values_of_an_earlier_ballot_are_not_acknowledged,
          follower_mark_is_bounded_by_what_it_holds, repeated_accept_is_answered_not_written,
          accept_beyond_every_window_is_refused,
          snapshot_under_outstanding_writes_keeps_what_is_above_it)
