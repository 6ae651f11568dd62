/* SPDX-License-Identifier: MIT */
#include "wal/write_ahead_log.h"

#include <pthread.h>

#include "test_main.h"
#include "wal_fixture.h"

START_TEST(new_log_is_empty_and_fully_reserved)
{
    struct fixture f;
    struct wal_space space;
    struct record record;
    struct wal_extent extent;
    fixture_start(&f);
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.segments_total, FIXTURE_SEGMENTS);
    ck_assert_uint_eq(space.segments_spare, FIXTURE_SEGMENTS - 1);
    ck_assert_uint_eq(space.segments_retired, 0);
    ck_assert_uint_eq(space.bytes_reserved, (uint64_t)FIXTURE_SEGMENTS * FIXTURE_SEGMENT_BYTES);
    ck_assert_uint_eq(space.first_slot, 1);
    ck_assert_uint_eq(space.last_slot, 0);
    ck_assert_uint_eq(f.recovery.records, 0);
    ck_assert_uint_eq(f.recovery.promised, 0);
    ck_assert(!f.recovery.tail_was_torn);
    ck_assert(!wal_find(f.wal, 0, &record));
    ck_assert(!wal_find(f.wal, 1, &record));
    ck_assert(!wal_find(f.wal, UINT64_MAX, &record));
    ck_assert(!wal_extent_at(f.wal, 1, 10, 1000, &extent));
    fixture_end(&f);
}
END_TEST

START_TEST(appended_slot_is_found_with_all_its_fields)
{
    struct fixture f;
    struct record record;
    fixture_start(&f);
    append_values(f.wal, 1, 200, 5);
    ck_assert_int_eq(wal_append_accept(f.wal, RECORD_NOOP, 6, 201, 9, NULL, 0), 0);
    for (uint64_t slot = 1; slot <= 200; slot++)
        ck_assert(value_is_found(f.wal, slot, 5));
    ck_assert(wal_find(f.wal, 201, &record));
    ck_assert_int_eq(record.kind, RECORD_NOOP);
    ck_assert_uint_eq(record.ballot, 6);
    ck_assert_uint_eq(record.payload_bytes, 0);
    ck_assert(!wal_find(f.wal, 202, &record));
    fixture_end(&f);
}
END_TEST

START_TEST(latest_record_of_a_slot_is_the_one_found)
{
    struct fixture f;
    fixture_start(&f);
    append_values(f.wal, 1, 50, 5);
    append_values(f.wal, 10, 20, 8);
    ck_assert(value_is_found(f.wal, 9, 5));
    ck_assert(value_is_found(f.wal, 10, 8));
    ck_assert(value_is_found(f.wal, 20, 8));
    ck_assert(value_is_found(f.wal, 21, 5));
    fixture_reopen(&f);
    ck_assert(value_is_found(f.wal, 9, 5));
    ck_assert(value_is_found(f.wal, 10, 8));
    ck_assert_uint_eq(f.recovery.promised, 8);
    fixture_end(&f);
}
END_TEST

START_TEST(slots_come_in_any_order_and_may_leave_gaps)
{
    struct fixture f;
    struct record record;
    fixture_start(&f);
    ck_assert_int_eq(append_value(f.wal, 30, 1), 0);
    ck_assert_int_eq(append_value(f.wal, 10, 1), 0);
    ck_assert_int_eq(append_value(f.wal, FIXTURE_INDEX_SLOTS, 1), 0);
    fixture_reopen(&f);
    ck_assert(value_is_found(f.wal, 10, 1));
    ck_assert(value_is_found(f.wal, 30, 1));
    ck_assert(value_is_found(f.wal, FIXTURE_INDEX_SLOTS, 1));
    ck_assert(!wal_find(f.wal, 20, &record));
    ck_assert(!wal_find(f.wal, 31, &record));
    fixture_end(&f);
}
END_TEST

START_TEST(slots_outside_the_window_are_refused)
{
    struct fixture f;
    fixture_start(&f);
    ck_assert_int_eq(append_value(f.wal, 0, 1), -ERANGE);
    ck_assert_int_eq(append_value(f.wal, FIXTURE_INDEX_SLOTS + 1, 1), -ERANGE);
    ck_assert_int_eq(append_value(f.wal, UINT64_MAX, 1), -ERANGE);
    ck_assert_int_eq(append_value(f.wal, 1, 1), 0);
    wal_release(f.wal, 10);
    ck_assert_int_eq(append_value(f.wal, 10, 1), -ERANGE);
    ck_assert_int_eq(append_value(f.wal, 11, 1), 0);
    ck_assert_int_eq(append_value(f.wal, FIXTURE_INDEX_SLOTS + 10, 1), 0);
    ck_assert_int_eq(append_value(f.wal, FIXTURE_INDEX_SLOTS + 11, 1), -ERANGE);
    fixture_end(&f);
}
END_TEST

