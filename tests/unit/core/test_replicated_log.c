/* SPDX-License-Identifier: MIT */
#include "core/replicated_log.h"

#include <string.h>

#include "base/prng.h"
#include "test_main.h"

#define MODEL_SLOTS 400

/* The same log, a cell a slot. Ballot 0: nothing. */
struct model {
    uint64_t ballot[MODEL_SLOTS + 2];
    uint32_t source[MODEL_SLOTS + 2];
};

static struct replicated_log log_under_test;
static struct model model;

static void reset(void)
{
    replicated_log_clear(&log_under_test);
    memset(&model, 0, sizeof model);
}

static void model_put(struct log_run run, bool is_raise)
{
    for (uint64_t slot = run.first; slot <= run.last; slot++) {
        if (!is_raise || model.ballot[slot] < run.ballot) {
            model.ballot[slot] = run.ballot;
            model.source[slot] = run.source;
        }
    }
}

/* Plain booleans below: Check notes every single assertion it passes, and there are millions. */
static bool is_well_shaped(void)
{
    const struct replicated_log *log = &log_under_test;
    bool is_good = log->count <= REPLICATED_LOG_RUNS;
    for (uint32_t i = 0; i < log->count; i++) {
        const struct log_run *run = &log->runs[i];
        is_good = is_good && run->first <= run->last;
        if (i > 0) {
            const struct log_run *left = run - 1;
            bool could_be_one = left->last + 1 == run->first && left->ballot == run->ballot &&
                                left->source == run->source;
            is_good = is_good && left->last < run->first && !could_be_one;
        }
    }
    return is_good;
}

static bool equals_model(void)
{
    const struct replicated_log *log = &log_under_test;
    bool is_equal = true;
    uint32_t at = 0;
    uint64_t end = 0;
    for (uint64_t slot = 1; slot <= MODEL_SLOTS; slot++) {
        while (at < log->count && log->runs[at].last < slot) {
            at++;
        }
        bool is_held = at < log->count && log->runs[at].first <= slot;
        is_equal = is_equal && (is_held ? log->runs[at].ballot : 0) == model.ballot[slot] &&
                   (is_held ? log->runs[at].source : 0) == model.source[slot];
        end = is_held ? slot : end;
    }
    return is_equal && replicated_log_end(log, 0) == end;
}

static bool finds_what_model_does(struct prng *prng)
{
    uint64_t slot = 1 + prng_below(prng, MODEL_SLOTS);
    uint64_t next = slot;
    while (next <= MODEL_SLOTS && model.ballot[next] == 0) {
        next++;
    }
    const struct log_run *run = replicated_log_at_or_after(&log_under_test, slot);
    bool is_right = (run != NULL) == (next <= MODEL_SLOTS);
    if (run != NULL && is_right) {
        is_right = run->ballot == model.ballot[next] && run->first <= next && next <= run->last &&
                   (run->first == next || next == slot);
    }
    return is_right;
}

static bool matches_as_model_does(struct prng *prng)
{
    uint64_t ballot = 1 + prng_below(prng, 4);
    uint64_t lowest = log_under_test.count > 0 ? log_under_test.runs[0].first : 1;
    uint64_t mark = lowest - 1;
    if (lowest > 1 && prng_below(prng, 4) == 0) {
        mark--;
    }
    uint64_t match = mark;
    while (model.ballot[match + 1] == ballot) {
        match++;
    }
    return replicated_log_match(&log_under_test, mark, ballot) == match;
}

START_TEST(behaves_as_one_cell_for_each_slot_does)
{
    struct prng prng;
    prng_init(&prng, 11);
    reset();
    for (int i = 0; i < 100000; i++) {
        uint64_t first = 1 + prng_below(&prng, MODEL_SLOTS);
        uint64_t length = prng_below(&prng, prng_below(&prng, 10) == 0 ? 100 : 6);
        uint64_t last = first + length < MODEL_SLOTS ? first + length : MODEL_SLOTS;
        struct log_run run = {.first = first,
                              .last = last,
                              .ballot = 1 + prng_below(&prng, 4),
                              .source = (uint32_t)prng_below(&prng, 3)};
        uint64_t what = prng_below(&prng, 200);
        if (what == 0) {
            reset(); /* else it soon is trimmed or full for ever */
        } else if (what < 4) {
            replicated_log_trim(&log_under_test, first / 8);
            for (uint64_t slot = 1; slot <= first / 8; slot++) {
                model.ballot[slot] = 0;
                model.source[slot] = 0;
            }
        } else if (what < 100 && replicated_log_has_room(&log_under_test, 1)) {
            replicated_log_put(&log_under_test, run);
            model_put(run, false);
        } else if (log_under_test.count + 2 * (length + 1) <= REPLICATED_LOG_RUNS) {
            bool is_raised = replicated_log_raise(&log_under_test, run);
            model_put(run, is_raised);
            if (!is_raised) {
                ck_abort_msg("no room after operation %d", i);
            }
        }
        bool is_right = is_well_shaped() && equals_model() && finds_what_model_does(&prng) &&
                        matches_as_model_does(&prng);
        if (!is_right) {
            ck_abort_msg("differs from the model after operation %d", i);
        }
    }
}
END_TEST

