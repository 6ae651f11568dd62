/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_REPLICA_PORTS_H
#define SYNOD_REPLICA_PORTS_H

/*
 * What a replica asks of the world around it: the threaded cluster implements this over queues, a
 * simulator over virtual ones. All calls happen on the replica's thread, from inside
 * replica_turn().
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/message.h"
#include "store/store.h"

enum request_kind {
    REQUEST_COMMAND = 1, /* goes through the log */
    REQUEST_READ = 2,    /* a get, answered from the store after a quorum round */
};

struct request {
    enum request_kind kind;
    uint32_t client;        /* where the reply goes */
    uint64_t sequence;      /* comes back in the reply */
    const uint8_t *command; /* encoded (store/command.h); valid until requests_release */
    uint32_t command_bytes;
};

enum reply_status {
    REPLY_OUTCOME,    /* outcome holds the answer */
    REPLY_NOT_LEADER, /* nothing was done: ask the leader */
    REPLY_NOT_DONE,   /* was proposed, and is now certain never to take effect: may be sent again */
    REPLY_BUSY,       /* nothing was done: no room */
    REPLY_UNKNOWN,    /* was proposed; may take effect or not */
};

struct reply {
    uint32_t client;
    uint64_t sequence;
    enum reply_status status;
    struct store_outcome outcome;
};

struct replica_ports {
    void *self;
    /* The next message from any peer, or NULL; valid until messages_release. */
    const struct core_message *(*message_next)(void *self);
    void (*messages_release)(void *self);
    /* Hands a message over; false when the link is full or down: it is lost, as messages may be. */
    bool (*message_send)(void *self, uint32_t to, const struct core_message *message);
    /* Makes what was sent and replied visible, and wakes whom it concerns. */
    void (*flush)(void *self);
    /* The next request from any client; false when there is none. */
    bool (*request_next)(void *self, struct request *request);
    void (*requests_release)(void *self);
    /* False when the client's lane has no room for so large a value: the caller replies BUSY, which
     * always fits. */
    bool (*reply_send)(void *self, const struct reply *reply);
    /* Notes which messages are on their way right now; pins_passed says whether the receivers are
     * done with all of them, and thus with the log bytes they name. One note at a time. */
    void (*pins_note)(void *self);
    bool (*pins_passed)(void *self);
    /* Role or known leader changed (core/core.h enum core_role; leader -1: none). */
    void (*role_changed)(void *self, uint32_t role, int leader, uint64_t ballot);
};

#endif
