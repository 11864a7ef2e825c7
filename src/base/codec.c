#include "base/codec_private.h"

#include <string.h>

#include "base/error.h"
#include "base/nearest.h"

#define MEMBER CODEC_MEMBER
#define CONST_MEMBER(type, object, offset) (*(type const *)((const char *)(object) + (offset)))

static bool is_array(CodecKind kind)
{
    return kind == CODEC_STRINGS || kind == CODEC_OBJECTS;
}

static bool is_pointer(CodecKind kind)
{
    return kind != CODEC_INTEGER && kind != CODEC_NUMBER && kind != CODEC_BOOLEAN &&
           kind != CODEC_ENUM;
}

/* What a member points to; NULL for one that is no pointer. */
static const void *pointer_in(const CodecField *field, const void *object)
{
    return is_pointer(field->kind) ? CONST_MEMBER(void *, object, field->offset) : NULL;
}

static GPtrArray *array_new(const CodecField *field)
{
    /* Elements that are objects are freed by the codec, which knows their type. */
    return field->kind == CODEC_STRINGS ? g_ptr_array_new_with_free_func(g_free)
                                        : g_ptr_array_new_with_free_func(field->type->free_element);
}

static bool decode_field(const CodecField *field, void *object, const json_t *json, CodecMode mode,
                         GError **error);

static void set_unusual_default(const CodecField *field, void *object)
{
    json_t *json = json_loads(field->default_text, JSON_DECODE_ANY, NULL);
    g_autoptr(GError) error = NULL;
    if (json == NULL || !decode_field(field, object, json, CODEC_STRICT, &error)) {
        g_error("schema: default of %s: %s", field->name,
                error != NULL ? error->message : field->default_text);
    }
    json_decref(json);
}

void codec_set_default(const CodecField *field, void *object)
{
    if (field->default_text == NULL) {
        return;
    }
    if (!codec_scan_value(field, object, field->default_text)) {
        set_unusual_default(field, object);
    }
    if (field->has_offset >= 0) {
        MEMBER(bool, object, field->has_offset) = false;
    }
}

void codec_init_field(const CodecField *field, void *object)
{
    if (is_array(field->kind)) {
        MEMBER(GPtrArray *, object, field->offset) = array_new(field);
    } else if (field->kind == CODEC_STRING_MAP) {
        MEMBER(StringMap *, object, field->offset) = string_map_new();
    } else if (field->kind == CODEC_INT_MAP) {
        MEMBER(IntMap *, object, field->offset) = int_map_new();
    }
}

void *codec_new(const CodecType *type)
{
    void *object = g_malloc0(type->size);
    for (size_t i = 0; i < type->n_fields; i++) {
        codec_init_field(&type->fields[i], object);
        codec_set_default(&type->fields[i], object);
    }
    return object;
}

static void clear_field(const CodecField *field, void *object)
{
    void **member = &MEMBER(void *, object, field->offset);
    switch (field->kind) {
    case CODEC_STRING:
        g_clear_pointer(member, g_free);
        break;
    case CODEC_OBJECT:
        codec_free(field->type, *member);
        *member = NULL;
        break;
    case CODEC_STRINGS:
    case CODEC_OBJECTS:
        g_ptr_array_unref(*member);
        break;
    case CODEC_STRING_MAP:
        string_map_free(*member);
        break;
    case CODEC_INT_MAP:
        int_map_free(*member);
        break;
    case CODEC_RAW:
        json_decref(*member);
        *member = NULL;
        break;
    case CODEC_INTEGER:
    case CODEC_NUMBER:
    case CODEC_BOOLEAN:
    case CODEC_ENUM:
        break;
    }
}

void codec_free(const CodecType *type, void *object)
{
    if (object == NULL) {
        return;
    }
    for (size_t i = 0; i < type->n_fields; i++) {
        clear_field(&type->fields[i], object);
    }
    json_decref(MEMBER(json_t *, object, type->unknown_offset));
    g_free(object);
}

