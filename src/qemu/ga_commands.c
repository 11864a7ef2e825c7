#include "qemu/ga_commands.h"

#include <glib-object.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define FIRST_POLL_MS 10
#define MAX_POLL_MS 250
#define READ_CHUNK_BYTES 65536
#define CLOSE_TIMEOUT_MS 1000

/* What an operation of several calls carries from one to the next. */
typedef struct {
    Ga *ga;
    gint64 deadline_us;
    guint timeout_ms;
    GCallback func;
    gpointer user_data;
    /* ga_set_online */
    gint64 wanted;
    /* ga_exec */
    gint64 pid;
    guint poll_ms;
    size_t max_bytes;
    /* ga_read_file */
    char *path;
    gint64 handle;
    GByteArray *bytes;
} Operation;

static Operation *operation_new(Ga *ga, guint timeout_ms, GCallback func, gpointer user_data)
{
    Operation *op = g_new0(Operation, 1);
    op->ga = ga;
    op->timeout_ms = timeout_ms;
    op->deadline_us = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    op->func = func;
    op->user_data = user_data;
    return op;
}

static void operation_free(Operation *op)
{
    g_free(op->path);
    if (op->bytes != NULL) {
        g_byte_array_unref(op->bytes);
    }
    g_free(op);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Operation, operation_free)

static guint left_ms(const Operation *op)
{
    gint64 left = (op->deadline_us - g_get_monotonic_time()) / 1000;
    return (guint)CLAMP(left, 1, G_MAXINT32);
}

static void next_call(Operation *op, const char *command, json_t *args, GaReplyFunc reply)
{
    ga_call(op->ga, command, args, left_ms(op), reply, op);
}

static GError *misshapen(const char *command, json_t *result)
{
    GError *error = NULL;
    char *shown = result != NULL ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    berth_error_set(&error, BERTH_ERROR_INVALID, "command", shown, NULL,
                    "the agent in the guest answered %s in another shape than its schema says",
                    command);
    free(shown);
    return error;
}

static void on_ping(json_t *result, const GError *error, gpointer user_data)
{
    g_autoptr(Operation) op = user_data;
    ((GaDoneFunc)op->func)(error, op->user_data);
}

void ga_ping(Ga *ga, guint timeout_ms, GaDoneFunc done, gpointer user_data)
{
    next_call(operation_new(ga, timeout_ms, G_CALLBACK(done), user_data), "guest-ping", NULL,
              on_ping);
}

/* NULL when it has another shape; free with g_free. */
static GaVcpu *read_vcpus(json_t *result, size_t *ret_n)
{
    if (!json_is_array(result)) {
        return NULL;
    }
    size_t n = json_array_size(result);
    g_autofree GaVcpu *vcpus = g_new0(GaVcpu, n + 1);
    json_t *item;
    size_t i;
    json_array_foreach (result, i, item) {
        json_int_t id;
        int online;
        int can_offline = 0;
        if (json_unpack(item, "{s:I, s:b, s?b}", "logical-id", &id, "online", &online,
                        "can-offline", &can_offline) != 0) {
            return NULL;
        }
        vcpus[i] = (GaVcpu){id, online != 0, can_offline != 0};
    }
    *ret_n = n;
    return g_steal_pointer(&vcpus);
}

static void on_vcpus(json_t *result, const GError *error, gpointer user_data)
{
    g_autoptr(Operation) op = user_data;
    size_t n = 0;
    g_autofree GaVcpu *vcpus = error == NULL ? read_vcpus(result, &n) : NULL;
    g_autoptr(GError) shape =
        error == NULL && vcpus == NULL ? misshapen("guest-get-vcpus", result) : NULL;
    ((GaVcpusFunc)op->func)(vcpus, n, error != NULL ? error : shape, op->user_data);
}

void ga_get_vcpus(Ga *ga, guint timeout_ms, GaVcpusFunc func, gpointer user_data)
{
    next_call(operation_new(ga, timeout_ms, G_CALLBACK(func), user_data), "guest-get-vcpus", NULL,
              on_vcpus);
}

static json_t *vcpus_argument(const GaVcpu *vcpus, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, json_pack("{s:I, s:b}", "logical-id", (json_int_t)vcpus[i].id,
                                              "online", (int)vcpus[i].online));
    }
    return json_pack("{s:o}", "vcpus", list);
}

