#include "base/codec.h"

#include <string.h>

#include "base/error.h"
#include "schema/objects.h"
#include "schema/routes.h"

static json_t *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    json_t *json = codec_parse(text, strlen(text), NULL, &error);
    g_assert_no_error(error);
    return json;
}

static void assert_refused(const char *text, const char *field, const char *remedy)
{
    g_autoptr(GError) error = NULL;
    json_t *json = parse(text);
    VmCreate *vm = vm_create_decode(json, CODEC_STRICT, &error);
    json_decref(json);
    g_assert_null(vm);
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, field);
    g_assert_nonnull(berth_error_remedy(error));
    g_assert_nonnull(strstr(berth_error_remedy(error), remedy));
}

static void test_round_trip_keeps_every_kind(void)
{
    json_t *json = parse("{\"cpu\":2000,\"memory\":512,\"disk\":0,\"disk-bw\":0,\"net-bw\":10,"
                         "\"accelerators\":{\"fpga/u250\":2,\"gpu/a100\":1}}");
    g_autoptr(GError) error = NULL;
    g_autoptr(Resources) resources = resources_decode(json, CODEC_STRICT, &error);
    g_assert_no_error(error);
    g_assert_cmpint(resources->cpu, ==, 2000);
    int64_t slices = 0;
    g_assert_true(int_map_get(resources->accelerators, "gpu/a100", &slices));
    g_assert_cmpint(slices, ==, 1);
    g_autoptr(Resources) copy = resources_copy(resources);
    g_assert_true(resources_equal(resources, copy));
    json_t *back = resources_encode(copy);
    g_assert_true(json_equal(json, back));
    copy->cpu++;
    g_assert_false(resources_equal(resources, copy));
    json_decref(json);
    json_decref(back);
}

static void test_strict_door_names_the_field_at_fault(void)
{
    assert_refused("{\"name\":\"a\",\"size\":\"s\",\"image\":\"i\",\"netwroks\":[]}", "netwroks",
                   "networks");
    assert_refused("{\"name\":\"Web\",\"size\":\"s\",\"image\":\"i\"}", "name", "lowercase");
    assert_refused("{\"name\":\"a\",\"size\":\"s\"}", "image", "give it");
    assert_refused("{\"name\":\"a\",\"size\":\"s\",\"image\":\"i\",\"power\":\"up\"}", "power",
                   "on, off");
    assert_refused("{\"name\":\"a\",\"size\":\"s\",\"image\":\"i\",\"networks\":[\"n\",3]}",
                   "networks[1]", "string");
}

static void test_nested_errors_carry_the_whole_path(void)
{
    json_t *json = parse("{\"name\":\"m\",\"resources\":{\"cpu\":-5}}");
    g_autoptr(GError) error = NULL;
    g_assert_null(size_create_decode(json, CODEC_STRICT, &error));
    g_assert_cmpstr(berth_error_field(error), ==, "resources.cpu");
    g_assert_cmpstr(berth_error_value(error), ==, "-5");
    json_decref(json);
}

static void test_tolerant_reader_keeps_what_it_does_not_know(void)
{
    json_t *json = parse("{\"power\":\"running\",\"novelty\":{\"a\":[1]}}");
    g_autoptr(GError) error = NULL;
    g_autoptr(VmStatus) status = vm_status_decode(json, CODEC_TOLERANT, &error);
    g_assert_no_error(error);
    json_t *back = vm_status_encode(status);
    g_assert_true(json_equal(json_object_get(back, "novelty"), json_object_get(json, "novelty")));
    json_decref(back);
    json_decref(json);
}

static void test_tolerant_reader_keeps_a_choice_it_does_not_know(void)
{
    json_t *json = parse("{\"power\":\"hibernating\",\"cause\":\"solar-flare\"}");
    g_autoptr(GError) error = NULL;
    g_autoptr(VmStatus) status = vm_status_decode(json, CODEC_TOLERANT, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status->power, ==, 0);
    json_t *back = vm_status_encode(status);
    g_assert_true(json_equal(json_object_get(back, "power"), json_object_get(json, "power")));
    g_autoptr(VmStatus) again = vm_status_decode(back, CODEC_TOLERANT, &error);
    g_assert_no_error(error);
    g_assert_true(vm_status_equal(status, again));
    json_decref(back);

    status->power = codec_enum_parse(&power_is_enum, "running");
    back = vm_status_encode(status);
    g_assert_cmpstr(json_string_value(json_object_get(back, "power")), ==, "running");
    json_decref(back);
    json_decref(json);
}

static void test_another_name_of_a_value_is_read_and_never_written(void)
{
    json_t *json = parse("{\"name\":\"v\",\"size\":\"s\",\"image\":\"i\",\"policy\":\"best-fit\"}");
    g_autoptr(GError) error = NULL;
    g_autoptr(VmCreate) body = vm_create_decode(json, CODEC_STRICT, &error);
    g_assert_no_error(error);
    g_assert_cmpint(body->policy, ==, PLACE_POLICY_MOST_FREE);
    json_t *back = vm_create_encode(body);
    g_assert_cmpstr(json_string_value(json_object_get(back, "policy")), ==, "most-free");
    json_decref(back);
    json_decref(json);
}

