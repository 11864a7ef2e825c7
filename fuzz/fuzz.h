/*
 * What the fuzz targets share. Each is one file, fuzz-NAME.c, around libFuzzer's entry point, with
 * its seeds in corpus/NAME/; README.md says how to run them and how to add one.
 *
 * A target fails through g_assert or a sanitizer. It checks more than that nothing crashes: what is
 * read is written and read again, and a stream says the same however it is cut.
 *
 * Threading: one thread.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes the first line, without its end; NULL if there is none. The caller frees it. */
static inline char *fuzz_take_line(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size > 0 ? memchr(*data, '\n', *size) : NULL;
    if (end == NULL) {
        return NULL;
    }
    char *line = g_strndup((const char *)*data, (gsize)(end - *data));
    *size -= (size_t)(end - *data) + 1;
    *data = end + 1;
    return line;
}

/* What decodes as `type` is the same after it was encoded, written as text, read and decoded. */
static inline void fuzz_round_trip(const CodecType *type, const json_t *json, CodecMode mode)
{
    void *first = codec_decode(type, json, mode, NULL);
    if (first == NULL) {
        return;
    }
    json_t *encoded = codec_encode(type, first);
    g_assert_nonnull(encoded);
    g_autofree char *text = codec_dump(encoded);
    g_assert_nonnull(text);
    g_autoptr(GError) error = NULL;
    json_t *parsed = codec_parse(text, strlen(text), NULL, &error);
    g_assert_no_error(error);
    void *second = codec_decode(type, parsed, mode, &error);
    g_assert_no_error(error);
    g_assert_true(codec_equal(type, first, second));
    codec_free(type, second);
    json_decref(parsed);
    json_decref(encoded);
    codec_free(type, first);
}
