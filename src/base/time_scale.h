/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BASE_TIME_SCALE_H
#define SYNOD_BASE_TIME_SCALE_H

/*
 * Cheap time stamps: the processor's tick counter, and the scale that turns ticks into the
 * nanoseconds of time_source_now_ns(). For measurements only; the protocol's deadlines use
 * time_source_now_ns().
 *
 *     time_scale_init(&scale, TIME_SCALE_CALIBRATION_NS);
 *     uint64_t start = time_scale_stamp(&scale);
 *     work();
 *     uint64_t took_ns = time_scale_elapsed_ns(&scale, start, time_scale_stamp(&scale));
 *
 * When ticks are not time: on x86 the counter runs at one rate through every power state only where
 * CPUID 80000007h, EDX bit 8 ("invariant TSC") says so. Where it does not, and on processors
 * without a counter known here, is_counter is false and stamps are time_source_now_ns() itself:
 * right, at the price of a clock read. Invariant counters of different cores may still disagree by
 * a little: an interval between two cores can come out short by that much; one that would be
 * negative reads as 0.
 *
 * Precision: both ends of the calibration are known to the width of one clock read, so after 10 ms
 * the rate is off by at most a few parts in a million, a few nanoseconds in a millisecond (repeated
 * calibrations agreed to 0.1). And CLOCK_MONOTONIC itself is steered. So stamps and
 * time_source_now_ns() drift apart by milliseconds an hour: do not mix them in one subtraction.
 *
 * Threads: init by one; then read-only, any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/time_source.h"

#define TIME_SCALE_CALIBRATION_NS UINT64_C(10000000)

struct time_scale {
    uint64_t first_stamp;
    uint64_t first_ns;
    uint64_t ns_per_tick; /* fixed point, 32 bits of fraction */
    bool is_counter;      /* stamps are ticks; false: stamps are nanoseconds */
};

/* Calibrates, asleep for `calibration_ns` (at least 1 ms) where there is a counter to calibrate. */
void time_scale_init(struct time_scale *scale, uint64_t calibration_ns);

/* The raw counter, 0 where none is known. Not ordered with the instructions around it. */
static inline uint64_t time_scale_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}

static inline uint64_t time_scale_stamp(const struct time_scale *scale)
{
    return scale->is_counter ? time_scale_ticks() : time_source_now_ns();
}

/* From the earlier of two stamps to the later; 0 when `to` is before `from`. */
static inline uint64_t time_scale_elapsed_ns(const struct time_scale *scale, uint64_t from,
                                             uint64_t to)
{
    __extension__ unsigned __int128 scaled = to > from ? to - from : 0;
    scaled *= scale->ns_per_tick;
    return (uint64_t)(scaled >> 32);
}

/* A stamp as time_source_now_ns() would have read it; stamps from before the calibration read as
 * its beginning. */
static inline uint64_t time_scale_ns(const struct time_scale *scale, uint64_t stamp)
{
    return scale->first_ns + time_scale_elapsed_ns(scale, scale->first_stamp, stamp);
}

#endif
