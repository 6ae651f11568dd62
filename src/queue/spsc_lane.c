/* SPDX-License-Identifier: MIT */
#include "queue/spsc_lane.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CAPACITY_MIN ((size_t)4 << 10)
#define CAPACITY_MAX ((size_t)1 << 30)

_Static_assert(sizeof(struct spsc_lane_header) == SPSC_LANE_ALIGN,
               "the shortest rest of the buffer holds a header");

int spsc_lane_create(struct spsc_lane **lane, size_t capacity_bytes)
{
    return spsc_lane_create_at(lane, capacity_bytes, 0);
}

int spsc_lane_create_at(struct spsc_lane **lane, size_t capacity_bytes, uint64_t first_position)
{
    if (capacity_bytes < CAPACITY_MIN || capacity_bytes > CAPACITY_MAX ||
        (capacity_bytes & (capacity_bytes - 1)) != 0 || first_position % SPSC_LANE_ALIGN != 0)
        return -EINVAL;
    struct spsc_lane *made = aligned_alloc(CACHELINE_PAIR, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    void *buffer = mmap(NULL, capacity_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (buffer == MAP_FAILED) {
        free(made);
        return -ENOMEM;
    }
    made->buffer = buffer;
    made->capacity = capacity_bytes;
    made->claimed = made->produced = made->released_seen = first_position;
    made->cursor = made->returned = made->published_seen = first_position;
    atomic_init(&made->published, first_position);
    atomic_init(&made->released, first_position);
    *lane = made;
    return 0;
}

void spsc_lane_destroy(struct spsc_lane *lane)
{
    if (lane == NULL)
        return;
    int result = munmap(lane->buffer, lane->capacity);
    ASSERT(result == 0);
    free(lane);
}

size_t spsc_lane_room(struct spsc_lane *lane)
{
    /* acquire: pairs with spsc_lane release [L2]; a claim may rely on the index read here */
    lane->released_seen = atomic_load_explicit(&lane->released, memory_order_acquire);
    uint64_t free_bytes = lane->capacity - (lane->claimed - lane->released_seen);
    uint64_t to_end = lane->capacity - (lane->claimed & (lane->capacity - 1));
    if (free_bytes <= to_end)
        return free_bytes;
    /* Frames up to to_end in sum need no padding. More cross the end of the buffer once, and the
     * padding there is shorter than a frame: no longer than the frame limit, nor than to_end. */
    uint64_t limit = spsc_lane_frame_limit(lane);
    uint64_t across = free_bytes - (to_end < limit ? to_end : limit);
    return across > to_end ? across : to_end;
}

void spsc_lane_skip_all(struct spsc_lane *lane)
{
    /* acquire: pairs with spsc_lane publish [L1]; the producer's writes to the dropped frames come
     * before it may claim their bytes again, and before anything this thread does about the drop */
    lane->published_seen = atomic_load_explicit(&lane->published, memory_order_acquire);
    lane->cursor = lane->published_seen;
    spsc_lane_release(lane);
}
