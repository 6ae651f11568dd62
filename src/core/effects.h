/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_EFFECTS_H
#define SYNOD_CORE_EFFECTS_H

/*
 * Everything the core wants done, in the order in which it must be done. The one way out of the
 * core.
 *
 * PERSIST effects carry a growing sequence number; whoever executes them answers with PERSISTED (or
 * PERSIST_FAILED) in that order. Nothing that depends on durability is sent before that.
 */
#include <stdint.h>

#include "base/contract.h"
#include "core/message.h"

enum effect_kind {
    EFFECT_SEND, /* message, to. ACCEPT and ENTRIES with count > 0: the sender fills in the
                    bytes of slots slot .. slot + count - 1, in several messages if need be */
    EFFECT_PERSIST_PROMISE,  /* sequence, ballot */
    EFFECT_PERSIST_PROPOSAL, /* sequence, ballot, slot, count: that many of the waiting commands */
    EFFECT_PERSIST_NOOP,     /* sequence, ballot, slot, count */
    EFFECT_PERSIST_OWN, /* sequence, ballot, slot, count: own log's values again, at a new ballot */
    EFFECT_PERSIST_COPY,    /* sequence, ballot, slot, count: the values named by `message` */
    EFFECT_COMMIT,          /* slot: the high watermark is there now */
    EFFECT_ROLE,            /* role, leader, ballot changed */
    EFFECT_READ_PENDING,    /* round, slot: the read may be answered once its round is confirmed and
                               everything up to slot is applied */
    EFFECT_READ_CONFIRMED,  /* round: all reads up to it */
    EFFECT_SNAPSHOT_NEEDED, /* to: that follower needs slots which are no longer in the log */
    EFFECT_DROP,            /* reason: the event was refused and changed nothing */
};

enum drop_reason {
    DROP_NONE,
    DROP_MALFORMED,     /* a node number, slot or range that no correct node sends */
    DROP_STALE_BALLOT,  /* of an earlier ballot */
    DROP_WRONG_ROLE,    /* an answer nobody waits for */
    DROP_OUT_OF_ORDER,  /* not the next part of an answer that comes in parts */
    DROP_NO_ROOM,       /* too many gaps, or too much not yet durable: it will be sent again */
    DROP_BEYOND_WINDOW, /* further ahead of the mark than any leader may be */
    DROP_NOT_LEADER,    /* a proposal, read or transfer at a node that does not lead */
    DROP_WINDOW_FULL,   /* a proposal while too many are in flight, or a transfer is under way */
    DROP_REASONS
};

struct effect {
    uint8_t kind;
    uint8_t to;
    uint8_t role;
    uint8_t reason;
    int8_t leader;
    uint32_t count;
    uint64_t sequence;
    uint64_t ballot;
    uint64_t slot;
    uint64_t round;
    struct core_message message;
};

/* More than a single step can have; core.c does the sum. */
#define EFFECTS_CAPACITY 1024

struct effects {
    uint32_t count;
    struct effect list[EFFECTS_CAPACITY];
};

static inline struct effect *effects_add(struct effects *effects, enum effect_kind kind)
{
    ASSERT(effects->count < EFFECTS_CAPACITY);
    struct effect *effect = &effects->list[effects->count++];
    *effect = (struct effect){.kind = (uint8_t)kind, .leader = -1};
    return effect;
}

const char *drop_reason_name(enum drop_reason reason);

#endif
