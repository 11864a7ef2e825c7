#include "base/error.h"
#include "conformance.h"

static Store *open_memory(const char *directory, int64_t history_revisions)
{
    return store_memory_new(&(StoreMemoryOptions){.history_revisions = history_revisions});
}

static void has_nothing_to_back_up(void)
{
    g_autoptr(Store) store = store_memory_new(NULL);
    g_autoptr(GError) error = NULL;
    g_assert_false(store_backup(store, "/nowhere/copy", &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
}

int main(int argc, char **argv)
{
    static const Backend memory = {"memory", open_memory};
    g_test_init(&argc, &argv, NULL);
    conformance_add(&memory);
    conformance_add_watches(&memory);
    g_test_add_func("/store/memory/has-nothing-to-back-up", has_nothing_to_back_up);
    return g_test_run();
}
