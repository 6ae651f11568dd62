/* SPDX-License-Identifier: MIT */
#include "wal/disk_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/bytes.h"

#define TMPFS_TYPE 0x01021994 /* linux/magic.h, TMPFS_MAGIC */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

enum {
    PAGE_BYTES = 4096, /* the smallest page of the machines we run on: finer touching is harmless */
    FILE_MODE = 0600,
    DIRECTORY_MODE = 0700,
    INTERRUPTED_TRIES = 1000, /* fallocate on tmpfs starts over after a signal */
};

static int last_error(void)
{
    return errno != 0 ? -errno : -EIO;
}

static int file_directory_create(void *self, const char *directory)
{
    (void)self;
    char path[PATH_MAX];
    size_t length = strlen(directory);
    if (length == 0 || length >= sizeof path)
        return length == 0 ? -EINVAL : -ENAMETOOLONG;
    memcpy(path, directory, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        path[i] = '\0';
        if (mkdir(path, DIRECTORY_MODE) != 0 && errno != EEXIST)
            return last_error();
        path[i] = directory[i];
    }
    return 0;
}

static long lock_read_holder(int fd)
{
    char text[24];
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    return strtol(text, NULL, 10);
}

static int file_directory_lock(void *self, const char *directory, int *lock, long *holder)
{
    (void)self;
    char path[PATH_MAX];
    *holder = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/lock", directory) >= sizeof path)
        return -ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return last_error();
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno == EWOULDBLOCK ? -EBUSY : last_error();
        *holder = lock_read_holder(fd);
        close(fd);
        return error;
    }
    char text[24];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    /* A lock file that cannot hold the pid still locks. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)length, 0) == length)
        *holder = (long)getpid();
    *lock = fd;
    return 0;
}

static void file_directory_unlock(void *self, int lock)
{
    (void)self;
    close(lock);
}

static int file_list(void *self, const char *directory, disk_name_fn *fn, void *context)
{
    (void)self;
    DIR *stream = opendir(directory);
    if (stream == NULL)
        return last_error();
    errno = 0;
    /* readdir is safe on a stream that only this call knows. */
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL; errno = 0) { // NOLINT
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fn(context, entry->d_name);
    }
    int error = errno != 0 ? -errno : 0;
    closedir(stream);
    return error;
}

static int reserve(int fd, size_t size)
{
    int error = EINTR;
    for (int tries = 0; error == EINTR && tries < INTERRUPTED_TRIES; tries++)
        error = fallocate(fd, 0, 0, (off_t)size) == 0 ? 0 : errno;
    if (error == EOPNOTSUPP)
        error = posix_fallocate(fd, 0, (off_t)size);
    return -error;
}

static int map(int fd, size_t size, struct disk_file *file)
{
    *file = (struct disk_file){.bytes = NULL, .size = size, .handle = fd};
    if (size == 0)
        return 0;
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return last_error();
    file->bytes = bytes;
    return 0;
}

static int file_create(void *self, const char *path, size_t size, struct disk_file *file)
{
    (void)self;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return last_error();
    struct stat status;
    int error = fstat(fd, &status) == 0 ? 0 : last_error();
    if (error == 0 && (size_t)status.st_size > size && ftruncate(fd, (off_t)size) != 0)
        error = last_error();
    if (error == 0 && size > 0)
        error = reserve(fd, size);
    if (error == 0)
        error = map(fd, size, file);
    if (error != 0)
        close(fd);
    return error;
}

static int file_open(void *self, const char *path, struct disk_file *file)
{
    (void)self;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return last_error();
    struct stat status;
    int error = fstat(fd, &status) == 0 ? 0 : last_error();
    /* A sparse file would be a SIGBUS at the first store on a full disk. */
    if (error == 0 && status.st_size > 0)
        error = reserve(fd, (size_t)status.st_size);
    if (error == 0)
        error = map(fd, (size_t)status.st_size, file);
    if (error != 0)
        close(fd);
    return error;
}

static void file_close(void *self, struct disk_file *file)
{
    (void)self;
    if (file->bytes != NULL)
        munmap(file->bytes, file->size);
    close(file->handle);
    *file = (struct disk_file){.bytes = NULL, .size = 0, .handle = -1};
}

static int file_sync(void *self, struct disk_file *file, size_t offset, size_t length)
{
    (void)self;
    (void)offset; /* Linux writes back what was stored through the mapping, dirty pages only */
    (void)length;
    return fdatasync(file->handle) == 0 ? 0 : last_error();
}

static int file_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return rename(from, to) == 0 ? 0 : last_error();
}

static int file_remove(void *self, const char *path)
{
    (void)self;
    return unlink(path) == 0 ? 0 : last_error();
}

static int file_directory_sync(void *self, const char *directory)
{
    (void)self;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return last_error();
    int error = fsync(fd) == 0 ? 0 : last_error();
    close(fd);
    return error;
}

/* Memory that can be had without swapping anything out, as the kernel estimates it. */
static uint64_t available_memory(void)
{
    uint64_t kib = UINT64_MAX / 1024;
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "MemAvailable:", 13) == 0) {
            kib = strtoull(line + 13, NULL, 10);
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kib * 1024;
}

static uint64_t file_free_bytes(void *self, const char *directory)
{
    (void)self;
    struct statfs stat;
    if (statfs(directory, &stat) != 0) {
        return UINT64_MAX;
    }
    uint64_t free_bytes = (uint64_t)stat.f_bavail * (uint64_t)stat.f_bsize;
    if (stat.f_type != TMPFS_TYPE) {
        return free_bytes;
    }
    /* A tmpfs may promise more than there is: taking it all would have the kernel kill somebody. */
    uint64_t memory = available_memory();
    return memory < free_bytes ? memory : free_bytes;
}

static void file_prefault(void *self, struct disk_file *file, size_t offset, size_t length)
{
    (void)self;
    size_t first = offset & ~(size_t)(PAGE_BYTES - 1);
    size_t end = bytes_align_up(offset + length, PAGE_BYTES);
    end = end < file->size ? end : file->size;
    if (file->bytes == NULL || first >= end)
        return;
    if (madvise(file->bytes + first, end - first, MADV_POPULATE_WRITE) == 0)
        return;
    /* Older kernels. An atomic "or" of nothing loses no store made by the owner meanwhile (relaxed:
     * only the page matters, not the value). */
    for (size_t at = first; at < end; at += PAGE_BYTES)
        atomic_fetch_or_explicit((_Atomic uint8_t *)(file->bytes + at), 0, memory_order_relaxed);
}

struct disk *disk_file(void)
{
    static const struct disk_ops ops = {
        .directory_create = file_directory_create,
        .directory_lock = file_directory_lock,
        .directory_unlock = file_directory_unlock,
        .list = file_list,
        .create = file_create,
        .open = file_open,
        .close = file_close,
        .sync = file_sync,
        .rename = file_rename,
        .remove = file_remove,
        .directory_sync = file_directory_sync,
        .free_bytes = file_free_bytes,
        .prefault = file_prefault,
    };
    static struct disk disk = {.ops = &ops, .self = NULL};
    return &disk;
}

int disk_file_directory_fresh(char *path)
{
    return mkdtemp(path) != NULL ? 0 : last_error();
}

void disk_file_directory_remove(const char *path)
{
    (void)rmdir(path);
}
