/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_QUEUE_DOORBELL_H
#define SYNOD_QUEUE_DOORBELL_H

/*
 * How a thread sleeps until one of its queues has something, without ever missing it.
 *
 *   sleeper (one thread)                     ringer (any thread)
 *   arm:   armed = 1, fence                  publish into a queue
 *   look at every queue again        <-->    ring: fence; if armed: armed = 0, wake
 *   nothing: wait while armed; else disarm
 *
 * Both sides write, fence (sequentially consistent), then read what the other writes: at least one
 * of them sees the other, so either the sleeper finds the work or the ringer finds it armed (no
 * lost wake-up; tests/model/doorbell.pml checks every interleaving). A ring at an unarmed bell is a
 * load: system calls happen only when somebody really sleeps.
 *
 *   who may run with whom      arm  disarm  wait | ring  ring_fenced | sleeps  wakes
 *   sleeper (one thread)        x     x      x   |  x         x      |   x       x
 *   any other thread                             |  x         x      |   x       x
 *
 * The tags [B1], [B2] are explained in docs/memory-order.md.
 */
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cacheline.h"
#include "base/contract.h"

/* Private to the functions below; in the header so that a ring at an unarmed bell is inlined. */
struct doorbell {
    alignas(CACHELINE_PAIR) _Atomic uint32_t armed;  /* the futex word; 1: the sleeper is (about to
                                                        be) asleep, 0: awake, or being woken */
    alignas(CACHELINE_PAIR) _Atomic uint64_t sleeps; /* written by the sleeper */
    _Atomic uint64_t wakes;                          /* written by ringers, when they wake */
};

MUST_USE int doorbell_create(struct doorbell **bell);
/* NULL is allowed. No thread may be using the bell any more, not even to ring it. */
void doorbell_destroy(struct doorbell *bell);

/* Sleeper: announces that it is about to sleep. Look at every queue after this, then wait or
 * disarm. */
void doorbell_arm(struct doorbell *bell);
void doorbell_disarm(struct doorbell *bell);
/* Sleeper, armed: sleeps until rung or until timeout_ns have passed (UINT64_MAX: no limit). Returns
 * whether it was rung; what the ringer published is then visible. Disarmed afterwards either way.
 * May wake spuriously (returns false). */
bool doorbell_wait(struct doorbell *bell, uint64_t timeout_ns);

/* The ringer's slow half, for an armed bell; use the two functions below. */
void doorbell_wake(struct doorbell *bell);

/*
 * Ringer of many: one fence for all bells rung after it in the same batch, each then with
 * doorbell_ring_fenced(). doorbell_ring = doorbell_fence + doorbell_ring_fenced.
 *
 * It orders nothing but the Dekker pair [B1] (own stores to queue indices before own loads of armed
 * words); data is handed over by the queues' own release and acquire.
 */
static inline void doorbell_fence(void)
{
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
    /* The thread sanitizer executes the fence but derives no order from it, and gcc warns of that.
     * No data race is excused by this fence, so the sanitizer's view stays exact. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
    /* seq_cst fence: pairs with the one in doorbell_arm, and with itself as called there [B1] */
    atomic_thread_fence(memory_order_seq_cst);
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
}

static inline void doorbell_ring_fenced(struct doorbell *bell)
{
    /* relaxed: ordered after our publishing by the fence [B1] */
    if (UNLIKELY(atomic_load_explicit(&bell->armed, memory_order_relaxed) != 0))
        doorbell_wake(bell);
}

/* Ringer: after publishing. */
static inline void doorbell_ring(struct doorbell *bell)
{
    doorbell_fence();
    doorbell_ring_fenced(bell);
}

/* Counters, any thread (relaxed): how often it slept, how often a ring had to wake. */
uint64_t doorbell_sleeps(const struct doorbell *bell);
uint64_t doorbell_wakes(const struct doorbell *bell);

#endif
