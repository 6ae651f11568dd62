/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLUSTER_MESH_H
#define SYNOD_CLUSTER_MESH_H

/*
 * The network in the box: a ring for every ordered pair of nodes, a doorbell and an incarnation for
 * each node.
 *
 * Incarnations keep the living from reading what was meant for the dead. A node's number is odd
 * while its thread runs and even while it is down; every message carries the low byte of the
 * receiver's number as its sender knew it. A restarted node drops messages of earlier numbers
 * without touching the bytes they name. So a sender may recycle log bytes when, for each peer, the
 * ring has been consumed past the message, or the peer is down, or it has come back under another
 * number.
 *
 *   who                     may call
 *   node i's thread         send from i, receive at i, flush i, note and passed of i
 *   the cluster's control   up, down (while node i's thread does not run), drained
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cacheline.h"
#include "base/contract.h"
#include "core/message.h"
#include "queue/doorbell.h"
#include "queue/spsc_ring.h"

#define MESH_NODES 15

/* One node's end of the mesh: written by its thread alone. */
struct mesh_end {
    _Alignas(CACHELINE_PAIR) uint32_t self;
    uint8_t incarnation;
    uint32_t sent_set;             /* peers with messages not flushed yet */
    uint32_t next_peer;            /* receiving goes round */
    uint32_t ready[MESH_NODES];    /* messages peeked per peer */
    uint32_t taken[MESH_NODES];    /* of them, handed out */
    uint64_t noted[MESH_NODES];    /* produced, when pins were noted */
    uint64_t noted_up[MESH_NODES]; /* the peer's incarnation then */
};

struct mesh_node {
    _Alignas(CACHELINE_PAIR) _Atomic uint64_t incarnation;
    struct doorbell *bell;
};

struct mesh {
    uint32_t nodes;
    struct spsc_ring *rings[MESH_NODES][MESH_NODES]; /* [from][to] */
    struct mesh_node node[MESH_NODES];
    struct mesh_end ends[MESH_NODES];
};

/* ring_slots: power of two. 0, -ENOMEM. */
MUST_USE int mesh_init(struct mesh *mesh, uint32_t nodes, uint32_t ring_slots);
void mesh_deinit(struct mesh *mesh);

/* Control: node's thread is about to start: what its rings hold is dropped, then it is up. */
void mesh_up(struct mesh *mesh, uint32_t node);
/* Control: node's thread has ended. */
void mesh_down(struct mesh *mesh, uint32_t node);
bool mesh_is_up(const struct mesh *mesh, uint32_t node);
uint64_t mesh_incarnation(const struct mesh *mesh, uint32_t node);
/* Control: whether every peer that is up has consumed all that node ever sent. */
bool mesh_is_drained(const struct mesh *mesh, uint32_t node);

/* False: the ring is full or the peer is down. Not visible before the flush. */
MUST_USE bool mesh_send(struct mesh *mesh, uint32_t from, uint32_t to,
                        const struct core_message *message);
/* Publishes; the set of peers whose bells are to be rung is returned (after one doorbell_fence). */
uint32_t mesh_publish(struct mesh *mesh, uint32_t from);
/* The next message, peers in turn; NULL when none. Valid until mesh_release. */
MUST_USE const struct core_message *mesh_next(struct mesh *mesh, uint32_t to);
void mesh_release(struct mesh *mesh, uint32_t to);
bool mesh_has_messages(struct mesh *mesh, uint32_t to);

void mesh_note_pins(struct mesh *mesh, uint32_t from);
bool mesh_pins_passed(struct mesh *mesh, uint32_t from);

#endif