START_TEST(insertion_never_needs_more_than_the_room_it_asked_for)
{
    reset();
    uint64_t slot = 1;
    while (replicated_log_has_room(&log_under_test, 1)) {
        replicated_log_put(&log_under_test, (struct log_run){slot, slot + 4, 1, 0});
        slot += 6;
    }
    ck_assert_uint_ge(log_under_test.count, REPLICATED_LOG_RUNS - 1);
}
END_TEST

START_TEST(splitting_a_run_at_the_last_room_fits)
{
    reset();
    for (uint64_t slot = 1; log_under_test.count < REPLICATED_LOG_RUNS - 2; slot += 6) {
        replicated_log_put(&log_under_test, (struct log_run){slot, slot + 4, 1, 0});
    }
    ck_assert(replicated_log_has_room(&log_under_test, 1));
    replicated_log_put(&log_under_test, (struct log_run){3, 3, 2, 0});
    ck_assert_uint_eq(log_under_test.count, REPLICATED_LOG_RUNS);
    ck_assert(!replicated_log_has_room(&log_under_test, 1));
    ck_assert(is_well_shaped());
}
END_TEST

START_TEST(raise_without_room_says_so)
{
    reset();
    for (uint64_t slot = 1; log_under_test.count < REPLICATED_LOG_RUNS - 1; slot += 2) {
        replicated_log_put(&log_under_test, (struct log_run){slot, slot, 5, 0});
    }
    uint64_t end = replicated_log_end(&log_under_test, 0);
    ck_assert(!replicated_log_raise(&log_under_test, (struct log_run){1, end + 5, 2, 0}));
    ck_assert(is_well_shaped());
}
END_TEST

START_TEST(raise_keeps_what_has_a_higher_or_equal_ballot)
{
    reset();
    replicated_log_put(&log_under_test, (struct log_run){3, 4, 5, 1});
    replicated_log_put(&log_under_test, (struct log_run){7, 7, 9, 1});
    ck_assert(replicated_log_raise(&log_under_test, (struct log_run){1, 8, 5, 2}));
    const struct log_run expected[] = {
        {1, 2, 5, 2}, {3, 4, 5, 1}, {5, 6, 5, 2}, {7, 7, 9, 1}, {8, 8, 5, 2}};
    ck_assert_uint_eq(log_under_test.count, sizeof expected / sizeof expected[0]);
    for (uint32_t i = 0; i < log_under_test.count; i++) {
        ck_assert_uint_eq(log_under_test.runs[i].first, expected[i].first);
        ck_assert_uint_eq(log_under_test.runs[i].last, expected[i].last);
        ck_assert_uint_eq(log_under_test.runs[i].ballot, expected[i].ballot);
        ck_assert_uint_eq(log_under_test.runs[i].source, expected[i].source);
    }
}
END_TEST

START_TEST(match_stops_at_a_hole_and_at_another_ballot)
{
    reset();
    ck_assert_uint_eq(replicated_log_match(&log_under_test, 10, 5), 10);
    replicated_log_put(&log_under_test, (struct log_run){11, 14, 5, 0});
    replicated_log_put(&log_under_test, (struct log_run){16, 20, 5, 0});
    ck_assert_uint_eq(replicated_log_match(&log_under_test, 10, 5), 14);
    ck_assert_uint_eq(replicated_log_match(&log_under_test, 10, 6), 10);
    ck_assert_uint_eq(replicated_log_match(&log_under_test, 9, 5), 9);
    replicated_log_put(&log_under_test, (struct log_run){15, 15, 6, 0});
    ck_assert_uint_eq(replicated_log_match(&log_under_test, 10, 5), 14);
    replicated_log_put(&log_under_test, (struct log_run){15, 15, 5, 0});
    ck_assert_uint_eq(replicated_log_match(&log_under_test, 10, 5), 20);
    ck_assert_uint_eq(log_under_test.count, 1);
}
END_TEST

START_TEST(trim_cuts_a_run_in_two)
{
    reset();
    replicated_log_put(&log_under_test, (struct log_run){1, 9, 5, 0});
    replicated_log_trim(&log_under_test, 4);
    ck_assert_uint_eq(log_under_test.runs[0].first, 5);
    replicated_log_trim(&log_under_test, 9);
    ck_assert_uint_eq(log_under_test.count, 0);
    ck_assert_uint_eq(replicated_log_end(&log_under_test, 9), 9);
}
END_TEST

TEST_MAIN("core/replicated_log", behaves_as_one_cell_for_each_slot_does,
          insertion_never_needs_more_than_the_room_it_asked_for,
          splitting_a_run_at_the_last_room_fits, raise_without_room_says_so,
          raise_keeps_what_has_a_higher_or_equal_ballot,
          match_stops_at_a_hole_and_at_another_ballot, trim_cuts_a_run_in_two)
