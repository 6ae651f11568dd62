/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_ENVIRONMENT_H
#define SYNOD_BENCH_ENVIRONMENT_H

/*
 * The machine as far as it decides the numbers, and warnings about what will spoil them: each with
 * an id for programs, a text for people and what to do about it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/problem.h"
#include "bench/process.h"

#define ENVIRONMENT_MAX_WARNINGS 16

struct environment_warning {
    const char *id;
    char text[160];
    char fix[160];
    bool is_strict; /* --strict-env refuses to run under it */
};

struct environment {
    uint32_t cpus; /* usable by this process: affinity and control groups */
    char cpu_model[96];
    char kernel[96];
    char hypervisor[96]; /* "" on bare metal; "unknown" when only the CPU flag tells */
    char governor[32];   /* "" where the kernel shows none */
    char wal_fs[32];     /* "tmpfs", "ext4", ..., or "unknown" */
    struct environment_warning warnings[ENVIRONMENT_MAX_WARNINGS];
    size_t warning_count;
};

/* What the warnings depend on besides the machine. */
struct environment_plan {
    uint32_t nodes, clients;
    const char *wal_directory; /* NULL: below /dev/shm */
};

/* Reads the machine and adds the warnings known before a run. What cannot be read stays empty. */
void environment_read(struct environment *environment, const struct environment_plan *plan);
/* Adds the warning that time was stolen, if it was noticeable. */
void environment_check_steal(struct environment *environment,
                             const struct process_machine_time *before,
                             const struct process_machine_time *after);
/*
 * Whether the logs will fit, decided before a byte is written: 0, or -ENOSPC with the problem told.
 * The file system must have the room, and where it is tmpfs the machine must have the memory too: a
 * tmpfs as large as the memory would grow until the kernel kills somebody. Room that logs in the
 * directory have already is not asked for again.
 */
MUST_USE int environment_check_space(const char *wal_directory, uint64_t needed_bytes,
                                     struct problem *problem);
/* The same judgement on given figures; UINT64_MAX: not known, or no limit. */
MUST_USE int environment_judge_space(const char *place, uint64_t needed_bytes, uint64_t free_bytes,
                                     uint64_t free_memory, struct problem *problem);
/* A warning that --strict-env refuses. */
bool environment_is_strictly_bad(const struct environment *environment);

#endif
