/* SPDX-License-Identifier: MIT */
/*
 * The map with nothing concurrent about it: for the simulator, where all nodes share one thread,
 * and for builds whose tools cannot see through liburcu. Readers are the same thread as the writer
 * and hold nothing across its calls, so every grace period is over when it begins.
 */
#include "store/kv_map.h"

#define MAP_WORD(type)            type
#define MAP_LOAD(place)           (*(place))
#define MAP_LOAD_OWN(place)       (*(place))
#define MAP_PUBLISH(place, value) ((void)(*(place) = (value)))

struct kv_grace {
    bool is_over;
};

struct map_reclaim {
    struct kv_grace grace; /* the one there ever is */
};

static void map_reclaim_deinit(struct map_reclaim *reclaim)
{
    (void)reclaim;
}

#include "store/kv_map_template.h"

bool kv_map_is_unobserved(struct kv_map *map)
{
    (void)map;
    return true;
}

struct kv_grace *kv_map_grace_begin(struct kv_map *map)
{
    map->reclaim.grace.is_over = true;
    return &map->reclaim.grace;
}

bool kv_map_grace_is_over(const struct kv_grace *grace)
{
    return grace->is_over;
}

void kv_map_grace_end(struct kv_map *map, struct kv_grace *grace)
{
    ASSERT(grace == &map->reclaim.grace);
}

void kv_map_barrier(struct kv_map *map)
{
    (void)map;
}

void kv_map_reader_register(struct kv_map *map)
{
    (void)map;
}

void kv_map_reader_unregister(struct kv_map *map)
{
    (void)map;
}

void kv_map_reader_enter(void)
{
}

void kv_map_reader_leave(void)
{
}
