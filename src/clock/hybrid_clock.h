/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLOCK_HYBRID_CLOCK_H
#define SYNOD_CLOCK_HYBRID_CLOCK_H

/*
 * Hybrid Clock
 *
 * Problem:    versions should be ordered by cause and effect, as a Lamport clock does, and yet be
 * near to the time on the wall, so that "as of ten seconds ago" means something. Rule:       an
 * event's stamp is the wall time if that is later than every stamp known here, else the latest
 *             known stamp plus one; a message from too far ahead of the wall is refused.
 * Invariant:  stamps of a node strictly grow, across wall-clock jumps and restarts; if a happened
 * before b, then stamp(a) < stamp(b); no message moves a clock further ahead of its wall than the
 * bound. Neighbours: lamport_clock (the order alone), base/time_source (where callers get the wall
 * time), store (whose versions carry stamps).
 *
 * Kulkarni, Demirbas, Madappa, Avva and Leone 2014, "Logical Physical Clocks": the send and receive
 * rules of the HLC algorithm, its 16-bit count, and from the part on resilience the refusal of
 * messages that would carry a clock too far ahead.
 *
 * A stamp is one uint64_t: physical time in the high 48 bits, a logical count in the low 16; the
 * order of the integers is the order of the stamps. The physical unit is 2^14 ns (16.384 us),
 * counted from 1970: 48 bits of it last until 2116, where microseconds would end in 1978 and
 * milliseconds would leave the count only 65 events a microsecond. As one integer the paper's four
 * cases become one comparison (see hybrid_clock.c).
 *
 * Logical overflow: the 65537th event within one physical unit carries into the physical part. The
 * stamp stays larger than all before it, and runs ahead of the wall by one unit (16.384 us) until
 * the wall catches up. That takes 4 events a nanosecond, or a wall clock that stands still or went
 * back.
 *
 * Restart: the wall may have gone back while the node was down, so stamps go on above a bound that
 * was made durable before. Two ways to have one: a stamp leaves the node only within a durable
 * record, then the bound is the highest stamp in the log; or the node reserves: it makes durable a
 * stamp some time ahead (say hybrid_clock_at(wall_ns + 100 ms)) and reserves anew before its stamps
 * come up to it. It then returns up to the reserved time ahead of its wall, so that time must be
 * well below the other nodes' forward bound, or they refuse it until its wall has caught up.
 *
 * A clock belongs to one thread. It never reads the time: every call is told.
 */
#include <stdint.h>

#include "base/contract.h"

#define HYBRID_LOGICAL_BITS 16
#define HYBRID_LOGICAL_MAX  UINT64_C(0xffff)
#define HYBRID_UNIT_BITS    14                        /* 2^14 ns to a physical unit */
#define HYBRID_WALL_MAX_NS  ((UINT64_C(1) << 62) - 1) /* the last wall time there are stamps for */

struct hybrid_clock {
    uint64_t latest;        /* stamp given out or observed; every later one is larger */
    uint64_t forward_units; /* the bound, rounded down to physical units */
};

/* Of a stamp: its physical time in nanoseconds since 1970, cut to the unit, and its count within.
 */
static inline uint64_t hybrid_clock_physical_ns(uint64_t stamp)
{
    return stamp >> HYBRID_LOGICAL_BITS << HYBRID_UNIT_BITS;
}

static inline uint32_t hybrid_clock_logical(uint64_t stamp)
{
    return (uint32_t)(stamp & HYBRID_LOGICAL_MAX);
}

/* The first stamp of a wall time: every stamp of an earlier unit is below, none of a later one.
 * Also the way to ask for "as of then". wall_ns is at most HYBRID_WALL_MAX_NS, here and below. */
static inline uint64_t hybrid_clock_at(uint64_t wall_ns)
{
    ASSERT(wall_ns <= HYBRID_WALL_MAX_NS);
    return wall_ns >> HYBRID_UNIT_BITS << HYBRID_LOGICAL_BITS;
}

/*
 * A node that never gave out a stamp. `forward_ns`: how far ahead of this node's wall time a
 * message may be; choose it above the difference between the nodes' wall clocks that is taken for
 * healthy.
 */
void hybrid_clock_init(struct hybrid_clock *clock, uint64_t forward_ns);

/*
 * A node that comes back: right after init, before any other call. Every stamp from here on is
 * above `persisted`, which is below UINT64_MAX; the caller judges whether a bound read from disk is
 * plausible.
 */
void hybrid_clock_restore(struct hybrid_clock *clock, uint64_t persisted);

/* An event of this node's own, or the sending of a message: its stamp, which the message carries.
 */
MUST_USE uint64_t hybrid_clock_tick(struct hybrid_clock *clock, uint64_t wall_ns);

/*
 * The receipt of a message stamped `remote` by another node: *stamp is above both that and all of
 * this node's own. stamp may be NULL.
 *
 * 0; -ERANGE if taking it would put the clock's physical part more than the bound ahead of wall_ns:
 * then clock and *stamp are as before, and the message is to be dropped, as its sender's clock is
 * not to be trusted. The carry of a logical overflow counts: a stamp just at the bound and full is
 * refused. Any remote is judged safely, UINT64_MAX too.
 */
MUST_USE int hybrid_clock_observe(struct hybrid_clock *clock, uint64_t wall_ns, uint64_t remote,
                                  uint64_t *stamp);

#endif
