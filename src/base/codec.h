/*
 * JSON in and out of C structs, by tables that the schema generator writes.
 *
 * tools/schema-gen turns each named object of the schema into a struct, a CodecType that describes
 * it and thin wrappers (vm_spec_new, vm_spec_decode, …) around the functions here. One interpreter
 * reads the tables, so that what a schema says is checked in one place.
 *
 * Members: string → char * (NULL: absent); integer, number, boolean → int64_t, double, bool, with
 * `bool has_x` beside it where the field is optional and has no default; enum → a C enum whose 0 is
 * …_UNSET; object → pointer (NULL: absent); array → GPtrArray *, map → StringMap * or IntMap *,
 * never NULL (absent is empty, unless the schema says x-tell-absent: then `bool has_x` beside a map
 * tells); x-raw → json_t *.
 *
 * Every error is BERTH_ERROR_INVALID with the whole path of the field, the value that stood there,
 * and what would be right. The path is built while the error travels up, so a sound document pays
 * nothing for it.
 *
 * Threading: any thread; types are constant, compiled patterns are shared under a lock.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

typedef enum {
    CODEC_STRICT,   /* the HTTP door: unknown fields are refused, by name */
    CODEC_TOLERANT, /* agents and the store: unknown fields and enum values (which count as unset)
                       are kept and written again */
} CodecMode;

typedef enum {
    CODEC_STRING,
    CODEC_INTEGER,
    CODEC_NUMBER,
    CODEC_BOOLEAN,
    CODEC_ENUM,
    CODEC_OBJECT,
    CODEC_STRINGS,
    CODEC_OBJECTS,
    CODEC_STRING_MAP,
    CODEC_INT_MAP,
    CODEC_RAW,
} CodecKind;

typedef struct {
    const char *name;
    int value;
} CodecAlias;

typedef struct {
    const char *name;
    const char *const *values; /* values[0] is that of enumerator 1; NULL ends */
    const CodecAlias *aliases; /* read, never written; a NULL name ends; NULL: none */
} CodecEnum;

typedef struct CodecType CodecType;

typedef struct {
    const char *name;
    CodecKind kind;
    size_t offset;
    ptrdiff_t has_offset; /* of `bool has_x`; -1: none */
    bool required;
    int64_t minimum, maximum; /* of the integer; of the length of a string, array or map */
    int64_t item_minimum, item_maximum; /* of the length of a string, or the value, inside */
    const char *pattern, *hint;
    const char *default_text; /* as JSON; NULL: none */
    const CodecType *type;
    const CodecEnum *enumeration;
} CodecField;

struct CodecType {
    const char *name;
    size_t size;
    size_t unknown_offset; /* of `json_t *unknown` */
    const CodecField *fields;
    size_t n_fields;
    void (*free_element)(void *object); /* codec_free of this type, for arrays of it */
};

void *codec_new(const CodecType *type);
void codec_free(const CodecType *type, void *object);        /* takes NULL */
void *codec_copy(const CodecType *type, const void *object); /* NULL gives NULL */
bool codec_equal(const CodecType *type, const void *a, const void *b);
json_t *codec_encode(const CodecType *type, const void *object);
void *codec_decode(const CodecType *type, const json_t *json, CodecMode mode, GError **error);

/* From the parameters of a URL: each value is read as its field's kind. Strict. `values` may be
 * NULL. */
void *codec_decode_strings(const CodecType *type, GHashTable *values, GError **error);

/* Enumerators by name; 0: no such. */
int codec_enum_parse(const CodecEnum *enumeration, const char *text);
const char *codec_enum_text(const CodecEnum *enumeration, int value); /* NULL for 0 */

/* Zeros take the default in brackets. */
typedef struct {
    size_t max_bytes; /* [8 MiB] */
    int max_depth;    /* of brackets [32] */
} CodecLimits;

/* Text to JSON: an object or array, no duplicate keys. `limits` may be NULL. A text that is nested
 * too deeply is refused before it is parsed. */
json_t *codec_parse(const char *data, size_t length, const CodecLimits *limits, GError **error);

/* As codec_parse() and codec_decode() in one, without a tree where the text is ordinary: an order of
 * magnitude faster. */
void *codec_decode_text(const CodecType *type, const char *text, size_t size,
                        const CodecLimits *limits, CodecMode mode, GError **error);

/* The fast half of it alone. NULL: not ordinary (an escape, a field that the type does not know,
 * something wrong, …), which only codec_decode() can judge. */
void *codec_scan(const CodecType *type, const char *text, size_t size);

/* The text of codec_dump() of codec_encode(), as quickly. */
GBytes *codec_encode_text(const CodecType *type, const void *object);

/* The fast half of it alone. NULL: not ordinary. */
GBytes *codec_write(const CodecType *type, const void *object);

char *codec_dump(const json_t *json);        /* compact */
char *codec_dump_pretty(const json_t *json); /* indented by two */
