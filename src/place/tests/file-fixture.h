/* A fleet with something in every section, and files whose checksums are made right again, so that what
 * lies behind them is tested. */
#pragma once

#include <glib.h>

#include "place/checksum.h"
#include "place/file.h"
#include "place/file_format.h"
#include "place/rules.h"

static inline GByteArray *file_save(const BerthPlace *place)
{
    size_t length = 0;

    g_assert_cmpint(berth_place_save_bytes(place, NULL, 0, &length), ==, BERTH_PLACE_ERROR_WRITE);
    GByteArray *file = g_byte_array_sized_new((guint)length);
    g_byte_array_set_size(file, (guint)length);
    g_assert_cmpint(berth_place_save_bytes(place, file->data, length, &length), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(length, ==, file->len);
    return file;
}

/* Puts the right magic, length and checksums into bytes, as far as there is a table. */
static inline void file_seal(uint8_t *bytes, size_t length)
{
    Checksum checksum;

    if (length < FORMAT_HEADER) {
        return;
    }
    checksum_init(&checksum);
    memcpy(bytes, FORMAT_MAGIC, 8);
    format_put(bytes + 16, length, 8);
    size_t n = MIN(format_u32(bytes + 12), (length - FORMAT_HEADER) / FORMAT_ENTRY);
    for (size_t i = 0; i < n; i++) {
        uint8_t *entry = bytes + FORMAT_HEADER + i * FORMAT_ENTRY;
        uint64_t offset = format_u64(entry + 8), its = format_u64(entry + 16);
        if (offset <= length && its <= length - offset) {
            format_put(entry + 24, checksum_add(&checksum, 0, bytes + offset, its), 4);
        }
    }
    uint32_t crc = checksum_add(&checksum, 0, bytes, 24);
    format_put(bytes + 24, checksum_add(&checksum, crc, bytes + FORMAT_HEADER, n * FORMAT_ENTRY),
               4);
}

/* What is loaded is sound, and is saved as the same bytes: there is one file for a fleet. False: it is
 * refused, with a fault inside the file. */
static inline bool file_is_refused_or_same(const uint8_t *bytes, size_t length)
{
    BerthPlaceFault fault = {.struct_size = sizeof fault};
    BerthPlace *place = NULL;
    BerthPlaceResult result = berth_place_load(bytes, length, &place, &fault);

    if (result != BERTH_PLACE_OK) {
        g_assert_true(result == BERTH_PLACE_ERROR_FILE || result == BERTH_PLACE_ERROR_UNSUPPORTED);
        g_assert_nonnull(fault.what);
        g_assert_cmpuint(fault.offset, <=, length);
        return false;
    }
    g_assert_cmpstr(berth_place_check(place), ==, NULL);
    GByteArray *again = file_save(place);
    g_assert_cmpmem(again->data, again->len, bytes, length);
    g_byte_array_unref(again);
    berth_place_free(place);
    return true;
}

/* Where a section's line stands, and its section. */
static inline uint8_t *file_find(GByteArray *file, Section kind, bool in_table)
{
    for (uint8_t *entry = file->data + FORMAT_HEADER;; entry += FORMAT_ENTRY) {
        if (format_u32(entry) == (uint32_t)kind) {
            return in_table ? entry : file->data + format_u64(entry + 8);
        }
    }
}

static inline BerthPlace *file_small_fleet(void)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 1};
    BerthPlace *place;

    berth_place_new(&options, &place);
    berth_place_set_levels(place, 3);
    for (uint32_t host = 0; host < 3; host++) {
        berth_place_add(place, host, 2 - host, (int64_t[]){10 + host}, NULL);
        berth_place_set_domains(place, host, (uint32_t[]){host / 2, 5});
        berth_place_set_label(place, host, 3, true);
        berth_place_enter(place, host, (uint32_t[]){1}, 1);
    }
    berth_place_rule_add(
        place, 4,
        &(BerthPlaceRule){.struct_size = sizeof(BerthPlaceRule), .kind = BERTH_PLACE_ALONE, .a = 1},
        NULL);
    return place;
}
