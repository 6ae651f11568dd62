/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLUSTER_LEADER_HINT_H
#define SYNOD_CLUSTER_LEADER_HINT_H

/*
 * One word that says who led last: the highest ballot any node became leader with, and whether that
 * leadership is over. A hint for clients; a node that does not lead answers so.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock/generation_clock.h"

#define LEADER_HINT_OVER (UINT64_C(1) << 63)

static inline uint64_t leader_hint_load(const _Atomic uint64_t *hint)
{
    /* relaxed: nothing else is read on the strength of it */
    return atomic_load_explicit(hint, memory_order_relaxed);
}

/* The node, or -1. */
static inline int leader_hint_node(uint64_t hint)
{
    bool is_known = hint != 0 && (hint & LEADER_HINT_OVER) == 0;
    return is_known ? (int)generation_node(hint) : -1;
}

static inline void leader_hint_raise(_Atomic uint64_t *hint, uint64_t ballot)
{
    uint64_t seen = leader_hint_load(hint);
    while ((seen & ~LEADER_HINT_OVER) < ballot &&
           !atomic_compare_exchange_weak_explicit(hint, &seen, ballot, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

/* The node leads no more, at whatever ballot it did. */
static inline void leader_hint_end(_Atomic uint64_t *hint, uint32_t node)
{
    uint64_t seen = leader_hint_load(hint);
    while (leader_hint_node(seen) == (int)node &&
           !atomic_compare_exchange_weak_explicit(hint, &seen, seen | LEADER_HINT_OVER,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

#endif
