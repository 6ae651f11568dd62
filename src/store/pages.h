/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_PAGES_H
#define SYNOD_STORE_PAGES_H

/*
 * Zeroed memory straight from the kernel, for tables and slabs. From PAGES_HUGE on it is aligned to
 * huge pages and asks for them: a store of a million keys touches lines at random, and with 4 KiB
 * pages every touch would cost a TLB miss besides the cache miss.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"

#define PAGES_HUGE ((size_t)2 << 20)

/* Rounds size up to whole pages (huge ones from PAGES_HUGE on). Any thread. */
size_t pages_round(size_t size);
/* size must be rounded. NULL: no memory. Any thread. */
MUST_USE void *pages_map(size_t size);
/* Gives back [pages, pages + size), all or a rounded part of a mapping. NULL does nothing. */
void pages_unmap(void *pages, size_t size);

#endif
