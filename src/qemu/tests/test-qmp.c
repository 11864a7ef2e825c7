#include "qemu/qmp.h"

#include <gio/gio.h>
#include <sys/socket.h>

#include "base/error.h"
#include "qemu/tests/fake-qmp.h"

/* What a client has seen, as one line of text a thing, in order. */
typedef struct {
    FakeQmp *fake;
    Qmp *qmp;
    GPtrArray *seen;
    GError *closed;
    int answers;
    bool free_on_answer;
} Fixture;

static void on_ready(Qmp *qmp, gpointer user_data)
{
    g_ptr_array_add(((Fixture *)user_data)->seen, g_strdup("ready"));
}

static void on_event(Qmp *qmp, const char *name, json_t *data, gint64 at_us, gpointer user_data)
{
    g_ptr_array_add(((Fixture *)user_data)->seen, g_strdup(name));
}

static void on_closed(Qmp *qmp, const GError *why, gpointer user_data)
{
    Fixture *f = user_data;
    g_assert_null(f->closed);
    f->closed = g_error_copy(why);
    g_ptr_array_add(f->seen, g_strdup("closed"));
}

static void start(Fixture *f, const char *const *script, guint handshake_ms)
{
    *f = (Fixture){.seen = g_ptr_array_new_with_free_func(g_free)};
    int fd;
    f->fake = fake_qmp_start(script, &fd);
    QmpHandlers handlers = {on_ready, on_event, on_closed, f};
    f->qmp = qmp_new(fd, &handlers, handshake_ms);
}

static void finish(Fixture *f)
{
    g_clear_pointer(&f->qmp, qmp_free);
    fake_qmp_finish(f->fake);
    g_ptr_array_unref(f->seen);
    g_clear_error(&f->closed);
}

static void on_reply(json_t *result, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    char *text = result != NULL ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const char *code =
        error != NULL && error->domain == G_IO_ERROR ? "cancelled" : berth_error_code_name(error);
    g_ptr_array_add(f->seen, g_strdup(error != NULL ? code : text));
    free(text);
    f->answers++;
    if (f->free_on_answer) {
        g_clear_pointer(&f->qmp, qmp_free);
    }
}

