/* SPDX-License-Identifier: MIT */
/* Planted: a replica gets its memory from others. */
#include <sys/mman.h>

int replica_maps_memory(void *memory, size_t size);
int replica_maps_memory(void *memory, size_t size)
{
    return munmap(memory, size);
}
