/* SPDX-License-Identifier: MIT */
#include "core/multi_paxos.h"

#include "core/core_internal.h"

static void send_reject(struct core *core, const struct core_message *message, uint8_t flags,
                        struct effects *effects)
{
    struct core_message *answer =
        core_send(core, effects, message->from, MESSAGE_REJECT, core->promised);
    answer->flags = flags;
    answer->mark = core->mark;
    answer->round = message->ballot;
}

/* ---- Acceptor ---- */

static void owe_promise(struct core *core, const struct core_message *message)
{
    core->promise_owed.to = message->from;
    core->promise_owed.ballot = message->ballot;
    core->promise_owed.from_slot = message->slot;
}

void multi_paxos_on_prepare(struct core *core, const struct core_message *message,
                            struct effects *effects)
{
    if (message->ballot < core->promised) {
        send_reject(core, message, 0, effects);
        return;
    }
    if (message->slot <= core->base) {
        /* It asks for slots whose values are gone: a promise that could not report them would hide
         * chosen values. Somebody whose log reaches further will lead, and bring it up to date. */
        send_reject(core, message, MESSAGE_FLAG_LAGGING, effects);
        return;
    }
    if (message->ballot == core->promised) {
        if (generation_node(message->ballot) != message->from || core->role != ROLE_FOLLOWER) {
            core_drop(core, effects, DROP_WRONG_ROLE);
            return;
        }
        owe_promise(core, message);
        if (core->promised_durable == core->promised) {
            multi_paxos_answer_promise(core, effects);
        } else if (!core_persist_promise(core, effects)) {
            core_drop(core, effects, DROP_NO_ROOM);
        }
        return;
    }
    if (!core_may_promise(core)) {
        core_drop(core, effects, DROP_NO_ROOM);
        return;
    }
    core->promised = message->ballot;
    leader_follower_step_down(core, effects);
    owe_promise(core, message);
    core_persist(core, effects, EFFECT_PERSIST_PROMISE, message->ballot, 0, 0);
}

static void send_promise_run(struct core *core, struct effects *effects, uint64_t first,
                             uint64_t last, uint64_t accepted)
{
    while (first <= last) { /* a run longer than a count can say goes in pieces */
        uint64_t count = last - first + 1 < UINT32_MAX ? last - first + 1 : UINT32_MAX;
        struct core_message *message = core_send(core, effects, (uint32_t)core->promise_owed.to,
                                                 MESSAGE_PROMISE_RUN, core->promise_owed.ballot);
        message->slot = first;
        message->count = (uint32_t)count;
        message->round = accepted;
        first += count;
    }
}

void multi_paxos_answer_promise(struct core *core, struct effects *effects)
{
    uint64_t slot = core->promise_owed.from_slot;
    uint64_t end = replicated_log_end(&core->log, core->mark);
    struct core_message *promise = core_send(core, effects, (uint32_t)core->promise_owed.to,
                                             MESSAGE_PROMISE, core->promise_owed.ballot);
    promise->slot = end;
    promise->mark = core->mark;
    if (slot <= core->mark) {
        send_promise_run(core, effects, slot, core->mark, BALLOT_CHOSEN);
        slot = core->mark + 1;
    }
    while (slot <= end) {
        const struct log_run *run = replicated_log_at_or_after(&core->log, slot);
        if (run->first > slot) {
            send_promise_run(core, effects, slot, run->first - 1, GENERATION_NONE);
            slot = run->first;
        }
        send_promise_run(core, effects, slot, run->last, run->ballot);
        slot = run->last + 1;
    }
    core->promise_owed.to = -1;
}

/* Follows the leader of this ballot from now on. False when that must wait. */
static bool adopt_leader(struct core *core, const struct core_message *message,
                         struct effects *effects)
{
    if (message->ballot > core->promised) {
        if (!core_may_promise(core)) {
            core_drop(core, effects, DROP_NO_ROOM);
            return false;
        }
        core->promised = message->ballot;
        leader_follower_step_down(core, effects);
    }
    if (!core_persist_promise(core, effects)) {
        core_drop(core, effects, DROP_NO_ROOM);
        return false;
    }
    if (core->leader != message->from) {
        core->leader_mark = 0;
        core->round_seen = 0;
        leader_follower_change_role(core, effects, ROLE_FOLLOWER, message->from);
    }
    core->leader_heard_ns = core->now_ns;
    election_reset_timer(core);
    return true;
}

