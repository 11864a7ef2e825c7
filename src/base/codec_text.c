/*
 * Text straight into structs and back, by the same tables as trees (codec.c), without a tree between.
 *
 * Only what is ordinary is read here: known fields, each once, strings without escapes and beyond
 * ASCII nothing, whole numbers, values within their bounds. Everything else is left to codec_parse()
 * and codec_decode(), so that there is one place that knows what to say of it, and what is accepted
 * here is what they accept, with the same result (tests/test-codec-text.c holds the two against each
 * other). So it is with what is written: strings that need an escape, numbers with a fraction and
 * fields that the type does not know are left to codec_encode().
 */
#include <string.h>

#include "base/codec_private.h"

#define MAX_FIELDS 64 /* of a type, since a word of bits says which were seen */
#define MAX_DEPTH 16  /* of types in each other */
#define MAX_DIGITS 18 /* of a number: it fits without a look */

typedef struct {
    const char *at, *end;
    int depth;
} Scan;

static void *scan_object(const CodecType *type, Scan *scan);

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline char next(Scan *scan)
{
    while (scan->at < scan->end && *scan->at <= ' ' && is_space(*scan->at)) {
        scan->at++;
    }
    return scan->at < scan->end ? *scan->at : '\0';
}

static inline bool take(Scan *scan, char wanted)
{
    if (next(scan) != wanted) {
        return false;
    }
    scan->at++;
    return true;
}

/* What a bracket or a separator says of a list: goes it on? `*ret_sound` false: neither. */
static bool goes_on(Scan *scan, char end, bool *first, bool *ret_sound)
{
    char c = next(scan);
    *ret_sound = true;
    if (c == end) {
        scan->at++;
        return false;
    }
    if (!*first) {
        *ret_sound = c == ',';
        scan->at += *ret_sound;
    }
    *first = false;
    return *ret_sound;
}

/* Its bytes, in place; NULL: not an ordinary string. */
static const char *scan_text(Scan *scan, size_t *ret_size)
{
    if (!take(scan, '"')) {
        return NULL;
    }
    const char *begin = scan->at;
    for (; scan->at < scan->end; scan->at++) {
        unsigned char c = (unsigned char)*scan->at;
        if (c == '"') {
            *ret_size = (size_t)(scan->at++ - begin);
            return begin;
        }
        if (c < ' ' || c >= 0x7f || c == '\\') {
            break;
        }
    }
    return NULL;
}

static bool scan_integer(Scan *scan, int64_t *ret_value)
{
    next(scan);
    bool negative = scan->at < scan->end && *scan->at == '-';
    scan->at += negative;
    const char *begin = scan->at;
    int64_t value = 0;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9' &&
           scan->at - begin < MAX_DIGITS) {
        value = value * 10 + (*scan->at++ - '0');
    }
    ptrdiff_t digits = scan->at - begin;
    bool leading_zero = digits > 1 && *begin == '0';
    char after = scan->at < scan->end ? *scan->at : ',';
    bool goes_on = (after >= '0' && after <= '9') || after == '.' || after == 'e' || after == 'E';
    *ret_value = negative ? -value : value;
    return digits > 0 && !leading_zero && !goes_on;
}

static bool scan_word(Scan *scan, const char *word)
{
    size_t size = strlen(word);
    next(scan);
    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0) {
        return false;
    }
    scan->at += size;
    return true;
}

static bool is_within(int64_t amount, int64_t minimum, int64_t maximum)
{
    return amount >= minimum && amount <= maximum;
}

/* `text` has no NUL, so a name that is shorter differs where it ends. */
static inline bool equals(const char *name, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (name[i] != text[i]) {
            return false;
        }
    }
    return name[size] == '\0';
}

static bool scan_string(const CodecField *field, void *object, Scan *scan)
{
    size_t size = 0;
    const char *text = scan_text(scan, &size);
    if (text == NULL || !is_within((int64_t)size, field->minimum, field->maximum)) {
        return false;
    }
    char **member = &CODEC_MEMBER(char *, object, field->offset);
    g_free(*member);
    *member = g_strndup(text, size);
    return codec_matches(field, *member);
}

static bool scan_enum(const CodecField *field, void *object, Scan *scan)
{
    size_t size = 0;
    const char *text = scan_text(scan, &size);
    for (int i = 0; text != NULL && field->enumeration->values[i] != NULL; i++) {
        if (equals(field->enumeration->values[i], text, size)) {
            CODEC_MEMBER(int, object, field->offset) = i + 1;
            return true;
        }
    }
    return false;
}

