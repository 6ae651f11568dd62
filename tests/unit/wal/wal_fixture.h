/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_TEST_WAL_FIXTURE_H
#define SYNOD_TEST_WAL_FIXTURE_H

/*
 * What the log's tests share: a directory of their own, records whose every byte follows from
 * (slot, ballot), so that a wrong one is recognised by itself, and a disk that counts, fails, and
 * takes crash images.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "wal/disk_file.h"
#include "wal/log_state.h"
#include "wal/segment.h"
#include "wal/write_ahead_log.h"

enum {
    FIXTURE_SEGMENT_BYTES = 64 << 10,
    FIXTURE_SEGMENTS = 4,
    FIXTURE_INDEX_SLOTS = 4096,
    FIXTURE_FILES_MAX = 64,
};

static inline void directory_make(char path[PATH_MAX])
{
    struct stat status;
    bool has_shm = stat("/dev/shm", &status) == 0 && access("/dev/shm", W_OK) == 0;
    snprintf(path, PATH_MAX, "%s/synod-wal-XXXXXX", has_shm ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

typedef void file_fn(const char *name, const char *path, void *context);

static inline void directory_each(const char *directory, file_fn *fn, void *context)
{
    DIR *stream = opendir(directory);
    if (stream == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) { // NOLINT
        char path[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        int length = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        ck_assert_int_lt(length, PATH_MAX);
        fn(entry->d_name, path, context);
    }
    closedir(stream);
}

static inline void file_unlink(const char *name, const char *path, void *context)
{
    (void)name;
    (void)context;
    ck_assert_int_eq(unlink(path), 0);
}

static inline void directory_empty(const char *directory)
{
    directory_each(directory, file_unlink, NULL);
}

static inline void directory_remove(const char *directory)
{
    directory_empty(directory);
    (void)rmdir(directory);
}

/* A whole file in memory. */
struct image_file {
    char name[NAME_MAX + 1];
    uint8_t *bytes;
    size_t size;
};

/* A directory in memory: what a crash leaves. */
struct image {
    struct image_file files[FIXTURE_FILES_MAX];
    size_t count;
};

static inline void image_add(const char *name, const char *path, void *context)
{
    struct image *image = context;
    struct stat status;
    if (strcmp(name, "lock") == 0)
        return;
    ck_assert_uint_lt(image->count, FIXTURE_FILES_MAX);
    struct image_file *file = &image->files[image->count++];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    snprintf(file->name, sizeof file->name, "%s", name);
    file->size = (size_t)status.st_size;
    file->bytes = malloc(file->size + 1);
    ck_assert_ptr_nonnull(file->bytes);
    ck_assert_int_eq(read(fd, file->bytes, file->size), (ssize_t)file->size);
    close(fd);
}

static inline void image_take(struct image *image, const char *directory)
{
    image->count = 0;
    directory_each(directory, image_add, image);
}

static inline void image_free(struct image *image)
{
    for (size_t i = 0; i < image->count; i++)
        free(image->files[i].bytes);
    image->count = 0;
}

static inline void image_put_file(const struct image_file *file, const char *directory)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", directory, file->name);
    ck_assert_int_lt(length, PATH_MAX);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, file->bytes, file->size), (ssize_t)file->size);
    close(fd);
}

/* The directory then holds the image and nothing else. */
static inline void image_put(const struct image *image, const char *directory)
{
    directory_empty(directory);
    for (size_t i = 0; i < image->count; i++)
        image_put_file(&image->files[i], directory);
}

/* Whether the directory still holds exactly the image, whatever the names of unchanged files. */
static inline bool image_matches(const struct image *image, const char *directory)
{
    struct image now;
    image_take(&now, directory);
    bool is_same = now.count == image->count;
    for (size_t i = 0; i < image->count && is_same; i++) {
        size_t j = 0;
        while (j < now.count && strcmp(now.files[j].name, image->files[i].name) != 0)
            j++;
        is_same = j < now.count && now.files[j].size == image->files[i].size &&
                  memcmp(now.files[j].bytes, image->files[i].bytes, now.files[j].size) == 0;
    }
    image_free(&now);
    return is_same;
}

