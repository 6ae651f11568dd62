/* SPDX-License-Identifier: MIT */
#include "wal/segmented_log.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "test_main.h"
#include "wal_fixture.h"

/* The ring's life: creation, rolling, recycling, and crashes at every step of each. */

/* What the caller of a log has been promised, to be held against what recovery gives back. */
struct ledger {
    uint64_t ballot_of[FIXTURE_INDEX_SLOTS * 4]; /* by slot; 0: not appended */
    uint64_t durable_ballot_of[FIXTURE_INDEX_SLOTS * 4];
    uint64_t promised, durable_promised;
    uint64_t released; /* slots <= this may be gone */
    uint64_t last;
};

static void ledger_sync(struct ledger *ledger)
{
    memcpy(ledger->durable_ballot_of, ledger->ballot_of, sizeof ledger->ballot_of);
    ledger->durable_promised = ledger->promised;
}

/* Nothing durable is missing, nothing is found that was not appended. */
static void ledger_check(const struct ledger *ledger, const struct fixture *f, const char *when)
{
    ck_assert_msg(!f->is_replay_wrong, "%s: a record nobody wrote", when);
    ck_assert_msg(f->recovery.promised >= ledger->durable_promised, "%s: promise lost", when);
    ck_assert_msg(f->recovery.promised <= ledger->promised, "%s: promise made up", when);
    for (uint64_t slot = ledger->released + 1; slot <= ledger->last; slot++) {
        struct record record;
        bool is_found = wal_find(f->wal, slot, &record);
        uint64_t durable = ledger->durable_ballot_of[slot];
        ck_assert_msg(is_found || durable == 0, "%s: slot %lu lost", when, (unsigned long)slot);
        ck_assert_msg(
            !is_found || (record.ballot >= durable && record.ballot <= ledger->ballot_of[slot]),
            "%s: slot %lu has ballot %lu", when, (unsigned long)slot, (unsigned long)record.ballot);
    }
}

/* One random act of a log's owner. False when the log was full. */
static bool act(struct wal *wal, struct ledger *ledger, struct prng *prng)
{
    int error = 0;
    uint64_t ballot = ledger->promised + prng_below(prng, 20) / 19;
    uint64_t dice = prng_below(prng, 1000);
    if (dice < 960) {
        uint64_t slot = ledger->last + 1;
        if (dice < 50 && ledger->last > ledger->released + 10)
            slot -= 1 + prng_below(prng, 9); /* again, at a ballot not lower */
        error = append_value(wal, slot, ballot);
        if (error == 0) {
            ledger->ballot_of[slot] = ballot;
            ledger->last = slot > ledger->last ? slot : ledger->last;
            ledger->promised = ballot;
        }
    } else {
        error = wal_append_promise(wal, ballot + 1);
        ledger->promised += error == 0 ? ballot + 1 - ledger->promised : 0;
    }
    ck_assert(error == 0 || error == -ENOSPC);
    return error == 0;
}

/* Makes room as the owner of a full log does. */
static void make_room(struct wal *wal, struct ledger *ledger, struct prng *prng)
{
    ledger->released += (ledger->last - ledger->released) * (1 + prng_below(prng, 4)) / 4;
    wal_release(wal, ledger->released);
    wal_reclaim(wal);
}

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
        while (act(f.wal, &ledger, &prng))
            ;
        ck_assert_int_eq(wal_sync(f.wal), 0);
        ledger_sync(&ledger);
        fixture_close(&f);
        crash_point_init(&crash, &f, 1 + at);
        ck_assert_int_eq(fixture_open(&f), 0);
        crash.at = crash.disk.operations + at;
        crash.is_taken = false;
        image_free(&crash.image);
        make_room(f.wal, &ledger, &prng);
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

/* --- power failures ----------------------------------------------------------------------------
 */