static void wait_answers(Fixture *f, int count)
{
    while (f->answers < count) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void wait_closed(Fixture *f)
{
    while (f->closed == NULL) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void assert_seen(Fixture *f, const char *expected)
{
    g_ptr_array_add(f->seen, NULL);
    g_autofree char *seen = g_strjoinv(" ", (char **)f->seen->pdata);
    g_assert_cmpstr(seen, ==, expected);
    g_ptr_array_set_size(f->seen, (int)f->seen->len - 1);
}

static void test_calls_wait_for_the_handshake(void)
{
    static const char *const script[] = {
        "greet",
        "> {\"execute\":\"query-status\"}",
        "< {\"return\":{\"n\":1}}",
        "> {\"execute\":\"balloon\",\"arguments\":{\"value\":5}}",
        "< {\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":5}}",
        "< {\"return\":{\"n\":2}}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script, 0);
    g_assert_false(qmp_is_ready(f.qmp));
    qmp_call(f.qmp, "query-status", NULL, 0, on_reply, &f);
    qmp_call(f.qmp, "balloon", json_pack("{s:i}", "value", 5), 0, on_reply, &f);
    wait_answers(&f, 2);
    assert_seen(&f, "ready {\"n\":1} BALLOON_CHANGE {\"n\":2}");
    int major, minor, micro;
    qmp_version(f.qmp, &major, &minor, &micro);
    g_assert_cmpint(major * 10000 + minor * 100 + micro, ==, 70222);
    g_assert_false(qmp_has_oob(f.qmp));
    finish(&f);
}

static void test_errors_of_qemu(void)
{
    static const char *const script[] = {
        "greet",
        "> {\"execute\":\"a\"}",
        "< {\"error\":{\"class\":\"GenericError\",\"desc\":\"x\"}}",
        "> {\"execute\":\"b\"}",
        "< {\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"x\"}}",
        "> {\"execute\":\"c\"}",
        "< {\"error\":{\"class\":\"DeviceNotActive\",\"desc\":\"x\"}}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script, 0);
    qmp_call(f.qmp, "a", NULL, 0, on_reply, &f);
    qmp_call(f.qmp, "b", NULL, 0, on_reply, &f);
    qmp_call(f.qmp, "c", NULL, 0, on_reply, &f);
    wait_answers(&f, 3);
    assert_seen(&f, "ready internal not-found conflict");
    finish(&f);
}

static void test_pieces(void)
{
    static const char *const script[] = {
        "<! {\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"min",
        "sleep 5",
        "<! or\":2,\"major\":8}},\"capabilities\":[]}}\r",
        "sleep 5",
        "< ",
        "> *",
        "< {\"return\":{}}",
        "> *",
        "<! {\"retu",
        "sleep 5",
        "<! rn\":1,\"id\":@2}\n{\"event\":\"ST",
        "sleep 5",
        "< OP\"}",
        "> *",
        "< {\"return\":2}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script, 0);
    qmp_call(f.qmp, "x", NULL, 0, on_reply, &f);
    wait_answers(&f, 1);
    qmp_call(f.qmp, "y", NULL, 0, on_reply, &f);
    wait_answers(&f, 2);
    assert_seen(&f, "ready 1 STOP 2");
    finish(&f);
}

static void test_out_of_band_overtakes(void)
{
    static const char *const script[] = {
        "greet oob",
        "> {\"execute\":\"slow\"}",
        "> {\"exec-oob\":\"migrate-recover\"}",
        "< {\"return\":\"fast\",\"id\":@3}",
        "< {\"return\":\"slow\",\"id\":@2}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script, 0);
    qmp_call(f.qmp, "slow", NULL, 0, on_reply, &f);
    qmp_call_oob(f.qmp, "migrate-recover", NULL, 0, on_reply, &f);
    wait_answers(&f, 2);
    assert_seen(&f, "ready \"fast\" \"slow\"");
    g_assert_true(qmp_has_oob(f.qmp));
    finish(&f);
}

static void test_out_of_band_that_is_not_offered(void)
{
    static const char *const script[] = {"greet", "until-closed", NULL};
    Fixture f;
    start(&f, script, 0);
    qmp_call_oob(f.qmp, "migrate-recover", NULL, 0, on_reply, &f);
    wait_answers(&f, 1);
    assert_seen(&f, "ready conflict");
    finish(&f);
}

static void test_ordinary_calls_leave_room_for_oob(void)
{
    static const char *const script[] = {
        "greet oob",
        "> {\"execute\":\"n\"}",
        "> {\"execute\":\"n\"}",
        "> {\"execute\":\"n\"}",
        "> {\"execute\":\"n\"}",
        "> {\"execute\":\"n\"}",
        "> {\"execute\":\"n\"}",
        "> {\"execute\":\"n\"}",
        "> {\"exec-oob\":\"o\"}",
        "< {\"return\":\"oob\"}",
        "< {\"return\":\"first\",\"id\":@2}",
        "> {\"execute\":\"n\"}",
        "< {\"return\":\"eighth\"}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script, 0);
    for (int i = 0; i < 8; i++) {
        qmp_call(f.qmp, "n", NULL, 0, on_reply, &f);
    }
    qmp_call_oob(f.qmp, "o", NULL, 0, on_reply, &f);
    wait_answers(&f, 3);
    assert_seen(&f, "ready \"oob\" \"first\" \"eighth\"");
    finish(&f);
    g_assert_cmpint(f.answers, ==, 9);
}

static void test_late_answer_is_nobodys(void)
{
    static const char *const script[] = {
        "greet",
        "> {\"execute\":\"slow\"}",
        "> {\"execute\":\"next\"}",
        "< {\"return\":\"late\",\"id\":@2}",
        "< {\"return\":\"right\",\"id\":@3}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script, 0);
    qmp_call(f.qmp, "slow", NULL, 20, on_reply, &f);
    wait_answers(&f, 1);
    qmp_call(f.qmp, "next", NULL, 0, on_reply, &f);
    wait_answers(&f, 2);
    assert_seen(&f, "ready timeout \"right\"");
    finish(&f);
}

static void test_answers_with_unknown_ids_are_ignored(void)
{
    static const char *const script[] = {
        "greet",
        "< {\"return\":1,\"id\":999}",
        "< {\"error\":{\"class\":\"GenericError\",\"desc\":\"x\"},\"id\":-1}",
        "> *",
        "< {\"return\":2}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script, 0);
    qmp_call(f.qmp, "x", NULL, 0, on_reply, &f);
    wait_answers(&f, 1);
    assert_seen(&f, "ready 2");
    finish(&f);
}

static void test_cancel(void)
{
    static const char *const script[] = {
        "greet",
        "> {\"execute\":\"a\"}",
        "< {\"return\":1}",
        "> {\"execute\":\"c\"}",
        "< {\"return\":3}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script, 0);
    guint64 b = qmp_call(f.qmp, "b", NULL, 0, on_reply, &f);
    g_assert_true(qmp_cancel(f.qmp, b));
    g_assert_false(qmp_cancel(f.qmp, b));
    g_assert_cmpint(f.answers, ==, 1);
    guint64 a = qmp_call(f.qmp, "a", NULL, 0, NULL, NULL);
    qmp_call(f.qmp, "c", NULL, 0, on_reply, &f);
    g_assert_cmpuint(a, !=, b);
    wait_answers(&f, 2);
    assert_seen(&f, "cancelled ready 3");
    finish(&f);
}

static void test_disconnect_answers_everything(void)
{
    static const char *const script[] = {"greet", "> *", "> *", "close", NULL};
    Fixture f;
    start(&f, script, 0);
    qmp_call(f.qmp, "a", NULL, 0, on_reply, &f);
    qmp_call(f.qmp, "b", NULL, QMP_NO_TIMEOUT, on_reply, &f);
    wait_closed(&f);
    assert_seen(&f, "ready unavailable unavailable closed");
    qmp_call(f.qmp, "c", NULL, 0, on_reply, &f);
    g_assert_cmpint(f.answers, ==, 2);
    wait_answers(&f, 3);
    assert_seen(&f, "ready unavailable unavailable closed unavailable");
    finish(&f);
}

static void test_disconnect_before_the_greeting(void)
{
    static const char *const script[] = {"close", NULL};
    Fixture f;
    start(&f, script, 0);
    qmp_call(f.qmp, "a", NULL, 0, on_reply, &f);
    wait_closed(&f);
    assert_seen(&f, "unavailable closed");
    finish(&f);
}

static void test_free_answers_everything_once(void)
{
    static const char *const script[] = {"greet", "> *", "until-closed", NULL};
    Fixture f;
    start(&f, script, 0);
    qmp_call(f.qmp, "a", NULL, 0, on_reply, &f);
    while (f.seen->len == 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    finish(&f);
    g_assert_cmpint(f.answers, ==, 1);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_assert_cmpint(f.answers, ==, 1);
}

static void test_free_inside_an_answer(void)
{
    static const char *const script[] = {
        "greet", "> *", "<! {\"return\":1,\"id\":@2}\n{\"event\":\"STOP\"}\n", "until-closed", NULL,
    };
    Fixture f;
    start(&f, script, 0);
    f.free_on_answer = true;
    qmp_call(f.qmp, "a", NULL, 0, on_reply, &f);
    wait_answers(&f, 1);
    assert_seen(&f, "ready 1");
    finish(&f);
}

static void assert_closed_by(const char *const *script, int code, const char *part)
{
    Fixture f;
    start(&f, script, 0);
    qmp_call(f.qmp, "a", NULL, 0, on_reply, &f);
    wait_closed(&f);
    g_assert_error(f.closed, BERTH_ERROR, code);
    g_assert_nonnull(strstr(f.closed->message, part));
    g_assert_cmpint(f.answers, ==, 1);
    finish(&f);
}

static void test_garbage_closes(void)
{
    static const char *const http[] = {"< HTTP/1.1 400 Bad Request", "until-closed", NULL};
    assert_closed_by(http, BERTH_ERROR_INVALID, "nonsense");
    static const char *const later[] = {"greet", "> *", "< {\"return\":", "until-closed", NULL};
    assert_closed_by(later, BERTH_ERROR_INVALID, "nonsense");
    static const char *const refused[] = {
        "< {\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"minor\":2,\"major\":7}}}}",
        "> *",
        "< {\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}",
        "until-closed",
        NULL,
    };
    assert_closed_by(refused, BERTH_ERROR_INTERNAL, "qmp_capabilities");
}

static void test_oversized_line_closes(void)
{
    static const char *const script[] = {"greet", "flood 4194305", "until-closed", NULL};
    assert_closed_by(script, BERTH_ERROR_TOO_LARGE, "4194304 bytes");
}

static void test_silent_monitor_times_out(void)
{
    static const char *const script[] = {"until-closed", NULL};
    Fixture f;
    start(&f, script, 20);
    qmp_call(f.qmp, "a", NULL, 0, on_reply, &f);
    wait_closed(&f);
    g_assert_error(f.closed, BERTH_ERROR, BERTH_ERROR_TIMEOUT);
    g_assert_nonnull(strstr(berth_error_remedy(f.closed), "one at a time"));
    assert_seen(&f, "timeout closed");
    finish(&f);
}

static void test_peer_that_does_not_read(void)
{
    static const char *const script[] = {"greet", "sleep 300", "until-closed", NULL};
    Fixture f;
    start(&f, script, 0);
    g_autofree char *big = g_strnfill(3 << 20, 'x');
    qmp_call(f.qmp, "a", json_pack("{s:s}", "x", big), 0, on_reply, &f);
    qmp_call(f.qmp, "b", json_pack("{s:s}", "x", big), 0, on_reply, &f);
    wait_answers(&f, 1);
    assert_seen(&f, "ready unavailable");
    finish(&f);
}

static void test_no_monitor_at_the_path(void)
{
    g_autoptr(GError) error = NULL;
    QmpHandlers handlers = {0};
    g_assert_null(qmp_connect("/nonexistent/qmp.sock", &handlers, 0, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_clear_error(&error);
    g_autofree char *path = g_strnfill(200, 'x');
    g_assert_null(qmp_connect(path, &handlers, 0, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/qmp/calls-wait-for-the-handshake", test_calls_wait_for_the_handshake);
    g_test_add_func("/qemu/qmp/errors-of-qemu", test_errors_of_qemu);
    g_test_add_func("/qemu/qmp/pieces", test_pieces);
    g_test_add_func("/qemu/qmp/out-of-band-overtakes", test_out_of_band_overtakes);
    g_test_add_func("/qemu/qmp/out-of-band-not-offered", test_out_of_band_that_is_not_offered);
    g_test_add_func("/qemu/qmp/room-for-out-of-band", test_ordinary_calls_leave_room_for_oob);
    g_test_add_func("/qemu/qmp/late-answer-is-nobodys", test_late_answer_is_nobodys);
    g_test_add_func("/qemu/qmp/unknown-ids", test_answers_with_unknown_ids_are_ignored);
    g_test_add_func("/qemu/qmp/cancel", test_cancel);
    g_test_add_func("/qemu/qmp/disconnect-answers-everything", test_disconnect_answers_everything);
    g_test_add_func("/qemu/qmp/disconnect-before-greeting", test_disconnect_before_the_greeting);
    g_test_add_func("/qemu/qmp/free-answers-once", test_free_answers_everything_once);
    g_test_add_func("/qemu/qmp/free-inside-an-answer", test_free_inside_an_answer);
    g_test_add_func("/qemu/qmp/garbage-closes", test_garbage_closes);
    g_test_add_func("/qemu/qmp/oversized-line-closes", test_oversized_line_closes);
    g_test_add_func("/qemu/qmp/silent-monitor-times-out", test_silent_monitor_times_out);
    g_test_add_func("/qemu/qmp/peer-that-does-not-read", test_peer_that_does_not_read);
    g_test_add_func("/qemu/qmp/no-monitor-at-the-path", test_no_monitor_at_the_path);
    return g_test_run();
}