static GPtrArray *copy_array(const CodecField *field, const GPtrArray *array)
{
    GPtrArray *copy = array_new(field);
    for (guint i = 0; i < array->len; i++) {
        void *item = array->pdata[i];
        g_ptr_array_add(copy, field->kind == CODEC_STRINGS ? g_strdup(item)
                                                           : codec_copy(field->type, item));
    }
    return copy;
}

static void copy_field(const CodecField *field, void *to, const void *from)
{
    void **target = &MEMBER(void *, to, field->offset);
    const void *source = pointer_in(field, from);
    if (field->has_offset >= 0) {
        MEMBER(bool, to, field->has_offset) = CONST_MEMBER(bool, from, field->has_offset);
    }
    switch (field->kind) {
    case CODEC_STRING:
        *target = g_strdup(source);
        break;
    case CODEC_INTEGER:
        MEMBER(int64_t, to, field->offset) = CONST_MEMBER(int64_t, from, field->offset);
        break;
    case CODEC_NUMBER:
        MEMBER(double, to, field->offset) = CONST_MEMBER(double, from, field->offset);
        break;
    case CODEC_BOOLEAN:
        MEMBER(bool, to, field->offset) = CONST_MEMBER(bool, from, field->offset);
        break;
    case CODEC_ENUM:
        MEMBER(int, to, field->offset) = CONST_MEMBER(int, from, field->offset);
        break;
    case CODEC_OBJECT:
        *target = codec_copy(field->type, source);
        break;
    case CODEC_STRINGS:
    case CODEC_OBJECTS:
        *target = copy_array(field, source);
        break;
    case CODEC_STRING_MAP:
        *target = string_map_copy(source);
        break;
    case CODEC_INT_MAP:
        *target = int_map_copy(source);
        break;
    case CODEC_RAW:
        *target = json_deep_copy(source);
        break;
    }
}

void *codec_copy(const CodecType *type, const void *object)
{
    if (object == NULL) {
        return NULL;
    }
    void *copy = g_malloc0(type->size);
    for (size_t i = 0; i < type->n_fields; i++) {
        copy_field(&type->fields[i], copy, object);
    }
    MEMBER(json_t *, copy, type->unknown_offset) =
        json_deep_copy(CONST_MEMBER(json_t *, object, type->unknown_offset));
    return copy;
}

static bool equal_arrays(const CodecField *field, const GPtrArray *a, const GPtrArray *b)
{
    if (a->len != b->len) {
        return false;
    }
    for (guint i = 0; i < a->len; i++) {
        bool equal = field->kind == CODEC_STRINGS
                         ? strcmp(a->pdata[i], b->pdata[i]) == 0
                         : codec_equal(field->type, a->pdata[i], b->pdata[i]);
        if (!equal) {
            return false;
        }
    }
    return true;
}

static bool equal_json(const json_t *a, const json_t *b)
{
    return a == b || (a != NULL && b != NULL && json_equal(a, b));
}

static bool equal_field(const CodecField *field, const void *a, const void *b)
{
    const void *x = pointer_in(field, a);
    const void *y = pointer_in(field, b);
    if (field->has_offset >= 0 &&
        CONST_MEMBER(bool, a, field->has_offset) != CONST_MEMBER(bool, b, field->has_offset)) {
        return false;
    }
    switch (field->kind) {
    case CODEC_STRING:
        return g_strcmp0(x, y) == 0;
    case CODEC_INTEGER:
        return CONST_MEMBER(int64_t, a, field->offset) == CONST_MEMBER(int64_t, b, field->offset);
    case CODEC_NUMBER:
        return CONST_MEMBER(double, a, field->offset) == CONST_MEMBER(double, b, field->offset);
    case CODEC_BOOLEAN:
        return CONST_MEMBER(bool, a, field->offset) == CONST_MEMBER(bool, b, field->offset);
    case CODEC_ENUM:
        return CONST_MEMBER(int, a, field->offset) == CONST_MEMBER(int, b, field->offset);
    case CODEC_OBJECT:
        return codec_equal(field->type, x, y);
    case CODEC_STRINGS:
    case CODEC_OBJECTS:
        return equal_arrays(field, x, y);
    case CODEC_STRING_MAP:
        return string_map_equal(x, y);
    case CODEC_INT_MAP:
        return int_map_equal(x, y);
    case CODEC_RAW:
        return equal_json(x, y);
    }
    return false;
}

