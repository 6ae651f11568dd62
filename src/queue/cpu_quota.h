/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_QUEUE_CPU_QUOTA_H
#define SYNOD_QUEUE_CPU_QUOTA_H

/*
 * How many CPUs the control groups let this process use: a container given half a CPU must not spin
 * as if it had the machine. Reads both versions of the interface (the kernel's cgroup-v2.rst,
 * "cpu.max"; sched-bwc.rst, "cpu.cfs_quota_us").
 */
#include <stdint.h>

#define CPU_QUOTA_NONE UINT32_MAX

/* Any thread, at start only (reads files). membership_file: normally /proc/self/cgroup; mount:
 * where the groups are mounted, normally /sys/fs/cgroup. The smallest quota of the process's group
 * and all groups above it, rounded up to whole CPUs; CPU_QUOTA_NONE when nothing limits it or
 * nothing can be read. */
uint32_t cpu_quota_cpus(const char *membership_file, const char *mount);

/* quota_us of CPU time in every period_us, in whole CPUs, rounded up. Not positive: no limit. */
uint32_t cpu_quota_round_up(int64_t quota_us, int64_t period_us);

#endif
