/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLOCK_GENERATION_CLOCK_H
#define SYNOD_CLOCK_GENERATION_CLOCK_H

/*
 * Generation Clock
 *
 * Problem:    a leader that was replaced while it was cut off does not know it and goes on sending.
 * Rule:       every message of leadership carries its ballot; a node adopts a larger ballot exactly
 * as it came, refuses a smaller one, and raises its own only to campaign. Invariant:  no two nodes
 * ever make the same ballot, and no node makes one twice: one leader a ballot. Neighbours:
 * core/paxos (what a ballot promises), core/election (when to raise it), wal/record (where it is
 * kept), lamport_clock (the same idea without leaders).
 *
 * A ballot is one uint64_t, the round in its high 48 bits and the node in its low 16, so the order
 * of the integers is the order of the ballots: by round, then by node. Lamport 2001 ("Paxos Made
 * Simple", 2.2) asks for just this: totally ordered numbers, drawn by each proposer from a set of
 * its own.
 *
 * Restart: a ballot is not made twice because a node's own promise of it is in its log before the
 * ballot is first used (wal/write_ahead_log). The highest ballot seen is read back from there;
 * there is no counter to keep besides it.
 *
 * Plain arithmetic: any thread, no state.
 */
#include <stdint.h>

#include "base/contract.h"

#define GENERATION_NODE_BITS 16
#define GENERATION_NODE_MAX  UINT64_C(0xffff)
#define GENERATION_ROUND_MAX                                                                       \
    UINT64_C(0xffffffffffff) /* one election a microsecond lasts 8.9 years */

/* Below every ballot, and none itself: no promise given, nothing accepted. */
#define GENERATION_NONE UINT64_C(0)

/* Its round; 0 only for GENERATION_NONE. */
static inline uint64_t generation_round(uint64_t ballot)
{
    return ballot >> GENERATION_NODE_BITS;
}

/* The node that made it. Means nothing for GENERATION_NONE. */
static inline uint32_t generation_node(uint64_t ballot)
{
    return (uint32_t)(ballot & GENERATION_NODE_MAX);
}

/* round 1 .. GENERATION_ROUND_MAX, node 0 .. GENERATION_NODE_MAX. */
static inline uint64_t generation_make(uint64_t round, uint32_t node)
{
    ASSERT(round > 0 && round <= GENERATION_ROUND_MAX);
    ASSERT(node <= GENERATION_NODE_MAX);
    return (round << GENERATION_NODE_BITS) | node;
}

/*
 * The ballot to campaign with, for a node that has seen nothing above `highest_seen`, its own
 * ballots included: the node's own of the next round. Above highest_seen whichever nodes the two
 * belong to; and as `highest_seen` covers the node's own past, never one it made before.
 *
 * Overflow: the round after GENERATION_ROUND_MAX is a broken contract and stops the program. A
 * wrapped round would break the invariant; nothing that counts elections comes near it.
 */
static inline uint64_t generation_next(uint64_t highest_seen, uint32_t node)
{
    return generation_make(generation_round(highest_seen) + 1, node);
}

/* The rule of a follower: the larger of the two, unchanged. */
static inline uint64_t generation_adopt(uint64_t own, uint64_t seen)
{
    return own > seen ? own : seen;
}

#endif
