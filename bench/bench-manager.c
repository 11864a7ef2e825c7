/*
 * Placements through the manager: from a client's request over HTTPS to the answer, which leaves when
 * the decision is durable. The manager is the real one, with SQLite on a disk; its hosts are simulated
 * inside its process (simulated-agents.c) and answer at once, so what is measured is the manager's
 * work for a VM from the request to "all is done": requests, decisions, transactions, calls, reports.
 *
 *     apps of 100 VMs each, from 4 clients, and of 10, from 8; and of 100 each of which must stand on a
 *     host of its own, apart from the others of its group of apps (anti-affinity)
 *
 * (Creates of single VMs are in bench-api.c.) For each: VMs a second by the clock, and by the processor
 * time of the manager alone, since the clients share the machine with it; how long a request takes. Each
 * request comes over a connection of its own, whose handshake is in it. VMs have their power off.
 *
 *     bench-manager BUILD-DIR [--hosts N] [--seconds S] [--policy NAME]
 */
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "bench/programs.h"
#include "bench/simulated-hosts.h"
#include "cli/client.h"
#include "cluster/keys.h"
#include "store/store.h"

#define A_TRANSACTION 40 /* hosts; each has three keys */
#define GROUPS 100       /* of VMs that are kept apart */

static int n_hosts = 5000, seconds = 5;
static char *policy = NULL;

static GSubprocess *manager;
static Context *context;

typedef struct {
    int number, vms;
    bool apart;
    gint64 until;
    GArray *us; /* of guint32: how long each request took */
    bool failed;
} ClientJob;

static void put(StoreTxn *txn, char *key, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    g_autoptr(GBytes) value = g_bytes_new(text, strlen(text));

    store_txn_put(txn, key, value);
    free(text);
    json_decref(json);
    g_free(key);
}

static void put_host(StoreTxn *txn, uint32_t number)
{
    g_autofree char *id = simulated_host_id(number);
    g_autoptr(HostSpec) spec = simulated_host_spec(number);
    g_autoptr(HostFacts) facts = simulated_host_facts(number);
    g_autoptr(GBytes) name = g_bytes_new(id, strlen(id));
    g_autofree char *taken = key_name("host", "default", spec->name);

    put(txn, key_host(id, "spec"), host_spec_encode(spec));
    put(txn, key_host(id, "facts"), host_facts_encode(facts));
    store_txn_put(txn, taken, name);
}

static void write_hosts(void)
{
    g_autofree char *state = g_build_filename(programs_directory(), "manager", NULL);
    g_autofree char *path = g_build_filename(state, "store.db", NULL);
    g_autoptr(GError) error = NULL;

    g_mkdir_with_parents(state, 0700);
    Store *store = store_sqlite_open(path, NULL, &error);
    if (store == NULL) {
        programs_fail("the store", error);
    }
    for (int host = 0; host < n_hosts;) {
        StoreTxn *txn = store_txn_new();
        for (int i = 0; i < A_TRANSACTION && host < n_hosts; i++, host++) {
            put_host(txn, (uint32_t)host);
        }
        if (host < n_hosts) {
            store_commit(store, txn, NULL, NULL);
        } else if (!store_commit_sync(store, txn, NULL, &error)) {
            programs_fail("the store", error);
        }
    }
    store_free(store);
}

static void start(const char *build)
{
    g_autofree char *program = g_build_filename(build, "bench", "berth-manager-simulated", NULL);
    g_autofree char *state = g_build_filename(programs_directory(), "manager", NULL);
    g_autofree char *path = g_build_filename(programs_directory(), "context.yaml", NULL);
    g_autofree char *hosts = g_strdup_printf("%d", n_hosts);
    const char *argv[] = {program, "--state",      state, "--listen",  "127.0.0.1", "--api-port",
                          "0",     "--agent-port", "0",   "--context", path,        NULL};

    g_setenv(SIMULATED_HOSTS_ENV, hosts, TRUE);
    manager = programs_spawn(argv);
    for (int i = 0; i < 1200 && context == NULL; i++) {
        g_usleep(100000);
        if (g_file_test(path, G_FILE_TEST_EXISTS)) {
            context = context_load(path, NULL);
        }
    }
    if (context == NULL) {
        programs_fail("the manager does not start", NULL);
    }
}

