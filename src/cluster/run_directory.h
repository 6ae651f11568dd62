/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLUSTER_RUN_DIRECTORY_H
#define SYNOD_CLUSTER_RUN_DIRECTORY_H

/*
 * Where a cluster's logs live: one directory with one below it for each node and a file that holds
 * the cluster's id, drawn when the directory is first used, so that no log is ever taken for
 * another's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "wal/disk.h"

#define RUN_DIRECTORY_BYTES 400

struct run_directory {
    char path[RUN_DIRECTORY_BYTES];
    bool is_removed_at_close;
    uint64_t cluster_id;
};

/* asked: NULL for a fresh one below /dev/shm. 0 or -errno. */
MUST_USE int run_directory_open(struct run_directory *directory, struct disk *disk,
                                const char *asked, bool keep);
/* Removes what is in it, if it is to be removed. Nobody uses it any more. */
void run_directory_close(struct run_directory *directory, struct disk *disk, uint32_t nodes);
void run_directory_of_node(const struct run_directory *directory, uint32_t node, char *path,
                           size_t size);
/* Bytes the file system has free for us; UINT64_MAX when it will not say. */
uint64_t run_directory_free_bytes(const struct run_directory *directory);

#endif
