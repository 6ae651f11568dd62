/* SPDX-License-Identifier: MIT */
#include "cluster/run_directory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "base/time_source.h"
#include "wal/disk_file.h"

#define ID_FILE_BYTES 4096
#define ID_MAGIC      UINT64_C(0x31444953594e4f44) /* "DONYSID1" */
#define ID_VERSION    1

enum { AT_MAGIC = 0, AT_VERSION = 8, AT_CHECKSUM = 12, AT_ID = 16, AT_SHAPE = 24, AT_END = 56 };

/* ---- cluster.id ---- */

static uint64_t draw_id(void)
{
    static _Atomic uint64_t drawn;
    struct prng prng;
    /* relaxed: only has to differ from the other draws of this process */
    uint64_t turn = atomic_fetch_add_explicit(&drawn, 1, memory_order_relaxed);
    prng_init(&prng, time_source_wall_ns() ^ ((uint64_t)getpid() << 40) ^ (turn << 56));
    return prng_next(&prng) | 1;
}

static void write_record(uint8_t *bytes, uint64_t id, const struct run_shape *shape)
{
    memset(bytes + AT_SHAPE, 0, AT_END - AT_SHAPE);
    bytes_store_u32(bytes + AT_VERSION, ID_VERSION);
    bytes_store_u64(bytes + AT_ID, id);
    bytes_store_u32(bytes + AT_SHAPE, shape->nodes);
    bytes_store_u32(bytes + AT_SHAPE + 4, shape->phase1_quorum);
    bytes_store_u32(bytes + AT_SHAPE + 8, shape->phase2_quorum);
    bytes_store_u32(bytes + AT_SHAPE + 12, shape->max_key_bytes);
    bytes_store_u32(bytes + AT_SHAPE + 16, shape->max_value_bytes);
    bytes_store_u32(bytes + AT_CHECKSUM, crc32c(0, bytes + AT_ID, AT_END - AT_ID));
    bytes_store_u64(bytes + AT_MAGIC, ID_MAGIC);
}

static int read_record(const uint8_t *bytes, uint64_t *id, struct run_shape *shape)
{
    bool is_intact =
        bytes_load_u64(bytes + AT_MAGIC) == ID_MAGIC &&
        bytes_load_u32(bytes + AT_CHECKSUM) == crc32c(0, bytes + AT_ID, AT_END - AT_ID);
    if (!is_intact) {
        return -EBADMSG;
    }
    if (bytes_load_u32(bytes + AT_VERSION) != ID_VERSION) {
        return -EPROTONOSUPPORT;
    }
    *id = bytes_load_u64(bytes + AT_ID);
    *shape = (struct run_shape){
        .nodes = bytes_load_u32(bytes + AT_SHAPE),
        .phase1_quorum = bytes_load_u32(bytes + AT_SHAPE + 4),
        .phase2_quorum = bytes_load_u32(bytes + AT_SHAPE + 8),
        .max_key_bytes = bytes_load_u32(bytes + AT_SHAPE + 12),
        .max_value_bytes = bytes_load_u32(bytes + AT_SHAPE + 16),
    };
    return 0;
}

/* Whether logs written under `held` mean the same under `asked`. */
static bool is_shape_good_for(const struct run_shape *asked, const struct run_shape *held)
{
    return asked->nodes == held->nodes && asked->phase1_quorum == held->phase1_quorum &&
           asked->phase2_quorum == held->phase2_quorum &&
           asked->max_key_bytes >= held->max_key_bytes &&
           asked->max_value_bytes >= held->max_value_bytes;
}

static int write_file(struct run_directory *directory, struct disk *disk, const char *path)
{
    char unfinished[RUN_DIRECTORY_BYTES + 20];
    (void)snprintf(unfinished, sizeof unfinished, "%s.new", path);
    struct disk_file file;
    int error = disk->ops->create(disk->self, unfinished, ID_FILE_BYTES, &file);
    if (error < 0) {
        return error;
    }
    write_record(file.bytes, directory->cluster_id, &directory->shape);
    error = disk->ops->sync(disk->self, &file, 0, ID_FILE_BYTES);
    disk->ops->close(disk->self, &file);
    if (error == 0) {
        error = disk->ops->rename(disk->self, unfinished, path);
    }
    return error < 0 ? error : disk->ops->directory_sync(disk->self, directory->path);
}

