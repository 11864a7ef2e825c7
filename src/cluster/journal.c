#include "cluster/journal.h"

#include <stdarg.h>
#include <string.h>

#include "base/codec.h"
#include "base/error.h"
#include "cluster/keys.h"
#include "cluster/txn.h"

static void event_record_free(void *data)
{
    ClusterEventRecord *record = data;
    g_free(record->id);
    g_bytes_unref(record->json);
    g_free(record->subject_id);
    g_free(record->subject_name);
    g_free(record->kind);
    g_free(record->tenant);
    g_free(record);
}

void journal_init(ClusterCore *core)
{
    g_queue_init(&core->events);
}

void journal_clear(ClusterCore *core)
{
    g_queue_clear_full(&core->events, event_record_free);
}

Subject subject_of_vm(const ClusterVm *vm)
{
    return (Subject){.kind = SUBJECT_KIND_VM, .id = vm->id, .name = vm->spec->name};
}

Subject subject_of_app(const ClusterApp *app)
{
    return (Subject){.kind = SUBJECT_KIND_APP, .id = app->id, .name = app->spec->name};
}

Subject subject_of_host(const ClusterHost *host)
{
    return (Subject){.kind = SUBJECT_KIND_HOST, .id = host->id, .name = host->spec->name};
}

static void keep_event(ClusterCore *core, const Event *event, GBytes *json)
{
    ClusterEventRecord *record = g_new0(ClusterEventRecord, 1);
    record->revision = event->revision;
    record->id = g_strdup(event->id);
    record->json = json;
    record->at_ms = event->at_ms;
    record->kind = g_strdup(event->kind);
    record->tenant = g_strdup(event->tenant);
    if (event->subject != NULL) {
        record->subject_id = g_strdup(event->subject->id);
        record->subject_name = g_strdup(event->subject->name);
    }
    g_queue_push_tail(&core->events, record);
}

void event_load(ClusterCore *core, Event *event)
{
    keep_event(core, event, codec_encode_text(&event_type, event));
}

static void drop_oldest_events(ClusterCore *core)
{
    while ((int64_t)core->events.length > core->config.events_kept) {
        ClusterEventRecord *oldest = g_queue_pop_head(&core->events);
        core->events_dropped = MAX(core->events_dropped, oldest->revision);
        txn_delete(core, key_event(oldest->id));
        event_record_free(oldest);
    }
}

/* What happens to a VM, an app or a tenant is its tenant's; all else is the cluster's. */
static const char *tenant_of_subject(const ClusterCore *core, const Subject *subject)
{
    if (subject == NULL || subject->id == NULL) {
        return DEFAULT_TENANT;
    }
    const ClusterVm *vm = g_tree_lookup(core->vms, subject->id);
    const ClusterApp *app = g_tree_lookup(core->apps, subject->id);
    return subject->kind == SUBJECT_KIND_TENANT       ? subject->id
           : subject->kind == SUBJECT_KIND_VM && vm   ? vm->tenant
           : subject->kind == SUBJECT_KIND_APP && app ? app->tenant
                                                      : DEFAULT_TENANT;
}

void event_add(ClusterCore *core, const char *kind, const Subject *subject, const char *host,
               const Operation *operation, const char *format, ...)
{
    g_autoptr(Event) event = event_new();
    event->id = model_new_id(core);
    event->revision = txn_revision(core);
    event->kind = g_strdup(kind);
    event->at_ms = core->now_ms;
    g_free(event->tenant);
    event->tenant = g_strdup(tenant_of_subject(core, subject));
    event->subject = subject != NULL ? subject_copy(subject) : NULL;
    event->host = g_strdup(host);
    event->operation = operation != NULL ? g_strdup(operation->id) : NULL;
    va_list args;
    va_start(args, format);
    event->message = g_strdup_vprintf(format, args);
    va_end(args);

    GBytes *json = codec_encode_text(&event_type, event);
    txn_put_bytes(core, key_event(event->id), g_bytes_ref(json));
    ClusterAction *publish = cluster_action_new(CLUSTER_ACTION_PUBLISH);
    publish->publish.revision = event->revision;
    publish->publish.event = g_bytes_ref(json);
    core_hold(core, publish);
    keep_event(core, event, json);
    drop_oldest_events(core);
}

Problem *problem_from_error(const GError *error)
{
    Problem *problem = problem_new();
    problem->code = g_strdup(berth_error_code_name(error));
    problem->message = g_strdup(error->message);
    problem->field = g_strdup(berth_error_field(error));
    problem->value = g_strdup(berth_error_value(error));
    problem->remedy = g_strdup(berth_error_remedy(error));
    return problem;
}

/* Borrows all else. */
static Operation without_outlook(const Operation *object, GPtrArray *none)
{
    Operation rest = *object;
    rest.plan = none;
    rest.explanation = NULL;
    return rest;
}

/* Plan and explanation grow with the cluster, past what a transaction may carry: they are for the
 * answer, not for the store. */
static void operation_save(ClusterCore *core, ClusterOperation *operation)
{
    GPtrArray none = {0};
    Operation kept = without_outlook(operation->object, &none);
    txn_put(core, key_of("operation", kept.tenant, kept.id), &operation_type, &kept);
}

json_t *operation_render(const ClusterOperation *operation, bool bound)
{
    if (!bound || !operation->names_others) {
        return operation_encode(operation->object);
    }
    GPtrArray none = {0};
    Operation shown = without_outlook(operation->object, &none);
    return operation_encode(&shown);
}

