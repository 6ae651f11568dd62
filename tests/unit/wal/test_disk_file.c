/* SPDX-License-Identifier: MIT */
#include "wal/disk_file.h"

#include <sys/wait.h>

#include "test_main.h"
#include "wal_fixture.h"

static const struct disk_ops *ops(void)
{
    return disk_file()->ops;
}

static void path_in(char path[PATH_MAX], const char *directory, const char *name)
{
    ck_assert_int_lt(snprintf(path, PATH_MAX, "%s/%s", directory, name), PATH_MAX);
}

START_TEST(stored_bytes_are_there_after_reopening)
{
    char directory[PATH_MAX];
    char path[PATH_MAX];
    struct disk_file file;
    directory_make(directory);
    path_in(path, directory, "a");
    ck_assert_int_eq(ops()->create(NULL, path, 10000, &file), 0);
    ck_assert_uint_eq(file.size, 10000);
    for (size_t i = 0; i < file.size; i++)
        ck_assert_uint_eq(file.bytes[i], 0);
    memcpy(file.bytes + 9990, "0123456789", 10);
    ck_assert_int_eq(ops()->sync(NULL, &file, 0, file.size), 0);
    ops()->close(NULL, &file);
    ck_assert_int_eq(ops()->open(NULL, path, &file), 0);
    ck_assert_uint_eq(file.size, 10000);
    ck_assert_mem_eq(file.bytes + 9990, "0123456789", 10);
    ops()->close(NULL, &file);
    directory_remove(directory);
}
END_TEST

START_TEST(created_files_have_all_their_blocks)
{
    char directory[PATH_MAX];
    char path[PATH_MAX];
    struct disk_file file;
    struct stat status;
    directory_make(directory);
    path_in(path, directory, "a");
    ck_assert_int_eq(ops()->create(NULL, path, 1 << 20, &file), 0);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_ge(status.st_blocks * 512, 1 << 20);
    ops()->close(NULL, &file);
    /* Longer than asked for: cut, so that nothing of an older file stays behind the new one's end.
     */
    ck_assert_int_eq(ops()->create(NULL, path, 5000, &file), 0);
    ops()->close(NULL, &file);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, 5000);
    directory_remove(directory);
}
END_TEST

START_TEST(sparse_file_is_reserved_when_it_is_opened)
{
    char directory[PATH_MAX];
    char path[PATH_MAX];
    struct disk_file file;
    struct stat status;
    directory_make(directory);
    path_in(path, directory, "a");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
    close(fd);
    ck_assert_int_eq(ops()->open(NULL, path, &file), 0);
    ops()->close(NULL, &file);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_ge(status.st_blocks * 512, 1 << 20);
    directory_remove(directory);
}
END_TEST

START_TEST(absent_file_is_enoent_and_empty_file_opens_empty)
{
    char directory[PATH_MAX];
    char path[PATH_MAX];
    struct disk_file file;
    directory_make(directory);
    path_in(path, directory, "a");
    ck_assert_int_eq(ops()->open(NULL, path, &file), -ENOENT);
    ck_assert_int_eq(ops()->remove(NULL, path), -ENOENT);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    ck_assert_int_eq(ops()->open(NULL, path, &file), 0);
    ck_assert_uint_eq(file.size, 0);
    ops()->close(NULL, &file);
    directory_remove(directory);
}
END_TEST

START_TEST(file_larger_than_the_disk_is_enospc)
{
    char directory[PATH_MAX];
    char path[PATH_MAX];
    struct disk_file file;
    directory_make(directory);
    path_in(path, directory, "a");
    int error = ops()->create(NULL, path, (size_t)1 << 50, &file);
    ck_assert_msg(error == -ENOSPC || error == -EFBIG, "%d", error);
    directory_remove(directory);
}
END_TEST

START_TEST(directory_is_made_with_its_parents_and_again)
{
    char directory[PATH_MAX];
    char deep[PATH_MAX];
    char path[PATH_MAX];
    directory_make(directory);
    path_in(deep, directory, "x/y/z");
    ck_assert_int_eq(ops()->directory_create(NULL, deep), 0);
    ck_assert_int_eq(ops()->directory_create(NULL, deep), 0);
    ck_assert_int_eq(ops()->directory_sync(NULL, deep), 0);
    ck_assert_int_eq(ops()->directory_create(NULL, ""), -EINVAL);
    path_in(path, directory, "x/y/z");
    ck_assert_int_eq(rmdir(path), 0);
    path_in(path, directory, "x/y");
    ck_assert_int_eq(rmdir(path), 0);
    path_in(path, directory, "x");
    ck_assert_int_eq(rmdir(path), 0);
    directory_remove(directory);
}
END_TEST

