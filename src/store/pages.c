/* SPDX-License-Identifier: MIT */
#include "store/pages.h"

#include <sys/mman.h>

#include "base/bytes.h"

#define PAGES_SMALL ((size_t)4096)

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
    /* Advice only: without huge pages everything still works, slower. */
    (void)madvise(base + before, size, MADV_HUGEPAGE);
    return base + before;
}

void pages_unmap(void *pages, size_t size)
{
    if (pages != NULL && size > 0) {
        ASSERT(munmap(pages, size) == 0);
    }
}
