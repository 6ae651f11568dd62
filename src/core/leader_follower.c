/* SPDX-License-Identifier: MIT */
#include "core/leader_follower.h"

#include "core/core_internal.h"
#include "core/high_watermark.h"

void leader_follower_change_role(struct core *core, struct effects *effects, enum core_role role,
                                 int leader)
{
    if (core->role == role && core->leader == leader) {
        return;
    }
    if (core->role != role) {
        core->role_since_ns = core->now_ns;
    }
    core->role = role;
    core->leader = leader;
    struct effect *effect = effects_add(effects, EFFECT_ROLE);
    effect->role = (uint8_t)role;
    effect->leader = (int8_t)leader;
    effect->ballot = core->promised;
}

void leader_follower_step_down(struct core *core, struct effects *effects)
{
    core->transfer_to = -1;
    core->is_ack_due = false;
    core->leader_mark = 0;
    core->round_seen = 0;
    core->promise_owed.to = -1;
    election_reset_timer(core);
    leader_follower_change_role(core, effects, ROLE_FOLLOWER, -1);
}

/* A leadership begins: nothing is known of the followers but what their promises said. */
void leader_follower_start(struct core *core)
{
    for (uint32_t node = 0; node < core->config.quorum.nodes; node++) {
        core->peers[node] = (struct core_peer){.heard_ns = core->now_ns, .next = core->mark + 1};
    }
    core->transfer_to = -1;
    core->round = 0;
    core->round_confirmed = 0;
}

static void inflight_forget(struct core_peer *peer, uint64_t acknowledged)
{
    while (peer->inflight_count > 0 && peer->inflight[peer->inflight_first] <= acknowledged) {
        peer->inflight_first = (peer->inflight_first + 1) % CORE_INFLIGHT_LIMIT;
        peer->inflight_count--;
    }
}

void leader_follower_on_accepted(struct core *core, const struct core_message *message,
                                 struct effects *effects)
{
    if (!core_leads(core) || message->ballot != core->promised) {
        core_drop(core, effects,
                  message->ballot < core->promised ? DROP_STALE_BALLOT : DROP_WRONG_ROLE);
        return;
    }
    struct core_peer *peer = &core->peers[message->from];
    peer->heard_ns = core->now_ns;
    if (message->mark > peer->mark) {
        peer->mark = message->mark;
    }
    if (message->round > peer->round && message->round <= core->round) {
        peer->round = message->round;
    }
    if (!peer->is_probed || message->slot < peer->match) {
        /* Its first word; or it knows of fewer slots than it did: it restarted, and holds at older
         * ballots what it had known to be chosen. A late answer looks the same and costs a resend.
         */
        peer->is_probed = true;
        peer->match = message->slot;
        peer->next = message->slot + 1;
        peer->inflight_count = 0;
        peer->progress_ns = core->now_ns;
    } else if (message->slot > peer->match) {
        peer->match = message->slot;
        peer->progress_ns = core->now_ns;
        if (peer->next <= peer->match) {
            peer->next = peer->match + 1;
        }
    }
    inflight_forget(peer, peer->match);
}

static void send_accept(struct core *core, uint32_t node, uint64_t slot, uint32_t count,
                        struct effects *effects)
{
    struct core_peer *peer = &core->peers[node];
    struct core_message *message = core_send(core, effects, node, MESSAGE_ACCEPT, core->promised);
    message->slot = slot;
    message->count = count;
    /* A mark is told only once this node has applied it: whoever hears of a write from anybody can
     * find it in the leader's store from then on. */
    message->mark = core->applied < core->mark ? core->applied : core->mark;
    message->round = core->round;
    peer->round_told = core->round;
    peer->sent_ns = core->now_ns;
}

static void send_new_slots(struct core *core, uint32_t node, struct effects *effects)
{
    struct core_peer *peer = &core->peers[node];
    while (peer->next <= core->log_end && peer->inflight_count < CORE_INFLIGHT_LIMIT) {
        uint64_t left = core->log_end - peer->next + 1;
        uint32_t count =
            left < core->config.message_slots ? (uint32_t)left : core->config.message_slots;
        uint64_t last = peer->next + count - 1;
        if (peer->inflight_count == 0) {
            peer->progress_ns = core->now_ns;
        }
        uint32_t at = (peer->inflight_first + peer->inflight_count) % CORE_INFLIGHT_LIMIT;
        peer->inflight[at] = last;
        peer->inflight_count++;
        send_accept(core, node, peer->next, count, effects);
        peer->next = last + 1;
    }
}

static void replicate(struct core *core, uint32_t node, struct effects *effects)
{
    struct core_peer *peer = &core->peers[node];
    const struct core_config *config = &core->config;
    if (peer->is_probed) {
        bool is_unanswered = peer->match + 1 < peer->next &&
                             core->now_ns - peer->progress_ns >= config->retransmit_ns;
        if (is_unanswered) {
            peer->next = peer->match + 1;
            peer->inflight_count = 0;
            peer->progress_ns = core->now_ns;
        }
        if (peer->next > core->base) {
            send_new_slots(core, node, effects);
        } else if (core->now_ns - peer->heard_ns < config->election_timeout_ns &&
                   core->now_ns - peer->snapshot_asked_ns >= config->heartbeat_ns) {
            peer->snapshot_asked_ns = core->now_ns;
            effects_add(effects, EFFECT_SNAPSHOT_NEEDED)->to = (uint8_t)node;
        }
    }
    bool is_silent = core->now_ns - peer->sent_ns >= config->heartbeat_ns;
    if (is_silent || peer->round_told < core->round) {
        send_accept(core, node, core->log_end + 1, 0, effects);
    }
}