bool codec_equal(const CodecType *type, const void *a, const void *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    for (size_t i = 0; i < type->n_fields; i++) {
        if (!equal_field(&type->fields[i], a, b)) {
            return false;
        }
    }
    return equal_json(CONST_MEMBER(json_t *, a, type->unknown_offset),
                      CONST_MEMBER(json_t *, b, type->unknown_offset));
}

static json_t *encode_array(const CodecField *field, const GPtrArray *array)
{
    if (array->len == 0 && !field->required) {
        return NULL;
    }
    json_t *json = json_array();
    for (guint i = 0; i < array->len; i++) {
        json_array_append_new(json, field->kind == CODEC_STRINGS
                                        ? json_string(array->pdata[i])
                                        : codec_encode(field->type, array->pdata[i]));
    }
    return json;
}

static json_t *encode_string_map(const CodecField *field, const StringMap *map)
{
    if (string_map_size(map) == 0 && !field->required) {
        return NULL;
    }
    json_t *json = json_object();
    for (size_t i = 0; i < string_map_size(map); i++) {
        json_object_set_new(json, string_map_key(map, i), json_string(string_map_value(map, i)));
    }
    return json;
}

static json_t *encode_int_map(const CodecField *field, const IntMap *map)
{
    if (int_map_size(map) == 0 && !field->required) {
        return NULL;
    }
    json_t *json = json_object();
    for (size_t i = 0; i < int_map_size(map); i++) {
        json_object_set_new(json, int_map_key(map, i), json_integer(int_map_value(map, i)));
    }
    return json;
}

/* NULL: the field is absent. */
static json_t *encode_field(const CodecField *field, const void *object)
{
    const void *value = pointer_in(field, object);
    if (field->has_offset >= 0 && !CONST_MEMBER(bool, object, field->has_offset)) {
        return NULL;
    }
    switch (field->kind) {
    case CODEC_STRING:
        return value != NULL ? json_string(value) : NULL;
    case CODEC_INTEGER:
        return json_integer(CONST_MEMBER(int64_t, object, field->offset));
    case CODEC_NUMBER:
        return json_real(CONST_MEMBER(double, object, field->offset));
    case CODEC_BOOLEAN:
        return json_boolean(CONST_MEMBER(bool, object, field->offset));
    case CODEC_ENUM: {
        const char *text =
            codec_enum_text(field->enumeration, CONST_MEMBER(int, object, field->offset));
        return text != NULL ? json_string(text) : NULL;
    }
    case CODEC_OBJECT:
        return value != NULL ? codec_encode(field->type, value) : NULL;
    case CODEC_STRINGS:
    case CODEC_OBJECTS:
        return encode_array(field, value);
    case CODEC_STRING_MAP:
        return encode_string_map(field, value);
    case CODEC_INT_MAP:
        return encode_int_map(field, value);
    case CODEC_RAW:
        return value != NULL ? json_deep_copy(value) : NULL;
    }
    return NULL;
}

json_t *codec_encode(const CodecType *type, const void *object)
{
    json_t *json = json_object();
    for (size_t i = 0; i < type->n_fields; i++) {
        json_t *value = encode_field(&type->fields[i], object);
        if (value != NULL) {
            json_object_set_new(json, type->fields[i].name, value);
        }
    }
    json_t *unknown = CONST_MEMBER(json_t *, object, type->unknown_offset);
    if (unknown != NULL) {
        json_object_update_missing(json, unknown);
    }
    return json;
}

