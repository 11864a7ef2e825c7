/*
 * libberth-place: a fleet as bytes, to be kept in a file or sent.
 *
 * All that decisions and explanations depend on is in it: capacities, availability, orders and
 * states of hosts, the tree, labels, VMs in their groups, and rules in the order in which they were
 * added. The index is not; berth_place_prepare makes one. What is loaded answers every question as
 * what was saved does, and is saved as the same bytes again.
 *
 * The form is little-endian, versioned and checksummed, with a table of sections: a later version can
 * add a section that this one may skip, or one that it must refuse. docs/placement.md has the
 * layout. A file is data from anywhere: each length, number and relation in it is checked, and so
 * much memory is taken as its hosts, groups and rules need, wherever it came from.
 *
 * The library opens no files: the caller writes and maps them.
 *
 *     static bool write_some(const void *bytes, size_t length, void *file)
 *     {
 *         return fwrite(bytes, 1, length, file) == length;
 *     }
 *     …
 *     berth_place_save(place, write_some, file);
 *     …
 *     BerthPlaceFault fault = {.struct_size = sizeof fault};
 *     if (berth_place_load(bytes, length, &place, &fault) != BERTH_PLACE_OK) {
 *         fprintf(stderr, "byte %llu: %s\n", (unsigned long long)fault.offset, fault.what);
 *     }
 */
#pragma once

#include "place/place.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Takes the next bytes of a file; false ends the writing. */
typedef bool (*BerthPlaceWriteFunc)(const void *bytes, size_t length, void *user_data);

/* Writes a fleet in pieces of some kilobytes. ERROR_WRITE when the callback answered false, and then
 * some of the pieces may be written. The callback must not change the fleet. */
BERTH_PLACE_API BerthPlaceResult berth_place_save(const BerthPlace *place,
                                                  BerthPlaceWriteFunc callback, void *user_data);

/* The same into memory. `*ret_length` is the length of the file even when `room` is too small for it
 * (ERROR_WRITE); `buffer` may be NULL with a room of 0. */
BERTH_PLACE_API BerthPlaceResult berth_place_save_bytes(const BerthPlace *place, void *buffer,
                                                        size_t room, size_t *ret_length);

/* What is wrong with a file, and at which of its bytes. */
typedef struct {
    uint32_t struct_size;
    uint64_t offset;
    const char *what; /* a line for a person, constant */
} BerthPlaceFault;

/* A fleet from the bytes of a file, which are needed no longer than the call; the caller owns it.
 * ERROR_FILE: the bytes are not what berth_place_save writes. UNSUPPORTED: they are of a later
 * version or have a section that has to be understood and is not. `fault` may be NULL, and is
 * untouched on success and without memory. */
BERTH_PLACE_API BerthPlaceResult berth_place_load(const void *bytes, size_t length,
                                                  BerthPlace **ret_place, BerthPlaceFault *fault);

#ifdef __cplusplus
}
#endif
