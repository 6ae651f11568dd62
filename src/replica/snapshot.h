/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_REPLICA_SNAPSHOT_H
#define SYNOD_REPLICA_SNAPSHOT_H

/*
 * Snapshots of the store in files of their own, so that the log below them can be recycled: written
 * a slice a turn while the node goes on, checksummed by block, valid only once complete.
 *
 * A file is: one page of header (magic, version, cluster, slot, sizes, its own checksum), the
 * store's bytes, then a table of CRC32C, one for each 64 KiB of them. It is written under a
 * temporary name and renamed when whole; the file it replaces becomes the spare that the next one
 * is written into, so that pages are touched for the first time only once.
 *
 * Threads: as the replica. Errors: 0 or a negative errno.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/contract.h"
#include "store/store.h"
#include "wal/disk.h"

#define SNAPSHOT_PATH_BYTES      512
#define SNAPSHOT_DIRECTORY_BYTES (SNAPSHOT_PATH_BYTES - 64)

struct snapshot_file {
    bool is_open;
    uint64_t slot;
    uint64_t file_bytes; /* of them the file has this many in use; it may be longer */
    struct disk_file file;
};

struct snapshots {
    struct disk *disk;
    char directory[SNAPSHOT_DIRECTORY_BYTES];
    uint64_t cluster_id;
    bool is_synced; /* fdatasync before a rename */
    struct snapshot_file current;
    struct snapshot_file retired; /* may still be named by messages */
    struct snapshot_file spare;   /* may be written over; kept mapped, so that its pages stay in */
    struct {
        bool is_active;
        struct snapshot_file file;
        uint64_t store_bytes; /* to come in all */
        uint64_t written;
        size_t slice_bytes;
    } making;
    struct {
        bool is_active;
        uint64_t slot;
        uint64_t next; /* offset of the next byte of the file */
        struct snapshot_file file;
    } receiving;
    uint64_t taken, installed;
};

MUST_USE int snapshots_init(struct snapshots *snapshots, struct disk *disk, const char *directory,
                            uint64_t cluster_id, bool is_synced);
void snapshots_deinit(struct snapshots *snapshots);

/*
 * Finds the newest valid snapshot in the directory, loads it into the store and removes the others.
 * Its slot is snapshots->current.slot, 0 when there is none. -EBADMSG only when files claim to be
 * complete snapshots and none of them verifies.
 */
MUST_USE int snapshots_load_newest(struct snapshots *snapshots, struct store *store);

/* Begins one at the store's applied slot. -ENOSPC and others: nothing begun. */
MUST_USE int snapshots_begin(struct snapshots *snapshots, struct store *store);
/* Writes the next slice. 1: complete, and current from now on; 0: more to come; else a failure,
 * given up. */
MUST_USE int snapshots_step(struct snapshots *snapshots, struct store *store);
void snapshots_abandon(struct snapshots *snapshots, struct store *store);
/* What was retired is no longer named by any message. */
void snapshots_reclaim(struct snapshots *snapshots);

/*
 * Receiving a peer's: begin (not while one is being made; -EAGAIN while one is retired), then bytes
 * in order of offset. 1 when whole, verified, loaded and current; -EBADMSG when it was damaged on
 * the way: nothing changed; -EIO when the node cannot go on.
 */
MUST_USE int snapshots_receive_begin(struct snapshots *snapshots, uint64_t slot,
                                     uint64_t file_bytes);
void snapshots_receive_abandon(struct snapshots *snapshots);
MUST_USE int snapshots_receive(struct snapshots *snapshots, struct store *store,
                               const uint8_t *bytes, uint32_t count);

/* Bytes that snapshot files occupy. */
uint64_t snapshots_bytes(const struct snapshots *snapshots);

#endif
