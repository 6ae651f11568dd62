/* SPDX-License-Identifier: MIT */
#include "base/time_scale.h"

#include "base/contract.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define ONE (UINT64_C(1) << 32) /* ns_per_tick of a counter of nanoseconds */

/* One instant on both clocks. */
struct instant {
    uint64_t ticks;
    uint64_t ns;
};

static bool counter_is_steady(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1U << 8)) != 0;
#elif defined(__aarch64__)
    return true; /* the architecture promises it (Arm ARM, "The Generic Timer") */
#else
    return false;
#endif
}

/* The clock read between two counter reads, the tightest of many: interruptions widen a pair. */
static struct instant read_both(void)
{
    struct instant best = {0, 0};
    uint64_t tightest = UINT64_MAX;
    for (int i = 0; i < 64; i++) {
        uint64_t before = time_scale_ticks();
        uint64_t ns = time_source_now_ns();
        uint64_t width = time_scale_ticks() - before;
        if (width < tightest) {
            tightest = width;
            best = (struct instant){.ticks = before + width / 2, .ns = ns};
        }
    }
    return best;
}

void time_scale_init(struct time_scale *scale, uint64_t calibration_ns)
{
    ASSERT(calibration_ns >= 1000000);
    *scale = (struct time_scale){.ns_per_tick = ONE, .is_counter = false};
    if (!counter_is_steady())
        return;
    struct instant first = read_both();
    time_source_sleep_ns(calibration_ns);
    struct instant last = read_both();
    if (last.ticks <= first.ticks) /* a virtual machine that moved, say: the bit lied */
        return;
    __extension__ unsigned __int128 rate = last.ns - first.ns;
    rate = (rate << 32) / (last.ticks - first.ticks);
    *scale = (struct time_scale){.first_stamp = first.ticks,
                                 .first_ns = first.ns,
                                 .ns_per_tick = (uint64_t)rate,
                                 .is_counter = true};
}