int codec_enum_parse(const CodecEnum *enumeration, const char *text)
{
    for (int i = 0; enumeration->values[i] != NULL; i++) {
        if (strcmp(enumeration->values[i], text) == 0) {
            return i + 1;
        }
    }
    for (const CodecAlias *a = enumeration->aliases; a != NULL && a->name != NULL; a++) {
        if (strcmp(a->name, text) == 0) {
            return a->value;
        }
    }
    return 0;
}

const char *codec_enum_text(const CodecEnum *enumeration, int value)
{
    int known = 0;
    while (enumeration->values[known] != NULL) {
        known++;
    }
    return value >= 1 && value <= known ? enumeration->values[value - 1] : NULL;
}

/* Refuses `json`, which stands in `field`: what is wrong, and what would be right. */
static bool refuse(GError **error, const char *field, const json_t *json, const char *remedy,
                   const char *message)
{
    char *value = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const char *shown = json_is_string(json) ? json_string_value(json) : value;
    berth_error_set(error, BERTH_ERROR_INVALID, field, shown, remedy, "%s", message);
    free(value);
    return false;
}

static bool check_range(GError **error, const char *field, const json_t *json, int64_t amount,
                        int64_t minimum, int64_t maximum, const char *what)
{
    if (amount >= minimum && amount <= maximum) {
        return true;
    }
    bool below = amount < minimum;
    g_autofree char *remedy =
        minimum == INT64_MIN ? g_strdup_printf("at most %" G_GINT64_FORMAT, maximum)
        : maximum == INT64_MAX
            ? g_strdup_printf("at least %" G_GINT64_FORMAT, minimum)
            : g_strdup_printf("between %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT, minimum,
                              maximum);
    g_autofree char *message = g_strdup_printf("%s is too %s", what, below ? "small" : "large");
    return refuse(error, field, json, remedy, message);
}

static GRegex *pattern_of(const CodecField *field)
{
    static GMutex lock;
    static GHashTable *compiled;
    g_mutex_lock(&lock);
    if (compiled == NULL) {
        compiled = g_hash_table_new(g_str_hash, g_str_equal);
    }
    GRegex *regex = g_hash_table_lookup(compiled, field->pattern);
    if (regex == NULL) {
        regex = g_regex_new(field->pattern, G_REGEX_DOLLAR_ENDONLY | G_REGEX_OPTIMIZE, 0, NULL);
        g_hash_table_insert(compiled, (char *)field->pattern, regex);
    }
    g_mutex_unlock(&lock);
    return regex;
}

bool codec_matches(const CodecField *field, const char *text)
{
    return field->pattern == NULL || g_regex_match(pattern_of(field), text, 0, NULL);
}

static bool decode_string(const CodecField *field, char **member, const json_t *json,
                          GError **error)
{
    if (!json_is_string(json)) {
        return refuse(error, field->name, json, "write a string", "not a string");
    }
    const char *text = json_string_value(json);
    if (strlen(text) != json_string_length(json)) {
        return refuse(error, field->name, NULL, "leave out \\u0000", "a string with a zero byte");
    }
    if (!check_range(error, field->name, json, g_utf8_strlen(text, -1), field->minimum,
                     field->maximum, "the length")) {
        return false;
    }
    if (!codec_matches(field, text)) {
        return refuse(error, field->name, json, field->hint, "not of the right form");
    }
    g_free(*member);
    *member = g_strdup(text);
    return true;
}

static bool decode_integer(const CodecField *field, void *object, const json_t *json,
                           GError **error)
{
    if (!json_is_integer(json)) {
        return refuse(error, field->name, json, "write a whole number, without quotes or unit",
                      "not an integer");
    }
    int64_t value = json_integer_value(json);
    if (!check_range(error, field->name, json, value, field->minimum, field->maximum,
                     "the value")) {
        return false;
    }
    MEMBER(int64_t, object, field->offset) = value;
    return true;
}

