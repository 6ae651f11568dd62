/* SPDX-License-Identifier: MIT */
#include "core/core.h"

#include "core/core_internal.h"

/* A leader's turn at its busiest: to every follower a window of accepts, a heartbeat, a snapshot;
 * as many values proposed again as may be under way; role, mark, reads, fetch and transfer. */
static_assert((CORE_MAX_NODES - 1) * (CORE_INFLIGHT_LIMIT + 2) + CORE_PERSIST_LIMIT + 8 <=
                  EFFECTS_CAPACITY,
              "a leader's effects fit");
/* A promise: every run and a hole before each, and what else one step makes durable. */
static_assert(2 * REPLICATED_LOG_RUNS + CORE_MAX_NODES + CORE_PERSIST_LIMIT + 8 <= EFFECTS_CAPACITY,
              "a promise's effects fit");

/* ---- What has to become durable ---- */

bool core_may_persist(const struct core *core)
{
    return core->persist_count < CORE_PERSIST_LIMIT &&
           replicated_log_has_room(&core->log, core->persist_count + 1);
}

struct effect *core_persist(struct core *core, struct effects *effects, enum effect_kind kind,
                            uint64_t ballot, uint64_t slot, uint32_t count)
{
    ASSERT(core->persist_count < CORE_PERSIST_LIMIT);
    uint32_t at = (core->persist_first + core->persist_count) % CORE_PERSIST_LIMIT;
    core->persist_sequence++;
    core->persists[at] = (struct core_persist){
        .kind = kind,
        .sequence = core->persist_sequence,
        .ballot = ballot,
        .first = slot,
        .last = slot + count - 1,
    };
    core->persist_count++;
    struct effect *effect = effects_add(effects, kind);
    effect->sequence = core->persist_sequence;
    effect->ballot = ballot;
    effect->slot = slot;
    effect->count = count;
    return effect;
}

bool core_persist_promise(struct core *core, struct effects *effects)
{
    /* Ballots of what is persisted never fall: the youngest tells whether any is of this ballot. */
    uint32_t youngest = (core->persist_first + core->persist_count - 1) % CORE_PERSIST_LIMIT;
    bool is_under_way =
        core->persist_count > 0 && core->persists[youngest].ballot == core->promised;
    if (core->promised_durable == core->promised || is_under_way) {
        return true;
    }
    if (!core_may_promise(core)) {
        return false;
    }
    core_persist(core, effects, EFFECT_PERSIST_PROMISE, core->promised, 0, 0);
    return true;
}

static struct core_persist persist_pop(struct core *core)
{
    struct core_persist done = core->persists[core->persist_first];
    core->persist_first = (core->persist_first + 1) % CORE_PERSIST_LIMIT;
    core->persist_count--;
    return done;
}

static void on_promise_durable(struct core *core, uint64_t ballot, struct effects *effects)
{
    if (ballot != core->promised) {
        return; /* overtaken by a higher one */
    }
    if (core->promise_owed.to >= 0 && core->promise_owed.ballot == ballot) {
        multi_paxos_answer_promise(core, effects);
    }
    if (core->role == ROLE_CANDIDATE && core->campaign_ballot == ballot) {
        election_on_campaign_durable(core, effects);
    }
}

static void on_accept_durable(struct core *core, const struct core_persist *done)
{
    if (done->last > core->mark) {
        uint64_t first = done->first > core->mark ? done->first : core->mark + 1;
        replicated_log_put(
            &core->log,
            (struct log_run){.first = first, .last = done->last, .ballot = done->ballot});
    }
    if (done->ballot == core->promised && core->role == ROLE_FOLLOWER) {
        core->is_ack_due = true;
    }
}

static void on_persisted(struct core *core, uint64_t sequence, struct effects *effects)
{
    while (core->persist_count > 0 && core->persists[core->persist_first].sequence <= sequence) {
        struct core_persist done = persist_pop(core);
        core->promised_durable = generation_adopt(core->promised_durable, done.ballot);
        if (done.kind == EFFECT_PERSIST_PROMISE) {
            on_promise_durable(core, done.ballot, effects);
        } else {
            on_accept_durable(core, &done);
        }
    }
}

