#include "keep/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

#define MAGIC "BERTHCON"
#define DATA_OFFSET 4096

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t data_offset;
    uint64_t size;
    uint64_t written;
} Header;

struct KeepRing {
    Header *header;
    uint8_t *data;
    size_t size;
};

/* The old file is removed and not truncated: someone may have it mapped. */
static int make_file(const char *path, off_t bytes)
{
    if (unlink(path) < 0 && errno != ENOENT) {
        return -1;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    int failure = posix_fallocate(fd, 0, bytes);
    if (failure != 0) {
        close(fd);
        unlink(path);
        errno = failure;
        return -1;
    }
    return fd;
}

KeepRing *keep_ring_new(const char *path, size_t size, GError **error)
{
    int fd = make_file(path, (off_t)(DATA_OFFSET + size));
    if (fd < 0) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, "console", path,
                        "make room on the file system of run-dir",
                        "cannot make the console's ring: %s", g_strerror(errno));
        return NULL;
    }
    void *map = mmap(NULL, DATA_OFFSET + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int failure = errno;
    close(fd);
    if (map == MAP_FAILED) {
        unlink(path);
        berth_error_set(error, BERTH_ERROR_INTERNAL, "console", path, NULL,
                        "cannot map the console's ring: %s", g_strerror(failure));
        return NULL;
    }
    KeepRing *ring = g_new0(KeepRing, 1);
    ring->header = map;
    ring->data = (uint8_t *)map + DATA_OFFSET;
    ring->size = size;
    *ring->header = (Header){.version = 1, .data_offset = DATA_OFFSET, .size = size};
    memcpy(ring->header->magic, MAGIC, sizeof ring->header->magic);
    return ring;
}

void keep_ring_free(KeepRing *ring)
{
    if (ring != NULL) {
        munmap(ring->header, DATA_OFFSET + ring->size);
        g_free(ring);
    }
}

int keep_ring_room(KeepRing *ring, struct iovec ret_room[2])
{
    size_t wanted = ring->size / 4;
    size_t at = ring->header->written % ring->size;
    size_t first = MIN(wanted, ring->size - at);
    ret_room[0] = (struct iovec){ring->data + at, first};
    ret_room[1] = (struct iovec){ring->data, wanted - first};
    return first < wanted ? 2 : 1;
}

void keep_ring_commit(KeepRing *ring, size_t n)
{
    __atomic_store_n(&ring->header->written, ring->header->written + n, __ATOMIC_RELEASE);
}

uint64_t keep_ring_written(const KeepRing *ring)
{
    return ring->header->written;
}

uint64_t keep_ring_oldest(const KeepRing *ring)
{
    uint64_t written = ring->header->written;
    return written > ring->size ? written - ring->size : 0;
}

size_t keep_ring_peek(const KeepRing *ring, uint64_t *cursor, const void **ret_data)
{
    *cursor = MAX(*cursor, keep_ring_oldest(ring));
    size_t at = *cursor % ring->size;
    *ret_data = ring->data + at;
    return MIN(ring->header->written - *cursor, ring->size - at);
}
