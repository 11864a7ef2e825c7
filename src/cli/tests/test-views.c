/*
 * How each object looks: what the program prints of an answer.
 */
#include <string.h>

#include "cli/tests/runner.h"

#define VM                                                                                         \
    "{\"id\": \"01V\", \"name\": \"web-1\", \"tenant\": \"default\", \"revision\": 4, \"spec\": "  \
    "{\"name\": \"web-1\", \"app\": \"01A\", \"size\": \"small\", \"resources\": {\"cpu\": 500, "  \
    "\"memory\": 256, \"net-bw\": 100}, \"vcpus\": 1, \"max-vcpus\": 2, \"image\": \"01I\", "      \
    "\"networks\": [\"01N\"], \"power\": \"on\", \"restart\": \"always\"}, \"placement\": "        \
    "{\"host\": \"01H\", \"host-name\": \"h2\", \"epoch\": 3, \"why\": \"most-free\", "            \
    "\"hardware\": {\"machine\": \"pc-q35-7.2\", \"cpu-model\": \"qemu64\", \"accelerator\": "     \
    "\"tcg\", \"uuid\": \"u\", \"ram-kib\": 262000, \"ram-class\": \"private\", \"vcpus\": 1, "    \
    "\"max-vcpus\": 2, \"max-memory\": 256}, \"nics\": [{\"network\": \"01N\", \"mac\": "          \
    "\"52:54:00:12:34:56\", \"ipv4\": \"10.64.0.2\"}]}, \"status\": {\"power\": \"%s\"%s}}"

static void have_names(Run *run)
{
    fake_manager_answer(run->manager, "GET /v1/apps", 200,
                        "{\"items\": [{\"id\": \"01A\", \"name\": \"web\"}]}");
    fake_manager_answer(run->manager, "GET /v1/networks", 200,
                        "{\"items\": [{\"id\": \"01N\", \"name\": \"blue\"}]}");
    fake_manager_answer(run->manager, "GET /v1/images", 200,
                        "{\"items\": [{\"id\": \"01I\", \"name\": \"demo\"}]}");
}

static void test_vm_list(Run *run, gconstpointer data)
{
    static const struct {
        const char *power, *more, *shown;
    } cases[] = {
        {"running", "", "running"},
        {"running", ", \"transition\": \"resizing\"", "running (resizing)"},
        {"running", ", \"transition\": \"none\"", "running"},
        {"off", ", \"cause\": \"guest-poweroff\"", "off (guest-poweroff)"},
        {"off", ", \"cause\": \"requested\"", "off"},
        {"crashed", ", \"cause\": \"qemu-killed\"", "crashed (qemu-killed)"},
        {"starting", ", \"transition\": \"starting\"", "starting"},
    };
    have_names(run);
    GString *list = g_string_new("{\"items\": [");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_string_append_printf(list, i > 0 ? ", " VM : VM, cases[i].power, cases[i].more);
    }
    g_string_append(list, "]}");
    fake_manager_answer(run->manager, "GET /v1/vms", 200, list->str);
    g_string_free(list, TRUE);
    run_berth(run, "vm list");
    g_auto(GStrv) lines = g_strsplit(run->out, "\n", -1);
    g_assert_cmpstr(lines[0], ==,
                    "NAME   POWER                  HOST   CPU  MEMORY  ADDRESS    APP  AGE");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *row = g_strdup_printf(
            "web-1  %-21s  h2    500m  256MiB  10.64.0.2  web    -", cases[i].shown);
        g_assert_cmpstr(lines[i + 1], ==, row);
    }
}

static void test_vm_list_filters(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "GET /v1/vms", 200, "{\"items\": []}");
    run_berth(run, "vm list --app web --host h2");
    g_assert_cmpstr(run->out, ==, "NAME  POWER  HOST  CPU  MEMORY  ADDRESS  APP  AGE\n");
    g_autoptr(FakeRequest) request = fake_manager_request(run->manager, 0);
    g_assert_cmpstr(request->query, ==, "app=web&host=h2&limit=1000");
}