static void test_defaults_and_absence_differ(void)
{
    json_t *json = parse("{}");
    g_autoptr(VmResize) resize = vm_resize_decode(json, CODEC_STRICT, NULL);
    g_assert_false(resize->has_cpu);
    json_t *back = vm_resize_encode(resize);
    g_assert_cmpuint(json_object_size(back), ==, 0);
    g_autoptr(VmStatus) status = vm_status_new();
    g_assert_cmpint(status->restarts, ==, 0);
    json_decref(back);
    json_decref(json);
}

static void test_hostile_text_is_refused(void)
{
    g_autofree char *brackets = g_strnfill(200000, '[');
    g_autoptr(GError) deep = NULL;
    g_assert_null(codec_parse(brackets, 200000, NULL, &deep));
    g_assert_nonnull(strstr(deep->message, "too deeply"));
    g_autoptr(GError) large = NULL;
    CodecLimits limits = {.max_bytes = 10};
    g_assert_null(codec_parse("{\"a\": 123456}", 13, &limits, &large));
    g_assert_error(large, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
    const char *bad[] = {"{\"a\":1,\"a\":2}", "{", "", "nonsense", "{\"a\":\"[[[\\\"[[\"} x"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(codec_parse(bad[i], strlen(bad[i]), NULL, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    }
}

static void test_url_parameters_are_typed(void)
{
    g_autoptr(GHashTable) values = g_hash_table_new(g_str_hash, g_str_equal);
    g_hash_table_insert(values, "limit", "7");
    g_autoptr(GError) error = NULL;
    ListVmsQuery *query = codec_decode_strings(&list_vms_query_type, values, &error);
    g_assert_no_error(error);
    g_assert_cmpint(query->limit, ==, 7);
    list_vms_query_free(query);
    g_hash_table_insert(values, "limit", "7x");
    g_assert_null(codec_decode_strings(&list_vms_query_type, values, &error));
    g_assert_cmpstr(berth_error_field(error), ==, "limit");
    g_clear_error(&error);
    g_hash_table_insert(values, "limit", "\xFF");
    g_assert_null(codec_decode_strings(&list_vms_query_type, values, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
}

static void test_routes_match_and_the_document_is_json(void)
{
    static const char *const not_paths[] = {
        "/v1/nil", "/v1/vms/%FF",     "/v1/vms/", "",           "/v1/vmsx",
        "/v1/vm",  "/v1/vms/a/b/c/d", "v1/vms",   "/v1/vms/%00"};
    g_auto(GStrv) params = NULL;
    bool known = false;
    const ApiRoute *route = api_route_match(api_routes, API_N_OPERATIONS, "POST",
                                            "/v1/vms/web%2D1/resize", &params, &known);
    g_assert_nonnull(route);
    g_assert_cmpint(route->operation, ==, API_OP_RESIZE_VM);
    g_assert_cmpstr(params[0], ==, "web-1");
    g_auto(GStrv) none = NULL;
    g_autofree char *methods = api_route_methods(api_routes, API_N_OPERATIONS, "/v1/vms");
    g_assert_cmpstr(methods, ==, "GET, POST");
    g_assert_null(api_route_methods(api_routes, API_N_OPERATIONS, "/v1/nil"));
    g_assert_null(api_route_match(api_routes, API_N_OPERATIONS, "PUT", "/v1/vms", &none, &known));
    g_assert_true(known);
    for (size_t i = 0; i < G_N_ELEMENTS(not_paths); i++) {
        g_assert_null(
            api_route_match(api_routes, API_N_OPERATIONS, "GET", not_paths[i], &none, &known));
        g_assert_false(known);
    }
    for (int i = 0; i < API_N_OPERATIONS; i++) {
        g_assert_cmpint(api_routes[i].operation, ==, i);
    }
    json_t *document = parse(api_openapi_json);
    g_assert_cmpstr(json_string_value(json_object_get(document, "openapi")), ==, "3.1.0");
    json_decref(document);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/codec/round-trip-keeps-every-kind", test_round_trip_keeps_every_kind);
    g_test_add_func("/base/codec/strict-door-names-the-field-at-fault",
                    test_strict_door_names_the_field_at_fault);
    g_test_add_func("/base/codec/nested-errors-carry-the-whole-path",
                    test_nested_errors_carry_the_whole_path);
    g_test_add_func("/base/codec/another-name-of-a-value-is-read-and-never-written",
                    test_another_name_of_a_value_is_read_and_never_written);
    g_test_add_func("/base/codec/tolerant-reader-keeps-what-it-does-not-know",
                    test_tolerant_reader_keeps_what_it_does_not_know);
    g_test_add_func("/base/codec/tolerant-reader-keeps-a-choice-it-does-not-know",
                    test_tolerant_reader_keeps_a_choice_it_does_not_know);
    g_test_add_func("/base/codec/another-name-of-a-value",
                    test_another_name_of_a_value_is_read_and_never_written);
    g_test_add_func("/base/codec/defaults-and-absence-differ", test_defaults_and_absence_differ);
    g_test_add_func("/base/codec/hostile-text-is-refused", test_hostile_text_is_refused);
    g_test_add_func("/base/codec/url-parameters-are-typed", test_url_parameters_are_typed);
    g_test_add_func("/base/codec/routes-match-and-the-document-is-json",
                    test_routes_match_and_the_document_is_json);
    return g_test_run();
}
