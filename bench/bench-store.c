/*
 * Durable transactions a second, with 1 and with 64 in flight, beside what the disk itself gives: a
 * record as large appended to a file and made durable with fdatasync, one by one and 64 together.
 * The four take turns within one run, so that they share whatever else the disk has to do.
 *
 * An append lengthens its file, which costs the file system a journal entry; SQLite's log
 * overwrites blocks that it has already, once it went around. So the store can be the faster one
 * at 1.
 *
 *     bench-store [--seconds 3] [--bytes 512] [--directory DIR]      (default: the working
 * directory)
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "store/store.h"

#define TURNS 4 /* of each measurement */
#define MANY 64
#define KEYS 1000

static int seconds = 3;
static int value_bytes = 512;
static char *parent = NULL;

typedef struct {
    char *directory;
    Store *store;
    int fd; /* the file that is appended to */
    GBytes *value;
    int64_t end_us; /* of the turn */
    int64_t submitted, in_flight, done;
} Bench;

typedef struct {
    const char *name;
    void (*run)(Bench *bench, int in_flight);
    int in_flight;
    int64_t done, us;
} Measurement;

static void fail(const char *what)
{
    fprintf(stderr, "bench-store: %s\n", what);
    exit(1);
}

static void append_durably(Bench *bench, int in_flight)
{
    gsize size = 0;
    const void *data = g_bytes_get_data(bench->value, &size);
    while (g_get_monotonic_time() < bench->end_us) {
        for (int i = 0; i < in_flight; i++) {
            if (write(bench->fd, data, size) != (ssize_t)size) {
                fail("cannot append");
            }
        }
        if (fdatasync(bench->fd) != 0) {
            fail("cannot make it durable");
        }
        bench->done += in_flight;
    }
}

static void submit(Bench *bench);

static void on_committed(const StoreResult *result, const GError *error, gpointer data)
{
    Bench *bench = data;
    if (error != NULL) {
        fail(error->message);
    }
    bench->done++;
    bench->in_flight--;
    if (g_get_monotonic_time() < bench->end_us) {
        submit(bench);
    }
}

static void submit(Bench *bench)
{
    char key[32];
    StoreTxn *txn = store_txn_new();
    g_snprintf(key, sizeof key, "vm/acme/%04d/status", (int)(bench->submitted++ % KEYS));
    store_txn_put(txn, key, bench->value);
    bench->in_flight++;
    store_commit(bench->store, txn, on_committed, bench);
}

static void commit(Bench *bench, int in_flight)
{
    for (int i = 0; i < in_flight; i++) {
        submit(bench);
    }
    while (bench->in_flight > 0) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void run_turn(Bench *bench, Measurement *m)
{
    int64_t start = g_get_monotonic_time();
    bench->end_us = start + (int64_t)seconds * G_USEC_PER_SEC / TURNS;
    bench->done = 0;
    m->run(bench, m->in_flight);
    m->us += g_get_monotonic_time() - start;
    m->done += bench->done;
}

static double rate(const Measurement *m)
{
    return (double)m->done * G_USEC_PER_SEC / (double)m->us;
}

static void print_pair(const Measurement *raw, const Measurement *store)
{
    printf("%-22s %9.0f /s   %-22s %9.0f /s   ratio %.2f\n", store->name, rate(store), raw->name,
           rate(raw), rate(store) / rate(raw));
}

static void measure(Bench *bench)
{
    Measurement all[] = {
        {.name = "fdatasync, one by one", .run = append_durably, .in_flight = 1},
        {.name = "store, 1 in flight", .run = commit, .in_flight = 1},
        {.name = "fdatasync, 64 together", .run = append_durably, .in_flight = MANY},
        {.name = "store, 64 in flight", .run = commit, .in_flight = MANY},
    };
    for (int turn = 0; turn < TURNS; turn++) {
        for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
            run_turn(bench, &all[i]);
        }
    }
    printf("durable transactions of one key with %d bytes, %d s each\n", value_bytes, seconds);
    print_pair(&all[0], &all[1]);
    print_pair(&all[2], &all[3]);
}

static void set_up(Bench *bench)
{
    g_autoptr(GError) error = NULL;
    bench->directory = g_build_filename(parent != NULL ? parent : ".", "bench-store-XXXXXX", NULL);
    if (g_mkdtemp(bench->directory) == NULL) {
        fail("cannot make a directory");
    }
    g_autofree char *path = g_build_filename(bench->directory, "store.db", NULL);
    g_autofree char *raw = g_build_filename(bench->directory, "raw", NULL);
    bench->store = store_sqlite_open(path, NULL, &error);
    if (bench->store == NULL) {
        fail(error->message);
    }
    bench->fd = open(raw, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (bench->fd < 0) {
        fail("cannot make a file");
    }
    bench->value = g_bytes_new_take(g_malloc0((gsize)value_bytes), (gsize)value_bytes);
}

static void tear_down(Bench *bench)
{
    static const char *const files[] = {"store.db", "store.db-wal", "store.db-shm", "store.db.lock",
                                        "raw"};
    store_free(bench->store);
    close(bench->fd);
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(bench->directory, files[i], NULL);
        g_unlink(path);
    }
    g_rmdir(bench->directory);
    g_bytes_unref(bench->value);
    g_free(bench->directory);
}

int main(int argc, char **argv)
{
    const GOptionEntry options[] = {
        {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "Seconds for each measurement", "N"},
        {"bytes", 0, 0, G_OPTION_ARG_INT, &value_bytes, "Bytes of a value", "N"},
        {"directory", 0, 0, G_OPTION_ARG_FILENAME, &parent, "Where to write", "DIR"},
        {0},
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fail(error->message);
    }
    if (seconds < 1 || value_bytes < 1 || value_bytes > STORE_VALUE_MAX_BYTES / 2) {
        fail("--seconds and --bytes are positive, --bytes up to 512 KiB");
    }
    Bench bench = {0};
    set_up(&bench);
    measure(&bench);
    tear_down(&bench);
    g_free(parent);
    return 0;
}
