/* Tombstones are bounded, and what they stand for is not: VMs that are removed stay removed. */
#include "base/error.h"
#include "host/host.h"

#define KEPT 8

/* A host whose disk does everything at once, but for marks, which wait. */
typedef struct {
    HostCore *core;
    GHashTable *files; /* set of ids: something is kept of them */
    char *mark, *asked;
    int64_t mark_epoch, asked_epoch;
    int refusals;
} Host;

static void step(Host *host, const HostEvent *event);

static void effect_done(Host *host, const HostAction *action)
{
    if (action->effect.kind == HOST_EFFECT_PERSIST) {
        g_hash_table_add(host->files, g_strdup(action->vm));
    }
    HostEvent event = {.kind = HOST_EVENT_DONE, .vm = action->vm};
    event.done.serial = action->effect.serial;
    step(host, &event);
    if (action->effect.kind == HOST_EFFECT_KILL) {
        KeeperExit exit = {.kind = KEEPER_EXIT_KIND_SIGNALED, .signal = 9};
        event = (HostEvent){.kind = HOST_EVENT_EXITED, .vm = action->vm, .exited = &exit};
        step(host, &event);
    }
}

static void carry_out(Host *host, const HostAction *action)
{
    switch (action->kind) {
    case HOST_ACTION_EFFECT:
        effect_done(host, action);
        break;
    case HOST_ACTION_REPLY:
        host->refusals += action->reply.error != NULL;
        break;
    case HOST_ACTION_FORGET:
        g_assert_null(host->asked); /* one at a time */
        host->asked = g_strdup(action->vm);
        host->asked_epoch = action->forget_epoch;
        break;
    case HOST_ACTION_DROP:
        g_hash_table_remove(host->files, action->vm);
        break;
    default:
        break;
    }
}

static void step(Host *host, const HostEvent *event)
{
    g_autoptr(GPtrArray) actions = host_step(host->core, event, 1000000);
    g_autoptr(GError) error = NULL;
    host_core_check(host->core, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < actions->len; i++) {
        carry_out(host, actions->pdata[i]);
    }
}

/* The agent starts, with what is on disk. */
static void begin(Host *host)
{
    HostConfig config = {
        .tombstones_kept = KEPT, .forgotten_vm = host->mark, .forgotten_epoch = host->mark_epoch};
    g_clear_pointer(&host->core, host_core_free);
    g_clear_pointer(&host->asked, g_free);
    host->core = host_core_new(&config);
    g_autoptr(GList) ids = g_hash_table_get_keys(host->files);
    for (GList *l = ids; l != NULL; l = l->next) {
        HostEvent event = {.kind = HOST_EVENT_RESTORE, .vm = l->data};
        event.restore.tombstone = 1;
        step(host, &event);
    }
    step(host, &(HostEvent){.kind = HOST_EVENT_READY});
}

static Host *host_new(void)
{
    Host *host = g_new0(Host, 1);
    host->files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    begin(host);
    return host;
}

static void host_free(Host *host)
{
    host_core_free(host->core);
    g_hash_table_unref(host->files);
    g_free(host->mark);
    g_free(host->asked);
    g_free(host);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Host, host_free)

/* The disk has taken the mark, or not. */
static void marked(Host *host, bool durable)
{
    g_assert_nonnull(host->asked);
    g_autoptr(GError) error = NULL;
    if (durable) {
        g_free(host->mark);
        host->mark = g_steal_pointer(&host->asked);
        host->mark_epoch = host->asked_epoch;
    } else {
        g_clear_pointer(&host->asked, g_free);
        berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL, "the disk is full");
    }
    HostEvent event = {.kind = HOST_EVENT_FORGOTTEN, .forgotten = error};
    step(host, &event);
}

static void id_of(int number, char id[27])
{
    g_snprintf(id, 27, "01JDVM%020d", number);
}

static HostProcess apply(Host *host, int number, int64_t epoch)
{
    char id[27];
    id_of(number, id);
    g_autoptr(Assignment) wanted = assignment_new();
    wanted->id = g_strdup(id);
    wanted->epoch = epoch;
    wanted->generation = 1;
    wanted->hardware = hardware_new();
    wanted->resources = resources_new();
    wanted->power = POWER_WANTED_ON;
    HostEvent event = {.kind = HOST_EVENT_APPLY, .vm = id};
    event.apply.assignment = wanted;
    event.apply.call = host;
    step(host, &event);
    return host_core_process(host->core, id);
}

