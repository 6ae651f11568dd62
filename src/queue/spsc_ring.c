/* SPDX-License-Identifier: MIT */
#include "queue/spsc_ring.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 2U
#define CAPACITY_MAX (1U << 20)

_Static_assert(sizeof(struct spsc_ring) % SPSC_RING_SLOT_BYTES == 0, "slots are 64-byte aligned");

int spsc_ring_create(struct spsc_ring **ring, uint32_t capacity)
{
    return spsc_ring_create_at(ring, capacity, 0);
}

int spsc_ring_create_at(struct spsc_ring **ring, uint32_t capacity, uint64_t first_index)
{
    if (capacity < CAPACITY_MIN || capacity > CAPACITY_MAX || (capacity & (capacity - 1)) != 0)
        return -EINVAL;
    size_t bytes = sizeof(struct spsc_ring) + (size_t)capacity * SPSC_RING_SLOT_BYTES;
    struct spsc_ring *made = aligned_alloc(CACHELINE_PAIR, bytes);
    if (made == NULL)
        return -ENOMEM;
    made->mask = capacity - 1;
    made->claimed = made->produced = made->released_seen = first_index;
    made->head = made->published_seen = first_index;
    atomic_init(&made->published, first_index);
    atomic_init(&made->released, first_index);
    *ring = made;
    return 0;
}

void spsc_ring_destroy(struct spsc_ring *ring)
{
    free(ring);
}

void spsc_ring_skip_all(struct spsc_ring *ring)
{
    /* acquire: pairs with spsc_ring publish [R1]; the producer's writes to the dropped slots come
     * before it may claim them again, and before anything this thread does about the drop */
    ring->published_seen = atomic_load_explicit(&ring->published, memory_order_acquire);
    spsc_ring_release(ring, (uint32_t)(ring->published_seen - ring->head));
}

uint32_t spsc_ring_fill(const struct spsc_ring *ring)
{
    /* acquire: pairs with spsc_ring release [R2]; the published index read next is then no older
     * than the released one, so the difference cannot be negative. Both sides may have moved on
     * between the two loads, so it can exceed the capacity. */
    uint64_t released = atomic_load_explicit(&ring->released, memory_order_acquire);
    /* relaxed: the slots are not looked at */
    uint64_t published = atomic_load_explicit(&ring->published, memory_order_relaxed);
    uint64_t fill = published - released;
    return (uint32_t)(fill <= ring->mask ? fill : ring->mask + 1);
}
