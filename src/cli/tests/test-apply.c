/*
 * `berth apply` against a scripted manager.
 */
#include <string.h>

#include "cli/tests/runner.h"

static void apply(Run *run, const char *manifest, const char *options)
{
    g_autofree char *line = g_strdup_printf("apply -f -%s", options);
    run_berth_with(run, fake_manager_context(run->manager, NULL), manifest, line);
}

#define MANIFEST                                                                                   \
    "kind: app\nname: web\nspec:\n  size: small\n  image: demo\n  count: 6\n  networks: [blue]\n"  \
    "---\nkind: size\nname: small\nspec:\n  resources: {cpu: 0.5, memory: 2GiB}\n"                 \
    "---\nkind: network\nname: blue\n"

#define SIZE                                                                                       \
    "{\"name\": \"small\", \"revision\": 3, \"resources\": {\"cpu\": 500, \"memory\": 2048, "      \
    "\"disk\": 0}, \"vcpus\": 1, \"max-vcpus\": 1}"
#define NETWORK "{\"id\": \"01N\", \"name\": \"blue\", \"kind\": \"overlay\"}"
#define APP(count)                                                                                 \
    "{\"id\": \"01A\", \"name\": \"web\", \"tenant\": \"default\", \"revision\": 9, \"spec\": "    \
    "{\"name\": \"web\", \"size\": \"small\", \"count\": " count ", \"image\": \"01I\", "          \
    "\"networks\": [\"01N\"], \"power\": \"on\"}}"
#define DONE                                                                                       \
    "{\"id\": \"01OP\", \"kind\": \"app.create\", \"subject\": {\"kind\": \"app\", \"id\": "       \
    "\"01A\", \"name\": \"web\"}, \"state\": \"done\", \"message\": \"6 of 6 VMs run\"}"

static void have_everything(Run *run, const char *app)
{
    fake_manager_answer(run->manager, "GET /v1/sizes/small", 200, SIZE);
    fake_manager_answer(run->manager, "GET /v1/networks/blue", 200, NETWORK);
    fake_manager_answer(run->manager, "GET /v1/networks", 200, "{\"items\": [" NETWORK "]}");
    fake_manager_answer(run->manager, "GET /v1/images", 200,
                        "{\"items\": [{\"id\": \"01I\", \"name\": \"demo\"}]}");
    fake_manager_answer(run->manager, "GET /v1/apps/web", 200, app);
}

/* What makes a manifest may have failed before the pipe. */
static void test_nothing_is_a_mistake(Run *run, gconstpointer data)
{
    static const char *const texts[] = {"", "# nothing\n", "---\n---\n"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        apply(run, texts[i], "");
        g_assert_cmpint(run->status, ==, 2);
        assert_has(run->err, "there is nothing in the manifest (--file: '-')");
    }
    run_berth(run, "apply -f /");
    g_assert_cmpint(run->status, ==, 2);
    assert_has(run->err, "Is a directory");
}

static void test_creates_in_order(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "POST /v1/sizes", 201, SIZE);
    fake_manager_answer(run->manager, "POST /v1/networks", 201, NETWORK);
    fake_manager_answer(run->manager, "POST /v1/apps", 200, DONE);
    apply(run, MANIFEST, "");
    g_assert_cmpstr(run->err, ==, "");
    g_assert_cmpint(run->status, ==, 0);
    g_assert_cmpstr(run->out, ==,
                    "+ size small\n+ network blue\n+ app web\nsize small: created\n"
                    "network blue: created\napp web: 6 of 6 VMs run\n");
    g_autoptr(FakeRequest) size = fake_manager_request(run->manager, 3);
    g_assert_cmpstr(size->body, ==,
                    "{\"name\":\"small\",\"resources\":{\"cpu\":500,\"memory\":2048}}");
    g_autoptr(FakeRequest) app = fake_manager_request(run->manager, 5);
    g_assert_cmpstr(app->body, ==,
                    "{\"name\":\"web\",\"size\":\"small\",\"image\":\"demo\",\"count\":6,"
                    "\"networks\":[\"blue\"]}");
}