static bool hears_a_quorum(const struct core *core)
{
    uint32_t heard = core_bit(core->config.self);
    for (uint32_t node = 0; node < core->config.quorum.nodes; node++) {
        if (core->now_ns - core->peers[node].heard_ns < 2 * core->config.election_timeout_ns) {
            heard |= core_bit(node);
        }
    }
    return quorum_has_chosen(&core->config.quorum, heard);
}

static void advance_mark(struct core *core, struct effects *effects)
{
    uint64_t match[CORE_MAX_NODES];
    for (uint32_t node = 0; node < core->config.quorum.nodes; node++) {
        match[node] = core->peers[node].match;
    }
    uint64_t own = replicated_log_match(&core->log, core->mark, core->promised);
    match[core->config.self] = own;
    core_commit(core, effects,
                high_watermark_advance(core->mark, match, &core->config.quorum, own));
}

/* A well-established leader makes way for a healthy node of higher priority. */
static int preferred_leader(const struct core *core)
{
    const struct core_config *config = &core->config;
    int best = -1;
    int32_t priority = config->priorities[config->self];
    for (uint32_t node = 0; node < config->quorum.nodes; node++) {
        const struct core_peer *peer = &core->peers[node];
        bool is_fit = peer->is_probed && peer->match + config->window_slots >= core->log_end &&
                      core->now_ns - peer->heard_ns < config->election_timeout_ns;
        if (config->priorities[node] > priority && is_fit) {
            priority = config->priorities[node];
            best = (int)node;
        }
    }
    return best;
}

static void settle_transfer(struct core *core, struct effects *effects)
{
    const struct core_config *config = &core->config;
    if (core->transfer_to < 0) {
        bool is_established = core->role == ROLE_LEADER && core->mark >= core->term_start &&
                              core->now_ns - core->role_since_ns >= 4 * config->election_timeout_ns;
        int preferred = is_established ? preferred_leader(core) : -1;
        if (preferred >= 0) {
            leader_follower_on_transfer(core, (uint32_t)preferred, effects);
        }
        return;
    }
    if (core->now_ns >= core->transfer_deadline_ns) {
        core->transfer_to = -1; /* it did not take over: go on leading */
        core->role_since_ns = core->now_ns;
        return;
    }
    uint32_t target = (uint32_t)core->transfer_to;
    bool is_time = core->transfer_sent_ns == 0 ||
                   core->now_ns - core->transfer_sent_ns >= config->retransmit_ns;
    if (core->peers[target].match >= core->log_end && is_time) {
        core->transfer_sent_ns = core->now_ns;
        struct core_message *message =
            core_send(core, effects, target, MESSAGE_TIMEOUT_NOW, core->promised);
        message->slot = core->log_end;
        message->mark = core->mark;
    }
}

static void settle_leader(struct core *core, struct effects *effects)
{
    if (!hears_a_quorum(core)) {
        leader_follower_step_down(core, effects);
        return;
    }
    advance_mark(core, effects);
    multi_paxos_recover(core, effects);
    read_index_settle(core, effects);
    for (uint32_t node = 0; node < core->config.quorum.nodes; node++) {
        if (node != core->config.self) {
            replicate(core, node, effects);
        }
    }
    settle_transfer(core, effects);
}

static void settle_follower(struct core *core, struct effects *effects)
{
    uint64_t held = replicated_log_match(&core->log, core->mark, core->promised);
    if (core->leader >= 0) {
        core_commit(core, effects, high_watermark_learn(core->mark, core->leader_mark, held));
    }
    if (!core->is_ack_due || core->leader < 0 || core->promised_durable != core->promised) {
        return;
    }
    core->is_ack_due = false;
    struct core_message *message =
        core_send(core, effects, (uint32_t)core->leader, MESSAGE_ACCEPTED, core->promised);
    message->slot = held > core->mark ? held : core->mark;
    message->mark = core->mark;
    message->round = core->round_seen;
}

void leader_follower_settle(struct core *core, struct effects *effects)
{
    if (core_leads(core)) {
        core->tick_gap_ns = 0;
        settle_leader(core, effects);
    } else {
        settle_follower(core, effects);
        election_settle(core, effects);
    }
}

void leader_follower_on_transfer(struct core *core, uint32_t node, struct effects *effects)
{
    if (core->role != ROLE_LEADER) {
        core_drop(core, effects, DROP_NOT_LEADER);
        return;
    }
    if (node >= core->config.quorum.nodes || node == core->config.self) {
        core_drop(core, effects, DROP_MALFORMED);
        return;
    }
    core->transfer_to = (int)node;
    core->transfer_sent_ns = 0;
    core->transfer_deadline_ns = core->now_ns + core->config.election_timeout_ns;
}

void leader_follower_on_timeout_now(struct core *core, const struct core_message *message,
                                    struct effects *effects)
{
    if (core->role != ROLE_FOLLOWER || message->ballot != core->promised ||
        core->leader != message->from) {
        core_drop(core, effects, DROP_STALE_BALLOT);
        return;
    }
    uint64_t held = replicated_log_match(&core->log, core->mark, core->promised);
    if (held < message->slot || !election_is_fit(core, core->mark + 1, message->mark)) {
        core_drop(core, effects, DROP_OUT_OF_ORDER); /* restarted since it answered */
        return;
    }
    election_campaign(core, effects, true);
}
