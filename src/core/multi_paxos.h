/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_MULTI_PAXOS_H
#define SYNOD_CORE_MULTI_PAXOS_H

/*
 * Multi-Paxos
 *
 * Problem:    agree on an endless sequence of values, one per slot, at the price of one round trip
 * each. Rule:       phase 1 once per leadership, for all slots above the candidate's mark at once;
 * phase 2 per batch of slots. A new leader proposes anew, at its own ballot, for every slot any
 * promise reported the value accepted at the highest ballot, a no-op where there was none, and only
 * then values of its own (Lamport, "Paxos Made Simple", 2001, sections 2.2 and 3: P2c). Invariant:
 * once a phase-2 quorum has accepted (ballot, value) in a slot, every higher ballot proposes that
 * value there. An acceptor never accepts or promises below its promise, also across restarts:
 * promise and acceptance are durable before they are answered. Neighbours: election (starts phase
 * 1), replicated_log (what was accepted), leader_follower (phase 2 traffic), quorum,
 * generation_clock (ballots).
 *
 * A promise comes as one PROMISE (how far it will reach) and a PROMISE_RUN for each stretch of
 * slots with one accepted ballot, holes included, in slot order; it counts only once it is covered
 * from the first slot asked to its end, so a lost part is missed and a repeated one harmless. Only
 * ballots travel: the candidate fetches the values it chose from the node that reported them.
 */
#include "core/core.h"

#endif
