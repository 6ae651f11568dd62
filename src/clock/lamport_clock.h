/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLOCK_LAMPORT_CLOCK_H
#define SYNOD_CLOCK_LAMPORT_CLOCK_H

/*
 * Lamport Clock
 *
 * Problem:    events on nodes whose clocks disagree must be put in an order that never contradicts
 * cause and effect. Rule:       every event counts the clock up by one; a message carries its
 * sender's time, and its receipt first lifts the receiver's clock to it. Invariant:  if a happened
 * before b, then time(a) < time(b); and (time, node) orders all events totally. Neighbours:
 * hybrid_clock (the same order, near to real time), generation_clock (a count raised by elections
 * only).
 *
 * Lamport 1978, "Time, Clocks, and the Ordering of Events in a Distributed System": rules IR1 and
 * IR2, and the total order "=>" with the node as tie-breaker.
 *
 * What it does NOT mean: time(a) < time(b) does not say that a happened before b. Node 1 does a
 * (time 1); node 2, which never heard of it, does x (1) and then b (2). Now 1 < 2, yet neither a
 * nor b could have influenced the other. Only the reverse holds: if time(a) >= time(b), a did not
 * cause b. To tell "before" from "unrelated" takes a vector of times. Nor is a difference of times
 * a duration.
 *
 * Restart: the times of a node that comes back must go on above those it gave out; start it at the
 * largest time it may have used (lamport_clock_init), as read from what it made durable.
 *
 * Overflow: a time past LAMPORT_TIME_MAX is a broken contract and stops the program: wrapping would
 * break the invariant. At an event a nanosecond that is 584 years. A received time of doubtful
 * origin is to be compared with LAMPORT_TIME_MAX before it is observed.
 *
 * A clock belongs to one thread.
 */
#include <stdint.h>

#include "base/contract.h"

#define LAMPORT_TIME_MAX                                                                           \
    (UINT64_MAX - 1) /* the largest a message may carry: its receipt is one more */

struct lamport_clock {
    uint64_t time; /* of the latest event here; 0 before the first */
};

/* `time`: 0 for a new node, else the largest time it may have given out before. */
void lamport_clock_init(struct lamport_clock *clock, uint64_t time);

/* An event of this node's own, or the sending of a message: its time, which the message carries. */
MUST_USE uint64_t lamport_clock_tick(struct lamport_clock *clock);

/* The receipt of a message: its time, max(own, remote) + 1. remote is at most LAMPORT_TIME_MAX. */
uint64_t lamport_clock_observe(struct lamport_clock *clock, uint64_t remote);

/* The total order of events: by time, then by node. Below, at or above 0; 0 for one event with
 * itself only. */
int lamport_compare(uint64_t time_a, uint32_t node_a, uint64_t time_b, uint32_t node_b);

#endif