static void test_vm_show(Run *run, gconstpointer data)
{
    have_names(run);
    g_autofree char *vm = g_strdup_printf(
        VM, "running", ", \"guest-agent\": true, \"message\": \"all\\u001b[2J is well\"");
    fake_manager_answer(run->manager, "GET /v1/vms/web-1", 200, vm);
    run_berth(run, "vm show web-1");
    g_assert_cmpint(run->status, ==, 0);
    g_assert_cmpstr(run->out, ==,
                    "Name          web-1\n"
                    "Id            01V\n"
                    "App           web\n"
                    "Size          small\n"
                    "Resources     500m cpu, 256MiB memory, 100Mbit net-bw\n"
                    "vCPUs         1, at most 2\n"
                    "Image         demo\n"
                    "Restart       always\n"
                    "Wanted        on\n"
                    "Power         running\n"
                    "Message       all?[2J is well\n"
                    "Restarts      0\n"
                    "vCPUs online  0\n"
                    "Guest agent   answers\n"
                    "Host          h2\n"
                    "Why there     most-free\n"
                    "Epoch         3\n"
                    "Hardware      pc-q35-7.2, qemu64, tcg\n"
                    "Network       blue: 10.64.0.2, 52:54:00:12:34:56\n");
}

#define HOST                                                                                       \
    "{\"id\": \"01H\", \"name\": \"h1\", \"revision\": 2, \"spec\": {\"cordoned\": true, "         \
    "\"labels\": {\"rack\": \"7\"}}, \"status\": {\"state\": \"up\", \"vms\": 2, \"facts\": "      \
    "{\"capacity\": {\"cpu\": 4000, \"memory\": 8192}, \"address\": \"10.0.0.1\", "                \
    "\"accelerator\": {\"kind\": \"tcg\", \"reason\": \"no /dev/kvm\"}}, \"ledger\": "             \
    "[{\"dimension\": \"cpu\", \"capacity\": 4000, \"reserve\": 500, \"guaranteed\": 1000, "       \
    "\"committed\": 1500, \"effective\": 1500, \"used\": 200}, {\"dimension\": \"memory\", "       \
    "\"capacity\": 8192, \"committed\": 2048}], \"devices\": [{\"device\": \"a\", \"model\": "     \
    "\"gpu/a100\", \"slices\": 7, \"free\": 3, \"vms\": [{\"vm\": \"one\", \"slices\": 4}]}, "     \
    "{\"device\": \"b\", \"model\": \"fpga/u250\", \"slices\": 1, \"free\": 1}], "                 \
    "\"quarantined\": [{\"id\": \"01Q\", \"name\": "                                               \
    "\"lost\", \"power\": \"running\"}]}}"

static void test_host(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "GET /v1/hosts", 200, "{\"items\": [" HOST "]}");
    fake_manager_answer(run->manager, "GET /v1/hosts/h1", 200, HOST);
    run_berth(run, "host list");
    g_assert_cmpstr(run->out, ==,
                    "NAME  STATE         ACCEL  VMS          CPU     MEMORY  ADDRESS   SINCE\n"
                    "h1    up, cordoned  tcg      2  1500m/3500m  2GiB/8GiB  10.0.0.1      -\n");
    run_berth(run, "host show h1");
    assert_has(run->out, "Accelerator  tcg: no /dev/kvm\n");
    assert_has(run->out, "Label        rack=7\n");
    assert_has(run->out, "Device       a: gpu/a100, 3 of 7 slices free; one (4)\n");
    assert_has(run->out, "Device       b: fpga/u250, free\n");
    assert_has(run->out, "01Q (lost, running): 'berth vm adopt' or 'berth vm purge'");
    assert_has(run->out,
               "RESOURCE  CAPACITY  RESERVE  GUARANTEED  COMMITTED  EFFECTIVE  USED   FREE\n"
               "cpu              4     500m           1      1500m      1500m  200m  2500m\n"
               "memory        8GiB        0           0       2GiB          0     0   8GiB\n");
}

