/* What is wrong with bytes that are no fleet, and at which of them: each row of a table spoils a good
 * file at one place and names the fault and its byte. */
#include "file-fixture.h"

#include "place/devices.h"

/* A byte of a section, or of its line in the table. */
typedef struct {
    Section section;
    guint offset;
    bool in_table;
} Spot;

typedef struct {
    const char *what;
    Spot change, fault;
    uint64_t value;
    unsigned bytes;
} Change;

/* What a row spoils where the fault is told: the same place. */
#define HERE(section, offset)                                                                      \
    {section, offset, false},                                                                      \
    {                                                                                              \
        section, offset, false                                                                     \
    }
#define LINE(section, offset)                                                                      \
    {section, offset, true},                                                                       \
    {                                                                                              \
        section, offset, true                                                                      \
    }
/* The fault is told at another place. */
#define THERE(section, offset, at)                                                                 \
    {section, offset, false},                                                                      \
    {                                                                                              \
        section, at, false                                                                         \
    }
#define LINE_AT(section, offset, at)                                                               \
    {section, offset, true},                                                                       \
    {                                                                                              \
        section, at, true                                                                          \
    }

static guint offset_of(GByteArray *file, Spot spot)
{
    return (guint)(file_find(file, spot.section, spot.in_table) - file->data) + spot.offset;
}

static void assert_refused(const GByteArray *file, BerthPlaceResult expected, const char *what,
                           uint64_t offset)
{
    BerthPlaceFault fault = {.struct_size = sizeof fault, .what = ""};
    BerthPlace *none = NULL;
    g_autofree void *copy =
        g_memdup2(file->data, file->len); /* so that no byte behind it is read */

    BerthPlaceResult result = berth_place_load(copy, file->len, &none, &fault);
    g_test_message("byte %" G_GUINT64_FORMAT ": %s", fault.offset, fault.what);
    g_assert_cmpstr(fault.what, ==, what);
    g_assert_cmpuint(fault.offset, ==, offset);
    g_assert_cmpint(result, ==, expected);
    g_assert_null(none);
}

static void assert_refuses_changes(const BerthPlace *place, const Change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Change *change = &changes[i];
        g_autoptr(GByteArray) file = file_save(place);
        guint fault = offset_of(file, change->fault);

        format_put(file->data + offset_of(file, change->change), change->value, change->bytes);
        file_seal(file->data, file->len);
        g_test_message("row %zu", i);
        assert_refused(file,
                       g_str_has_suffix(change->what, "does not know")
                           ? BERTH_PLACE_ERROR_UNSUPPORTED
                           : BERTH_PLACE_ERROR_FILE,
                       change->what, fault);
    }
}

