#include "place/classes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "place/heap.h"
#include "place/inventory.h"

#define NO_BLOCK UINT32_MAX
#define SMALL_FLEET 4096     /* of hosts, whose searches ask for banks of areas at once, */
#define ROWS_LOOKED_AT 12    /* and those of larger ones after so many rows */
#define MOST_LOOKED_AT 65536 /* hosts of a class, for one that is in the same area */

static uint32_t power_of_two(uint32_t at_least)
{
    uint32_t power = 1;

    while (power < at_least) {
        power *= 2;
    }
    return power;
}

static bool add_bank(Classes *classes, BerthPlacePolicy policy)
{
    Bank *bank = malloc(sizeof *bank);

    if (bank == NULL || !bank_init(bank, classes->most)) {
        free(bank);
        return false;
    }
    classes->banks[policy] = bank;
    return true;
}

Classes *classes_new(const BerthPlace *place, const Sizes *sizes, uint32_t most, const Kinds *kinds)
{
    Classes *classes = calloc(1, sizeof *classes);
    if (classes == NULL) {
        return NULL;
    }
    most = (most + 15) / 16 * 16;
    uint32_t table_size = power_of_two(2 * most);
    classes->place = place;
    classes->sizes = sizes;
    classes->kinds = kinds;
    classes->most = most;
    classes->spare = CLASSES_NONE;
    classes->table_mask = table_size - 1;
    classes->of_host = malloc(place->slots * sizeof *classes->of_host);
    classes->at = malloc(place->slots * sizeof *classes->at);
    classes->classes = malloc(most * sizeof *classes->classes);
    classes->table = calloc(table_size, sizeof *classes->table);
    void *available = malloc((size_t)most * place->n_dims * amounts_size(&place->available));
    if (place->available.wide != NULL) {
        classes->available.wide = available;
    } else {
        classes->available.narrow = available;
    }
    memset(classes->free_blocks, 0xff, sizeof classes->free_blocks);
    if (classes->of_host == NULL || classes->at == NULL || classes->classes == NULL ||
        classes->table == NULL || available == NULL) {
        classes_free(classes);
        return NULL;
    }
    memset(classes->of_host, 0xff, place->slots * sizeof *classes->of_host);
    if (kinds != NULL && !add_bank(classes, BERTH_PLACE_FRAGMENTATION)) {
        classes_free(classes);
        return NULL;
    }
    classes->ready[BERTH_PLACE_FRAGMENTATION] = UINT32_MAX;
    return classes;
}

void classes_free(Classes *classes)
{
    if (classes == NULL) {
        return;
    }
    for (uint32_t i = 0; i < BERTH_PLACE_N_POLICIES; i++) {
        if (classes->banks[i] != NULL) {
            bank_clear(classes->banks[i]);
            free(classes->banks[i]);
        }
    }
    class_areas_free(classes->areas);
    area_banks_free(classes->area_banks);
    free(classes->of_host);
    free(classes->at);
    free(classes->classes);
    free(classes->table);
    free(classes->available.narrow);
    free(classes->available.wide);
    free(classes->blocks);
    free(classes);
}

/* The heap of a class: its hosts, four children to a node. */
static uint32_t *heap_of(const Classes *classes, Class *class)
{
    return class->room == 1 ? &class->hosts : classes->blocks + class->hosts;
}

static uint32_t logarithm(uint32_t room)
{
    return (uint32_t)__builtin_ctz(room);
}

static void release_block(Classes *classes, uint32_t block, uint32_t room)
{
    classes->blocks[block] = classes->free_blocks[logarithm(room)];
    classes->free_blocks[logarithm(room)] = block;
}

static uint32_t acquire_block(Classes *classes, uint32_t room)
{
    uint32_t block = classes->free_blocks[logarithm(room)];

    if (block != NO_BLOCK) {
        classes->free_blocks[logarithm(room)] = classes->blocks[block];
        return block;
    }
    if (classes->blocks_used + room > classes->blocks_size) {
        uint32_t size = classes->blocks_size + classes->blocks_size / 4 + room + 1024;
        uint32_t *blocks = realloc(classes->blocks, size * sizeof *blocks);
        if (blocks == NULL) {
            return NO_BLOCK;
        }
        classes->blocks = blocks;
        classes->blocks_size = size;
    }
    block = classes->blocks_used;
    classes->blocks_used += room;
    return block;
}

