#include "qemu/ga.h"

#include <gio/gio.h>
#include <string.h>

#include "base/error.h"
#include "qemu/tests/fake-qmp.h"

typedef struct {
    FakeQmp *fake;
    Ga *ga;
    GString *seen; /* answers in order, a word each */
    int answers;
    char *remedy;
    bool closed;
    bool free_on_answer;
} Fixture;

static void on_closed(Ga *ga, const GError *why, gpointer user_data)
{
    ((Fixture *)user_data)->closed = true;
}

static void start(Fixture *f, const char *const *script)
{
    *f = (Fixture){.seen = g_string_new(NULL)};
    int fd;
    f->fake = fake_qmp_start(script, &fd);
    f->ga = ga_new(fd, on_closed, f);
}

static void finish(Fixture *f)
{
    g_clear_pointer(&f->ga, ga_free);
    fake_qmp_finish(f->fake);
    g_string_free(f->seen, TRUE);
    g_free(f->remedy);
}

static void on_reply(json_t *result, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    char *text = result != NULL ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const char *word = error == NULL                 ? text
                       : error->domain == G_IO_ERROR ? "cancelled"
                                                     : berth_error_code_name(error);
    g_string_append_printf(f->seen, "%s%s", f->seen->len > 0 ? " " : "", word);
    free(text);
    g_free(f->remedy);
    f->remedy = g_strdup(berth_error_remedy(error));
    f->answers++;
    if (f->free_on_answer) {
        g_clear_pointer(&f->ga, ga_free);
    }
}

