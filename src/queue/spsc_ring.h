/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_QUEUE_SPSC_RING_H
#define SYNOD_QUEUE_SPSC_RING_H

/*
 * Bounded single-producer single-consumer ring of 64-byte messages: one direction of one link of
 * the mesh between nodes.
 *
 *   who may run with whom      claim  publish  produced | peek  at  release  skip_all
 *   producer (one thread)        x       x        x     |
 *   consumer (one thread)                               |   x    x     x        x
 *   spsc_ring_consumed, spsc_ring_fill: any thread (a lower bound and an estimate)
 *
 * Full is an answer, never a wait. Claimed slots become visible together, at publish (bulk
 * publish); released slots become free together, at release. Each side caches the other's index and
 * re-reads it only when the cached one says full or empty, so in steady state a batch moves one
 * index line each way. Indices are 64-bit and never wrap. The tags [R1], [R2] are explained in
 * docs/memory-order.md.
 */
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cacheline.h"
#include "base/contract.h"

#define SPSC_RING_SLOT_BYTES 64

/*
 * Private to the functions below; in the header so that they can be inlined. Grouped by writer.
 * Each side's own fields are kept apart even from the index it publishes: claiming must not fight
 * for the line the other side is polling.
 *
 * Invariant: released <= head <= published <= claimed <= released + capacity, where released_seen
 * and published_seen lag behind what they are copies of.
 */
struct spsc_ring {
    /* Written once, by create. */
    alignas(CACHELINE_PAIR) uint64_t mask; /* capacity - 1 */
    /* Producer's own. */
    alignas(CACHELINE_PAIR) uint64_t claimed;
    uint64_t produced; /* the value of published */
    uint64_t released_seen;
    /* Written by the producer, read by the consumer. */
    alignas(CACHELINE_PAIR) _Atomic uint64_t published;
    /* Consumer's own. */
    alignas(CACHELINE_PAIR) uint64_t head; /* the value of released */
    uint64_t published_seen;
    /* Written by the consumer, read by the producer. */
    alignas(CACHELINE_PAIR) _Atomic uint64_t released;

    alignas(CACHELINE_PAIR) unsigned char slots[];
};

/* capacity: power of two, 2 .. 1 << 20. -ENOMEM, -EINVAL. */
MUST_USE int spsc_ring_create(struct spsc_ring **ring, uint32_t capacity);
/* The same with a chosen first index: lets a test start just below a boundary. Messages count from
 * there, in produced and consumed too. */
MUST_USE int spsc_ring_create_at(struct spsc_ring **ring, uint32_t capacity, uint64_t first_index);
/* NULL is allowed. Neither side may be using the ring any more. */
void spsc_ring_destroy(struct spsc_ring *ring);

/* Producer: the next free slot, to be filled; NULL when full. Invisible until publish. */
MUST_USE static inline void *spsc_ring_claim(struct spsc_ring *ring)
{
    if (UNLIKELY(ring->claimed - ring->released_seen > ring->mask)) {
        /* acquire: pairs with spsc_ring release [R2]; the consumer is done reading the slots */
        ring->released_seen = atomic_load_explicit(&ring->released, memory_order_acquire);
        if (ring->claimed - ring->released_seen > ring->mask)
            return NULL;
    }
    return ring->slots + (ring->claimed++ & ring->mask) * SPSC_RING_SLOT_BYTES;
}

/* Producer: makes all slots claimed since the last publish visible. */
static inline void spsc_ring_publish(struct spsc_ring *ring)
{
    if (ring->claimed == ring->produced)
        return; /* an empty publish must not take the line from the consumer */
    ring->produced = ring->claimed;
    /* release: pairs with spsc_ring peek [R1]; slot bytes visible */
    atomic_store_explicit(&ring->published, ring->claimed, memory_order_release);
}

/* Producer: how many messages were ever published. */
static inline uint64_t spsc_ring_produced(const struct spsc_ring *ring)
{
    return ring->produced;
}

/* Consumer: how many messages can be read now. */
MUST_USE static inline uint32_t spsc_ring_peek(struct spsc_ring *ring)
{
    if (ring->published_seen == ring->head) {
        /* acquire: pairs with spsc_ring publish [R1]; slot bytes visible */
        ring->published_seen = atomic_load_explicit(&ring->published, memory_order_acquire);
    }
    return (uint32_t)(ring->published_seen - ring->head);
}

/* Consumer: the i-th of them (i < the last peek). Valid until released. */
static inline const void *spsc_ring_at(const struct spsc_ring *ring, uint32_t i)
{
    ASSERT_SLOW(i < ring->published_seen - ring->head);
    return ring->slots + ((ring->head + i) & ring->mask) * SPSC_RING_SLOT_BYTES;
}

/* Consumer: gives the first `count` of them back. */
static inline void spsc_ring_release(struct spsc_ring *ring, uint32_t count)
{
    ASSERT_SLOW(count <= ring->published_seen - ring->head);
    if (count == 0)
        return;
    ring->head += count;
    /* release: pairs with spsc_ring claim, consumed [R2]; our reads of the slots come before */
    atomic_store_explicit(&ring->released, ring->head, memory_order_release);
}

/* Consumer: drops everything published so far, unread (a restarted node clears its links so). */
void spsc_ring_skip_all(struct spsc_ring *ring);

/* Any thread: how many messages were ever released (acquire: what the consumer read of them, and of
 * the memory they named, happened before). */
static inline uint64_t spsc_ring_consumed(const struct spsc_ring *ring)
{
    /* acquire: pairs with spsc_ring release [R2] */
    return atomic_load_explicit(&ring->released, memory_order_acquire);
}

/* Any thread: about how many messages wait, 0 .. capacity. For counters, never for decisions. */
uint32_t spsc_ring_fill(const struct spsc_ring *ring);

static inline uint32_t spsc_ring_capacity(const struct spsc_ring *ring)
{
    return (uint32_t)(ring->mask + 1);
}

#endif