static bool scan_boolean(const CodecField *field, void *object, Scan *scan)
{
    bool value = scan_word(scan, "true");
    CODEC_MEMBER(bool, object, field->offset) = value;
    return value || scan_word(scan, "false");
}

static void *scan_element(const CodecField *field, Scan *scan)
{
    if (field->kind == CODEC_OBJECTS) {
        return scan_object(field->type, scan);
    }
    size_t size = 0;
    const char *text = scan_text(scan, &size);
    bool fits = text != NULL && is_within((int64_t)size, field->item_minimum, field->item_maximum);
    return fits ? g_strndup(text, size) : NULL;
}

static bool scan_array(const CodecField *field, void *object, Scan *scan)
{
    GPtrArray *array = CODEC_MEMBER(GPtrArray *, object, field->offset);
    bool first = true, sound = take(scan, '[');
    while (sound && goes_on(scan, ']', &first, &sound)) {
        void *element = scan_element(field, scan);
        if (element == NULL) {
            return false;
        }
        g_ptr_array_add(array, element);
    }
    return sound && is_within(array->len, field->minimum, field->maximum);
}

/* False for a key that it has already, too. */
static bool scan_entry(const CodecField *field, void *object, Scan *scan)
{
    size_t key_size = 0, size = 0;
    const char *key = scan_text(scan, &key_size);
    if (key == NULL || !take(scan, ':')) {
        return false;
    }
    g_autofree char *name = g_strndup(key, key_size);
    if (field->kind == CODEC_STRING_MAP) {
        StringMap *map = CODEC_MEMBER(StringMap *, object, field->offset);
        const char *text = scan_text(scan, &size);
        size_t before = string_map_size(map);
        if (text == NULL || !is_within((int64_t)size, field->item_minimum, field->item_maximum)) {
            return false;
        }
        g_autofree char *value = g_strndup(text, size);
        string_map_set(map, name, value);
        return string_map_size(map) > before;
    }
    IntMap *map = CODEC_MEMBER(IntMap *, object, field->offset);
    size_t before = int_map_size(map);
    int64_t value;
    if (!scan_integer(scan, &value) ||
        !is_within(value, field->item_minimum, field->item_maximum)) {
        return false;
    }
    int_map_set(map, name, value);
    return int_map_size(map) > before;
}

static bool scan_map(const CodecField *field, void *object, Scan *scan)
{
    int64_t n = 0;
    bool first = true, sound = take(scan, '{');
    while (sound && goes_on(scan, '}', &first, &sound)) {
        if (!scan_entry(field, object, scan)) {
            return false;
        }
        n++;
    }
    return sound && is_within(n, field->minimum, field->maximum);
}

static bool scan_member(const CodecField *field, void *object, Scan *scan)
{
    int64_t integer;
    switch (field->kind) {
    case CODEC_STRING:
        return scan_string(field, object, scan);
    case CODEC_INTEGER:
        return scan_integer(scan, &CODEC_MEMBER(int64_t, object, field->offset)) &&
               is_within(CODEC_MEMBER(int64_t, object, field->offset), field->minimum,
                         field->maximum);
    case CODEC_NUMBER:
        if (!scan_integer(scan, &integer)) {
            return false;
        }
        CODEC_MEMBER(double, object, field->offset) = (double)integer;
        return true;
    case CODEC_BOOLEAN:
        return scan_boolean(field, object, scan);
    case CODEC_ENUM:
        return scan_enum(field, object, scan);
    case CODEC_OBJECT:
        codec_free(field->type, CODEC_MEMBER(void *, object, field->offset));
        CODEC_MEMBER(void *, object, field->offset) = scan_object(field->type, scan);
        return CODEC_MEMBER(void *, object, field->offset) != NULL;
    case CODEC_STRINGS:
    case CODEC_OBJECTS:
        return scan_array(field, object, scan);
    case CODEC_STRING_MAP:
    case CODEC_INT_MAP:
        return scan_map(field, object, scan);
    case CODEC_RAW:
        break;
    }
    return false;
}

/* Fields mostly come in the schema's order: the search begins after the last one found. */
static const CodecField *scan_name(const CodecType *type, Scan *scan, size_t *hint)
{
    size_t size = 0;
    const char *name = scan_text(scan, &size);
    if (name == NULL || !take(scan, ':')) {
        return NULL;
    }
    for (size_t i = 0; i < type->n_fields; i++) {
        size_t index = *hint + i < type->n_fields ? *hint + i : *hint + i - type->n_fields;
        if (equals(type->fields[index].name, name, size)) {
            *hint = index + 1 < type->n_fields ? index + 1 : 0;
            return &type->fields[index];
        }
    }
    return NULL;
}

