/* SPDX-License-Identifier: MIT */
#include "core/high_watermark.h"

uint64_t high_watermark_rank(const uint64_t *match, uint32_t nodes, uint32_t count)
{
    ASSERT(count >= 1 && count <= nodes && nodes <= CORE_MAX_NODES);
    uint64_t sorted[CORE_MAX_NODES]; /* descending */
    for (uint32_t i = 0; i < nodes; i++) {
        uint32_t at = i;
        while (at > 0 && sorted[at - 1] < match[i]) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = match[i];
    }
    return sorted[count - 1];
}

uint64_t high_watermark_advance(uint64_t mark, const uint64_t *match, const struct quorum *quorum,
                                uint64_t own_match)
{
    uint64_t reached = high_watermark_rank(match, quorum->nodes, quorum->phase2);
    return high_watermark_learn(mark, reached, own_match);
}
