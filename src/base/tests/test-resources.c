#include "base/resources.h"

#include "base/error.h"

static void test_parse_all(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Resources) r = resources_parse(
        "capacity", "cpu=1500m,memory=2GiB,disk=10GiB,disk-bw=200,net-bw=1Gbit,gpu/a100=2", &error);
    g_assert_no_error(error);
    g_assert_cmpint(r->cpu, ==, 1500);
    g_assert_cmpint(r->memory, ==, 2048);
    g_assert_cmpint(r->disk, ==, 10);
    g_assert_cmpint(r->disk_bw, ==, 200);
    g_assert_cmpint(r->net_bw, ==, 1000);
    int64_t slices = 0;
    g_assert_true(int_map_get(r->accelerators, "gpu/a100", &slices));
    g_assert_cmpint(slices, ==, 2);
}

static void refused(const char *text, const char *field, const char *value)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(resources_parse("capacity", text, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, field);
    g_assert_cmpstr(berth_error_value(error), ==, value);
    g_assert_nonnull(berth_error_remedy(error));
}

static void test_refuse(void)
{
    refused("cpu", "capacity", "cpu");
    refused("cpu=4x", "capacity.cpu", "4x");
    refused("cpus=4", "capacity.cpus", "4");
    refused("gpu/a100=-1", "capacity.gpu/a100", "-1");
    refused("", "capacity", "");
}

static void test_format(void)
{
    g_autoptr(Resources) r = resources_parse(NULL, "cpu=2,memory=512MiB,gpu/a100=1", NULL);
    g_autofree char *text = resources_format(r);
    g_assert_cmpstr(text, ==, "2 cpu, 512MiB memory, 1 gpu/a100");
    g_autofree char *nothing = resources_format(NULL);
    g_assert_cmpstr(nothing, ==, "nothing");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/resources/parse", test_parse_all);
    g_test_add_func("/base/resources/refuse", test_refuse);
    g_test_add_func("/base/resources/format", test_format);
    return g_test_run();
}