/* Offset of the first record of a slot in a segment's bytes. */
static size_t offset_in(const struct image_file *file, uint64_t slot)
{
    struct segment segment = {.file = {.bytes = file->bytes, .size = file->size}};
    struct segment_owner owner;
    struct record_check check;
    size_t offset = 0;
    ck_assert_int_eq(segment_header_read(&segment, &owner), 0);
    struct segment_walk walk = {
        .segment = &segment, .offset = SEGMENT_HEADER_BYTES, .is_verified = true};
    while (segment_walk_next(&walk, &check, &offset)) {
        if (check.record.kind == RECORD_VALUE && check.record.slot == slot)
            return offset;
    }
    ck_abort_msg("slot %lu is not there", (unsigned long)slot);
    return 0;
}

START_TEST(bad_record_is_damage_before_the_last_sync_and_a_torn_tail_after_it)
{
    struct fixture f;
    struct image image;
    fixture_init(&f);
    f.config.sync = WAL_SYNC_BATCH;
    ck_assert_int_eq(fixture_open(&f), 0);
    append_values(f.wal, 1, 10, 4);
    ck_assert_int_eq(wal_sync(f.wal), 0);
    append_values(f.wal, 11, 20, 4);
    fixture_close(&f);
    image_take(&image, f.directory);
    struct image_file *file = image_segment(&image, 1);
    for (uint64_t slot = 1; slot <= 20; slot++) {
        uint8_t *byte = file->bytes + offset_in(file, slot) + 20;
        *byte ^= 0x10;
        image_put(&image, f.directory);
        if (slot <= 10) {
            ck_assert_int_eq(fixture_open(&f), -EBADMSG);
            ck_assert_uint_eq(f.recovery.good_after, 10 - slot + 1 + 10); /* and the marker */
            ck_assert(image_matches(&image, f.directory));
        } else {
            struct record record;
            ck_assert_int_eq(fixture_open(&f), 0);
            ck_assert(f.recovery.tail_was_torn);
            ck_assert_uint_eq(f.replayed, slot - 1);
            append_values(f.wal, slot, slot, 4);
            fixture_reopen(&f);
            ck_assert(!f.recovery.tail_was_torn);
            ck_assert_uint_eq(f.replayed, slot);
            ck_assert(!wal_find(f.wal, slot + 1, &record)); /* good once, but cut with the rest */
            fixture_close(&f);
        }
        *byte ^= 0x10;
    }
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(torn_batch_over_several_segments_is_cut_in_all_of_them)
{
    struct fixture f;
    struct image image;
    fixture_init(&f);
    f.config.sync = WAL_SYNC_BATCH;
    ck_assert_int_eq(fixture_open(&f), 0);
    append_values(f.wal, 1, 100, 4);
    ck_assert_int_eq(wal_sync(f.wal), 0);
    append_until_rolled(f.wal, 101, 4, 2);
    fixture_close(&f);
    image_take(&image, f.directory);
    struct image_file *file = image_segment(&image, 1);
    file->bytes[offset_in(file, 150) + 20] ^= 1;
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), 0);
    ck_assert_uint_eq(f.replayed, 149);
    struct wal_space space;
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.segments_spare, 3);
    append_until_rolled(f.wal, 150, 5, 3);
    fixture_reopen(&f);
    ck_assert(value_is_found(f.wal, 150, 5));
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(record_after_a_change_to_batch_sync_proves_what_came_before)
{
    struct fixture f;
    struct image image;
    fixture_start(&f);
    append_values(f.wal, 1, 10, 4);
    fixture_close(&f);
    f.config.sync = WAL_SYNC_BATCH;
    ck_assert_int_eq(fixture_open(&f), 0);
    append_values(f.wal, 11, 12, 4);
    fixture_close(&f);
    image_take(&image, f.directory);
    struct image_file *file = image_segment(&image, 1);
    uint8_t *byte = file->bytes + offset_in(file, 10) + 20;
    *byte ^= 1;
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EBADMSG);
    *byte ^= 1;
    image_put(&image, f.directory);
    f.config.sync = WAL_SYNC_NONE;
    ck_assert_int_eq(fixture_open(&f), 0);
    append_values(f.wal, 13, 14, 4);
    fixture_close(&f);
    image_free(&image);
    image_take(&image, f.directory);
    file = image_segment(&image, 1);
    file->bytes[offset_in(file, 12) + 20] ^= 1; /* made durable when the mode changed */
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EBADMSG);
    image_free(&image);
    fixture_end(&f);
}
END_TEST

