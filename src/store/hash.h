/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_HASH_H
#define SYNOD_STORE_HASH_H

/*
 * The store's one hash function: XXH3, 64 bits, unseeded. Its values are part of the state (digests
 * are compared between nodes and written into snapshots), so it can never be seeded per process.
 *
 * Inlined from the header: keys are short, and a call through the PLT with run-time dispatch costs
 * as much as hashing eight bytes.
 */
#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t hash_bytes(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

#endif
