/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_WAL_LOG_RECOVERY_H
#define SYNOD_WAL_LOG_RECOVERY_H

/*
 * Brings the ring of segments back from whatever a crash left, or refuses to: docs/wal-format.md
 * has the decision table and the arguments. Nothing is changed on disk before the verdict.
 */
#include <stdint.h>

#include "wal/segmented_log.h"
#include "wal/write_ahead_log.h"

/*
 * Fills `log`, which holds its disk, directory (created and locked) and owner, from the files
 * there, creates what is missing, and makes it ready for appends. `highest_slot` is that of the
 * accept records in force, 0 without any. On failure log is to be given to segmented_log_deinit()
 * all the same. Errors as wal_open().
 */
MUST_USE int log_recovery_open(struct segmented_log *log, const struct wal_config *config,
                               struct wal_recovery *report, uint64_t *highest_slot);

/* Called with each record in force and its segment's place in log->segments and offset. */
typedef void log_replay_fn(void *context, const struct record *record, uint32_t segment_index,
                           uint32_t offset);

/* Hands out, in log order, the records in force of a log just opened. */
void log_recovery_replay(const struct segmented_log *log, log_replay_fn *fn, void *context);

#endif
