/*
 * The program itself against a scripted manager: what it asks, what it prints, how it ends.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "cli/tests/runner.h"

#define SMALL                                                                                      \
    "{\"name\": \"small\", \"revision\": 3, \"resources\": {\"cpu\": 500, \"memory\": 2048}, "     \
    "\"vcpus\": 1, \"max-vcpus\": 2, \"of-a-newer-release\": true}"

static void test_list_is_a_table(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "GET /v1/sizes", 200, "{\"items\": [" SMALL "]}");
    run_berth(f, "size list");
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(f->out, ==,
                    "NAME    CPU  MEMORY  DISK  DISK-BW  NET-BW  VCPUS  MAX-VCPUS\n"
                    "small  500m    2GiB     -        -       -      1          2\n");
    g_assert_cmpstr(f->err, ==, "");
    g_autoptr(FakeRequest) request = fake_manager_request(f->manager, 0);
    g_assert_cmpstr(request->authorization, ==, "Bearer sesame");
    g_assert_cmpstr(request->query, ==, "limit=1000");
}

static void test_list_takes_all_pages(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "GET /v1/sizes", 200,
                        "{\"items\": [" SMALL "], \"next\": \"a&b\"}");
    fake_manager_answer(f->manager, "GET /v1/sizes", 200, "{\"items\": [" SMALL "]}");
    run_berth(f, "size list -o json");
    g_assert_cmpint(f->status, ==, 0);
    assert_has(f->out, "of-a-newer-release");
    g_assert_cmpuint(fake_manager_count(f->manager), ==, 2);
    g_autoptr(FakeRequest) second = fake_manager_request(f->manager, 1);
    assert_has(second->query, "after=a%26b");
}

static void test_yaml_output(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "GET /v1/sizes/small", 200, SMALL);
    run_berth(f, "size show small -o yaml");
    g_assert_cmpstr(f->out, ==,
                    "name: small\nrevision: 3\nresources:\n  cpu: 500\n  memory: 2048\nvcpus: 1\n"
                    "max-vcpus: 2\nof-a-newer-release: true\n");
}

static void test_create_size(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "POST /v1/sizes", 201, SMALL);
    run_berth(f,
              "size create small --cpu 0.5 --memory 2GiB --net-bw 1Gbit --accelerator gpu/a100=2");
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(f->out, ==, "size small created\n");
    g_autoptr(FakeRequest) request = fake_manager_request(f->manager, 0);
    g_assert_cmpstr(request->body, ==,
                    "{\"name\":\"small\",\"resources\":{\"cpu\":500,\"memory\":2048,"
                    "\"net-bw\":1000,\"accelerators\":{\"gpu/a100\":2}}}");
    g_assert_cmpstr(request->query, ==, "");
    run_berth(f, "size create small --cpu 1 --memory 1GiB --dry-run");
    g_assert_cmpstr(f->out, ==, "size small would be created\n");
    g_autoptr(FakeRequest) dry = fake_manager_request(f->manager, 1);
    g_assert_cmpstr(dry->query, ==, "dry-run=true");
}

static void test_wrong_quantity_asks_nothing(Run *f, gconstpointer data)
{
    run_berth(f, "size create small --cpu 4x --memory 1GiB");
    g_assert_cmpint(f->status, ==, 2);
    assert_has(f->err, "--cpu");
    assert_has(f->err, "'4x'");
    assert_has(f->err, "write a count of CPUs (4, 0.5) or millicores (500m)");
    g_assert_cmpuint(fake_manager_count(f->manager), ==, 0);
}

static void test_refusal_is_shown_whole(Run *f, gconstpointer data)
{
    static const struct {
        const char *code;
        int http, status;
    } cases[] = {
        {"invalid", 400, 2},
        {"unauthenticated", 401, 8},
        {"forbidden", 403, 8},
        {"not-found", 404, 3},
        {"exists", 409, 4},
        {"conflict", 409, 4},
        {"precondition", 412, 4},
        {"too-large", 413, 2},
        {"no-capacity", 409, 5},
        {"unavailable", 503, 6},
        {"timeout", 504, 7},
        {"internal", 500, 1},
        {"of-a-newer-release", 409, 4},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *body = g_strdup_printf(
            "{\"error\": {\"code\": \"%s\", \"message\": \"went wrong\", \"field\": \"vm\", "
            "\"value\": \"web-1\", \"remedy\": \"do better\"}}",
            cases[i].code);
        g_autofree char *what = g_strdup_printf("GET /v1/vms/vm-%zu", i);
        g_autofree char *line = g_strdup_printf("vm show vm-%zu", i);
        fake_manager_answer(f->manager, what, cases[i].http, body);
        run_berth(f, line);
        g_assert_cmpint(f->status, ==, cases[i].status);
        g_assert_cmpstr(f->out, ==, "");
        assert_has(f->err, "went wrong");
        assert_has(f->err, "web-1");
        assert_has(f->err, "do better");
    }
}

static void test_not_berth(Run *f, gconstpointer data)
{
    fake_manager_answer_as(f->manager, "GET /v1/vms/a", 200, "text/html", "<html>hello</html>");
    run_berth(f, "vm show a");
    g_assert_cmpint(f->status, ==, 1);
    assert_has(f->err, "does the context's url lead to a berth-manager?");
    fake_manager_answer_as(f->manager, "GET /v1/vms/b", 502, "text/html", "<html>hello</html>");
    run_berth(f, "vm show b");
    g_assert_cmpint(f->status, ==, 6);
    fake_manager_answer_as(f->manager, "GET /v1/vms/c", 302, "text/html", "elsewhere");
    run_berth(f, "vm show c");
    g_assert_cmpint(f->status, !=, 0);
}

static void test_names_are_escaped(Run *f, gconstpointer data)
{
    run_berth(f, "vm show a/b?c");
    g_autoptr(FakeRequest) request = fake_manager_request(f->manager, 0);
    g_assert_cmpstr(request->query, ==, "");
    g_assert_cmpint(f->status, ==, 3);
}

#define OPERATION(state, more)                                                                     \
    "{\"id\": \"01OP\", \"kind\": \"vm.create\", \"subject\": {\"kind\": \"vm\", \"id\": "         \
    "\"01VM\", \"name\": \"web-1\"}, \"state\": \"" state "\"" more "}"

static void test_create_vm_waits(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "POST /v1/vms", 202,
                        OPERATION("running", ", \"message\": \"waits for the host\""));
    fake_manager_answer(f->manager, "GET /v1/operations/01OP", 200,
                        OPERATION("running", ", \"message\": \"waits for the host\""));
    fake_manager_answer(f->manager, "GET /v1/operations/01OP", 200,
                        OPERATION("done", ", \"message\": \"runs on h2\""));
    run_berth(f, "vm create web-1 --size small --image demo --network blue,green --network red");
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(f->out, ==, "vm web-1: runs on h2\n");
    g_autoptr(FakeRequest) request = fake_manager_request(f->manager, 0);
    g_assert_cmpstr(request->query, ==, "wait=1");
    g_assert_cmpstr(request->body, ==,
                    "{\"name\":\"web-1\",\"size\":\"small\",\"image\":\"demo\","
                    "\"networks\":[\"blue\",\"green\",\"red\"]}");
    g_autoptr(FakeRequest) asked = fake_manager_request(f->manager, 1);
    g_assert_cmpstr(asked->query, ==, "wait=2");
}

static void test_wait_outlives_the_manager(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "POST /v1/vms", 202, OPERATION("running", ""));
    fake_manager_answer(f->manager, "GET /v1/operations/01OP", 503, "{}");
    fake_manager_answer(f->manager, "GET /v1/operations/01OP", 200,
                        OPERATION("done", ", \"message\": \"runs on h2\""));
    run_berth(f, "vm create web-1 --size small --image demo");
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(f->out, ==, "vm web-1: runs on h2\n");
}

static void test_create_vm_no_wait(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "POST /v1/vms", 202, OPERATION("running", ""));
    run_berth(f, "vm create web-1 --size small --image demo --no-wait");
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(f->out, ==, "vm web-1: running\noperation 01OP\n");
    g_assert_cmpuint(fake_manager_count(f->manager), ==, 1);
    g_autoptr(FakeRequest) request = fake_manager_request(f->manager, 0);
    g_assert_cmpstr(request->query, ==, "");
}

static void test_wait_runs_out(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "POST /v1/vms", 202,
                        OPERATION("running", ", \"message\": \"waits for the host\""));
    fake_manager_answer(f->manager, "GET /v1/operations/01OP", 200,
                        OPERATION("running", ", \"message\": \"waits for the host\""));
    run_berth(f, "vm create web-1 --size small --image demo --wait=1");
    g_assert_cmpint(f->status, ==, 7);
    assert_has(f->err, "vm web-1 is not over after 1 s: waits for the host");
    assert_has(f->err, "berth operation wait 01OP");
}

static void test_failed_operation(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "POST /v1/vms", 200,
                        OPERATION("failed", ", \"error\": {\"code\": \"no-capacity\", "
                                            "\"message\": \"no room\", \"remedy\": \"add one\"}"));
    run_berth(f, "vm create web-1 --size small --image demo");
    g_assert_cmpint(f->status, ==, 5);
    g_assert_cmpstr(f->out, ==, "");
    assert_has(f->err, "vm web-1: no room");
    assert_has(f->err, "add one");
}

#define EXPLANATION                                                                                \
    "{\"policy\": \"most-free\", \"request\": {\"cpu\": 500, \"memory\": 2048}, \"hosts\": ["      \
    "{\"host\": \"h1\", \"verdict\": \"needs 2GiB memory, has 1GiB\"}, {\"host\": \"h2\", "        \
    "\"verdict\": \"chosen\", \"chosen\": true, \"fits\": true, \"score\": 0.75}]}"

static void test_dry_run_explains(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "POST /v1/vms", 200,
                        "{\"id\": \"\", \"kind\": \"vm.create\", \"state\": \"done\", \"dry-run\": "
                        "true, \"message\": \"nothing was done\", \"plan\": [{\"name\": \"web-1\", "
                        "\"host\": \"h2\"}], \"explanation\": " EXPLANATION "}");
    run_berth(f, "vm create web-1 --size small --image demo --dry-run --explain");
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(f->out, ==,
                    "web-1 would go to h2\nnothing was done\n"
                    "Policy most-free, asked for 500m cpu, 2GiB memory:\n"
                    "   HOST   SCORE  VERDICT\n"
                    "-  h1         -  needs 2GiB memory, has 1GiB\n"
                    "*  h2    0.7500  chosen\n");
    g_autoptr(FakeRequest) request = fake_manager_request(f->manager, 0);
    assert_has(request->query, "dry-run=true");
    assert_has(request->query, "explain=true");
}

static void test_refusal_explains(Run *f, gconstpointer data)
{
    fake_manager_answer(
        f->manager, "POST /v1/vms", 409,
        "{\"error\": {\"code\": \"no-capacity\", \"message\": \"no host has room\", "
        "\"explanation\": " EXPLANATION "}}");
    run_berth(f, "vm create web-1 --size small --image demo --explain");
    g_assert_cmpint(f->status, ==, 5);
    assert_has(f->err, "no host has room");
    assert_has(f->err, "needs 2GiB memory, has 1GiB");
}

static void test_failed_operation_explains(Run *f, gconstpointer data)
{
    fake_manager_answer(
        f->manager, "POST /v1/vms", 200,
        OPERATION("failed", ", \"message\": \"broke\", \"explanation\": " EXPLANATION));
    run_berth(f, "vm create web-1 --size small --image demo --explain");
    g_assert_cmpint(f->status, ==, 1);
    g_assert_cmpstr(f->out, ==, "");
    assert_has(f->err, "vm web-1: broke");
    assert_has(f->err, "needs 2GiB memory, has 1GiB");
}

static void test_several_go_on(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "DELETE /v1/vms/web-1", 200,
                        OPERATION("done", ", \"message\": \"removed\""));
    run_berth(f, "vm delete web-9 web-1");
    g_assert_cmpint(f->status, ==, 3);
    g_assert_cmpstr(f->out, ==, "vm web-1: removed\n");
    assert_has(f->err, "not scripted");
}

static void test_exec(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "POST /v1/vms/web-1/exec", 200,
                        "{\"exit-code\": 3, \"out\": \"aGVsbG8K\", \"err\": \"b29wcwo=\"}");
    run_berth(f, "vm exec --timeout 5s web-1 -- ls -l --help");
    g_assert_cmpint(f->status, ==, 3);
    g_assert_cmpstr(f->out, ==, "hello\n");
    g_assert_cmpstr(f->err, ==, "oops\n");
    g_autoptr(FakeRequest) request = fake_manager_request(f->manager, 0);
    g_assert_cmpstr(request->body, ==, "{\"argv\":[\"ls\",\"-l\",\"--help\"],\"timeout-ms\":5000}");
    for (int i = 0; i < 2; i++) {
        g_autofree char *what = g_strdup_printf("POST /v1/vms/boots-%d/exec", i);
        fake_manager_answer(f->manager, what, 503,
                            "{\"error\": {\"code\": \"unavailable\", \"message\": \"it boots\"}}");
        fake_manager_answer(f->manager, what, 200, "{\"exit-code\": 0, \"out\": \"aGVsbG8K\"}");
    }
    run_berth(f, "vm exec boots-0 ls");
    g_assert_cmpint(f->status, ==, 6);
    run_berth(f, "vm exec --wait boots-1 ls");
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(f->out, ==, "hello\n");
}

static void test_labels_keep_the_others(Run *f, gconstpointer data)
{
    const char *host =
        "{\"id\": \"01H\", \"name\": \"h1\", \"revision\": 7, \"spec\": "
        "{\"labels\": {\"a\": \"1\", \"b\": \"2\"}}, \"status\": {\"state\": \"up\"}}";
    fake_manager_answer(f->manager, "GET /v1/hosts/h1", 200, host);
    fake_manager_answer(f->manager, "PATCH /v1/hosts/h1", 200, host);
    run_berth(f, "host label h1 c=3 a-");
    g_assert_cmpint(f->status, ==, 0);
    g_autoptr(FakeRequest) request = fake_manager_request(f->manager, -1);
    g_assert_cmpstr(request->if_match, ==, "\"7\"");
    g_assert_cmpstr(request->body, ==, "{\"labels\":{\"b\":\"2\",\"c\":\"3\"}}");
}

static void test_follow_resumes(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "GET /v1/cluster", 200,
                        "{\"id\": \"x\", \"revision\": 41, \"writable\": true}");
    fake_manager_answer_as(f->manager, "GET /v1/events", 200, "text/event-stream",
                           ": hello\n\nid: 42\ndata: {\"id\": \"e\", \"kind\": \"vm.running\", "
                           "\"at-ms\": 0, \"message\": \"it runs\"}\n\n");
    fake_manager_answer(f->manager, "GET /v1/events", 403,
                        "{\"error\": {\"code\": \"forbidden\", \"message\": \"no more\"}}");
    run_berth(f, "event follow");
    g_assert_cmpint(f->status, ==, 8);
    g_assert_cmpstr(f->out, ==, "1970-01-01T00:00:00.000Z  vm.running      it runs\n");
    g_autoptr(FakeRequest) first = fake_manager_request(f->manager, 1);
    g_assert_cmpstr(first->accept, ==, "text/event-stream");
    g_assert_cmpstr(first->query, ==, "follow=true&from=41");
    g_autoptr(FakeRequest) second = fake_manager_request(f->manager, 2);
    g_assert_cmpstr(second->query, ==, "follow=true&from=42");
    g_assert_cmpstr(second->last_event_id, ==, "42");
}

static void test_console(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "GET /v1/vms/web-1", 200, "{}");
    fake_manager_console(f->manager, "/v1/vms/web-1/console", "login: ");
    run_berth_with(f, fake_manager_context(f->manager, NULL), "root\n", "vm console web-1");
    g_assert_cmpstr(f->err, ==, "");
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(f->out, ==, "login: ROOT\n");
    g_autoptr(FakeRequest) request = fake_manager_request(f->manager, 1);
    g_assert_cmpstr(request->authorization, ==, "Bearer sesame");
}

static void test_console_ends_in_time(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "GET /v1/vms/web-1", 200, "{}");
    fake_manager_console(f->manager, "/v1/vms/web-1/console", "login: ");
    run_berth_with(f, fake_manager_context(f->manager, NULL), "", "vm console web-1 --for 300ms");
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(f->out, ==, "login: ");
    run_berth(f, "vm console web-2");
    g_assert_cmpint(f->status, ==, 3);
    assert_has(f->err, "not scripted");
    fake_manager_answer(f->manager, "GET /v1/vms/web-3", 200, "{}");
    fake_manager_answer(f->manager, "GET /v1/vms/web-3/console", 503, "{}");
    run_berth(f, "vm console web-3");
    g_assert_cmpint(f->status, ==, 6);
    assert_has(f->err, "503");
}

/* A megabyte of nothing in particular, and its hash. */
/* `begin` and then as many x as make up the length. */
static char *make_file(const char *directory, const char *name, const char *begin, size_t length,
                       char **ret_sha256)
{
    char *path = g_build_filename(directory, name, NULL);
    g_autofree char *bytes = g_strnfill(length, 'x');
    memcpy(bytes, begin, strlen(begin));
    g_assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
    *ret_sha256 = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)bytes, length);
    return path;
}

