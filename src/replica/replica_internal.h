/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_REPLICA_REPLICA_INTERNAL_H
#define SYNOD_REPLICA_REPLICA_INTERNAL_H

/* What the replica's own files share. */
#include "clock/hybrid_clock.h"
#include "clock/lamport_clock.h"
#include "replica/replica.h"
#include "replica/snapshot.h"
#include "replica/waiting_list.h"

#define REPLICA_APPLY_CHUNK   64
#define REPLICA_DIRECTORY     512
#define CATCH_UP_CHUNK_BYTES  UINT64_C(262144)
#define CATCH_UP_WINDOW_BYTES (8 * CATCH_UP_CHUNK_BYTES)

/* A snapshot on its way to a follower. */
struct catch_up {
    bool is_active;
    uint64_t slot;
    uint64_t sent, answered; /* offsets */
    uint64_t moved_ns;       /* last progress, or last resend */
    uint64_t began_ns;       /* last progress */
};

struct replica {
    struct replica_config config;
    char directory[REPLICA_DIRECTORY];
    struct core core;
    struct wal *wal;
    struct store *store;
    struct snapshots snapshots;
    struct waiting_list waiting;
    struct hybrid_clock hybrid;
    struct lamport_clock lamport;
    uint64_t now_ns, wall_ns;

    uint64_t applied;
    uint64_t confirmed_round;
    uint64_t persisted;     /* last PERSIST sequence executed */
    uint64_t failed_set;    /* those of them that failed: bit sequence % CORE_PERSIST_LIMIT */
    uint64_t told;          /* last PERSIST sequence whose outcome the core knows */
    uint64_t mark_recorded; /* last mark in the log */
    uint64_t mark_bytes;    /* appended when it was */
    int failure;            /* errno that stopped this node */
    bool has_work;          /* this turn did something */

    struct request *batch; /* commands of this turn */
    uint32_t batch_count;
    uint32_t batch_proposed;  /* of them, the first so many are on the waiting list, or answered */
    bool has_new_reads;       /* of this turn */
    uint64_t room_blocked_ns; /* since when the log has had no room; 0: it has */
    uint64_t open_bytes; /* appended and not applied yet: at least as much as is open in truth */
    uint64_t snapshot_retry_ns; /* no sooner, after one could not be begun */

    /* Retired segments and snapshot wait for the messages that may name them to pass. */
    bool is_pin_noted;
    bool is_snapshot_noted;
    uint32_t retired_noted;
    struct catch_up catch_up[CORE_MAX_NODES];
    int transfer_asked;

    uint64_t stamps_refused;
    uint64_t messages_sent, messages_lost, bytes_replicated, batches, slots_proposed;
    struct effects effects;
};

/* Steps the core and carries out what it wants, until nothing is left to do. */
void replica_step(struct replica *replica, const struct event *event);
/* Stops the node for good: its log can no longer be trusted to hold what it says. */
void replica_fail(struct replica *replica, int error);
void replica_send(struct replica *replica, uint32_t to, struct core_message *message);
/* Reads belong to the leadership that took them: their rounds mean nothing to another. */
void replica_refuse_reads(struct replica *replica);
/* Proposals up to slot will not be seen applied here: their outcome is unknown. */
void replica_forget_proposals(struct replica *replica, uint64_t slot);
void replica_reply(struct replica *replica, uint32_t client, uint64_t sequence,
                   enum reply_status status, const struct store_outcome *outcome);

/* execute.c: the effects */
void execute_effects(struct replica *replica);

/* catch_up.c */
void catch_up_start(struct replica *replica, uint32_t to);
void catch_up_on_message(struct replica *replica, const struct core_message *message);
void catch_up_turn(struct replica *replica);
bool catch_up_is_active(const struct replica *replica);
uint64_t catch_up_retry_ns(const struct replica *replica);

/* recovery.c */
MUST_USE int recovery_run(struct replica *replica, struct replica_problem *problem);

/* housekeeping.c: snapshots and log space */
void housekeeping_turn(struct replica *replica);
/* Records of fewer bytes in all than this are sure to fit with `reserve` segments left over. */
uint64_t housekeeping_room(const struct replica *replica, uint32_t reserve);
/* Writes the mark into the log, if it has room. */
void housekeeping_record_mark(struct replica *replica);
/* How many bytes a leader may have open, so that those after it can propose them again. */
uint64_t housekeeping_open_limit(const struct replica *replica);

#endif
