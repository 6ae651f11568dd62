/* SPDX-License-Identifier: MIT */
#include "core/election.h"

#include "core/core_internal.h"

static uint32_t nodes_with_higher_priority(const struct core *core)
{
    uint32_t higher = 0;
    for (uint32_t node = 0; node < core->config.quorum.nodes; node++) {
        higher += core->config.priorities[node] > core->config.priorities[core->config.self];
    }
    return higher;
}

void election_reset_timer(struct core *core)
{
    uint64_t timeout = core->config.election_timeout_ns;
    uint64_t handicap = nodes_with_higher_priority(core) > 0 ? timeout : 0;
    core->election_deadline_ns =
        core->now_ns + timeout + prng_below(&core->prng, timeout) + handicap;
    core->is_grace_given = false;
}

static void send_to_all(struct core *core, struct effects *effects, uint8_t flags)
{
    for (uint32_t node = 0; node < core->config.quorum.nodes; node++) {
        if (node == core->config.self || (core->vote_set & core_bit(node)) != 0) {
            continue;
        }
        struct core_message *message =
            core_send(core, effects, node, MESSAGE_PREPARE, core->campaign_ballot);
        message->flags = flags;
        message->slot = core->mark + 1;
    }
    core->prepare_sent_ns = core->now_ns;
}

static void ask_for_pre_votes(struct core *core, struct effects *effects)
{
    core->campaign_ballot = generation_next(core->max_seen, core->config.self);
    core->vote_set = core_bit(core->config.self);
    election_reset_timer(core);
    leader_follower_change_role(core, effects, ROLE_PRE_CANDIDATE, -1);
    if (quorum_may_lead(&core->config.quorum, core->vote_set)) {
        election_campaign(core, effects, false);
        return;
    }
    send_to_all(core, effects, MESSAGE_FLAG_PRE_VOTE);
}

void election_settle(struct core *core, struct effects *effects)
{
    uint64_t gap_ns = core->tick_gap_ns;
    core->tick_gap_ns = 0;
    if (gap_ns > core->config.election_timeout_ns / 2 && !core->is_grace_given) {
        /* This node did not run: its leader may have spoken all the while. Hear it out first; but
         * once only, for a node that always runs this rarely must still stand some day. */
        core->election_deadline_ns += gap_ns;
        core->is_grace_given = true;
    }
    if (core->now_ns >= core->election_deadline_ns) {
        ask_for_pre_votes(core, effects);
        return;
    }
    bool is_resend_due = core->now_ns - core->prepare_sent_ns >= core->config.retransmit_ns;
    if (core->role == ROLE_PRE_CANDIDATE && is_resend_due) {
        send_to_all(core, effects, MESSAGE_FLAG_PRE_VOTE);
    }
    if (core->role == ROLE_CANDIDATE && core->is_campaign_durable && is_resend_due) {
        multi_paxos_send_prepare(core, effects);
    }
}

void multi_paxos_send_prepare(struct core *core, struct effects *effects)
{
    send_to_all(core, effects, core->is_campaign_transfer ? MESSAGE_FLAG_TRANSFER : 0);
}

void election_campaign(struct core *core, struct effects *effects, bool is_transfer)
{
    if (!core_may_promise(core)) {
        core_drop(core, effects, DROP_NO_ROOM);
        return;
    }
    uint64_t ballot = generation_next(core->max_seen, core->config.self);
    core->max_seen = ballot;
    core->promised = ballot;
    core->promise_owed.to = -1;
    core->campaign_ballot = ballot;
    core->is_campaign_durable = false;
    core->is_campaign_transfer = is_transfer;
    core->vote_set = 0;
    election_reset_timer(core);
    leader_follower_change_role(core, effects, ROLE_CANDIDATE, -1);
    core_persist(core, effects, EFFECT_PERSIST_PROMISE, ballot, 0, 0);
}

void election_on_campaign_durable(struct core *core, struct effects *effects)
{
    core->is_campaign_durable = true;
    multi_paxos_own_promise(core);
    multi_paxos_send_prepare(core, effects);
    multi_paxos_check_phase1(core, effects);
}

bool election_is_fit(const struct core *core, uint64_t first_slot, uint64_t mark)
{
    return first_slot + 4 * (uint64_t)core->config.window_slots > mark;
}

static bool hears_a_leader(const struct core *core)
{
    return core_leads(core) || (core->leader >= 0 && core->now_ns - core->leader_heard_ns <
                                                         core->config.election_timeout_ns);
}

void election_on_pre_vote_asked(struct core *core, const struct core_message *message,
                                struct effects *effects)
{
    bool is_fit = message->slot > core->base && election_is_fit(core, message->slot, core->mark);
    bool would_promise = message->ballot > core->promised && is_fit && !hears_a_leader(core);
    struct core_message *answer =
        core_send(core, effects, message->from, would_promise ? MESSAGE_PROMISE : MESSAGE_REJECT,
                  would_promise ? message->ballot : core->promised);
    answer->flags = (uint8_t)(MESSAGE_FLAG_PRE_VOTE | (is_fit ? 0 : MESSAGE_FLAG_LAGGING));
    answer->mark = core->mark;
    answer->round = message->ballot;
}

void election_on_pre_vote_granted(struct core *core, const struct core_message *message,
                                  struct effects *effects)
{
    if (core->role != ROLE_PRE_CANDIDATE || message->ballot != core->campaign_ballot) {
        core_drop(core, effects, DROP_WRONG_ROLE);
        return;
    }
    core->vote_set |= core_bit(message->from);
    if (quorum_may_lead(&core->config.quorum, core->vote_set)) {
        election_campaign(core, effects, false);
    }
}
