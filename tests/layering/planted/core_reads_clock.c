/* SPDX-License-Identifier: MIT */
/* Planted: the core has no time of its own. */
#include <time.h>

long core_reads_clock(void);
long core_reads_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_nsec;
}
