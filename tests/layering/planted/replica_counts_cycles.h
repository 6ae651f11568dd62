/* SPDX-License-Identifier: MIT */
/* Planted: the processor's counter is a clock too. */
static inline unsigned long long replica_counts_cycles(void)
{
    return __builtin_ia32_rdtsc();
}
