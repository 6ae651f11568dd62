/* SPDX-License-Identifier: MIT */
/* Planted: waiting belongs to the queues. */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

long store_waits_on_futex(int *word);
long store_waits_on_futex(int *word)
{
    return syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL);
}