static void test_changed_sections(void)
{
    static const char *const amount =
        "an amount is negative, too large or above the capacity, or all are zero";
    const Change changes[] = {
        {"a section does not begin where the last one ends", LINE(SECTION_STATES, 8), 1, 8},
        {"a section is longer than the file", LINE(SECTION_RULES, 16), UINT64_MAX, 8},
        {"what is not used yet is not zero", LINE_AT(SECTION_RULES, 28, 0), 1, 4},
        {"what is not used yet is not zero", LINE_AT(SECTION_RULES, 6, 0), 3, 2},
        {"a section that must be understood is not marked so", LINE_AT(SECTION_RULES, 6, 0), 0, 2},
        {"sections are not in rising order", LINE(SECTION_VMS, 0), SECTION_SHAPES, 4},
        {"sections are not in rising order", LINE(SECTION_VMS, 0), SECTION_LABELS, 4},
        {"a section that this library does not know", LINE(SECTION_RULES, 0), 99, 4},
        {"a section that this library does not know", LINE_AT(SECTION_RULES, 4, 0), 2, 2},
        {"the number of dimensions is out of its range", HERE(SECTION_FLEET, 0), 17, 4},
        {"the number of dimensions is out of its range", HERE(SECTION_FLEET, 0), 0, 4},
        {"more hosts than a fleet can have", HERE(SECTION_FLEET, 4), UINT32_MAX, 4},
        {"the number of hosts does not agree with the slots", HERE(SECTION_FLEET, 8), 4, 4},
        {"the number of hosts does not agree with the slots", HERE(SECTION_FLEET, 8), 0, 4},
        {"more shapes than hosts", HERE(SECTION_FLEET, 12), 4, 4},
        {"an amount has four or eight bytes", HERE(SECTION_FLEET, 16), 5, 4},
        {"a slot is empty, enabled or disabled", HERE(SECTION_STATES, 1), 3, 1},
        {"fewer hosts than the file says", HERE(SECTION_STATES, 0), 0, 1},
        {"shapes do not come in the order of their first host", HERE(SECTION_SHAPE_OF, 0), 1, 4},
        {"two shapes are the same", THERE(SECTION_SHAPES, 0, 8), 11, 8},
        {amount, HERE(SECTION_SHAPES, 8), UINT64_MAX, 8},
        {amount, HERE(SECTION_SHAPES, 8), UINT64_C(1) << 43, 8},
        {amount, HERE(SECTION_AVAILABLE, 4), 12, 4},
        {"the number of levels is out of its range", HERE(SECTION_DOMAINS, 0), 9, 4},
        {"the number of levels is out of its range", HERE(SECTION_DOMAINS, 0), 1, 4},
        {"a section has not the length that it must have", HERE(SECTION_DOMAINS, 0), 2, 4},
        {"a domain lies in another domain of the next level already",
         THERE(SECTION_DOMAINS, 20, 12), 6, 4},
        {"labels are not in rising order, or one is cut off", THERE(SECTION_LABELS, 4, 0), 4, 4},
        {"labels are not in rising order, or one is cut off", THERE(SECTION_LABELS, 4, 0), 0, 4},
        {"there is no host of this number", HERE(SECTION_LABELS, 8), 8, 4},
        {"a label has another number of hosts than it says", THERE(SECTION_LABELS, 8, 4), 3, 4},
        {"more VMs than can be counted", THERE(SECTION_VMS, 0, 4), UINT32_MAX, 4},
        {"groups are not in rising order, or one is cut off", THERE(SECTION_GROUPS, 4, 0), 4, 4},
        {"groups are not in rising order, or one is cut off", HERE(SECTION_GROUPS, 0), UINT32_MAX,
         4},
        {"there is no host of this number", HERE(SECTION_GROUPS, 8), 7, 4},
        {"a group has no VM, or more than its host, on a host", HERE(SECTION_GROUPS, 12), 2, 4},
        {"a group has no VM, or more than its host, on a host", HERE(SECTION_GROUPS, 12), 0, 4},
        {"the hosts of a group are not in rising order", HERE(SECTION_GROUPS, 16), 0, 4},
        {"a size, a number, a policy or a filter is out of its range", THERE(SECTION_RULES, 4, 0),
         99, 4},
        {"what is not used of a rule is not zero", THERE(SECTION_RULES, 12, 0), 1, 4},
        {"what is not used of a rule is not zero", THERE(SECTION_RULES, 28, 0), 1, 4},
    };
    BerthPlace *place = file_small_fleet();

    assert_refuses_changes(place, changes, G_N_ELEMENTS(changes));
    berth_place_free(place);
}

/* Two shapes, a hole between the hosts, one order of its own, a host that is overdrawn so
 * much that amounts take eight bytes, two rules, devices and
 * what is typical. */
