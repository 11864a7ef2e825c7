#include <stdlib.h>
#include <string.h>

#include "place/checksum.h"
#include "place/file.h"
#include "place/file_format.h"
#include "place/fragments.h"
#include "place/relations.h"

typedef struct {
    const uint8_t *at; /* NULL: there is no such section */
    uint64_t length;
} Bytes;

typedef struct {
    const uint8_t *bytes;
    uint64_t length;
    Bytes sections[SECTION_END];
    uint32_t n_dims, slots, n_hosts, n_shapes, width;
    uint32_t *hosts; /* by rising number */
    BerthPlace *place;
    uint64_t fault_offset;
    const char *fault;
} Reader;

static BerthPlaceResult refuse(Reader *reader, const uint8_t *at, const char *what)
{
    reader->fault_offset = (uint64_t)(at - reader->bytes);
    reader->fault = what;
    return BERTH_PLACE_ERROR_FILE;
}

static BerthPlaceResult refuse_as_newer(Reader *reader, const uint8_t *at, const char *what)
{
    refuse(reader, at, what);
    return BERTH_PLACE_ERROR_UNSUPPORTED;
}

/* What the fleet itself refuses is the file's fault, unless memory ran out. */
static BerthPlaceResult check(Reader *reader, BerthPlaceResult result, const uint8_t *at)
{
    return result == BERTH_PLACE_OK || result == BERTH_PLACE_ERROR_NO_MEMORY
               ? result
               : refuse(reader, at, berth_place_strerror(result));
}

static BerthPlaceResult read_header(Reader *reader)
{
    const uint8_t *bytes = reader->bytes;

    if (reader->length < FORMAT_HEADER || memcmp(bytes, FORMAT_MAGIC, 8) != 0) {
        return refuse(reader, bytes, "not the file of a fleet");
    }
    if (format_u32(bytes + 8) != FORMAT_VERSION) {
        return refuse_as_newer(reader, bytes + 8, "a version that this library does not read");
    }
    if (format_u64(bytes + 16) != reader->length) {
        return refuse(reader, bytes + 16, "the file has another length than it says");
    }
    uint64_t n = format_u32(bytes + 12), table = n * FORMAT_ENTRY;
    if (n > FORMAT_MAX_SECTIONS || FORMAT_HEADER + table > reader->length) {
        return refuse(reader, bytes + 12, "more sections than there can be");
    }
    Checksum checksum;
    checksum_init(&checksum);
    uint32_t crc = checksum_add(&checksum, 0, bytes, 24);
    if (checksum_add(&checksum, crc, bytes + FORMAT_HEADER, table) != format_u32(bytes + 24)) {
        return refuse(reader, bytes + 24, "the checksum of the table is wrong");
    }
    return format_u32(bytes + 28) == 0
               ? BERTH_PLACE_OK
               : refuse(reader, bytes + 28, "what is not used yet is not zero");
}

