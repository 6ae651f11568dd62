/* SPDX-License-Identifier: MIT */
#include "bench/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_main.h"

#define GIB (UINT64_C(1) << 30)

static struct problem problem;

static bool has_warning(const struct environment *environment, const char *id)
{
    for (size_t i = 0; i < environment->warning_count; i++) {
        if (strcmp(environment->warnings[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

START_TEST(more_threads_than_cpus_is_a_strict_warning)
{
    struct environment environment;
    environment_read(&environment, &(struct environment_plan){.nodes = 15, .clients = 100000});
    ck_assert_uint_ge(environment.cpus, 1);
    ck_assert(has_warning(&environment, "cpus"));
    ck_assert(environment_is_strictly_bad(&environment));
}
END_TEST

START_TEST(even_number_of_nodes_is_a_mild_warning)
{
    struct environment environment;
    environment_read(&environment, &(struct environment_plan){.nodes = 4, .clients = 1});
    ck_assert(has_warning(&environment, "even-nodes"));
    environment_read(&environment, &(struct environment_plan){.nodes = 3, .clients = 1});
    ck_assert(!has_warning(&environment, "even-nodes"));
    environment.warnings[0] = (struct environment_warning){.id = "even-nodes"};
    environment.warning_count = 1;
    ck_assert(!environment_is_strictly_bad(&environment));
}
END_TEST

START_TEST(logs_off_tmpfs_are_named)
{
    struct environment environment;
    environment_read(&environment, &(struct environment_plan){1, 1, "/proc/not/there/yet"});
    ck_assert(has_warning(&environment, "wal-fs"));
    ck_assert_str_ne(environment.wal_fs, "tmpfs");
    ck_assert_str_ne(environment.wal_fs, "");
    environment_read(&environment, &(struct environment_plan){1, 1, "no-such-relative-path"});
    ck_assert_str_ne(environment.wal_fs, "");
}
END_TEST

START_TEST(stolen_time_is_noticed)
{
    struct environment environment = {.cpus = 1};
    struct process_machine_time before = {.stolen = 100, .total = 10000};
    struct process_machine_time after = {.stolen = 104, .total = 11000};
    environment_check_steal(&environment, &before, &after);
    ck_assert_uint_eq(environment.warning_count, 0);
    after.stolen = 150;
    environment_check_steal(&environment, &before, &after);
    ck_assert(has_warning(&environment, "steal"));
    ck_assert_ptr_nonnull(strstr(environment.warnings[0].text, "5.0 %"));
    environment.warning_count = 0;
    environment_check_steal(&environment, &after, &after);
    ck_assert_uint_eq(environment.warning_count, 0);
}
END_TEST

START_TEST(too_little_space_is_told_with_both_figures)
{
    ck_assert_int_eq(environment_judge_space("/dev/shm", 2 * GIB, GIB, UINT64_MAX, &problem),
                     -ENOSPC);
    ck_assert_str_eq(problem.text,
                     "/dev/shm has 1.00 GiB free, the logs need 2.00 GiB; use a smaller "
                     "--segment-size or fewer --segments, or enlarge it: "
                     "mount -o remount,size=... /dev/shm");
    ck_assert_int_eq(environment_judge_space("/dev/shm", GIB, GIB, GIB, &problem), 0);
}
END_TEST

/* A tmpfs may be as large as the memory, or larger: filling it would have the kernel kill
 * processes. */
START_TEST(tmpfs_must_fit_the_memory_too)
{
    ck_assert_int_eq(environment_judge_space("/dev/shm", 2 * GIB, 3 * GIB, GIB, &problem), -ENOSPC);
    ck_assert_str_eq(problem.text,
                     "/dev/shm lives in memory, of which 1.00 GiB are left, and the logs need "
                     "2.00 GiB; use a smaller --segment-size or fewer --segments");
}
END_TEST

START_TEST(absurd_needs_are_refused_and_small_ones_are_not)
{
    ck_assert_int_eq(environment_check_space(NULL, UINT64_C(1) << 60, &problem), -ENOSPC);
    ck_assert_int_eq(environment_check_space("/no-such-directory/wal", UINT64_C(1) << 60, &problem),
                     -ENOSPC);
    ck_assert_int_eq(environment_check_space(NULL, 4096, &problem), 0);
}
END_TEST

/* Logs that are there already are used again: only what is missing must be free. */
START_TEST(space_already_taken_is_not_asked_for_again)
{
    char directory[] = "/tmp/synod-space-XXXXXX";
    char path[64];
    static char bytes[1 << 20];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/log", directory);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    memset(bytes, 1, sizeof bytes);
    ck_assert_uint_eq(fwrite(bytes, 1, sizeof bytes, file), sizeof bytes);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(environment_check_space(directory, 1 << 20, &problem), 0);
    ck_assert_int_eq(environment_check_space(directory, UINT64_C(1) << 60, &problem), -ENOSPC);
    (void)remove(path);
    (void)remove(directory);
}
END_TEST

TEST_MAIN("bench/environment", more_threads_than_cpus_is_a_strict_warning,
          even_number_of_nodes_is_a_mild_warning, logs_off_tmpfs_are_named, stolen_time_is_noticed,
          too_little_space_is_told_with_both_figures, tmpfs_must_fit_the_memory_too,
          absurd_needs_are_refused_and_small_ones_are_not,
          space_already_taken_is_not_asked_for_again)