static BerthPlace *full_fleet(void)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 2};
    BerthPlaceRule rules[] = {
        {.struct_size = sizeof rules[0], .kind = BERTH_PLACE_ALONE, .a = 1},
        {.struct_size = sizeof rules[0], .kind = BERTH_PLACE_ALONE, .a = 2},
    };
    const BerthPlaceDevices half = {1, 2, BERTH_PLACE_ANY_MODEL};
    const BerthPlaceTypical typical[] = {
        {.vector = (int64_t[]){1, 1}, .weight = 5},
        {.vector = (int64_t[]){2, 2}, .devices = half, .weight = 3},
        {.vector = (int64_t[]){3, 3}, .devices = half, .weight = 1},
    };
    BerthPlace *place;

    berth_place_new(&options, &place);
    berth_place_add(place, 0, 7, (int64_t[]){10, 20}, NULL);
    berth_place_add(place, 1, 1, (int64_t[]){10, 20}, NULL);
    berth_place_add(place, 3, 3, (int64_t[]){INT64_C(1) << 40, 20},
                    (int64_t[]){-(INT64_C(1) << 40), 5});
    berth_place_enter(place, 0, (uint32_t[]){1}, 1);
    berth_place_rule_add(place, 4, &rules[0], NULL);
    berth_place_rule_add(place, 9, &rules[1], NULL);
    berth_place_set_devices(place, 0, (BerthPlaceDevice[]){{1, 4, 3}, {1, 4, 4}}, 2);
    berth_place_set_devices(place, 3, (BerthPlaceDevice[]){{2, 8, 8}}, 1);
    g_assert_cmpint(berth_place_set_workload(place, typical, 3), ==, BERTH_PLACE_OK);
    return place;
}

static void test_changed_sections_of_devices_and_the_rest(void)
{
    static const char *const range = "a size, a number, a policy or a filter is out of its range";
    static const char *const amount =
        "an amount is negative, too large or above the capacity, or all are zero";
    static const char *const cut = "devices are not by rising host, or a host's are cut off";
    const Change changes[] = {
        {"more hosts than the file says", THERE(SECTION_STATES, 2, 3), 1, 1},
        {"a shape that no host has", {SECTION_SHAPE_OF, 8}, {SECTION_FLEET, 12}, 0, 4},
        {"orders that say nothing", HERE(SECTION_ORDERS, 0), 0, 8},
        {"amounts are wider than they need to be",
         {SECTION_AVAILABLE, 32},
         {SECTION_FLEET, 16},
         5,
         8},
        {amount, HERE(SECTION_AVAILABLE, 40), 21, 8},
        {amount, HERE(SECTION_AVAILABLE, 8), (uint64_t) - (INT64_C(1) << 43), 8},
        {"VMs of which there are none", HERE(SECTION_VMS, 0), 0, 4},
        {"two rules have the same number", HERE(SECTION_RULES, 32), 4, 4},
        {cut, HERE(SECTION_DEVICES, 32), 0, 4},
        {cut, THERE(SECTION_DEVICES, 4, 0), 0, 4},
        {cut, THERE(SECTION_DEVICES, 4, 0), 65, 4},
        {cut, THERE(SECTION_DEVICES, 36, 32), 2, 4},
        {"there is no host of this number", HERE(SECTION_DEVICES, 32), 2, 4},
        {range, THERE(SECTION_DEVICES, 8, 0), 64, 4},
        {amount, THERE(SECTION_DEVICES, 12, 0), 0, 4},
        {amount, THERE(SECTION_DEVICES, 16, 0), 5, 4},
        {"what is not used yet is not zero", HERE(SECTION_WORKLOAD, 52), 1, 4},
        {range, HERE(SECTION_WORKLOAD, 40), 0, 4},
        {amount, HERE(SECTION_WORKLOAD, 0), UINT32_MAX, 4},
        {amount, THERE(SECTION_WORKLOAD, 48, 40), 0, 4},
        {range, THERE(SECTION_WORKLOAD, 44, 40), 65, 4},
        {range, THERE(SECTION_WORKLOAD, 56, 40), 0, 8},
        {amount, THERE(SECTION_WORKLOAD, 64, 40), UINT64_MAX, 8},
        {"typical requests with the same devices lie apart", THERE(SECTION_WORKLOAD, 84, 0), 0, 8},
    };
    BerthPlace *place = full_fleet();

    assert_refuses_changes(place, changes, G_N_ELEMENTS(changes));
    berth_place_free(place);
}

#define GONE G_MAXUINT

