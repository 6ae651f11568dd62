/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_FIXTURE_H
#define SYNOD_CORE_FIXTURE_H

/*
 * One core on the bench: the test plays its peers, its disk and its clock, one event at a time, and
 * looks at the effects of the last event (or of several, after fixture_keep).
 */
#include <check.h>
#include <string.h>

#include "clock/generation_clock.h"
#include "core/core.h"

#define FIXTURE_TIMEOUT    100
#define FIXTURE_HEARTBEAT  20
#define FIXTURE_RETRANSMIT 15
#define FIXTURE_WINDOW     16
#define FIXTURE_BATCH      4 /* slots a message */

struct fixture {
    struct core core;
    struct effects effects;
    uint64_t now;
};

static inline struct core_config fixture_config(uint32_t nodes, uint32_t self)
{
    return (struct core_config){.self = self,
                                .quorum = quorum_majority(nodes),
                                .election_timeout_ns = FIXTURE_TIMEOUT,
                                .heartbeat_ns = FIXTURE_HEARTBEAT,
                                .retransmit_ns = FIXTURE_RETRANSMIT,
                                .window_slots = FIXTURE_WINDOW,
                                .message_slots = FIXTURE_BATCH,
                                .seed = 1};
}

static inline void fixture_open(struct fixture *f, const struct core_config *config)
{
    f->now = 1000;
    f->effects.count = 0;
    core_init(&f->core, config);
    core_restore(&f->core, 0, 0, 0);
    core_restore_end(&f->core, f->now);
}

static inline void fixture_init(struct fixture *f, uint32_t nodes, uint32_t self)
{
    struct core_config config = fixture_config(nodes, self);
    fixture_open(f, &config);
}

static inline void fixture_step(struct fixture *f, struct event event)
{
    f->effects.count = 0;
    core_step(&f->core, &event, &f->effects);
}

static inline void fixture_settle(struct fixture *f)
{
    fixture_step(f, (struct event){.kind = EVENT_SETTLE});
}

/* Time passes in small ticks, none of which looks like a pause, with a settle at each. What follows
 * sees the effects of the last settle. */
static inline void fixture_pass(struct fixture *f, uint64_t time)
{
    for (uint64_t passed = 0; passed < time; passed += 5) {
        f->now += 5;
        fixture_step(f, (struct event){.kind = EVENT_TICK, .now_ns = f->now});
        fixture_settle(f);
    }
}

static inline void fixture_tick(struct fixture *f, uint64_t time)
{
    f->now += time;
    fixture_step(f, (struct event){.kind = EVENT_TICK, .now_ns = f->now});
}

static inline void fixture_receive(struct fixture *f, struct core_message message)
{
    fixture_step(f, (struct event){.kind = EVENT_MESSAGE, .message = &message});
}

/* The disk catches up with everything. */
static inline void fixture_persisted(struct fixture *f)
{
    fixture_step(f, (struct event){.kind = EVENT_PERSISTED, .sequence = f->core.persist_sequence});
}

static inline uint32_t fixture_count(const struct fixture *f, enum effect_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->effects.count; i++) {
        count += f->effects.list[i].kind == kind;
    }
    return count;
}

static inline const struct effect *fixture_effect(const struct fixture *f, enum effect_kind kind)
{
    for (uint32_t i = 0; i < f->effects.count; i++) {
        if (f->effects.list[i].kind == kind) {
            return &f->effects.list[i];
        }
    }
    return NULL;
}

/* The n-th message of a kind sent to a node, or NULL. */
static inline const struct core_message *
fixture_sent_nth(const struct fixture *f, enum message_kind kind, uint32_t to, uint32_t nth)
{
    for (uint32_t i = 0; i < f->effects.count; i++) {
        const struct effect *effect = &f->effects.list[i];
        bool is_it =
            effect->kind == EFFECT_SEND && effect->message.kind == kind && effect->to == to;
        if (is_it && nth-- == 0) {
            return &effect->message;
        }
    }
    return NULL;
}

static inline const struct core_message *fixture_sent(const struct fixture *f,
                                                      enum message_kind kind, uint32_t to)
{
    return fixture_sent_nth(f, kind, to, 0);
}