/* An image of two files, of which the initrd is there already. */
static char *demo_image(const char *state, const char *kernel_sha, const char *initrd_sha)
{
    return g_strdup_printf("{\"id\": \"beef\", \"name\": \"demo\", \"kind\": \"kernel\", "
                           "\"state\": \"%s\", \"files\": [{\"role\": \"kernel\", \"sha256\": "
                           "\"%s\", \"bytes\": 3000000}, {\"role\": \"initrd\", \"sha256\": "
                           "\"%s\", \"bytes\": 1000}], \"received\": [\"%s\"]}",
                           state, kernel_sha, initrd_sha, initrd_sha);
}

static void test_image_add(Run *f, gconstpointer data)
{
    g_autofree char *directory = g_dir_make_tmp("berth-cli-XXXXXX", NULL);
    g_autofree char *kernel_sha = NULL, *initrd_sha = NULL;
    g_autofree char *kernel = make_file(directory, "vmlinuz", "\177ELF", 3000000, &kernel_sha);
    g_autofree char *initrd = make_file(directory, "initrd", "070701", 1000, &initrd_sha);
    g_autofree char *waiting = demo_image("waiting", kernel_sha, initrd_sha);
    g_autofree char *ready = demo_image("ready", kernel_sha, initrd_sha);
    g_autofree char *put = g_strdup_printf("PUT /v1/images/beef/files/%s", kernel_sha);
    fake_manager_answer(f->manager, "POST /v1/images", 201, waiting);
    fake_manager_answer(f->manager, put, 200, ready);
    g_autofree char *line =
        g_strdup_printf("image add demo --kernel %s --initrd %s --cmdline quiet", kernel, initrd);
    run_berth(f, line);
    g_assert_cmpstr(f->err, ==, "");
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(f->out, ==, "image demo ready\n");
    g_autoptr(FakeRequest) created = fake_manager_request(f->manager, 0);
    assert_has(created->body, kernel_sha);
    assert_has(created->body, "\"cmdline\":\"quiet\"");
    g_assert_cmpuint(fake_manager_count(f->manager), ==, 2);
    g_autoptr(FakeRequest) sent = fake_manager_request(f->manager, 1);
    g_autofree char *sent_sha = g_compute_checksum_for_data(
        G_CHECKSUM_SHA256, (const guchar *)sent->body, sent->body_length);
    g_assert_cmpstr(sent_sha, ==, kernel_sha);
    g_unlink(kernel);
    g_unlink(initrd);
    g_rmdir(directory);
}

