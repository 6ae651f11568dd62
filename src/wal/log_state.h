/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_WAL_LOG_STATE_H
#define SYNOD_WAL_LOG_STATE_H

/*
 * What a log knows about itself besides its records: the RECORD_STATE that opens every segment, so
 * that older segments can be recycled without losing a promise, the released prefix or a reset.
 * docs/wal-format.md, "State records".
 */
#include <stdbool.h>
#include <stdint.h>

#include "wal/record.h"

/* A place in the log: segment id in the upper half, byte offset in the lower; grows with the log.
 */
static inline uint64_t log_position(uint32_t segment_id, uint64_t offset)
{
    return (uint64_t)segment_id << 32 | offset;
}

struct log_state {
    uint64_t promised;        /* highest ballot promised or accepted */
    uint64_t mark;            /* highest mark recorded */
    uint64_t released;        /* slots <= this are not found */
    uint64_t index_slots;     /* appends went no further than released + index_slots */
    uint64_t reset_position;  /* accept records before it are void; 0: none are */
    uint64_t synced_position; /* everything before it was durable when this was written */
    uint32_t first_segment;   /* segments with a lower id are not needed */
    bool is_batch_synced;     /* WAL_SYNC_BATCH from here on */
};

#define LOG_STATE_BYTES        40u
#define LOG_STATE_RECORD_BYTES (RECORD_HEADER_BYTES + LOG_STATE_BYTES)

/* Writes the state as a record, promised in its ballot and mark in its slot. */
void log_state_write(const struct log_state *state, uint8_t *at, uint32_t key);
/* Reads it back from a good RECORD_STATE. */
void log_state_read(struct log_state *state, const struct record *record);
/* The position up to which this record proves the log durable; 0 when it proves nothing. */
uint64_t log_state_proof(const struct record *record);

#endif
