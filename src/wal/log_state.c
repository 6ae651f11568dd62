/* SPDX-License-Identifier: MIT */
#include "wal/log_state.h"

enum { FLAG_BATCH_SYNCED = 1 };

void log_state_write(const struct log_state *state, uint8_t *at, uint32_t key)
{
    uint8_t payload[LOG_STATE_BYTES];
    bytes_store_u64(payload, state->released);
    bytes_store_u64(payload + 8, state->index_slots);
    bytes_store_u64(payload + 16, state->reset_position);
    bytes_store_u64(payload + 24, state->synced_position);
    bytes_store_u32(payload + 32, state->first_segment);
    bytes_store_u32(payload + 36, state->is_batch_synced ? FLAG_BATCH_SYNCED : 0);
    struct record record = {.kind = (enum record_kind)RECORD_STATE,
                            .payload_bytes = LOG_STATE_BYTES,
                            .ballot = state->promised,
                            .slot = state->mark};
    record_commit(at, key, record_copy_payload(at + RECORD_HEADER_BYTES, payload, sizeof payload),
                  &record);
}

void log_state_read(struct log_state *state, const struct record *record)
{
    const uint8_t *payload = record->payload;
    *state = (struct log_state){
        .promised = record->ballot,
        .mark = record->slot,
        .released = bytes_load_u64(payload),
        .index_slots = bytes_load_u64(payload + 8),
        .reset_position = bytes_load_u64(payload + 16),
        .synced_position = bytes_load_u64(payload + 24),
        .first_segment = bytes_load_u32(payload + 32),
        .is_batch_synced = (bytes_load_u32(payload + 36) & FLAG_BATCH_SYNCED) != 0,
    };
}

uint64_t log_state_proof(const struct record *record)
{
    uint32_t kind = (uint32_t)record->kind;
    if (kind == RECORD_SYNC)
        return record->ballot;
    return kind == RECORD_STATE ? bytes_load_u64(record->payload + 24) : 0;
}