struct power_loss {
    struct test_disk disk;
    const char *directory;
    struct prng prng;
    uint64_t at;
    const struct ledger *ledger;
    struct ledger ledger_then;
    struct image image;
    bool is_taken;
};

static void lose_power_at(void *context)
{
    struct power_loss *loss = context;
    if (loss->is_taken || loss->disk.operations < loss->at)
        return;
    test_disk_take_power_loss(&loss->disk, loss->directory, &loss->prng, &loss->image);
    loss->ledger_then = *loss->ledger;
    loss->is_taken = true;
}

static void power_loss_arm(struct power_loss *loss, struct fixture *f, const struct ledger *ledger,
                           uint64_t at)
{
    test_disk_init(&loss->disk);
    loss->directory = f->directory;
    loss->disk.on_operation = lose_power_at;
    loss->disk.context = loss;
    loss->ledger = ledger;
    loss->at = at;
    loss->image.count = 0;
    loss->is_taken = false;
    f->config.disk = &loss->disk.disk;
}

/* Works on the log until the power fails. */
static void work_until_power_loss(struct fixture *f, struct ledger *ledger, struct power_loss *loss,
                                  struct prng *prng)
{
    uint64_t sync_odds = 2 + prng_below(prng, 60);
    uint64_t acts = prng_below(prng, 6000);
    while (!loss->is_taken && ledger->last + 2 < FIXTURE_INDEX_SLOTS * 4) {
        if (!act(f->wal, ledger, prng) || prng_below(prng, 400) == 0)
            make_room(f->wal, ledger, prng);
        if (prng_below(prng, sync_odds) == 0) {
            ck_assert_int_eq(wal_sync(f->wal), 0);
            ledger_sync(ledger);
        }
        if (acts-- == 0) { /* between operations too */
            loss->at = 0;
            lose_power_at(loss);
        }
    }
}

static unsigned power_loss_round(uint64_t seed)
{
    static struct ledger ledger;
    static struct power_loss loss;
    static struct power_loss again;
    struct fixture f;
    struct prng prng;
    unsigned torn = 0;
    prng_init(&prng, seed);
    prng_init(&loss.prng, seed + 1000000);
    prng_init(&again.prng, seed + 2000000);
    memset(&ledger, 0, sizeof ledger);
    fixture_init(&f);
    f.config.sync = WAL_SYNC_BATCH;
    power_loss_arm(&loss, &f, &ledger, 1 + prng_below(&prng, 400));
    ck_assert_int_eq(fixture_open(&f), 0);
    work_until_power_loss(&f, &ledger, &loss, &prng);
    fixture_close(&f);
    if (loss.is_taken) {
        /* And once more while the first recovery is under way. */
        image_put(&loss.image, f.directory);
        image_free(&loss.image);
        power_loss_arm(&again, &f, &loss.ledger_then, 1 + prng_below(&prng, 12));
        ck_assert_msg(fixture_open(&f) == 0, "seed %lu: damage in %s at %lu, %lu good behind",
                      (unsigned long)seed, f.recovery.damaged_segment, f.recovery.damaged_offset,
                      f.recovery.good_after);
        ledger_check(&loss.ledger_then, &f, "recovery");
        torn += f.recovery.tail_was_torn;
        fixture_close(&f);
        if (again.is_taken) {
            image_put(&again.image, f.directory);
            image_free(&again.image);
        }
        f.config.disk = disk_file();
        ck_assert_msg(fixture_open(&f) == 0, "seed %lu: damage in %s at %lu, %lu good behind",
                      (unsigned long)seed, f.recovery.damaged_segment, f.recovery.damaged_offset,
                      f.recovery.good_after);
        ledger_check(&loss.ledger_then, &f, "recovery after a crash in the recovery");
        uint64_t digest = f.replay_digest;
        fixture_reopen(&f);
        ck_assert_uint_eq(f.replay_digest, digest);
    }
    fixture_end(&f);
    return torn;
}