static inline bool fixture_dropped(const struct fixture *f, enum drop_reason reason)
{
    const struct effect *drop = fixture_effect(f, EFFECT_DROP);
    return drop != NULL && drop->reason == reason;
}

/* ---- What peers say ---- */

static inline struct core_message fixture_prepare(uint32_t from, uint64_t ballot, uint64_t slot)
{
    return (struct core_message){
        .kind = MESSAGE_PREPARE, .from = (uint8_t)from, .ballot = ballot, .slot = slot};
}

static inline struct core_message fixture_promise(uint32_t from, uint64_t ballot, uint64_t end)
{
    return (struct core_message){
        .kind = MESSAGE_PROMISE, .from = (uint8_t)from, .ballot = ballot, .slot = end};
}

static inline struct core_message fixture_run(uint32_t from, uint64_t ballot, uint64_t slot,
                                              uint32_t count, uint64_t accepted)
{
    return (struct core_message){.kind = MESSAGE_PROMISE_RUN,
                                 .from = (uint8_t)from,
                                 .ballot = ballot,
                                 .slot = slot,
                                 .count = count,
                                 .round = accepted};
}

static inline struct core_message fixture_accept(uint64_t ballot, uint64_t slot, uint32_t count,
                                                 uint64_t mark)
{
    return (struct core_message){.kind = MESSAGE_ACCEPT,
                                 .from = (uint8_t)generation_node(ballot),
                                 .ballot = ballot,
                                 .slot = slot,
                                 .count = count,
                                 .mark = mark};
}

static inline struct core_message fixture_accepted(uint32_t from, uint64_t ballot, uint64_t match)
{
    return (struct core_message){
        .kind = MESSAGE_ACCEPTED, .from = (uint8_t)from, .ballot = ballot, .slot = match};
}

/* ---- Longer stories ---- */

/* Waits until it asks for pre-votes, is granted one by each of the others, and has its promise in
 * the log; the prepares are the effects of the last event. Returns the ballot. */
static inline uint64_t fixture_campaign(struct fixture *f)
{
    for (int i = 0; i < 100 && f->core.role == ROLE_FOLLOWER; i++) {
        fixture_pass(f, 5);
    }
    for (uint32_t peer = 0; peer < f->core.config.quorum.nodes; peer++) {
        if (f->core.role == ROLE_PRE_CANDIDATE && peer != f->core.config.self) {
            struct core_message yes = fixture_promise(peer, f->core.campaign_ballot, 0);
            yes.flags = MESSAGE_FLAG_PRE_VOTE;
            fixture_receive(f, yes);
        }
    }
    ck_assert_int_eq(f->core.role, ROLE_CANDIDATE);
    fixture_persisted(f);
    return f->core.promised;
}

/* A new leader with an empty past: its no-op in slot 1 is durable with it, and nobody has answered
 * yet. Returns the ballot. */
static inline uint64_t fixture_lead(struct fixture *f)
{
    uint64_t ballot = fixture_campaign(f);
    for (uint32_t peer = 0; peer < f->core.config.quorum.nodes; peer++) {
        if (f->core.role == ROLE_CANDIDATE && peer != f->core.config.self) {
            fixture_receive(f, fixture_promise(peer, ballot, f->core.mark));
        }
    }
    ck_assert_int_eq(f->core.role, ROLE_LEADER);
    fixture_persisted(f);
    return ballot;
}

/* The leader proposes `count` more commands and has them durable. */
static inline void fixture_propose(struct fixture *f, uint32_t count)
{
    fixture_step(f, (struct event){.kind = EVENT_PROPOSE, .count = count});
    fixture_persisted(f);
}

static inline void fixture_applied(struct fixture *f, uint64_t slot)
{
    fixture_step(f, (struct event){.kind = EVENT_APPLIED, .slot = slot});
}

/* A follower of the leader with this ballot, holding slots 1 .. count at it, all durable. */
static inline void fixture_follow(struct fixture *f, uint64_t ballot, uint32_t count)
{
    fixture_receive(f, fixture_accept(ballot, 1, count, 0));
    fixture_persisted(f);
    fixture_settle(f);
}

#endif