static void test_image_that_is_none(Run *f, gconstpointer data)
{
    g_autofree char *directory = g_dir_make_tmp("berth-cli-XXXXXX", NULL);
    g_autofree char *sha = NULL;
    g_autofree char *path = make_file(directory, "disk", "", 100, &sha);
    g_autofree char *qcow2 = g_strdup_printf("image add d --disk %s --format qcow2", path);
    run_berth(f, qcow2);
    g_assert_cmpint(f->status, ==, 2);
    assert_has(f->err, "does not begin as a qcow2 image");
    g_autofree char *raw = g_strdup_printf("image add d --disk %s", path);
    run_berth(f, raw);
    g_assert_cmpint(f->status, ==, 2);
    assert_has(f->err, "the file is no disk that boots");
    g_autofree char *kernel = g_strdup_printf("image add d --kernel %s", path);
    run_berth(f, kernel);
    g_assert_cmpint(f->status, ==, 2);
    assert_has(f->err, "not a kernel that QEMU boots");
    g_autofree char *missing = g_strdup_printf("image add d --disk %s.gone", path);
    run_berth(f, missing);
    g_assert_cmpint(f->status, ==, 2);
    assert_has(f->err, "--disk");
    run_berth(f, "image add d --disk a --kernel b");
    g_assert_cmpint(f->status, ==, 2);
    g_assert_cmpuint(fake_manager_count(f->manager), ==, 0);
    g_unlink(path);
    g_rmdir(directory);
}

