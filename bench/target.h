/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_TARGET_H
#define SYNOD_BENCH_TARGET_H

/*
 * What the load is put on. The real one is a cluster of libsynod; the null target answers
 * everything at once and so measures the harness alone; tests script their own.
 *
 * The operations mean what the functions of the same name in synod/cluster.h, client.h and kv.h
 * mean, threads included: a client belongs to the thread that opened it, all else may be called by
 * any.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "bench/problem.h"
#include "synod/synod.h"

struct target_operations {
    enum synod_status (*open_client)(void *state, void **client);
    void (*close_client)(void *client);
    enum synod_status (*submit)(void *client, const struct synod_request *request);
    size_t (*poll)(void *client, struct synod_completion *completions, size_t max,
                   uint64_t timeout_ns);
    int (*leader)(void *state);
    int (*await_leader)(void *state, uint64_t timeout_ns);
    enum synod_status (*crash)(void *state, uint32_t node);
    enum synod_status (*restart)(void *state, uint32_t node, char *problem, size_t problem_size);
    enum synod_status (*status)(void *state, uint32_t node, struct synod_node_status *status);
    enum synod_status (*await_quiet)(void *state, uint64_t timeout_ns);
    const char *(*directory)(void *state); /* NULL: nothing is kept anywhere */
    void (*close)(void *state);
};

struct target {
    const struct target_operations *operations;
    void *state;
    uint32_t nodes;
};

/* As synod_cluster_open, with its sentence in the problem. */
MUST_USE enum synod_status target_cluster_open(struct target *target,
                                               const struct synod_options *options,
                                               struct problem *problem);
/* OK or NO_MEMORY. depth: requests a client may have in flight. */
MUST_USE enum synod_status target_null_open(struct target *target, uint32_t depth);
/* A target that was never opened (all zero) is closed already. */
void target_close(struct target *target);

#endif
