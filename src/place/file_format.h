/*
 * The layout of a fleet's file, which docs/placement.md describes for other programs. All numbers are
 * little-endian, all parts begin at a multiple of 8, and what fills up to there is zero.
 *
 *     header    magic (8 bytes), version u32, sections u32, length of the file u64,
 *               checksum of the header's first 24 bytes and the table u32, zero u32
 *     table     for each section, by rising kind: kind u32, version u16, flags u16, offset u64,
 *               length u64, checksum u32, zero u32
 *     sections  in the order of the table, one behind the other
 *
 * There is one file for a fleet: what the writer would not write so is refused by the reader.
 */
#pragma once

#include <stdint.h>

#define FORMAT_MAGIC                                                                               \
    "\x89"                                                                                         \
    "BERTH\r\n"
#define FORMAT_VERSION 1
#define FORMAT_HEADER 32
#define FORMAT_ENTRY 32
#define FORMAT_MANDATORY 1 /* flag: who does not know the section cannot use the file */
#define FORMAT_MAX_SECTIONS 64

/* In each, "hosts" are those that exist, by rising number. */
typedef enum {
    SECTION_FLEET = 1,     /* u32: dimensions, slots, hosts, shapes, bytes an amount, zero */
    SECTION_SHAPES = 2,    /* for each shape: i64 a dimension; in the order of their first host */
    SECTION_STATES = 3,    /* for each slot up to the last host: u8 FleetState */
    SECTION_SHAPE_OF = 4,  /* for each host: u32 */
    SECTION_AVAILABLE = 5, /* for each host and dimension: i32, or i64 if one does not fit */
    SECTION_ORDERS = 6,    /* for each host: u64; only if one is not the host's number */
    SECTION_DOMAINS = 7,   /* levels u32, zero u32; for each level from 1 and host: u32 */
    SECTION_LABELS = 8,    /* for each label, rising: label u32, hosts u32, u32 a host, or a bit a
                              slot in words of 32 where that is shorter */
    SECTION_VMS = 9,       /* for each host: u32 VMs */
    SECTION_GROUPS = 10,   /* for each group, rising: group u32, hosts u32; for each of these hosts
                              host u32, VMs u32 */
    SECTION_RULES =
        11, /* by time of addition: number, kind, a, b, level, skew, weight, zero: u32 */
    SECTION_DEVICES = 12, /* for each host that has some: host, how many; for each of them model,
                             capacity, free: u32 */
    SECTION_WORKLOAD =
        13, /* for each typical request, those with the same devices together: weight, devices,
               slices, zero: u32; models u64; i64 a dimension */
    SECTION_END,
} Section;

static inline uint32_t format_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t format_u64(const uint8_t *at)
{
    return format_u32(at) | (uint64_t)format_u32(at + 4) << 32;
}

static inline void format_put(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint64_t format_padded(uint64_t length)
{
    return (length + 7) / 8 * 8;
}

/* Words of 32 bits for one bit a slot. */
static inline uint32_t format_bitmap_words(uint32_t slots)
{
    return (slots + 31) / 32;
}