START_TEST(slot_one_index_later_does_not_inherit_an_old_record)
{
    struct fixture f;
    struct record record;
    fixture_start(&f);
    append_values(f.wal, 1, 20, 1);
    wal_release(f.wal, 15);
    ck_assert_int_eq(append_value(f.wal, FIXTURE_INDEX_SLOTS + 15, 1), 0);
    for (uint64_t slot = FIXTURE_INDEX_SLOTS + 1; slot < FIXTURE_INDEX_SLOTS + 15; slot++)
        ck_assert(!wal_find(f.wal, slot, &record));
    ck_assert(value_is_found(f.wal, FIXTURE_INDEX_SLOTS + 15, 1));
    ck_assert(value_is_found(f.wal, 16, 1));
    fixture_end(&f);
}
END_TEST

START_TEST(payload_up_to_the_limit_fits_and_beyond_is_refused)
{
    struct fixture f;
    struct record record;
    fixture_start(&f);
    uint32_t limit = wal_payload_limit(f.wal);
    ck_assert_uint_gt(limit, FIXTURE_SEGMENT_BYTES - 8192);
    uint8_t *payload = malloc(limit + 1);
    memset(payload, 7, limit + 1);
    ck_assert_int_eq(wal_append_accept(f.wal, RECORD_VALUE, 1, 1, 0, payload, limit + 1),
                     -EMSGSIZE);
    ck_assert_int_eq(wal_append_accept(f.wal, RECORD_VALUE, 1, 1, 0, payload, limit), 0);
    ck_assert_int_eq(wal_append_accept(f.wal, RECORD_VALUE, 1, 2, 0, payload, limit), 0);
    ck_assert_int_eq(append_value(f.wal, 3, 1), 0);
    fixture_close(&f);
    ck_assert_int_eq(fixture_open(&f), 0);
    ck_assert(wal_find(f.wal, 2, &record));
    ck_assert_uint_eq(record.payload_bytes, limit);
    ck_assert_mem_eq(record.payload, payload, limit);
    free(payload);
    fixture_end(&f);
}
END_TEST

START_TEST(promise_and_mark_survive_reopening_and_never_sink)
{
    struct fixture f;
    fixture_start(&f);
    ck_assert_int_eq(wal_append_promise(f.wal, 70), 0);
    ck_assert_int_eq(wal_append_promise(f.wal, 60), 0);
    ck_assert_int_eq(wal_append_mark(f.wal, 44), 0);
    ck_assert_int_eq(wal_append_mark(f.wal, 40), 0);
    fixture_reopen(&f);
    ck_assert_uint_eq(f.recovery.promised, 70);
    ck_assert_uint_eq(f.recovery.mark, 44);
    ck_assert_uint_eq(f.replayed, 4);
    ck_assert_int_eq(append_value(f.wal, 1, 90), 0);
    fixture_reopen(&f);
    ck_assert_uint_eq(f.recovery.promised, 90);
    fixture_end(&f);
}
END_TEST

START_TEST(log_rolls_through_all_segments_and_then_is_full)
{
    struct fixture f;
    struct wal_space space;
    fixture_start(&f);
    uint64_t end = append_until_full(f.wal, 1, 2);
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.rolls, FIXTURE_SEGMENTS - 1);
    ck_assert_uint_eq(space.segments_spare, 0);
    ck_assert_uint_eq(space.records_appended, end - 1);
    ck_assert_uint_eq(space.last_slot, end - 1);
    ck_assert_uint_gt(space.bytes_appended,
                      (uint64_t)FIXTURE_SEGMENT_BYTES * FIXTURE_SEGMENTS * 9 / 10);
    /* Refused means nothing written: it stays usable and says the same again. */
    ck_assert_int_eq(append_value(f.wal, end, 2), -ENOSPC);
    for (uint64_t slot = 1; slot < end; slot++)
        ck_assert(value_is_found(f.wal, slot, 2));
    fixture_reopen(&f);
    ck_assert_uint_eq(f.replayed, end - 1);
    ck_assert_uint_eq(f.recovery.segments, FIXTURE_SEGMENTS);
    for (uint64_t slot = 1; slot < end; slot++)
        ck_assert(value_is_found(f.wal, slot, 2));
    ck_assert_int_eq(append_value(f.wal, end, 2), -ENOSPC);
    fixture_end(&f);
}
END_TEST

START_TEST(promise_and_mark_are_refused_too_when_the_log_is_full)
{
    struct fixture f;
    fixture_start(&f);
    append_until_full(f.wal, 1, 2);
    int error = 0;
    for (int i = 0; i < 100 && error == 0; i++)
        error = wal_append_promise(f.wal, 100);
    ck_assert_int_eq(error, -ENOSPC);
    ck_assert_int_eq(wal_append_mark(f.wal, 1), -ENOSPC);
    fixture_end(&f);
}
END_TEST

