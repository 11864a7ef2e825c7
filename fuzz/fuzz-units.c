/* Quantities, resource vectors, times and ids as people write them. */
#include "fuzz.h"

#include "base/resources.h"
#include "base/timefmt.h"
#include "base/ulid.h"
#include "base/units.h"

static void check_quantity(BerthQuantity quantity, const char *text)
{
    int64_t amount;
    if (berth_quantity_parse(quantity, "amount", text, &amount, NULL)) {
        g_assert_cmpint(amount, >=, 0);
        g_autofree char *again = berth_quantity_format(quantity, amount);
        int64_t same = -1;
        g_assert_true(berth_quantity_parse(quantity, NULL, again, &same, NULL));
        g_assert_cmpint(same, ==, amount);
    }
}

static void check_time(const char *text)
{
    int64_t time_ms;
    if (berth_time_parse("time", text, &time_ms, NULL)) {
        g_autofree char *again = berth_time_format(time_ms);
        int64_t same = -1;
        g_assert_true(berth_time_parse(NULL, again, &same, NULL));
        g_assert_cmpint(same, ==, time_ms);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    for (int quantity = 0; quantity < BERTH_QUANTITY_COUNT; quantity++) {
        check_quantity((BerthQuantity)quantity, text);
    }
    check_time(text);
    char ulid[BERTH_ULID_SIZE];
    if (berth_ulid_parse("id", text, ulid, NULL)) {
        g_assert_true(berth_ulid_is_valid(ulid));
        g_assert_cmpint(berth_ulid_time(ulid), <=, BERTH_ULID_MAX_MS);
    }
    g_autoptr(Resources) resources = resources_parse("resources", text, NULL);
    if (resources != NULL) {
        g_autofree char *shown = resources_format(resources);
        g_assert_true((strcmp(shown, "nothing") == 0) == resources_is_zero(resources));
        json_t *json = resources_encode(resources);
        fuzz_round_trip(&resources_type, json, CODEC_STRICT);
        json_decref(json);
    }
    return 0;
}
