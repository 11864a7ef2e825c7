#include "sim/reassign_model.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define MAX_SHOWN 40 /* bytes of what stands where a number should */

typedef struct {
    const char *name;
    const char *at, *end; /* what is left of the text */
    const char *line_start;
    const char *token; /* where the number begins that is read */
    unsigned line;
    unsigned number; /* which of the file's numbers it is, from 1 */
    GError **error;
    bool failed; /* the error is set; whatever is read is 0 from then on */
} Reader;

/* What stands somewhere, such as machines[3].capacity[1]. */
typedef struct {
    const char *list;
    int64_t index; /* -1: none */
    const char *part;
    int64_t part_index;
} Field;

static char *field_text(Field field)
{
    GString *text = g_string_new(field.list);
    if (field.index >= 0) {
        g_string_append_printf(text, "[%" G_GINT64_FORMAT "]", field.index);
    }
    if (field.part != NULL) {
        g_string_append_printf(text, ".%s", field.part);
    }
    if (field.part_index >= 0) {
        g_string_append_printf(text, "[%" G_GINT64_FORMAT "]", field.part_index);
    }
    return g_string_free(text, FALSE);
}

/* Refuses the number that begin_number went to. */
static void refuse(Reader *reader, Field field, const char *value, const char *remedy,
                   const char *what)
{
    if (reader->failed) {
        return;
    }
    g_autofree char *name = field_text(field);
    reader->failed = true;
    berth_error_set(reader->error, BERTH_ERROR_INVALID, name, value, remedy,
                    "%s: line %u, column %zu, number %u of the file: %s", reader->name,
                    reader->line, (size_t)(reader->token - reader->line_start) + 1, reader->number,
                    what);
}

static void skip_space(Reader *reader)
{
    while (reader->at < reader->end && g_ascii_isspace(*reader->at)) {
        if (*reader->at++ == '\n') {
            reader->line_start = reader->at;
            reader->line++;
        }
    }
}

static Reader begin_text(const char *name, const char *text, size_t size, GError **error)
{
    const char *begin = text + text_mark_length(text, size);
    Reader reader = {.name = name, .at = begin, .end = text + size, .line = 1, .error = error};

    reader.line_start = reader.token = begin;
    return reader;
}

/* Goes to where the next number should begin. */
static void begin_number(Reader *reader)
{
    skip_space(reader);
    reader->token = reader->at;
    reader->number++;
}

static uint64_t read_number(Reader *reader, Field field, uint64_t most)
{
    if (reader->failed) {
        return 0;
    }
    begin_number(reader);
    const char *begin = reader->at;
    while (reader->at < reader->end && !g_ascii_isspace(*reader->at)) {
        reader->at++;
    }
    if (reader->at == begin) {
        refuse(reader, field, NULL, "check the counts before it", "the text ends too early");
        return 0;
    }
    if (text_find_control(begin, (size_t)(reader->at - begin)) != NULL) {
        refuse(reader, field, NULL, "save the file as plain text", "this is not text");
        return 0;
    }
    g_autofree char *token = g_strndup(begin, (gsize)(reader->at - begin));
    guint64 value = 0;
    g_autoptr(GError) reason = NULL;
    if (!g_ascii_string_to_unsigned(token, 10, 0, most, &value, &reason)) {
        g_autofree char *shown = g_utf8_make_valid(token, MIN((gssize)strlen(token), MAX_SHOWN));
        g_autofree char *remedy =
            g_strdup_printf("write a whole number from 0 to %" G_GUINT64_FORMAT, most);
        bool outside =
            g_error_matches(reason, G_NUMBER_PARSER_ERROR, G_NUMBER_PARSER_ERROR_OUT_OF_BOUNDS) ||
            (token[0] == '-' && token[1] != '\0' &&
             strspn(token + 1, "0123456789") == strlen(token + 1));
        refuse(reader, field, shown, remedy,
               outside ? "the number is out of its range" : "this is not a whole number");
        return 0;
    }
    return value;
}

static Field field_of(const char *list, int64_t index, const char *part, int64_t part_index)
{
    return (Field){list, index, part, part_index};
}

static int64_t read_amount(Reader *reader, Field field)
{
    return (int64_t)read_number(reader, field, BERTH_PLACE_MAX_AMOUNT);
}

static uint32_t read_index(Reader *reader, Field field, uint32_t count)
{
    if (count == 0 && !reader->failed) {
        begin_number(reader);
        refuse(reader, field, NULL, "remove it, or add what it names", "there is nothing to name");
    }
    if (reader->failed) {
        return 0;
    }
    return (uint32_t)read_number(reader, field, count - 1);
}

/* A count of things of which each takes at least `numbers` numbers more: refused if the text cannot
 * hold them, before anything is allocated. */
