/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_PLACEMENT_H
#define SYNOD_BENCH_PLACEMENT_H

/*
 * Which CPU each node and each client runs on.
 *
 *   none   the kernel decides
 *   auto   with a CPU for every thread: nodes first, then clients, one each. With fewer: node 0,
 * which is then preferred as leader, has the first CPU; the other nodes take turns on the CPUs
 *          after it; clients take turns on the CPUs that are left, or sit with the leader if none
 * is. (On two cores the client beside the leader and the followers on the other beats
 *          interleaving.)
 *   LIST   "0-3,8": node i on the i-th entry, clients go on from there, round and round
 */
#include <stdbool.h>
#include <stdint.h>

#include "bench/problem.h"

#define PLACEMENT_MAX_CPUS 1024
#define PLACEMENT_TEXT     64

enum placement_kind { PLACEMENT_NONE, PLACEMENT_AUTO, PLACEMENT_LIST };

struct placement_spec {
    enum placement_kind kind;
    uint32_t count;                    /* LIST */
    uint16_t cpus[PLACEMENT_MAX_CPUS]; /* LIST: in the order given */
    char text[PLACEMENT_TEXT];         /* as given */
};

struct placement {
    bool is_pinned;
    int *nodes, *clients; /* CPU of each; owned; NULL when not pinned */
};

/* "auto", "none" or a list. 0, or -EINVAL with the problem told. */
MUST_USE int placement_parse(const char *text, struct placement_spec *spec,
                             struct problem *problem);
/* CPUs the calling thread may run on, in rising order; at most PLACEMENT_MAX_CPUS. */
uint32_t placement_usable(uint16_t *cpus);
/* 0; -EINVAL: a listed CPU is not usable here; -ENOMEM. */
MUST_USE int placement_make(struct placement *placement, const struct placement_spec *spec,
                            uint32_t nodes, uint32_t clients, struct problem *problem);
/* The same from a given set of usable CPUs (at least one). */
MUST_USE int placement_make_on(struct placement *placement, const struct placement_spec *spec,
                               uint32_t nodes, uint32_t clients, const uint16_t *usable,
                               uint32_t usable_count, struct problem *problem);
void placement_deinit(struct placement *placement);

#endif
