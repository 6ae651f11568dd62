/* SPDX-License-Identifier: MIT */
#include "core/quorum.h"

struct quorum quorum_majority(uint32_t nodes)
{
    ASSERT(nodes >= 1 && nodes <= CORE_MAX_NODES);
    uint32_t majority = nodes / 2 + 1;
    return (struct quorum){.nodes = nodes, .phase1 = majority, .phase2 = majority};
}

bool quorum_flexible(uint32_t nodes, uint32_t phase1, uint32_t phase2, struct quorum *quorum)
{
    if (nodes < 1 || nodes > CORE_MAX_NODES) {
        return false;
    }
    uint32_t majority = nodes / 2 + 1;
    struct quorum asked = {
        .nodes = nodes,
        .phase1 = phase1 == 0 ? majority : phase1,
        .phase2 = phase2 == 0 ? majority : phase2,
    };
    if (asked.phase1 > nodes || asked.phase2 > nodes || asked.phase1 + asked.phase2 <= nodes) {
        return false;
    }
    *quorum = asked;
    return true;
}
