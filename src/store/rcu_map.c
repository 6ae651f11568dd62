/* SPDX-License-Identifier: MIT */
/*
 * The map of libsynod: readers under RCU. The only user of liburcu; its membarrier flavour, because
 * readers are the application's threads, which promise no quiescent states (qsbr), and because its
 * read side is two plain stores (numbers: 1.5 ns against 51 with fences).
 *
 * Grace periods. The writer never waits for one: it hands a whole batch of retired memory over with
 * one call_rcu, whose callback sets a flag, and looks at the flag on its way. Callbacks run on
 * liburcu's default helper thread: one for the process, started by the first call_rcu, asleep on a
 * futex while it has nothing to do (at most 100 wake-ups a second while it does). A batch comes
 * back after 10 to 20 ms, liburcu's own pace; what is written meanwhile is the memory a store with
 * readers needs on top.
 *
 * No readers, no grace: while nobody is registered with the map, nothing is handed over, no thread
 * is started, and memory is reused at once, still warm. [M5] This is sound because registering and
 * asking are read-modify-writes of one counter. If the writer's comes first in its order, the
 * reader's synchronizes with it and the reader sees every entry taken out before as gone; if the
 * reader's comes first, the writer sees the reader. Likewise a reader's last look happens before
 * its unregistering, that before the writer's reuse.
 *
 * Inlined read side: liburcu allows its read lock and unlock, short functions, to be inlined into
 * code of any licence (its header says so); _LGPL_SOURCE asks for that.
 */
#define _LGPL_SOURCE
#include <urcu/urcu-memb.h>

#include <stdatomic.h>

#include "store/kv_map.h"

#define MAP_WORD(type)            _Atomic(type)
#define MAP_LOAD(place)           atomic_load_explicit(place, memory_order_acquire)
#define MAP_LOAD_OWN(place)       atomic_load_explicit(place, memory_order_relaxed)
#define MAP_PUBLISH(place, value) atomic_store_explicit(place, value, memory_order_release)

struct kv_grace {
    struct rcu_head head; /* first: grace_over casts back */
    atomic_bool is_over;
    struct kv_grace *next_spare;
};

struct map_reclaim {
    struct kv_grace *spare;
    uint64_t begun; /* and not given back */
    _Alignas(128) _Atomic(uint64_t) readers;
};

static void map_reclaim_deinit(struct map_reclaim *reclaim);

#include "store/kv_map_template.h"

/*
 * liburcu wants each thread that reads, or calls call_rcu, registered once. One thread may read
 * many maps, and its program may use liburcu itself: register only who is not, unregister only whom
 * we did.
 */
static _Thread_local uint64_t thread_registrations;
static _Thread_local bool thread_is_ours;

static bool thread_is_registered(void)
{
    return URCU_TLS(urcu_memb_reader).registered != 0;
}

static void thread_register(void)
{
    if (thread_registrations++ == 0 && !thread_is_registered()) {
        urcu_memb_register_thread();
        thread_is_ours = true;
    }
}

static void thread_unregister(void)
{
    ASSERT(thread_registrations > 0);
    if (--thread_registrations == 0 && thread_is_ours) {
        thread_is_ours = false;
        urcu_memb_unregister_thread();
    }
}

static void map_reclaim_deinit(struct map_reclaim *reclaim)
{
    ASSERT(reclaim->begun == 0);
    while (reclaim->spare != NULL) {
        struct kv_grace *grace = reclaim->spare;
        reclaim->spare = grace->next_spare;
        free(grace);
    }
}

bool kv_map_is_unobserved(struct kv_map *map)
{
    /* acq_rel: pairs with kv_map_reader_register and _unregister [M5]; adding nothing, but in order
     */
    return atomic_fetch_add_explicit(&map->reclaim.readers, 0, memory_order_acq_rel) == 0;
}

static void grace_over(struct rcu_head *head)
{
    struct kv_grace *grace = (struct kv_grace *)head;
    /* release: pairs with kv_map_grace_is_over; the helper is done with it: the writer may reuse it
     */
    atomic_store_explicit(&grace->is_over, true, memory_order_release);
}

struct kv_grace *kv_map_grace_begin(struct kv_map *map)
{
    struct map_reclaim *reclaim = &map->reclaim;
    struct kv_grace *grace = reclaim->spare;
    if (grace != NULL) {
        reclaim->spare = grace->next_spare;
    } else {
        grace = malloc(sizeof *grace);
        ASSERT(grace != NULL); /* out of memory: stops the process, see store_apply */
    }
    reclaim->begun++;
    bool is_over = kv_map_is_unobserved(map);
    /* relaxed: call_rcu hands it over */
    atomic_store_explicit(&grace->is_over, is_over, memory_order_relaxed);
    if (!is_over) {
        thread_register();
        urcu_memb_call_rcu(&grace->head, grace_over);
        thread_unregister();
    }
    return grace;
}

bool kv_map_grace_is_over(const struct kv_grace *grace)
{
    /* acquire: pairs with grace_over; all readers' looks at what is retired happened before */
    return atomic_load_explicit(&grace->is_over, memory_order_acquire);
}

void kv_map_grace_end(struct kv_map *map, struct kv_grace *grace)
{
    ASSERT(kv_map_grace_is_over(grace));
    map->reclaim.begun--;
    grace->next_spare = map->reclaim.spare;
    map->reclaim.spare = grace;
}

void kv_map_barrier(struct kv_map *map)
{
    if (map->reclaim.begun > 0) {
        thread_register();
        urcu_memb_barrier();
        thread_unregister();
    }
}

void kv_map_reader_register(struct kv_map *map)
{
    /* acq_rel: pairs with kv_map_is_unobserved [M5] */
    atomic_fetch_add_explicit(&map->reclaim.readers, 1, memory_order_acq_rel);
    thread_register();
}

void kv_map_reader_unregister(struct kv_map *map)
{
    thread_unregister();
    /* acq_rel: pairs with kv_map_is_unobserved [M5] */
    atomic_fetch_sub_explicit(&map->reclaim.readers, 1, memory_order_acq_rel);
}

void kv_map_reader_enter(void)
{
    urcu_memb_read_lock();
}

void kv_map_reader_leave(void)
{
    urcu_memb_read_unlock();
}