static void assert_only_reads(Run *run)
{
    for (unsigned i = 0; i < fake_manager_count(run->manager); i++) {
        g_autoptr(FakeRequest) request = fake_manager_request(run->manager, (int)i);
        g_assert_cmpstr(request->method, ==, "GET");
    }
}

static void test_twice_changes_nothing(Run *run, gconstpointer data)
{
    have_everything(run, APP("6"));
    apply(run, MANIFEST, "");
    g_assert_cmpstr(run->err, ==, "");
    g_assert_cmpint(run->status, ==, 0);
    g_assert_cmpstr(run->out, ==, "= size small\n= network blue\n= app web\n");
    assert_only_reads(run);
}

static void test_changes_the_count(Run *run, gconstpointer data)
{
    have_everything(run, APP("3"));
    fake_manager_answer(run->manager, "PATCH /v1/apps/web", 200, DONE);
    apply(run, MANIFEST, "");
    g_assert_cmpint(run->status, ==, 0);
    g_assert_cmpstr(run->out, ==,
                    "= size small\n= network blue\n~ app web count: 3 → 6\n"
                    "app web: 6 of 6 VMs run\n");
    g_autoptr(FakeRequest) request = fake_manager_request(run->manager, -1);
    g_assert_cmpstr(request->body, ==, "{\"count\":6}");
    g_assert_cmpstr(request->if_match, ==, "\"9\"");
}

static void test_total_is_a_count(Run *run, gconstpointer data)
{
    have_everything(run, APP("3"));
    apply(run, "kind: app\nname: web\nspec: {size: small, image: demo, total: {cpu: 1.2}}\n", "");
    g_assert_cmpstr(run->out, ==, "= app web\n");
    g_assert_cmpint(run->status, ==, 0);
}

static void test_dry_run_only_asks(Run *run, gconstpointer data)
{
    apply(run, MANIFEST, " --dry-run");
    g_assert_cmpint(run->status, ==, 0);
    g_assert_cmpstr(run->out, ==,
                    "+ size small\n+ network blue\n+ app web\n"
                    "app web: not tried, as not all is there yet that it may need\n");
    assert_only_reads(run);
}

static void test_dry_run_tries_what_it_can(Run *run, gconstpointer data)
{
    have_everything(run, APP("3"));
    fake_manager_answer(run->manager, "PATCH /v1/apps/web", 409,
                        "{\"error\": {\"code\": \"no-capacity\", \"message\": \"no room\"}}");
    apply(run, MANIFEST, " --dry-run");
    g_assert_cmpint(run->status, ==, 5);
    assert_has(run->out, "~ app web count: 3 → 6\n");
    g_autoptr(FakeRequest) request = fake_manager_request(run->manager, -1);
    assert_has(request->query, "dry-run=true");
}

static void test_what_does_not_change_stops_all(Run *run, gconstpointer data)
{
    have_everything(run, APP("3"));
    apply(run,
          "kind: app\nname: web\nspec: {size: small, image: demo, count: 6}\n---\n"
          "kind: size\nname: small\nspec: {resources: {cpu: 2, memory: 2GiB}}\n",
          "");
    g_assert_cmpint(run->status, ==, 4);
    g_assert_cmpstr(run->out, ==, "");
    assert_has(run->err, "standard input:7:20: size small is there with 500m");
    assert_has(run->err, "spec.resources.cpu: '2'");
    assert_only_reads(run);
}

static void test_json_is_the_plan(Run *run, gconstpointer data)
{
    have_everything(run, APP("3"));
    apply(run, MANIFEST, " --dry-run -o json");
    assert_has(run->out, "\"change\": \"none\"");
    assert_has(run->out, "\"field\": \"count\"");
    assert_has(run->out, "\"before\": \"3\"");
}

