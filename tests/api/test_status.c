/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

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
    const char *rest = SYNOD_VERSION;
    for (int part = 0; part < 3; part++) {
        char *end;
        (void)strtoul(rest, &end, 10);
        ck_assert_ptr_ne(end, rest);
        ck_assert_int_eq(*end, part < 2 ? '.' : '\0');
        rest = end + 1;
    }
}
END_TEST

TEST_MAIN("api/status", every_status_has_its_name_and_a_sentence,
          numbers_that_are_no_status_are_a_question_mark, version_is_a_version)