START_TEST(space_comes_back_after_release_and_reclaim)
{
    struct fixture f;
    struct wal_space space;
    struct record record;
    fixture_start(&f);
    uint64_t end = append_until_full(f.wal, 1, 2);
    wal_release(f.wal, end / 2);
    uint32_t retired = wal_retired(f.wal);
    ck_assert_uint_ge(retired, 1);
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.segments_retired, retired);
    ck_assert_uint_eq(space.first_slot, end / 2 + 1);
    ck_assert(!wal_find(f.wal, end / 2, &record));
    ck_assert(value_is_found(f.wal, end / 2 + 1, 2));
    ck_assert_int_eq(append_value(f.wal, end, 2), -ENOSPC); /* retired is not yet spare */
    wal_reclaim(f.wal);
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.segments_retired, 0);
    ck_assert_uint_eq(space.segments_spare, retired);
    uint64_t end_again = append_until_full(f.wal, end, 2);
    ck_assert_uint_gt(end_again, end);
    fixture_reopen(&f);
    for (uint64_t slot = end / 2 + 1; slot < end_again; slot++)
        ck_assert(value_is_found(f.wal, slot, 2));
    fixture_end(&f);
}
END_TEST

START_TEST(segment_with_one_needed_slot_does_not_retire)
{
    struct fixture f;
    fixture_start(&f);
    uint64_t end = append_until_rolled(f.wal, 1, 2, 1); /* slot end - 1 opens the second segment */
    wal_release(f.wal, end - 3);
    ck_assert_uint_eq(wal_retired(f.wal), 0);
    wal_release(f.wal, end - 2);
    ck_assert_uint_eq(wal_retired(f.wal), 1);
    fixture_end(&f);
}
END_TEST

START_TEST(retired_bytes_stay_until_they_are_reclaimed)
{
    struct fixture f;
    struct wal_extent extent;
    fixture_start(&f);
    uint64_t end = append_until_rolled(f.wal, 1, 2, 1);
    ck_assert(wal_extent_at(f.wal, 1, 20, 100000, &extent));
    uint8_t *copy = malloc(extent.length);
    memcpy(copy, extent.bytes, extent.length);
    wal_release(f.wal, end - 1);
    append_until_rolled(f.wal, end, 2, 2);
    ck_assert_mem_eq(extent.bytes, copy, extent.length);
    free(copy);
    fixture_end(&f);
}
END_TEST

START_TEST(promise_outlives_the_segment_it_was_written_in)
{
    struct fixture f;
    fixture_start(&f);
    ck_assert_int_eq(wal_append_promise(f.wal, 1000), 0);
    ck_assert_int_eq(wal_append_mark(f.wal, 5), 0);
    uint64_t slot = 1;
    for (int lap = 0; lap < 10; lap++) {
        slot = append_until_rolled(f.wal, slot, 2, 1);
        wal_release(f.wal, slot - 1);
        wal_reclaim(f.wal);
    }
    fixture_reopen(&f);
    ck_assert_uint_eq(f.recovery.promised, 1000);
    ck_assert_uint_eq(f.recovery.mark, 5);
    fixture_end(&f);
}
END_TEST

START_TEST(reset_forgets_accepts_keeps_the_promise_and_starts_above)
{
    struct fixture f;
    struct record record;
    struct wal_space space;
    fixture_start(&f);
    append_until_rolled(f.wal, 1, 2, 1);
    ck_assert_int_eq(wal_append_promise(f.wal, 33), 0);
    ck_assert_int_eq(wal_reset(f.wal, 300), 0);
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.first_slot, 301);
    ck_assert_uint_eq(space.last_slot, 300);
    ck_assert_uint_eq(space.segments_retired, 2);
    for (uint64_t slot = 1; slot < 3000; slot++)
        ck_assert(!wal_find(f.wal, slot, &record));
    ck_assert_int_eq(append_value(f.wal, 300, 40), -ERANGE);
    append_values(f.wal, 301, 310, 40);
    fixture_reopen(&f);
    ck_assert_uint_eq(f.replayed, 10);
    ck_assert_uint_eq(f.recovery.promised, 40);
    ck_assert(value_is_found(f.wal, 301, 40));
    ck_assert(!wal_find(f.wal, 311, &record)); /* of the old branch */
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.first_slot, 301);
    ck_assert_uint_eq(space.last_slot, 310);
    fixture_end(&f);
}
END_TEST

START_TEST(reset_keeps_the_promise_when_nothing_follows_it)
{
    struct fixture f;
    fixture_start(&f);
    append_values(f.wal, 1, 30, 2);
    ck_assert_int_eq(wal_append_promise(f.wal, 33), 0);
    ck_assert_int_eq(wal_reset(f.wal, 10), 0);
    wal_reclaim(f.wal);
    fixture_reopen(&f);
    ck_assert_uint_eq(f.replayed, 0);
    ck_assert_uint_eq(f.recovery.promised, 33);
    fixture_end(&f);
}
END_TEST

