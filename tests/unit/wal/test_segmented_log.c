/* SPDX-License-Identifier: MIT */
#include "wal/segmented_log.h"

#include "test_main.h"
#include "wal_fixture.h"
#include "wal_ledger.h"

/* The ring's life: creation, rolling, recycling, crashes at every step of each, errors of the disk.
 */

/* --- crash images before every operation -------------------------------------------------------
 */

struct crash_point {
    struct test_disk disk;
    char directory[PATH_MAX];
    uint64_t at; /* take the image before this operation */
    struct image image;
    bool is_taken;
};

static void take_at(void *context)
{
    struct crash_point *crash = context;
    if (crash->disk.operations == crash->at) {
        image_take(&crash->image, crash->directory);
        crash->is_taken = true;
    }
}

static void crash_point_init(struct crash_point *crash, struct fixture *f, uint64_t at)
{
    test_disk_init(&crash->disk);
    snprintf(crash->directory, PATH_MAX, "%s", f->directory);
    crash->disk.on_operation = take_at;
    crash->disk.context = crash;
    crash->at = at;
    crash->image.count = 0;
    crash->is_taken = false;
    f->config.disk = &crash->disk.disk;
}

START_TEST(creation_stopped_before_any_operation_is_finished_by_the_next_open)
{
    static struct crash_point crash;
    for (int mode = 0; mode < 2; mode++) {
        bool is_done = false;
        for (uint64_t at = 1; !is_done; at++) {
            struct fixture f;
            fixture_init(&f);
            f.config.sync = mode == 0 ? WAL_SYNC_NONE : WAL_SYNC_BATCH;
            crash_point_init(&crash, &f, at);
            ck_assert_int_eq(fixture_open(&f), 0);
            fixture_close(&f);
            is_done = !crash.is_taken;
            if (crash.is_taken) {
                image_put(&crash.image, f.directory);
                image_free(&crash.image);
                f.config.disk = disk_file();
                ck_assert_int_eq(fixture_open(&f), 0);
                append_values(f.wal, 1, 5, 1);
                ck_assert_int_eq(wal_sync(f.wal), 0);
                fixture_reopen(&f);
                ck_assert_uint_eq(f.replayed, 5);
            }
            fixture_end(&f);
        }
    }
}
END_TEST

START_TEST(recycling_stopped_before_any_operation_loses_nothing)
{
    static struct crash_point crash;
    static struct ledger ledger;
    bool is_done = false;
    unsigned crashes = 0;
    for (uint64_t at = 1; !is_done; at++) {
        struct fixture f;
        struct prng prng;
        prng_init(&prng, 3);
        memset(&ledger, 0, sizeof ledger);
        fixture_init(&f);
        f.config.sync = WAL_SYNC_BATCH;
        ck_assert_int_eq(fixture_open(&f), 0);
        while (ledger_act(f.wal, &ledger, &prng))
            ;
        ck_assert_int_eq(wal_sync(f.wal), 0);
        ledger_sync(&ledger);
        fixture_close(&f);
        crash_point_init(&crash, &f, 1 + at);
        ck_assert_int_eq(fixture_open(&f), 0);
        crash.at = crash.disk.operations + at;
        crash.is_taken = false;
        image_free(&crash.image);
        ledger_make_room(f.wal, &ledger, &prng);
        ck_assert_int_eq(wal_sync(f.wal), 0);
        ck_assert_int_eq(wal_reset(f.wal, ledger.released), 0);
        memset(ledger.durable_ballot_of, 0, sizeof ledger.durable_ballot_of);
        wal_reclaim(f.wal);
        fixture_close(&f);
        is_done = !crash.is_taken;
        if (crash.is_taken) {
            crashes++;
            image_put(&crash.image, f.directory);
            image_free(&crash.image);
            f.config.disk = disk_file();
            ck_assert_int_eq(fixture_open(&f), 0);
            ledger_check(&ledger, &f, "recycling");
            uint64_t digest = f.replay_digest;
            fixture_reopen(&f);
            ck_assert_uint_eq(f.replay_digest, digest);
            ledger_check(&ledger, &f, "second recovery");
        }
        fixture_end(&f);
    }
    ck_assert_uint_gt(crashes, 10);
}
END_TEST

