/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_READ_INDEX_H
#define SYNOD_CORE_READ_INDEX_H

/*
 * Read index: a linearizable read for one round trip and no log entry
 *
 * Problem:    a leader that was deposed without noticing would answer reads from the past.
 * Rule:       a read notes the high watermark (at least the no-op that opened this leadership) and
 * a round number; the number goes out with the next messages; once a phase-2 quorum has answered
 *             having seen it, no other node had been elected when the read began (such a quorum
 * meets every phase-1 quorum), so the mark noted covers every write acknowledged before the read.
 *             The read is answered from the store once that slot is applied.
 * Invariant:  a confirmed round was seen, at this leader's ballot and after the read came in, by a
 * quorum. Neighbours: leader_follower (carries the rounds), high_watermark, replica/waiting_list
 * (the reads).
 *
 * All reads of one turn share a round (Ongaro 2014, section 6.4).
 */
#include "core/core.h"

#endif