/* One line of the table, whose section must begin at `begin`. */
static BerthPlaceResult read_entry(Reader *reader, const Checksum *checksum, const uint8_t *entry,
                                   uint64_t begin)
{
    uint32_t kind = format_u32(entry), version = format_u32(entry + 4) & 0xffff;
    uint32_t flags = format_u32(entry + 4) >> 16;
    uint64_t length = format_u64(entry + 16);
    const uint8_t *section = reader->bytes + begin;
    bool is_known = kind >= SECTION_FLEET && kind < SECTION_END && version == 1;

    if (format_u64(entry + 8) != begin) {
        return refuse(reader, entry + 8, "a section does not begin where the last one ends");
    }
    if (length > reader->length - begin || format_padded(length) > reader->length - begin) {
        return refuse(reader, entry + 16, "a section is longer than the file");
    }
    if (format_u32(entry + 28) != 0 || (flags & ~(uint32_t)FORMAT_MANDATORY) != 0) {
        return refuse(reader, entry, "what is not used yet is not zero");
    }
    if (checksum_add(checksum, 0, section, length) != format_u32(entry + 24)) {
        return refuse(reader, section, "the checksum of a section is wrong");
    }
    for (uint64_t i = length; i < format_padded(length); i++) {
        if (section[i] != 0) {
            return refuse(reader, section + i, "what fills up a section is not zero");
        }
    }
    if (!is_known && (flags & FORMAT_MANDATORY) != 0) {
        return refuse_as_newer(reader, entry, "a section that this library does not know");
    }
    if (is_known && (flags & FORMAT_MANDATORY) == 0) {
        return refuse(reader, entry, "a section that must be understood is not marked so");
    }
    if (is_known) {
        reader->sections[kind] = (Bytes){section, length};
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult read_table(Reader *reader)
{
    uint32_t n = format_u32(reader->bytes + 12), last = 0;
    uint64_t begin = FORMAT_HEADER + (uint64_t)n * FORMAT_ENTRY;
    Checksum checksum;

    checksum_init(&checksum);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *entry = reader->bytes + FORMAT_HEADER + (size_t)i * FORMAT_ENTRY;
        uint32_t kind = format_u32(entry);
        if (kind <= last) {
            return refuse(reader, entry, "sections are not in rising order");
        }
        BerthPlaceResult result = read_entry(reader, &checksum, entry, begin);
        if (result != BERTH_PLACE_OK) {
            return result;
        }
        last = kind;
        begin += format_padded(format_u64(entry + 16));
    }
    return begin == reader->length ? BERTH_PLACE_OK
                                   : refuse(reader, reader->bytes + begin,
                                            "there is something behind the last section");
}

/* A section of just so many bytes. */
static BerthPlaceResult expect(Reader *reader, Section kind, uint64_t length)
{
    const Bytes *section = &reader->sections[kind];
    static const char *const missing[SECTION_END] = {
        [SECTION_FLEET] = "the section of the fleet is missing",
        [SECTION_SHAPES] = "the section of shapes is missing",
        [SECTION_STATES] = "the section of states is missing",
        [SECTION_SHAPE_OF] = "the section of the hosts' shapes is missing",
        [SECTION_AVAILABLE] = "the section of what is available is missing",
    };

    if (section->at == NULL) { /* the others are looked for only where they are */
        return refuse(reader, reader->bytes + FORMAT_HEADER, missing[kind]);
    }
    return section->length == length
               ? BERTH_PLACE_OK
               : refuse(reader, section->at, "a section has not the length that it must have");
}

static BerthPlaceResult read_fleet(Reader *reader)
{
    BerthPlaceResult result = expect(reader, SECTION_FLEET, 24);
    const uint8_t *at = reader->sections[SECTION_FLEET].at;

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    reader->n_dims = format_u32(at);
    reader->slots = format_u32(at + 4);
    reader->n_hosts = format_u32(at + 8);
    reader->n_shapes = format_u32(at + 12);
    reader->width = format_u32(at + 16);
    if (reader->n_dims < 1 || reader->n_dims > BERTH_PLACE_MAX_DIMS) {
        return refuse(reader, at, "the number of dimensions is out of its range");
    }
    if (reader->slots > BERTH_PLACE_MAX_HOSTS) {
        return refuse(reader, at + 4, "more hosts than a fleet can have");
    }
    if (reader->n_hosts > reader->slots || (reader->slots > 0) != (reader->n_hosts > 0)) {
        return refuse(reader, at + 8, "the number of hosts does not agree with the slots");
    }
    if (reader->n_shapes > reader->n_hosts) {
        return refuse(reader, at + 12, "more shapes than hosts");
    }
    if ((reader->width != 4 && reader->width != 8) || format_u32(at + 20) != 0) {
        return refuse(reader, at + 16, "an amount has four or eight bytes");
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult expect_hosts(Reader *reader)
{
    const uint64_t n = reader->n_hosts, dims = reader->n_dims;
    BerthPlaceResult result = expect(reader, SECTION_SHAPES, reader->n_shapes * dims * 8);

    if (result == BERTH_PLACE_OK) {
        result = expect(reader, SECTION_STATES, reader->slots);
    }
    if (result == BERTH_PLACE_OK) {
        result = expect(reader, SECTION_SHAPE_OF, n * 4);
    }
    if (result == BERTH_PLACE_OK) {
        result = expect(reader, SECTION_AVAILABLE, n * dims * reader->width);
    }
    if (result == BERTH_PLACE_OK && reader->sections[SECTION_ORDERS].at != NULL) {
        result = expect(reader, SECTION_ORDERS, n * 8);
    }
    return result;
}

static BerthPlaceResult read_states(Reader *reader)
{
    const uint8_t *states = reader->sections[SECTION_STATES].at;
    uint32_t n = 0;

    reader->hosts = malloc((reader->n_hosts + (size_t)1) * sizeof *reader->hosts);
    if (reader->hosts == NULL) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t slot = 0; slot < reader->slots; slot++) {
        if (states[slot] > FLEET_DISABLED) {
            return refuse(reader, states + slot, "a slot is empty, enabled or disabled");
        }
        if (states[slot] != FLEET_EMPTY) {
            if (n == reader->n_hosts) {
                return refuse(reader, states + slot, "more hosts than the file says");
            }
            reader->hosts[n++] = slot;
        }
    }
    if (n != reader->n_hosts || (n > 0 && reader->hosts[n - 1] + 1 != reader->slots)) {
        return refuse(reader, states, "fewer hosts than the file says");
    }
    return BERTH_PLACE_OK;
}

static void read_vector(const Reader *reader, const uint8_t *at, uint32_t width,
                        int64_t *ret_vector)
{
    for (uint32_t d = 0; d < reader->n_dims; d++, at += width) {
        ret_vector[d] = width == 4 ? (int32_t)format_u32(at) : (int64_t)format_u64(at);
    }
}

/* Where that amount of a host stands which the fleet refuses. */
static const uint8_t *find_amount(const Reader *reader, const int64_t *capacity,
                                  const uint8_t *capacity_at, const int64_t *available,
                                  const uint8_t *available_at)
{
    for (uint32_t d = 0; d < reader->n_dims; d++) {
        if (capacity[d] < 0 || capacity[d] > BERTH_PLACE_MAX_AMOUNT) {
            return capacity_at + (size_t)d * 8;
        }
    }
    for (uint32_t d = 0; d < reader->n_dims; d++) {
        if (available[d] > capacity[d] || available[d] < -BERTH_PLACE_MAX_AMOUNT) {
            return available_at + (size_t)d * reader->width;
        }
    }
    return available_at;
}

/* The i-th host. `shapes_seen` counts shapes, which come in the order of their first host. */
static BerthPlaceResult read_host(Reader *reader, uint32_t i, uint32_t *shapes_seen, bool *is_wide,
                                  bool *has_order)
{
    const uint8_t *shape_at = reader->sections[SECTION_SHAPE_OF].at + (size_t)i * 4;
    size_t row = (size_t)reader->n_dims * reader->width;
    const uint8_t *available_at = reader->sections[SECTION_AVAILABLE].at + i * row;
    const uint8_t *orders = reader->sections[SECTION_ORDERS].at;
    int64_t capacity[BERTH_PLACE_MAX_DIMS], available[BERTH_PLACE_MAX_DIMS];
    uint32_t host = reader->hosts[i], shape = format_u32(shape_at);
    uint64_t order = orders != NULL ? format_u64(orders + (size_t)i * 8) : host;

    if (shape > *shapes_seen || shape >= reader->n_shapes) {
        return refuse(reader, shape_at, "shapes do not come in the order of their first host");
    }
    const uint8_t *capacity_at =
        reader->sections[SECTION_SHAPES].at + (size_t)shape * reader->n_dims * 8;
    read_vector(reader, capacity_at, 8, capacity);
    read_vector(reader, available_at, reader->width, available);
    BerthPlaceResult result =
        check(reader, berth_place_add(reader->place, host, order, capacity, available),
              find_amount(reader, capacity, capacity_at, available, available_at));
    if (result != BERTH_PLACE_OK) {
        return result;
    }
    bool is_new = shape == *shapes_seen;
    *shapes_seen += is_new;
    if (fleet_shape(reader->place, host) != shape) {
        return refuse(reader, capacity_at, "two shapes are the same");
    }
    *is_wide = *is_wide || !amounts_are_narrow(available, reader->n_dims);
    *has_order = *has_order || order != host;
    if (reader->sections[SECTION_STATES].at[host] == FLEET_DISABLED) {
        berth_place_set_enabled(reader->place, host, false);
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult read_hosts(Reader *reader)
{
    uint32_t shapes_seen = 0;
    bool is_wide = false, has_order = false;

    for (uint32_t i = 0; i < reader->n_hosts; i++) {
        BerthPlaceResult result = read_host(reader, i, &shapes_seen, &is_wide, &has_order);
        if (result != BERTH_PLACE_OK) {
            return result;
        }
    }
    const uint8_t *fleet = reader->sections[SECTION_FLEET].at;
    if (shapes_seen != reader->n_shapes) {
        return refuse(reader, fleet + 12, "a shape that no host has");
    }
    if (is_wide != (reader->width == 8)) {
        return refuse(reader, fleet + 16, "amounts are wider than they need to be");
    }
    if (has_order != (reader->sections[SECTION_ORDERS].at != NULL)) {
        return refuse(reader, reader->sections[SECTION_ORDERS].at, "orders that say nothing");
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult read_levels(Reader *reader)
{
    const Bytes *section = &reader->sections[SECTION_DOMAINS];

    if (section->at == NULL) {
        return BERTH_PLACE_OK;
    }
    uint32_t n_levels = section->length >= 8 ? format_u32(section->at) : 0;
    if (n_levels < 2 || n_levels > BERTH_PLACE_MAX_LEVELS || format_u32(section->at + 4) != 0) {
        return refuse(reader, section->at, "the number of levels is out of its range");
    }
    BerthPlaceResult result =
        expect(reader, SECTION_DOMAINS, 8 + (n_levels - 1) * (uint64_t)reader->n_hosts * 4);
    return result == BERTH_PLACE_OK ? berth_place_set_levels(reader->place, n_levels) : result;
}

static BerthPlaceResult read_domains(Reader *reader)
{
    const uint8_t *section = reader->sections[SECTION_DOMAINS].at;
    uint32_t n_levels = berth_place_n_levels(reader->place), domains[BERTH_PLACE_MAX_LEVELS];

    for (uint32_t i = 0; i < reader->n_hosts && section != NULL; i++) {
        const uint8_t *at = section + 8 + (size_t)i * 4;
        for (uint32_t l = 1; l < n_levels; l++) {
            domains[l - 1] = format_u32(at + (size_t)(l - 1) * reader->n_hosts * 4);
        }
        BerthPlaceResult result =
            check(reader, berth_place_set_domains(reader->place, reader->hosts[i], domains), at);
        if (result != BERTH_PLACE_OK) {
            return result;
        }
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult read_label_bits(Reader *reader, const uint8_t *at, uint32_t label,
                                        uint32_t n)
{
    uint32_t found = 0, end = format_bitmap_words(reader->slots) * 32;
    BerthPlaceResult result = BERTH_PLACE_OK;

    for (uint32_t host = 0; host < end && result == BERTH_PLACE_OK; host++) {
        if ((format_u32(at + host / 32 * (size_t)4) >> (host % 32) & 1) != 0) {
            result = check(reader, berth_place_set_label(reader->place, host, label, true),
                           at + host / 32 * (size_t)4);
            found++;
        }
    }
    return result == BERTH_PLACE_OK && found != n
               ? refuse(reader, at - 4, "a label has another number of hosts than it says")
               : result;
}

static BerthPlaceResult read_label_hosts(Reader *reader, const uint8_t *at, uint32_t label,
                                         uint32_t n)
{
    BerthPlaceResult result = BERTH_PLACE_OK;
    uint32_t last = 0;

    for (uint32_t i = 0; i < n && result == BERTH_PLACE_OK; i++, at += 4) {
        uint32_t host = format_u32(at);
        if (i > 0 && host <= last) {
            return refuse(reader, at, "the hosts of a label are not in rising order");
        }
        result = check(reader, berth_place_set_label(reader->place, host, label, true), at);
        last = host;
    }
    return result;
}

static BerthPlaceResult read_labels(Reader *reader)
{
    const uint8_t *at = reader->sections[SECTION_LABELS].at;
    uint64_t left = reader->sections[SECTION_LABELS].length;
    uint32_t n_words = format_bitmap_words(reader->slots);

    for (uint64_t least = 0; left > 0;) {
        uint32_t label = left >= 8 ? format_u32(at) : 0, n = left >= 8 ? format_u32(at + 4) : 0;
        uint64_t length = (uint64_t)(n > n_words ? n_words : n) * 4;
        if (n == 0 || n > reader->n_hosts || label < least || length > left - 8) {
            return refuse(reader, at, "labels are not in rising order, or one is cut off");
        }
        BerthPlaceResult result = n > n_words ? read_label_bits(reader, at + 8, label, n)
                                              : read_label_hosts(reader, at + 8, label, n);
        if (result != BERTH_PLACE_OK) {
            return result;
        }
        least = label + (uint64_t)1;
        at += 8 + length;
        left -= 8 + length;
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult read_vms(Reader *reader)
{
    const uint8_t *at = reader->sections[SECTION_VMS].at;
    uint64_t total = 0;

    if (at == NULL) {
        return BERTH_PLACE_OK;
    }
    BerthPlaceResult result = expect(reader, SECTION_VMS, (uint64_t)reader->n_hosts * 4);
    for (uint32_t i = 0; i < reader->n_hosts && result == BERTH_PLACE_OK; i++, at += 4) {
        uint32_t n = format_u32(at);
        total += n;
        if (total > UINT32_MAX) {
            return refuse(reader, at, "more VMs than can be counted");
        }
        result = n > 0 ? relations_load_vms(reader->place, reader->hosts[i], n) : BERTH_PLACE_OK;
    }
    return result == BERTH_PLACE_OK && total == 0
               ? refuse(reader, reader->sections[SECTION_VMS].at, "VMs of which there are none")
               : result;
}

static BerthPlaceResult read_group(Reader *reader, const uint8_t *at, uint32_t group, uint32_t n)
{
    const BerthPlace *place = reader->place;
    uint32_t last = 0;
    uint64_t members = 0;

    if (place->relations == NULL) {
        return refuse(reader, at, "a group where there are no VMs");
    }
    for (uint32_t i = 0; i < n; i++) {
        members += format_u32(at + (size_t)i * 8 + 4);
    }
    if (relations_load_group(reader->place, group, n, members) != BERTH_PLACE_OK) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < n; i++, at += 8) {
        uint32_t host = format_u32(at), count = format_u32(at + 4);
        if (i > 0 && host <= last) {
            return refuse(reader, at, "the hosts of a group are not in rising order");
        }
        if (!fleet_has(place, host)) {
            return refuse(reader, at, "there is no host of this number");
        }
        if (count == 0 || count > relations_vms_on(place->relations, host)) {
            return refuse(reader, at + 4, "a group has no VM, or more than its host, on a host");
        }
        relations_load_members(reader->place, host, group, count);
        last = host;
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult read_groups(Reader *reader)
{
    const uint8_t *at = reader->sections[SECTION_GROUPS].at;
    uint64_t left = reader->sections[SECTION_GROUPS].length, least = 0;

    while (left > 0) {
        uint32_t group = left >= 8 ? format_u32(at) : 0, n = left >= 8 ? format_u32(at + 4) : 0;
        if (n == 0 || group < least || group >= BERTH_PLACE_MAX_GROUP || n > reader->n_hosts ||
            n > (left - 8) / 8) {
            return refuse(reader, at, "groups are not in rising order, or one is cut off");
        }
        BerthPlaceResult result = read_group(reader, at + 8, group, n);
        if (result != BERTH_PLACE_OK) {
            return result;
        }
        least = group + (uint64_t)1;
        at += 8 + (size_t)n * 8;
        left -= 8 + (uint64_t)n * 8;
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult read_rules(Reader *reader)
{
    const uint8_t *at = reader->sections[SECTION_RULES].at;
    uint64_t n = reader->sections[SECTION_RULES].length / 32;

    if (at == NULL) {
        return BERTH_PLACE_OK;
    }
    BerthPlaceResult result = expect(reader, SECTION_RULES, n * 32);
    for (uint64_t i = 0; i < n && result == BERTH_PLACE_OK; i++, at += 32) {
        BerthPlaceRule rule = {.struct_size = sizeof rule,
                               .kind = (BerthPlaceRuleKind)format_u32(at + 4),
                               .a = format_u32(at + 8),
                               .b = format_u32(at + 12),
                               .level = format_u32(at + 16),
                               .skew = format_u32(at + 20),
                               .weight = format_u32(at + 24)};
        if (format_u32(at + 28) != 0 || (!relations_uses_b(&rule) && rule.b != 0)) {
            return refuse(reader, at, "what is not used of a rule is not zero");
        }
        result = berth_place_rule_add(reader->place, format_u32(at), &rule, NULL);
        if (result == BERTH_PLACE_ERROR_EXISTS) {
            return refuse(reader, at, "two rules have the same number");
        }
        result = check(reader, result, at);
    }
    return result;
}

static BerthPlaceResult read_devices(Reader *reader)
{
    const uint8_t *at = reader->sections[SECTION_DEVICES].at;
    uint64_t left = reader->sections[SECTION_DEVICES].length;
    BerthPlaceDevice devices[BERTH_PLACE_MAX_DEVICES];
    BerthPlaceResult result = BERTH_PLACE_OK;

    for (uint64_t least = 0; left > 0 && result == BERTH_PLACE_OK;) {
        uint32_t host = left >= 8 ? format_u32(at) : 0, n = left >= 8 ? format_u32(at + 4) : 0;
        uint64_t length = 8 + (uint64_t)n * 12;
        if (n == 0 || n > BERTH_PLACE_MAX_DEVICES || host < least || length > left) {
            return refuse(reader, at, "devices are not by rising host, or a host's are cut off");
        }
        for (uint32_t i = 0; i < n; i++) {
            const uint8_t *device = at + 8 + (size_t)i * 12;
            devices[i] = (BerthPlaceDevice){format_u32(device), format_u32(device + 4),
                                            format_u32(device + 8)};
        }
        result = check(reader, berth_place_set_devices(reader->place, host, devices, n), at);
        least = host + (uint64_t)1;
        at += length;
        left -= length;
    }
    return result;
}

/* Whether all that follows with the same devices follows at once, as the fleet keeps them. */
static bool are_asks_together(const Workload *workload, const BerthPlaceTypical *typical)
{
    for (uint32_t i = 0; i < workload->n_asks; i++) {
        const Ask *ask = &workload->asks[i];
        for (uint32_t k = ask->first; k < ask->first + ask->n; k++) {
            const BerthPlaceDevices *asked = &typical[k].devices;
            if (asked->n != ask->asked.n || asked->slices != ask->asked.slices ||
                asked->models != ask->asked.models) {
                return false;
            }
        }
    }
    return true;
}

static BerthPlaceResult set_workload(Reader *reader, BerthPlaceTypical *typical, int64_t *vectors,
                                     uint32_t n, size_t row)
{
    const uint8_t *begin = reader->sections[SECTION_WORKLOAD].at, *at = begin;

    for (uint32_t i = 0; i < n; i++, at += row) {
        int64_t *vector = vectors + (size_t)i * reader->n_dims;
        read_vector(reader, at + 24, 8, vector);
        typical[i] = (BerthPlaceTypical){
            .vector = vector,
            .devices = {format_u32(at + 4), format_u32(at + 8), format_u64(at + 16)},
            .weight = format_u32(at)};
        if (format_u32(at + 12) != 0) {
            return refuse(reader, at + 12, "what is not used yet is not zero");
        }
        BerthPlaceResult result = check(reader, workload_check_one(reader->place, &typical[i]), at);
        if (result != BERTH_PLACE_OK) {
            return result;
        }
    }
    BerthPlaceResult result =
        check(reader, berth_place_set_workload(reader->place, typical, n), begin);
    return result == BERTH_PLACE_OK &&
                   !are_asks_together(reader->place->inventory->workload, typical)
               ? refuse(reader, begin, "typical requests with the same devices lie apart")
               : result;
}

static BerthPlaceResult read_workload(Reader *reader)
{
    const Bytes *section = &reader->sections[SECTION_WORKLOAD];
    size_t row = 24 + (size_t)reader->n_dims * 8;

    if (section->at == NULL) {
        return BERTH_PLACE_OK;
    }
    if (section->length % row != 0 || section->length / row > BERTH_PLACE_MAX_TYPICAL) {
        return refuse(reader, section->at, "a section has not the length that it must have");
    }
    uint32_t n = (uint32_t)(section->length / row);
    BerthPlaceTypical *typical = calloc(n, sizeof *typical);
    int64_t *vectors = calloc((size_t)n * reader->n_dims, sizeof *vectors);
    BerthPlaceResult result = typical != NULL && vectors != NULL
                                  ? set_workload(reader, typical, vectors, n, row)
                                  : BERTH_PLACE_ERROR_NO_MEMORY;
    free(typical);
    free(vectors);
    return result;
}

/* Only where there is something to say is a section that may be missing. */
static BerthPlaceResult refuse_empty(Reader *reader)
{
    for (uint32_t kind = SECTION_ORDERS; kind < SECTION_END; kind++) {
        if (reader->sections[kind].at != NULL && reader->sections[kind].length == 0) {
            return refuse(reader, reader->sections[kind].at, "a section that says nothing");
        }
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult make_place(Reader *reader)
{
    BerthPlaceOptions options = {
        .struct_size = sizeof options, .n_dims = reader->n_dims, .expected_hosts = reader->slots};

    return berth_place_new(&options, &reader->place);
}

static BerthPlaceResult read_all(Reader *reader)
{
    static BerthPlaceResult (*const steps[])(Reader *) = {
        read_header, read_table,  refuse_empty, read_fleet,    expect_hosts, read_states,
        make_place,  read_levels, read_hosts,   read_domains,  read_labels,  read_vms,
        read_groups, read_rules,  read_devices, read_workload,
    };
    BerthPlaceResult result = BERTH_PLACE_OK;

    for (size_t i = 0; i < sizeof steps / sizeof *steps && result == BERTH_PLACE_OK; i++) {
        result = steps[i](reader);
    }
    return result;
}

BerthPlaceResult berth_place_load(const void *bytes, size_t length, BerthPlace **ret_place,
                                  BerthPlaceFault *fault)
{
    Reader reader = {.bytes = bytes, .length = length};

    if (fault != NULL && fault->struct_size < sizeof *fault) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    BerthPlaceResult result = read_all(&reader);
    free(reader.hosts);
    if (result == BERTH_PLACE_OK) {
        *ret_place = reader.place;
        return result;
    }
    berth_place_free(reader.place);
    if (fault != NULL && reader.fault != NULL) {
        fault->offset = reader.fault_offset;
        fault->what = reader.fault;
    }
    return result;
}