#define RESERVATION                                                                                \
    "{\"id\": \"01R\", \"name\": \"night\", \"revision\": 4, \"size\": \"small\", \"resources\": " \
    "{\"cpu\": 500, \"memory\": 2048}, \"count\": 4, \"start-ms\": 1795690800000, \"end-ms\": "    \
    "1795712400000, \"deadline-ms\": 1795716000000, \"at-end\": \"stop\", \"grace-seconds\": "     \
    "300, "                                                                                        \
    "\"slots\": []}"

static void apply_night(Run *run, const char *spec, const char *options)
{
    g_autofree char *manifest =
        g_strdup_printf("kind: reservation\nname: night\nspec: {size: small, %s}\n", spec);
    apply(run, manifest, options);
}

static void test_a_reservation_is_made(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "POST /v1/reservations", 201, RESERVATION);
    apply(run,
          "kind: app\nname: web\nspec: {size: small, image: demo, count: 1}\n---\n"
          "kind: reservation\nname: night\ntenant: blue\n"
          "spec: {size: small, count: 4, duration-seconds: 21600}\n",
          "");
    assert_has(run->out, "+ reservation night\n+ app web\nreservation night made: room for 4 from "
                         "2026-11-26T11:00:00.000Z");
    g_autoptr(FakeRequest) request = fake_manager_request(run->manager, 2);
    g_assert_cmpstr(request->method, ==, "POST");
    g_assert_cmpstr(request->query, ==, "tenant=blue");
    g_assert_cmpstr(
        request->body, ==,
        "{\"name\":\"night\",\"size\":\"small\",\"count\":4,\"duration-seconds\":21600}");
}

/* What was asked for holds: the earliest start, the deadline in another zone, times from now on. */
static void test_a_reservation_twice_changes_nothing(Run *run, gconstpointer data)
{
    static const char *const specs[] = {
        "count: 4, duration-seconds: 21600",
        "count: 4, duration-seconds: 21600, at-end: stop, grace-seconds: 300",
        "count: 4, duration-seconds: 21600, start: '2026-11-26T11:00:00Z'",
        "count: 4, duration-seconds: 21600, start: +2h, deadline: +9h",
        ("count: 4, duration-seconds: 21600, start: '2026-11-26T10:00:00Z',"
         " deadline: '2026-11-26T19:00:00+01:00'"),
    };
    fake_manager_answer(run->manager, "GET /v1/reservations/night", 200, RESERVATION);
    for (size_t i = 0; i < G_N_ELEMENTS(specs); i++) {
        apply_night(run, specs[i], "");
        g_assert_cmpstr(run->err, ==, "");
        g_assert_cmpstr(run->out, ==, "= reservation night\n");
    }
    assert_only_reads(run);
}

static void test_a_reservation_does_not_change(Run *run, gconstpointer data)
{
    static const struct {
        const char *spec, *is, *asked;
    } rows[] = {
        {"count: 5, duration-seconds: 21600", "is there with 4,", "spec.count: '5'"},
        {"count: 4, duration-seconds: 3600", "is there with 21600,",
         "spec.duration-seconds: '3600'"},
        {"count: 4, duration-seconds: 21600, start: '2026-11-26T10:00:00Z'",
         "is there with 2026-11-26T11:00:00.000Z,", "spec.start: '2026-11-26T10:00:00.000Z'"},
        {"count: 4, duration-seconds: 21600, start: '2026-11-26T12:00:00Z', deadline: +9h",
         "is there with 2026-11-26T11:00:00.000Z,", "spec.start: '2026-11-26T12:00:00.000Z'"},
        {"count: 4, duration-seconds: 21600, deadline: '2026-11-26T19:00:00Z'",
         "is there with 2026-11-26T18:00:00.000Z,", "spec.deadline: '2026-11-26T19:00:00.000Z'"},
        {"count: 4, duration-seconds: 21600, at-end: delete", "is there with stop,",
         "spec.at-end: 'delete'"},
    };
    fake_manager_answer(run->manager, "GET /v1/reservations/night", 200, RESERVATION);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        apply_night(run, rows[i].spec, "");
        g_assert_cmpint(run->status, ==, 4);
        assert_has(run->err, rows[i].is);
        assert_has(run->err, rows[i].asked);
        assert_has(run->err, "delete it first");
    }
    assert_only_reads(run);
}

