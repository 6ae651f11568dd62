/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_EVENT_H
#define SYNOD_CORE_EVENT_H

/* Everything that can happen to a node. The one way into the core. */
#include <stdint.h>

#include "core/message.h"

enum event_kind {
    EVENT_TICK,      /* now_ns: the time it is; first event of a turn */
    EVENT_MESSAGE,   /* message */
    EVENT_PROPOSE,   /* count: commands wait; answered by one PERSIST_PROPOSAL effect or none */
    EVENT_READ,      /* answered by one READ_PENDING effect or none */
    EVENT_PERSISTED, /* sequence: every PERSIST effect up to it is durable */
    EVENT_PERSIST_FAILED, /* sequence: that PERSIST effect was not carried out (and none before it
                             is outstanding) */
    EVENT_APPLIED,        /* slot: the store holds everything up to it */
    EVENT_RELEASED,       /* slot: values up to it are no longer in the log */
    EVENT_INSTALLED,      /* slot: a snapshot as of it replaced store and log up to it; what was
                             accepted above it stays in the log */
    EVENT_TRANSFER,       /* node: hand leadership over to it */
    EVENT_SETTLE, /* the turn's other events are in: answer, advance, replicate, look at timers */
};

struct event {
    enum event_kind kind;
    union {
        uint64_t now_ns;
        const struct core_message *message;
        uint32_t count;
        uint64_t sequence;
        uint64_t slot;
        uint32_t node;
    };
};

#endif
