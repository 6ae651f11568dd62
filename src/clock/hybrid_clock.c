/* SPDX-License-Identifier: MIT */
#include "clock/hybrid_clock.h"

#include <errno.h>
#include <stddef.h>

/*
 * The paper distinguishes whether the largest physical part is the wall's, the own stamp's, the
 * message's or shared by some of them. With `known` the larger of own and remote stamp, as
 * integers:
 *
 *   wall beyond known's physical part   <=>   at(wall) > known: physical = wall, logical = 0:
 * at(wall) otherwise                           keep known's physical part, one more logical: known
 * + 1
 *
 * because at(wall) has logical 0, so it is above `known` only by its physical part. Of two stamps
 * with one physical part the larger integer is the one with the larger logical part, as the paper's
 * maximum asks.
 */
static uint64_t advance(struct hybrid_clock *clock, uint64_t wall_ns, uint64_t known)
{
    uint64_t wall = hybrid_clock_at(wall_ns);
    ASSERT(known < UINT64_MAX);
    clock->latest = wall > known ? wall : known + 1;
    return clock->latest;
}

void hybrid_clock_init(struct hybrid_clock *clock, uint64_t forward_ns)
{
    ASSERT(forward_ns <= HYBRID_WALL_MAX_NS);
    *clock = (struct hybrid_clock){.latest = 0, .forward_units = forward_ns >> HYBRID_UNIT_BITS};
}

void hybrid_clock_restore(struct hybrid_clock *clock, uint64_t persisted)
{
    ASSERT(clock->latest == 0);
    ASSERT(persisted < UINT64_MAX);
    clock->latest = persisted;
}

uint64_t hybrid_clock_tick(struct hybrid_clock *clock, uint64_t wall_ns)
{
    return advance(clock, wall_ns, clock->latest);
}

int hybrid_clock_observe(struct hybrid_clock *clock, uint64_t wall_ns, uint64_t remote,
                         uint64_t *stamp)
{
    /* The last stamp whose physical part is within the bound; near 2116 the last stamp there is. */
    uint64_t limit_units = (wall_ns >> HYBRID_UNIT_BITS) + clock->forward_units;
    uint64_t units_max = UINT64_MAX >> HYBRID_LOGICAL_BITS;
    uint64_t limit = (limit_units < units_max ? limit_units : units_max) << HYBRID_LOGICAL_BITS;
    limit |= HYBRID_LOGICAL_MAX;
    if (remote >= limit) /* remote + 1 > limit, without its overflow */
        return -ERANGE;
    uint64_t known = remote > clock->latest ? remote : clock->latest;
    uint64_t result = advance(clock, wall_ns, known);
    if (stamp != NULL)
        *stamp = result;
    return 0;
}
