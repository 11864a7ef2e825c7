/* A fleet that was saved and loaded is the same fleet; bytes that are none are refused.
 * (test-file-faults.c has what a refusal says.)
 *
 *     BERTH_PLACE_FILES=n BERTH_PLACE_SEED=s test-place-file      (default: 300 fleets, seed 1) */
#include "file-fixture.h"

enum { N_GROUPS = 8, N_LABELS = 5 };

static int64_t parameter(const char *name, int64_t otherwise)
{
    const char *text = g_getenv(name);
    return text != NULL ? g_ascii_strtoll(text, NULL, 10) : otherwise;
}

static uint32_t dice(GRand *rand, int end)
{
    return (uint32_t)g_rand_int_range(rand, 0, end);
}

static void add_rules(GRand *rand, BerthPlace *place)
{
    for (uint32_t number = dice(rand, 12); number > 0; number--) {
        BerthPlaceRule rule = {.struct_size = sizeof rule,
                               .kind = (BerthPlaceRuleKind)dice(rand, 6),
                               .a = dice(rand, N_GROUPS),
                               .b = dice(rand, N_GROUPS),
                               .level = dice(rand, (int)berth_place_n_levels(place)),
                               .weight = dice(rand, 3)};
        rule.skew = rule.kind == BERTH_PLACE_SPREAD ? 1 + dice(rand, 3) : 0;
        if (rule.kind == BERTH_PLACE_NEAR) {
            rule.level = 0;
            rule.weight++;
        }
        berth_place_rule_add(place, dice(rand, 30), &rule, NULL); /* some contradict or are taken */
        berth_place_rule_remove(place, dice(rand, 30));
    }
}

static void add_vms(GRand *rand, BerthPlace *place, uint32_t most)
{
    for (uint32_t n = dice(rand, 60); n > 0; n--) {
        uint32_t host = dice(rand, (int)most), groups[3], n_groups = 0;
        for (uint32_t group = 0; group < N_GROUPS && n_groups < 3; group++) {
            if (dice(rand, 4) == 0) {
                groups[n_groups++] = group;
            }
        }
        berth_place_enter(place, host, groups, n_groups);
        if (dice(rand, 3) == 0) {
            berth_place_leave(place, host, groups, n_groups);
        }
    }
}

static void add_host(GRand *rand, BerthPlace *place, uint32_t host, int64_t scale)
{
    uint32_t n_dims = berth_place_n_dims(place), n_levels = berth_place_n_levels(place);
    int64_t capacity[BERTH_PLACE_MAX_DIMS], available[BERTH_PLACE_MAX_DIMS];
    uint32_t domains[BERTH_PLACE_MAX_LEVELS];

    for (uint32_t d = 0; d < n_dims; d++) {
        capacity[d] = (int64_t)dice(rand, 4) * scale;
        available[d] = capacity[d] - (int64_t)dice(rand, 5) * scale / 2;
    }
    uint64_t order = dice(rand, 8) == 0 ? dice(rand, 1000) : host;
    g_assert_cmpint(berth_place_add(place, host, order, capacity, available), ==, BERTH_PLACE_OK);
    for (uint32_t l = 1; l < n_levels; l++) {
        domains[l - 1] = dice(rand, 9) == 0 ? BERTH_PLACE_NONE : host / (4 * l * l);
    }
    berth_place_set_domains(place, host, domains); /* some would lie in two domains */
    for (uint32_t label = 0; label < N_LABELS; label++) {
        if (dice(rand, 1 << label) == 0) {
            berth_place_set_label(place, host, label * 7, true);
        }
    }
    berth_place_set_enabled(place, host, dice(rand, 5) > 0);
}

static BerthPlace *new_fleet(GRand *rand)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 1 + dice(rand, 5)};
    uint32_t n_hosts = dice(rand, 120);
    int64_t scale = dice(rand, 4) == 0 ? BERTH_PLACE_MAX_AMOUNT / 4 : 1000;
    BerthPlace *place;

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    if (dice(rand, 3) > 0) {
        berth_place_set_levels(place, 1 + dice(rand, 4));
    }
    for (uint32_t host = 0; host < n_hosts; host++) {
        if (dice(rand, 6) > 0) {
            add_host(rand, place, host, scale);
        }
    }
    if (dice(rand, 3) > 0) {
        add_rules(rand, place);
        add_vms(rand, place, n_hosts + 1);
        add_rules(rand, place);
    }
    for (uint32_t n = dice(rand, 10); n > 0; n--) {
        berth_place_remove(place, dice(rand, 120));
    }
    return place;
}