START_TEST(power_failure_at_any_point_loses_nothing_that_was_synced)
{
    unsigned torn = 0;
    for (uint64_t seed = 1; seed <= 600; seed++)
        torn += power_loss_round(seed);
    ck_assert_uint_gt(torn, 50); /* the fault was delivered */
}
END_TEST

/* --- kill -9 -----------------------------------------------------------------------------------
 */

/* Written by the child that is killed, read by its parent. */
struct witness {
    _Atomic uint64_t acknowledged;
    _Atomic uint64_t released;
    uint64_t rolls;
};

static _Noreturn void append_for_ever(struct fixture *f, struct witness *witness)
{
    if (fixture_open(f) != 0)
        _exit(1);
    struct wal_space space;
    wal_space(f->wal, &space);
    for (uint64_t slot = space.last_slot + 1;; slot++) {
        while (append_value(f->wal, slot, 4) == -ENOSPC) {
            atomic_store_explicit(&witness->released, slot - 100, memory_order_relaxed);
            wal_release(f->wal, slot - 100);
            wal_reclaim(f->wal);
        }
        /* release: pairs with nothing that runs; the parent reads it after the kill. */
        atomic_store_explicit(&witness->acknowledged, slot, memory_order_release);
    }
}

START_TEST(killed_process_leaves_every_acknowledged_record)
{
    struct fixture f;
    struct prng prng;
    char path[PATH_MAX];
    struct disk_file shared;
    fixture_init(&f);
    prng_init(&prng, 77);
    ck_assert_int_lt(snprintf(path, sizeof path, "%s/witness", f.directory), PATH_MAX);
    ck_assert_int_eq(disk_file()->ops->create(NULL, path, 4096, &shared), 0);
    struct witness *witness = (struct witness *)(void *)shared.bytes;
    for (int round = 0; round < 60; round++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            append_for_ever(&f, witness);
        struct timespec nap = {.tv_nsec = 200000 + (long)prng_below(&prng, 4000000)};
        nanosleep(&nap, NULL);
        int status = 0;
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        ck_assert_int_eq(fixture_open(&f), 0);
        ck_assert(!f.is_replay_wrong);
        uint64_t acknowledged = atomic_load_explicit(&witness->acknowledged, memory_order_acquire);
        uint64_t released = atomic_load_explicit(&witness->released, memory_order_relaxed);
        struct wal_space space;
        wal_space(f.wal, &space);
        ck_assert_uint_ge(space.last_slot, acknowledged);
        ck_assert_uint_le(space.last_slot, acknowledged + 1);
        for (uint64_t slot = released + 1; slot <= acknowledged; slot++)
            ck_assert(value_is_found(f.wal, slot, 4));
        fixture_close(&f);
    }
    disk_file()->ops->close(NULL, &shared);
    fixture_end(&f);
}
END_TEST

TEST_MAIN("wal/segmented_log", creation_stopped_before_any_operation_is_finished_by_the_next_open,
          recycling_stopped_before_any_operation_loses_nothing,
          header_half_way_between_two_lives_is_taken_up_again,
          reclaim_announced_but_not_begun_is_finished_by_recovery, names_follow_what_the_files_hold,
          disk_full_at_creation_is_enospc_and_leaves_nothing_behind,
          disk_full_at_growth_leaves_the_log_as_it_was, failed_sync_is_final,
          failed_sync_in_a_reclaim_recycles_nothing, sync_does_nothing_when_nothing_is_new,
          mapped_log_never_syncs, roll_asks_nothing_of_the_disk,
          bad_record_is_damage_before_the_last_sync_and_a_torn_tail_after_it,
          torn_batch_over_several_segments_is_cut_in_all_of_them,
          record_after_a_change_to_batch_sync_proves_what_came_before,
          power_failure_at_any_point_loses_nothing_that_was_synced,
          killed_process_leaves_every_acknowledged_record)
