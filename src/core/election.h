/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_ELECTION_H
#define SYNOD_CORE_ELECTION_H

/*
 * Election (of the Leader-Follower pattern)
 *
 * Problem:    the leader is gone, or cannot be heard: who leads next, without two nodes standing in
 * each other's way for ever, and without a node that merely lost its link upsetting a good leader?
 * Rule:       each node waits a random time, drawn anew at every use, from [t, 2t) after it last
 * heard a leader (longer if others have higher priority); then it asks around whether an election
 *             could be won (pre-vote: nothing is promised); only a quorum's yes starts a real one,
 * at a ballot above all it has seen, durable before it is used. Invariant:  ballots are never used
 * twice; an election without a cause (the leader is well, or this node was not running itself) does
 * not get past the pre-vote. Neighbours: multi_paxos (phase 1 decides), generation_clock (ballots),
 * leader_follower (heartbeats).
 *
 * Time is what ticks say. A node that was not scheduled for a while finds its leader's messages in
 * its queues before the tick, and is given the time it missed on top.
 */
#include "core/core.h"

#endif