START_TEST(header_half_way_between_two_lives_is_taken_up_again)
{
    struct fixture f;
    struct image image;
    struct prng prng;
    prng_init(&prng, 9);
    fixture_start(&f);
    uint64_t end = append_until_rolled(f.wal, 1, 4, 1);
    ck_assert_int_eq(wal_append_promise(f.wal, 9), 0);
    wal_release(f.wal, end - 2);
    wal_reclaim(f.wal); /* segment 1 is segment 5 now */
    fixture_close(&f);
    image_take(&image, f.directory);
    struct image_file *file = image_segment(&image, 5);
    ck_assert_ptr_nonnull(file);
    uint8_t header[64];
    memcpy(header, file->bytes, sizeof header);
    for (int round = 0; round < 40; round++) {
        /* The magic number goes first and comes last; between, anything. */
        memset(file->bytes, 0, 8);
        for (size_t i = 8; i < sizeof header; i++)
            file->bytes[i] = round == 0 ? header[i] : (uint8_t)prng_next(&prng);
        image_put(&image, f.directory);
        ck_assert_int_eq(fixture_open(&f), 0);
        ck_assert_uint_eq(f.recovery.promised, 9);
        ck_assert(value_is_found(f.wal, end - 1, 4));
        struct wal_space space;
        wal_space(f.wal, &space);
        ck_assert_uint_eq(space.segments_total, FIXTURE_SEGMENTS);
        append_until_rolled(f.wal, end, 4, 2);
        fixture_close(&f);
    }
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(reclaim_announced_but_not_begun_is_finished_by_recovery)
{
    struct fixture f;
    struct wal_space space;
    fixture_start(&f);
    uint64_t end = append_until_rolled(f.wal, 1, 4, 2);
    wal_release(f.wal, end - 1);
    append_until_rolled(f.wal, end, 4, 1); /* the state record of the new segment says so */
    fixture_reopen(&f);
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.segments_spare, 2);
    ck_assert_uint_eq(space.segments_retired, 0);
    ck_assert_uint_eq(space.first_slot, end);
    fixture_end(&f);
}
END_TEST

START_TEST(full_log_superseded_and_then_released_can_still_be_reclaimed)
{
    struct fixture f;
    fixture_start(&f);
    uint64_t end = append_until_full(f.wal, 1, 4);
    ck_assert_int_eq(wal_supersede(f.wal, end / 3), 0); /* takes the first half of the reserve */
    uint32_t retired = wal_retired(f.wal);
    wal_release(f.wal, end * 2 / 3);
    ck_assert_uint_gt(wal_retired(f.wal), retired); /* so the reclaim has to write another state */
    wal_reclaim(f.wal);
    ck_assert_uint_eq(wal_retired(f.wal), 0);
    ck_assert_int_eq(append_value(f.wal, end, 4), 0);
    fixture_reopen(&f);
    ck_assert(value_is_found(f.wal, end, 4));
    fixture_end(&f);
}
END_TEST

START_TEST(names_follow_what_the_files_hold)
{
    struct fixture f;
    struct image image;
    char name[SEGMENT_NAME_BYTES];
    fixture_start(&f);
    uint64_t end = append_until_rolled(f.wal, 1, 4, 2);
    wal_release(f.wal, end - 1);
    wal_reclaim(f.wal);
    fixture_close(&f);
    image_take(&image, f.directory);
    segment_name(name, 3, 1); /* opened when nothing was released */
    ck_assert_str_eq(image_segment(&image, 3)->name, name);
    ck_assert_str_eq(name, "segment-00000003-0000000000000001.wal");
    ck_assert_str_eq(image_segment(&image, 4)->name, "segment-00000004-spare.wal");
    ck_assert_str_eq(image_segment(&image, 5)->name, "segment-00000005-spare.wal");
    ck_assert_str_eq(image_segment(&image, 6)->name, "segment-00000006-spare.wal");
    image_free(&image);
    fixture_end(&f);
}
END_TEST

/* --- errors of the disk ------------------------------------------------------------------------
 */

START_TEST(disk_full_at_creation_is_enospc_and_leaves_nothing_behind)
{
    static struct test_disk disk;
    struct fixture f;
    struct image image;
    for (int left = 0; left < FIXTURE_SEGMENTS; left++) {
        fixture_init(&f);
        test_disk_init(&disk);
        f.config.disk = &disk.disk;
        disk.creates_left = left;
        ck_assert_int_eq(fixture_open(&f), -ENOSPC);
        image_take(&image, f.directory);
        ck_assert_uint_eq(image.count, 0);
        image_free(&image);
        disk.creates_left = -1;
        ck_assert_int_eq(fixture_open(&f), 0);
        fixture_end(&f);
    }
}
END_TEST

START_TEST(disk_full_at_growth_leaves_the_log_as_it_was)
{
    static struct test_disk disk;
    struct fixture f;
    fixture_start(&f);
    append_values(f.wal, 1, 50, 4);
    fixture_close(&f);
    test_disk_init(&disk);
    f.config.disk = &disk.disk;
    f.config.segment_count = 8;
    disk.creates_left = 2;
    ck_assert_int_eq(fixture_open(&f), -ENOSPC);
    f.config.segment_count = FIXTURE_SEGMENTS;
    ck_assert_int_eq(fixture_open(&f), 0);
    struct wal_space space;
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.segments_total, FIXTURE_SEGMENTS);
    ck_assert_uint_eq(f.replayed, 50);
    fixture_end(&f);
}
END_TEST

