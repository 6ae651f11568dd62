/* SPDX-License-Identifier: MIT */
#include "wal/log_recovery.h"

#include "test_main.h"
#include "wal_fixture.h"

/* What a log may look like after a crash or damage, one wrong thing at a time. */

/* Opens the log in the fixture's directory twice; both times it must read the same. */
static void open_twice(struct fixture *f)
{
    ck_assert_int_eq(fixture_open(f), 0);
    ck_assert(!f->is_replay_wrong);
    uint64_t digest = f->replay_digest;
    uint64_t replayed = f->replayed;
    fixture_reopen(f);
    ck_assert_uint_eq(f->replay_digest, digest);
    ck_assert_uint_eq(f->replayed, replayed);
    ck_assert(!f->recovery.tail_was_torn);
}

/* The log holds slots 1..last, all right, no more; and takes slot last + 1 in a way that survives.
 */
static void holds_exactly(struct fixture *f, uint64_t last)
{
    struct record record;
    ck_assert_uint_eq(f->replayed, last);
    for (uint64_t slot = 1; slot <= last; slot++)
        ck_assert(value_is_found(f->wal, slot, 4));
    ck_assert(!wal_find(f->wal, last + 1, &record));
    ck_assert_int_eq(append_value(f->wal, last + 1, 4), 0);
    fixture_reopen(f);
    ck_assert_uint_eq(f->replayed, last + 1);
    ck_assert(value_is_found(f->wal, last + 1, 4));
    fixture_close(f);
}

/* A log of slots 1..count at ballot 4 in its first segment, closed, and its image. */
static struct image_file *small_log(struct fixture *f, struct image *image, uint64_t count)
{
    fixture_start(f);
    append_values(f->wal, 1, count, 4);
    fixture_close(f);
    image_take(image, f->directory);
    return image_segment(image, 1);
}

/* Offset of the record of `slot` in a small_log(). */
static size_t offset_of(uint64_t slot)
{
    size_t offset = SEGMENT_HEADER_BYTES + LOG_STATE_RECORD_BYTES;
    for (uint64_t before = 1; before < slot; before++)
        offset += record_bytes(value_bytes(before));
    return offset;
}

static uint64_t slots_before(size_t offset, uint64_t count)
{
    uint64_t slot = 0;
    while (slot < count && offset_of(slot + 2) <= offset)
        slot++;
    return slot;
}