static bool scan_members(const CodecType *type, void *object, Scan *scan, uint64_t *ret_seen)
{
    size_t hint = 0;
    bool first = true, sound = take(scan, '{');
    while (sound && goes_on(scan, '}', &first, &sound)) {
        const CodecField *field = scan_name(type, scan, &hint);
        uint64_t bit = field != NULL ? UINT64_C(1) << (field - type->fields) : 0;
        if (field == NULL || (*ret_seen & bit) != 0 || !scan_member(field, object, scan)) {
            return false;
        }
        if (field->has_offset >= 0) {
            CODEC_MEMBER(bool, object, field->has_offset) = true;
        }
        *ret_seen |= bit;
    }
    return sound;
}

/* False: a required one is absent. */
static bool complete(const CodecType *type, void *object, uint64_t seen)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        if ((seen & (UINT64_C(1) << i)) != 0) {
            continue;
        }
        if (type->fields[i].required) {
            return false;
        }
        codec_set_default(&type->fields[i], object);
    }
    return true;
}

static void *scan_object(const CodecType *type, Scan *scan)
{
    if (scan->depth >= MAX_DEPTH || type->n_fields > MAX_FIELDS) {
        return NULL;
    }
    void *object = g_malloc0(type->size);
    for (size_t i = 0; i < type->n_fields; i++) {
        codec_init_field(&type->fields[i], object);
    }
    uint64_t seen = 0;
    scan->depth++;
    bool sound = scan_members(type, object, scan, &seen) && complete(type, object, seen);
    scan->depth--;
    if (!sound) {
        codec_free(type, object);
        return NULL;
    }
    return object;
}

bool codec_scan_value(const CodecField *field, void *object, const char *text)
{
    Scan scan = {.at = text, .end = text + strlen(text)};
    return scan_member(field, object, &scan) && next(&scan) == '\0' && scan.at == scan.end;
}

void *codec_scan(const CodecType *type, const char *text, size_t size)
{
    Scan scan = {.at = text, .end = text + size};
    void *object = scan_object(type, &scan);
    next(&scan);
    if (object != NULL && scan.at != scan.end) {
        g_clear_pointer(&object, type->free_element);
    }
    return object;
}

void *codec_decode_text(const CodecType *type, const char *text, size_t size,
                        const CodecLimits *limits, CodecMode mode, GError **error)
{
    void *object = limits == NULL && size <= CODEC_MAX_BYTES ? codec_scan(type, text, size) : NULL;
    if (object != NULL) {
        return object;
    }
    json_t *json = codec_parse(text, size, limits, error);
    if (json == NULL) {
        return NULL;
    }
    object = codec_decode(type, json, mode, error);
    json_decref(json);
    return object;
}

static bool write_object(const CodecType *type, const void *object, GString *text);

/* False: it needs an escape, or is not ASCII, which may be no UTF-8. */
static bool write_string(const char *string, GString *text)
{
    if (string == NULL) {
        return false;
    }
    gsize size = 0;
    for (unsigned char c = (unsigned char)string[0]; c != '\0'; c = (unsigned char)string[++size]) {
        if (c < ' ' || c > '~' || c == '"' || c == '\\') {
            return false;
        }
    }
    g_string_append_c(text, '"');
    g_string_append_len(text, string, (gssize)size);
    g_string_append_c(text, '"');
    return true;
}

static bool write_integer(int64_t value, GString *text)
{
    char digits[24];
    char *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        *--at = '-';
    }
    g_string_append_len(text, at, digits + sizeof digits - at);
    return true;
}

static void separate(GString *text, size_t i)
{
    if (i > 0) {
        g_string_append_c(text, ',');
    }
}

static bool write_array(const CodecField *field, const GPtrArray *array, GString *text)
{
    bool sound = true;
    g_string_append_c(text, '[');
    for (guint i = 0; sound && i < array->len; i++) {
        separate(text, i);
        sound = field->kind == CODEC_STRINGS ? write_string(array->pdata[i], text)
                                             : write_object(field->type, array->pdata[i], text);
    }
    g_string_append_c(text, ']');
    return sound;
}