/* Moves a class's hosts into room for more, or less. */
static bool make_room(Classes *classes, Class *class, uint32_t room)
{
    uint32_t block = 0, old_room = class->room, old_block = class->hosts;

    if (room > 1) {
        block = acquire_block(classes, room);
        if (block == NO_BLOCK) {
            return false;
        }
        memcpy(classes->blocks + block, heap_of(classes, class), class->count * sizeof(uint32_t));
    } else {
        block = *heap_of(classes, class);
    }
    class->room = room;
    class->hosts = block;
    if (old_room > 1) {
        release_block(classes, old_block, old_room);
    }
    return true;
}

static Heap heap_in(const Classes *classes, Class *class)
{
    return (Heap){.place = classes->place, .hosts = heap_of(classes, class), .at = classes->at};
}

/* A host as it stands in its class's heap: with its area where areas are wanted. */
static uint32_t entry_of(const Classes *classes, uint32_t host)
{
    return classes->areas != NULL
               ? heap_entry(host, relations_area_of_host(classes->place->relations, host))
               : host;
}

static bool push(Classes *classes, Class *class, uint32_t host)
{
    if (class->count == class->room && !make_room(classes, class, class->room * 2)) {
        return false;
    }
    Heap heap = heap_in(classes, class);
    heap_push(&heap, class->count++, entry_of(classes, host));
    return true;
}

static void pull(Classes *classes, Class *class, uint32_t host)
{
    Heap heap = heap_in(classes, class);

    heap_pull(&heap, class->count--, host);
    if (class->count > 0 && class->room > 1 && class->count <= class->room / 4) {
        make_room(classes, class, class->room / 2);
    }
}

/* What tells a host's class, besides its devices. */
typedef struct {
    uint32_t hash; /* of all, the devices included */
    uint32_t shape;
    int64_t available[BERTH_PLACE_MAX_DIMS];
} Key;

static void make_key(const Classes *classes, uint32_t host, Key *ret_key)
{
    const BerthPlace *place = classes->place;

    fleet_available(place, host, ret_key->available);
    ret_key->shape = classes->kinds != NULL ? 0 : fleet_shape(place, host);
    uint64_t seed = classes->kinds != NULL ? inventory_hash(place, host) : ret_key->shape;
    ret_key->hash = (uint32_t)(shapes_hash(ret_key->available, place->n_dims, seed) >> 32);
}

static bool is_alike(const Classes *classes, uint32_t number, uint32_t host, const Key *key)
{
    Class *class = &classes->classes[number];

    return class->shape == key->shape &&
           amounts_equal(&classes->available, number, classes->place->n_dims, key->available) &&
           (classes->kinds == NULL ||
            inventory_equal(classes->place, heap_host(heap_of(classes, class)[0]), host));
}

/* The numbers in the table are one higher, so that 0 is a free place. */
static uint32_t lookup(const Classes *classes, uint32_t host, const Key *key)
{
    uint32_t at = key->hash & classes->table_mask;

    for (; classes->table[at].class != 0; at = (at + 1) & classes->table_mask) {
        uint32_t number = classes->table[at].class - 1;
        if (classes->table[at].hash == key->hash && is_alike(classes, number, host, key)) {
            return number;
        }
    }
    return CLASSES_NONE;
}

static void table_add(Classes *classes, uint32_t number)
{
    uint32_t hash = classes->classes[number].hash, at = hash & classes->table_mask;

    while (classes->table[at].class != 0) {
        at = (at + 1) & classes->table_mask;
    }
    classes->table[at].hash = hash;
    classes->table[at].class = number + 1;
}

static void table_remove(Classes *classes, uint32_t number)
{
    uint32_t mask = classes->table_mask, hole = classes->classes[number].hash & mask;

    while (classes->table[hole].class != number + 1) {
        hole = (hole + 1) & mask;
    }
    for (uint32_t at = (hole + 1) & mask; classes->table[at].class != 0; at = (at + 1) & mask) {
        if (((at - classes->table[at].hash) & mask) >= ((at - hole) & mask)) {
            classes->table[hole] = classes->table[at];
            hole = at;
        }
    }
    classes->table[hole].class = 0;
}