static uint32_t read_count(Reader *reader, Field field, uint64_t most, uint64_t numbers)
{
    uint64_t count = read_number(reader, field, most);
    uint64_t room = ((uint64_t)(reader->end - reader->at) + 1) / 2;

    if (!reader->failed && count > room / numbers) {
        g_autofree char *value = g_strdup_printf("%" G_GUINT64_FORMAT, count);
        refuse(reader, field, value, "check the count, and whether the file is whole",
               "the text is too short for so many");
        return 0;
    }
    return reader->failed ? 0 : (uint32_t)count;
}

/* The same where a model without one makes no sense; `none` says so. */
static uint32_t read_count_from_one(Reader *reader, Field field, uint64_t most, uint64_t numbers,
                                    const char *none)
{
    uint32_t count = read_count(reader, field, most, numbers);
    if (count == 0) {
        refuse(reader, field, "0", "name one at least", none);
    }
    return count;
}

static void *own(ReassignModel *model, size_t n, size_t size)
{
    void *array = g_malloc0_n(MAX(n, 1), size);
    g_ptr_array_add(model->owned, array);
    return array;
}

static void read_resources(Reader *reader, ReassignModel *owner)
{
    BerthReassignModel *model = &owner->model;
    uint32_t n = read_count_from_one(reader, field_of("resources", -1, "count", -1),
                                     BERTH_REASSIGN_MAX_RESOURCES, 2, "no resource");
    uint8_t *transient = own(owner, n, sizeof *transient);
    int64_t *weight = own(owner, n, sizeof *weight);
    for (uint32_t i = 0; i < n; i++) {
        transient[i] = (uint8_t)read_number(reader, field_of("resources", i, "transient", -1), 1);
        weight[i] = read_amount(reader, field_of("resources", i, "weight", -1));
    }
    model->n_resources = n;
    model->transient = transient;
    model->resource_weight = weight;
}

static void read_amounts(Reader *reader, int64_t *amounts, uint32_t n, const char *list, int64_t i,
                         const char *part)
{
    for (uint32_t r = 0; r < n && !reader->failed; r++) {
        amounts[r] = read_amount(reader, field_of(list, i, part, r));
    }
}

static void read_machines(Reader *reader, ReassignModel *owner)
{
    BerthReassignModel *model = &owner->model;
    uint32_t n_resources = model->n_resources;
    Field field = field_of("machines", -1, "count", -1);
    uint64_t numbers = 3 + 2 * (uint64_t)n_resources;
    uint32_t n =
        read_count_from_one(reader, field, BERTH_REASSIGN_MAX_MACHINES, numbers, "no machine");
    if ((uint64_t)n * (numbers - 1 + n) > (uint64_t)(reader->end - reader->at + 1) / 2) {
        refuse(reader, field, NULL, "check the count, and whether the file is whole",
               "the text is too short for the move costs of so many");
    }
    n = reader->failed ? 0 : n;
    uint32_t *location = own(owner, n, sizeof *location);
    uint32_t *neighbourhood = own(owner, n, sizeof *neighbourhood);
    uint32_t *route_cost = own(owner, (size_t)n * n, sizeof *route_cost);
    int64_t *capacity = own(owner, (size_t)n * n_resources, sizeof *capacity);
    int64_t *safety = own(owner, (size_t)n * n_resources, sizeof *safety);
    for (uint32_t i = 0; i < n && !reader->failed; i++) {
        size_t at = (size_t)i * n_resources;
        neighbourhood[i] =
            (uint32_t)read_number(reader, field_of("machines", i, "neighbourhood", -1), UINT32_MAX);
        location[i] =
            (uint32_t)read_number(reader, field_of("machines", i, "location", -1), UINT32_MAX);
        read_amounts(reader, capacity + at, n_resources, "machines", i, "capacity");
        read_amounts(reader, safety + at, n_resources, "machines", i, "safety");
        for (uint32_t j = 0; j < n && !reader->failed; j++) {
            route_cost[(size_t)i * n + j] =
                (uint32_t)read_number(reader, field_of("machines", i, "move_cost", j), UINT32_MAX);
        }
    }
    model->n_machines = n;
    model->location = location;
    model->neighbourhood = neighbourhood;
    model->route_cost = route_cost;
    model->capacity = capacity;
    model->safety = safety;
}

static void read_services(Reader *reader, ReassignModel *owner)
{
    BerthReassignModel *model = &owner->model;
    uint32_t n =
        read_count(reader, field_of("services", -1, "count", -1), BERTH_REASSIGN_MAX_PROCESSES, 2);
    uint32_t *spread_min = own(owner, n, sizeof *spread_min);
    GArray *dependencies = g_array_new(FALSE, FALSE, sizeof(BerthReassignDependency));
    for (uint32_t i = 0; i < n && !reader->failed; i++) {
        spread_min[i] =
            (uint32_t)read_number(reader, field_of("services", i, "spread", -1), UINT32_MAX);
        uint32_t n_needs = read_count(reader, field_of("services", i, "needs", -1),
                                      BERTH_REASSIGN_MAX_DEPENDENCIES - dependencies->len, 1);
        for (uint32_t j = 0; j < n_needs && !reader->failed; j++) {
            uint32_t needs = read_index(reader, field_of("services", i, "needs", j), n);
            BerthReassignDependency dependency = {.service = i, .needs = needs};
            g_array_append_val(dependencies, dependency);
        }
    }
    model->n_services = n;
    model->spread_min = spread_min;
    model->n_dependencies = dependencies->len;
    model->dependencies = (BerthReassignDependency *)(void *)g_array_free(dependencies, FALSE);
    g_ptr_array_add(owner->owned, (void *)model->dependencies);
}

