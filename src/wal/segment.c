/* SPDX-License-Identifier: MIT */
#include "wal/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wal/log_state.h"

/* The header's fields; docs/wal-format.md has the table. */
enum {
    HEADER_MAGIC = 0,
    HEADER_VERSION = 8,
    HEADER_NODE = 12,
    HEADER_CLUSTER = 16,
    HEADER_SEGMENT_ID = 24,
    HEADER_RECORDS_AT = 28,
    HEADER_SEGMENT_BYTES = 32,
    HEADER_RESERVED = 40,
    HEADER_CHECKSUM = 60,
    HEADER_END = 64
};

#define MAGIC UINT64_C(0x6c6177646f6e7973) /* "synodwal" */

void segment_name(char name[SEGMENT_NAME_BYTES], uint32_t id, uint64_t first_slot)
{
    if (first_slot == 0)
        snprintf(name, SEGMENT_NAME_BYTES, "segment-%08" PRIx32 "-spare.wal", id);
    else
        snprintf(name, SEGMENT_NAME_BYTES, "segment-%08" PRIx32 "-%016" PRIx64 ".wal", id,
                 first_slot);
}

static bool name_has(const char *name, const char *ending)
{
    size_t length = strlen(name);
    size_t ending_length = strlen(ending);
    return length < SEGMENT_NAME_BYTES && strncmp(name, "segment-", 8) == 0 &&
           length > 8 + ending_length && strcmp(name + length - ending_length, ending) == 0;
}

bool segment_name_is_segment(const char *name)
{
    return name_has(name, ".wal");
}

bool segment_name_is_unfinished(const char *name)
{
    return name_has(name, ".tmp");
}

int segment_header_read(struct segment *segment, struct segment_owner *owner)
{
    const uint8_t *header = segment->file.bytes;
    segment->id = 0;
    if (segment->file.size < SEGMENT_HEADER_BYTES ||
        bytes_load_u64(header + HEADER_MAGIC) != MAGIC ||
        bytes_load_u32(header + HEADER_CHECKSUM) != crc32c(0, header, HEADER_CHECKSUM))
        return -EBADMSG;
    /* The checksum's place is the one thing that every later version has to keep. */
    if (bytes_load_u32(header + HEADER_VERSION) > SEGMENT_FORMAT_VERSION)
        return -EPROTONOSUPPORT;
    uint32_t id = bytes_load_u32(header + HEADER_SEGMENT_ID);
    if (id == 0 || bytes_load_u32(header + HEADER_RECORDS_AT) != SEGMENT_HEADER_BYTES)
        return -EBADMSG;
    segment->id = id;
    segment->key = segment_key(id);
    owner->cluster_id = bytes_load_u64(header + HEADER_CLUSTER);
    owner->node = bytes_load_u32(header + HEADER_NODE);
    owner->segment_bytes = bytes_load_u64(header + HEADER_SEGMENT_BYTES);
    return 0;
}

static void store_magic(struct segment *segment, uint64_t magic)
{
    /* release: no partner thread; whoever maps the file after a SIGKILL sees the stores before it.
     */
    atomic_store_explicit((_Atomic uint64_t *)(void *)segment->file.bytes, BYTES_LITTLE_64(magic),
                          memory_order_release);
}

void segment_header_invalidate(struct segment *segment)
{
    store_magic(segment, 0);
    /* All of it: a power failure may write the next header's magic number and nothing else of it,
     * and must not find the old header waiting behind. */
    memset(segment->file.bytes + HEADER_VERSION, 0, HEADER_END - HEADER_VERSION);
    segment->id = 0;
}

void segment_header_write(struct segment *segment, const struct segment_owner *owner, uint32_t id)
{
    uint8_t header[HEADER_END] = {0};
    bytes_store_u64(header + HEADER_MAGIC, MAGIC);
    bytes_store_u32(header + HEADER_VERSION, SEGMENT_FORMAT_VERSION);
    bytes_store_u32(header + HEADER_NODE, owner->node);
    bytes_store_u64(header + HEADER_CLUSTER, owner->cluster_id);
    bytes_store_u32(header + HEADER_SEGMENT_ID, id);
    bytes_store_u32(header + HEADER_RECORDS_AT, SEGMENT_HEADER_BYTES);
    bytes_store_u64(header + HEADER_SEGMENT_BYTES, owner->segment_bytes);
    bytes_store_u32(header + HEADER_CHECKSUM, crc32c(0, header, HEADER_CHECKSUM));

    memset(segment->file.bytes + SEGMENT_HEADER_BYTES, 0, RECORD_HEADER_BYTES);
    memcpy(segment->file.bytes + HEADER_VERSION, header + HEADER_VERSION,
           HEADER_END - HEADER_VERSION);
    store_magic(segment, MAGIC);
    segment->id = id;
    segment->key = segment_key(id);
    segment->first_slot = 0;
    segment->highest_slot = 0;
    segment->name_is_stale = true;
}

bool segment_walk_next(struct segment_walk *walk, struct record_check *check, size_t *record_offset)
{
    const uint8_t *at = walk->segment->file.bytes + walk->offset;
    if (walk->is_verified) {
        if (!record_check(at, walk->segment->file.size - walk->offset, walk->segment->key, check))
            return false;
    } else {
        if (walk->offset >= walk->end)
            return false;
        record_decode(at, &check->record);
    }
    *record_offset = walk->offset;
    walk->offset += record_bytes(check->record.payload_bytes);
    return true;
}

