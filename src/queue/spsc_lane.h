/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_QUEUE_SPSC_LANE_H
#define SYNOD_QUEUE_SPSC_LANE_H

/*
 * Bounded single-producer single-consumer ring of variable-length frames: a client's lane into a node,
 * and a node's lane back. A frame is contiguous (a frame that would wrap is preceded by padding) and
 * 8-byte aligned. Any frame up to spsc_lane_frame_limit() = capacity / 4 fits into an empty lane.
 *
 *   who may run with whom      claim  publish  | next  release  skip_all
 *   producer (one thread)        x       x     |
 *   consumer (one thread)                      |   x      x        x
 *
 * Full is an answer. Bulk publish and bulk release as in spsc_ring. Untouched capacity costs no memory
 * (the buffer is mapped lazily).
 */
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"

struct spsc_lane;

/* capacity_bytes: power of two, 4 KiB .. 1 GiB. -ENOMEM, -EINVAL. */
MUST_USE int spsc_lane_create(struct spsc_lane **lane, size_t capacity_bytes);
void spsc_lane_destroy(struct spsc_lane *lane);
size_t spsc_lane_frame_limit(const struct spsc_lane *lane);

/* Producer: room for a frame of `bytes` (1 .. frame limit), or NULL when full. To be filled in full
 * before publish. Several may be claimed before one publish. */
MUST_USE void *spsc_lane_claim(struct spsc_lane *lane, size_t bytes);
/* Producer: makes all claimed frames visible. */
void spsc_lane_publish(struct spsc_lane *lane);
/* Producer: bytes free for frames right now, at least (re-reads the consumer's index). */
size_t spsc_lane_room(struct spsc_lane *lane);

/* Consumer: the next frame, in order, or NULL when none. Stays valid until released. */
MUST_USE const void *spsc_lane_next(struct spsc_lane *lane, size_t *bytes);
/* Consumer: gives back every frame returned by next so far. */
void spsc_lane_release(struct spsc_lane *lane);
/* Consumer: drops everything published so far, unread. */
void spsc_lane_skip_all(struct spsc_lane *lane);
/* Consumer: whether a frame is waiting (one acquire load at most). */
MUST_USE int spsc_lane_has_next(struct spsc_lane *lane);

#endif