static uint32_t width_of(const Classes *classes)
{
    return classes->kinds != NULL ? kinds_width(classes->kinds) : sizes_width(classes->sizes);
}

/* What a row of keys is made from; false for a class in debt, whose scores know no bounds. */
static bool row_input(const Classes *classes, uint32_t number, RowInput *ret_input)
{
    const BerthPlace *place = classes->place;
    const int64_t *capacity = shapes_capacity(&place->shape_table, classes->classes[number].shape);
    int64_t available[BERTH_PLACE_MAX_DIMS];
    unsigned n = 0;

    amounts_read(&classes->available, number, place->n_dims, available);
    ret_input->n_dims = place->n_dims;
    ret_input->width = sizes_width(classes->sizes);
    ret_input->needs = classes->sizes->needs;
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (available[d] < 0) {
            return false;
        }
        ret_input->available[d] = (float)available[d];
        ret_input->inverse[d] = capacity[d] > 0 ? 1 / (float)capacity[d] : 0;
        n += capacity[d] > 0;
    }
    ret_input->n_inverse = n > 0 ? 1 / (float)n : 0;
    return true;
}

/* The sizes that fit a class. */
static uint32_t fitting(const Classes *classes, uint32_t number)
{
    const BerthPlace *place = classes->place;
    int64_t available[BERTH_PLACE_MAX_DIMS];
    float rounded[BERTH_PLACE_MAX_DIMS];

    amounts_read(&classes->available, number, place->n_dims, available);
    for (uint32_t d = 0; d < place->n_dims; d++) {
        rounded[d] = available[d] > 0 ? (float)available[d] : 0;
    }
    return kernels_get()->fits(classes->sizes->needs, place->n_dims, sizes_width(classes->sizes),
                               rounded);
}

/* The keys of a class for each size. In debt: always worth a look. */
static void set_keys(Classes *classes, BerthPlacePolicy policy, uint32_t number)
{
    RowInput input;
    float row[ROW];

    if (row_input(classes, number, &input)) {
        input.policy = policy;
        classes->banks[policy]->kernels->score(&input, row);
    } else {
        for (uint32_t i = 0; i < ROW; i++) {
            row[i] = i < classes->sizes->n ? INFINITY : -INFINITY;
        }
    }
    bank_set(classes->banks[policy], number, row, input.width);
}

/* The keys of a class that a host has just begun. */
static void set_keys_by_devices(Classes *classes, uint32_t number, uint32_t host)
{
    float row[ROW];

    kinds_row(classes->kinds, classes->place, host, row);
    bank_set(classes->banks[BERTH_PLACE_FRAGMENTATION], number, row, width_of(classes));
}

static uint32_t new_class(Classes *classes, uint32_t host, const Key *key)
{
    uint32_t number = classes->spare;

    if (number != CLASSES_NONE) {
        classes->spare = classes->classes[number].hosts;
    } else if (classes->n < classes->most) {
        number = classes->n++;
    } else {
        return CLASSES_NONE;
    }
    classes->classes[number] = (Class){.hash = key->hash, .shape = key->shape, .room = 1};
    amounts_write(&classes->available, number, classes->place->n_dims, key->available);
    table_add(classes, number);
    classes->n_used++;
    if (classes->kinds != NULL) {
        set_keys_by_devices(classes, number, host);
        return number;
    }
    for (uint32_t i = 0; i < BERTH_PLACE_N_POLICIES; i++) {
        if (classes->banks[i] != NULL) {
            set_keys(classes, (BerthPlacePolicy)i, number);
        }
    }
    if (classes->areas != NULL) {
        class_areas_begin(classes->areas, number, fitting(classes, number));
    }
    return number;
}