static void test_host_changes(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "PATCH /v1/hosts/h1", 200, HOST);
    run_berth(run, "host cordon h1");
    g_assert_cmpstr(run->out, ==, "host h1 takes no new VMs\n");
    run_berth(run, "host reserve h1 --cpu 1 --memory 1GiB");
    g_autoptr(FakeRequest) cordon = fake_manager_request(run->manager, 0);
    g_assert_cmpstr(cordon->body, ==, "{\"cordoned\":true}");
    g_autoptr(FakeRequest) reserve = fake_manager_request(run->manager, 1);
    g_assert_cmpstr(reserve->body, ==, "{\"reserve\":{\"cpu\":1000,\"memory\":1024}}");
}

static void test_host_drain(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "POST /v1/hosts/h1/drain", 202,
                        "{\"id\": \"01OP\", \"kind\": \"host.drain\", \"state\": \"running\", "
                        "\"subject\": {\"kind\": \"host\", \"id\": \"01H\", \"name\": \"h1\"}, "
                        "\"message\": \"1 VM left: web-1\"}");
    run_berth(run, "host drain h1 --no-wait");
    g_assert_cmpint(run->status, ==, 0);
    assert_has(run->out, "1 VM left: web-1");
    fake_manager_answer(run->manager, "GET /v1/hosts/h1", 200,
                        "{\"id\": \"01H\", \"name\": \"h1\", \"revision\": 2, \"spec\": "
                        "{\"cordoned\": true, \"draining\": true}, \"status\": {\"state\": \"up\", "
                        "\"drain\": \"draining\", \"vms\": 3, \"vms-left\": 1}}");
    run_berth(run, "host show h1");
    assert_has(run->out, "Drain     draining: 1 of 3 VMs left");
}

static void test_join_token(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "POST /v1/join-tokens", 201,
                        "{\"id\": \"01T\", \"token\": \"01T.secret\", \"expires-ms\": "
                        "95617584000000, \"uses\": 3}");
    run_berth(run, "host token create --valid 2h --uses 3");
    g_assert_cmpstr(run->out, ==, "01T.secret\n"); /* alone, for a script to take */
    assert_has(run->err, "3 hosts may join with it");
    g_autoptr(FakeRequest) request = fake_manager_request(run->manager, 0);
    g_assert_cmpstr(request->body, ==, "{\"uses\":3,\"valid-seconds\":7200}");
    fake_manager_answer(run->manager, "DELETE /v1/join-tokens/01T", 200, "{}");
    run_berth(run, "host token revoke 01T");
    g_assert_cmpstr(run->out, ==, "join token 01T removed\n");
}

static void test_top(Run *run, gconstpointer data)
{
    fake_manager_answer(
        run->manager, "GET /v1/top", 200,
        "{\"hosts\": [{\"name\": \"h1\", \"state\": \"up\", \"ledger\": [{\"dimension\": \"cpu\", "
        "\"capacity\": 4000, \"committed\": 1500, \"guaranteed\": 1500, \"used\": 1000}, "
        "{\"dimension\": \"memory\", \"capacity\": 1024}]}], \"vms\": [{\"id\": \"1\", \"name\": "
        "\"idle\", \"host\": \"h1\", \"power\": \"running\", \"resources\": {\"cpu\": 500}}, "
        "{\"id\": \"2\", \"name\": \"busy\", \"host\": \"h1\", \"power\": \"running\", "
        "\"resources\": {\"cpu\": 500}, \"used\": {\"id\": \"2\", \"cpu\": 480, \"throttled\": "
        "125, "
        "\"memory\": 300, \"rx\": 12}}]}");
    run_berth(run, "top");
    g_assert_cmpint(run->status, ==, 0);
    g_assert_cmpstr(run->out, ==,
                    "HOST  STATE  RESOURCE  CAPACITY  COMMITTED  GUARANTEED      USED\n"
                    "h1    up     cpu              4      1500m       1500m  1 (25 %)\n"
                    "             memory        1GiB          0           0   0 (0 %)\n"
                    "\n"
                    "VM    HOST  POWER    CPU OF  USED  THROTTLED  MEMORY         RX        TX    "
                    "READ   WRITE\n"
                    "busy  h1    running    500m  480m     12.5 %  300MiB  12 kbit/s  0 kbit/s  0 "
                    "kB/s  0 kB/s\n"
                    "idle  h1    running    500m     -          -       -          -         -     "
                    "  -       -\n");
    g_assert_cmpuint(fake_manager_count(run->manager), ==, 1);
}

