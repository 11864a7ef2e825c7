#include "conformance.h"

#include <string.h>

#include "base/error.h"

static StoreEntry *entry_of(Store *store, const char *key)
{
    StoreEntry *entry = NULL;
    g_assert_true(store_get(store, key, &entry, NULL, NULL));
    return entry;
}

static StoreTxn *txn_delete(const char *key)
{
    StoreTxn *txn = store_txn_new();
    store_txn_delete(txn, key);
    return txn;
}

static void starts_empty(Store *store)
{
    g_autofree char *all = picture(store, "");
    g_autoptr(GError) health = store_health(store);
    g_assert_cmpint(store_revision(store), ==, 0);
    g_assert_cmpstr(all, ==, "");
    g_assert_null(entry_of(store, "absent"));
    g_assert_no_error(health);
}

static void entries_carry_revisions(Store *store)
{
    must_commit(store, txn_put("other", "x"));
    must_commit(store, txn_put("key", "a"));
    must_commit(store, txn_put("key", "b"));
    g_autoptr(StoreEntry) entry = entry_of(store, "key");
    g_assert_cmpint(entry->create_revision, ==, 2);
    g_assert_cmpint(entry->mod_revision, ==, 3);
    g_assert_cmpint(entry->version, ==, 2);
    must_commit(store, txn_delete("key"));
    g_assert_null(entry_of(store, "key"));
    must_commit(store, txn_put("key", "c"));
    g_autoptr(StoreEntry) again = entry_of(store, "key");
    g_assert_cmpint(again->create_revision, ==, 5);
    g_assert_cmpint(again->mod_revision, ==, 5);
    g_assert_cmpint(again->version, ==, 1);
}

static void values_are_bytes(Store *store)
{
    static const char binary[] = "a\0b\xff\n";
    g_autoptr(GBytes) empty = g_bytes_new(NULL, 0);
    g_autoptr(GBytes) bytes = g_bytes_new(binary, sizeof binary);
    char *large = g_malloc(STORE_VALUE_MAX_BYTES);
    memset(large, 7, STORE_VALUE_MAX_BYTES);
    g_autoptr(GBytes) big = g_bytes_new_take(large, STORE_VALUE_MAX_BYTES);
    StoreTxn *txn = store_txn_new();
    store_txn_put(txn, "empty", empty);
    store_txn_put(txn, "binary", bytes);
    must_commit(store, txn);
    txn = store_txn_new();
    store_txn_put(txn, "large", big);
    must_commit(store, txn);
    g_autoptr(StoreEntry) a = entry_of(store, "empty");
    g_autoptr(StoreEntry) b = entry_of(store, "binary");
    g_autoptr(StoreEntry) c = entry_of(store, "large");
    g_assert_cmpuint(g_bytes_get_size(a->value), ==, 0);
    g_assert_true(g_bytes_equal(b->value, bytes));
    g_assert_true(g_bytes_equal(c->value, big));
}

static void only_changes_raise_the_revision(Store *store)
{
    must_commit(store, txn_put("key", "a"));
    StoreTxn *txn = store_txn_new();
    store_txn_compare_exists(txn, "key");
    g_assert_cmpint(must_commit(store, txn), ==, 1);
    g_assert_cmpint(must_commit(store, store_txn_new()), ==, 1);
    g_assert_cmpint(must_commit(store, txn_delete("absent")), ==, 2);
    g_assert_cmpint(must_commit(store, txn_put("key", "a")), ==, 3);
    g_assert_cmpint(store_revision(store), ==, 3);
    int64_t revision = 0;
    g_autoptr(StoreEntry) entry = NULL;
    g_assert_true(store_get(store, "key", &entry, &revision, NULL));
    g_assert_cmpint(revision, ==, 3);
}

typedef void (*AddCompare)(StoreTxn *txn, bool that_holds);

static void add_exists(StoreTxn *txn, bool holds)
{
    store_txn_compare_exists(txn, holds ? "key" : "absent");
}

static void add_absent(StoreTxn *txn, bool holds)
{
    store_txn_compare_absent(txn, holds ? "absent" : "key");
}

static void add_mod_revision(StoreTxn *txn, bool holds)
{
    store_txn_compare_mod_revision(txn, "key", holds ? 2 : 1);
}

