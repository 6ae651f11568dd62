/* SPDX-License-Identifier: MIT */
#include "bench/suggest.h"

#include "test_main.h"

START_TEST(each_edit_costs_one)
{
    ck_assert_uint_eq(suggest_distance("", ""), 0);
    ck_assert_uint_eq(suggest_distance("depth", "depth"), 0);
    ck_assert_uint_eq(suggest_distance("dpth", "depth"), 1);
    ck_assert_uint_eq(suggest_distance("deepth", "depth"), 1);
    ck_assert_uint_eq(suggest_distance("depth", "dexth"), 1);
    ck_assert_uint_eq(suggest_distance("", "abc"), 3);
    ck_assert_uint_eq(suggest_distance("kitten", "sitting"), 3);
}
END_TEST

START_TEST(swapped_neighbours_cost_one)
{
    ck_assert_uint_eq(suggest_distance("spni", "spin"), 1);
    ck_assert_uint_eq(suggest_distance("gte", "get"), 1);
    ck_assert_uint_eq(suggest_distance("ca", "abc"), 3); /* no edit between swapped ones */
}
END_TEST

START_TEST(distance_does_not_depend_on_direction)
{
    ck_assert_uint_eq(suggest_distance("clients", "cleints"),
                      suggest_distance("cleints", "clients"));
    ck_assert_uint_eq(suggest_distance("a", "abcdef"), suggest_distance("abcdef", "a"));
}
END_TEST

START_TEST(long_texts_are_cut_not_overrun)
{
    char text[200];
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        text[i] = 'a';
    }
    text[sizeof text - 1] = '\0';
    ck_assert_uint_eq(suggest_distance(text, ""), 63);
    ck_assert_uint_eq(suggest_distance(text, text), 0);
}
END_TEST

START_TEST(nearest_is_suggested_only_when_near)
{
    static const char *const NAMES[] = {"auto", "spin", "yield", "park"};
    ck_assert_str_eq(suggest_nearest("spni", NAMES, 4), "spin");
    ck_assert_str_eq(suggest_nearest("yeild", NAMES, 4), "yield");
    ck_assert_ptr_null(suggest_nearest("sleep", NAMES, 4));
    ck_assert_ptr_null(suggest_nearest("", NAMES, 4));
}
END_TEST

TEST_MAIN("bench/suggest", each_edit_costs_one, swapped_neighbours_cost_one,
          distance_does_not_depend_on_direction, long_texts_are_cut_not_overrun,
          nearest_is_suggested_only_when_near)