START_TEST(full_log_can_be_reset)
{
    struct fixture f;
    struct wal_space space;
    struct record record;
    fixture_start(&f);
    uint64_t end = append_until_full(f.wal, 1, 2);
    ck_assert_int_eq(wal_reset(f.wal, end + 100), 0);
    ck_assert_uint_eq(wal_retired(f.wal), FIXTURE_SEGMENTS - 1);
    ck_assert_int_eq(append_value(f.wal, end + 101, 2), -ENOSPC);
    ck_assert_int_eq(wal_reset(f.wal, end + 100), -ENOSPC);
    wal_reclaim(f.wal);
    ck_assert_int_eq(append_value(f.wal, end + 101, 3), 0);
    fixture_reopen(&f);
    ck_assert_uint_eq(f.replayed, 1);
    ck_assert(value_is_found(f.wal, end + 101, 3));
    ck_assert(!wal_find(f.wal, end - 1, &record));
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.segments_total, FIXTURE_SEGMENTS);
    fixture_end(&f);
}
END_TEST

START_TEST(reset_of_a_full_log_survives_a_crash_before_the_reclaim)
{
    struct fixture f;
    fixture_start(&f);
    uint64_t end = append_until_full(f.wal, 1, 2);
    ck_assert_int_eq(wal_reset(f.wal, end + 100), 0);
    fixture_reopen(&f);
    ck_assert_uint_eq(f.replayed, 0);
    ck_assert_int_eq(append_value(f.wal, end + 101, 3), 0);
    fixture_end(&f);
}
END_TEST

START_TEST(reset_of_a_full_log_voids_the_records_beside_it)
{
    struct fixture f;
    struct record record;
    fixture_start(&f);
    uint64_t end = append_until_full(f.wal, 1, 2);
    ck_assert_int_eq(wal_reset(f.wal, end - 20), 0); /* another branch: slots above are void too */
    ck_assert(!wal_find(f.wal, end - 10, &record));
    fixture_reopen(&f);
    ck_assert_uint_eq(f.replayed, 0);
    ck_assert(!wal_find(f.wal, end - 10, &record));
    fixture_end(&f);
}
END_TEST

START_TEST(extent_is_the_longest_run_within_the_bounds)
{
    struct fixture f;
    struct wal_extent extent;
    fixture_start(&f);
    append_values(f.wal, 1, 100, 5);
    ck_assert(wal_extent_at(f.wal, 10, 40, UINT32_MAX, &extent));
    ck_assert_uint_eq(extent.first_slot, 10);
    ck_assert_uint_eq(extent.count, 31);
    uint32_t length = 0;
    for (uint64_t slot = 10; slot <= 40; slot++)
        length += record_bytes(value_bytes(slot));
    ck_assert_uint_eq(extent.length, length);
    ck_assert(wal_extent_at(f.wal, 10, 40, length - 1, &extent));
    ck_assert_uint_eq(extent.count, 30);
    ck_assert(wal_extent_at(f.wal, 10, 40, 1, &extent)); /* at least one record */
    ck_assert_uint_eq(extent.count, 1);
    ck_assert(wal_extent_at(f.wal, 90, 5000, UINT32_MAX, &extent));
    ck_assert_uint_eq(extent.count, 11);
    ck_assert(!wal_extent_at(f.wal, 101, 5000, UINT32_MAX, &extent));
    ck_assert(!wal_extent_at(f.wal, 40, 10, UINT32_MAX, &extent));
    ck_assert(!wal_extent_at(f.wal, 0, 10, UINT32_MAX, &extent));
    fixture_end(&f);
}
END_TEST

START_TEST(extent_ends_at_a_foreign_record_a_newer_copy_a_gap_and_the_segments_end)
{
    struct fixture f;
    struct wal_extent extent;
    fixture_start(&f);
    append_values(f.wal, 1, 10, 5);
    ck_assert_int_eq(wal_append_promise(f.wal, 6), 0);
    append_values(f.wal, 11, 20, 6);
    append_values(f.wal, 15, 16, 7);
    ck_assert_int_eq(append_value(f.wal, 30, 7), 0);
    ck_assert(wal_extent_at(f.wal, 5, 100, UINT32_MAX, &extent));
    ck_assert_uint_eq(extent.count, 6); /* up to the promise */
    ck_assert(wal_extent_at(f.wal, 11, 100, UINT32_MAX, &extent));
    ck_assert_uint_eq(extent.count, 4); /* up to slot 15, which is newer further on */
    ck_assert(wal_extent_at(f.wal, 15, 100, UINT32_MAX, &extent));
    ck_assert_uint_eq(extent.count, 2);
    ck_assert(wal_extent_at(f.wal, 17, 100, UINT32_MAX, &extent));
    ck_assert_uint_eq(extent.count, 4);
    ck_assert(wal_extent_at(f.wal, 30, 100, UINT32_MAX, &extent));
    ck_assert_uint_eq(extent.count, 1);
    uint64_t end = append_until_rolled(f.wal, 31, 7, 1);
    ck_assert(wal_extent_at(f.wal, 31, end, UINT32_MAX, &extent));
    ck_assert_uint_eq(extent.count, end - 1 - 31);
    ck_assert(wal_extent_at(f.wal, end - 1, end, UINT32_MAX, &extent));
    ck_assert_uint_eq(extent.segment_id, 2);
    fixture_end(&f);
}
END_TEST