static void drop_class(Classes *classes, uint32_t number)
{
    Class *class = &classes->classes[number];

    table_remove(classes, number);
    for (uint32_t i = 0; i < BERTH_PLACE_N_POLICIES; i++) {
        if (classes->banks[i] != NULL) {
            bank_unset(classes->banks[i], number, width_of(classes));
        }
    }
    if (classes->areas != NULL) {
        area_banks_note(classes, classes->area_banks, number, classes->areas->areas[number], false);
        class_areas_end(classes->areas, number, sizes_width(classes->sizes));
    }
    class->hosts = classes->spare;
    classes->spare = number;
    classes->n_used--;
}

static void add_area(Classes *classes, uint32_t host)
{
    uint32_t number = classes->of_host[host], before = classes->areas->areas[number];

    class_areas_add(classes->areas, number, relations_area_of_host(classes->place->relations, host),
                    sizes_width(classes->sizes));
    uint32_t gained = classes->areas->areas[number] & ~before;
    area_banks_note(classes, classes->area_banks, number, gained, true);
}

bool classes_enter(Classes *classes, uint32_t host)
{
    Key key;

    make_key(classes, host, &key);
    uint32_t number = lookup(classes, host, &key);
    if (number == CLASSES_NONE) {
        number = new_class(classes, host, &key);
    }
    if (number == CLASSES_NONE || !push(classes, &classes->classes[number], host)) {
        return false;
    }
    classes->of_host[host] = number;
    if (classes->areas != NULL) {
        add_area(classes, host);
        area_banks_step(classes, classes->area_banks);
    }
    return true;
}

void classes_host_moved(Classes *classes, uint32_t host)
{
    if (classes->areas != NULL && classes_has(classes, host)) {
        Class *class = &classes->classes[classes->of_host[host]];
        heap_of(classes, class)[classes->at[host]] = entry_of(classes, host);
        add_area(classes, host);
    }
}

/* A host in an area has left a class: so may have the last one there. Neighbors in a heap are often
 * neighbors in the order, so those around its place are looked at first. */
static void forget_area(Classes *classes, uint32_t number, uint32_t place, uint64_t area)
{
    Class *class = &classes->classes[number];
    const uint32_t *heap = heap_of(classes, class);
    uint32_t word = class_areas_word(area);

    if (class->count > MOST_LOOKED_AT) {
        return;
    }
    for (uint32_t i = 1; i <= class->count; i++) {
        uint32_t at = place + i < class->count ? place + i : (place + i) % class->count;
        if ((class_areas_word(heap_area_bit(heap[at])) & word) != 0) {
            return;
        }
    }
    area_banks_note(classes, classes->area_banks, number, word & classes->areas->areas[number],
                    false);
    class_areas_remove(classes->areas, number, word, sizes_width(classes->sizes));
}

void classes_leave(Classes *classes, uint32_t host)
{
    uint32_t number = classes->of_host[host];
    Class *class = &classes->classes[number];
    uint32_t place = classes->at[host];
    uint64_t area = heap_area_bit(heap_of(classes, class)[place]);

    if (classes->areas != NULL) {
        __builtin_prefetch(
            relations_row(classes->place->relations, host)); /* it will enter again */
    }
    pull(classes, class, host);
    classes->of_host[host] = CLASSES_NONE;
    if (area != 0 && class->count > 0) {
        forget_area(classes, number, place, area);
    }
    if (class->count == 0) {
        if (class->room > 1) {
            release_block(classes, class->hosts, class->room);
        }
        drop_class(classes, number);
    }
}

bool classes_is_swept(const Classes *classes, BerthPlacePolicy policy)
{
    return classes->banks[policy] != NULL && classes->swept[policy] == UINT32_MAX;
}

void classes_sweep(Classes *classes, BerthPlacePolicy policy, uint32_t steps)
{
    uint32_t *swept = &classes->swept[policy];

    if (classes->banks[policy] == NULL && !add_bank(classes, policy)) {
        return;
    }
    for (; *swept < classes->n && steps > 0; ++*swept, steps--) {
        if (classes->classes[*swept].count > 0) {
            set_keys(classes, policy, *swept);
        }
    }
    if (*swept >= classes->n) {
        *swept = UINT32_MAX;
        classes->ready[policy] = UINT32_MAX;
    }
}

bool classes_have_areas(const Classes *classes)
{
    return classes->areas != NULL && classes->areas->swept >= classes->most;
}