START_TEST(second_lock_names_the_holder_until_it_is_given_back)
{
    char directory[PATH_MAX];
    int first = -1;
    int second = -1;
    long holder = -1;
    directory_make(directory);
    ck_assert_int_eq(ops()->directory_lock(NULL, directory, &first, &holder), 0);
    holder = -1;
    ck_assert_int_eq(ops()->directory_lock(NULL, directory, &second, &holder), -EBUSY);
    ck_assert_int_eq(holder, (long)getpid());
    ops()->directory_unlock(NULL, first);
    ck_assert_int_eq(ops()->directory_lock(NULL, directory, &second, &holder), 0);
    ops()->directory_unlock(NULL, second);
    directory_remove(directory);
}
END_TEST

START_TEST(lock_of_a_dead_process_is_free)
{
    char directory[PATH_MAX];
    int lock = -1;
    long holder = -1;
    directory_make(directory);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(ops()->directory_lock(NULL, directory, &lock, &holder) == 0 ? 0 : 1);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(ops()->directory_lock(NULL, directory, &lock, &holder), 0);
    ops()->directory_unlock(NULL, lock);
    directory_remove(directory);
}
END_TEST

static void count_names(void *context, const char *name)
{
    unsigned *seen = context;
    *seen |= strcmp(name, "a") == 0 ? 1u : strcmp(name, "b") == 0 ? 2u : 4u;
}

START_TEST(list_names_each_file_and_rename_moves_one)
{
    char directory[PATH_MAX];
    char a[PATH_MAX];
    char b[PATH_MAX];
    struct disk_file file;
    unsigned seen = 0;
    directory_make(directory);
    path_in(a, directory, "a");
    path_in(b, directory, "b");
    ck_assert_int_eq(ops()->create(NULL, a, 100, &file), 0);
    ops()->close(NULL, &file);
    ck_assert_int_eq(ops()->list(NULL, directory, count_names, &seen), 0);
    ck_assert_uint_eq(seen, 1);
    ck_assert_int_eq(ops()->rename(NULL, a, b), 0);
    seen = 0;
    ck_assert_int_eq(ops()->list(NULL, directory, count_names, &seen), 0);
    ck_assert_uint_eq(seen, 2);
    ck_assert_int_eq(ops()->rename(NULL, a, b), -ENOENT);
    directory_remove(directory);
    ck_assert_int_eq(ops()->list(NULL, directory, count_names, &seen), -ENOENT);
}
END_TEST

START_TEST(prefault_changes_no_byte)
{
    char directory[PATH_MAX];
    char path[PATH_MAX];
    struct disk_file file;
    directory_make(directory);
    path_in(path, directory, "a");
    ck_assert_int_eq(ops()->create(NULL, path, 100000, &file), 0);
    for (size_t i = 0; i < file.size; i++)
        file.bytes[i] = (uint8_t)(i * 3);
    ops()->prefault(NULL, &file, 0, file.size);
    ops()->prefault(NULL, &file, 5000, 1);
    ops()->prefault(NULL, &file, 200000, 5);
    for (size_t i = 0; i < file.size; i++)
        ck_assert_uint_eq(file.bytes[i], (uint8_t)(i * 3));
    ops()->close(NULL, &file);
    directory_remove(directory);
}
END_TEST

TEST_MAIN("wal/disk_file", stored_bytes_are_there_after_reopening,
          created_files_have_all_their_blocks, sparse_file_is_reserved_when_it_is_opened,
          absent_file_is_enoent_and_empty_file_opens_empty, file_larger_than_the_disk_is_enospc,
          directory_is_made_with_its_parents_and_again,
          second_lock_names_the_holder_until_it_is_given_back, lock_of_a_dead_process_is_free,
          list_names_each_file_and_rename_moves_one, prefault_changes_no_byte)
