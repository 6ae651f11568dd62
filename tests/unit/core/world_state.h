/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_WORLD_STATE_H
#define SYNOD_CORE_WORLD_STATE_H

/* What the world (core_world.c) and its books (books_world.c) share. */
#include <inttypes.h>

#include "clock/generation_clock.h"
#include "core_world.h"

/* Time is in units of nothing in particular; a message takes some 2 to 6 of them, and each node
 * gets a turn about every second one. */
#define ELECTION_TIMEOUT 100
#define HEARTBEAT        20
#define RETRANSMIT       15

#define SLOTS_LIMIT   2000 /* the workload stops here */
#define SLOTS_ROOM    4096 /* bounds of the tables */
#define PACKET_VALUES 8
#define QUEUE_PACKETS 192
#define PERSISTS      CORE_PERSIST_LIMIT
#define READS         64
#define HEALED_TURNS  10000 /* per node: enough for a leader to fetch every slot, one a message */
#define VALUE_NOOP    UINT64_C(1)

struct packet {
    struct core_message message;
    uint64_t due;
    uint64_t values[PACKET_VALUES];
};

struct record {
    uint64_t slot; /* 0: a promise */
    uint64_t ballot;
    uint64_t value;   /* of a promise: the mark at that time */
    bool is_leftover; /* of a failed batch: on disk, but the core does not know */
};

struct pending_persist {
    uint64_t sequence;
    uint64_t due;
    uint32_t records_end; /* the log's length once it is durable */
    bool is_failed;
};

struct pending_read {
    uint64_t round;
    uint64_t slot;  /* what the core said the read needs */
    uint64_t floor; /* highest slot anybody had applied when it began */
    bool is_confirmed;
};

struct world_node {
    struct core core;
    bool is_up;
    bool was_leading;  /* when the event came whose effects are carried out */
    bool is_out;       /* not among those that must make progress in the end */
    uint64_t wakes_at; /* down or paused until then */
    uint64_t clock_offset;

    struct record *log;
    uint32_t log_count, log_capacity, log_durable;
    struct pending_persist persists[PERSISTS];
    uint32_t persist_first, persist_count;
    uint64_t base; /* snapshot, durable at once */

    uint64_t latest_ballot[SLOTS_ROOM], latest_value[SLOTS_ROOM];
    uint64_t durable_ballot[SLOTS_ROOM];
    uint64_t durable_promise;
    uint64_t said_promise; /* highest ballot it ever promised to anybody; outlives crashes */
    uint64_t mark_checked;
    uint64_t applied;

    struct pending_read reads[READS];
    uint32_t read_count;

    struct packet queue[QUEUE_PACKETS]; /* by due time */
    uint32_t queue_count;
    uint64_t last_due[CORE_MAX_NODES]; /* per sender, for first in, first out */
};

/* One (slot, ballot): the value proposed there and who holds it durably. */
struct proposal {
    uint64_t ballot, value;
    uint32_t holders;
    uint32_t next; /* index + 1 */
};

struct world {
    struct world_config config;
    struct quorum quorum;
    struct prng prng;
    uint64_t now;
    uint64_t step;
    struct world_node *nodes;
    bool is_cut[CORE_MAX_NODES][CORE_MAX_NODES];
    uint64_t delivering_values[PACKET_VALUES];

    /* Faults: chances in 10,000 */
    uint32_t clog; /* a packet stays away for several elections */
    uint32_t loss, duplication, reorder_span, delay_span, crash, pause, cut, heal;
    uint32_t persist_failure, release, transfer, read, propose;
    uint32_t disk_span;    /* 0: durable at once */
    uint32_t mark_policy;  /* what a restarted node knows of its mark */
    bool drops_on_crash;   /* a crashed node's queue is emptied */
    uint32_t partial_turn; /* chance that a turn leaves messages behind */

    struct proposal *proposals;
    uint32_t proposal_count, proposal_capacity;
    uint32_t proposal_heads[SLOTS_ROOM];
    uint64_t chosen_value[SLOTS_ROOM], chosen_ballot[SLOTS_ROOM];
    uint64_t chosen_prefix; /* every slot up to here is chosen */
    uint64_t applied_max;
    uint64_t next_value;
    uint64_t led[1024]; /* ballots that were led at */
    uint32_t led_count;

    struct effects effects;
    struct world_result *result;
};

static inline bool world_is_violated(const struct world *world)
{
    return world->result->violation[0] != '\0';
}

static inline uint32_t world_node_index(const struct world *world, const struct world_node *node)
{
    return (uint32_t)(node - world->nodes);
}

/* The first violation counts; begins with the property's name. */
void books_violate(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Somebody writes (ballot, value) to slot. */
void books_proposal(struct world *world, uint64_t slot, uint64_t ballot, uint64_t value);
/* A record of a node became durable. */
void books_durable(struct world *world, struct world_node *node, const struct record *record);
/* A node is about to say something, to lead, to commit, to answer reads. */
void books_check_said(struct world *world, struct world_node *node,
                      const struct core_message *message);
void books_check_leader(struct world *world, struct world_node *node, const struct effect *effect);
void books_check_commit(struct world *world, struct world_node *node, uint64_t mark);
void books_read_pending(struct world *world, struct world_node *node, const struct effect *effect);
void books_read_confirmed(struct world *world, struct world_node *node, uint64_t round);

#endif
