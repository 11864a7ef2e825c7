#include <string.h>

#include "world.h"

#include "base/order.h"

static World *world_of_ten(void)
{
    World *w = world_new();
    add_image_and_size(w);
    g_free(add_host(w, "h1", 10000, 100000));
    return w;
}

/* The names of all VMs, sorted: "web-1 web-2". */
static char *names(World *w, const char *tenant)
{
    ClusterPrincipal before = w->principal;
    w->principal.tenant = tenant;
    json_t *list = json_loads(strchr(ask(w, API_OP_LIST_VMS, NULL, NULL), '{'), 0, NULL);
    w->principal = before;
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    const json_t *vm;
    size_t i;
    json_array_foreach (json_object_get(list, "items"), i, vm) {
        g_ptr_array_add(found, g_strdup(json_string_value(json_object_get(vm, "name"))));
    }
    json_decref(list);
    g_ptr_array_sort(found, berth_order_texts);
    g_ptr_array_add(found, NULL);
    return g_strjoinv(" ", (char **)found->pdata);
}

static void assert_names(World *w, const char *expected)
{
    g_autofree char *is = names(w, "default");
    g_assert_cmpstr(is, ==, expected);
}

static const char *make(World *w, const char *name, int count)
{
    g_autofree char *body = g_strdup_printf(
        "{\"name\":\"%s\",\"size\":\"m1\",\"image\":\"demo\",\"count\":%d}", name, count);
    return ask(w, API_OP_CREATE_APP, NULL, body);
}

static const char *scale(World *w, const char *name, int count)
{
    g_autofree char *body = g_strdup_printf("{\"count\":%d}", count);
    return ask(w, API_OP_UPDATE_APP, name, body);
}

/* NAME-1 to NAME-count; the highest numbers go, and the lowest that are missing are made. */
static void test_numbers_are_filled_from_below(void)
{
    World *w = world_of_ten();
    g_assert_true(g_str_has_prefix(make(w, "web", 3), "202"));
    assert_names(w, "web-1 web-2 web-3");
    scale(w, "web", 5);
    assert_names(w, "web-1 web-2 web-3 web-4 web-5");
    scale(w, "web", 2);
    assert_names(w, "web-1 web-2");
    scale(w, "web", 4);
    assert_names(w, "web-1 web-2 web-3 web-4");
    ask(w, API_OP_DELETE_VM, "web-2", NULL); /* is made anew */
    assert_names(w, "web-1 web-2 web-3 web-4");
    world_free(w);
}

/* A VM that is being removed keeps its number until its host has let it go. */
static void test_a_number_is_taken_until_its_vm_is_gone(void)
{
    World *w = world_of_ten();
    make(w, "web", 3);
    w->obedient = false;
    scale(w, "web", 1);
    g_assert_true(g_str_has_prefix(scale(w, "web", 3), "202"));
    assert_names(w, "web-1 web-2 web-3");
    json_t *vm = json_loads(strchr(ask(w, API_OP_GET_VM, "web-2", NULL), '{'), 0, NULL);
    g_assert_true(json_is_true(json_object_get(json_object_get(vm, "spec"), "removing")));
    json_decref(vm);
    world_free(w);
}

/* A VM of this name that is no part of the app, of an app whose name looks alike, or of another tenant. */
static void test_names_of_others(void)
{
    World *w = world_of_ten();
    ask(w, API_OP_CREATE_TENANT, NULL, "{\"name\":\"blue\"}");
    ask(w, API_OP_CREATE_VM, NULL, "{\"name\":\"web-2\",\"size\":\"m1\",\"image\":\"demo\"}");
    const char *reply = make(w, "web", 2);
    g_assert_true(g_str_has_prefix(reply, "409"));
    g_assert_nonnull(strstr(reply, "there is a vm of this name already (name: 'web-2')"));
    g_assert_true(g_str_has_prefix(make(w, "web", 1), "202"));
    g_assert_true(g_str_has_prefix(scale(w, "web", 2), "409"));
    assert_names(w, "web-1 web-2");
    g_assert_true(g_str_has_prefix(make(w, "web-1", 2), "202"));
    assert_names(w, "web-1 web-1-1 web-1-2 web-2");
    w->principal.tenant = "blue";
    g_assert_true(g_str_has_prefix(make(w, "web", 2), "202"));
    g_autofree char *blue = names(w, "blue");
    g_assert_cmpstr(blue, ==, "web-1 web-2");
    world_free(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cluster/apps/numbers-are-filled-from-below",
                    test_numbers_are_filled_from_below);
    g_test_add_func("/cluster/apps/a-number-is-taken-until-its-vm-is-gone",
                    test_a_number_is_taken_until_its_vm_is_gone);
    g_test_add_func("/cluster/apps/names-of-others", test_names_of_others);
    return g_test_run();
}