/* The file with another length of a section: cut, followed by zeros, or GONE with its line. */
static GByteArray *resize(GByteArray *file, Section kind, guint length)
{
    GByteArray *table = g_byte_array_new();
    g_autoptr(GByteArray) sections = g_byte_array_new();
    uint32_t n = format_u32(file->data + 12);
    guint n_left = n - (length == GONE), begin = FORMAT_HEADER + n_left * FORMAT_ENTRY;

    g_byte_array_append(table, file->data, FORMAT_HEADER);
    format_put(table->data + 12, n_left, 4);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *entry = file->data + FORMAT_HEADER + (size_t)i * FORMAT_ENTRY;
        bool is_it = format_u32(entry) == (uint32_t)kind;
        guint old = (guint)format_u64(entry + 16), now = is_it ? length : old;
        if (now == GONE) {
            continue;
        }
        guint at = table->len, to = sections->len, room = (guint)format_padded(now);
        g_byte_array_append(table, entry, FORMAT_ENTRY);
        format_put(table->data + at + 8, begin + to, 8);
        format_put(table->data + at + 16, now, 8);
        g_byte_array_set_size(sections, to + room);
        memset(sections->data + to, 0, room);
        memcpy(sections->data + to, file->data + format_u64(entry + 8), MIN(old, now));
    }
    g_byte_array_append(table, sections->data, sections->len);
    file_seal(table->data, table->len);
    return table;
}

static void test_missing_and_resized_sections(void)
{
    static const char *const length = "a section has not the length that it must have";
    static const struct {
        const char *what;
        Section section;
        guint length;
        Spot fault; /* no section: the table */
    } cases[] = {
        {"the section of the fleet is missing", SECTION_FLEET, GONE, {0}},
        {"the section of shapes is missing", SECTION_SHAPES, GONE, {0}},
        {"the section of states is missing", SECTION_STATES, GONE, {0}},
        {"the section of the hosts' shapes is missing", SECTION_SHAPE_OF, GONE, {0}},
        {"the section of what is available is missing", SECTION_AVAILABLE, GONE, {0}},
        {"a group where there are no VMs", SECTION_VMS, GONE, {SECTION_GROUPS, 8}},
        {length, SECTION_FLEET, 23, {SECTION_FLEET, 0}},
        {length, SECTION_SHAPES, 0, {SECTION_SHAPES, 0}},
        {length, SECTION_SHAPES, 48, {SECTION_SHAPES, 0}},
        {length, SECTION_STATES, 3, {SECTION_STATES, 0}},
        {length, SECTION_STATES, 5, {SECTION_STATES, 0}},
        {length, SECTION_SHAPE_OF, 8, {SECTION_SHAPE_OF, 0}},
        {length, SECTION_AVAILABLE, 47, {SECTION_AVAILABLE, 0}},
        {length, SECTION_ORDERS, 16, {SECTION_ORDERS, 0}},
        {length, SECTION_VMS, 16, {SECTION_VMS, 0}},
        {length, SECTION_RULES, 63, {SECTION_RULES, 0}},
        {length, SECTION_WORKLOAD, 119, {SECTION_WORKLOAD, 0}},
        {"groups are not in rising order, or one is cut off",
         SECTION_GROUPS,
         15,
         {SECTION_GROUPS, 0}},
        {"groups are not in rising order, or one is cut off",
         SECTION_GROUPS,
         24,
         {SECTION_GROUPS, 16}},
        {"devices are not by rising host, or a host's are cut off",
         SECTION_DEVICES,
         51,
         {SECTION_DEVICES, 32}},
        {"devices are not by rising host, or a host's are cut off",
         SECTION_DEVICES,
         56,
         {SECTION_DEVICES, 52}},
        {"a section that says nothing", SECTION_ORDERS, 0, {SECTION_ORDERS, 0}},
        {"a section that says nothing", SECTION_WORKLOAD, 0, {SECTION_WORKLOAD, 0}},
    };
    BerthPlace *place = full_fleet();
    g_autoptr(GByteArray) file = file_save(place);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) changed = resize(file, cases[i].section, cases[i].length);
        guint fault =
            cases[i].fault.section == 0 ? FORMAT_HEADER : offset_of(changed, cases[i].fault);

        g_test_message("row %zu", i);
        assert_refused(changed, BERTH_PLACE_ERROR_FILE, cases[i].what, fault);
    }
    berth_place_free(place);
}