void multi_paxos_on_accept(struct core *core, const struct core_message *message,
                           struct effects *effects)
{
    if (message->ballot < core->promised) {
        send_reject(core, message, 0, effects);
        return;
    }
    if (generation_node(message->ballot) != message->from) {
        core_drop(core, effects, DROP_MALFORMED);
        return;
    }
    if (!adopt_leader(core, message, effects)) {
        return;
    }
    core->is_ack_due = true;
    if (message->mark > core->leader_mark) {
        core->leader_mark = message->mark;
    }
    if (message->round > core->round_seen) {
        core->round_seen = message->round;
    }
    if (message->count == 0) {
        return;
    }
    uint64_t last = message->slot + message->count - 1;
    if (last < message->slot) {
        core_drop(core, effects, DROP_MALFORMED);
        return;
    }
    uint64_t held = replicated_log_match(&core->log, core->mark, message->ballot);
    if (last <= held) {
        return; /* sent again, held already: the answer says so */
    }
    if (message->slot <= core->mark) {
        core_drop(core, effects, DROP_OUT_OF_ORDER);
        return;
    }
    uint64_t furthest =
        core->config.window_slots + (uint64_t)CORE_INFLIGHT_LIMIT * core->config.message_slots;
    if (last - core->mark > furthest) {
        core_drop(core, effects, DROP_BEYOND_WINDOW);
        return;
    }
    bool has_spare = replicated_log_has_room(&core->log, core->persist_count + CORE_SPARE_RUNS);
    if (!core_may_persist(core) || (message->slot > held + 1 && !has_spare)) {
        core_drop(core, effects, DROP_NO_ROOM);
        return;
    }
    core_persist(core, effects, EFFECT_PERSIST_COPY, message->ballot, message->slot, message->count)
        ->message = *message;
}

void multi_paxos_on_fetch(struct core *core, const struct core_message *message,
                          struct effects *effects)
{
    if (message->ballot < core->promised) {
        send_reject(core, message, 0, effects);
        return;
    }
    uint64_t end = replicated_log_end(&core->log, core->mark);
    uint64_t last = message->slot + message->count - 1;
    if (message->ballot != core->promised || message->count == 0 || message->slot <= core->base ||
        last < message->slot || last > end) {
        core_drop(core, effects, DROP_MALFORMED);
        return;
    }
    struct core_message *answer =
        core_send(core, effects, message->from, MESSAGE_ENTRIES, message->ballot);
    answer->slot = message->slot;
    answer->count = message->count;
}

/* ---- Proposer ---- */

/* This node's own promise to itself: everything it holds above its mark. */
void multi_paxos_own_promise(struct core *core)
{
    core->reported = core->log;
    for (uint32_t i = 0; i < core->reported.count; i++) {
        core->reported.runs[i].source = core->config.self;
    }
    for (uint32_t node = 0; node < core->config.quorum.nodes; node++) {
        core->promises[node] = (struct core_promise){.covered = core->mark};
    }
    core->promises[core->config.self].end = replicated_log_end(&core->log, core->mark);
    core->vote_set = core_bit(core->config.self);
}

static bool is_promise_awaited(const struct core *core, const struct core_message *message)
{
    return core->role == ROLE_CANDIDATE && core->is_campaign_durable &&
           message->ballot == core->promised && (core->vote_set & core_bit(message->from)) == 0;
}

static void count_promise(struct core *core, uint32_t node, struct effects *effects)
{
    const struct core_promise *promise = &core->promises[node];
    if (promise->has_end && promise->covered >= promise->end) {
        core->vote_set |= core_bit(node);
        multi_paxos_check_phase1(core, effects);
    }
}

void multi_paxos_on_promise(struct core *core, const struct core_message *message,
                            struct effects *effects)
{
    if (!is_promise_awaited(core, message)) {
        core_drop(core, effects, DROP_WRONG_ROLE);
        return;
    }
    struct core_promise *promise = &core->promises[message->from];
    promise->has_end = true;
    promise->end = message->slot;
    count_promise(core, message->from, effects);
}

void multi_paxos_on_promise_run(struct core *core, const struct core_message *message,
                                struct effects *effects)
{
    struct core_promise *promise = &core->promises[message->from];
    if (!is_promise_awaited(core, message)) {
        core_drop(core, effects, DROP_WRONG_ROLE);
        return;
    }
    uint64_t last = message->slot + message->count - 1;
    if (!promise->has_end || message->slot != promise->covered + 1) {
        core_drop(core, effects, DROP_OUT_OF_ORDER);
        return;
    }
    if (message->count == 0 || last < message->slot || last > promise->end) {
        core_drop(core, effects, DROP_MALFORMED);
        return;
    }
    if (message->round != GENERATION_NONE) {
        struct log_run run = {.first = message->slot,
                              .last = last,
                              .ballot = message->round,
                              .source = message->from};
        if (!replicated_log_raise(&core->reported, run)) {
            core_drop(core, effects, DROP_NO_ROOM);
            return;
        }
    }
    promise->covered = last;
    count_promise(core, message->from, effects);
}

void multi_paxos_on_reject(struct core *core, const struct core_message *message,
                           struct effects *effects)
{
    if (message->ballot > core->max_seen) {
        core->max_seen = message->ballot;
    }
    if (core->role == ROLE_FOLLOWER || message->round != core->campaign_ballot) {
        core_drop(core, effects, DROP_WRONG_ROLE);
        return;
    }
    bool is_pre_vote = (message->flags & MESSAGE_FLAG_PRE_VOTE) != 0;
    bool is_lagging = (message->flags & MESSAGE_FLAG_LAGGING) != 0 && !core_leads(core);
    bool is_outbid = !is_pre_vote && message->ballot > core->campaign_ballot;
    if (is_lagging || is_outbid) {
        leader_follower_step_down(core, effects);
    }
}

