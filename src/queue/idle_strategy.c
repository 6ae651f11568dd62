/* SPDX-License-Identifier: MIT */
#include "queue/idle_strategy.h"

#include <sched.h>
#include <stddef.h>
#include <string.h>

#include "queue/cpu_quota.h"

/*
 * How long to try before parking. Being woken from a futex takes 12 to 22 us, and its ringer 7 us:
 * a thread that spins for about as long as a wake-up costs is never worse than twice the best
 * choice made in hindsight.
 *
 * With a CPU for every thread: 500 steps of one pause (26 ns) and one look at the queues (as much
 * again) are some 25 us. Then 50 yields, 15 us when nobody else wants the CPU (0.3 us each), for
 * the case that somebody outside does.
 *
 * With fewer CPUs spinning only delays whoever has the work, and a yield hands the CPU over in 1.5
 * us (2 or 3 threads on it) to 4.4 us (6). A write travels client, leader, follower, leader,
 * client: at six threads a CPU that is up to about 100 us of hand-overs, so 100 yields outlast it:
 * a client that waits for every answer never lets a node fall asleep. An idle cluster is parked
 * after 30 us (alone on its CPU) to 440 us.
 */
enum {
    SPINS_WITH_OWN_CPU = 500,
    YIELDS_WITH_OWN_CPU = 50,
    YIELDS_WITH_SHARED_CPU = 100,
};

static inline void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* yield is a no-op on most cores; isb waits a few ns */
#endif
}

void idle_strategy_init(struct idle_strategy *idle, enum idle_kind kind, uint32_t busy_threads,
                        uint32_t usable_cpus, struct doorbell *bell)
{
    ASSERT(bell != NULL || kind == IDLE_SPIN || kind == IDLE_YIELD);
    *idle = (struct idle_strategy){.kind = kind, .bell = bell};
    if (kind == IDLE_AUTO) {
        bool has_own_cpu = busy_threads <= usable_cpus;
        idle->spin_limit = has_own_cpu ? SPINS_WITH_OWN_CPU : 0;
        idle->yield_limit = has_own_cpu ? YIELDS_WITH_OWN_CPU : YIELDS_WITH_SHARED_CPU;
    }
}

static bool park(struct doorbell *bell, bool (*has_work)(void *context), void *context,
                 uint64_t timeout_ns)
{
    doorbell_arm(bell);
    if (has_work(context)) {
        doorbell_disarm(bell);
        return false;
    }
    (void)doorbell_wait(bell, timeout_ns); /* the next turn looks at the queues either way */
    return true;
}

bool idle_strategy_idle(struct idle_strategy *idle, bool (*has_work)(void *context), void *context,
                        uint64_t timeout_ns)
{
    if (idle->kind == IDLE_SPIN) {
        pause_cpu();
        return false;
    }
    if (idle->kind == IDLE_YIELD) {
        sched_yield();
        return false;
    }
    if (idle->spins < idle->spin_limit) {
        idle->spins++;
        pause_cpu();
        return false;
    }
    if (idle->yields < idle->yield_limit) {
        idle->yields++;
        sched_yield();
        return false;
    }
    /* The back-off stays spent: after a wake-up without work the next idle step parks again. */
    return park(idle->bell, has_work, context, timeout_ns);
}

/* The kernel refuses a mask smaller than the machine's; this covers every configuration it can
 * have. */
enum { MASK_CPUS = 8192 };

static uint32_t affinity_cpus(void)
{
    cpu_set_t mask[MASK_CPUS / CPU_SETSIZE];
    if (sched_getaffinity(0, sizeof mask, mask) != 0)
        return 1;
    int count = CPU_COUNT_S(sizeof mask, mask);
    return count > 0 ? (uint32_t)count : 1;
}

uint32_t idle_usable_cpus(void)
{
    uint32_t cpus = affinity_cpus();
    uint32_t quota = cpu_quota_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    return quota < cpus ? quota : cpus;
}

static const char *const kind_names[] = {
    [IDLE_AUTO] = "auto",
    [IDLE_SPIN] = "spin",
    [IDLE_YIELD] = "yield",
    [IDLE_PARK] = "park",
};

#define KINDS (sizeof kind_names / sizeof kind_names[0])

const char *idle_kind_name(enum idle_kind kind)
{
    return (size_t)kind < KINDS ? kind_names[kind] : "unknown";
}

bool idle_kind_parse(const char *name, enum idle_kind *kind)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(name, kind_names[i]) == 0) {
            *kind = (enum idle_kind)i;
            return true;
        }
    }
    return false;
}