/* Bytes of the header as they come, without checksums made right. */
static void test_changed_headers(void)
{
    static const char *const none = "not the file of a fleet";
    static const struct {
        const char *what;
        guint at;
        uint64_t value;
        unsigned bytes;
        guint fault;
    } cases[] = {
        {none, 0, 'B', 1, 0},
        {none, 6, '\n', 1, 0}, /* where CRLF was made LF */
        {none, 0, 0, 8, 0},
        {none, 0, 0xbfbbef, 3, 0}, /* an editor's mark */
        {"a version that this library does not read", 8, 2, 4, 8},
        {"a version that this library does not read", 8, 0x01000000, 4, 8}, /* big-endian */
        {"more sections than there can be", 12, 65, 4, 12},
        {"more sections than there can be", 12, UINT32_MAX, 4, 12},
        {"the file has another length than it says", 16, 0, 8, 16},
        {"the checksum of the table is wrong", 12, 1, 4, 24},
        {"the checksum of the table is wrong", 24, 0, 4, 24},
        {"the checksum of the table is wrong", FORMAT_HEADER, 7, 4, 24},
        {"what is not used yet is not zero", 28, 1, 4, 28},
    };
    BerthPlace *place = file_small_fleet();

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) file = file_save(place);

        format_put(file->data + cases[i].at, cases[i].value, cases[i].bytes);
        g_test_message("row %zu", i);
        assert_refused(file,
                       g_str_has_prefix(cases[i].what, "a version") ? BERTH_PLACE_ERROR_UNSUPPORTED
                                                                    : BERTH_PLACE_ERROR_FILE,
                       cases[i].what, cases[i].fault);
    }
    berth_place_free(place);
}

static void test_cut_and_longer_files(void)
{
    BerthPlace *place = file_small_fleet();
    g_autoptr(GByteArray) file = file_save(place);
    guint whole = file->len;

    for (guint length = 0; length < whole; length++) {
        g_autoptr(GByteArray) cut = g_byte_array_new();
        g_byte_array_append(cut, file->data, length);
        assert_refused(cut, BERTH_PLACE_ERROR_FILE,
                       length < FORMAT_HEADER ? "not the file of a fleet"
                                              : "the file has another length than it says",
                       length < FORMAT_HEADER ? 0 : 16);
    }
    g_byte_array_append(file, (const guint8 *)"\n\0\0\0\0\0\0", 8);
    assert_refused(file, BERTH_PLACE_ERROR_FILE, "the file has another length than it says", 16);
    file_seal(file->data, file->len);
    assert_refused(file, BERTH_PLACE_ERROR_FILE, "there is something behind the last section",
                   whole);
    berth_place_free(place);
}

static void test_checksums_and_what_fills_up(void)
{
    BerthPlace *place = file_small_fleet();
    g_autoptr(GByteArray) file = file_save(place);
    guint states = offset_of(file, (Spot){SECTION_STATES, 0, false});

    file->data[states + 2] ^= 1;
    assert_refused(file, BERTH_PLACE_ERROR_FILE, "the checksum of a section is wrong", states);
    file->data[states + 2] ^= 1;
    file->data[states + 5] = 1;
    assert_refused(file, BERTH_PLACE_ERROR_FILE, "what fills up a section is not zero", states + 5);
    berth_place_free(place);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/file-faults/changed-sections", test_changed_sections);
    g_test_add_func("/place/file-faults/changed-devices-and-the-rest",
                    test_changed_sections_of_devices_and_the_rest);
    g_test_add_func("/place/file-faults/missing-and-resized-sections",
                    test_missing_and_resized_sections);
    g_test_add_func("/place/file-faults/changed-headers", test_changed_headers);
    g_test_add_func("/place/file-faults/cut-and-longer-files", test_cut_and_longer_files);
    g_test_add_func("/place/file-faults/checksums-and-what-fills-up",
                    test_checksums_and_what_fills_up);
    return g_test_run();
}
