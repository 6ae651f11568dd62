/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_LEADER_FOLLOWER_H
#define SYNOD_CORE_LEADER_FOLLOWER_H

/*
 * Leader-Follower
 *
 * Problem:    many nodes taking writes at once must agree on their order, which costs a round of
 *             conflict for each; one node that orders them all needs a single round trip.
 * Rule:       the leader sends every follower what it appended, in messages that name its own log's
 *             bytes, as many ahead of the answers as a window allows; followers answer
 * cumulatively. What goes unanswered is sent again from behind the last answer. Invariant:  a
 * leader counts only what was acknowledged at its own ballot; one that a quorum has not answered
 * for two election timeouts, or that hears of a higher ballot, stops leading. Neighbours: election
 * (who leads), multi_paxos (what an accept means), high_watermark (what the answers add up to),
 * replica/catch_up (followers whose slots are gone from the log).
 *
 * Leadership transfer: the leader stops taking proposals, waits until the target holds everything,
 * and tells it to stand at once (Ongaro, "Consensus: Bridging Theory and Practice", 2014,
 * section 3.10).
 */
#include "core/core.h"

#endif
