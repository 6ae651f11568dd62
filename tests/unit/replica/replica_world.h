/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_REPLICA_WORLD_H
#define SYNOD_REPLICA_WORLD_H

/*
 * Replicas in one thread over ports in memory, with a clock of their own and faults out of one
 * seed; their logs and snapshots are real files under /dev/shm, in segments so small that rolling,
 * snapshots and recycling happen all the time. What is true is checked as it happens:
 *
 *   - a slot has one command, on every node, for ever; the state after it is that of a store fed
 *     the same commands one by one;
 *   - a request is answered at most once; OUTCOME exactly when its command was chosen, with the
 *     outcome it had there; what NOT_DONE, BUSY or NOT_LEADER was said of is never chosen;
 *   - a read sees every write and read that was answered before it was asked;
 *   - bytes named by a message stay as they were until its receiver is done with it;
 *   - with WAL_SYNC_BATCH, the core hears of nothing as durable before the disk was asked to;
 *   - one leader a ballot.
 *
 * A violated one ends the test with a sentence.
 */
#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "replica/replica_internal.h"
#include "wal/disk_file.h"

#define WORLD_NODES        5
#define WORLD_CLIENTS      8
#define WORLD_KEYS         32
#define WORLD_STEP_NS      UINT64_C(100000)
#define WORLD_PATH         128
#define WORLD_REQUESTS     256
#define WORLD_LEADERS_KEPT 1024
#define WORLD_VALUE_MAX    (60u << 10)

#define WORLD_ELECTION_NS   UINT64_C(20000000)
#define WORLD_HEARTBEAT_NS  UINT64_C(2500000)
#define WORLD_RETRANSMIT_NS UINT64_C(5000000)

/* Zero stands for what is said behind it. */
struct world_options {
    uint32_t nodes; /* 3 */
    uint64_t seed;
    size_t segment_bytes;   /* 64 KiB */
    uint32_t segment_count; /* 8 */
    enum wal_sync sync;
    uint32_t window_slots; /* 64 */
    uint32_t batch_slots;  /* 16 */
    uint32_t value_bytes;  /* 512: the most a value has */
    uint32_t clients;      /* WORLD_CLIENTS; one operation each at a time */
    bool is_quiet;         /* no operations but those submitted by the test */
    uint32_t drop_permille, duplicate_permille, reorder_permille;
    uint32_t misdirect_permille; /* requests to a node that is not known to lead: 50 */
};

/* A disk that can be told to fail, before the real one. */
struct world_disk {
    struct disk disk;
    struct world_node *node;
    bool fails_sync;            /* -EIO */
    bool fails_snapshot;        /* no room for snapshot files */
    const char *dies_at_rename; /* the node dies right after renaming something to such a name */
    bool is_dead;
    uint64_t syncs, refusals;
};

enum op_state {
    OP_WAITING,
    OP_ANSWERED,
    OP_LOST, /* its node crashed, or the client gave up: may be answered, may be chosen */
};

struct world_op {
    uint32_t client;
    uint64_t sequence;
    uint32_t node;
    enum request_kind kind;
    uint8_t op; /* enum command_op */
    uint32_t key;
    uint8_t *bytes;
    uint32_t size;
    uint64_t asked_ns;
    uint64_t floor; /* of its key when asked: highest revision answered to anybody */
    enum op_state state;
    enum reply_status status;
    enum store_result result;
    uint64_t revision;             /* modify slot in the answer */
    bool is_never;                 /* a replica promised that it never takes effect */
    uint64_t slot;                 /* where it was chosen; 0: not that we know */
    struct store_outcome expected; /* the reference's, without its value */
    uint64_t expected_value;       /* the value's first 8 bytes: who wrote it */
};

struct flight; /* a message on its way */

struct world_node {
    struct world *world;
    uint32_t number;
    struct replica *replica; /* NULL: down */
    struct replica_config config;
    struct world_disk disk;
    char directory[WORLD_PATH];
    bool is_paused; /* gets no turns */
    int failure;    /* what stopped the replica; it is closed then */
    struct replica_problem problem;
    struct flight *inbox; /* by id */
    uint64_t last_due_ns[WORLD_NODES];
    uint64_t flights_noted; /* ids below it, if from this node, are pinned */
    bool has_note;
    struct world_op *requests[WORLD_REQUESTS];
    uint32_t requests_first, requests_count, requests_taken;
    uint64_t seen;              /* chosen slots up to here were compared */
    uint64_t synced_persisted;  /* PERSIST effects carried out when the disk was last asked */
    uint64_t synced_records;    /* in the log then */
    uint32_t reply_value_limit; /* replies with longer values do not fit in the lane */
};

