/* SPDX-License-Identifier: MIT */
#include "cluster/run_directory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/prng.h"
#include "base/time_source.h"

#define ID_FILE_BYTES 4096

static uint64_t draw_id(void)
{
    struct prng prng;
    prng_init(&prng, time_source_wall_ns() ^ ((uint64_t)getpid() << 40));
    return prng_next(&prng) | 1;
}

static int read_or_draw_id(struct run_directory *directory, struct disk *disk)
{
    char path[RUN_DIRECTORY_BYTES + 16];
    (void)snprintf(path, sizeof path, "%s/cluster.id", directory->path);
    struct disk_file file;
    int error = disk->ops->create(disk->self, path, ID_FILE_BYTES, &file);
    if (error < 0) {
        return error;
    }
    memcpy(&directory->cluster_id, file.bytes, sizeof directory->cluster_id);
    if (directory->cluster_id == 0) {
        directory->cluster_id = draw_id();
        memcpy(file.bytes, &directory->cluster_id, sizeof directory->cluster_id);
        error = disk->ops->sync(disk->self, &file, 0, ID_FILE_BYTES);
    }
    disk->ops->close(disk->self, &file);
    return error;
}

int run_directory_open(struct run_directory *directory, struct disk *disk, const char *asked,
                       bool keep)
{
    static _Atomic uint32_t opened;
    *directory = (struct run_directory){.is_removed_at_close = asked == NULL && !keep};
    int length;
    if (asked != NULL) {
        length = snprintf(directory->path, sizeof directory->path, "%s", asked);
    } else {
        length =
            snprintf(directory->path, sizeof directory->path, "/dev/shm/synod-%ld-%" PRIu32,
                     (long)getpid(), atomic_fetch_add_explicit(&opened, 1, memory_order_relaxed));
    }
    if (length <= 0 || (size_t)length >= sizeof directory->path) {
        return -ENAMETOOLONG;
    }
    int error = disk->ops->directory_create(disk->self, directory->path);
    return error < 0 ? error : read_or_draw_id(directory, disk);
}

void run_directory_of_node(const struct run_directory *directory, uint32_t node, char *path,
                           size_t size)
{
    (void)snprintf(path, size, "%s/node-%" PRIu32, directory->path, node);
}

struct emptying {
    struct disk *disk;
    const char *directory;
};

static void remove_file(void *context, const char *name)
{
    const struct emptying *emptying = context;
    char path[RUN_DIRECTORY_BYTES + 300];
    (void)snprintf(path, sizeof path, "%s/%s", emptying->directory, name);
    (void)emptying->disk->ops->remove(emptying->disk->self, path);
}

static void remove_directory(struct disk *disk, const char *path)
{
    struct emptying emptying = {.disk = disk, .directory = path};
    (void)disk->ops->list(disk->self, path, remove_file, &emptying);
    (void)rmdir(path);
}

void run_directory_close(struct run_directory *directory, struct disk *disk, uint32_t nodes)
{
    if (!directory->is_removed_at_close) {
        return;
    }
    for (uint32_t node = 0; node < nodes; node++) {
        char path[RUN_DIRECTORY_BYTES + 32];
        run_directory_of_node(directory, node, path, sizeof path);
        remove_directory(disk, path);
    }
    remove_directory(disk, directory->path);
}

uint64_t run_directory_free_bytes(const struct run_directory *directory)
{
    struct statvfs stat;
    if (statvfs(directory->path, &stat) != 0) {
        return UINT64_MAX;
    }
    return (uint64_t)stat.f_bavail * stat.f_frsize;
}