static void add_mod_revision_absent(StoreTxn *txn, bool holds)
{
    store_txn_compare_mod_revision(txn, holds ? "absent" : "key", 0);
}

static void add_value(StoreTxn *txn, bool holds)
{
    g_autoptr(GBytes) value = text_bytes(holds ? "value" : "valu");
    store_txn_compare_value(txn, "key", value);
}

static void add_value_absent(StoreTxn *txn, bool holds)
{
    g_autoptr(GBytes) empty = g_bytes_new(NULL, 0);
    store_txn_compare_value(txn, holds ? "empty" : "absent", empty);
}

static void add_revision(StoreTxn *txn, bool holds)
{
    store_txn_compare_revision(txn, holds ? 3 : 2);
}

/* One that fails after one that holds: its index is told, and nothing is carried out. */
static void check_failing_compare(Store *store, AddCompare add)
{
    g_autoptr(GBytes) value = text_bytes("x");
    g_autoptr(GError) error = NULL;
    StoreTxn *txn = store_txn_new();
    StoreResult result = {0};
    add(txn, true);
    add(txn, false);
    store_txn_put(txn, "key", value);
    store_txn_delete(txn, "empty");
    g_assert_true(store_commit_sync(store, txn, &result, &error));
    g_assert_no_error(error);
    g_assert_false(result.succeeded);
    g_assert_cmpint(result.failed_compare, ==, 1);
    g_assert_cmpint(result.revision, ==, 3);
    g_autofree char *all = picture(store, "");
    g_assert_cmpstr(all, ==, "empty= key=value key2=other");
}

static void all_or_nothing(Store *store)
{
    static const AddCompare kinds[] = {
        add_exists, add_absent,       add_mod_revision, add_mod_revision_absent,
        add_value,  add_value_absent, add_revision,
    };
    must_commit(store, txn_put("empty", ""));
    must_commit(store, txn_put("key", "value"));
    must_commit(store, txn_put("key2", "other"));
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        check_failing_compare(store, kinds[i]);
    }
    g_autoptr(GBytes) value = text_bytes("x");
    StoreTxn *txn = store_txn_new();
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        kinds[i](txn, true);
    }
    store_txn_put(txn, "key", value);
    store_txn_delete(txn, "key2");
    g_assert_cmpint(must_commit(store, txn), ==, 4);
    g_autofree char *all = picture(store, "");
    g_assert_cmpstr(all, ==, "empty= key=x");
}

static void ranges_follow_bytes(Store *store)
{
    static const char *const keys[] = {"a/2",      "a/10",         "a",   "a0", "a%", "b",
                                       "a/\u00e9", "a/\U0001f600", "a/z", "A/1"};
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        must_commit(store, txn_put(keys[i], ""));
    }
    g_autofree char *all = picture(store, "");
    g_autofree char *under = picture(store, "a/");
    g_autofree char *percent = picture(store, "a%");
    g_autofree char *none = picture(store, "a/3");
    g_assert_cmpstr(all, ==, "A/1= a= a%= a/10= a/2= a/z= a/\u00e9= a/\U0001f600= a0= b=");
    g_assert_cmpstr(under, ==, "a/10= a/2= a/z= a/\u00e9= a/\U0001f600=");
    g_assert_cmpstr(percent, ==, "a%=");
    g_assert_cmpstr(none, ==, "");
}

/* The keys of one page, joined by spaces. */
static char *page(Store *store, const char *prefix, const char *after, unsigned limit)
{
    g_autoptr(GPtrArray) entries = NULL;
    g_autoptr(GError) error = NULL;
    int64_t revision = 0;
    GString *text = g_string_new(NULL);
    g_assert_true(store_range(store, prefix, after, limit, &entries, &revision, &error));
    g_assert_cmpint(revision, ==, 6);
    for (guint i = 0; i < entries->len; i++) {
        g_string_append_printf(text, "%s ", ((StoreEntry *)entries->pdata[i])->key);
    }
    return g_string_free(text, FALSE);
}

