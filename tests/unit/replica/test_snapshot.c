/* SPDX-License-Identifier: MIT */
#include "replica/snapshot.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "test_main.h"
#include "wal/disk_file.h"

#define CLUSTER 42
#define PATH    512

struct fixture {
    char directory[64];
    struct snapshots snapshots;
    struct store *store;
    uint64_t slot;
};

static struct store *store_new(void)
{
    struct store *store = NULL;
    struct store_config config = {
        .expected_keys = 64, .max_key_bytes = 64, .max_value_bytes = 100000};
    ck_assert_int_eq(store_create(&store, &config), 0);
    return store;
}

static void put(struct fixture *f, uint32_t key, uint32_t value_bytes)
{
    uint8_t name[4];
    bytes_store_u32(name, key);
    uint8_t *value = malloc(value_bytes + 1);
    ck_assert_ptr_nonnull(value);
    memset(value, (int)(key + value_bytes), value_bytes);
    struct command command = {.op = COMMAND_PUT,
                              .key = name,
                              .key_bytes = sizeof name,
                              .value = value,
                              .value_bytes = value_bytes};
    uint8_t *bytes = malloc(command_size(&command));
    ck_assert_ptr_nonnull(bytes);
    command_encode(&command, bytes);
    struct store_apply_item item = {
        .slot = ++f->slot, .command = bytes, .command_bytes = (uint32_t)command_size(&command)};
    store_apply(f->store, &item, 1);
    free(bytes);
    free(value);
}

static void fixture_open(struct fixture *f, struct disk *disk, bool is_synced)
{
    f->store = store_new();
    ck_assert_int_eq(snapshots_init(&f->snapshots, disk, f->directory, CLUSTER, is_synced), 0);
}

static void fixture_start(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    (void)snprintf(f->directory, sizeof f->directory, "/dev/shm/synod-snapshot-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->directory));
    fixture_open(f, disk_file(), false);
}

static void fixture_close(struct fixture *f)
{
    snapshots_abandon(&f->snapshots, f->store);
    snapshots_deinit(&f->snapshots);
    store_destroy(f->store);
}

static void path_in(const struct fixture *f, const char *name, char path[PATH])
{
    (void)snprintf(path, PATH, "%s/%s", f->directory, name);
}

typedef void name_fn(const struct fixture *f, const char *name, void *context);

static void each_name(const struct fixture *f, name_fn *fn, void *context)
{
    DIR *stream = opendir(f->directory);
    ck_assert_ptr_nonnull(stream);
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) { // NOLINT: one thread
        if (entry->d_name[0] != '.') {
            fn(f, entry->d_name, context);
        }
    }
    closedir(stream);
}

static void remove_name(const struct fixture *f, const char *name, void *context)
{
    (void)context;
    char path[PATH];
    path_in(f, name, path);
    (void)unlink(path);
}

static void count_name(const struct fixture *f, const char *name, void *context)
{
    (void)f;
    (void)name;
    ++*(uint32_t *)context;
}

static uint32_t count_files(const struct fixture *f)
{
    uint32_t count = 0;
    each_name(f, count_name, &count);
    return count;
}

static void fixture_end(struct fixture *f)
{
    fixture_close(f);
    each_name(f, remove_name, NULL);
    (void)rmdir(f->directory);
}

static uint64_t make(struct fixture *f)
{
    ck_assert_int_eq(snapshots_begin(&f->snapshots, f->store), 0);
    int done = 0;
    while ((done = snapshots_step(&f->snapshots, f->store)) == 0) {
    }
    ck_assert_int_eq(done, 1);
    ck_assert_uint_eq(f->snapshots.current.slot, f->slot);
    return store_digest(f->store);
}

/* As a process that starts anew. */
static int load_again(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f, disk_file(), false);
    return snapshots_load_newest(&f->snapshots, f->store);
}

static void name_of(uint64_t slot, char name[64])
{
    (void)snprintf(name, 64, "snapshot-%016" PRIx64 ".snap", slot);
}

struct image {
    uint8_t *bytes;
    size_t size;
};

