/* SPDX-License-Identifier: MIT */
#include "cluster/status.h"

#include <errno.h>

#include "test_main.h"

START_TEST(errors_of_either_sign_become_one_status)
{
    const struct {
        int error;
        enum synod_status status;
    } cases[] = {
        {0, SYNOD_OK},
        {ENOMEM, SYNOD_NO_MEMORY},
        {ENOSPC, SYNOD_NO_SPACE},
        {EDQUOT, SYNOD_NO_SPACE},
        {EBUSY, SYNOD_IN_USE},
        {EBADMSG, SYNOD_CORRUPT},
        {EXDEV, SYNOD_FOREIGN},
        {ESTALE, SYNOD_FOREIGN},
        {EPROTONOSUPPORT, SYNOD_FOREIGN},
        {EINVAL, SYNOD_INVALID},
        {ENAMETOOLONG, SYNOD_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq((int)status_from_errno(cases[i].error), (int)cases[i].status);
        ck_assert_int_eq((int)status_from_errno(-cases[i].error), (int)cases[i].status);
    }
}
END_TEST

START_TEST(unexpected_errors_are_the_systems)
{
    ck_assert_int_eq((int)status_from_errno(-EIO), SYNOD_IO_ERROR);
    ck_assert_int_eq((int)status_from_errno(-EACCES), SYNOD_IO_ERROR);
    ck_assert_int_eq((int)status_from_errno(-123456), SYNOD_IO_ERROR);
}
END_TEST

TEST_MAIN("cluster/status", errors_of_either_sign_become_one_status,
          unexpected_errors_are_the_systems)
