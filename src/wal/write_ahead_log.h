/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_WAL_WRITE_AHEAD_LOG_H
#define SYNOD_WAL_WRITE_AHEAD_LOG_H

/*
 * Write-Ahead Log
 *
 * Problem:    a node that crashes must come back knowing everything it ever told anyone.
 * Rule:       a promise or an acceptance is a record in this log before it is answered.
 * Invariant:  recover(any crash image) is a prefix of what was appended that holds every durable
 *             record; recovering twice gives the same log.
 * Neighbours: segmented_log (where records live), record (their bytes), replica/recovery (who reads
 *             them back), core/replicated_log (what they mean).
 *
 * Threads: a log belongs to one thread (its node's). Only wal_prefault() and the records named by a
 * struct wal_extent may be touched by others, under the rules given with them.
 * Errors:  0 or a negative errno. After -EIO the log is failed for good: every later append says
 * -EIO.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "wal/disk.h"
#include "wal/record.h"

struct wal;

enum wal_sync {
    WAL_SYNC_NONE,  /* the mapped copy is the durable copy: survives SIGKILL, not power loss */
    WAL_SYNC_BATCH, /* wal_sync() calls fdatasync: for real disks */
};

struct wal_config {
    struct disk *disk;     /* borrowed; outlives the log */
    const char *directory; /* this node's own; created when absent; locked while open */
    uint64_t cluster_id;   /* a log of another cluster or node is refused with -EXDEV */
    uint32_t node;
    size_t segment_bytes; /* power of two, 64 KiB .. 1 GiB */
    uint32_t
        segment_count;    /* >= 4; all of them are reserved at open: -ENOSPC comes here or never */
    uint64_t index_slots; /* power of two: the most slots the log can hold at once */
    enum wal_sync sync;
};

/* What wal_open found; also filled when it fails with -EBADMSG (damage), so that a person can be
 * told. */
struct wal_recovery {
    uint64_t records;         /* good records handed to on_record */
    uint64_t bytes;           /* their bytes */
    uint64_t segments;        /* segments that held any */
    bool tail_was_torn;       /* an incomplete last record was cut: it had never been durable */
    char damaged_segment[80]; /* -EBADMSG: file name, "" otherwise */
    uint64_t damaged_offset;  /* ... byte offset of the first bad record in it */
    uint32_t checksum_stored; /* ... as found */
    uint32_t checksum_computed;
    uint64_t good_after; /* ... good records that follow the damage: why it was not cut */
    uint64_t promised; /* highest ballot in any promise or accept record, or carried by a header */
    uint64_t mark;     /* highest mark recorded: every slot up to it was chosen */
    long lock_holder;  /* -EBUSY: pid of the process that has the directory, 0 unknown */
};

/* Called for every good record, oldest first, while the log opens. */
typedef void wal_record_fn(void *context, const struct record *record);

/*
 * Opens or creates the log in config->directory, reserves all its segments (fallocate), recovers
 * what is there and, once that has proved sound, calls `on_record` for each good record in log
 * order: every promise and mark, and the accept records in force, that is neither forgotten by
 * wal_reset() nor known to be released. A record's payload is valid until its slot is released.
 * on_record may be NULL.
 *
 * Recovery: a bad record with nothing good behind it (in its segment and in later ones) is a torn
 * tail and is cut; a bad record with good records behind it is damage: -EBADMSG, nothing changed on
 * disk.
 *
 * 0; -EBADMSG damage; -ENOSPC; -EBUSY another process has the directory (the lock file names it);
 * -EXDEV foreign log; -EPROTONOSUPPORT newer format; -EINVAL config; other negative errno from the
 * disk.
 */
MUST_USE int wal_open(struct wal **wal, const struct wal_config *config, wal_record_fn *on_record,
                      void *context, struct wal_recovery *recovery);
/* Closes, keeping the files. wal may be NULL. No thread may still read its records. */
void wal_close(struct wal *wal);

/*
 * Appends. Each is 0, -ENOSPC when the log is full (no spare segment: nothing was written, the log
 * stays usable, space comes back with wal_release and wal_reclaim), or -EIO.
 *
 * wal_append_accept: one value (or no-op) accepted at `ballot` in `slot`; copies the payload. A
 * slot may be appended again at the same or a higher ballot; the latest record of a slot is the one
 * found. The slot must be above the released prefix and at most released + index_slots (else
 * -ERANGE). -EMSGSIZE: no segment could hold such a payload (see wal_payload_limit).
 */
MUST_USE int wal_append_accept(struct wal *wal, enum record_kind kind, uint64_t ballot,
                               uint64_t slot, uint64_t hybrid_time, const void *payload,
                               uint32_t payload_bytes);
