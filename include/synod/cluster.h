/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLUSTER_H
#define SYNOD_CLUSTER_H

/*
 * A cluster in this process: open it, crash and restart its nodes, look at them, close it.
 *
 * Unless said otherwise: any thread may call, calls on one cluster are serialised inside, and no
 * call is made from inside a callback (there are none). Times are nanoseconds, sizes bytes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "synod/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SYNOD_MAX_NODES 15

struct synod_cluster;

enum synod_idle { SYNOD_IDLE_AUTO, SYNOD_IDLE_SPIN, SYNOD_IDLE_YIELD, SYNOD_IDLE_PARK };
enum synod_sync { SYNOD_SYNC_NONE, SYNOD_SYNC_BATCH };

struct synod_options {
    uint32_t nodes;         /* 1 .. SYNOD_MAX_NODES; default 3 */
    uint32_t phase1_quorum; /* 0 (default): majority; else phase1 + phase2 > nodes is required */
    uint32_t phase2_quorum;
    uint32_t max_clients;     /* handles open at once; default 16, at most 1024 */
    uint32_t max_in_flight;   /* requests a client may have open; default 1024, at most 65536 */
    uint32_t max_key_bytes;   /* default 1 KiB, at most 32 KiB */
    uint32_t max_value_bytes; /* default 1 MiB, at most 8 MiB */
    uint64_t expected_keys;   /* sizes the tables; they grow beyond; default 1024 */
    const char *directory;    /* where the logs live; NULL (default): a fresh one below /dev/shm,
                                 removed at close unless keep. One that was used before is opened
                                 with the nodes, quorums and segment size it was made with, and no
                                 smaller limits: else FOREIGN or INVALID */
    bool keep;
    uint64_t segment_bytes; /* one log segment; power of two, 1 MiB .. 1 GiB; default 64 MiB */
    uint32_t segment_count; /* segments a node reserves, >= 4; default 8 */
    enum synod_sync sync;   /* default SYNOD_SYNC_NONE: survives a kill of the process */
    enum synod_idle idle;   /* default SYNOD_IDLE_AUTO */
    uint32_t window_slots;  /* proposals in flight; power of two, 16 .. 1 << 20; default 16384 */
    uint32_t batch_slots;   /* most commands in one batch; 1 .. 4096; default 256 */
    uint64_t election_timeout_ns; /* drawn anew from [t, 2t); default 200 ms, at least 10 ms */
    uint64_t heartbeat_ns;        /* default 0: election timeout / 8 */
    uint64_t seed;                /* of the election time-outs; default 1 */
    const int *pin;        /* CPU per node, or NULL (default): not pinned; read by open only */
    uint32_t pin_count;    /* node i runs on pin[i % pin_count] */
    const int *priorities; /* per node, or NULL: higher is preferred as leader; read by open only */
};

void synod_options_init(struct synod_options *options);

/*
 * Opens a cluster and starts its nodes. On failure *cluster is NULL and `problem`, when not NULL,
 * holds a sentence that says what failed, on which value, and what to do (at most problem_size
 * bytes, always terminated). Logs found in the directory are recovered. OK, INVALID, NO_SPACE,
 * IN_USE, CORRUPT, FOREIGN, NO_MEMORY, IO_ERROR.
 */
SYNOD_MUST_USE enum synod_status synod_cluster_open(const struct synod_options *options,
                                                    struct synod_cluster **cluster, char *problem,
                                                    size_t problem_size);
/*
 * Stops every node and gives everything back. Clients should be closed before. One that is not is
 * told CLOSED, requests it has in flight complete as CLOSED (nothing was done) or TIMEOUT, and its
 * handle stays valid until synod_client_close, the only other call that may run at the same time
 * besides those on client handles. NULL is allowed.
 */
void synod_cluster_close(struct synod_cluster *cluster);

/* Waits for a leader that serves. The node's number, or -1 when the time is up. */
int synod_cluster_await_leader(struct synod_cluster *cluster, uint64_t timeout_ns);
/* The newest leader known, or -1. Wait-free. */
int synod_cluster_leader(const struct synod_cluster *cluster);

/*
 * Crashes a node: its thread ends between two steps, its volatile state is gone, its log stays.
 * Answers it owed are lost. OK, INVALID (no such node, or it is down already).
 */
SYNOD_MUST_USE enum synod_status synod_cluster_crash(struct synod_cluster *cluster, uint32_t node);
/* Starts a crashed node: replays its log, catches up from its peers. OK, INVALID (it is up),
 * CORRUPT, NO_MEMORY, IO_ERROR; problem as in open. */
SYNOD_MUST_USE enum synod_status synod_cluster_restart(struct synod_cluster *cluster, uint32_t node,
                                                       char *problem, size_t problem_size);
/* Asks the leader to hand over to a node. OK means asked, not done (a node that is down or behind
 * does not take over, and the leader goes on); NO_LEADER, INVALID. */
SYNOD_MUST_USE enum synod_status synod_cluster_transfer(struct synod_cluster *cluster,
                                                        uint32_t node);

enum synod_role { SYNOD_FOLLOWER, SYNOD_CANDIDATE, SYNOD_LEADER, SYNOD_DOWN, SYNOD_FAILED };

/* A node as of its last published turn: a millisecond ago, or while idle at most a heartbeat. */
struct synod_node_status {
    enum synod_role role;
    uint64_t generation_round; /* of the ballot it promised or leads */
    int generation_node;
    uint64_t high_watermark; /* every slot up to it is chosen */
    uint64_t applied;        /* every slot up to it is in its store */
    uint64_t log_first, log_last;
    uint64_t digest; /* of its store at `applied` */
    uint64_t keys;
    uint64_t elections; /* leaderships this node won since it started */
    uint64_t messages_sent, bytes_replicated, batches, slots_proposed;
    uint64_t snapshots_taken, snapshots_installed;
    uint64_t log_bytes_reserved, snapshot_bytes, store_bytes;
    uint64_t turns, parks;
};
SYNOD_MUST_USE enum synod_status synod_cluster_status(struct synod_cluster *cluster, uint32_t node,
                                                      struct synod_node_status *status);
/* Waits until all nodes that are up have applied everything that was acknowledged when it was
 * called, and stand at the same slot with nothing in flight. OK; TIMEOUT. Clients must be quiet. */
SYNOD_MUST_USE enum synod_status synod_cluster_await_quiet(struct synod_cluster *cluster,
                                                           uint64_t timeout_ns);
/* Where the logs live. Valid until close. */
const char *synod_cluster_directory(const struct synod_cluster *cluster);

#ifdef __cplusplus
}
#endif

#endif