START_TEST(failed_sync_is_final)
{
    static struct test_disk disk;
    struct fixture f;
    fixture_init(&f);
    test_disk_init(&disk);
    f.config.disk = &disk.disk;
    f.config.sync = WAL_SYNC_BATCH;
    ck_assert_int_eq(fixture_open(&f), 0);
    append_values(f.wal, 1, 10, 4);
    ck_assert_int_eq(wal_sync(f.wal), 0);
    append_values(f.wal, 11, 12, 4);
    disk.fail_sync = -EIO;
    ck_assert_int_eq(wal_sync(f.wal), -EIO);
    disk.fail_sync =
        0; /* a second fdatasync may well claim success: the pages are lost all the same */
    ck_assert_int_eq(wal_sync(f.wal), -EIO);
    ck_assert_int_eq(append_value(f.wal, 13, 4), -EIO);
    ck_assert_int_eq(wal_append_promise(f.wal, 9), -EIO);
    ck_assert_int_eq(wal_append_mark(f.wal, 9), -EIO);
    ck_assert_int_eq(wal_reset(f.wal, 100), -EIO);
    wal_release(f.wal, 5);
    wal_reclaim(f.wal);
    fixture_reopen(&f);
    ck_assert_uint_ge(f.replayed, 10);
    fixture_end(&f);
}
END_TEST

START_TEST(failed_sync_in_a_reclaim_recycles_nothing)
{
    static struct test_disk disk;
    struct fixture f;
    struct image image;
    fixture_init(&f);
    test_disk_init(&disk);
    f.config.disk = &disk.disk;
    f.config.sync = WAL_SYNC_BATCH;
    ck_assert_int_eq(fixture_open(&f), 0);
    uint64_t end = append_until_rolled(f.wal, 1, 4, 2);
    ck_assert_int_eq(wal_sync(f.wal), 0);
    wal_release(f.wal, end - 1);
    disk.fail_sync = -ENOSPC; /* whatever it says, it is EIO to the log's owner */
    wal_reclaim(f.wal);
    ck_assert_int_eq(append_value(f.wal, end, 4), -EIO);
    image_take(&image, f.directory);
    ck_assert_ptr_nonnull(image_segment(&image, 1));
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(sync_does_nothing_when_nothing_is_new)
{
    static struct test_disk disk;
    struct fixture f;
    struct wal_space space;
    fixture_init(&f);
    test_disk_init(&disk);
    f.config.disk = &disk.disk;
    f.config.sync = WAL_SYNC_BATCH;
    ck_assert_int_eq(fixture_open(&f), 0);
    append_values(f.wal, 1, 10, 4);
    ck_assert_int_eq(wal_sync(f.wal), 0);
    uint64_t syncs = disk.syncs;
    ck_assert_int_eq(wal_sync(f.wal), 0);
    ck_assert_uint_eq(disk.syncs, syncs);
    append_values(f.wal, 11, 11, 4);
    ck_assert_int_eq(wal_sync(f.wal), 0);
    ck_assert_uint_eq(disk.syncs, syncs + 1);
    wal_space(f.wal, &space);
    ck_assert_uint_ge(space.syncs, 2);
    fixture_end(&f);
}
END_TEST

START_TEST(mapped_log_never_syncs)
{
    static struct test_disk disk;
    struct fixture f;
    fixture_init(&f);
    test_disk_init(&disk);
    f.config.disk = &disk.disk;
    ck_assert_int_eq(fixture_open(&f), 0);
    uint64_t end = append_until_rolled(f.wal, 1, 4, 2);
    uint64_t operations = disk.operations;
    append_values(f.wal, end, end + 100, 4);
    ck_assert_int_eq(wal_sync(f.wal), 0);
    ck_assert_uint_eq(disk.operations, operations);
    wal_release(f.wal, end);
    wal_reclaim(f.wal);
    fixture_reopen(&f);
    ck_assert_uint_eq(disk.syncs, 0);
    fixture_end(&f);
}
END_TEST

START_TEST(roll_asks_nothing_of_the_disk)
{
    static struct test_disk disk;
    struct fixture f;
    fixture_init(&f);
    test_disk_init(&disk);
    f.config.disk = &disk.disk;
    f.config.sync = WAL_SYNC_BATCH;
    ck_assert_int_eq(fixture_open(&f), 0);
    uint64_t operations = disk.operations;
    append_until_full(f.wal, 1, 4);
    ck_assert_uint_eq(disk.operations, operations);
    fixture_end(&f);
}
END_TEST

TEST_MAIN("wal/segmented_log", creation_stopped_before_any_operation_is_finished_by_the_next_open,
          recycling_stopped_before_any_operation_loses_nothing,
          header_half_way_between_two_lives_is_taken_up_again,
          reclaim_announced_but_not_begun_is_finished_by_recovery,
          full_log_superseded_and_then_released_can_still_be_reclaimed,
          names_follow_what_the_files_hold,
          disk_full_at_creation_is_enospc_and_leaves_nothing_behind,
          disk_full_at_growth_leaves_the_log_as_it_was, failed_sync_is_final,
          failed_sync_in_a_reclaim_recycles_nothing, sync_does_nothing_when_nothing_is_new,
          mapped_log_never_syncs, roll_asks_nothing_of_the_disk)