/* Finds what the directory holds, and leaves it holding `asked`. */
static int agree_on_record(struct run_directory *directory, struct disk *disk,
                           const struct run_shape *asked)
{
    char path[RUN_DIRECTORY_BYTES + 16];
    (void)snprintf(path, sizeof path, "%s/cluster.id", directory->path);
    struct disk_file file;
    int error = disk->ops->open(disk->self, path, &file);
    if (error == 0) {
        error = file.size < AT_END
                    ? -EBADMSG
                    : read_record(file.bytes, &directory->cluster_id, &directory->shape);
        disk->ops->close(disk->self, &file);
    } else if (error == -ENOENT) {
        directory->cluster_id = draw_id();
        directory->shape = (struct run_shape){.nodes = asked->nodes,
                                              .phase1_quorum = asked->phase1_quorum,
                                              .phase2_quorum = asked->phase2_quorum};
        error = 0;
    }
    if (error == 0 && !is_shape_good_for(asked, &directory->shape)) {
        error = -ESTALE;
    }
    if (error < 0 || memcmp(asked, &directory->shape, sizeof *asked) == 0) {
        return error;
    }
    directory->shape = *asked;
    return write_file(directory, disk, path);
}

/* ---- The directory ---- */

static int find_directory(struct run_directory *directory, struct disk *disk, const char *asked)
{
    int length = asked != NULL ? snprintf(directory->path, sizeof directory->path, "%s", asked)
                               : snprintf(directory->path, sizeof directory->path,
                                          "/dev/shm/synod-%ld-XXXXXX", (long)getpid());
    if (length <= 0 || (size_t)length >= sizeof directory->path) {
        return length <= 0 ? -EINVAL : -ENAMETOOLONG;
    }
    return asked != NULL ? disk->ops->directory_create(disk->self, directory->path)
                         : disk_file_directory_fresh(directory->path);
}

int run_directory_open(struct run_directory *directory, struct disk *disk, const char *asked,
                       bool keep, const struct run_shape *shape)
{
    *directory = (struct run_directory){0};
    int error = find_directory(directory, disk, asked);
    if (error < 0) {
        return error;
    }
    directory->is_removed_at_close = asked == NULL && !keep;
    /* Before cluster.id is looked at: of two that come at once, one decides what it says. */
    error = disk->ops->directory_lock(disk->self, directory->path, &directory->lock,
                                      &directory->lock_holder);
    if (error < 0) {
        return error;
    }
    directory->is_locked = true;
    return agree_on_record(directory, disk, shape);
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
    disk_file_directory_remove(path);
}

void run_directory_close(struct run_directory *directory, struct disk *disk)
{
    if (directory->is_removed_at_close) {
        for (uint32_t node = 0; node < directory->shape.nodes; node++) {
            char path[RUN_DIRECTORY_BYTES + 32];
            run_directory_of_node(directory, node, path, sizeof path);
            remove_directory(disk, path);
        }
        remove_directory(disk, directory->path);
    }
    if (directory->is_locked) {
        disk->ops->directory_unlock(disk->self, directory->lock);
    }
    *directory = (struct run_directory){0};
}

static void count_file(void *context, const char *name)
{
    (void)name;
    uint32_t *files = context;
    (*files)++;
}

bool run_directory_has_node(const struct run_directory *directory, struct disk *disk, uint32_t node)
{
    char path[RUN_DIRECTORY_BYTES + 32];
    uint32_t files = 0;
    run_directory_of_node(directory, node, path, sizeof path);
    return disk->ops->list(disk->self, path, count_file, &files) == 0 && files > 0;
}
