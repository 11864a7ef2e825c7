#include <stdlib.h>
#include <string.h>

#include "place/checksum.h"
#include "place/file.h"
#include "place/file_format.h"
#include "place/fragments.h"
#include "place/relations.h"

#define PIECE 65536

/* What a section's writer puts out: first only counted and summed up, then written. */
typedef struct {
    uint8_t piece[PIECE];
    size_t filled;
    uint64_t length; /* so far, of this section */
    uint32_t crc;
    Checksum checksum;
    BerthPlaceWriteFunc callback; /* NULL: only counted */
    void *user_data;
    bool has_failed;
} Writer;

/* A fleet in the order in which it is written. */
typedef struct {
    const BerthPlace *place;
    const Relations *relations; /* NULL: none */
    uint32_t slots;             /* up to the last host */
    uint32_t width;             /* bytes an amount */
    uint32_t n_shapes;
    uint32_t *shape_numbers; /* by number in the fleet: number in the file */
    uint32_t *shapes;        /* by number in the file: number in the fleet */
    GroupEntry *entries;     /* room for those of any one group */
} Source;

typedef struct {
    uint64_t offset, length;
    uint32_t crc;
} Extent;

static void flush(Writer *writer)
{
    writer->crc = checksum_add(&writer->checksum, writer->crc, writer->piece, writer->filled);
    writer->length += writer->filled;
    if (writer->callback != NULL && writer->filled > 0 && !writer->has_failed) {
        writer->has_failed = !writer->callback(writer->piece, writer->filled, writer->user_data);
    }
    writer->filled = 0;
}

static void put(Writer *writer, uint64_t value, unsigned bytes)
{
    if (writer->filled + bytes > PIECE) {
        flush(writer);
    }
    format_put(writer->piece + writer->filled, value, bytes);
    writer->filled += bytes;
}

static void put_u32(Writer *writer, uint32_t value)
{
    put(writer, value, 4);
}

static void put_fleet(Writer *writer, const Source *source)
{
    put_u32(writer, source->place->n_dims);
    put_u32(writer, source->slots);
    put_u32(writer, source->place->n_hosts);
    put_u32(writer, source->n_shapes);
    put_u32(writer, source->width);
    put_u32(writer, 0);
}

static void put_shapes(Writer *writer, const Source *source)
{
    for (uint32_t i = 0; i < source->n_shapes; i++) {
        const int64_t *capacity = shapes_capacity(&source->place->shape_table, source->shapes[i]);
        for (uint32_t d = 0; d < source->place->n_dims; d++) {
            put(writer, (uint64_t)capacity[d], 8);
        }
    }
}

static void put_states(Writer *writer, const Source *source)
{
    for (uint32_t slot = 0; slot < source->slots; slot++) {
        put(writer, source->place->states[slot], 1);
    }
}

static void put_shape_of(Writer *writer, const Source *source)
{
    for (uint32_t host = 0; host < source->slots; host++) {
        if (fleet_has(source->place, host)) {
            put_u32(writer, source->shape_numbers[fleet_shape(source->place, host)]);
        }
    }
}

static void put_available(Writer *writer, const Source *source)
{
    const BerthPlace *place = source->place;
    int64_t available[BERTH_PLACE_MAX_DIMS];

    for (uint32_t host = 0; host < source->slots; host++) {
        if (fleet_has(place, host)) {
            fleet_available(place, host, available);
            for (uint32_t d = 0; d < place->n_dims; d++) {
                put(writer, (uint64_t)available[d], source->width);
            }
        }
    }
}

static void put_orders(Writer *writer, const Source *source)
{
    bool are_numbers = true;

    for (uint32_t host = 0; host < source->slots && are_numbers; host++) {
        are_numbers = !fleet_has(source->place, host) || fleet_order(source->place, host) == host;
    }
    for (uint32_t host = 0; host < source->slots && !are_numbers; host++) {
        if (fleet_has(source->place, host)) {
            put(writer, fleet_order(source->place, host), 8);
        }
    }
}

