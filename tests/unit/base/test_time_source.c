/* SPDX-License-Identifier: MIT */
#include "base/time_source.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "base/time_scale.h"
#include "test_main.h"

#define MS UINT64_C(1000000)

START_TEST(now_never_goes_back)
{
    uint64_t last = time_source_now_ns();
    for (int i = 0; i < 100000; i++) {
        uint64_t now = time_source_now_ns();
        ck_assert_uint_ge(now, last);
        last = now;
    }
}
END_TEST

START_TEST(wall_agrees_with_the_calendar)
{
    uint64_t before = (uint64_t)time(NULL);
    uint64_t wall_s = time_source_wall_ns() / 1000000000;
    uint64_t after = (uint64_t)time(NULL);
    /* time() may read a coarser clock, a tick behind. */
    ck_assert_uint_ge(wall_s, before);
    ck_assert_uint_le(wall_s, after + 1);
}
END_TEST

START_TEST(sleep_lasts_at_least_its_time)
{
    for (uint64_t duration = 0; duration <= 4 * MS; duration += MS) {
        uint64_t start = time_source_now_ns();
        time_source_sleep_ns(duration);
        ck_assert_uint_ge(time_source_now_ns() - start, duration);
    }
}
END_TEST

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

START_TEST(sleep_goes_on_after_a_signal)
{
    struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART: calls are interrupted */
    struct sigaction before;
    ck_assert_int_eq(sigaction(SIGALRM, &action, &before), 0);
    struct itimerval every_ms = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
    struct itimerval never = {.it_value = {0}};
    alarms = 0;
    ck_assert_int_eq(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
    uint64_t start = time_source_now_ns();
    time_source_sleep_ns(30 * MS);
    uint64_t slept = time_source_now_ns() - start;
    ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    ck_assert_int_eq(sigaction(SIGALRM, &before, NULL), 0);
    ck_assert_int_gt(alarms, 0);
    ck_assert_uint_ge(slept, 30 * MS);
}
END_TEST

/* Each stamp lies between two clock reads, so its conversion must, but for the rate's error over
 * the time since calibration. A preempted test widens the gap between the reads, never the error.
 */
START_TEST(stamps_convert_to_the_clock_they_were_calibrated_with)
{
    struct time_scale scale;
    time_scale_init(&scale, TIME_SCALE_CALIBRATION_NS);
    uint64_t calibrated = time_source_now_ns();
    for (int i = 0; i < 50; i++) {
        uint64_t before = time_source_now_ns();
        uint64_t stamp = time_scale_stamp(&scale);
        uint64_t after = time_source_now_ns();
        uint64_t slack = 1000 + (after - calibrated) / 1000;
        uint64_t converted = time_scale_ns(&scale, stamp);
        ck_assert_uint_ge(converted + slack, before);
        ck_assert_uint_le(converted, after + slack);
        time_source_sleep_ns(MS / 10);
    }
}
END_TEST

START_TEST(a_scale_of_known_rate_converts_exactly)
{
    struct time_scale half_ns = {
        .first_stamp = 1000, .first_ns = 70, .ns_per_tick = UINT64_C(1) << 31, .is_counter = true};
    ck_assert_uint_eq(time_scale_ns(&half_ns, 1000), 70);
    ck_assert_uint_eq(time_scale_ns(&half_ns, 1200), 170);
    ck_assert_uint_eq(time_scale_ns(&half_ns, 0), 70);
    ck_assert_uint_eq(time_scale_elapsed_ns(&half_ns, 5000, 5002), 1);
    ck_assert_uint_eq(time_scale_elapsed_ns(&half_ns, 5002, 5000), 0);
    /* Thirty years of ticks, where a 64-bit product would have wrapped. */
    ck_assert_uint_eq(time_scale_elapsed_ns(&half_ns, 0, UINT64_C(1) << 61), UINT64_C(1) << 60);
}
END_TEST

START_TEST(without_a_steady_counter_stamps_are_the_clock)
{
    struct time_scale clock = {.ns_per_tick = UINT64_C(1) << 32, .is_counter = false};
    uint64_t before = time_source_now_ns();
    uint64_t stamp = time_scale_stamp(&clock);
    uint64_t after = time_source_now_ns();
    ck_assert_uint_eq(time_scale_ns(&clock, stamp), stamp);
    ck_assert_uint_ge(stamp, before);
    ck_assert_uint_le(stamp, after);
}
END_TEST

TEST_MAIN("base/time_source", now_never_goes_back, wall_agrees_with_the_calendar,
          sleep_lasts_at_least_its_time, sleep_goes_on_after_a_signal,
          stamps_convert_to_the_clock_they_were_calibrated_with,
          a_scale_of_known_rate_converts_exactly, without_a_steady_counter_stamps_are_the_clock)
