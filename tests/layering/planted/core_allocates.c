/* SPDX-License-Identifier: MIT */
/* Planted: the core allocates nothing. */
#include <stdlib.h>

void *core_allocates(size_t size);
void *core_allocates(size_t size)
{
    return malloc(size);
}
