/* SPDX-License-Identifier: MIT */
#include "bench/placement.h"

#include <string.h>

#include "test_main.h"

static struct problem problem;
static const uint16_t CPUS[] = {0, 1, 2, 3, 4, 5, 6, 7};

static struct placement place(const char *text, uint32_t nodes, uint32_t clients, uint32_t cpus)
{
    struct placement_spec spec;
    struct placement placement;
    ck_assert_int_eq(placement_parse(text, &spec, &problem), 0);
    ck_assert_int_eq(placement_make_on(&placement, &spec, nodes, clients, CPUS, cpus, &problem), 0);
    return placement;
}

START_TEST(none_pins_nothing)
{
    struct placement placement = place("none", 3, 2, 2);
    ck_assert(!placement.is_pinned);
    ck_assert_ptr_null(placement.nodes);
    placement_deinit(&placement);
}
END_TEST

START_TEST(on_two_cores_clients_sit_with_the_leader)
{
    struct placement placement = place("auto", 3, 2, 2);
    ck_assert_int_eq(placement.nodes[0], 0);
    ck_assert_int_eq(placement.nodes[1], 1);
    ck_assert_int_eq(placement.nodes[2], 1);
    ck_assert_int_eq(placement.clients[0], 0);
    ck_assert_int_eq(placement.clients[1], 0);
    placement_deinit(&placement);
}
END_TEST

START_TEST(with_cores_enough_each_thread_has_its_own)
{
    struct placement placement = place("auto", 3, 5, 8);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(placement.nodes[i], i);
    }
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(placement.clients[i], 3 + i);
    }
    placement_deinit(&placement);
}
END_TEST

START_TEST(clients_share_the_cores_left_over)
{
    struct placement placement = place("auto", 3, 4, 5);
    ck_assert_int_eq(placement.clients[0], 3);
    ck_assert_int_eq(placement.clients[1], 4);
    ck_assert_int_eq(placement.clients[2], 3);
    placement_deinit(&placement);
}
END_TEST

START_TEST(one_core_takes_all)
{
    struct placement placement = place("auto", 3, 1, 1);
    ck_assert_int_eq(placement.nodes[2], 0);
    ck_assert_int_eq(placement.clients[0], 0);
    placement_deinit(&placement);
}
END_TEST

START_TEST(list_goes_round_nodes_first)
{
    struct placement placement = place("0-1,5", 3, 2, 8);
    ck_assert_int_eq(placement.nodes[0], 0);
    ck_assert_int_eq(placement.nodes[1], 1);
    ck_assert_int_eq(placement.nodes[2], 5);
    ck_assert_int_eq(placement.clients[0], 0);
    ck_assert_int_eq(placement.clients[1], 1);
    placement_deinit(&placement);
}
END_TEST

START_TEST(list_mistakes_are_told_with_their_column)
{
    struct placement_spec spec;
    ck_assert_int_ne(placement_parse("0,x", &spec, &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "at column 3"));
    ck_assert_int_ne(placement_parse("3-1", &spec, &problem), 0);
    ck_assert_int_ne(placement_parse("1;2", &spec, &problem), 0);
    ck_assert_str_eq(problem.text, "unexpected ';' at column 2");
    ck_assert_int_ne(placement_parse("", &spec, &problem), 0);
    ck_assert_int_ne(placement_parse("99999999999", &spec, &problem), 0);
    ck_assert_int_ne(placement_parse("0-1023,0", &spec, &problem), 0);
}
END_TEST

START_TEST(cpu_that_is_not_usable_is_refused)
{
    struct placement_spec spec;
    struct placement placement;
    ck_assert_int_eq(placement_parse("0,9", &spec, &problem), 0);
    ck_assert_int_ne(placement_make_on(&placement, &spec, 3, 1, CPUS, 8, &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "CPU 9 is not usable"));
    ck_assert_ptr_null(placement.nodes);
}
END_TEST

TEST_MAIN("bench/placement", none_pins_nothing, on_two_cores_clients_sit_with_the_leader,
          with_cores_enough_each_thread_has_its_own, clients_share_the_cores_left_over,
          one_core_takes_all, list_goes_round_nodes_first, list_mistakes_are_told_with_their_column,
          cpu_that_is_not_usable_is_refused)