static void on_persist_failed(struct core *core, uint64_t sequence, struct effects *effects)
{
    bool is_oldest =
        core->persist_count > 0 && core->persists[core->persist_first].sequence == sequence;
    if (!is_oldest) {
        core_drop(core, effects, DROP_MALFORMED);
        return;
    }
    struct core_persist failed = persist_pop(core);
    if (core->role != ROLE_FOLLOWER && failed.ballot == core->promised) {
        leader_follower_step_down(core, effects); /* it proposed what it could not write */
    }
}

/* ---- Life ---- */

void core_init(struct core *core, const struct core_config *config)
{
    ASSERT(config->self < config->quorum.nodes && config->quorum.nodes <= CORE_MAX_NODES);
    ASSERT(config->quorum.phase1 + config->quorum.phase2 > config->quorum.nodes);
    ASSERT(config->election_timeout_ns > 0 && config->window_slots > 0);
    ASSERT(config->message_slots > 0);
    *core = (struct core){.config = *config, .leader = -1, .transfer_to = -1};
    core->promise_owed.to = -1;
    prng_init(&core->prng, config->seed * CORE_MAX_NODES + config->self);
}

void core_restore(struct core *core, uint64_t promised, uint64_t mark, uint64_t base)
{
    ASSERT(base <= mark);
    core->promised = promised;
    core->max_seen = promised;
    core->mark = mark;
    core->applied = base;
    core->base = base;
}

bool core_restore_accept(struct core *core, uint64_t slot, uint64_t ballot)
{
    if (ballot > core->promised) {
        core->promised = ballot;
        core->max_seen = ballot;
    }
    if (slot <= core->mark) {
        return true;
    }
    if (!replicated_log_has_room(&core->log, 1)) {
        return false;
    }
    replicated_log_put(&core->log, (struct log_run){.first = slot, .last = slot, .ballot = ballot});
    return true;
}

void core_restore_end(struct core *core, uint64_t now_ns)
{
    core->promised_durable = core->promised;
    core->now_ns = now_ns;
    core->role_since_ns = now_ns;
    election_reset_timer(core);
}

/* ---- The door ---- */

static void on_message(struct core *core, const struct core_message *message,
                       struct effects *effects)
{
    if (message->from >= core->config.quorum.nodes || message->from == core->config.self) {
        core_drop(core, effects, DROP_MALFORMED);
        return;
    }
    if (message->ballot != BALLOT_CHOSEN && message->ballot > core->max_seen) {
        core->max_seen = message->ballot;
    }
    bool is_pre_vote = (message->flags & MESSAGE_FLAG_PRE_VOTE) != 0;
    switch (message->kind) {
    case MESSAGE_PREPARE:
        is_pre_vote ? election_on_pre_vote_asked(core, message, effects)
                    : multi_paxos_on_prepare(core, message, effects);
        break;
    case MESSAGE_PROMISE:
        is_pre_vote ? election_on_pre_vote_granted(core, message, effects)
                    : multi_paxos_on_promise(core, message, effects);
        break;
    case MESSAGE_PROMISE_RUN:
        multi_paxos_on_promise_run(core, message, effects);
        break;
    case MESSAGE_REJECT:
        multi_paxos_on_reject(core, message, effects);
        break;
    case MESSAGE_FETCH:
        multi_paxos_on_fetch(core, message, effects);
        break;
    case MESSAGE_ENTRIES:
        multi_paxos_on_entries(core, message, effects);
        break;
    case MESSAGE_ACCEPT:
        multi_paxos_on_accept(core, message, effects);
        break;
    case MESSAGE_ACCEPTED:
        leader_follower_on_accepted(core, message, effects);
        break;
    case MESSAGE_TIMEOUT_NOW:
        leader_follower_on_timeout_now(core, message, effects);
        break;
    default:
        core_drop(core, effects, DROP_MALFORMED);
        break;
    }
}

/* Only sets the clock: timers are looked at when the turn settles, after its messages were heard.
 */
static void on_tick(struct core *core, uint64_t now_ns)
{
    if (now_ns > core->now_ns) {
        core->tick_gap_ns = now_ns - core->now_ns;
        core->now_ns = now_ns;
    }
}

