/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_TEST_MAIN_H
#define SYNOD_TEST_MAIN_H

/*
 * Every Check program ends with
 *
 *     TEST_MAIN("module/file", test_case_one, test_case_two)
 *
 * Tests run in one process (CK_FORK=no under ctest), so sanitizers see all of them.
 */
#include <check.h>
#include <stdlib.h>

#define TEST_MAIN(suite_name, ...)                                                                 \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        Suite *suite = suite_create(suite_name);                                                   \
        for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {                              \
            TCase *test_case = tcase_create(tests[i]->name);                                       \
            tcase_set_timeout(test_case, 240);                                                     \
            tcase_add_test(test_case, tests[i]);                                                   \
            suite_add_tcase(suite, test_case);                                                     \
        }                                                                                          \
        SRunner *runner = srunner_create(suite);                                                   \
        srunner_run_all(runner, CK_NORMAL);                                                        \
        int failed = srunner_ntests_failed(runner);                                                \
        srunner_free(runner);                                                                      \
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;                                          \
    }

#endif