static void read_processes(Reader *reader, ReassignModel *owner)
{
    BerthReassignModel *model = &owner->model;
    uint32_t n = read_count(reader, field_of("processes", -1, "count", -1),
                            BERTH_REASSIGN_MAX_PROCESSES, 2 + (uint64_t)model->n_resources);
    uint32_t *service = own(owner, n, sizeof *service);
    int64_t *requirement = own(owner, (size_t)n * model->n_resources, sizeof *requirement);
    int64_t *cost = own(owner, n, sizeof *cost);
    for (uint32_t i = 0; i < n && !reader->failed; i++) {
        service[i] = read_index(reader, field_of("processes", i, "service", -1), model->n_services);
        read_amounts(reader, requirement + (size_t)i * model->n_resources, model->n_resources,
                     "processes", i, "requirement");
        cost[i] = read_amount(reader, field_of("processes", i, "move_cost", -1));
    }
    model->n_processes = n;
    model->service = service;
    model->requirement = requirement;
    model->process_cost = cost;
}

static void read_balances(Reader *reader, ReassignModel *owner)
{
    BerthReassignModel *model = &owner->model;
    uint32_t n =
        read_count(reader, field_of("balances", -1, "count", -1), BERTH_REASSIGN_MAX_BALANCES, 4);
    BerthReassignBalance *balances = own(owner, n, sizeof *balances);
    for (uint32_t i = 0; i < n && !reader->failed; i++) {
        balances[i].resource =
            read_index(reader, field_of("balances", i, "resource", -1), model->n_resources);
        balances[i].other =
            read_index(reader, field_of("balances", i, "other", -1), model->n_resources);
        balances[i].target = read_amount(reader, field_of("balances", i, "target", -1));
        balances[i].weight = read_amount(reader, field_of("balances", i, "weight", -1));
    }
    model->n_balances = n;
    model->balances = balances;
}

static void read_weights(Reader *reader, ReassignModel *owner)
{
    BerthReassignModel *model = &owner->model;
    model->process_move_weight = read_amount(reader, field_of("weights", -1, "process_move", -1));
    model->service_move_weight = read_amount(reader, field_of("weights", -1, "service_move", -1));
    model->machine_move_weight = read_amount(reader, field_of("weights", -1, "machine_move", -1));
}

static void read_end(Reader *reader)
{
    begin_number(reader);
    if (!reader->failed && reader->at < reader->end) {
        refuse(reader, field_of("end", -1, NULL, -1), NULL, "check the counts, or remove the rest",
               "more follows after the last number");
    }
}

ReassignModel *reassign_model_parse(const char *name, const char *text, size_t size, GError **error)
{
    Reader reader = begin_text(name, text, size, error);
    g_autoptr(ReassignModel) owner = g_new0(ReassignModel, 1);

    owner->owned = g_ptr_array_new_with_free_func(g_free);
    owner->model.struct_size = sizeof owner->model;
    read_resources(&reader, owner);
    read_machines(&reader, owner);
    read_services(&reader, owner);
    read_processes(&reader, owner);
    read_balances(&reader, owner);
    read_weights(&reader, owner);
    read_end(&reader);
    return reader.failed ? NULL : g_steal_pointer(&owner);
}

void reassign_model_free(ReassignModel *model)
{
    g_ptr_array_unref(model->owned);
    g_free(model);
}

uint32_t *reassign_assignment_parse(const ReassignModel *model, const char *name, const char *text,
                                    size_t size, GError **error)
{
    Reader reader = begin_text(name, text, size, error);
    uint32_t n = model->model.n_processes;
    g_autofree uint32_t *assignment = g_new0(uint32_t, MAX(n, 1));

    for (uint32_t i = 0; i < n && !reader.failed; i++) {
        assignment[i] =
            read_index(&reader, field_of("processes", i, "machine", -1), model->model.n_machines);
    }
    read_end(&reader);
    return reader.failed ? NULL : g_steal_pointer(&assignment);
}

char *reassign_assignment_dump(const uint32_t *assignment, uint32_t n)
{
    GString *text = g_string_new(NULL);
    for (uint32_t i = 0; i < n; i++) {
        g_string_append_printf(text, "%s%" G_GUINT32_FORMAT, i == 0 ? "" : " ", assignment[i]);
    }
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}
