/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_WAL_SEGMENTED_LOG_H
#define SYNOD_WAL_SEGMENTED_LOG_H

/*
 * Segmented Log
 *
 * Problem:    one ever-growing file can neither be cut at the front nor reserved in advance.
 * Rule:       the log is a ring of equal files with consecutive ids. Records go to the active one;
 * a full one is sealed and the next spare takes over; the oldest, once nobody needs their slots,
 * become spares again under new ids. Invariant:  lowest <= live <= active <= highest, all ids
 * between exist; a record is never in a segment below `live`'s last written value unless it is not
 * needed; behind the last record of a segment nothing verifies under the segment's key. Neighbours:
 * segment (one file), log_recovery (brings the ring back after a crash), write_ahead_log (what the
 * records mean, where each slot is).
 *
 *     lowest            live                active              highest
 *       | retired ...     | sealed ...         | being written     | spares ...
 *
 * Threads: the owner's, but for segmented_log_prepare(). Errors: 0 or a negative errno.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cacheline.h"
#include "wal/log_state.h"
#include "wal/segment.h"

struct wal_config;

/* The end of a segment is kept for what must fit when the log is full: the state records of a reset
 * and of a reclaim, the seal, and the blank header behind it. */
#define SEGMENT_ID_LAST      (UINT32_MAX - 1) /* ids are never reused: a log ends there, full */
#define SEGMENT_SEAL_ROOM    (RECORD_HEADER_BYTES + RECORD_HEADER_BYTES)
#define SEGMENT_RECLAIM_ROOM SEGMENT_SEAL_ROOM
#define SEGMENT_RESET_ROOM   (SEGMENT_RECLAIM_ROOM + LOG_STATE_RECORD_BYTES)
#define SEGMENT_APPEND_ROOM  (SEGMENT_RESET_ROOM + LOG_STATE_RECORD_BYTES)

struct segmented_log {
    /* What an append touches. */
    uint8_t *tail;       /* where the next record goes */
    uint8_t *append_end; /* ordinary records end at or before it; == tail once the log has failed */
    uint32_t key;
    uint32_t active_index; /* place in `segments` */
    struct segment *active_segment;
    int failed; /* 0, or what every later append says */
    uint64_t records_appended, bytes_appended;
    struct log_state state; /* as the next RECORD_STATE will have it */

    struct segment *segments; /* segment id i is segments[i % count] */
    uint32_t count;
    uint32_t lowest, live;
    uint32_t written_first_segment; /* first_segment of the last RECORD_STATE written */
    uint64_t clean_position;        /* log end after the last sync */
    uint64_t rolls, syncs;
    bool names_are_stale;

    struct disk *disk;
    char *directory;
    struct segment_owner owner;

    /* Read by the preparing thread. */
    _Alignas(CACHELINE_PAIR) _Atomic uint32_t active;
    _Atomic uint32_t highest;
};

static inline struct segment *segmented_log_segment(const struct segmented_log *log, uint32_t id)
{
    return &log->segments[id % log->count];
}

/* Where the next record goes, as log_position(). */
static inline uint64_t segmented_log_end(const struct segmented_log *log)
{
    return log_position(log->active_segment->id,
                        (uint64_t)(log->tail - log->active_segment->file.bytes));
}

/* The largest payload a record of this log can have. */
uint32_t segmented_log_payload_limit(const struct segmented_log *log);

/* Makes the active segment's spare successor active. -ENOSPC, or `failed`. */
MUST_USE int segmented_log_roll(struct segmented_log *log);

/* Room for an ordinary record of `bytes` bytes at log->tail, rolling when needed. */
static inline int segmented_log_reserve(struct segmented_log *log, uint32_t bytes)
{
    if (LIKELY((uint64_t)(log->append_end - log->tail) >= bytes))
        return 0;
    return segmented_log_roll(log);
}

/* Counts a record written at log->tail. */
static inline void segmented_log_advance(struct segmented_log *log, uint32_t bytes)
{
    log->tail += bytes;
    log->records_appended++;
    log->bytes_appended += bytes;
}

/* Appends a record without payload (RECORD_PROMISE, RECORD_MARK). */
MUST_USE int segmented_log_append_bare(struct segmented_log *log, enum record_kind kind,
                                       uint64_t ballot, uint64_t slot);

/* Makes everything appended durable; nothing to do without WAL_SYNC_BATCH. -EIO is final. */
MUST_USE int segmented_log_sync(struct segmented_log *log);

/* Retires the oldest sealed segments whose records are all released. */
void segmented_log_retire(struct segmented_log *log);
/* Retired segments become spares. */
void segmented_log_reclaim(struct segmented_log *log);
/* Voids every accept record, releases the slots up to `slot` and retires all but the active
 * segment, a fresh one when there is a spare. -ENOSPC, -EIO. */
MUST_USE int segmented_log_reset(struct segmented_log *log, uint64_t slot);

/* Releases the slots up to `slot`, retires what that frees, and writes both down. -ENOSPC: nothing
 * changed; -EIO. */
MUST_USE int segmented_log_supersede(struct segmented_log *log, uint64_t slot);

/* Prefaults up to `segments` spares. The owner's or one other thread's; returns how many. */
uint32_t segmented_log_prepare(struct segmented_log *log, uint32_t segments);

/* Gives files the names of what they hold by now; failing to costs nothing but a misleading name.
 */
void segmented_log_rename(struct segmented_log *log);

/* For log_recovery: makes a file that nothing needs an empty segment of a new id. -EIO. */
MUST_USE int segmented_log_recycle(struct segmented_log *log, struct segment *segment, uint32_t id);
/* For log_recovery: creates the file of a segment. -ENOSPC. */
MUST_USE int segmented_log_create_segment(struct segmented_log *log, struct segment *segment,
                                          uint32_t id);
/* For log_recovery: appends start at `offset` of segment `id`. */
void segmented_log_activate(struct segmented_log *log, uint32_t id, size_t offset);
/* For log_recovery: writes the state into the active segment, or opens the next one with it.
 * -ENOSPC. */
MUST_USE int segmented_log_append_state(struct segmented_log *log, uint32_t room_behind);
/* Path of a file of the log. */
MUST_USE int segmented_log_path(const struct segmented_log *log, const char *name, char *path,
                                size_t path_bytes);
/* Unmaps all files and frees what the ring holds. */
void segmented_log_deinit(struct segmented_log *log);

#endif