static void put_domains(Writer *writer, const Source *source)
{
    const Relations *relations = source->relations;

    if (relations->n_levels == 1) {
        return;
    }
    put_u32(writer, relations->n_levels);
    put_u32(writer, 0);
    for (uint32_t l = 1; l < relations->n_levels; l++) {
        for (uint32_t host = 0; host < source->slots; host++) {
            if (fleet_has(source->place, host)) {
                put_u32(writer, relations_domain(relations, l, host));
            }
        }
    }
}

static void put_label(Writer *writer, const Labels *labels, uint32_t label, uint32_t n_words)
{
    uint32_t n = labels_count(labels, label), word = 0, bits = 0;

    if (n == 0) {
        return;
    }
    put_u32(writer, label);
    put_u32(writer, n);
    for (uint32_t host = labels_next(labels, label, 0); host != BERTH_PLACE_NONE;
         host = labels_next(labels, label, host + 1)) {
        if (n <= n_words) {
            put_u32(writer, host);
            continue;
        }
        for (; word < host / 32; word++, bits = 0) {
            put_u32(writer, bits);
        }
        bits |= UINT32_C(1) << (host % 32);
    }
    for (; n > n_words && word < n_words; word++, bits = 0) {
        put_u32(writer, bits);
    }
}

static void put_labels(Writer *writer, const Source *source)
{
    const Labels *labels = &source->relations->labels;

    for (uint32_t label = 0; label < labels->n; label++) {
        put_label(writer, labels, label, format_bitmap_words(source->slots));
    }
}

static void put_vms(Writer *writer, const Source *source)
{
    const Relations *relations = source->relations;
    bool has_any = false;

    for (uint32_t host = 0; host < source->slots && !has_any; host++) {
        has_any = fleet_has(source->place, host) && relations_vms_on(relations, host) > 0;
    }
    for (uint32_t host = 0; host < source->slots && has_any; host++) {
        if (fleet_has(source->place, host)) {
            put_u32(writer, relations_vms_on(relations, host));
        }
    }
}

static int compare_entries(const void *a, const void *b)
{
    uint32_t x = ((const GroupEntry *)a)->name, y = ((const GroupEntry *)b)->name;

    return x < y ? -1 : x > y;
}

static void put_groups(Writer *writer, const Source *source)
{
    for (uint32_t number = 0; number < source->relations->n_groups; number++) {
        const Group *group = relations_group(source->relations, number);
        uint32_t n = 0, host, count;
        for (uint32_t at = 0; group_next(group, 0, &at, &host, &count);) {
            source->entries[n++] = (GroupEntry){.name = host, .count = count};
        }
        if (n == 0) {
            continue;
        }
        qsort(source->entries, n, sizeof *source->entries, compare_entries);
        put_u32(writer, number);
        put_u32(writer, n);
        for (uint32_t i = 0; i < n; i++) {
            put_u32(writer, source->entries[i].name);
            put_u32(writer, source->entries[i].count);
        }
    }
}

static void put_rules(Writer *writer, const Source *source)
{
    const Rule *rules = source->relations->rules;

    for (uint32_t number = source->relations->oldest; number != BERTH_PLACE_NONE;
         number = rules[number].younger) {
        const BerthPlaceRule *rule = &rules[number].rule;
        put_u32(writer, number);
        put_u32(writer, rule->kind);
        put_u32(writer, rule->a);
        put_u32(writer, relations_uses_b(rule) ? rule->b : 0);
        put_u32(writer, rule->level);
        put_u32(writer, rule->skew);
        put_u32(writer, rule->weight);
        put_u32(writer, 0);
    }
}

static void put_devices(Writer *writer, const Source *source)
{
    for (uint32_t host = 0; host < source->slots; host++) {
        const Bay *bay = inventory_bay(source->place, host);
        const BerthPlaceDevice *devices = inventory_devices(source->place, bay);
        if (bay->n > 0) {
            put_u32(writer, host);
            put_u32(writer, bay->n);
        }
        for (uint32_t i = 0; i < bay->n; i++) {
            put_u32(writer, devices[i].model);
            put_u32(writer, devices[i].capacity);
            put_u32(writer, devices[i].free);
        }
    }
}

