/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_QUEUE_SPSC_LANE_H
#define SYNOD_QUEUE_SPSC_LANE_H

/*
 * Bounded single-producer single-consumer ring of variable-length frames: a client's lane into a
 * node, and a node's lane back. A frame is contiguous (a frame that would wrap is preceded by
 * padding) and 8-byte aligned. Any frame up to spsc_lane_frame_limit() = capacity / 4 fits into an
 * empty lane.
 *
 *   who may run with whom      claim  publish  room | next  has_next  release  skip_all
 *   producer (one thread)        x       x       x  |
 *   consumer (one thread)                           |   x       x        x        x
 *
 * Full is an answer. Bulk publish and bulk release as in spsc_ring. Untouched capacity costs no
 * memory (the buffer is mapped lazily).
 *
 * Layout: every frame is an 8-byte header and its bytes, rounded up to 8. Positions are 64-bit byte
 * counts that never wrap and are always multiples of 8, so the rest of the buffer, when it is too
 * short for a frame, still holds a header: that of the padding. Padding is only ever claimed
 * together with the frame behind it, so what is published never ends in padding.
 *
 * Why capacity / 4 always fits: with L = capacity / 4 a frame takes at most L + 8 bytes, and
 * padding is shorter than the frame it makes way for, at most L. An empty lane must therefore offer
 * 2L + 8 bytes and has 4L. It even takes a second such frame while the first is unreleased (3L +
 * 16), so a consumer holding one frame never starves the producer of the longest one.
 */
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cacheline.h"
#include "base/contract.h"

#define SPSC_LANE_ALIGN 8

struct spsc_lane_header {
    uint32_t bytes;      /* behind this header, before rounding up */
    uint32_t is_padding; /* 0: a frame; 1: skip to the start of the buffer */
};

/*
 * Private to the functions below; in the header so that they can be inlined. Grouped by writer, as
 * in spsc_ring.
 *
 * Invariant: released <= cursor <= published <= claimed <= released + capacity, where released_seen
 * and published_seen lag behind what they are copies of.
 */
struct spsc_lane {
    /* Written once, by create. */
    alignas(CACHELINE_PAIR) unsigned char *buffer;
    uint64_t capacity;
    /* Producer's own. */
    alignas(CACHELINE_PAIR) uint64_t claimed;
    uint64_t produced; /* the value of published */
    uint64_t released_seen;
    /* Written by the producer, read by the consumer. */
    alignas(CACHELINE_PAIR) _Atomic uint64_t published;
    /* Consumer's own. */
    alignas(CACHELINE_PAIR) uint64_t cursor; /* behind the last frame handed out */
    uint64_t returned;                       /* the value of released */
    uint64_t published_seen;
    /* Written by the consumer, read by the producer. */
    alignas(CACHELINE_PAIR) _Atomic uint64_t released;
};

/* capacity_bytes: power of two, 4 KiB .. 1 GiB. -ENOMEM, -EINVAL. */
MUST_USE int spsc_lane_create(struct spsc_lane **lane, size_t capacity_bytes);
/* The same with a chosen first position (a multiple of 8): lets a test start just below a boundary.
 */
MUST_USE int spsc_lane_create_at(struct spsc_lane **lane, size_t capacity_bytes,
                                 uint64_t first_position);
/* NULL is allowed. Neither side may be using the lane any more. */
void spsc_lane_destroy(struct spsc_lane *lane);

static inline size_t spsc_lane_frame_limit(const struct spsc_lane *lane)
{
    return lane->capacity / 4;
}

/* Bytes of capacity a frame takes up, without padding before it. */
static inline uint64_t spsc_lane_frame_bytes(size_t bytes)
{
    uint64_t rounded = ((uint64_t)bytes + SPSC_LANE_ALIGN - 1) & ~(uint64_t)(SPSC_LANE_ALIGN - 1);
    return sizeof(struct spsc_lane_header) + rounded;
}

static inline struct spsc_lane_header *spsc_lane_header_at(const struct spsc_lane *lane,
                                                           uint64_t position)
{
    return (struct spsc_lane_header *)(void *)(lane->buffer + (position & (lane->capacity - 1)));
}