static bool note(const BerthPlaceVerdict *verdict, void *user_data)
{
    g_array_append_vals(user_data, verdict, 1);
    return true;
}

/* All that a fleet says to a request, the first broken rule of each host included. */
static void assert_same_answers(GRand *rand, const BerthPlace *one, const BerthPlace *other)
{
    int64_t vector[BERTH_PLACE_MAX_DIMS];
    uint32_t groups[2] = {dice(rand, N_GROUPS / 2), N_GROUPS / 2 + dice(rand, N_GROUPS / 2)};
    uint32_t label = dice(rand, N_LABELS) * 7;
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = (BerthPlacePolicy)dice(rand, BERTH_PLACE_MIX),
                                 .vector = vector,
                                 .n_groups = dice(rand, 3),
                                 .groups = groups,
                                 .n_labels = dice(rand, 2),
                                 .labels = &label};
    g_autoptr(GArray) mine = g_array_new(FALSE, TRUE, sizeof(BerthPlaceVerdict));
    g_autoptr(GArray) its = g_array_new(FALSE, TRUE, sizeof(BerthPlaceVerdict));

    for (uint32_t d = 0; d < berth_place_n_dims(one); d++) {
        vector[d] = 1 + dice(rand, 700);
    }
    g_assert_cmpint(berth_place_explain(one, &request, note, mine), ==,
                    berth_place_explain(other, &request, note, its));
    g_assert_cmpuint(mine->len, ==, its->len);
    for (guint i = 0; i < mine->len; i++) {
        const BerthPlaceVerdict *a = &g_array_index(mine, BerthPlaceVerdict, i);
        const BerthPlaceVerdict *b = &g_array_index(its, BerthPlaceVerdict, i);
        g_assert_cmpuint(a->host, ==, b->host);
        g_assert_cmpint(a->reason, ==, b->reason);
        g_assert_true(a->score == b->score);
        g_assert_cmpint(a->missing, ==, b->missing);
        g_assert_cmpuint(a->label, ==, b->label);
        g_assert_cmpuint(a->rule, ==, b->rule);
        g_assert_cmpuint(a->penalty, ==, b->penalty);
    }
}

static void test_a_loaded_fleet_is_the_same(void)
{
    GRand *rand = g_rand_new_with_seed((guint32)parameter("BERTH_PLACE_SEED", 1));

    for (int64_t n = parameter("BERTH_PLACE_FILES", 300); n > 0; n--) {
        BerthPlace *place = new_fleet(rand), *same = NULL;
        g_assert_cmpstr(berth_place_check(place), ==, NULL);
        g_autoptr(GByteArray) file = file_save(place);
        BerthPlaceFault fault = {.struct_size = sizeof fault, .what = ""};

        BerthPlaceResult result = berth_place_load(file->data, file->len, &same, &fault);
        g_assert_cmpstr(fault.what, ==, "");
        g_assert_cmpint(result, ==, BERTH_PLACE_OK);
        g_assert_cmpstr(berth_place_check(same), ==, NULL);
        g_autoptr(GByteArray) again = file_save(same);
        g_assert_cmpmem(file->data, file->len, again->data, again->len);
        for (int i = 0; i < 10; i++) {
            assert_same_answers(rand, place, same);
        }
        berth_place_free(place);
        berth_place_free(same);
    }
    g_rand_free(rand);
}

static void test_a_changed_byte_is_refused(void)
{
    GRand *rand = g_rand_new_with_seed(7);
    BerthPlace *place = new_fleet(rand);
    g_autoptr(GByteArray) file = file_save(place);

    g_assert_cmpuint(file->len, >, 1000);
    for (guint i = 0; i < file->len; i++) {
        file->data[i] ^= 0x40;
        g_assert_false(file_is_refused_or_same(file->data, file->len));
        file->data[i] ^= 0x40;
        if (i % 8 == 0) {
            g_assert_false(file_is_refused_or_same(file->data, i));
        }
    }
    g_assert_true(file_is_refused_or_same(file->data, file->len));
    berth_place_free(place);
    g_rand_free(rand);
}

