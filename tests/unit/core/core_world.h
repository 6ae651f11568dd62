/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_WORLD_H
#define SYNOD_CORE_WORLD_H

/*
 * A cluster of cores in one thread, out of one seed: network, disks, clocks, crashes and clients
 * are drawn from it, and the properties of docs/protocol.md are checked at every step. Values are
 * numbers.
 *
 * Each seed draws which faults are on and how hard (about half are off in any one run), plays that
 * for a while, then heals: a quorum (or everybody) is kept up, the network is clean, and the world
 * must get a new write applied on every node that is up and a read confirmed in bounded time.
 *
 * Kept apart from the product on purpose: it sees the core through core_step() alone, and keeps
 * its own books of what is durable, proposed and chosen.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"

struct world_config {
    uint64_t seed;
    uint32_t nodes;
    uint32_t phase1, phase2; /* 0: majority */
    uint32_t steps;          /* turns played with faults on */
    bool is_verbose;         /* every event and effect to stderr */
};

/* What happened in one run: proof that the faults came, and what work was done under them. */
struct world_counts {
    uint64_t turns, sent, lost, duplicated, reordered, cut, crashes, records_lost, pauses;
    uint64_t persists_failed, releases, installs, transfers;
    uint64_t elections, proposed, chosen, applied, reads_asked, reads_confirmed;
};

struct world_result {
    char violation[160]; /* "": none. Begins with the property's name. */
    uint64_t step;
    struct world_counts counts;
};

/* True when nothing was violated. One run at a time. */
bool world_run(const struct world_config *config, struct world_result *result);
void world_counts_add(struct world_counts *sum, const struct world_counts *one);

#endif
