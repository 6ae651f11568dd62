/* SPDX-License-Identifier: MIT */
#include "replica/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

#define SNAPSHOT_MAGIC        UINT64_C(0x31504e53444f4e59) /* "YNODSNP1" */
#define SNAPSHOT_VERSION      1u
#define SNAPSHOT_HEADER_BYTES 4096u
#define SNAPSHOT_BLOCK_BYTES  65536u

#define MAKING_NAME    "snapshot.making"
#define RECEIVING_NAME "snapshot.receiving"
#define SPARE_NAME     "snapshot.spare"

/* Offsets in the header page. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_BLOCK_BYTES = 12,
    AT_CLUSTER = 16,
    AT_SLOT = 24,
    AT_STORE_BYTES = 32,
    AT_CHECKSUM = 40, /* CRC32C of all before it */
};

static uint64_t blocks_of(uint64_t store_bytes)
{
    return (store_bytes + SNAPSHOT_BLOCK_BYTES - 1) / SNAPSHOT_BLOCK_BYTES;
}

static uint64_t file_bytes_of(uint64_t store_bytes)
{
    return SNAPSHOT_HEADER_BYTES + bytes_align_up(store_bytes, 8) + 4 * blocks_of(store_bytes);
}

static uint8_t *checksum_table(uint8_t *bytes, uint64_t store_bytes)
{
    return bytes + SNAPSHOT_HEADER_BYTES + bytes_align_up(store_bytes, 8);
}

static uint32_t block_checksum(const uint8_t *bytes, uint64_t store_bytes, uint64_t block)
{
    uint64_t from = block * SNAPSHOT_BLOCK_BYTES;
    uint64_t left = store_bytes - from;
    return crc32c((uint32_t)block, bytes + SNAPSHOT_HEADER_BYTES + from,
                  left < SNAPSHOT_BLOCK_BYTES ? left : SNAPSHOT_BLOCK_BYTES);
}

static void path_of(const struct snapshots *snapshots, char path[SNAPSHOT_PATH_BYTES],
                    const char *name)
{
    (void)snprintf(path, SNAPSHOT_PATH_BYTES, "%s/%.60s", snapshots->directory, name);
}

static void path_of_slot(const struct snapshots *snapshots, char path[SNAPSHOT_PATH_BYTES],
                         uint64_t slot)
{
    (void)snprintf(path, SNAPSHOT_PATH_BYTES, "%s/snapshot-%016" PRIx64 ".snap",
                   snapshots->directory, slot);
}

int snapshots_init(struct snapshots *snapshots, struct disk *disk, const char *directory,
                   uint64_t cluster_id, bool is_synced)
{
    *snapshots = (struct snapshots){.disk = disk, .cluster_id = cluster_id, .is_synced = is_synced};
    size_t length = strlen(directory);
    if (length >= sizeof snapshots->directory) {
        return -ENAMETOOLONG;
    }
    memcpy(snapshots->directory, directory, length + 1);
    return 0;
}

static void close_file(struct snapshots *snapshots, struct snapshot_file *file)
{
    if (file->is_open) {
        snapshots->disk->ops->close(snapshots->disk->self, &file->file);
    }
    *file = (struct snapshot_file){0};
}

void snapshots_deinit(struct snapshots *snapshots)
{
    close_file(snapshots, &snapshots->current);
    close_file(snapshots, &snapshots->retired);
    close_file(snapshots, &snapshots->spare);
    close_file(snapshots, &snapshots->making.file);
    close_file(snapshots, &snapshots->receiving.file);
    *snapshots = (struct snapshots){0};
}

/* ---- Reading ---- */

static void header_write(uint8_t *bytes, uint64_t cluster_id, uint64_t slot, uint64_t store_bytes)
{
    bytes_store_u64(bytes + AT_MAGIC, SNAPSHOT_MAGIC);
    bytes_store_u32(bytes + AT_VERSION, SNAPSHOT_VERSION);
    bytes_store_u32(bytes + AT_BLOCK_BYTES, SNAPSHOT_BLOCK_BYTES);
    bytes_store_u64(bytes + AT_CLUSTER, cluster_id);
    bytes_store_u64(bytes + AT_SLOT, slot);
    bytes_store_u64(bytes + AT_STORE_BYTES, store_bytes);
    bytes_store_u32(bytes + AT_CHECKSUM, crc32c(0, bytes, AT_CHECKSUM));
}

