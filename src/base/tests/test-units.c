#include "base/units.h"
#include "base/error.h"

#include <string.h>

#define CPU BERTH_QUANTITY_CPU
#define MEMORY BERTH_QUANTITY_MEMORY
#define DISK BERTH_QUANTITY_DISK
#define DISK_BW BERTH_QUANTITY_DISK_BW
#define NET_BW BERTH_QUANTITY_NET_BW
#define DURATION BERTH_QUANTITY_DURATION
#define BYTES BERTH_QUANTITY_BYTES

static void test_parse(void)
{
    static const struct {
        BerthQuantity quantity;
        const char *text;
        int64_t amount;
    } cases[] = {
        {CPU, "4", 4000},
        {CPU, "0.5", 500},
        {CPU, "1.25", 1250},
        {CPU, "500m", 500},
        {CPU, "0", 0},
        {CPU, "0.001", 1},
        {CPU, "2.50000000000000000000000000000", 2500},
        {CPU, "00000000000000000000000000002", 2000},
        {CPU, "8796093022.207", BERTH_QUANTITY_MAX},
        {MEMORY, "512", 512},
        {MEMORY, "512MiB", 512},
        {MEMORY, "512 MiB", 512},
        {MEMORY, "512Mi", 512},
        {MEMORY, "512M", 489}, /* 488.28 */
        {MEMORY, "512MB", 489},
        {MEMORY, "2GiB", 2048},
        {MEMORY, "2G", 1908}, /* 1907.35 */
        {MEMORY, "1.5GiB", 1536},
        {MEMORY, "1TiB", 1048576},
        {MEMORY, "1B", 1},
        {MEMORY, "1048576B", 1},
        {MEMORY, "1048577B", 2},
        {MEMORY, "1k", 1},
        {MEMORY, "8PiB", INT64_C(8) << 30},
        {DISK, "20", 20},
        {DISK, "20GiB", 20},
        {DISK, "1GB", 1},
        {DISK, "500GB", 466}, /* 465.66 */
        {DISK, "1TiB", 1024},
        {DISK, "1MiB", 1},
        {DISK_BW, "100", 100},
        {DISK_BW, "100MB/s", 100},
        {DISK_BW, "100MBps", 100},
        {DISK_BW, "1GB/s", 1000},
        {DISK_BW, "64MiB/s", 68}, /* 67.1 */
        {DISK_BW, "500kB/s", 1},
        {NET_BW, "100", 100},
        {NET_BW, "1Gbit", 1000},
        {NET_BW, "1Gbit/s", 1000},
        {NET_BW, "1Gbps", 1000},
        {NET_BW, "100Mbit", 100},
        {NET_BW, "500kbit", 1},
        {NET_BW, "1500kbit", 2},
        {NET_BW, "2.5Gbit", 2500},
        {DURATION, "100ms", 100},
        {DURATION, "30s", 30000},
        {DURATION, "1.5s", 1500},
        {DURATION, "5m", 300000},
        {DURATION, "2h", 7200000},
        {DURATION, "1d", 86400000},
        {DURATION, "0", 0},
        {BYTES, "4096", 4096},
        {BYTES, "64KiB", 65536},
        {BYTES, "1.5KiB", 1536},
        {BYTES, "1kB", 1000},
        {BYTES, "9223372036854775807", INT64_MAX},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        int64_t amount = -1;

        g_test_message("%s", cases[i].text);
        berth_quantity_parse(cases[i].quantity, "f", cases[i].text, &amount, &error);
        g_assert_no_error(error);
        g_assert_cmpint(amount, ==, cases[i].amount);
    }
}

