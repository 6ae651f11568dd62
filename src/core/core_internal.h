/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_CORE_INTERNAL_H
#define SYNOD_CORE_CORE_INTERNAL_H

/* What the core's own files share and nobody else sees. */
#include "clock/generation_clock.h"
#include "core/core.h"

static inline void core_drop(struct core *core, struct effects *effects, enum drop_reason reason)
{
    core->drops[reason]++;
    effects_add(effects, EFFECT_DROP)->reason = (uint8_t)reason;
}

/* A message to `to` with kind and ballot set; the caller fills in the rest. */
static inline struct core_message *core_send(const struct core *core, struct effects *effects,
                                             uint32_t to, enum message_kind kind, uint64_t ballot)
{
    struct effect *effect = effects_add(effects, EFFECT_SEND);
    effect->to = (uint8_t)to;
    effect->message.kind = (uint8_t)kind;
    effect->message.from = (uint8_t)core->config.self;
    effect->message.ballot = ballot;
    return &effect->message;
}

static inline void core_commit(struct core *core, struct effects *effects, uint64_t mark)
{
    ASSERT(mark >= core->mark);
    if (mark > core->mark) {
        core->mark = mark;
        replicated_log_trim(&core->log, mark);
        effects_add(effects, EFFECT_COMMIT)->slot = mark;
    }
}

static inline uint32_t core_bit(uint32_t node)
{
    return 1u << node;
}

/* Runs of the log kept free of what arrives out of order, so that what closes the gaps finds room.
 */
#define CORE_SPARE_RUNS 16

/* Whether one more PERSIST effect, and the run it will become, are sure to find room. */
bool core_may_persist(const struct core *core);
/* The same for a promise, which becomes no run. */
static inline bool core_may_promise(const struct core *core)
{
    return core->persist_count < CORE_PERSIST_LIMIT;
}
/* Issues a PERSIST effect; count 0 for a promise. */
struct effect *core_persist(struct core *core, struct effects *effects, enum effect_kind kind,
                            uint64_t ballot, uint64_t slot, uint32_t count);
/* Sees to it that `promised` gets into the log. False when there is no room to now. */
MUST_USE bool core_persist_promise(struct core *core, struct effects *effects);

/* election.c */
void election_reset_timer(struct core *core);
void election_settle(struct core *core, struct effects *effects);
/* Whether a node that would start at first_slot is near enough to a mark to lead: one that is far
 * behind first has to fetch all it missed, with nobody served meanwhile. */
bool election_is_fit(const struct core *core, uint64_t first_slot, uint64_t mark);
void election_campaign(struct core *core, struct effects *effects, bool is_transfer);
void election_on_campaign_durable(struct core *core, struct effects *effects);
void election_on_pre_vote_asked(struct core *core, const struct core_message *message,
                                struct effects *effects);
void election_on_pre_vote_granted(struct core *core, const struct core_message *message,
                                  struct effects *effects);

/* multi_paxos.c */
void multi_paxos_on_prepare(struct core *core, const struct core_message *message,
                            struct effects *effects);
void multi_paxos_answer_promise(struct core *core, struct effects *effects);
void multi_paxos_on_promise(struct core *core, const struct core_message *message,
                            struct effects *effects);
void multi_paxos_on_promise_run(struct core *core, const struct core_message *message,
                                struct effects *effects);
void multi_paxos_on_reject(struct core *core, const struct core_message *message,
                           struct effects *effects);
void multi_paxos_on_fetch(struct core *core, const struct core_message *message,
                          struct effects *effects);
void multi_paxos_on_entries(struct core *core, const struct core_message *message,
                            struct effects *effects);
void multi_paxos_on_accept(struct core *core, const struct core_message *message,
                           struct effects *effects);
void multi_paxos_own_promise(struct core *core);
void multi_paxos_check_phase1(struct core *core, struct effects *effects);
void multi_paxos_recover(struct core *core, struct effects *effects);
void multi_paxos_on_propose(struct core *core, uint32_t count, struct effects *effects);
void multi_paxos_send_prepare(struct core *core, struct effects *effects);

/* leader_follower.c */
void leader_follower_change_role(struct core *core, struct effects *effects, enum core_role role,
                                 int leader);
void leader_follower_step_down(struct core *core, struct effects *effects);
void leader_follower_start(struct core *core);
void leader_follower_on_accepted(struct core *core, const struct core_message *message,
                                 struct effects *effects);
void leader_follower_settle(struct core *core, struct effects *effects);
void leader_follower_on_transfer(struct core *core, uint32_t node, struct effects *effects);
void leader_follower_on_timeout_now(struct core *core, const struct core_message *message,
                                    struct effects *effects);

/* read_index.c */
void read_index_on_read(struct core *core, struct effects *effects);
void read_index_settle(struct core *core, struct effects *effects);

#endif
