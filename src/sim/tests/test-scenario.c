/* Each thing that a scenario can expect, or say may never hold: it holds, and it can fail. */
#include "sim/scenario.h"

#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"

/* Three hosts; `web` is on h1 and `pair` on two of them. */
static const char beginning[] =
    "name: a test\n"
    "state:\n"
    "  hosts:\n"
    "    - {name: h1, capacity: {cpu: 4000, memory: 4096}}\n"
    "    - {name: h2, capacity: {cpu: 4000, memory: 4096}}\n"
    "    - {name: h3, capacity: {cpu: 2000, memory: 4096}}\n"
    "  sizes: [{name: s, resources: {cpu: 1000, memory: 256}}]\n"
    "  images: [{name: demo}]\n"
    "  rules: [{name: apart, kind: apart, subject: app/pair, level: host}]\n"
    "  vms: [{name: web, size: s, image: demo, policy: first-fit}]\n"
    "  apps: [{name: pair, size: s, image: demo, count: 2, policy: first-fit}]\n";

/* Plays `rest` after the beginning. */
static ScenarioResult play(const char *rest, GError **error)
{
    g_autofree char *text = g_strconcat(beginning, rest, "\n", NULL);
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("berth-scenario-XXXXXX", &path, error);
    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    g_assert_true(g_file_set_contents(path, text, -1, error));
    ScenarioResult result = scenario_run(path, false, error);
    g_unlink(path);
    return result;
}

/* An event holds with `right` and fails with `wrong`, for a reason that says `told`. */
typedef struct {
    const char *right, *wrong, *told;
} Case;

static void check(const Case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *right = g_strconcat("events: [", cases[i].right, "]", NULL);
        g_autofree char *wrong = g_strconcat("events: [", cases[i].wrong, "]", NULL);
        ScenarioResult result = play(right, &error);
        g_assert_no_error(error);
        g_assert_cmpint(result, ==, SCENARIO_HOLDS);
        g_assert_cmpint(play(wrong, &error), ==, SCENARIO_FAILS);
        if (strstr(error->message, cases[i].told) == NULL) {
            g_error("case %zu: '%s' is not told by: %s", i, cases[i].told, error->message);
        }
    }
}

static void test_plans(void)
{
    static const Case cases[] = {
        {"{plan: {fit: s}, expect: {fits: 7}}", "{plan: {fit: s}, expect: {fits: 8}}",
         "expected 8, there is room for 7"},
        {"{plan: {fit: s}, expect: {fits: {h1: 2, h3: 2}}}",
         "{plan: {fit: s}, expect: {fits: {h1: 3}}}", "expected 3 on h1, it would be 2"},
        {"{plan: {fit: s}, expect: {reason: 1 cpu}}",
         "{plan: {fit: s}, expect: {reason: MiB memory}}",
         "expected 'MiB memory', the reason is: no"},
        {"{plan: {fit: s, app: pair}, expect: {fits: 1}}",
         "{plan: {fit: s, app: pair}, expect: {fits: 2}}", "there is room for 1"},
        {"{plan: {lose: h1}, expect: {without-place: [], hosts: {web: [h2, h3], pair-1: h3}}}",
         "{plan: {lose: h1}, expect: {hosts: {web: [h1, h3]}}}",
         "expected web on [\"h1\",\"h3\"], it is on h2"},
        {"{plan: {drain: h1}, expect: {without-place: [], hosts: {pair: h3}}}",
         "{plan: {drain: h1}, expect: {without-place: [web]}}", "without a place would be: none"},
        {"{plan: {app: {name: x, size: s, image: demo, count: 3, policy: first-fit}},"
         " expect: {hosts: {x: [h1, h2], x-3: h2}}}",
         "{plan: {app: {name: x, size: s, image: demo, count: 3, policy: first-fit}},"
         " expect: {hosts: {x: h1}}}",
         "expected x-3 on \"h1\", it is on h2"},
        {"{plan: {vm: {name: x, size: s, image: demo, policy: first-fit}}, expect: {hosts: {x: "
         "h1}}}",
         "{plan: {vm: {name: x, size: s, image: demo}}, expect: {hosts: {y: h2}}}",
         "the plan has no place for y"},
        {"{request: GET /v1/vms, expect: {status: 200}}",
         "{request: GET /v1/vms, expect: {fits: 1}}", "ask with plan"},
        {"{request: GET /v1/vms, expect: {status: 200}}",
         "{request: GET /v1/vms, expect: {without-place: []}}", "ask with plan"},
    };
    check(cases, G_N_ELEMENTS(cases));
}

