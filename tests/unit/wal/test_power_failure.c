/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "test_main.h"
#include "wal/segmented_log.h"
#include "wal_fixture.h"
#include "wal_ledger.h"

/* Power failures under WAL_SYNC_BATCH, kill -9 under WAL_SYNC_NONE. */

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
        if (!ledger_act(f->wal, ledger, prng) || prng_below(prng, 400) == 0)
            ledger_make_room(f->wal, ledger, prng);
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

/* Opens the log after a power failure, holds it against the ledger, and takes over what it found as
 * what is durable now: recovery has handed it out. */
static void recover_from_power_loss(struct fixture *f, struct ledger *ledger, uint64_t seed)
{
    ck_assert_msg(fixture_open(f) == 0, "seed %lu: damage in %s at %lu, %lu good behind",
                  (unsigned long)seed, f->recovery.damaged_segment,
                  (unsigned long)f->recovery.damaged_offset, (unsigned long)f->recovery.good_after);
    ledger_check(ledger, f, "recovery");
    for (uint64_t slot = ledger->released + 1; slot <= ledger->last; slot++) {
        struct record record;
        ledger->ballot_of[slot] = wal_find(f->wal, slot, &record) ? record.ballot : 0;
    }
    while (ledger->last > ledger->released && ledger->ballot_of[ledger->last] == 0)
        ledger->last--;
    ledger->promised = f->recovery.promised;
    ledger_sync(ledger);
}

/* Several lives of one log, each ended by a power failure, some in the middle of the recovery. */
static unsigned power_loss_round(uint64_t seed)
{
    static struct ledger ledger;
    static struct power_loss loss;
    struct fixture f;
    struct prng prng;
    unsigned torn = 0;
    prng_init(&prng, seed);
    prng_init(&loss.prng, seed + 1000000);
    memset(&ledger, 0, sizeof ledger);
    fixture_init(&f);
    f.config.sync = WAL_SYNC_BATCH;
    for (int life = 0; life < 5; life++) {
        power_loss_arm(&loss, &f, &ledger,
                       1 + prng_below(&prng, prng_below(&prng, 4) == 0 ? 12 : 300));
        recover_from_power_loss(&f, &ledger, seed);
        torn += f.recovery.tail_was_torn;
        work_until_power_loss(&f, &ledger, &loss, &prng);
        fixture_close(&f);
        if (!loss.is_taken)
            break; /* out of slots */
        ledger = loss.ledger_then;
        image_put(&loss.image, f.directory);
        image_free(&loss.image);
    }
    f.config.disk = disk_file();
    recover_from_power_loss(&f, &ledger, seed);
    uint64_t digest = f.replay_digest;
    fixture_reopen(&f);
    ck_assert_uint_eq(f.replay_digest, digest);
    fixture_end(&f);
    return torn;
}

START_TEST(power_failures_at_any_point_lose_nothing_that_was_synced)
{
    unsigned torn = 0;
    for (uint64_t seed = 1; seed <= 120; seed++)
        torn += power_loss_round(seed);
    ck_assert_uint_gt(torn, 50); /* the fault was delivered */
}
END_TEST

