/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_REPLICA_REPLICA_H
#define SYNOD_REPLICA_REPLICA_H

/*
 * One node: the protocol core, its write-ahead log, its store and its snapshots, moved along one
 * turn at a time. A turn hears messages and requests, steps the core, carries out what it wants
 * (persist, send, apply, answer) and never blocks, whoever is calling: a thread or a simulator.
 *
 * Threads: a replica belongs to one thread; replica_prefault() may be called from one other.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "core/core.h"
#include "replica/ports.h"
#include "wal/write_ahead_log.h"

struct replica;

struct replica_config {
    struct core_config core;
    struct store_config store;
    struct disk *disk;
    const char *directory; /* this node's own; read by open only */
    uint64_t cluster_id;
    size_t segment_bytes;
    uint32_t segment_count;
    enum wal_sync sync;
    uint32_t batch_slots; /* most commands proposed in one turn */
    struct replica_ports ports;
};

/* What opening found, for the sentence a person reads when it failed. */
struct replica_problem {
    struct wal_recovery wal;
    char text[768]; /* "" when opening went well */
};

/*
 * Opens a node: loads its newest good snapshot, recovers its log, applies what is known to be
 * chosen. 0 or a negative errno as wal_open; -EBADMSG also when log and snapshot leave a hole
 * between them.
 */
MUST_USE int replica_open(struct replica **replica, const struct replica_config *config,
                          uint64_t now_ns, uint64_t wall_ns, struct replica_problem *problem);
/* Frees all but the files. Log bytes named by messages on their way go away with it. */
void replica_close(struct replica *replica);

/*
 * One turn. now_ns: monotonic; wall_ns: wall clock, for hybrid timestamps. Returns whether anything
 * was done; false means the node may idle until replica_next_turn_ns() or until something comes in.
 */
bool replica_turn(struct replica *replica, uint64_t now_ns, uint64_t wall_ns);
uint64_t replica_next_turn_ns(const struct replica *replica);

/* 0, or the negative errno that stopped this node for good (its log could not be written). */
int replica_failure(const struct replica *replica);

/* Asks this node, if it leads, to hand over. Takes effect in its next turn. */
void replica_transfer(struct replica *replica, uint32_t node);

/* See wal_prefault. From one other thread. */
uint32_t replica_prefault(struct replica *replica, uint32_t segments);

/* The node's store, for readers of other threads (store_reader_*). */
struct store *replica_store(struct replica *replica);

struct replica_view {
    enum core_role role;
    int leader;
    uint64_t promised;
    uint64_t mark, applied;
    uint64_t log_first, log_last;
    uint64_t digest, keys, store_bytes;
    uint64_t elections_won;
    uint64_t messages_sent, messages_lost, bytes_replicated, batches, slots_proposed;
    uint64_t snapshots_taken, snapshots_installed, snapshot_slot, snapshot_bytes;
    uint64_t log_bytes;
    uint64_t stamps_refused; /* hybrid timestamps too far ahead of this node's clock */
    uint64_t waiting;        /* proposals and reads not answered yet */
};
void replica_view(const struct replica *replica, struct replica_view *view);

#endif