static void test_plans_change_nothing(void)
{
    g_autoptr(GError) error = NULL;
    ScenarioResult result =
        play("events: [{plan: {vm: {name: x, size: s, image: demo}}, within: 0s,"
             "          expect: {absent: [/v1/vms/x], no-events: [{kind: vm.placed}]}}]",
             &error);
    g_assert_no_error(error);
    g_assert_cmpint(result, ==, SCENARIO_HOLDS);
}

static void test_hosts(void)
{
    static const Case cases[] = {
        {"{expect: {hosts: {web: [h1, h3], pair: [h1, h2]}}}", "{expect: {hosts: {web: h2}}}",
         "expected web on \"h2\", it is on h1"},
        {"{expect: {hosts: {default/web: h1}}}", "{expect: {hosts: {pair: [h1, h3]}}}",
         "expected pair-2 on [\"h1\",\"h3\"], it is on h2"},
        {"{expect: {hosts: {pair-2: h2}}}", "{expect: {hosts: {pair-3: h2}}}",
         "there is no VM and no app pair-3"},
        {"{expect: {hosts: {web: h1}}}", "{expect: {hosts: {blue/web: h1}}}", "no VM and no app"},
    };
    check(cases, G_N_ELEMENTS(cases));
}

static void test_reasons(void)
{
#define ASK "{request: POST /v1/vms?explain=true, body: {name: x, size: s, image: demo, "
    static const Case cases[] = {
        {ASK "host-labels: {rack: r1}}, expect: {status: 409, reason: host label rack=r1}}",
         ASK "host-labels: {rack: r1}}, expect: {status: 409, reason: of cpu}}",
         "expected 'of cpu', the reason is: "},
        {ASK "host: h1}, expect: {reason: {h2: is not the host asked for}}}",
         ASK "host: h1}, expect: {reason: {h1: is not the host asked for}}}",
         "h1: expected 'is not the host asked for', the answer says: chosen"},
        {ASK "host: h1}, expect: {reason: {h1: chosen}}}",
         ASK "host: h1}, expect: {reason: chosen}}", "none, nothing was refused"},
        {ASK "host: h1}, expect: {reason: {h1: ~chosen}}}",
         ASK "host: h1}, expect: {reason: {h9: x}}}",
         "h9: expected 'x', the answer says: nothing of it"},
        {"{plan: {fit: s, survive: 1}, expect: {reason: would have no place}}",
         "{plan: {lose: h1}, expect: {reason: {web: of cpu}}}", "web: expected 'of cpu'"},
    };
#undef ASK
    check(cases, G_N_ELEMENTS(cases));
}

static void test_never_in_an_event(void)
{
#define MAKE(host) "{request: POST /v1/vms, body: {name: x, size: s, image: demo, host: " host "}, "
    static const Case cases[] = {
        {MAKE("h1") "never: [{on: {x: [h2, h3]}}]}", MAKE("h2") "never: [{on: {x: [h2, h3]}}]}",
         "x was on h2"},
        {MAKE("h3") "never: [{together: [web, x]}]}", MAKE("h1") "never: [{together: [web, x]}]}",
         "web and x were both on h1"},
        {"{pass: 1s, never: [{together: [pair]}]}", "{pass: 1s, never: [{together: [web, pair]}]}",
         "web and pair-1 were both on h1"},
        {MAKE("h3") "never: [{event: {kind: vm.removed}}]}",
         MAKE("h3") "never: [{event: {kind: vm.placed, subject: {name: x}}}]}",
         "event vm.placed: VM x goes to h3"},
        {"{pass: 1s, never: [{objects: {/v1/vms/web: {spec: {power: 'off'}}}}]}",
         "{pass: 1s, never: [{objects: {/v1/vms/web: {spec: {power: 'on'}}}}]}",
         "/v1/vms/web held {\"spec\":{\"power\":\"on\"}}"},
        {"{request: GET /v1/vms, never: [{on: {nobody: h1}}]}",
         "{request: DELETE /v1/vms/web, never: [{objects: {/v1/vms: {items: []}}}]}",
         "this may never hold, and did at 2026-01-01T"},
    };
#undef MAKE
    check(cases, G_N_ELEMENTS(cases));
}

/* What holds for a moment only is seen, and told with the event that ran; the state's own VMs start
 * before the first. */