static ClusterOperation *operation_enter(ClusterCore *core, Operation *object)
{
    ClusterOperation *operation = g_new0(ClusterOperation, 1);
    operation->object = object;
    g_tree_insert(core->operations, object->id, operation);
    return operation;
}

ClusterOperation *operation_start(ClusterCore *core, const char *kind, const char *tenant,
                                  const Subject *subject, int64_t generation, const char *message)
{
    Operation *object = operation_new();
    object->id = model_new_id(core);
    object->kind = g_strdup(kind);
    g_free(object->tenant);
    object->tenant = g_strdup(tenant);
    object->subject = subject_copy(subject);
    object->state = OPERATION_STATE_RUNNING;
    object->generation = generation;
    object->message = g_strdup(message);
    object->created_ms = core->now_ms;
    ClusterOperation *operation = operation_enter(core, object);
    operation->names_others = !core_asker_bound(core);
    operation_save(core, operation);
    return operation;
}

ClusterOperation *operation_load(ClusterCore *core, Operation *object)
{
    ClusterOperation *operation = operation_enter(core, object);
    if (object->state != OPERATION_STATE_RUNNING) {
        g_queue_push_tail(&core->finished_operations, operation);
    }
    return operation;
}

void operation_tell(ClusterCore *core, ClusterOperation *operation, const char *message)
{
    g_free(operation->object->message);
    operation->object->message = g_strdup(message);
    operation_save(core, operation);
}

void operation_wait_vm(ClusterOperation *operation, ClusterVm *vm)
{
    operation->vm = vm;
    g_ptr_array_add(vm->operations, operation);
}

void operation_wait_app(ClusterOperation *operation, ClusterApp *app)
{
    operation->app = app;
    g_ptr_array_add(app->operations, operation);
}

static void detach_operation(ClusterOperation *operation)
{
    if (operation->vm != NULL) {
        g_ptr_array_remove(operation->vm->operations, operation);
        operation->vm = NULL;
    }
    if (operation->app != NULL) {
        g_ptr_array_remove(operation->app->operations, operation);
        operation->app = NULL;
    }
}

static void drop_oldest_operations(ClusterCore *core)
{
    while ((int64_t)core->finished_operations.length > core->config.operations_kept) {
        ClusterOperation *oldest = g_queue_pop_head(&core->finished_operations);
        txn_delete(core, key_of("operation", oldest->object->tenant, oldest->object->id));
        g_tree_remove(core->operations, oldest->object->id);
    }
}

static void reply_operation(ClusterCore *core, const ClusterOperation *operation,
                            const Waiter *waiter)
{
    bool running = operation->object->state == OPERATION_STATE_RUNNING;
    int status = running ? waiter->running_status : 200;
    reply_json(core, waiter->request, status, operation_render(operation, waiter->bound), -1);
}

void operation_finish(ClusterCore *core, ClusterOperation *operation, GError *error,
                      const char *message)
{
    Operation *object = operation->object;
    object->state = error != NULL ? OPERATION_STATE_FAILED : OPERATION_STATE_DONE;
    object->finished_ms = core->now_ms;
    if (error != NULL) {
        object->error = problem_from_error(error);
        g_error_free(error);
    }
    g_free(object->message);
    object->message = g_strdup(message);
    detach_operation(operation);
    operation_save(core, operation);
    for (guint i = 0; i < core->waiters->len; i++) {
        const Waiter *waiter = &g_array_index(core->waiters, Waiter, i);
        if (waiter->operation == operation) {
            reply_operation(core, operation, waiter);
        }
    }
    for (guint i = core->waiters->len; i > 0; i--) {
        if (g_array_index(core->waiters, Waiter, i - 1).operation == operation) {
            g_array_remove_index_fast(core->waiters, i - 1);
        }
    }
    g_queue_push_tail(&core->finished_operations, operation);
    drop_oldest_operations(core);
}

static void reply_or_wait(ClusterCore *core, ClusterOperation *operation, int64_t wait_s,
                          Waiter waiter)
{
    waiter.bound = core_asker_bound(core);
    if (wait_s <= 0 || operation->object->state != OPERATION_STATE_RUNNING) {
        reply_operation(core, operation, &waiter);
        return;
    }
    waiter.operation = operation;
    waiter.deadline_ms = core->now_ms + wait_s * 1000;
    g_array_append_val(core->waiters, waiter);
}

void operation_reply(ClusterCore *core, uint64_t request, ClusterOperation *operation,
                     int64_t wait_s)
{
    reply_or_wait(core, operation, wait_s, (Waiter){.request = request, .running_status = 202});
}

void operation_show(ClusterCore *core, uint64_t request, ClusterOperation *operation,
                    int64_t wait_s)
{
    reply_or_wait(core, operation, wait_s, (Waiter){.request = request, .running_status = 200});
}

void operation_cancel_wait(ClusterCore *core, uint64_t request)
{
    for (guint i = 0; i < core->waiters->len; i++) {
        if (g_array_index(core->waiters, Waiter, i).request == request) {
            g_array_remove_index_fast(core->waiters, i);
            return;
        }
    }
}

int64_t operation_expire_waits(ClusterCore *core)
{
    int64_t next = INT64_MAX;
    for (guint i = core->waiters->len; i > 0; i--) {
        Waiter waiter = g_array_index(core->waiters, Waiter, i - 1);
        if (waiter.deadline_ms <= core->now_ms) {
            g_array_remove_index_fast(core->waiters, i - 1);
            reply_operation(core, waiter.operation, &waiter);
        } else {
            next = MIN(next, waiter.deadline_ms);
        }
    }
    return next;
}
