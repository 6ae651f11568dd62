/* SPDX-License-Identifier: MIT */
#include "base/contract.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_main.h"

START_TEST(a_kept_contract_costs_one_evaluation)
{
    int evaluated = 0;
    ASSERT(++evaluated == 1);
    ck_assert_int_eq(evaluated, 1);
}
END_TEST

START_TEST(a_slow_contract_is_evaluated_only_where_asked_for)
{
    int evaluated = 0;
    ASSERT_SLOW(++evaluated == 1);
#ifdef SYNOD_SLOW_ASSERTS
    ck_assert_int_eq(evaluated, 1);
#else
    ck_assert_int_eq(evaluated, 0);
#endif
}
END_TEST

START_TEST(a_broken_contract_names_itself_and_aborts)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        volatile int two = 2;
        ASSERT(two + two == 5);
        _exit(0);
    }
    close(ends[1]);
    char text[512] = "";
    size_t length = 0;
    for (ssize_t got = 1; got > 0 && length < sizeof text - 1;
         length += (size_t)(got > 0 ? got : 0))
        got = read(ends[0], text + length, sizeof text - 1 - length);
    close(ends[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(text, "two + two == 5"));
    ck_assert_ptr_nonnull(strstr(text, "test_contract.c"));
}
END_TEST

TEST_MAIN("base/contract", a_kept_contract_costs_one_evaluation,
          a_slow_contract_is_evaluated_only_where_asked_for,
          a_broken_contract_names_itself_and_aborts)