static void test_never_in_a_scenario(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(
        play("never: [{objects: {/v1/vms/web: {status: {restarts: 1, transition: starting}}}}]\n"
             "events: [{request: PATCH /v1/vms/web, body: {restart: always}},"
             "  {qemu: {vm: web, does: die}},"
             "  {pass: 1m, expect: {objects: {/v1/vms/web: {status: {transition: none}}}}}]",
             &error),
        ==, SCENARIO_FAILS);
    g_assert_nonnull(
        strstr(error->message, "while events[2] ran: this may never hold, and did at"));
    g_assert_nonnull(strstr(error->message, ":12:"));
    g_clear_error(&error);
    g_assert_cmpint(play("never: [{objects: {/v1/vms/web: {status: {transition: starting}}}}]\n"
                         "events: [{pass: 1s}]",
                         &error),
                    ==, SCENARIO_FAILS);
    g_assert_nonnull(strstr(error->message, "before the first event: this may never hold"));
}

static void test_never_begins_and_ends_with_its_event(void)
{
    g_autoptr(GError) error = NULL;
    ScenarioResult result =
        play("events: [{pass: 1s, never: [{event: {kind: vm.placed}}, {on: {x: h2}}]},\n"
             "  {request: POST /v1/vms, body: {name: x, size: s, image: demo, host: h2}}]",
             &error);
    g_assert_no_error(error);
    g_assert_cmpint(result, ==, SCENARIO_HOLDS);
}

/* What is seen stands before what is expected in vain. */
static void test_never_comes_before_expect(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(
        play("events: [{pass: 1s, never: [{on: {web: h1}}], expect: {hosts: {web: h2}}}]", &error),
        ==, SCENARIO_FAILS);
    g_assert_nonnull(strstr(error->message, "web was on h1"));
}

/* Refused by name and line before anything is played. */
static void test_what_is_unknown_is_refused(void)
{
    static const struct {
        const char *rest, *field;
    } rows[] = {
        {"never: [{on: {web: h9}}]", "never[0].on"},
        {"never: [{beside: [a, b]}]", "never[0].beside"},
        {"never: [{on: {web: h1}, together: [a, b]}]", "never[0]"},
        {"never: [{on: web}]", "never[0].on"},
        {"never: [{together: []}]", "never[0].together"},
        {"never: [{objects: {/v1/vmss/web: {}}}]", "never[0].objects"},
        {"never: {on: {web: h1}}", "never"},
        {"nevre: []", "nevre"},
        {"begins: tomorrow", "begins"},
        {"events: [{pass: 1s, nevre: []}]", "events[0].nevre"},
        {"events: [{pass: 1s, never: [{event: []}]}]", "events[0].never[0].event"},
        {"events: [{plan: {fit: s, survives: 1}}]", "events[0].plan.survives"},
        {"events: [{plan: {fit: [s]}}]", "events[0].plan.fit"},
        {"events: [{plan: {lose: h1, survive: 1}}]", "events[0].plan.survive"},
        {"events: [{plan: {app: web}}]", "events[0].plan.app"},
        {"events: [{plan: {grow: s}}]", "events[0].plan"},
        {"events: [{expect: {hosts: [web]}}]", "events[0].expect.hosts"},
        {"events: [{expect: {hosts: {web: []}}}]", "events[0].expect.hosts"},
        {"events: [{expect: {reason: 5}}]", "events[0].expect.reason"},
        {"events: [{expect: {fits: many}}]", "events[0].expect.fits"},
        {"events: [{expect: {without-place: web}}]", "events[0].expect.without-place"},
        {"events: [{expect: {absent: [/v1/nothing/x]}}]", "events[0].expect.absent"},
        {"events: [{expect: {sattus: 200}}]", "events[0].expect.sattus"},
        {"events: [{expect: {status: 201}, pass: 1s}, {expect: {sattus: 200}}]",
         "events[1].expect.sattus"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(play(rows[i].rest, &error), ==, SCENARIO_UNREADABLE);
        g_assert_cmpstr(berth_error_field(error), ==, rows[i].field);
        g_assert_nonnull(strstr(error->message, ":12:"));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scenario/plans", test_plans);
    g_test_add_func("/scenario/plans-change-nothing", test_plans_change_nothing);
    g_test_add_func("/scenario/hosts", test_hosts);
    g_test_add_func("/scenario/reasons", test_reasons);
    g_test_add_func("/scenario/never-in-an-event", test_never_in_an_event);
    g_test_add_func("/scenario/never-in-a-scenario", test_never_in_a_scenario);
    g_test_add_func("/scenario/never-begins-and-ends-with-its-event",
                    test_never_begins_and_ends_with_its_event);
    g_test_add_func("/scenario/never-comes-before-expect", test_never_comes_before_expect);
    g_test_add_func("/scenario/what-is-unknown-is-refused", test_what_is_unknown_is_refused);
    return g_test_run();
}
