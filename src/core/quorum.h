/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_QUORUM_H
#define SYNOD_CORE_QUORUM_H

/*
 * Quorum
 *
 * Problem:    how many nodes must agree before a decision survives any failure we promise to
 * survive? Rule:       a new leader asks a phase-1 quorum, a value is chosen by a phase-2 quorum.
 * Invariant:  every phase-1 quorum meets every phase-2 quorum (phase1 + phase2 > nodes), so a new
 * leader always hears of a chosen value. They need not be majorities (Howard, Malkhi, Spiegelman,
 *             "Flexible Paxos", 2016). Sizes that do not meet are refused.
 * Neighbours: multi_paxos (counts promises), high_watermark (counts acceptances), read_index.
 *
 * Pure arithmetic on sets of node numbers held as bits: a node counts once, however often it
 * answers.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/contract.h"

#define CORE_MAX_NODES 15

struct quorum {
    uint32_t nodes;
    uint32_t phase1; /* promises needed to lead */
    uint32_t phase2; /* acceptances needed to choose */
};

/* Majorities: both sizes nodes / 2 + 1. nodes: 1 .. CORE_MAX_NODES. */
struct quorum quorum_majority(uint32_t nodes);
/* Sizes given; 0 stands for a majority. False when out of range or not intersecting. */
MUST_USE bool quorum_flexible(uint32_t nodes, uint32_t phase1, uint32_t phase2,
                              struct quorum *quorum);

/* A set of nodes: bit n is node n. */
static inline uint32_t quorum_count(uint32_t set)
{
    return (uint32_t)__builtin_popcount(set);
}
static inline bool quorum_may_lead(const struct quorum *quorum, uint32_t promised_set)
{
    return quorum_count(promised_set) >= quorum->phase1;
}
/* Also what confirms that nobody else leads: such a set meets every phase-1 quorum. */
static inline bool quorum_has_chosen(const struct quorum *quorum, uint32_t accepted_set)
{
    return quorum_count(accepted_set) >= quorum->phase2;
}

#endif
