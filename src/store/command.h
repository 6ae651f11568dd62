/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_COMMAND_H
#define SYNOD_STORE_COMMAND_H

/*
 * A command of the replicated state machine, and its bytes: what a client's lane carries, what the
 * log stores as a record's payload, and what every node applies. The three are byte-identical, so
 * that a command is encoded once and copied from then on.
 *
 * Layout (little endian):
 *   offset 0  u8   op
 *          1  u8   compare
 *          2  u16  key bytes
 *          4  u32  value bytes
 *          8  u64  client      unique per client handle
 *         16  u64  sequence    the client's own, growing
 *   [COMMAND_CAS only:
 *         24  u64  expected revision
 *         32  u32  expected value bytes
 *         36  u32  0 ]
 *          then key, value, expected value
 *
 * Well-formed means: the lengths add up to the size exactly; the key is not empty; compare is NONE
 * for all but CAS; GET and DELETE carry no value; expected bytes come with COMPARE_VALUE only. A
 * CAS that removes may carry a value: it is ignored.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"

enum command_op {
    COMMAND_PUT = 1,
    COMMAND_GET = 2, /* a read through the log */
    COMMAND_DELETE = 3,
    COMMAND_CAS = 4, /* compare, then put the value or, with removes, delete the key */
};

enum command_compare {
    COMPARE_NONE = 0,
    COMPARE_REVISION = 1, /* the key's modify slot equals expected_revision; 0 means absent */
    COMPARE_VALUE = 2,    /* the key is there and its value has the expected bytes */
    COMPARE_ABSENT = 3,
    COMPARE_FLAG_REMOVES = 0x80, /* or-ed in: a successful CAS removes the key */
};

struct command {
    uint8_t op;
    uint8_t compare;
    uint16_t key_bytes;
    uint32_t value_bytes;
    uint32_t expected_bytes;
    uint64_t client;
    uint64_t sequence;
    uint64_t expected_revision;
    const uint8_t *key;
    const uint8_t *value;
    const uint8_t *expected;
};

/* Pure functions of their arguments: any thread. */
size_t command_size(const struct command *command);
/* Writes command_size() bytes. */
void command_encode(const struct command *command, uint8_t *bytes);
/* Points into bytes. False: not a well-formed command (never trusted: lanes and disks feed this).
 */
MUST_USE bool command_decode(const uint8_t *bytes, size_t size, struct command *command);

#endif