START_TEST(log_cut_off_anywhere_keeps_every_whole_record)
{
    struct fixture f;
    struct image image;
    enum { COUNT = 12 };
    struct image_file *file = small_log(&f, &image, COUNT);
    uint8_t *whole = malloc(file->size);
    memcpy(whole, file->bytes, file->size);
    for (size_t at = offset_of(COUNT - 3); at <= offset_of(COUNT + 1); at++) {
        memcpy(file->bytes, whole, file->size);
        memset(file->bytes + at, 0, file->size - at);
        image_put(&image, f.directory);
        uint64_t kept = slots_before(at, COUNT);
        /* A record whose last bytes are zero anyway is whole a little before its end. */
        struct record_check check;
        while (kept < COUNT &&
               record_check(file->bytes + offset_of(kept + 1), 1024, segment_key(1), &check))
            kept++;
        ck_assert_int_eq(fixture_open(&f), 0);
        ck_assert(!f.is_replay_wrong);
        bool is_torn = !segment_is_blank_at(
            &(struct segment){.file = {.bytes = file->bytes, .size = file->size}},
            offset_of(kept + 1));
        ck_assert_int_eq(f.recovery.tail_was_torn, is_torn);
        fixture_close(&f);
        open_twice(&f);
        holds_exactly(&f, kept);
    }
    free(whole);
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(garbage_from_anywhere_on_keeps_every_whole_record)
{
    struct fixture f;
    struct image image;
    struct prng prng;
    enum { COUNT = 12 };
    struct image_file *file = small_log(&f, &image, COUNT);
    uint8_t *whole = malloc(file->size);
    memcpy(whole, file->bytes, file->size);
    prng_init(&prng, 11);
    for (size_t at = offset_of(COUNT - 2); at <= offset_of(COUNT + 1); at++) {
        memcpy(file->bytes, whole, file->size);
        for (size_t i = at; i < at + 1000; i++)
            file->bytes[i] ^= (uint8_t)(1 + prng_below(&prng, 255)); /* every byte another */
        image_put(&image, f.directory);
        ck_assert_int_eq(fixture_open(&f), 0);
        ck_assert(f.recovery.tail_was_torn);
        fixture_close(&f);
        open_twice(&f);
        holds_exactly(&f, slots_before(at, COUNT));
    }
    free(whole);
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(append_cut_short_by_a_kill_is_cut_whatever_stretches_of_it_were_written)
{
    struct fixture f;
    struct image image;
    struct prng prng;
    enum { COUNT = 12 };
    struct image_file *file = small_log(&f, &image, COUNT);
    size_t from = offset_of(COUNT);
    size_t to = offset_of(COUNT + 1);
    uint8_t last[512];
    memcpy(last, file->bytes + from, to - from);
    prng_init(&prng, 12);
    for (int round = 0; round < 300; round++) {
        /* The last record's stretches by lot; its commit word, written last, is missing. */
        memset(file->bytes + from, 0, to - from);
        for (size_t at = from + 8; at < to; at += 8) {
            if (prng_below(&prng, 2) == 0)
                memcpy(file->bytes + at, last + (at - from), 8);
        }
        image_put(&image, f.directory);
        open_twice(&f);
        holds_exactly(&f, COUNT - 1);
    }
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(flip_of_any_bit_is_damage_or_costs_the_last_record_and_never_lies)
{
    struct fixture f;
    struct image image;
    enum { COUNT = 16 };
    struct image_file *file = small_log(&f, &image, COUNT);
    const size_t end = offset_of(COUNT + 1);
    char path[PATH_MAX];
    ck_assert_int_lt(snprintf(path, sizeof path, "%s/%s", f.directory, file->name), PATH_MAX);
    unsigned cuts = 0;
    for (size_t bit = 0; bit < (end + RECORD_HEADER_BYTES) * 8; bit++) {
        size_t at = bit / 8;
        if (at == 64)
            bit = SEGMENT_HEADER_BYTES * 8, at = SEGMENT_HEADER_BYTES; /* unused rest of the page */
        uint8_t flipped = file->bytes[at] ^ (uint8_t)(1u << bit % 8);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(pwrite(fd, &flipped, 1, (off_t)at), 1);
        int error = fixture_open(&f);
        if (at < offset_of(COUNT)) {
            ck_assert_msg(error == -EBADMSG, "bit %zu: %d", bit, error);
            ck_assert_uint_gt(strlen(f.recovery.damaged_segment), 0);
            uint8_t now = 0;
            int reading = open(path, O_RDONLY | O_CLOEXEC);
            ck_assert_int_eq(pread(reading, &now, 1, (off_t)at), 1);
            close(reading);
            ck_assert_uint_eq(now, flipped);
            ck_assert_int_eq(pwrite(fd, &file->bytes[at], 1, (off_t)at), 1);
        } else {
            /* Nothing behind it proves that the last record was ever whole. */
            ck_assert_msg(error == 0, "bit %zu: %d", bit, error);
            ck_assert(f.recovery.tail_was_torn);
            ck_assert_uint_eq(f.replayed, at < end ? COUNT - 1 : COUNT);
            ck_assert(!f.is_replay_wrong);
            cuts++;
            fixture_close(&f);
            ck_assert_int_eq(pwrite(fd, file->bytes, file->size, 0), (ssize_t)file->size);
        }
        close(fd);
    }
    ck_assert_uint_eq(cuts, (end + RECORD_HEADER_BYTES - offset_of(COUNT)) * 8);
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(damage_is_told_in_full_and_nothing_is_changed)
{
    struct fixture f;
    struct image image;
    struct record_check check;
    struct image_file *file = small_log(&f, &image, 20);
    file->bytes[offset_of(7) + 40] ^= 1;
    ck_assert(!record_check(file->bytes + offset_of(7), 1024, segment_key(1), &check));
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EBADMSG);
    ck_assert_ptr_null(f.wal);
    ck_assert_uint_eq(f.replayed, 0);
    ck_assert_str_eq(f.recovery.damaged_segment, file->name);
    ck_assert_uint_eq(f.recovery.damaged_offset, offset_of(7));
    ck_assert_uint_eq(f.recovery.good_after, 13);
    ck_assert_uint_eq(f.recovery.checksum_stored, check.checksum_stored);
    ck_assert_uint_eq(f.recovery.checksum_computed, check.checksum_computed);
    ck_assert(image_matches(&image, f.directory));
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(zeroed_stretch_in_the_middle_is_damage_not_the_end)
{
    struct fixture f;
    struct image image;
    struct image_file *file = small_log(&f, &image, 200);
    size_t from = offset_of(50);
    memset(file->bytes + from, 0, 4096);
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EBADMSG);
    ck_assert_uint_eq(f.recovery.damaged_offset, from);
    image_free(&image);
    fixture_end(&f);
}
END_TEST

/* A log of three segments in use and one spare; returns the slot after the last. */
static uint64_t long_log(struct fixture *f, struct image *image)
{
    fixture_start(f);
    uint64_t end = append_until_rolled(f->wal, 1, 4, 2);
    append_values(f->wal, end, end + 9, 4);
    fixture_close(f);
    image_take(image, f->directory);
    return end + 10;
}

START_TEST(lost_end_of_a_sealed_segment_is_damage)
{
    struct fixture f;
    struct image image;
    long_log(&f, &image);
    struct image_file *file = image_segment(&image, 1);
    size_t end = image_end(file);
    memset(file->bytes + end - RECORD_HEADER_BYTES, 0, RECORD_HEADER_BYTES); /* the seal alone */
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EBADMSG);
    ck_assert_str_eq(f.recovery.damaged_segment, file->name);
    ck_assert_uint_eq(f.recovery.damaged_offset, end - RECORD_HEADER_BYTES);
    ck_assert_uint_gt(f.recovery.good_after, 100);
    ck_assert(image_matches(&image, f.directory));
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(lost_segment_is_damage_wherever_it_was)
{
    struct fixture f;
    struct image image;
    struct image_file gone;
    long_log(&f, &image);
    for (uint32_t id = 1; id <= 3; id++) {
        struct image_file *file = image_segment(&image, id);
        gone = *file;
        *file = image.files[--image.count];
        image_put(&image, f.directory);
        ck_assert_msg(fixture_open(&f) == -EBADMSG, "segment %u", id);
        ck_assert_uint_gt(strlen(f.recovery.damaged_segment), 0);
        ck_assert(image_matches(&image, f.directory));
        image.files[image.count++] = gone;
    }
    /* The last one is a spare: it held nothing, and is made again. */
    struct image_file *file = image_segment(&image, 4);
    gone = *file;
    *file = image.files[--image.count];
    image_put(&image, f.directory);
    open_twice(&f);
    struct wal_space space;
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.segments_total, 4);
    free(gone.bytes);
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(lost_header_is_damage_unless_the_segment_was_a_spare)
{
    struct fixture f;
    struct image image;
    uint64_t end = long_log(&f, &image);
    for (uint32_t id = 1; id <= 4; id++) {
        struct image_file *file = image_segment(&image, id);
        uint8_t header[64];
        memcpy(header, file->bytes, sizeof header);
        memset(file->bytes, 0, sizeof header);
        image_put(&image, f.directory);
        if (id < 4) {
            ck_assert_msg(fixture_open(&f) == -EBADMSG, "segment %u", id);
            ck_assert(image_matches(&image, f.directory));
        } else {
            open_twice(&f);
            ck_assert_uint_eq(f.replayed, end - 1);
            fixture_close(&f);
        }
        memcpy(file->bytes, header, sizeof header);
    }
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(two_lost_headers_are_damage_even_of_spares)
{
    struct fixture f;
    struct image image;
    fixture_start(&f);
    append_values(f.wal, 1, 10, 4);
    fixture_close(&f);
    image_take(&image, f.directory);
    memset(image_segment(&image, 4)->bytes, 0, 64);
    memset(image_segment(&image, 3)->bytes, 0, 64);
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EBADMSG); /* segments change lives one at a time */
    ck_assert(image_matches(&image, f.directory));
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(active_segment_without_header_is_damage_when_no_spare_is_left)
{
    struct fixture f;
    struct image image;
    fixture_start(&f);
    append_until_full(f.wal, 1, 4);
    fixture_close(&f);
    image_take(&image, f.directory);
    memset(image_segment(&image, 4)->bytes, 0, 64);
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EBADMSG);
    ck_assert(image_matches(&image, f.directory));
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(all_headers_gone_is_damage_not_a_new_log)
{
    struct fixture f;
    struct image image;
    long_log(&f, &image);
    for (size_t i = 0; i < image.count; i++)
        memset(image.files[i].bytes, 0, image.files[i].size);
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EBADMSG);
    ck_assert(image_matches(&image, f.directory));
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(segment_there_twice_is_damage)
{
    struct fixture f;
    struct image image;
    long_log(&f, &image);
    struct image_file *file = image_segment(&image, 2);
    struct image_file *spare = image_segment(&image, 4);
    memcpy(spare->bytes, file->bytes, file->size);
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EBADMSG);
    ck_assert(image_matches(&image, f.directory));
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(swapped_contents_are_damage)
{
    struct fixture f;
    struct image image;
    long_log(&f, &image);
    uint8_t *first = image_segment(&image, 1)->bytes;
    uint8_t *second = image_segment(&image, 2)->bytes;
    for (size_t i = SEGMENT_HEADER_BYTES; i < FIXTURE_SEGMENT_BYTES; i++) {
        uint8_t byte = first[i];
        first[i] = second[i];
        second[i] = byte;
    }
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EBADMSG);
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(file_cut_short_is_damage)
{
    struct fixture f;
    struct image image;
    long_log(&f, &image);
    const size_t sizes[] = {0, 10, 4096, 40000};
    for (size_t i = 0; i < 4; i++) {
        struct image_file *file = image_segment(&image, 2);
        size_t size = file->size;
        file->size = sizes[i];
        image_put(&image, f.directory);
        ck_assert_msg(fixture_open(&f) == -EBADMSG, "%zu bytes", sizes[i]);
        ck_assert_str_eq(f.recovery.damaged_segment, file->name);
        file->size = size;
    }
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(names_do_not_matter)
{
    struct fixture f;
    struct image image;
    uint64_t end = long_log(&f, &image);
    for (size_t i = 0; i < image.count; i++)
        snprintf(image.files[i].name, sizeof image.files[i].name, "segment-%zu.wal",
                 image.count - i);
    image_put(&image, f.directory);
    open_twice(&f);
    ck_assert_uint_eq(f.replayed, end - 1);
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(other_files_are_left_alone)
{
    struct fixture f;
    struct image image;
    uint8_t text[3] = "abc";
    fixture_init(&f);
    struct image_file other = {.name = "snapshot-1.snap", .bytes = text, .size = 3};
    struct image_file unfinished = {.name = "segment-00000001.tmp", .bytes = text, .size = 3};
    image_put_file(&other, f.directory);
    image_put_file(&unfinished, f.directory);
    ck_assert_int_eq(fixture_open(&f), 0);
    image_take(&image, f.directory);
    ck_assert_uint_eq(image.count, FIXTURE_SEGMENTS + 1); /* the unfinished one is gone */
    image_free(&image);
    fixture_end(&f);
}
END_TEST

/* --- stale records -----------------------------------------------------------------------------
 */

START_TEST(records_of_a_segments_earlier_life_are_never_read_as_new)
{
    struct fixture f;
    struct record record;
    fixture_start(&f);
    /* Fill the ring, recycle all but the active segment, and write a little into each again, so
     * that old records stand right behind the end, at the very offsets where new ones would go. */
    uint64_t slot = append_until_rolled(f.wal, 1, 4, 3);
    for (int lap = 0; lap < 12; lap++) {
        wal_release(f.wal, slot - 1);
        ck_assert_int_eq(wal_reset(f.wal, slot - 1), 0);
        wal_reclaim(f.wal);
        for (uint64_t end = slot + (uint64_t)lap; slot < end; slot++)
            ck_assert_int_eq(append_value(f.wal, slot, 4), 0);
        fixture_reopen(&f);
        ck_assert_uint_eq(f.replayed, (uint64_t)lap);
        ck_assert(!f.recovery.tail_was_torn);
        ck_assert(!wal_find(f.wal, slot, &record));
    }
    fixture_end(&f);
}
END_TEST

START_TEST(torn_record_over_old_ones_is_cut_and_they_stay_unread)
{
    struct fixture f;
    struct image image;
    fixture_start(&f);
    uint64_t slot = append_until_rolled(f.wal, 1, 4, 3);
    ck_assert_int_eq(wal_reset(f.wal, slot - 1), 0); /* no spare: stays in segment 4 */
    wal_reclaim(f.wal);
    ck_assert_int_eq(wal_reset(f.wal, slot - 1), 0); /* segment 5, once segment 1 */
    append_values(f.wal, slot, slot + 4, 4);
    fixture_close(&f);
    image_take(&image, f.directory);
    struct image_file *file = image_segment(&image, 5);
    size_t end = image_end(file);
    memset(file->bytes + end - 8, 0xee, 8);
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), 0);
    ck_assert(f.recovery.tail_was_torn);
    ck_assert_uint_eq(f.replayed, 4);
    ck_assert(!f.is_replay_wrong);
    fixture_close(&f);
    open_twice(&f);
    image_free(&image);
    fixture_end(&f);
}
END_TEST

/* --- the search for survivors ------------------------------------------------------------------
 */

START_TEST(survivor_behind_any_bytes_is_found_whatever_its_length)
{
    struct fixture f;
    struct image image;
    struct prng prng;
    fixture_start(&f);
    fixture_close(&f);
    image_take(&image, f.directory);
    struct image_file *file = image_segment(&image, 1);
    struct segment segment = {.file = {.bytes = file->bytes, .size = file->size}};
    struct segment_owner owner;
    uint8_t payload[20000];
    ck_assert_int_eq(segment_header_read(&segment, &owner), 0);
    prng_init(&prng, 5);
    for (int round = 0; round < 200; round++) {
        for (size_t i = SEGMENT_HEADER_BYTES; i < file->size; i++)
            file->bytes[i] = (uint8_t)prng_next(&prng);
        for (size_t i = 0; i < sizeof payload; i++)
            payload[i] = (uint8_t)prng_next(&prng);
        uint32_t size = (uint32_t)prng_below(&prng, sizeof payload);
        size_t at = SEGMENT_HEADER_BYTES + 8 * prng_below(&prng, 4000);
        struct record record = {RECORD_VALUE, size, 1, 2, 3, payload};
        uint32_t sum = record_copy_payload(file->bytes + at + RECORD_HEADER_BYTES, payload, size);
        record_commit(file->bytes + at, segment.key, sum, &record);
        struct segment_survivors survivors = {.count = 0};
        ck_assert_int_eq(segment_find_survivors(&segment, SEGMENT_HEADER_BYTES, &survivors), 0);
        ck_assert_uint_eq(survivors.count, 1);
    }
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(bytes_full_of_plausible_headers_are_searched_in_linear_time)
{
    struct segment segment = {.id = 1, .key = segment_key(1)};
    segment.file.size = (size_t)16 << 20;
    segment.file.bytes = malloc(segment.file.size);
    /* Every 8 bytes say: a value of 8 MiB. Summed one by one that would be 5 TB. */
    for (size_t i = 0; i < segment.file.size; i += 8)
        bytes_store_u64(segment.file.bytes + i, UINT64_C(0x0180000000000001));
    struct segment_survivors survivors = {.count = 0};
    ck_assert_int_eq(segment_find_survivors(&segment, SEGMENT_HEADER_BYTES, &survivors), 0);
    ck_assert_uint_eq(survivors.count, 0);
    free(segment.file.bytes);
}
END_TEST

TEST_MAIN("wal/log_recovery", log_cut_off_anywhere_keeps_every_whole_record,
          garbage_from_anywhere_on_keeps_every_whole_record,
          append_cut_short_by_a_kill_is_cut_whatever_stretches_of_it_were_written,
          flip_of_any_bit_is_damage_or_costs_the_last_record_and_never_lies,
          damage_is_told_in_full_and_nothing_is_changed,
          zeroed_stretch_in_the_middle_is_damage_not_the_end,
          lost_end_of_a_sealed_segment_is_damage, lost_segment_is_damage_wherever_it_was,
          lost_header_is_damage_unless_the_segment_was_a_spare,
          two_lost_headers_are_damage_even_of_spares,
          active_segment_without_header_is_damage_when_no_spare_is_left,
          all_headers_gone_is_damage_not_a_new_log, segment_there_twice_is_damage,
          swapped_contents_are_damage, file_cut_short_is_damage, names_do_not_matter,
          other_files_are_left_alone, records_of_a_segments_earlier_life_are_never_read_as_new,
          torn_record_over_old_ones_is_cut_and_they_stay_unread,
          survivor_behind_any_bytes_is_found_whatever_its_length,
          bytes_full_of_plausible_headers_are_searched_in_linear_time)
