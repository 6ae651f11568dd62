/* SPDX-License-Identifier: MIT */
#include "clock/lamport_clock.h"

void lamport_clock_init(struct lamport_clock *clock, uint64_t time)
{
    clock->time = time;
}

uint64_t lamport_clock_tick(struct lamport_clock *clock)
{
    ASSERT(clock->time < UINT64_MAX);
    return ++clock->time;
}

uint64_t lamport_clock_observe(struct lamport_clock *clock, uint64_t remote)
{
    if (remote > clock->time)
        clock->time = remote;
    return lamport_clock_tick(clock);
}

int lamport_compare(uint64_t time_a, uint32_t node_a, uint64_t time_b, uint32_t node_b)
{
    if (time_a != time_b)
        return time_a < time_b ? -1 : 1;
    return (node_a > node_b) - (node_a < node_b);
}