/* 0; -EBADMSG; -EPROTONOSUPPORT newer version; -EXDEV another cluster's. */
static int verify(const struct snapshots *snapshots, const struct disk_file *file, uint64_t *slot,
                  uint64_t *store_bytes)
{
    const uint8_t *bytes = file->bytes;
    if (file->size < SNAPSHOT_HEADER_BYTES || bytes_load_u64(bytes + AT_MAGIC) != SNAPSHOT_MAGIC ||
        bytes_load_u32(bytes + AT_CHECKSUM) != crc32c(0, bytes, AT_CHECKSUM)) {
        return -EBADMSG;
    }
    if (bytes_load_u32(bytes + AT_VERSION) != SNAPSHOT_VERSION ||
        bytes_load_u32(bytes + AT_BLOCK_BYTES) != SNAPSHOT_BLOCK_BYTES) {
        return -EPROTONOSUPPORT;
    }
    if (bytes_load_u64(bytes + AT_CLUSTER) != snapshots->cluster_id) {
        return -EXDEV;
    }
    *slot = bytes_load_u64(bytes + AT_SLOT);
    *store_bytes = bytes_load_u64(bytes + AT_STORE_BYTES);
    if (*store_bytes > file->size || file_bytes_of(*store_bytes) > file->size) {
        return -EBADMSG;
    }
    const uint8_t *table = bytes + SNAPSHOT_HEADER_BYTES + bytes_align_up(*store_bytes, 8);
    for (uint64_t block = 0; block < blocks_of(*store_bytes); block++) {
        if (bytes_load_u32(table + 4 * block) != block_checksum(bytes, *store_bytes, block)) {
            return -EBADMSG;
        }
    }
    return 0;
}

static int load(struct store *store, const uint8_t *bytes, uint64_t store_bytes)
{
    store_load_begin(store);
    int slice = store_load_slice(store, bytes + SNAPSHOT_HEADER_BYTES, store_bytes);
    int finish = store_load_finish(store);
    return slice < 0 ? slice : finish;
}

/* The newest snapshots of a directory, newest first. */
struct listing {
    uint64_t slots[64];
    uint32_t count;
};

/* The slot in the name of a whole snapshot; false for any other name. */
static bool slot_of_name(const char *name, uint64_t *slot)
{
    static const char pattern[] = "snapshot-################.snap";
    if (strlen(name) != sizeof pattern - 1) {
        return false;
    }
    *slot = 0;
    for (uint32_t i = 0; i < sizeof pattern - 1; i++) {
        if (pattern[i] != '#') {
            if (name[i] != pattern[i]) {
                return false;
            }
            continue;
        }
        bool is_digit = name[i] >= '0' && name[i] <= '9';
        if (!is_digit && (name[i] < 'a' || name[i] > 'f')) {
            return false;
        }
        *slot = *slot << 4 | (uint64_t)(is_digit ? name[i] - '0' : name[i] - 'a' + 10);
    }
    return true;
}

static void on_name(void *context, const char *name)
{
    struct listing *listing = context;
    uint64_t slot;
    if (!slot_of_name(name, &slot)) {
        return;
    }
    const uint32_t room = sizeof listing->slots / sizeof listing->slots[0];
    uint32_t at = listing->count;
    while (at > 0 && listing->slots[at - 1] < slot) {
        at--;
    }
    if (at == room) {
        return;
    }
    listing->count += listing->count < room;
    memmove(&listing->slots[at + 1], &listing->slots[at],
            (listing->count - at - 1) * sizeof listing->slots[0]);
    listing->slots[at] = slot;
}

static void remove_half_made(const struct snapshots *snapshots)
{
    static const char *const names[] = {MAKING_NAME, RECEIVING_NAME, SPARE_NAME};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[SNAPSHOT_PATH_BYTES];
        path_of(snapshots, path, names[i]);
        (void)snapshots->disk->ops->remove(snapshots->disk->self, path);
    }
}

/* Makes the file the current one and loads it, if it is sound. */
static int load_file(struct snapshots *snapshots, struct store *store, const char *path,
                     uint64_t slot)
{
    struct snapshot_file found = {0};
    uint64_t store_bytes = 0;
    int error = snapshots->disk->ops->open(snapshots->disk->self, path, &found.file);
    if (error < 0) {
        return error;
    }
    found.is_open = true;
    error = verify(snapshots, &found.file, &found.slot, &store_bytes);
    if (error == 0) {
        error = found.slot == slot ? load(store, found.file.bytes, store_bytes) : -EBADMSG;
    }
    if (error < 0) {
        close_file(snapshots, &found);
        return error;
    }
    found.file_bytes = file_bytes_of(store_bytes);
    snapshots->current = found;
    return 0;
}

int snapshots_load_newest(struct snapshots *snapshots, struct store *store)
{
    struct disk *disk = snapshots->disk;
    struct listing listing = {.count = 0};
    int error = disk->ops->list(disk->self, snapshots->directory, on_name, &listing);
    if (error < 0) {
        return error == -ENOENT ? 0 : error;
    }
    remove_half_made(snapshots);
    for (uint32_t i = 0; i < listing.count; i++) {
        char path[SNAPSHOT_PATH_BYTES];
        path_of_slot(snapshots, path, listing.slots[i]);
        if (snapshots->current.is_open) {
            (void)disk->ops->remove(disk->self, path); /* older than the one in use */
        } else { /* when it is bad an older one may do, if the log still reaches back to it */
            error = load_file(snapshots, store, path, listing.slots[i]);
        }
    }
    return snapshots->current.is_open ? 0 : error;
}