/*
 * The search for survivors may meet anything, for instance a million headers in a client's payload
 * that each claim megabytes. To stay linear it sums the searched bytes once, keeps the running sum
 * at every GRID bytes, and gets any stretch's checksum from the sums at its two ends: with S(n) the
 * sum of the first n bytes, crc(a..b) = S(b) + S(a) * x^(8 (b - a)), over GF(2) modulo the
 * polynomial.
 */
enum { GRID_BYTES = 64, SHORT_BYTES = 1024, SHIFT_POWERS = 31 };

struct stretch_sums {
    const uint8_t *bytes;
    uint32_t *grid;                /* S at each multiple of GRID_BYTES; NULL until it is needed */
    uint32_t powers[SHIFT_POWERS]; /* x^(8 * 2^k), coefficient of x^0 in the top bit */
};

static uint32_t polynomial_product(uint32_t a, uint32_t b)
{
    const uint32_t castagnoli = 0x82f63b78;
    uint32_t product = 0;
    for (int bit = 31; bit >= 0; bit--) {
        product ^= (a >> bit & 1) != 0 ? b : 0;
        b = (b >> 1) ^ ((b & 1) != 0 ? castagnoli : 0);
    }
    return product;
}

static int stretch_sums_init(struct stretch_sums *sums, const uint8_t *bytes, size_t size)
{
    sums->bytes = bytes;
    sums->grid = malloc((size / GRID_BYTES + 1) * sizeof *sums->grid);
    if (sums->grid == NULL)
        return -ENOMEM;
    sums->grid[0] = 0;
    for (size_t i = 0; i < size / GRID_BYTES; i++)
        sums->grid[i + 1] = crc32c(sums->grid[i], bytes + i * GRID_BYTES, GRID_BYTES);
    sums->powers[0] = UINT32_C(1) << (31 - 8);
    for (int k = 1; k < SHIFT_POWERS; k++)
        sums->powers[k] = polynomial_product(sums->powers[k - 1], sums->powers[k - 1]);
    return 0;
}

static uint32_t stretch_sum_to(const struct stretch_sums *sums, size_t end)
{
    size_t base = end / GRID_BYTES * GRID_BYTES;
    return crc32c(sums->grid[end / GRID_BYTES], sums->bytes + base, end - base);
}

static uint32_t stretch_sum(const struct stretch_sums *sums, size_t from, size_t length)
{
    if (length <= SHORT_BYTES || sums->grid == NULL)
        return crc32c(0, sums->bytes + from, length);
    uint32_t shifted = stretch_sum_to(sums, from);
    for (int k = 0; k < SHIFT_POWERS; k++) {
        if ((length >> k & 1) != 0)
            shifted = polynomial_product(sums->powers[k], shifted);
    }
    return stretch_sum_to(sums, from + length) ^ shifted;
}

/* The end of what is not zero: the search and the wipe need not go further. */
static size_t content_end(const struct segment *segment, size_t from)
{
    size_t end = segment->file.size;
    const uint8_t *bytes = segment->file.bytes;
    while (end > from && bytes_load_u64(bytes + end - 8) == 0)
        end -= 8;
    return end;
}

/* Bytes of the record at `at` when it is good, 0 when it is none, or -ENOMEM. */
static int64_t survivor_at(const struct segment *segment, size_t at, struct stretch_sums *sums,
                           struct record *record)
{
    const uint8_t *bytes = segment->file.bytes;
    size_t size = segment->file.size;
    if (bytes_load_u64(bytes + at) == 0 || !record_is_plausible(bytes + at, size - at))
        return 0;
    record_decode(bytes + at, record);
    uint32_t whole = record_bytes(record->payload_bytes);
    if (whole > SHORT_BYTES && sums->grid == NULL && stretch_sums_init(sums, bytes, size) != 0)
        return -ENOMEM;
    uint32_t sum = stretch_sum(sums, at + RECORD_HEADER_BYTES, whole - RECORD_HEADER_BYTES);
    bool is_good = (record_checksum(sum, record) ^ segment->key) == bytes_load_u32(bytes + at);
    return is_good ? whole : 0;
}

int segment_find_survivors(const struct segment *segment, size_t from,
                           struct segment_survivors *survivors)
{
    struct stretch_sums sums = {.bytes = segment->file.bytes, .grid = NULL};
    struct record record;
    int64_t found = 0;
    size_t end = content_end(segment, from);
    for (size_t at = from; at < end && found >= 0; at += found > 0 ? (size_t)found : 8) {
        found = survivor_at(segment, at, &sums, &record);
        if (found > 0) {
            uint64_t proof = log_state_proof(&record);
            survivors->proof = proof > survivors->proof ? proof : survivors->proof;
            survivors->count++;
        }
    }
    free(sums.grid);
    return found < 0 ? (int)found : 0;
}

bool segment_is_blank_at(const struct segment *segment, size_t offset)
{
    static const uint8_t blank[RECORD_HEADER_BYTES];
    size_t left = segment->file.size - offset;
    return memcmp(segment->file.bytes + offset, blank, left < sizeof blank ? left : sizeof blank) ==
           0;
}

size_t segment_wipe(struct segment *segment, size_t from)
{
    size_t end = content_end(segment, from);
    memset(segment->file.bytes + from, 0, end - from);
    return end;
}

void segment_prefault(struct segment *segment, struct disk *disk)
{
    disk->ops->prefault(disk->self, &segment->file, 0, segment->file.size);
    atomic_store_explicit(&segment->is_prefaulted, true, memory_order_relaxed);
}