static void ranges_come_in_pages(Store *store)
{
    static const struct {
        const char *prefix, *after;
        unsigned limit;
        const char *expected;
    } cases[] = {
        {"p/", NULL, 2, "p/1 p/2 "}, {"p/", "p/2", 2, "p/3 p/4 "},
        {"p/", "p/4", 2, ""},        {"p/", "p/25", 1, "p/3 "},
        {"p/", "a", 1, "p/1 "},      {"p/", "z", 0, ""},
        {"", "p/3", 0, "p/4 q "},    {"p/", "p/", 0, "p/1 p/2 p/3 p/4 "},
        {"p/3", NULL, 9, "p/3 "},    {"", NULL, 1, "a "},
    };
    static const char *const keys[] = {"q", "p/3", "p/1", "a", "p/4", "p/2"};
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        must_commit(store, txn_put(keys[i], ""));
    }
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *got = page(store, cases[i].prefix, cases[i].after, cases[i].limit);
        g_assert_cmpstr(got, ==, cases[i].expected);
    }
}

static void prefixes_are_deleted(Store *store)
{
    static const char *const keys[] = {"a", "a/1", "a/2", "a/2/3", "a0", "b"};
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        must_commit(store, txn_put(keys[i], ""));
    }
    StoreTxn *txn = store_txn_new();
    store_txn_delete_prefix(txn, "a/");
    store_txn_delete(txn, "a/2"); /* deletes may overlap */
    g_assert_cmpint(must_commit(store, txn), ==, 7);
    g_autofree char *left = picture(store, "");
    g_assert_cmpstr(left, ==, "a= a0= b=");
}

static void put(StoreTxn *txn, const char *key)
{
    g_autoptr(GBytes) value = text_bytes("x");
    store_txn_put(txn, key, value);
}

