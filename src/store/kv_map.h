/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_KV_MAP_H
#define SYNOD_STORE_KV_MAP_H

/*
 * The map port: what the store asks of a key-value map. Two implementations, one chosen at link:
 * rcu_map.c (libsynod: one writer, many wait-free readers, reclamation in batches by liburcu) and
 * plain_map.c (simulator, thread sanitizer: the same table with nothing concurrent about it). Both give
 * one digest for one command sequence, and tests/unit/store/test_kv_map_twins shows it.
 *
 * To be filled in by the store's author: entries are immutable once published.
 */

#endif