START_TEST(extent_copies_between_logs_under_any_ballot)
{
    struct fixture leader;
    struct fixture follower;
    fixture_start(&leader);
    fixture_start(&follower);
    uint64_t end = append_until_rolled(leader.wal, 1, 5, 2);
    for (uint64_t slot = 1, turn = 0; slot < end; turn++) {
        struct wal_extent extent;
        struct record record;
        uint64_t ballot = 5 + turn % 2;
        ck_assert(wal_extent_at(leader.wal, slot, end, 4000, &extent));
        ck_assert_int_eq(wal_append_extent(follower.wal, &extent, ballot), 0);
        for (uint64_t i = 0; i < extent.count; i++) {
            ck_assert(wal_find(follower.wal, slot + i, &record));
            ck_assert(value_is_written(&record, slot + i, ballot, 5));
        }
        slot += extent.count;
    }
    fixture_close(&follower);
    ck_assert_int_eq(fixture_open(&follower), 0);
    ck_assert_uint_eq(follower.replayed, end - 1);
    ck_assert_uint_eq(follower.recovery.promised, 6);
    fixture_end(&follower);
    fixture_end(&leader);
}
END_TEST

START_TEST(extent_of_the_own_log_is_appended_again_under_a_higher_ballot)
{
    struct fixture f;
    struct wal_extent extent;
    struct record record;
    fixture_start(&f);
    append_values(f.wal, 1, 400, 5);
    ck_assert(wal_extent_at(f.wal, 101, 300, UINT32_MAX, &extent));
    ck_assert_int_eq(wal_append_extent(f.wal, &extent, 9), 0); /* rolls on the way */
    for (uint64_t slot = 1; slot <= 400; slot++) {
        ck_assert(wal_find(f.wal, slot, &record));
        ck_assert(value_is_written(&record, slot, slot > 100 && slot <= 300 ? 9 : 5, 5));
    }
    fixture_end(&f);
}
END_TEST

START_TEST(corrupt_source_is_refused_record_by_record)
{
    struct fixture leader;
    struct fixture follower;
    struct wal_extent extent;
    struct record record;
    fixture_start(&leader);
    fixture_start(&follower);
    append_values(leader.wal, 1, 4, 5);
    ck_assert(wal_extent_at(leader.wal, 1, 4, UINT32_MAX, &extent));
    uint32_t third = record_bytes(value_bytes(1)) + record_bytes(value_bytes(2));
    uint32_t third_end = third + record_bytes(value_bytes(3));
    _Alignas(8) uint8_t bytes[1024];
    ck_assert_uint_le(extent.length, sizeof bytes);
    for (uint32_t bit = third * 8; bit < third_end * 8; bit++) {
        memcpy(bytes, extent.bytes, extent.length);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct wal_extent corrupt = extent;
        corrupt.bytes = bytes;
        ck_assert_int_eq(wal_append_extent(follower.wal, &corrupt, 5), -EBADMSG);
        ck_assert(!wal_find(follower.wal, 3, &record));
        ck_assert(value_is_found(follower.wal, 2, 5));
        ck_assert_int_eq(wal_reset(follower.wal, 0), 0);
        wal_reclaim(follower.wal);
    }
    fixture_reopen(&follower);
    fixture_end(&follower);
    fixture_end(&leader);
}
END_TEST

START_TEST(extent_that_lies_about_itself_is_refused)
{
    struct fixture leader;
    struct fixture follower;
    struct wal_extent extent;
    fixture_start(&leader);
    fixture_start(&follower);
    append_values(leader.wal, 1, 10, 5);
    ck_assert_int_eq(wal_append_promise(leader.wal, 6), 0);
    ck_assert(wal_extent_at(leader.wal, 1, 10, UINT32_MAX, &extent));
    struct wal_extent lie = extent;
    lie.segment_id++; /* another key */
    ck_assert_int_eq(wal_append_extent(follower.wal, &lie, 5), -EBADMSG);
    lie = extent;
    lie.first_slot++;
    ck_assert_int_eq(wal_append_extent(follower.wal, &lie, 5), -EBADMSG);
    lie = extent;
    lie.count++; /* beyond the length */
    ck_assert_int_eq(wal_append_extent(follower.wal, &lie, 5), -EBADMSG);
    lie = extent;
    lie.count++;
    lie.length += RECORD_HEADER_BYTES; /* the promise */
    ck_assert_int_eq(wal_append_extent(follower.wal, &lie, 5), -EBADMSG);
    for (uint32_t length = 0; length < extent.length; length++) {
        lie = extent;
        lie.length = length;
        ck_assert_int_eq(wal_append_extent(follower.wal, &lie, 5), -EBADMSG);
        ck_assert_int_eq(wal_reset(follower.wal, 0), 0);
        wal_reclaim(follower.wal);
    }
    lie = extent;
    lie.count = 0;
    ck_assert_int_eq(wal_append_extent(follower.wal, &lie, 5), 0);
    fixture_end(&follower);
    fixture_end(&leader);
}
END_TEST