static void refuses_bad_keys(Store *store)
{
    g_autofree char *longest = g_strnfill(STORE_KEY_MAX_BYTES, 'k');
    g_autofree char *longer = g_strnfill(STORE_KEY_MAX_BYTES + 1, 'k');
    const char *const bad[] = {"", longer, "a\nb", "a\x7f", "a\xc2\x85", "a\xff", "\xc3"};
    g_assert_cmpint(must_commit(store, txn_put(longest, "x")), ==, 1);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        StoreTxn *txn = txn_put("good", "x");
        put(txn, bad[i]);
        must_fail(store, txn, BERTH_ERROR_INVALID);
        txn = txn_put("good", "x");
        store_txn_compare_absent(txn, bad[i]);
        must_fail(store, txn, BERTH_ERROR_INVALID);
        g_autoptr(StoreEntry) entry = NULL;
        g_autoptr(GError) error = NULL;
        g_assert_false(store_get(store, bad[i], &entry, NULL, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_nonnull(berth_error_remedy(error));
    }
    g_autoptr(GPtrArray) entries = NULL;
    g_assert_false(store_range(store, "a\xff", NULL, 0, &entries, NULL, NULL));
    g_assert_null(entries);
    StoreTxn *txn = store_txn_new();
    store_txn_delete_prefix(txn, "");
    must_fail(store, txn, BERTH_ERROR_INVALID);
    g_assert_null(entry_of(store, "good"));
    g_assert_cmpint(store_revision(store), ==, 1);
}

static void refuses_too_much(Store *store)
{
    g_autoptr(GBytes) large =
        g_bytes_new_take(g_malloc0(STORE_VALUE_MAX_BYTES + 1), STORE_VALUE_MAX_BYTES + 1);
    g_autoptr(GBytes) half =
        g_bytes_new_take(g_malloc0(STORE_TXN_MAX_BYTES / 2), STORE_TXN_MAX_BYTES / 2);
    StoreTxn *txn = txn_put("good", "x");
    store_txn_put(txn, "large", large);
    must_fail(store, txn, BERTH_ERROR_TOO_LARGE);
    txn = store_txn_new();
    store_txn_put(txn, "a", half);
    store_txn_put(txn, "b", half);
    must_fail(store, txn, BERTH_ERROR_TOO_LARGE);
    for (int extra = 0; extra <= 1; extra++) {
        txn = store_txn_new();
        for (int i = 0; i < STORE_TXN_MAX_OPS + extra; i++) {
            g_autofree char *key = g_strdup_printf("key/%d", i);
            store_txn_compare_absent(txn, extra == 1 ? "absent" : key);
            put(txn, key);
        }
        g_assert_cmpuint(store_txn_ops(txn), ==, STORE_TXN_MAX_OPS);
        if (extra == 0) {
            must_commit(store, txn);
        } else {
            must_fail(store, txn, BERTH_ERROR_TOO_LARGE);
        }
    }
    g_assert_cmpint(store_revision(store), ==, 1);
}

static void refuses_naming(Store *store, StoreTxn *txn, const char *field, const char *value,
                           const char *remedy)
{
    g_autoptr(GError) error = NULL;
    g_assert_false(store_commit_sync(store, txn, NULL, &error));
    g_assert_cmpstr(berth_error_field(error), ==, field);
    g_assert_cmpstr(berth_error_value(error), ==, value);
    g_assert_cmpstr(berth_error_remedy(error), ==, remedy);
}

static void put_zeros(StoreTxn *txn, const char *key, size_t size)
{
    g_autoptr(GBytes) value = g_bytes_new_take(g_malloc0(size), size);
    store_txn_put(txn, key, value);
}

/* The errors of bounds name what was over and by how much; the bounds themselves are allowed. */
static void names_what_is_over(Store *store)
{
    static const char split[] = "split the work into several transactions";
    StoreTxn *value = store_txn_new(), *bytes = store_txn_new(), *ops = store_txn_new();
    put_zeros(value, "key", STORE_VALUE_MAX_BYTES + 1);
    refuses_naming(store, value, "value", "1048065 bytes", "store a smaller value");
    put_zeros(bytes, "a", STORE_TXN_MAX_BYTES / 2 - 1);
    put_zeros(bytes, "b", STORE_TXN_MAX_BYTES / 2 - 1);
    g_assert_cmpuint(store_txn_bytes(bytes), ==, STORE_TXN_MAX_BYTES);
    store_txn_compare_absent(bytes, "c");
    refuses_naming(store, bytes, "transaction", "1048577 bytes", split);
    for (int i = 0; i <= STORE_TXN_MAX_OPS; i++) {
        g_autofree char *key = g_strdup_printf("key/%d", i);
        put(ops, key);
    }
    refuses_naming(store, ops, "operations", "129", split);
    StoreTxn *under = store_txn_new();
    store_txn_delete_prefix(under, "ke");
    put(under, "key");
    refuses_naming(store, under, "key", "key", "write each key once in a transaction");
}

/* The largest value goes with any key. */
static void takes_what_just_fits(Store *store)
{
    g_autofree char *longest = g_strnfill(STORE_KEY_MAX_BYTES, 'k');
    StoreTxn *value = store_txn_new(), *bytes = store_txn_new();
    put_zeros(value, longest, STORE_VALUE_MAX_BYTES);
    must_commit(store, value);
    put_zeros(bytes, "a", STORE_TXN_MAX_BYTES / 2 - 1);
    put_zeros(bytes, "b", STORE_TXN_MAX_BYTES / 2 - 1);
    must_commit(store, bytes);
    g_autoptr(StoreEntry) entry = entry_of(store, longest);
    g_assert_cmpuint(g_bytes_get_size(entry->value), ==, STORE_VALUE_MAX_BYTES);
}

static void refuses_contradictions(Store *store)
{
    StoreTxn *twice = txn_put("key", "a");
    put(twice, "key");
    must_fail(store, twice, BERTH_ERROR_INVALID);
    StoreTxn *both = txn_put("key", "a");
    store_txn_delete(both, "key");
    must_fail(store, both, BERTH_ERROR_INVALID);
    StoreTxn *under = store_txn_new();
    store_txn_delete_prefix(under, "ke");
    put(under, "key");
    must_fail(store, under, BERTH_ERROR_INVALID);
    g_autoptr(GBytes) value = text_bytes("x");
    StoreTxn *lease = store_txn_new();
    store_txn_put_with_lease(lease, "key", value, 7);
    must_fail(store, lease, BERTH_ERROR_INVALID);
    g_assert_cmpint(store_revision(store), ==, 0);
    must_commit(store, txn_put("key", "a"));
}

#define IN_FLIGHT 500

typedef struct {
    Store *store;
    int told, errors;
    bool within;
} Order;

static void on_ordered(const StoreResult *result, const GError *error, gpointer data)
{
    Order *order = data;
    g_assert_false(order->within);
    if (error != NULL) {
        g_assert_null(result);
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        order->errors++;
    } else {
        g_assert_true(result->succeeded);
        g_assert_cmpint(result->revision, ==, order->told - order->errors + 1);
        g_assert_cmpint(store_revision(order->store), >=, result->revision);
    }
    order->told++;
}

/* Every tenth is a mistake, which keeps its place in the order. */
static void acknowledges_in_order(Store *store)
{
    Order order = {.store = store, .within = true};
    int errors = 0;
    for (int i = 0; i < IN_FLIGHT; i++) {
        g_autofree char *key = g_strdup_printf("key/%d", i % 7);
        StoreTxn *txn = txn_put(i % 10 == 9 ? "" : key, "x");
        store_txn_compare_revision(txn, i - errors);
        errors += i % 10 == 9;
        store_commit(store, txn, on_ordered, &order);
    }
    g_assert_cmpint(must_commit(store, txn_put("last", "x")), ==, IN_FLIGHT - errors + 1);
    g_assert_cmpint(store_revision(store), ==, IN_FLIGHT - errors + 1);
    order.within = false;
    turn_until(&order.told, IN_FLIGHT);
    g_assert_cmpint(order.errors, ==, errors);
}

static void on_chained(const StoreResult *result, const GError *error, gpointer data)
{
    Order *order = data;
    g_assert_no_error(error);
    g_assert_cmpint(result->revision, ==, ++order->told);
    if (order->told < 20) {
        store_commit(order->store, txn_put("key", "x"), on_chained, order);
    }
}

static void callbacks_may_commit(Store *store)
{
    Order order = {.store = store};
    store_commit(store, txn_put("key", "x"), on_chained, &order);
    turn_until(&order.told, 20);
}

typedef struct {
    Store *store;
    int left;
    bool others_ran;
} Endless;

static void on_endless(const StoreResult *result, const GError *error, gpointer data)
{
    Endless *endless = data;
    g_assert_no_error(error);
    if (--endless->left > 0) {
        store_commit(endless->store, txn_put("key", "x"), on_endless, endless);
    }
}

static gboolean on_others(gpointer data)
{
    ((Endless *)data)->others_ran = true;
    return G_SOURCE_REMOVE;
}

/* Whoever commits again in each callback leaves the main loop to other sources. */
static void callbacks_let_others_run(Store *store)
{
    Endless endless = {store, 50, false};
    store_commit(store, txn_put("key", "x"), on_endless, &endless);
    guint id = g_timeout_add_full(G_PRIORITY_DEFAULT, 0, on_others, &endless, NULL);
    g_assert_cmpuint(id, >, 0);
    while (!endless.others_ran) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpint(endless.left, >, 40);
    while (endless.left > 0) {
        g_main_context_iteration(NULL, TRUE);
    }
}

/* A generator of transactions and a table that is nothing but a sorted list. */
static void random_txn(GRand *rand, StoreTxn *txn, GHashTable *model, int64_t revision)
{
    static const char *const keys[] = {"a", "a/1", "a/2", "b", "b/1", "c"};
    guint first = (guint)g_rand_int_range(rand, 0, 6);
    for (guint i = 0; i < (guint)g_rand_int_range(rand, 1, 4); i++) {
        const char *key = keys[(first + i) % 6];
        if (g_rand_boolean(rand)) {
            g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, revision);
            g_autoptr(GBytes) bytes = text_bytes(value);
            store_txn_put(txn, key, bytes);
            g_hash_table_replace(model, (gpointer)key, g_steal_pointer(&value));
        } else {
            store_txn_delete(txn, key);
            g_hash_table_remove(model, key);
        }
    }
}

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