/* The largest payload a record of this log can have; known from segment_bytes. */
uint32_t wal_payload_limit(const struct wal *wal);
MUST_USE int wal_append_promise(struct wal *wal, uint64_t ballot);
/* Records that all slots <= mark are chosen; a hint that shortens recovery, never needed for
 * safety. */
MUST_USE int wal_append_mark(struct wal *wal, uint64_t mark);

/*
 * A run of accept records with consecutive slots that lie back to back in one segment: what an
 * accept message names, so that a follower copies straight out of the leader's mapped log. The
 * bytes are immutable once appended, and stay mapped and unchanged until the segment is recycled,
 * which the owner does only through wal_reclaim().
 */
struct wal_extent {
    const uint8_t *bytes;
    uint32_t length;
    uint32_t segment_id; /* keys the records' checksums, see record.h */
    uint64_t first_slot;
    uint32_t count;
};

/*
 * The longest extent that starts at first_slot, ends at or before last_slot and is no longer than
 * max_bytes (but always at least one record). False when first_slot is not in the log.
 */
MUST_USE bool wal_extent_at(const struct wal *wal, uint64_t first_slot, uint64_t last_slot,
                            uint32_t max_bytes, struct wal_extent *extent);

/*
 * Appends a copy of another log's extent (or of this log's own), each record verified against its
 * checksum first and stored under `ballot` (which may be higher than the one it had).
 * extent->bytes comes from a peer of this process: lengths are checked all the same.
 * -EBADMSG: a record failed verification, or the slots are not first_slot .. first_slot + count -
 * 1; records before the bad one are appended and found. Likewise with the errors of
 * wal_append_accept.
 */
MUST_USE int wal_append_extent(struct wal *wal, const struct wal_extent *extent, uint64_t ballot);

/* Makes all appends durable as wal_sync defines it (no-op for WAL_SYNC_NONE). -EIO is final. */
MUST_USE int wal_sync(struct wal *wal);

/* The latest record of a slot, or false. Valid until that slot is released. */
MUST_USE bool wal_find(const struct wal *wal, uint64_t slot, struct record *record);

/*
 * Space. Slots <= `slot` are covered by a durable snapshot and no longer needed: from now on they
 * are not found; sealed segments that hold only such slots become retired, but keep their bytes,
 * because a message on its way may still name them. `wal_retired` counts them. Once the owner knows
 * that no such message exists, wal_reclaim() turns the segments retired so far into spares for
 * later appends.
 */
void wal_release(struct wal *wal, uint64_t slot);
uint32_t wal_retired(const struct wal *wal);
void wal_reclaim(struct wal *wal);

/*
 * Retires the oldest segments, too, whose records are all released or superseded by later ones of
 * the same slots, as happens when ballot after ballot proposes the same values again and nothing is
 * chosen. For a log short of space: looks at `records` records at most and goes on from there next
 * time.
 */
void wal_sweep(struct wal *wal, uint32_t records);

/*
 * Forgets every accept record (a snapshot at `slot`, durable by now, replaces the log), for good as
 * far as wal_sync defines it; the promise stays. All segments but a fresh one become retired (but
 * the active one when no spare is left: a full log can be reset too). Later appends start above
 * `slot`. -ENOSPC after several resets of a full log without wal_reclaim(); -EIO.
 */
MUST_USE int wal_reset(struct wal *wal, uint64_t slot);

/*
 * A snapshot from elsewhere, durable by now, takes the place of the slots up to `slot`, of which
 * this log may hold none, or values that were never chosen: they are released, and for good as far
 * as wal_sync defines it, so that no recovery finds them again. What was accepted above `slot`
 * stays. -ENOSPC after several of these in a full log without wal_reclaim(): nothing changed; -EIO.
 */
MUST_USE int wal_supersede(struct wal *wal, uint64_t slot);

struct wal_space {
    uint32_t segments_total, segments_spare, segments_retired;
    uint64_t bytes_reserved; /* all segment files of this log */
    uint64_t first_slot;     /* lowest slot not released, at least 1 */
    uint64_t last_slot;      /* highest slot appended, at least the released one (0: none) */
    uint64_t records_appended, bytes_appended, rolls, syncs; /* since the log was opened */
};
void wal_space(const struct wal *wal, struct wal_space *space);

/*
 * Touches the pages of up to `segments` spare segments that no append has used yet, so that the hot
 * path never faults (the first active segment is touched by wal_open). Recycled segments stay
 * touched. May be called from one other thread while the owner uses the log, until wal_close().
 * Returns how many segments it prefaulted.
 */
uint32_t wal_prefault(struct wal *wal, uint32_t segments);

#endif