static void test_tls(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "GET /v1/sizes/small", 200, SMALL);
    run_berth(f, "size show small");
    g_assert_cmpstr(f->err, ==, "");
    g_assert_cmpint(f->status, ==, 0);
    assert_has(f->out, "small");
}

static void test_wrong_ca(Run *f, gconstpointer data)
{
    fake_manager_answer(f->manager, "GET /v1/sizes/small", 200, SMALL);
    run_berth_with(f, fake_manager_context(f->manager, "other-ca.pem"), NULL, "size show small");
    g_assert_cmpint(f->status, ==, 8);
    assert_has(f->err, "is not the manager of this context");
    g_assert_cmpuint(fake_manager_count(f->manager), ==, 0);
}

static void test_nobody_there(Run *f, gconstpointer data)
{
    g_autofree char *directory = g_dir_make_tmp("berth-cli-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "context.yaml", NULL);
    g_file_set_contents(path, "url: http://127.0.0.1:1\ntoken: x\n", -1, NULL);
    run_berth_with(f, path, NULL, "vm list");
    g_assert_cmpint(f->status, ==, 6);
    assert_has(f->err, "cannot reach the manager at http://127.0.0.1:1");
    run_berth_with(f, "/nowhere/context.yaml", NULL, "vm list");
    g_assert_cmpint(f->status, ==, 3);
    assert_has(f->err, "sudo berth dev");
    g_unlink(path);
    g_rmdir(directory);
}

static void test_help_and_usage(Run *f, gconstpointer data)
{
    run_berth(f, "--help");
    g_assert_cmpint(f->status, ==, 0);
    assert_has(f->out, "vm create NAME");
    assert_has(f->out, "no host has room for it");
    run_berth(f, "vm create --help");
    g_assert_cmpint(f->status, ==, 0);
    assert_has(f->out, "--explain");
    run_berth(f, "help vm create");
    assert_has(f->out, "--explain");
    run_berth(f, "vm --help");
    assert_has(f->out, "vm purge ID");
    for (int i = 0; i < 2; i++) {
        run_berth(f, i == 0 ? "host token --help" : "help host token");
        g_assert_cmpint(f->status, ==, 0);
        assert_has(f->out, "host token create");
    }
    run_berth(f, "vm crate x");
    g_assert_cmpint(f->status, ==, 2);
    assert_has(f->err, "did you mean 'berth vm create'?");
    run_berth(f, "vn list");
    assert_has(f->err, "did you mean 'berth vm'?");
    run_berth(f, "vm list --hots x");
    g_assert_cmpint(f->status, ==, 2);
    assert_has(f->err, "did you mean --host?");
    run_berth(f, "host token");
    g_assert_cmpint(f->status, ==, 2);
    assert_has(f->err, "create, list, revoke");
    run_berth(f, "vm show");
    assert_has(f->err, "usage: berth vm show NAME");
    run_berth(f, "size create x --memory 1GiB");
    assert_has(f->err, "give --cpu AMOUNT");
    assert_has(f->err, "usage: berth size create NAME --cpu AMOUNT --memory AMOUNT");
    run_berth(f, "size create x --memory 1GiB --cpu 4x");
    assert_has(f->err, "4x");
    g_assert_null(strstr(f->err, "usage:")); /* nothing is wrong with the line but the value */
    run_berth(f, "--version");
    g_assert_cmpstr(f->out, ==, "berth " BERTH_VERSION "\n");
    g_assert_cmpuint(fake_manager_count(f->manager), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    run_test_add("/cli/berth/list-is-a-table", test_list_is_a_table);
    run_test_add("/cli/berth/list-takes-all-pages", test_list_takes_all_pages);
    run_test_add("/cli/berth/yaml-output", test_yaml_output);
    run_test_add("/cli/berth/create-size", test_create_size);
    run_test_add("/cli/berth/wrong-quantity-asks-nothing", test_wrong_quantity_asks_nothing);
    run_test_add("/cli/berth/refusal-is-shown-whole", test_refusal_is_shown_whole);
    run_test_add("/cli/berth/not-berth", test_not_berth);
    run_test_add("/cli/berth/names-are-escaped", test_names_are_escaped);
    run_test_add("/cli/berth/create-vm-waits", test_create_vm_waits);
    run_test_add("/cli/berth/wait-outlives-the-manager", test_wait_outlives_the_manager);
    run_test_add("/cli/berth/create-vm-no-wait", test_create_vm_no_wait);
    run_test_add("/cli/berth/wait-runs-out", test_wait_runs_out);
    run_test_add("/cli/berth/failed-operation", test_failed_operation);
    run_test_add("/cli/berth/dry-run-explains", test_dry_run_explains);
    run_test_add("/cli/berth/refusal-explains", test_refusal_explains);
    run_test_add("/cli/berth/failed-operation-explains", test_failed_operation_explains);
    run_test_add("/cli/berth/several-go-on", test_several_go_on);
    run_test_add("/cli/berth/exec", test_exec);
    run_test_add("/cli/berth/labels-keep-the-others", test_labels_keep_the_others);
    run_test_add("/cli/berth/follow-resumes", test_follow_resumes);
    run_test_add("/cli/berth/console", test_console);
    run_test_add("/cli/berth/console-ends-in-time", test_console_ends_in_time);
    run_test_add("/cli/berth/image-add", test_image_add);
    run_test_add("/cli/berth/image-that-is-none", test_image_that_is_none);
    run_test_add("/cli/berth/nobody-there", test_nobody_there);
    run_test_add("/cli/berth/help-and-usage", test_help_and_usage);
    run_test_add_tls("/cli/berth/tls", test_tls);
    run_test_add_tls("/cli/berth/wrong-ca", test_wrong_ca);
    return g_test_run();
}