static char *model_picture(GHashTable *model)
{
    GString *text = g_string_new(NULL);
    g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(model), by_name);
    for (const GList *k = keys; k != NULL; k = k->next) {
        g_string_append_printf(text, "%s%s=%s", text->len > 0 ? " " : "", (char *)k->data,
                               (char *)g_hash_table_lookup(model, k->data));
    }
    return g_string_free(text, FALSE);
}

static void equals_a_plain_table(Store *store)
{
    g_autoptr(GHashTable) model = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int());
    for (int64_t revision = 1; revision <= 300; revision++) {
        StoreTxn *txn = store_txn_new();
        random_txn(rand, txn, model, revision);
        g_assert_cmpint(must_commit(store, txn), ==, revision);
        g_autofree char *expected = model_picture(model);
        g_autofree char *got = picture(store, "");
        g_assert_cmpstr(got, ==, expected);
    }
}

typedef struct {
    const Backend *backend;
    void (*run)(Store *store);
} Case;

static void run_case(gconstpointer data)
{
    const Case *c = data;
    Fixture fixture;
    fixture_open(&fixture, c->backend, 0);
    c->run(fixture.store);
    fixture_close(&fixture);
}

typedef struct {
    Store *store;
    int told, refused;
} Closing;

static void on_refused(const StoreResult *result, const GError *error, gpointer data)
{
    Closing *closing = data;
    g_assert_null(result);
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    closing->refused++;
}