struct world_slot {
    uint8_t *bytes; /* NULL: not known yet; of a no-op there are none but it is known */
    uint32_t size;
    bool is_known;
    bool is_noop;
    uint64_t digest; /* of the state after it */
};

struct world {
    struct world_options options;
    struct prng prng;
    uint64_t now_ns;
    char directory[WORLD_PATH];
    struct world_node nodes[WORLD_NODES];
    uint64_t flight_id;
    struct world_op **ops; /* by sequence - 1 */
    uint64_t ops_count;
    struct world_op *current[WORLD_CLIENTS];
    uint64_t floor[2 * WORLD_KEYS];
    struct world_slot *slots;         /* slots[slot] */
    uint64_t slots_room, slots_known; /* contiguous from 1 */
    struct store *reference;
    uint64_t leaders[WORLD_LEADERS_KEPT][2]; /* ballot, node + 1, by ballot's hash: the last ones */
    /* Whether a message is to be delivered, perhaps changed; NULL: all are, as they are. Sees those
     * to nodes that are down, too. */
    bool (*filter)(struct world *world, uint32_t from, uint32_t to, struct core_message *message);
    /* Called whenever a node takes a request, after it has looked how much room it has. */
    void (*before_request)(struct world *world, uint32_t node);
    void *filter_context;
    uint64_t trace; /* of every message sent and every answer given */
    struct {
        uint64_t sent, lost, duplicated, reordered, crashes;
        uint64_t answers[REPLY_UNKNOWN + 1], reads, writes;
        uint64_t snapshots, installs; /* of replicas closed since */
    } counts;
};

void world_start(struct world *world, const struct world_options *options);
/* Closes what is open, removes the files. */
void world_end(struct world *world);

/* 0 or replica_open's error; node->problem tells. */
MUST_USE int world_open(struct world *world, uint32_t number);
void world_reopen(struct world *world, uint32_t number); /* must succeed */
void world_crash(struct world *world, uint32_t number);

void world_step(struct world *world);
void world_steps(struct world *world, uint32_t steps);
void world_turn(struct world *world, uint32_t number);

/* The established leader with the highest ballot, or -1. */
int world_leader(const struct world *world);
/* Steps until there is one that has applied its own no-op. */
uint32_t world_await_leader(struct world *world);
/* Steps until the operation is answered; fails the test after a second of the world's time. */
void world_await(struct world *world, const struct world_op *op);

/* A command or a read to a node; keys 0 .. WORLD_KEYS - 1, those from WORLD_KEYS on for deletes. */
struct world_op *world_put(struct world *world, uint32_t node, uint32_t key, uint32_t value_bytes);
struct world_op *world_read(struct world *world, uint32_t node, uint32_t key);

/* Puts until the leader has applied so many more slots. */
void world_fill(struct world *world, uint64_t slots, uint32_t value_bytes);

/* Ends all faults, opens what is down, waits until all is answered and applied everywhere, and
 * compares the nodes; the test fails when that does not come about in bounded time. */
void world_quiesce(struct world *world);

/* A copy of a message as if `from` had sent it; bytes are the caller's. */
void world_inject(struct world *world, uint32_t from, uint32_t to,
                  const struct core_message *message);

/* Writes the records of extent->count puts, from extent->first_slot on, as a log would hold them in
 * segment extent->segment_id; returns their bytes. What follows them gets blanked for 32 bytes. */
uint32_t world_records(struct world *world, uint8_t *to, const struct wal_extent *extent,
                       uint64_t ballot);

/* A hash of all records a node's log holds, and of all nodes' states. */
uint64_t world_digest(const struct world *world);
/* Snapshots taken (and installed) so far by all nodes. */
uint64_t world_snapshots(const struct world *world);
uint64_t world_installs(const struct world *world);

/* The only file in the node's directory whose name begins so; false when there is none. */
bool world_find_file(const struct world *world, uint32_t node, const char *begins,
                     char path[2 * WORLD_PATH]);

#endif