static bool write_string_map(const StringMap *map, GString *text)
{
    bool sound = true;
    g_string_append_c(text, '{');
    for (size_t i = 0; sound && i < string_map_size(map); i++) {
        separate(text, i);
        sound = write_string(string_map_key(map, i), text);
        g_string_append_c(text, ':');
        sound = sound && write_string(string_map_value(map, i), text);
    }
    g_string_append_c(text, '}');
    return sound;
}

static bool write_int_map(const IntMap *map, GString *text)
{
    bool sound = true;
    g_string_append_c(text, '{');
    for (size_t i = 0; sound && i < int_map_size(map); i++) {
        separate(text, i);
        sound = write_string(int_map_key(map, i), text);
        g_string_append_c(text, ':');
        write_integer(int_map_value(map, i), text);
    }
    g_string_append_c(text, '}');
    return sound;
}

static bool is_absent(const CodecField *field, const void *object)
{
    if (field->has_offset >= 0 && !CODEC_MEMBER(bool, object, field->has_offset)) {
        return true;
    }
    switch (field->kind) {
    case CODEC_STRING:
    case CODEC_OBJECT:
    case CODEC_RAW:
        return CODEC_MEMBER(void *, object, field->offset) == NULL;
    case CODEC_STRINGS:
    case CODEC_OBJECTS:
        return !field->required && CODEC_MEMBER(GPtrArray *, object, field->offset)->len == 0;
    case CODEC_STRING_MAP:
        return !field->required &&
               string_map_size(CODEC_MEMBER(StringMap *, object, field->offset)) == 0;
    case CODEC_INT_MAP:
        return !field->required && int_map_size(CODEC_MEMBER(IntMap *, object, field->offset)) == 0;
    case CODEC_ENUM:
        return codec_enum_text(field->enumeration, CODEC_MEMBER(int, object, field->offset)) ==
               NULL;
    case CODEC_INTEGER:
    case CODEC_NUMBER:
    case CODEC_BOOLEAN:
        break;
    }
    return false;
}

static bool write_value(const CodecField *field, const void *object, GString *text)
{
    switch (field->kind) {
    case CODEC_STRING:
        return write_string(CODEC_MEMBER(char *, object, field->offset), text);
    case CODEC_INTEGER:
        return write_integer(CODEC_MEMBER(int64_t, object, field->offset), text);
    case CODEC_BOOLEAN:
        g_string_append(text, CODEC_MEMBER(bool, object, field->offset) ? "true" : "false");
        return true;
    case CODEC_ENUM:
        return write_string(
            codec_enum_text(field->enumeration, CODEC_MEMBER(int, object, field->offset)), text);
    case CODEC_OBJECT:
        return write_object(field->type, CODEC_MEMBER(void *, object, field->offset), text);
    case CODEC_STRINGS:
    case CODEC_OBJECTS:
        return write_array(field, CODEC_MEMBER(GPtrArray *, object, field->offset), text);
    case CODEC_STRING_MAP:
        return write_string_map(CODEC_MEMBER(StringMap *, object, field->offset), text);
    case CODEC_INT_MAP:
        return write_int_map(CODEC_MEMBER(IntMap *, object, field->offset), text);
    case CODEC_NUMBER:
    case CODEC_RAW:
        break;
    }
    return false;
}

static bool write_object(const CodecType *type, const void *object, GString *text)
{
    size_t written = 0;
    if (CODEC_MEMBER(json_t *, object, type->unknown_offset) != NULL) {
        return false;
    }
    g_string_append_c(text, '{');
    for (size_t i = 0; i < type->n_fields; i++) {
        const CodecField *field = &type->fields[i];
        if (is_absent(field, object)) {
            continue;
        }
        separate(text, written++);
        g_string_append_c(text, '"');
        g_string_append(text, field->name);
        g_string_append_len(text, "\":", 2);
        if (!write_value(field, object, text)) {
            return false;
        }
    }
    g_string_append_c(text, '}');
    return true;
}

GBytes *codec_write(const CodecType *type, const void *object)
{
    GString *text = g_string_sized_new(256);
    if (!write_object(type, object, text)) {
        g_string_free(text, TRUE);
        return NULL;
    }
    return g_string_free_to_bytes(text);
}

GBytes *codec_encode_text(const CodecType *type, const void *object)
{
    GBytes *text = codec_write(type, object);
    if (text == NULL) {
        json_t *json = codec_encode(type, object);
        char *dump = codec_dump(json);
        text = g_bytes_new_take(dump, strlen(dump));
        json_decref(json);
    }
    return text;
}