static bool decode_enum(const CodecField *field, void *object, const json_t *json, CodecMode mode,
                        GError **error)
{
    int value =
        json_is_string(json) ? codec_enum_parse(field->enumeration, json_string_value(json)) : 0;
    /* What a newer peer says and we do not know counts as unset, not as an error; it is kept. */
    if (value == 0 && !(mode == CODEC_TOLERANT && json_is_string(json))) {
        g_autofree char *choices = g_strjoinv(", ", (char **)(void *)field->enumeration->values);
        g_autofree char *remedy = g_strdup_printf("one of: %s", choices);
        return refuse(error, field->name, json, remedy, "not one of the choices");
    }
    MEMBER(int, object, field->offset) = value;
    return true;
}

static void prefix_index(GError **error, const char *field, size_t index)
{
    g_autofree char *prefix = g_strdup_printf("%s[%zu]", field, index);
    berth_error_prefix_field(error, prefix);
}

static bool decode_strings(const CodecField *field, GPtrArray *array, const json_t *json,
                           GError **error)
{
    size_t i;
    json_t *item;
    json_array_foreach (json, i, item) {
        g_autofree char *name = g_strdup_printf("%s[%zu]", field->name, i);
        if (!json_is_string(item)) {
            return refuse(error, name, item, "write a string", "not a string");
        }
        if (!check_range(error, name, item, (int64_t)json_string_length(item), field->item_minimum,
                         field->item_maximum, "the length")) {
            return false;
        }
        g_ptr_array_add(array, g_strdup(json_string_value(item)));
    }
    return true;
}

static bool decode_array(const CodecField *field, void *object, const json_t *json, CodecMode mode,
                         GError **error)
{
    if (!json_is_array(json)) {
        return refuse(error, field->name, json, "write a list: [ … ]", "not a list");
    }
    if (!check_range(error, field->name, NULL, (int64_t)json_array_size(json), field->minimum,
                     field->maximum, "the number of elements")) {
        return false;
    }
    GPtrArray *array = MEMBER(GPtrArray *, object, field->offset);
    g_ptr_array_set_size(array, 0);
    if (field->kind == CODEC_STRINGS) {
        return decode_strings(field, array, json, error);
    }
    size_t i;
    json_t *item;
    json_array_foreach (json, i, item) {
        void *element = codec_decode(field->type, item, mode, error);
        if (element == NULL) {
            prefix_index(error, field->name, i);
            return false;
        }
        g_ptr_array_add(array, element);
    }
    return true;
}

static bool decode_map_entry(const CodecField *field, void *object, const char *key,
                             const json_t *value, GError **error)
{
    g_autofree char *name = g_strdup_printf("%s.%s", field->name, key);
    if (field->kind == CODEC_STRING_MAP) {
        if (!json_is_string(value)) {
            return refuse(error, name, value, "write a string", "not a string");
        }
        string_map_set(MEMBER(StringMap *, object, field->offset), key, json_string_value(value));
        return check_range(error, name, value, (int64_t)json_string_length(value),
                           field->item_minimum, field->item_maximum, "the length");
    }
    if (!json_is_integer(value)) {
        return refuse(error, name, value, "write a whole number", "not an integer");
    }
    int_map_set(MEMBER(IntMap *, object, field->offset), key, json_integer_value(value));
    return check_range(error, name, value, json_integer_value(value), field->item_minimum,
                       field->item_maximum, "the value");
}

static bool decode_map(const CodecField *field, void *object, const json_t *json, GError **error)
{
    if (!json_is_object(json)) {
        return refuse(error, field->name, json, "write an object: { … }", "not an object");
    }
    if (!check_range(error, field->name, NULL, (int64_t)json_object_size(json), field->minimum,
                     field->maximum, "the number of entries")) {
        return false;
    }
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)json, key, value) {
        if (!decode_map_entry(field, object, key, value, error)) {
            return false;
        }
    }
    return true;
}

