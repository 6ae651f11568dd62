/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_PROCESS_H
#define SYNOD_BENCH_PROCESS_H

/*
 * What the kernel has counted for this process: CPU time and context switches by thread, memory,
 * and CPU time stolen from the whole machine. Read from /proc between phases, never inside the
 * loop.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"

struct process_thread {
    int id;
    char name[16];
    uint64_t cpu_ns;
    uint64_t voluntary_switches, involuntary_switches;
};

struct process_threads {
    struct process_thread *list; /* owned; `capacity` of them */
    size_t count, capacity;
};

/* Room for so many threads; more are left out. 0 or -ENOMEM. */
MUST_USE int process_threads_init(struct process_threads *threads, size_t capacity);
void process_threads_deinit(struct process_threads *threads);
/* All threads of now, in the order of their ids. No allocation but the directory stream's. */
void process_threads_read(struct process_threads *threads);
/* Takes off what `before` had counted already; threads that are new keep all they have. */
void process_threads_subtract(struct process_threads *threads,
                              const struct process_threads *before);

/* Bytes; 0 where the kernel does not tell. */
struct process_memory {
    uint64_t resident_peak, resident, anonymous, shared;
};
void process_memory_read(struct process_memory *memory);

/* CPU time of the whole machine since boot, in clock ticks: stolen by the hypervisor, and all. */
struct process_machine_time {
    uint64_t stolen, total;
};
void process_machine_time_read(struct process_machine_time *time);

#endif
