/* SPDX-License-Identifier: MIT */
/* Planted: assembly hides from every other check. */
static inline void wal_pauses_processor(void)
{
    __asm__ volatile("pause");
}