/* Producer: room for a frame of `bytes` (1 .. frame limit), or NULL when full. To be filled in full
 * before publish. Several may be claimed before one publish. */
MUST_USE static inline void *spsc_lane_claim(struct spsc_lane *lane, size_t bytes)
{
    ASSERT(bytes >= 1 && bytes <= spsc_lane_frame_limit(lane));
    uint64_t frame = spsc_lane_frame_bytes(bytes);
    uint64_t to_end = lane->capacity - (lane->claimed & (lane->capacity - 1));
    uint64_t padding = frame <= to_end ? 0 : to_end;
    uint64_t end = lane->claimed + padding + frame;
    if (UNLIKELY(end - lane->released_seen > lane->capacity)) {
        /* acquire: pairs with spsc_lane release [L2]; the consumer is done reading the bytes */
        lane->released_seen = atomic_load_explicit(&lane->released, memory_order_acquire);
        if (end - lane->released_seen > lane->capacity)
            return NULL;
    }
    struct spsc_lane_header *header = spsc_lane_header_at(lane, lane->claimed);
    if (UNLIKELY(padding != 0)) {
        header->bytes = (uint32_t)(padding - sizeof *header);
        header->is_padding = 1;
        header = spsc_lane_header_at(lane, lane->claimed + padding);
    }
    header->bytes = (uint32_t)bytes;
    header->is_padding = 0;
    lane->claimed = end;
    return header + 1;
}

/* Producer: makes all claimed frames visible. */
static inline void spsc_lane_publish(struct spsc_lane *lane)
{
    if (lane->claimed == lane->produced)
        return; /* an empty publish must not take the line from the consumer */
    lane->produced = lane->claimed;
    /* release: pairs with spsc_lane next, has_next [L1]; headers and frame bytes visible */
    atomic_store_explicit(&lane->published, lane->claimed, memory_order_release);
}

/* Producer: bytes free for frames right now, at least (re-reads the consumer's index): frames whose
 * spsc_lane_frame_bytes() add up to no more than this can all be claimed, whatever their lengths.
 */
size_t spsc_lane_room(struct spsc_lane *lane);

/* Consumer: whether a frame is waiting (one acquire load at most). */
MUST_USE static inline bool spsc_lane_has_next(struct spsc_lane *lane)
{
    if (lane->published_seen == lane->cursor) {
        /* acquire: pairs with spsc_lane publish [L1]; headers and frame bytes visible */
        lane->published_seen = atomic_load_explicit(&lane->published, memory_order_acquire);
    }
    return lane->published_seen != lane->cursor;
}

/* Consumer: the next frame, in order, or NULL when none. Stays valid until released. */
MUST_USE static inline const void *spsc_lane_next(struct spsc_lane *lane, size_t *bytes)
{
    if (!spsc_lane_has_next(lane))
        return NULL;
    const struct spsc_lane_header *header = spsc_lane_header_at(lane, lane->cursor);
    if (UNLIKELY(header->is_padding)) {
        lane->cursor += spsc_lane_frame_bytes(header->bytes);
        ASSERT_SLOW((lane->cursor & (lane->capacity - 1)) == 0);
        header = spsc_lane_header_at(lane, lane->cursor);
    }
    ASSERT_SLOW(header->bytes >= 1 && header->bytes <= spsc_lane_frame_limit(lane));
    lane->cursor += spsc_lane_frame_bytes(header->bytes);
    ASSERT_SLOW(lane->published_seen - lane->cursor <= lane->capacity);
    *bytes = header->bytes;
    return header + 1;
}

/* Consumer: gives back every frame returned by next so far. */
static inline void spsc_lane_release(struct spsc_lane *lane)
{
    if (lane->cursor == lane->returned)
        return;
    lane->returned = lane->cursor;
    /* release: pairs with spsc_lane claim, room [L2]; our reads of the frames come before */
    atomic_store_explicit(&lane->released, lane->cursor, memory_order_release);
}

/* Consumer: drops everything published so far, unread. */
void spsc_lane_skip_all(struct spsc_lane *lane);

#endif
