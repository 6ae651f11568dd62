/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_WAL_SEGMENT_H
#define SYNOD_WAL_SEGMENT_H

/*
 * One file of the log: a header page, written once in each of the file's lives, and records behind
 * it. docs/wal-format.md, "Segment".
 *
 * The header changes only while no record of the log needs the file, in three steps that leave a
 * readable header or none: invalidate, blank the place of the first record, write the new header
 * with its magic number last.
 *
 * Threads: the log's owner. segment_prefault() alone may run on one other thread.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wal/disk.h"
#include "wal/record.h"

#define SEGMENT_HEADER_BYTES   4096u /* its own page: never rewritten beside records */
#define SEGMENT_FORMAT_VERSION 1u
#define SEGMENT_NAME_BYTES     48u
#define SEGMENT_BYTES_MIN      (64u << 10)
#define SEGMENT_BYTES_MAX      (1u << 30)

/* Whose segment it is; equal in all segments of a log. */
struct segment_owner {
    uint64_t cluster_id;
    uint32_t node;
    uint64_t segment_bytes;
};

struct segment {
    struct disk_file file;
    uint32_t id; /* 0: its header cannot be read */
    uint32_t key;
    uint64_t first_slot;        /* lowest slot its name speaks of; 0: a spare's name */
    uint64_t highest_slot;      /* of accept records in force in it; 0: none */
    bool name_is_stale;         /* the file's name is not yet that of (id, first_slot) */
    _Atomic bool is_prefaulted; /* relaxed both ways: only saves work */
    char name[SEGMENT_NAME_BYTES];
};

/* Names are for people: the header is what counts. first_slot 0 names a spare. */
void segment_name(char name[SEGMENT_NAME_BYTES], uint32_t id, uint64_t first_slot);
/* Whether a file of this name holds a segment (".wal"), or is one half made (".tmp"). */
bool segment_name_is_segment(const char *name);
bool segment_name_is_unfinished(const char *name);

/*
 * Reads the header: the owner, and the id and key into the segment.
 * 0; -EBADMSG no header that could be read (id becomes 0); -EPROTONOSUPPORT a newer format.
 */
MUST_USE int segment_header_read(struct segment *segment, struct segment_owner *owner);
/* From now on no header can be read. */
void segment_header_invalidate(struct segment *segment);
/* Makes an invalidated segment an empty one of a new id. */
void segment_header_write(struct segment *segment, const struct segment_owner *owner, uint32_t id);

/*
 * A walk over the records in front, in order; `offset` is where the next one is expected.
 * With `is_verified` each is checked; without, they are known to be good up to `end`.
 */
struct segment_walk {
    const struct segment *segment;
    size_t offset;
    size_t end;
    bool is_verified;
};

/* The next record and its offset, or false at the first that is not good; what was seen there is
 * then in `check`. */
MUST_USE bool segment_walk_next(struct segment_walk *walk, struct record_check *check,
                                size_t *record_offset);

/* Good records found behind a place where the log seems to end. */
struct segment_survivors {
    uint64_t count;
    uint64_t proof; /* highest log_state_proof() among them */
};

/*
 * Adds the good records that start anywhere (8-aligned) in [from, size) of the segment. Linear in
 * the bytes searched, whatever they are. -ENOMEM.
 */
MUST_USE int segment_find_survivors(const struct segment *segment, size_t from,
                                    struct segment_survivors *survivors);

/* Whether the place for a record's header is blank. */
MUST_USE bool segment_is_blank_at(const struct segment *segment, size_t offset);
/* Zeroes everything from `from` on; returns the end of what was not zero, `from` when nothing was.
 */
size_t segment_wipe(struct segment *segment, size_t from);

/* Makes the pages writable without a fault. The owner's, or one other thread's. */
void segment_prefault(struct segment *segment, struct disk *disk);

#endif