static void on_set_vcpus(json_t *result, const GError *error, gpointer user_data)
{
    g_autoptr(Operation) op = user_data;
    g_autoptr(GError) shape =
        error == NULL && !json_is_integer(result) ? misshapen("guest-set-vcpus", result) : NULL;
    ((GaCountFunc)op->func)(json_integer_value(result), error != NULL ? error : shape,
                            op->user_data);
}

void ga_set_vcpus(Ga *ga, const GaVcpu *vcpus, size_t n, guint timeout_ms, GaCountFunc func,
                  gpointer user_data)
{
    next_call(operation_new(ga, timeout_ms, G_CALLBACK(func), user_data), "guest-set-vcpus",
              vcpus_argument(vcpus, n), on_set_vcpus);
}

static gint64 count_online(const GaVcpu *vcpus, size_t n)
{
    gint64 online = 0;
    for (size_t i = 0; i < n; i++) {
        online += vcpus[i].online;
    }
    return online;
}

static int compare_vcpus(const void *a, const void *b)
{
    const GaVcpu *left = a;
    const GaVcpu *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

/* Keeps in `vcpus` only those that must change, each with its new state; returns how many. */
static size_t plan_online(GaVcpu *vcpus, size_t n, gint64 wanted)
{
    qsort(vcpus, n, sizeof *vcpus, compare_vcpus);
    gint64 excess = count_online(vcpus, n) - wanted;
    g_autofree GaVcpu *plan = g_new0(GaVcpu, n + 1);
    size_t planned = 0;
    for (size_t i = n; i > 0 && excess > 0; i--) {
        if (vcpus[i - 1].online && vcpus[i - 1].can_offline) {
            plan[planned++] = (GaVcpu){vcpus[i - 1].id, false, true};
            excess--;
        }
    }
    for (size_t i = 0; i < n && excess < 0; i++) {
        if (!vcpus[i].online) {
            plan[planned++] = (GaVcpu){vcpus[i].id, true, true};
            excess++;
        }
    }
    memcpy(vcpus, plan, planned * sizeof *plan);
    return planned;
}

static void finish_count(Operation *op, gint64 count, const GError *error)
{
    g_autoptr(Operation) owned = op;
    ((GaCountFunc)owned->func)(count, error, owned->user_data);
}

static void on_vcpus_after(json_t *result, const GError *error, gpointer user_data)
{
    Operation *op = user_data;
    size_t n = 0;
    g_autofree GaVcpu *vcpus = error == NULL ? read_vcpus(result, &n) : NULL;
    if (vcpus == NULL) {
        g_autoptr(GError) shape = error == NULL ? misshapen("guest-get-vcpus", result) : NULL;
        finish_count(op, 0, error != NULL ? error : shape);
        return;
    }
    finish_count(op, count_online(vcpus, n), NULL);
}

static void on_vcpus_changed(json_t *result, const GError *error, gpointer user_data)
{
    Operation *op = user_data;
    if (error != NULL && error->domain == BERTH_ERROR && error->code != BERTH_ERROR_INTERNAL) {
        finish_count(op, 0, error);
        return;
    }
    /* The agent may have stopped half way: what counts is what is. */
    next_call(op, "guest-get-vcpus", NULL, on_vcpus_after);
}

static void on_vcpus_before(json_t *result, const GError *error, gpointer user_data)
{
    Operation *op = user_data;
    size_t n = 0;
    g_autofree GaVcpu *vcpus = error == NULL ? read_vcpus(result, &n) : NULL;
    if (vcpus == NULL) {
        g_autoptr(GError) shape = error == NULL ? misshapen("guest-get-vcpus", result) : NULL;
        finish_count(op, 0, error != NULL ? error : shape);
        return;
    }
    gint64 online = count_online(vcpus, n);
    size_t changes = plan_online(vcpus, n, op->wanted);
    if (changes == 0) {
        finish_count(op, online, NULL);
        return;
    }
    next_call(op, "guest-set-vcpus", vcpus_argument(vcpus, changes), on_vcpus_changed);
}

void ga_set_online(Ga *ga, gint64 wanted, guint timeout_ms, GaCountFunc func, gpointer user_data)
{
    Operation *op = operation_new(ga, timeout_ms, G_CALLBACK(func), user_data);
    op->wanted = wanted;
    next_call(op, "guest-get-vcpus", NULL, on_vcpus_before);
}

/* Strict: g_base64_decode reads what it likes into anything. NULL when `text` is none. */
static guint8 *decode_base64(const char *text, gsize *ret_size)
{
    size_t len = strlen(text);
    size_t body = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    if (len % 4 != 0 || body + strspn(text + body, "=") != len || len - body > 2) {
        return NULL;
    }
    return len > 0 ? g_base64_decode(text, ret_size) : g_malloc0(1);
}

static void finish_exec(Operation *op, const GaExecResult *result, const GError *error)
{
    g_autoptr(Operation) owned = op;
    ((GaExecFunc)owned->func)(result, error, owned->user_data);
}

static GBytes *read_output(json_t *result, const char *key, size_t max_bytes, bool *truncated)
{
    const char *text = json_string_value(json_object_get(result, key));
    gsize size = 0;
    g_autofree guint8 *data = decode_base64(text != NULL ? text : "", &size);
    if (data == NULL) {
        return NULL;
    }
    *truncated |= size > max_bytes;
    return g_bytes_new(data, MIN(size, max_bytes));
}

static void on_exec_ended(Operation *op, json_t *result)
{
    GaExecResult exec = {.exit_code = -1};
    int out_truncated = 0;
    int err_truncated = 0;
    json_unpack(result, "{s?i, s?i, s?b, s?b}", "exitcode", &exec.exit_code, "signal", &exec.signal,
                "out-truncated", &out_truncated, "err-truncated", &err_truncated);
    exec.truncated = out_truncated || err_truncated;
    g_autoptr(GBytes) out = read_output(result, "out-data", op->max_bytes, &exec.truncated);
    g_autoptr(GBytes) err = read_output(result, "err-data", op->max_bytes, &exec.truncated);
    if (out == NULL || err == NULL || (exec.exit_code < 0 && exec.signal == 0)) {
        g_autoptr(GError) shape = misshapen("guest-exec-status", NULL);
        finish_exec(op, NULL, shape);
        return;
    }
    exec.out = out;
    exec.err = err;
    finish_exec(op, &exec, NULL);
}

static void on_poll(json_t *result, const GError *error, gpointer user_data);

/* All that was printed comes at once with the word that the program has ended: more than a line may have, or
 * than the guest can send in the time. NULL: it is something else. */
static GError *printed_too_much(const Operation *op, const GError *error)
{
    GError *told = NULL;
    if (g_error_matches(error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE)) {
        berth_error_set(&told, BERTH_ERROR_TOO_LARGE, "argv", op->path,
                        "let it print less, or write to a file or the network",
                        "the program has ended, but printed more than can be fetched: of each "
                        "stream %u bytes are kept",
                        GA_MAX_EXEC_OUTPUT_BYTES);
    } else if (g_error_matches(error, BERTH_ERROR, BERTH_ERROR_TIMEOUT)) {
        berth_error_set(&told, BERTH_ERROR_TIMEOUT, "argv", op->path,
                        "allow it more time, or let it print less",
                        "the guest did not tell within %u ms how the program ended and what it "
                        "printed",
                        op->timeout_ms);
    }
    return told;
}

static void on_exec_status(json_t *result, const GError *error, gpointer user_data)
{
    Operation *op = user_data;
    int exited = 0;
    if (error != NULL) {
        g_autoptr(GError) told = printed_too_much(op, error);
        finish_exec(op, NULL, told != NULL ? told : error);
    } else if (json_unpack(result, "{s:b}", "exited", &exited) != 0) {
        g_autoptr(GError) shape = misshapen("guest-exec-status", result);
        finish_exec(op, NULL, shape);
    } else if (exited) {
        on_exec_ended(op, result);
    } else {
        op->poll_ms = MIN(op->poll_ms * 2, MAX_POLL_MS);
        ga_wait(op->ga, MIN(op->poll_ms, left_ms(op)), on_poll, op);
    }
}

static void on_poll(json_t *result, const GError *error, gpointer user_data)
{
    Operation *op = user_data;
    if (error != NULL) {
        finish_exec(op, NULL, error);
        return;
    }
    if (g_get_monotonic_time() >= op->deadline_us) {
        g_autoptr(GError) late = NULL;
        g_autofree char *pid = g_strdup_printf("%" G_GINT64_FORMAT, op->pid);
        berth_error_set(&late, BERTH_ERROR_TIMEOUT, "pid", pid,
                        "allow it more time, or end it there: nothing here does",
                        "the program still runs in the guest after %u ms", op->timeout_ms);
        finish_exec(op, NULL, late);
        return;
    }
    next_call(op, "guest-exec-status", json_pack("{s:I}", "pid", (json_int_t)op->pid),
              on_exec_status);
}

/* The agent says in GLib's words that there is no such program, the reason in brackets; NULL: another
 * refusal. */
static GError *no_program(const Operation *op, const GError *error)
{
    const char *begin = strstr(error->message, "Failed to execute child process");
    const char *open = begin != NULL ? strrchr(begin, '(') : NULL;
    size_t length = open != NULL ? strcspn(open + 1, ")") : 0;
    GError *told = NULL;
    if (length > 0) {
        berth_error_set(&told, BERTH_ERROR_INVALID, "argv", op->path,
                        "give a program that the guest has", "the guest cannot start it: %.*s",
                        (int)length, open + 1);
    }
    return told;
}

static void on_exec_started(json_t *result, const GError *error, gpointer user_data)
{
    Operation *op = user_data;
    json_int_t pid = 0;
    if (error != NULL) {
        g_autoptr(GError) told = no_program(op, error);
        finish_exec(op, NULL, told != NULL ? told : error);
    } else if (json_unpack(result, "{s:I}", "pid", &pid) != 0) {
        g_autoptr(GError) shape = misshapen("guest-exec", result);
        finish_exec(op, NULL, shape);
    } else {
        op->pid = pid;
        ga_wait(op->ga, op->poll_ms, on_poll, op);
    }
}

static json_t *strings(const char *const *list)
{
    json_t *array = json_array();
    for (; list != NULL && *list != NULL; list++) {
        json_array_append_new(array, json_string(*list));
    }
    return array;
}

void ga_exec(Ga *ga, const GaExec *exec, guint timeout_ms, GaExecFunc func, gpointer user_data)
{
    Operation *op = operation_new(ga, timeout_ms, G_CALLBACK(func), user_data);
    op->path = g_strdup(exec->argv[0]);
    op->poll_ms = FIRST_POLL_MS;
    bool within = exec->max_output_bytes > 0 && exec->max_output_bytes < GA_MAX_EXEC_OUTPUT_BYTES;
    op->max_bytes = within ? exec->max_output_bytes : GA_MAX_EXEC_OUTPUT_BYTES;
    json_t *args =
        json_pack("{s:s, s:o, s:o, s:b}", "path", exec->argv[0], "arg", strings(exec->argv + 1),
                  "env", strings(exec->env), "capture-output", 1);
    if (exec->input_size > 0) {
        g_autofree char *input = g_base64_encode(exec->input, exec->input_size);
        json_object_set_new(args, "input-data", json_string(input));
    }
    next_call(op, "guest-exec", args, on_exec_started);
}

static void finish_read(Operation *op, const GError *error)
{
    g_autoptr(Operation) owned = op;
    g_autoptr(GBytes) bytes =
        error == NULL ? g_byte_array_free_to_bytes(g_steal_pointer(&owned->bytes)) : NULL;
    ((GaBytesFunc)owned->func)(bytes, error, owned->user_data);
}

/* Closes the guest's file, whatever the outcome; nobody waits for that. */
static void close_and_finish(Operation *op, const GError *error)
{
    ga_call(op->ga, "guest-file-close", json_pack("{s:I}", "handle", (json_int_t)op->handle),
            CLOSE_TIMEOUT_MS, NULL, NULL);
    finish_read(op, error);
}

static void on_read(json_t *result, const GError *error, gpointer user_data);

static void read_more(Operation *op)
{
    size_t room = op->max_bytes - op->bytes->len + 1;
    next_call(op, "guest-file-read",
              json_pack("{s:I, s:I}", "handle", (json_int_t)op->handle, "count",
                        (json_int_t)MIN(room, READ_CHUNK_BYTES)),
              on_read);
}

static void on_read(json_t *result, const GError *error, gpointer user_data)
{
    Operation *op = user_data;
    if (error != NULL) {
        /* With the connection gone there is no agent to close anything. */
        bool lost = g_error_matches(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
        (lost ? finish_read : close_and_finish)(op, error);
        return;
    }
    const char *text = NULL;
    int eof = 0;
    gsize size = 0;
    int bad = json_unpack(result, "{s:s, s:b}", "buf-b64", &text, "eof", &eof);
    g_autofree guint8 *data = bad == 0 ? decode_base64(text, &size) : NULL;
    if (data == NULL) {
        g_autoptr(GError) shape = misshapen("guest-file-read", NULL);
        close_and_finish(op, shape);
        return;
    }
    g_byte_array_append(op->bytes, data, (guint)size);
    if (op->bytes->len > op->max_bytes) {
        g_autoptr(GError) large = NULL;
        berth_error_set(&large, BERTH_ERROR_TOO_LARGE, "path", op->path, NULL,
                        "the guest's file is larger than %zu bytes", op->max_bytes);
        close_and_finish(op, large);
    } else if (eof || size == 0) {
        close_and_finish(op, NULL);
    } else {
        read_more(op);
    }
}

static void on_opened(json_t *result, const GError *error, gpointer user_data)
{
    Operation *op = user_data;
    if (error != NULL) {
        finish_read(op, error);
    } else if (!json_is_integer(result)) {
        g_autoptr(GError) shape = misshapen("guest-file-open", result);
        finish_read(op, shape);
    } else {
        op->handle = json_integer_value(result);
        read_more(op);
    }
}

void ga_read_file(Ga *ga, const char *path, size_t max_bytes, guint timeout_ms, GaBytesFunc func,
                  gpointer user_data)
{
    Operation *op = operation_new(ga, timeout_ms, G_CALLBACK(func), user_data);
    op->path = g_strdup(path);
    op->max_bytes = max_bytes;
    op->bytes = g_byte_array_new();
    next_call(op, "guest-file-open", json_pack("{s:s, s:s}", "path", path, "mode", "r"), on_opened);
}

/* False when the address has another shape. */
static bool read_addresses(json_t *item, GPtrArray *addresses)
{
    json_t *address;
    size_t i;
    json_array_foreach (json_object_get(item, "ip-addresses"), i, address) {
        const char *ip;
        int prefix;
        if (json_unpack(address, "{s:s, s:i}", "ip-address", &ip, "prefix", &prefix) != 0) {
            return false;
        }
        g_ptr_array_add(addresses, g_strdup_printf("%s/%d", ip, prefix));
    }
    g_ptr_array_add(addresses, NULL);
    return true;
}

static void interface_clear(gpointer data)
{
    g_strfreev((char **)((GaInterface *)data)->addresses);
}

/* NULL when it has another shape. Names and MACs point into `result`. */
static GArray *read_interfaces(json_t *result)
{
    if (!json_is_array(result)) {
        return NULL;
    }
    g_autoptr(GArray) list = g_array_new(FALSE, TRUE, sizeof(GaInterface));
    g_array_set_clear_func(list, interface_clear);
    json_t *item;
    size_t i;
    json_array_foreach (result, i, item) {
        GaInterface interface = {
            .name = json_string_value(json_object_get(item, "name")),
            .mac = json_string_value(json_object_get(item, "hardware-address")),
        };
        g_autoptr(GPtrArray) addresses = g_ptr_array_new_with_free_func(g_free);
        if (interface.name == NULL || !read_addresses(item, addresses)) {
            return NULL;
        }
        interface.addresses = (const char *const *)g_ptr_array_steal(addresses, NULL);
        g_array_append_val(list, interface);
    }
    return g_steal_pointer(&list);
}

static void on_interfaces(json_t *result, const GError *error, gpointer user_data)
{
    g_autoptr(Operation) op = user_data;
    g_autoptr(GArray) list = error == NULL ? read_interfaces(result) : NULL;
    g_autoptr(GError) shape =
        error == NULL && list == NULL ? misshapen("guest-network-get-interfaces", result) : NULL;
    ((GaInterfacesFunc)op->func)(list != NULL ? (const GaInterface *)(void *)list->data : NULL,
                                 list != NULL ? list->len : 0, error != NULL ? error : shape,
                                 op->user_data);
}

void ga_get_interfaces(Ga *ga, guint timeout_ms, GaInterfacesFunc func, gpointer user_data)
{
    next_call(operation_new(ga, timeout_ms, G_CALLBACK(func), user_data),
              "guest-network-get-interfaces", NULL, on_interfaces);
}
