/*
 * Quantities as people write them, and as Berth carries them: whole numbers of one unit each.
 *
 *   quantity            carried in   written                            a plain number is
 *   CPU                 millicores   4  0.5  1.25  500m                 CPUs
 *   MEMORY              MiB          512MiB  2GiB  1TiB  2G  2GB        MiB
 *   DISK                GiB          20GiB  1TiB  500GB                 GiB
 *   DISK_BW             MB/s         100MB/s  100MBps  1GB/s  64MiB/s   MB/s
 *   NET_BW              Mbit/s       1Gbit  100Mbit  500kbit  1Gbps     Mbit/s
 *   DURATION            ms           100ms  30s  5m  2h  1d             refused, except 0
 *   BYTES               bytes        4096  64KiB  1MB                   bytes
 *
 * k, M, G, T and P are powers of 1000, Ki, Mi, Gi, Ti and Pi of 1024; the B of bytes may be left
 * out (2G, 2Gi), that of a rate may not. Case counts: `m` and `M`, `b` and `B` differ a thousand
 * and eight times. One space may stand before the unit.
 *
 * The arithmetic is exact (128-bit integers, no floats). What is no whole number of the carried
 * unit is rounded up for MEMORY, DISK, DISK_BW and NET_BW, so that nobody gets less than was
 * written (2G = 1907.35 MiB gives 1908), and refused for CPU, DURATION and BYTES, which have no
 * need of it.
 *
 * Thread safety: pure functions, any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    BERTH_QUANTITY_CPU,
    BERTH_QUANTITY_MEMORY,
    BERTH_QUANTITY_DISK,
    BERTH_QUANTITY_DISK_BW,
    BERTH_QUANTITY_NET_BW,
    BERTH_QUANTITY_DURATION,
    BERTH_QUANTITY_BYTES,
} BerthQuantity;

#define BERTH_QUANTITY_COUNT 7

/* The largest amount of a resource: 2^20 hosts of it add up within an int64. Durations end at 2^53
 * ms (so that a time plus a duration never overflows), bytes at INT64_MAX. */
#define BERTH_QUANTITY_MAX ((INT64_C(1) << 43) - 1)

/* Reads `text`; BERTH_ERROR_INVALID names `field` (may be NULL), the text and what would be right:
 * no number, a negative one, a unit of another quantity, one finer than is carried (see above), one
 * over the maximum. */
bool berth_quantity_parse(BerthQuantity quantity, const char *field, const char *text,
                          int64_t *ret_amount, GError **error);

/* The shortest text without a fraction that parses to exactly `amount`: 2GiB, 1536MiB, 500m, 1Gbit,
 * 0. Negative amounts (a deficit) get a minus sign and do not parse. Never NULL; g_free it. */
char *berth_quantity_format(BerthQuantity quantity, int64_t amount);

/* The unit carried ("millicores", "MiB", …) and the quantity's name in a sentence ("CPU"). */
const char *berth_quantity_unit(BerthQuantity quantity);
const char *berth_quantity_name(BerthQuantity quantity);
