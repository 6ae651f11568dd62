/* SPDX-License-Identifier: MIT */
#include "wal/record.h"

#include "wal/log_state.h"

bool record_is_plausible(const uint8_t *at, size_t available)
{
    if (available < RECORD_HEADER_BYTES)
        return false;
    uint32_t kind = record_raw_kind(at);
    uint32_t payload_bytes = record_payload_bytes(at);
    if (kind < RECORD_VALUE || kind >= RECORD_KIND_END || record_bytes(payload_bytes) > available)
        return false;
    if (kind == RECORD_VALUE || kind == RECORD_NOOP)
        return bytes_load_u64(at + 16) != 0;
    return payload_bytes == (kind == RECORD_STATE ? LOG_STATE_BYTES : 0);
}

bool record_check(const uint8_t *at, size_t available, uint32_t key, struct record_check *check)
{
    *check = (struct record_check){0};
    if (available < RECORD_HEADER_BYTES)
        return false;
    record_decode(at, &check->record);
    check->checksum_stored = bytes_load_u32(at);
    uint32_t bytes = record_bytes(check->record.payload_bytes);
    if (bytes > available)
        return false;
    uint32_t sum = crc32c(0, check->record.payload, bytes - RECORD_HEADER_BYTES);
    check->checksum_computed = record_checksum(sum, &check->record) ^ key;
    return check->checksum_computed == check->checksum_stored && record_is_plausible(at, available);
}
