/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_WAL_DISK_H
#define SYNOD_WAL_DISK_H

/*
 * The disk port: everything the write-ahead log and the snapshots ask of a file system, so that the
 * simulator can stand in its place. disk_file.h is the real one (tmpfs and disks).
 *
 * Files are reserved in full before they are mapped: a full tmpfs is a clean -ENOSPC here, never a
 * SIGBUS at the first touch. Threads: one disk may serve many logs; every call is thread-safe as
 * far as it names different files. Errors: 0 or a negative errno.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"

struct disk_file {
    uint8_t *bytes; /* the mapping, read-write */
    size_t size;
    int handle; /* the implementation's own */
};

typedef void disk_name_fn(void *context, const char *name);

struct disk_ops {
    /* Creates the directory (parents included) when absent. */
    int (*directory_create)(void *self, const char *directory);
    /* Takes the directory for this process; -EBUSY, with the holder's pid in *holder, when taken.
     */
    int (*directory_lock)(void *self, const char *directory, int *lock, long *holder);
    void (*directory_unlock)(void *self, int lock);
    /* Calls fn for every file in it, in no particular order. */
    int (*list)(void *self, const char *directory, disk_name_fn *fn, void *context);
    /* Creates (or opens, when there) a file, reserves `size` bytes in full and maps it. */
    int (*create)(void *self, const char *path, size_t size, struct disk_file *file);
    /* Maps an existing file at its size. -ENOENT when absent. */
    int (*open)(void *self, const char *path, struct disk_file *file);
    /* Unmaps; the file stays. */
    void (*close)(void *self, struct disk_file *file);
    /* Makes bytes [offset, offset + length) durable (fdatasync). */
    int (*sync)(void *self, struct disk_file *file, size_t offset, size_t length);
    int (*rename)(void *self, const char *from, const char *to);
    int (*remove)(void *self, const char *path);
    /* Makes creations, renames and removals in the directory durable (fsync of the directory). */
    int (*directory_sync)(void *self, const char *directory);
    /* Bytes that can still be reserved in the directory's file system: what it has free and, where
     * its files live in memory, no more than the memory there is. UINT64_MAX when unknown. */
    uint64_t (*free_bytes)(void *self, const char *directory);
    /* Touches every page of [offset, offset + length) for writing, so that later stores do not
     * fault. */
    void (*prefault)(void *self, struct disk_file *file, size_t offset, size_t length);
};

struct disk {
    const struct disk_ops *ops;
    void *self;
};

#endif
