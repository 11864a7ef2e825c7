#include "qemu/tests/fake-qmp.h"

#include <glib.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEP_TIMEOUT_MS 10000

struct FakeQmp {
    GThread *thread;
    const char *const *script;
    int fd;
    GString *in;
    GArray *ids; /* of gint64, as they came */
    char *failure;
};

static bool fail(FakeQmp *fake, const char *step, const char *why)
{
    fake->failure = g_strdup_printf("step '%s': %s", step, why);
    return false;
}

static bool send_bytes(FakeQmp *fake, const char *step, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fake->fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return fail(fake, step, "the client has closed");
        }
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* 1: bytes came, 0: closed, -1: nothing in time */
static int receive(FakeQmp *fake)
{
    char buffer[4096];
    struct pollfd poller = {.fd = fake->fd, .events = POLLIN};
    if (poll(&poller, 1, STEP_TIMEOUT_MS) <= 0) {
        return -1;
    }
    ssize_t size = read(fake->fd, buffer, sizeof buffer);
    if (size <= 0) {
        return 0;
    }
    g_string_append_len(fake->in, buffer, size);
    return 1;
}

static json_t *receive_object(FakeQmp *fake)
{
    char *end;
    while ((end = strchr(fake->in->str, '\n')) == NULL) {
        if (receive(fake) <= 0) {
            return NULL;
        }
    }
    size_t len = (size_t)(end - fake->in->str);
    size_t skip = (guint8)fake->in->str[0] == 0xFF;
    json_t *object = json_loadb(fake->in->str + skip, len - skip, 0, NULL);
    g_string_erase(fake->in, 0, (gssize)len + 1);
    return object;
}

static bool expect(FakeQmp *fake, const char *step, const char *text)
{
    json_t *got = receive_object(fake);
    if (got == NULL) {
        return fail(fake, step, "no object came");
    }
    gint64 id = json_integer_value(json_object_get(got, "id"));
    g_array_append_val(fake->ids, id);
    json_object_del(got, "id");
    json_t *wanted = json_loads(text, 0, NULL);
    bool equal = strcmp(text, "*") == 0 || json_equal(got, wanted);
    if (!equal) {
        char *shown = json_dumps(got, JSON_COMPACT);
        fail(fake, step, shown);
        free(shown);
    }
    json_decref(wanted);
    json_decref(got);
    return equal;
}

static char *with_ids(FakeQmp *fake, const char *text)
{
    GString *result = g_string_new(NULL);
    for (const char *c = text; *c != '\0';) {
        if (*c == '@' && g_ascii_isdigit(c[1])) {
            guint64 nth = g_ascii_strtoull(c + 1, (char **)&c, 10);
            gint64 id = nth > 0 ? g_array_index(fake->ids, gint64, nth - 1) : 0;
            g_string_append_printf(result, "%" G_GINT64_FORMAT, id);
        } else {
            g_string_append_c(result, *c++);
        }
    }
    return g_string_free(result, FALSE);
}

static bool reply(FakeQmp *fake, const char *step, const char *text)
{
    g_autofree char *filled = with_ids(fake, text);
    json_t *object = json_loads(filled, 0, NULL);
    bool answer = json_object_get(object, "return") != NULL || json_object_get(object, "error");
    gint64 last = fake->ids->len > 0 ? g_array_index(fake->ids, gint64, fake->ids->len - 1) : 0;
    if (answer && last != 0 && json_object_get(object, "id") == NULL) {
        json_object_set_new(object, "id", json_integer(last));
    }
    char *encoded = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    /* What is no JSON goes out as it stands: garbage is a thing to test. */
    g_autofree char *line = g_strconcat(encoded != NULL ? encoded : filled, "\r\n", NULL);
    free(encoded);
    return send_bytes(fake, step, line, strlen(line));
}