static void sweep_block(Classes *classes, uint32_t block)
{
    for (uint32_t number = block * 16; number < block * 16 + 16; number++) {
        classes->areas->fits[number] = number < classes->n && classes->classes[number].count > 0
                                           ? fitting(classes, number)
                                           : 0;
    }
    class_areas_refresh(classes->areas, block, sizes_width(classes->sizes));
}

void classes_sweep_areas(Classes *classes, uint32_t steps)
{
    ClassAreas *areas = classes->areas;

    if (areas == NULL) {
        uint32_t patience = classes->place->n_hosts > SMALL_FLEET ? ROWS_LOOKED_AT : 0;
        classes->area_banks =
            classes->area_banks != NULL ? classes->area_banks : area_banks_new(patience);
        classes->areas = classes->area_banks != NULL ? class_areas_new(classes->most) : NULL;
        return;
    }
    for (; areas->entered < classes->place->slots && steps > 0; areas->entered++, steps--) {
        classes_host_moved(classes, areas->entered);
    }
    for (; areas->swept < classes->most && steps > 0; areas->swept += 16, steps--) {
        sweep_block(classes, areas->swept / 16);
    }
    if (classes_have_areas(classes)) {
        areas->ready = UINT32_MAX;
    }
}

void classes_forget_size(Classes *classes, uint32_t size)
{
    for (uint32_t i = 0; i < BERTH_PLACE_N_POLICIES; i++) {
        classes->ready[i] &= ~(UINT32_C(1) << size);
        classes->swept[i] = 0;
    }
    if (classes->areas != NULL) {
        classes->areas->ready &= ~(UINT32_C(1) << size);
        classes->areas->swept = 0;
        area_banks_clear(classes->area_banks);
    }
}

static const char *check_areas(const Classes *classes)
{
    const ClassAreas *areas = classes->areas;

    for (uint32_t host = 0; host < areas->entered; host++) {
        uint64_t area = area_bit(relations_area_of_host(classes->place->relations, host));
        uint32_t number = classes->of_host[host];
        if (number != CLASSES_NONE &&
            heap_of(classes, &classes->classes[number])[classes->at[host]] !=
                entry_of(classes, host)) {
            return "the hosts of a class stand there with their areas";
        }
        if (number != CLASSES_NONE && (areas->areas[number] & class_areas_word(area)) == 0) {
            return "a class has the areas of all its hosts";
        }
        if (number != CLASSES_NONE &&
            (fitting(classes, number) & areas->ready & ~areas->fits[number]) != 0) {
            return "a class knows every size that fits it";
        }
    }
    const char *broken = class_areas_check(areas, sizes_width(classes->sizes));
    return broken != NULL ? broken : area_banks_check(classes);
}

const char *classes_check(const Classes *classes)
{
    const BerthPlace *place = classes->place;
    uint64_t hosts = 0, members = 0;
    Key key;

    for (uint32_t host = 0; host < place->slots; host++) {
        uint32_t number = classes->of_host[host];
        if (number == CLASSES_NONE) {
            continue;
        }
        hosts++;
        Class *class = &classes->classes[number];
        const uint32_t *heap = heap_of(classes, class);
        uint32_t at = classes->at[host];
        if (at >= class->count || heap_host(heap[at]) != host) {
            return "a host is in its class's heap";
        }
        if (at > 0 && fleet_before(place, host, heap_host(heap[(at - 1) / 4]))) {
            return "the first host of a class is at the top of its heap";
        }
        make_key(classes, host, &key);
        if (class->hash != key.hash || !is_alike(classes, number, host, &key)) {
            return "the hosts of a class have its shape, availability and devices";
        }
    }
    for (uint32_t i = 0; i < classes->n; i++) {
        members += classes->classes[i].count;
    }
    for (uint32_t i = 0; i < BERTH_PLACE_N_POLICIES; i++) {
        if (classes->banks[i] != NULL && !bank_check(classes->banks[i], width_of(classes))) {
            return "each row of a bank is the maximum of those below it";
        }
    }
    if (hosts != members) {
        return "every member of a class is a host";
    }
    return classes->areas != NULL ? check_areas(classes) : NULL;
}