void multi_paxos_check_phase1(struct core *core, struct effects *effects)
{
    if (!quorum_may_lead(&core->config.quorum, core->vote_set)) {
        return;
    }
    core->recover_next = core->mark + 1;
    core->recover_end = core->mark;
    for (uint32_t node = 0; node < core->config.quorum.nodes; node++) {
        bool is_counted = (core->vote_set & core_bit(node)) != 0;
        if (is_counted && core->promises[node].end > core->recover_end) {
            core->recover_end = core->promises[node].end;
        }
    }
    core->log_end = core->mark;
    core->fetch_until = 0;
    core->elections_won++;
    leader_follower_start(core);
    leader_follower_change_role(core, effects, ROLE_RECOVERING, (int)core->config.self);
    multi_paxos_recover(core, effects);
}

static uint32_t bounded_count(const struct core *core, uint64_t first, uint64_t last)
{
    uint64_t count = last - first + 1;
    return count < core->config.message_slots ? (uint32_t)count : core->config.message_slots;
}

static void propose_again(struct core *core, struct effects *effects, enum effect_kind kind,
                          uint32_t count)
{
    core_persist(core, effects, kind, core->promised, core->recover_next, count);
    core->recover_next += count;
    core->log_end = core->recover_next - 1;
}

static void fetch(struct core *core, struct effects *effects, const struct log_run *run)
{
    bool is_waiting = core->fetch_until >= core->recover_next &&
                      core->now_ns - core->fetch_sent_ns < core->config.retransmit_ns;
    if (is_waiting) {
        return;
    }
    if (core->fetch_until < core->recover_next) {
        core->fetch_since_ns = core->now_ns;
    }
    if (core->now_ns - core->fetch_since_ns >= core->config.election_timeout_ns) {
        /* Its source is gone, or released those slots: another election finds who has them. */
        leader_follower_step_down(core, effects);
        return;
    }
    struct core_message *message =
        core_send(core, effects, run->source, MESSAGE_FETCH, core->promised);
    message->slot = core->recover_next;
    message->count = bounded_count(core, core->recover_next, run->last);
    core->fetch_until = message->slot + message->count - 1;
    core->fetch_sent_ns = core->now_ns;
}

/* Proposes anew, slot after slot, what phase 1 reported; then opens the leadership with a no-op. */
void multi_paxos_recover(struct core *core, struct effects *effects)
{
    while (core->role == ROLE_RECOVERING && core_may_persist(core)) {
        uint64_t slot = core->recover_next;
        if (slot > core->recover_end) {
            propose_again(core, effects, EFFECT_PERSIST_NOOP, 1);
            core->term_start = slot;
            leader_follower_change_role(core, effects, ROLE_LEADER, (int)core->config.self);
            return;
        }
        const struct log_run *run = replicated_log_at_or_after(&core->reported, slot);
        if (run == NULL || run->first > slot) {
            uint64_t last =
                run == NULL || run->first > core->recover_end ? core->recover_end : run->first - 1;
            propose_again(core, effects, EFFECT_PERSIST_NOOP, bounded_count(core, slot, last));
            continue;
        }
        if (run->source != core->config.self) {
            fetch(core, effects, run);
            return;
        }
        propose_again(core, effects, EFFECT_PERSIST_OWN, bounded_count(core, slot, run->last));
    }
}

void multi_paxos_on_entries(struct core *core, const struct core_message *message,
                            struct effects *effects)
{
    if (core->role != ROLE_RECOVERING || message->ballot != core->promised) {
        core_drop(core, effects, DROP_WRONG_ROLE);
        return;
    }
    const struct log_run *run = replicated_log_at_or_after(&core->reported, core->recover_next);
    if (message->slot != core->recover_next || message->count == 0 || run == NULL ||
        run->first > message->slot || run->source != message->from) {
        core_drop(core, effects, DROP_OUT_OF_ORDER);
        return;
    }
    if (message->slot + message->count - 1 > run->last) {
        core_drop(core, effects, DROP_MALFORMED);
        return;
    }
    if (!core_may_persist(core)) {
        core_drop(core, effects, DROP_NO_ROOM);
        return;
    }
    core_persist(core, effects, EFFECT_PERSIST_COPY, core->promised, message->slot, message->count)
        ->message = *message;
    core->recover_next += message->count;
    core->log_end = core->recover_next - 1;
    multi_paxos_recover(core, effects);
}

void multi_paxos_on_propose(struct core *core, uint32_t count, struct effects *effects)
{
    uint32_t room = core_proposal_room(core);
    if (room == 0) {
        core_drop(core, effects, core->role == ROLE_LEADER ? DROP_WINDOW_FULL : DROP_NOT_LEADER);
        return;
    }
    if (count > room) {
        count = room;
    }
    if (count == 0) {
        return;
    }
    core_persist(core, effects, EFFECT_PERSIST_PROPOSAL, core->promised, core->log_end + 1, count);
    core->log_end += count;
}