static void put_workload(Writer *writer, const Source *source)
{
    const Inventory *inventory = source->place->inventory;
    const Workload *workload = inventory != NULL ? inventory->workload : NULL;

    for (uint32_t i = 0; workload != NULL && i < workload->n_asks; i++) {
        const Ask *ask = &workload->asks[i];
        for (uint32_t k = ask->first; k < ask->first + ask->n; k++) {
            put_u32(writer, workload->weights[k]);
            put_u32(writer, ask->asked.n);
            put_u32(writer, ask->asked.slices);
            put_u32(writer, 0);
            put(writer, ask->asked.models, 8);
            for (uint32_t d = 0; d < workload->n_dims; d++) {
                put(writer, (uint64_t)workload->vectors[(size_t)k * workload->n_dims + d], 8);
            }
        }
    }
}

typedef void (*PutFunc)(Writer *writer, const Source *source);

static const struct {
    PutFunc put;
    bool needs_relations, is_always;
} parts[SECTION_END] = {
    [SECTION_FLEET] = {put_fleet, false, true},
    [SECTION_SHAPES] = {put_shapes, false, true},
    [SECTION_STATES] = {put_states, false, true},
    [SECTION_SHAPE_OF] = {put_shape_of, false, true},
    [SECTION_AVAILABLE] = {put_available, false, true},
    [SECTION_ORDERS] = {put_orders, false, false},
    [SECTION_DOMAINS] = {put_domains, true, false},
    [SECTION_LABELS] = {put_labels, true, false},
    [SECTION_VMS] = {put_vms, true, false},
    [SECTION_GROUPS] = {put_groups, true, false},
    [SECTION_RULES] = {put_rules, true, false},
    [SECTION_DEVICES] = {put_devices, false, false},
    [SECTION_WORKLOAD] = {put_workload, false, false},
};

static bool is_there(const Extent *extents, uint32_t kind)
{
    return extents[kind].length > 0 || parts[kind].is_always;
}

static void put_part(Writer *writer, const Source *source, uint32_t kind)
{
    writer->length = 0;
    writer->crc = 0;
    if (source->relations != NULL || !parts[kind].needs_relations) {
        parts[kind].put(writer, source);
    }
    flush(writer);
}

static void put_head(Writer *writer, const Extent *extents)
{
    uint32_t n = 0;
    uint64_t length = 0;

    for (uint32_t kind = SECTION_FLEET; kind < SECTION_END; kind++) {
        n += is_there(extents, kind);
    }
    length = extents[SECTION_END].offset + (uint64_t)FORMAT_ENTRY * n + FORMAT_HEADER;
    for (int pass = 0; pass < 2; pass++) { /* the checksum stands before what it is made of */
        uint32_t crc = checksum_add(&writer->checksum, 0, writer->piece, 24);
        crc = checksum_add(&writer->checksum, crc, writer->piece + FORMAT_HEADER,
                           (size_t)FORMAT_ENTRY * n);
        writer->filled = 0;
        memcpy(writer->piece, FORMAT_MAGIC, 8);
        writer->filled = 8;
        put_u32(writer, FORMAT_VERSION);
        put_u32(writer, n);
        put(writer, length, 8);
        put_u32(writer, crc);
        put_u32(writer, 0);
        for (uint32_t kind = SECTION_FLEET; kind < SECTION_END; kind++) {
            if (is_there(extents, kind)) {
                put_u32(writer, kind);
                put(writer, 1, 2);
                put(writer, FORMAT_MANDATORY, 2);
                put(writer, extents[kind].offset + (uint64_t)FORMAT_ENTRY * n + FORMAT_HEADER, 8);
                put(writer, extents[kind].length, 8);
                put_u32(writer, extents[kind].crc);
                put_u32(writer, 0);
            }
        }
    }
    flush(writer);
}