static void on_closing(const StoreResult *result, const GError *error, gpointer data)
{
    Closing *closing = data;
    g_autofree char *value = value_of(closing->store, "key");
    g_assert_no_error(error);
    g_assert_cmpstr(value, ==, "x");
    g_assert_cmpint(result->revision, ==, ++closing->told);
    store_commit(closing->store, txn_put("late", "x"), on_refused, closing);
}

static void closing_finishes_what_was_submitted(gconstpointer data)
{
    Fixture fixture;
    fixture_open(&fixture, data, 0);
    Closing closing = {.store = fixture.store};
    for (int i = 0; i < 50; i++) {
        store_commit(fixture.store, txn_put("key", "x"), on_closing, &closing);
    }
    fixture_close(&fixture);
    g_assert_cmpint(closing.told, ==, 50);
    g_assert_cmpint(closing.refused, ==, 50);
}

/* Callbacks belong to the context of the opening, not to that of the call. */
static void callbacks_keep_their_context(gconstpointer data)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    Fixture fixture;
    g_main_context_push_thread_default(context);
    fixture_open(&fixture, data, 0);
    g_main_context_pop_thread_default(context);
    Order order = {.store = fixture.store, .within = true};
    store_commit(fixture.store, txn_put("key", "x"), on_ordered, &order);
    must_commit(fixture.store, txn_put("key", "y"));
    turn();
    order.within = false;
    while (order.told == 0) {
        g_main_context_iteration(context, TRUE);
    }
    fixture_close(&fixture);
}

static const struct {
    const char *name;
    void (*run)(Store *store);
} cases[] = {
    {"starts-empty", starts_empty},
    {"entries-carry-revisions", entries_carry_revisions},
    {"values-are-bytes", values_are_bytes},
    {"only-changes-raise-the-revision", only_changes_raise_the_revision},
    {"all-or-nothing", all_or_nothing},
    {"ranges-follow-bytes", ranges_follow_bytes},
    {"ranges-come-in-pages", ranges_come_in_pages},
    {"prefixes-are-deleted", prefixes_are_deleted},
    {"refuses-bad-keys", refuses_bad_keys},
    {"refuses-too-much", refuses_too_much},
    {"names-what-is-over", names_what_is_over},
    {"takes-what-just-fits", takes_what_just_fits},
    {"refuses-contradictions", refuses_contradictions},
    {"acknowledges-in-order", acknowledges_in_order},
    {"callbacks-may-commit", callbacks_may_commit},
    {"callbacks-let-others-run", callbacks_let_others_run},
    {"equals-a-plain-table", equals_a_plain_table},
};

static void add(const Backend *backend, const char *name, void (*run)(gconstpointer), void *data)
{
    g_autofree char *path = g_strdup_printf("/store/%s/%s", backend->name, name);
    g_test_add_data_func_full(path, data, (GTestDataFunc)run, data != backend ? g_free : NULL);
}

void conformance_add(const Backend *backend)
{
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        Case *c = g_new(Case, 1);
        *c = (Case){backend, cases[i].run};
        add(backend, cases[i].name, run_case, c);
    }
    add(backend, "closing-finishes-what-was-submitted", closing_finishes_what_was_submitted,
        (void *)backend);
    add(backend, "callbacks-keep-their-context", callbacks_keep_their_context, (void *)backend);
}
