/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_PAGES_H
#define SYNOD_STORE_PAGES_H

/*
 * Zeroed memory straight from the kernel, for tables and slabs.
 *
 * Huge pages and stalls. A store of a million keys touches lines at random, and with 4 KiB pages
 * every touch costs a TLB miss besides the cache miss. But the first touch of a huge page clears,
 * and on a virtual machine finds, 2 MiB at once: 5 ms measured, in the middle of a batch. So memory
 * taken while commands are being applied is touched first in small pages, bit by bit, and only then
 * offered to the kernel to be made huge in its own time. Memory taken at the start is huge and
 * touched at once.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"

#define PAGES_SMALL ((size_t)4096)
#define PAGES_HUGE  ((size_t)2 << 20)

/* Rounds size up to whole pages, huge ones from PAGES_HUGE on. Any thread, as all of these. */
size_t pages_round(size_t size);
/* size must be rounded; from PAGES_HUGE on the memory is aligned to it. NULL: no memory. */
MUST_USE void *pages_map(size_t size);
/* Gives back [pages, pages + size), all or a page-aligned part of a mapping. NULL does nothing. */
void pages_unmap(void *pages, size_t size);

/* Touches everything now, in huge pages where possible: at the start. */
void pages_populate(void *pages, size_t size);
/* Touches [pages, pages + size), still all zeros, in small pages: bit by bit, on the way. */
void pages_touch(void *pages, size_t size);
/* All has been touched: may be made huge. */
void pages_offer_huge(void *pages, size_t size);

#endif