/* The segment of an image with this id; NULL when there is none. */
static inline struct image_file *image_segment(struct image *image, uint32_t id)
{
    for (size_t i = 0; i < image->count; i++) {
        struct segment segment = {
            .file = {.bytes = image->files[i].bytes, .size = image->files[i].size}};
        struct segment_owner owner;
        if (segment_header_read(&segment, &owner) == 0 && segment.id == id)
            return &image->files[i];
    }
    return NULL;
}

/* Where the log ends in a segment's bytes: behind its last good record. */
static inline size_t image_end(const struct image_file *file)
{
    struct segment segment = {.file = {.bytes = file->bytes, .size = file->size}};
    struct segment_owner owner;
    struct record_check check;
    size_t offset = 0;
    ck_assert_int_eq(segment_header_read(&segment, &owner), 0);
    struct segment_walk walk = {
        .segment = &segment, .offset = SEGMENT_HEADER_BYTES, .is_verified = true};
    while (segment_walk_next(&walk, &check, &offset))
        ;
    return walk.offset;
}

/* --- records -----------------------------------------------------------------------------------
 */

static inline uint32_t value_bytes(uint64_t slot)
{
    return (uint32_t)(slot * 37 % 150); /* all remainders of 8, empty ones too */
}

static inline void value_fill(uint8_t *to, uint64_t slot, uint64_t ballot, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        to[i] = (uint8_t)(slot * 131 + ballot * 17 + i * 7 + 1);
}

static inline int append_value(struct wal *wal, uint64_t slot, uint64_t ballot)
{
    uint8_t payload[256];
    value_fill(payload, slot, ballot, value_bytes(slot));
    return wal_append_accept(wal, RECORD_VALUE, ballot, slot, slot * 3 + ballot, payload,
                             value_bytes(slot));
}

/* Appends slots first..last at ballot; every one must fit. */
static inline void append_values(struct wal *wal, uint64_t first, uint64_t last, uint64_t ballot)
{
    for (uint64_t slot = first; slot <= last; slot++)
        ck_assert_int_eq(append_value(wal, slot, ballot), 0);
}

/* Whether a record is what append_value() wrote at `written`; `ballot` is what it is stored under.
 */
static inline bool value_is_written(const struct record *record, uint64_t slot, uint64_t ballot,
                                    uint64_t written)
{
    uint8_t payload[256];
    value_fill(payload, slot, written, value_bytes(slot));
    return record->kind == RECORD_VALUE && record->slot == slot && record->ballot == ballot &&
           record->hybrid_time == slot * 3 + written &&
           record->payload_bytes == value_bytes(slot) &&
           memcmp(record->payload, payload, record->payload_bytes) == 0;
}

static inline bool value_is_found(const struct wal *wal, uint64_t slot, uint64_t ballot)
{
    struct record record;
    return wal_find(wal, slot, &record) && value_is_written(&record, slot, ballot, ballot);
}

/* --- logs --------------------------------------------------------------------------------------
 */

struct fixture {
    char directory[PATH_MAX];
    struct wal_config config;
    struct wal *wal;
    struct wal_recovery recovery;
    uint64_t replayed;      /* records handed out by the last open */
    uint64_t replay_digest; /* of all their fields and bytes, in order */
    bool is_replay_wrong;   /* one of them was never written */
};

static inline void fixture_on_record(void *context, const struct record *record)
{
    struct fixture *fixture = context;
    uint64_t fields[5] = {(uint64_t)record->kind, record->ballot, record->slot, record->hybrid_time,
                          crc32c(0, record->payload, record->payload_bytes)};
    fixture->replay_digest = fixture->replay_digest * 1000003 + crc32c(0, fields, sizeof fields);
    fixture->replayed++;
    if (record->kind == RECORD_VALUE &&
        !value_is_written(record, record->slot, record->ballot, record->ballot))
        fixture->is_replay_wrong = true;
}

static inline int fixture_open(struct fixture *fixture)
{
    fixture->replayed = 0;
    fixture->replay_digest = 0;
    fixture->is_replay_wrong = false;
    return wal_open(&fixture->wal, &fixture->config, fixture_on_record, fixture,
                    &fixture->recovery);
}

