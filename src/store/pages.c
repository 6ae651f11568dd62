/* SPDX-License-Identifier: MIT */
#include "store/pages.h"

#include <sys/mman.h>

#include "base/bytes.h"

size_t pages_round(size_t size)
{
    return bytes_align_up(size, size >= PAGES_HUGE ? PAGES_HUGE : PAGES_SMALL);
}

void *pages_map(size_t size)
{
    size_t slack = size >= PAGES_HUGE ? PAGES_HUGE : 0;
    uint8_t *base =
        mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        return NULL;
    }
    if (slack == 0) {
        return base;
    }
    size_t before = (size_t)(-(uintptr_t)base & (PAGES_HUGE - 1));
    pages_unmap(base, before);
    pages_unmap(base + before + size, slack - before);
    return base + before;
}

void pages_unmap(void *pages, size_t size)
{
    if (pages != NULL && size > 0) {
        ASSERT(munmap(pages, size) == 0);
    }
}

/* Advice only: without huge pages everything works, slower. */
void pages_offer_huge(void *pages, size_t size)
{
    if (size >= PAGES_HUGE) {
        (void)madvise(pages, size, MADV_HUGEPAGE);
    }
}

void pages_touch(void *pages, size_t size)
{
    volatile uint8_t *page = pages;
    for (size_t at = 0; at < size; at += PAGES_SMALL) {
        page[at] = 0;
    }
}

void pages_populate(void *pages, size_t size)
{
    pages_offer_huge(pages, size);
    pages_touch(pages, size);
}
