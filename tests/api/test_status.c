/* SPDX-License-Identifier: MIT */
#include "api_support.h"
#include "test_main.h"

START_TEST(every_status_has_its_name_and_a_sentence)
{
#define CHECK_ONE(name, text)                                                                      \
    ck_assert_str_eq(synod_status_name(SYNOD_##name), #name);                                      \
    ck_assert_str_eq(synod_status_text(SYNOD_##name), text);
    SYNOD_STATUS_LIST(CHECK_ONE)
#undef CHECK_ONE
    ck_assert_int_eq(SYNOD_OK, 0);
}
END_TEST

START_TEST(numbers_that_are_no_status_are_a_question_mark)
{
    ck_assert_str_eq(synod_status_name((enum synod_status) - 1), "?");
    ck_assert_str_eq(synod_status_text((enum synod_status) - 1), "?");
    ck_assert_str_eq(synod_status_name((enum synod_status)(SYNOD_IO_ERROR + 1)), "?");
    ck_assert_str_eq(synod_status_text((enum synod_status)1000000), "?");
}
END_TEST

START_TEST(version_is_a_version)
{
    unsigned major;
    unsigned minor;
    unsigned patch;
    ck_assert_int_eq(sscanf(SYNOD_VERSION, "%u.%u.%u", &major, &minor, &patch), 3);
}
END_TEST

TEST_MAIN("api/status", every_status_has_its_name_and_a_sentence,
          numbers_that_are_no_status_are_a_question_mark, version_is_a_version)