static json_t *call(ApiClient *client, ApiOperation operation, const char *body)
{
    g_autoptr(GError) error = NULL;
    json_t *json = body != NULL ? json_loads(body, 0, NULL) : NULL;
    json_t *answer = api_call(client, &(ApiCall){.operation = operation, .body = json}, &error);

    if (answer == NULL) {
        programs_fail("a request", error);
    }
    json_decref(json);
    return answer;
}

static void wait_for_hosts(ApiClient *client)
{
    for (json_int_t up = 0; up < n_hosts;) {
        json_t *cluster = call(client, API_OP_GET_CLUSTER, NULL);
        up = json_integer_value(json_object_get(cluster, "hosts-up"));
        json_decref(cluster);
        g_usleep(100000);
    }
}

#define KERNEL "\177ELF"

/* A VM with its power off needs an image only in name: its first four bytes are enough. */
static void make_objects(ApiClient *client)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, KERNEL, -1);
    g_autofree char *image = g_strdup_printf("{\"name\":\"i\",\"kind\":\"kernel\",\"files\":[{"
                                             "\"role\":\"kernel\",\"sha256\":\"%s\",\"bytes\":4}]}",
                                             hash);
    g_autoptr(GBytes) content = g_bytes_new_static(KERNEL, strlen(KERNEL));

    json_decref(call(client, API_OP_CREATE_SIZE,
                     "{\"name\":\"s\",\"resources\":{\"cpu\":100,\"memory\":64}}"));
    json_decref(call(client, API_OP_CREATE_IMAGE, image));
    ApiCall upload = {.operation = API_OP_PUT_IMAGE_FILE, .params = {"i", hash}};
    g_autoptr(SoupMessage) message = api_client_message(client, &upload);
    soup_message_set_request_body_from_bytes(message, "application/octet-stream", content);
    g_autoptr(GInputStream) stream = api_client_send(client, message, NULL, &error);
    if (stream == NULL) {
        programs_fail("the image", error);
    }
}

static void make_rules(ApiClient *client)
{
    for (int i = 0; i < GROUPS; i++) {
        g_autofree char *body = g_strdup_printf(
            "{\"name\":\"r%d\",\"kind\":\"apart\",\"subject\":\"label/group=g%d\"}", i, i);
        json_decref(call(client, API_OP_CREATE_RULE, body));
    }
}

static double manager_seconds(void)
{
    return programs_processor_ms(programs_pid(manager)) / 1e3;
}

static char *request_body(const ClientJob *job, int i)
{
    g_autoptr(GString) body = g_string_new(NULL);

    g_string_printf(body,
                    "{\"name\":\"%s%d-%d-%d\",\"size\":\"s\",\"image\":\"i\",\"power\":\"off\"",
                    job->apart ? "a" : "b", job->vms, job->number, i);
    g_string_append_printf(body, ",\"count\":%d", job->vms);
    if (job->apart) {
        g_string_append_printf(body, ",\"labels\":{\"group\":\"g%d\"}",
                               (job->number + i * 4) % GROUPS);
    }
    if (policy != NULL) {
        g_string_append_printf(body, ",\"policy\":\"%s\"", policy);
    }
    g_string_append_c(body, '}');
    return g_strdup(body->str);
}