static inline void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    directory_make(fixture->directory);
    fixture->config = (struct wal_config){.disk = disk_file(),
                                          .directory = fixture->directory,
                                          .cluster_id = 0x1122334455667788,
                                          .node = 3,
                                          .segment_bytes = FIXTURE_SEGMENT_BYTES,
                                          .segment_count = FIXTURE_SEGMENTS,
                                          .index_slots = FIXTURE_INDEX_SLOTS,
                                          .sync = WAL_SYNC_NONE};
}

static inline void fixture_start(struct fixture *fixture)
{
    fixture_init(fixture);
    ck_assert_int_eq(fixture_open(fixture), 0);
}

static inline void fixture_close(struct fixture *fixture)
{
    wal_close(fixture->wal);
    fixture->wal = NULL;
}

static inline void fixture_reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    ck_assert_int_eq(fixture_open(fixture), 0);
    ck_assert(!fixture->is_replay_wrong);
}

static inline void fixture_end(struct fixture *fixture)
{
    fixture_close(fixture);
    directory_remove(fixture->directory);
}

/* Appends values from `slot` on until the log refuses; returns the first slot that did not fit. */
static inline uint64_t append_until_full(struct wal *wal, uint64_t slot, uint64_t ballot)
{
    int error = 0;
    while ((error = append_value(wal, slot, ballot)) == 0)
        slot++;
    ck_assert_int_eq(error, -ENOSPC);
    return slot;
}

/* Appends values until the log has rolled `rolls` more times; returns the slot after the last. */
static inline uint64_t append_until_rolled(struct wal *wal, uint64_t slot, uint64_t ballot,
                                           uint64_t rolls)
{
    struct wal_space space;
    wal_space(wal, &space);
    uint64_t end = space.rolls + rolls;
    while (space.rolls < end) {
        ck_assert_int_eq(append_value(wal, slot, ballot), 0);
        slot++;
        wal_space(wal, &space);
    }
    return slot;
}

/* --- a disk to test with -----------------------------------------------------------------------
 */

/*
 * The file disk, counting the operations that change something. Before each, `on_operation` may
 * look (and take crash images); `fail_sync` and `fail_create` make those operations fail.
 */
struct test_disk {
    struct disk disk;
    void (*on_operation)(void *context);
    void *context;
    uint64_t operations;
    int fail_sync;    /* 0, or what sync returns */
    int creates_left; /* creations until -ENOSPC; -1: no end */
    uint64_t syncs;
    bool is_open_volatile; /* files opened count as not yet durable: they may be a dead process's */
    /* What is durable, by handle: a copy of the file as of its last sync. */
    struct {
        uint8_t *bytes;
        size_t size;
        char path[PATH_MAX];
    } durable[1024];
};

static inline void test_disk_count(struct test_disk *self)
{
    self->operations++;
    if (self->on_operation != NULL)
        self->on_operation(self->context);
}

static inline int test_disk_directory_create(void *self, const char *directory)
{
    (void)self;
    return disk_file()->ops->directory_create(NULL, directory);
}

static inline int test_disk_directory_lock(void *self, const char *directory, int *lock,
                                           long *holder)
{
    (void)self;
    return disk_file()->ops->directory_lock(NULL, directory, lock, holder);
}

static inline void test_disk_directory_unlock(void *self, int lock)
{
    (void)self;
    disk_file()->ops->directory_unlock(NULL, lock);
}

static inline int test_disk_list(void *self, const char *directory, disk_name_fn *fn, void *context)
{
    (void)self;
    return disk_file()->ops->list(NULL, directory, fn, context);
}

static inline void test_disk_keep(struct test_disk *self, const struct disk_file *file)
{
    ck_assert_int_lt(file->handle, 1024);
    free(self->durable[file->handle].bytes);
    self->durable[file->handle].bytes = malloc(file->size);
    self->durable[file->handle].size = file->size;
    memcpy(self->durable[file->handle].bytes, file->bytes, file->size);
}

static inline int test_disk_create(void *context, const char *path, size_t size,
                                   struct disk_file *file)
{
    struct test_disk *self = context;
    test_disk_count(self);
    if (self->creates_left == 0)
        return -ENOSPC;
    self->creates_left -= self->creates_left > 0;
    int error = disk_file()->ops->create(NULL, path, size, file);
    if (error == 0) {
        snprintf(self->durable[file->handle].path, PATH_MAX, "%s", path);
        test_disk_keep(self, file);
    }
    return error;
}