static void test_cluster(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "GET /v1/cluster", 200,
                        "{\"id\": \"01C\", \"version\": \"0.1.0\", \"revision\": 7, \"writable\": "
                        "false, \"reason\": \"disk full\", \"hosts\": 3, \"hosts-up\": 2}");
    run_berth(run, "cluster show");
    assert_has(run->out, "Store     takes no writes: disk full\n");
    assert_has(run->out, "Hosts     3, 2 up\n");
}

/* Who may not know of hosts is not told that there are none. */
static void test_cluster_of_a_tenant(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "GET /v1/cluster", 200,
                        "{\"id\": \"01C\", \"version\": \"0.1.0\", \"revision\": 7, \"writable\": "
                        "true, \"vms\": 2, \"vms-running\": 1}");
    run_berth(run, "cluster show");
    g_assert_null(strstr(run->out, "Hosts"));
    assert_has(run->out, "VMs       2, 1 running\n");
}

static void test_app(Run *run, gconstpointer data)
{
    have_names(run);
    const char *app =
        "{\"id\": \"01A\", \"name\": \"web\", \"tenant\": \"default\", \"revision\": 1, "
        "\"spec\": {\"name\": \"web\", \"size\": \"small\", \"count\": 6, \"image\": "
        "\"01I\", \"networks\": [\"01N\"], \"policy\": \"most-free\"}, \"status\": "
        "{\"vms\": 6, \"running\": 5}}";
    fake_manager_answer(run->manager, "GET /v1/apps/web", 200, app);
    run_berth(run, "app show web");
    assert_has(run->out, "VMs      6 wanted, 6 there, 5 running\n");
    assert_has(run->out, "Image    demo\n");
    assert_has(run->out, "Network  blue\n");
    fake_manager_answer(
        run->manager, "PATCH /v1/apps/web", 200,
        "{\"id\": \"01O\", \"kind\": \"app.update\", \"state\": \"done\", \"subject\": "
        "{\"kind\": \"app\", \"name\": \"web\"}, \"message\": \"2 of 2 VMs run\"}");
    run_berth(run, "app scale web 2");
    g_assert_cmpstr(run->out, ==, "app web: 2 of 2 VMs run\n");
    run_berth(run, "app scale web two");
    g_assert_cmpint(run->status, ==, 2);
}

static void test_operation(Run *run, gconstpointer data)
{
    fake_manager_answer(
        run->manager, "GET /v1/operations", 200,
        "{\"items\": [{\"id\": \"01O\", \"kind\": \"vm.create\", \"subject\": "
        "{\"kind\": \"vm\", \"name\": \"web-1\"}, \"state\": \"failed\", \"error\": "
        "{\"code\": \"conflict\", \"message\": \"no\"}}]}");
    run_berth(run, "operation list");
    g_assert_cmpstr(run->out, ==,
                    "ID   KIND       SUBJECT  STATE   AGE  MESSAGE\n"
                    "01O  vm.create  web-1    failed    -  no\n");
    fake_manager_answer(
        run->manager, "GET /v1/operations/01O", 200,
        "{\"id\": \"01O\", \"kind\": \"vm.create\", \"state\": \"failed\", \"error\": "
        "{\"code\": \"conflict\", \"message\": \"no\"}}");
    run_berth(run, "operation wait 01O");
    g_assert_cmpint(run->status, ==, 4);
}

/* Each page goes on from the revision that the one before ends with. */
static void test_event_list(Run *run, gconstpointer data)
{
    fake_manager_answer(
        run->manager, "GET /v1/events", 200,
        "{\"items\": [{\"id\": \"a\", \"revision\": 4, \"kind\": \"k\", \"at-ms\": 0, "
        "\"message\": \"first\"}], \"revision\": 4}");
    fake_manager_answer(run->manager, "GET /v1/events", 200,
                        "{\"items\": [{\"id\": \"b\", \"revision\": 5, \"kind\": \"k\", "
                        "\"at-ms\": 0, \"message\": \"second\"}], \"revision\": 9}");
    fake_manager_answer(run->manager, "GET /v1/events", 200, "{\"items\": [], \"revision\": 9}");
    run_berth(run, "event list");
    g_assert_cmpstr(run->out, ==,
                    "REVISION  TIME                      KIND  SUBJECT  MESSAGE\n"
                    "       4  1970-01-01T00:00:00.000Z  k     -        first\n"
                    "       5  1970-01-01T00:00:00.000Z  k     -        second\n");
    g_autoptr(FakeRequest) second = fake_manager_request(run->manager, 1);
    g_assert_cmpstr(second->query, ==, "from=4&limit=1000");
}

