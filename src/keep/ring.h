/*
 * The last bytes of a VM's console, in a file that outlives the keeper.
 *
 * The ring is a mapped file: a header of one page, then `size` bytes of data. Byte number n of the
 * stream (counted from the start of the VM) lies at data[n % size]; `written` says how many there
 * have been. Whoever finds the file after the keeper's death reads it like this:
 *
 *     offset 0   8 bytes  "BERTHCON"
 *            8   u32      version, 1            (all integers in the byte order of the host)
 *           12   u32      offset of the data, 4096
 *           16   u64      size, bytes of data
 *           24   u64      written
 *         4096   data: the newest min(written, size) bytes, the next one goes to data[written %
 * size]
 *
 * Readers hold a cursor, a position in the stream, and need no memory of their own: a reader that
 * is overtaken loses the oldest of what it has not read, and the writer never waits.
 *
 * Threads: one. The ring owns its mapping, not the file's name.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct KeepRing KeepRing;

/* Makes (or replaces) the file `path`, mode 0600, with `size` bytes of data, all of them allocated:
 * a full file system is an error here and not a SIGBUS later. */
KeepRing *keep_ring_new(const char *path, size_t size, GError **error);
void keep_ring_free(KeepRing *ring);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeepRing, keep_ring_free)

/* Where the next bytes go, in one or two pieces; returns how many pieces. They add up to a quarter
 * of the ring, so that one read does not overtake a reader that is nearly up to date. */
int keep_ring_room(KeepRing *ring, struct iovec ret_room[2]);
/* The first `n` bytes of that room are filled. */
void keep_ring_commit(KeepRing *ring, size_t n);

/* All the bytes that the console has produced. */
uint64_t keep_ring_written(const KeepRing *ring);
/* The oldest position that can still be read: where a new reader starts. */
uint64_t keep_ring_oldest(const KeepRing *ring);

/* The bytes at `*cursor`, as many as lie together; 0 when the reader is up to date. A cursor that
 * was overtaken is first moved to the oldest byte. The reader adds to its cursor what it has taken.
 */
size_t keep_ring_peek(const KeepRing *ring, uint64_t *cursor, const void **ret_data);