static inline int test_disk_open(void *context, const char *path, struct disk_file *file)
{
    struct test_disk *self = context;
    int error = disk_file()->ops->open(NULL, path, file);
    if (error == 0) {
        snprintf(self->durable[file->handle].path, PATH_MAX, "%s", path);
        test_disk_keep(self, file);
        if (self->is_open_volatile)
            memset(self->durable[file->handle].bytes, 0, file->size);
    }
    return error;
}

static inline void test_disk_close(void *context, struct disk_file *file)
{
    struct test_disk *self = context;
    free(self->durable[file->handle].bytes);
    self->durable[file->handle].bytes = NULL;
    disk_file()->ops->close(NULL, file);
}

static inline int test_disk_sync(void *context, struct disk_file *file, size_t offset,
                                 size_t length)
{
    struct test_disk *self = context;
    test_disk_count(self);
    self->syncs++;
    if (self->fail_sync != 0)
        return self->fail_sync;
    /* Exactly the range asked for: what was not asked for may be lost. */
    ck_assert_uint_le(offset + length, file->size);
    memcpy(self->durable[file->handle].bytes + offset, file->bytes + offset, length);
    return 0;
}

static inline int test_disk_rename(void *context, const char *from, const char *to)
{
    struct test_disk *self = context;
    test_disk_count(self);
    int error = disk_file()->ops->rename(NULL, from, to);
    for (size_t i = 0; i < 1024 && error == 0; i++) {
        if (self->durable[i].bytes != NULL && strcmp(self->durable[i].path, from) == 0)
            snprintf(self->durable[i].path, PATH_MAX, "%s", to);
    }
    return error;
}

static inline int test_disk_remove(void *context, const char *path)
{
    struct test_disk *self = context;
    test_disk_count(self);
    return disk_file()->ops->remove(NULL, path);
}

static inline int test_disk_directory_sync(void *context, const char *directory)
{
    struct test_disk *self = context;
    test_disk_count(self);
    if (self->fail_sync != 0)
        return self->fail_sync;
    return disk_file()->ops->directory_sync(NULL, directory);
}

static inline void test_disk_prefault(void *self, struct disk_file *file, size_t offset,
                                      size_t length)
{
    (void)self;
    (void)file;
    (void)offset;
    (void)length;
}

static inline void test_disk_init(struct test_disk *self)
{
    static const struct disk_ops ops = {
        .directory_create = test_disk_directory_create,
        .directory_lock = test_disk_directory_lock,
        .directory_unlock = test_disk_directory_unlock,
        .list = test_disk_list,
        .create = test_disk_create,
        .open = test_disk_open,
        .close = test_disk_close,
        .sync = test_disk_sync,
        .rename = test_disk_rename,
        .remove = test_disk_remove,
        .directory_sync = test_disk_directory_sync,
        .prefault = test_disk_prefault,
    };
    memset(self, 0, sizeof *self);
    self->disk = (struct disk){.ops = &ops, .self = self};
    self->creates_left = -1;
}

/*
 * Takes what a power failure now might leave: in every file, each stretch of 8 to 64 bytes is as
 * last synced or as last stored, by lot. The log stays open.
 */
static inline void test_disk_take_power_loss(struct test_disk *self, const char *directory,
                                             struct prng *prng, struct image *image)
{
    image_take(image, directory);
    for (size_t i = 0; i < image->count; i++) {
        struct image_file *file = &image->files[i];
        size_t handle = 0;
        const char *name = NULL;
        for (; handle < 1024; handle++) {
            name = strrchr(self->durable[handle].path, '/');
            if (self->durable[handle].bytes != NULL && name != NULL &&
                strcmp(name + 1, file->name) == 0)
                break;
        }
        if (handle == 1024)
            continue;
        uint64_t share = prng_below(prng, 5); /* of chances in four to have been written back */
        for (size_t at = 0; at < file->size;) {
            size_t chunk = 8 * (1 + prng_below(prng, 8));
            chunk = chunk < file->size - at ? chunk : file->size - at;
            if (prng_below(prng, 4) >= share)
                memcpy(file->bytes + at, self->durable[handle].bytes + at, chunk);
            at += chunk;
        }
    }
}

#endif
