/*
 * CRC-32 as in zlib and IEEE 802.3, eight bytes a step.
 *
 * The tables lie in a struct of the caller, since the library has no globals; they are made in some
 * microseconds.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t tables[8][256];
} Checksum;

void checksum_init(Checksum *checksum);

/* The checksum of what `crc` is that of, with `bytes` behind it; of nothing it is 0. */
uint32_t checksum_add(const Checksum *checksum, uint32_t crc, const void *bytes, size_t length);