/* ---- Writing ---- */

static int open_temporary(struct snapshots *snapshots, const char *name, uint64_t bytes,
                          struct snapshot_file *file)
{
    char path[SNAPSHOT_PATH_BYTES];
    path_of(snapshots, path, name);
    int error = snapshots->disk->ops->create(snapshots->disk->self, path, bytes, &file->file);
    if (error < 0) {
        return error;
    }
    file->is_open = true;
    file->file_bytes = bytes;
    memset(file->file.bytes, 0, AT_CHECKSUM + 4); /* not valid until whole */
    return 0;
}

/* The temporary file takes its name; what was current becomes retired. */
static int make_current(struct snapshots *snapshots, struct snapshot_file *file,
                        const char *temporary)
{
    const struct disk_ops *ops = snapshots->disk->ops;
    void *self = snapshots->disk->self;
    char from[SNAPSHOT_PATH_BYTES];
    char to[SNAPSHOT_PATH_BYTES];
    path_of(snapshots, from, temporary);
    path_of_slot(snapshots, to, file->slot);
    int error = snapshots->is_synced ? ops->sync(self, &file->file, 0, file->file_bytes) : 0;
    if (error == 0) {
        error = ops->rename(self, from, to);
    }
    if (error == 0 && snapshots->is_synced) {
        error = ops->directory_sync(self, snapshots->directory);
    }
    if (error < 0) {
        return error;
    }
    if (snapshots->current.is_open && snapshots->current.slot != file->slot) {
        path_of_slot(snapshots, from, snapshots->current.slot);
        path_of(snapshots, to, SPARE_NAME);
        (void)ops->rename(self, from, to);
        close_file(snapshots, &snapshots->spare);
    }
    close_file(snapshots, &snapshots->retired);
    snapshots->retired = snapshots->current;
    snapshots->current = *file;
    *file = (struct snapshot_file){0};
    return 0;
}

void snapshots_reclaim(struct snapshots *snapshots)
{
    if (snapshots->retired.is_open) {
        close_file(snapshots, &snapshots->spare);
        snapshots->spare = snapshots->retired;
        snapshots->retired = (struct snapshot_file){0};
    }
}

/* A file of at least so many bytes to write the next snapshot into: the spare if it is large
 * enough. */
static int open_making(struct snapshots *snapshots, uint64_t bytes)
{
    struct snapshot_file *file = &snapshots->making.file;
    if (snapshots->spare.is_open) {
        char from[SNAPSHOT_PATH_BYTES];
        char to[SNAPSHOT_PATH_BYTES];
        path_of(snapshots, from, SPARE_NAME);
        path_of(snapshots, to, MAKING_NAME);
        int error = snapshots->disk->ops->rename(snapshots->disk->self, from, to);
        if (error == 0 && snapshots->spare.file.size >= bytes) {
            *file = snapshots->spare;
            snapshots->spare = (struct snapshot_file){0};
            memset(file->file.bytes, 0, AT_CHECKSUM + 4); /* not valid until whole */
            return 0;
        }
        close_file(snapshots, &snapshots->spare);
    }
    return open_temporary(snapshots, MAKING_NAME, bytes + bytes / 8, file);
}

int snapshots_begin(struct snapshots *snapshots, struct store *store)
{
    ASSERT(!snapshots->making.is_active);
    struct store_stats stats;
    store_stats(store, &stats);
    uint64_t store_bytes = store_snapshot_begin(store);
    size_t slice_bytes = store_snapshot_slice_bytes(store);
    slice_bytes = slice_bytes < SNAPSHOT_BLOCK_BYTES ? SNAPSHOT_BLOCK_BYTES : slice_bytes;
    /* A slice may claim more room than it fills: leave that much behind the end. */
    int error = open_making(snapshots, file_bytes_of(store_bytes) + slice_bytes);
    if (error < 0) {
        store_snapshot_end(store);
        return error;
    }
    snapshots->making.file.slot = stats.applied_slot;
    snapshots->making.file.file_bytes = file_bytes_of(store_bytes);
    snapshots->making.is_active = true;
    snapshots->making.store_bytes = store_bytes;
    snapshots->making.written = 0;
    snapshots->making.slice_bytes = slice_bytes;
    return 0;
}

void snapshots_abandon(struct snapshots *snapshots, struct store *store)
{
    if (snapshots->making.is_active) {
        store_snapshot_end(store);
        close_file(snapshots, &snapshots->making.file);
        snapshots->making.is_active = false;
    }
}

