#include "cli/context.h"

#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"

static Context *parse(const char *text, GError **error)
{
    return context_parse("c.yaml", text, strlen(text), error);
}

static void test_good(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Context) context =
        parse("url: https://10.0.0.1:7400/\ntoken: t\nca: |\n  PEM\n", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(context->url, ==, "https://10.0.0.1:7400");
    g_assert_cmpstr(context->token, ==, "t");
    g_assert_cmpstr(context->ca, ==, "PEM\n");
    g_autoptr(Context) local = parse("url: http://[::1]:7400\n", &error);
    g_assert_no_error(error);
    g_assert_null(local->token);
}

static void test_bad(void)
{
    static const struct {
        const char *text, *field, *part;
    } cases[] = {
        {"", NULL, "berth dev"},
        {"- a\n", NULL, "berth dev"},
        {"token: x\n", "url", "no URL"},
        {"url: [a]\n", "url", "not a text"},
        {"url: 10.0.0.1\n", "url", "not the URL"},
        {"url: ftp://10.0.0.1\n", "url", "not the URL"},
        {"url: https://10.0.0.1/v1\nca: x\n", "url", "more than"},
        {"url: https://u:p@10.0.0.1\nca: x\n", "url", "more than"},
        {"url: http://10.0.0.1:80\n", "url", "in the clear"},
        {"url: https://10.0.0.1\n", "ca", "nothing to know"},
        {"url: https://10.0.0.1\nca: x\ntokn: y\n", "tokn", "did you mean token?"},
        {"url: x\nurl: y\n", NULL, "line 2"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(parse(cases[i].text, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(berth_error_field(error), ==, cases[i].field);
        g_autofree char *text = berth_error_describe(error);
        g_assert_nonnull(strstr(text, cases[i].part));
        g_assert_nonnull(strstr(text, "c.yaml"));
    }
}

/* --context before BERTH_CONTEXT before the user's own. */
static void test_order(void)
{
    g_autofree char *directory = g_dir_make_tmp("berth-cli-XXXXXX", NULL);
    const char *const names[] = {"given", "env", "berth/context.yaml"};
    g_autofree char *folder = g_build_filename(directory, "berth", NULL);
    g_mkdir(folder, 0700);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(directory, names[i], NULL);
        g_autofree char *text = g_strdup_printf("url: http://127.0.0.1:%zu\n", i + 1);
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
    }
    g_autofree char *given = g_build_filename(directory, "given", NULL);
    g_autofree char *env = g_build_filename(directory, "env", NULL);
    g_autofree char *own = g_build_filename(directory, "berth", "context.yaml", NULL);
    g_setenv("XDG_CONFIG_HOME", directory, TRUE);
    g_setenv("BERTH_CONTEXT", env, TRUE);
    g_autoptr(Context) first = context_load(given, NULL);
    g_autoptr(Context) second = context_load(NULL, NULL);
    g_unsetenv("BERTH_CONTEXT");
    g_autoptr(Context) third = context_load(NULL, NULL);
    g_assert_cmpstr(first->url, ==, "http://127.0.0.1:1");
    g_assert_cmpstr(second->url, ==, "http://127.0.0.1:2");
    g_assert_cmpstr(third->url, ==, "http://127.0.0.1:3");
    g_unlink(given);
    g_autoptr(GError) error = NULL;
    g_assert_null(context_load(given, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
    g_unlink(env);
    g_unlink(own);
    g_rmdir(folder);
    g_rmdir(directory);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/context/good", test_good);
    g_test_add_func("/cli/context/bad", test_bad);
    g_test_add_func("/cli/context/order", test_order);
    return g_test_run();
}