static BerthPlaceResult write_file(Writer *writer, const Source *source,
                                   BerthPlaceWriteFunc callback, void *user_data)
{
    Extent extents[SECTION_END + 1] = {0}; /* offsets from behind the table */
    uint64_t offset = 0;

    for (uint32_t kind = SECTION_FLEET; kind < SECTION_END; kind++) {
        put_part(writer, source, kind);
        extents[kind] = (Extent){offset, writer->length, writer->crc};
        offset += format_padded(writer->length);
    }
    extents[SECTION_END].offset = offset;
    writer->callback = callback;
    writer->user_data = user_data;
    put_head(writer, extents);
    for (uint32_t kind = SECTION_FLEET; kind < SECTION_END; kind++) {
        put_part(writer, source, kind);
        put(writer, 0, (unsigned)(format_padded(writer->length) - writer->length));
        flush(writer);
    }
    return writer->has_failed ? BERTH_PLACE_ERROR_WRITE : BERTH_PLACE_OK;
}

static void look_at_hosts(Source *source)
{
    const BerthPlace *place = source->place;
    int64_t available[BERTH_PLACE_MAX_DIMS];

    source->width = 4;
    for (uint32_t host = 0; host < place->slots; host++) {
        if (!fleet_has(place, host)) {
            continue;
        }
        source->slots = host + 1;
        uint32_t shape = fleet_shape(place, host);
        if (source->shape_numbers[shape] == SHAPES_NONE) {
            source->shape_numbers[shape] = source->n_shapes;
            source->shapes[source->n_shapes++] = shape;
        }
        fleet_available(place, host, available);
        if (!amounts_are_narrow(available, place->n_dims)) {
            source->width = 8;
        }
    }
}

static bool reserve_entries(Source *source)
{
    const Relations *relations = source->relations;
    uint32_t most = 1;

    for (uint32_t i = 0; i < relations->n_groups; i++) {
        uint32_t n = group_domains(relations_group(relations, i), 0);
        most = n > most ? n : most;
    }
    source->entries = malloc(most * sizeof *source->entries);
    return source->entries != NULL;
}

BerthPlaceResult berth_place_save(const BerthPlace *place, BerthPlaceWriteFunc callback,
                                  void *user_data)
{
    Source source = {.place = place, .relations = place->relations};
    Writer *writer = calloc(1, sizeof *writer);
    size_t n_shapes = place->shape_table.n + (size_t)1;
    BerthPlaceResult result = BERTH_PLACE_ERROR_NO_MEMORY;

    source.shapes = malloc(n_shapes * sizeof *source.shapes);
    source.shape_numbers = malloc(n_shapes * sizeof *source.shape_numbers);
    if (writer != NULL && source.shapes != NULL && source.shape_numbers != NULL) {
        memset(source.shape_numbers, 0xff, n_shapes * sizeof *source.shape_numbers);
        look_at_hosts(&source);
        if (source.relations == NULL || reserve_entries(&source)) {
            checksum_init(&writer->checksum);
            result = write_file(writer, &source, callback, user_data);
        }
    }
    free(source.shapes);
    free(source.shape_numbers);
    free(source.entries);
    free(writer);
    return result;
}

typedef struct {
    uint8_t *buffer;
    size_t room, length;
} Memory;

static bool write_memory(const void *bytes, size_t length, void *user_data)
{
    Memory *memory = user_data;

    if (memory->length + length <= memory->room) {
        memcpy(memory->buffer + memory->length, bytes, length);
    }
    memory->length += length;
    return true;
}

BerthPlaceResult berth_place_save_bytes(const BerthPlace *place, void *buffer, size_t room,
                                        size_t *ret_length)
{
    Memory memory = {.buffer = buffer, .room = room};
    BerthPlaceResult result = berth_place_save(place, write_memory, &memory);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    *ret_length = memory.length;
    return memory.length <= room ? BERTH_PLACE_OK : BERTH_PLACE_ERROR_WRITE;
}