static void test_image_and_network(Run *run, gconstpointer data)
{
    fake_manager_answer(
        run->manager, "GET /v1/images", 200,
        "{\"items\": [{\"id\": \"0123456789abcdef\", \"name\": \"demo\", \"kind\": "
        "\"disk\", \"state\": \"ready\", \"files\": [{\"role\": \"disk\", \"sha256\": "
        "\"0123456789012345678901234567890123456789012345678901234567890123\", "
        "\"bytes\": 1572864, \"format\": \"raw\"}]}]}");
    run_berth(run, "image list");
    g_assert_cmpstr(run->out, ==,
                    "NAME  KIND  STATE    SIZE  ID            AGE\n"
                    "demo  disk  ready  1.5MiB  0123456789ab    -\n");
    fake_manager_answer(run->manager, "GET /v1/networks", 200,
                        "{\"items\": [{\"id\": \"01N\", \"name\": \"blue\", \"kind\": \"overlay\", "
                        "\"subnet\": \"10.64.0.0/24\", \"vms\": 2}]}");
    run_berth(run, "network list");
    g_assert_cmpstr(run->out, ==,
                    "NAME  KIND     SUBNET        GATEWAY  BRIDGE  VMS  AGE\n"
                    "blue  overlay  10.64.0.0/24  -        -         2    -\n");
    fake_manager_answer(run->manager, "POST /v1/networks", 201, "{}");
    run_berth(run, "network create lan --kind bridge --bridge br0 --vlan 7");
    g_autoptr(FakeRequest) request = fake_manager_request(run->manager, -1);
    g_assert_cmpstr(request->body, ==,
                    "{\"name\":\"lan\",\"kind\":\"bridge\",\"bridge\":\"br0\",\"vlan\":7}");
}

static void test_resize(Run *run, gconstpointer data)
{
    run_berth(run, "vm resize web-1");
    g_assert_cmpint(run->status, ==, 2);
    assert_has(run->err, "--memory");
    fake_manager_answer(
        run->manager, "POST /v1/vms/web-1/resize", 200,
        "{\"id\": \"01O\", \"kind\": \"vm.resize\", \"state\": \"done\", \"subject\": "
        "{\"kind\": \"vm\", \"name\": \"web-1\"}, \"message\": \"applied\"}");
    run_berth(run, "vm resize web-1 --cpu 250m --net-bw 10Mbit --disk-bw 0");
    g_assert_cmpstr(run->out, ==, "vm web-1: applied\n");
    g_autoptr(FakeRequest) request = fake_manager_request(run->manager, 0);
    g_assert_cmpstr(request->body, ==, "{\"cpu\":250,\"disk-bw\":0,\"net-bw\":10}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    run_test_add("/cli/views/vm-list", test_vm_list);
    run_test_add("/cli/views/vm-list-filters", test_vm_list_filters);
    run_test_add("/cli/views/vm-show", test_vm_show);
    run_test_add("/cli/views/host", test_host);
    run_test_add("/cli/views/host-changes", test_host_changes);
    run_test_add("/cli/views/host-drain", test_host_drain);
    run_test_add("/cli/views/join-token", test_join_token);
    run_test_add("/cli/views/top", test_top);
    run_test_add("/cli/views/cluster", test_cluster);
    run_test_add("/cli/views/cluster-of-a-tenant", test_cluster_of_a_tenant);
    run_test_add("/cli/views/app", test_app);
    run_test_add("/cli/views/operation", test_operation);
    run_test_add("/cli/views/event-list", test_event_list);
    run_test_add("/cli/views/image-and-network", test_image_and_network);
    run_test_add("/cli/views/resize", test_resize);
    return g_test_run();
}
