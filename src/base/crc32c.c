/* SPDX-License-Identifier: MIT */
#include "base/crc32c.h"

#include <isa-l/crc.h>

uint32_t crc32c_long(uint32_t crc, const void *bytes, size_t size)
{
    /* ISA-L takes a non-const pointer it only reads, an int size, and the register uninverted. */
    const size_t piece_max = (size_t)1 << 30;
    unsigned char *at = (unsigned char *)(uintptr_t)bytes;
    uint32_t sum = ~crc;
    while (size > 0) {
        size_t piece = size < piece_max ? size : piece_max;
        sum = crc32_iscsi(at, (int)piece, sum);
        at += piece;
        size -= piece;
    }
    return ~sum;
}