static bool decode_object(const CodecField *field, void *object, const json_t *json, CodecMode mode,
                          GError **error)
{
    void *value = codec_decode(field->type, json, mode, error);
    if (value == NULL) {
        berth_error_prefix_field(error, field->name);
        return false;
    }
    codec_free(field->type, MEMBER(void *, object, field->offset));
    MEMBER(void *, object, field->offset) = value;
    return true;
}

static bool decode_value(const CodecField *field, void *object, const json_t *json, CodecMode mode,
                         GError **error)
{
    switch (field->kind) {
    case CODEC_STRING:
        return decode_string(field, &MEMBER(char *, object, field->offset), json, error);
    case CODEC_INTEGER:
        return decode_integer(field, object, json, error);
    case CODEC_NUMBER:
        MEMBER(double, object, field->offset) = json_number_value(json);
        return json_is_number(json) ||
               refuse(error, field->name, json, "write a number", "not a number");
    case CODEC_BOOLEAN:
        MEMBER(bool, object, field->offset) = json_is_true(json);
        return json_is_boolean(json) ||
               refuse(error, field->name, json, "write true or false", "neither true nor false");
    case CODEC_ENUM:
        return decode_enum(field, object, json, mode, error);
    case CODEC_OBJECT:
        return decode_object(field, object, json, mode, error);
    case CODEC_STRINGS:
    case CODEC_OBJECTS:
        return decode_array(field, object, json, mode, error);
    case CODEC_STRING_MAP:
    case CODEC_INT_MAP:
        return decode_map(field, object, json, error);
    case CODEC_RAW:
        json_decref(MEMBER(json_t *, object, field->offset));
        MEMBER(json_t *, object, field->offset) = json_deep_copy(json);
        return json_is_object(json) ||
               refuse(error, field->name, json, "write an object: { … }", "not an object");
    }
    return false;
}

static bool decode_field(const CodecField *field, void *object, const json_t *json, CodecMode mode,
                         GError **error)
{
    if (!decode_value(field, object, json, mode, error)) {
        return false;
    }
    if (field->has_offset >= 0) {
        MEMBER(bool, object, field->has_offset) = true;
    }
    return true;
}

static const CodecField *field_named(const CodecType *type, const char *name)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        if (strcmp(type->fields[i].name, name) == 0) {
            return &type->fields[i];
        }
    }
    return NULL;
}

static bool refuse_unknown(const CodecType *type, const char *name, const json_t *value,
                           GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (size_t i = 0; i < type->n_fields; i++) {
        g_ptr_array_add(names, (char *)type->fields[i].name);
    }
    g_ptr_array_add(names, NULL);
    const char *nearest = berth_nearest_name(name, (const char *const *)names->pdata);
    g_autofree char *known = g_strjoinv(", ", (char **)names->pdata);
    g_autofree char *remedy = nearest != NULL  ? g_strdup_printf("did you mean '%s'?", nearest)
                              : names->len > 1 ? g_strdup_printf("known here: %s", known)
                                               : g_strdup("leave it out");
    return refuse(error, name, value, remedy, "unknown field");
}

static void keep(const CodecType *type, void *object, const char *name, json_t *value)
{
    json_t **unknown = &MEMBER(json_t *, object, type->unknown_offset);
    *unknown = *unknown != NULL ? *unknown : json_object();
    json_object_set(*unknown, name, value);
}

static bool decode_members(const CodecType *type, void *object, const json_t *json, CodecMode mode,
                           GError **error)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)json, name, value) {
        const CodecField *field = field_named(type, name);
        if (field == NULL && mode == CODEC_STRICT) {
            return refuse_unknown(type, name, value, error);
        }
        if (field != NULL && !decode_field(field, object, value, mode, error)) {
            return false;
        }
        if (field == NULL ||
            (field->kind == CODEC_ENUM && MEMBER(int, object, field->offset) == 0)) {
            keep(type, object, name, value);
        }
    }
    return true;
}

static bool check_required(const CodecType *type, const json_t *json, GError **error)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const CodecField *field = &type->fields[i];
        if (field->required && json_object_get(json, field->name) == NULL) {
            return refuse(error, field->name, NULL, "give it", "a required field is absent");
        }
    }
    return true;
}

