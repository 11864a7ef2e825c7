/*
 * Kills a writer with SIGKILL in the middle of its writes, again and again, and looks each time at
 * what the store holds then.
 *
 *     store-crash [ROUNDS [SEED]]      (default: 5, at random)
 *     store-crash --writer DIRECTORY SEED
 *     store-crash --check DIRECTORY SEED ACKNOWLEDGED
 *
 * The transaction that makes revision r is a pure function of the seed and r. So what the store
 * must hold at revision r is known without a record of what was sent: the first r transactions,
 * each whole. The writer, this program in a process of its own, tells each acknowledged revision on
 * its output, a line each, up to 64 transactions ahead of it. After the kill the store is opened
 * again; its revision must be no less than the last acknowledged and no more than what was in
 * flight, and every key, value and revision must be the model's.
 *
 * A kill does not prove durability, since the kernel still has what was written: for that the power
 * has to go. It proves order, atomicity, the lock and the recovery of the log. tests/power cuts the
 * power of a guest that runs the writer and, at its next boot, the check: that prints the revision
 * that the store has.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "store/store.h"

#define IN_FLIGHT 64
#define KEYS 40
#define MAX_OPS 6
#define MAX_VALUE 3000
#define MAX_LIFE_US 80000
#define PATIENCE_MS 60000

static void die(const char *what)
{
    fprintf(stderr, "store-crash: %s\n", what);
    exit(1);
}

static Store *open_store(const char *directory)
{
    g_autofree char *path = g_build_filename(directory, "store.db", NULL);
    g_autoptr(GError) error = NULL;
    Store *store = store_sqlite_open(path, NULL, &error);
    if (store == NULL) {
        g_autofree char *text = berth_error_describe(error);
        die(text);
    }
    return store;
}

/* One key of a transaction; no value: it is deleted. */
typedef struct {
    char key[16];
    GBytes *value;
} Op;

static GBytes *random_value(GRand *rand, int64_t revision)
{
    gsize size = (gsize)g_rand_int_range(rand, 24, MAX_VALUE);
    char *text = g_malloc(size);
    memset(text, 'a' + (int)(revision % 26), size);
    snprintf(text, size, "%" G_GINT64_FORMAT, revision);
    return g_bytes_new_take(text, size);
}

/* The transaction that makes `revision`: neighbouring keys, so that none comes twice. */
static unsigned make_ops(guint32 seed, int64_t revision, Op ops[MAX_OPS])
{
    guint32 seeds[] = {seed, (guint32)revision, (guint32)(revision >> 32)};
    g_autoptr(GRand) rand = g_rand_new_with_seed_array(seeds, G_N_ELEMENTS(seeds));
    unsigned count = (unsigned)g_rand_int_range(rand, 1, MAX_OPS + 1);
    unsigned first = (unsigned)g_rand_int_range(rand, 0, KEYS);
    for (unsigned i = 0; i < count; i++) {
        g_snprintf(ops[i].key, sizeof ops[i].key, "key/%02u", (first + i) % KEYS);
        ops[i].value = g_rand_int_range(rand, 0, 4) == 0 ? NULL : random_value(rand, revision);
    }
    return count;
}

typedef struct {
    Store *store;
    guint32 seed;
    int64_t submitted;
    int64_t acknowledged;
} Writer;

static void submit_next(Writer *writer);

static void on_committed(const StoreResult *result, const GError *error, gpointer data)
{
    Writer *writer = data;
    if (error != NULL || !result->succeeded || result->revision != ++writer->acknowledged) {
        die(error != NULL ? error->message : "a transaction was not carried out in its turn");
    }
    if (dprintf(STDOUT_FILENO, "%" G_GINT64_FORMAT "\n", result->revision) < 0) {
        die("cannot tell");
    }
    submit_next(writer);
}