static gpointer run_client(gpointer data)
{
    ClientJob *job = data;
    g_autoptr(GMainContext) sources = g_main_context_new();
    g_autoptr(GError) error = NULL;

    g_main_context_push_thread_default(sources);
    ApiClient *client = api_client_new(context, &error);
    for (int i = 0; g_get_monotonic_time() < job->until; i++) {
        g_autofree char *body = request_body(job, i);
        json_t *json = json_loads(body, 0, NULL);
        ApiCall api = {.operation = API_OP_CREATE_APP, .body = json};
        gint64 begun = g_get_monotonic_time();
        json_t *answer = api_call(client, &api, &error);
        json_decref(json);
        if (answer == NULL) {
            fprintf(stderr, "bench-manager: %s\n", error->message);
            job->failed = true;
            break;
        }
        json_decref(answer);
        guint32 us = (guint32)(g_get_monotonic_time() - begun);
        g_array_append_val(job->us, us);
    }
    api_client_free(client);
    g_main_context_pop_thread_default(sources);
    return NULL;
}

static int compare_u32(const void *a, const void *b)
{
    guint32 x = *(const guint32 *)a, y = *(const guint32 *)b;

    return x < y ? -1 : x > y;
}

static void measure(int clients, int vms, bool apart)
{
    g_autofree ClientJob *jobs = g_new0(ClientJob, clients);
    g_autofree GThread **threads = g_new(GThread *, clients);
    g_autoptr(GArray) us = g_array_new(FALSE, FALSE, sizeof(guint32));
    gint64 begun = g_get_monotonic_time();
    double spent = manager_seconds();
    bool is_wrong = false;

    for (int i = 0; i < clients; i++) {
        jobs[i] = (ClientJob){.number = i,
                              .vms = vms,
                              .apart = apart,
                              .until = begun + (gint64)seconds * G_USEC_PER_SEC,
                              .us = g_array_new(FALSE, FALSE, sizeof(guint32))};
        threads[i] = g_thread_new("client", run_client, &jobs[i]);
    }
    for (int i = 0; i < clients; i++) {
        g_thread_join(threads[i]);
        g_array_append_vals(us, jobs[i].us->data, jobs[i].us->len);
        g_array_unref(jobs[i].us);
        is_wrong |= jobs[i].failed;
    }
    double took = (double)(g_get_monotonic_time() - begun) / G_USEC_PER_SEC;
    spent = manager_seconds() - spent;
    if (is_wrong || us->len == 0) {
        programs_fail("a client", NULL);
    }
    g_array_sort(us, compare_u32);
    const guint32 *sorted = (const guint32 *)(void *)us->data;
    double placed = (double)us->len * vms;
    printf("%7d%s %8d %9.0f %14.0f %9.1f %9.1f\n", vms, apart ? " apart" : "      ", n_hosts,
           placed / took, placed / spent, sorted[us->len / 2] / 1e3,
           sorted[us->len * 99 / 100] / 1e3);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"hosts", 0, 0, G_OPTION_ARG_INT, &n_hosts, "simulated [5000]", "N"},
        {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "of each part [5]", "S"},
        {"policy", 0, 0, G_OPTION_ARG_STRING, &policy, "of placement", "NAME"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) options = g_option_context_new("BUILD-DIR");
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(options, entries, NULL);
    if (!g_option_context_parse(options, &argc, &argv, NULL) || argc != 2 || n_hosts < 1) {
        fprintf(stderr, "usage: bench-manager BUILD-DIR [--hosts N] [--seconds S]\n");
        return 2;
    }
    programs_init("bench-manager");
    write_hosts();
    gint64 begun = g_get_monotonic_time();
    start(argv[1]);
    ApiClient *client = api_client_new(context, &error);
    if (client == NULL) {
        programs_fail("the context", error);
    }
    api_client_set_timeout(client, 0); /* a million hosts take their time to come */
    wait_for_hosts(client);
    printf("%d hosts up after %.1f s\n", n_hosts,
           (double)(g_get_monotonic_time() - begun) / G_USEC_PER_SEC);
    make_objects(client);
    printf("%7s       %8s %9s %14s %9s %9s\n", "an app", "hosts", "VMs/s", "VMs/s of CPU", "p50 ms",
           "p99 ms");
    measure(4, 100, false);
    measure(8, 10, false);
    make_rules(client);
    measure(4, 100, true);
    api_client_free(client);
    return 0;
}
