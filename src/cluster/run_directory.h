/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLUSTER_RUN_DIRECTORY_H
#define SYNOD_CLUSTER_RUN_DIRECTORY_H

/*
 * Where a cluster's logs live: one directory with one below it for each node, a lock file that
 * keeps other clusters out, and the file `cluster.id`, written when the directory is first used:
 * the cluster's id, so that no log is ever taken for another's, and its shape.
 *
 * The shape is what the logs mean: with other nodes or quorums, two quorums of before and after
 * need not meet, and writes that were acknowledged would be lost; with smaller limits, commands of
 * before would no longer be valid. A directory is opened with the shape it was made with, or with
 * larger limits, or not at all.
 *
 * cluster.id, little endian, one page: u64 magic, u32 version, u32 CRC32C of what follows (40
 * bytes), u64 id, u32 nodes, phase-1 quorum, phase-2 quorum, key bytes, value bytes, 3 zeros.
 * Written under another name and renamed: it is there whole or not at all.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "wal/disk.h"

#define RUN_DIRECTORY_BYTES 400

struct run_shape {
    uint32_t nodes, phase1_quorum, phase2_quorum;
    uint32_t max_key_bytes, max_value_bytes;
};

struct run_directory {
    char path[RUN_DIRECTORY_BYTES];
    bool is_removed_at_close;
    bool is_locked;
    int lock;
    long lock_holder; /* who has it, when open failed with -EBUSY; 0: unknown */
    uint64_t cluster_id;
    struct run_shape shape; /* what the directory holds, also when open failed with -ESTALE */
};

/*
 * asked: NULL for a fresh one below /dev/shm, of a name nobody has had; removed at close unless
 * keep. 0 or -errno: -EBUSY: in use; -ESTALE: of another shape; -EBADMSG: cluster.id is damaged;
 * -EPROTONOSUPPORT: of a newer version. To be closed in any case.
 */
MUST_USE int run_directory_open(struct run_directory *directory, struct disk *disk,
                                const char *asked, bool keep, const struct run_shape *shape);
/* Unlocks it, and removes it with all that is in it, if it is to be removed. Nobody uses it any
 * more. Closing one that is closed, or all zero, does nothing. */
void run_directory_close(struct run_directory *directory, struct disk *disk);
void run_directory_of_node(const struct run_directory *directory, uint32_t node, char *path,
                           size_t size);
/* Whether the node's directory is there and holds anything. */
bool run_directory_has_node(const struct run_directory *directory, struct disk *disk,
                            uint32_t node);

#endif
