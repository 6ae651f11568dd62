/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BASE_CACHELINE_H
#define SYNOD_BASE_CACHELINE_H

/*
 * CACHELINE is the unit of transfer between cores; fields written by different threads are kept
 * CACHELINE_PAIR apart, because x86 prefetchers fetch lines in aligned pairs.
 */
#define CACHELINE      64
#define CACHELINE_PAIR 128

#endif
