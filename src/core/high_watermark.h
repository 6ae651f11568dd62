/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_HIGH_WATERMARK_H
#define SYNOD_CORE_HIGH_WATERMARK_H

/*
 * High Watermark
 *
 * Problem:    up to which slot may a node apply the log and answer clients?
 * Rule:       the leader's mark is the highest slot that a phase-2 quorum holds durably at the
 * leader's own ballot: the k-th largest of what the nodes have acknowledged, k the quorum's size.
 *             Followers learn it with the next message and never let it pass the end of what they
 *             themselves hold at that ballot.
 * Invariant:  monotone on every node; every slot at or below it is chosen and will never change.
 * Neighbours: quorum, leader_follower (keeps `match`), replicated_log (what a follower holds).
 */
#include <stdint.h>

#include "core/quorum.h"

/*
 * match[n]: highest slot up to which node n has acknowledged every slot at the current ballot (or
 * knew it to be chosen). The slot that `count` of the `nodes` values reach or exceed.
 */
uint64_t high_watermark_rank(const uint64_t *match, uint32_t nodes, uint32_t count);

/* The leader's new mark: by rank, never below the old one, never beyond its own durable log. */
uint64_t high_watermark_advance(uint64_t mark, const uint64_t *match, const struct quorum *quorum,
                                uint64_t own_match);

/* A follower's new mark when its leader told `told` and it holds everything up to `held` at the
 * leader's ballot. */
static inline uint64_t high_watermark_learn(uint64_t mark, uint64_t told, uint64_t held)
{
    uint64_t reached = told < held ? told : held;
    return reached > mark ? reached : mark;
}

#endif
