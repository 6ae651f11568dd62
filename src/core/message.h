/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_MESSAGE_H
#define SYNOD_CORE_MESSAGE_H

/*
 * What nodes say to each other: one cache line a message. Values are never in a message: it names
 * bytes in the sender's mapped log, which stay there until the sender knows the message was
 * consumed. docs/protocol.md tells the story of each kind.
 */
#include <assert.h>
#include <stdint.h>

/* clang-format off */
enum message_kind {
    /*                         from -> to            ballot       slot         count  round            mark    */
    MESSAGE_PREPARE = 1,    /* candidate             its own      mark + 1     -      -                -       */
    MESSAGE_PROMISE,        /* acceptor              candidate's  log end      -      -                own     */
    MESSAGE_PROMISE_RUN,    /* acceptor              candidate's  first slot   slots  accepted ballot  -       */
    MESSAGE_REJECT,         /* anyone                own promise  -            -      ballot refused   own     */
    MESSAGE_FETCH,          /* candidate             its own      first slot   slots  -                -       */
    MESSAGE_ENTRIES,        /* acceptor              candidate's  first slot   slots  -                -       */
    MESSAGE_ACCEPT,         /* leader                its own      first slot   slots  read round       applied */
    MESSAGE_ACCEPTED,       /* follower              leader's     match        -      highest seen     own     */
    MESSAGE_TIMEOUT_NOW,    /* leader                its own      log end      -      -                own     */
    /* The two below pass between replicas (replica/catch_up); the core never sees them. */
    MESSAGE_SNAPSHOT_CHUNK, /* leader                its own      snapshot's   bytes  offset           size    */
    MESSAGE_SNAPSHOT_NEXT,  /* follower              leader's     snapshot's   -      next offset      -       */
    MESSAGE_KINDS
};
/* clang-format on */

/* A promise run with this accepted ballot is of slots the sender knows to be chosen: it beats all.
 */
#define BALLOT_CHOSEN UINT64_MAX

enum message_flag {
    MESSAGE_FLAG_PRE_VOTE = 1, /* prepare, promise, reject: would you? nothing is promised */
    MESSAGE_FLAG_TRANSFER = 2, /* prepare: the leader asked for this election */
    MESSAGE_FLAG_LAGGING = 4, /* reject: the candidate's mark is before my log begins, or (pre-vote)
                                 too far behind mine */
};

struct core_message {
    uint8_t kind;
    uint8_t from;
    uint8_t flags;
    uint8_t incarnation; /* of the receiver, as the sender knew it: see cluster/mesh */
    uint32_t count;
    uint64_t ballot;
    uint64_t slot;
    uint64_t mark;
    uint64_t round;
    uint64_t lamport; /* Lamport time of the sending event */
    /* Accept records of slots slot .. slot + count - 1, back to back, in the sender's mapped log.
     */
    const uint8_t *bytes;
    uint32_t bytes_length;
    uint32_t segment_id;
};
static_assert(sizeof(struct core_message) == 64, "a message fills one cache line");

/* "PREPARE", ...; "?" for a number that is none. */
const char *message_kind_name(uint8_t kind);

#endif