static void come_and_go(Host *host, int number)
{
    g_assert_cmpint(apply(host, number, 1), ==, HOST_PROCESS_RUNNING);
    char id[27];
    id_of(number, id);
    HostEvent event = {.kind = HOST_EVENT_REMOVE, .vm = id};
    event.remove.epoch = 1;
    event.remove.call = host;
    step(host, &event);
    g_assert_cmpint(host_core_process(host->core, id), ==, HOST_PROCESS_NONE);
}

static void assert_stays_removed(Host *host, int upto)
{
    for (int i = 1; i <= upto; i++) {
        int before = host->refusals;
        g_assert_cmpint(apply(host, i, 1), ==, HOST_PROCESS_NONE);
        g_assert_cmpint(host->refusals, ==, before + 1);
    }
}

static void test_files_are_bounded(void)
{
    g_autoptr(Host) host = host_new();
    for (int i = 1; i <= 100; i++) {
        come_and_go(host, i);
        if (host->asked != NULL) {
            marked(host, true);
        }
        g_assert_cmpuint(g_hash_table_size(host->files), <=, KEPT);
    }
    assert_stays_removed(host, 100);
    g_assert_cmpuint(g_hash_table_size(host->files), <=, KEPT);
    begin(host);
    assert_stays_removed(host, 100);
    g_assert_cmpint(apply(host, 101, 1), ==, HOST_PROCESS_RUNNING);
}

static void test_nothing_goes_before_the_mark(void)
{
    g_autoptr(Host) host = host_new();
    for (int i = 1; i <= 3 * KEPT; i++) {
        come_and_go(host, i);
    }
    g_assert_cmpuint(g_hash_table_size(host->files), ==, 3 * KEPT);
    marked(host, false);
    g_assert_cmpuint(g_hash_table_size(host->files), ==, 3 * KEPT);
    begin(host);
    assert_stays_removed(host, 3 * KEPT);
    marked(host, true);
    g_assert_cmpuint(g_hash_table_size(host->files), <=, KEPT);
    assert_stays_removed(host, 3 * KEPT);
}

static void test_mark_that_nobody_heard_of(void)
{
    g_autoptr(Host) host = host_new();
    for (int i = 1; i <= KEPT + 1; i++) {
        come_and_go(host, i);
    }
    host->mark = g_strdup(host->asked);
    host->mark_epoch = host->asked_epoch;
    begin(host);
    g_assert_cmpuint(g_hash_table_size(host->files), <=, KEPT);
    assert_stays_removed(host, KEPT + 1);
}

static void test_higher_epoch_is_taken(void)
{
    g_autoptr(Host) host = host_new();
    for (int i = 1; i <= KEPT + 1; i++) {
        come_and_go(host, i);
    }
    marked(host, true);
    g_assert_cmpint(apply(host, 1, 1), ==, HOST_PROCESS_NONE);
    g_assert_cmpint(apply(host, 1, 2), ==, HOST_PROCESS_RUNNING);
    g_assert_cmpint(apply(host, 1, 1), ==, HOST_PROCESS_RUNNING); /* refused; goes on */
    g_assert_cmpint(host->refusals, ==, 2);
}

/* It came back between FORGET and its end: what is kept of it is not dropped. */
static void test_what_came_back_is_kept(void)
{
    g_autoptr(Host) host = host_new();
    for (int i = 1; i <= KEPT + 1; i++) {
        come_and_go(host, i);
    }
    char id[27];
    id_of(1, id);
    g_assert_cmpint(apply(host, 1, 2), ==, HOST_PROCESS_RUNNING);
    marked(host, true);
    g_assert_true(g_hash_table_contains(host->files, id));
    g_assert_cmpint(host_core_process(host->core, id), ==, HOST_PROCESS_RUNNING);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/graves/bounded", test_files_are_bounded);
    g_test_add_func("/host/graves/mark-first", test_nothing_goes_before_the_mark);
    g_test_add_func("/host/graves/unheard-mark", test_mark_that_nobody_heard_of);
    g_test_add_func("/host/graves/higher-epoch", test_higher_epoch_is_taken);
    g_test_add_func("/host/graves/back-meanwhile", test_what_came_back_is_kept);
    return g_test_run();
}
