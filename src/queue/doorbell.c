/* SPDX-License-Identifier: MIT */
#include "queue/doorbell.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t), "a futex is a plain 32-bit word");

/* About 292 years: longer waits are waits without limit, which keeps the seconds within time_t. */
#define TIMEOUT_FINITE_NS ((uint64_t)INT64_MAX)

static void futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / 1000000000U),
        .tv_nsec = (long)(timeout_ns % 1000000000U),
    };
    long result = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
                          timeout_ns < TIMEOUT_FINITE_NS ? &timeout : NULL, NULL, 0);
    /* EAGAIN: no longer armed; EINTR: a signal. The caller decides by the word in all cases. */
    ASSERT(result == 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT);
}

static void futex_wake_one(_Atomic uint32_t *word)
{
    long result = syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    ASSERT(result >= 0);
}

int doorbell_create(struct doorbell **bell)
{
    struct doorbell *made = aligned_alloc(CACHELINE_PAIR, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    atomic_init(&made->armed, 0);
    atomic_init(&made->sleeps, 0);
    atomic_init(&made->wakes, 0);
    *bell = made;
    return 0;
}

void doorbell_destroy(struct doorbell *bell)
{
    free(bell);
}

void doorbell_arm(struct doorbell *bell)
{
    /* relaxed: ordered before the looks at the queues by the fence behind it [B1] */
    atomic_store_explicit(&bell->armed, 1, memory_order_relaxed);
    /* pairs with the ringer's fence [B1] */
    doorbell_fence();
}

void doorbell_disarm(struct doorbell *bell)
{
    /* relaxed: orders nothing. A ringer that cleared it first finds its work seen by the next look
     * at the latest: docs/memory-order.md, "Stale answers" */
    atomic_store_explicit(&bell->armed, 0, memory_order_relaxed);
}

bool doorbell_wait(struct doorbell *bell, uint64_t timeout_ns)
{
    /* relaxed: a counter with one writer */
    uint64_t sleeps = atomic_load_explicit(&bell->sleeps, memory_order_relaxed);
    atomic_store_explicit(&bell->sleeps, sleeps + 1, memory_order_relaxed);

    futex_wait(&bell->armed, 1, timeout_ns);
    /* acquire: pairs with doorbell_wake [B2]; what the ringer published before is visible. An
     * exchange, so that a ring just now is either reported or finds the bell unarmed */
    return atomic_exchange_explicit(&bell->armed, 0, memory_order_acquire) == 0;
}

void doorbell_wake(struct doorbell *bell)
{
    /* release: pairs with doorbell_wait [B2]. An exchange, so that of many ringers one wakes */
    if (atomic_exchange_explicit(&bell->armed, 0, memory_order_release) == 0)
        return;
    /* relaxed: a counter */
    atomic_fetch_add_explicit(&bell->wakes, 1, memory_order_relaxed);
    /* The sleeper may be up and even asleep again by now: then this wakes it spuriously. */
    futex_wake_one(&bell->armed);
}

uint64_t doorbell_sleeps(const struct doorbell *bell)
{
    /* relaxed: a counter */
    return atomic_load_explicit(&bell->sleeps, memory_order_relaxed);
}

uint64_t doorbell_wakes(const struct doorbell *bell)
{
    /* relaxed: a counter */
    return atomic_load_explicit(&bell->wakes, memory_order_relaxed);
}