START_TEST(extent_that_does_not_fit_keeps_what_did)
{
    struct fixture leader;
    struct fixture follower;
    struct wal_extent extent;
    struct record record;
    fixture_start(&leader);
    fixture_start(&follower);
    append_values(leader.wal, 1, 400, 5);
    ck_assert(wal_extent_at(leader.wal, 1, 400, UINT32_MAX, &extent));
    int error = 0;
    for (int i = 0; i < 20 && error == 0; i++)
        error = wal_append_extent(follower.wal, &extent, 6);
    ck_assert_int_eq(error, -ENOSPC);
    for (uint64_t slot = 1; slot <= 400; slot++) {
        ck_assert(wal_find(follower.wal, slot, &record));
        ck_assert(value_is_written(&record, slot, 6, 5));
    }
    wal_release(follower.wal, 50);
    ck_assert_int_eq(wal_append_extent(follower.wal, &extent, 6), -ERANGE);
    fixture_end(&follower);
    fixture_end(&leader);
}
END_TEST

START_TEST(directory_in_use_is_busy_and_names_the_holder)
{
    struct fixture f;
    fixture_start(&f);
    struct fixture second = f;
    ck_assert_int_eq(fixture_open(&second), -EBUSY);
    ck_assert_int_eq(second.recovery.lock_holder, (long)getpid());
    ck_assert_ptr_null(second.wal);
    append_values(f.wal, 1, 10, 1);
    fixture_end(&f);
}
END_TEST

START_TEST(foreign_logs_are_refused)
{
    struct fixture f;
    fixture_start(&f);
    append_values(f.wal, 1, 10, 1);
    fixture_close(&f);
    f.config.node++;
    ck_assert_int_eq(fixture_open(&f), -EXDEV);
    f.config.node--;
    f.config.cluster_id++;
    ck_assert_int_eq(fixture_open(&f), -EXDEV);
    f.config.cluster_id--;
    ck_assert_int_eq(fixture_open(&f), 0);
    ck_assert_uint_eq(f.replayed, 10);
    fixture_end(&f);
}
END_TEST

START_TEST(newer_format_is_refused_unread)
{
    struct fixture f;
    struct image image;
    fixture_start(&f);
    append_values(f.wal, 1, 10, 1);
    fixture_close(&f);
    image_take(&image, f.directory);
    struct image_file *file = image_segment(&image, 1);
    bytes_store_u32(file->bytes + 8, SEGMENT_FORMAT_VERSION + 1);
    bytes_store_u32(file->bytes + 60, crc32c(0, file->bytes, 60));
    image_put(&image, f.directory);
    ck_assert_int_eq(fixture_open(&f), -EPROTONOSUPPORT);
    ck_assert(image_matches(&image, f.directory));
    image_free(&image);
    fixture_end(&f);
}
END_TEST

START_TEST(impossible_configurations_are_refused)
{
    struct fixture f;
    fixture_init(&f);
    struct wal_config good = f.config;
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        f.config = good;                                                                           \
        f.config.field = (value);                                                                  \
        ck_assert_int_eq(fixture_open(&f), -EINVAL);                                               \
    } while (0)
    REFUSED(disk, NULL);
    REFUSED(directory, NULL);
    REFUSED(segment_bytes, 32 << 10);
    REFUSED(segment_bytes, 100000);
    REFUSED(segment_bytes, (size_t)2 << 30);
    REFUSED(segment_count, 3);
    REFUSED(segment_count, 1 << 20);
    REFUSED(index_slots, 0);
    REFUSED(index_slots, 1000);
    REFUSED(sync, (enum wal_sync)7);
#undef REFUSED
    f.config = good;
    ck_assert_int_eq(fixture_open(&f), 0);
    fixture_close(&f);
    f.config.segment_bytes *= 2; /* not what the files have */
    ck_assert_int_eq(fixture_open(&f), -EINVAL);
    f.config = good;
    fixture_end(&f);
}
END_TEST

START_TEST(log_grows_and_keeps_its_segments)
{
    struct fixture f;
    struct wal_space space;
    fixture_start(&f);
    uint64_t end = append_until_full(f.wal, 1, 2);
    fixture_close(&f);
    f.config.segment_count = 7;
    ck_assert_int_eq(fixture_open(&f), 0);
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.segments_total, 7);
    ck_assert_uint_eq(space.segments_spare, 3);
    uint64_t end_again = append_until_full(f.wal, end, 2);
    fixture_close(&f);
    f.config.segment_count = 4;
    ck_assert_int_eq(fixture_open(&f), 0);
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.segments_total, 7);
    for (uint64_t slot = 1; slot < end_again; slot++)
        ck_assert(value_is_found(f.wal, slot, 2));
    fixture_end(&f);
}
END_TEST

