/* SPDX-License-Identifier: MIT */
#include "core/read_index.h"

#include "core/core_internal.h"
#include "core/high_watermark.h"

void read_index_on_read(struct core *core, struct effects *effects)
{
    if (!core_takes_reads(core)) {
        core_drop(core, effects, DROP_NOT_LEADER);
        return;
    }
    core->round++;
    struct effect *effect = effects_add(effects, EFFECT_READ_PENDING);
    effect->round = core->round;
    effect->slot = core->mark > core->term_start ? core->mark : core->term_start;
}

void read_index_settle(struct core *core, struct effects *effects)
{
    if (core->round == core->round_confirmed) {
        return;
    }
    uint64_t seen[CORE_MAX_NODES];
    for (uint32_t node = 0; node < core->config.quorum.nodes; node++) {
        seen[node] = node == core->config.self ? core->round : core->peers[node].round;
    }
    uint64_t confirmed =
        high_watermark_rank(seen, core->config.quorum.nodes, core->config.quorum.phase2);
    if (confirmed > core->round_confirmed) {
        core->round_confirmed = confirmed;
        effects_add(effects, EFFECT_READ_CONFIRMED)->round = confirmed;
    }
}