/* When it would begin; what is made of it is not asked for before it is there. */
static void test_a_dry_run_asks_for_a_reservation(Run *run, gconstpointer data)
{
    fake_manager_answer(run->manager, "POST /v1/reservations", 200, RESERVATION);
    apply(
        run,
        "kind: vm\nname: v\nspec: {size: small, image: demo, reservation: night}\n---\n"
        "kind: reservation\nname: night\nspec: {size: small, count: 4, duration-seconds: 21600}\n",
        " --dry-run");
    g_assert_cmpint(run->status, ==, 0);
    assert_has(run->out,
               "+ reservation night\n+ vm v\nreservation night would be made: room for 4");
    g_autoptr(FakeRequest) request = fake_manager_request(run->manager, -1);
    g_assert_cmpstr(request->query, ==, "dry-run=true");
}

/* An app's reservation is compared by its name, and its time counts from when it was placed. */
static void test_what_is_in_a_reservation_stays(Run *run, gconstpointer data)
{
    have_everything(
        run, "{\"id\": \"01A\", \"name\": \"web\", \"tenant\": \"default\", \"revision\": 9, "
             "\"spec\": {\"name\": \"web\", \"size\": \"small\", \"count\": 4, \"image\": "
             "\"01I\", \"reservation\": \"01R\", \"ends-ms\": 1795712400000}}");
    fake_manager_answer(run->manager, "GET /v1/reservations", 200,
                        "{\"items\": [" RESERVATION "]}");
    apply(run,
          "kind: app\nname: web\n"
          "spec: {size: small, image: demo, count: 4, reservation: night, duration-seconds: 60}\n",
          "");
    g_assert_cmpstr(run->err, ==, "");
    g_assert_cmpstr(run->out, ==, "= app web\n");
}

static void test_no_manifest(Run *run, gconstpointer data)
{
    run_berth(run, "apply");
    g_assert_cmpint(run->status, ==, 2);
    run_berth(run, "apply -f /nowhere.yaml");
    g_assert_cmpint(run->status, ==, 2);
    assert_has(run->err, "/nowhere.yaml");
    apply(run, "kind: app\nname: web\nspec:\n\tsize: small\n", "");
    g_assert_cmpint(run->status, ==, 2);
    assert_has(run->err, "standard input: line 4, column 1: a tab in the indentation");
    assert_has(run->err, "use spaces");
    g_assert_cmpuint(fake_manager_count(run->manager), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    run_test_add("/cli/apply/nothing-is-a-mistake", test_nothing_is_a_mistake);
    run_test_add("/cli/apply/creates-in-order", test_creates_in_order);
    run_test_add("/cli/apply/twice-changes-nothing", test_twice_changes_nothing);
    run_test_add("/cli/apply/changes-the-count", test_changes_the_count);
    run_test_add("/cli/apply/total-is-a-count", test_total_is_a_count);
    run_test_add("/cli/apply/dry-run-only-asks", test_dry_run_only_asks);
    run_test_add("/cli/apply/dry-run-tries-what-it-can", test_dry_run_tries_what_it_can);
    run_test_add("/cli/apply/what-does-not-change-stops-all", test_what_does_not_change_stops_all);
    run_test_add("/cli/apply/json-is-the-plan", test_json_is_the_plan);
    run_test_add("/cli/apply/a-reservation-is-made", test_a_reservation_is_made);
    run_test_add("/cli/apply/a-reservation-twice-changes-nothing",
                 test_a_reservation_twice_changes_nothing);
    run_test_add("/cli/apply/a-reservation-does-not-change", test_a_reservation_does_not_change);
    run_test_add("/cli/apply/a-dry-run-asks-for-a-reservation",
                 test_a_dry_run_asks_for_a_reservation);
    run_test_add("/cli/apply/what-is-in-a-reservation-stays", test_what_is_in_a_reservation_stays);
    run_test_add("/cli/apply/no-manifest", test_no_manifest);
    return g_test_run();
}
