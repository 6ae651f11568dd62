/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_QUEUE_SPSC_RING_H
#define SYNOD_QUEUE_SPSC_RING_H

/*
 * Bounded single-producer single-consumer ring of 64-byte messages: one direction of one link of the
 * mesh between nodes.
 *
 *   who may run with whom      claim  publish  produced | peek  at  release
 *   producer (one thread)        x       x        x     |
 *   consumer (one thread)                               |   x    x     x
 *   spsc_ring_consumed, spsc_ring_fill: any thread (a lower bound and an estimate)
 *
 * Full is an answer, never a wait. Claimed slots become visible together, at publish (bulk publish);
 * released slots become free together, at release. Each side caches the other's index and re-reads it
 * only when the cached one says full or empty, so in steady state a batch moves one index line each way.
 * Indices are 64-bit and never wrap.
 */
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cacheline.h"
#include "base/contract.h"

#define SPSC_RING_SLOT_BYTES 64

struct spsc_ring;

/* capacity: power of two, 2 .. 1 << 20. -ENOMEM, -EINVAL. */
MUST_USE int spsc_ring_create(struct spsc_ring **ring, uint32_t capacity);
void spsc_ring_destroy(struct spsc_ring *ring);

/* Producer: the next free slot, to be filled; NULL when full. Invisible until publish. */
MUST_USE void *spsc_ring_claim(struct spsc_ring *ring);
/* Producer: makes all slots claimed since the last publish visible. */
void spsc_ring_publish(struct spsc_ring *ring);
/* Producer: how many messages were ever published. */
uint64_t spsc_ring_produced(const struct spsc_ring *ring);

/* Consumer: how many messages can be read now. */
MUST_USE uint32_t spsc_ring_peek(struct spsc_ring *ring);
/* Consumer: the i-th of them (i < the last peek). Valid until released. */
const void *spsc_ring_at(const struct spsc_ring *ring, uint32_t i);
/* Consumer: gives the first `count` of them back. */
void spsc_ring_release(struct spsc_ring *ring, uint32_t count);

/* Any thread: how many messages were ever released (acquire: what the consumer read of them, and of
 * the memory they named, happened before). */
uint64_t spsc_ring_consumed(const struct spsc_ring *ring);
uint32_t spsc_ring_capacity(const struct spsc_ring *ring);

#endif
