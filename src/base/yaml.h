/*
 * YAML to JSON and back, over libyaml: manifests, contexts and scenario files in, `-o yaml` out.
 *
 * What is read is the part of YAML 1.2 that says the same as JSON: mappings, sequences and scalars
 * of the core schema (null, true, false, decimal, 0o and 0x integers, floats; everything else is
 * text, so `yes`, `on` and `12:30` are). Refused, each with line and column: anchors, aliases and
 * tags (nothing grows while it is read), a key that stands twice, a key that is no scalar, .inf and
 * .nan, an integer beyond 64 bits, a tab in the indentation, text that is no UTF-8, what is nested
 * or long beyond the caps.
 *
 * Errors are BERTH_ERROR_INVALID (TOO_LARGE over the size cap) with a message that begins
 * `line L, column C: `, both from 1.
 *
 * What is written reads as the same JSON again: yaml_parse(yaml_dump(x)) equals x, where x holds no
 * NUL characters. Text that another reader could take for something else (`yes`, `1e3`) is quoted.
 *
 * Threading: pure functions, any thread.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

#include "base/codec.h"

typedef struct {
    int line, column; /* from 1 */
} YamlMark;

typedef struct {
    json_t *root; /* of any kind */
    YamlMark begins;
    GHashTable *marks; /* path of a field → YamlMark * of its key */
} YamlDocument;

void yaml_document_free(YamlDocument *document); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(YamlDocument, yaml_document_free)

/* Where a field stands, by the path that the codec's errors carry (`spec.files[0].role`); if there is
 * none, where the nearest field around it does; where the document begins for NULL. */
YamlMark yaml_document_mark(const YamlDocument *document, const char *path);

/* Does just this field stand there? */
bool yaml_document_has(const YamlDocument *document, const char *path);

/* All documents of a text, YamlDocument *; documents of nothing but comments are left out. */
GPtrArray *yaml_parse(const char *text, size_t length, const CodecLimits *limits, GError **error);

/* One document, as text that ends with a line feed. g_free it. */
char *yaml_dump(const json_t *json);