static void on_installed(struct core *core, uint64_t slot, struct effects *effects)
{
    if (slot <= core->mark) {
        core_drop(core, effects, DROP_OUT_OF_ORDER);
        return;
    }
    if (core->role != ROLE_FOLLOWER) {
        /* What it stood for began at its old mark. */
        leader_follower_step_down(core, effects);
    }
    core_commit(core, effects, slot);
    core->applied = slot;
    core->base = slot;
    core->is_ack_due = true;
}

void core_step(struct core *core, const struct event *event, struct effects *effects)
{
    switch (event->kind) {
    case EVENT_TICK:
        on_tick(core, event->now_ns);
        break;
    case EVENT_MESSAGE:
        on_message(core, event->message, effects);
        break;
    case EVENT_PROPOSE:
        multi_paxos_on_propose(core, event->count, effects);
        break;
    case EVENT_READ:
        read_index_on_read(core, effects);
        break;
    case EVENT_PERSISTED:
        on_persisted(core, event->sequence, effects);
        break;
    case EVENT_PERSIST_FAILED:
        on_persist_failed(core, event->sequence, effects);
        break;
    case EVENT_APPLIED:
        ASSERT(event->slot >= core->applied && event->slot <= core->mark);
        core->applied = event->slot;
        break;
    case EVENT_RELEASED:
        ASSERT(event->slot <= core->applied);
        core->base = event->slot > core->base ? event->slot : core->base;
        break;
    case EVENT_INSTALLED:
        on_installed(core, event->slot, effects);
        break;
    case EVENT_TRANSFER:
        leader_follower_on_transfer(core, event->node, effects);
        break;
    case EVENT_SETTLE:
        leader_follower_settle(core, effects);
        break;
    }
}

static uint64_t earlier(const struct core *core, uint64_t next, uint64_t due)
{
    return due > core->now_ns && due < next ? due : next;
}

uint64_t core_next_tick_ns(const struct core *core)
{
    const struct core_config *config = &core->config;
    uint64_t next = core->now_ns + config->heartbeat_ns;
    if (!core_leads(core)) {
        next = earlier(core, next, core->prepare_sent_ns + config->retransmit_ns);
        return core->election_deadline_ns < next ? core->election_deadline_ns : next;
    }
    for (uint32_t node = 0; node < config->quorum.nodes; node++) {
        const struct core_peer *peer = &core->peers[node];
        next = earlier(core, next, peer->sent_ns + config->heartbeat_ns);
        if (peer->match + 1 < peer->next) {
            next = earlier(core, next, peer->progress_ns + config->retransmit_ns);
        }
    }
    return next;
}

uint32_t core_proposal_room(const struct core *core)
{
    bool is_open = core->role == ROLE_LEADER && core->transfer_to < 0;
    uint64_t in_flight = core->log_end - core->mark;
    if (!is_open || in_flight >= core->config.window_slots || !core_may_persist(core)) {
        return 0;
    }
    return core->config.window_slots - (uint32_t)in_flight;
}

uint64_t core_log_end(const struct core *core)
{
    if (core_leads(core)) {
        return core->log_end;
    }
    return replicated_log_end(&core->log, core->mark);
}

const char *core_role_name(enum core_role role)
{
    static const char *const names[] = {"follower", "pre-candidate", "candidate", "recovering",
                                        "leader"};
    return (uint32_t)role < sizeof names / sizeof names[0] ? names[role] : "?";
}

const char *message_kind_name(uint8_t kind)
{
    static const char *const names[MESSAGE_KINDS] = {
        "?",       "PREPARE", "PROMISE",  "PROMISE_RUN", "REJECT",         "FETCH",
        "ENTRIES", "ACCEPT",  "ACCEPTED", "TIMEOUT_NOW", "SNAPSHOT_CHUNK", "SNAPSHOT_NEXT"};
    return names[kind < MESSAGE_KINDS ? kind : 0];
}

const char *drop_reason_name(enum drop_reason reason)
{
    static const char *const names[DROP_REASONS] = {"none",          "malformed",    "stale ballot",
                                                    "wrong role",    "out of order", "no room",
                                                    "beyond window", "not leader",   "window full"};
    return names[(uint32_t)reason < DROP_REASONS ? reason : 0];
}