static bool greet(FakeQmp *fake, const char *step, bool oob)
{
    g_autofree char *greeting =
        g_strdup_printf("{\"QMP\":{\"version\":{\"qemu\":{\"micro\":22,\"minor\":2,\"major\":7},"
                        "\"package\":\"\"},\"capabilities\":[%s]}}",
                        oob ? "\"oob\"" : "");
    return reply(fake, step, greeting) &&
           expect(fake, step,
                  oob ? "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}"
                      : "{\"execute\":\"qmp_capabilities\"}") &&
           reply(fake, step, "{\"return\":{}}");
}

static bool sync_guest(FakeQmp *fake, const char *step)
{
    json_t *got = receive_object(fake);
    json_int_t id = 0;
    const char *name = NULL;
    int bad = json_unpack(got, "{s:s,s:{s:I}}", "execute", &name, "arguments", "id", &id);
    bool right = bad == 0 && strcmp(name, "guest-sync-delimited") == 0;
    json_decref(got);
    if (!right) {
        return fail(fake, step, "no guest-sync-delimited came");
    }
    g_autofree char *line = g_strdup_printf("\xFF{\"return\":%" JSON_INTEGER_FORMAT "}\n", id);
    return send_bytes(fake, step, line, strlen(line));
}

static bool flood(FakeQmp *fake, const char *step, size_t size)
{
    g_autofree char *bytes = g_malloc(size);
    memset(bytes, 'x', size);
    return send_bytes(fake, step, bytes, size);
}

static bool until_closed(FakeQmp *fake, const char *step)
{
    int got;
    while ((got = receive(fake)) > 0) {
    }
    return got == 0 || fail(fake, step, "the client keeps the connection open");
}

static bool play(FakeQmp *fake, const char *step)
{
    if (g_str_has_prefix(step, "> ")) {
        return expect(fake, step, step + 2);
    }
    if (g_str_has_prefix(step, "< ")) {
        return reply(fake, step, step + 2);
    }
    if (g_str_has_prefix(step, "<! ")) {
        g_autofree char *filled = with_ids(fake, step + 3);
        return send_bytes(fake, step, filled, strlen(filled));
    }
    if (g_str_has_prefix(step, "flood ")) {
        return flood(fake, step, (size_t)g_ascii_strtoull(step + 6, NULL, 10));
    }
    if (g_str_has_prefix(step, "sleep ")) {
        g_usleep(1000 * (gulong)g_ascii_strtoull(step + 6, NULL, 10));
        return true;
    }
    if (strcmp(step, "mark") == 0) {
        return send_bytes(fake, step, "\xFF", 1);
    }
    if (strcmp(step, "greet") == 0 || strcmp(step, "greet oob") == 0) {
        return greet(fake, step, strcmp(step, "greet oob") == 0);
    }
    if (strcmp(step, "sync") == 0) {
        return sync_guest(fake, step);
    }
    if (strcmp(step, "close") == 0) {
        return shutdown(fake->fd, SHUT_RDWR) == 0;
    }
    if (strcmp(step, "until-closed") == 0) {
        return until_closed(fake, step);
    }
    return fail(fake, step, "no such step");
}

static gpointer run(gpointer data)
{
    FakeQmp *fake = data;
    for (const char *const *step = fake->script; *step != NULL && play(fake, *step); step++) {
    }
    if (fake->failure != NULL) {
        shutdown(fake->fd, SHUT_RDWR);
    }
    return NULL;
}

FakeQmp *fake_qmp_start(const char *const *script, int *ret_fd)
{
    int pair[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    FakeQmp *fake = g_new0(FakeQmp, 1);
    fake->script = script;
    fake->fd = pair[0];
    fake->in = g_string_new(NULL);
    fake->ids = g_array_new(FALSE, FALSE, sizeof(gint64));
    fake->thread = g_thread_new("fake-qmp", run, fake);
    *ret_fd = pair[1];
    return fake;
}

void fake_qmp_finish(FakeQmp *fake)
{
    g_thread_join(fake->thread);
    g_assert_cmpstr(fake->failure, ==, NULL);
    close(fake->fd);
    g_string_free(fake->in, TRUE);
    g_array_unref(fake->ids);
    g_free(fake);
}