static void test_refuse(void)
{
    static const struct {
        BerthQuantity quantity;
        const char *text, *says;
    } cases[] = {
        {CPU, "", "not a quantity of CPU"},
        {CPU, "4x", "not a quantity of CPU"},
        {CPU, "x", "not a quantity of CPU"},
        {CPU, "-1", "negative"},
        {CPU, "-1m", "negative"},
        {CPU, "+1", "not a quantity of CPU"},
        {CPU, ".5", "not a quantity of CPU"},
        {CPU, "1.", "not a quantity of CPU"},
        {CPU, "1,5", "not a quantity of CPU"},
        {CPU, "1.2.3", "not a quantity of CPU"},
        {CPU, "1e3", "not a quantity of CPU"},
        {CPU, "0x10", "not a quantity of CPU"},
        {CPU, " 4", "not a quantity of CPU"},
        {CPU, "4 ", "not a quantity of CPU"},
        {CPU, "4  m", "not a quantity of CPU"},
        {CPU, "nan", "not a quantity of CPU"},
        {CPU, "0.0005", "no whole number of millicores"},
        {CPU, "0.5m", "no whole number of millicores"},
        {CPU, "2GiB", "GiB is a unit of memory"},
        {CPU, "8796093022.208", "too large"},
        {CPU, "9223372036854775807", "too large"},
        {CPU, "99999999999999999999999999", "more than 19 digits"},
        {CPU, "1.00000000000000000000000001", "more than 19 digits"},
        {MEMORY, "4Gbit", "Gbit is a unit of network bandwidth"},
        {MEMORY, "4MB/s", "MB/s is a unit of disk bandwidth"},
        {MEMORY, "512m", "m is a unit of CPU"},
        {MEMORY, "2gib", "not a quantity of memory"},
        {MEMORY, "2Gb", "not a quantity of memory"},
        {MEMORY, "2i", "not a quantity of memory"},
        {MEMORY, "9999999PiB", "too large"},
        {MEMORY, "8796093022208", "too large"},
        {DISK_BW, "100MB", "MB is a unit of memory"},
        {DISK_BW, "100Mbit", "Mbit is a unit of network bandwidth"},
        {NET_BW, "100MB/s", "MB/s is a unit of disk bandwidth"},
        {NET_BW, "1G", "G is a unit of memory"},
        {DURATION, "5", "needs a unit"},
        {DURATION, "0.5ms", "no whole number of ms"},
        {DURATION, "5min", "not a quantity of time"},
        {DURATION, "999999999d", "too large"},
        {BYTES, "0.5", "no whole number of bytes"},
        {BYTES, "9223372036854775808", "too large"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        int64_t amount = -7;

        g_test_message("%s", cases[i].text);
        g_assert_false(
            berth_quantity_parse(cases[i].quantity, "size.x", cases[i].text, &amount, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_nonnull(strstr(error->message, cases[i].says));
        g_assert_cmpstr(berth_error_field(error), ==, "size.x");
        g_assert_cmpstr(berth_error_value(error), ==, cases[i].text);
        g_assert_nonnull(berth_error_remedy(error));
        g_assert_cmpint(amount, ==, -7);
    }
}

static void test_remedy_says_what_is_right(void)
{
    g_autoptr(GError) error = NULL;
    int64_t amount;

    g_assert_false(berth_quantity_parse(CPU, NULL, "4x", &amount, &error));
    g_assert_cmpstr(error->message, ==, "not a quantity of CPU");
    g_assert_cmpstr(berth_error_remedy(error), ==,
                    "write a count of CPUs (4, 0.5) or millicores (500m)");
}

static void test_format(void)
{
    static const struct {
        BerthQuantity quantity;
        int64_t amount;
        const char *text;
    } cases[] = {
        {CPU, 0, "0"},
        {CPU, 500, "500m"},
        {CPU, 1000, "1"},
        {CPU, 1250, "1250m"},
        {CPU, 64000, "64"},
        {MEMORY, 512, "512MiB"},
        {MEMORY, 1024, "1GiB"},
        {MEMORY, 1536, "1536MiB"},
        {MEMORY, 2048, "2GiB"},
        {MEMORY, 1048576, "1TiB"},
        {MEMORY, -2048, "-2GiB"},
        {MEMORY, INT64_MIN, "-8589934592PiB"},
        {DISK, 20, "20GiB"},
        {DISK, 2048, "2TiB"},
        {DISK_BW, 100, "100MB/s"},
        {DISK_BW, 2000, "2GB/s"},
        {NET_BW, 1000, "1Gbit"},
        {NET_BW, 2500, "2500Mbit"},
        {DURATION, 30000, "30s"},
        {DURATION, 86400000, "1d"},
        {DURATION, 90000, "90s"},
        {DURATION, 1, "1ms"},
        {BYTES, 4096, "4KiB"},
        {BYTES, 1000000, "1MB"},
        {BYTES, 1001, "1001B"},
        {BYTES, 0, "0"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = berth_quantity_format(cases[i].quantity, cases[i].amount);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static void test_what_is_formatted_parses_back(void)
{
    for (int quantity = 0; quantity < BERTH_QUANTITY_COUNT; quantity++) {
        for (int shift = 0; shift <= 42; shift++) {
            for (int64_t offset = -1; offset <= 0; offset++) {
                int64_t amount = (INT64_C(1) << shift) + offset, back = -1;
                g_autofree char *text = berth_quantity_format(quantity, amount);
                g_autoptr(GError) error = NULL;

                berth_quantity_parse(quantity, NULL, text, &back, &error);
                g_assert_no_error(error);
                g_assert_cmpint(back, ==, amount);
            }
        }
    }
}

static void test_names(void)
{
    g_assert_cmpstr(berth_quantity_unit(CPU), ==, "millicores");
    g_assert_cmpstr(berth_quantity_unit(NET_BW), ==, "Mbit/s");
    g_assert_cmpstr(berth_quantity_name(DISK_BW), ==, "disk bandwidth");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/units/parse", test_parse);
    g_test_add_func("/base/units/refuse", test_refuse);
    g_test_add_func("/base/units/remedy-says-what-is-right", test_remedy_says_what_is_right);
    g_test_add_func("/base/units/format", test_format);
    g_test_add_func("/base/units/what-is-formatted-parses-back",
                    test_what_is_formatted_parses_back);
    g_test_add_func("/base/units/names", test_names);
    return g_test_run();
}