START_TEST(smaller_index_still_finds_what_the_log_holds)
{
    struct fixture f;
    fixture_start(&f);
    append_values(f.wal, 1, 500, 2);
    fixture_close(&f);
    f.config.index_slots = 64;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(fixture_open(&f), 0);
        for (uint64_t slot = 1; slot <= 500; slot++)
            ck_assert(value_is_found(f.wal, slot, 2));
        ck_assert_int_eq(append_value(f.wal, 65, 3), -ERANGE);
        fixture_close(&f);
    }
    ck_assert_int_eq(fixture_open(&f), 0);
    wal_release(f.wal, 450);
    ck_assert_int_eq(append_value(f.wal, 514, 2), 0);
    ck_assert_int_eq(append_value(f.wal, 515, 2), -ERANGE);
    fixture_end(&f);
}
END_TEST

START_TEST(window_that_moved_on_unrecorded_is_known_again)
{
    struct fixture f;
    struct record record;
    fixture_init(&f);
    f.config.index_slots = 64;
    ck_assert_int_eq(fixture_open(&f), 0);
    for (uint64_t slot = 1; slot <= 200; slot++) {
        ck_assert_int_eq(append_value(f.wal, slot, 2), 0);
        wal_release(f.wal, slot > 30 ? slot - 30 : 0);
    }
    fixture_reopen(&f);
    for (uint64_t slot = 171; slot <= 200; slot++)
        ck_assert(value_is_found(f.wal, slot, 2));
    for (uint64_t slot = 1; slot <= 200; slot++)
        ck_assert(!wal_find(f.wal, slot, &record) || value_is_found(f.wal, slot, 2));
    ck_assert_int_eq(append_value(f.wal, 200, 3), 0);
    ck_assert_int_eq(append_value(f.wal, 201 + 31, 2), -ERANGE);
    wal_release(f.wal, 170);
    ck_assert_int_eq(append_value(f.wal, 201 + 31, 2), 0);
    fixture_end(&f);
}
END_TEST

struct preparer {
    struct wal *wal;
    _Atomic bool is_done;
    uint32_t prepared;
};

static void *prepare_all_the_time(void *context)
{
    struct preparer *preparer = context;
    /* acquire: pairs with the test's release; nothing else is read. */
    while (!atomic_load_explicit(&preparer->is_done, memory_order_acquire))
        preparer->prepared += wal_prefault(preparer->wal, 1);
    return NULL;
}

START_TEST(another_thread_prefaults_while_the_owner_appends_and_reclaims)
{
    struct fixture f;
    pthread_t thread;
    fixture_start(&f);
    struct preparer preparer = {.wal = f.wal};
    ck_assert_int_eq(pthread_create(&thread, NULL, prepare_all_the_time, &preparer), 0);
    uint64_t slot = 1;
    for (int lap = 0; lap < 20; lap++) {
        slot = append_until_rolled(f.wal, slot, 2, 2);
        wal_release(f.wal, slot - 1);
        wal_reclaim(f.wal);
    }
    atomic_store_explicit(&preparer.is_done, true, memory_order_release);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_le(preparer.prepared, FIXTURE_SEGMENTS);
    (void)wal_prefault(f.wal, 100);
    ck_assert_uint_eq(wal_prefault(f.wal, 100), 0); /* once is enough, also for recycled ones */
    append_values(f.wal, slot, slot + 10, 2);
    fixture_reopen(&f);
    fixture_end(&f);
}
END_TEST

START_TEST(superseded_slots_are_gone_for_good_and_those_above_stay)
{
    struct fixture f;
    struct record record;
    struct wal_space space;
    fixture_start(&f);
    append_values(f.wal, 1, 50, 2);
    ck_assert_int_eq(wal_append_promise(f.wal, 33), 0);
    ck_assert_int_eq(wal_supersede(f.wal, 30), 0);
    for (int round = 0; round < 2; round++) {
        ck_assert(!wal_find(f.wal, 30, &record));
        ck_assert(value_is_found(f.wal, 31, 2));
        ck_assert(value_is_found(f.wal, 50, 2));
        wal_space(f.wal, &space);
        ck_assert_uint_eq(space.first_slot, 31);
        ck_assert_uint_eq(space.last_slot, 50);
        fixture_reopen(&f); /* right away: no later append carries the word of it */
    }
    ck_assert_uint_eq(f.recovery.promised, 33);
    fixture_end(&f);
}
END_TEST

START_TEST(log_superseded_beyond_its_end_goes_on_above)
{
    struct fixture f;
    struct wal_space space;
    fixture_start(&f);
    append_values(f.wal, 1, 50, 2);
    ck_assert_int_eq(wal_supersede(f.wal, 3000000), 0);
    fixture_reopen(&f);
    wal_space(f.wal, &space);
    ck_assert_uint_eq(space.first_slot, 3000001);
    ck_assert_uint_eq(space.last_slot, 3000000);
    ck_assert_int_eq(append_value(f.wal, 3000000, 2), -ERANGE);
    ck_assert_int_eq(append_value(f.wal, 3000001, 2), 0);
    ck_assert_uint_eq(f.replayed, 0);
    fixture_end(&f);
}
END_TEST