static void submit_next(Writer *writer)
{
    Op ops[MAX_OPS];
    StoreTxn *txn = store_txn_new();
    store_txn_compare_revision(txn, writer->submitted);
    unsigned count = make_ops(writer->seed, ++writer->submitted, ops);
    for (unsigned i = 0; i < count; i++) {
        if (ops[i].value != NULL) {
            store_txn_put(txn, ops[i].key, ops[i].value);
            g_bytes_unref(ops[i].value);
        } else {
            store_txn_delete(txn, ops[i].key);
        }
    }
    store_commit(writer->store, txn, on_committed, writer);
}

/* Writes until it is killed. */
G_NORETURN static void run_writer(const char *directory, guint32 seed)
{
    Writer writer = {.store = open_store(directory), .seed = seed};
    writer.submitted = writer.acknowledged = store_revision(writer.store);
    for (int i = 0; i < IN_FLIGHT; i++) {
        submit_next(&writer);
    }
    for (;;) {
        g_main_context_iteration(NULL, TRUE);
    }
}

typedef struct {
    const char *program;
    char *directory;
    guint32 seed;
    GTree *model; /* key → StoreEntry, at `revision` */
    int64_t revision;
    int64_t acknowledged; /* last of all rounds */
    int mid_write;        /* rounds whose writer was killed after its first acknowledgement */
    int beginnings;       /* rounds that began without a store */
    int64_t written;      /* transactions, of all stores */
} Trial;

static void remove_files(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_unlink(path);
    }
}

static pid_t start_writer(const Trial *trial, int *ret_fd)
{
    g_autofree char *seed = g_strdup_printf("%u", trial->seed);
    int fds[2];
    if (pipe(fds) != 0) {
        die("no pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        execl(trial->program, trial->program, "--writer", trial->directory, seed, NULL);
        _exit(127);
    }
    close(fds[1]);
    if (pid < 0) {
        die("no process");
    }
    *ret_fd = fds[0];
    return pid;
}

/* Reads what the writer told before its end, and closes. */
static void read_acknowledged(Trial *trial, int fd)
{
    FILE *told = fdopen(fd, "r");
    int64_t revision;
    bool any = false;
    while (fscanf(told, "%" SCNd64 "\n", &revision) == 1) {
        if (revision != (any ? trial->acknowledged + 1 : trial->revision + 1)) {
            die("an acknowledgement is missing or out of order");
        }
        trial->acknowledged = revision;
        any = true;
    }
    fclose(told);
    trial->mid_write += any;
}

/* One round in eight begins without a store, so that its making is killed too. */
static bool begin_anew(Trial *trial, GRand *rand)
{
    if (trial->beginnings > 0 && g_rand_int_range(rand, 0, 8) > 0) {
        return false;
    }
    remove_files(trial->directory);
    g_tree_remove_all(trial->model);
    trial->revision = trial->acknowledged = 0;
    trial->beginnings++;
    return true;
}

static void write_until_killed(Trial *trial, GRand *rand, bool is_last)
{
    bool anew = begin_anew(trial, rand);
    int fd = -1, status = 0;
    pid_t pid = start_writer(trial, &fd);
    struct pollfd first = {.fd = fd, .events = POLLIN};
    /* Those and one in four of the others may fall into the opening, the rest, and the last in any
     * case, into writes, however slow the disk is. */
    bool waits = is_last || (!anew && g_rand_int_range(rand, 0, 4) > 0);
    if (waits && poll(&first, 1, PATIENCE_MS) != 1) {
        die("the writer writes nothing");
    }
    g_usleep((gulong)g_rand_int_range(rand, 0, MAX_LIFE_US));
    kill(pid, SIGKILL);
    read_acknowledged(trial, fd);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) {
        die("the writer ended by itself");
    }
}

static void apply_to_model(Trial *trial)
{
    Op ops[MAX_OPS];
    unsigned count = make_ops(trial->seed, ++trial->revision, ops);
    for (unsigned i = 0; i < count; i++) {
        const StoreEntry *old = g_tree_lookup(trial->model, ops[i].key);
        if (ops[i].value == NULL) {
            g_tree_remove(trial->model, ops[i].key);
            continue;
        }
        StoreEntry *entry = g_new(StoreEntry, 1);
        *entry = (StoreEntry){
            .key = g_strdup(ops[i].key),
            .value = ops[i].value,
            .create_revision = old != NULL ? old->create_revision : trial->revision,
            .mod_revision = trial->revision,
            .version = old != NULL ? old->version + 1 : 1,
        };
        g_tree_replace(trial->model, entry->key, entry);
    }
}