/* Behind right checksums: whatever is accepted is a sound fleet that is saved just so. */
static void test_a_changed_number_is_refused_or_another_fleet(void)
{
    GRand *rand = g_rand_new_with_seed((guint32)parameter("BERTH_PLACE_SEED", 1));
    uint64_t refused = 0, accepted = 0;

    for (int64_t n = parameter("BERTH_PLACE_FILES", 300) / 12; n > 0; n--) {
        BerthPlace *place = new_fleet(rand);
        g_autoptr(GByteArray) file = file_save(place);
        for (int i = 0; i < 40; i++) {
            guint at = dice(rand, (int)file->len);
            uint8_t before = file->data[at];
            file->data[at] = dice(rand, 2) == 0 ? (uint8_t)dice(rand, 256) : before + 1;
            file_seal(file->data, file->len);
            bool is_good = file_is_refused_or_same(file->data, file->len);
            accepted += is_good;
            refused += !is_good;
            file->data[at] = before;
        }
        berth_place_free(place);
    }
    g_assert_cmpuint(refused, >, 0);
    g_assert_cmpuint(accepted, >, 0);
    g_rand_free(rand);
}

static void test_an_optional_section_is_skipped(void)
{
    BerthPlace *place = file_small_fleet(), *same = NULL;
    g_autoptr(GByteArray) file = file_save(place), longer = g_byte_array_new();
    uint32_t n = format_u32(file->data + 12);
    guint table = FORMAT_HEADER + n * FORMAT_ENTRY;
    uint8_t entry[FORMAT_ENTRY] = {0};

    format_put(entry, 99, 4);
    format_put(entry + 4, 3, 2);
    format_put(entry + 8, file->len + FORMAT_ENTRY, 8);
    format_put(entry + 16, 5, 8);
    g_byte_array_append(longer, file->data, table);
    g_byte_array_append(longer, entry, sizeof entry);
    g_byte_array_append(longer, file->data + table, file->len - table);
    g_byte_array_append(longer, (const guint8 *)"hello\0\0\0", 8);
    format_put(longer->data + 12, n + 1, 4);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *offset = longer->data + FORMAT_HEADER + (size_t)i * FORMAT_ENTRY + 8;
        format_put(offset, format_u64(offset) + FORMAT_ENTRY, 8);
    }
    file_seal(longer->data, longer->len);
    g_assert_cmpint(berth_place_load(longer->data, longer->len, &same, NULL), ==, BERTH_PLACE_OK);
    g_autoptr(GByteArray) again = file_save(same);
    g_assert_cmpmem(file->data, file->len, again->data, again->len);
    berth_place_free(same);
    berth_place_free(place);
}

static bool refuse_second(const void *bytes, size_t length, void *user_data)
{
    int *calls = user_data;

    g_assert_nonnull(bytes);
    g_assert_cmpuint(length, >, 0);
    return ++*calls < 2;
}

static void test_a_failed_write_ends_the_writing(void)
{
    BerthPlace *place = file_small_fleet();
    int calls = 0;

    g_assert_cmpint(berth_place_save(place, refuse_second, &calls), ==, BERTH_PLACE_ERROR_WRITE);
    g_assert_cmpint(calls, ==, 2);
    berth_place_free(place);
}

static void test_the_checksum_is_that_of_zlib(void)
{
    Checksum checksum;

    checksum_init(&checksum);
    g_assert_cmphex(checksum_add(&checksum, 0, "123456789", 9), ==, 0xcbf43926);
    uint32_t crc = checksum_add(&checksum, 0, "1234", 4);
    g_assert_cmphex(checksum_add(&checksum, crc, "56789", 5), ==, 0xcbf43926);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/file/a-loaded-fleet-is-the-same", test_a_loaded_fleet_is_the_same);
    g_test_add_func("/place/file/a-changed-byte-is-refused", test_a_changed_byte_is_refused);
    g_test_add_func("/place/file/a-changed-number-is-refused-or-another-fleet",
                    test_a_changed_number_is_refused_or_another_fleet);
    g_test_add_func("/place/file/an-optional-section-is-skipped",
                    test_an_optional_section_is_skipped);
    g_test_add_func("/place/file/a-failed-write-ends-the-writing",
                    test_a_failed_write_ends_the_writing);
    g_test_add_func("/place/file/the-checksum-is-that-of-zlib", test_the_checksum_is_that_of_zlib);
    return g_test_run();
}
