#include "keep/ring.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"

#define SIZE 4096

typedef struct {
    char *directory;
    char *path;
    KeepRing *ring;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->directory = g_dir_make_tmp("keep-ring-XXXXXX", NULL);
    f->path = g_build_filename(f->directory, "console.ring", NULL);
    g_autoptr(GError) error = NULL;
    f->ring = keep_ring_new(f->path, SIZE, &error);
    g_assert_no_error(error);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    keep_ring_free(f->ring);
    g_unlink(f->path);
    g_rmdir(f->directory);
    g_free(f->path);
    g_free(f->directory);
}

/* Byte n of the stream. */
static char byte_at(uint64_t n)
{
    return (char)('a' + n % 23);
}

/* Adds `n` bytes of the stream, in reads as large as the ring lets them be. */
static void produce(KeepRing *ring, size_t n)
{
    while (n > 0) {
        struct iovec room[2];
        int pieces = keep_ring_room(ring, room);
        size_t now = 0;
        for (int i = 0; i < pieces; i++) {
            for (size_t at = 0; at < room[i].iov_len && now < n; at++, now++) {
                ((char *)room[i].iov_base)[at] = byte_at(keep_ring_written(ring) + now);
            }
        }
        g_assert_cmpuint(now, >, 0);
        keep_ring_commit(ring, now);
        n -= now;
    }
}

/* Reads all there is and checks that it is the stream; returns how much. */
static size_t consume(const KeepRing *ring, uint64_t *cursor)
{
    const void *data = NULL;
    size_t n, total = 0;
    while ((n = keep_ring_peek(ring, cursor, &data)) > 0) {
        for (size_t i = 0; i < n; i++) {
            g_assert_cmpint(((const char *)data)[i], ==, byte_at(*cursor + i));
        }
        *cursor += n;
        total += n;
    }
    return total;
}

static void test_reader_gets_every_byte(Fixture *f, gconstpointer data)
{
    uint64_t cursor = 0;
    size_t total = 0;
    for (size_t step = 1; step < SIZE; step += 97) {
        produce(f->ring, step);
        g_assert_cmpuint(consume(f->ring, &cursor), ==, step);
        total += step;
    }
    g_assert_cmpuint(total, >, 10 * SIZE);
    g_assert_cmpuint(keep_ring_written(f->ring), ==, total);
    g_assert_cmpuint(consume(f->ring, &cursor), ==, 0);
}

static void test_overtaken_reader_loses_the_oldest(Fixture *f, gconstpointer data)
{
    uint64_t slow = 0;
    produce(f->ring, 3 * SIZE + 5);
    g_assert_cmpuint(keep_ring_oldest(f->ring), ==, 2 * SIZE + 5);
    g_assert_cmpuint(consume(f->ring, &slow), ==, SIZE);
    g_assert_cmpuint(slow, ==, 3 * SIZE + 5);
}

static void test_room_is_a_quarter(Fixture *f, gconstpointer data)
{
    for (size_t i = 0; i < 9; i++) {
        struct iovec room[2];
        int pieces = keep_ring_room(f->ring, room);
        size_t sum = room[0].iov_len + (pieces == 2 ? room[1].iov_len : 0);
        g_assert_cmpuint(sum, ==, SIZE / 4);
        produce(f->ring, SIZE / 4 - 7);
    }
}

/* As the header tells those who find the file. */
static void test_file_survives_the_ring(Fixture *f, gconstpointer data)
{
    produce(f->ring, SIZE + 100);
    g_clear_pointer(&f->ring, keep_ring_free);
    g_autofree char *text = NULL;
    gsize length = 0;
    g_assert_true(g_file_get_contents(f->path, &text, &length, NULL));
    g_assert_cmpuint(length, ==, 4096 + SIZE);
    g_assert_cmpmem(text, 8, "BERTHCON", 8);
    uint32_t version, offset;
    uint64_t size, written;
    memcpy(&version, text + 8, 4);
    memcpy(&offset, text + 12, 4);
    memcpy(&size, text + 16, 8);
    memcpy(&written, text + 24, 8);
    g_assert_cmpuint(version, ==, 1);
    g_assert_cmpuint(offset, ==, 4096);
    g_assert_cmpuint(size, ==, SIZE);
    g_assert_cmpuint(written, ==, SIZE + 100);
    for (uint64_t n = written - size; n < written; n++) {
        g_assert_cmpint(text[offset + n % size], ==, byte_at(n));
    }
}

static void test_old_file_is_replaced_and_private(Fixture *f, gconstpointer data)
{
    produce(f->ring, 10);
    g_autoptr(KeepRing) next = keep_ring_new(f->path, SIZE, NULL);
    g_assert_nonnull(next);
    g_assert_cmpuint(keep_ring_written(next), ==, 0);
    uint64_t cursor = 0;
    g_assert_cmpuint(consume(f->ring, &cursor), ==, 10); /* who has the old one mapped keeps it */
    struct stat st;
    g_assert_cmpint(stat(f->path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
}

static void test_no_directory_is_an_error(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(keep_ring_new("/nonexistent/console.ring", SIZE, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INTERNAL);
    g_assert_cmpstr(berth_error_value(error), ==, "/nonexistent/console.ring");
    g_assert_nonnull(berth_error_remedy(error));
}

#define ADD(path, test) g_test_add(path, Fixture, NULL, set_up, test, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/keep/ring/reader-gets-every-byte", test_reader_gets_every_byte);
    ADD("/keep/ring/overtaken-reader-loses-the-oldest", test_overtaken_reader_loses_the_oldest);
    ADD("/keep/ring/room-is-a-quarter", test_room_is_a_quarter);
    ADD("/keep/ring/file-survives-the-ring", test_file_survives_the_ring);
    ADD("/keep/ring/old-file-is-replaced-and-private", test_old_file_is_replaced_and_private);
    g_test_add_func("/keep/ring/no-directory-is-an-error", test_no_directory_is_an_error);
    return g_test_run();
}
