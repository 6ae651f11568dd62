/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_STORE_H
#define SYNOD_STORE_STORE_H

/*
 * The replicated state machine: a key-value store that one thread (the node's) changes by applying
 * committed commands in slot order, and that any number of registered readers look into at the same
 * time, under RCU, without disturbing the writer.
 *
 * Determinism: the state, every outcome and the digest are functions of the sequence of applied
 * commands alone: no time, randomness, pointer order or hash seed of this process enters them.
 * Each key carries version (1 at creation, +1 a write), create_slot and modify_slot: the latter is
 * the key's revision.
 *
 * Threads: the writer's calls on one thread; reader calls as said there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "store/command.h"

struct store;

struct store_config {
    uint64_t expected_keys; /* sizes the table at the start; it grows beyond */
    uint32_t max_key_bytes;
    uint32_t max_value_bytes;
};

enum store_result {
    STORE_OK = 0,
    STORE_NOT_FOUND, /* get, delete: no such key */
    STORE_MISMATCH,  /* cas: the comparison failed; the entry found is in the outcome */
    STORE_INVALID,   /* malformed or over the limits: applied as nothing, on every node alike */
    STORE_NO_MEMORY, /* never from apply: see store_apply */
};

struct store_entry {
    const uint8_t *value;
    uint32_t value_bytes;
    uint64_t version;
    uint64_t create_slot;
    uint64_t modify_slot;
};

/*
 * What applying one command answered. entry is
 *   put, cas that writes: the entry as it stands now, without its value;
 *   get, mismatch: the entry found, with its value; zeros if the key is absent;
 *   delete, cas that removes: modify_slot the removal's slot, version counting it too; a cas that
 * asks for absence and removes finds nothing to do: OK, version 0; otherwise zeros. entry.value
 * points into the store: valid until the next call of the writer; NULL but for get, mismatch.
 */
struct store_outcome {
    enum store_result result;
    struct store_entry entry;
};

struct store_apply_item {
    uint64_t slot;
    const uint8_t *command; /* encoded; NULL for a no-op */
    uint32_t command_bytes;
    struct store_outcome outcome; /* filled in */
};

/* -ENOMEM, -EINVAL. */
MUST_USE int store_create(struct store **store, const struct store_config *config);
/* No reader may be inside, none registered. store may be NULL. Any thread, but may wait some 10 ms
 * for what readers held lately. */
void store_destroy(struct store *store);

/*
 * Applies items in order; slots strictly grow over all calls. All outcomes' entry.value stay valid
 * until the next writer call, even when a later item of the batch replaces the entry. Memory that
 * runs out here stops the process: a node that could not apply would no longer be a replica.
 */
void store_apply(struct store *store, struct store_apply_item *items, size_t count);

/* Looks a key up from the writer's thread. STORE_OK or STORE_NOT_FOUND. */
enum store_result store_get(struct store *store, const void *key, size_t key_bytes,
                            struct store_entry *entry);

/* Same state, same digest: over every key, value, version, create and modify slot. O(1): kept up to
 * date entry by entry. */
uint64_t store_digest(const struct store *store);
/* The same computed from scratch by walking the table: tests hold the two together. */
uint64_t store_digest_recompute(const struct store *store);

struct store_stats {
    uint64_t keys;
    uint64_t bytes_live;    /* entries in the table */
    uint64_t bytes_retired; /* replaced, waiting for readers to pass */
    uint64_t bytes_held;    /* all memory held: table, slabs, free lists */
    uint64_t applied_slot;
};
void store_stats(const struct store *store, struct store_stats *stats);

/* Gives memory back that no reader can see any more, and moves a growing table along. Cheap; call
 * once a turn. Never waits for readers. */
void store_housekeep(struct store *store);

/*
 * Snapshot: the state as of the applied slot at store_snapshot_begin(), produced in slices while
 * store_apply() goes on. One at a time.
 *
 * begin returns the exact number of bytes the whole snapshot will have. next fills up to `capacity`
 * bytes (capacity >= store_snapshot_slice_bytes(), the size of the largest entry) and returns how
 * many; it returns 0 only when the snapshot is complete. end gives up or finishes.
 */
uint64_t store_snapshot_begin(struct store *store);
size_t store_snapshot_slice_bytes(const struct store *store);
size_t store_snapshot_next(struct store *store, uint8_t *bytes, size_t capacity);
void store_snapshot_end(struct store *store);
bool store_snapshot_is_active(const struct store *store);

/*
 * Load: replaces the whole state by a snapshot's bytes, given in slices of any size cut anywhere.
 * begin empties the store (readers see the emptying: keep them out). finish: 0, or -EBADMSG when
 * the bytes were not a whole snapshot or its digest does not match; the store is then empty.
 */
void store_load_begin(struct store *store);
MUST_USE int store_load_slice(struct store *store, const uint8_t *bytes, size_t size);
MUST_USE int store_load_finish(struct store *store);

/*
 * Readers on other threads. Register once per thread, unregister on the same; a look-up happens
 * between enter and leave, and the entry is valid until leave. enter/leave/get are wait-free. A
 * value read here is one that was current at some instant between enter and leave; whether that
 * makes the read linearizable is for the caller to argue (leases).
 */
struct store_reader;
MUST_USE int store_reader_register(struct store *store, struct store_reader **reader);
void store_reader_unregister(struct store_reader *reader);
void store_reader_enter(struct store_reader *reader);
void store_reader_leave(struct store_reader *reader);
enum store_result store_reader_get(struct store_reader *reader, const void *key, size_t key_bytes,
                                   struct store_entry *entry);

#endif
