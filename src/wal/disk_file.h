/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_WAL_DISK_FILE_H
#define SYNOD_WAL_DISK_FILE_H

/*
 * The disk port over Linux files: tmpfs and real disks. Space is reserved by fallocate before a
 * file is mapped shared; a directory is taken by flock on the file `lock` in it, which the kernel
 * gives back however the holder ends, and which holds the holder's pid in decimal for people to
 * read.
 */
#include "wal/disk.h"

/* The one instance; it has no state. Any thread. */
struct disk *disk_file(void);

#endif
