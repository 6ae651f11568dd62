/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_QUEUE_IDLE_STRATEGY_H
#define SYNOD_QUEUE_IDLE_STRATEGY_H

/*
 * What a thread does when a turn found nothing to do: spin (a core for every thread), yield
 * (threads share cores), park (sleep on its doorbell). Work resets the back-off; idling moves it
 * along:
 *
 *   SPIN    pause, for ever
 *   YIELD   sched_yield, for ever
 *   PARK    park at once
 *   AUTO    enough CPUs for all busy threads: spin, then yield, then park;
 *           fewer: yield, then park. Spinning always gives way to parking in the end.
 *
 * A wake-up by the timeout alone (housekeeping, heartbeats) does not restart the spinning or
 * yielding phase; only work does. Threads: one idle_strategy belongs to one thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/contract.h"
#include "queue/doorbell.h"

enum idle_kind { IDLE_AUTO, IDLE_SPIN, IDLE_YIELD, IDLE_PARK };

struct idle_strategy {
    enum idle_kind kind;    /* as asked for: AUTO keeps its name */
    uint32_t spin_limit;    /* pauses before yielding */
    uint32_t yield_limit;   /* yields before parking */
    uint32_t spins, yields; /* spent since the last work, never above the limits */
    struct doorbell *bell;  /* borrowed */
};

/* busy_threads: threads that will run at the same time; usable_cpus: CPUs this process may use.
 * bell: the calling thread's own; may be NULL for SPIN and YIELD, which never park. */
void idle_strategy_init(struct idle_strategy *idle, enum idle_kind kind, uint32_t busy_threads,
                        uint32_t usable_cpus, struct doorbell *bell);

/* The turn did something: back to the start. */
static inline void idle_strategy_reset(struct idle_strategy *idle)
{
    idle->spins = 0;
    idle->yields = 0;
}

/*
 * The turn found nothing: idles one step. Before it would park it arms the bell and asks
 * has_work(context) for a last look at every queue; parks for at most timeout_ns. Returns true when
 * it parked.
 */
bool idle_strategy_idle(struct idle_strategy *idle, bool (*has_work)(void *context), void *context,
                        uint64_t timeout_ns);

/* CPUs this process may run on (affinity mask and cgroup quota, rounded up), at least 1. */
uint32_t idle_usable_cpus(void);
const char *idle_kind_name(enum idle_kind kind);
/* False: no such name. */
MUST_USE bool idle_kind_parse(const char *name, enum idle_kind *kind);

#endif
