/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_QUEUE_DOORBELL_H
#define SYNOD_QUEUE_DOORBELL_H

/*
 * How a thread sleeps until one of its queues has something, without ever missing it.
 *
 *   sleeper (one thread)                     ringer (any thread)
 *   arm:   armed = 1                         publish into a queue
 *   look at every queue again        <-->    ring: fence; if armed: armed = 0, wake
 *   nothing: wait while armed; else disarm
 *
 * Both sides write, fence (sequentially consistent), then read what the other writes: at least one of
 * them sees the other, so either the sleeper finds the work or the ringer finds it armed
 * (no lost wake-up; tests/model/doorbell.pml checks every interleaving). A ring at an unarmed bell is a
 * load: system calls happen only when somebody really sleeps.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/cacheline.h"
#include "base/contract.h"

struct doorbell;

MUST_USE int doorbell_create(struct doorbell **bell);
void doorbell_destroy(struct doorbell *bell);

/* Sleeper: announces that it is about to sleep. Look at every queue after this, then wait or disarm. */
void doorbell_arm(struct doorbell *bell);
void doorbell_disarm(struct doorbell *bell);
/* Sleeper, armed: sleeps until rung or until timeout_ns have passed (UINT64_MAX: no limit). Returns
 * whether it was rung. Disarmed afterwards either way. May wake spuriously (returns false). */
bool doorbell_wait(struct doorbell *bell, uint64_t timeout_ns);

/* Ringer: after publishing. */
void doorbell_ring(struct doorbell *bell);
/* Ringer of many: one fence for all bells rung after it in the same batch, each then with
 * doorbell_ring_fenced(). doorbell_ring = doorbell_fence + doorbell_ring_fenced. */
void doorbell_fence(void);
void doorbell_ring_fenced(struct doorbell *bell);

/* Counters, any thread (relaxed): how often it slept, how often a ring had to wake. */
uint64_t doorbell_sleeps(const struct doorbell *bell);
uint64_t doorbell_wakes(const struct doorbell *bell);

#endif
