/*
 * The store on a disk that is really full, and on files that are really read-only: mounts in a
 * mount namespace of this process, which vanish with it. Needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/error.h"
#include "fixture.h"

#define DISK_OPTIONS "size=2m"

typedef struct {
    char *directory;
    char *path;
    Store *store;
    int bad, good; /* how often its health was told */
} Disk;

/* The room asked for before writing is tried again is the default: the disk is smaller than that.
 */
static const StoreSqliteOptions quick = {.probe_interval_ms = 100};

static void on_health(const GError *health, gpointer data)
{
    Disk *disk = data;
    if (health != NULL) {
        disk->bad++;
    } else {
        disk->good++;
    }
}

static void disk_open(Disk *disk)
{
    g_autoptr(GError) error = NULL;
    disk->store = store_sqlite_open(disk->path, &quick, &error);
    g_assert_no_error(error);
    store_set_health_callback(disk->store, on_health, disk);
}

static Disk disk_new(void)
{
    Disk disk = {.directory = fixture_directory_new()};
    disk.path = g_build_filename(disk.directory, "store.db", NULL);
    g_assert_cmpint(mount("tmpfs", disk.directory, "tmpfs", 0, DISK_OPTIONS), ==, 0);
    return disk;
}

static void disk_remove(Disk *disk)
{
    g_clear_pointer(&disk->store, store_free);
    g_assert_cmpint(umount(disk->directory), ==, 0);
    fixture_directory_remove(disk->directory);
    g_free(disk->path);
    g_free(disk->directory);
}

/* Takes all room but `left` bytes. */
static void fill_disk(const Disk *disk, off_t left)
{
    static const char block[4096];
    g_autofree char *path = g_build_filename(disk->directory, "filler", NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    off_t size = 0;
    g_assert_cmpint(fd, >=, 0);
    while (write(fd, block, sizeof block) == sizeof block) {
        size += sizeof block;
    }
    g_assert_cmpint(errno, ==, ENOSPC);
    g_assert_cmpint(ftruncate(fd, MAX(size - left, 0)), ==, 0);
    close(fd);
}

static void empty_disk(const Disk *disk)
{
    g_autofree char *path = g_build_filename(disk->directory, "filler", NULL);
    g_assert_cmpint(unlink(path), ==, 0);
}

/* Commits until one is refused; how many were acknowledged. */
static int commit_until_full(Disk *disk)
{
    g_autofree char *text = g_strnfill(4000, 'v');
    g_autoptr(GError) error = NULL;
    int count = 0;
    for (;;) {
        g_autofree char *key = g_strdup_printf("key/%d", count);
        g_assert_cmpint(count, <, 10000);
        if (!store_commit_sync(disk->store, txn_put(key, text), NULL, &error)) {
            break;
        }
        count++;
    }
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(error->message, disk->path));
    g_assert_nonnull(strstr(berth_error_remedy(error), "make room"));
    return count;
}

static void check_holds(const Disk *disk, int count)
{
    g_autoptr(GPtrArray) entries = NULL;
    g_autoptr(GError) error = NULL;
    g_assert_true(store_range(disk->store, "key/", NULL, 0, &entries, NULL, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(entries->len, ==, (guint)count);
}

static void loses_nothing_and_heals(void)
{
    Disk disk = disk_new();
    disk_open(&disk);
    fill_disk(&disk, 256 * 1024);
    int count = commit_until_full(&disk);
    g_assert_cmpint(count, >, 0);
    turn_until(&disk.bad, 1);
    check_holds(&disk, count);
    g_usleep(300 * 1000);
    turn();
    g_assert_cmpint(disk.good, ==, 0); /* no room: not even tried */
    must_fail(disk.store, txn_put("refused", "x"), BERTH_ERROR_UNAVAILABLE);
    empty_disk(&disk);
    turn_until(&disk.good, 1);
    must_commit(disk.store, txn_put("after", "x"));
    g_clear_pointer(&disk.store, store_free);
    disk_open(&disk);
    check_holds(&disk, count);
    g_autofree char *after = value_of(disk.store, "after");
    g_autofree char *refused = value_of(disk.store, "refused");
    g_assert_cmpstr(after, ==, "x");
    g_assert_null(refused);
    disk_remove(&disk);
}

/* To the last byte: where a manager starts again that ended because its disk was full. */
static void opens_on_a_full_disk(void)
{
    Disk disk = disk_new();
    disk_open(&disk);
    must_commit(disk.store, txn_put("key/0", "x"));
    g_clear_pointer(&disk.store, store_free);
    fill_disk(&disk, 0);
    for (int i = 0; i < 3; i++) {
        g_clear_pointer(&disk.store, store_free);
        disk_open(&disk);
        check_holds(&disk, 1);
        must_fail(disk.store, txn_put("key/1", "x"), BERTH_ERROR_UNAVAILABLE);
        g_autoptr(GError) health = store_health(disk.store);
        g_assert_error(health, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    }
    empty_disk(&disk);
    turn_until(&disk.good, 1);
    must_commit(disk.store, txn_put("after", "x"));
    disk_remove(&disk);
}

static void needs_room_for_a_lost_index(void)
{
    Disk disk = disk_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *index = g_strconcat(disk.path, "-shm", NULL);
    disk_open(&disk);
    must_commit(disk.store, txn_put("key/0", "x"));
    g_clear_pointer(&disk.store, store_free);
    g_assert_cmpint(unlink(index), ==, 0);
    fill_disk(&disk, 0);
    g_assert_null(store_sqlite_open(disk.path, &quick, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(berth_error_remedy(error), "make room"));
    g_assert_cmpstr(berth_error_value(error), ==, disk.path);
    empty_disk(&disk);
    disk_open(&disk);
    check_holds(&disk, 1);
    disk_remove(&disk);
}

/* Opening must fail and name the remedy; afterwards nothing is lost. */
static void check_read_only(Disk *disk, const char *mounted)
{
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(mount(mounted, mounted, NULL, MS_BIND, NULL), ==, 0);
    g_assert_cmpint(mount(NULL, mounted, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), ==, 0);
    g_assert_null(store_sqlite_open(disk->path, &quick, &error));
    g_assert_cmpint(umount(mounted), ==, 0);
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(berth_error_remedy(error), "writ"));
    disk_open(disk);
    check_holds(disk, 1);
    must_commit(disk->store, txn_put("key/0", "again"));
    g_clear_pointer(&disk->store, store_free);
}

static void refuses_a_read_only_file(void)
{
    Disk disk = disk_new();
    disk_open(&disk);
    must_commit(disk.store, txn_put("key/0", "x"));
    g_clear_pointer(&disk.store, store_free);
    check_read_only(&disk, disk.path);
    check_read_only(&disk, disk.directory);
    disk_remove(&disk);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        g_print("1..0 # SKIP needs root and a mount namespace of its own\n");
        return 0;
    }
    g_test_add_func("/store/full-disk/loses-nothing-and-heals", loses_nothing_and_heals);
    g_test_add_func("/store/full-disk/opens", opens_on_a_full_disk);
    g_test_add_func("/store/full-disk/needs-room-for-a-lost-index", needs_room_for_a_lost_index);
    g_test_add_func("/store/read-only/refuses", refuses_a_read_only_file);
    return g_test_run();
}
