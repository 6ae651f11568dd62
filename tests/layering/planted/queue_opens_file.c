/* SPDX-License-Identifier: MIT */
/* Planted: files belong to the write-ahead log. */
#include <fcntl.h>

int queue_opens_file(const char *path);
int queue_opens_file(const char *path)
{
    return open(path, O_RDONLY);
}