static void wait_answers(Fixture *f, int count)
{
    while (f->answers < count) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void test_syncs_once_then_calls_in_turn(void)
{
    static const char *const script[] = {
        "sync",
        "> {\"execute\":\"a\"}",
        "< {\"return\":1}",
        "> {\"execute\":\"b\",\"arguments\":{\"x\":1}}",
        "< {\"return\":2}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    ga_call(f.ga, "a", NULL, 5000, on_reply, &f);
    ga_call(f.ga, "b", json_pack("{s:i}", "x", 1), 5000, on_reply, &f);
    wait_answers(&f, 2);
    g_assert_cmpstr(f.seen->str, ==, "1 2");
    finish(&f);
}

static void test_absent_agent_times_out_with_a_remedy(void)
{
    static const char *const script[] = {"until-closed", NULL};
    Fixture f;
    start(&f, script);
    ga_call(f.ga, "a", NULL, 20, on_reply, &f);
    ga_call(f.ga, "b", NULL, 40, on_reply, &f);
    wait_answers(&f, 2);
    g_assert_cmpstr(f.seen->str, ==, "timeout timeout");
    g_assert_nonnull(strstr(f.remedy, "qemu-guest-agent"));
    finish(&f);
}

/* The guest boots late: it finds two requests to synchronise and answers both. */
static void test_agent_that_comes_late(void)
{
    static const char *const script[] = {
        "sleep 60",         "sync",         "sync", "> {\"execute\":\"b\"}",
        "< {\"return\":2}", "until-closed", NULL,
    };
    Fixture f;
    start(&f, script);
    ga_call(f.ga, "a", NULL, 20, on_reply, &f);
    wait_answers(&f, 1);
    ga_call(f.ga, "b", NULL, 5000, on_reply, &f);
    wait_answers(&f, 2);
    g_assert_cmpstr(f.seen->str, ==, "timeout 2");
    finish(&f);
}

static void test_late_answer_is_nobodys(void)
{
    static const char *const script[] = {
        "sync", "> {\"execute\":\"slow\"}", "sleep 60",         "< {\"return\":\"late\"}",
        "sync", "> {\"execute\":\"b\"}",    "< {\"return\":2}", "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    ga_call(f.ga, "slow", NULL, 20, on_reply, &f);
    wait_answers(&f, 1);
    ga_call(f.ga, "b", NULL, 5000, on_reply, &f);
    wait_answers(&f, 2);
    g_assert_cmpstr(f.seen->str, ==, "timeout 2");
    finish(&f);
}

static void test_half_an_answer_is_dropped(void)
{
    static const char *const script[] = {
        "sync", "> {\"execute\":\"slow\"}", "<! {\"return\":\"ha", "sleep 60",     "<! lf",
        "sync", "> {\"execute\":\"b\"}",    "< {\"return\":2}",    "until-closed", NULL,
    };
    Fixture f;
    start(&f, script);
    ga_call(f.ga, "slow", NULL, 20, on_reply, &f);
    ga_call(f.ga, "b", NULL, 5000, on_reply, &f);
    wait_answers(&f, 2);
    g_assert_cmpstr(f.seen->str, ==, "timeout 2");
    finish(&f);
}

static void test_wrong_sync_numbers_are_skipped(void)
{
    static const char *const script[] = {
        "mark",
        "< {\"return\":0}",
        "mark",
        "< {\"return\":{}}",
        "sync",
        "> {\"execute\":\"a\"}",
        "< {\"return\":1}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    ga_call(f.ga, "a", NULL, 5000, on_reply, &f);
    wait_answers(&f, 1);
    g_assert_cmpstr(f.seen->str, ==, "1");
    finish(&f);
}

static void test_nonsense_fails_the_call_and_is_repaired(void)
{
    static const char *const script[] = {
        "sync",
        "> {\"execute\":\"a\"}",
        "< login: root",
        "sync",
        "> {\"execute\":\"b\"}",
        "flood 4194400",
        "sync",
        "> {\"execute\":\"c\"}",
        "< {\"return\":3}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    ga_call(f.ga, "a", NULL, 5000, on_reply, &f);
    ga_call(f.ga, "b", NULL, 5000, on_reply, &f);
    ga_call(f.ga, "c", NULL, 5000, on_reply, &f);
    wait_answers(&f, 3);
    g_assert_cmpstr(f.seen->str, ==, "invalid too-large 3");
    finish(&f);
}

static void test_errors_of_the_agent(void)
{
    static const char *const script[] = {
        "sync",
        "> {\"execute\":\"a\"}",
        "< {\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"x\"}}",
        "> {\"execute\":\"b\"}",
        "< {\"error\":{\"class\":\"GenericError\",\"desc\":\"x\"}}",
        "> {\"execute\":\"c\"}",
        "< {\"error\":7}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    ga_call(f.ga, "a", NULL, 5000, on_reply, &f);
    ga_call(f.ga, "b", NULL, 5000, on_reply, &f);
    ga_call(f.ga, "c", NULL, 5000, on_reply, &f);
    wait_answers(&f, 3);
    g_assert_cmpstr(f.seen->str, ==, "not-found internal internal");
    finish(&f);
}

static void test_cancel(void)
{
    static const char *const script[] = {
        "sync",
        "> {\"execute\":\"a\"}",
        "sync",
        "> {\"execute\":\"c\"}",
        "< {\"return\":3}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    guint64 a = ga_call(f.ga, "a", NULL, 5000, on_reply, &f);
    guint64 b = ga_call(f.ga, "b", NULL, 5000, on_reply, &f);
    g_assert_true(ga_cancel(f.ga, b));
    ga_wait(f.ga, 50, on_reply, &f);
    wait_answers(&f, 2);
    g_assert_true(ga_cancel(f.ga, a));
    g_assert_false(ga_cancel(f.ga, a));
    ga_call(f.ga, "c", NULL, 5000, on_reply, &f);
    wait_answers(&f, 4);
    g_assert_cmpstr(f.seen->str, ==, "cancelled (null) cancelled 3");
    finish(&f);
}

static void test_closing_answers_everything(void)
{
    static const char *const script[] = {"sync", "> *", "close", NULL};
    Fixture f;
    start(&f, script);
    ga_call(f.ga, "a", NULL, 5000, on_reply, &f);
    ga_call(f.ga, "b", NULL, 5000, on_reply, &f);
    ga_wait(f.ga, 100000, on_reply, &f);
    wait_answers(&f, 3);
    while (!f.closed) {
        g_main_context_iteration(NULL, TRUE);
    }
    ga_call(f.ga, "c", NULL, 5000, on_reply, &f);
    ga_wait(f.ga, 100000, on_reply, &f);
    g_assert_cmpint(f.answers, ==, 3);
    wait_answers(&f, 5);
    g_assert_cmpstr(f.seen->str, ==, "unavailable unavailable unavailable unavailable unavailable");
    finish(&f);
}

static void test_free_answers_everything(void)
{
    static const char *const script[] = {"until-closed", NULL};
    Fixture f;
    start(&f, script);
    ga_call(f.ga, "a", NULL, 5000, on_reply, &f);
    ga_wait(f.ga, 5000, on_reply, &f);
    finish(&f);
    g_assert_cmpint(f.answers, ==, 2);
    g_assert_false(f.closed);
}

static void test_free_inside_an_answer(void)
{
    static const char *const script[] = {"sync", "> *", "< {\"return\":1}", "until-closed", NULL};
    Fixture f;
    start(&f, script);
    f.free_on_answer = true;
    ga_call(f.ga, "a", NULL, 5000, on_reply, &f);
    wait_answers(&f, 1);
    finish(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/ga/syncs-once", test_syncs_once_then_calls_in_turn);
    g_test_add_func("/qemu/ga/absent-agent", test_absent_agent_times_out_with_a_remedy);
    g_test_add_func("/qemu/ga/agent-that-comes-late", test_agent_that_comes_late);
    g_test_add_func("/qemu/ga/late-answer-is-nobodys", test_late_answer_is_nobodys);
    g_test_add_func("/qemu/ga/half-an-answer", test_half_an_answer_is_dropped);
    g_test_add_func("/qemu/ga/wrong-sync-numbers", test_wrong_sync_numbers_are_skipped);
    g_test_add_func("/qemu/ga/nonsense-is-repaired", test_nonsense_fails_the_call_and_is_repaired);
    g_test_add_func("/qemu/ga/errors-of-the-agent", test_errors_of_the_agent);
    g_test_add_func("/qemu/ga/cancel", test_cancel);
    g_test_add_func("/qemu/ga/closing-answers-everything", test_closing_answers_everything);
    g_test_add_func("/qemu/ga/free-answers-everything", test_free_answers_everything);
    g_test_add_func("/qemu/ga/free-inside-an-answer", test_free_inside_an_answer);
    return g_test_run();
}