/* Blocks that the last slice completed get their checksum while they are warm in the cache. */
static void sum_blocks(struct snapshots *snapshots, uint64_t before, uint64_t after)
{
    uint64_t store_bytes = snapshots->making.store_bytes;
    uint8_t *bytes = snapshots->making.file.file.bytes;
    uint8_t *table = checksum_table(bytes, store_bytes);
    uint64_t first = before / SNAPSHOT_BLOCK_BYTES;
    uint64_t end = after == store_bytes ? blocks_of(store_bytes) : after / SNAPSHOT_BLOCK_BYTES;
    for (uint64_t block = first; block < end; block++) {
        bytes_store_u32(table + 4 * block, block_checksum(bytes, store_bytes, block));
    }
}

static int finish(struct snapshots *snapshots, struct store *store)
{
    struct snapshot_file *file = &snapshots->making.file;
    store_snapshot_end(store);
    snapshots->making.is_active = false;
    ASSERT(snapshots->making.written == snapshots->making.store_bytes);
    header_write(file->file.bytes, snapshots->cluster_id, file->slot,
                 snapshots->making.store_bytes);
    int error = make_current(snapshots, file, MAKING_NAME);
    if (error < 0) {
        close_file(snapshots, file);
        return error;
    }
    snapshots->taken++;
    return 1;
}

int snapshots_step(struct snapshots *snapshots, struct store *store)
{
    ASSERT(snapshots->making.is_active);
    uint64_t before = snapshots->making.written;
    uint8_t *at = snapshots->making.file.file.bytes + SNAPSHOT_HEADER_BYTES + before;
    size_t bytes = store_snapshot_next(store, at, snapshots->making.slice_bytes);
    if (bytes == 0) {
        return finish(snapshots, store);
    }
    snapshots->making.written += bytes;
    sum_blocks(snapshots, before, snapshots->making.written);
    return 0;
}

/* ---- Receiving a peer's ---- */

void snapshots_receive_abandon(struct snapshots *snapshots)
{
    close_file(snapshots, &snapshots->receiving.file);
    snapshots->receiving.is_active = false;
}

int snapshots_receive_begin(struct snapshots *snapshots, uint64_t slot, uint64_t file_bytes)
{
    snapshots_receive_abandon(snapshots);
    if (file_bytes < SNAPSHOT_HEADER_BYTES) {
        return -EBADMSG;
    }
    if (snapshots->retired.is_open) {
        return -EAGAIN; /* its bytes may still be named: there is no room for another retired one */
    }
    int error = open_temporary(snapshots, RECEIVING_NAME, file_bytes, &snapshots->receiving.file);
    if (error < 0) {
        return error;
    }
    snapshots->receiving.file.slot = slot;
    snapshots->receiving.is_active = true;
    snapshots->receiving.slot = slot;
    snapshots->receiving.next = 0;
    return 0;
}

int snapshots_receive(struct snapshots *snapshots, struct store *store, const uint8_t *bytes,
                      uint32_t count)
{
    struct snapshot_file *file = &snapshots->receiving.file;
    ASSERT(snapshots->receiving.is_active);
    if (count > file->file_bytes - snapshots->receiving.next) {
        return -EBADMSG;
    }
    memcpy(file->file.bytes + snapshots->receiving.next, bytes, count);
    snapshots->receiving.next += count;
    if (snapshots->receiving.next < file->file_bytes) {
        return 0;
    }
    snapshots->receiving.is_active = false;
    uint64_t slot = 0;
    uint64_t store_bytes = 0;
    int error = verify(snapshots, &file->file, &slot, &store_bytes);
    if (error < 0 || slot != snapshots->receiving.slot) {
        close_file(snapshots, file);
        return -EBADMSG; /* nothing has changed: it can be sent again */
    }
    error = make_current(snapshots, file, RECEIVING_NAME);
    if (error == 0) {
        error = load(store, snapshots->current.file.bytes, store_bytes);
    }
    if (error < 0) {
        close_file(snapshots, file);
        return -EIO; /* the store is neither old nor new */
    }
    snapshots->installed++;
    return 1;
}

uint64_t snapshots_bytes(const struct snapshots *snapshots)
{
    uint64_t bytes = 0;
    bytes += snapshots->current.is_open ? snapshots->current.file.size : 0;
    bytes += snapshots->retired.is_open ? snapshots->retired.file.size : 0;
    bytes += snapshots->making.file.is_open ? snapshots->making.file.file.size : 0;
    bytes += snapshots->receiving.file.is_open ? snapshots->receiving.file.file.size : 0;
    bytes += snapshots->spare.is_open ? snapshots->spare.file.size : 0;
    return bytes;
}