static struct image image_read(const struct fixture *f, uint64_t slot)
{
    char name[64];
    char path[PATH];
    struct stat status;
    name_of(slot, name);
    path_in(f, name, path);
    int fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    struct image image = {.size = (size_t)status.st_size};
    image.bytes = malloc(image.size);
    ck_assert_ptr_nonnull(image.bytes);
    ck_assert_int_eq(read(fd, image.bytes, image.size), (ssize_t)image.size);
    close(fd);
    return image;
}

static void file_write(const struct fixture *f, const char *name, const uint8_t *bytes, size_t size)
{
    char path[PATH];
    path_in(f, name, path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

static bool file_exists(const struct fixture *f, const char *name)
{
    char path[PATH];
    path_in(f, name, path);
    return access(path, F_OK) == 0;
}

static void fill(struct fixture *f, uint32_t keys, uint32_t value_bytes)
{
    for (uint32_t key = 0; key < keys; key++) {
        put(f, key, value_bytes + key % 7);
    }
}

START_TEST(snapshot_gives_back_the_state_it_was_taken_of)
{
    struct fixture f;
    for (uint32_t keys = 0; keys < 300; keys = keys * 3 + 1) { /* also an empty store */
        fixture_start(&f);
        fill(&f, keys, 1000);
        uint64_t digest = make(&f);
        ck_assert_int_eq(load_again(&f), 0);
        ck_assert_uint_eq(store_digest(f.store), digest);
        ck_assert_uint_eq(f.snapshots.current.slot, keys);
        fixture_end(&f);
    }
}
END_TEST

START_TEST(writes_during_the_making_are_not_in_it)
{
    struct fixture f;
    fixture_start(&f);
    fill(&f, 200, 3000);
    uint64_t digest = store_digest(f.store);
    uint64_t slot = f.slot;
    ck_assert_int_eq(snapshots_begin(&f.snapshots, f.store), 0);
    uint32_t key = 0;
    while (snapshots_step(&f.snapshots, f.store) == 0) {
        put(&f, key % 250, 50);
        key += 37;
    }
    ck_assert_uint_gt(key, 0);
    ck_assert_int_eq(load_again(&f), 0);
    ck_assert_uint_eq(store_digest(f.store), digest);
    ck_assert_uint_eq(f.snapshots.current.slot, slot);
    fixture_end(&f);
}
END_TEST

START_TEST(damage_anywhere_is_an_error_and_never_a_wrong_state)
{
    struct fixture f;
    struct prng prng;
    prng_init(&prng, 3);
    fixture_start(&f);
    fill(&f, 100, 1500);
    uint64_t digest = make(&f);
    struct image image = image_read(&f, f.slot);
    char name[64];
    name_of(f.slot, name);
    size_t used = f.snapshots.current.file_bytes;
    uint64_t header_errors = 0;
    for (int i = 0; i < 600; i++) {
        /* A third each in the header's fields, the checksums at the end, and anywhere. */
        size_t at = i % 3 == 0   ? prng_below(&prng, 44)
                    : i % 3 == 1 ? used - 1 - prng_below(&prng, 12)
                                 : prng_below(&prng, used);
        uint8_t bit = (uint8_t)(1u << prng_below(&prng, 8));
        image.bytes[at] ^= bit;
        file_write(&f, name, image.bytes, image.size);
        image.bytes[at] ^= bit;
        int error = load_again(&f);
        bool is_padding = at >= 44 && at < 4096;
        ck_assert_msg(is_padding ? error == 0 : error < 0, "bit flipped at %zu: %d", at, error);
        ck_assert(error != 0 || store_digest(f.store) == digest);
        ck_assert(error == 0 || f.snapshots.current.slot == 0);
        ck_assert(file_exists(&f, name)); /* left for a person to look at */
        header_errors += at < 44;
    }
    ck_assert_uint_gt(header_errors, 100);
    free(image.bytes);
    fixture_end(&f);
}
END_TEST

START_TEST(truncated_file_is_an_error)
{
    struct fixture f;
    fixture_start(&f);
    fill(&f, 100, 1500);
    (void)make(&f);
    struct image image = image_read(&f, f.slot);
    size_t used = f.snapshots.current.file_bytes;
    char name[64];
    name_of(f.slot, name);
    const size_t sizes[] = {0, 1, 43, 4095, 4096, 4097, 70000, used / 2, used - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        file_write(&f, name, image.bytes, sizes[i]);
        ck_assert_int_eq(load_again(&f), -EBADMSG);
    }
    file_write(&f, name, image.bytes, used);
    ck_assert_int_eq(load_again(&f), 0);
    free(image.bytes);
    fixture_end(&f);
}
END_TEST

START_TEST(older_snapshot_is_loaded_when_the_newest_is_damaged)
{
    struct fixture f;
    char name[64];
    fixture_start(&f);
    fill(&f, 50, 500);
    uint64_t digest = make(&f);
    uint64_t slot = f.slot;
    struct image image = image_read(&f, slot);
    fill(&f, 50, 600);
    (void)make(&f);
    name_of(slot, name);
    file_write(&f, name, image.bytes, image.size);
    free(image.bytes);
    image = image_read(&f, f.slot);
    image.bytes[9000] ^= 1;
    name_of(f.slot, name);
    file_write(&f, name, image.bytes, image.size);
    ck_assert_int_eq(load_again(&f), 0);
    ck_assert_uint_eq(f.snapshots.current.slot, slot);
    ck_assert_uint_eq(store_digest(f.store), digest);
    free(image.bytes);
    fixture_end(&f);
}
END_TEST

START_TEST(older_and_half_made_files_are_removed_once_one_is_loaded)
{
    struct fixture f;
    char name[64];
    fixture_start(&f);
    fill(&f, 50, 500);
    (void)make(&f);
    struct image image = image_read(&f, f.slot);
    name_of(f.slot - 1, name);
    file_write(&f, name, image.bytes, image.size);
    file_write(&f, "snapshot.making", image.bytes, image.size);
    file_write(&f, "snapshot.receiving", image.bytes, 10000);
    file_write(&f, "snapshot.spare", image.bytes, image.size);
    ck_assert_int_eq(load_again(&f), 0);
    ck_assert_uint_eq(f.snapshots.current.slot, f.slot);
    ck_assert_uint_eq(count_files(&f), 1);
    free(image.bytes);
    fixture_end(&f);
}
END_TEST

START_TEST(newest_is_found_among_more_files_than_are_looked_at_together)
{
    struct fixture f;
    char name[64];
    fixture_start(&f);
    fill(&f, 300, 50);
    (void)make(&f);
    for (uint64_t slot = 1; slot < 300; slot++) {
        name_of(slot, name);
        file_write(&f, name, (const uint8_t *)"?", 1);
    }
    for (uint64_t slot = 301; slot < 350; slot++) { /* damaged, each of them: tried before */
        name_of(slot, name);
        file_write(&f, name, (const uint8_t *)"?", 1);
    }
    ck_assert_int_eq(load_again(&f), 0);
    ck_assert_uint_eq(f.snapshots.current.slot, 300);
    fixture_end(&f);
}
END_TEST

START_TEST(files_of_others_are_neither_read_nor_removed)
{
    struct fixture f;
    fixture_start(&f);
    fill(&f, 50, 500);
    (void)make(&f);
    struct image image = image_read(&f, f.slot);
    static const char *const names[] = {"snapshot-0000000000000fff.snap.old",
                                        "snapshot-0000000000000FFF.snap",
                                        "snapshots.txt",
                                        "snapshot-zzzzzzzzzzzzzzzz.snap",
                                        "snapshot-12.snap",
                                        "snapshot"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        file_write(&f, names[i], image.bytes, image.size);
    }
    ck_assert_int_eq(load_again(&f), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_msg(file_exists(&f, names[i]), "%s is gone", names[i]);
    }
    ck_assert_uint_eq(f.snapshots.current.slot, f.slot);
    free(image.bytes);
    fixture_end(&f);
}
END_TEST

START_TEST(snapshot_under_another_ones_name_is_damage)
{
    struct fixture f;
    char name[64];
    fixture_start(&f);
    fill(&f, 50, 500);
    uint64_t digest = make(&f);
    struct image image = image_read(&f, f.slot);
    name_of(5000, name);
    file_write(&f, name, image.bytes, image.size);
    ck_assert_int_eq(load_again(&f), 0);
    ck_assert_uint_eq(f.snapshots.current.slot, f.slot);
    ck_assert_uint_eq(store_digest(f.store), digest);
    name_of(f.slot, name);
    remove_name(&f, name, NULL);
    ck_assert_int_eq(load_again(&f), -EBADMSG);
    free(image.bytes);
    fixture_end(&f);
}
END_TEST

START_TEST(snapshot_of_another_cluster_or_version_is_refused)
{
    struct fixture f;
    char name[64];
    fixture_start(&f);
    fill(&f, 5, 50);
    (void)make(&f);
    struct image image = image_read(&f, f.slot);
    name_of(f.slot, name);
    bytes_store_u64(image.bytes + 16, CLUSTER + 1);
    bytes_store_u32(image.bytes + 40, crc32c(0, image.bytes, 40));
    file_write(&f, name, image.bytes, image.size);
    ck_assert_int_eq(load_again(&f), -EXDEV);
    bytes_store_u32(image.bytes + 8, 2);
    bytes_store_u32(image.bytes + 40, crc32c(0, image.bytes, 40));
    file_write(&f, name, image.bytes, image.size);
    ck_assert_int_eq(load_again(&f), -EPROTONOSUPPORT);
    free(image.bytes);
    fixture_end(&f);
}
END_TEST

START_TEST(files_are_used_again_and_what_stood_in_them_never_shows)
{
    struct fixture f;
    fixture_start(&f);
    for (uint32_t round = 0; round < 12; round++) {
        /* Grows and shrinks, so that the spare is too small, too large, and just right. */
        fill(&f, 20, round % 3 == 0 ? 20000 : round % 3 == 1 ? 100 : 5000);
        uint64_t digest = make(&f);
        ck_assert(!f.snapshots.retired.is_open == (round == 0));
        snapshots_reclaim(&f.snapshots);
        ck_assert_uint_le(count_files(&f), 2);
        if (round % 5 == 4) {
            ck_assert_int_eq(load_again(&f), 0);
            ck_assert_uint_eq(store_digest(f.store), digest);
            fill(&f, 1, 1);
            (void)make(&f);
            snapshots_reclaim(&f.snapshots);
        }
        /* Given up half way: the next one starts over. */
        fill(&f, 1, 10);
        ck_assert_int_eq(snapshots_begin(&f.snapshots, f.store), 0);
        ck_assert_int_eq(snapshots_step(&f.snapshots, f.store), 0);
        snapshots_abandon(&f.snapshots, f.store);
    }
    uint64_t slot = f.snapshots.current.slot;
    ck_assert_int_eq(load_again(&f), 0); /* a crash in the middle of writing over the spare */
    ck_assert_uint_eq(f.snapshots.current.slot, slot);
    ck_assert_uint_eq(count_files(&f), 1);
    fixture_end(&f);
}
END_TEST

/* ---- Receiving ---- */

static int receive(struct fixture *to, const struct image *image, size_t size, uint64_t slot,
                   uint32_t chunk)
{
    int done = snapshots_receive_begin(&to->snapshots, slot, size);
    for (size_t at = 0; done == 0 && at < size; at += chunk) {
        size_t left = size - at;
        done = snapshots_receive(&to->snapshots, to->store, image->bytes + at,
                                 (uint32_t)(left < chunk ? left : chunk));
    }
    return done;
}

START_TEST(received_snapshot_becomes_the_state_and_stays_it)
{
    struct fixture from;
    struct fixture to;
    fixture_start(&from);
    fixture_start(&to);
    fill(&from, 100, 2000);
    fill(&to, 3, 10);
    uint64_t digest = make(&from);
    struct image image = image_read(&from, from.slot);
    size_t size = from.snapshots.current.file_bytes;
    ck_assert_int_eq(receive(&to, &image, size, from.slot, 70001), 1);
    ck_assert_uint_eq(store_digest(to.store), digest);
    ck_assert_uint_eq(to.snapshots.current.slot, from.slot);
    ck_assert_int_eq(load_again(&to), 0);
    ck_assert_uint_eq(store_digest(to.store), digest);
    free(image.bytes);
    fixture_end(&from);
    fixture_end(&to);
}
END_TEST

START_TEST(snapshot_damaged_on_the_way_changes_nothing)
{
    struct fixture from;
    struct fixture to;
    struct prng prng;
    prng_init(&prng, 11);
    fixture_start(&from);
    fixture_start(&to);
    fill(&from, 100, 2000);
    fill(&to, 3, 10);
    (void)make(&from);
    uint64_t digest = make(&to);
    struct image image = image_read(&from, from.slot);
    size_t size = from.snapshots.current.file_bytes;
    for (int i = 0; i < 100; i++) {
        size_t at = prng_below(&prng, size);
        bool is_padding = at >= 44 && at < 4096;
        image.bytes[at] ^= 0x10;
        if (!is_padding) {
            ck_assert_int_eq(receive(&to, &image, size, from.slot, 50000), -EBADMSG);
            ck_assert_uint_eq(store_digest(to.store), digest);
            ck_assert_uint_eq(to.snapshots.current.slot, to.slot);
        }
        image.bytes[at] ^= 0x10;
    }
    /* Not the snapshot that was said to come; more than that many bytes; fewer than any has. */
    ck_assert_int_eq(receive(&to, &image, size, from.slot + 1, 50000), -EBADMSG);
    ck_assert_int_eq(snapshots_receive_begin(&to.snapshots, from.slot, 5000), 0);
    ck_assert_int_eq(snapshots_receive(&to.snapshots, to.store, image.bytes, 5001), -EBADMSG);
    ck_assert_int_eq(snapshots_receive_begin(&to.snapshots, from.slot, 4095), -EBADMSG);
    ck_assert_int_eq(receive(&to, &image, size, from.slot, 50000), 1); /* sent again, it is good */
    free(image.bytes);
    fixture_end(&from);
    fixture_end(&to);
}
END_TEST

START_TEST(receiving_given_up_leaves_no_half_file_in_force)
{
    struct fixture from;
    struct fixture to;
    fixture_start(&from);
    fixture_start(&to);
    fill(&from, 100, 2000);
    fill(&to, 3, 10);
    (void)make(&from);
    (void)make(&to);
    struct image image = image_read(&from, from.slot);
    ck_assert_int_eq(
        snapshots_receive_begin(&to.snapshots, from.slot, from.snapshots.current.file_bytes), 0);
    ck_assert_int_eq(snapshots_receive(&to.snapshots, to.store, image.bytes, 100000), 0);
    snapshots_receive_abandon(&to.snapshots);
    snapshots_receive_abandon(&to.snapshots); /* twice is as good */
    ck_assert(!to.snapshots.receiving.is_active);
    fill(&to, 3, 20);
    uint64_t digest = make(&to);
    ck_assert_int_eq(load_again(&to), 0);
    ck_assert_uint_eq(store_digest(to.store), digest);
    free(image.bytes);
    fixture_end(&from);
    fixture_end(&to);
}
END_TEST

START_TEST(nothing_is_received_while_the_one_before_may_still_be_named)
{
    struct fixture f;
    fixture_start(&f);
    fill(&f, 3, 10);
    (void)make(&f);
    fill(&f, 3, 10);
    (void)make(&f);
    ck_assert(f.snapshots.retired.is_open);
    ck_assert_int_eq(snapshots_receive_begin(&f.snapshots, 100, 10000), -EAGAIN);
    snapshots_reclaim(&f.snapshots);
    ck_assert_int_eq(snapshots_receive_begin(&f.snapshots, 100, 10000), 0);
    fixture_end(&f);
}
END_TEST

/* ---- The disk's order ---- */

struct recorder {
    struct disk disk;
    char log[64]; /* s: sync, r: rename, d: directory synced */
    uint32_t count;
    char fails; /* the operation that fails from now on */
};

static int record(struct recorder *recorder, char what)
{
    if (recorder->count + 1 < sizeof recorder->log) {
        recorder->log[recorder->count++] = what;
    }
    return recorder->fails == what ? -EIO : 0;
}

static int record_sync(void *self, struct disk_file *file, size_t offset, size_t length)
{
    (void)file;
    (void)offset;
    (void)length;
    return record(self, 's');
}

static int record_rename(void *self, const char *from, const char *to)
{
    int error = record(self, 'r');
    return error != 0 ? error : disk_file()->ops->rename(NULL, from, to);
}

static int record_directory_sync(void *self, const char *directory)
{
    (void)directory;
    return record(self, 'd');
}

static const struct disk_ops *recorder_ops(void)
{
    static struct disk_ops ops;
    ops = *disk_file()->ops;
    ops.sync = record_sync;
    ops.rename = record_rename;
    ops.directory_sync = record_directory_sync;
    return &ops;
}

START_TEST(file_is_durable_before_it_gets_its_name_and_its_name_before_it_counts)
{
    struct fixture f;
    fixture_start(&f);
    fixture_close(&f);
    struct recorder recorder = {.disk.ops = recorder_ops()};
    recorder.disk.self = &recorder;
    fixture_open(&f, &recorder.disk, true);
    fill(&f, 3, 10);
    (void)make(&f);
    ck_assert_str_eq(recorder.log, "srd");
    fixture_end(&f);
}
END_TEST

START_TEST(failing_disk_leaves_the_old_snapshot_in_force)
{
    struct fixture f;
    fixture_start(&f);
    fixture_close(&f);
    struct recorder recorder = {.disk.ops = recorder_ops()};
    recorder.disk.self = &recorder;
    fixture_open(&f, &recorder.disk, true);
    f.slot = 0;
    fill(&f, 3, 10);
    uint64_t digest = make(&f);
    uint64_t slot = f.slot;
    for (const char *fails = "sr"; *fails != 0; fails++) {
        fill(&f, 3, 10);
        recorder.fails = *fails;
        ck_assert_int_eq(snapshots_begin(&f.snapshots, f.store), 0);
        int done = 0;
        while ((done = snapshots_step(&f.snapshots, f.store)) == 0) {
        }
        ck_assert_int_eq(done, -EIO);
        ck_assert(!f.snapshots.making.is_active && !f.snapshots.making.file.is_open);
        ck_assert_uint_eq(f.snapshots.current.slot, slot);
        recorder.fails = 0;
    }
    ck_assert_int_eq(load_again(&f), 0);
    ck_assert_uint_eq(store_digest(f.store), digest);
    fixture_end(&f);
}
END_TEST

TEST_MAIN("replica/snapshot", snapshot_gives_back_the_state_it_was_taken_of,
          writes_during_the_making_are_not_in_it,
          damage_anywhere_is_an_error_and_never_a_wrong_state, truncated_file_is_an_error,
          older_snapshot_is_loaded_when_the_newest_is_damaged,
          older_and_half_made_files_are_removed_once_one_is_loaded,
          newest_is_found_among_more_files_than_are_looked_at_together,
          files_of_others_are_neither_read_nor_removed, snapshot_under_another_ones_name_is_damage,
          snapshot_of_another_cluster_or_version_is_refused,
          files_are_used_again_and_what_stood_in_them_never_shows,
          received_snapshot_becomes_the_state_and_stays_it,
          snapshot_damaged_on_the_way_changes_nothing,
          receiving_given_up_leaves_no_half_file_in_force,
          nothing_is_received_while_the_one_before_may_still_be_named,
          file_is_durable_before_it_gets_its_name_and_its_name_before_it_counts,
          failing_disk_leaves_the_old_snapshot_in_force)