void *codec_decode(const CodecType *type, const json_t *json, CodecMode mode, GError **error)
{
    if (!json_is_object(json)) {
        refuse(error, NULL, json, "write an object: { … }", "not an object");
        return NULL;
    }
    void *object = codec_new(type);
    if (!decode_members(type, object, json, mode, error) || !check_required(type, json, error)) {
        codec_free(type, object);
        return NULL;
    }
    return object;
}

static json_t *json_of_parameter(const CodecField *field, const char *text)
{
    gint64 integer;
    if (field->kind == CODEC_INTEGER &&
        g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &integer, NULL)) {
        return json_integer(integer);
    }
    if (field->kind == CODEC_BOOLEAN && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)) {
        return json_true();
    }
    if (field->kind == CODEC_BOOLEAN && (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)) {
        return json_false();
    }
    return json_string(text);
}

void *codec_decode_strings(const CodecType *type, GHashTable *values, GError **error)
{
    json_t *json = json_object();
    GHashTableIter iter;
    void *name, *text;
    if (values != NULL) {
        g_hash_table_iter_init(&iter, values);
        while (g_hash_table_iter_next(&iter, &name, &text)) {
            if (!g_utf8_validate(name, -1, NULL) || !g_utf8_validate(text, -1, NULL)) {
                json_decref(json);
                berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, "write it in UTF-8",
                                "a parameter that is no text");
                return NULL;
            }
            const CodecField *field = field_named(type, name);
            json_object_set_new(json, name,
                                field != NULL ? json_of_parameter(field, text) : json_string(text));
        }
    }
    void *object = codec_decode(type, json, CODEC_STRICT, error);
    json_decref(json);
    return object;
}

/* Brackets outside strings, so that a hostile text is refused in one pass without memory. */
static bool depth_is_within(const char *data, size_t length, int maximum)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = data[i];
        if (in_string && c == '\\') {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '[' || c == '{')) {
            if (++depth > maximum) {
                return false;
            }
        } else if (!in_string && (c == ']' || c == '}')) {
            depth--;
        }
    }
    return true;
}

json_t *codec_parse(const char *data, size_t length, const CodecLimits *limits, GError **error)
{
    size_t max_bytes =
        limits != NULL && limits->max_bytes > 0 ? limits->max_bytes : CODEC_MAX_BYTES;
    int max_depth = limits != NULL && limits->max_depth > 0 ? limits->max_depth : 32;
    if (length > max_bytes) {
        g_autofree char *size = g_strdup_printf("%zu bytes", length);
        g_autofree char *remedy = g_strdup_printf("at most %zu bytes", max_bytes);
        berth_error_set(error, BERTH_ERROR_TOO_LARGE, NULL, size, remedy, "JSON text is too long");
        return NULL;
    }
    if (!depth_is_within(data, length, max_depth)) {
        g_autofree char *remedy = g_strdup_printf("at most %d levels", max_depth);
        berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, remedy,
                        "JSON text is nested too deeply");
        return NULL;
    }
    json_error_t problem;
    json_t *json = json_loadb(data, length, JSON_REJECT_DUPLICATES, &problem);
    if (json == NULL) {
        g_autofree char *where =
            g_strdup_printf("line %d, column %d", problem.line, problem.column);
        berth_error_set(error, BERTH_ERROR_INVALID, NULL, where, "send one JSON object",
                        "not JSON: %s", problem.text);
    }
    return json;
}

static char *dump(const json_t *json, size_t flags)
{
    char *text = json_dumps(json, flags | JSON_ENCODE_ANY);
    char *copy = g_strdup(text);
    free(text);
    return copy;
}

char *codec_dump(const json_t *json)
{
    return dump(json, JSON_COMPACT);
}

char *codec_dump_pretty(const json_t *json)
{
    return dump(json, JSON_INDENT(2));
}