START_TEST(what_recovery_hands_out_is_durable)
{
    static struct test_disk disk;
    struct fixture f;
    fixture_init(&f);
    f.config.sync = WAL_SYNC_BATCH;
    ck_assert_int_eq(fixture_open(&f), 0);
    uint64_t end = append_until_rolled(f.wal, 1, 4, 2); /* and killed before any sync */
    fixture_close(&f);
    test_disk_init(&disk);
    disk.is_open_volatile = true;
    f.config.disk = &disk.disk;
    ck_assert_int_eq(fixture_open(&f), 0);
    ck_assert_uint_eq(f.replayed, end - 1);
    struct image image;
    image_take(&image, f.directory);
    for (uint32_t id = 1; id <= 3; id++) {
        struct image_file *file = image_segment(&image, id);
        bool is_durable = false;
        for (size_t i = 0; i < 1024; i++)
            is_durable =
                is_durable || (disk.durable[i].bytes != NULL &&
                               memcmp(disk.durable[i].bytes, file->bytes, file->size) == 0);
        ck_assert_msg(is_durable, "segment %u", id);
    }
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(survivors_in_a_spare_that_lost_its_first_page_are_wiped)
{
    static struct test_disk disk;
    struct fixture f;
    struct image image;
    fixture_init(&f);
    f.config.sync = WAL_SYNC_BATCH;
    ck_assert_int_eq(fixture_open(&f), 0);
    append_values(f.wal, 1, 10, 4);
    ck_assert_int_eq(wal_sync(f.wal), 0);
    uint64_t end = append_until_rolled(f.wal, 11, 4, 1);
    append_values(f.wal, end, end + 300, 4);
    ck_assert_int_eq(wal_append_promise(f.wal, 4), 0);
    fixture_close(&f);
    image_take(&image, f.directory);
    /* Of the unsynced batch only the second page of segment 2 has reached the disk. */
    struct image_file *first = image_segment(&image, 1);
    struct image_file *second = image_segment(&image, 2);
    size_t cut = offset_in(first, 11);
    memset(first->bytes + cut, 0, first->size - cut);
    memset(second->bytes + SEGMENT_HEADER_BYTES, 0, 4096);
    image_put(&image, f.directory);
    image_free(&image);
    test_disk_init(&disk);
    f.config.disk = &disk.disk;
    ck_assert_int_eq(fixture_open(&f), 0);
    ck_assert(f.recovery.tail_was_torn);
    ck_assert_uint_eq(f.replayed, 10);
    /* On the disk, not just in memory: else the next power failure would bring them back. */
    unsigned seen = 0;
    for (size_t i = 0; i < 1024; i++) {
        struct segment_survivors survivors = {.count = 0};
        struct segment_owner owner;
        struct segment segment = {
            .file = {.bytes = disk.durable[i].bytes, .size = disk.durable[i].size}};
        if (segment.file.bytes == NULL || segment_header_read(&segment, &owner) != 0 ||
            segment.id != 2)
            continue;
        seen++;
        ck_assert_int_eq(segment_find_survivors(&segment, SEGMENT_HEADER_BYTES, &survivors), 0);
        ck_assert_uint_eq(survivors.count, 0);
    }
    ck_assert_uint_eq(seen, 1);
    fixture_end(&f);
}
END_TEST

/* --- headers torn in every way -----------------------------------------------------------------
 */

enum { HEADER_CHUNKS = 8, SHAPES = 1 << (HEADER_CHUNKS + 1) };

struct torn_headers {
    struct test_disk disk;
    struct fixture *f;
    struct fixture scratch;
    const struct ledger *ledger;
    unsigned shapes;
};

/* One file's header in this shape: bit i says whether its i-th 8 bytes are as stored or as last
 * synced, the last bit the same for the place of the first record. */
static void shape_header(uint8_t *bytes, const uint8_t *durable, unsigned shape)
{
    for (unsigned i = 0; i < HEADER_CHUNKS; i++) {
        if ((shape >> i & 1) == 0)
            memcpy(bytes + (size_t)i * 8, durable + (size_t)i * 8, 8);
    }
    if ((shape >> HEADER_CHUNKS & 1) == 0)
        memcpy(bytes + SEGMENT_HEADER_BYTES, durable + SEGMENT_HEADER_BYTES, RECORD_HEADER_BYTES);
}

static void tear_headers(void *context)
{
    struct torn_headers *torn = context;
    for (size_t handle = 0; handle < 1024; handle++) {
        const uint8_t *durable = torn->disk.durable[handle].bytes;
        struct image image;
        if (durable == NULL)
            continue;
        image_take(&image, torn->f->directory);
        const char *name = strrchr(torn->disk.durable[handle].path, '/') + 1;
        size_t at = 0;
        while (at < image.count && strcmp(image.files[at].name, name) != 0)
            at++;
        ck_assert_uint_lt(at, image.count);
        uint8_t *bytes = image.files[at].bytes;
        uint8_t stored[SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES];
        memcpy(stored, bytes, sizeof stored);
        bool is_torn = memcmp(stored, durable, 64) != 0;
        for (unsigned shape = 0; is_torn && shape < SHAPES; shape++) {
            memcpy(bytes, stored, sizeof stored);
            shape_header(bytes, durable, shape);
            image_put(&image, torn->scratch.directory);
            ck_assert_msg(fixture_open(&torn->scratch) == 0,
                          "operation %lu, shape %x: damage in %s",
                          (unsigned long)torn->disk.operations, shape,
                          torn->scratch.recovery.damaged_segment);
            ledger_check(torn->ledger, &torn->scratch, "torn header");
            fixture_close(&torn->scratch);
            torn->shapes++;
        }
        image_free(&image);
    }
}

START_TEST(header_torn_in_any_way_while_recycling_is_harmless)
{
    static struct torn_headers torn;
    static struct ledger ledger;
    struct fixture f;
    struct prng prng;
    memset(&ledger, 0, sizeof ledger);
    prng_init(&prng, 4);
    fixture_init(&f);
    fixture_init(&torn.scratch);
    test_disk_init(&torn.disk);
    f.config.disk = &torn.disk.disk;
    f.config.sync = WAL_SYNC_BATCH;
    torn.scratch.config.sync = WAL_SYNC_BATCH;
    torn.f = &f;
    torn.ledger = &ledger;
    torn.shapes = 0;
    ck_assert_int_eq(fixture_open(&f), 0);
    while (ledger_act(f.wal, &ledger, &prng))
        ;
    ck_assert_int_eq(wal_sync(f.wal), 0);
    ledger_sync(&ledger);
    ledger.released = ledger.last * 2 / 3;
    wal_release(f.wal, ledger.released);
    ck_assert_uint_ge(wal_retired(f.wal), 2);
    torn.disk.on_operation = tear_headers;
    torn.disk.context = &torn;
    wal_reclaim(f.wal);
    torn.disk.on_operation = NULL;
    ck_assert_uint_ge(torn.shapes, 4 * SHAPES); /* two segments, two steps each */
    fixture_end(&torn.scratch);
    fixture_end(&f);
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

TEST_MAIN("wal/power_failure", header_torn_in_any_way_while_recycling_is_harmless,
          bad_record_is_damage_before_the_last_sync_and_a_torn_tail_after_it,
          torn_batch_over_several_segments_is_cut_in_all_of_them,
          record_after_a_change_to_batch_sync_proves_what_came_before,
          power_failures_at_any_point_lose_nothing_that_was_synced,
          what_recovery_hands_out_is_durable,
          survivors_in_a_spare_that_lost_its_first_page_are_wiped,
          killed_process_leaves_every_acknowledged_record)
