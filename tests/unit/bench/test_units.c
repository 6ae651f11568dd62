/* SPDX-License-Identifier: MIT */
#include "bench/units.h"

#include "test_main.h"

static struct problem problem;

START_TEST(durations_need_a_unit)
{
    uint64_t value;
    ck_assert_int_ne(units_parse_duration("10", &value, &problem), 0);
    ck_assert_str_eq(problem.text, "no unit at column 3; use ns us ms s m h");
}
END_TEST

START_TEST(unknown_unit_is_named_with_its_column)
{
    uint64_t value;
    ck_assert_int_ne(units_parse_duration("10x", &value, &problem), 0);
    ck_assert_str_eq(problem.text, "unknown unit 'x' at column 3; use ns us ms s m h");
    ck_assert_int_ne(units_parse_size("1.5tb", &value, &problem), 0);
    ck_assert_str_eq(problem.text, "unknown unit 'tb' at column 4; use k m g (powers of 1024)");
    ck_assert_int_ne(units_parse_count("64K", &value, &problem), 0);
    ck_assert_str_eq(problem.text, "unknown unit 'K' at column 3; use k m g");
}
END_TEST

START_TEST(trailing_junk_is_refused_with_its_column)
{
    uint64_t value;
    ck_assert_int_ne(units_parse_duration("10s5", &value, &problem), 0);
    ck_assert_str_eq(problem.text, "unexpected '5' at column 4");
    ck_assert_int_ne(units_parse_count("10 k", &value, &problem), 0);
    ck_assert_str_eq(problem.text, "unexpected ' ' at column 3");
    ck_assert_int_ne(units_parse_count("1.k", &value, &problem), 0);
    ck_assert_str_eq(problem.text, "unexpected '.' at column 2");
}
END_TEST

START_TEST(no_number_is_refused)
{
    uint64_t value;
    static const char *const TEXTS[] = {"", "s", "-5s", "+1s", " 1s", ".5s"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        ck_assert_int_ne(units_parse_duration(TEXTS[i], &value, &problem), 0);
        ck_assert_str_eq(problem.text, "expected a number at column 1, such as 10s");
    }
}
END_TEST

START_TEST(too_large_is_refused)
{
    uint64_t value;
    ck_assert_int_ne(units_parse_count("99999999999999999999999", &value, &problem), 0);
    ck_assert_int_ne(units_parse_duration("9999999h", &value, &problem), 0);
    ck_assert_str_eq(problem.text, "too large at column 1");
    ck_assert_int_eq(units_parse_count("9223372036854775807", &value, &problem), 0);
    ck_assert_uint_eq(value, INT64_MAX);
}
END_TEST

START_TEST(counts_are_decimal_and_sizes_binary)
{
    uint64_t value;
    ck_assert_int_eq(units_parse_count("1.5m", &value, &problem), 0);
    ck_assert_uint_eq(value, 1500000);
    ck_assert_int_eq(units_parse_count("10k", &value, &problem), 0);
    ck_assert_uint_eq(value, 10000);
    ck_assert_int_eq(units_parse_size("4k", &value, &problem), 0);
    ck_assert_uint_eq(value, 4096);
    ck_assert_int_eq(units_parse_size("64mi", &value, &problem), 0);
    ck_assert_uint_eq(value, 64 << 20);
    ck_assert_int_eq(units_parse_size("0", &value, &problem), 0);
    ck_assert_uint_eq(value, 0);
}
END_TEST

START_TEST(minutes_are_not_milliseconds)
{
    uint64_t value;
    ck_assert_int_eq(units_parse_duration("2m", &value, &problem), 0);
    ck_assert_uint_eq(value, 120000000000);
    ck_assert_int_eq(units_parse_duration("2ms", &value, &problem), 0);
    ck_assert_uint_eq(value, 2000000);
    ck_assert_int_eq(units_parse_duration("0.5us", &value, &problem), 0);
    ck_assert_uint_eq(value, 500);
    ck_assert_int_eq(units_parse_duration("1.1s", &value, &problem), 0);
    ck_assert_uint_eq(value, 1100000000);
}
END_TEST

START_TEST(three_digits_and_the_unit_that_suits)
{
    ck_assert_str_eq(units_duration(0).text, "0 ns");
    ck_assert_str_eq(units_duration(999).text, "999 ns");
    ck_assert_str_eq(units_duration(999.7).text, "1.00 us");
    ck_assert_str_eq(units_duration(9310).text, "9.31 us");
    ck_assert_str_eq(units_duration(99960).text, "100 us");
    ck_assert_str_eq(units_duration(41.2e6).text, "41.2 ms");
    ck_assert_str_eq(units_duration(412e6).text, "412 ms");
    ck_assert_str_eq(units_duration(3600e9).text, "3600 s");
    ck_assert_str_eq(units_rate(1234567).text, "1.23 M");
    ck_assert_str_eq(units_rate(12).text, "12");
    ck_assert_str_eq(units_bytes(1536).text, "1.50 KiB");
    ck_assert_str_eq(units_bytes(64).text, "64 B");
    ck_assert_str_eq(units_grouped(0).text, "0");
    ck_assert_str_eq(units_grouped(999).text, "999");
    ck_assert_str_eq(units_grouped(12345678).text, "12,345,678");
    ck_assert_str_eq(units_grouped(UINT64_MAX).text, "18,446,744,073,709,551,615");
}
END_TEST

START_TEST(exact_texts_parse_back)
{
    static const uint64_t NUMBERS[] = {0,       1,           999,        1000,         1024,
                                       1500000, 60000000000, 1000000001, 3600000000000};
    uint64_t value;
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        ck_assert_int_eq(units_parse_count(units_exact_count(NUMBERS[i]).text, &value, &problem),
                         0);
        ck_assert_uint_eq(value, NUMBERS[i]);
        ck_assert_int_eq(units_parse_size(units_exact_size(NUMBERS[i]).text, &value, &problem), 0);
        ck_assert_uint_eq(value, NUMBERS[i]);
        ck_assert_int_eq(
            units_parse_duration(units_exact_duration(NUMBERS[i]).text, &value, &problem), 0);
        ck_assert_uint_eq(value, NUMBERS[i]);
    }
    ck_assert_str_eq(units_exact_duration(1500000000).text, "1500ms");
    ck_assert_str_eq(units_exact_size(64 << 20).text, "64m");
}
END_TEST

TEST_MAIN("bench/units", durations_need_a_unit, unknown_unit_is_named_with_its_column,
          trailing_junk_is_refused_with_its_column, no_number_is_refused, too_large_is_refused,
          counts_are_decimal_and_sizes_binary, minutes_are_not_milliseconds,
          three_digits_and_the_unit_that_suits, exact_texts_parse_back)