static void check_entry(const Trial *trial, const StoreEntry *got)
{
    const StoreEntry *expected = g_tree_lookup(trial->model, got->key);
    if (expected == NULL || !g_bytes_equal(got->value, expected->value) ||
        got->mod_revision != expected->mod_revision ||
        got->create_revision != expected->create_revision || got->version != expected->version) {
        g_autofree char *text = g_strdup_printf(
            "'%s' is not as revision %" G_GINT64_FORMAT " has it", got->key, trial->revision);
        die(text);
    }
}

static void check_store(Trial *trial)
{
    g_autoptr(Store) store = open_store(trial->directory);
    g_autoptr(GPtrArray) entries = NULL;
    int64_t revision = 0;
    if (!store_range(store, "", NULL, 0, &entries, &revision, NULL)) {
        die("the store cannot be read");
    }
    int64_t base = MAX(trial->acknowledged, trial->revision);
    if (revision < base) {
        die("an acknowledged transaction is lost");
    }
    if (revision > base + IN_FLIGHT) {
        die("the store holds more than was written");
    }
    trial->written += revision - trial->revision;
    while (trial->revision < revision) {
        apply_to_model(trial);
    }
    if ((int)entries->len != g_tree_nnodes(trial->model)) {
        die("the store has other keys than the model: a transaction is half there");
    }
    for (guint i = 0; i < entries->len; i++) {
        check_entry(trial, entries->pdata[i]);
    }
}

static int compare_keys(const void *a, const void *b, void *data)
{
    return strcmp(a, b);
}

static void entry_free(gpointer entry)
{
    store_entry_free(entry);
}

static GTree *new_model(void)
{
    return g_tree_new_full(compare_keys, NULL, NULL, entry_free);
}

static int run_check(char *directory, guint32 seed, int64_t acknowledged)
{
    Trial trial = {.directory = directory, .seed = seed, .acknowledged = acknowledged};
    trial.model = new_model();
    check_store(&trial);
    g_tree_unref(trial.model);
    printf("%" G_GINT64_FORMAT "\n", trial.revision);
    return 0;
}

static int run_trial(const char *program, int rounds, guint32 seed)
{
    Trial trial = {.program = program, .seed = seed};
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    trial.directory = g_dir_make_tmp("berth-store-crash-XXXXXX", NULL);
    trial.model = new_model();
    printf("seed %u, %d rounds in %s\n", seed, rounds, trial.directory);
    fflush(stdout);
    for (int i = 0; i < rounds; i++) {
        write_until_killed(&trial, rand, i == rounds - 1);
        check_store(&trial);
    }
    if (trial.mid_write == 0) {
        die("no writer lived long enough to write: nothing was tested");
    }
    printf("%d of %d kills in the middle of writes, %d of a store just begun, %" G_GINT64_FORMAT
           " transactions, none lost, none half there\n",
           trial.mid_write, rounds, trial.beginnings, trial.written);
    remove_files(trial.directory);
    g_rmdir(trial.directory);
    g_free(trial.directory);
    g_tree_unref(trial.model);
    return 0;
}

static guint64 number(const char *text)
{
    guint64 value = 0;
    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &value, NULL)) {
        die("usage: store-crash [ROUNDS [SEED]]");
    }
    return value;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--writer") == 0) {
        run_writer(argv[2], (guint32)number(argv[3]));
    }
    if (argc == 5 && strcmp(argv[1], "--check") == 0) {
        return run_check(argv[2], (guint32)number(argv[3]), (int64_t)number(argv[4]));
    }
    int rounds = argc > 1 ? (int)number(argv[1]) : 5;
    return run_trial("/proc/self/exe", rounds,
                     argc > 2 ? (guint32)number(argv[2]) : g_random_int());
}