START_TEST(full_log_can_be_superseded)
{
    struct fixture f;
    fixture_start(&f);
    uint64_t end = append_until_full(f.wal, 1, 2);
    ck_assert_int_eq(wal_supersede(f.wal, end - 2), 0);
    ck_assert_uint_eq(wal_retired(f.wal), FIXTURE_SEGMENTS - 1);
    ck_assert_int_eq(append_value(f.wal, end, 2), -ENOSPC);
    ck_assert_int_eq(wal_supersede(f.wal, end - 1), -ENOSPC); /* nothing changed */
    ck_assert(value_is_found(f.wal, end - 1, 2));
    wal_reclaim(f.wal);
    ck_assert_int_eq(append_value(f.wal, end, 3), 0);
    fixture_reopen(&f);
    ck_assert_uint_eq(f.replayed, 2);
    ck_assert(value_is_found(f.wal, end - 1, 2));
    ck_assert(value_is_found(f.wal, end, 3));
    fixture_end(&f);
}
END_TEST

START_TEST(sweep_retires_segments_whose_records_were_all_written_again)
{
    struct fixture f;
    fixture_start(&f);
    uint64_t end = append_until_rolled(f.wal, 1, 2, 1); /* end - 1 is in the second segment */
    append_values(f.wal, 2, end - 1, 3);
    wal_sweep(f.wal, UINT32_MAX);
    ck_assert_uint_eq(wal_retired(f.wal), 0); /* slot 1 is still where it was */
    ck_assert_int_eq(append_value(f.wal, 1, 3), 0);
    wal_sweep(f.wal, 1);
    ck_assert_uint_eq(wal_retired(f.wal), 0); /* goes on where it stopped, a record at a time */
    for (uint64_t i = 0; i < end; i++)
        wal_sweep(f.wal, 1);
    ck_assert_uint_eq(wal_retired(f.wal), 1);
    wal_reclaim(f.wal);
    fixture_reopen(&f);
    for (uint64_t slot = 1; slot < end; slot++)
        ck_assert(value_is_found(f.wal, slot, 3));
    fixture_end(&f);
}
END_TEST

START_TEST(log_of_promises_alone_is_swept)
{
    struct fixture f;
    fixture_start(&f);
    append_values(f.wal, 1, 3, 2);
    wal_release(f.wal, 3);
    for (uint64_t ballot = 3; ballot < 40000; ballot++) { /* many times what the log holds */
        ck_assert_int_eq(wal_append_promise(f.wal, ballot), 0);
        wal_sweep(f.wal, 64);
        wal_reclaim(f.wal);
    }
    fixture_reopen(&f);
    ck_assert_uint_eq(f.recovery.promised, 39999);
    fixture_end(&f);
}
END_TEST

TEST_MAIN("wal/write_ahead_log", new_log_is_empty_and_fully_reserved,
          appended_slot_is_found_with_all_its_fields, latest_record_of_a_slot_is_the_one_found,
          slots_come_in_any_order_and_may_leave_gaps, slots_outside_the_window_are_refused,
          slot_one_index_later_does_not_inherit_an_old_record,
          payload_up_to_the_limit_fits_and_beyond_is_refused,
          promise_and_mark_survive_reopening_and_never_sink,
          log_rolls_through_all_segments_and_then_is_full,
          promise_and_mark_are_refused_too_when_the_log_is_full,
          space_comes_back_after_release_and_reclaim, segment_with_one_needed_slot_does_not_retire,
          retired_bytes_stay_until_they_are_reclaimed,
          promise_outlives_the_segment_it_was_written_in,
          reset_forgets_accepts_keeps_the_promise_and_starts_above,
          reset_keeps_the_promise_when_nothing_follows_it, full_log_can_be_reset,
          reset_of_a_full_log_survives_a_crash_before_the_reclaim,
          reset_of_a_full_log_voids_the_records_beside_it,
          superseded_slots_are_gone_for_good_and_those_above_stay,
          log_superseded_beyond_its_end_goes_on_above, full_log_can_be_superseded,
          sweep_retires_segments_whose_records_were_all_written_again,
          log_of_promises_alone_is_swept, extent_is_the_longest_run_within_the_bounds,
          extent_ends_at_a_foreign_record_a_newer_copy_a_gap_and_the_segments_end,
          extent_copies_between_logs_under_any_ballot,
          extent_of_the_own_log_is_appended_again_under_a_higher_ballot,
          corrupt_source_is_refused_record_by_record, extent_that_lies_about_itself_is_refused,
          extent_that_does_not_fit_keeps_what_did, directory_in_use_is_busy_and_names_the_holder,
          foreign_logs_are_refused, newer_format_is_refused_unread,
          impossible_configurations_are_refused, log_grows_and_keeps_its_segments,
          smaller_index_still_finds_what_the_log_holds,
          window_that_moved_on_unrecorded_is_known_again,
          another_thread_prefaults_while_the_owner_appends_and_reclaims)
